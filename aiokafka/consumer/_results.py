"""What a fetch of one partition came to: records or an error, until the application takes it.

:class:`FetchResult` gives out a block's records and moves the partition's position along in the
same step, so that a cancelled call loses nothing. No tasks, no futures.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.consumer._assignment import Assignment
from aiokafka.consumer._records import PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import ConsumerRecord, TopicPartition

__all__ = ["FetchError", "FetchResult"]


class _Backoff:
    """Time until the partition may be fetched again though nobody has taken this."""

    def __init__(self, backoff: float) -> None:
        self._backoff = backoff
        self._created = _now()

    def calculate_backoff(self) -> float:
        """Seconds that are left of the back-off, 0 when it is over."""
        return max(0.0, self._backoff - (_now() - self._created))


def _now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:  # outside of a loop nothing ages
        return 0.0


class FetchResult(_Backoff):
    """A block of a partition that is being given out.

    Nothing is given out while the partition is paused. Once the partition is lost, or its
    position is not where the block goes on (after a seek), the block is useless and dropped.

    Errors of reading, see :class:`~aiokafka.consumer._records.PartitionRecords`, are raised when
    the records before them have been given out; the position is at the bad record then. A block
    that is corrupt is dropped, to be fetched again; otherwise the next try raises again.

    Parameters:
        tp: the partition.
        assignment: what holds the partition's state.
        partition_records: the block.
        backoff: seconds, see `calculate_backoff`.
    """

    def __init__(
        self,
        tp: TopicPartition,
        *,
        assignment: Assignment,
        partition_records: PartitionRecords,
        backoff: float,
    ) -> None:
        super().__init__(backoff)
        self._topic_partition = tp
        self._assignment = assignment
        self._state = assignment.state_value(tp)
        lost = self._state is None
        self._partition_records: PartitionRecords | None = None if lost else partition_records
        self._position = partition_records.next_fetch_offset

    def __repr__(self) -> str:
        return f"<FetchResult position={self.position}>"

    @property
    def position(self) -> int:
        """Offset of the next record to give out; the last one when there are no more."""
        if self._partition_records is not None:
            self._position = self._partition_records.next_fetch_offset
        return self._position

    def has_more(self) -> bool:
        """May there be more to give out?  Not when the block is used up or useless."""
        return self._partition_records is not None

    def check_assignment(self, tp: TopicPartition) -> bool:
        """May records be given out now?  A block that never will be is dropped."""
        records = self._partition_records
        if records is None:
            return False
        state = self._state
        if (
            not self._assignment.active
            or state is None
            or self._assignment.state_value(tp) is not state
            or state.position != records.next_fetch_offset
        ):
            self._drop()
            return False
        return not state.paused

    def getone(self) -> ConsumerRecord[Any, Any] | None:
        """The next record; None when there is none, or it may not be given out now.

        Raises:
            CorruptRecordException: a batch is damaged.
            UnsupportedCodecError: the library for a batch's codec is missing.
            Exception: what a deserializer raised.
        """
        records, state = self._partition_records, self._state
        if records is None or state is None:
            return None
        # Called for every record: one look tells that all is as it was at the last.
        reader = records.reader
        if not state.gives_at(reader.next_offset) and not self.check_assignment(
            self._topic_partition
        ):
            return None
        try:
            record = reader.next_record() if records.plain() else next(records, None)
        except BaseException as exc:
            self._failed(exc)
            raise
        if record is None:
            self._moved()
            self._drop()
        else:
            state.consumed_to(reader.next_offset)
            state.position_epoch = reader.leader_epoch
        return record

    def getall(self, max_records: int | None = None) -> list[ConsumerRecord[Any, Any]]:
        """The next records, at most `max_records` (None: all); empty as `getone` gives None.

        Raises:
            CorruptRecordException: a batch is damaged, and no record comes before it.
            UnsupportedCodecError: the library for a batch's codec is missing.
            Exception: what a deserializer raised.
        """
        if not self.check_assignment(self._topic_partition):
            return []
        records = self._partition_records
        assert records is not None
        try:
            taken = records.take(max_records)
        except BaseException as exc:
            self._failed(exc)
            raise
        self._moved(given=bool(taken))
        if records.exhausted or (not taken and max_records != 0):
            self._drop()
        return taken

    def _moved(self, *, given: bool = False) -> None:
        """Take the position along, also past what was not to be given out."""
        records, state = self._partition_records, self._state
        if records is not None and state is not None:
            state.consumed_to(records.next_fetch_offset)
            if given:
                state.position_epoch = records.leader_epoch

    def _failed(self, exc: BaseException) -> None:
        # Were it not an Exception, records might have been read that nobody gets: then the
        # position stays, and the block, which is elsewhere now, is dropped by the next look.
        if isinstance(exc, Exception):
            self._moved()
        if isinstance(exc, CorruptRecordException):
            self._drop()

    def _drop(self) -> None:
        self._position = self.position
        self._partition_records = None


class FetchError(_Backoff):
    """An error in place of a partition's records.

    Parameters:
        error: what is raised to the application.
        backoff: seconds, see `calculate_backoff`.
    """

    def __init__(self, *, error: BaseException, backoff: float) -> None:
        super().__init__(backoff)
        self._error = error

    def __repr__(self) -> str:
        return f"<FetchError error={self._error!r}>"

    def check_raise(self) -> None:
        """Raise the error."""
        raise self._error
