"""Random fault schedules: repeatable, described, undone; and cheap enough for simulations."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.fetch_sessions import Wanted
from aiokafka.testing.schedule import (
    CONSUMER_KINDS,
    PRODUCER_KINDS,
    FaultEvent,
    FaultKind,
    FaultSchedule,
)
from aiokafka.testing.virtual_time import run_virtual

from .lab import RawClient, batch, loop, virtual

PID = 1


async def stubborn_producer(cluster: FakeCluster, count: int, partition: int) -> list[int]:
    """Produces numbered records idempotently, one at a time; returns the offsets."""
    offsets: list[int] = []
    sequence = 0
    client: RawClient | None = None
    node = next(iter(cluster.brokers))
    while sequence < count:
        try:
            if client is None:
                connecting = RawClient.connect(cluster.brokers[node])
                client = await asyncio.wait_for(connecting, 2.0)
            data = batch(b"%d" % sequence, pid=PID + partition, epoch=0, sequence=sequence)
            result = await asyncio.wait_for(client.produce("t", data, partition, version=10), 2.0)
        except (OSError, ValueError, AssertionError, asyncio.TimeoutError):
            result = None
        if result is not None and result.error_code == 0:
            offsets.append(result.base_offset)
            sequence += 1
            continue
        if client is not None:
            client.transport.abort()
            client = None
        await asyncio.sleep(0.05)
        node = cluster.partition("t", partition).leader
        if node < 0:
            node = next(iter(cluster.brokers))
    if client is not None:
        await client.close()
    return offsets


async def simulate(seed: int) -> tuple[str, list[tuple[float, int, str, int]], float]:
    """One run; its schedule in words, its history, and when it ended."""
    rng = random.Random(seed)
    async with FakeCluster(3, seed=seed) as cluster:
        cluster.create_topic("t", 2, 3)
        schedule = FaultSchedule.random(rng, cluster, 20.0)
        schedule.start()
        producers = [stubborn_producer(cluster, 20, partition) for partition in range(2)]
        for partition, offsets in enumerate(await asyncio.gather(*producers)):
            stored = [int(r.value or b"-1") for r in cluster.records("t", partition)]
            assert offsets == list(range(20)), schedule.describe()
            assert stored == list(range(20)), schedule.describe()
        schedule.stop()
        history = [request.summary for request in cluster.requests]
        return schedule.describe(), history, loop().time()


def run_simulation(seed: int):
    return run_virtual(lambda: simulate(seed), seed=seed, limit=3600)


@pytest.mark.parametrize("seed", range(5))
def test_same_seed_same_history(seed):
    assert run_simulation(seed) == run_simulation(seed)


def test_other_seed_other_history():
    assert run_simulation(100) != run_simulation(101)


def test_a_hundred_simulations_are_quick():
    started = time.process_time()
    for seed in range(1000, 1100):
        run_simulation(seed)
    assert time.process_time() - started < 20  # CPU seconds: other work on the machine is no fault


@pytest.mark.parametrize("kind", list(FaultKind), ids=lambda kind: kind.name)
def test_every_kind_is_undone(kind):
    @virtual
    async def check():
        async with FakeCluster(2) as cluster:
            cluster.create_topic("t", 1, 2)
            links = [(b.link.latency, b.link.chunking) for b in cluster.brokers.values()]
            schedule = FaultSchedule.random(
                random.Random(1), cluster, 10.0, kinds=[kind], events=(5, 5)
            )
            assert [event.kind for event in schedule.events] == [kind] * 5
            assert schedule.describe().count(kind.value) >= 5
            schedule.start()
            await asyncio.sleep(10.1)
            assert list(cluster.faults) == []
            for broker, link in zip(cluster.brokers.values(), links, strict=True):
                assert broker.alive
                assert not broker.frozen
                assert not broker.fenced
                assert (broker.link.latency, broker.link.chunking) == link
                client = await RawClient.connect(broker)
                await client.close()
            result = None
            client = await RawClient.connect(cluster.brokers[cluster.partition("t", 0).leader])
            result = await client.produce("t", batch(b"x"))
            assert result.error_code == 0
            await client.close()

    check()


@virtual
async def test_stop_makes_the_cluster_whole():
    async with FakeCluster(3) as cluster:
        events = [
            FaultEvent(0.0, 100.0, FaultKind.KILL, 0, 0.5, 0),
            FaultEvent(0.0, 100.0, FaultKind.FREEZE, 1, 0.5, 0),
            FaultEvent(0.0, 100.0, FaultKind.UNREACHABLE, 2, 0.5, 0),
            FaultEvent(50.0, 1.0, FaultKind.KILL, 2, 0.5, 0),
        ]
        schedule = FaultSchedule(cluster, 100.0, events)
        schedule.start()
        await asyncio.sleep(1)
        assert not cluster.brokers[0].alive
        assert cluster.brokers[1].frozen
        schedule.stop()
        for broker in cluster.brokers.values():
            await (await RawClient.connect(broker)).close()
        await asyncio.sleep(100)
        assert cluster.brokers[2].alive


async def test_kinds_on_real_sockets():
    async with FakeCluster(1) as cluster:
        schedule = FaultSchedule.random(random.Random(5), cluster, 1.0, events=(200, 200))
        kinds = {event.kind for event in schedule.events}
        assert FaultKind.KILL in kinds
        assert FaultKind.UNREACHABLE not in kinds
        assert all(event.at + event.lasting <= 1.02 for event in schedule.events)


def test_kinds_of_producers_stay_what_they_are():
    """Else seeds would stand for other schedules than before."""
    assert len(PRODUCER_KINDS) == 21
    assert tuple(FaultKind)[:21] == PRODUCER_KINDS
    assert set(FaultKind) == set(PRODUCER_KINDS) | set(CONSUMER_KINDS)
    rng = random.Random(7)
    drawn = [FaultSchedule.random(rng, _Nodes(), 10.0) for _ in range(20)]  # type: ignore[arg-type]
    assert {event.kind for schedule in drawn for event in schedule.events} <= set(PRODUCER_KINDS)


class _Nodes:
    """As much of a cluster as drawing needs."""

    network = object()
    brokers = (0, 1, 2)


@virtual
async def test_coordinators_move_and_sessions_end():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t")
        cluster.group("g")
        before = cluster.coordinator_of("g")
        events = [
            FaultEvent(1.0, 0.0, FaultKind.COORDINATOR_MOVE, 0, 0.5, 3),
            FaultEvent(1.0, 0.0, FaultKind.SESSIONS_FORGOTTEN, 0, 0.5, 3),
        ]
        broker = cluster.brokers[0]
        broker.fetch_sessions.open([Wanted("t", 0, 0, 1)], False)
        FaultSchedule(cluster, 2.0, events).start()
        await asyncio.sleep(1.5)
        assert cluster.coordinator_of("g") is not before
        assert len(broker.fetch_sessions) == 0
