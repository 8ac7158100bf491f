"""Every call of a consumer ends within its bound, whatever becomes of the brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError, KafkaConnectionError, KafkaTimeoutError
from aiokafka.structs import TopicPartition
from tests.integration.conftest import MakeTopic, unique_topic
from tests.integration.consuming import (
    SESSION_TIMEOUT,
    consumer_of,
    consuming,
    fill_async,
    numbers,
    reading,
    take,
    until,
)
from tests.integration.support import BUDGET, BUDGET_MS, LIMIT, blocked, timed
from tests.kafka import KafkaCluster

# Of stop(), which commits and leaves the group.
STOP_MS = 1500
GETMANY_MS = 500

outage = pytest.mark.parametrize("outage", ["frozen", "killed"])


def _out(kafka: KafkaCluster, outage: str) -> None:
    if outage == "frozen":
        kafka.brokers[0].freeze()
    else:
        kafka.brokers[0].kill()


async def _back(kafka: KafkaCluster, outage: str) -> None:
    if outage == "frozen":
        kafka.brokers[0].thaw()
    else:
        await kafka.brokers[0].start_async()


Calls = dict[str, Callable[[], Awaitable[Any]]]


def _calls(consumer: AIOKafkaConsumer, topic: str) -> Calls:
    """Those that need an answer of a broker; they are made at once, in this order."""
    one, two, three = (TopicPartition(topic, partition) for partition in range(3))
    return {
        "commit": consumer.commit,
        "commit of offsets": lambda: consumer.commit({one: 1}),
        "committed": lambda: consumer.committed(one),
        "offsets_for_times": lambda: consumer.offsets_for_times({one: 0}),
        "beginning_offsets": lambda: consumer.beginning_offsets([one]),
        "end_offsets": lambda: consumer.end_offsets([one]),
        "topics": consumer.topics,
        "seek_to_beginning": lambda: consumer.seek_to_beginning(one),
        "seek_to_end": lambda: consumer.seek_to_end(two),
        "seek_to_committed": lambda: consumer.seek_to_committed(three),
        # It is being looked for, as the partition was sought to its beginning.
        "position": lambda: consumer.position(one),
    }


def _check(label: str, end: Any) -> None:
    """In vain, on time, with what there is to say about it."""
    if label in ("seek_to_beginning", "seek_to_end"):
        # They say by False that the offsets are still looked for.
        assert end.result is False, f"{label}: {end.error!r}"
        assert BUDGET - 0.05 <= end.elapsed <= LIMIT, f"{label}: {end.elapsed:.3f} s"
        return
    error = end.failure
    assert isinstance(error, KafkaTimeoutError), f"{label}: {error!r}"
    # A pause that would outlast the budget is not begun; it is one second at most.
    assert BUDGET - 1.0 <= end.elapsed <= LIMIT, f"{label}: {end.elapsed:.3f} s"
    assert error.__cause__ is not None, f"{label}: {error}"
    assert str(BUDGET_MS) in str(error), f"{label}: {error}"


@outage
async def test_every_call(kafka: KafkaCluster, make_topic: MakeTopic, outage: str) -> None:
    topic, server = await make_topic(partitions=3), kafka.bootstrap
    await fill_async(server, topic, numbers(10))
    consumer = consumer_of(
        server, topic, group_id=unique_topic("group"), default_api_timeout_ms=BUDGET_MS,
        stop_timeout_ms=STOP_MS, fetch_buffer_bytes=1000, max_partition_fetch_bytes=100,
    )  # fmt: skip
    try:
        await consumer.start()
        await take(consumer, 3)
        await asyncio.to_thread(_out, kafka, outage)
        # What is there already is given out; then there is nothing, within its time.
        taken = 0
        for _ in range(20):
            many = await timed(consumer.getmany(timeout_ms=GETMANY_MS))
            assert many.error is None
            assert many.elapsed <= GETMANY_MS / 1000 * 1.1
            taken += sum(map(len, many.result.values()))
            if not many.result:
                break
        assert taken <= 7
        one = asyncio.ensure_future(consumer.getone())
        await blocked(one)
        calls = _calls(consumer, topic)
        ends = await asyncio.gather(*(timed(call()) for call in calls.values()))
        for label, end in zip(calls, ends, strict=True):
            _check(label, end)
        assert not one.done()
        assert not consumer.health().ok
        stop = await timed(consumer.stop())
        assert stop.error is None
        assert stop.elapsed <= STOP_MS / 1000 * 1.1
        with pytest.raises(ConsumerStoppedError):
            await one
    finally:
        await consumer.stop()


@outage
async def test_start(kafka: KafkaCluster, topic: str, outage: str) -> None:
    await asyncio.to_thread(_out, kafka, outage)
    for options in ({}, {"group_id": unique_topic("group")}):
        consumer = consumer_of(kafka.bootstrap, topic, request_timeout_ms=BUDGET_MS, **options)
        start = await timed(consumer.start())
        assert isinstance(start.failure, (KafkaConnectionError, KafkaTimeoutError))
        assert start.elapsed <= LIMIT
        stop = await timed(consumer.stop())
        assert stop.elapsed < 0.2


async def test_start_with_a_frozen_coordinator(kafka3: KafkaCluster) -> None:
    """The brokers of the topic are well; there is no group to join for a while."""
    topic = await kafka3.truth.create_topic_async(unique_topic("start"), 1)
    group = unique_topic("group")
    async with consuming(kafka3.bootstrap, topic, group_id=group) as consumer:
        coordinator = consumer.health().coordinator_id
    assert coordinator is not None
    with kafka3.frozen(coordinator):
        consumer = consumer_of(
            kafka3.bootstrap, topic, group_id=group, default_api_timeout_ms=1000,
            rebalance_timeout_ms=1000, request_timeout_ms=3000,
        )  # fmt: skip
        start = await timed(consumer.start())
        await consumer.stop()
        assert isinstance(start.failure, (KafkaTimeoutError, KafkaConnectionError))
        assert start.elapsed <= 5 * 1.1


@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "group"])
@outage
async def test_it_goes_on_by_itself(
    kafka: KafkaCluster, make_topic: MakeTopic, outage: str, grouped: bool
) -> None:
    topic = await make_topic(partitions=2)
    options = {"group_id": unique_topic("group")} if grouped else {}
    async with reading(kafka.bootstrap, topic, **options) as reader:
        for partition in range(2):
            await fill_async(kafka.bootstrap, topic, numbers(5), partition)
        await until(lambda: len(reader.records) == 10, 10, "read before")
        await asyncio.to_thread(_out, kafka, outage)
        await until(lambda: not reader.consumer.health().ok, 10, "it is noticed")
        await _back(kafka, outage)
        for partition in range(2):
            await fill_async(kafka.bootstrap, topic, numbers(5, 100), partition)
        took = await until(
            lambda: all(
                values[-5:] == numbers(5, 100) for values in reader.by_partition().values()
            ),
            SESSION_TIMEOUT + 5,
            "it goes on",
        )
        print(f"{took:.2f} s")
        assert reader.longest_call < 1.0
        if grouped:
            await reader.consumer.commit()


@pytest.mark.parametrize("policy", ["earliest", "latest"])
async def test_a_look_up_holds_nobody_up(kafka3: KafkaCluster, policy: str) -> None:
    """The leader of some partitions is frozen while positions are looked for."""
    topic = await kafka3.truth.create_topic_async(unique_topic("lookup"), 6)
    leaders = kafka3.truth.leaders(topic)
    for partition in leaders:
        await fill_async(kafka3.bootstrap, topic, numbers(3), partition)
    frozen = leaders[0]
    async with reading(kafka3.bootstrap, auto_offset_reset=policy) as reader:
        with kafka3.frozen(frozen):
            reader.consumer.assign([TopicPartition(topic, p) for p in leaders])
            await until(
                lambda: all(
                    part.position is not None
                    for tp, part in reader.consumer.health().partitions.items()
                    if leaders[tp.partition] != frozen
                ),
                1.5, "positions of the others",
            )  # fmt: skip
            well = {p for p, leader in leaders.items() if leader != frozen}
            within = 2.0
            if policy == "latest":
                await asyncio.to_thread(_write_to, kafka3, topic, well)
                # Nobody sees them before the frozen replica is out of sync.
                within += 6.0
            await until(
                lambda: well <= {record.partition for record in reader.records},
                within, "the others",
            )  # fmt: skip
            assert {record.partition for record in reader.records} == well
            # The others' leaderships move away from the frozen broker, and are found there.
            await until(
                lambda: all(
                    part.position is not None
                    for part in reader.consumer.health().partitions.values()
                ),
                4 + 8, "positions with the new leaders",
            )  # fmt: skip
        assert reader.longest_call < 1.0


def _write_to(kafka: KafkaCluster, topic: str, partitions: set[int]) -> None:
    """Without waiting for the frozen replica: acks=1."""
    import confluent_kafka

    producer = confluent_kafka.Producer(
        {"bootstrap.servers": kafka.bootstrap, "acks": 1, "log_level": 2}
    )
    for partition in partitions:
        producer.produce(topic, b"new", partition=partition)
    assert producer.flush(10) == 0


async def test_stop_with_a_frozen_coordinator(kafka3: KafkaCluster) -> None:
    topic = await kafka3.truth.create_topic_async(unique_topic("stop"), 1)
    await fill_async(kafka3.bootstrap, topic, numbers(3))
    consumer = consumer_of(
        kafka3.bootstrap, topic, group_id=unique_topic("group"), stop_timeout_ms=STOP_MS
    )
    try:
        await consumer.start()
        await take(consumer, 3)
        coordinator = consumer.health().coordinator_id
        assert coordinator is not None
        with kafka3.frozen(coordinator):
            stop = await timed(consumer.stop())
            assert stop.error is None
            assert stop.elapsed <= STOP_MS / 1000 * 1.1
    finally:
        await consumer.stop()
