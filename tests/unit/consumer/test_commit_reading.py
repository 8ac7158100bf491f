"""Reading committed offsets."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka import errors as Errors
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.testing import Error, ErrorCode, Level
from tests.unit.consumer.group_lab import group, now, virtual

TP, TP1 = TopicPartition("t", 0), TopicPartition("t", 1)


def fetches(kafka):
    return [r for r in kafka.requests if r.api_name == "OffsetFetch"]


@virtual
async def test_offset_metadata_and_epoch():
    async with group() as (kafka, make):
        kafka.commit("g", "t", 0, 7, "note", leader_epoch=3)
        member = await make().start(assign=[TP, TP1])
        found = await member.coordinator.fetch_committed_offsets([TP, TP1])
        assert found == {TP: OffsetAndMetadata(7, "note")}
        assert found[TP].leader_epoch == 3
        assert await member.coordinator.fetch_committed_offsets([]) == {}


@virtual
async def test_unknown_topic_is_left_out():
    async with group() as (kafka, make):
        kafka.commit("g", "t", 0, 7)
        member = await make().start(assign=[TP])
        kafka.faults.add(
            Error(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, Level.PARTITION),
            api="OffsetFetch",
            topic="t",
        )
        assert await member.coordinator.fetch_committed_offsets([TP]) == {}


@virtual
async def test_unknown_topic_is_not_taken_for_nothing_committed():
    async with group() as (kafka, make):
        kafka.commit("g", "t", 0, 7)
        kafka.commit("g", "t", 1, 8)
        member = await make().start(assign=[TP, TP1])
        kafka.faults.add(
            Error(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, Level.PARTITION),
            api="OffsetFetch",
            topic="t",
            partition=0,
            times=3,
        )
        futures = [state.fetch_committed() for _, state in member.subscription.assignment.states]
        assert (await futures[1]).offset == 8
        assert not futures[0].done()
        assert (await futures[0]).offset == 7


@pytest.mark.parametrize("level", [Level.TOP, Level.PARTITION], ids=str)
@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.UNSTABLE_OFFSET_COMMIT,
    ],
    ids=str,
)
@virtual
async def test_passing_error(code, level):
    async with group() as (kafka, make):
        kafka.commit("g", "t", 0, 7)
        member = await make().start(assign=[TP])
        kafka.faults.add(Error(code, level), api="OffsetFetch", times=2)
        assert (await member.coordinator.fetch_committed_offsets([TP]))[TP].offset == 7
        assert len(fetches(kafka)) == 3
        # The fetcher never hears "nothing committed" because of it either.
        kafka.faults.add(Error(code, level), api="OffsetFetch", times=2)
        state = member.subscription.assignment.state_value(TP)
        assert (await state.fetch_committed()).offset == 7


@pytest.mark.parametrize("level", [Level.TOP, Level.PARTITION], ids=str)
@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, Errors.GroupAuthorizationFailedError),
        (ErrorCode.UNKNOWN_SERVER_ERROR, Errors.KafkaError),
    ],
    ids=str,
)
@virtual
async def test_error_that_is_raised(code, error, level):
    async with group() as (kafka, make):
        member = await make().start(assign=[TP])
        kafka.faults.add(Error(code, level), api="OffsetFetch")
        with pytest.raises(error):
            await member.coordinator.fetch_committed_offsets([TP])
        assert len(fetches(kafka)) == 1


@virtual
async def test_topic_that_may_not_be_read():
    async with group() as (kafka, make):
        member = await make().start(assign=[TP])
        kafka.faults.add(
            Error(ErrorCode.TOPIC_AUTHORIZATION_FAILED, Level.PARTITION), api="OffsetFetch"
        )
        with pytest.raises(Errors.TopicAuthorizationFailedError, match="t"):
            await member.coordinator.fetch_committed_offsets([TP])


@virtual
async def test_unstable_offset_is_waited_for():
    async with group() as (kafka, make):
        kafka.commit("g", "t", 0, 7)
        kafka.set_unstable("g", "t", 0)
        member = await make(default_api_timeout_ms=2000).start(assign=[TP])
        with pytest.raises(Errors.KafkaTimeoutError) as caught:
            await member.coordinator.fetch_committed_offsets([TP])
        assert isinstance(caught.value.__cause__, Errors.UnstableOffsetCommitError)
        asyncio.get_running_loop().call_later(
            1, lambda: kafka.set_unstable("g", "t", 0, unstable=False)
        )
        assert (await member.coordinator.fetch_committed_offsets([TP]))[TP].offset == 7


@virtual
async def test_broker_too_old_for_stable_offsets():
    async with group(cluster={"release": "2.0"}) as (kafka, make):
        kafka.commit("g", "t", 0, 7)
        member = await make().start(assign=[TP])
        for _ in range(2):
            assert (await member.coordinator.fetch_committed_offsets([TP]))[TP].offset == 7


@virtual
async def test_nothing_committed_is_said():
    async with group() as (_, make):
        member = await make().start(assign=[TP, TP1])
        futures = [state.fetch_committed() for _, state in member.subscription.assignment.states]
        assert [meta.offset for meta in await asyncio.gather(*futures)] == [-1, -1]


@virtual
async def test_bounded_when_nobody_answers():
    async with group() as (kafka, make):
        member = await (await make(default_api_timeout_ms=2500).start("t")).joined()
        kafka.brokers[0].freeze()
        started = now()
        with pytest.raises(Errors.KafkaTimeoutError):
            await member.coordinator.fetch_committed_offsets([TP])
        assert now() - started < 2.8
        kafka.brokers[0].thaw()


@virtual
async def test_new_assignment_by_hand():
    async with group() as (kafka, make):
        kafka.commit("g", "t", 1, 7)
        member = await make().start(assign=[TP])
        old = member.subscription.assignment.state_value(TP).fetch_committed()
        assert (await old).offset == -1
        member.subscription.assign_from_user([TP1])
        state = member.subscription.assignment.state_value(TP1)
        assert (await state.fetch_committed()).offset == 7
