"""From a fetched block to the records that are given out, in plain Python.

Owns where in a block the next record is. Pure computation: no tasks, no futures, no I/O.
Its compiled twin is in ``_crecords/blocks.pyx``: a change here is a change there. This
form also reads blocks that are not this package's (test doubles of ``MemoryRecords``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.structs import ConsumerRecord

from ._block_types import BatchFilter, BlockSummary
from ._places import deserializing_failed, placed
from ._protocols import Buffer, MemoryRecordsProtocol

__all__: list[str] = []

Deserializer = Callable[[Any], Any]

_INT64_MAX = 2**63 - 1
_LOG_OVERHEAD = struct.calcsize(">qi")
_MIN_SLICE = struct.calcsize(">ibbii")
_MAGIC_OFFSET = struct.calcsize(">qii")
_LEADER_EPOCH_OFFSET = _LOG_OVERHEAD
_LAST_OFFSET_DELTA_OFFSET = struct.calcsize(">qiibIh")
_HEADER_SIZE = struct.calcsize(">qiibIhiqqqhii")
_PREFIX = struct.Struct(">qi")
_INT32 = struct.Struct(">i")


def _wrapped(value: int) -> int:
    """`value` in 64 bits, two's complement: what a hostile sum overflows wraps."""
    return (value + 2**63) % 2**64 - 2**63


def _scan_py(block: Buffer) -> BlockSummary:
    """Summarise a block from the headers of its batches, without decompressing anything.

    Never raises for what is in the data: the reader will.
    """
    data = memoryview(block).cast("B")
    pos = batches = 0
    next_offset = leader_epoch = -1
    while len(data) - pos >= _LOG_OVERHEAD:
        base_offset, size = _PREFIX.unpack_from(data, pos)
        if size < _MIN_SLICE or size > len(data) - pos - _LOG_OVERHEAD:
            break
        size += _LOG_OVERHEAD
        magic = data[pos + _MAGIC_OFFSET]
        if magic > 2 or (magic == 2 and size < _HEADER_SIZE):
            break
        delta = 0
        leader_epoch = -1
        if magic == 2:
            (leader_epoch,) = _INT32.unpack_from(data, pos + _LEADER_EPOCH_OFFSET)
            (delta,) = _INT32.unpack_from(data, pos + _LAST_OFFSET_DELTA_OFFSET)
        next_offset = max(next_offset, _wrapped(base_offset + delta + 1))
        batches += 1
        pos += size
    return BlockSummary(next_offset, leader_epoch, pos, batches, pos == len(data))


