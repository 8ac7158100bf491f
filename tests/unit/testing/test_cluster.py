"""The fake cluster: what it answers when nothing is wrong, in every version of the protocol."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka.protocol import metadata as metadata_protocol
from aiokafka.protocol.admin import CreateTopicsRequest, DeleteTopicsRequest
from aiokafka.protocol.admin import parse_api_versions as parse_versions
from aiokafka.protocol.coordination import FindCoordinatorRequest, parse_coordinators
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codec import request_class, supported_versions
from aiokafka.testing.codes import ErrorCode

from .lab import RawClient, batch, first_broker, now, struct_of, virtual

PRODUCE, LIST_OFFSETS, METADATA, FIND_COORDINATOR, API_VERSIONS = 0, 2, 3, 10, 18
INIT_PRODUCER_ID = 22

METADATA_VERSIONS = range(14)
PRODUCE_VERSIONS = range(3, 14)


def versions_of(api_key: int) -> range:
    low, high = supported_versions()[api_key]
    return range(low, high + 1)


@virtual
async def test_api_versions_in_every_version():
    async with FakeCluster(1, features={"transaction.version": 2}) as cluster:
        client = await RawClient.connect(first_broker(cluster))
        for version in versions_of(API_VERSIONS):
            values = ("client", "1") if version >= 3 else ()
            response = await client.send(struct_of(API_VERSIONS, version, *values))
            error, ranges, features, _throttle = parse_versions(response)
            assert error == 0
            assert ranges[PRODUCE] == (0, 13)
            assert ranges[METADATA] == (0, 13)
            assert features == ({"transaction.version": 2} if version >= 3 else {})
        await client.close()


@virtual
async def test_unknown_version_of_api_versions_is_answered_in_version_0():
    async with FakeCluster(1, release="2.0") as cluster:
        client = await RawClient.connect(first_broker(cluster))
        client.write(struct_of(API_VERSIONS, 3, "client", "1"))
        response_type = type(struct_of(API_VERSIONS, 0)).RESPONSE_TYPE
        frame = await client.read_frame()
        error, ranges, _features, _throttle = parse_versions(response_type.decode(frame[4:]))
        assert error == ErrorCode.UNSUPPORTED_VERSION
        assert ranges[API_VERSIONS] == (0, 2)
        # The connection goes on.
        again = await client.send(struct_of(API_VERSIONS, 2))
        assert parse_versions(again)[0] == 0
        await client.close()


@virtual
async def test_unknown_version_of_another_api_closes():
    async with FakeCluster(1, release="0.11") as cluster:
        client = await RawClient.connect(first_broker(cluster))
        client.write(MetadataRequest([]).prepare({METADATA: (9, 9)}))
        assert await client.at_eof()
        await client.close()


@virtual
async def test_kafka_4_refuses_the_old_produce_it_advertises():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        client.write(struct_of(PRODUCE, 2, 1, 1000, [("t", [(0, batch(b"x"))])]))
        assert await client.at_eof()
        await client.close()


@virtual
async def test_versions_can_be_limited():
    limits = {"Produce": (3, 7), 22: None}
    async with FakeCluster(1, versions=limits) as cluster:
        ranges = cluster.advertised(first_broker(cluster))
        assert ranges[PRODUCE] == (3, 7)
        assert INIT_PRODUCER_ID not in ranges
        first_broker(cluster).versions = {API_VERSIONS: (0, 0)}
        assert cluster.advertised(first_broker(cluster)) == {API_VERSIONS: (0, 0)}
    with pytest.raises(ValueError, match="unknown release"):
        FakeCluster(1, release="1.2.3")


@virtual
async def test_metadata_in_every_version():
    async with FakeCluster([5, 7], auto_create=False) as cluster:
        topic = cluster.create_topic("t", 3, 2)
        cluster.brokers[5].rack = "r1"
        client = await RawClient.connect(first_broker(cluster))
        for version in METADATA_VERSIONS:
            request = MetadataRequest(["t", "missing"], allow_auto_topic_creation=None)
            parsed = metadata_protocol.parse(await client.ask(request, version))
            assert parsed.brokers[0][:3] == (5, "broker-5", 9092)
            assert parsed.brokers[0][3] == ("r1" if version >= 1 else None)
            assert parsed.cluster_id == (cluster.cluster_id if version >= 2 else None)
            known, missing = parsed.topics
            assert known.name == "t"
            assert known.topic_id == (topic.topic_id if version >= 10 else None)
            assert [p.leader for p in known.partitions] == [5, 7, 5]
            assert [p.replicas for p in known.partitions] == [[5, 7], [7, 5], [5, 7]]
            assert missing.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            everything = metadata_protocol.parse(await client.ask(MetadataRequest(), version))
            assert [t.name for t in everything.topics] == ["t"]
        assert cluster.count("Metadata", node=5) == 2 * len(METADATA_VERSIONS)
        await client.close()


@virtual
async def test_metadata_by_topic_id():
    async with FakeCluster(1) as cluster:
        topic = cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        request_type = request_class(METADATA, 12)
        assert request_type is not None
        unknown = cluster.topics.create("gone", 1, 1).topic_id
        cluster.delete_topic("gone")
        response = await client.send(
            request_type([(topic.topic_id, None), (unknown, None)], False, False)
        )
        found, missing = metadata_protocol.parse(response).topics
        assert (found.name, found.error_code) == ("t", 0)
        assert missing.error_code == ErrorCode.UNKNOWN_TOPIC_ID
        await client.close()


@virtual
async def test_auto_create():
    async with FakeCluster(1, auto_create_answers=2, default_partitions=4) as cluster:
        client = await RawClient.connect(first_broker(cluster))

        async def ask(allow: bool, name: str = "new"):
            request = MetadataRequest([name], allow_auto_topic_creation=allow)
            return metadata_protocol.parse(await client.ask(request)).topics[0]

        assert (await ask(False)).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert (await ask(True)).error_code == ErrorCode.LEADER_NOT_AVAILABLE
        assert (await ask(True)).error_code == ErrorCode.LEADER_NOT_AVAILABLE
        topic = await ask(True)
        assert topic.error_code == 0
        assert len(topic.partitions) == 4
        assert (await ask(True, "no spaces")).error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
        assert "no spaces" not in cluster.topics
        cluster.denied_topics.add("secret")
        assert (await ask(True, "secret")).error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
        await client.close()


@virtual
async def test_init_producer_id():
    async with FakeCluster(1) as cluster:
        client = await RawClient.connect(first_broker(cluster))
        ids = set()
        for version in versions_of(INIT_PRODUCER_ID):
            response = await client.ask(InitProducerIdRequest(None, 0), version)
            assert (response.error_code, response.producer_epoch) == (0, 0)
            ids.add(response.producer_id)
        assert len(ids) == len(versions_of(INIT_PRODUCER_ID))
        first = await client.ask(InitProducerIdRequest("tx", 1000))
        again = await client.ask(InitProducerIdRequest("tx", 1000))
        assert again.producer_id == first.producer_id
        assert (first.producer_epoch, again.producer_epoch) == (0, 1)
        bumped = await client.ask(InitProducerIdRequest("tx", 1000, again.producer_id, 1), 3)
        assert bumped.producer_epoch == 2
        repeated = await client.ask(InitProducerIdRequest("tx", 1000, again.producer_id, 1), 3)
        assert repeated.producer_epoch == 2
        fenced = await client.ask(InitProducerIdRequest("tx", 1000, again.producer_id, 0), 3)
        assert fenced.error_code == ErrorCode.PRODUCER_FENCED
        cluster.transactions.get("tx").epoch = 32766
        fresh = await client.ask(InitProducerIdRequest("tx", 1000))
        assert fresh.producer_id != first.producer_id
        await client.close()


@virtual
async def test_find_coordinator_in_every_version():
    async with FakeCluster(3) as cluster:
        client = await RawClient.connect(first_broker(cluster))
        expected = cluster.coordinator_of("group")
        assert expected is not None
        for version in versions_of(FIND_COORDINATOR):
            response = await client.ask(FindCoordinatorRequest("group", 0), version)
            ((key, error, _message, node_id, host, port),) = parse_coordinators(response, "group")
            assert (key, error) == ("group", 0)
            assert (node_id, host, port) == (expected.node_id, expected.host, expected.port)
        other = next(b for b in cluster.brokers.values() if b is not expected)
        wrong = await RawClient.connect(
            next(b for b in cluster.brokers.values() if b is not cluster.coordinator_of("tx"))
        )
        response = await wrong.ask(InitProducerIdRequest("tx", 1000))
        assert response.error_code == ErrorCode.NOT_COORDINATOR
        assert other is not expected
        await wrong.close()
        await client.close()


@virtual
async def test_list_offsets():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        for start in (0, 1000):
            await client.produce("t", batch(b"a", b"b", timestamp=5000 + start))

        async def ask(version: int, timestamp: int, epoch: int = -1):
            partition: tuple[int, ...] = (0, timestamp)
            if version >= 4:
                partition = (0, epoch, timestamp)
            values: list[object] = [-1, [("t", [partition])]]
            if version >= 2:
                values.insert(1, 0)
            if version >= 10:
                values.append(1000)
            response = await client.send(struct_of(LIST_OFFSETS, version, *values))
            return response.to_object()["topics"][0]["partitions"][0]

        low, high = supported_versions()[LIST_OFFSETS]
        for version in range(max(1, low), high + 1):
            assert (await ask(version, -1))["offset"] == 4
            assert (await ask(version, -2))["offset"] == 0
            found = await ask(version, 5500)
            assert (found["offset"], found["timestamp"]) == (2, 6000)
            assert (await ask(version, 9999))["offset"] == -1
        assert (await ask(high, -3))["offset"] == 3
        if high >= 6:
            wrong = await ask(high, -1, 5)
            assert wrong["error_code"] == ErrorCode.UNKNOWN_LEADER_EPOCH
        await client.close()


@virtual
async def test_create_and_delete_topics():
    async with FakeCluster(2) as cluster:
        client = await RawClient.connect(first_broker(cluster))

        async def create(name: str, partitions: int, factor: int, assignment=(), dry=False):
            request = CreateTopicsRequest(
                [(name, partitions, factor, list(assignment), [("max.message.bytes", "99")])],
                1000,
                dry,
            )
            return (await client.ask(request)).topic_errors[0][1]

        assert await create("dry", 2, 2, dry=True) == 0
        assert "dry" not in cluster.topics
        assert await create("a", 2, 2) == 0
        assert cluster.topics["a"].options.max_message_bytes == 99
        assert await create("a", 2, 2) == ErrorCode.TOPIC_ALREADY_EXISTS
        assert await create("b", 0, 2) == ErrorCode.INVALID_PARTITIONS
        assert await create("b", 1, 3) == ErrorCode.INVALID_REPLICATION_FACTOR
        assert await create("b!", 1, 1) == ErrorCode.INVALID_TOPIC_EXCEPTION
        assert await create("c", -1, -1, [(0, [1]), (1, [0])]) == 0
        assert [p.leader for p in cluster.topics["c"].partitions] == [1, 0]
        response = await client.ask(DeleteTopicsRequest(["a", "zz"], 1000))
        assert [tuple(row)[:2] for row in response.topic_error_codes] == [
            ("a", 0),
            ("zz", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ]
        cluster.add_partitions("c", 5)
        assert len(cluster.topics["c"].partitions) == 5
        with pytest.raises(KeyError):
            cluster.partition("c", 5)
        await client.close()


@virtual
async def test_nonsense_closes_the_connection():
    async with FakeCluster(1) as cluster:
        broker = first_broker(cluster)
        nonsense = [
            b"\xff\xff\xff\xff",  # negative size
            b"\x7f\xff\xff\xff",  # huge size
            b"\x00\x00\x00\x02ab",  # no header
            b"\x00\x00\x00\x0a\x00\x03\x00\x00\x00\x00\x00\x01\x00\x63",  # client id too long
            b"\x00\x00\x00\x0a\x03\xe7\x00\x00\x00\x00\x00\x01\xff\xff",  # unknown API
            b"\x00\x00\x00\x0e\x00\x03\x00\x01\x00\x00\x00\x01\xff\xff\x00\x00\x00\x05",
        ]
        for data in nonsense:
            client = await RawClient.connect(broker)
            client.transport.write(data)
            assert await client.at_eof(), data
            await client.close()
        assert cluster.requests == []


@virtual
async def test_wait_until():
    async with FakeCluster(1) as cluster:
        client = await RawClient.connect(first_broker(cluster))
        start = now()
        with pytest.raises(asyncio.TimeoutError, match="2 Metadata requests"):
            await cluster.wait_for_requests("Metadata", 2, timeout=5)
        assert now() - start == pytest.approx(5)
        waiting = asyncio.ensure_future(cluster.wait_for_requests("Metadata", 2))
        await client.ask(MetadataRequest([]))
        assert not waiting.done()
        await client.ask(MetadataRequest([]))
        found = await waiting
        assert [r.api_name for r in found] == ["Metadata"] * 2
        assert found[0].client_id == "lab"
        assert found[0].answered_at is not None
        assert cluster.history(since=found[1].time) == [found[1]]
        late = asyncio.ensure_future(cluster.wait_until(lambda: False))
        await asyncio.sleep(0)
        await client.close()
        await cluster.stop()
        with pytest.raises(ConnectionAbortedError):
            await late


async def test_on_real_sockets():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", 1, 2)
        assert cluster.network is None
        assert all(address.startswith("127.0.0.1:") for address in cluster.bootstrap_servers)
        client = await RawClient.connect(cluster.brokers[0])
        parsed = metadata_protocol.parse(await client.ask(MetadataRequest(["t"])))
        assert [f"{b[1]}:{b[2]}" for b in parsed.brokers] == cluster.bootstrap_servers
        assert (await client.produce("t", batch(b"x"))).error_code == 0
        assert cluster.values("t") == [b"x"]
        with pytest.raises(RuntimeError):
            _ = cluster.brokers[0].link
        await client.close()
        await cluster.wait_until(lambda: cluster.connection_count == 0)
