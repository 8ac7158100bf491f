"""Looking offsets up: all leaders at the same time, within a deadline, partial results kept."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka import errors as Errors
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import OffsetAndTimestamp, TopicPartition
from aiokafka.testing.faults import Cut, Deaf, Delay, Error, Level
from tests.unit.consumer.fetch_lab import TP, TP1, TP2, fetching, now, virtual

ALL = [TP, TP1, TP2]


def asked(lab):
    return [
        sorted(row["partition"] for topic in r.values["topics"] for row in topic["partitions"])
        for r in lab.kafka.history("ListOffsets")
    ]


@virtual
async def test_ends():
    async with fetching(brokers=3, partitions=3, assign=[]) as lab:
        lab.append(1, 2)
        lab.append(3, partition=1)
        lab.kafka.delete_records("t", 0, 1)
        assert await lab.fetcher.beginning_offsets(ALL, 1000) == {TP: 1, TP1: 0, TP2: 0}
        assert await lab.fetcher.end_offsets(iter(ALL), 1000) == {TP: 2, TP1: 1, TP2: 0}
        assert await lab.fetcher.end_offsets([], 1000) == {}


@virtual
async def test_times():
    async with fetching(partitions=2, assign=[]) as lab:
        lab.append(1, timestamp=1000)
        lab.append(2, timestamp=2000)
        found = await lab.fetcher.get_offsets_by_times({TP: 1500, TP1: 0}, 1000)
        assert found == {TP: OffsetAndTimestamp(1, 2000), TP1: None}
        assert await lab.fetcher.get_offsets_by_times({}, 1000) == {}


@virtual
async def test_the_end_of_what_is_committed():
    async with fetching(isolation_level="read_committed", assign=[]) as lab:
        lab.append(1)
        lab.append(2, transactional=True, producer_id=1)
        assert await lab.fetcher.end_offsets([TP], 1000) == {TP: 1}


@virtual
async def test_leaders_are_asked_at_the_same_time():
    async with fetching(brokers=3, partitions=3, assign=[]) as lab:
        lab.kafka.faults.add(Delay(0.5), api="ListOffsets")
        started = now()
        await lab.fetcher.end_offsets(ALL, 5000)
        assert now() - started < 0.6
        assert lab.kafka.count("ListOffsets") == 3


@pytest.mark.parametrize("code", [3, 5, 6, 74, 75, 78])
@virtual
async def test_what_was_found_is_kept(code):
    async with fetching(partitions=3, assign=[]) as lab:
        lab.kafka.faults.add(
            Error(code, Level.PARTITION), api="ListOffsets", topic="t", partition=1, times=3
        )
        assert await lab.fetcher.end_offsets(ALL, 5000) == dict.fromkeys(ALL, 0)
        assert asked(lab) == [[0, 1, 2], [1], [1], [1]]


@virtual
async def test_the_timeout_names_what_is_missing():
    async with fetching(partitions=3, assign=[]) as lab:
        lab.kafka.faults.add(Error(6, Level.PARTITION), api="ListOffsets", topic="t", partition=1)
        started = now()
        with pytest.raises(KafkaTimeoutError, match=r"No offsets of t-1 within 3000 ms") as caught:
            await lab.fetcher.end_offsets(ALL, 3000)
        assert 2 < now() - started <= 3.01
        assert isinstance(caught.value.__cause__, Errors.NotLeaderForPartitionError)
        assert lab.kafka.count("ListOffsets") < 12


@virtual
async def test_a_silent_leader():
    async with fetching(brokers=3, partitions=3, assign=[]) as lab:
        silent = lab.kafka.partition("t", 0).leader
        lab.kafka.faults.add(Deaf(), api="ListOffsets", node=silent)
        started = now()
        with pytest.raises(KafkaTimeoutError, match="t-0 within"):
            await lab.fetcher.end_offsets(ALL, 10_000)
        assert now() - started <= 10.01


@virtual
async def test_a_leader_that_is_left_by_the_cluster():
    async with fetching(
        brokers=3, partitions=3, assign=[], cluster={"session_timeout": 2.0}
    ) as lab:
        lab.kafka.brokers[lab.kafka.partition("t", 0).leader].freeze()
        assert await lab.fetcher.end_offsets(ALL, 20_000) == dict.fromkeys(ALL, 0)


@virtual
async def test_lost_connections():
    async with fetching(brokers=3, partitions=3, assign=[]) as lab:
        lab.kafka.faults.add(Cut(), api="ListOffsets", times=5)
        assert await lab.fetcher.end_offsets(ALL, 20_000) == dict.fromkeys(ALL, 0)


@virtual
async def test_an_error_for_good_is_raised_at_once():
    async with fetching(partitions=2, assign=[]) as lab:
        lab.kafka.faults.add(Error(29, Level.PARTITION), api="ListOffsets", topic="t", partition=1)
        with pytest.raises(Errors.TopicAuthorizationFailedError) as caught:
            await lab.fetcher.end_offsets([TP, TP1], 5000)
        assert caught.value.args == ("t",)
        lab.kafka.faults.clear()
        lab.kafka.faults.add(Error(42, Level.PARTITION), api="ListOffsets")
        with pytest.raises(Errors.InvalidRequestError) as caught:
            await lab.fetcher.end_offsets([TP1], 5000)
        assert caught.value.args == (TP1,)


@virtual
async def test_topics_that_are_not_known_yet():
    async with fetching(assign=[]) as lab:
        lab.kafka.create_topic("u", partitions=1)
        other = TopicPartition("u", 0)
        assert await lab.fetcher.end_offsets([TP, other], 5000) == {TP: 0, other: 0}


@virtual
async def test_topics_that_never_come():
    async with fetching(assign=[], cluster={"auto_create": False}) as lab:
        missing = TopicPartition("nowhere", 3)
        started = now()
        with pytest.raises(KafkaTimeoutError, match=r"No offsets of nowhere-3 within 4000 ms"):
            await lab.fetcher.end_offsets([TP, missing], 4000)
        assert now() - started <= 4.01


@virtual
async def test_the_time_for_calls_that_name_none():
    async with fetching(assign=[], default_api_timeout=2.0) as lab:
        assert await lab.fetcher.end_offsets([TP]) == {TP: 0}
        lab.kafka.faults.add(Error(6, Level.PARTITION), api="ListOffsets")
        for call in (
            lambda: lab.fetcher.beginning_offsets([TP]),
            lambda: lab.fetcher.get_offsets_by_times({TP: 5}),
        ):
            with pytest.raises(KafkaTimeoutError, match="within 2000 ms"):
                await call()


@virtual
async def test_cancelling_leaves_nothing():
    async with fetching(brokers=3, partitions=3, assign=[]) as lab:
        lab.kafka.faults.add(Deaf(), api="ListOffsets")
        before = len(lab.fetcher._supervisor.tasks)
        task = asyncio.ensure_future(lab.fetcher.end_offsets(ALL, 10_000))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.sleep(0.1)
        assert task.cancelled()
        assert len(lab.fetcher._supervisor.tasks) == before


@virtual
async def test_the_parts_are_patchable():
    async with fetching(assign=[]) as lab:

        async def mine(node_id, topic_data):
            assert topic_data == {"t": [(0, -1)]}
            return {TP: (77, None)}

        lab.fetcher._proc_offset_request = mine
        assert await lab.fetcher.end_offsets([TP], 1000) == {TP: 77}

        async def never(timestamps):
            await asyncio.sleep(1000)

        lab.fetcher._proc_offset_requests = never
        with pytest.raises(KafkaTimeoutError):
            await lab.fetcher.get_offsets_by_times({TP: 0}, 100)


# Positions


@pytest.mark.parametrize("code", [3, 6, 74, 78])
@virtual
async def test_a_position_is_looked_up_until_found(code):
    async with fetching(partitions=2) as lab:
        lab.kafka.faults.add(
            Error(code, Level.PARTITION), api="ListOffsets", topic="t", partition=0, times=6
        )
        lab.append(1)
        lab.append(2, partition=1)
        assert await lab.take(1) == [2], "the other partition does not wait"
        assert await lab.take(1) == [1]


@virtual
async def test_a_position_that_may_not_be_looked_up():
    async with fetching() as lab:
        lab.kafka.faults.add(Error(29, Level.PARTITION), api="ListOffsets", times=1)
        lab.append(1)
        with pytest.raises(Errors.TopicAuthorizationFailedError):
            await lab.take(1)
        assert await lab.take(1) == [1]


@virtual
async def test_a_position_at_a_leader_that_freezes():
    async with fetching(
        brokers=2, cluster={"session_timeout": 2.0}, client={"request_timeout_ms": 40000},
        assign=[],
    ) as lab:  # fmt: skip
        lab.append(1)
        lab.kafka.brokers[lab.kafka.partition("t", 0).leader].freeze()
        lab.assign(TP)
        started = now()
        assert await lab.take(1, limit=60) == [1]
        assert now() - started < 5
