"""Batches made by tests: from values to the bytes of any message format.

Owns :class:`NewRecord` and the builders behind ``FakeCluster.append``: record batches with any
codec, control batches, message sets of magic 0 and 1, what is left of a batch after compaction,
and the down-conversion for old Fetch versions.  Pure: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from aiokafka.record.control_record import ABORT_MARKER, COMMIT_MARKER
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from .stored import (
    CODEC_MASK,
    CONTROL,
    INT16,
    INT32,
    LAST_DELTA_AT,
    LOG_APPEND_TIME,
    OFFSET,
    StoredBatch,
    StoredRecord,
    add_attributes,
    rewrite,
    seal,
)

__all__ = ["BatchOptions", "NewRecord", "RecordLike", "codec_number"]

_CODECS = {None: 0, "none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_BATCH_SIZE = 1 << 30


class NewRecord(NamedTuple):
    """A record to append; ``timestamp`` in milliseconds, ``None``: the broker's clock."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int | None = None


#: A value, a pair (key, value), or all of a record.
RecordLike: TypeAlias = "bytes | tuple[bytes | None, bytes | None] | NewRecord | None"


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a batch is laid out."""

    base_offset: int
    leader_epoch: int
    timestamp: int
    magic: int = 2
    codec: int = 0
    producer_id: int = -1
    producer_epoch: int = -1
    sequence: int = -1
    transactional: bool = False
    append_time: int | None = None


def codec_number(codec: str | int | None) -> int:
    """The number of a codec, given by name or number; `ValueError` for an unknown name.

    Numbers that no codec has (5 to 7) make batches that no consumer can read.
    """
    if isinstance(codec, int):
        return codec & CODEC_MASK
    try:
        return _CODECS[codec]
    except KeyError:
        raise ValueError(f"no codec is called {codec!r}") from None


def stored_records(
    records: Iterable[RecordLike], options: BatchOptions
) -> tuple[StoredRecord, ...]:
    """The records with their offsets and timestamps."""
    stored = []
    for offset, item in enumerate(records, options.base_offset):
        if isinstance(item, NewRecord):
            record = item
        elif isinstance(item, tuple):
            record = NewRecord(item[1], item[0])
        else:
            record = NewRecord(item)
        timestamp = options.timestamp if record.timestamp is None else record.timestamp
        if options.append_time is not None:
            timestamp = options.append_time
        stored.append(
            StoredRecord(offset, record.key, record.value, list(record.headers), timestamp)
        )
    return tuple(stored)


def build(records: Sequence[RecordLike], options: BatchOptions) -> list[StoredBatch]:
    """Batches of any magic; more than one only of uncompressed messages of magic 0 and 1.

    Raises:
        ValueError: no records, or headers in a format that has none.
        UnsupportedCodecError: the codec is not installed.
    """
    stored = stored_records(records, options)
    if not stored:
        raise ValueError("a batch has at least one record")
    if options.magic < 2:
        return _legacy(stored, options)
    return [_batch(stored, options)]


def _batch(records: tuple[StoredRecord, ...], options: BatchOptions) -> StoredBatch:
    codec = options.codec
    builder = DefaultRecordBatchBuilder(
        2,
        codec if codec in _CODECS.values() else 0,
        int(options.transactional),
        options.producer_id,
        options.producer_epoch,
        options.sequence,
        _BATCH_SIZE,
    )
    for record in records:
        delta = record.offset - options.base_offset
        builder.append(delta, record.timestamp, record.key, record.value, list(record.headers))
    data = bytes(builder.build())
    if codec not in _CODECS.values():
        changed = bytearray(data)
        add_attributes(changed, codec)
        seal(changed)
        data = bytes(changed)
    return StoredBatch(
        base_offset=options.base_offset,
        count=len(records),
        last_offset=records[-1].offset,
        data=rewrite(data, options.base_offset, options.leader_epoch, options.append_time),
        producer_id=options.producer_id,
        producer_epoch=options.producer_epoch,
        base_sequence=options.sequence,
        leader_epoch=options.leader_epoch,
        max_timestamp=max(record.timestamp for record in records),
        append_time=options.append_time,
        records=records,
        transactional=options.transactional,
        codec=codec,
    )


def build_marker(commits: bool, options: BatchOptions) -> StoredBatch:
    """The control batch that ends a transaction."""
    marker = COMMIT_MARKER if commits else ABORT_MARKER
    key = INT16.pack(marker.version) + INT16.pack(marker.type_)
    value = INT16.pack(0) + INT32.pack(0)  # version, epoch of the transaction coordinator
    plain = _batch(
        (StoredRecord(options.base_offset, key, value, [], options.timestamp),),
        dataclasses.replace(options, transactional=True, codec=0, append_time=None),
    )
    data = bytearray(plain.data)
    add_attributes(data, CONTROL)
    seal(data)
    return dataclasses.replace(plain, data=bytes(data), records=(), count=1, commits=commits)


def _legacy(records: tuple[StoredRecord, ...], options: BatchOptions) -> list[StoredBatch]:
    if not options.codec:
        return [_message_set((record,), options) for record in records]
    return [_message_set(records, options)]


def _message_set(records: tuple[StoredRecord, ...], options: BatchOptions) -> StoredBatch:
    data = _legacy_bytes(records, options.magic, options.codec)
    timestamps = [record.timestamp if options.magic else -1 for record in records]
    return StoredBatch(
        base_offset=records[0].offset,
        count=len(records),
        last_offset=records[-1].offset,
        data=data,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        leader_epoch=options.leader_epoch,
        max_timestamp=max(timestamps),
        append_time=None,
        records=tuple(
            record._replace(timestamp=timestamp, headers=[])
            for record, timestamp in zip(records, timestamps, strict=True)
        ),
        magic=options.magic,
        codec=options.codec,
    )


def _legacy_bytes(records: Sequence[StoredRecord], magic: int, codec: int) -> bytes:
    builder = LegacyRecordBatchBuilder(magic, codec, _BATCH_SIZE)
    # Inside a compressed message of magic 1 offsets are relative to the first (KIP-31).
    start = records[0].offset if magic == 1 and codec else 0
    for record in records:
        builder.append(
            record.offset - start,
            record.timestamp,
            record.key,
            record.value,
            list(record.headers) or None,
        )
    data = builder.build()
    if start:
        OFFSET.pack_into(data, 0, records[-1].offset)
    return bytes(data)


def down_converted(batch: StoredBatch, magic: int) -> bytes:
    """What a broker sends of a batch to a client that knows only older formats.

    Control batches and headers are left out, compression is undone.
    """
    if batch.magic <= magic:
        return batch.data
    return b"".join(
        _legacy_bytes((record._replace(headers=()),), magic, 0) for record in batch.records
    )


def without(batch: StoredBatch, offsets: Collection[int]) -> StoredBatch:
    """What compaction leaves of a batch of magic 2: its offsets stay, some records are gone."""
    records = tuple(record for record in batch.records if record.offset not in offsets)
    options = BatchOptions(
        batch.base_offset,
        batch.leader_epoch,
        batch.max_timestamp,
        codec=batch.codec,
        producer_id=batch.producer_id,
        producer_epoch=batch.producer_epoch,
        sequence=batch.base_sequence,
        transactional=batch.transactional,
        append_time=batch.append_time,
    )
    data = bytearray(_batch(records, options).data if records else _empty(batch))
    INT32.pack_into(data, LAST_DELTA_AT, batch.last_offset - batch.base_offset)
    seal(data)
    return dataclasses.replace(batch, data=bytes(data), records=records, count=len(records))


def _empty(batch: StoredBatch) -> bytes:
    """A batch of which only the header is left, for its producer's last sequence."""
    builder: Any = DefaultRecordBatchBuilder(
        2,
        0,
        int(batch.transactional),
        batch.producer_id,
        batch.producer_epoch,
        batch.base_sequence,
        _BATCH_SIZE,
    )
    data = bytearray(builder.build())
    if batch.append_time is not None:
        add_attributes(data, LOG_APPEND_TIME)
    return rewrite(bytes(data), batch.base_offset, batch.leader_epoch, None)
