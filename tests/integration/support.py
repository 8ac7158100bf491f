"""What the tests on real brokers share: timed calls, conditions to wait for, producers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, MetadataTimeoutError, UnknownTopicOrPartitionError
from tests.integration.conftest import unique_topic

# The budget of the calls under test, and when each of them has to have ended, in seconds.
BUDGET_MS = 2000
BUDGET = BUDGET_MS / 1000
LIMIT = BUDGET * 1.1


@dataclass
class Timed:
    """How a call ended, and after how many seconds."""

    elapsed: float
    result: Any = None
    error: BaseException | None = None

    @property
    def failure(self) -> BaseException:
        """The error of a call that had to fail."""
        assert self.error is not None, f"returned {self.result!r} after {self.elapsed:.3f} s"
        return self.error


async def timed(awaitable: Awaitable[Any]) -> Timed:
    """Await to the end, be it an error, and say how long it took."""
    started = time.monotonic()
    try:
        result = await awaitable
    except Exception as error:
        return Timed(time.monotonic() - started, error=error)
    return Timed(time.monotonic() - started, result=result)


async def eventually(condition: Callable[[], Any], timeout: float = 10.0) -> Any:
    """Wait until `condition` holds; returns what it returned."""
    give_up = time.monotonic() + timeout
    while not (met := condition()):
        assert time.monotonic() < give_up, "the condition was not met in time"
        await asyncio.sleep(0.01)
    return met


async def blocked(task: asyncio.Task[Any], seconds: float = 0.2) -> None:
    """Let `task` get into its wait; fails when it ends instead."""
    done, _ = await asyncio.wait((task,), timeout=seconds)
    assert not done, f"did not wait: {task}"


@contextlib.asynccontextmanager
async def producing(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer with the budget of these tests, stopped quickly at the end."""
    options = {"max_block_ms": BUDGET_MS, "stop_timeout_ms": 500, **options}
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, **options)
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


Call = Callable[[], Awaitable[Any]]


def bounded_calls(
    producer: AIOKafkaProducer, name: Callable[[], str]
) -> dict[str, tuple[str | None, Call]]:
    """Every call that `max_block_ms` bounds, each with the topic of its own that it is for."""

    async def send_batch(topic: str) -> Any:
        batch = producer.create_batch()
        batch.append(key=None, value=b"x", timestamp=None)
        return await producer.send_batch(batch, topic, partition=0)

    client = producer.client
    by_topic: dict[str, Callable[[str], Awaitable[Any]]] = {
        "send": lambda topic: producer.send(topic, b"x"),
        "send_and_wait": lambda topic: producer.send_and_wait(topic, b"x"),
        "send_batch": send_batch,
        "partitions_for": producer.partitions_for,
        "producer._wait_on_metadata": producer._wait_on_metadata,
        "client._wait_on_metadata": client._wait_on_metadata,
    }
    calls: dict[str, tuple[str | None, Call]] = {}
    for label, call in by_topic.items():
        topic = name()
        calls[label] = (topic, lambda call=call, topic=topic: call(topic))  # type: ignore[misc]
    calls["client.fetch_all_metadata"] = (None, client.fetch_all_metadata)
    return calls


async def all_bounded_calls(producer: AIOKafkaProducer) -> dict[str, Timed]:
    """Make every bounded call at once and check what they have in common when all is in vain."""
    calls = bounded_calls(producer, lambda: unique_topic("never"))
    ends = await asyncio.gather(*(timed(call()) for _, call in calls.values()))
    for (label, (topic, _)), end in zip(calls.items(), ends, strict=True):
        check_timeout(end, topic, label)
    return dict(zip(calls, ends, strict=True))


def check_timeout(end: Timed, topic: str | None, label: str = "call") -> MetadataTimeoutError:
    """The call ended on time, with the public error that says everything there is to say."""
    error = end.failure
    assert isinstance(error, MetadataTimeoutError), f"{label}: {error!r}"
    assert isinstance(error, KafkaTimeoutError)
    assert isinstance(error, UnknownTopicOrPartitionError)
    assert BUDGET - 0.05 <= end.elapsed <= LIMIT, f"{label}: {end.elapsed:.3f} s"
    message = str(error)
    assert error.topic == topic
    assert topic is None or topic in message
    assert error.budget_ms == BUDGET_MS
    assert f"budget {BUDGET_MS} ms" in message
    assert BUDGET_MS * 0.95 <= error.elapsed_ms <= LIMIT * 1000
    assert f"{error.elapsed_ms:.0f} ms" in message
    assert error.attempts >= 1
    assert f"{error.attempts} attempt" in message
    assert error.__cause__ is not None, label
    assert type(error.__cause__).__name__ in message
    return error
