"""The producer on a real broker: what is sent is what is stored, and where."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

import pytest

from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import StickyPartitioner
from aiokafka.structs import RecordMetadata
from tests.integration.conftest import MakeTopic, unique_topic
from tests.integration.frames import PRODUCE, FrameProxy
from tests.integration.support import blocked, eventually, producing, timed
from tests.kafka import KafkaCluster, Truth

# For records with old timestamps, which the broker would soon drop.
_KEEP = {"retention.ms": -1}


def _values(records: list[Any], partition: int | None = None) -> list[bytes]:
    return [r.value for r in records if partition is None or r.partition == partition]


# -- Acknowledgements -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"acks": 0},
        {"acks": 1},
        {"acks": "all"},
        {"acks": -1, "linger_ms": 5},
        {"enable_idempotence": True},
        {"enable_idempotence": True, "max_in_flight_requests_per_connection": 1},
    ],
    ids=str,
)
async def test_acks(
    bootstrap: str, truth: Truth, make_topic: MakeTopic, options: dict[str, Any]
) -> None:
    topic = await make_topic(partitions=3)
    async with producing(bootstrap, **options) as producer:
        futures = [await producer.send(topic, b"%d" % n, partition=n % 3) for n in range(3000)]
        ends = await asyncio.gather(*futures)
    records = await truth.read_async(topic)
    for partition in range(3):
        assert _values(records, partition) == [b"%d" % n for n in range(partition, 3000, 3)]
    if options.get("acks") == 0:
        assert set(ends) == {None}
    else:
        assert [(end.partition, end.offset) for end in ends] == [
            (n % 3, n // 3) for n in range(3000)
        ]
        assert {end.log_start_offset for end in ends} == {0}


async def test_metadata_of_a_record(bootstrap: str, truth: Truth, make_topic: MakeTopic) -> None:
    topic = await make_topic(config=_KEEP)
    async with producing(bootstrap) as producer:
        before = time.time() * 1000
        metadata = await producer.send_and_wait(topic, b"now")
        assert isinstance(metadata, RecordMetadata)
        assert (metadata.topic, metadata.partition, metadata.offset) == (topic, 0, 0)
        assert metadata.topic_partition == (topic, 0)
        assert before - 1 <= metadata.timestamp <= time.time() * 1000 + 1
        assert metadata.timestamp_type == 0
        stamped = await producer.send_and_wait(topic, b"then", timestamp_ms=1_000_000_000_000)
        assert stamped is not None
        assert (stamped.offset, stamped.timestamp) == (1, 1_000_000_000_000)
    now, then = await truth.read_async(topic)
    assert (now.timestamp, now.timestamp_type) == (metadata.timestamp, 0)
    assert (then.timestamp, then.timestamp_type) == (1_000_000_000_000, 0)


async def test_log_append_time(bootstrap: str, truth: Truth, make_topic: MakeTopic) -> None:
    topic = await make_topic(config={"message.timestamp.type": "LogAppendTime"})
    async with producing(bootstrap) as producer:
        before = time.time() * 1000
        metadata = await producer.send_and_wait(topic, b"x", timestamp_ms=1_000_000_000_000)
    assert metadata is not None
    (record,) = await truth.read_async(topic)
    assert record.timestamp_type == metadata.timestamp_type == 1
    assert record.timestamp == metadata.timestamp >= before - 1


# -- What a record may be ---------------------------------------------------------------------


async def test_keys_values_headers(bootstrap: str, truth: Truth, topic: str) -> None:
    sent: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
        (b"key", b"value", []),
        (None, b"", []),
        (b"", b"empty key", []),
        (b"tombstone", None, []),
        (b"\0\xff" * 50, bytes(range(256)), [("h", b"1"), ("h", b"2"), ("", b"")]),
        (b"k", b"v", [("ünïcode", b"\0" * 300)]),
    ]
    async with producing(bootstrap) as producer:
        for key, value, headers in sent:
            await producer.send_and_wait(topic, value, key, headers=headers)
    stored = await truth.read_async(topic)
    assert [(r.key, r.value, list(r.headers)) for r in stored] == sent


async def test_bad_input_harms_nothing(bootstrap: str, truth: Truth, topic: str) -> None:
    async with producing(bootstrap, linger_ms=200) as producer:
        await producer.partitions_for(topic)
        first = await producer.send(topic, b"first")
        bad: list[tuple[type[Exception], dict[str, Any]]] = [
            (TypeError, {"value": "text"}),
            (TypeError, {"value": b"x", "key": 5}),
            (TypeError, {"value": b"x", "headers": [("h", "text")]}),
            (TypeError, {"value": b"x", "headers": [(b"h", b"x")]}),
            (ValueError, {"value": b"x", "partition": -1}),
            (AssertionError, {}),
            (MessageSizeTooLargeError, {"value": b"x" * 2_000_000}),
        ]
        for expected, arguments in bad:
            end = await timed(producer.send(topic, **arguments))
            assert isinstance(end.failure, expected), arguments
            assert end.elapsed < 0.1
        last = await producer.send(topic, b"last")
        assert [(await first).offset, (await last).offset] == [0, 1]
    assert _values(await truth.read_async(topic)) == [b"first", b"last"]


async def test_serializers(bootstrap: str, truth: Truth, topic: str) -> None:
    async with producing(
        bootstrap,
        key_serializer=lambda key: str(key).encode(),
        value_serializer=lambda value: json.dumps(value).encode(),
    ) as producer:
        await producer.send_and_wait(topic, {"a": [1, 2]}, key=7)
        batch = producer.create_batch()
        assert batch.append(key=8, value={"b": None}, timestamp=None) is not None
        await (await producer.send_batch(batch, topic, partition=0))
        with pytest.raises(TypeError):
            await producer.send(topic, object(), key=1)
    stored = [(r.key, r.value) for r in await truth.read_async(topic)]
    assert stored == [(b"7", b'{"a": [1, 2]}'), (b"8", b'{"b": null}')]


async def test_large_records(bootstrap: str, truth: Truth, make_topic: MakeTopic) -> None:
    topic = await make_topic(config={"max.message.bytes": 3_000_000})
    values = [bytes([n]) * 1_000_000 for n in range(10)] + [b"y" * 2_500_000]
    async with producing(
        bootstrap, max_request_size=2_600_000, buffer_memory=8_000_000
    ) as producer:
        futures = [await producer.send(topic, value) for value in values]
        await asyncio.gather(*futures)
    assert _values(await truth.read_async(topic)) == values


# -- Batches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("idempotent", [False, True])
async def test_send_batch(
    bootstrap: str, truth: Truth, make_topic: MakeTopic, idempotent: bool
) -> None:
    topic = await make_topic(partitions=2, config=_KEEP)
    async with producing(bootstrap, enable_idempotence=idempotent) as producer:
        futures = []
        for number in range(20):
            batch = producer.create_batch()
            for record in range(number + 1):
                added = batch.append(
                    key=b"k", value=b"%d.%d" % (number, record), timestamp=1000 + record
                )
                assert added is not None
            assert batch.record_count() == number + 1
            futures.append(await producer.send_batch(batch, topic, partition=1))
            assert batch.closed()
            assert batch.append(key=None, value=b"late", timestamp=None) is None
        ends = await asyncio.gather(*futures)
    assert [end.offset for end in ends] == [n * (n + 1) // 2 for n in range(20)]
    assert {end.partition for end in ends} == {1}
    records = await truth.read_async(topic)
    assert _values(records) == [b"%d.%d" % (n, r) for n in range(20) for r in range(n + 1)]
    assert [r.timestamp for r in records[:3]] == [1000, 1000, 1001]


async def test_batch_fills_up(bootstrap: str, truth: Truth, topic: str) -> None:
    async with producing(bootstrap, max_batch_size=1000, compression_type="gzip") as producer:
        batch, added = producer.create_batch(), 0
        while batch.append(key=None, value=b"x" * 50, timestamp=None) is not None:
            added += 1
        assert 10 < added < 20
        assert batch.size() <= 1000
        await (await producer.send_batch(batch, topic, partition=0))
    assert len(await truth.read_async(topic)) == added


# -- Too large for the broker -----------------------------------------------------------------


@pytest.mark.parametrize("idempotent", [False, True])
async def test_too_large_batches_are_split(
    bootstrap: str, truth: Truth, make_topic: MakeTopic, idempotent: bool
) -> None:
    """The broker takes no batch of this size: its parts are stored, in order, once each."""
    topic = await make_topic(config={"max.message.bytes": 2000})
    async with producing(bootstrap, linger_ms=50, enable_idempotence=idempotent) as producer:
        await producer.partitions_for(topic)
        values = [b"%05d" % n * 40 for n in range(300)]
        futures = [await producer.send(topic, value) for value in values]
        ends = await asyncio.gather(*futures)
        assert [end.offset for end in ends] == list(range(300))
        after = await producer.send_and_wait(topic, b"after")
        assert after is not None
        assert after.offset == 300
    assert _values(await truth.read_async(topic)) == [*values, b"after"]


@pytest.mark.parametrize("idempotent", [False, True])
async def test_too_large_record(
    bootstrap: str, truth: Truth, make_topic: MakeTopic, idempotent: bool
) -> None:
    """It fails alone and clearly, also out of the middle of a batch."""
    topic = await make_topic(config={"max.message.bytes": 2000})
    async with producing(bootstrap, linger_ms=50, enable_idempotence=idempotent) as producer:
        await producer.partitions_for(topic)
        values = [b"a", b"b", b"x" * 5000, b"c", b"d"]
        futures = [await producer.send(topic, value) for value in values]
        ends = await asyncio.gather(*futures, return_exceptions=True)
        assert isinstance(ends[2], MessageSizeTooLargeError)
        assert await producer.send_and_wait(topic, b"after") is not None
        for end in (*ends[:2], *ends[3:]):
            assert isinstance(end, RecordMetadata)
    assert _values(await truth.read_async(topic)) == [b"a", b"b", b"c", b"d", b"after"]


# -- Buffer memory ----------------------------------------------------------------------------


@pytest.mark.parametrize("idempotent", [False, True])
async def test_small_buffer_is_first_come_first_served(
    bootstrap: str, truth: Truth, topic: str, idempotent: bool
) -> None:
    """Many tasks want space at once: all get it, in the order in which they asked."""
    async with producing(
        bootstrap, buffer_memory=20_000, max_batch_size=4_000, enable_idempotence=idempotent
    ) as producer:
        await producer.partitions_for(topic)

        async def one(number: int) -> int:
            # Sizes differ: a small record must not overtake a large one.
            value = b"%d " % number + b"x" * (3000 if number % 7 == 0 else 100)
            future = await producer.send(topic, value)
            metadata = await future
            assert metadata is not None
            return metadata.offset

        offsets = await asyncio.gather(*(one(number) for number in range(1000)))
        assert offsets == list(range(1000))
        assert producer._message_accumulator.pool.used == 0
    values = _values(await truth.read_async(topic))
    assert [int(value.split()[0]) for value in values] == list(range(1000))


async def test_buffer_is_given_back(kafka: KafkaCluster, bootstrap: str, topic: str) -> None:
    """After failures and cancelled waits as well."""
    async with producing(
        bootstrap, buffer_memory=10_000, delivery_timeout_ms=800, request_timeout_ms=400
    ) as producer:
        await producer.send_and_wait(topic, b"before")
        with kafka.frozen(0):
            held = [await producer.send(topic, b"x" * 3000) for _ in range(3)]
            waiting = [asyncio.ensure_future(producer.send(topic, b"y" * 3000)) for _ in range(4)]
            await blocked(waiting[0])
            for task in waiting[::2]:
                task.cancel()
            ends = await asyncio.gather(*held, return_exceptions=True)
            assert all(isinstance(end, Exception) for end in ends)
            taken = await asyncio.gather(*waiting[1::2])
        await asyncio.gather(*taken, return_exceptions=True)
        assert producer._message_accumulator.pool.used == 0
        assert producer._message_accumulator.pool.waiting == 0
        assert await producer.send_and_wait(topic, b"z" * 9000) is not None


# -- Partitions -------------------------------------------------------------------------------


async def test_keyless_records_reach_every_partition(
    bootstrap: str, truth: Truth, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=4)
    async with producing(bootstrap) as producer:
        for _ in range(20):
            await asyncio.gather(*[await producer.send(topic, b"x" * 1000) for _ in range(100)])
    counts = [len(_values(await truth.read_async(topic), p)) for p in range(4)]
    assert sum(counts) == 2000
    assert min(counts) > 0


async def test_sticky_partitioner(bootstrap: str, make_topic: MakeTopic) -> None:
    """Keyless records stay in one partition for a batch's worth; keyed ones go by their key."""
    topic = await make_topic(partitions=4)
    async with producing(bootstrap, partitioner=StickyPartitioner(), linger_ms=20) as producer:
        await producer.partitions_for(topic)
        futures = [await producer.send(topic, b"x" * 100) for _ in range(2000)]
        keyed = [await producer.send(topic, b"k", key=b"same") for _ in range(50)]
        ends = await asyncio.gather(*futures)
        assert len({(await end).partition for end in keyed}) == 1
    switches = sum(one.partition != after.partition for one, after in itertools.pairwise(ends))
    assert {end.partition for end in ends} == {0, 1, 2, 3}
    # 16 KiB hold some 140 of these records.
    assert switches <= 2000 / 140 + 2


