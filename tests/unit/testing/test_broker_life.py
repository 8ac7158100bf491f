"""Brokers that die, freeze and come back, in memory and on real sockets."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from aiokafka.protocol import metadata as metadata_protocol
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode

from .lab import RawClient, batch, in_vain, loop, now, virtual


async def metadata(client: RawClient, topic: str):
    parsed = metadata_protocol.parse(await client.ask(MetadataRequest([topic])))
    return [b[0] for b in parsed.brokers], parsed.topics[0]


@virtual
async def test_kill_and_restart():
    async with FakeCluster(3, failover_delay=0.5) as cluster:
        cluster.create_topic("t", 3, 2)
        dying = await RawClient.connect(cluster.brokers[0])
        other = await RawClient.connect(cluster.brokers[1])
        cluster.brokers[0].kill()
        cluster.brokers[0].kill()
        assert await dying.at_eof()
        with pytest.raises(ConnectionRefusedError):
            await RawClient.connect(cluster.brokers[0])
        # Nobody knows yet.
        nodes, topic = await metadata(other, "t")
        assert nodes == [0, 1, 2]
        assert topic.partitions[0].leader == 0
        await asyncio.sleep(0.6)
        nodes, topic = await metadata(other, "t")
        assert nodes == [1, 2]
        assert [p.leader for p in topic.partitions] == [1, 1, 2]
        assert topic.partitions[0].isr == [1]
        assert topic.partitions[0].offline_replicas == [0]
        assert topic.partitions[0].leader_epoch == 1
        cluster.brokers[0].restart()
        nodes, topic = await metadata(other, "t")
        assert nodes == [0, 1, 2]
        assert topic.partitions[0].isr == [1, 0]
        assert topic.partitions[0].leader == 1
        again = await RawClient.connect(cluster.brokers[0])
        assert (await again.produce("t", batch(b"x"))).error_code == 6
        await again.close()
        await other.close()


@virtual
async def test_no_leader_without_another_replica():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", assignment={0: [0]})
        cluster.brokers[0].kill()
        await asyncio.sleep(1)
        other = await RawClient.connect(cluster.brokers[1])
        _nodes, topic = await metadata(other, "t")
        assert topic.partitions[0].error_code == ErrorCode.LEADER_NOT_AVAILABLE
        assert topic.partitions[0].leader == -1
        cluster.brokers[0].restart()
        _nodes, topic = await metadata(other, "t")
        assert (topic.partitions[0].error_code, topic.partitions[0].leader) == (0, 0)
        await other.close()


@virtual
async def test_min_insync_replicas():
    async with FakeCluster(3, min_insync_replicas=2) as cluster:
        cluster.create_topic("t", 1, 3)
        for node in (1, 2):
            cluster.brokers[node].kill()
        client = await RawClient.connect(cluster.brokers[0])
        assert (await client.produce("t", batch(b"x"))).error_code == 0
        await asyncio.sleep(1)
        result = await client.produce("t", batch(b"y"))
        assert result.error_code == ErrorCode.NOT_ENOUGH_REPLICAS
        cluster.brokers[2].restart()
        assert (await client.produce("t", batch(b"y"))).error_code == 0
        await client.close()


@virtual
async def test_all_brokers_gone_and_back():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", 1, 2)
        for broker in cluster.brokers.values():
            broker.kill()
        await asyncio.sleep(1)
        assert cluster.controller is None
        assert cluster.coordinator_of("g") is None
        cluster.brokers[1].restart()
        client = await RawClient.connect(cluster.brokers[1])
        nodes, topic = await metadata(client, "t")
        assert nodes == [1]
        assert topic.partitions[0].leader == 1
        await client.close()


@virtual
async def test_freeze_and_thaw():
    async with FakeCluster(2, session_timeout=9.0) as cluster:
        cluster.create_topic("t", 1, 2)
        client = await RawClient.connect(cluster.brokers[0])
        cluster.brokers[0].freeze()
        cluster.brokers[0].freeze()
        sending = asyncio.ensure_future(client.produce("t", batch(b"x")))
        # The kernel still accepts.
        second = await RawClient.connect(cluster.brokers[0])
        assert await in_vain(asyncio.shield(sending), 5)
        cluster.brokers[0].thaw()
        cluster.brokers[0].thaw()
        assert (await sending).error_code == 0
        assert (await second.produce("t", batch(b"y"))).error_code == 0
        # Frozen for too long it loses its partitions, and says so when it goes on.
        cluster.brokers[0].freeze()
        sending = asyncio.ensure_future(client.produce("t", batch(b"z")))
        await asyncio.sleep(10)
        assert cluster.partition("t", 0).leader == 1
        cluster.brokers[0].thaw()
        assert (await sending).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert cluster.values("t") == [b"x", b"y"]
        await client.close()
        await second.close()


@virtual
async def test_what_a_client_sent_before_giving_up_is_handled_after_the_thaw():
    async with FakeCluster(1, session_timeout=None) as cluster:
        cluster.create_topic("t")
        client = await RawClient.connect(cluster.brokers[0])
        cluster.brokers[0].freeze()
        assert await in_vain(client.produce("t", batch(b"x")))
        await client.close()
        await asyncio.sleep(1)
        cluster.brokers[0].thaw()
        await cluster.wait_until(lambda: cluster.values("t") == [b"x"])


@virtual
async def test_delayed_answer_of_a_frozen_broker_waits_for_the_thaw():
    async with FakeCluster(1, answer_latency=1.0, session_timeout=None) as cluster:
        client = await RawClient.connect(cluster.brokers[0])
        asking = asyncio.ensure_future(client.ask(MetadataRequest([])))
        await cluster.wait_for_requests("Metadata")
        cluster.brokers[0].freeze()
        assert await in_vain(asyncio.shield(asking))
        cluster.brokers[0].thaw()
        assert (await asking).brokers
        await client.close()


@virtual
async def test_power_off():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", 1, 2)
        client = await RawClient.connect(cluster.brokers[0])
        cluster.brokers[0].power_off()
        assert await in_vain(client.produce("t", batch(b"x")))
        assert await in_vain(RawClient.connect(cluster.brokers[0]))
        cluster.brokers[0].restart()
        # Its kernel knows nothing of the old connection.
        assert await client.at_eof()
        fresh = await RawClient.connect(cluster.brokers[0])
        await fresh.close()


@virtual
async def test_partitioned_from_the_clients():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", 1, 2)
        client = await RawClient.connect(cluster.brokers[0])
        loop().network.partition("broker-0")
        sending = asyncio.ensure_future(client.produce("t", batch(b"x")))
        await asyncio.sleep(50)
        assert not sending.done()
        loop().network.heal()
        assert (await sending).error_code == 0
        await client.close()


@virtual
async def test_tls_of_a_frozen_broker():
    async with FakeCluster(1, tls=True, session_timeout=None) as cluster:
        client = await RawClient.connect(cluster.brokers[0], ssl=ssl.create_default_context())
        assert (await client.ask(MetadataRequest([]))).brokers
        cluster.brokers[0].freeze()
        start = now()
        attempt = asyncio.ensure_future(RawClient.connect(cluster.brokers[0], ssl=True))
        await asyncio.sleep(30)
        assert not attempt.done()
        cluster.brokers[0].thaw()
        second = await attempt
        assert now() - start == pytest.approx(30, abs=0.1)
        assert cluster.brokers[0].memory_server.tls
        await client.close()
        await second.close()


@virtual
async def test_pending_answers_die_with_the_broker():
    async with FakeCluster(1, answer_latency=1.0) as cluster:
        client = await RawClient.connect(cluster.brokers[0])
        asking = asyncio.ensure_future(client.ask(MetadataRequest([])))
        await cluster.wait_for_requests("Metadata")
        cluster.brokers[0].kill()
        with pytest.raises(ConnectionResetError):
            await asking
        await asyncio.sleep(5)


async def test_life_on_real_sockets():
    async with FakeCluster(2, failover_delay=0.0) as cluster:
        cluster.create_topic("t", 1, 2)
        client = await RawClient.connect(cluster.brokers[0])
        cluster.brokers[0].freeze()
        sending = asyncio.ensure_future(client.produce("t", batch(b"x")))
        other = await RawClient.connect(cluster.brokers[1])
        assert (await other.ask(MetadataRequest([]))).brokers
        assert not sending.done()
        cluster.brokers[0].thaw()
        assert (await sending).error_code == 0
        address = cluster.brokers[0].address
        cluster.brokers[0].kill()
        assert await client.at_eof()
        with pytest.raises(ConnectionRefusedError):
            await RawClient.connect(cluster.brokers[0])
        await cluster.wait_until(lambda: cluster.partition("t", 0).leader == 1)
        cluster.brokers[0].restart()
        await cluster.wait_until(lambda: cluster.brokers[0].listening)
        assert cluster.brokers[0].address == address
        client = await RawClient.connect(cluster.brokers[0])
        assert (await client.produce("t", batch(b"y"))).error_code == 6
        assert (await other.produce("t", batch(b"y"))).error_code == 0
        await client.close()
        await other.close()
