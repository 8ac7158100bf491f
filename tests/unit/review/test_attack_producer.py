"""What hostile input and dying clusters have done to the producer, one test for each."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from typing import Any

import pytest

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BufferTimeoutError,
    DeliveryTimeoutError,
    InvalidTopicError,
    KafkaTimeoutError,
    ProducerClosed,
)
from aiokafka.producer._queues import BufferMemory
from aiokafka.testing import Cut, FakeCluster, run_virtual

SETTINGS: dict[str, Any] = {
    "request_timeout_ms": 3_000,
    "max_block_ms": 2_000,
    "delivery_timeout_ms": 10_000,
    "stop_timeout_ms": 1_500,
}


def producer_of(cluster: FakeCluster, **settings: Any) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap_servers, **{**SETTINGS, **settings}
    )


@pytest.mark.parametrize("topic", ["\ud800", "x" * 40_000])
def test_topic_that_no_request_can_carry_harms_no_other(topic: str) -> None:
    async def main() -> None:
        async with FakeCluster(brokers=1) as cluster, producer_of(cluster) as producer:
            began = asyncio.get_running_loop().time()
            with pytest.raises(InvalidTopicError):
                await producer.send(topic, b"value")
            with pytest.raises(InvalidTopicError):
                producer.client.add_topic(topic)
            with pytest.raises(InvalidTopicError):
                producer.client.set_topics([topic])
            assert asyncio.get_running_loop().time() == began
            await producer.send_and_wait("another", b"value")

    run_virtual(main)


@pytest.mark.parametrize("topic", [None, 5, b"topic"])
def test_topic_that_is_no_str_harms_no_other(topic: Any) -> None:
    async def main() -> None:
        async with FakeCluster(brokers=1) as cluster, producer_of(cluster) as producer:
            with pytest.raises(TypeError, match="topic"):
                await producer.partitions_for(topic)
            with pytest.raises(TypeError, match="topic"):
                await producer.client._wait_on_metadata(topic)
            await producer.send_and_wait("another", b"value")

    run_virtual(main)


@pytest.mark.parametrize(
    "backoff",
    [
        {"retry_backoff_ms": 0},
        {"retry_backoff_max_ms": 0},
        {"retry_backoff_ms": 0, "reconnect_backoff_ms": 0},
    ],
)
def test_no_backoff_leaves_the_loop_to_others(backoff: dict[str, Any]) -> None:
    """A dead cluster: rounds that end without awaiting anything kept the loop for themselves."""

    async def main() -> None:
        async with FakeCluster(brokers=2, auto_create=False) as cluster:
            async with producer_of(cluster, **backoff) as producer:
                with pytest.raises(KafkaTimeoutError):
                    await producer.send("absent", b"value")
                assert len(cluster.requests) < 300
                for broker in cluster.brokers.values():
                    broker.kill()
                with pytest.raises(KafkaTimeoutError) as caught:
                    await producer.send("absent too", b"value")
                assert caught.value.elapsed_ms <= 2_200  # type: ignore[attr-defined]

    run_virtual(main)


async def test_unacknowledged_records_do_not_pile_up_in_the_socket() -> None:
    async with FakeCluster(brokers=1) as cluster:
        producer = producer_of(
            cluster,
            acks=0,
            buffer_memory=1_000_000,
            max_block_ms=200,
            request_timeout_ms=400,
            stop_timeout_ms=100,
        )
        await producer.start()
        await producer.send_and_wait("topic", b"value")
        cluster.brokers[0].freeze()
        sent = 0
        with pytest.raises(BufferTimeoutError):
            while sent < 100_000_000:
                await producer.send("topic", b"x" * 10_000)
                sent += 10_000
        # What the socket buffers of both ends take, and what the producer may hold.
        assert sent < 30_000_000
        connection = producer.client._conns[0, 0]
        async with asyncio.timeout(5) if hasattr(asyncio, "timeout") else _no_timeout():
            while connection.connected():
                await asyncio.sleep(0.01)
        assert "read nothing" in str(connection.close_cause)
        cluster.brokers[0].thaw()
        await producer.stop()


class _no_timeout:
    async def __aenter__(self) -> None: ...
    async def __aexit__(self, *exc: object) -> None: ...


def test_metadata_goes_on_after_all_tasks_were_cancelled() -> None:
    async def main() -> None:
        async with FakeCluster(brokers=1) as cluster, producer_of(cluster) as producer:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
            assert await asyncio.wait_for(producer.client.force_metadata_update(), 5)
            await producer.send_and_wait("topic", b"value")

    run_virtual(main)


@pytest.mark.parametrize("timeout", [2**31, 10**15])
def test_request_timeout_beyond_the_wire(timeout: int) -> None:
    async def main() -> None:
        async with FakeCluster(brokers=1) as cluster:
            async with producer_of(cluster, request_timeout_ms=timeout) as producer:
                await producer.send_and_wait("topic", b"value")

    run_virtual(main)


@pytest.mark.parametrize("chosen", [99, -1, None, "0"])
def test_partition_that_does_not_exist_is_refused_when_the_buffer_is_full(chosen: Any) -> None:
    async def main() -> None:
        async with FakeCluster(brokers=1) as cluster:
            async with producer_of(cluster, partitioner=lambda *_: chosen) as producer:
                await producer.partitions_for("topic")
                producer._message_accumulator.pool.blocked = True
                with pytest.raises(ValueError, match="partitioner chose"):
                    await producer.send("topic", b"value")

    run_virtual(main)


async def cancelling(order: int) -> float:
    """CPU seconds that 10,000 waiters take to leave: in order, or (-1) the last one first."""
    pool = BufferMemory(100, asyncio.get_running_loop())
    await pool.reserve(100, 0, None)
    waits = [asyncio.ensure_future(pool.reserve(10, 60, None)) for _ in range(10_001)]
    await asyncio.sleep(0)
    kept = waits.pop()
    began = time.process_time()
    for wait in waits[::order]:
        wait.cancel()
    await asyncio.wait(waits)
    taken = time.process_time() - began
    assert pool.waiting == 1
    pool.give_back(100)
    await kept
    assert pool.used == 10
    assert not pool.blocked
    return taken


async def test_thousands_of_waiters_leave_in_any_order() -> None:
    # About the same; 20 times as long when each looks for itself among all.
    assert await cancelling(-1) < 5 * await cancelling(1) + 0.2


def test_dropped_producer_leaves_nothing() -> None:
    async def main() -> None:
        async with FakeCluster(brokers=1) as cluster:
            producer = producer_of(cluster)
            await producer.start()
            await producer.send_and_wait("topic", b"value")
            cluster.brokers[0].freeze()
            future = await producer.send("topic", b"value")
            await asyncio.sleep(0.1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                del producer
                gc.collect()
            with pytest.raises(ProducerClosed):
                await asyncio.wait_for(future, 1)
            await asyncio.sleep(1.5)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            cluster.brokers[0].thaw()

    unhandled: list[dict[str, Any]] = []
    run_virtual(main, unhandled=unhandled)
    assert [context["message"] for context in unhandled] == ["Unclosed AIOKafkaProducer"]


def test_expiry_says_why_the_broker_cannot_be_reached() -> None:
    async def main() -> None:
        async with FakeCluster(brokers=2, failover_delay=None) as cluster:
            async with producer_of(cluster) as producer:
                await producer.send_and_wait("topic", b"value")
                leader = cluster.topics["topic"].partitions[0].leader
                cluster.brokers[leader].kill()
                for _ in range(20):
                    with pytest.raises(DeliveryTimeoutError) as caught:
                        await producer.send_and_wait("topic", b"value")
                    assert "takes no requests" not in str(caught.value)
                    await asyncio.sleep(0.037)

    run_virtual(main)


def test_connections_lost_again_and_again_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with FakeCluster(brokers=1) as cluster, producer_of(cluster) as producer:
            await producer.send_and_wait("topic", b"value")
            cluster.faults.add(Cut(), api="Produce")
            with pytest.raises(DeliveryTimeoutError):
                await producer.send_and_wait("topic", b"value")

    with caplog.at_level("INFO"):
        run_virtual(main)
    assert sum("Lost the connection" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_port_out_of_range(port: str) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="bootstrap_servers"):
            AIOKafkaProducer(bootstrap_servers=f"localhost:{port}")

    run_virtual(main)


@pytest.mark.parametrize("spoil", [list.clear, list.reverse, list.pop])
def test_partitioner_that_spoils_its_arguments_harms_only_itself(spoil: Any) -> None:
    def partitioner(key: Any, all_partitions: list[int], available: list[int]) -> int:
        if all_partitions:
            spoil(all_partitions)
        if available:
            spoil(available)
        return 0

    async def main() -> None:
        async with (
            FakeCluster(brokers=1, default_partitions=4) as cluster,
            producer_of(cluster, partitioner=partitioner) as producer,
        ):
            for _ in range(6):
                assert (await producer.send_and_wait("t", b"chosen")).partition == 0  # type: ignore[union-attr]
            for partition in range(4):
                stored = await producer.send_and_wait("t", b"given", partition=partition)
                assert stored is not None and stored.partition == partition
            assert await producer.partitions_for("t") == {0, 1, 2, 3}

    run_virtual(main)


def test_batch_given_several_times_while_the_buffer_is_full_is_stored_once() -> None:
    async def main() -> None:
        async with (
            FakeCluster(brokers=1, default_partitions=1) as cluster,
            producer_of(cluster, buffer_memory=3000) as producer,
        ):
            await producer.send_and_wait("t", b"x")
            cluster.brokers[0].freeze()
            await producer.send("t", b"z" * 2500)
            batch = producer.create_batch()
            batch.append(key=None, value=b"B" * 1000, timestamp=None)
            calls = [
                asyncio.ensure_future(producer.send_batch(batch, "t", partition=0))
                for _ in range(3)
            ]
            await asyncio.sleep(0.1)
            cluster.brokers[0].thaw()
            results = await asyncio.gather(*calls, return_exceptions=True)
            refused = [r for r in results if isinstance(r, ValueError)]
            assert len(refused) == 2
            await producer.flush()
            assert cluster.values("t").count(b"B" * 1000) == 1
            assert producer._message_accumulator.pool.used == 0

    run_virtual(main)


def test_callers_with_no_budget_do_not_ask_without_a_pause() -> None:
    async def main() -> None:
        async with (
            FakeCluster(brokers=1, auto_create=False) as cluster,
            producer_of(cluster, max_block_ms=0) as producer,
        ):
            before = cluster.count("Metadata")
            for _ in range(1000):
                with pytest.raises(KafkaTimeoutError):
                    await producer.send("absent", b"v")
                await asyncio.sleep(0.002)
            assert cluster.count("Metadata") - before < 30
            # Nobody waits any more: the name is not asked for for ever.
            await asyncio.sleep(5)
            assert "absent" not in producer.client._topics
            assert not producer.client._refresher.waited_for

    run_virtual(main)
