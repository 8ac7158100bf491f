"""Order and uniqueness where a batch has to be split or a sequence begins anew."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka.testing import Cut, Error, ErrorCode, FakeCluster, LostAnswer

from .lab import producing, virtual

LIMIT = 600


def values(count: int) -> list[bytes]:
    return [b"%03d" % i + b"x" * (40 * (i % 4)) for i in range(count)]


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("unknown", [False, True], ids=["asks for 0", "takes any number"])
@pytest.mark.parametrize(
    "fault",
    [
        None,
        Cut(),
        LostAnswer(),
        Error(ErrorCode.NOT_LEADER_OR_FOLLOWER),
        Error(ErrorCode.REQUEST_TIMED_OUT, applied=True),
    ],
    ids=repr,
)
@virtual
async def test_splitting_keeps_the_order(fault, unknown, idempotent):
    """Split again and again, with parts that fail in between: first copies stay in order."""
    async with (
        FakeCluster(2) as cluster,
        producing(
            cluster,
            enable_idempotence=idempotent,
            max_batch_size=2_000,
            linger_ms=1,
            request_timeout_ms=500,
        ) as producer,
    ):
        topic = cluster.create_topic("t", configs={"max.message.bytes": str(LIMIT)})
        topic.options.accept_unknown_producers = unknown
        await producer.partitions_for("t")
        if fault is not None:
            cluster.faults.add(fault, api="Produce", times=12, probability=0.5)
        sent = values(120)
        futures = [await producer.send("t", value) for value in sent]
        stored = await asyncio.gather(*futures)
        log = [value for value in cluster.values("t") if value is not None]
        if idempotent:
            assert log == sent
        assert list(dict.fromkeys(log)) == sent
        assert [log[metadata.offset] for metadata in stored] == sent


@virtual
async def test_parts_of_a_batch_wait_for_the_fate_of_a_later_one():
    """Batch A is refused for its size after B, behind it, got no answer.

    B keeps its number until the broker has said whether it has it; the parts of A wait for
    that, not for their expiry.
    """
    async with (
        FakeCluster(1) as cluster,
        producing(
            cluster, enable_idempotence=True, max_batch_size=2_000, request_timeout_ms=500
        ) as producer,
    ):
        topic = cluster.create_topic("t", configs={"max.message.bytes": "100000"})
        await producer.send_and_wait("t", b"first")
        cluster.faults.add(Cut(), api="Produce", times=1)
        sent = values(60)
        futures = [await producer.send("t", value) for value in sent]
        topic.options.max_message_bytes = LIMIT
        await asyncio.wait_for(asyncio.gather(*futures), 5)
        assert cluster.values("t") == [b"first", *sent]


@pytest.mark.parametrize("unknown", [False, True])
@virtual
async def test_nothing_overtakes_the_first_batch_of_a_producer(unknown):
    """A broker takes any number from a producer it does not know."""
    async with (
        FakeCluster(2) as cluster,
        producing(cluster, enable_idempotence=True, max_batch_size=100) as producer,
    ):
        topic = cluster.create_topic("t", assignment={0: [0, 1]})
        topic.options.accept_unknown_producers = unknown
        await producer.partitions_for("t")
        cluster.faults.add(Error(ErrorCode.NOT_ENOUGH_REPLICAS), api="Produce", times=1)
        sent = values(40)
        futures = [await producer.send("t", value) for value in sent]
        await asyncio.gather(*futures)
        assert cluster.values("t") == sent
