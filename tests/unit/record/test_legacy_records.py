"""Messages of magic 0 and 1."""

from __future__ import annotations

import struct
from typing import Any
from zlib import crc32

import pytest

from aiokafka.codec import gzip_encode
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record import _protocols as protocols
from aiokafka.record.legacy_records import LegacyRecordBase

from .twins import Twin


def message(
    magic: int,
    offset: int,
    value: bytes | None,
    *,
    key: bytes | None = None,
    timestamp: int = 1000,
    attributes: int = 0,
) -> bytes:
    """A message written out by the protocol's documentation."""
    body = struct.pack(">bb", magic, attributes)
    if magic:
        body += struct.pack(">q", timestamp)
    for part in (key, value):
        body += struct.pack(">i", -1) if part is None else struct.pack(">i", len(part)) + part
    return struct.pack(">qiI", offset, len(body) + 4, crc32(body)) + body


def fields(record: Any) -> tuple[Any, ...]:
    return (record.offset, record.timestamp, record.timestamp_type, record.key, record.value)


def test_constants() -> None:
    assert LegacyRecordBase.RECORD_OVERHEAD_V0 == 14
    assert LegacyRecordBase.RECORD_OVERHEAD_V1 == 22
    assert LegacyRecordBase.LOG_OVERHEAD == 12


@pytest.mark.parametrize("magic", [0, 1])
def test_golden_messages(twin: Twin, magic: int) -> None:
    builder = twin.LegacyRecordBatchBuilder(magic=magic, compression_type=0, batch_size=9999)
    has_protocol = isinstance(builder, protocols.LegacyRecordBatchBuilderProtocol)
    assert has_protocol
    first = builder.append(0, 1000, b"test", b"Super")
    second = builder.append(offset=1, timestamp=2000, key=None, value=b"", headers=None)
    third = builder.append(2, 3000, bytearray(b"k"), None)
    assert isinstance(first, protocols.LegacyRecordMetadataProtocol)
    expected = [
        message(magic, 0, b"Super", key=b"test"),
        message(magic, 1, b"", timestamp=2000),
        message(magic, 2, None, key=b"k", timestamp=3000),
    ]
    assert bytes(builder.build()) == b"".join(expected)
    assert [first.size, second.size, third.size] == [len(part) for part in expected]
    assert first.crc == struct.unpack_from(">I", expected[0], 12)[0]
    assert (first.offset, first.timestamp) == (0, 1000 if magic else -1)
    assert repr(second).startswith("LegacyRecordMetadata(offset=1, crc=")
    assert builder.size() == sum(map(len, expected))
    assert builder.size_in_bytes(3, 0, b"test", b"Super") == first.size
    assert twin.LegacyRecordBatchBuilder.record_overhead(magic) == (22 if magic else 14)


@pytest.mark.parametrize("magic", [0, 1])
def test_reading_one(twin: Twin, magic: int) -> None:
    batch = twin.LegacyRecordBatch(message(magic, 7, b"v", key=b"k"), magic)
    assert isinstance(batch, protocols.LegacyRecordBatchProtocol)
    assert batch.next_offset == 8
    assert (batch.is_control_batch, batch.is_transactional) == (False, False)
    assert batch.producer_id is None
    assert batch.validate_crc()
    (record,) = batch
    assert isinstance(record, protocols.LegacyRecordProtocol)
    assert fields(record) == (7, 1000 if magic else None, 0 if magic else None, b"k", b"v")
    assert record.headers == []
    assert record.checksum == struct.unpack_from(">I", message(magic, 7, b"v", key=b"k"), 12)[0]
    assert repr(record).startswith("LegacyRecord(offset=7, ")
    assert fields(twin.LegacyRecord(1, 2, 0, None, b"v", 2**32 - 1)) == (1, 2, 0, None, b"v")


def test_wrong_crc(twin: Twin) -> None:
    data = bytearray(message(1, 7, b"v"))
    data[-1] ^= 1
    assert not twin.LegacyRecordBatch(data, 1).validate_crc()


