"""Transactions, written by confluent-kafka, read by ours."""

from __future__ import annotations

import asyncio

import confluent_kafka
import pytest

from aiokafka.structs import TopicPartition
from tests.integration.conftest import MakeTopic, unique_topic
from tests.integration.consuming import consuming, fill, nothing_comes, numbers, take, until
from tests.kafka import Truth


def _transactional(bootstrap: str) -> confluent_kafka.Producer:
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": unique_topic("transaction"),
            "log_level": 2,
        }
    )
    producer.init_transactions(30)
    return producer


def _write(producer: confluent_kafka.Producer, topic: str, values: list[bytes], end: str) -> None:
    """One transaction in partition 0; `end`: commit, abort, or open."""
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0
    if end == "commit":
        producer.commit_transaction(30)
    elif end == "abort":
        producer.abort_transaction(30)


def _history(bootstrap: str, topic: str) -> None:
    producer = _transactional(bootstrap)
    _write(producer, topic, [b"c1", b"c2"], "commit")  # 0 1, control record 2
    _write(producer, topic, [b"a1", b"a2"], "abort")  # 3 4, control record 5
    fill(bootstrap, topic, [b"p1"])  # 6
    _write(producer, topic, [b"a3"], "abort")  # 7, control record 8
    _write(producer, topic, [b"c3"], "commit")  # 9, control record 10


@pytest.mark.parametrize(
    ("isolation", "offsets"),
    [("read_committed", [0, 1, 6, 9]), ("read_uncommitted", [0, 1, 3, 4, 6, 7, 9])],
)
async def test_committed_and_aborted(
    bootstrap: str, truth: Truth, topic: str, isolation: str, offsets: list[int]
) -> None:
    await asyncio.to_thread(_history, bootstrap, topic)
    tp = TopicPartition(topic, 0)
    async with consuming(bootstrap, topic, isolation_level=isolation) as consumer:
        records = await take(consumer, len(offsets))
        assert [record.offset for record in records] == offsets
        expected = await truth.read_async(topic, isolation=isolation)
        assert [(r.offset, r.value) for r in records] == [(r.offset, r.value) for r in expected]
        await nothing_comes(consumer)
        # Past the control record at the end: nothing lags behind.
        assert await consumer.position(tp) == 11
        assert consumer.health().lag == 0
        # From the middle of an aborted transaction, and from a control record.
        for start, first in ((4, 1 if isolation == "read_committed" else 4), (5, 6), (10, None)):
            consumer.seek(tp, start)
            if first is not None:
                expected_first = 6 if isolation == "read_committed" else start
                if start == 5:
                    expected_first = 6
                assert (await consumer.getone()).offset == expected_first
        await nothing_comes(consumer)


@pytest.mark.parametrize("end", ["commit", "abort"])
async def test_an_open_transaction_is_waited_for(bootstrap: str, topic: str, end: str) -> None:
    tp = TopicPartition(topic, 0)
    producer = await asyncio.to_thread(_transactional, bootstrap)
    await asyncio.to_thread(fill, bootstrap, topic, [b"before"])
    await asyncio.to_thread(_write, producer, topic, [b"in it"], "open")
    await asyncio.to_thread(fill, bootstrap, topic, [b"behind"])
    async with (
        consuming(bootstrap, topic, isolation_level="read_committed") as consumer,
        consuming(bootstrap, topic) as impatient,
    ):
        assert [r.value for r in await take(consumer, 1)] == [b"before"]
        await nothing_comes(consumer)
        assert consumer.last_stable_offset(tp) == 1
        assert consumer.highwater(tp) == 3
        assert await consumer.end_offsets([tp]) == {tp: 1}
        assert await impatient.end_offsets([tp]) == {tp: 3}
        assert [r.value for r in await take(impatient, 3)] == [b"before", b"in it", b"behind"]
        ended = producer.commit_transaction if end == "commit" else producer.abort_transaction
        await asyncio.to_thread(ended, 30)
        wanted = [b"in it", b"behind"] if end == "commit" else [b"behind"]
        assert [r.value for r in await take(consumer, len(wanted))] == wanted
        await until(
            lambda: consumer.health().partitions[tp].highwater == 4, 5, "the control record"
        )
        await nothing_comes(consumer)
        assert await consumer.position(tp) == 4


async def test_only_control_records_move_the_committed_offset(
    bootstrap: str, make_topic: MakeTopic
) -> None:
    """A partition with nothing but an aborted transaction: a member commits past it."""
    topic, group = await make_topic(), unique_topic("group")
    tp = TopicPartition(topic, 0)
    producer = await asyncio.to_thread(_transactional, bootstrap)
    await asyncio.to_thread(_write, producer, topic, numbers(20), "abort")
    async with consuming(
        bootstrap, topic, group_id=group, isolation_level="read_committed"
    ) as consumer:
        await nothing_comes(consumer)
        while await consumer.position(tp) != 21:
            await nothing_comes(consumer, 50)
        await consumer.commit()
        assert await consumer.committed(tp) == 21
