"""The client by itself: first contact, metadata, connections, brokers that move away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
)
from aiokafka.protocol.metadata import MetadataRequest
from tests.integration.conftest import MakeTopic, unique_topic
from tests.integration.frames import METADATA, FrameProxy
from tests.integration.support import blocked, eventually, producing, timed
from tests.kafka import KafkaCluster, Proxy
from tests.kafka.ports import free_port


@contextlib.asynccontextmanager
async def connected(bootstrap: str | list[str], **options: Any) -> AsyncIterator[AIOKafkaClient]:
    """A bootstrapped client."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap, **options)
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


# -- First contact ----------------------------------------------------------------------------


async def test_bootstrap(kafka: KafkaCluster, bootstrap: str) -> None:
    async with connected(bootstrap) as client:
        cluster = client.cluster
        assert cluster.cluster_id == kafka.cluster_id
        (broker,) = cluster.brokers()
        assert (broker.nodeId, broker.host, broker.port) == (
            0,
            "127.0.0.1",
            kafka.brokers[0].port,
        )
        assert cluster.controller == broker
        assert client.get_random_node() == 0


async def test_bootstrap_uses_any_host(kafka: KafkaCluster, bootstrap: str, proxy: Proxy) -> None:
    """Dead, deaf and unknown hosts among the bootstrap servers cost no time."""
    proxy.silence()
    hosts = [f"127.0.0.1:{free_port()}", "no.such.host.invalid:9092", proxy.address, bootstrap]
    for _ in range(5):
        client = AIOKafkaClient(bootstrap_servers=hosts)
        assert (await timed(client.bootstrap())).elapsed < 0.5
        await client.close()
        hosts.append(hosts.pop(0))


async def test_bootstrap_in_vain(proxy: Proxy) -> None:
    """One bound for all hosts together, and the reason for each."""
    proxy.silence()
    refusing = f"127.0.0.1:{free_port()}"
    client = AIOKafkaClient(bootstrap_servers=[refusing, proxy.address], request_timeout_ms=700)
    end = await timed(client.bootstrap())
    await client.close()
    assert isinstance(end.failure, KafkaConnectionError)
    assert 0.65 <= end.elapsed <= 0.7 * 1.1 + 0.1
    assert refusing in str(end.failure)
    assert proxy.address in str(end.failure)
    assert end.failure.__cause__ is not None


async def test_bootstrap_again_after_failure(proxy: Proxy) -> None:
    client = AIOKafkaClient(bootstrap_servers=proxy.address, request_timeout_ms=1000)
    await proxy.refuse()
    with pytest.raises(KafkaConnectionError):
        await client.bootstrap()
    await proxy.accept()
    await eventually(lambda: client.ready_delay("bootstrap-0") == 0)
    await client.bootstrap()
    assert client.cluster.brokers()
    await client.close()


# -- Metadata ---------------------------------------------------------------------------------


async def test_metadata_of_a_topic(kafka3: KafkaCluster) -> None:
    topic = await kafka3.truth.create_topic_async(unique_topic("metadata"), 4)
    async with connected(kafka3.bootstrap) as client:
        assert await client._wait_on_metadata(topic) == {0, 1, 2, 3}
        cluster = client.cluster
        assert {broker.nodeId for broker in cluster.brokers()} == {0, 1, 2}
        assert cluster.available_partitions_for_topic(topic) == {0, 1, 2, 3}
        for partition, leader in kafka3.truth.leaders(topic).items():
            tp = TopicPartition(topic, partition)
            assert cluster.leader_for_partition(tp) == leader
            assert tp in (cluster.partitions_for_broker(leader) or ())
            assert cluster.leader_epoch(tp) >= 0
        assert cluster.topic_id(topic) is not None


async def test_fetch_all_metadata(bootstrap: str, make_topic: MakeTopic) -> None:
    first, second = await make_topic(partitions=3), await make_topic()
    async with connected(bootstrap) as client:
        everything = await client.fetch_all_metadata()
        assert everything.partitions_for_topic(first) == {0, 1, 2}
        assert everything.partitions_for_topic(second) == {0}
        # An object of its own: what the client follows has not changed.
        assert everything is not client.cluster
        assert client.cluster.topics() == set()


