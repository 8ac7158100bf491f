"""Calls for records, and others, cut off at any point; positions that must not be lost."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading

import pytest

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from aiokafka.testing import FakeCluster
from tests.unit.adversity.test_cancellation import cancelled_at, every_suspension

from .lab import (
    TP,
    assert_nothing_left,
    fill,
    log_lines,
    make,
    now,
    numbers,
    rewriting,
    running,
    virtual,
)


@pytest.mark.parametrize("timeout_ms", [0, 0.25, True, 100, 1e5])
@virtual
async def test_budgets(timeout_ms):
    async with running() as (_, consumer):
        began = now()
        assert await consumer.getmany(timeout_ms=timeout_ms) == {}
        assert now() - began <= timeout_ms / 1000 + 0.01


@pytest.mark.parametrize("timeout_ms", [-1, math.nan, -math.inf, "5", None])
@virtual
async def test_budgets_that_are_none(timeout_ms):
    async with running(records=1) as (_, consumer):
        with pytest.raises((ValueError, TypeError)):
            await consumer.getmany(timeout_ms=timeout_ms)
        assert await numbers(consumer, 1) == [0]


@pytest.mark.parametrize("group", [None, "g"])
@virtual
async def test_calls_given_up_all_the_time(group):
    """While records come, every call for them is given up after an instant."""
    async with running(group_id=group, partitions=2) as (kafka, consumer):
        got: list[int] = []
        for number in range(100):
            kafka.append("t", number % 2, b"%d" % number)
            for wait in (0, 0.0005, 0.001, 0.0015, 0.002):
                try:
                    if number % 3:
                        got.append(int((await asyncio.wait_for(consumer.getone(), wait)).value))
                        continue
                    calls = consumer.getmany(timeout_ms=5)
                    for records in (await asyncio.wait_for(calls, wait)).values():
                        got += [int(record.value) for record in records]
                except asyncio.TimeoutError:
                    pass
        got += await numbers(consumer, 100 - len(got))
        assert sorted(got) == list(range(100))
        for parity in (0, 1):
            assert [n for n in got if n % 2 == parity] == list(range(parity, 100, 2))


CALLS = {
    "getone": lambda c: c.getone(),
    "getmany": lambda c: c.getmany(timeout_ms=100),
    "position": lambda c: c.position(TP),
    "commit": lambda c: c.commit(),
    "committed": lambda c: c.committed(TP),
    "end_offsets": lambda c: c.end_offsets([TP]),
    "offsets_for_times": lambda c: c.offsets_for_times({TP: 0}),
    "topics": lambda c: c.topics(),
    "seek_to_beginning": lambda c: c.seek_to_beginning(),
    "seek_to_committed": lambda c: c.seek_to_committed(),
}


@pytest.mark.parametrize("name", CALLS)
@virtual
async def test_cancelled_anywhere(name):
    async def once(k: int) -> bool:
        async with running(group_id="g", records=3) as (_kafka, consumer):
            before: list[int] = []

            async def call():
                result = await CALLS[name](consumer)
                if name == "getone":
                    before.append(int(result.value))
                if name == "getmany":
                    before.extend(int(r.value) for records in result.values() for r in records)

            reached = await cancelled_at(k, call)
            assert before + await numbers(consumer, 3 - len(before)) == [0, 1, 2]
            await consumer.commit()
            return reached

    await every_suspension(once)


@virtual
async def test_many_tasks_at_once():
    """Nothing ends but by the errors it may; in the end everything is read again."""
    async with running(group_id="g", partitions=4, records=40) as (_kafka, consumer):
        stop_at = now() + 30

        async def again(call):
            for number in itertools.count():
                if now() > stop_at:
                    return
                try:
                    result = call(number)
                    if asyncio.iscoroutine(result):
                        await asyncio.wait_for(result, 2)
                except (KafkaError, AssertionError, asyncio.TimeoutError):
                    pass
                await asyncio.sleep(0.05 + number % 7 / 100)

        def tp(number: int) -> TopicPartition:
            return TopicPartition("t", number % 4)

        await asyncio.gather(
            again(lambda n: consumer.getone()),
            again(lambda n: consumer.getmany(timeout_ms=20, max_records=3)),
            again(lambda n: consumer.getone(tp(n))),
            again(lambda n: consumer.seek(tp(n), n % 10)),
            again(lambda n: consumer.pause(tp(n)) or consumer.resume(tp(n))),
            again(lambda n: consumer.commit()),
            again(lambda n: consumer.position(tp(n))),
            again(lambda n: consumer.seek_to_end(tp(n))),
            again(lambda n: consumer.subscribe(["t"]) if n % 20 == 0 else None),
            again(lambda n: consumer.unsubscribe() if n % 33 == 7 else None),
        )
        consumer.subscribe(["t"])
        while len(consumer.assignment()) < 4:
            await asyncio.sleep(0.1)
        await consumer.seek_to_beginning()
        assert sorted(await numbers(consumer, 40)) == list(range(40))


@virtual
async def test_a_topic_that_is_not_known_for_a_while():
    """Without a group the position is nowhere but here."""
    async with running(auto_offset_reset="latest", metadata_max_age_ms=1000) as (kafka, consumer):
        await consumer.position(TP)
        kafka.append("t", 0, b"0")
        assert await numbers(consumer, 1) == [0]

        def unheard_of(values):
            for topic in values["topics"]:
                topic.update(error_code=3, partitions=[])

        rewriting(kafka, "Metadata", unheard_of)
        await asyncio.sleep(10)
        kafka.append("t", 0, b"1", b"2")
        kafka.faults.clear()
        assert await numbers(consumer, 2) == [1, 2]


@virtual
async def test_a_pattern_that_matches_more():
    settings = {"auto_offset_reset": "latest", "metadata_max_age_ms": 500}
    async with running(**settings) as (kafka, consumer):
        consumer.unsubscribe()
        consumer.subscribe(pattern="t.*")
        while not consumer.assignment():
            await asyncio.sleep(0.1)
        await consumer.position(TP)
        kafka.append("t", 0, b"0")
        assert await numbers(consumer, 1) == [0]
        consumer.pause(TP)
        kafka.append("t", 0, b"1", b"2")
        kafka.create_topic("t2")
        while len(consumer.assignment()) < 2:
            await asyncio.sleep(0.1)
        consumer.resume(TP)
        assert await numbers(consumer, 2) == [1, 2]


@virtual
async def test_another_loop():
    async with running() as (_, consumer):
        errors: list[BaseException] = []

        def elsewhere() -> None:
            try:
                asyncio.run(consumer.getone())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(10)
        assert isinstance(errors[0], RuntimeError)


@pytest.mark.parametrize("group", [None, "g"])
@virtual
async def test_ten_minutes_without_brokers(group):
    async with FakeCluster(2) as kafka:
        kafka.create_topic("t", 2)
        await fill(kafka, 4, 2)
        consumer = make(kafka, "t", group_id=group)
        await consumer.start()
        await numbers(consumer, 4)
        with log_lines() as log:
            for broker in kafka.brokers.values():
                broker.kill()
            ends = now() + 600
            while now() < ends:
                began = now()
                assert await consumer.getmany(timeout_ms=5000) == {}
                assert now() - began <= 5.01
                str(consumer.health())
            assert len(log.lines()) < 25, log.lines()
            for broker in kafka.brokers.values():
                broker.restart()
        kafka.append("t", 0, b"4")
        assert 4 in await numbers(consumer, 1)
        await consumer.stop()
        await asyncio.sleep(0.001)
        assert_nothing_left()
