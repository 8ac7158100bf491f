"""Finds the function that runs a job, and checks that the right library was measured."""

from __future__ import annotations

import functools
from collections.abc import Callable

from benchmark.worker import asyncio_clients, raw_socket, sync_clients
from benchmark.worker.job import Job, Measured

CLIENTS: dict[str, Callable[[Job], Measured]] = {
    "aiokafka": functools.partial(asyncio_clients.run, asyncio_clients.aiokafka),
    "confluent-aio": functools.partial(asyncio_clients.run, asyncio_clients.confluent_aio),
    "null": functools.partial(asyncio_clients.run, asyncio_clients.null),
    "confluent": sync_clients.confluent,
    "kafka-python": sync_clients.kafka_python,
    "raw-socket": raw_socket.raw_socket,
}


def run(job: Job) -> Measured:
    """Run one job to its end."""
    measured = CLIENTS[job.client](job)
    if job.expect_version and measured.version != job.expect_version:
        raise RuntimeError(
            f"measured {job.client} {measured.version}, not {job.expect_version}: "
            "the import path is wrong"
        )
    return measured
