"""Giving fetched records to the application, without ever waiting.

Records are taken from a block in the same step in which they are returned and the position moves
on, so that a call that is cancelled loses none.  What was given out counts as returned when the
application comes back for more.

Runs no task, owns no future.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from aiokafka.consumer._assignment import TopicPartitionState
from aiokafka.consumer._fetch_buffer import FetchBuffer
from aiokafka.consumer._results import FetchError, FetchResult
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import ConsumerRecord, TopicPartition

#: When so much of :attr:`Delivery.spent` has been given out, everybody else should have a turn of
#: the loop: while there are records at hand, nothing here ever waits.
A_LOT = 65536
# What a block counts for besides its bytes.
_EACH_BLOCK = 1000

Records = dict[TopicPartition, list[ConsumerRecord[Any, Any]]]


class Delivery:
    """Takes records from the buffer.

    Parameters:
        buffer: where they are.
        subscriptions: is told that the application is alive.
        on_drained: called with the partition when a block was used up: there is room to fetch
            more.

    Attributes:
        enabled: may anything be given out?  Not while partitions are being taken away, and
            not after the end.
        spent: a measure of what was given out since somebody set it to 0, see :data:`A_LOT`.
    """

    def __init__(
        self,
        buffer: FetchBuffer,
        subscriptions: SubscriptionState,
        on_drained: Callable[[TopicPartition], None],
    ) -> None:
        self.enabled = True
        self.spent = 0
        self._buffer = buffer
        self._subscriptions = subscriptions
        self._on_drained = on_drained
        # States of the partitions whose records the application has in its hands.
        self._given: TopicPartitionState | None = None
        self._given_many: list[TopicPartitionState] = []
        # An error that came where none can be raised.
        self._noted: tuple[FetchResult, Exception] | None = None

    def take_one(self) -> ConsumerRecord[Any, Any] | None:
        """The next record, if it is at hand; None when there is anything to be waited for,
        to be raised, or to be tidied up: :meth:`take` sees to that.

        This is the hot path: nothing is allocated here but the record.
        """
        if not self.enabled or self._given_many:
            return None
        given = self._given
        if given is not None:
            given.committable = given._position
            self._given = None
        self._subscriptions.polled = True
        for head in self._buffer.heads.values():
            if head.__class__ is not FetchResult:
                return None
            try:
                record = head.getone()
            except Exception as error:
                self._noted = head, error
                return None
            if record is not None:
                self._given = head._state
            return record
        return None

    def returned(self) -> None:
        """The application has come back: it is done with what it was given."""
        self._subscriptions.polled = True
        if self._given is not None:
            self._given.returned()
            self._given = None
        for state in self._given_many:
            state.returned()
        self._given_many.clear()

    def take(self, partitions: Container[TopicPartition] | None) -> Any:
        """The next record of *partitions* (none: of any), None when there is none at hand.

        Raises:
            Exception: what stands in the place of the next record.
        """
        if not self.enabled:
            return None
        self._raise_noted()
        heads = self._buffer.heads
        going_on = True
        while going_on:
            going_on = False
            for tp, head in list(heads.items()):
                if partitions and tp not in partitions:
                    continue
                if isinstance(head, FetchError):
                    self._raise(tp, head)
                    going_on = True
                    continue
                try:
                    record = head.getone()
                except Exception:
                    self._failed(tp, head)
                    raise
                if record is not None:
                    self._given = getattr(head, "_state", None)
                    return record
                if head.has_more():
                    # Paused. It shall not stand in the way of the fast path.
                    self._buffer.next_turn(tp)
                else:
                    self._used_up(tp)
                    going_on = True
        return None

    def take_many(
        self, partitions: Container[TopicPartition] | None, max_records: int | None
    ) -> Records:
        """Records at hand, by partition, at most *max_records*; without that limit a block of
        each partition.

        Raises:
            Exception: what stands in the place of the first record; an error behind records
                waits for the next call.
        """
        taken: Records = {}
        if not self.enabled:
            return taken
        self._raise_noted()
        left = max_records
        while True:
            progress = False
            for tp, head in list(self._buffer.heads.items()):
                if partitions and tp not in partitions:
                    continue
                if isinstance(head, FetchError):
                    if taken:
                        return taken
                    self._raise(tp, head)
                    progress = True
                    continue
                records = self._take_block(tp, head, left, bool(taken))
                if records is None:
                    return taken
                if records:
                    taken.setdefault(tp, []).extend(records)
                    if left is not None:
                        left -= len(records)
                        if not left:
                            return taken
                progress |= not head.has_more()
            if not progress or (taken and left is None):
                return taken

    def _take_block(
        self, tp: TopicPartition, head: FetchResult, limit: int | None, others: bool
    ) -> list[ConsumerRecord[Any, Any]] | None:
        """Records of one block; None when it failed, but *others* are to be given out first."""
        try:
            records = head.getall(limit)
        except Exception:
            if others:
                if not head.has_more():
                    self._failed(tp, head)
                return None
            self._failed(tp, head)
            raise
        if records:
            state = getattr(head, "_state", None)
            if state is not None:
                self._given_many.append(state)
        if not head.has_more():
            self._used_up(tp)
        elif records:
            self._buffer.next_turn(tp)
        return records

    def _used_up(self, tp: TopicPartition) -> None:
        before = self._buffer.bytes
        self._buffer.used_up(tp)
        self.spent += before - self._buffer.bytes + _EACH_BLOCK
        self._on_drained(tp)

    def _failed(self, tp: TopicPartition, head: FetchResult) -> None:
        """Reading *head* has failed: either it will again, until the application seeks past
        that record, or it is useless, and what is behind it does not connect any more."""
        if head.has_more():
            self._buffer.next_turn(tp)
        else:
            self._buffer.drop(tp)
            self._on_drained(tp)

    def _raise_noted(self) -> None:
        """Raise what :meth:`take_one` met, unless that is not to be read any more."""
        if self._noted is None:
            return
        (head, error), self._noted = self._noted, None
        for tp, other in self._buffer.heads.items():
            if other is head:
                self._failed(tp, head)
                raise error
        # Sought past or taken away meanwhile.

    def _raise(self, tp: TopicPartition, head: FetchError) -> None:
        """Raise an error once; not one about a position that is not read any more."""
        block = self._buffer.head(tp)
        self._used_up(tp)
        if block is not None and block.outdated:
            return
        if block is not None and block.skip_to >= 0 and block.state is not None:
            block.state.consumed_to(block.skip_to)
        head.check_raise()
