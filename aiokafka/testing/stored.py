"""Batches and records as a partition's log holds them.

Owns :class:`StoredBatch` and :class:`StoredRecord`, and what a broker changes in the bytes of a
batch: offset and leader epoch, which the checksum does not cover, and timestamps, which it does.
Pure values: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka.record.util import calc_crc32c

__all__ = ["StoredBatch", "StoredRecord", "batch_producer", "rewrite"]

OFFSET = struct.Struct(">q")
INT32 = struct.Struct(">i")
INT16 = struct.Struct(">h")
UINT32 = struct.Struct(">I")
EPOCH_AT, MAGIC_AT, CRC_AT, ATTRIBUTES_AT, LAST_DELTA_AT = 12, 16, 17, 21, 23
MAX_TIMESTAMP_AT = 35
PRODUCER_ID_AT, PRODUCER_EPOCH_AT, BASE_SEQUENCE_AT = 43, 51, 53
CODEC_MASK, LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x07, 0x08, 0x10, 0x20
CODEC_ZSTD = 4


class StoredRecord(NamedTuple):
    """A record as the log holds it; ``timestamp`` in milliseconds."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as the log holds it.

    Attributes:
        count: records in it; fewer than its offsets after compaction.
        last_offset: the last offset it stands for, whether a record has it or not.
        data: its bytes, as fetched.
        records: its records; none in a control batch.
        transactional: it belongs to a transaction.
        commits: of a control batch: whether it commits (else aborts) the producer's transaction;
            ``None`` for other batches.
        magic: version of the message format; a compressed message set of magic 0 or 1 counts as
            a batch, an uncompressed message of theirs likewise.
        codec: number of the compression codec.
    """

    base_offset: int
    count: int
    last_offset: int
    data: bytes
    producer_id: int
    producer_epoch: int
    base_sequence: int
    leader_epoch: int
    max_timestamp: int
    append_time: int | None
    records: tuple[StoredRecord, ...]
    transactional: bool = False
    commits: bool | None = None
    magic: int = 2
    codec: int = 0


def rewrite(data: bytes, base_offset: int, leader_epoch: int, append_time: int | None) -> bytes:
    """What a leader changes in a batch of magic 2: offset, epoch, and timestamps if asked to."""
    changed = bytearray(data)
    OFFSET.pack_into(changed, 0, base_offset)
    INT32.pack_into(changed, EPOCH_AT, leader_epoch)
    if append_time is not None:
        add_attributes(changed, LOG_APPEND_TIME)
        OFFSET.pack_into(changed, MAX_TIMESTAMP_AT, append_time)
        seal(changed)
    return bytes(changed)


def batch_producer(data: bytes) -> tuple[int, int] | None:
    """Producer id and epoch of a transactional batch of magic 2, ``None`` for any other bytes."""
    if len(data) < BASE_SEQUENCE_AT or data[MAGIC_AT] != 2:
        return None
    if not INT16.unpack_from(data, ATTRIBUTES_AT)[0] & TRANSACTIONAL:
        return None
    return (
        OFFSET.unpack_from(data, PRODUCER_ID_AT)[0],
        INT16.unpack_from(data, PRODUCER_EPOCH_AT)[0],
    )


def add_attributes(data: bytearray, bits: int) -> None:
    """Set attribute bits of a batch of magic 2; it must be sealed afterwards."""
    (attributes,) = INT16.unpack_from(data, ATTRIBUTES_AT)
    INT16.pack_into(data, ATTRIBUTES_AT, attributes | bits)


def seal(data: bytearray) -> None:
    """Make the checksum of a batch of magic 2 right."""
    UINT32.pack_into(data, CRC_AT, calc_crc32c(bytes(data[ATTRIBUTES_AT:])))
