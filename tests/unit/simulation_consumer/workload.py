"""A scenario come to life: a fake cluster, a writer, applications, faults, and a record of it all.

Owns :class:`Run`.  Everything is written down; nothing is judged here (see ``invariants``).
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from aiokafka.consumer._health import ConsumerVerdict
from aiokafka.structs import TopicPartition
from aiokafka.testing import (
    FakeCluster,
    FaultSchedule,
    GroupOptions,
    GroupState,
    VirtualTimeLoop,
)
from tests.unit.simulation import harness
from tests.unit.simulation.harness import open_ends

from .application import Application
from .journal import Journal
from .member import Member
from .reader import Reader
from .scenario import End, GroupPlan, Scenario, TopicPlan
from .writer import Writer

#: How often health() is asked, in seconds.
LOOK = 0.5
#: How long after the last fault everything has to be delivered, at the very most.
PATIENCE = 90.0


@dataclass(kw_only=True)
class Run(harness.Run):
    """One run of a scenario; :meth:`main` is to be run on a virtual-time loop.

    Attributes:
        settled: whether nothing happens any more that is not to be expected.
        settled_at: since when.
        drained_at: when each group, and each reader, had everything and all its members were
            stable, by name; not in it if never.
        blocked: times in which the event loop was blocked.
        without_members: groups whose members have all gone or failed.
    """

    scenario: Scenario
    settled: bool = False
    settled_at: float = 0.0
    drained_at: dict[str, float] = field(default_factory=dict)
    blocked: list[tuple[float, float]] = field(default_factory=list)
    without_members: set[str] = field(default_factory=set)
    members: dict[str, list[Member]] = field(default_factory=dict)
    readers: list[Reader] = field(default_factory=list)
    _broken: bool = False

    async def main(self) -> None:
        """Everything, from the cluster's start to its end."""
        scenario = self.scenario
        options = GroupOptions(**scenario.group_options)
        async with FakeCluster(
            seed=scenario.seed, group_options=options, **scenario.cluster
        ) as cluster:
            self.cluster = cluster
            self._prepare_topics()
            self.writer = Writer(
                cluster, scenario.writer, random.Random(f"{scenario.seed}/writer")
            )
            self.schedule = FaultSchedule.random(
                random.Random(f"{scenario.seed}/faults"),
                cluster,
                scenario.duration,
                kinds=scenario.kinds,
                events=scenario.events,
            )
            if scenario.events != (0, 0):
                self.schedule.start()
            lives = self._begin()
            looking = asyncio.ensure_future(self._look())
            await self._disturb()
            await self._drain()
            looking.cancel()
            for application in self.applications:
                application.end()
            await asyncio.gather(*lives)
            self.leftovers = open_ends(cluster)
            self.trace = [request.summary for request in cluster.requests]

    @property
    def applications(self) -> list[Application]:
        return [*(m for members in self.members.values() for m in members), *self.readers]

    @property
    def journals(self) -> list[Journal]:
        return [application.journal for application in self.applications]

    # -- the cluster's side --------------------------------------------------------------------

    def _prepare_topics(self) -> None:
        loop = self.cluster.loop
        for topic in self.scenario.topics:
            if topic.created_at == 0:
                self.cluster.create_topic(topic.name, topic.partitions)
            else:
                loop.call_later(
                    topic.created_at, self.cluster.create_topic, topic.name, topic.partitions
                )
            if topic.grows_at is not None:
                loop.call_later(topic.grows_at, self._grow, topic)
        for at, lasting in self.scenario.corruptions:
            loop.call_later(at, self._corrupt, lasting)

    def _grow(self, topic: TopicPlan) -> None:
        self.cluster.add_partitions(topic.name, topic.partitions + 2)

    def _corrupt(self, lasting: float) -> None:
        """Break the last batch of a partition for a while, if none is broken."""
        partitions = [p for p in self.cluster.topics.partitions() if p.log.batches]
        if self._broken or not partitions:
            return
        partition = partitions[0]
        offset = partition.log.batches[-1].base_offset
        repair = self.cluster.corrupt(partition.topic, partition.index, offset)
        self._broken = True

        def repaired() -> None:
            repair()
            self._broken = False

        self.cluster.loop.call_later(lasting, repaired)

    def block(self, seconds: float) -> None:
        """The application blocks the event loop: time passes and nothing happens."""
        loop = self.cluster.loop
        assert isinstance(loop, VirtualTimeLoop)
        now = loop.time()
        self.blocked.append((now, now + seconds))
        loop._now += seconds

    # -- the applications' side ----------------------------------------------------------------

    def _begin(self) -> list[asyncio.Future[None]]:
        lives = []
        for group in self.scenario.groups:
            members = self.members[group.name] = []
            for plan in group.members:
                member = Member(self, group, plan)
                members.append(member)
                ends_at = None if plan.end is End.LAST else plan.ends_at
                lives.append(member.live(plan.starts_at, ends_at, plan.end is End.CRASH))
        for reader_plan in self.scenario.readers:
            reader = Reader(self, reader_plan)
            self.readers.append(reader)
            lives.append(reader.live(0.0, None, False))
        return [asyncio.ensure_future(life) for life in lives]

    async def _disturb(self) -> None:
        """Let everything happen that is to happen, while topics are being filled."""
        assert self.schedule is not None
        writing = asyncio.ensure_future(self.writer.run())
        await asyncio.sleep(self.scenario.duration + 0.001)
        self.schedule.stop()
        leaving = [
            member
            for members in self.members.values()
            for member in members
            if member.member.end is not End.LAST
        ]
        while not all(member.over for member in leaving):
            await asyncio.sleep(0.1)
        writing.cancel()
        self.settled = True
        self.settled_at = self.cluster.loop.time()
        self.writer.finish()
        for partition in self.cluster.topics.partitions():
            self.writer.append(TopicPartition(partition.topic, partition.index))
        for reader in self.readers:
            reader.rest()

    async def _drain(self) -> None:
        """Wait until everything is delivered, and all members are stable."""
        loop = self.cluster.loop
        missing: dict[str, Any] = {group.name: group for group in self.scenario.groups}
        missing.update((reader.journal.who, reader) for reader in self.readers)
        while missing and loop.time() < self.settled_at + PATIENCE:
            for name, what in list(missing.items()):
                if isinstance(what, Reader):
                    drained = self._reader_drained(what)
                else:
                    drained = self._group_drained(what)
                if drained:
                    self.drained_at[name] = loop.time()
                    del missing[name]
            if missing:
                await asyncio.sleep(0.1)

    def subscribed(self, group: GroupPlan) -> list[TopicPartition]:
        """What the members of a group read all together."""
        return [
            TopicPartition(partition.topic, partition.index)
            for partition in self.cluster.topics.partitions()
            if group.topics is None or partition.topic in group.topics
        ]

    def undelivered(self, group: GroupPlan) -> list[tuple[TopicPartition, int]]:
        """Records that no member of the group was given."""
        given: dict[TopicPartition, set[int]] = {}
        for member in self.members[group.name]:
            for span in member.journal.spans:
                given.setdefault(span.tp, set()).update(d.offset for d in span.deliveries)
        return [
            (tp, record.offset)
            for tp in self.subscribed(group)
            for record in self.writer.visible(tp, group.committed_only)
            if record.offset not in given.get(tp, ())
        ]

    def _group_drained(self, group: GroupPlan) -> bool:
        members = [member for member in self.members[group.name] if not member.over]
        alive = [member for member in members if member.failed is None]
        if not alive:
            self.without_members.add(group.name)
            return True
        for member in alive:
            if not member.alive or member.journal.hands:
                return False
            assert member.consumer is not None
            health, kept = member.consumer.health(), self.cluster.group(group.name)
            if (
                health.member_state != "STABLE"
                or health.member_id not in kept.members
                or health.generation != kept.generation
                or kept.state is not GroupState.STABLE
            ):
                return False
            # Maybe once more, after the membership was lost.
            if not self._read_to_the_end(member):
                return False
        return not self.undelivered(group)

    def _read_to_the_end(self, application: Application) -> bool:
        assert application.consumer is not None
        assignment = application.consumer._subscription.assignment
        for tp, state in () if assignment is None else assignment.states:
            last = self.writer.visible(tp, application.plan.committed_only)[-1].offset
            # A seek may have ended behind the last record.
            if state.position is None or state.position <= last:
                return False
        return True

    def _reader_drained(self, reader: Reader) -> bool:
        if not reader.alive:
            return reader.failed is not None
        return not reader.journal.hands and self._read_to_the_end(reader)

    # -- health --------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Ask every consumer how it is, again and again."""
        while True:
            await asyncio.sleep(LOOK)
            for application in self.applications:
                if application.alive and not application.ending.done():
                    self._look_at(application)

    def _look_at(self, application: Application) -> None:
        now = self.cluster.loop.time()
        assert application.consumer is not None
        journal, health = application.journal, application.consumer.health()
        ok = health.verdict is ConsumerVerdict.OK
        if not ok and not health.reason:
            journal.unreasoned.append(f"{health.verdict} at {now:.3f}")
        given, application.given = application.given, 0
        if given or not ok or not application.waiting or not self._starved(application):
            application.silent_since = None
        elif application.silent_since is None:
            application.silent_since = now
            journal.unexplained.append((now, now))
        else:
            journal.unexplained[-1] = (application.silent_since, now)

    def _starved(self, application: Application) -> bool:
        """Whether there are records for an application."""
        assert application.consumer is not None
        assignment = application.consumer._subscription.assignment
        for tp, state in () if assignment is None else assignment.states:
            if tp in application.paused:
                continue
            log = self.cluster.partition(*tp).log
            stable = log.last_stable_offset()
            committed_only = application.plan.committed_only
            visible = [
                record
                for record in self.writer.visible(tp, committed_only)
                if not committed_only or record.offset < stable
            ]
            if visible and (state.position is None or state.position <= visible[-1].offset):
                return True
        return False

    # -- afterwards ----------------------------------------------------------------------------

    def outcome(self) -> list[Any]:
        """What became of every call and record: what two equal runs agree in."""
        found: list[Any] = []
        for journal in self.journals:
            found += [
                (journal.who, c.name, c.began_at, c.lasted, repr(c.error)) for c in journal.calls
            ]
            found += [
                (journal.who, span.tp, span.began_at, span.ended_at, d.at, d.offset, d.value)
                for span in journal.spans
                for d in span.deliveries
            ]
        # Sets and listeners are not always written in the same way.
        return [*found, *(line.split(":", 1)[0] for line in self.warnings.lines)]
