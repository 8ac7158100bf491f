"""`max_block_ms`: every call ends in its budget, on a broker that is frozen, dead or deaf.

The broker does not create topics by itself, so that an absent topic stays absent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BufferTimeoutError,
    IllegalStateError,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaTimeoutError,
    MetadataTimeoutError,
    ProducerClosed,
    UnknownTopicOrPartitionError,
)
from tests.integration.conftest import unique_topic
from tests.integration.frames import METADATA, FrameProxy
from tests.integration.support import (
    BUDGET_MS,
    LIMIT,
    Timed,
    all_bounded_calls,
    blocked,
    check_timeout,
    eventually,
    producing,
    timed,
)
from tests.kafka import KafkaCluster, Proxy

# The longest pause before a node is tried again: reconnect_backoff_max_ms and its jitter.
NEXT_BACKOFF = 1.2


@pytest.fixture(scope="module")
def strict() -> Iterator[KafkaCluster]:
    """One broker that creates no topic unasked."""
    with KafkaCluster(1, properties={"auto.create.topics.enable": "false"}) as cluster:
        yield cluster


@pytest.fixture
async def known(strict: KafkaCluster) -> str:
    """A topic of two partitions."""
    return await strict.truth.create_topic_async(unique_topic("known"), 2)


async def _delivered(producer: AIOKafkaProducer, topic: str, give_up: float = 30.0) -> float:
    """Send until a record is stored; returns the time of it."""
    started = time.monotonic()
    while True:
        try:
            await producer.send_and_wait(topic, b"after")
            return time.monotonic()
        except KafkaTimeoutError:
            assert time.monotonic() - started < give_up


# -- Brokers away, and back -------------------------------------------------------------------


async def test_frozen_broker(strict: KafkaCluster, known: str) -> None:
    new = await strict.truth.create_topic_async(unique_topic("new"))
    async with producing(strict.bootstrap) as producer:
        await producer.send_and_wait(known, b"before")
        with strict.frozen(0):
            ends = await all_bounded_calls(producer)
            waiting = asyncio.ensure_future(producer.send_and_wait(new, b"waited"))
            await blocked(waiting)
        thawed = time.monotonic()
        await waiting
        assert time.monotonic() - thawed <= 1.0
        assert await _delivered(producer, known) - thawed <= 1.0
    assert all("no answer" in str(end.error) for end in ends.values())


async def test_killed_broker(strict: KafkaCluster, known: str) -> None:
    new = await strict.truth.create_topic_async(unique_topic("new"))
    async with producing(strict.bootstrap) as producer:
        await producer.send_and_wait(known, b"before")
        strict.brokers[0].kill()
        ends = await all_bounded_calls(producer)
        assert all(isinstance(e.failure.__cause__, KafkaConnectionError) for e in ends.values())

        starting = asyncio.ensure_future(strict.brokers[0].start_async())
        both = asyncio.ensure_future(
            asyncio.gather(_delivered(producer, new, 60), _delivered(producer, known, 60))
        )
        await starting
        back = time.monotonic()
        for delivered in await both:
            assert delivered - back <= NEXT_BACKOFF + 1.0


async def test_deaf_proxy(strict: KafkaCluster, known: str) -> None:
    new = await strict.truth.create_topic_async(unique_topic("new"))
    async with strict.proxy() as proxy, producing(proxy.address) as producer:
        await producer.send_and_wait(known, b"before")
        proxy.silence()
        await all_bounded_calls(producer)
        proxy.heal()
        healed = time.monotonic()
        assert await _delivered(producer, new) - healed <= 1.0
        assert await _delivered(producer, known) - healed <= 1.0


async def test_dead_network_and_back(strict: KafkaCluster, known: str) -> None:
    """Connections are reset, new ones refused; then everything is accepted again."""
    new = await strict.truth.create_topic_async(unique_topic("new"))
    async with strict.proxy() as proxy, producing(proxy.address) as producer:
        await producer.send_and_wait(known, b"before")
        await proxy.refuse()
        await all_bounded_calls(producer)
        await proxy.accept()
        accepting = time.monotonic()
        assert await _delivered(producer, new) - accepting <= NEXT_BACKOFF + 1.0
        assert await _delivered(producer, known) - accepting <= NEXT_BACKOFF + 1.0


async def test_lost_answers_then_reset(strict: KafkaCluster) -> None:
    """What was asked is lost for ever; the reset of the connections is what tells."""
    new = await strict.truth.create_topic_async(unique_topic("new"))
    async with strict.proxy() as proxy, producing(proxy.address) as producer:
        proxy.lose_answers()
        check_timeout(await timed(producer.send(new, b"x")), new)
        proxy.heal()
        healed = time.monotonic()
        assert await _delivered(producer, new) - healed <= NEXT_BACKOFF + 1.0


async def test_slow_network(strict: KafkaCluster) -> None:
    """Answers that come late but within the budget are used, later ones end the call."""
    first, second, third = [
        await strict.truth.create_topic_async(unique_topic("slow")) for _ in range(3)
    ]
    async with strict.proxy() as proxy, producing(proxy.address) as producer:
        proxy.delay = 0.4
        within = await timed(producer.partitions_for(first))
        assert within.result == {0}
        assert 0.8 <= within.elapsed <= LIMIT
        proxy.delay = 1.5
        started = time.monotonic()
        check_timeout(await timed(producer.send(second, b"x")), second)
        # The answer comes a second after the call has given up, and is used all the same.
        await eventually(lambda: second in producer.client.cluster.topics(), timeout=3)
        assert time.monotonic() - started < 3.0 + 1.0
        proxy.heal()
        assert (await timed(producer.send_and_wait(third, b"x"))).elapsed < 2 * 1.5 + 1.0


async def test_silent_broker_among_healthy_ones(kafka3: KafkaCluster) -> None:
    """A new topic's metadata takes no longer for a broker that is frozen."""
    topics = [
        await kafka3.truth.create_topic_async(unique_topic("fresh"), replication_factor=1)
        for _ in range(12)
    ]
    took: list[float] = []
    async with producing(kafka3.bootstrap) as producer:
        for node_id in range(3):
            with kafka3.frozen(node_id):
                for topic in topics[node_id::3]:
                    end = await timed(producer.partitions_for(topic))
                    assert end.result == {0}
                    took.append(end.elapsed)
            kafka3.wait_ready()
    print(f"new topic's metadata with one broker frozen: {sorted(took)[-1] * 1000:.0f} ms at most")
    assert max(took) < 0.5, took


