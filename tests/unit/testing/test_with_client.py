"""The real client against the fake cluster: in memory, on sockets, and through an outage."""

from __future__ import annotations

import pytest

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.faults import Deaf

from .lab import now, virtual


async def bootstrapped(cluster: FakeCluster, **options) -> AIOKafkaClient:
    client = AIOKafkaClient(bootstrap_servers=cluster.bootstrap_servers, **options)
    await client.bootstrap()
    return client


async def look_around() -> None:
    async with FakeCluster(3) as cluster:
        client = await bootstrapped(cluster)
        found = {(b.nodeId, f"{b.host}:{b.port}") for b in client.cluster.brokers()}
        assert found == {(b.node_id, b.address) for b in cluster.brokers.values()}
        assert await client._wait_on_metadata("created-by-asking") == {0}
        assert "created-by-asking" in cluster.topics
        await client.close()


@virtual
async def test_in_memory():
    await look_around()


async def test_on_sockets():
    await look_around()


@pytest.mark.parametrize("release", ["0.11", "2.0", "2.8", "4.0", "4.3"])
def test_releases(release):
    @virtual
    async def check():
        async with FakeCluster(1, release=release) as cluster:
            cluster.create_topic("t", 3)
            client = await bootstrapped(cluster)
            assert await client._wait_on_metadata("t") == {0, 1, 2}
            await client.close()

    check()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl(mechanism):
    @virtual
    async def check():
        async with FakeCluster(1, sasl_users={"user": "pencil"}) as cluster:
            options = {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": mechanism,
                "sasl_plain_username": "user",
            }
            client = await bootstrapped(cluster, sasl_plain_password="pencil", **options)
            await client.close()
            with pytest.raises(KafkaError):
                await bootstrapped(cluster, sasl_plain_password="wrong", **options)

    check()


@virtual
async def test_bootstrap_at_a_deaf_cluster_ends_within_its_bound():
    async with FakeCluster(2) as cluster:
        cluster.faults.add(Deaf())
        client = AIOKafkaClient(
            bootstrap_servers=cluster.bootstrap_servers, request_timeout_ms=3000
        )
        start = now()
        with pytest.raises(KafkaError):
            await client.bootstrap()
        assert now() - start <= 3.3
        await client.close()