async def test_add_and_set_topics(bootstrap: str, make_topic: MakeTopic) -> None:
    first, second = await make_topic(), await make_topic()
    async with connected(bootstrap) as client:
        assert await client.add_topic(first)
        assert client.cluster.topics() == {first}
        assert await client.set_topics([second])
        assert second in client.cluster.topics()
        assert await client.set_topics([])
        assert {first, second} <= client.cluster.topics()


async def test_concurrent_updates_are_one(kafka: KafkaCluster) -> None:
    upstream = kafka.proxy()
    async with FrameProxy(upstream.target, upstream.port) as frames:
        async with connected(frames.address) as client:
            before = frames.requests[METADATA]
            updates = [client.force_metadata_update() for _ in range(100)]
            assert set(await asyncio.gather(*updates)) == {True}
            assert frames.requests[METADATA] - before == 1


async def test_metadata_grows_old(bootstrap: str, make_topic: MakeTopic) -> None:
    """After `metadata_max_age_ms` it is refreshed unasked."""
    topic = await make_topic()
    async with connected(bootstrap, metadata_max_age_ms=200) as client:
        await client._wait_on_metadata(topic)
        version = client.cluster.version
        await eventually(lambda: client.cluster.version >= version + 3, timeout=3)


async def test_close_in_the_middle_of_a_refresh(proxy: Proxy) -> None:
    """Whoever waits is told at once."""
    before = asyncio.all_tasks()
    async with connected(proxy.address) as client:
        proxy.silence()
        update = client.force_metadata_update()
        waiting = [
            asyncio.ensure_future(timed(call))
            for call in (
                client._wait_on_metadata("absent"),
                client._wait_on_metadata("absent as well"),
                client.fetch_all_metadata(),
            )
        ]
        await blocked(waiting[0])
        assert (await timed(client.close())).elapsed < 0.2
        for end in await asyncio.wait_for(asyncio.gather(*waiting), 0.5):
            assert isinstance(end.failure, IllegalStateError), end
        assert await asyncio.wait_for(update, 0.5) is False
        with pytest.raises(IllegalStateError):
            await client._wait_on_metadata("too late")
    proxy.heal()
    await eventually(
        lambda: not [t for t in asyncio.all_tasks() - before if "aiokafka" in repr(t.get_coro())]
    )


# -- Connections ------------------------------------------------------------------------------


async def test_send(bootstrap: str, topic: str) -> None:
    async with connected(bootstrap) as client:
        response = await client.send(0, MetadataRequest([topic]))
        assert [row[1] for row in response.topics] == [topic]
        assert client.is_ready(0)
        answers = await asyncio.gather(
            *(client.send(0, MetadataRequest([topic])) for _ in range(200))
        )
        assert len(answers) == 200


async def test_send_to_a_silent_node(proxy: Proxy, topic: str) -> None:
    async with connected(proxy.address, request_timeout_ms=500) as client:
        assert await client.ready(0)
        proxy.silence()
        end = await timed(client.send(0, MetadataRequest([topic])))
        assert isinstance(end.failure, RequestTimedOutError)
        assert 0.45 <= end.elapsed <= 0.5 * 1.1 + 0.1
        assert not client.is_ready(0)
        proxy.heal()
        await eventually(lambda: client.ready_delay(0) == 0)
        assert await client.send(0, MetadataRequest([topic])) is not None


async def test_send_to_a_dead_node(proxy: Proxy, topic: str) -> None:
    async with connected(proxy.address) as client:
        assert await client.ready(0)
        pending = asyncio.ensure_future(timed(client.send(0, MetadataRequest([topic]))))
        await asyncio.sleep(0)
        await proxy.refuse()
        end = await pending
        assert end.error is None or isinstance(end.error, KafkaConnectionError)
        end = await timed(client.send(0, MetadataRequest([topic])))
        assert isinstance(end.failure, NodeNotReadyError)
        assert end.elapsed < 0.5
        assert not await client.ready(0)
        assert client.ready_delay(0) > 0


async def test_unknown_node(bootstrap: str) -> None:
    async with connected(bootstrap) as client:
        assert not await client.ready(77)
        end = await timed(client.send(77, MetadataRequest([])))
        assert isinstance(end.failure, NodeNotReadyError)
        assert end.elapsed < 0.5


