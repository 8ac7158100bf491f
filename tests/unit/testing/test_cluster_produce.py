"""Produce at the fake cluster: every version, every refusal, what the log then holds."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka.protocol import metadata as metadata_protocol
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest, node_endpoints, partition_results
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode

from .lab import RawClient, batch, first_broker, now, struct_of, virtual

PRODUCE = 0
PRODUCE_VERSIONS = range(3, 14)


@virtual
async def test_produce_in_every_version():
    async with FakeCluster(1) as cluster:
        topic = cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        for count, version in enumerate(PRODUCE_VERSIONS):
            data = batch(b"%d" % version, key=b"k", headers=[("h", b"1")])
            request = ProduceRequest(
                None, -1, 1000, [("t", [(0, data)])], topic_ids={"t": topic.topic_id}
            )
            response = await client.ask(request, version)
            (result,) = partition_results(response, {topic.topic_id: "t"})
            assert (result.topic, result.partition, result.error_code) == ("t", 0, 0)
            assert result.base_offset == count
            assert result.timestamp == -1
            assert result.log_start_offset == (0 if version >= 5 else None)
        records = cluster.records("t", 0)
        assert [r.offset for r in records] == list(range(len(PRODUCE_VERSIONS)))
        assert records[0][:4] == (0, b"k", b"3", [("h", b"1")])
        assert records[0].timestamp == 1_700_000_000_000
        assert cluster.values("t") == [b"%d" % v for v in PRODUCE_VERSIONS]
        assert cluster.values("absent") == []
        assert cluster.records("absent") == []
        await client.close()


@virtual
async def test_produce_with_old_versions_to_an_old_broker():
    async with FakeCluster(1, release="2.0") as cluster:
        cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        for version in range(3):
            request = struct_of(PRODUCE, version, 1, 1000, [("t", [(0, batch(b"x"))])])
            (result,) = partition_results(await client.send(request))
            assert result.base_offset == version
        await client.close()


@virtual
async def test_acks_0():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        request = ProduceRequest(None, 0, 1000, [("t", [(0, batch(b"x"))])])
        client.write(request.prepare({PRODUCE: (9, 9)}))
        # There is no answer: the next one belongs to the next request.
        response = await client.ask(MetadataRequest(["t"]))
        assert metadata_protocol.parse(response).topics[0].name == "t"
        assert cluster.values("t") == [b"x"]
        request = ProduceRequest(None, 0, 1000, [("absent", [(0, batch(b"x"))])])
        client.write(request.prepare({PRODUCE: (9, 9)}))
        assert await client.at_eof()
        await client.close()


@virtual
async def test_produce_refusals():
    async with FakeCluster(2, max_message_bytes=500, min_insync_replicas=1) as cluster:
        cluster.create_topic("t", assignment={0: [0], 1: [1]})
        cluster.create_topic("compacted", 1, 2, configs={"cleanup.policy": "compact"})
        client = await RawClient.connect(cluster.brokers[0])

        async def error(topic: str, data: bytes, partition: int = 0, **options):
            return (await client.produce(topic, data, partition, **options)).error_code

        good = batch(b"x")
        corrupt = bytearray(good)
        corrupt[-1] ^= 0xFF
        short_length = bytearray(good)
        short_length[11] -= 1
        assert await error("absent", good) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert await error("t", good, 2) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert await error("t", bytes(corrupt)) == ErrorCode.CORRUPT_MESSAGE
        assert await error("t", b"tiny") == ErrorCode.CORRUPT_MESSAGE
        assert await error("t", b"") == ErrorCode.CORRUPT_MESSAGE
        assert await error("t", good + good) == ErrorCode.INVALID_RECORD
        assert await error("t", bytes(short_length)) == ErrorCode.INVALID_RECORD
        assert await error("t", batch()) == ErrorCode.INVALID_RECORD
        assert await error("t", batch(b"x" * 600)) == ErrorCode.MESSAGE_TOO_LARGE
        assert await error("t", good, acks=2) == ErrorCode.INVALID_REQUIRED_ACKS
        assert await error("t", batch(b"x", compression=1), version=6) == 0
        zstd = batch(b"x", compression=4)
        assert await error("t", zstd, version=6) == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
        assert await error("t", zstd, version=7) == 0
        cluster.denied_topics.add("t")
        assert await error("t", good) == ErrorCode.TOPIC_AUTHORIZATION_FAILED
        cluster.denied_topics.clear()
        result = await client.produce("compacted", batch(b"x", b"y"))
        assert result.error_code == ErrorCode.INVALID_RECORD
        assert [position for position, _ in result.record_errors] == [0, 1]
        assert await error("compacted", batch(b"x", key=b"k")) == 0
        cluster.min_insync_replicas = 3
        assert await error("t", good) == ErrorCode.NOT_ENOUGH_REPLICAS
        assert await error("t", good, acks=1) == 0
        await client.close()


@virtual
async def test_not_leader_names_the_leader():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", 1, 2)
        assert cluster.move_leader("t", 0) == 1
        client = await RawClient.connect(cluster.brokers[0])
        request = ProduceRequest(None, -1, 1000, [("t", [(0, batch(b"x"))])])
        for version in (9, 10):
            response = await client.ask(request, version)
            (result,) = partition_results(response)
            assert result.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
            expected = (1, 1) if version >= 10 else (-1, -1)
            assert (result.leader_id, result.leader_epoch) == expected
            endpoints = [(1, "broker-1", 9092, None)] if version >= 10 else []
            assert node_endpoints(response) == endpoints
        cluster.leader_hints = False
        (result,) = partition_results(await client.ask(request, 10))
        assert result.leader_id == -1
        await client.close()


@virtual
async def test_unknown_topic_id():
    async with FakeCluster(1) as cluster:
        topic = cluster.create_topic("t")
        cluster.delete_topic("t")
        cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        request = ProduceRequest(
            None, -1, 1000, [("t", [(0, batch(b"x"))])], topic_ids={"t": topic.topic_id}
        )
        (result,) = partition_results(await client.ask(request, 13))
        assert result.error_code == ErrorCode.UNKNOWN_TOPIC_ID
        assert result.topic == str(topic.topic_id)
        await client.close()


@virtual
async def test_log_append_time():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", configs={"message.timestamp.type": "LogAppendTime"})
        client = await RawClient.connect(first_broker(cluster))
        await asyncio.sleep(10)
        result = await client.produce("t", batch(b"a", b"b"))
        assert abs(result.timestamp - cluster.wall_time_ms()) <= 2
        assert {r.timestamp for r in cluster.records("t")} == {result.timestamp}
        stored = cluster.partition("t", 0).log.batches[0]
        read = DefaultRecordBatch(stored.data)
        assert read.validate_crc()
        assert read.timestamp_type == 1
        assert [record.timestamp for record in read] == [result.timestamp] * 2
        await client.close()


@virtual
async def test_stored_batches_bear_offset_and_epoch():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", 1, 2)
        client = await RawClient.connect(cluster.brokers[0])
        await client.produce("t", batch(b"a", b"b"))
        cluster.move_leader("t")
        cluster.move_leader("t")
        await client.produce("t", batch(b"c"))
        first, second = cluster.partition("t", 0).log.batches
        assert (first.base_offset, first.leader_epoch) == (0, 0)
        assert (second.base_offset, second.leader_epoch) == (2, 2)
        assert int.from_bytes(second.data[:8], "big") == 2
        assert int.from_bytes(second.data[12:16], "big") == 2
        await client.close()


@virtual
async def test_requests_of_a_connection_are_answered_in_order():
    async with FakeCluster(1, answer_latency={"Produce": 1.0}) as cluster:
        cluster.create_topic("t")
        client = await RawClient.connect(first_broker(cluster))
        start = now()
        requests = []
        for number in range(3):
            data = batch(b"%d" % number)
            builder = ProduceRequest(None, -1, 1000, [("t", [(0, data)])])
            requests.append(builder.prepare({PRODUCE: (9, 9)}))
            client.write(requests[-1])
        client.correlation_id = 0
        for request in requests:
            client.correlation_id += 1
            await client.read(request)
        assert now() - start == pytest.approx(3, abs=0.01)
        assert cluster.values("t") == [b"0", b"1", b"2"]
        await client.close()
