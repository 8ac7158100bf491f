"""Scripted faults: every action, and the conditions that choose requests."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka.protocol import metadata as metadata_protocol
from aiokafka.protocol.api import throttle_time_ms
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest, partition_results
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import (
    Cut,
    Deaf,
    Delay,
    Do,
    Error,
    Garbage,
    HalfFrame,
    Level,
    LostAnswer,
    Refuse,
    Rewrite,
    Then,
    Throttle,
    WrongCorrelationId,
)

from .lab import RawClient, batch, first_broker, in_vain, now, virtual

METADATA, PRODUCE = 3, 0


@virtual
async def test_deaf_to_one_api_only():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        fault = cluster.faults.add(Deaf(), api="Produce")
        client = await RawClient.connect(first_broker(cluster))
        assert (await client.ask(MetadataRequest([]))).brokers
        assert await in_vain(client.produce("t", batch(b"x")))
        # Nothing later is answered on that connection.
        assert await in_vain(client.ask(MetadataRequest([])))
        assert fault.hits == 1
        assert cluster.values("t") == []
        await client.close()
        other = await RawClient.connect(first_broker(cluster))
        assert (await other.ask(MetadataRequest([]))).brokers
        await other.close()


@virtual
async def test_lost_answer():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.faults.add(LostAnswer(), api="Produce", times=1)
        client = await RawClient.connect(first_broker(cluster))
        with pytest.raises(ConnectionResetError):
            await client.produce("t", batch(b"x"))
        assert cluster.values("t") == [b"x"]
        assert cluster.requests[-1].answered_at is None
        cluster.faults.add(LostAnswer(Then.SILENCE), api="Produce", times=1)
        client = await RawClient.connect(first_broker(cluster))
        assert await in_vain(client.produce("t", batch(b"y")))
        assert cluster.values("t") == [b"x", b"y"]
        await client.close()


@virtual
async def test_cut_before_the_request_is_applied():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.faults.add(Cut(), api="Produce", skip=1, times=1)
        client = await RawClient.connect(first_broker(cluster))
        assert (await client.produce("t", batch(b"x"))).error_code == 0
        with pytest.raises(ConnectionResetError):
            await client.produce("t", batch(b"y"))
        assert cluster.values("t") == [b"x"]


@virtual
async def test_half_frame():
    async with FakeCluster(1) as cluster:
        cluster.faults.add(HalfFrame(then=Then.SILENCE), times=1)
        client = await RawClient.connect(first_broker(cluster))
        client.write(MetadataRequest([]).prepare({METADATA: (1, 1)}))
        size = int.from_bytes(await client.read_exactly(4), "big")
        await client.read_exactly(size // 2 - 4)
        assert await in_vain(client.read_exactly(size // 2))
        await client.close()
        cluster.faults.add(HalfFrame(0.9, Then.CUT), times=1)
        client = await RawClient.connect(first_broker(cluster))
        client.write(MetadataRequest([]).prepare({METADATA: (1, 1)}))
        size = int.from_bytes(await client.read_exactly(4), "big")
        with pytest.raises(ConnectionResetError, match="of"):
            await client.read_exactly(size)
        assert len(client.inbox.data) > size // 2


@virtual
async def test_wrong_correlation_id():
    async with FakeCluster(1) as cluster:
        cluster.faults.add(WrongCorrelationId(7), api=METADATA, times=1)
        client = await RawClient.connect(first_broker(cluster))
        request = MetadataRequest([]).prepare({METADATA: (1, 1)})
        expected = client.write(request) + 7
        assert request.decode_response(await client.read_frame())[0] == expected
        await client.close()


@virtual
async def test_delay():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        fault = cluster.faults.add(Delay(5.0), api="Produce")
        client = await RawClient.connect(first_broker(cluster))
        start = now()
        sending = asyncio.ensure_future(client.produce("t", batch(b"x")))
        await cluster.wait_for_requests("Produce")
        assert cluster.values("t") == [b"x"]
        await sending
        assert now() - start == pytest.approx(5, abs=0.01)
        cluster.faults.remove(fault)
        cluster.faults.remove(fault)
        cluster.faults.add(Delay((2.0, 4.0), applied=False), api="Produce")
        start = now()
        sending = asyncio.ensure_future(client.produce("t", batch(b"y")))
        await cluster.wait_for_requests("Produce", 2)
        assert cluster.values("t") == [b"x"]
        await sending
        assert 2 <= now() - start <= 4.01
        assert cluster.values("t") == [b"x", b"y"]
        await client.close()


@virtual
async def test_error_per_partition():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", 2)
        cluster.faults.add(
            Error(ErrorCode.KAFKA_STORAGE_ERROR), api="Produce", topic="t", partition=1, times=1
        )
        client = await RawClient.connect(first_broker(cluster))
        request = ProduceRequest(None, -1, 1000, [("t", [(0, batch(b"0")), (1, batch(b"1"))])])
        # A request that does not mention the partition does not use the fault up.
        assert (await client.produce("t", batch(b"first"))).error_code == 0
        good, bad = partition_results(await client.ask(request, 9))
        assert (good.error_code, bad.error_code) == (0, ErrorCode.KAFKA_STORAGE_ERROR)
        good, bad = partition_results(await client.ask(request, 9))
        assert (good.error_code, bad.error_code) == (0, 0)
        assert cluster.values("t") == [b"first", b"0", b"0", b"1"]
        await client.close()


@virtual
async def test_error_although_applied():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        code = ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
        cluster.faults.add(Error(code, applied=True), api="Produce", times=1)
        client = await RawClient.connect(first_broker(cluster))
        assert (await client.produce("t", batch(b"x"))).error_code == code
        assert cluster.values("t") == [b"x"]
        await client.close()


@virtual
async def test_error_of_a_produce_by_topic_id():
    async with FakeCluster(1) as cluster:
        topic = cluster.create_topic("t")
        cluster.faults.add(Error(1234), api="Produce", topic="t", partition=0)
        client = await RawClient.connect(first_broker(cluster))
        request = ProduceRequest(
            None, -1, 1000, [("t", [(0, batch(b"x"))])], topic_ids={"t": topic.topic_id}
        )
        (result,) = partition_results(await client.ask(request, 13))
        assert result.error_code == 1234
        await client.close()


@virtual
async def test_errors_of_metadata():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", 2)
        client = await RawClient.connect(first_broker(cluster))

        async def ask():
            return metadata_protocol.parse(await client.ask(MetadataRequest(["t"])))

        cluster.faults.add(Error(ErrorCode.LEADER_NOT_AVAILABLE), api="Metadata", times=1)
        assert (await ask()).topics[0].error_code == ErrorCode.LEADER_NOT_AVAILABLE
        cluster.faults.add(
            Error(ErrorCode.LEADER_NOT_AVAILABLE, Level.PARTITION),
            api="Metadata",
            partition=1,
            topic="t",
            times=1,
        )
        healthy, leaderless = (await ask()).topics[0].partitions
        assert (healthy.error_code, healthy.leader) == (0, 0)
        assert (leaderless.error_code, leaderless.leader) == (5, -1)
        cluster.faults.add(
            Error(ErrorCode.REBOOTSTRAP_REQUIRED, Level.TOP), api="Metadata", times=1
        )
        assert (await ask()).error_code == ErrorCode.REBOOTSTRAP_REQUIRED
        cluster.topics["t"].error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert (await ask()).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        await client.close()


@virtual
async def test_rewritten_answer():
    def without_brokers(request, values):
        assert request.api_name == "Metadata"
        values["brokers"] = []
        values["topics"][0]["partitions"].pop()

    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", 2)
        cluster.faults.add(Rewrite(without_brokers), api="Metadata")
        client = await RawClient.connect(first_broker(cluster))
        parsed = metadata_protocol.parse(await client.ask(MetadataRequest(["t"])))
        assert parsed.brokers == []
        assert [p.partition for p in parsed.topics[0].partitions] == [0]
        await client.close()


@virtual
async def test_leader_moves_under_a_request():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", 1, 2)
        cluster.faults.add(Do(lambda r: r.cluster.move_leader("t")), api="Produce", times=1)
        client = await RawClient.connect(cluster.brokers[0])
        result = await client.produce("t", batch(b"x"), version=10)
        assert result.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert result.leader_id == 1
        await client.close()


@virtual
async def test_broker_killed_and_frozen_by_a_request():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("t", 1, 2)
        cluster.faults.add(Do(lambda r: r.broker.kill()), api="Produce", times=1, node=0)
        client = await RawClient.connect(cluster.brokers[0])
        with pytest.raises(ConnectionResetError):
            await client.produce("t", batch(b"x"))
        cluster.brokers[0].restart()
        cluster.faults.add(Do(lambda r: r.broker.freeze()), api="Produce", times=1, node=0)
        client = await RawClient.connect(cluster.brokers[0])
        sending = asyncio.ensure_future(client.produce("t", batch(b"x")))
        await asyncio.sleep(2)
        assert not sending.done()
        cluster.brokers[0].thaw()
        assert (await sending).error_code == 0
        assert cluster.values("t") == [b"x"]
        await client.close()


@virtual
async def test_throttle():
    async with FakeCluster(1) as cluster:
        cluster.faults.add(Throttle(3000), api="Metadata", times=1)
        client = await RawClient.connect(first_broker(cluster))
        start = now()
        assert throttle_time_ms(await client.ask(MetadataRequest([]))) == 3000
        assert now() - start < 0.1
        assert throttle_time_ms(await client.ask(MetadataRequest([]))) == 0
        assert now() - start == pytest.approx(3, abs=0.01)
        await client.close()


@pytest.mark.parametrize("kind", list(Garbage.Kind), ids=lambda kind: kind.name)
def test_garbage(kind):
    @virtual
    async def check():
        async with FakeCluster(1) as cluster:
            cluster.faults.add(Garbage(kind), times=1)
            client = await RawClient.connect(first_broker(cluster))
            request = MetadataRequest([]).prepare({METADATA: (1, 1)})
            client.write(request)
            size = int.from_bytes(await client.read_exactly(4), "big", signed=True)
            if kind is Garbage.Kind.NEGATIVE_FRAME:
                assert size < 0
            elif kind is Garbage.Kind.HUGE_FRAME:
                assert size == 2**31 - 1
            elif kind is Garbage.Kind.EMPTY_FRAME:
                assert size == 0
            else:
                frame = await client.read_exactly(size)
                with pytest.raises(ValueError):
                    request.RESPONSE_TYPE.decode(frame[4:])
            await client.close()

    check()


@virtual
async def test_refused_connections():
    async with FakeCluster(2) as cluster:
        fault = cluster.faults.add(Refuse(), node=0, times=2)
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await RawClient.connect(cluster.brokers[0])
        await (await RawClient.connect(cluster.brokers[1])).close()
        await (await RawClient.connect(cluster.brokers[0])).close()
        assert fault.spent
        cluster.brokers[0].refusing = True
        with pytest.raises(ConnectionRefusedError):
            await RawClient.connect(cluster.brokers[0])


@virtual
async def test_conditions():
    async with FakeCluster(2) as cluster:
        cluster.create_topic("a", assignment={0: [0]})
        cluster.create_topic("b", assignment={0: [0]})
        client = await RawClient.connect(cluster.brokers[0])

        async def failed(topic: str) -> bool:
            return bool((await client.produce(topic, batch(b"x"))).error_code)

        faults = cluster.faults
        faults.add(Error(1), api=["Produce", "Fetch"], topic="a")
        assert [await failed("a"), await failed("b")] == [True, False]
        faults.clear()
        faults.add(Error(1), node=1)
        assert not await failed("a")
        faults.clear()
        faults.add(Error(1), after=10, lasting=5)
        assert not await failed("a")
        await asyncio.sleep(10)
        assert await failed("a")
        await asyncio.sleep(5)
        assert not await failed("a")
        faults.clear()
        faults.add(Error(1), lasting=5)
        assert await failed("a")
        await asyncio.sleep(5)
        assert not await failed("a")
        faults.clear()
        faults.add(Error(1), probability=0.5)
        outcomes = [await failed("a") for _ in range(100)]
        assert 20 < sum(outcomes) < 80
        faults.clear()
        faults.add(Error(1), when=lambda r: r.client_id != "lab")
        assert not await failed("a")
        assert len(list(faults)) == 1
        with pytest.raises(ValueError, match="no API"):
            faults.add(Error(1), api="Produse")
        await client.close()


@virtual
async def test_describe():
    async with FakeCluster(1) as cluster:
        fault = cluster.faults.add(
            Error(5), api="Metadata", node=0, topic="t", partition=1, times=2, probability=0.5
        )
        text = fault.describe()
        assert "Metadata" in text
        assert "node 0" in text
        assert "t-1" in text
        assert "2 times" in text
        assert "0.50" in text


async def test_faults_on_real_sockets():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.faults.add(LostAnswer(), api="Produce", times=1)
        client = await RawClient.connect(first_broker(cluster))
        with pytest.raises(ConnectionResetError):
            await client.produce("t", batch(b"x"))
        assert cluster.values("t") == [b"x"]
        cluster.faults.add(Refuse(), times=1)
        client = await RawClient.connect(first_broker(cluster))
        assert await client.at_eof()
        cluster.faults.add(Deaf(), api="Metadata", times=1)
        client = await RawClient.connect(first_broker(cluster))
        waiting = asyncio.ensure_future(client.ask(MetadataRequest([])))
        await cluster.wait_for_requests("Metadata")
        assert not waiting.done()
        waiting.cancel()
        await client.close()
