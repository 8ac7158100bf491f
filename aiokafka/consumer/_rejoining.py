"""From one assignment to the next: when to join, what is given up before, what is taken after.

Runs no task: all of it happens in the coordination task.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiokafka._deadline import Deadline
from aiokafka._retry import pause
from aiokafka.consumer._assigning import (
    Change,
    assignor_named,
    partition_counts,
    subscriptions_of,
)
from aiokafka.consumer._commits import Committing
from aiokafka.consumer._committed import ReadingCommitted
from aiokafka.consumer._group_states import UNKNOWN_GENERATION, MemberState
from aiokafka.consumer._heartbeats import Heartbeating
from aiokafka.consumer.subscription_state import Assignment, Subscription
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Response
from aiokafka.structs import TopicPartition

log = logging.getLogger("aiokafka.consumer.group_coordinator")

# Seconds the leader waits for the metadata of topics that only others have subscribed to: the
# others wait for the leader, and no heartbeats are sent meanwhile.
_METADATA_WAIT = 3.0


class Rejoining(Heartbeating, Committing, ReadingCommitted):
    """The part of the group coordinator that takes a member through a rebalance."""

    _held_generation: int
    _joined_for: Subscription | None

    if TYPE_CHECKING:  # made where CoordinatorGroupRebalance can be replaced

        async def _do_rejoin_group(self, subscription: Subscription) -> bool: ...

    def need_rejoin(self, subscription: Subscription) -> bool:
        """Is there no assignment for *subscription*, or has something asked for a new one?"""
        return (
            subscription.assignment is None
            or self._rejoin_needed_fut.done()
            or self._joined_for not in (None, subscription)
        )

    def _on_metadata_change(self) -> None:
        # Only the leader can make more of it than it is; and brokers take another member that
        # joins again with nothing new for one that has not heard their answer.
        if self._is_leader:
            self.request_rejoin("the partitions of the group's topics have changed")

    async def ensure_active_group(
        self, subscription: Subscription, prev_assignment: Assignment | None
    ) -> Assignment | None:
        """Join the group, again if need be.

        Parameters:
            prev_assignment: what this member has had until now.

        Returns:
            The new assignment; None when the subscription has changed meanwhile, or the
            consumer is being closed.

        Raises:
            KafkaError: joining cannot succeed.
        """
        stale = self._state is MemberState.STALE
        if self._rebalances and not self._rejoin_needed_fut.done():
            self._rejoin_reason = "the subscription has changed"
        reason = self._rejoin_reason
        await self._on_join_prepare(prev_assignment)
        if stale and self._wanted(subscription):
            self._go(MemberState.STALE)
            await self._wait_for_poll(subscription)
        attempt = 0
        while self._wanted(subscription):
            await self.ensure_coordinator_known()
            # What asks for another rebalance from now on asks for one after this.
            if self._rejoin_needed_fut.done():
                reason = self._rejoin_reason
                self._rejoin_needed_fut = self._loop.create_future()
            if await self._do_rejoin_group(subscription):
                self._rebalances += 1
                self._last_rebalance_at = self._loop.time()
                self._last_rebalance_reason = reason
                self._well("Joining")
                self._well("Syncing")
                return subscription.assignment
            if self._wanted(subscription):
                await self._give_up_lost()
                await pause(self._backoff.delay(attempt, self._client._rng))
            attempt += 1
        # What has taken the subscription's place may have taken its assignment over as well
        # (KIP-429), and would look as if it had been joined for.
        self.request_rejoin("the subscription has changed")
        return None

    def _wanted(self, subscription: Subscription) -> bool:
        return subscription.active and not self._closing.done()

    async def _wait_for_poll(self, subscription: Subscription) -> None:
        """Wait until the application asks for records again."""
        poll = self._subscription.wait_for_poll()
        await asyncio.wait(
            (poll, subscription.unsubscribe_future, self._closing),
            return_when=asyncio.FIRST_COMPLETED,
        )

    async def _leave_idle(self) -> bool:
        """Leave the group, so that others get the partitions; the next poll joins again.

        Returns:
            False: the application has polled at the last moment.
        """
        if self._held is not None:
            # What came before the records it is busy with.
            await self._maybe_do_last_autocommit(self._held)
        if not self._poll_overdue():
            return False
        log.warning(
            "Consumer of group %s leaves the group: the application has not polled (getone,"
            " getmany) for more than max_poll_interval_ms=%s. It took too long over the records"
            " it has: process them faster, take fewer at once (max_poll_records), or raise"
            " max_poll_interval_ms. The consumer joins again with the next poll",
            self.group_id,
            self._max_poll_interval_ms,
        )
        self._go(MemberState.STALE)
        self.maybe_leave_group("max_poll_interval_ms was exceeded")
        return True

    # Before

    async def _on_join_prepare(self, prev_assignment: Assignment | None) -> None:
        """Finish with what is given up: commit, tell the listener.

        The eager protocol gives up everything.  The cooperative one (KIP-429) gives up nothing
        yet, unless the subscription has changed or the membership was lost.
        """
        self._go(MemberState.PREPARING)
        had = frozenset() if prev_assignment is None else prev_assignment.tps
        keep = (
            self._cooperative
            and not self._lost
            and (prev_assignment is None or prev_assignment.active)
        )
        self._subscription.begin_reassignment(delivering=keep)
        if prev_assignment is not None and not self._lost:
            await self._maybe_do_last_autocommit(prev_assignment)
        if keep and not self._lost:
            await self._give_up_unsubscribed()
            return
        self._subscription.begin_reassignment()
        if self._lost:
            self._go(MemberState.FENCED)
            await self._calls.lost(had)
        elif had or not self._cooperative:
            await self._calls.revoked(had)
        self._let_go(prev_assignment)

    async def _give_up_unsubscribed(self) -> None:
        """Under the cooperative protocol a new subscription has taken the assignment over."""
        held, subscription = self._held, self._subscription.subscription
        if held is None or subscription is None:
            return
        gone = {tp for tp in held.tps if tp.topic not in subscription.topics}
        if gone:
            with self._subscription.holding_back(subscription):
                await self._calls.revoked(gone)
            if held.active:
                self._subscription.update_assignment(added=(), taken=gone)
                self._subscription.begin_reassignment(delivering=True)

    @property
    def _lost(self) -> bool:
        """Has the group removed this member since it was given its partitions?"""
        return (
            self.generation == UNKNOWN_GENERATION and self._held_generation != UNKNOWN_GENERATION
        )

    async def _give_up_lost(self) -> None:
        """Under the cooperative protocol the membership may be lost with partitions in hand."""
        if self._held is not None and self._lost:
            self._go(MemberState.FENCED)
            self._subscription.begin_reassignment()
            await self._calls.lost(self._held.tps)
            self._let_go(self._held)

    def _let_go(self, assignment: Assignment | None) -> None:
        """Nothing is held any more."""
        self._held = self._joined_for = None
        self._held_generation = UNKNOWN_GENERATION
        if self._cooperative and assignment is not None and assignment.active:
            self._subscription.update_assignment(added=(), taken=assignment.tps)
            self._subscription.begin_reassignment()

    # The leader

    def _follow(self) -> None:
        """Somebody else leads the group: only our own topics matter."""
        self._is_leader = False
        if self._group_topics:
            self._group_topics = frozenset()
            self._track(self._subscription.topics)
        self._metadata_snapshot = self._get_metadata_snapshot()

    async def _perform_assignment(self, response: Response) -> dict[str, Any]:
        """The leader's work: share the partitions out.

        Parameters:
            response: a JoinGroupResponse of any version.

        Returns:
            For each member id its assignment, bytes or an object with ``encode()``.

        Raises:
            KafkaError: the assignor cannot be used.
        """
        assignor = assignor_named(self._assignors, response.group_protocol, self.group_id)
        members = subscriptions_of(response)
        log.info(
            "Elected group leader of %s -- performing partition assignments using %s",
            self.group_id,
            assignor.name,
        )
        self._group_topics = frozenset(
            topic for member in members.values() for topic in member.subscription
        )
        await self._wait_for_group_topics()
        self._is_leader = True
        self._metadata_snapshot = self._get_metadata_snapshot()
        if getattr(response, "skip_assignment", False):
            # KIP-814: a static leader is back; the coordinator keeps the assignment.
            return {}
        try:
            assignments: dict[str, Any] = assignor.assign(self._cluster, members)
        except Exception as error:
            raise KafkaError(
                f"The assignor {assignor.name!r} could not assign the partitions of group"
                f" {self.group_id!r}: {error!r}"
            ) from error
        log.debug("Assignments of group %s: %s", self.group_id, assignments)
        return assignments

    async def _wait_for_group_topics(self) -> None:
        """Have the metadata of all topics of the group, as far as it comes soon."""
        topics = self._group_topics.union(self._subscription.topics)
        known = partition_counts(self._cluster, topics)
        missing = sorted(topics.difference(known))
        self._track(topics)
        if not missing:
            return
        limit = min(_METADATA_WAIT, self._session_timeout_ms / 3000)
        version = self._client.request_metadata(f"topics of group {self.group_id!r}", missing)
        try:
            await self._client.wait_metadata(version, Deadline.after(limit))
        except KafkaError as error:
            log.info("Assigning partitions without those of %s: %s", missing, error)

    # After

    async def _on_join_complete(
        self, subscription: Subscription, protocol: str, assignment_bytes: bytes
    ) -> bool:
        """Take the assignment and tell the listener; False: join again."""
        try:
            assignment = ConsumerProtocolMemberAssignment.decode(assignment_bytes or _EMPTY)
        except KafkaError as error:
            self._trouble("Joining", error)
            self.request_rejoin("the assignment could not be read")
            return False
        partitions = [TopicPartition(*tp) for tp in assignment.partitions()]
        foreign = sorted({tp.topic for tp in partitions}.difference(subscription.topics))
        if foreign:
            unwanted = KafkaError(f"{foreign} were assigned, which are not subscribed to")
            self._trouble("Joining", unwanted)
            self.request_rejoin("topics were assigned that are not subscribed to")
            return False
        self._go(MemberState.ASSIGNING)
        assignor = assignor_named(self._assignors, protocol, self.group_id)
        assignor.on_assignment(assignment)
        on_generation = getattr(assignor, "on_generation_assignment", None)
        if on_generation is not None:
            on_generation(self.generation)
        self._start_heartbeat_task()
        if self._cooperative:
            await self._take_change(subscription, partitions)
        else:
            await self._take_anew(subscription, partitions)
        return True

    async def _take_anew(
        self, subscription: Subscription, partitions: list[TopicPartition]
    ) -> None:
        """Eager: everything was given up, and everything is new."""
        log.info(
            "Setting newly assigned partitions %s for group %s", set(partitions), self.group_id
        )
        self._subscription.assign_from_subscribed(partitions)
        self._keep(subscription)
        with self._subscription.holding_back(subscription):
            await self._calls.assigned(partitions)

    async def _take_change(
        self, subscription: Subscription, partitions: list[TopicPartition]
    ) -> None:
        """Cooperative: give up what was taken, then take what was added (KIP-429)."""
        held = self._held
        owned = held.tps if held is not None and held.active else frozenset()
        change = Change.between(owned, partitions)
        if change.taken and held is not None:
            with self._subscription.holding_back(subscription):
                # Records were given out while the group rebalanced.
                await self._maybe_do_last_autocommit(held)
                await self._calls.revoked(change.taken)
            # Others get them only when we have joined again without them.
            self.request_rejoin("partitions were given up for other members")
        if not subscription.active:
            if held is not None and held.active:
                # Another subscription has taken the assignment over, with what was given up.
                self._subscription.update_assignment(added=(), taken=change.taken)
                self._subscription.begin_reassignment(delivering=True)
            return
        log.info(
            "Setting newly assigned partitions %s for group %s", set(change.added), self.group_id
        )
        self._subscription.update_assignment(
            added=[tp for tp in partitions if tp in change.added], taken=change.taken
        )
        self._keep(subscription)
        with self._subscription.holding_back(subscription):
            await self._calls.assigned(change.added)

    def _keep(self, subscription: Subscription) -> None:
        self._held = subscription.assignment
        self._joined_for = subscription
        self._held_generation = self.generation
        if self._held is not None:
            # Positions are wanted while the listener is being told, for it may ask for them.
            self.start_commit_offsets_refresh_task(self._held)


_EMPTY = ConsumerProtocolMemberAssignment(0, [], b"").encode()
