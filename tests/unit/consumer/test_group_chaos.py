"""Groups under random faults, and large ones."""

from __future__ import annotations

import asyncio
import random
import re
import time

import pytest

from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaConnectionError
from aiokafka.testing import Cut, Deaf, Delay, Error, ErrorCode, LostAnswer
from tests.unit.consumer.group_lab import group, tps, until, virtual

ASSIGNORS = [
    RangePartitionAssignor,
    RoundRobinPartitionAssignor,
    StickyPartitionAssignor,
    CooperativeStickyPartitionAssignor,
]
APIS = ["FindCoordinator", "JoinGroup", "SyncGroup", "Heartbeat", "OffsetCommit", "OffsetFetch"]
PASSING = [
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
]


class Owners:
    """Who has been told to own which partition: never two at a time, as listeners see it."""

    def __init__(self):
        self.owned = {}

    def watch(self, member):
        mine = self.owned[member] = set()
        told = member.listener._told

        async def hear(name, partitions):
            await told(name, partitions)
            if name == "assigned":
                mine.update(partitions)
            else:
                mine.difference_update(partitions)

        member.listener._told = hear

    def forget(self, member):
        self.owned.pop(member, None)

    def all_have_one(self, partitions):
        owned = [tp for mine in self.owned.values() for tp in mine]
        return len(owned) == len(partitions) and set(owned) == partitions


def fault(rng: random.Random, kafka):
    """One random fault for a while."""
    action = rng.choice(
        [Cut(), LostAnswer(), Deaf(), Delay((0.05, 2.0)), Error(rng.choice(PASSING))]
    )
    kafka.faults.add(
        action,
        api=rng.choice(APIS),
        times=rng.randint(1, 4),
        probability=0.5,
        lasting=10.0,
    )


def whole_broker(rng: random.Random, kafka):
    broker = rng.choice(list(kafka.brokers.values()))
    what = rng.choice(["move", "drop", "freeze", "kill"])
    loop = asyncio.get_running_loop()
    if what == "move":
        kafka.move_coordinator("g")
    elif what == "drop":
        broker.drop_connections()
    elif what == "freeze" and broker.alive and not broker.frozen:
        broker.freeze()
        loop.call_later(rng.uniform(0.5, 5), broker.thaw)
    elif what == "kill" and broker.alive and not broker.frozen:
        broker.kill()
        loop.call_later(rng.uniform(0.5, 5), broker.restart)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("assignor", ASSIGNORS, ids=lambda a: a.name)
@virtual
async def test_settles_after_faults(assignor, seed):
    rng = random.Random(f"{assignor.name}/{seed}")
    everything = tps("t", *range(9))
    owners = Owners()
    async with group(partitions=9, brokers=3, cluster={"seed": seed}) as (kafka, make):
        members = []
        offset = 0
        highest = {}

        def check_commits():
            """Offsets are read in order, so they are committed in order."""
            for tp in everything:
                committed = kafka.group("g").committed.get(tp)
                if committed is not None:
                    assert committed.offset >= highest.get(tp, 0)
                    highest[tp] = committed.offset

        async def join():
            member = make(
                assignors=[assignor],
                auto_commit_interval_ms=700,
                group_instance_id=f"i{len(owners.owned)}-{rng.random()}"
                if rng.random() < 0.2
                else None,
            )
            await until(lambda: any(b.alive and not b.frozen for b in kafka.brokers.values()))
            try:
                await member.start("t")
            except KafkaConnectionError:
                await member.close()  # every broker it knows is down
                return
            owners.watch(member)
            members.append(member)

        await join()
        for _ in range(25):
            await asyncio.sleep(rng.uniform(0.1, 2.0))
            choice = rng.random()
            if choice < 0.2 and len(members) < 5:
                await join()
            elif choice < 0.3 and len(members) > 1:
                leaver = members.pop(rng.randrange(len(members)))
                await leaver.close()
                owners.forget(leaver)
            elif choice < 0.75:
                fault(rng, kafka)
            else:
                whole_broker(rng, kafka)
            for member in members:
                if member.subscription.assignment is not None:
                    offset += 1
                    member.read(offset)
            check_commits()
        kafka.faults.clear()
        await until(lambda: all(b.alive and not b.frozen for b in kafka.brokers.values()))
        await until(
            lambda: owners.all_have_one(everything) and all(m.stable for m in members), within=120
        )
        check_commits()
        for member in members:
            member.coordinator.check_errors()
            assert owners.owned[member] == member.partitions


@pytest.mark.slow
@pytest.mark.parametrize("assignor", ASSIGNORS, ids=lambda a: a.name)
@virtual
async def test_two_hundred_members(assignor):
    async with group(partitions=1000, brokers=3) as (kafka, make):
        settings = {
            "assignors": [assignor],
            "session_timeout_ms": 30000,
            "rebalance_timeout_ms": 60000,
            "heartbeat_interval_ms": 3000,
            "enable_auto_commit": False,
        }
        kafka.group_options.initial_rebalance_delay = 3
        started = time.monotonic()
        members = [make(**settings) for _ in range(200)]
        await asyncio.gather(*(member.start("t") for member in members))
        await until(
            lambda: (
                sum(len(m.partitions) for m in members) == 1000 and all(m.stable for m in members)
            ),
            within=300,
        )
        assert {len(m.partitions) for m in members} == {5}
        assert len({m.coordinator.generation for m in members}) == 1
        leaver = members.pop()
        await leaver.close()
        await until(
            lambda: (
                sum(len(m.partitions) for m in members) == 1000 and all(m.stable for m in members)
            ),
            within=300,
        )
        assert time.monotonic() - started < 30


@virtual
async def test_hundred_topics_by_pattern():
    async with group(topics=[f"topic-{i}" for i in range(100)], partitions=2) as (_, make):
        members = [await make().start(pattern=re.compile("topic-.*")) for _ in range(3)]
        await until(
            lambda: (
                sum(len(m.partitions) for m in members) == 200 and all(m.stable for m in members)
            )
        )
