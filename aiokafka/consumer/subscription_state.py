"""What a consumer wants to read, and what it has been given.

:class:`SubscriptionState` is the state that the facade, the fetcher and the group coordinator
share.  It has no I/O and no tasks: the application's calls and the coordinator change it, and
whoever must act on a change registers with :meth:`SubscriptionState.on_change`.

Owns the futures of :meth:`~SubscriptionState.wait_for_subscription` and
:meth:`~SubscriptionState.wait_for_assignment`; they are resolved by the next subscription or
assignment, and by :meth:`~SubscriptionState.abort_waiters`.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, MutableSet
from re import Pattern
from typing import Any

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.consumer._assignment import Assignment, PartitionStatus, TopicPartitionState
from aiokafka.errors import IllegalStateError
from aiokafka.structs import TopicPartition
from aiokafka.util import create_future, get_running_loop

__all__ = [
    "Assignment",
    "ManualSubscription",
    "PartitionStatus",
    "Subscription",
    "SubscriptionState",
    "SubscriptionType",
    "TopicPartitionState",
]

log = logging.getLogger(__name__)


class SubscriptionType(enum.Enum):
    """How the partitions are chosen."""

    NONE = 1
    AUTO_TOPICS = 2
    AUTO_PATTERN = 3
    USER_ASSIGNED = 4


class Subscription:
    """Topics that a group distributes among its members.

    Attributes:
        unsubscribe_future: done when the subscription has been replaced or given up.
    """

    def __init__(
        self, topics: Iterable[str], loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._topics = frozenset(topics)
        self._assignment: Assignment | None = None
        self._reassignment_in_progress = True
        # Until the first assignment there is nothing to deliver.
        self._delivering = True
        self.unsubscribe_future: asyncio.Future[None] = create_future(loop)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {sorted(self._topics)} {self._assignment}>"

    @property
    def active(self) -> bool:
        return not self.unsubscribe_future.done()

    @property
    def topics(self) -> frozenset[str]:
        return self._topics

    @property
    def assignment(self) -> Assignment | None:
        return self._assignment

    def _assign(
        self,
        topic_partitions: Iterable[TopicPartition],
        on_change: Callable[[], None] | None = None,
    ) -> Assignment:
        """Replace the assignment: the one before ends."""
        for tp in topic_partitions:
            if tp[0] not in self._topics:
                raise IllegalStateError(f"{tp} was assigned, which is not subscribed to")
        if self._assignment is not None:
            self._assignment.end()
        self._assignment = Assignment(topic_partitions, on_change=on_change)
        self._reassignment_in_progress = False
        self._delivering = True
        return self._assignment

    def _update(
        self, added: Collection[TopicPartition], taken: Collection[TopicPartition]
    ) -> None:
        """Change the assignment in place (KIP-429)."""
        assert self._assignment is not None
        self._assignment.update(added=added, taken=taken)
        self._reassignment_in_progress = False
        self._delivering = True

    def _take_over(self, other: Subscription) -> None:
        """Go on with what a group has assigned for another subscription."""
        if type(self) is type(other) is Subscription:
            self._assignment, other._assignment = other._assignment, None
            self._delivering = other._delivering

    def _unsubscribe(self) -> None:
        if self._assignment is not None:
            self._assignment.end()
        if not self.unsubscribe_future.done():
            self.unsubscribe_future.set_result(None)

    def _begin_reassignment(self, *, delivering: bool = False) -> None:
        self._reassignment_in_progress = True
        self._delivering = delivering


class ManualSubscription(Subscription):
    """Partitions that the application chose; they stay until it chooses others."""

    def __init__(
        self,
        user_assignment: Iterable[TopicPartition],
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        partitions = list(user_assignment)
        super().__init__((tp.topic for tp in partitions), loop)
        super()._assign(partitions, on_change)

    def _assign(
        self,
        topic_partitions: Iterable[TopicPartition],
        on_change: Callable[[], None] | None = None,
    ) -> Assignment:
        raise IllegalStateError("Partitions were assigned by hand; a group cannot change them")

    def _begin_reassignment(self, *, delivering: bool = False) -> None:
        raise IllegalStateError("Partitions were assigned by hand; a group cannot change them")


class SubscriptionState:
    """The state of a consumer's subscription.

    .. versionchanged:: 0.14.1
        :meth:`on_change`; an assignment can change in place; the idle time is right after an
        exception, too.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = get_running_loop() if loop is None else loop
        self._subscription: Subscription | None = None
        self._subscription_type = SubscriptionType.NONE
        self._subscribed_pattern: Pattern[str] | None = None
        self._listener: ConsumerRebalanceListener | None = None
        self._subscription_waiters: list[asyncio.Future[None]] = []
        self._assignment_waiters: list[asyncio.Future[None]] = []
        self._poll_waiters: list[asyncio.Future[None]] = []
        self._fetch_waiters: MutableSet[asyncio.Future[Any]] = set()
        self._callbacks: list[Callable[[], None]] = []
        self._fetch_count = 0
        self._last_fetch_ended = self._loop.time()
        #: Set by a group coordinator: a new subscription takes the assignment over, until the
        #: group has said what becomes of it (KIP-429).
        self.keeps_assignment = False
        #: Set by whoever gives records out without waiting, which is too often for a clock.
        self.polled = False

    def __repr__(self) -> str:
        return f"<SubscriptionState {self._subscription_type.name} {self._subscription}>"

    # What is subscribed and assigned

    @property
    def subscription(self) -> Subscription | None:
        return self._subscription

    @property
    def subscription_type(self) -> SubscriptionType:
        return self._subscription_type

    @property
    def subscribed_pattern(self) -> Pattern[str] | None:
        return self._subscribed_pattern

    @property
    def listener(self) -> ConsumerRebalanceListener | None:
        return self._listener

    @property
    def topics(self) -> Collection[str]:
        return set() if self._subscription is None else self._subscription.topics

    @property
    def assignment(self) -> Assignment | None:
        """The assignment, None when there is none yet."""
        return None if self._subscription is None else self._subscription.assignment

    def assigned_partitions(self) -> frozenset[TopicPartition]:
        assignment = self.assignment
        return frozenset() if assignment is None else assignment.tps

    def is_assigned(self, tp: TopicPartition) -> bool:
        return tp in self.assigned_partitions()

    def partitions_auto_assigned(self) -> bool:
        """Does a group distribute the partitions?"""
        return self._subscription_type in (
            SubscriptionType.AUTO_TOPICS,
            SubscriptionType.AUTO_PATTERN,
        )

    @property
    def reassignment_in_progress(self) -> bool:
        """Is there no assignment to rely on at the moment?"""
        return self._subscription is None or self._subscription._reassignment_in_progress

    @property
    def delivering(self) -> bool:
        """May records be given out?  Not between an eager rebalance's revocation and its end:
        what was read meanwhile could not be committed."""
        return self._subscription is not None and self._subscription._delivering

    def _assigned_state(self, tp: TopicPartition) -> TopicPartitionState:
        assignment = self.assignment
        state = None if assignment is None else assignment.state_value(tp)
        if state is None:
            raise IllegalStateError(f"No current assignment for partition {tp}")
        return state

    # Changes by the application

    def subscribe(
        self, topics: Iterable[str], listener: ConsumerRebalanceListener | None = None
    ) -> None:
        """Subscribe to topics by name.

        Raises:
            IllegalStateError: subscribed by pattern, or assigned by hand.
        """
        self._set_type(SubscriptionType.AUTO_TOPICS)
        self._listener = listener
        self._change_subscription(Subscription(topics, self._loop))

    def subscribe_pattern(
        self, pattern: Pattern[str], listener: ConsumerRebalanceListener | None = None
    ) -> None:
        """Subscribe to the topics whose names match.

        Raises:
            IllegalStateError: subscribed by name, or assigned by hand.
        """
        self._set_type(SubscriptionType.AUTO_PATTERN)
        self._subscribed_pattern = pattern
        self._listener = listener
        self._notify()

    def assign_from_user(self, partitions: Iterable[TopicPartition]) -> None:
        """Take partitions that the application chose.

        Raises:
            IllegalStateError: subscribed.
        """
        self._set_type(SubscriptionType.USER_ASSIGNED)
        self._change_subscription(
            ManualSubscription(partitions, self._loop, on_change=self._notify)
        )
        self._resolve(self._assignment_waiters)

    def unsubscribe(self) -> None:
        """Give everything up."""
        if self._subscription is not None:
            self._subscription._unsubscribe()
        self._subscription = None
        self._subscribed_pattern = None
        self._listener = None
        self._subscription_type = SubscriptionType.NONE
        self._notify()

    def _set_type(self, wanted: SubscriptionType) -> None:
        if self._subscription_type not in (SubscriptionType.NONE, wanted):
            raise IllegalStateError(
                "Subscription to topics, partitions and pattern are mutually exclusive:"
                f" {self._subscription_type.name} is in force, not {wanted.name}"
            )
        self._subscription_type = wanted

    def _change_subscription(self, subscription: Subscription) -> None:
        log.info("Updating subscribed topics to: %s", subscription.topics)
        if self._subscription is not None:
            if self.keeps_assignment:
                subscription._take_over(self._subscription)
            self._subscription._unsubscribe()
        self._subscription = subscription
        self._resolve(self._subscription_waiters)
        self._notify()

    # Changes by the coordinator

    def subscribe_from_pattern(self, topics: Iterable[str]) -> None:
        """The topics that match the pattern at present."""
        if self._subscription_type is not SubscriptionType.AUTO_PATTERN:
            raise IllegalStateError("No pattern is subscribed to")
        self._change_subscription(Subscription(topics, self._loop))

    def assign_from_subscribed(self, assignment: Iterable[TopicPartition]) -> None:
        """Take what the group assigned; the assignment before ends."""
        self._automatic()._assign(list(assignment), self._notify)
        self._assigned()

    def update_assignment(
        self, *, added: Collection[TopicPartition], taken: Collection[TopicPartition]
    ) -> None:
        """Take what the group changed, and leave the rest as it is (KIP-429).

        .. versionadded:: 0.14.1
        """
        subscription = self._automatic()
        if subscription.assignment is None or not subscription.assignment.active:
            subscription._assign(list(added), self._notify)
        else:
            subscription._update(added, taken)
        self._assigned()

    def begin_reassignment(self, *, delivering: bool = False) -> None:
        """A rebalance begins.

        Parameters:
            delivering: records may still be given out meanwhile (KIP-429).
        """
        if self._subscription is not None:
            self._subscription._begin_reassignment(delivering=delivering)
            self._notify()

    @contextlib.contextmanager
    def holding_back(self, subscription: Subscription) -> Iterator[None]:
        """Give no records out while the listener is told of a change.

        .. versionadded:: 0.14.1
        """
        subscription._delivering = False
        self._notify()
        try:
            yield
        finally:
            subscription._delivering = True
            self._notify()

    def _automatic(self) -> Subscription:
        if self._subscription is None or not self.partitions_auto_assigned():
            raise IllegalStateError("Nothing is subscribed to that a group could assign")
        return self._subscription

    def _assigned(self) -> None:
        self._last_fetch_ended = self._loop.time()
        self._resolve(self._assignment_waiters)
        self._notify()

    # Positions

    def seek(self, tp: TopicPartition, offset: int) -> None:
        """Go on reading a partition at *offset*.

        Raises:
            IllegalStateError: the partition is not assigned.
        """
        self._assigned_state(tp).seek(offset)

    def pause(self, tp: TopicPartition) -> None:
        """Raises IllegalStateError: the partition is not assigned."""
        self._assigned_state(tp).pause()

    def resume(self, tp: TopicPartition) -> None:
        """Raises IllegalStateError: the partition is not assigned."""
        self._assigned_state(tp).resume()

    def paused_partitions(self) -> set[TopicPartition]:
        assignment = self.assignment
        if assignment is None:
            return set()
        return {tp for tp, state in assignment.states if state.paused}

    # Waiting

    def wait_for_subscription(self) -> asyncio.Future[None]:
        """A future of the next subscription, never of the one in force."""
        return self._waiter(self._subscription_waiters)

    def wait_for_assignment(self) -> asyncio.Future[None]:
        """A future of the next assignment, never of the one in force."""
        return self._waiter(self._assignment_waiters)

    def wait_for_poll(self) -> asyncio.Future[None]:
        """A future of the application's asking for records; done if it is waiting for some.

        .. versionadded:: 0.14.1
        """
        future = self._waiter(self._poll_waiters)
        if self._fetch_count:
            self._resolve(self._poll_waiters)
        return future

    def register_fetch_waiters(self, waiters: MutableSet[asyncio.Future[Any]]) -> None:
        """Let :meth:`abort_waiters` reach the futures of calls that wait for records."""
        self._fetch_waiters = waiters

    def abort_waiters(self, exc: BaseException) -> None:
        """Fail whoever waits, for an assignment or for records."""
        waiting = [*self._assignment_waiters, *self._subscription_waiters, *self._fetch_waiters]
        self._assignment_waiters.clear()
        self._subscription_waiters.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(exc)
                # Perhaps nobody waits any more.
                future.exception()

    def _waiter(self, waiters: list[asyncio.Future[None]]) -> asyncio.Future[None]:
        waiters[:] = [waiter for waiter in waiters if not waiter.done()]
        future: asyncio.Future[None] = self._loop.create_future()
        waiters.append(future)
        return future

    def _resolve(self, waiters: list[asyncio.Future[None]]) -> None:
        for future in waiters:
            if not future.done():
                future.set_result(None)
        waiters.clear()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back, in the same turn, after everything that the fetcher or the coordinator may
        have to act on: a subscription, an assignment, a position, pausing.  Must not raise.

        .. versionadded:: 0.14.1
        """
        self._callbacks.append(callback)

    def start_over(self) -> None:
        """Forget who was told of changes, and what a group has assigned: a consumer could not
        start, and will try again with what the application wants.

        .. versionadded:: 0.14.1
        """
        self._callbacks.clear()
        if self._subscription is None or not self.partitions_auto_assigned():
            return
        topics = self._subscription.topics
        self._subscription._unsubscribe()
        # Which topics match is looked for again.
        by_name = self._subscribed_pattern is None
        self._subscription = Subscription(topics, self._loop) if by_name else None

    def _notify(self) -> None:
        for callback in self._callbacks:
            callback()

    # How long the application has not asked for records

    @contextlib.contextmanager
    def fetch_context(self) -> Iterator[None]:
        """The application waits for records: it is not idle."""
        self._fetch_count += 1
        if self._poll_waiters:
            self._resolve(self._poll_waiters)
        try:
            yield
        finally:
            self._fetch_count -= 1
            self._last_fetch_ended = self._loop.time()

    @property
    def fetcher_idle_time(self) -> float:
        """Seconds since the application last asked for records, 0 while it waits for some."""
        now = self._loop.time()
        if self.polled:
            # Since the last look at this; nearer than that nobody wants to know.
            self.polled = False
            self._last_fetch_ended = now
        return 0.0 if self._fetch_count else now - self._last_fetch_ended
