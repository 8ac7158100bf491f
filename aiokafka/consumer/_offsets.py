"""The part of the consumer's interface about where it reads: positions, seeking, look-ups.

Every call that waits has one budget of ``default_api_timeout_ms``, and ends when the consumer is
stopped; what a rebalance listener needs works until the group has been left.

Runs no task itself, but see :mod:`aiokafka.consumer._waiting`.
"""

from __future__ import annotations

import asyncio
import logging
import operator
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from aiokafka._deadline import Deadline
from aiokafka.consumer._committing import GroupCalls
from aiokafka.consumer._subscribing import check_partitions
from aiokafka.consumer._waiting import StopSignal, timed_out, until_done
from aiokafka.consumer.fetcher import FetchError, OffsetResetStrategy
from aiokafka.errors import (
    IllegalStateError,
    KafkaTimeoutError,
)
from aiokafka.structs import OffsetAndTimestamp, TopicPartition
from aiokafka.util import create_future

if TYPE_CHECKING:
    from aiokafka.consumer.fetcher import Fetcher

T = TypeVar("T")

log = logging.getLogger("aiokafka.consumer.consumer")


class OffsetCalls(GroupCalls):
    """The methods of a consumer that are about positions."""

    #: Given when stop() is called: whoever waits for something else than a commit is let go.
    _stopping: StopSignal

    # Positions

    async def position(self, partition: TopicPartition) -> int:
        """The offset of the next record that will be given out.

        Waits until it is known: from a seek, the committed offset, or the beginning or end of
        the partition.  A rebalance that leaves the partition here does not disturb it.

        Raises:
            IllegalStateError: the partition is not assigned, or is given up meanwhile; the
                consumer is not started.
            KafkaTimeoutError: not known within ``default_api_timeout_ms``.
            NoOffsetForPartitionError, OffsetOutOfRangeError: there is nothing to find, as
                ``auto_offset_reset`` is ``"none"``.
            ConsumerStoppedError: the consumer is stopped.
            KafkaError: the group cannot go on, or the topic may not be read.
        """
        fetcher = self._reading()
        self._assigned((partition,))
        known = self._known_position(partition)
        if known is not None:
            return known
        deadline = Deadline.after(self._settings.default_api_timeout)
        what = f"position({_name(partition)})"
        try:
            return await self._stopping.unless_given(
                lambda: self._wait_for_position(fetcher, partition, deadline, what)
            )
        except KafkaTimeoutError as error:
            raise self._in_vain(what, deadline, (partition,)) from error

    def _in_vain(
        self, what: str, deadline: Deadline, tps: Iterable[TopicPartition]
    ) -> KafkaTimeoutError:
        """The error of a call that has waited for positions in vain."""
        # Only when it is needed: dataclasses are slow to import.
        from aiokafka.consumer._describing import describe

        health = describe(self)
        late = [health.partitions[tp] for tp in tps if tp in health.partitions]
        late = [partition for partition in late if partition.position is None] or late
        cause = next((partition.error for partition in late if partition.error), health.error)
        return timed_out(what, deadline, cause, str(late[0]) if late else health.reason)

    def _known_position(self, tp: TopicPartition) -> int | None:
        assignment = self._subscription.assignment
        state = None if assignment is None or not assignment.active else assignment.state_value(tp)
        return None if state is None or not state.has_valid_position else state.position

    async def _wait_for_position(
        self, fetcher: Fetcher, tp: TopicPartition, deadline: Deadline, what: str
    ) -> int:
        subscription = self._subscription.subscription
        while True:
            self._check_errors()
            # A position may be lost again before we get our turn.
            known = self._known_position(tp)
            if known is not None:
                return known
            if self._subscription.subscription is not subscription or subscription is None:
                raise IllegalStateError(f"Partition {tp} is not assigned")
            assignment = subscription.assignment
            if assignment is None or not assignment.active:
                # Between two assignments.
                await until_done(self._subscription.wait_for_assignment(), deadline, what)
                continue
            state = assignment.state_value(tp)
            if state is None:
                raise IllegalStateError(f"Partition {tp} is not assigned")
            failure = fetcher._records.get(tp)
            if isinstance(failure, FetchError):
                # There is none to be found; the next call for records raises it, too.
                failure.check_raise()
            await _first_of(fetcher, state.wait_for_position(), deadline, what)

    def _check_errors(self) -> None:
        """Raises KafkaError: the group cannot go on."""
        if self._coordinator is not None:
            self._coordinator.check_errors()

    # Seeking

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read a partition from another offset on.

        Takes effect at once; records fetched before are dropped.  Whether the offset is in the
        log shows when it is fetched: if not, ``auto_offset_reset`` decides.

        Parameters:
            offset: that of the next record to give out, not negative.

        Raises:
            ValueError: *offset* is no offset.
            IllegalStateError: the partition is not assigned.
            ConsumerStoppedError: the consumer is stopped.
        """
        self._check_usable()
        checked = _check_offset(offset)
        self._assigned((partition,))
        if self._fetcher is None:
            self._subscription.seek(partition, checked)
        else:
            self._fetcher.seek_to(partition, checked)

    def _some_assigned(self, partitions: Iterable[Any]) -> tuple[TopicPartition, ...]:
        """*partitions* as :meth:`_assigned` has them.

        Raises:
            AssertionError: all are meant, but there are none.
        """
        tps = self._assigned(partitions)
        if not tps:
            raise AssertionError("No partitions are currently assigned")
        return tps

    async def seek_to_beginning(self, *partitions: TopicPartition) -> bool:
        """Read partitions from the first offset in their logs on.

        Parameters:
            partitions: none: all that are assigned.

        Returns:
            True when the offsets are found; False when they were not within
            ``default_api_timeout_ms``, or the partitions were given up.  They are still looked
            for then.

        Raises:
            TypeError: *partitions* are no partitions.
            IllegalStateError: one is not assigned; the consumer is not started.
            AssertionError: none are given, and none are assigned.
            ConsumerStoppedError: the consumer is stopped.
            KafkaError: the group cannot go on.
        """
        return await self._reset(partitions, OffsetResetStrategy.EARLIEST, "seek_to_beginning()")

    async def seek_to_end(self, *partitions: TopicPartition) -> bool:
        """Read only what is appended to partitions from now on; as :meth:`seek_to_beginning`."""
        return await self._reset(partitions, OffsetResetStrategy.LATEST, "seek_to_end()")

    async def _reset(
        self, partitions: tuple[TopicPartition, ...], strategy: int, what: str
    ) -> bool:
        fetcher = self._reading()
        self._check_errors()
        tps = self._some_assigned(partitions)
        deadline = Deadline.after(self._settings.default_api_timeout)
        reset = fetcher.request_offset_reset(tps, strategy)
        try:
            await self._stopping.unless_given(lambda: deadline.run(reset, what=what))
        except KafkaTimeoutError:
            log.warning("%s", self._in_vain(what, deadline, tps))
            return False
        except IllegalStateError:
            return False
        self._check_errors()
        return all(self._known_position(tp) is not None for tp in tps)

    async def seek_to_committed(
        self, *partitions: TopicPartition
    ) -> dict[TopicPartition, int | None]:
        """Read partitions from the offsets that the group has stored.

        A partition without a stored offset stays where it is.

        Parameters:
            partitions: none: all that are assigned.

        Returns:
            The stored offset of each partition, None where there is none.

        Raises:
            TypeError: *partitions* are no partitions.
            IllegalOperation: the consumer has no ``group_id``.
            IllegalStateError: one is not assigned; the consumer is not started.
            AssertionError: none are given, and none are assigned.
            KafkaTimeoutError: not answered within ``default_api_timeout_ms``.
            ConsumerStoppedError: the consumer is stopped.
            KafkaError: the brokers refuse.
        """
        check_partitions(partitions)
        group = self._group()
        tps = self._some_assigned(partitions)
        stored = await self._stopped.unless_given(lambda: group.fetch_committed_offsets(list(tps)))
        offsets: dict[TopicPartition, int | None] = {}
        for tp in tps:
            found = stored.get(tp)
            offsets[tp] = None if found is None or found.offset < 0 else found.offset
            if found is not None and found.offset >= 0 and self._subscription.is_assigned(tp):
                self.seek(tp, found.offset)
        return offsets

    # Look-ups

    async def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """For each partition the first record that is not older than a time.

        The partitions need not be assigned.

        Parameters:
            timestamps: milliseconds since the epoch, by partition.

        Returns:
            Offset and timestamp of that record, None where all are older.

        Raises:
            ValueError: a timestamp is negative or no number.
            TypeError: a key is no partition.
            UnsupportedVersionError: the brokers are too old for it.
            KafkaTimeoutError: not answered within ``default_api_timeout_ms``.
            ConsumerStoppedError, IllegalStateError: the consumer is stopped, or not started.
            KafkaError: the brokers refuse.
        """
        check_partitions(timestamps)
        checked = {tp: _check_timestamp(tp, when) for tp, when in timestamps.items()}
        fetcher = self._reading()
        if not checked:
            return {}
        return await self._look_up(
            lambda budget_ms: fetcher.get_offsets_by_times(checked, budget_ms)
        )

    async def beginning_offsets(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The first offset in each partition's log.

        The partitions need not be assigned.

        Raises:
            TypeError: *partitions* are no partitions.
            KafkaTimeoutError: not answered within ``default_api_timeout_ms``.
            ConsumerStoppedError, IllegalStateError: the consumer is stopped, or not started.
            KafkaError: the brokers refuse.
        """
        tps = check_partitions(partitions)
        fetcher = self._reading()
        if not tps:
            return {}
        return await self._look_up(lambda budget_ms: fetcher.beginning_offsets(tps, budget_ms))

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset that each partition's next record will get.

        With ``isolation_level="read_committed"`` the last stable offset.  Otherwise as
        :meth:`beginning_offsets`.
        """
        tps = check_partitions(partitions)
        fetcher = self._reading()
        if not tps:
            return {}
        return await self._look_up(lambda budget_ms: fetcher.end_offsets(tps, budget_ms))

    async def _look_up(self, ask: Callable[[float], Awaitable[T]]) -> T:
        """Look offsets up; the fetcher keeps the time, as it knows what the last error was."""
        budget_ms = self._settings.default_api_timeout * 1000
        return await self._stopping.unless_given(lambda: ask(budget_ms))

    # Topics

    async def topics(self) -> set[str]:
        """Names of all topics of the cluster that this client may see.

        Raises:
            KafkaTimeoutError: no metadata within ``default_api_timeout_ms``.
            ConsumerStoppedError, IllegalStateError: the consumer is stopped, or not started.
            KafkaError: an error that waiting cannot mend.
        """
        self._reading()
        deadline = Deadline.after(self._settings.default_api_timeout)
        cluster = await self._stopping.unless_given(
            lambda: self._client.fetch_all_metadata(deadline)
        )
        return cluster.topics()


def _name(tp: TopicPartition) -> str:
    return f"{tp.topic}-{tp.partition}"


def _check_offset(offset: Any) -> int:
    try:
        checked = operator.index(offset)
    except TypeError:
        checked = -1
    if checked < 0 or isinstance(offset, bool):
        raise ValueError(f"Offset should be a number that is not negative: {offset!r}")
    return checked


def _check_timestamp(tp: TopicPartition, when: Any) -> int:
    try:
        checked = int(when)
    except (TypeError, ValueError, OverflowError):
        checked = -1
    if checked < 0:
        raise ValueError(
            f"The time for {_name(tp)} should be milliseconds since the epoch, not {when!r}"
        )
    return checked


async def _first_of(
    fetcher: Fetcher, position: asyncio.Future[None], deadline: Deadline, what: str
) -> None:
    """Wait for a position's coming or going, for an error in its place, or for one of the group.

    Raises:
        KafkaTimeoutError: *deadline* passed first.
        KafkaError: the group cannot go on.
    """
    news: asyncio.Future[None] = create_future()
    fetcher._fetch_waiters.add(news)
    try:
        await deadline.run(
            asyncio.wait((position, news), return_when=asyncio.FIRST_COMPLETED), what=what
        )
    finally:
        fetcher._fetch_waiters.discard(news)
    if news.done():
        news.result()
