"""How long the producer's calls may take, and how they say why; in virtual time."""

import asyncio
import logging

import pytest

from aiokafka import errors as Errors
from aiokafka.errors import (
    BufferTimeoutError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    MetadataTimeoutError,
    ProducerClosed,
    UnknownTopicOrPartitionError,
)
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Deaf, Error
from tests.unit.producer.lab import now, producing, virtual, warm

BUDGET = 2.0


async def times_out(awaitable, seconds=BUDGET, kind=KafkaTimeoutError):
    started = now()
    with pytest.raises(kind) as caught:
        await awaitable
    assert seconds * 0.94 - 0.01 <= now() - started <= seconds * 1.06 + 0.01
    return caught.value


def batch_of(producer):
    batch = producer.create_batch()
    batch.append(key=None, value=b"v", timestamp=None)
    return batch


CALLS = {
    "send": lambda p, topic: p.send(topic, b"v"),
    "send_and_wait": lambda p, topic: p.send_and_wait(topic, b"v"),
    "send_batch": lambda p, topic: p.send_batch(batch_of(p), topic, partition=0),
    "partitions_for": lambda p, topic: p.partitions_for(topic),
    "_wait_on_metadata": lambda p, topic: p._wait_on_metadata(topic),
}


@pytest.mark.parametrize("call", CALLS)
@virtual
async def test_absent_topic(call):
    async with producing(cluster={"auto_create": False}) as (_, producer):
        error = await times_out(CALLS[call](producer, "absent"))
        assert isinstance(error, MetadataTimeoutError)
        assert isinstance(error, UnknownTopicOrPartitionError)
        assert (error.topic, error.budget_ms) == ("absent", 2000)
        assert isinstance(error.__cause__, UnknownTopicOrPartitionError)


@pytest.mark.parametrize("call", CALLS)
@virtual
async def test_deaf_cluster(call):
    async with producing() as (kafka, producer):
        kafka.brokers[0].freeze()
        error = await times_out(CALLS[call](producer, "new"))
        assert "new" in str(error) and "2000 ms" in str(error)
        kafka.brokers[0].thaw()
        await producer.send_and_wait("t", b"v")


@pytest.mark.parametrize("call", CALLS)
@virtual
async def test_dead_cluster(call):
    async with producing() as (kafka, producer):
        kafka.brokers[0].kill()
        error = await times_out(CALLS[call](producer, "new"))
        assert error.__cause__ is not None
        kafka.brokers[0].restart()


@virtual
async def test_the_topic_appears_during_the_wait():
    async with producing(cluster={"auto_create": False}) as (kafka, producer):
        asyncio.get_running_loop().call_later(1, kafka.create_topic, "late")
        started = now()
        await producer.send_and_wait("late", b"v")
        assert 1 <= now() - started < 2


@virtual
async def test_a_partition_that_does_not_exist():
    async with producing(partitions=2) as (kafka, producer):
        error = await times_out(producer.send("t", b"v", partition=5))
        assert isinstance(error, MetadataTimeoutError)
        assert "5" in str(error) and "2" in str(error)
        asyncio.get_running_loop().call_later(1, kafka.add_partitions, "t", 6)
        metadata = await producer.send_and_wait("t", b"v", partition=5)
        assert metadata.partition == 5


@virtual
async def test_what_waiting_cannot_mend_is_raised_at_once():
    async with producing() as (kafka, producer):
        kafka.denied_topics.add("secret")
        for topic, kind in (
            ("secret", Errors.TopicAuthorizationFailedError),
            ("no good name!", Errors.InvalidTopicError),
        ):
            started = now()
            with pytest.raises(kind):
                await producer.send(topic, b"v")
            assert now() - started < 0.5


# A budget of nothing


@virtual
async def test_zero_works_with_everything_at_hand():
    async with producing(max_block_ms=0, buffer_memory=1000) as (kafka, producer):
        started = now()
        with pytest.raises(KafkaTimeoutError):
            await producer.send("t", b"v")
        assert now() == started
        await kafka.wait_for_requests("Metadata", 2)
        await asyncio.sleep(0.5)
        await producer.send_and_wait("t", b"v")
        kafka.faults.add(Deaf(), api="Produce")
        await producer.send("t", b"x" * 700)
        started = now()
        with pytest.raises(BufferTimeoutError):
            await producer.send("t", b"x" * 700)
        assert now() == started


# Buffer space


@virtual
async def test_full_buffer():
    async with producing(buffer_memory=2000) as (kafka, producer):
        await warm(producer)
        fault = kafka.faults.add(Error(ErrorCode.NOT_ENOUGH_REPLICAS), api="Produce")
        first = await producer.send("t", b"x" * 1500)
        await asyncio.sleep(0.1)
        error = await times_out(producer.send("t", b"x" * 1000))
        assert isinstance(error, BufferTimeoutError)
        assert (error.total, error.budget_ms) == (2000, 2000)
        assert error.available < 500
        assert isinstance(error.__cause__, Errors.NotEnoughReplicasError)
        waiting = [asyncio.ensure_future(producer.send("t", b"%d" % i * 900)) for i in range(3)]
        await asyncio.sleep(0.1)
        kafka.faults.remove(fault)
        futures = await asyncio.gather(*waiting)
        await asyncio.gather(first, *futures)
        assert [r.value[:1] for r in kafka.records("t")] == [b"x", b"0", b"1", b"2"]


@virtual
async def test_one_budget_for_metadata_and_buffer():
    async with producing(buffer_memory=2000, cluster={"auto_create": False}) as (kafka, producer):
        await warm(producer)
        kafka.faults.add(Error(ErrorCode.NOT_ENOUGH_REPLICAS), api="Produce")
        await producer.send("t", b"x" * 1500)
        asyncio.get_running_loop().call_later(1.2, kafka.create_topic, "late")
        await times_out(producer.send("late", b"x" * 1000), kind=BufferTimeoutError)


