"""What the tests of adversity share: settings, a log reader, and the check for what is left."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.testing import FakeCluster, VirtualTimeLoop, run_virtual

#: Budgets in milliseconds, different from each other so that it shows which one ran out.
SETTINGS: dict[str, Any] = {
    "request_timeout_ms": 3_000,
    "max_block_ms": 2_000,
    "delivery_timeout_ms": 10_000,
    "stop_timeout_ms": 1_500,
    "socket_connection_setup_timeout_ms": 1_000,
    "socket_connection_setup_timeout_max_ms": 4_000,
}

#: The most that a bound may be exceeded by, as a share of it.
TOLERANCE = 0.1
#: Seconds that closing connections may take to flush what was written.
GOODBYE = 1.0


def virtual(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a coroutine function as a test in virtual time; tasks left over are an error."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        run_virtual(main)

    return wrapper


def loop() -> VirtualTimeLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualTimeLoop)
    return running


def now() -> float:
    return loop().time()


class Stopwatch:
    """How long a block took, in virtual seconds."""

    elapsed = 0.0

    def within(self, budget_ms: float) -> bool:
        """Whether it took no longer than the budget and the tolerance."""
        return self.elapsed <= budget_ms / 1000 * (1 + TOLERANCE)


@contextlib.contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    watch, began = Stopwatch(), now()
    try:
        yield watch
    finally:
        watch.elapsed = now() - began


class LogLines(logging.Handler):
    """What the package logs, by level."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def lines(self, level: int = logging.WARNING) -> list[str]:
        return [r.getMessage() for r in self.records if r.levelno >= level]

    @property
    def crashes(self) -> list[str]:
        return [line for line in self.lines() if "crash" in line or "Unexpected" in line]


@contextlib.contextmanager
def log_lines() -> Iterator[LogLines]:
    handler, logger = LogLines(), logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def make_producer(cluster: FakeCluster, **settings: Any) -> AIOKafkaProducer:
    servers = {"bootstrap_servers": cluster.bootstrap_servers}
    return AIOKafkaProducer(**{**servers, **SETTINGS, **settings})


def make_client(cluster: FakeCluster, **settings: Any) -> AIOKafkaClient:
    names = ("delivery_timeout_ms", "stop_timeout_ms")
    merged = {**SETTINGS, **settings}
    return AIOKafkaClient(
        bootstrap_servers=cluster.bootstrap_servers,
        **{name: value for name, value in merged.items() if name not in names},
    )


@contextlib.asynccontextmanager
async def producing(cluster: FakeCluster, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer; afterwards it is stopped in time and has left nothing behind."""
    producer = make_producer(cluster, **settings)
    await producer.start()
    try:
        yield producer
    finally:
        await stop_cleanly(producer)


async def stop_cleanly(producer: AIOKafkaProducer) -> None:
    """Stop a producer, within its bound and without a trace."""
    with stopwatch() as watch:
        await producer.stop()
    bound = producer._settings.stop_timeout + GOODBYE
    assert watch.elapsed <= bound + 0.01, f"stop() took {watch.elapsed} s"
    assert_nothing_left(producer)


def assert_nothing_left(producer: AIOKafkaProducer) -> None:
    """After stop(): no task, timer, socket, batch or byte of buffer."""
    assert_client_gone()
    accumulator = producer._message_accumulator
    assert accumulator.pool.used == 0
    assert accumulator.pool.waiting == 0
    assert not list(accumulator._pending)


def assert_client_gone() -> None:
    """No task, timer or socket of a client is left."""
    mine = [
        task.get_name()
        for task in loop().pending_tasks()
        if task is not asyncio.current_task() and "AIOKafkaClient" in task.get_name()
    ]
    assert mine == []
    assert [t for t in loop().network.connections if not t.is_closing()] == []
    assert [h for h in loop()._scheduled if not h.cancelled() and _is_ours(h)] == []


def _is_ours(handle: asyncio.TimerHandle) -> bool:
    module = getattr(handle._callback, "__module__", None) or ""  # type: ignore[attr-defined]
    return module.startswith("aiokafka.") and not module.startswith("aiokafka.testing")


async def still_works(producer: AIOKafkaProducer, topic: str = "t") -> None:
    """A record gets through."""
    metadata = await producer.send_and_wait(topic, b"still works")
    assert metadata is not None