async def test_custom_partitioner(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=3)
    seen: list[tuple[bytes | None, list[int], list[int]]] = []

    def partitioner(key: bytes | None, partitions: list[int], available: list[int]) -> int:
        seen.append((key, list(partitions), list(available)))
        return partitions[-1]

    async with producing(bootstrap, partitioner=partitioner) as producer:
        metadata = await producer.send_and_wait(topic, b"x", key=b"k")
    assert metadata is not None
    assert metadata.partition == 2
    assert seen == [(b"k", [0, 1, 2], [0, 1, 2])]


# -- Concurrency, faults on the way -----------------------------------------------------------


@pytest.mark.parametrize("idempotent", [False, True])
async def test_twenty_tasks(
    bootstrap: str, truth: Truth, make_topic: MakeTopic, idempotent: bool
) -> None:
    """Each task's records stay in its order."""
    topic = await make_topic(partitions=2)
    async with producing(bootstrap, enable_idempotence=idempotent, linger_ms=1) as producer:

        async def task(name: int) -> None:
            for n in range(100):
                await producer.send_and_wait(topic, b"%d %d" % (name, n), key=b"%d" % name)

        await asyncio.gather(*(task(name) for name in range(20)))
    heard: dict[bytes, list[int]] = {}
    for record in await truth.read_async(topic):
        assert record.value is not None
        name, _, n = record.value.partition(b" ")
        heard.setdefault(name, []).append(int(n))
    assert len(heard) == 20
    assert all(numbers == list(range(100)) for numbers in heard.values())


