"""Fetch at the fake cluster: every version, limits of size, waiting, refusals, replicas."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from aiokafka.protocol.fetch import FetchRequest, node_endpoints
from aiokafka.protocol.offset import (
    OffsetForLeaderEpochRequest,
    OffsetRequest,
    list_offsets_results,
)
from aiokafka.testing.building import NewRecord
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Deaf, Delay, Error, Level, LostAnswer

from .fetching import (
    BIG,
    READ_COMMITTED,
    batches_of,
    fetch,
    fetch_request,
    fetch_response,
    results,
    values_of,
)
from .lab import RawClient, about, batch, first_broker, in_vain, now, struct_of, virtual


@pytest.mark.parametrize("version", range(1, 19))
@virtual
async def test_every_version(version):
    async with FakeCluster(1, release="2.8" if version < 4 else "4.1") as cluster:
        first_broker(cluster).versions = {1: (0, 18)}
        cluster.create_topic("t")
        cluster.append("t", 0, b"a", (b"k", b"b"))
        cluster.append("t", 0, b"c", codec="gzip")
        client = await RawClient.connect(first_broker(cluster))
        (result,) = await fetch(client, cluster, {"t": [(0, 1)]}, version)
        assert (result.topic, result.partition, result.error_code) == ("t", 0, 0)
        # The batch that holds the offset is given as a whole.
        assert values_of(result) == [(0, b"a"), (1, b"b"), (2, b"c")]
        assert (result.records or b"")[16] == (0 if version < 2 else 1 if version < 4 else 2)
        assert result.high_watermark == 3
        assert result.last_stable_offset == (3 if version >= 4 else -1)
        assert result.log_start_offset == (0 if version >= 5 else -1)
        await client.close()


@virtual
async def test_version_0_has_magic_0():
    async with FakeCluster(1, release="0.11") as cluster:
        cluster.create_topic("t")
        cluster.append("t", 0, b"a", b"b")
        client = await RawClient.connect(first_broker(cluster))
        response = await client.send(struct_of(1, 0, -1, 0, 1, [("t", [(0, 0, BIG)])]))
        (result,) = results(cluster, response)
        assert values_of(result) == [(0, b"a"), (1, b"b")]
        assert (result.records or b"")[16] == 0
        # A first message that is too large comes cut: such clients raise their limit.
        response = await client.send(struct_of(1, 1, -1, 0, 1, [("t", [(0, 0, 10)])]))
        (result,) = results(cluster, response)
        assert len(result.records or b"") == 10
        await client.close()


@virtual
async def test_limits_of_size():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", partitions=3)
        for partition in range(3):
            for _ in range(3):
                cluster.append("t", partition, bytes(100))
        size = len(cluster.partition("t").log.batches[0].data)
        client = await RawClient.connect(first_broker(cluster))

        async def sizes(most: int, *limits: int) -> list[int]:
            rows = {"t": [(index, 0, limit) for index, limit in enumerate(limits)]}
            found = await fetch(client, cluster, rows, max_bytes=most)
            return [len(result.records or b"") for result in found]

        assert await sizes(BIG, BIG, size, 2 * size) == [3 * size, size, 2 * size]
        # One batch of the first partition that has any, however large it is (KIP-74).
        assert await sizes(1, 1, 1, 1) == [size, 0, 0]
        # A batch that does not fit is cut, but there is a whole one before it.
        assert await sizes(BIG, size + 10, size + 20, 5) == [size + 10, size + 20, 0]
        assert await sizes(2 * size, BIG, BIG, BIG) == [2 * size, 0, 0]
        assert await sizes(4 * size, BIG, BIG, BIG) == [3 * size, size, 0]
        await client.close()


@virtual
async def test_nothing_new_is_waited_for():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", partitions=2)
        client = await RawClient.connect(first_broker(cluster))
        start = now()
        (first, second) = await fetch(client, cluster, {"t": [(0, 0), (1, 0)]}, wait=500)
        assert now() - start == about(0.5)
        assert (first.records, second.records) == (b"", b"")
        loop = asyncio.get_running_loop()
        loop.call_later(0.2, cluster.append, "t", 1, b"x")
        start = now()
        (first, second) = await fetch(client, cluster, {"t": [(0, 0), (1, 0)]}, wait=500)
        assert now() - start == about(0.2)
        assert (first.records, values_of(second)) == (b"", [(0, b"x")])
        # A producer's records wake it up likewise; the connection of the consumer was busy.
        producer = await RawClient.connect(first_broker(cluster))
        waiting = asyncio.ensure_future(fetch(client, cluster, {"t": [(0, 0)]}, wait=5000))
        await cluster.wait_for_requests("Fetch", 3)
        await producer.produce("t", batch(b"y"))
        start = now()
        assert values_of((await waiting)[0]) == [(0, b"y")]
        assert now() - start == about(0)
        assert not cluster.partition("t").log.listeners
        await client.close()
        await producer.close()


@virtual
async def test_min_bytes():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.append("t", 0, b"x")
        size = len(cluster.partition("t").log.batches[0].data)
        client = await RawClient.connect(first_broker(cluster))
        start = now()
        rows = {"t": [(0, 0)]}
        (result,) = await fetch(client, cluster, rows, wait=300, min_bytes=size + 1)
        assert (now() - start, len(values_of(result))) == (about(0.3), 1)
        asyncio.get_running_loop().call_later(0.1, cluster.append, "t", 0, b"y")
        (result,) = await fetch(client, cluster, rows, wait=300, min_bytes=size + 1)
        assert (now() - start, len(values_of(result))) == (about(0.4), 2)
        await client.close()


@virtual
async def test_requests_behind_a_waiting_one():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        versions = {1: (12, 12)}
        request = fetch_request(cluster, {"t": [(0, 0)]}, wait=1000).prepare(versions)
        start = now()
        client.write(request)
        client.correlation_id -= 1
        client.write(request)
        await client.read(request)
        assert now() - start == about(1.0)
        await client.read(request)
        assert now() - start == about(2.0)
        await client.close()


@virtual
async def test_a_waiting_fetch_and_the_life_of_its_broker():
    async with FakeCluster(2, session_timeout=None, failover_delay=None) as cluster:
        cluster.create_topic("t", assignment={0: [0, 1]})
        broker, log = cluster.brokers[0], cluster.partition("t").log
        client = await RawClient.connect(broker)
        waiting = asyncio.ensure_future(fetch(client, cluster, {"t": [(0, 0)]}, wait=500))
        await cluster.wait_for_requests("Fetch")
        broker.freeze()
        cluster.append("t", 0, b"x")
        await asyncio.sleep(10)
        assert not waiting.done()
        broker.thaw()
        assert values_of((await waiting)[0]) == [(0, b"x")]
        # Frozen over the end of its wait:
        waiting = asyncio.ensure_future(fetch(client, cluster, {"t": [(0, 1)]}, wait=500))
        await cluster.wait_for_requests("Fetch", 2)
        broker.freeze()
        await asyncio.sleep(10)
        assert not waiting.done()
        broker.thaw()
        assert values_of((await waiting)[0]) == []
        # The connection breaks, and the broker dies:
        for end in (broker.drop_connections, broker.kill):
            waiting = asyncio.ensure_future(fetch(client, cluster, {"t": [(0, 1)]}, wait=500))
            await cluster.wait_until(lambda: bool(log.listeners))
            end()
            with pytest.raises(ConnectionResetError):
                await waiting
            assert not log.listeners
            if broker.alive:
                client = await RawClient.connect(broker)
        await asyncio.sleep(1)


@virtual
async def test_a_waiting_fetch_learns_of_a_new_leader():
    async with FakeCluster(3) as cluster:
        cluster.create_topic("t", assignment={0: [0, 1]})
        client = await RawClient.connect(cluster.brokers[0])
        row = (0, 0, BIG, 0)
        waiting = asyncio.ensure_future(fetch(client, cluster, {"t": [row]}, wait=5000))
        await cluster.wait_for_requests("Fetch")
        start = now()
        cluster.move_leader("t", 0, to=1)
        (result,) = await waiting
        assert now() - start == about(0)
        assert result.error_code == ErrorCode.FENCED_LEADER_EPOCH
        assert (result.leader_id, result.leader_epoch) == (1, 1)
        # And of a deleted topic:
        client = await RawClient.connect(cluster.brokers[1])
        waiting = asyncio.ensure_future(fetch(client, cluster, {"t": [(0, 0)]}, wait=5000))
        await cluster.wait_for_requests("Fetch", 2)
        cluster.delete_topic("t")
        (result,) = await waiting
        assert result.error_code == ErrorCode.UNKNOWN_TOPIC_ID


@virtual
async def test_refusals():
    async with FakeCluster(3) as cluster:
        cluster.create_topic("t", assignment={0: [0, 1]})
        cluster.create_topic("secret", assignment={0: [0]})
        cluster.append("t", 0, *[b"x"] * 10)
        cluster.delete_records("t", 0, 5)
        cluster.move_leader("t", 0, to=1)
        clients = [await RawClient.connect(broker) for broker in cluster.brokers.values()]

        async def code(node: int, *row: int, topic: str = "t", version: int = 18) -> int:
            (result,) = await fetch(clients[node], cluster, {topic: [row]}, version, wait=1000)
            assert result.records in (b"", None) or not result.error_code
            return result.error_code

        start = now()
        for offset, expected in ((4, 1), (5, 0), (11, 1)):
            assert await code(1, 0, offset) == expected
        assert await code(1, 0, 5, BIG, 0) == ErrorCode.FENCED_LEADER_EPOCH
        assert await code(1, 0, 5, BIG, 1) == 0
        assert await code(1, 0, 5, BIG, 2) == ErrorCode.UNKNOWN_LEADER_EPOCH
        assert await code(1, 9, 0) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert await code(2, 0, 5) == ErrorCode.NOT_LEADER_OR_FOLLOWER
        # Followers serve consumers from version 11 on.
        assert await code(0, 0, 5, version=10) == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert await code(0, 0, 5, version=11) == 0
        assert await code(1, 0, 0, topic="absent", version=12) == 3
        cluster.denied_topics.add("secret")
        for version in (12, 13):
            denied = await code(0, 0, 0, topic="secret", version=version)
            assert denied == ErrorCode.TOPIC_AUTHORIZATION_FAILED
        request = FetchRequest(
            0, 1, BIG, 0, [("x", [(0, 0, BIG)])], topic_ids={"x": uuid.UUID(int=7)}
        )
        (result,) = results(cluster, await clients[0].ask(request))
        assert result.error_code == ErrorCode.UNKNOWN_TOPIC_ID
        # No refusal waits.
        assert now() - start == about(0)
        for client in clients:
            await client.close()


@virtual
async def test_leader_hints():
    async with FakeCluster(3, racks={1: "east"}) as cluster:
        cluster.create_topic("t", assignment={0: [1]})
        client = await RawClient.connect(cluster.brokers[0])
        leader = cluster.brokers[1]
        for version in (15, 16):
            response = await fetch_response(client, cluster, {"t": [(0, 0)]}, version)
            (result,) = results(cluster, response)
            assert result.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
            if version < 16:
                assert (result.leader_id, node_endpoints(response)) == (-1, [])
            else:
                assert (result.leader_id, result.leader_epoch) == (1, 0)
                assert node_endpoints(response) == [(1, leader.host, leader.port, "east")]
        cluster.leader_hints = False
        response = await fetch_response(client, cluster, {"t": [(0, 0)]})
        assert (results(cluster, response)[0].leader_id, node_endpoints(response)) == (-1, [])
        await client.close()


@virtual
async def test_read_committed():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.append("t", 0, b"plain")
        cluster.append("t", 0, b"a1", b"a2", producer_id=7, transactional=True)
        cluster.append("t", 0, b"c1", producer_id=8, transactional=True)
        client = await RawClient.connect(first_broker(cluster))

        async def read(offset: int, isolation: int = READ_COMMITTED):
            (result,) = await fetch(client, cluster, {"t": [(0, offset)]}, isolation=isolation)
            return result

        result = await read(0)
        assert values_of(result) == [(0, b"plain")]
        assert (result.last_stable_offset, result.high_watermark) == (1, 4)
        assert list(result.aborted_transactions or ()) == []
        result = await read(0, 0)
        assert len(values_of(result)) == 4
        assert result.aborted_transactions is None
        assert cluster.end_transaction("t", 0, 7, commit=False) == 4
        assert (await read(0)).last_stable_offset == 3
        assert cluster.end_transaction("t", 0, 8, commit=True) == 5
        result = await read(0)
        assert result.last_stable_offset == 6
        assert list(result.aborted_transactions or ()) == [(7, 1)]
        found = batches_of(result)
        assert [item.is_control_batch for item in found] == [False, False, False, True, True]
        assert [item.is_transactional for item in found] == [False, True, True, True, True]
        # Only what reaches into the offsets that are read:
        assert list((await read(5)).aborted_transactions or ()) == []
        assert cluster.values("t") == [b"plain", b"a1", b"a2", b"c1"]
        # The end of a transaction wakes up who waits for it.
        cluster.append("t", 0, b"c2", producer_id=8, transactional=True)
        waiting = asyncio.ensure_future(
            fetch(client, cluster, {"t": [(0, 6)]}, isolation=READ_COMMITTED, wait=5000)
        )
        await asyncio.sleep(1)
        assert not waiting.done()
        cluster.end_transaction("t", 0, 8, commit=True)
        assert values_of((await waiting)[0])[0] == (6, b"c2")
        await client.close()


@virtual
async def test_transactional_batches_of_a_producer():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        cluster.append("t", 0, b"x", producer_id=5, transactional=True)
        data = bytearray(cluster.partition("t").log.batches[0].data)
        cluster.truncate("t", 0, 0)
        assert (await client.produce("t", bytes(data))).error_code == 0
        assert cluster.partition("t").log.last_stable_offset() == 0
        await client.close()


@virtual
async def test_preferred_replica():
    racks = {0: "a", 1: "b", 2: "b"}
    async with FakeCluster(3, racks=racks) as cluster:
        cluster.create_topic("t", assignment={0: [0, 1, 2]})
        cluster.append("t", 0, b"x", b"y")
        clients = [await RawClient.connect(broker) for broker in cluster.brokers.values()]

        async def read(node: int, offset: int, rack: str, version: int = 18):
            (result,) = await fetch(
                clients[node], cluster, {"t": [(0, offset)]}, version, rack=rack
            )
            return result

        assert (await read(0, 0, "a")).preferred_read_replica == -1
        result = await read(0, 0, "b")
        assert (result.preferred_read_replica, result.records) == (1, b"")
        assert (await read(0, 0, "c")).preferred_read_replica == -1
        assert (await read(0, 0, "b", version=10)).preferred_read_replica == -1
        cluster.set_lag("t", 0, 1, 1)
        assert (await read(0, 0, "b")).preferred_read_replica == 2
        cluster.set_lag("t", 0, 2, 2)
        assert (await read(0, 1, "b")).preferred_read_replica == 1
        # A follower does not have what it lags behind.
        result = await read(1, 0, "b")
        assert (result.error_code, result.high_watermark, result.records) == (0, 1, b"")
        assert (await read(1, 2, "b")).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
        cluster.set_lag("t", 0, 1, 0)
        assert len(values_of(await read(1, 0, "b"))) == 2
        # The leader's own lag is what its followers have not copied.
        cluster.set_lag("t", 0, 0, 2)
        result = await read(0, 2, "a")
        assert (result.error_code, result.high_watermark) == (0, 0)
        for client in clients:
            await client.close()


@virtual
async def test_truncation():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", assignment={0: [0, 1]})
        for value in (b"0", b"1", b"2"):
            cluster.append("t", 0, value)
        cluster.move_leader("t", 0, to=1)
        cluster.append("t", 0, b"3", b"4")
        client = await RawClient.connect(cluster.brokers[1])

        async def end(epoch: int, current: int = -1) -> tuple[int, int, int]:
            request = OffsetForLeaderEpochRequest([("t", [(0, current, epoch)])])
            ((_name, rows),) = (await client.ask(request)).topics
            return rows[0][0], rows[0][2], rows[0][3]

        assert [await end(epoch) for epoch in (0, 1, 2)] == [(0, 0, 3), (0, 1, 5), (0, -1, -1)]
        assert (await end(0, 0))[0] == ErrorCode.FENCED_LEADER_EPOCH
        assert (await end(0, 2))[0] == ErrorCode.UNKNOWN_LEADER_EPOCH
        # Offset 4 is in the middle of a batch, which goes as a whole.
        assert cluster.truncate("t", 0, 4) == 3
        assert cluster.partition("t").leader_epoch == 2
        cluster.append("t", 0, b"new")
        assert [await end(epoch) for epoch in (0, 1, 2)] == [(0, 0, 3), (0, 0, 3), (0, 2, 4)]
        # A consumer that had read offset 4 of epoch 1 learns where the logs part.
        (result,) = await fetch(client, cluster, {"t": [(0, 5, BIG, 2, 1)]}, wait=100)
        assert (result.diverging_epoch, result.diverging_end_offset) == (0, 3)
        assert (result.error_code, result.records) == (0, b"")
        (result,) = await fetch(client, cluster, {"t": [(0, 3, BIG, 2, 0)]})
        assert (values_of(result), result.diverging_epoch) == ([(3, b"new")], -1)
        (result,) = await fetch(client, cluster, {"t": [(0, 3, BIG, 2, 9)]})
        assert result.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
        cluster.brokers[1].versions = {23: (0, 4)}
        for version in range(5):
            request = OffsetForLeaderEpochRequest([("t", [(0, -1, 0)])])
            ((_name, rows),) = (await client.ask(request, version)).topics
            assert rows[0][-1] == 3
        follower = await RawClient.connect(cluster.brokers[0])
        request = OffsetForLeaderEpochRequest([("t", [(0, -1, 0)])])
        ((_name, rows),) = (await follower.ask(request)).topics
        assert rows[0][0] == ErrorCode.NOT_LEADER_OR_FOLLOWER
        cluster.denied_topics.add("t")
        assert (await end(0))[0] == ErrorCode.TOPIC_AUTHORIZATION_FAILED
        await follower.close()
        await client.close()


@virtual
async def test_compaction():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.append("t", 0, b"0", b"1", b"2", codec="gzip")
        cluster.append("t", 0, b"3")
        cluster.append("t", 0, b"4", b"5")
        cluster.append("t", 0, b"9", skip=3)
        cluster.compact("t", 0, {0, 2, 3, 5})
        client = await RawClient.connect(first_broker(cluster))
        (result,) = await fetch(client, cluster, {"t": [(0, 0)]})
        assert values_of(result) == [(1, b"1"), (4, b"4"), (9, b"9")]
        assert all(found.validate_crc() for found in batches_of(result))
        assert [found.next_offset for found in batches_of(result)] == [3, 6, 10]
        # An offset in a hole gives the next batch.
        (result,) = await fetch(client, cluster, {"t": [(0, 3)]})
        assert values_of(result)[0] == (4, b"4")
        cluster.compact("t", 0, {9}, keep_empty=True)
        (result,) = await fetch(client, cluster, {"t": [(0, 6)]})
        (empty,) = batches_of(result)
        assert (empty.validate_crc(), list(empty), empty.next_offset) == (True, [], 10)
        assert cluster.values("t") == [b"1", b"4"]
        await client.close()


@virtual
async def test_old_formats_and_codecs():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.append("t", 0, b"0", b"1", magic=0)
        cluster.append("t", 0, b"2", b"3", magic=0, codec="gzip")
        cluster.append("t", 0, b"4", b"5", magic=1)
        cluster.append("t", 0, b"6", (b"k", b"7"), magic=1, codec="snappy")
        for codec in ("none", "gzip", "snappy", "lz4"):
            cluster.append("t", 0, NewRecord(b"v", b"k", [("h", b"1")], 123), codec=codec)
        client = await RawClient.connect(first_broker(cluster))
        (result,) = await fetch(client, cluster, {"t": [(0, 0)]})
        found = values_of(result)
        assert [offset for offset, _ in found] == list(range(12))
        assert [value for _, value in found[:8]] == [b"%d" % n for n in range(8)]
        (result,) = await fetch(client, cluster, {"t": [(0, 5)]})
        assert values_of(result)[0] == (5, b"5")
        assert [record.offset for record in cluster.records("t")] == list(range(12))
        last = cluster.records("t")[-1]
        assert last == (11, b"k", b"v", [("h", b"1")], 123)
        with pytest.raises(ValueError, match="headers"):
            cluster.append("t", 0, NewRecord(b"v", None, [("h", b"1")]), magic=1)
        with pytest.raises(ValueError, match="brotli"):
            cluster.append("t", 0, b"v", codec="brotli")
        with pytest.raises(ValueError, match="record"):
            cluster.append("t", 0)
        cluster.append("t", 0, b"v", codec=6)
        (result,) = await fetch(client, cluster, {"t": [(0, 12)]})
        assert batches_of(result)[0].compression_type == 6
        assert batches_of(result)[0].validate_crc()
        await client.close()


@virtual
async def test_zstd_is_not_for_old_clients():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.append("t", 0, b"x", codec="zstd")
        client = await RawClient.connect(first_broker(cluster))
        (result,) = await fetch(client, cluster, {"t": [(0, 0)]}, 9)
        assert result.error_code == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
        (result,) = await fetch(client, cluster, {"t": [(0, 0)]}, 10)
        assert result.error_code == 0
        assert result.records
        await client.close()


@virtual
async def test_corruption():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.append("t", 0, b"0", b"1")
        cluster.append("t", 0, b"2")
        repair = cluster.corrupt("t", 0, 1)
        client = await RawClient.connect(first_broker(cluster))
        (result,) = await fetch(client, cluster, {"t": [(0, 0)]})
        assert [found.validate_crc() for found in batches_of(result)] == [False, True]
        repair()
        (result,) = await fetch(client, cluster, {"t": [(0, 0)]})
        assert [found.validate_crc() for found in batches_of(result)] == [True, True]
        cluster.corrupt("t", 0, 2, data=b"nonsense")
        (result,) = await fetch(client, cluster, {"t": [(0, 2)]})
        assert result.records == b"nonsense"
        with pytest.raises(KeyError, match="99"):
            cluster.corrupt("t", 0, 99)
        await client.close()


@virtual
async def test_list_offsets():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.append("t", 0, *[NewRecord(b"x", timestamp=1000 * n) for n in range(5)])
        cluster.append("t", 0, b"x", producer_id=5, transactional=True, timestamp=9000)
        cluster.delete_records("t", 0, 2)
        client = await RawClient.connect(first_broker(cluster))

        async def find(timestamp: int, isolation: int = 0, version: int = 11):
            request = OffsetRequest(-1, isolation, [("t", [(0, timestamp)])])
            (result,) = list_offsets_results(await client.ask(request, version))
            assert result.error_code == 0
            return result.offset, result.timestamp, result.leader_epoch

        assert await find(-1) == (6, -1, 0)
        assert await find(-1, READ_COMMITTED) == (5, -1, 0)
        assert await find(-2) == (2, -1, 0)
        assert await find(-3) == (5, 9000, 0)
        assert await find(-4) == (2, -1, 0)
        assert await find(-5) == (-1, -1, -1)
        assert await find(-6) == (-1, -1, -1)
        assert await find(2500) == (3, 3000, 0)
        assert await find(5000) == (5, 9000, 0)
        assert await find(5000, READ_COMMITTED) == (-1, -1, -1)
        assert await find(9999) == (-1, -1, -1)
        with pytest.raises(ValueError, match="log that ends at 6"):
            cluster.delete_records("t", 0, 7)
        await client.close()


@virtual
async def test_faults():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", partitions=2)
        cluster.append("t", 0, b"x")
        client = await RawClient.connect(first_broker(cluster))
        rows = {"t": [(0, 0), (1, 0)]}
        cluster.faults.add(
            Error(ErrorCode.KAFKA_STORAGE_ERROR), api="Fetch", topic="t", partition=1, times=1
        )
        start = now()
        first, second = await fetch(client, cluster, rows, wait=1000, min_bytes=BIG)
        assert (first.error_code, second.error_code) == (0, ErrorCode.KAFKA_STORAGE_ERROR)
        assert now() - start == about(0)
        error = Error(ErrorCode.UNKNOWN_SERVER_ERROR, Level.TOP)
        cluster.faults.add(error, api="Fetch", times=2)
        response = await fetch_response(client, cluster, rows)
        assert (response.error_code, response.topics) == (-1, [])
        found = await fetch(client, cluster, rows, 4)
        assert [result.error_code for result in found] == [-1, -1]
        cluster.faults.add(Delay(2.0), api="Fetch", times=1)
        await fetch(client, cluster, {"t": [(1, 0)]}, wait=500)
        assert now() - start == about(2.5)
        cluster.faults.add(Delay(2.0, applied=False), api="Fetch", times=1)
        await fetch(client, cluster, {"t": [(1, 0)]}, wait=500)
        assert now() - start == about(5.0)
        cluster.faults.add(LostAnswer(), api="Fetch", times=1)
        with pytest.raises(ConnectionResetError):
            await fetch(client, cluster, {"t": [(1, 0)]}, wait=500)
        assert now() - start == about(5.5)
        client = await RawClient.connect(first_broker(cluster))
        cluster.faults.add(Deaf(), api="Fetch", times=1)
        assert await in_vain(fetch(client, cluster, rows))
        await client.close()