async def test_start_with_a_silent_broker(kafka3: KafkaCluster) -> None:
    with kafka3.frozen(1):
        for _ in range(5):
            producer = AIOKafkaProducer(bootstrap_servers=kafka3.bootstrap)
            assert (await timed(producer.start())).elapsed < 0.5
            await producer.stop()


async def test_log_of_an_outage(
    strict: KafkaCluster, known: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Every change of state once, however often it is tried in between."""
    caplog.set_level(logging.INFO, "aiokafka")
    async with strict.proxy() as proxy:
        async with producing(
            proxy.address, max_block_ms=100, delivery_timeout_ms=500, request_timeout_ms=500
        ) as producer:
            await producer.send_and_wait(known, b"before")
            await proxy.refuse()
            over = time.monotonic() + 4
            failed: list[BaseException | None] = []
            while time.monotonic() < over:
                failed += await asyncio.gather(
                    producer.send("absent", b"x"),
                    producer.send_and_wait(known, b"x"),
                    return_exceptions=True,
                )
            await proxy.accept()
            await _delivered(producer, known)
            await eventually(lambda: "again" in caplog.text)
    assert len(failed) >= 10
    assert all(isinstance(error, KafkaTimeoutError) for error in failed)
    lines = Counter(
        (record.msg, str(record.args and record.args[0]))  # type: ignore[index]
        for record in caplog.records
        if record.levelno >= logging.WARNING and "absent" not in record.getMessage()
    )
    absent = [r for r in caplog.records if r.levelno >= 30 and "absent" in r.getMessage()]
    assert len(absent) == 1
    assert set(lines.values()) == {1}, lines
    assert len(lines) <= 4, lines


# -- Topics that do not come ------------------------------------------------------------------


async def test_absent_topic(strict: KafkaCluster) -> None:
    async with producing(strict.bootstrap) as producer:
        end = await timed(producer.send("absent", b"x"))
        error = check_timeout(end, "absent")
        assert isinstance(error.__cause__, UnknownTopicOrPartitionError)
        assert error.attempts >= 3


async def test_timeout_is_not_paid_twice(strict: KafkaCluster) -> None:
    """Instrumentations wait for metadata before they call send(), in the same task."""
    async with producing(strict.bootstrap) as producer:

        async def instrumented(topic: str) -> None:
            with contextlib.suppress(KafkaTimeoutError):
                await producer.client._wait_on_metadata(topic)
            await producer.send(topic, b"x")

        end = await timed(instrumented("absent"))
        assert isinstance(end.failure, MetadataTimeoutError)
        assert end.elapsed <= LIMIT


async def test_thousand_senders_of_one_absent_topic(strict: KafkaCluster) -> None:
    """One refresh in flight, all released on time."""
    topic = unique_topic("thousand")
    upstream = ("127.0.0.1", strict.brokers[0].port)
    async with FrameProxy(upstream) as proxy:
        proxy.lead_to(proxy.port)
        async with producing(proxy.address) as producer:
            before = proxy.requests[METADATA]
            ends = await asyncio.gather(*(timed(producer.send(topic, b"x")) for _ in range(1000)))
            for end in ends:
                check_timeout(end, topic)
            # 100, 200, 400, 800 ms of backoff, 20 % of jitter, one attempt more for the end.
            assert 3 <= proxy.requests[METADATA] - before <= 7
            assert proxy.most_in_flight[METADATA] == 1

            waiting = [
                asyncio.ensure_future(timed(producer.send_and_wait(topic, b"x")))
                for _ in range(1000)
            ]
            await blocked(waiting[0])
            await strict.truth.create_topic_async(topic)
            created = time.monotonic()
            ends = await asyncio.gather(*waiting)
            assert time.monotonic() - created <= NEXT_BACKOFF + 1.0
            assert {end.result.offset for end in ends} == set(range(1000))
            assert proxy.most_in_flight[METADATA] == 1


async def test_topic_is_created_during_the_wait(strict: KafkaCluster) -> None:
    topic = unique_topic("late")
    async with producing(strict.bootstrap) as producer:
        waiting = asyncio.ensure_future(timed(producer.send_and_wait(topic, b"x")))
        await blocked(waiting)
        await strict.truth.create_topic_async(topic)
        end = await waiting
        assert end.result.offset == 0


async def test_invalid_topic_name_at_once(strict: KafkaCluster) -> None:
    async with producing(strict.bootstrap) as producer:
        for topic in ("no/good", "", "x" * 250):
            for call in (producer.send(topic, b"x"), producer.partitions_for(topic)):
                end = await timed(call)
                assert isinstance(end.failure, InvalidTopicError), topic
                assert end.elapsed < 0.5


async def test_partition_too_high_in_vain(strict: KafkaCluster, known: str) -> None:
    async with producing(strict.bootstrap) as producer:
        batch = producer.create_batch()
        batch.append(key=None, value=b"x", timestamp=None)
        ends = await asyncio.gather(
            timed(producer.send(known, b"x", partition=7)),
            timed(producer.send_batch(batch, known, partition=7)),
        )
        for end in ends:
            assert isinstance(end.failure, KafkaTimeoutError)
            assert LIMIT - 0.25 <= end.elapsed <= LIMIT
            for fact in ("7", known, "2 partitions", f"budget {BUDGET_MS} ms"):
                assert fact in str(end.error)


async def test_partition_grows_during_the_wait(strict: KafkaCluster, known: str) -> None:
    async with producing(strict.bootstrap) as producer:
        waiting = asyncio.ensure_future(
            timed(producer.send_and_wait(known, b"x", partition=3)),
        )
        await blocked(waiting)
        await asyncio.to_thread(strict.truth.create_partitions, known, 4)
        end = await waiting
        assert (end.result.partition, end.result.offset) == (3, 0)
        assert end.elapsed <= LIMIT


async def test_negative_partition_at_once(strict: KafkaCluster, known: str) -> None:
    async with producing(strict.bootstrap) as producer:
        batch = producer.create_batch()
        batch.append(key=None, value=b"x", timestamp=None)
        for topic in (known, "absent"):
            for call in (
                producer.send(topic, b"x", partition=-1),
                producer.send_batch(batch, topic, partition=-1),
            ):
                end = await timed(call)
                assert isinstance(end.failure, ValueError)
                assert "partition" in str(end.error)
                assert end.elapsed < 0.1
        assert (await producer.send_and_wait(known, b"fine", partition=1)).offset == 0


# -- A budget of zero -------------------------------------------------------------------------


async def test_zero_budget(strict: KafkaCluster, known: str) -> None:
    async with producing(strict.bootstrap, max_block_ms=0) as producer:
        cold = await timed(producer.send(known, b"x"))
        assert isinstance(cold.failure, MetadataTimeoutError)
        assert cold.elapsed < 0.1
        # What was asked for then arrives in the background.
        await eventually(lambda: known in producer.client.cluster.topics(), timeout=2)
        warm = await timed(producer.send(known, b"x"))
        assert warm.elapsed < 0.1
        assert (await warm.result).offset == 0
        with strict.frozen(0):
            queued = [await timed(producer.send(known, b"x")) for _ in range(10)]
            assert max(end.elapsed for end in queued) < 0.1
            absent = await timed(producer.send("absent", b"x"))
            assert isinstance(absent.failure, MetadataTimeoutError)
            assert absent.elapsed < 0.1
        await asyncio.gather(*(end.result for end in queued))


# -- Buffer space -----------------------------------------------------------------------------


async def test_full_buffer(strict: KafkaCluster, known: str) -> None:
    """The wait for space has the same budget, and what metadata took counts."""
    async with producing(strict.bootstrap, buffer_memory=10_000) as producer:
        await producer.send_and_wait(known, b"before")
        with strict.frozen(0):
            held = [await producer.send(known, b"x" * 3000) for _ in range(3)]
            end = await timed(producer.send(known, b"x" * 3000))
            assert isinstance(end.failure, BufferTimeoutError)
            assert LIMIT - 0.25 <= end.elapsed <= LIMIT
            assert end.failure.total == 10_000
            assert end.failure.requested >= 3000
            for fact in ("10000", "2000 ms"):
                assert fact in str(end.failure)
            waiting = [
                asyncio.ensure_future(producer.send(known, b"%d" % n * 3000)) for n in range(3)
            ]
            await blocked(waiting[0])
        sent = await asyncio.gather(*waiting)
        await asyncio.gather(*held, *sent)


# -- Before the start, after the end ----------------------------------------------------------


async def test_not_started_or_stopped(strict: KafkaCluster, known: str, proxy: Proxy) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=proxy.address, max_block_ms=BUDGET_MS, request_timeout_ms=500
    )

    async def refused(expected: type[Exception]) -> None:
        for call in (producer.send(known, b"x"), producer.send_and_wait(known, b"x")):
            end = await timed(call)
            assert isinstance(end.failure, expected)
            assert end.elapsed < 0.1

    await refused(IllegalStateError)
    proxy.silence()
    start = await timed(producer.start())
    assert isinstance(start.failure, KafkaConnectionError)
    assert start.elapsed < 0.5 * 1.1 + 0.1
    await refused(IllegalStateError)
    stop = await timed(producer.stop())
    assert stop.error is None
    assert stop.elapsed < 0.2
    await refused(ProducerClosed)


async def test_failed_start_may_be_repeated(strict: KafkaCluster, known: str) -> None:
    async with strict.proxy() as proxy:
        await proxy.refuse()
        producer = AIOKafkaProducer(bootstrap_servers=proxy.address, request_timeout_ms=500)
        start = await timed(producer.start())
        assert isinstance(start.failure, KafkaConnectionError)
        assert proxy.address in str(start.failure)
        await proxy.accept()
        await eventually(lambda: producer.client._pool.node("bootstrap-0").delay() == 0)
        await producer.start()
        assert (await producer.send_and_wait(known, b"x")).offset == 0
        await producer.stop()


# -- Stopping and cancelling while waiting ----------------------------------------------------


@pytest.mark.parametrize("idempotent", [False, True])
async def test_stop_ends_a_wait_at_once(strict: KafkaCluster, idempotent: bool) -> None:
    async with producing(strict.bootstrap, enable_idempotence=idempotent) as producer:
        batch = producer.create_batch()
        batch.append(key=None, value=b"x", timestamp=None)
        waiting = [
            asyncio.ensure_future(timed(call))
            for call in (
                producer.send("absent", b"x"),
                producer.send_and_wait("absent", b"x"),
                producer.partitions_for("absent"),
                producer.send_batch(batch, "absent", partition=0),
            )
        ]
        await blocked(waiting[0])
        stop = await timed(producer.stop())
        assert stop.elapsed < 0.2
        for end in await asyncio.gather(*waiting):
            assert isinstance(end.failure, ProducerClosed)
            assert end.elapsed < 0.5


async def test_stop_ends_a_wait_for_space_at_once(strict: KafkaCluster, known: str) -> None:
    async with producing(strict.bootstrap, buffer_memory=4000) as producer:
        await producer.send_and_wait(known, b"before")
        with strict.frozen(0):
            held = await producer.send(known, b"x" * 3000)
            waiting = asyncio.ensure_future(timed(producer.send(known, b"x" * 3000)))
            await blocked(waiting)
            stopping = asyncio.ensure_future(timed(producer.stop()))
            end = await waiting
            assert isinstance(end.failure, ProducerClosed)
            assert end.elapsed < 0.5
            stop: Timed = await stopping
            assert stop.elapsed < 0.5 * 1.1 + 0.1
            with pytest.raises(ProducerClosed):
                await held


async def test_cancelled_send(strict: KafkaCluster, known: str) -> None:
    """A caller who leaves takes nothing along and leaves nothing behind."""
    before = asyncio.all_tasks()
    async with producing(strict.bootstrap) as producer:
        await producer.send_and_wait(known, b"before")
        running = asyncio.all_tasks()
        waiting = [asyncio.ensure_future(producer.send("absent", b"x")) for _ in range(100)]
        await blocked(waiting[0])
        for task in waiting[:99]:
            task.cancel()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(end) for end in ended[:99]} == {asyncio.CancelledError}
        assert isinstance(ended[99], MetadataTimeoutError)
        await eventually(lambda: asyncio.all_tasks() <= running)
        assert (await producer.send_and_wait(known, b"after")).offset >= 0
    assert asyncio.all_tasks() == before
