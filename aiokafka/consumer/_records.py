"""What of a fetched block is given out.

:class:`PartitionRecords` owns one block of one partition, and where in it the next record is.
Reading, and leaving out what is not for the application, is the work of
:class:`aiokafka.record.blocks.BlockReader`, compiled where possible. No tasks, no futures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aiokafka.consumer._aborted import AbortedTransactions
from aiokafka.record._protocols import MemoryRecordsProtocol
from aiokafka.record.blocks import open_block
from aiokafka.structs import ConsumerRecord, TopicPartition

__all__ = ["READ_COMMITTED", "READ_UNCOMMITTED", "UNKNOWN_OFFSET", "PartitionRecords"]

UNKNOWN_OFFSET = -1
READ_UNCOMMITTED = 0
READ_COMMITTED = 1


class PartitionRecords:
    """The records of a block, from an offset on.

    Control batches, aborted transactions under `read_committed`, and records before the offset
    asked for are left out. A batch is decompressed, and a record deserialized, when its turn has
    come; so an error comes after the records before it.

    Iterating raises :exc:`~aiokafka.errors.CorruptRecordException` and
    :exc:`~aiokafka.errors.UnsupportedCodecError`, and whatever a deserializer raises, as it is.
    All have the attributes ``topic``, ``partition`` and ``offset`` if their class allows them;
    `next_fetch_offset` is that offset then, and the next try raises again.

    Parameters:
        tp: the partition.
        records: the block.
        aborted_transactions: ``(producer_id, first_offset)`` as the broker listed them, or None.
        fetch_offset: the first offset wanted.
        key_deserializer: called with the key, ``None`` included, or ``None``.
        value_deserializer: the same for the value.
        check_crcs: verify the checksums?
        isolation_level: `READ_UNCOMMITTED` or `READ_COMMITTED`.

    Attributes:
        reader: what reads the block.
    """

    def __init__(
        self,
        tp: TopicPartition,
        records: MemoryRecordsProtocol,
        aborted_transactions: Iterable[tuple[int, int]] | None,
        fetch_offset: int,
        key_deserializer: Callable[[Any], Any] | None,
        value_deserializer: Callable[[Any], Any] | None,
        check_crcs: bool,
        isolation_level: int,
    ) -> None:
        self._tp = tp
        committed = isolation_level == READ_COMMITTED
        self.reader = open_block(
            records,
            tp.topic,
            tp.partition,
            fetch_offset,
            key_deserializer,
            value_deserializer,
            check_crcs,
            AbortedTransactions(aborted_transactions) if committed else None,
        )
        self._records_iterator: Iterator[ConsumerRecord[Any, Any]] = self.reader

    def __repr__(self) -> str:
        return f"<PartitionRecords {self._tp} next_fetch_offset={self.next_fetch_offset}>"

    def __iter__(self) -> Iterator[ConsumerRecord[Any, Any]]:
        return self

    def __next__(self) -> ConsumerRecord[Any, Any]:
        return next(self._records_iterator)

    @property
    def next_fetch_offset(self) -> int:
        """The offset to go on from after what was given out: past holes, control batches and
        whatever else was left out."""
        return self.reader.next_offset

    @next_fetch_offset.setter
    def next_fetch_offset(self, offset: int) -> None:
        self.reader.next_offset = offset

    @property
    def leader_epoch(self) -> int:
        """Leader epoch of the batch of the last record given out, -1 when unknown (KIP-320)."""
        return self.reader.leader_epoch

    @property
    def exhausted(self) -> bool:
        """Is nothing left, not even an error?  False when only control batches are."""
        return self.plain() and self.reader.exhausted

    def take(self, max_records: int | None = None) -> list[ConsumerRecord[Any, Any]]:
        """The next records at once, at most `max_records` (``None``: all that are left).

        An error that comes after the first record waits for the next call.
        """
        if self.plain():
            return self.reader.take(max_records)
        records: list[ConsumerRecord[Any, Any]] = []
        while max_records is None or len(records) < max_records:
            try:
                records.append(next(self))
            except StopIteration:
                break
            except Exception:
                if records:
                    break
                raise
        return records

    def next_record(self) -> ConsumerRecord[Any, Any] | None:
        """The next record, None at the end."""
        return self.reader.next_record() if self.plain() else next(self, None)

    def plain(self) -> bool:
        """Does nothing stand between the block and the application?

        Tests replace `_records_iterator` and `__next__`; then records go through these one by
        one, otherwise straight from the `reader`.
        """
        return self._records_iterator is self.reader and PartitionRecords.__next__ is _next


_next = PartitionRecords.__next__
