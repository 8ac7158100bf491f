"""Groups on real brokers: who is disturbed by a restart, a static member, a member that joins."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator

import pytest

from aiokafka import AIOKafkaProducer
from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.errors import FencedInstanceIdError
from aiokafka.structs import TopicPartition
from tests.integration.conftest import MakeTopic, unique_topic
from tests.integration.consuming import (
    Moves,
    Reader,
    consumer_of,
    fill_async,
    numbers,
    reading,
    take,
    until,
)
from tests.integration.support import timed
from tests.integration.test_durability import PARTITIONS, Recovery
from tests.kafka import KafkaCluster, Proxy

_COOPERATIVE = [CooperativeStickyPartitionAssignor]


@contextlib.asynccontextmanager
async def _writing(bootstrap: str, topic: str, partitions: int) -> AsyncIterator[list[int]]:
    """Records to every partition, each two hundredths of a second; yields how many of each."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    written = [0] * partitions

    async def write() -> None:
        for number in itertools.count():
            for partition in range(partitions):
                await producer.send(topic, b"%d" % number, partition=partition)
                written[partition] += 1
            await asyncio.sleep(0.02)

    writer = asyncio.ensure_future(write())
    try:
        yield written
    finally:
        writer.cancel()
        await asyncio.wait((writer,))
        await producer.stop()


def _shared(readers: list[Reader], partitions: int) -> bool:
    """Whether every partition has one owner, and everybody has a fair share."""
    owned = [reader.consumer.assignment() for reader in readers]
    return (
        sum(map(len, owned)) == partitions == len(frozenset().union(*owned))
        and max(map(len, owned)) - min(map(len, owned)) <= 1
    )


def _all_read(readers: list[Reader], written: list[int]) -> bool:
    found: dict[int, set[bytes]] = {partition: set() for partition in range(len(written))}
    for reader in readers:
        for record in reader.records:
            found[record.partition].add(record.value)
    return all(len(found[partition]) >= count for partition, count in enumerate(written))


def _longest_gap(reader: Reader, tps: frozenset[TopicPartition], since: float) -> float:
    """The longest time without a record of one of the partitions."""
    longest = 0.0
    for tp in tps:
        at = [since] + [
            at
            for at, record in zip(reader.at, reader.records, strict=True)
            if record.partition == tp.partition and at >= since
        ]
        longest = max(longest, *(b - a for a, b in itertools.pairwise([*at, time.monotonic()])))
    return longest


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_rolling_restart_of_the_brokers(kafka3: KafkaCluster) -> None:
    topic = await kafka3.truth.create_topic_async(unique_topic("rolling"), PARTITIONS)
    group, moves = unique_topic("group"), [Moves() for _ in range(3)]
    recovery = Recovery(kafka3, topic)
    async with contextlib.AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(
                reading(
                    kafka3.bootstrap, topic, group_id=group, listener=listener,
                    session_timeout_ms=10_000, heartbeat_interval_ms=1000,
                )
            )
            for listener in moves
        ]  # fmt: skip
        await until(lambda: _shared(readers, PARTITIONS), 20, "all have joined")
        generation = readers[0].consumer.health().generation
        before = [list(listener.events) for listener in moves]
        async with _writing(kafka3.bootstrap, topic, PARTITIONS) as written:
            await until(lambda: _all_read(readers, [10] * PARTITIONS), 20, "reading")
            for broker in kafka3.brokers:
                await broker.restart_async()
                await recovery.wait()
                reached = list(written)
                await until(lambda reached=reached: _all_read(readers, reached), 15, "read on")
        await until(lambda: _all_read(readers, written), 15, "all is read")
        assert [listener.events for listener in moves] == before
        assert {reader.consumer.health().generation for reader in readers} == {generation}
        assert max(reader.longest_call for reader in readers) < 1.0
        for reader in readers:
            offsets: dict[int, list[int]] = {}
            for record in reader.records:
                offsets.setdefault(record.partition, []).append(record.offset)
            # Everything once, in order.
            assert all(of == list(range(len(of))) for of in offsets.values())


async def test_a_static_member_restarts(kafka: KafkaCluster, make_topic: MakeTopic) -> None:
    topic, group, moves = await make_topic(partitions=4), unique_topic("group"), Moves()
    server = kafka.bootstrap
    async with reading(
        server, topic, group_id=group, group_instance_id="stays", listener=moves
    ) as stays:
        for turn in range(2):
            async with reading(
                server, topic, group_id=group, group_instance_id="restarts"
            ) as restarts:
                await until(lambda r=restarts: _shared([stays, r], 4), 10, "shared")
                health = restarts.consumer.health()
                if turn == 0:
                    events = list(moves.events)
                    owned, generation = restarts.consumer.assignment(), health.generation
                else:
                    assert restarts.consumer.assignment() == owned
                    assert health.generation == generation
                for partition in range(4):
                    await fill_async(server, topic, numbers(5), partition)
                expected = 10 * (turn + 1)
                await until(
                    lambda r=restarts, n=expected: len(stays.records) == n
                    and len(r.records) == 10,
                    10, "read",
                )  # fmt: skip
        assert moves.events == events
        assert stays.consumer.health().generation == generation


