"""Metadata that does not tell everything, made from a real broker's answers on their way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiokafka.errors import (
    KafkaTimeoutError,
    LeaderNotAvailableError,
    MetadataEmptyBrokerList,
    NotLeaderForPartitionError,
)
from tests.integration.conftest import MakeTopic
from tests.integration.frames import METADATA, FrameProxy
from tests.integration.support import (
    BUDGET_MS,
    LIMIT,
    blocked,
    check_timeout,
    eventually,
    producing,
    timed,
)
from tests.kafka import KafkaCluster, Truth

# The longest pause between two questions for a topic: retry_backoff_max_ms and its jitter.
NEXT_BACKOFF = 1.2
_LEADER_NOT_AVAILABLE = LeaderNotAvailableError.errno


@pytest.fixture
async def frames(kafka: KafkaCluster) -> AsyncIterator[FrameProxy]:
    """A proxy that can edit answers; the broker is only to be found through it."""
    proxy = kafka.proxy()
    async with FrameProxy(proxy.target, proxy.port) as frames:
        yield frames


def _no_brokers(response: Any) -> None:
    response.brokers = []


def _no_topics(response: Any) -> None:
    response.topics = []


def _topic_without_leader(response: Any) -> None:
    """As while a topic is being created: the error, and no partition."""
    response.topics = [(_LEADER_NOT_AVAILABLE, *row[1:4], [], *row[5:]) for row in response.topics]


def _no_partitions(response: Any) -> None:
    response.topics = [(*row[:4], [], *row[5:]) for row in response.topics]


def _partitions_without_leader(response: Any) -> None:
    def leaderless(partition: tuple[Any, ...]) -> tuple[Any, ...]:
        return (_LEADER_NOT_AVAILABLE, partition[1], -1, *partition[3:])

    response.topics = [
        (*row[:4], [leaderless(partition) for partition in row[4]], *row[5:])
        for row in response.topics
    ]


class _Without:
    """Leaves out some partitions of every topic."""

    def __init__(self, *missing: int) -> None:
        self._missing = missing

    def __call__(self, response: Any) -> None:
        response.topics = [
            (*row[:4], [p for p in row[4] if p[1] not in self._missing], *row[5:])
            for row in response.topics
        ]


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (_no_brokers, MetadataEmptyBrokerList),
        (_topic_without_leader, LeaderNotAvailableError),
        (_no_partitions, LeaderNotAvailableError),
        (_no_topics, KafkaTimeoutError),
    ],
)
async def test_topic_cannot_be_used_yet(
    frames: FrameProxy, topic: str, edit: Any, cause: type[Exception]
) -> None:
    """The call waits for the budget and says why; when the metadata gets whole, it succeeds."""
    async with producing(frames.address) as producer:
        frames.edits[METADATA] = edit
        calls = [
            producer.send(topic, b"x"),
            producer.partitions_for(topic),
            producer.client._wait_on_metadata(topic),
        ]
        for end in await asyncio.gather(*map(timed, calls)):
            error = check_timeout(end, topic)
            assert isinstance(error.__cause__, cause)
        waiting = asyncio.ensure_future(producer.send_and_wait(topic, b"y"))
        await blocked(waiting)
        del frames.edits[METADATA]
        whole = time.monotonic()
        assert (await waiting).offset == 0
        assert time.monotonic() - whole <= NEXT_BACKOFF + 1.0


async def test_empty_list_of_brokers_for_fetch_all(frames: FrameProxy, topic: str) -> None:
    async with producing(frames.address) as producer:
        frames.edits[METADATA] = _no_brokers
        error = check_timeout(await timed(producer.client.fetch_all_metadata()), None)
        assert isinstance(error.__cause__, MetadataEmptyBrokerList)
        assert error.attempts >= 3
        # What was known stays known.
        assert producer.client.cluster.brokers()
        fetching = asyncio.ensure_future(producer.client.fetch_all_metadata())
        await blocked(fetching)
        del frames.edits[METADATA]
        assert topic in (await fetching).topics()


async def test_partitions_without_leader(
    frames: FrameProxy, truth: Truth, make_topic: MakeTopic
) -> None:
    """Records are taken, wait for a leader, and are delivered when there is one."""
    topic = await make_topic(partitions=3)
    async with producing(frames.address) as producer:
        frames.edits[METADATA] = _partitions_without_leader
        assert await producer.partitions_for(topic) == {0, 1, 2}
        sent = [await producer.send(topic, b"%d" % n, partition=n % 3) for n in range(30)]
        waiting = asyncio.ensure_future(asyncio.wait(sent, timeout=20))
        await blocked(waiting, 0.5)
        assert not any(future.done() for future in sent)
        del frames.edits[METADATA]
        whole = time.monotonic()
        await waiting
        assert time.monotonic() - whole <= NEXT_BACKOFF + 1.0
        assert [future.result().offset for future in sent] == [n // 3 for n in range(30)]
    values = [record.value for record in await truth.read_async(topic)]
    assert values == [b"%d" % n for p in range(3) for n in range(p, 30, 3)]


async def test_partitions_without_leader_for_too_long(frames: FrameProxy, topic: str) -> None:
    async with producing(frames.address, delivery_timeout_ms=1000) as producer:
        frames.edits[METADATA] = _partitions_without_leader
        end = await timed(producer.send_and_wait(topic, b"x"))
        assert isinstance(end.failure, KafkaTimeoutError)
        assert 1.0 <= end.elapsed <= 1.2
        assert isinstance(
            end.failure.__cause__, (LeaderNotAvailableError, NotLeaderForPartitionError)
        )


@pytest.mark.parametrize("missing", [(2,), (1,), (0, 2)])
async def test_some_partitions_missing(
    frames: FrameProxy, make_topic: MakeTopic, missing: tuple[int, ...]
) -> None:
    """A partition that is not listed is waited for, be it the last one or one in between."""
    topic = await make_topic(partitions=3)
    async with producing(frames.address) as producer:
        frames.edits[METADATA] = _Without(*missing)
        there = {0, 1, 2}.difference(missing)
        assert await producer.partitions_for(topic) == there
        for partition in there:
            assert (await producer.send_and_wait(topic, b"x", partition=partition)).offset == 0
        assert (await producer.send_and_wait(topic, b"x")).partition in there

        batch = producer.create_batch()
        batch.append(key=None, value=b"x", timestamp=None)
        ends = await asyncio.gather(
            timed(producer.send(topic, b"x", partition=missing[0])),
            timed(producer.send_batch(batch, topic, partition=missing[0])),
        )
        for end in ends:
            assert isinstance(end.failure, KafkaTimeoutError)
            assert LIMIT - 0.25 <= end.elapsed <= LIMIT
            for fact in (f"Partition {missing[0]}", topic, f"budget {BUDGET_MS} ms"):
                assert fact in str(end.failure)

        waiting = asyncio.ensure_future(
            timed(producer.send_and_wait(topic, b"x", partition=missing[0]))
        )
        await blocked(waiting)
        del frames.edits[METADATA]
        end = await waiting
        assert end.error is None, end.error
        assert end.result.partition == missing[0]
        assert end.elapsed <= LIMIT


async def test_topic_vanishes_from_an_answer(frames: FrameProxy, topic: str) -> None:
    """A known topic that one answer leaves out is not lost for the records on their way."""
    async with producing(frames.address) as producer:
        await producer.send_and_wait(topic, b"0")
        frames.edits[METADATA] = _no_topics
        seen = frames.requests[METADATA]
        await producer.client.force_metadata_update()
        assert frames.requests[METADATA] > seen
        sending = asyncio.ensure_future(timed(producer.send_and_wait(topic, b"1")))
        await eventually(lambda: sending.done() or frames.requests[METADATA] > seen + 1)
        del frames.edits[METADATA]
        end = await sending
        assert end.error is None
        assert end.result.offset == 1
        assert end.elapsed <= LIMIT