async def test_lost_answers_do_not_duplicate(kafka: KafkaCluster, topic: str) -> None:
    """The broker stores the batches, its answers are lost: the repetition is recognised."""
    upstream = kafka.proxy()
    async with FrameProxy(upstream.target, upstream.port) as frames:
        async with producing(
            frames.address, enable_idempotence=True, request_timeout_ms=500
        ) as producer:
            await producer.send_and_wait(topic, b"0")
            for turn in range(5):
                frames.deaf_to = {PRODUCE}
                swallowed = frames.swallowed.get(PRODUCE, 0)
                futures = []
                for n in range(10):
                    futures.append(await producer.send(topic, b"%d" % (turn * 10 + n + 1)))
                    await asyncio.sleep(0)
                await eventually(lambda s=swallowed: frames.swallowed.get(PRODUCE, 0) > s)
                frames.deaf_to = set()
                frames.cut()
                ends = await asyncio.gather(*futures)
                assert all(end is not None for end in ends)
    values = _values(await kafka.truth.read_async(topic))
    assert values == [b"%d" % n for n in range(51)]


async def test_topic_is_made_on_demand(bootstrap: str, truth: Truth) -> None:
    topic = unique_topic("on-demand")
    async with producing(bootstrap) as producer:
        end = await timed(producer.send_and_wait(topic, b"x"))
    assert end.error is None
    assert end.elapsed < 2.0
    assert set(truth.leaders(topic)) == {0, 1}


