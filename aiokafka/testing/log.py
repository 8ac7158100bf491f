"""The log of one partition.

Owns :class:`PartitionLog`: the batches of a partition as brokers keep them (base offset and
leader epoch filled in, timestamps rewritten where the topic says so) and the state of its
producers.  Pure: no loop, no clock; the caller passes the time.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c

from .codes import ErrorCode
from .producer_state import AppendedBatch, ProducerState, check_sequence, next_sequence

__all__ = ["AppendResult", "LogOptions", "PartitionLog", "StoredBatch", "StoredRecord"]

_HEADER = struct.Struct(">qiibIhiqqqhii")
_OFFSET = struct.Struct(">q")
_INT32 = struct.Struct(">i")
_UINT32 = struct.Struct(">I")
_INT16 = struct.Struct(">h")
_EPOCH_AT, _CRC_AT, _ATTRIBUTES_AT, _MAX_TIMESTAMP_AT = 12, 17, 21, 35
_MAGIC_AT, _COUNT_AT = 16, 57
_LENGTH_BEFORE_BATCH = 12
_CODEC_MASK, _LOG_APPEND_TIME, _CODEC_ZSTD = 0x07, 0x08, 4
_FIRST_VERSION_WITH_ZSTD = 7


class StoredRecord(NamedTuple):
    """A record as the log holds it; ``timestamp`` in milliseconds."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as the log holds it."""

    base_offset: int
    count: int
    data: bytes
    producer_id: int
    producer_epoch: int
    base_sequence: int
    leader_epoch: int
    max_timestamp: int
    append_time: int | None
    records: tuple[StoredRecord, ...]


