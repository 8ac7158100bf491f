"""Finds the function that runs a job, and checks that the right library was measured."""

from __future__ import annotations

import functools
from collections.abc import Callable

from benchmark.worker import (
    async_consumers,
    asyncio_clients,
    pairs,
    raw_socket,
    sync_clients,
    sync_consumers,
)
from benchmark.worker.job import Job, Measured

Clients = dict[str, Callable[[Job], Measured]]

PRODUCERS: Clients = {
    "aiokafka": functools.partial(asyncio_clients.run, asyncio_clients.aiokafka),
    "confluent-aio": functools.partial(asyncio_clients.run, asyncio_clients.confluent_aio),
    "null": functools.partial(asyncio_clients.run, asyncio_clients.null),
    "confluent": sync_clients.confluent,
    "kafka-python": sync_clients.kafka_python,
    "raw-socket": raw_socket.raw_socket,
}
CONSUMERS: Clients = {
    "aiokafka": functools.partial(asyncio_clients.run, async_consumers.aiokafka),
    "confluent-aio": functools.partial(asyncio_clients.run, async_consumers.confluent_aio),
    "null": functools.partial(asyncio_clients.run, async_consumers.null),
    "confluent": sync_consumers.confluent,
    "kafka-python": sync_consumers.kafka_python,
}
PAIRS: Clients = {
    "aiokafka": functools.partial(asyncio_clients.run, pairs.aiokafka),
    "confluent-aio": functools.partial(asyncio_clients.run, pairs.confluent_aio),
    "confluent": pairs.confluent,
    "kafka-python": pairs.kafka_python,
}
BY_TASK: dict[str, Clients] = {
    "produce": PRODUCERS,
    "tasks": PRODUCERS,
    "latency": PRODUCERS,
    "one": CONSUMERS,
    "many": CONSUMERS,
    "pair": PAIRS,
}


def run(job: Job) -> Measured:
    """Run one job to its end."""
    measured = BY_TASK[job.task][job.client](job)
    if job.expect_version and measured.version != job.expect_version:
        raise RuntimeError(
            f"measured {job.client} {measured.version}, not {job.expect_version}: "
            "the import path is wrong"
        )
    return measured