async def test_topic_is_made_anew(bootstrap: str, truth: Truth, make_topic: MakeTopic) -> None:
    """Under the same name with another id: the producer finds the new one."""
    topic = await make_topic(partitions=1)
    async with producing(bootstrap, max_block_ms=10_000) as producer:
        await producer.send_and_wait(topic, b"old")
        await asyncio.to_thread(truth.delete_topic, topic)
        await truth.create_topic_async(topic, 2)
        futures = [await producer.send(topic, b"new", partition=0) for _ in range(5)]
        ends = await asyncio.gather(*futures)
        assert {end.partition for end in ends if end is not None} == {0}
        await producer.client.force_metadata_update()
        metadata = await producer.send_and_wait(topic, b"new", partition=1)
        assert metadata is not None
        assert metadata.offset == 0
    assert _values(await truth.read_async(topic), 0) == [b"new"] * 5


async def test_warm_send_awaits_nothing(bootstrap: str, topic: str) -> None:
    """With metadata and space at hand, send() never yields, and no task is made a message."""
    async with producing(bootstrap) as producer:
        await producer.send_and_wait(topic, b"warm up")
        tasks = asyncio.all_tasks()
        futures = []
        for _ in range(100):
            coroutine = producer.send(topic, b"x")
            with pytest.raises(StopIteration) as returned:
                coroutine.send(None)
            futures.append(returned.value.value)
        # At most the one that will send them all.
        assert len(asyncio.all_tasks() - tasks) <= 1
        await asyncio.gather(*futures)
