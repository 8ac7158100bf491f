"""The consumers without a loop: confluent-kafka's Consumer and kafka-python's.

Driven as those of :mod:`benchmark.worker.async_consumers`: a small topic first, then the large
one by the clock, all partitions assigned, no group, auto-commit off.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmark.worker import tally
from benchmark.worker.job import Job, Measured
from benchmark.worker.meter import Meter

#: Messages that a call of ``consume`` asks for.  It waits for all of them, so that the number
#: of records of every topic is a multiple of it.
CONFLUENT_BATCH = 2_000
#: Seconds between the small topic and the large one: longer than any client's fetch waits at
#: the broker for more, so that none of the former is on its way when the clock starts.
IDLE = 0.7


def confluent_settings(job: Job) -> dict[str, Any]:
    """Defaults but for what all contenders have; librdkafka insists on a group's name."""
    return {
        "bootstrap.servers": job.bootstrap,
        "group.id": "benchmark",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    } | job.extra


def tally_messages(messages: Iterable[Any]) -> int:
    """Sum of the offsets of confluent-kafka's messages.

    Raises:
        RecordsMissing: there are none in time, or one of them is an error.
    """
    offsets = 0
    none = True
    for message in messages:
        if message is None:
            continue
        if message.error() is not None:
            raise tally.RecordsMissing(f"the consumer reported: {message.error()}")
        offsets += message.offset()
        none = False
    if none:
        raise tally.RecordsMissing(f"no message within {tally.PATIENCE:.0f} s")
    return offsets


def _measure(
    job: Job,
    read: Callable[[str, int], tuple[int, int]],
    rest: Callable[[], None],
    version: str,
) -> Measured:
    received, offsets = read(job.warmup_topic, job.warmup_records)
    tally.check(received, offsets, job.warmup_records, job.partitions)
    rest()
    meter = Meter()
    meter.start()
    received, offsets = read(job.topic, job.records)
    meter.stop()
    tally.check(received, offsets, job.records, job.partitions)
    return meter.measured(received, version, [])


def confluent(job: Job) -> Measured:
    """confluent-kafka's Consumer: ``poll()`` or ``consume(2000)``."""
    package: Any = importlib.import_module("confluent_kafka")
    consumer = package.Consumer(confluent_settings(job))

    def poll(records: int) -> tuple[int, int]:
        received = offsets = 0
        call = consumer.poll
        while received < records:
            message = call(tally.PATIENCE)
            if message is None or message.error() is not None:
                tally_messages([message])
            offsets += message.offset()
            received += 1
        return received, offsets

    def consume(records: int) -> tuple[int, int]:
        received = offsets = 0
        while received < records:
            messages = consumer.consume(CONFLUENT_BATCH, tally.PATIENCE)
            offsets += tally_messages(messages)
            received += len(messages)
        return received, offsets

    def read(topic: str, records: int) -> tuple[int, int]:
        consumer.assign([package.TopicPartition(topic, n, 0) for n in range(job.partitions)])
        return (poll if job.call == "poll" else consume)(records)

    def rest() -> None:
        consumer.unassign()
        time.sleep(IDLE)

    try:
        consumer.list_topics(timeout=tally.PATIENCE)
        return _measure(job, read, rest, package.__version__)
    finally:
        consumer.close()


def kafka_python(job: Job) -> Measured:
    """kafka-python's KafkaConsumer: iteration or ``poll()``."""
    package: Any = importlib.import_module("kafka")
    consumer = package.KafkaConsumer(
        bootstrap_servers=job.bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **job.extra,
    )

    def poll() -> Any:
        return consumer.poll(timeout_ms=tally.PATIENCE * 1000)

    def read(topic: str, records: int) -> tuple[int, int]:
        partitions = [package.TopicPartition(topic, n) for n in range(job.partitions)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        if job.call == "for":
            return tally.iterate_sync(consumer, records)
        return tally.call_for_many_sync(poll, records)

    def rest() -> None:
        consumer.unsubscribe()
        time.sleep(IDLE)

    try:
        consumer.topics()
        return _measure(job, read, rest, package.__version__)
    finally:
        consumer.close()
