"""A member of a group, with its rebalance listener."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    ConsumerStoppedError,
    FencedInstanceIdError,
    IllegalStateError,
    KafkaError,
)
from aiokafka.structs import ConsumerRecord, TopicPartition

from .application import Application, Poisoned
from .scenario import PATTERN, Commits, GroupPlan, MemberPlan

if TYPE_CHECKING:
    from .workload import Run

ASSIGNORS = {
    assignor.name: assignor
    for assignor in (
        RangePartitionAssignor,
        RoundRobinPartitionAssignor,
        StickyPartitionAssignor,
        CooperativeStickyPartitionAssignor,
    )
}

#: How often an application asks for a position or a committed offset, for no reason.
CURIOSITY = 0.03


class ListenerFailure(Exception):
    """What a rebalance listener raises now and then."""


class Member(Application):
    """A member of a group."""

    plan: GroupPlan

    def __init__(self, run: Run, group: GroupPlan, plan: MemberPlan) -> None:
        who = f"{group.name}/member-{plan.number}"
        super().__init__(run, who, group, plan.style, plan.pause)
        self.member = plan
        self.journal.instance = plan.instance
        self.member_id = ""
        self._polls = 0
        self._stalls = [*plan.stalls]
        self._blocks = [*plan.blocks]
        self._began_at = self.loop.time()

    @property
    def rebalance_timeout(self) -> float:
        given = self.settings["rebalance_timeout_ms"]
        return float(self.settings["session_timeout_ms"] if given is None else given) / 1000

    def _more_settings(self) -> dict[str, Any]:
        return {
            **self.settings,
            "group_id": self.plan.name,
            "group_instance_id": self.member.instance,
            "partition_assignment_strategy": [ASSIGNORS[name] for name in self.plan.assignors],
        }

    def _make(self) -> Any:
        consumer = super()._make()
        self.consumer = consumer
        self._subscribe()
        return consumer

    def _subscribe(self) -> None:
        assert self.consumer is not None
        kind = Listener if self.member.listener.told_lost else OldListener
        if self.plan.topics is None:
            self.consumer.subscribe(pattern=PATTERN, listener=kind(self))
        else:
            self.consumer.subscribe(self.plan.topics, listener=kind(self))

    async def _begun(self) -> None:
        if self.member.leaves_at is not None:
            due = self._began_at + self.member.leaves_at
            self._leaving = self.loop.call_at(max(due, self.loop.time()), self._resubscribe)

    def _resubscribe(self) -> None:
        """Give the subscription up, to take it again soon."""
        if not self.alive or self.ending.done():
            return
        assert self.consumer is not None
        self.journal.end_all(self.loop.time())
        self.consumer.unsubscribe()
        self.loop.call_later(self.rng.uniform(0, 1.0), self._subscribe_again)

    def _subscribe_again(self) -> None:
        if self.alive and not self.ending.done():
            self._subscribe()

    def _membership(self) -> tuple[int, str]:
        assert self.consumer is not None
        coordinator: Any = self.consumer._coordinator
        return coordinator._held_generation, self.member_id

    def _ended_by(self, error: KafkaError) -> bool:
        assert self.consumer is not None
        coordinator: Any = self.consumer._coordinator
        return isinstance(error, FencedInstanceIdError) or coordinator._fatal is not None

    # -- rebalances ----------------------------------------------------------------------------

    async def assigned(self, tps: set[TopicPartition]) -> None:
        """Partitions have come."""
        assert self.consumer is not None
        coordinator: Any = self.consumer._coordinator
        self.member_id = coordinator.member_id
        try:
            await self._called()
        finally:
            for tp in sorted(tps):
                self.done.pop(tp, None)
                self.journal.begin(tp, self.loop.time())

    async def revoked(self, tps: set[TopicPartition]) -> None:
        """Partitions are to be given up."""
        for tp in tps:
            self.journal.end(tp, self.loop.time())
        await self._called()
        if self.member.listener.commits and self.plan.commits is Commits.MANUAL:
            await self._commit({tp: self.done[tp] for tp in sorted(tps) if tp in self.done})

    async def lost(self, tps: set[TopicPartition]) -> None:
        """Partitions are gone."""
        for tp in tps:
            self.journal.end(tp, self.loop.time())
        await self._called()

    async def _called(self) -> None:
        listener = self.member.listener
        if listener.delay:
            await asyncio.sleep(self.rng.uniform(0, listener.delay))
        if self.rng.random() < listener.raises:
            raise ListenerFailure

    async def _commit(self, offsets: dict[TopicPartition, int] | None) -> None:
        assert self.consumer is not None
        if offsets != {}:
            await self._call("commit", self.consumer.commit(offsets))  # type: ignore[arg-type]

    # -- work ----------------------------------------------------------------------------------

    async def _handle(self, records: list[ConsumerRecord[Any, Any]]) -> None:
        await super()._handle(records)
        await self._dawdle()
        if self.ending.done():
            return
        for record in records:
            self.done[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if self.plan.commits is Commits.MANUAL:
            # What the listener commits, too.
            self.journal.came_back(self.loop.time())
        await self._wonder(TopicPartition(records[0].topic, records[0].partition))
        if self.plan.commits is Commits.MANUAL:
            self._polls += 1
            if self._polls % self.member.commit_every == 0:
                await self._commit_something(records)
        elif self.plan.commits is Commits.STORED:
            self._store(records)

    async def _commit_something(self, records: list[ConsumerRecord[Any, Any]]) -> None:
        if self.rng.random() < 0.5:
            await self._commit(None)
            return
        tps = sorted({TopicPartition(record.topic, record.partition) for record in records})
        # A rebalance may have begun them anew meanwhile.
        await self._commit({tp: self.done[tp] for tp in tps if tp in self.done})

    def _store(self, records: list[ConsumerRecord[Any, Any]]) -> None:
        for record in records:
            self._store_one(TopicPartition(record.topic, record.partition), record.offset + 1)
        self.journal.came_back(self.loop.time())

    def _store_one(self, tp: TopicPartition, offset: int) -> None:
        assert self.consumer is not None
        span = self.journal.current.get(tp)
        if span is None or not span.deliveries or span.deliveries[-1].offset < offset - 1:
            return  # from before a rebalance, after which others may have got further
        try:
            self.consumer.store_offsets({tp: offset})
        except (IllegalStateError, ConsumerStoppedError):
            return  # given up meanwhile

    def _skip(self, error: Poisoned) -> None:
        super()._skip(error)
        if self.plan.commits is Commits.STORED:
            tp = TopicPartition(error.topic, error.partition)  # type: ignore[attr-defined]
            self._store_one(tp, self.done[tp])

    async def _dawdle(self) -> None:
        """Do not poll for long, or block the loop, when that is due."""
        if self.run.settled:
            return
        passed = self.loop.time() - self._began_at
        for at, lasting in list(self._stalls):
            if passed >= at:
                self._stalls.remove((at, lasting))
                await asyncio.wait((self.ending,), timeout=lasting)
        for at, lasting in list(self._blocks):
            if passed >= at:
                self._blocks.remove((at, lasting))
                self.run.block(lasting)
                await asyncio.sleep(0)

    async def _wonder(self, tp: TopicPartition) -> None:
        """Ask for an offset now and then."""
        assert self.consumer is not None
        roll = self.rng.random()
        if roll < CURIOSITY:
            await self._call("committed", self.consumer.committed(tp))
        elif roll < 2 * CURIOSITY:
            await self._call("position", self.consumer.position(tp))


class OldListener(ConsumerRebalanceListener):
    """A listener without ``on_partitions_lost``."""

    def __init__(self, member: Member) -> None:
        self._member = member

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._member.assigned(assigned)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._member.revoked(revoked)


class Listener(OldListener):
    """A listener that can tell lost partitions from revoked ones."""

    async def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        await self._member.lost(lost)
