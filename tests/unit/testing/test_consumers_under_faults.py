"""The cluster under random faults, with stubborn consumers: what it says of itself stays true."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.group_members import GroupOptions, GroupState
from aiokafka.testing.schedule import CONSUMER_KINDS, FaultSchedule
from aiokafka.testing.virtual_time import run_virtual

from .fetching import fetch_response, results, values_of
from .grouping import Partner
from .lab import RawClient

RECORDS = 30


class Reader:
    """Reads a partition from its start, in a session, whatever comes between."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.position = 0
        self.values: list[bytes | None] = []
        self.client: RawClient | None = None
        self.session = (0, 0)

    async def run(self) -> None:
        while self.position < RECORDS:
            try:
                await asyncio.wait_for(self._fetch(), 3.0)
            except Exception:
                self.session = (0, 0)
                if self.client is not None:
                    self.client.transport.abort()
                self.client = None
                await asyncio.sleep(0.1)
        if self.client is not None:
            await self.client.close()

    async def _fetch(self) -> None:
        if self.client is None:
            leader = self.cluster.brokers[max(0, self.cluster.partition("t").leader)]
            self.client = await RawClient.connect(leader)
        session_id, epoch = self.session
        rows = {"t": [(0, self.position)]}
        response = await fetch_response(
            self.client, self.cluster, rows, wait=500, session_id=session_id, session_epoch=epoch
        )
        if response.error_code:
            raise ValueError(response.error_code)
        self.session = (response.session_id, epoch + 1 if response.session_id else 0)
        for result in results(self.cluster, response):
            if result.error_code:
                raise ValueError(result.error_code)
            for offset, value in values_of(result):
                if offset == self.position:
                    self.values.append(value)
                    self.position += 1


class Joiner:
    """Is a member as well as it can until it is told to leave."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.partner: Partner | None = None
        self.leaving = False

    async def run(self) -> None:
        while not self.leaving:
            try:
                await self._live()
            except Exception:
                self._drop()
                await asyncio.sleep(0.2)
        self._drop()

    def _drop(self) -> None:
        if self.partner is not None:
            self.partner.client.transport.abort()
        self.partner = None

    async def _live(self) -> None:
        known = "" if self.partner is None else self.partner.member_id
        partner = await asyncio.wait_for(self._connect(), 2.0)
        partner.member_id = known
        self.partner = partner
        while True:
            error = await asyncio.wait_for(partner.join(), 15.0)
            if not error:
                error, _ = await asyncio.wait_for(partner.sync(), 15.0)
            while not error and not self.leaving:
                error = await asyncio.wait_for(partner.heartbeat(), 2.0)
                await asyncio.sleep(0.5)
            if self.leaving:
                await asyncio.wait_for(partner.leave(), 2.0)
                return
            if error == ErrorCode.UNKNOWN_MEMBER_ID:
                partner.member_id = ""
            elif error != ErrorCode.REBALANCE_IN_PROGRESS:
                raise ValueError(error)

    async def _connect(self) -> Partner:
        return await Partner.connect(self.cluster, session=3.0, rebalance=5.0)


async def simulate(seed: int) -> Any:
    rng = random.Random(seed)
    options = GroupOptions(min_session_timeout=1.0, load_time=rng.choice((0.0, 0.3)))
    async with FakeCluster(3, seed=seed, group_options=options, session_timeout=2.0) as cluster:
        cluster.create_topic("t", 1, 3)
        schedule = FaultSchedule.random(rng, cluster, 15.0, kinds=CONSUMER_KINDS, events=(3, 12))
        schedule.start()
        joiners = [Joiner(cluster) for _ in range(3)]
        reader = Reader(cluster)
        running = [asyncio.ensure_future(joiner.run()) for joiner in joiners]
        reading = asyncio.ensure_future(reader.run())
        for number in range(RECORDS):
            cluster.append("t", 0, b"%d" % number)
            await asyncio.sleep(0.6)
        schedule.stop()
        words = schedule.describe()
        await asyncio.wait_for(reading, 60.0)
        assert reader.values == [b"%d" % number for number in range(RECORDS)], words
        group = cluster.group("g")

        def settled() -> bool:
            ids = {joiner.partner.member_id for joiner in joiners if joiner.partner is not None}
            stable = group.state is GroupState.STABLE and set(group.members) == ids
            return stable and len(ids) == len(joiners)

        await cluster.wait_until(settled, timeout=60.0, what=f"a stable group: {words}")
        for joiner in joiners:
            joiner.leaving = True
        await asyncio.wait(running)
        check_history(group)
        assert not any(part.log.listeners for part in cluster.topics.partitions())
        return words, [entry[:2] for entry in group.history]


def check_history(group: Any) -> None:
    generations = [event.details["generation"] for event in group.events("generation")]
    loads = len(group.events("loaded"))
    # A generation comes twice only if a coordinator was lost before it was written.
    assert len(generations) - len(set(generations)) <= loads
    for event in group.events("assigned"):
        assert event.details["generation"] in generations
    times = [event.time for event in group.history]
    assert times == sorted(times)


@pytest.mark.parametrize("seed", range(25))
def test_random_faults(seed):
    run_virtual(lambda: simulate(seed), seed=seed, limit=3600)


def test_the_same_seed_is_the_same_run():
    runs = [run_virtual(lambda: simulate(7), seed=7, limit=3600) for _ in range(2)]
    assert runs[0] == runs[1]