@dataclass(slots=True)
class LogOptions:
    """Topic configuration that appending depends on.

    Attributes:
        max_message_bytes: largest batch accepted (``max.message.bytes``).
        log_append_time: stamp records with the broker's clock
            (``message.timestamp.type=LogAppendTime``).
        compacted: records need a key (``cleanup.policy=compact``).
        accept_unknown_producers: see :func:`~.producer_state.check_sequence`.
        duplicates_as_error: answer a remembered batch with DUPLICATE_SEQUENCE_NUMBER instead of
            success with its first offset.
    """

    max_message_bytes: int = 1_048_588
    log_append_time: bool = False
    compacted: bool = False
    accept_unknown_producers: bool = False
    duplicates_as_error: bool = False


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What appending came to; ``timestamp`` is the append time in ms or -1 for create time."""

    error: ErrorCode = ErrorCode.NONE
    base_offset: int = -1
    timestamp: int = -1
    message: str | None = None
    record_errors: tuple[tuple[int, str], ...] = ()
    duplicate: bool = False


class PartitionLog:
    """Batches and producer states of one partition.

    Args:
        options: configuration shared with the topic.
    """

    def __init__(self, options: LogOptions | None = None) -> None:
        self.options = options or LogOptions()
        self.batches: list[StoredBatch] = []
        self.producers: dict[int, ProducerState] = {}
        self.start_offset = 0
        self.end_offset = 0
        self.duplicates = 0

    def append(
        self, data: bytes, *, now_ms: int, leader_epoch: int = 0, version: int = 9
    ) -> AppendResult:
        """Check a batch as a leader does, and append it.

        Args:
            data: the records of a Produce request for this partition.
            now_ms: the broker's wall clock.
            leader_epoch: epoch of the leader that appends.
            version: version of the Produce request, which limits the codecs.
        """
        problem = self._check_frame(data, version)
        if problem is not None:
            return problem
        try:
            batch = DefaultRecordBatch(data)
            if not batch.validate_crc():
                return AppendResult(ErrorCode.CORRUPT_MESSAGE, message="CRC does not match")
            records = list(batch)
        except UnsupportedCodecError as error:
            return AppendResult(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, message=str(error))
        except (CorruptRecordException, ValueError, IndexError, struct.error) as error:
            return AppendResult(ErrorCode.CORRUPT_MESSAGE, message=str(error))
        problem = self._check_records(batch, records, _INT32.unpack_from(data, _COUNT_AT)[0])
        if problem is not None:
            return problem
        known = self._check_producer(batch, len(records))
        return known or self._store(data, batch, records, now_ms, leader_epoch)

    def records(self) -> Iterator[StoredRecord]:
        """Every record of the log, in order."""
        for batch in self.batches:
            yield from batch.records

    def forget_producers(self) -> None:
        """Lose all producer state, as when retention removed every record of theirs."""
        self.producers.clear()

    def offset_for_time(self, timestamp: int) -> tuple[int, int] | None:
        """Offset and timestamp of the first record at or after ``timestamp`` (ms)."""
        for record in self.records():
            if record.timestamp >= timestamp:
                return record.offset, record.timestamp
        return None

    def max_timestamp(self) -> tuple[int, int] | None:
        """Offset and timestamp of the record with the highest timestamp."""
        best = max(self.records(), key=lambda record: record.timestamp, default=None)
        return None if best is None else (best.offset, best.timestamp)

    # -- checks --------------------------------------------------------------------------------

    def _check_frame(self, data: bytes, version: int) -> AppendResult | None:
        if len(data) < _HEADER.size:
            return AppendResult(ErrorCode.CORRUPT_MESSAGE, message=f"{len(data)} bytes of records")
        length = _LENGTH_BEFORE_BATCH + _INT32.unpack_from(data, 8)[0]
        if data[_MAGIC_AT] != 2:
            return AppendResult(
                ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, message=f"magic {data[_MAGIC_AT]}"
            )
        if length != len(data):
            return AppendResult(
                ErrorCode.INVALID_RECORD,
                message=f"a Produce request carries exactly one batch a partition: "
                f"batch of {length} in {len(data)} bytes",
            )
        if length > self.options.max_message_bytes:
            limit = self.options.max_message_bytes
            return AppendResult(
                ErrorCode.MESSAGE_TOO_LARGE, message=f"batch of {length} bytes, limit {limit}"
            )
        codec = _INT16.unpack_from(data, _ATTRIBUTES_AT)[0] & _CODEC_MASK
        if codec == _CODEC_ZSTD and version < _FIRST_VERSION_WITH_ZSTD:
            return AppendResult(
                ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, message=f"zstd in Produce v{version}"
            )
        return None

    def _check_records(
        self, batch: DefaultRecordBatch, records: Sequence[Any], count: int
    ) -> AppendResult | None:
        if not records or count != len(records) or batch.last_offset_delta != count - 1:
            return AppendResult(
                ErrorCode.INVALID_RECORD,
                message=f"batch says {count} records, last delta {batch.last_offset_delta}, "
                f"and holds {len(records)}",
            )
        base = batch.base_offset
        if any(record.offset - base != delta for delta, record in enumerate(records)):
            return AppendResult(ErrorCode.INVALID_RECORD, message="offsets are not in sequence")
        if self.options.compacted:
            keyless = tuple(
                (delta, "Compacted topic cannot accept message without key")
                for delta, record in enumerate(records)
                if record.key is None
            )
            if keyless:
                message = "One or more records have been rejected"
                return AppendResult(
                    ErrorCode.INVALID_RECORD, message=message, record_errors=keyless
                )
        return None

    def _check_producer(self, batch: DefaultRecordBatch, count: int) -> AppendResult | None:
        if batch.producer_id < 0:
            return None
        state = self.producers.get(batch.producer_id)
        first = batch.base_sequence
        if state is not None:
            last = next_sequence(first, count - 1)
            repeated = state.find_duplicate(batch.producer_epoch, first, last)
            if repeated is not None:
                self.duplicates += 1
                if self.options.duplicates_as_error:
                    return AppendResult(ErrorCode.DUPLICATE_SEQUENCE_NUMBER, duplicate=True)
                return AppendResult(
                    base_offset=repeated.base_offset,
                    timestamp=repeated.timestamp,
                    duplicate=True,
                )
        error = check_sequence(
            state,
            batch.producer_epoch,
            first,
            accept_unknown=self.options.accept_unknown_producers,
        )
        if error:
            known = "nothing known"
            if state is not None:
                known = f"epoch {state.epoch}, last sequence {state.last_sequence}"
            return AppendResult(
                error,
                message=f"producer {batch.producer_id} epoch {batch.producer_epoch} "
                f"sequence {first} against {known}",
            )
        return None

    # -- appending -----------------------------------------------------------------------------

    def _store(
        self,
        data: bytes,
        batch: DefaultRecordBatch,
        records: Sequence[Any],
        now_ms: int,
        leader_epoch: int,
    ) -> AppendResult:
        base, count = self.end_offset, len(records)
        append_time = now_ms if self.options.log_append_time else None
        stored = StoredBatch(
            base_offset=base,
            count=count,
            data=_rewrite(data, base, leader_epoch, append_time),
            producer_id=batch.producer_id,
            producer_epoch=batch.producer_epoch,
            base_sequence=batch.base_sequence,
            leader_epoch=leader_epoch,
            max_timestamp=batch.max_timestamp if append_time is None else append_time,
            append_time=append_time,
            records=tuple(
                StoredRecord(
                    base + delta,
                    record.key,
                    record.value,
                    record.headers,
                    record.timestamp if append_time is None else append_time,
                )
                for delta, record in enumerate(records)
            ),
        )
        self.batches.append(stored)
        self.end_offset = base + count
        timestamp = -1 if append_time is None else append_time
        if stored.producer_id >= 0:
            self._remember(stored, timestamp)
        return AppendResult(base_offset=base, timestamp=timestamp)

    def _remember(self, stored: StoredBatch, timestamp: int) -> None:
        state = self.producers.get(stored.producer_id)
        if state is None:
            state = self.producers[stored.producer_id] = ProducerState(stored.producer_epoch)
        first = stored.base_sequence
        last = next_sequence(first, stored.count - 1)
        state.appended(
            stored.producer_epoch, AppendedBatch(first, last, stored.base_offset, timestamp)
        )


def _rewrite(data: bytes, base_offset: int, leader_epoch: int, append_time: int | None) -> bytes:
    """What a leader changes in a batch: offset and epoch (outside the CRC), timestamps."""
    changed = bytearray(data)
    _OFFSET.pack_into(changed, 0, base_offset)
    _INT32.pack_into(changed, _EPOCH_AT, leader_epoch)
    if append_time is not None:
        (attributes,) = _INT16.unpack_from(changed, _ATTRIBUTES_AT)
        _INT16.pack_into(changed, _ATTRIBUTES_AT, attributes | _LOG_APPEND_TIME)
        _OFFSET.pack_into(changed, _MAX_TIMESTAMP_AT, append_time)
        _UINT32.pack_into(changed, _CRC_AT, calc_crc32c(bytes(changed[_ATTRIBUTES_AT:])))
    return bytes(changed)
