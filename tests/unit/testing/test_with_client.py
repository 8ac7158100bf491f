"""The real client against the fake cluster: in memory, on sockets, and through an outage."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.commit import OffsetCommitRequest, commit_results
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
    leave_error_code,
)
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.faults import Deaf
from aiokafka.testing.group_members import GroupState

from .fetching import fetch_request, results, values_of
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


async def consume(release: str) -> None:
    """What a consumer does, by hand: join, fetch, commit, leave."""
    async with FakeCluster(2, release=release) as cluster:
        topic = cluster.create_topic("t")
        client = await bootstrapped(cluster, client_id="app")
        coordinator = await client.coordinator_lookup(0, "g")
        member_id, error = "", -1
        while error:
            protocols = [("range", b"subscription")]
            join = JoinGroupRequest("g", 10_000, 30_000, member_id, None, "consumer", protocols)
            joined = await client.send(coordinator, join)
            member_id, error = joined.member_id, joined.error_code
        generation = joined.generation_id
        names = {"protocol_type": "consumer", "protocol_name": "range"}
        rows = [(member_id, b"all of it")]
        sync = SyncGroupRequest("g", generation, member_id, None, rows, **names)
        assert (await client.send(coordinator, sync)).member_assignment == b"all of it"
        leader = cluster.partition("t").leader
        asyncio.get_running_loop().call_later(0.1, cluster.append, "t", 0, b"value")
        response = await client.send(leader, fetch_request(cluster, {"t": [(0, 0)]}, wait=5000))
        (result,) = results(cluster, response)
        assert values_of(result) == [(0, b"value")]
        heartbeat = HeartbeatRequest("g", generation, member_id)
        assert (await client.send(coordinator, heartbeat)).error_code == 0
        commit = OffsetCommitRequest(
            "g", generation, member_id, -1, [("t", [(0, 1, "")])], topic_ids={"t": topic.topic_id}
        )
        answer = await client.send(coordinator, commit)
        assert [row[2] for row in commit_results(answer)] == [0]
        group = cluster.group("g")
        assert group.committed["t", 0].offset == 1
        assert group.members[member_id].client_id == "app"
        answer = await client.send(coordinator, LeaveGroupRequest("g", member_id))
        assert leave_error_code(answer) == 0
        assert group.state is GroupState.EMPTY
        await client.close()


@pytest.mark.parametrize("release", ["0.11", "2.0", "2.8", "4.0", "4.1", "4.3"])
def test_consuming(release):
    @virtual
    async def check():
        await consume(release)

    check()


async def test_consuming_on_sockets():
    await consume("4.1")