@virtual
async def test_records_that_never_fit():
    async with producing(max_request_size=1000, buffer_memory=5000) as (_, producer):
        await warm(producer)
        for size in (1000, 6000):
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send("t", b"x" * size)
        await producer.send_and_wait("t", b"fits")


@virtual
async def test_first_come_first_served():
    async with producing(buffer_memory=3000) as (kafka, producer):
        await warm(producer)
        kafka.brokers[0].freeze()
        await producer.send("t", b"x" * 2000)
        tasks = [asyncio.ensure_future(producer.send("t", b"%02d" % i * 300)) for i in range(20)]
        await asyncio.sleep(0.2)
        kafka.brokers[0].thaw()
        await asyncio.gather(*[await task for task in tasks])
        assert [r.value[:2] for r in kafka.records("t")][1:] == [b"%02d" % i for i in range(20)]


# Cancelling


@virtual
async def test_cancelled_while_waiting_for_metadata():
    async with producing(cluster={"auto_create": False}) as (_, producer):
        waiting = asyncio.ensure_future(producer.send("absent", b"v"))
        await asyncio.sleep(0.5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await producer.send_and_wait("t", b"v")


@virtual
async def test_cancelled_while_waiting_for_space():
    async with producing(buffer_memory=2000) as (kafka, producer):
        await warm(producer)
        kafka.brokers[0].freeze()
        await producer.send("t", b"x" * 1500)
        waiting = asyncio.ensure_future(producer.send("t", b"x" * 1000))
        await asyncio.sleep(0.5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        kafka.brokers[0].thaw()
        await producer.flush()
        pool = producer._message_accumulator.pool
        assert (pool.used, pool.waiting, pool.blocked) == (0, 0, False)
        assert len(kafka.records("t")) == 1


@virtual
async def test_cancelling_the_future_does_not_stop_the_delivery():
    async with producing() as (kafka, producer):
        await warm(producer)
        first = await producer.send("t", b"1")
        second = await producer.send("t", b"2")
        first.cancel()
        await second
        assert len(kafka.records("t")) == 2


# Stopping during a wait


@pytest.mark.parametrize("call", CALLS)
@virtual
async def test_stop_during_a_wait_for_metadata(call):
    async with producing(cluster={"auto_create": False}) as (_, producer):
        waiting = asyncio.ensure_future(CALLS[call](producer, "absent"))
        await asyncio.sleep(0.5)
        stopping = asyncio.ensure_future(producer.stop())
        started = now()
        with pytest.raises(ProducerClosed):
            await waiting
        assert now() == started
        await stopping


@virtual
async def test_stop_during_a_wait_for_space():
    async with producing(buffer_memory=2000, stop_timeout_ms=1000) as (kafka, producer):
        await warm(producer)
        kafka.brokers[0].freeze()
        lost = await producer.send("t", b"x" * 1500)
        waiting = asyncio.ensure_future(producer.send("t", b"x" * 1000))
        await asyncio.sleep(0.5)
        stopping = asyncio.ensure_future(producer.stop())
        started = now()
        with pytest.raises(ProducerClosed):
            await waiting
        assert now() == started
        with pytest.raises(ProducerClosed):
            await lost
        assert now() - started == pytest.approx(1, abs=0.1)
        await stopping


# Many at once, and instrumentations


@virtual
async def test_a_thousand_senders_share_one_refresh(caplog):
    async with producing(cluster={"auto_create": False}) as (kafka, producer):
        await asyncio.sleep(1)
        before = kafka.count("Metadata")
        started = now()
        with caplog.at_level(logging.WARNING):
            results = await asyncio.gather(
                *(producer.send("absent", b"v") for _ in range(1000)), return_exceptions=True
            )
        assert now() - started <= BUDGET * 1.06
        assert {type(result) for result in results} == {MetadataTimeoutError}
        assert kafka.count("Metadata") - before < 12
        assert len(caplog.records) == 1


@virtual
async def test_a_timeout_just_seen_is_not_paid_twice():
    async with producing(cluster={"auto_create": False}) as (_, producer):

        async def instrumented():
            with pytest.raises(KafkaTimeoutError):
                await producer.client._wait_on_metadata("absent")
            await producer.send("absent", b"v")

        await times_out(instrumented())
        # That was it: the next call has its own budget.
        await times_out(producer.send("absent", b"v"))


@virtual
async def test_no_wait_at_all_with_metadata_at_hand():
    async with producing() as (_, producer):
        await warm(producer)
        turns = 0

        def count():
            nonlocal turns
            turns += 1
            loop.call_soon(count)

        loop = asyncio.get_running_loop()
        handle = loop.call_soon(count)
        for _ in range(100):
            await producer.send("t", b"v")
        handle.cancel()
        assert turns == 0
        await producer.flush()


@virtual
async def test_leftovers_of_the_budget_go_to_the_buffer():
    async with producing(cluster={"auto_create": False}) as (kafka, producer):
        seen = []
        real = producer._message_accumulator.add_message

        def spy(tp, key, value, timeout, **kwargs):
            seen.append(timeout)
            return real(tp, key, value, timeout, **kwargs)

        producer._message_accumulator.add_message = spy
        producer._append = lambda *args: None
        await producer.send("t", b"v")
        asyncio.get_running_loop().call_later(1, kafka.create_topic, "late")
        await producer.send("late", b"v")
        assert seen[0] == 2.0
        assert 0.1 < seen[1] < 0.99
