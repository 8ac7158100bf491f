"""stop() and close() in the middle of everything: bootstrap, connect, refresh, retry."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiokafka.errors import IllegalStateError, KafkaError, ProducerClosed
from aiokafka.testing import Cut, Deaf, Error, ErrorCode, FakeCluster

from .lab import (
    assert_client_gone,
    assert_nothing_left,
    make_client,
    make_producer,
    now,
    stop_cleanly,
    virtual,
)

#: Loop turns after which stop() is called: the first ones one by one, then ever more.
TURNS = (*range(30), *range(30, 300, 15))


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def ended_well(task: asyncio.Future[Any]) -> bool:
    """Done, and if with an error then with one of ours."""
    if not task.done() or task.cancelled():
        return False
    return task.exception() is None or isinstance(task.exception(), KafkaError)


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("seconds", [0.0, 0.0007, 0.0013, 0.0021, 0.0033, 0.004])
@virtual
async def test_in_mid_bootstrap(seconds, idempotent):
    for count in TURNS:
        async with FakeCluster(3) as cluster:
            producer = make_producer(cluster, enable_idempotence=idempotent)
            start = asyncio.ensure_future(producer.start())
            if seconds:
                await asyncio.sleep(seconds)
            await turns(count)
            began = now()
            await producer.stop()
            await asyncio.wait((start,))
            assert now() - began < 0.1
            assert ended_well(start)
            assert_nothing_left(producer)
            with pytest.raises((ProducerClosed, IllegalStateError)):
                await producer.send("t", b"v")


@pytest.mark.parametrize("how", ["deaf", "blackhole", "refused"])
@virtual
async def test_in_a_bootstrap_that_gets_no_answer(how):
    async with FakeCluster(2) as cluster:
        for broker in cluster.brokers.values():
            if how == "blackhole":
                broker.link.blackhole()
            elif how == "refused":
                broker.refusing = True
        if how == "deaf":
            cluster.faults.add(Deaf())
        producer = make_producer(cluster)
        start = asyncio.ensure_future(producer.start())
        await asyncio.sleep(0.5)
        began = now()
        await producer.stop()
        await asyncio.wait((start,))
        assert now() - began <= 0.1
        assert ended_well(start) and start.exception() is not None
        assert_nothing_left(producer)


@pytest.mark.parametrize("seconds", [0.0, 0.0004, 0.0009, 0.0012])
@virtual
async def test_in_mid_refresh(seconds):
    for count in TURNS:
        async with FakeCluster(3) as cluster:
            producer = make_producer(cluster)
            await producer.start()
            sends = [asyncio.ensure_future(producer.send(f"t{i}", b"v")) for i in range(3)]
            if seconds:
                await asyncio.sleep(seconds)
            await turns(count)
            began = now()
            await producer.stop()
            assert now() - began < 0.1
            await asyncio.wait(sends)
            for send in sends:
                assert ended_well(send)
                if send.exception() is None:
                    future = send.result()
                    assert future.done()
                else:
                    assert isinstance(send.exception(), ProducerClosed)
            assert_nothing_left(producer)


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize(
    "fault",
    [Cut(), Deaf(), Error(ErrorCode.NOT_LEADER_OR_FOLLOWER), Error(ErrorCode.NOT_ENOUGH_REPLICAS)],
)
@virtual
async def test_in_mid_retry(fault, idempotent):
    for step in range(20):
        async with FakeCluster(2) as cluster:
            cluster.create_topic("t", 4)
            producer = make_producer(
                cluster, enable_idempotence=idempotent, request_timeout_ms=200, stop_timeout_ms=100
            )
            await producer.start()
            await producer.partitions_for("t")
            cluster.faults.add(fault, api="Produce")
            futures = [await producer.send("t", b"%d" % i, partition=i) for i in range(4)]
            await asyncio.sleep(0.03 * step)
            await stop_cleanly(producer)
            for future in futures:
                assert isinstance(future.exception(), ProducerClosed)
                # After a while it is known what stood in the way.
                assert future.exception().__cause__ is not None or step == 0


@virtual
async def test_two_at_once():
    async with FakeCluster(1) as cluster:
        producer = make_producer(cluster)
        await producer.start()
        await producer.partitions_for("t")
        cluster.faults.add(Deaf(), api="Produce")
        future = await producer.send("t", b"v")
        began = now()
        await asyncio.gather(producer.stop(), producer.stop(), producer.stop())
        assert now() - began <= 1.6
        assert isinstance(future.exception(), ProducerClosed)
        assert_nothing_left(producer)


@virtual
async def test_client_close_wakes_everybody():
    async with FakeCluster(2, auto_create=False) as cluster:
        client = make_client(cluster)
        await client.bootstrap()
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(client._wait_on_metadata("absent")),
            asyncio.ensure_future(client.fetch_all_metadata()),
            asyncio.ensure_future(client._maybe_wait_metadata()),
            asyncio.ensure_future(client.force_metadata_update()),
        ]
        cluster.faults.add(Deaf())
        await asyncio.sleep(0.3)
        began = now()
        await client.close()
        await asyncio.wait(waits)
        assert now() - began < 0.01
        assert all(ended_well(wait) for wait in waits)
        assert_client_gone()
        with pytest.raises(IllegalStateError):
            await client._wait_on_metadata("absent")
        with pytest.raises(KafkaError):
            await client.bootstrap()
