"""Records that come one by one are sent as they are appended; all others travel together."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.unit.producer.lab import producing, virtual


def in_flight(producer):
    return sum(connection.in_flight for connection in producer.client._conns.values())


async def sent_at_once(producer, topic="t"):
    """Send a record; whether it is on its way before the loop has had a turn."""
    before = in_flight(producer)
    future = await producer.send(topic, b"v")
    now_under_way = in_flight(producer) > before
    await future
    return now_under_way


@pytest.mark.parametrize("idempotent", [False, True])
@virtual
async def test_one_by_one(idempotent):
    async with producing(enable_idempotence=idempotent) as (_, producer):
        assert not await sent_at_once(producer)  # nothing is known yet
        for _ in range(3):
            assert await sent_at_once(producer)


@virtual
async def test_not_after_records_that_travelled_together():
    async with producing() as (_, producer):
        for future in [await producer.send("t", b"v", partition=0) for _ in range(2)]:
            await future
        assert not await sent_at_once(producer)


@virtual
async def test_not_while_something_is_under_way():
    async with producing() as (_, producer):
        await producer.send_and_wait("t", b"v")
        first = await producer.send("t", b"1")
        before = in_flight(producer)
        others = [await producer.send("t", b"2") for _ in range(3)]
        assert in_flight(producer) == before == 1
        for future in (first, *others):
            await future
        # The last batch had company.
        assert not await sent_at_once(producer)


@virtual
async def test_not_with_linger():
    async with producing(linger_ms=5) as (_, producer):
        for _ in range(3):
            assert not await sent_at_once(producer)


@virtual
async def test_other_ways_to_send_meanwhile():
    """What does not come through the fast append is still woken up for."""
    async with producing() as (_, producer):
        for _ in range(2):
            await producer.send_and_wait("t", b"v")
            batch = producer.create_batch()
            batch.append(key=None, value=b"b", timestamp=None)
            await (await producer.send_batch(batch, "t", partition=0))
            await producer.send_and_wait("t", b"v")
            await producer.send_and_wait("elsewhere", b"v")


@virtual
async def test_a_record_that_cannot_be_encoded():
    async with producing() as (_, producer):
        await producer.send_and_wait("t", b"v")
        with pytest.raises(TypeError):
            await producer.send("t", b"v", headers=[("h", 5)])
        await producer.send_and_wait("t", b"v")


@virtual
async def test_the_connection_is_lost_meanwhile():
    async with producing() as (kafka, producer):
        await producer.send_and_wait("t", b"v")
        kafka.brokers[0].kill()
        future = await producer.send("t", b"late")
        await asyncio.sleep(0.5)
        assert not future.done()
        kafka.brokers[0].restart()
        await future


@virtual
async def test_the_producer_is_stopped_meanwhile():
    async with producing() as (_, producer):
        await producer.send_and_wait("t", b"v")
        future = await producer.send("t", b"v")
        await producer.stop()
        assert future.done()
        with contextlib.suppress(Exception):
            await producer.send("t", b"late")
