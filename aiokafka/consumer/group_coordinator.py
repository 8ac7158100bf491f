"""Membership in a consumer group.

:class:`GroupCoordinator` runs one task, :meth:`GroupCoordinator._coordination_routine`, which goes
through the states of :mod:`aiokafka.consumer._group_states`; heartbeats and the reading of
committed offsets have tasks of their own (:mod:`._heartbeats`, :mod:`._committed`).  All of them
belong to one supervisor; :meth:`GroupCoordinator.close` ends them within its time.

However the coordination task ends, :meth:`GroupCoordinator._fail` tells everybody who waits for an
assignment or for records.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiokafka._config import backoff, milliseconds
from aiokafka._deadline import Deadline
from aiokafka._tasks import Supervisor
from aiokafka.consumer._assigning import rebalance_protocol
from aiokafka.consumer._callbacks import ListenerCalls
from aiokafka.consumer._group_states import (
    AWAITED,
    REBALANCING,
    UNKNOWN_GENERATION,
    UNKNOWN_MEMBER_ID,
    ConsumerGroupMetadata,
    GroupFacts,
    MemberState,
)
from aiokafka.consumer._joining import CoordinatorGroupRebalance
from aiokafka.consumer._membership import LEAVE_TIMEOUT
from aiokafka.consumer._no_group import UNKNOWN_OFFSET, NoGroupCoordinator
from aiokafka.consumer._rejoining import Rejoining
from aiokafka.consumer._watch import BaseCoordinator
from aiokafka.consumer.subscription_state import Subscription, SubscriptionState
from aiokafka.coordinator.assignors import instances
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

__all__ = [
    "UNKNOWN_OFFSET",
    "BaseCoordinator",
    "ConsumerGroupMetadata",
    "CoordinatorGroupRebalance",
    "GroupCoordinator",
    "GroupFacts",
    "MemberState",
    "NoGroupCoordinator",
    "OffsetAndMetadata",
    "OffsetCommitRequest",
    "TopicPartition",
]

log = logging.getLogger(__name__)

_DEFAULT_API_TIMEOUT_MS = 40000
_STOP_TIMEOUT_MS = 30000
# Seconds that closing waits for requests of the coordination task.
_PATIENCE = 1.0


class GroupCoordinator(Rejoining):
    """A consumer's membership in its group, and its committed offsets.

    Parameters:
        client: to talk through.
        subscription: what the consumer wants to read.
        group_id: name of the group.
        group_instance_id: makes the member a static one (KIP-345).
        session_timeout_ms: milliseconds without a heartbeat after which the group removes the
            member.
        heartbeat_interval_ms: milliseconds between heartbeats.
        retry_backoff_ms, retry_backoff_max_ms: first and longest delay between attempts, in
            milliseconds (KIP-580).
        enable_auto_commit: commit by interval, before rebalances and at the end.
        auto_commit_interval_ms: milliseconds between those.
        assignors: classes or instances, the preferred one first.
        exclude_internal_topics: no pattern matches topics of Kafka's own.
        max_poll_interval_ms: milliseconds the application may take between two polls.
        rebalance_timeout_ms: milliseconds members have to join again in a rebalance.
        default_api_timeout_ms: milliseconds that commits and the reading of committed offsets
            may take; None: the client's ``request_timeout_ms``.
        stop_timeout_ms: milliseconds that :meth:`close` may take. None: 30000.
        enable_auto_offset_store: False: commit by itself only what the application stored.
        client_rack: where the consumer runs, for assignors (KIP-881).

    .. versionchanged:: 0.14.1
        Every wait is bounded; cooperative rebalancing (KIP-429); the keywords after
        *rebalance_timeout_ms*.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        subscription: SubscriptionState,
        *,
        group_id: str = "aiokafka-default-group",
        group_instance_id: str | None = None,
        session_timeout_ms: int = 10000,
        heartbeat_interval_ms: int = 3000,
        retry_backoff_ms: int = 100,
        enable_auto_commit: bool = True,
        auto_commit_interval_ms: int = 5000,
        assignors: Iterable[Any] = (RoundRobinPartitionAssignor,),
        exclude_internal_topics: bool = True,
        max_poll_interval_ms: int = 300000,
        rebalance_timeout_ms: int = 30000,
        default_api_timeout_ms: float | None = None,
        stop_timeout_ms: float | None = None,
        retry_backoff_max_ms: int = 1000,
        enable_auto_offset_store: bool = True,
        client_rack: str | None = None,
    ) -> None:
        self._loop = client._loop
        self.group_id = group_id
        self.generation = UNKNOWN_GENERATION
        self.member_id = UNKNOWN_MEMBER_ID
        self.coordinator_id = None
        self._group_instance_id = group_instance_id
        self._session_timeout_ms = session_timeout_ms
        self._heartbeat_interval_ms = heartbeat_interval_ms
        self._retry_backoff_ms = retry_backoff_ms
        self._enable_auto_commit = enable_auto_commit
        self._auto_commit_interval_ms = auto_commit_interval_ms
        self._max_poll_interval_ms = max_poll_interval_ms
        self._rebalance_timeout_ms = rebalance_timeout_ms
        self._enable_auto_offset_store = enable_auto_offset_store
        self._client_rack = client_rack
        self._backoff = backoff(
            "retry_backoff_ms", retry_backoff_ms, "retry_backoff_max_ms", retry_backoff_max_ms
        )
        if default_api_timeout_ms is None:
            default_api_timeout_ms = getattr(
                client, "_request_timeout_ms", _DEFAULT_API_TIMEOUT_MS
            )
        self._default_api_timeout = milliseconds("default_api_timeout_ms", default_api_timeout_ms)
        self._stop_timeout = milliseconds(
            "stop_timeout_ms", _STOP_TIMEOUT_MS if stop_timeout_ms is None else stop_timeout_ms
        )
        self._assignors = instances(assignors)
        self._protocol = rebalance_protocol(self._assignors)
        self._init_state(subscription)
        subscription.keeps_assignment = self._cooperative
        super().__init__(client, subscription, exclude_internal_topics=exclude_internal_topics)
        self._coordination_task = self._supervisor.spawn(
            self._coordination_routine(), name="coordination", on_crash=self._crashed
        )
        self._coordination_task.add_done_callback(self._ended)

    def _init_state(self, subscription: SubscriptionState) -> None:
        self._supervisor = Supervisor(f"member of group {self.group_id}", log)
        self._calls = ListenerCalls(subscription, self.group_id)
        self._state = MemberState.UNJOINED
        self._closing = self._loop.create_future()
        self._rejoin_needed_fut = self._loop.create_future()
        self._coordinator_dead_fut = self._loop.create_future()
        self._settled = []
        self._news = {}
        self._unmended = {}
        self._holding = False
        self._held = self._joined_for = None
        self._held_generation = UNKNOWN_GENERATION
        self._rejoin_reason = "first join"
        self._is_leader = False
        self._fatal = self._last_error = None
        self._rebalances = 0
        self._last_heartbeat_at = self._last_rebalance_at = self._last_commit_at = None
        self._last_rebalance_reason = ""
        self._lookup_task = None
        self._heartbeat_task = self._committed_task = None
        self._restart_heartbeats = None
        self._committed_of = None
        self._stable_offsets = True
        self._unknown = set()
        self._commit_lock = asyncio.Lock()
        self._next_autocommit_deadline = self._loop.time() + self._auto_commit_interval_ms / 1000
        self._close_task: asyncio.Task[None] | None = None

    def check_errors(self) -> None:
        """Raise what keeps this member from going on.

        Raises:
            KafkaError: the membership has ended for good.
            TopicAuthorizationFailedError: a subscribed topic may not be read.
        """
        if self._fatal is not None:
            raise self._fatal
        self._check_topics()

    @property
    def last_error(self) -> BaseException | None:
        """What went wrong last and has not gone well since, None when there is nothing."""
        return self._last_error

    # The coordination task

    async def _coordination_routine(self) -> None:
        """Keep the membership and the assignment in step with the subscription."""
        while not self._closing.done():
            subscription = self._subscription.subscription
            try:
                if subscription is None or not subscription.active:
                    await self._without_subscription()
                else:
                    await self._with_subscription(subscription)
            except KafkaError as error:
                if not self._closing.done():
                    self._fail(error)
                return

    async def _without_subscription(self) -> None:
        """Wait for something to be subscribed to."""
        if self._state is not MemberState.UNJOINED:
            if self.member_id:
                self.maybe_leave_group()
            self._end_membership()
        await self._first_of(self._subscription.wait_for_subscription())

    def _end_membership(self) -> None:
        self._stop_heartbeat_task()
        self._let_go(None)
        self._is_leader = False
        self._go(MemberState.UNJOINED)

    async def _with_subscription(self, subscription: Subscription) -> None:
        """One turn: whatever is due now, then wait for the next event."""
        await self.ensure_coordinator_known()
        if self._subscription.partitions_auto_assigned():
            if self.need_rejoin(subscription) and (
                await self.ensure_active_group(subscription, self._held) is None
            ):
                return
        elif self._state is not MemberState.UNJOINED:
            # Partitions are assigned by hand now.
            if self.member_id:
                self.maybe_leave_group()
            self._end_membership()
        assignment = subscription.assignment
        if assignment is None or not subscription.active:
            return
        self.start_commit_offsets_refresh_task(assignment)
        timeout = await self._maybe_do_autocommit(assignment)
        futures = [subscription.unsubscribe_future, self._coordinator_dead_fut]
        if self._subscription.partitions_auto_assigned():
            futures.append(self._rejoin_needed_fut)
        await self._first_of(*futures, timeout=timeout)

    async def _first_of(
        self, *futures: asyncio.Future[None], timeout: float | None = None
    ) -> None:
        """Wait for one of the futures, or the end."""
        await asyncio.wait(
            {*futures, self._closing}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )

    async def _do_rejoin_group(self, subscription: Subscription) -> bool:
        """One attempt to join; whether there is a new assignment."""
        rebalance = CoordinatorGroupRebalance(
            self,
            self.group_id,
            self.coordinator_id,
            subscription,
            self._assignors,
            self._session_timeout_ms,
            self._retry_backoff_ms,
        )
        self._go(MemberState.JOINING)
        # What becomes known from now on is known to whoever makes the next assignment, or
        # watched for by it.
        self._is_leader = False
        joined = await rebalance.perform_group_join()
        if joined is None:
            return False
        if not self._wanted(subscription):
            log.debug("Group %s was joined for a subscription that is over", self.group_id)
            return False
        protocol, assignment_bytes = joined
        if not await self._on_join_complete(subscription, protocol, assignment_bytes):
            return False
        if self._state is MemberState.ASSIGNING:
            self._go(MemberState.STABLE)
        return True

    def _crashed(self, error: BaseException) -> None:
        failure = KafkaError(f"The coordination of group {self.group_id!r} crashed: {error!r}")
        failure.__cause__ = error
        self._fail(failure)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() and not self._closing.done():
            self._fail(KafkaError(f"The member of group {self.group_id!r} was cancelled"))

    # The end

    async def close(self) -> None:
        """Commit what is to be committed, leave the group, end all tasks.

        Bounded by ``stop_timeout_ms`` whatever the coordinator does.  May be called more than
        once, and goes on when the caller is cancelled.
        """
        if self._close_task is None:
            self._stop_watching()
            if not self._closing.done():
                self._closing.set_result(None)
            # A listener may stop the consumer: it is not waited for, as it waits for us.
            ours = asyncio.current_task() is self._coordination_task
            self._close_task = self._supervisor.spawn(self._close(ours), name="close")
        await asyncio.wait((self._close_task,))

    def abandon(self) -> None:
        """End everything, as far as it goes without awaiting: the consumer was garbage
        collected, or :meth:`close` has had its time."""
        self._stop_watching()
        if not self._closing.done():
            self._closing.set_result(None)
        self._stop_heartbeat_task()
        current = asyncio.current_task()
        for task in self._supervisor.tasks:
            if task is not current:
                task.cancel()
        self._go(MemberState.CLOSED)

    async def _close(self, by_listener: bool) -> None:
        deadline = Deadline.after(self._stop_timeout)
        try:
            await self._finish(deadline, by_listener)
        finally:
            self._go(MemberState.CLOSED)
            await self._supervisor.cancel_all(deadline.capped(LEAVE_TIMEOUT))

    async def _finish(self, deadline: Deadline, by_listener: bool) -> None:
        try:
            if not by_listener:
                await self._end_rebalance(deadline)
            assignment = self._subscription.assignment
            if assignment is not None and self._fatal is None:
                half = deadline.capped(deadline.remaining() / 2)
                await half.run(self._maybe_do_last_autocommit(assignment), what="The last commit")
        except KafkaError as error:
            self._trouble("Auto-commit", error)
        finally:
            if self._state is not MemberState.CLOSED:  # abandoned meanwhile
                self._go(MemberState.LEAVING)
            self._stop_heartbeat_task()
        await asyncio.wait((self.maybe_leave_group("the consumer was closed"),))

    async def _end_rebalance(self, deadline: Deadline) -> None:
        """Let the coordination task end; a rebalance that takes too long is given up."""
        task = self._coordination_task
        # The listener is waited for; requests that may be held back or lost are not.
        waiting = self._state in _CALLING and not self._lookup_pending()
        patience = min(math.inf if waiting else _PATIENCE, deadline.remaining() / 2)
        _, late = await asyncio.wait((task,), timeout=patience)
        if late:
            task.cancel()
            await asyncio.wait((task,), timeout=patience)

    def _lookup_pending(self) -> bool:
        return self._lookup_task is not None and not self._lookup_task.done()


#: States in which the listener may be at work.
_CALLING = REBALANCING - AWAITED
