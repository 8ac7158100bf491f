"""The part of the consumer's interface that gives records to the application.

What is fetched already is taken without waiting, and without a task, a timer or a context; only
when nothing is there the fetcher's waiting calls are used.

Runs no task.  Those who wait in :meth:`ConsumeCalls.getone` and :meth:`ConsumeCalls.getmany` wait
for futures of the fetcher, which resolves them when records or an error come, and when it closes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic

from aiokafka.consumer._settings import ConsumerSettings, check_max_records
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, RecordTooLargeError
from aiokafka.structs import ConsumerRecord, TopicPartition

if TYPE_CHECKING:
    from typing_extensions import Self, TypeVar

    from aiokafka.consumer.group_coordinator import GroupCoordinator, NoGroupCoordinator

    # Without a deserializer keys and values are bytes.
    KT = TypeVar("KT", default=bytes)
    VT = TypeVar("VT", default=bytes)
else:
    from typing import TypeVar

    KT = TypeVar("KT")
    VT = TypeVar("VT")

log = logging.getLogger("aiokafka.consumer.consumer")


_NEXT_RECORD = Fetcher.next_record


class ConsumeCalls(Generic[KT, VT]):
    """The methods of a consumer that give out records."""

    _closed: bool | None
    _coordinator: GroupCoordinator | NoGroupCoordinator | None
    _fetcher: Fetcher | None
    _max_poll_records: int | None
    _settings: ConsumerSettings

    def _consuming(self, partitions: tuple[TopicPartition, ...]) -> Fetcher:
        """Where to get records from.

        Raises:
            ConsumerStoppedError, IllegalStateError: stopped, or not started.
            KafkaError: the group cannot go on.
        """
        for tp in partitions:
            if not isinstance(tp, TopicPartition):
                raise AssertionError(f"Should be a TopicPartition: {tp!r}")
        if self._closed:
            raise ConsumerStoppedError("The consumer is stopped")
        if self._fetcher is None or self._coordinator is None:
            raise IllegalStateError("The consumer is not started: await its start() first")
        self._coordinator.check_errors()
        return self._fetcher

    async def getone(self, *partitions: TopicPartition) -> ConsumerRecord[KT, VT]:
        """Wait for the next record.

        Waits as long as it takes: only :meth:`stop`, an error, or cancelling the call ends it.
        A cancelled call loses no record.

        Parameters:
            partitions: take records of these only; none: of all that are assigned.

        Raises:
            ConsumerStoppedError: the consumer is stopped, before or meanwhile.
            IllegalStateError: the consumer is not started.
            OffsetOutOfRangeError: the position is no longer in the log and
                ``auto_offset_reset`` is ``"none"``.
            NoOffsetForPartitionError: there is no committed offset, likewise.
            TopicAuthorizationFailedError: the topic may not be read.
            RecordTooLargeError: a record is larger than a fetch may be.
            CorruptRecordException: a batch's checksum is wrong; it is fetched again.
            UnsupportedCodecError: the library to decompress with is not installed.
            KafkaError: the group cannot go on.
            Exception: a deserializer raised it.  This, and what a broken batch raises, has
                ``topic``, ``partition`` and ``offset``; the position stays there, so that
                the application can :meth:`seek` past it.
            AssertionError: *partitions* are no partitions.
        """
        if not partitions and self._closed is False and self._coordinator._fatal is None:  # type: ignore[union-attr]
            fetcher = self._fetcher
            # Whoever has replaced the fetcher's call wants to see every record.
            if "next_record" not in fetcher.__dict__ and Fetcher.next_record is _NEXT_RECORD:
                record = fetcher.take_one()  # type: ignore[union-attr]
                if record is not None:
                    return record
        return await self._consuming(partitions).next_record(partitions)

    async def getmany(
        self,
        *partitions: TopicPartition,
        timeout_ms: float = 0,
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[ConsumerRecord[KT, VT]]]:
        """Records that are at hand, by partition; waits for some if there are none.

        A cancelled call loses no record.

        Parameters:
            partitions: take records of these only; none: of all that are assigned.
            timeout_ms: how long to wait for the first record, milliseconds.  0: not at all.
            max_records: no more than so many; None: ``max_poll_records``.

        Returns:
            Records by partition; empty when none came in time, or the consumer was stopped
            meanwhile.

        Raises:
            ValueError: *timeout_ms* or *max_records* cannot work.
            Exception: as :meth:`getone`, each error once.
        """
        fetcher = self._consuming(partitions)
        if max_records is None:
            max_records = self._max_poll_records
        else:
            check_max_records("max_records", max_records)
        if not timeout_ms >= 0:  # nor a number at all
            raise ValueError(f"`timeout_ms` should not be negative: {timeout_ms!r}")
        return await fetcher.fetched_records(
            partitions, timeout_ms / 1000, max_records=max_records
        )

    def __aiter__(self) -> Self:
        if self._closed:
            raise ConsumerStoppedError("The consumer is stopped")
        return self

    async def __anext__(self) -> ConsumerRecord[KT, VT]:
        """The next record; the iteration ends when the consumer is stopped."""
        while True:
            try:
                # Through self.getone: instrumentations wrap it.
                return await self.getone()
            except ConsumerStoppedError:
                raise StopAsyncIteration from None
            except RecordTooLargeError as error:
                log.warning("A record is skipped: %s", error)
