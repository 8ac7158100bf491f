"""Defects found in the review of the producer: each test failed before its mend."""

import asyncio

import pytest

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline
from aiokafka.producer import AIOKafkaProducer
from aiokafka.producer._waiting import StopSignal, left_of
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.faults import Error
from tests.unit.producer.lab import producing, virtual, warm


@virtual
async def test_a_record_s_memory_is_free_when_its_future_is_done():
    """Else ``max_block_ms=0`` refuses the next record although nothing is under way."""
    async with producing(buffer_memory=20_000) as (_, producer):
        await warm(producer)
        producer._max_block = 0
        for _ in range(3):
            await producer.send_and_wait("t", b"x" * 15_000)


@virtual
async def test_a_failed_record_s_memory_is_free_when_its_future_is_done():
    async with producing(buffer_memory=20_000, delivery_timeout_ms=1500) as (kafka, producer):
        await warm(producer)
        producer._max_block = 0
        kafka.brokers[0].freeze()
        for _ in range(2):
            with pytest.raises(Errors.DeliveryTimeoutError):
                await producer.send_and_wait("t", b"x" * 15_000)
        kafka.brokers[0].thaw()


@virtual
async def test_what_is_left_of_an_unused_budget_is_the_budget():
    """Instrumentations compare it: 40.0, not 39.99999999999773."""
    for _ in range(1000):
        await asyncio.sleep(0.3331)
        assert left_of(Deadline.after(40.0)) == 40.0


@virtual
async def test_nothing_waits_once_the_signal_was_given():
    """``stop()`` may take a while yet; who calls meanwhile need not wait with it."""
    signal = StopSignal()
    signal.give()
    asked = []

    async def wait():
        asked.append(1)

    with pytest.raises(Errors.ProducerClosed):
        await signal.unless_given(wait)
    assert not asked


@virtual
async def test_a_block_that_is_not_entered_leaves_nothing_behind():
    """``async with`` whose start fails: the client would go on for ever."""
    async with FakeCluster(brokers=1) as kafka:
        kafka.faults.add(Error(31), api="InitProducerId")
        before = asyncio.all_tasks()
        with pytest.raises(Errors.ClusterAuthorizationFailedError):
            async with AIOKafkaProducer(
                bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True
            ):
                pass
        assert asyncio.all_tasks() == before
        await kafka.wait_until(lambda: not kafka.connection_count, what="closing")


@virtual
async def test_a_full_buffer_does_not_make_records_cost_by_partitions(monkeypatch):
    """A record that waits for space must not have all partitions sorted for it."""
    async with producing(partitions=50, buffer_memory=20_000) as (_, producer):
        await warm(producer)
        await producer.send_and_wait("t", b"x")
        looked = []
        cluster = producer._metadata
        known = cluster.partitions_for_topic

        def partitions_for_topic(topic):
            looked.append(topic)
            return known(topic)

        monkeypatch.setattr(cluster, "partitions_for_topic", partitions_for_topic)
        sends = [producer.send_and_wait("t", b"x" * 1000) for _ in range(100)]
        await asyncio.gather(*sends)
        assert len(looked) <= 2
