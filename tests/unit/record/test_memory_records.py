"""Splitting a fetch response's records into batches."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from aiokafka.errors import CorruptRecordException
from aiokafka.record import MemoryRecords
from aiokafka.record._protocols import MemoryRecordsProtocol

from .twins import TWINS, Twin


def batch(twin: Twin, count: int = 2) -> bytes:
    builder = twin.builder()
    for offset in range(count):
        builder.append(offset, 0, None, b"value", [])
    return bytes(builder.build())


def legacy(twin: Twin, magic: int) -> bytes:
    builder = twin.LegacyRecordBatchBuilder(magic, 0, 9999)
    builder.append(0, 0, None, b"value")
    return bytes(builder.build())


def test_exported() -> None:
    assert MemoryRecords is TWINS[-1].MemoryRecords


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_batches_of_every_format(twin: Twin, kind: Any) -> None:
    data = batch(twin) + legacy(twin, 1) + batch(twin, 3) + legacy(twin, 0)
    assert isinstance(twin.MemoryRecords(data), MemoryRecordsProtocol)
    records = twin.MemoryRecords(kind(data))
    assert records.size_in_bytes() == len(data)
    kinds = []
    values = 0
    while records.has_next():
        part = records.next_batch()
        kinds.append(type(part))
        values += len([record for record in part if record.value == b"value"])
    new, old = twin.DefaultRecordBatch, twin.LegacyRecordBatch
    assert kinds == [new, old, new, old]
    assert values == 7
    assert records.next_batch() is None


def test_partial_tail_is_ignored(twin: Twin) -> None:
    whole = batch(twin)
    for size in range(len(whole)):
        records = twin.MemoryRecords(whole + whole[:size])
        assert records.has_next()
        assert records.next_batch().record_count == 2
        assert not records.has_next()
        assert records.next_batch() is None


def test_nothing(twin: Twin) -> None:
    records = twin.MemoryRecords(b"")
    assert not records.has_next()
    assert records.next_batch() is None
    assert records.size_in_bytes() == 0


@pytest.mark.parametrize("size", [-(2**31), -12, -1, 0, 13])
def test_too_short_to_be_a_batch(twin: Twin, size: int) -> None:
    data = bytearray(batch(twin))
    struct.pack_into(">i", data, 8, size)
    records = twin.MemoryRecords(data)
    assert records.has_next()
    for _ in range(2):
        with pytest.raises(CorruptRecordException):
            records.next_batch()


@pytest.mark.parametrize("magic", [3, 127, -1, -128])
def test_unknown_magic(twin: Twin, magic: int) -> None:
    data = bytearray(batch(twin))
    struct.pack_into(">b", data, 16, magic)
    with pytest.raises(CorruptRecordException, match="magic"):
        twin.MemoryRecords(data).next_batch()


def test_magic_2_shorter_than_its_header(twin: Twin) -> None:
    data = struct.pack(">qiib", 0, 20, 0, 2) + bytes(20)
    with pytest.raises(CorruptRecordException):
        twin.MemoryRecords(data).next_batch()


def test_not_bytes(twin: Twin) -> None:
    with pytest.raises(TypeError):
        twin.MemoryRecords("text")
