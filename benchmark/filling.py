"""Topics with records in them, for consumers to read: filled once, read by every contender.

Written by confluent-kafka's producer in batches of 16 KiB, which is the default of Java's
producer and of aiokafka's.  Every partition gets the same number of records.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from benchmark.broker import Topics
from benchmark.cases import COMPRESSED_RECORDS, RECORDS, SHORT_RECORDS, Case
from benchmark.worker import payload

#: A multiple of what one call of ``consume`` asks for, for each of six partitions.
WARMUP_RECORDS = 12_000
_BATCH_SIZE = 16_384
_TIMEOUT = 120.0


class FillingFailed(RuntimeError):
    """The broker has not taken all records."""


def fill(
    bootstrap: str, topic: str, records: int, *, partitions: int, value_size: int, codec: str
) -> None:
    """Write ``records`` records, in turns to each partition of an empty topic.

    Raises:
        FillingFailed: not all were acknowledged in time.
    """
    package: Any = importlib.import_module("confluent_kafka")
    failed: list[str] = []

    def on_delivery(error: Any, message: Any) -> None:
        failed.append(str(error))

    producer = package.Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 100,
            "batch.size": _BATCH_SIZE,
            "compression.type": codec,
            "queue.buffering.max.messages": 200_000,
            "delivery.report.only.error": True,
            "log_level": 3,
        }
    )
    values = payload.values(value_size)
    for number in range(records):
        value = values[number // partitions % len(values)]
        while True:
            try:
                producer.produce(
                    topic, value, partition=number % partitions, on_delivery=on_delivery
                )
                break
            except BufferError:
                producer.poll(0.1)
    left = producer.flush(_TIMEOUT)
    if left or failed:
        raise FillingFailed(f"{left + len(failed):,} records of {topic} failed: {failed[:1]}")


@dataclasses.dataclass(frozen=True, slots=True)
class Filled:
    """A topic and how many records it holds."""

    topic: str
    records: int


class FilledTopics:
    """Makes filled topics when they are first asked for, and keeps them until the end."""

    def __init__(self, topics: Topics, bootstrap: str, prefix: str) -> None:
        self._topics = topics
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._made: dict[str, Filled] = {}

    def long(self, case: Case) -> Filled:
        """The topic of a case."""
        records = RECORDS if case.codec == "none" else COMPRESSED_RECORDS
        return self._get(case, "long", records[case.value_size])

    def short(self, case: Case) -> Filled:
        """The topic of a case for consumers that are slow."""
        return self._get(case, "short", SHORT_RECORDS[case.value_size])

    def warmup(self, case: Case) -> Filled:
        """What is read before the clock starts."""
        return self._get(case, "warmup", WARMUP_RECORDS)

    def _get(self, case: Case, kind: str, records: int) -> Filled:
        name = f"{self._prefix}-{kind}-{case.value_size}-{case.codec}"
        if name not in self._made:
            self._topics.create([name], case.partitions)
            filled = Filled(name, records)
            self._made[name] = filled
            fill(
                self._bootstrap,
                name,
                records,
                partitions=case.partitions,
                value_size=case.value_size,
                codec=case.codec,
            )
        return self._made[name]

    def delete_all(self) -> None:
        """Delete every topic that was made."""
        if self._made:
            self._topics.delete(list(self._made))
            self._made.clear()
