"""The consumers that live on an event loop: aiokafka (either one), confluent's AIOConsumer.

Each is assigned all partitions of a topic, without a group and with auto-commit off, and reads
it to the end.  Before that it reads a small topic, so that its connections stand and its code
is warm; the clock starts with the assignment of the large one.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

from benchmark.worker import tally
from benchmark.worker.job import Job, Measured
from benchmark.worker.meter import Meter
from benchmark.worker.sync_consumers import (
    CONFLUENT_BATCH,
    IDLE,
    confluent_settings,
    tally_messages,
)

Read = Callable[[str, int], Awaitable[tuple[int, int]]]


async def _measure(
    job: Job, read: Read, rest: Callable[[], Awaitable[None]], version: str
) -> Measured:
    """Read the small topic, rest, then read the large one by the clock."""
    received, offsets = await read(job.warmup_topic, job.warmup_records)
    tally.check(received, offsets, job.warmup_records, job.partitions)
    await rest()
    meter = Meter()
    meter.start()
    received, offsets = await read(job.topic, job.records)
    meter.stop()
    tally.check(received, offsets, job.records, job.partitions)
    return meter.measured(received, version, [])


async def aiokafka(job: Job) -> Measured:
    """Either aiokafka: the one of the checkout or the released one."""
    package: Any = importlib.import_module("aiokafka")
    consumer = package.AIOKafkaConsumer(
        bootstrap_servers=job.bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **job.extra,
    )

    async def getmany() -> Any:
        return await consumer.getmany(timeout_ms=tally.PATIENCE * 1000)

    async def read(topic: str, records: int) -> tuple[int, int]:
        partitions = [package.TopicPartition(topic, n) for n in range(job.partitions)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        if job.call == "async for":
            return await tally.within_patience(tally.iterate(consumer, records))
        if job.call == "getone":
            return await tally.within_patience(tally.call_for_one(consumer.getone, records))
        return await tally.call_for_many(getmany, records)

    async def rest() -> None:
        consumer.unsubscribe()
        await asyncio.sleep(IDLE)

    await consumer.start()
    try:
        await consumer.topics()
        return await _measure(job, read, rest, package.__version__)
    finally:
        await consumer.stop()


async def confluent_aio(job: Job) -> Measured:
    """confluent-kafka's asyncio consumer: every call in a thread pool."""
    package: Any = importlib.import_module("confluent_kafka")
    module: Any = importlib.import_module("confluent_kafka.aio")
    consumer = module.AIOConsumer(confluent_settings(job))

    async def poll(records: int) -> tuple[int, int]:
        received = offsets = 0
        while received < records:
            message = await consumer.poll(tally.PATIENCE)
            if message is None or message.error() is not None:
                tally_messages([message])
            offsets += message.offset()
            received += 1
        return received, offsets

    async def consume(records: int) -> tuple[int, int]:
        received = offsets = 0
        while received < records:
            messages = await consumer.consume(CONFLUENT_BATCH, tally.PATIENCE)
            offsets += tally_messages(messages)
            received += len(messages)
        return received, offsets

    async def read(topic: str, records: int) -> tuple[int, int]:
        await consumer.assign([package.TopicPartition(topic, n, 0) for n in range(job.partitions)])
        return await (poll if job.call == "poll" else consume)(records)

    async def rest() -> None:
        await consumer.unassign()
        await asyncio.sleep(IDLE)

    try:
        await consumer.list_topics(timeout=tally.PATIENCE)
        return await _measure(job, read, rest, package.__version__)
    finally:
        await consumer.close()


class _Record:
    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        self.offset = offset


class _Nothing:
    """A consumer of records that are there already."""

    def __init__(self, records: int, partitions: int) -> None:
        each = records // partitions
        self._batches = [
            {part: [_Record(n) for n in range(first, min(first + 500, each))]}
            for part in range(partitions)
            for first in range(0, each, 500)
        ]
        self._records = [r for batch in self._batches for part in batch.values() for r in part]
        self._batches.reverse()
        self._records.reverse()

    async def getone(self) -> _Record:
        return self._records.pop()

    async def getmany(self) -> dict[int, list[_Record]]:
        return self._batches.pop()

    def __aiter__(self) -> _Nothing:
        return self

    async def __anext__(self) -> _Record:
        return self._records.pop()


async def null(job: Job) -> Measured:
    """A client that does nothing: what the benchmark's own loops cost."""
    source = _Nothing(job.records, job.partitions)

    meter = Meter()
    meter.start()
    if job.call == "async for":
        received, offsets = await tally.iterate(source, job.records)
    elif job.call == "getone":
        received, offsets = await tally.call_for_one(source.getone, job.records)
    else:
        received, offsets = await tally.call_for_many(source.getmany, job.records)
    meter.stop()
    tally.check(received, offsets, job.records, job.partitions)
    return meter.measured(received, "", [])
