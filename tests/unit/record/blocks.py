"""Fetched blocks for tests, put together batch by batch."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

LOG_APPEND_TIME, CONTROL = 0x08, 0x20
ABORT, COMMIT = 0, 1


def batch(
    records: Sequence[Any] = (b"v",),
    *,
    base: int = 0,
    codec: int = 0,
    leader_epoch: int = -1,
    producer_id: int = -1,
    transactional: bool = False,
    attributes: int = 0,
    last_delta: int | None = None,
    max_timestamp: int | None = None,
) -> bytes:
    """A batch of magic 2.

    A record is its value, or ``(offset delta, key, value[, headers])``. `attributes` are set
    besides those of codec and transaction; `last_delta` may tell of records that were there
    before compaction.
    """
    builder = DefaultRecordBatchBuilder(2, codec, transactional, producer_id, 0, 0, 1 << 30)
    for index, record in enumerate(records):
        if not isinstance(record, tuple):
            record = (index, None, record)
        delta, key, value, *headers = record
        builder.append(delta, 1000 + delta, key, value, headers[0] if headers else [])
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    struct.pack_into(">i", data, 12, leader_epoch)
    struct.pack_into(">h", data, 21, struct.unpack_from(">h", data, 21)[0] | attributes)
    if last_delta is not None:
        struct.pack_into(">i", data, 23, last_delta)
    if max_timestamp is not None:
        struct.pack_into(">q", data, 35, max_timestamp)
    return sealed(data)


def sealed(data: bytes | bytearray) -> bytes:
    """The one batch of magic 2 in `data` with the right length and checksum."""
    data = bytearray(data)
    struct.pack_into(">i", data, 8, len(data) - 12)
    struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    return bytes(data)


def marker(base: int, producer_id: int, kind: int, **changes: Any) -> bytes:
    """The control batch that ends a transaction."""
    record = (0, struct.pack(">hh", 0, kind), struct.pack(">hi", 0, 0))
    return batch(
        [record],
        base=base,
        producer_id=producer_id,
        transactional=True,
        attributes=CONTROL,
        **changes,
    )


def messages(values: Sequence[bytes | None], *, base: int, magic: int, codec: int = 0) -> bytes:
    """Messages of magic 0 or 1, inside of one when there is a codec."""
    builder = LegacyRecordBatchBuilder(magic, codec, 1 << 30)
    # Offsets inside count from 0 in magic 1 only.
    relative = magic == 1 and codec
    for index, value in enumerate(values):
        builder.append(index if relative else base + index, 1000 + index, b"k", value)
    data = bytearray(builder.build())
    if relative:
        struct.pack_into(">q", data, 0, base + len(values) - 1)
    return bytes(data)
