"""The contenders without a loop: confluent-kafka's Producer and kafka-python.

Both run background threads of their own.  The same numbers are kept outstanding as by the
asyncio contenders, and every delivery is looked at.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from benchmark.worker import payload
from benchmark.worker.job import Job, Measured
from benchmark.worker.meter import Meter


def _latency(job: Job, send_and_wait: Callable[[bytes], None], version: str) -> Measured:
    value = payload.values(job.value_size, 1)[0]
    clock = time.perf_counter
    for _ in range(500):
        send_and_wait(value)
    calls: list[float] = []
    meter = Meter()
    now = meter.start()
    until = now + job.seconds
    while now < until:
        send_and_wait(value)
        done = clock()
        calls.append((done - now) * 1e6)
        now = done
    meter.stop()
    return meter.measured(len(calls), version, calls)


class _Confluent:
    """librdkafka's producer with a delivery callback a message."""

    #: Messages between two calls of poll(): a call a message is what its examples do and
    #: costs more, none at all would never run the callbacks.
    POLL_EVERY = 500

    def __init__(self, job: Job) -> None:
        package: Any = importlib.import_module("confluent_kafka")
        self.version: str = package.__version__
        self._job = job
        self._producer = package.Producer(
            {
                "bootstrap.servers": job.bootstrap,
                "acks": "all",
                "linger.ms": job.linger_ms,
                "compression.type": job.codec,
            }
            | job.extra
        )
        self._delivered = 0
        self._values = payload.values(job.value_size)
        self._pairs = list(zip(payload.keys(), self._values, strict=True))

    def _on_delivery(self, error: Any, message: Any) -> None:
        if error is not None:
            raise RuntimeError(f"delivery failed: {error}")
        self._delivered += 1

    def _send_some(self, start: int) -> int:
        job = self._job
        produce = self._producer.produce
        topic = job.topic
        callback = self._on_delivery
        end = start + self.POLL_EVERY
        if job.partition is not None:
            for value in self._values[start:end]:
                produce(topic, value, partition=job.partition, on_delivery=callback)
        elif job.keyed:
            for key, value in self._pairs[start:end]:
                produce(topic, value, key=key, on_delivery=callback)
        else:
            for value in self._values[start:end]:
                produce(topic, value, on_delivery=callback)
        return self.POLL_EVERY

    def _stream(self, messages: int, until: float) -> int:
        poll = self._producer.poll
        window = self._job.window - self.POLL_EVERY
        self._delivered = 0
        sent = 0
        while sent < messages and time.perf_counter() < until:
            for start in range(0, payload.POOL, self.POLL_EVERY):
                sent += self._send_some(start)
                poll(0)
                while sent - self._delivered > window:
                    poll(0.01)
        while self._delivered < sent:
            poll(0.01)
        return sent

    def produce(self) -> Measured:
        job = self._job
        for topic in job.other_topics:
            self._producer.produce(topic, b"known")
        self._producer.flush()
        self._stream(job.warmup_messages, time.perf_counter() + job.seconds)
        meter = Meter()
        start = meter.start()
        messages = self._stream(job.max_messages, start + job.seconds)
        meter.stop()
        return meter.measured(messages, self.version, [])

    def send_and_wait(self, value: bytes) -> None:
        self._delivered = 0
        self._producer.produce(self._job.topic, value, on_delivery=self._on_delivery)
        while not self._delivered:
            self._producer.poll(1)


def confluent(job: Job) -> Measured:
    """confluent-kafka's Producer."""
    client = _Confluent(job)
    if job.task == "latency":
        return _latency(job, client.send_and_wait, client.version)
    return client.produce()


def _kafka_python_stream(
    job: Job, producer: Any, chunk: list[tuple[bytes | None, bytes]], messages: int, until: float
) -> int:
    send = producer.send
    sent = 0
    previous: list[Any] = []
    while sent < messages and time.perf_counter() < until:
        if job.partition is not None:
            current = [send(job.topic, value, partition=job.partition) for _, value in chunk]
        else:
            current = [send(job.topic, value, key=key) for key, value in chunk]
        sent += len(current)
        for future in previous:
            future.get(timeout=60)
        previous = current
    for future in previous:
        future.get(timeout=60)
    return sent


def kafka_python(job: Job) -> Measured:
    """kafka-python's KafkaProducer."""
    package: Any = importlib.import_module("kafka")
    producer = package.KafkaProducer(
        bootstrap_servers=job.bootstrap,
        acks="all",
        linger_ms=job.linger_ms,
        compression_type=None if job.codec == "none" else job.codec,
        **job.extra,
    )
    try:
        if job.task == "latency":

            def send_and_wait(value: bytes) -> None:
                producer.send(job.topic, value).get(timeout=60)

            return _latency(job, send_and_wait, package.__version__)
        for topic in job.other_topics:
            producer.send(topic, b"known").get(timeout=60)
        half = min(job.window // 2, payload.POOL)
        values = payload.values(job.value_size, half)
        keys: list[bytes | None] = list(payload.keys(half)) if job.keyed else [None] * half
        chunk = list(zip(keys, values, strict=True))
        _kafka_python_stream(
            job, producer, chunk, job.warmup_messages, time.perf_counter() + job.seconds
        )
        meter = Meter()
        start = meter.start()
        messages = _kafka_python_stream(
            job, producer, chunk, job.max_messages, start + job.seconds
        )
        meter.stop()
        return meter.measured(messages, package.__version__, [])
    finally:
        producer.close(timeout=10)
