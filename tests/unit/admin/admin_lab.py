"""Admin clients on a fake cluster in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.virtual_time import run_virtual

BUDGET = 3.0

FAST = {
    "request_timeout_ms": int(BUDGET * 1000),
    "reconnect_backoff_max_ms": 200,
    "socket_connection_setup_timeout_ms": 1000,
    "socket_connection_setup_timeout_max_ms": 1000,
}


def virtual(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a coroutine function as a test in virtual time."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        run_virtual(main)

    return wrapper


def now() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def administering(
    brokers: int = 3, cluster: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[FakeCluster, AIOKafkaAdminClient]]:
    """A started admin client on a fake cluster with topic ``t``: yields both.

    APIs in the cluster's ``versions`` are advertised, with handlers that the test is to replace.
    """
    options = cluster or {}
    async with FakeCluster(brokers=brokers, **options) as kafka:
        for api in options.get("versions", ()):
            kafka.handlers[api] = lambda *_: None
        kafka.create_topic("t", partitions=3)
        async with AIOKafkaAdminClient(
            bootstrap_servers=kafka.bootstrap_servers, **{**FAST, **settings}
        ) as admin:
            yield kafka, admin
            kafka.faults.clear()


def count(kafka: FakeCluster, api: str) -> int:
    """How many requests of an API the brokers have received."""
    return sum(request.api_name == api for request in kafka.requests)