class _BlockReaderPy:
    """Gives out the records of one partition's block from an offset on.

    Goes batch by batch: a batch is checked and decompressed when its first record is
    asked for, and a record is deserialized when it is given out. Control batches, empty
    ones and those that `batch_filter` skips are passed over.

    Whatever is raised has the attributes ``topic``, ``partition`` and ``offset`` when its
    class allows them, leaves :attr:`next_offset` at that offset, and is raised again by
    the next call unless its reason has gone.

    Parameters:
        records: the block.
        topic: goes into the records.
        partition: goes into the records.
        fetch_offset: the first offset wanted.
        key_deserializer: called with the key, be it None; None leaves keys as they are.
        value_deserializer: the same for the value.
        check_crcs: whether checksums are verified.
        batch_filter: None gives out aborted transactions as well.

    Attributes:
        next_offset: the offset to go on from after what has been given out.
        leader_epoch: of the batch the last record given out is from; -1 when unknown.
    """

    def __init__(
        self,
        records: MemoryRecordsProtocol,
        topic: str,
        partition: int,
        fetch_offset: int,
        key_deserializer: Deserializer | None = None,
        value_deserializer: Deserializer | None = None,
        check_crcs: bool = True,
        batch_filter: BatchFilter | None = None,
    ) -> None:
        self._block = records
        self._topic = topic
        self._partition = partition
        self._key_deserializer = key_deserializer
        self._value_deserializer = value_deserializer
        self._check_crcs = check_crcs
        self._filter = batch_filter
        self.next_offset = fetch_offset
        self.leader_epoch = -1
        self._batch: Any = None  # the batch at hand
        self._checked = False  # whether its checksum is known to be right
        self._control: Any = None  # its record, of a control batch
        self._raw: Iterator[Any] | None = None  # its records, when it is open
        self._left = 0  # how many of them are to come
        self._waiting: Any = None  # a record that was read but not given out

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left, not even an error."""
        return self._batch is None and not self._block.has_next()

    def __iter__(self) -> Iterator[ConsumerRecord[Any, Any]]:
        return self

    def __next__(self) -> ConsumerRecord[Any, Any]:
        record = self.next_record()
        if record is None:
            raise StopIteration
        return record

    def take(self, limit: int | None = None) -> list[ConsumerRecord[Any, Any]]:
        """The next records, at most `limit` (None: all that are left).

        An error after the first record waits for the next call.
        """
        records: list[ConsumerRecord[Any, Any]] = []
        while limit is None or len(records) < limit:
            try:
                record = self.next_record()
            except Exception:
                if records:
                    break
                raise
            if record is None:
                break
            records.append(record)
        return records

    def next_record(self) -> ConsumerRecord[Any, Any] | None:
        """The next record, None at the end.

        Raises CorruptRecordException, UnsupportedCodecError, and what deserializers raise.
        """
        try:
            raw = self._next_raw()
        except (CorruptRecordException, UnsupportedCodecError) as exc:
            after = None if self._batch is None else _wrapped(self._batch.next_offset)
            raise placed(exc, self._topic, self._partition, self.next_offset, after) from exc
        if raw is None:
            return None
        record = self._deserialized(raw)
        if self._waiting is not raw:
            raise RuntimeError("a deserializer has read from the block it is used on")
        self._waiting = None
        self.next_offset = min(raw.offset + 1, _INT64_MAX)
        self.leader_epoch = getattr(self._batch, "partition_leader_epoch", -1)
        if not self._left:
            try:
                self._end_batch()
            except CorruptRecordException:
                pass  # raised at its turn
        return record

    def _next_raw(self) -> Any:
        while self._waiting is None or self._waiting.offset < self.next_offset:
            if self._raw is not None and self._left:
                self._waiting = next(self._raw)
                self._left -= 1
            elif self._raw is not None:
                self._end_batch()
            elif not self._open():
                self._waiting = None
                return None
        return self._waiting

    def _open(self) -> bool:
        """Go to the next batch, and open it unless it is to be passed over."""
        if self._batch is None:
            self._batch = self._block.next_batch()
            if self._batch is None:
                return False
            self._checked = not self._check_crcs
            self._control = None
        batch = self._batch
        if _wrapped(batch.next_offset) <= self.next_offset:
            self._batch = None
            return True
        if not self._checked:
            if not batch.validate_crc():
                raise CorruptRecordException("Corrupt record batch: its checksum is wrong")
            self._checked = True
        if self._passed_over(batch):
            self._leave_batch()
            return True
        raw = iter(batch)
        count = getattr(batch, "record_count", None)
        if count is None:
            listed = list(raw)
            raw, count = iter(listed), len(listed)
        self._raw, self._left = raw, count
        return True

    def _passed_over(self, batch: Any) -> bool:
        if batch.is_control_batch:
            if self._filter is not None:
                if self._control is None:
                    self._control = next(iter(batch), None)
                key = None if self._control is None else self._control.key
                self._filter.marker(batch.producer_id, self._last_offset(), key)
            return True
        return (
            self._filter is not None
            and batch.is_transactional
            and self._filter.skips(batch.producer_id, self._last_offset())
        )

    def _last_offset(self) -> int:
        return _wrapped(self._batch.next_offset - 1)

    def _end_batch(self) -> None:
        assert self._raw is not None
        next(self._raw, None)  # raises for bytes that are left
        self._leave_batch()

    def _leave_batch(self) -> None:
        self.next_offset = max(self.next_offset, _wrapped(self._batch.next_offset))
        self._batch = self._raw = None

    def _deserialized(self, raw: Any) -> ConsumerRecord[Any, Any]:
        what = "key"
        try:
            key: Any = raw.key
            if self._key_deserializer is not None:
                key = self._key_deserializer(key)
            what = "value"
            value: Any = raw.value
            if self._value_deserializer is not None:
                value = self._value_deserializer(value)
        except Exception as exc:
            # What is between the last record and this one is not there.
            self.next_offset = raw.offset
            deserializing_failed(exc, what, self._topic, self._partition, raw.offset)
            raise
        return ConsumerRecord(
            self._topic,
            self._partition,
            raw.offset,
            raw.timestamp,
            raw.timestamp_type,
            key,
            value,
            raw.checksum,
            -1 if raw.key is None else len(raw.key),
            -1 if raw.value is None else len(raw.value),
            tuple(raw.headers),
        )