@pytest.mark.parametrize(("magic", "codec"), [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3)])
def test_compressed_round_trip(twin: Twin, magic: int, codec: int) -> None:
    builder = twin.LegacyRecordBatchBuilder(magic, codec, 99999)
    for offset in range(5):
        builder.append(offset, 1000 + offset, b"k%d" % offset, b"value" * 20)
    data = bytearray(builder.build())
    assert twin.LegacyRecordBatch(data, magic).validate_crc()
    if magic:
        struct.pack_into(">q", data, 0, 104)  # the broker gives the last offset outside
    batch = twin.LegacyRecordBatch(data, magic)
    assert batch.compression_type == codec
    base = 100 if magic else 0
    assert [fields(record) for record in batch] == [
        (
            base + n,
            1000 + n if magic else None,
            0 if magic else None,
            b"k%d" % n,
            b"value" * 20,
        )
        for n in range(5)
    ]


def test_log_append_time(twin: Twin) -> None:
    inner = message(1, 0, b"a", timestamp=1) + message(1, 1, b"b", timestamp=2)
    data = message(1, 9, gzip_encode(inner), timestamp=77, attributes=0x08 | 1)
    batch = twin.LegacyRecordBatch(data, 1)
    assert batch.timestamp_type == 1
    assert [fields(record)[:3] for record in batch] == [(8, 77, 1), (9, 77, 1)]


def test_limits_of_the_builder(twin: Twin) -> None:
    builder = twin.LegacyRecordBatchBuilder(1, 0, 1)
    assert builder.append(0, None, None, b"big")
    assert builder.append(1, None, None, b"") is None
    with pytest.raises(ValueError, match="headers"):
        builder.append(1, None, None, b"", [("a", b"b")])
    with pytest.raises(TypeError):
        builder.append(1, None, "text", b"")
    with pytest.raises(TypeError):
        builder.append("1", None, None, b"")
    with pytest.raises(TypeError):
        builder.append(1, "0", None, b"")
    for magic in (-1, 2):
        with pytest.raises(ValueError, match="magic"):
            twin.LegacyRecordBatchBuilder(magic, 0, 1)
        with pytest.raises(ValueError, match="magic"):
            builder.record_overhead(magic)


def test_codecs_of_later_formats(twin: Twin) -> None:
    for magic, codec in [(0, 3), (0, 4), (1, 4), (1, 7)]:
        with pytest.raises(UnsupportedCodecError):
            twin.LegacyRecordBatchBuilder(magic, codec, 99).build()
        data = message(magic, 0, b"junk", attributes=codec)
        with pytest.raises(UnsupportedCodecError):
            list(twin.LegacyRecordBatch(data, magic))


@pytest.mark.parametrize("magic", [0, 1])
def test_hostile_messages(twin: Twin, magic: int) -> None:
    whole = message(magic, 0, b"value", key=b"key")
    for size in range(len(whole)):
        with pytest.raises(CorruptRecordException):
            list(twin.LegacyRecordBatch(whole[:size], magic))
    key_at = 26 if magic else 18
    for length in (-2, -(2**31), 4, 2**31 - 1):
        bad = bytearray(whole)
        struct.pack_into(">i", bad, key_at, length)
        with pytest.raises(CorruptRecordException):
            list(twin.LegacyRecordBatch(bad, magic))
    for size in (-1, 0, 13, len(whole), 2**31 - 1):
        bad = bytearray(whole)
        struct.pack_into(">i", bad, 8, size)
        with pytest.raises(CorruptRecordException):
            list(twin.LegacyRecordBatch(bad, magic))
    with pytest.raises(CorruptRecordException):
        list(twin.LegacyRecordBatch(whole + b"\0", magic))


def test_hostile_insides(twin: Twin) -> None:
    inner = message(1, 0, b"a")
    for value in (
        None,
        b"",
        b"junk",
        gzip_encode(inner + b"\0"),
        gzip_encode(inner[:-1]),
        gzip_encode(message(0, 0, b"a" * 20)),
        gzip_encode(message(1, 0, gzip_encode(inner), attributes=1)),
    ):
        data = message(1, 0, value, attributes=1)
        with pytest.raises(CorruptRecordException):
            list(twin.LegacyRecordBatch(data, 1))
    assert list(twin.LegacyRecordBatch(message(1, 0, gzip_encode(b""), attributes=1), 1)) == []
