"""The heart of the consumer under uvloop, on a real broker.

``AIOKAFKA_TEST_LOOP=uvloop`` runs all the other tests under it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import TopicPartition
from tests.integration.conftest import unique_topic
from tests.integration.consuming import (
    consuming,
    fill_async,
    nothing_comes,
    numbers,
    reading,
    take,
    until,
)
from tests.integration.support import BUDGET_MS, LIMIT, blocked, timed
from tests.kafka import KafkaCluster

uvloop = pytest.importorskip("uvloop")


async def _reads_and_commits(kafka: KafkaCluster, topic: str) -> None:
    tp, group = TopicPartition(topic, 0), unique_topic("group")
    for partition in range(2):
        await fill_async(kafka.bootstrap, topic, numbers(500), partition)
    async with consuming(kafka.bootstrap, topic, group_id=group) as consumer:
        records = await take(consumer, 400)
        for _ in range(400):
            records.append(await consumer.getone())
        async for record in consumer:
            records.append(record)
            if len(records) == 1000:
                break
        assert [r.offset for r in records if r.partition == 0] == list(range(500))
        await consumer.commit()
        assert await consumer.committed(tp) == 500
        one = asyncio.ensure_future(consumer.getone())
        await blocked(one)
        await consumer.stop()
        with pytest.raises(ConsumerStoppedError):
            await one


async def _two_members_share(kafka: KafkaCluster, topic: str) -> None:
    group = unique_topic("group")
    async with reading(kafka.bootstrap, topic, group_id=group) as first:
        async with reading(kafka.bootstrap, topic, group_id=group) as second:
            await until(
                lambda: len(first.consumer.assignment()) == 1
                and len(second.consumer.assignment()) == 1,
                10, "shared",
            )  # fmt: skip
            for partition in range(2):
                await fill_async(kafka.bootstrap, topic, numbers(5), partition)
            await until(lambda: len(first.records) == len(second.records) == 5, 10, "read")
        await until(lambda: len(first.consumer.assignment()) == 2, 10, "alone again")


async def _outlives_a_freeze(kafka: KafkaCluster, topic: str) -> None:
    async with consuming(
        kafka.bootstrap, topic, group_id=unique_topic("group"), default_api_timeout_ms=BUDGET_MS
    ) as consumer:
        with kafka.frozen(0):
            await nothing_comes(consumer, 500)
            end = await timed(consumer.end_offsets([TopicPartition(topic, 0)]))
            assert end.error is not None
            assert end.elapsed <= LIMIT
        await fill_async(kafka.bootstrap, topic, numbers(3))
        assert len(await take(consumer, 3)) == 3


@pytest.mark.parametrize("scenario", [_reads_and_commits, _two_members_share, _outlives_a_freeze])
def test_under_uvloop(
    kafka: KafkaCluster, scenario: Callable[..., Coroutine[Any, Any, None]]
) -> None:
    topic = kafka.truth.create_topic(unique_topic("uvloop"), 2)
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(scenario(kafka, topic), 40))
    finally:
        loop.close()
