"""Outages of ten minutes under steady load: bounded memory, a quiet log, a quick return."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from aiokafka import AIOKafkaProducer
from aiokafka._news import SPACING
from aiokafka.errors import KafkaError
from aiokafka.testing import Deaf, Error, ErrorCode, FakeCluster, Refuse, WrongCorrelationId

from .lab import log_lines, now, producing, still_works, virtual

TEN_MINUTES = 600.0
#: Seconds between two records.
INTERVAL = 0.05
BUFFER = 20_000
RECORD = b"x" * 100
#: Three brokers, known by node id and as bootstrap servers, with two kinds of trouble each, and
#: what the metadata and the producer have to say.
KINDS_OF_LINES = 3 * 2 * 2 + 5


class Load:
    """Sends a record every now and then, and counts what becomes of them."""

    def __init__(self, producer: AIOKafkaProducer, topic: str = "t") -> None:
        self.producer = producer
        self.topic = topic
        self.outstanding: set[asyncio.Future[Any]] = set()
        self.most_outstanding = 0
        self.most_used = 0
        self.delivered = self.failed = self.refused = 0

    async def run(self, seconds: float) -> None:
        end = now() + seconds
        while now() < end:
            began = now()
            try:
                future = await self.producer.send(self.topic, RECORD)
            except KafkaError:
                self.refused += 1
            else:
                self.outstanding.add(future)
                future.add_done_callback(self._ended)
            assert now() - began <= self.producer._max_block + 0.01
            self.most_outstanding = max(self.most_outstanding, len(self.outstanding))
            self.most_used = max(self.most_used, self.producer._message_accumulator.pool.used)
            await asyncio.sleep(INTERVAL)

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self.outstanding.discard(future)
        if future.exception() is None:
            self.delivered += 1
        else:
            self.failed += 1


def dead(cluster: FakeCluster) -> None:
    for broker in cluster.brokers.values():
        broker.kill()


def frozen(cluster: FakeCluster) -> None:
    for broker in cluster.brokers.values():
        broker.freeze()


def unreachable(cluster: FakeCluster) -> None:
    for broker in cluster.brokers.values():
        broker.link.blackhole()


def deaf(cluster: FakeCluster) -> None:
    cluster.faults.add(Deaf())


def out_of_step(cluster: FakeCluster) -> None:
    cluster.faults.add(WrongCorrelationId(), probability=0.5)


def flapping(cluster: FakeCluster) -> None:
    cluster.faults.add(Refuse(), probability=0.5)
    cluster.faults.add(Deaf(), api="ApiVersions", probability=0.3)
    cluster.faults.add(Error(ErrorCode.NOT_ENOUGH_REPLICAS), api="Produce")


def heal(cluster: FakeCluster) -> None:
    cluster.faults.clear()
    for broker in cluster.brokers.values():
        broker.thaw()
        broker.link.heal()
        if not broker.alive:
            broker.restart()


@pytest.mark.slow
@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize(
    "outage",
    [dead, frozen, unreachable, deaf, out_of_step, flapping],
    ids=lambda outage: outage.__name__,
)
@virtual
async def test_everything_is_down(outage, idempotent):
    async with (
        FakeCluster(3) as cluster,
        producing(
            cluster, enable_idempotence=idempotent, buffer_memory=BUFFER, max_block_ms=500
        ) as producer,
    ):
        cluster.create_topic("t", 3)
        await still_works(producer)
        load = Load(producer)
        requests = len(cluster.requests)
        made = cluster.connections_made
        with log_lines() as log:
            outage(cluster)
            # One that never settles keeps the simulation busy; a part of it says enough.
            await load.run(TEN_MINUTES / 6 if outage is out_of_step else TEN_MINUTES)
        assert load.most_used <= BUFFER
        assert load.most_outstanding <= BUFFER / len(RECORD)
        # A change of state is a line; and one that comes and goes is not reported all the time.
        comes_and_goes = outage in (out_of_step, flapping)
        often = TEN_MINUTES / SPACING * KINDS_OF_LINES if comes_and_goes else 0
        assert len(log.lines()) <= 20 + often, "\n".join(log.lines()[:50])
        assert len(cluster.requests) - requests < 60_000
        assert cluster.connections_made - made < 20_000
        began = now()
        heal(cluster)
        await asyncio.wait_for(until_delivered(producer), 10)
        # The last request or connection attempt that is not answered has to time out first.
        assert now() - began < 6


async def until_delivered(producer: AIOKafkaProducer) -> None:
    while True:
        try:
            await producer.send_and_wait("t", b"back?")
            return
        except KafkaError:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("state", ["dead", "frozen"])
@virtual
async def test_recovery_within_the_backoff(state):
    """Once it is back, the next record is delivered within the next backoff and a bit."""
    async with (
        FakeCluster(1) as cluster,
        producing(cluster, delivery_timeout_ms=60_000) as producer,
    ):
        await still_works(producer)
        broker = cluster.brokers[0]
        (broker.kill if state == "dead" else broker.freeze)()
        future = await producer.send("t", b"v")
        await asyncio.sleep(31.7)
        (broker.restart if state == "dead" else broker.thaw)()
        began = now()
        await future
        # reconnect_backoff_max_ms and retry_backoff_max_ms are a second each; a connection
        # attempt that hangs at the frozen broker goes on when it thaws.
        assert now() - began <= 1.3


@pytest.mark.slow
@virtual
async def test_one_partition_of_three_is_down():
    """The others go on; the log says once in a while that records expire, not each time."""
    async with (
        FakeCluster(3, session_timeout=None) as cluster,
        producing(cluster, delivery_timeout_ms=1_000, request_timeout_ms=400) as producer,
    ):
        cluster.create_topic("t", assignment={0: [0], 1: [1], 2: [2]})
        await still_works(producer)
        cluster.brokers[1].freeze()
        load = Load(producer)
        with log_lines() as log:
            await load.run(TEN_MINUTES)
        assert load.refused == 0
        assert load.delivered > 1.8 * load.failed > 0
        assert len(log.lines(logging.INFO)) <= 20 + 4 * TEN_MINUTES / SPACING, "\n".join(
            log.lines(logging.INFO)[:50]
        )
