"""Producers on a fake cluster in virtual time, and a cluster that is only a table of leaders."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Any

from aiokafka.producer import AIOKafkaProducer
from aiokafka.structs import TopicPartition
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.virtual_time import run_virtual

TP = TopicPartition("t", 0)
TP1 = TopicPartition("t", 1)

FAST = {
    "request_timeout_ms": 1000,
    "max_block_ms": 2000,
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

    # pytest must not look for fixtures named after the wrapped function's wiring.
    return wrapper


def now() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def producing(partitions: int = 1, brokers: int = 1, cluster: dict | None = None, **kwargs):
    """A started producer on a fake cluster with topic ``t``: yields both."""
    async with FakeCluster(brokers=brokers, **(cluster or {})) as kafka:
        kafka.create_topic("t", partitions=partitions)
        settings = {**FAST, **kwargs}
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, **settings)
        await producer.start()
        try:
            yield kafka, producer
        finally:
            kafka.faults.clear()
            await producer.stop()


async def warm(producer: AIOKafkaProducer, topic: str = "t") -> None:
    """Have the topic's metadata at hand."""
    await producer.partitions_for(topic)


class Leaders:
    """As much of ClusterMetadata as the accumulator looks at."""

    def __init__(self, **leaders: Any) -> None:
        self.leaders: dict[TopicPartition, int | None] = {}

    def leader_for_partition(self, tp: TopicPartition) -> int | None:
        return self.leaders.get(tp, 0)


def batches_of(kafka: FakeCluster, partition: int = 0):
    """What the log has, as (epoch, base sequence, values)."""
    return [
        (b.producer_epoch, b.base_sequence, [r.value for r in b.records])
        for b in kafka.partition("t", partition).log.batches
    ]