async def test_two_members_of_one_instance_id(kafka: KafkaCluster, topic: str) -> None:
    group = unique_topic("group")
    options = {"group_id": group, "group_instance_id": "twice"}
    first = consumer_of(kafka.bootstrap, topic, **options)
    try:
        await first.start()
        async with reading(kafka.bootstrap, topic, **options) as second:
            end = await timed(asyncio.wait_for(first.getone(), 10))
            assert isinstance(end.failure, FencedInstanceIdError)
            assert "twice" in str(end.failure)
            assert end.elapsed < 5
            # It stays so, and says why.
            end = await timed(first.commit({TopicPartition(topic, 0): 0}))
            assert isinstance(end.failure, FencedInstanceIdError)
            assert "twice" in first.health().reason
            await fill_async(kafka.bootstrap, topic, numbers(3))
            await until(lambda: len(second.records) == 3, 10, "the other one reads")
    finally:
        stop = await timed(first.stop())
        assert stop.error is None
        assert stop.elapsed < 1


async def test_a_cooperative_member_joins(kafka: KafkaCluster, make_topic: MakeTopic) -> None:
    topic, group = await make_topic(partitions=6), unique_topic("group")
    moves = [Moves() for _ in range(3)]
    options = {"group_id": group, "partition_assignment_strategy": _COOPERATIVE}
    server = kafka.bootstrap
    async with contextlib.AsyncExitStack() as stack:
        written = await stack.enter_async_context(_writing(server, topic, 6))
        readers: list[Reader] = []
        for count, listener in enumerate(moves, 1):
            owned = [reader.consumer.assignment() for reader in readers]
            seen, since = [len(m.events) for m in moves], time.monotonic()
            readers.append(
                await stack.enter_async_context(
                    reading(server, topic, listener=listener, **options)
                )
            )
            await until(lambda: _shared(readers, 6), 15, f"{count} members share")
            for reader, before, listener_, first in zip(
                readers[:-1], owned, moves, seen, strict=False
            ):
                kept = reader.consumer.assignment()
                assert kept < before
                events = listener_.events[first:]
                assert [what for kind, what in events if kind == "revoked"] == [before - kept]
                assert not frozenset().union(
                    *(what for kind, what in events if kind == "assigned")
                )
                assert _longest_gap(reader, kept, since) < 1.0
        # One leaves: the others get what it had, and lose nothing.
        owned = [reader.consumer.assignment() for reader in readers]
        await readers[2].end()
        await readers[2].consumer.stop()
        await until(lambda: _shared(readers[:2], 6), 15, "two share again")
        assert all(
            reader.consumer.assignment() > before
            for reader, before in zip(readers[:2], owned, strict=False)
        )
        reached = list(written)
        await until(lambda: _all_read(readers, reached), 10, "all is read")


async def test_cooperative_members_read_while_the_group_waits(
    kafka: KafkaCluster, proxy: Proxy, make_topic: MakeTopic
) -> None:
    """A rebalance that waits two seconds for a member that cannot be reached."""
    topic, group = await make_topic(partitions=6), unique_topic("group")
    options = {"group_id": group, "partition_assignment_strategy": _COOPERATIVE}
    server = kafka.bootstrap
    async with (
        _writing(server, topic, 6),
        reading(server, topic, **options) as first,
        reading(proxy.address, topic, **options) as cut_off,
    ):
        await until(lambda: _shared([first, cut_off], 6), 15, "two share")
        owned = first.consumer.assignment()
        proxy.silence()
        since = time.monotonic()
        joining = asyncio.ensure_future(_join_and_take(server, topic, options))
        await until(
            lambda: first.consumer.health().member_state in ("JOINING", "SYNCING"),
            5, "the rebalance has begun",
        )  # fmt: skip
        waits = time.monotonic() + 2
        await until(lambda: time.monotonic() > waits, 5, "it waits")
        assert first.consumer.health().member_state in ("JOINING", "SYNCING")
        assert first.consumer.assignment() == owned
        assert _longest_gap(first, owned, since) < 1.0
        proxy.heal()
        assert await joining


async def _join_and_take(server: str, topic: str, options: dict) -> int:
    consumer = consumer_of(server, topic, **options)
    try:
        await consumer.start()
        return len(await take(consumer, 10))
    finally:
        await consumer.stop()


async def test_a_group_survives_its_coordinator(kafka3: KafkaCluster) -> None:
    """Killed, not told to stop: members and generation live on with the next coordinator."""
    topic = await kafka3.truth.create_topic_async(unique_topic("coordinator"), 2)
    group, moves = unique_topic("group"), Moves()
    async with reading(
        kafka3.bootstrap, topic, group_id=group, listener=moves, session_timeout_ms=10_000
    ) as reader:
        generation = reader.consumer.health().generation
        coordinator = reader.consumer.health().coordinator_id
        assert coordinator is not None
        await asyncio.to_thread(kafka3.brokers[coordinator].kill)
        await until(
            lambda: reader.consumer.health().coordinator_id not in (coordinator, None),
            15, "another coordinator",
        )  # fmt: skip
        tp = TopicPartition(topic, 0)
        await reader.consumer.commit({tp: 0})
        assert await reader.consumer.committed(tp) == 0
        assert reader.consumer.health().generation == generation
        assert moves.kinds() == ["revoked", "assigned"]