async def test_idle_connections_are_closed(
    bootstrap: str, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Silently, and made anew when needed."""
    caplog.set_level(logging.INFO)
    async with connected(bootstrap, connections_max_idle_ms=150) as client:
        assert await client.ready(0)
        await eventually(lambda: not client.is_ready(0), timeout=3)
        assert await client.send(0, MetadataRequest([topic])) is not None
    assert not [record for record in caplog.records if record.name.startswith("aiokafka")]


async def test_slow_connect_delays_nobody_else(kafka3: KafkaCluster) -> None:
    """Connecting to a frozen node takes long; other nodes are connected to meanwhile."""
    async with connected(
        kafka3.brokers[0].bootstrap, socket_connection_setup_timeout_ms=1000
    ) as client:
        with kafka3.frozen(1):
            slow = asyncio.ensure_future(timed(client.ready(1)))
            await blocked(slow)
            assert (await timed(client.ready(2))).elapsed < 0.5
            end = await slow
            assert end.result is False
            assert 0.7 <= end.elapsed <= 1.2 * 1.1 + 0.1
        kafka3.wait_ready()


async def test_backoff_while_a_broker_is_away(proxy: Proxy) -> None:
    """Connecting is tried ever less often, and at once when the broker may be back."""
    async with connected(
        proxy.address, reconnect_backoff_ms=50, reconnect_backoff_max_ms=400
    ) as client:
        proxy.silence()
        proxy.cut()
        await eventually(lambda: not client.is_ready(0))
        await proxy.refuse()
        over, delays = time.monotonic() + 2.0, set()
        while time.monotonic() < over:
            await client.ready(0)
            delays.add(round(client.ready_delay(0), 3))
            await asyncio.sleep(max(0.01, client.ready_delay(0)))
        assert 0.2 <= max(delays) <= 0.4 * 1.2
        assert len(delays) <= 14
        proxy.heal()
        await proxy.accept()
        accepting = time.monotonic()
        while not await client.ready(0):
            await asyncio.sleep(0.01)
        assert time.monotonic() - accepting <= 0.4 * 1.2 + 0.5


async def test_coordinator_lookup(bootstrap: str) -> None:
    async with connected(bootstrap) as client:
        for kind in CoordinationType:
            # The topics behind it are made at the first look.
            over = time.monotonic() + 20
            while True:
                try:
                    assert await client.coordinator_lookup(kind, "some-group") == 0
                    break
                except KafkaError as error:
                    assert error.retriable
                    assert time.monotonic() < over
                    await asyncio.sleep(0.05)


# -- Brokers that move away -------------------------------------------------------------------


async def test_every_known_broker_is_gone(kafka: KafkaCluster, topic: str) -> None:
    """KIP-899: then the bootstrap servers are asked, which know the new addresses."""
    target = ("127.0.0.1", kafka.brokers[0].port)
    async with FrameProxy(target) as bootstrap, FrameProxy(target) as second:
        async with FrameProxy(target) as first:
            for proxy in (bootstrap, first, second):
                proxy.lead_to(first.port)
            async with producing(bootstrap.address) as producer:
                await producer.send_and_wait(topic, b"before")
                assert first.requests
                for proxy in (bootstrap, second):
                    proxy.lead_to(second.port)
                await first.refuse()
                started = time.monotonic()
                await producer.send_and_wait(topic, b"after")
                assert time.monotonic() - started < 2.0
                assert second.requests
    values = [record.value for record in await kafka.truth.read_async(topic)]
    assert values == [b"before", b"after"]


async def test_brokers_restart_one_after_the_other(kafka3: KafkaCluster) -> None:
    """A client whose only bootstrap server is down stays in touch through the others."""
    topic = await kafka3.truth.create_topic_async(unique_topic("restart"), 3)
    async with connected(kafka3.brokers[0].bootstrap) as client:
        assert await client._wait_on_metadata(topic) == {0, 1, 2}
        kafka3.brokers[0].kill()
        assert await client.force_metadata_update()
        new = await kafka3.truth.create_topic_async(unique_topic("new"), replication_factor=2)
        end = await timed(client._wait_on_metadata(new))
        assert end.result == {0}
        assert end.elapsed < 1.0
