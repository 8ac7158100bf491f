"""End-to-end latency: a producer and a consumer of one client in one process.

One message at a time: the clock of a message starts before it is sent and stops when the
consumer has returned it; its acknowledgement is awaited outside of that.  Every message has a
number of its own, which the one that comes back must have.  Linger is 0, ``acks=all``, the
topic has one partition.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmark.worker import payload, tally
from benchmark.worker.job import Job, Measured
from benchmark.worker.meter import Meter
from benchmark.worker.sync_consumers import confluent_settings

_WARMUP = 300


class _Values:
    """Values that differ in their first eight bytes."""

    def __init__(self, size: int) -> None:
        self._rest = payload.values(size - 8, 1)[0]
        self._number = 0

    def next(self) -> bytes:
        self._number += 1
        return b"%08d" % self._number + self._rest


def _same(sent: bytes, received: bytes) -> None:
    if received != sent:
        raise tally.RecordsMissing(f"received {received[:8]!r} after sending {sent[:8]!r}")


async def _ping(
    job: Job,
    send: Callable[[bytes], Awaitable[Awaitable[Any]]],
    receive: Callable[[], Awaitable[bytes]],
    version: str,
) -> Measured:
    values = _Values(job.value_size)
    clock = time.perf_counter

    async def one() -> float:
        value = values.next()
        begun = clock()
        acknowledged = await send(value)
        received = await receive()
        elapsed = clock() - begun
        _same(value, received)
        await acknowledged
        return elapsed * 1e6

    for _ in range(_WARMUP):
        await one()
    calls: list[float] = []
    meter = Meter()
    until = meter.start() + job.seconds
    while clock() < until:
        calls.append(await one())
    meter.stop()
    return meter.measured(len(calls), version, calls)


async def aiokafka(job: Job) -> Measured:
    """Either aiokafka."""
    package: Any = importlib.import_module("aiokafka")
    partition = package.TopicPartition(job.topic, 0)
    producer = package.AIOKafkaProducer(
        bootstrap_servers=job.bootstrap, acks="all", linger_ms=0, **job.extra
    )
    consumer = package.AIOKafkaConsumer(
        bootstrap_servers=job.bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="latest",
    )

    async def send(value: bytes) -> Awaitable[Any]:
        acknowledged: Awaitable[Any] = await producer.send(job.topic, value, partition=0)
        return acknowledged

    async def receive() -> bytes:
        value: bytes = (await consumer.getone()).value
        return value

    await producer.start()
    try:
        await consumer.start()
        try:
            consumer.assign([partition])
            end = (await consumer.end_offsets([partition]))[partition]
            consumer.seek(partition, end)
            return await _ping(job, send, receive, package.__version__)
        finally:
            await consumer.stop()
    finally:
        await producer.stop()


async def confluent_aio(job: Job) -> Measured:
    """AIOProducer, handing on each message at once, and AIOConsumer."""
    package: Any = importlib.import_module("confluent_kafka")
    module: Any = importlib.import_module("confluent_kafka.aio")
    producer = module.AIOProducer(
        {"bootstrap.servers": job.bootstrap, "acks": "all", "linger.ms": 0} | job.extra,
        batch_size=1,
        buffer_timeout=0.001,
    )
    consumer = module.AIOConsumer(confluent_settings(job))

    async def poll() -> None:
        # The producer's own task looks for delivery reports ten times a second.
        while True:
            await producer.poll(0.001)

    async def send(value: bytes) -> Awaitable[Any]:
        acknowledged: Awaitable[Any] = await producer.produce(job.topic, value, partition=0)
        return acknowledged

    async def receive() -> bytes:
        message = await consumer.poll(tally.PATIENCE)
        if message is None or message.error() is not None:
            raise tally.RecordsMissing(f"instead of a message: {message and message.error()}")
        value: bytes = message.value()
        return value

    poller = asyncio.ensure_future(poll())
    try:
        where = package.TopicPartition(job.topic, 0)
        _, end = await consumer.get_watermark_offsets(where, timeout=tally.PATIENCE)
        await consumer.assign([package.TopicPartition(job.topic, 0, end)])
        return await _ping(job, send, receive, package.__version__)
    finally:
        poller.cancel()
        await asyncio.wait([poller])
        await consumer.close()
        await producer.close()


def _ping_sync(
    job: Job,
    send: Callable[[bytes], Callable[[], None]],
    receive: Callable[[], bytes],
    version: str,
) -> Measured:
    values = _Values(job.value_size)
    clock = time.perf_counter

    def one() -> float:
        value = values.next()
        begun = clock()
        acknowledged = send(value)
        received = receive()
        elapsed = clock() - begun
        _same(value, received)
        acknowledged()
        return elapsed * 1e6

    for _ in range(_WARMUP):
        one()
    calls: list[float] = []
    meter = Meter()
    until = meter.start() + job.seconds
    while clock() < until:
        calls.append(one())
    meter.stop()
    return meter.measured(len(calls), version, calls)


def confluent(job: Job) -> Measured:
    """Producer and Consumer."""
    package: Any = importlib.import_module("confluent_kafka")
    producer = package.Producer(
        {"bootstrap.servers": job.bootstrap, "acks": "all", "linger.ms": 0} | job.extra
    )
    consumer = package.Consumer(confluent_settings(job))
    outstanding = 0

    def on_delivery(error: Any, message: Any) -> None:
        nonlocal outstanding
        if error is not None:
            raise RuntimeError(f"delivery failed: {error}")
        outstanding -= 1

    def acknowledged() -> None:
        while outstanding:
            producer.poll(1)

    def send(value: bytes) -> Callable[[], None]:
        nonlocal outstanding
        outstanding += 1
        producer.produce(job.topic, value, partition=0, on_delivery=on_delivery)
        return acknowledged

    def receive() -> bytes:
        message = consumer.poll(tally.PATIENCE)
        if message is None or message.error() is not None:
            raise tally.RecordsMissing(f"instead of a message: {message and message.error()}")
        value: bytes = message.value()
        return value

    try:
        where = package.TopicPartition(job.topic, 0)
        _, end = consumer.get_watermark_offsets(where, timeout=tally.PATIENCE)
        consumer.assign([package.TopicPartition(job.topic, 0, end)])
        return _ping_sync(job, send, receive, package.__version__)
    finally:
        consumer.close()


def kafka_python(job: Job) -> Measured:
    """KafkaProducer and KafkaConsumer."""
    package: Any = importlib.import_module("kafka")
    partition = package.TopicPartition(job.topic, 0)
    producer = package.KafkaProducer(
        bootstrap_servers=job.bootstrap, acks="all", linger_ms=0, **job.extra
    )
    consumer = package.KafkaConsumer(
        bootstrap_servers=job.bootstrap, group_id=None, enable_auto_commit=False
    )

    def send(value: bytes) -> Callable[[], None]:
        future = producer.send(job.topic, value, partition=0)

        def acknowledged() -> None:
            future.get(timeout=tally.PATIENCE)

        return acknowledged

    def receive() -> bytes:
        for records in consumer.poll(timeout_ms=tally.PATIENCE * 1000, max_records=1).values():
            value: bytes = records[0].value
            return value
        raise tally.RecordsMissing(f"no record within {tally.PATIENCE:.0f} s")

    try:
        consumer.assign([partition])
        consumer.seek(partition, consumer.end_offsets([partition])[partition])
        return _ping_sync(job, send, receive, package.__version__)
    finally:
        consumer.close()
        producer.close(timeout=10)
