"""What the tests of consumers on real brokers share."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import confluent_kafka

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.structs import ConsumerRecord, TopicPartition

# The shortest that brokers allow by default.
SESSION_TIMEOUT_MS = 6000
SESSION_TIMEOUT = SESSION_TIMEOUT_MS / 1000


def consumer_of(bootstrap: str, *topics: str, **options: Any) -> AIOKafkaConsumer[Any, Any]:
    """A consumer with quick settings, not started."""
    options = {
        "auto_offset_reset": "earliest",
        "session_timeout_ms": SESSION_TIMEOUT_MS,
        "heartbeat_interval_ms": 500,
        "fetch_max_wait_ms": 100,
        "stop_timeout_ms": 2000,
        **options,
    }
    return AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, **options)


@contextlib.asynccontextmanager
async def consuming(
    bootstrap: str, *topics: str, **options: Any
) -> AsyncIterator[AIOKafkaConsumer[Any, Any]]:
    """`consumer_of`, started, and stopped at the end."""
    consumer = consumer_of(bootstrap, *topics, **options)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def take(
    consumer: AIOKafkaConsumer[Any, Any], count: int, timeout: float = 20.0
) -> list[ConsumerRecord[Any, Any]]:
    """The next `count` records, by getmany()."""
    records: list[ConsumerRecord[Any, Any]] = []
    give_up = time.monotonic() + timeout
    while len(records) < count:
        assert time.monotonic() < give_up, (
            f"{len(records)} of {count} records; {consumer.health()}"
        )
        taken = await consumer.getmany(timeout_ms=200, max_records=count - len(records))
        for of_partition in taken.values():
            records += of_partition
    return records


async def nothing_comes(consumer: AIOKafkaConsumer[Any, Any], timeout_ms: int = 400) -> None:
    """Fails when there is a record."""
    assert await consumer.getmany(timeout_ms=timeout_ms) == {}


def fill(
    bootstrap: str, topic: str, values: Iterable[bytes], partition: int = 0, **options: Any
) -> None:
    """Write records with librdkafka; blocks."""
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": bootstrap, "log_level": 2, "linger.ms": 1}
    )
    for value in values:
        producer.produce(topic, value, partition=partition, **options)
    assert producer.flush(30) == 0


async def fill_async(
    bootstrap: str, topic: str, values: Iterable[bytes], partition: int = 0, **options: Any
) -> None:
    """`fill`, in a worker thread."""
    await asyncio.to_thread(fill, bootstrap, topic, values, partition, **options)


def numbers(count: int, first: int = 0) -> list[bytes]:
    """Values to write."""
    return [b"%d" % number for number in range(first, first + count)]


class Moves(ConsumerRebalanceListener):
    """Notes which partitions come and go."""

    def __init__(self) -> None:
        self.events: list[tuple[str, frozenset[TopicPartition]]] = []

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.events.append(("revoked", frozenset(revoked)))

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.events.append(("assigned", frozenset(assigned)))

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self.events.append(("lost", frozenset(lost)))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


class Reader:
    """Reads on and on in a task, so that a member of a group is a live one."""

    def __init__(self, consumer: AIOKafkaConsumer[Any, Any]) -> None:
        self.consumer = consumer
        self.records: list[ConsumerRecord[Any, Any]] = []
        self.at: list[float] = []
        self.longest_call = 0.0
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while True:
            started = time.monotonic()
            taken = await self.consumer.getmany(timeout_ms=500)
            now = time.monotonic()
            self.longest_call = max(self.longest_call, now - started)
            for records in taken.values():
                self.records += records
                self.at += [now] * len(records)
            # What is there already is given out without letting others run.
            await asyncio.sleep(0)

    def values(self) -> list[bytes]:
        return [record.value for record in self.records]

    def by_partition(self) -> dict[int, list[bytes]]:
        found: dict[int, list[bytes]] = defaultdict(list)
        for record in self.records:
            found[record.partition].append(record.value)
        return found

    @property
    def task(self) -> asyncio.Task[None]:
        return self._task

    async def end(self) -> None:
        """Stop reading; raises what reading raised."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


@contextlib.asynccontextmanager
async def reading(
    bootstrap: str, *topics: str, listener: Moves | None = None, **options: Any
) -> AsyncIterator[Reader]:
    """A consumer that is started and read from; with `listener` subscribed to `topics`."""
    consumer = consumer_of(bootstrap, *(() if listener else topics), **options)
    if listener is not None:
        consumer.subscribe(topics, listener=listener)
    try:
        await consumer.start()
        reader = Reader(consumer)
        try:
            yield reader
        finally:
            await reader.end()
    finally:
        await consumer.stop()


async def until(condition: Callable[[], Any], timeout: float, what: str) -> float:
    """Wait for `condition`; how many seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, f"not within {timeout} s: {what}"
        await asyncio.sleep(0.02)
    return time.monotonic() - started
