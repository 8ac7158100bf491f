"""Rebalance listeners that do everything they may, and what they should not."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.testing import FakeCluster

from .lab import TP, assert_nothing_left, fill, log_lines, make, now, numbers, virtual


class Acting(ConsumerRebalanceListener):
    """Does something with its consumer when partitions are revoked, or assigned."""

    def __init__(self, consumer, when, act):
        self.consumer, self.when, self.act = consumer, when, act
        self.errors = []

    async def _run(self, when, partitions):
        if when == self.when:
            try:
                await self.act(self.consumer, partitions)
            except Exception as error:
                self.errors.append(error)
                raise

    async def on_partitions_revoked(self, revoked):
        await self._run("revoked", revoked)

    async def on_partitions_assigned(self, assigned):
        await self._run("assigned", assigned)


async def seek(consumer, partitions):
    for tp in partitions:
        consumer.seek(tp, 0)


async def commit(consumer, partitions):
    await consumer.commit()


async def commit_these(consumer, partitions):
    await consumer.commit(dict.fromkeys(partitions, 0))


async def pause_and_resume(consumer, partitions):
    consumer.pause(*partitions)
    consumer.resume(*partitions)


async def position(consumer, partitions):
    for tp in partitions:
        await consumer.position(tp)


async def committed(consumer, partitions):
    for tp in partitions:
        await consumer.committed(tp)


async def seek_to_beginning(consumer, partitions):
    if partitions:
        await consumer.seek_to_beginning(*partitions)


async def getone(consumer, partitions):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(consumer.getone(), 0.5)


async def getmany(consumer, partitions):
    await consumer.getmany(timeout_ms=500)


async def ends(consumer, partitions):
    await consumer.end_offsets(partitions)


async def topics(consumer, partitions):
    await consumer.topics()


async def subscribe_again(consumer, partitions):
    consumer.subscribe(["t"], listener=consumer._subscription.listener)
    consumer._subscription.listener.when = None


async def health(consumer, partitions):
    str(consumer.health())


ACTS = (
    seek, commit, commit_these, pause_and_resume, position, committed, seek_to_beginning, getone,
    getmany, ends, topics, subscribe_again, health,
)  # fmt: skip


@pytest.mark.parametrize("when", ["revoked", "assigned"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
@virtual
async def test_acts(act, when):
    """The rebalance ends and everything is read."""
    async with FakeCluster(1) as kafka:
        kafka.create_topic("t", 2)
        await fill(kafka, 6, 2)
        consumer = make(kafka, group_id="g")
        listener = Acting(consumer, when, act)
        consumer.subscribe(["t"], listener=listener)
        began = now()
        await consumer.start()
        got = set(await numbers(consumer, 3))
        consumer._coordinator.request_rejoin("a test")
        while len(got) < 6:
            got |= set(await numbers(consumer, 1))
        assert now() - began < 8, "it held something up"
        assert [e for e in listener.errors if not isinstance(e, KafkaError)] == []
        await consumer.stop()
        await asyncio.sleep(0.001)
        assert_nothing_left()


async def stop(consumer, partitions):
    await consumer.stop()


async def stop_in_a_task(consumer, partitions):
    await asyncio.ensure_future(consumer.stop())


async def unsubscribe(consumer, partitions):
    consumer.unsubscribe()


@pytest.mark.parametrize("when", ["revoked", "assigned"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("act", [stop, stop_in_a_task], ids=lambda act: act.__name__)
@virtual
async def test_stopping(act, first, when):
    async with FakeCluster(1) as kafka:
        kafka.create_topic("t", 2)
        await fill(kafka, 6, 2)
        consumer = make(kafka, group_id="g")
        listener = Acting(consumer, when if first else None, act)
        consumer.subscribe(["t"], listener=listener)
        began = now()
        if first:
            try:
                await consumer.start()
                await consumer.getone()
            except ConsumerStoppedError:
                pass
        else:
            await consumer.start()
            await numbers(consumer, 3)
            listener.when = when
            began = now()
            consumer._coordinator.request_rejoin("a test")
            with pytest.raises(ConsumerStoppedError):
                await numbers(consumer, 100)
        await consumer.stop()
        took = now() - began
        assert took < (4 if act is stop else 6.5), took
        await asyncio.sleep(0.001)
        assert_nothing_left()
        if not first and act is stop:
            assert not kafka.group("g").members


@pytest.mark.parametrize("when", ["revoked", "assigned"])
@virtual
async def test_unsubscribing(when):
    async with FakeCluster(1) as kafka:
        kafka.create_topic("t", 2)
        await fill(kafka, 6, 2)
        consumer = make(kafka, group_id="g")
        listener = Acting(consumer, None, unsubscribe)
        consumer.subscribe(["t"], listener=listener)
        await consumer.start()
        await numbers(consumer, 3)
        listener.when = when
        consumer._coordinator.request_rejoin("a test")
        assert await consumer.getmany(TP, timeout_ms=20_000) is not None
        await asyncio.sleep(5)
        assert consumer.assignment() == frozenset()
        consumer.subscribe(["t"])
        kafka.append("t", 0, b"77")
        while (await numbers(consumer, 1))[0] != 77:
            pass
        await consumer.stop()
        await asyncio.sleep(0.001)
        assert_nothing_left()


async def never(consumer, partitions):
    await asyncio.sleep(1e6)


async def deaf_to_cancellation(consumer, partitions):
    ends = now() + 30
    while now() < ends:
        try:
            await asyncio.sleep(ends - now())
        except asyncio.CancelledError:
            pass


async def raises_base(consumer, partitions):
    raise asyncio.CancelledError


@pytest.mark.parametrize("when", ["revoked", "assigned"])
@pytest.mark.parametrize(
    "act", [never, deaf_to_cancellation, raises_base], ids=lambda a: a.__name__
)
@virtual
async def test_stop_is_bounded(act, when):
    with log_lines() as log:
        async with FakeCluster(1) as kafka:
            kafka.create_topic("t", 2)
            await fill(kafka, 6, 2)
            consumer = make(kafka, group_id="g")
            listener = Acting(consumer, None, act)
            consumer.subscribe(["t"], listener=listener)
            await consumer.start()
            await numbers(consumer, 3)
            listener.when = when
            consumer._coordinator.request_rejoin("a test")
            await consumer.getmany(timeout_ms=500)
            began = now()
            await consumer.stop()
            assert now() - began < 5 + 2.5, now() - began
            await asyncio.sleep(31)
            assert_nothing_left()
    assert log.crashes == []
