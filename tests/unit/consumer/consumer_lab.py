"""Whole consumers on a fake cluster in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiokafka.consumer import AIOKafkaConsumer
from aiokafka.producer import AIOKafkaProducer
from aiokafka.structs import TopicPartition
from aiokafka.testing.cluster import FakeCluster
from tests.unit.consumer.group_lab import now, virtual

__all__ = [
    "FAST",
    "TP",
    "TP1",
    "consuming",
    "fill",
    "left_over",
    "make",
    "now",
    "take",
    "virtual",
    "within",
]

TP = TopicPartition("t", 0)
TP1 = TopicPartition("t", 1)

FAST = {
    "request_timeout_ms": 1000,
    "default_api_timeout_ms": 3000,
    "stop_timeout_ms": 5000,
    "session_timeout_ms": 6000,
    "heartbeat_interval_ms": 1000,
    "auto_offset_reset": "earliest",
    "reconnect_backoff_max_ms": 200,
    "socket_connection_setup_timeout_ms": 1000,
    "socket_connection_setup_timeout_max_ms": 1000,
}


def make(kafka: FakeCluster, *topics: str, **settings: Any) -> AIOKafkaConsumer:
    """A consumer of the cluster, not started."""
    return AIOKafkaConsumer(
        *topics, bootstrap_servers=kafka.bootstrap_servers, **{**FAST, **settings}
    )


@contextlib.asynccontextmanager
async def consuming(
    *topics: str, partitions: int = 1, brokers: int = 1, records: int = 0, **settings: Any
):
    """A started consumer on a fake cluster with topic ``t``: yields both."""
    async with FakeCluster(brokers=brokers) as kafka:
        kafka.create_topic("t", partitions=partitions)
        if records:
            await fill(kafka, records, partitions)
        consumer = make(kafka, *(topics or ("t",)), **settings)
        await consumer.start()
        try:
            yield kafka, consumer
        finally:
            kafka.faults.clear()
            await consumer.stop()


async def fill(kafka: FakeCluster, records: int, partitions: int = 1, topic: str = "t") -> None:
    """Records with their numbers as values, dealt out to the partitions in turn."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for number in range(records):
            await producer.send(
                topic, b"%d" % number, partition=number % partitions, timestamp_ms=1000 + number
            )


async def take(consumer: AIOKafkaConsumer, count: int) -> list[bytes | None]:
    return [(await consumer.getone()).value for _ in range(count)]


@contextlib.asynccontextmanager
async def within(seconds: float, at_least: float = 0.0):
    """The block takes no longer, in virtual time."""
    started = now()
    yield
    took = now() - started
    assert at_least <= took <= seconds, f"took {took:.3f} s"


def left_over() -> list[str]:
    """Names of tasks of the package that still run."""
    current = asyncio.current_task()
    return [
        task.get_name()
        for task in asyncio.all_tasks()
        if task is not current
        and any(word in task.get_name() for word in ("fetcher", "group", "consumer", "client"))
        and not task.get_name().startswith("Task-")
    ]
