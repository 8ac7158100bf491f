"""The log of one partition.

Owns :class:`PartitionLog`: the batches of a partition as brokers keep them (base offset and
leader epoch filled in, timestamps rewritten where the topic says so), the state of its producers
and transactions, and the offsets at which its leader epochs began.  Whoever waits for a change of
the log (a parked Fetch) registers a plain callable.  Pure: no loop, no clock; the caller passes
the time.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import bisect
import dataclasses
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch

from .building import without
from .codes import ErrorCode
from .epochs import LeaderEpochs
from .producer_state import AppendedBatch, ProducerState, check_sequence, next_sequence
from .stored import (
    ATTRIBUTES_AT,
    CODEC_MASK,
    CODEC_ZSTD,
    CONTROL,
    INT16,
    INT32,
    MAGIC_AT,
    TRANSACTIONAL,
    StoredBatch,
    StoredRecord,
    rewrite,
)
from .transactions import TransactionIndex

__all__ = ["AppendResult", "LogOptions", "PartitionLog", "Read", "StoredBatch", "StoredRecord"]

_HEADER_SIZE = 61
_COUNT_AT = 57
_LENGTH_BEFORE_BATCH = 12
_FIRST_VERSION_WITH_ZSTD = 7


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


class Read(NamedTuple):
    """What a read found: whole batches, of which the last may be meant to be cut."""

    batches: Sequence[StoredBatch]
    size: int


_NOTHING_READ = Read((), 0)


class PartitionLog:
    """Batches, producer states, transactions and epochs of one partition.

    Args:
        options: configuration shared with the topic.

    Attributes:
        batches: oldest first; compaction may have left holes between them.
        start_offset: the first offset that may be read.
        end_offset: the offset after the last.
        duplicates: batches recognised as repetitions.
        listeners: called, without arguments, after every change; they must not raise.
    """

    def __init__(self, options: LogOptions | None = None) -> None:
        self.options = options or LogOptions()
        self.batches: list[StoredBatch] = []
        self.producers: dict[int, ProducerState] = {}
        self.start_offset = 0
        self.end_offset = 0
        self.duplicates = 0
        self.epochs = LeaderEpochs()
        self.transactions = TransactionIndex()
        self.listeners: dict[Callable[[], None], None] = {}

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
        problem = self._check_records(batch, records, INT32.unpack_from(data, _COUNT_AT)[0])
        if problem is not None:
            return problem
        known = self._check_producer(batch, len(records))
        return known or self._store(data, batch, records, now_ms, leader_epoch)

    def records(self) -> Iterator[StoredRecord]:
        """Every record of the log, in order."""
        for batch in self.batches:
            for record in batch.records:
                if record.offset >= self.start_offset:
                    yield record

    def forget_producers(self) -> None:
        """Lose all producer state, as when retention removed every record of theirs."""
        self.producers.clear()

    def notify(self) -> None:
        """Tell the listeners that something changed."""
        for listener in list(self.listeners):
            listener()

    # -- reading -------------------------------------------------------------------------------

    def read(self, offset: int, limit: int, max_bytes: int, *, at_least_one: bool) -> Read:
        """The batches from the one that holds ``offset`` on.

        Args:
            offset: the offset to begin with.
            limit: only batches that end before it.
            max_bytes: about how much; the last batch may reach past it, to be cut there.
            at_least_one: the first batch is whole, whatever its size (KIP-74).
        """
        batches = self.batches
        first = position = bisect.bisect_left(batches, offset, key=_last_offset)
        size = 0
        while position < len(batches) and batches[position].last_offset < limit:
            if size >= max_bytes:
                break
            size += len(batches[position].data)
            position += 1
        if position == first:
            return _NOTHING_READ
        found = batches[first:position]
        if size > max_bytes:
            size = max(max_bytes, len(found[0].data) if at_least_one else 0)
        return Read(found, size)

    def batch_at(self, offset: int) -> StoredBatch:
        """The batch that holds ``offset``; `KeyError` if none does."""
        position = bisect.bisect_left(self.batches, offset, key=_last_offset)
        if position < len(self.batches) and self.batches[position].base_offset <= offset:
            return self.batches[position]
        raise KeyError(f"no batch holds offset {offset}")

    def last_stable_offset(self, high_watermark: int | None = None) -> int:
        """The offset before which every transaction is decided."""
        end = self.end_offset if high_watermark is None else high_watermark
        return self.transactions.last_stable_offset(end)

    def epoch_at(self, offset: int) -> int:
        """The leader epoch of the batch at or after ``offset``, -1 at the log's end."""
        position = bisect.bisect_left(self.batches, offset, key=_last_offset)
        return self.batches[position].leader_epoch if position < len(self.batches) else -1

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
        if len(data) < _HEADER_SIZE:
            return AppendResult(ErrorCode.CORRUPT_MESSAGE, message=f"{len(data)} bytes of records")
        length = _LENGTH_BEFORE_BATCH + INT32.unpack_from(data, 8)[0]
        if data[MAGIC_AT] != 2:
            return AppendResult(
                ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, message=f"magic {data[MAGIC_AT]}"
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
        (attributes,) = INT16.unpack_from(data, ATTRIBUTES_AT)
        if attributes & CONTROL:
            return AppendResult(
                ErrorCode.INVALID_RECORD, message="clients may not write control records"
            )
        codec = attributes & CODEC_MASK
        if codec == CODEC_ZSTD and version < _FIRST_VERSION_WITH_ZSTD:
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
        (attributes,) = INT16.unpack_from(data, ATTRIBUTES_AT)
        stored = StoredBatch(
            base_offset=base,
            count=count,
            last_offset=base + count - 1,
            data=rewrite(data, base, leader_epoch, append_time),
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
            transactional=bool(attributes & TRANSACTIONAL),
            codec=attributes & CODEC_MASK,
        )
        self.add(stored)
        return AppendResult(base_offset=base, timestamp=-1 if append_time is None else append_time)

    def add(self, stored: StoredBatch) -> None:
        """Append a batch as it is; it must begin at ``end_offset`` or, leaving a hole, later."""
        self.batches.append(stored)
        self.end_offset = stored.last_offset + 1
        if stored.producer_id >= 0:
            self._remember(stored)
        self.transactions.appended(stored)
        self.notify()

    def _remember(self, stored: StoredBatch) -> None:
        state = self.producers.get(stored.producer_id)
        if state is None:
            state = self.producers[stored.producer_id] = ProducerState(stored.producer_epoch)
        if stored.commits is not None:
            state.fenced(stored.producer_epoch)
            return
        first = stored.base_sequence
        last = next_sequence(first, stored.last_offset - stored.base_offset)
        timestamp = -1 if stored.append_time is None else stored.append_time
        state.appended(
            stored.producer_epoch, AppendedBatch(first, last, stored.base_offset, timestamp)
        )

    # -- losing --------------------------------------------------------------------------------

    def truncate(self, offset: int) -> int:
        """Cut off the end, by whole batches, so that ``offset`` is gone; returns the new end."""
        kept = [batch for batch in self.batches if batch.last_offset < offset]
        if len(kept) < len(self.batches):
            offset = min(offset, self.batches[len(kept)].base_offset)
        self.batches = kept
        self.end_offset = min(self.end_offset, offset)
        self.start_offset = min(self.start_offset, self.end_offset)
        self.epochs.truncate(self.end_offset)
        self.producers.clear()
        for batch in kept:
            if batch.producer_id >= 0:
                self._remember(batch)
        self.transactions = TransactionIndex(kept)
        self.notify()
        return self.end_offset

    def advance_start(self, offset: int) -> None:
        """Let the log start at ``offset``, as retention or DeleteRecords does.

        A batch that holds offsets on both sides stays.
        """
        if not 0 <= offset <= self.end_offset:
            raise ValueError(f"offset {offset} of a log that ends at {self.end_offset}")
        self.start_offset = max(self.start_offset, offset)
        self.batches = [batch for batch in self.batches if batch.last_offset >= offset]
        self.epochs.advance(self.start_offset)
        index = self.transactions
        index.aborted = [known for known in index.aborted if known.last_offset >= offset]
        self.notify()

    def compact(self, offsets: Collection[int], *, keep_empty: bool) -> None:
        """Take records out, as log compaction does."""
        kept = []
        for batch in self.batches:
            if any(record.offset in offsets for record in batch.records):
                batch = without(batch, offsets)
            if batch.records or batch.commits is not None or keep_empty:
                kept.append(batch)
        self.batches = kept
        self.notify()

    def replace_data(self, offset: int, data: bytes) -> None:
        """Have other bytes lie where the batch of ``offset`` is."""
        batch = self.batch_at(offset)
        position = self.batches.index(batch)
        self.batches[position] = dataclasses.replace(batch, data=data)
        self.notify()


def _last_offset(batch: StoredBatch) -> int:
    return batch.last_offset
