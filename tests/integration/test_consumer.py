"""The consumer on a real broker: reading, positions, offsets, commits."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalStateError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from aiokafka.structs import OffsetAndTimestamp, TopicPartition
from tests.integration.conftest import MakeTopic, unique_topic
from tests.integration.consuming import (
    SESSION_TIMEOUT,
    Moves,
    consuming,
    fill_async,
    nothing_comes,
    numbers,
    reading,
    take,
    until,
)
from tests.integration.support import blocked, timed

with warnings.catch_warnings():
    # Its own use of a deprecated function is no concern of ours.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka as kafka_python

_KEEP = {"retention.ms": -1}


def _committed_as_told_by_kafka_python(
    bootstrap: str, group: str, topic: str, partitions: int = 1
) -> dict[int, tuple[int, str]]:
    consumer: Any = kafka_python.KafkaConsumer(bootstrap_servers=bootstrap, group_id=group)
    try:
        found = {}
        for partition in range(partitions):
            tp = kafka_python.TopicPartition(topic, partition)
            committed = consumer.committed(tp, metadata=True)
            found[partition] = (committed.offset, committed.metadata)
        return found
    finally:
        consumer.close()


# -- reading -------------------------------------------------------------------------------------


async def test_reads_everything_in_order(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=3)
    for partition in range(3):
        await fill_async(bootstrap, topic, numbers(2000, partition * 10_000), partition)
    async with consuming(bootstrap, topic, max_partition_fetch_bytes=4096) as consumer:
        records = await take(consumer, 1000)
        for _ in range(1000):
            records.append(await consumer.getone())
        async for record in consumer:
            records.append(record)
            if len(records) == 6000:
                break
        for partition in range(3):
            tp = TopicPartition(topic, partition)
            own = [record for record in records if record.partition == partition]
            assert [record.offset for record in own] == list(range(2000))
            assert [record.value for record in own] == numbers(2000, partition * 10_000)
            assert await consumer.position(tp) == 2000
            assert consumer.highwater(tp) == 2000
        await nothing_comes(consumer)
        assert consumer.health().ok
        assert consumer.health().lag == 0


async def test_waiting_calls_end_with_stop(bootstrap: str, topic: str) -> None:
    async with consuming(bootstrap, topic) as consumer:
        one = asyncio.ensure_future(consumer.getone())
        many = asyncio.ensure_future(consumer.getmany(timeout_ms=30_000))
        await blocked(one)
        await blocked(many, 0.01)
        await fill_async(bootstrap, topic, [b"a"])
        done, waiting = await asyncio.wait((one, many), return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        stopped = await timed(consumer.stop())
        assert stopped.elapsed < 1
        left = waiting.pop()
        if left is many:
            assert await many == {}
        else:
            with pytest.raises(ConsumerStoppedError):
                await one


async def test_a_record_larger_than_a_fetch_is_read(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    values = [b"a" * 500_000, b"b", b"c" * 900_000]
    await fill_async(bootstrap, topic, values)
    async with consuming(
        bootstrap, topic, max_partition_fetch_bytes=1000, fetch_max_bytes=1000
    ) as consumer:
        assert [record.value for record in await take(consumer, 3)] == values


# -- positions -----------------------------------------------------------------------------------


async def test_offsets_by_time_and_ends(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=2, config=_KEEP)
    base = 1_600_000_000_000
    for number in range(10):
        await fill_async(bootstrap, topic, [b"%d" % number], timestamp=base + number * 1000)
    first, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with consuming(bootstrap, topic) as consumer:
        assert await consumer.beginning_offsets([first, empty]) == {first: 0, empty: 0}
        assert await consumer.end_offsets([first, empty]) == {first: 10, empty: 0}
        found = await consumer.offsets_for_times({first: base + 2500, empty: base})
        assert found == {first: OffsetAndTimestamp(3, base + 3000), empty: None}
        assert await consumer.offsets_for_times({first: base + 9001}) == {first: None}
        consumer.seek(first, 3)
        assert (await consumer.getone()).value == b"3"
        assert await consumer.seek_to_end(first)
        assert await consumer.position(first) == 10
        assert await consumer.seek_to_beginning(first)
        assert [r.value for r in await take(consumer, 10)] == numbers(10)
        assert topic in await consumer.topics()
        assert consumer.partitions_for_topic(topic) == {0, 1}


@pytest.mark.parametrize(("policy", "value"), [("earliest", b"0"), ("latest", b"new")])
async def test_seek_beyond_the_end_resets(
    bootstrap: str, topic: str, policy: str, value: bytes
) -> None:
    await fill_async(bootstrap, topic, numbers(5))
    tp = TopicPartition(topic, 0)
    async with consuming(bootstrap, topic, auto_offset_reset=policy) as consumer:
        await consumer.position(tp)
        consumer.seek(tp, 1000)
        asking = asyncio.ensure_future(take(consumer, 1))
        if policy == "latest":
            await until(lambda: consumer.health().partitions[tp].position == 5, 5, "reset")
            await fill_async(bootstrap, topic, [b"new"])
        assert [record.value for record in await asking] == [value]


async def test_seek_beyond_the_end_without_a_policy(bootstrap: str, topic: str) -> None:
    await fill_async(bootstrap, topic, numbers(5))
    tp = TopicPartition(topic, 0)
    async with consuming(bootstrap, auto_offset_reset="none") as consumer:
        consumer.assign([tp])
        consumer.seek(tp, 1000)
        with pytest.raises(OffsetOutOfRangeError) as caught:
            await take(consumer, 1)
        assert caught.value.args[0] == {tp: 1000}
        consumer.seek(tp, 4)
        assert (await consumer.getone()).value == b"4"


async def test_no_offset_without_a_policy(bootstrap: str, topic: str) -> None:
    async with consuming(
        bootstrap, topic, group_id=unique_topic("group"), auto_offset_reset="none"
    ) as consumer:
        with pytest.raises(NoOffsetForPartitionError):
            await take(consumer, 1)


async def test_reset_by_duration(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = await make_topic(config=_KEEP)
    now = int(time.time() * 1000)
    for age in (7200, 3000, 600):
        await fill_async(bootstrap, topic, [b"%d" % age], timestamp=now - age * 1000)
    async with consuming(bootstrap, topic, auto_offset_reset="by_duration:PT1H") as consumer:
        assert [record.value for record in await take(consumer, 2)] == [b"3000", b"600"]


async def test_records_that_are_deleted(bootstrap: str, truth: Any, topic: str) -> None:
    """The log begins beyond the position: the policy, and no record twice."""
    await fill_async(bootstrap, topic, numbers(100))
    tp = TopicPartition(topic, 0)
    async with consuming(bootstrap, topic, max_partition_fetch_bytes=200) as consumer:
        consumer.pause(tp)
        await consumer.position(tp)
        gone = truth.admin.delete_records([confluent_kafka.TopicPartition(topic, 0, 60)])
        for done in gone.values():
            await asyncio.to_thread(done.result, 10)
        consumer.seek(tp, 0)
        consumer.resume(tp)
        assert [record.offset for record in await take(consumer, 40)] == list(range(60, 100))
        assert await consumer.beginning_offsets([tp]) == {tp: 60}


# -- commits -------------------------------------------------------------------------------------


async def test_commits_of_all_kinds(bootstrap: str, make_topic: MakeTopic) -> None:
    topic, group = await make_topic(partitions=2), unique_topic("group")
    await fill_async(bootstrap, topic, numbers(10))
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with consuming(bootstrap, topic, group_id=group, enable_auto_commit=False) as consumer:
        assert await consumer.committed(first) is None
        await take(consumer, 4)
        await consumer.commit()
        assert await consumer.committed(first) == 4
        await consumer.commit({first: (7, "seven"), second: 0})
        told = await asyncio.to_thread(
            _committed_as_told_by_kafka_python, bootstrap, group, topic, 2
        )
        assert told == {0: (7, "seven"), 1: (0, "")}
        await take(consumer, 1)
        await consumer.seek_to_committed(first)
        assert (await consumer.getone()).offset == 7
        with pytest.raises(IllegalStateError):
            await consumer.commit({TopicPartition("another", 0): 1})
    # Nothing is committed by stop() without enable_auto_commit.
    async with consuming(bootstrap, topic, group_id=group) as consumer:
        assert (await consumer.getone()).offset == 7
        await take(consumer, 2)
    async with consuming(bootstrap, topic, group_id=group) as consumer:
        assert await consumer.committed(first) == 10


async def test_only_what_is_stored_is_committed(bootstrap: str, topic: str) -> None:
    group, tp = unique_topic("group"), TopicPartition(topic, 0)
    await fill_async(bootstrap, topic, numbers(10))
    async with consuming(
        bootstrap, topic, group_id=group, enable_auto_offset_store=False,
        auto_commit_interval_ms=100,
    ) as consumer:  # fmt: skip
        await take(consumer, 6)
        await consumer.commit()
        await nothing_is_committed(consumer, tp)
        consumer.store_offsets({tp: 3})
        await take(consumer, 1)
        while await consumer.committed(tp) != 3:
            await asyncio.sleep(0.05)
        consumer.store_offsets({tp: 5})
    async with consuming(bootstrap, topic, group_id=group) as consumer:
        assert (await consumer.getone()).offset == 5


async def nothing_is_committed(consumer: Any, tp: TopicPartition) -> None:
    """Fails when there is a committed offset within some intervals of auto-commit."""
    give_up = time.monotonic() + 0.4
    while time.monotonic() < give_up:
        assert await consumer.committed(tp) is None
        await asyncio.sleep(0.02)


async def test_auto_commit_leaves_out_what_is_in_hand(bootstrap: str, topic: str) -> None:
    """The partition moves while the application is at a record: the next member gets it again."""
    group, tp = unique_topic("group"), TopicPartition(topic, 0)
    await fill_async(bootstrap, topic, numbers(10))
    async with (
        consuming(bootstrap, topic, group_id=group, auto_commit_interval_ms=50) as consumer,
        consuming(bootstrap, group_id=group) as other,
    ):
        for _ in range(5):
            record = await consumer.getone()
        # Four are done with, the fifth is in hand.
        assert record.offset == 4
        while await consumer.committed(tp) != 4:
            await asyncio.sleep(0.02)
        for _ in range(20):
            assert await consumer.committed(tp) == 4
            await asyncio.sleep(0.02)
        # Another one reads without being a member, from where the group has committed.
        other.assign([tp])
        assert (await other.getone()).offset == 4
        # Asking for more says that it is done with.
        assert (await consumer.getone()).offset == 5
        while await consumer.committed(tp) != 5:
            await asyncio.sleep(0.02)


_HOLDS_A_RECORD = """
import asyncio, json, sys
from aiokafka import AIOKafkaConsumer
async def main(bootstrap, topic, group):
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
        session_timeout_ms=6000, heartbeat_interval_ms=500, auto_commit_interval_ms=50)
    await consumer.start()
    for _ in range(3):
        record = await consumer.getone()
    print(json.dumps(record.offset), flush=True)
    await asyncio.sleep(60)
asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_with_a_record_in_hand(bootstrap: str, topic: str) -> None:
    group, tp = unique_topic("group"), TopicPartition(topic, 0)
    await fill_async(bootstrap, topic, numbers(10))
    child = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-c", _HOLDS_A_RECORD, bootstrap, topic, group],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert child.stdout is not None
        in_hand = json.loads(await asyncio.to_thread(child.stdout.readline))
        assert in_hand == 2
        async with consuming(bootstrap, group_id=group) as watcher:
            watcher.assign([tp])
            while await watcher.committed(tp) != in_hand:
                await asyncio.sleep(0.05)
        child.kill()
        died = time.monotonic()
        async with consuming(bootstrap, topic, group_id=group) as consumer:
            assert (await take(consumer, 1))[0].offset == in_hand
            assert time.monotonic() - died < SESSION_TIMEOUT + 5
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


async def test_too_long_between_calls(bootstrap: str, make_topic: MakeTopic) -> None:
    """The member leaves the group, another one gets on, and it comes back when it asks again."""
    topic, group, moves = await make_topic(partitions=2), unique_topic("group"), Moves()
    async with (
        reading(bootstrap, topic, group_id=group) as other,
        consuming(
            bootstrap, group_id=group, max_poll_interval_ms=800, rebalance_timeout_ms=3000
        ) as slow,
    ):
        slow.subscribe([topic], listener=moves)
        await until(lambda: len(other.consumer.assignment()) == 1, 10, "shared")
        for partition in range(2):
            await fill_async(bootstrap, topic, numbers(5), partition)
        # What the slow one does not ask for is read by the other one.
        await until(lambda: len(other.records) == 10, 10, "all is read by the other member")
        assert len(other.consumer.assignment()) == 2
        gone = len(moves.events)
        asking = asyncio.ensure_future(slow.getmany(timeout_ms=10_000))
        await until(lambda: len(other.consumer.assignment()) == 1, 10, "shared again")
        await until(lambda: len(slow.assignment()) == 1, 10, "shared again")
        assert moves.kinds()[gone - 1 :][-1] == "assigned"
        (tp,) = slow.assignment()
        await fill_async(bootstrap, topic, [b"again"], tp.partition)
        taken = await asking
        assert [record.value for record in taken[tp]] == [b"again"]
