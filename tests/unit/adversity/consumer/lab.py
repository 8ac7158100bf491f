"""What the tests of consumers in adversity share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from aiokafka.consumer import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from aiokafka.testing import FakeCluster, Rewrite
from tests.unit.adversity.lab import assert_client_gone, log_lines, loop, now, virtual
from tests.unit.consumer.consumer_lab import FAST, TP, TP1, fill, left_over, make

__all__ = [
    "FAST",
    "TP",
    "TP1",
    "AIOKafkaConsumer",
    "assert_nothing_left",
    "fill",
    "log_lines",
    "loop",
    "make",
    "now",
    "numbers",
    "partition_rows",
    "rewriting",
    "running",
    "virtual",
]


@contextlib.asynccontextmanager
async def running(
    *topics: str, brokers: int = 1, partitions: int = 1, records: int = 0, **settings: Any
) -> AsyncIterator[tuple[FakeCluster, AIOKafkaConsumer]]:
    """A started consumer of ``t``; stopped in the end, without a trace or a crash in the log."""
    cluster = settings.pop("cluster", {})
    with log_lines() as log:
        async with FakeCluster(brokers, **cluster) as kafka:
            kafka.create_topic("t", partitions)
            if records:
                await fill(kafka, records, partitions)
            consumer = make(kafka, *(topics or ("t",)), **settings)
            await consumer.start()
            try:
                yield kafka, consumer
            finally:
                kafka.faults.clear()
                await consumer.stop()
                await asyncio.sleep(0.001)
            assert_nothing_left()
    assert log.crashes == []


def assert_nothing_left() -> None:
    """After stop(): no task, timer or socket."""
    assert left_over() == []
    assert_client_gone()


def rewriting(kafka: FakeCluster, api: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Have *change* look at the values of every answer of *api*."""
    kafka.faults.add(Rewrite(lambda _, values: change(values)), api=api)


def partition_rows(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The partitions of an answer to Fetch or ListOffsets."""
    for topic in values["topics"]:
        yield from topic["partitions"]


async def numbers(
    consumer: AIOKafkaConsumer, count: int, within: float = 60.0, *tps: TopicPartition
) -> list[int]:
    """The values of the next records, which are numbers."""
    found: list[int] = []

    async def read() -> None:
        while len(found) < count:
            found.append(int((await consumer.getone(*tps)).value or b"-1"))

    await asyncio.wait_for(read(), within)
    return found
