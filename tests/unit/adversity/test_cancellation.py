"""Cancelling a call at each of its suspensions: nothing is left, and all goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed
from aiokafka.testing import Deaf, FakeCluster

from .lab import (
    assert_client_gone,
    assert_nothing_left,
    loop,
    make_client,
    make_producer,
    still_works,
    stop_cleanly,
    virtual,
)

#: No call has more suspensions than this.
ENDLESS = 500


class CancelAt:
    """Awaits a coroutine, and has the task cancelled at its suspension number ``k``."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], k: int) -> None:
        self.coroutine = coroutine
        self.k = k
        self.suspensions = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        step: Callable[[], Any] = lambda: self.coroutine.send(None)  # noqa: E731
        while True:
            try:
                yielded = step()
            except StopIteration as end:
                return end.value
            self.suspensions += 1
            if self.suspensions == self.k:
                loop().call_soon(task.cancel)
            try:
                yield yielded
            except BaseException as error:
                step = _throw(self.coroutine, error)
            else:
                step = lambda: self.coroutine.send(None)  # noqa: E731


def _throw(coroutine: Coroutine[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: coroutine.throw(error)


async def cancelled_at(k: int, make: Callable[[], Coroutine[Any, Any, Any]]) -> bool:
    """Run a call and cancel it at suspension ``k``; whether it had so many."""
    cancelling = CancelAt(make(), k)

    async def run() -> Any:
        return await cancelling

    task = asyncio.ensure_future(run())
    await asyncio.wait((task,))
    if not task.cancelled() and task.exception() is not None:
        assert isinstance(task.exception(), KafkaError)
    return cancelling.suspensions >= k


Call = Callable[[AIOKafkaProducer], Coroutine[Any, Any, Any]]


async def send(producer: AIOKafkaProducer) -> None:
    await producer.send("cold", b"v")


async def send_and_wait(producer: AIOKafkaProducer) -> None:
    await producer.send_and_wait("cold", b"v")


async def send_to_a_partition_to_come(producer: AIOKafkaProducer) -> None:
    await producer.send("t", b"v", partition=9)


async def send_batch(producer: AIOKafkaProducer) -> None:
    batch = producer.create_batch()
    batch.append(key=None, value=b"v", timestamp=None)
    await producer.send_batch(batch, "cold", partition=0)


async def send_into_a_full_buffer(producer: AIOKafkaProducer) -> None:
    for _ in range(10):
        await producer.send("t", b"x" * 900)


async def flush(producer: AIOKafkaProducer) -> None:
    await producer.send("t", b"v")
    await producer.flush()


async def partitions_for(producer: AIOKafkaProducer) -> None:
    await producer.partitions_for("cold")


async def fetch_all_metadata(producer: AIOKafkaProducer) -> None:
    await producer.client.fetch_all_metadata()


async def force_metadata_update(producer: AIOKafkaProducer) -> None:
    await producer.client.force_metadata_update()


CALLS: tuple[Call, ...] = (
    send,
    send_and_wait,
    send_to_a_partition_to_come,
    send_batch,
    send_into_a_full_buffer,
    flush,
    partitions_for,
    fetch_all_metadata,
    force_metadata_update,
)


async def every_suspension(once: Callable[[int], Coroutine[Any, Any, bool]]) -> int:
    """Run ``once`` with k = 1, 2, … until the call has fewer suspensions."""
    for k in range(1, ENDLESS):
        if not await once(k):
            return k - 1
    raise AssertionError("the call never ends")


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("deaf", [False, True], ids=["answering", "deaf"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@virtual
async def test_calls(call, deaf, idempotent):
    async def once(k: int) -> bool:
        async with FakeCluster(2) as cluster:
            cluster.create_topic("t", 2)
            producer = make_producer(
                cluster,
                enable_idempotence=idempotent,
                buffer_memory=3_000,
                max_block_ms=400,
                request_timeout_ms=300,
            )
            await producer.start()
            await producer.send_and_wait("t", b"warm", partition=0)
            if deaf:
                cluster.faults.add(Deaf(), lasting=0.35)
            reached = await cancelled_at(k, lambda: call(producer))
            await still_works(producer)
            await producer.flush()
            assert producer._message_accumulator.pool.used == 0
            await stop_cleanly(producer)
            return reached

    assert await every_suspension(once) >= 1


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("sasl", [False, True])
@virtual
async def test_start(sasl, idempotent):
    security = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_plain_username": "user",
        "sasl_plain_password": "secret",
    }

    async def once(k: int) -> bool:
        async with FakeCluster(2, sasl_users={"user": "secret"} if sasl else None) as cluster:
            producer = make_producer(
                cluster, enable_idempotence=idempotent, **(security if sasl else {})
            )
            reached = await cancelled_at(k, producer.start)
            # Either it was started or it can be.
            if reached:
                await producer.start()
            await still_works(producer)
            await stop_cleanly(producer)
            return reached

    assert await every_suspension(once) >= 1


@virtual
async def test_a_cancelled_start_leaves_nothing_to_stop():
    async def once(k: int) -> bool:
        async with FakeCluster(2) as cluster:
            producer = make_producer(cluster, enable_idempotence=True)
            reached = await cancelled_at(k, producer.start)
            await stop_cleanly(producer)
            with pytest.raises(KafkaError):
                await producer.send("t", b"v")
            return reached

    assert await every_suspension(once) >= 1


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("deaf", [False, True], ids=["answering", "deaf"])
@virtual
async def test_stop(deaf, idempotent):
    """However far it got, nothing is left; calling it again makes sure of that."""

    async def once(k: int) -> bool:
        async with FakeCluster(2) as cluster:
            producer = make_producer(
                cluster, enable_idempotence=idempotent, linger_ms=100, stop_timeout_ms=300
            )
            await producer.start()
            await producer.partitions_for("t")
            if deaf:
                cluster.faults.add(Deaf(), api="Produce")
            futures = [await producer.send("t", b"%d" % i) for i in range(3)]
            reached = await cancelled_at(k, producer.stop)
            await producer.stop()
            await asyncio.sleep(0.001)  # tasks that were cancelled take a turn to end
            assert_nothing_left(producer)
            assert all(future.done() for future in futures)
            for future in futures:
                assert future.exception() is None or isinstance(future.exception(), ProducerClosed)
            return reached

    assert await every_suspension(once) >= 1


@virtual
async def test_client_bootstrap_and_close():
    async def bootstrap(k: int) -> bool:
        async with FakeCluster(3) as cluster:
            client = make_client(cluster)
            reached = await cancelled_at(k, client.bootstrap)
            if reached:
                await client.bootstrap()
            await client._wait_on_metadata("t")
            await client.close()
            assert_client_gone()
            return reached

    async def close(k: int) -> bool:
        async with FakeCluster(3) as cluster:
            client = make_client(cluster)
            await client.bootstrap()
            reached = await cancelled_at(k, client.close)
            await client.close()
            await asyncio.sleep(0.001)
            assert_client_gone()
            return reached

    assert await every_suspension(bootstrap) >= 1
    assert await every_suspension(close) >= 1


@virtual
async def test_one_of_many_waiters():
    """The others that wait for the same are not disturbed."""
    async with FakeCluster(1) as cluster:
        producer = make_producer(cluster)
        await producer.start()
        cluster.answer_latency = {"Metadata": 0.5}
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(producer.send("new", b"%d" % i)) for i in range(10)
        ]
        await asyncio.sleep(0.2)
        for task in tasks[::2]:
            task.cancel()
        outcomes: list[Awaitable[Any]] = await asyncio.gather(*tasks, return_exceptions=True)
        for number, outcome in enumerate(outcomes):
            if number % 2:
                await outcome
            else:
                assert isinstance(outcome, asyncio.CancelledError)
        assert sorted(v for v in cluster.values("new") if v) == [b"1", b"3", b"5", b"7", b"9"]
        await stop_cleanly(producer)
