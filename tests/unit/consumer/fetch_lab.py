"""A fetcher on a fake cluster in virtual time, without a group: positions are what the reset
strategy says."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.virtual_time import run_virtual

TP = TopicPartition("t", 0)
TP1 = TopicPartition("t", 1)
TP2 = TopicPartition("t", 2)

FAST = {
    "request_timeout_ms": 5000,
    "reconnect_backoff_max_ms": 200,
    "socket_connection_setup_timeout_ms": 1000,
    "socket_connection_setup_timeout_max_ms": 1000,
}


def virtual(test):
    """Run a coroutine function as a test in virtual time."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        run_virtual(main)

    return wrapper


def now() -> float:
    return asyncio.get_running_loop().time()


class Lab:
    """What the tests hold in their hands."""

    def __init__(self, kafka, client, subscriptions, fetcher) -> None:
        self.kafka: FakeCluster = kafka
        self.client: AIOKafkaClient = client
        self.subscriptions: SubscriptionState = subscriptions
        self.fetcher: Fetcher = fetcher

    def state(self, tp=TP):
        return self.subscriptions._assigned_state(tp)

    def append(self, *values, partition=0, **kwargs):
        """Append a batch of the values, which are written as numbers."""
        records = [b"%d" % value for value in values]
        return self.kafka.append("t", partition, *records, **kwargs)

    async def take(self, count, partitions=(), limit=30.0):
        """The values of the next records, as numbers."""

        async def read():
            return [int((await self.fetcher.next_record(partitions)).value) for _ in range(count)]

        return await asyncio.wait_for(read(), limit)

    def assign(self, *tps):
        self.subscriptions.assign_from_user(tps)
        self.answer_committed()

    def answer_committed(self, offset=-1):
        """Be the coordinator of a consumer without a group."""
        loop = asyncio.get_running_loop()
        assignment = self.subscriptions.assignment

        def answer():
            if assignment.active:
                for tp in assignment.requesting_committed():
                    assignment.state_value(tp).update_committed(OffsetAndMetadata(offset, ""))
                loop.call_later(0.001, answer)

        loop.call_soon(answer)


@contextlib.asynccontextmanager
async def fetching(
    *,
    partitions: int = 1,
    brokers: int = 1,
    cluster: dict | None = None,
    client: dict | None = None,
    assign=None,
    topic: dict | None = None,
    prepare=None,
    **kwargs,
) -> AsyncIterator[Lab]:
    """A fetcher that reads topic ``t`` from the beginning."""
    async with FakeCluster(brokers=brokers, **(cluster or {})) as kafka:
        kafka.create_topic("t", partitions=partitions, **(topic or {}))
        if prepare is not None:
            prepare(kafka)
        a_client = AIOKafkaClient(
            bootstrap_servers=kafka.bootstrap_servers, **{**FAST, **(client or {})}
        )
        await a_client.bootstrap()
        await a_client.add_topic("t")
        subscriptions = SubscriptionState()
        fetcher = Fetcher(a_client, subscriptions, **{"auto_offset_reset": "earliest", **kwargs})
        lab = Lab(kafka, a_client, subscriptions, fetcher)
        if assign is None:
            assign = [TopicPartition("t", number) for number in range(partitions)]
        if assign:
            lab.assign(*assign)
        try:
            yield lab
        finally:
            kafka.faults.clear()
            await fetcher.close()
            subscriptions.unsubscribe()
            await a_client.close()
