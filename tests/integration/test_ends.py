"""How a producer ends on a cluster that is dead: expiry, `flush()` and `stop()`, all bounded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

import pytest

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import DeliveryTimeoutError, KafkaError, KafkaTimeoutError, ProducerClosed
from tests.integration.support import blocked, eventually, producing, timed
from tests.kafka import KafkaCluster, Proxy, Truth

every_way = pytest.mark.parametrize("how", ["frozen", "deaf", "refusing"])
both = pytest.mark.parametrize("idempotent", [False, True], ids=["plain", "idempotent"])


@contextlib.asynccontextmanager
async def dead(kafka: KafkaCluster, proxy: Proxy, how: str) -> AsyncIterator[None]:
    """The only broker, used through `proxy`, is out of order for the length of the block."""
    if how == "frozen":
        with kafka.frozen(0):
            yield
    elif how == "deaf":
        proxy.silence()
        yield
        proxy.heal()
    else:
        await proxy.refuse()
        yield
        await proxy.accept()


@both
async def test_delivery_timeout(
    kafka: KafkaCluster, truth: Truth, topic: str, idempotent: bool
) -> None:
    tp = TopicPartition(topic, 0)
    async with producing(
        kafka.bootstrap,
        acks="all",
        enable_idempotence=idempotent,
        delivery_timeout_ms=1500,
        request_timeout_ms=600,
    ) as producer:
        await producer.send_and_wait(topic, b"before")
        with kafka.frozen(0):
            batch = producer.create_batch()
            for n in range(5):
                batch.append(key=None, value=b"batch %d" % n, timestamp=None)
            started = time.monotonic()
            futures = [
                await producer.send(topic, b"lost 0"),
                await producer.send(topic, b"lost 1"),
                await producer.send_batch(batch, topic, partition=0),
            ]
            ends = await asyncio.gather(*futures, return_exceptions=True)
            elapsed = time.monotonic() - started
            assert 1.45 <= elapsed <= 1.5 * 1.1
            for error in ends:
                assert isinstance(error, DeliveryTimeoutError), error
                assert isinstance(error, KafkaTimeoutError)
                assert error.tp == tp
                assert 1450 <= error.elapsed_ms <= 1650
                assert error.budget_ms == 1500
                assert isinstance(error.__cause__, KafkaError)
                message = str(error)
                for fact in (f"{topic}-0", f"{error.elapsed_ms:.0f} ms", "1500"):
                    assert fact in message
                assert type(error.__cause__).__name__ in message
            assert isinstance(ends[0], DeliveryTimeoutError)
            assert isinstance(ends[2], DeliveryTimeoutError)
            # Once written; to a frozen broker there is no second connection.
            assert ends[0].attempts == 1
            assert ends[0].record_count in (1, 2)
            assert ends[2].record_count == 5
        for n in range(20):
            await producer.send_and_wait(topic, b"after %d" % n)
    values = [record.value for record in await truth.read_async(topic)]
    # What expired may have been stored, as nobody has heard of it.
    kept = [v for v in values if v is not None and v.startswith((b"before", b"after"))]
    assert kept == [b"before", *(b"after %d" % n for n in range(20))]
    if idempotent:
        assert len(values) == len(set(values))


@both
@every_way
async def test_stop(
    kafka: KafkaCluster, proxy: Proxy, topic: str, how: str, idempotent: bool
) -> None:
    """It ends after `stop_timeout_ms`, and what could not be delivered fails with it."""
    before = asyncio.all_tasks()
    producer = AIOKafkaProducer(
        bootstrap_servers=proxy.address,
        acks="all",
        enable_idempotence=idempotent,
        stop_timeout_ms=700,
    )
    await producer.start()
    await producer.send_and_wait(topic, b"before")
    async with dead(kafka, proxy, how):
        futures = [await producer.send(topic, b"%d" % n) for n in range(10)]
        batch = producer.create_batch()
        batch.append(key=None, value=b"x", timestamp=None)
        futures.append(await producer.send_batch(batch, topic, partition=0))
        stop = await timed(producer.stop())
        assert stop.error is None
        assert 0.65 <= stop.elapsed <= 0.7 * 1.1 + 0.1
        for future in futures:
            assert isinstance(future.exception(), ProducerClosed)
        again = await timed(producer.stop())
        assert again.elapsed < 0.05
    await eventually(lambda: not _tasks_of_client(before))


def _tasks_of_client(before: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    return {t for t in asyncio.all_tasks() - before if "aiokafka" in repr(t.get_coro())}


@both
@every_way
async def test_stop_with_nothing_to_deliver(
    kafka: KafkaCluster, proxy: Proxy, topic: str, how: str, idempotent: bool
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=proxy.address, enable_idempotence=idempotent)
    await producer.start()
    await producer.send_and_wait(topic, b"before")
    async with dead(kafka, proxy, how):
        assert (await timed(producer.flush())).elapsed < 0.05
        assert (await timed(producer.stop())).elapsed < 0.2


@both
@every_way
async def test_flush(
    kafka: KafkaCluster, proxy: Proxy, topic: str, how: str, idempotent: bool
) -> None:
    """It ends with the last batch, which `delivery_timeout_ms` ends."""
    async with producing(
        proxy.address,
        acks="all",
        enable_idempotence=idempotent,
        delivery_timeout_ms=900,
        request_timeout_ms=400,
        reconnect_backoff_max_ms=200,
    ) as producer:
        await producer.send_and_wait(topic, b"before")
        async with dead(kafka, proxy, how):
            futures = [await producer.send(topic, b"%d" % n) for n in range(10)]
            flush = await timed(producer.flush())
            assert flush.error is None
            assert 0.85 <= flush.elapsed <= 0.9 * 1.1 + 0.1
            for future in futures:
                assert isinstance(future.exception(), DeliveryTimeoutError)
        # Not ended for good: the same producer goes on.
        assert (await producer.send_and_wait(topic, b"after")).offset >= 1


async def test_stop_without_a_producer_id(kafka: KafkaCluster, proxy: Proxy) -> None:
    """The start of an idempotent producer is cancelled while it waits for its id."""
    producer = AIOKafkaProducer(bootstrap_servers=proxy.address, enable_idempotence=True)
    await producer.client.bootstrap()
    proxy.silence()
    starting = asyncio.ensure_future(producer.start())
    await blocked(starting)
    starting.cancel()
    await asyncio.wait((starting,))
    assert (await timed(producer.stop())).elapsed < 0.2


async def test_stop_in_the_middle_of_start(proxy: Proxy) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=proxy.address)
    proxy.silence()
    starting = asyncio.ensure_future(timed(producer.start()))
    await blocked(starting)
    assert (await timed(producer.stop())).elapsed < 0.2
    start = await asyncio.wait_for(starting, 1)
    assert isinstance(start.failure, KafkaError)


async def test_log_of_expiries(
    kafka: KafkaCluster, proxy: Proxy, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says that records expire, one that they are delivered again."""
    caplog.set_level(logging.INFO, "aiokafka")
    async with producing(
        proxy.address, delivery_timeout_ms=500, request_timeout_ms=400
    ) as producer:
        await producer.send_and_wait(topic, b"before")
        proxy.silence()
        for _ in range(5):
            end = await timed(producer.send_and_wait(topic, b"x"))
            assert isinstance(end.failure, DeliveryTimeoutError)
        proxy.heal()
        while (await timed(producer.send_and_wait(topic, b"after"))).error is not None:
            pass
    expired = [r for r in caplog.records if "Expired" in r.getMessage()]
    assert [record.levelname for record in expired] == ["WARNING"]
    assert caplog.text.count("being delivered again") == 1
