"""Commits: what the application asks for, what happens by itself, and every error."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from aiokafka import errors as Errors
from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.testing import Deaf, Do, Error, ErrorCode, LostAnswer
from tests.unit.consumer.group_lab import group, now, settled, tps, until, virtual

TP = TopicPartition("t", 0)
ALL = tps("t", 0, 1, 2, 3)
COOPERATIVE = {"assignors": [CooperativeStickyPartitionAssignor]}


def commits(kafka):
    return [r for r in kafka.requests if r.api_name == "OffsetCommit"]


@virtual
async def test_commit_carries_who_and_epoch():
    async with group() as (kafka, make):
        member = await (await make(group_instance_id="i").start("t")).joined()
        assignment = member.subscription.assignment
        state = assignment.state_value(TP)
        state.reset_to(3)
        state.position_epoch = 5
        await member.coordinator.commit_offsets(assignment, {TP: OffsetAndMetadata(3, "note")})
        committed = kafka.group("g").committed[TP]
        assert (committed.offset, committed.metadata, committed.leader_epoch) == (3, "note", 5)
        values = commits(kafka)[0].values
        assert values["consumer_group_generation_id"] == 1
        assert values["consumer_id"] == member.coordinator.member_id
        assert values["group_instance_id"] == "i"
        # The epoch belongs to the position, not to any offset.
        await member.coordinator.commit_offsets(assignment, {TP: (2, "")})
        assert kafka.group("g").committed[TP].leader_epoch == -1


@virtual
async def test_partitions_assigned_by_hand():
    async with group() as (kafka, make):
        member = await make().start(assign=[TP])
        assignment = member.subscription.assignment
        await member.coordinator.commit_offsets(assignment, {TP: (4, "")})
        assert kafka.group("g").committed[TP].offset == 4
        values = commits(kafka)[0].values
        assert (values["consumer_group_generation_id"], values["consumer_id"]) == (-1, "")
        assert await member.coordinator.fetch_committed_offsets([TP]) == {TP: (4, "")}
        assert not [r for r in kafka.requests if r.api_name in ("JoinGroup", "LeaveGroup")]


@virtual
async def test_nothing_to_commit():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        await member.coordinator.commit_offsets(member.subscription.assignment, {})
        assert not commits(kafka)


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.UNKNOWN_TOPIC_ID,
    ],
    ids=str,
)
@virtual
async def test_passing_error(code):
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        kafka.faults.add(Error(code), api="OffsetCommit", times=2)
        await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (1, "")})
        assert kafka.group("g").committed[TP].offset == 1
        assert len(commits(kafka)) == 3


@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, Errors.GroupAuthorizationFailedError, "g"),
        (ErrorCode.TOPIC_AUTHORIZATION_FAILED, Errors.TopicAuthorizationFailedError, "'t'"),
        (ErrorCode.OFFSET_METADATA_TOO_LARGE, Errors.OffsetMetadataTooLargeError, "topic='t'"),
        (ErrorCode.INVALID_COMMIT_OFFSET_SIZE, Errors.InvalidCommitOffsetSizeError, "'t'"),
        (ErrorCode.FENCED_INSTANCE_ID, Errors.FencedInstanceIdError, "group_instance_id"),
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, Errors.KafkaError, "does not exist"),
        (ErrorCode.UNKNOWN_SERVER_ERROR, Errors.UnknownError, "'t'"),
        (ErrorCode.ILLEGAL_GENERATION, Errors.CommitFailedError, "already rebalanced"),
        (ErrorCode.UNKNOWN_MEMBER_ID, Errors.CommitFailedError, "UNKNOWN_MEMBER_ID"),
        (ErrorCode.REBALANCE_IN_PROGRESS, Errors.CommitFailedError, "max_poll_interval_ms=3"),
    ],
    ids=str,
)
@virtual
async def test_error_that_is_raised(code, error, text):
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        kafka.faults.add(Error(code), api="OffsetCommit", times=1)
        with pytest.raises(error) as caught:
            await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (1, "")})
        assert text in str(caught.value)
        assert len(commits(kafka)) == 1
        failed = member.coordinator.facts().state.name == "FAILED"
        assert failed == (code is ErrorCode.FENCED_INSTANCE_ID)
        if not failed:
            await asyncio.sleep(2)
            await member.joined()
            await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (1, "")})


@virtual
async def test_time_is_over():
    async with group() as (kafka, make):
        member = await (await make(default_api_timeout_ms=2000).start("t")).joined()
        kafka.faults.add(Error(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), api="OffsetCommit")
        started = now()
        with pytest.raises(Errors.KafkaTimeoutError, match="2000 ms") as caught:
            await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (1, "")})
        assert now() - started <= 2.2
        assert isinstance(caught.value.__cause__, Errors.GroupLoadInProgressError)


@virtual
async def test_no_coordinator_at_all():
    async with group() as (kafka, make):
        member = await (await make(default_api_timeout_ms=3000).start("t")).joined()
        kafka.brokers[0].freeze()
        started = now()
        with pytest.raises(Errors.KafkaTimeoutError):
            await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (1, "")})
        assert now() - started <= 3.3
        kafka.brokers[0].thaw()


@virtual
async def test_lost_answer_is_repeated():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        kafka.faults.add(LostAnswer(), api="OffsetCommit", times=1)
        await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (1, "")})
        assert len(commits(kafka)) == 2


@virtual
async def test_cooperative_commit_waits_for_the_rebalance():
    async with group() as (kafka, make):
        member = await (await make(**COOPERATIVE).start("t")).joined()
        kafka.faults.add(Error(ErrorCode.REBALANCE_IN_PROGRESS), api="OffsetCommit", times=1)
        await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (6, "")})
        assert kafka.group("g").committed[TP].offset == 6
        assert member.coordinator.generation == 2


@virtual
async def test_cooperative_commit_of_partitions_that_were_taken():
    async with group() as (kafka, make):
        one = await (await make(**COOPERATIVE).start("t")).joined()
        await make(**COOPERATIVE).start("t")
        await until(lambda: len(kafka.group("g").members) == 2)
        kafka.faults.add(Error(ErrorCode.REBALANCE_IN_PROGRESS), api="OffsetCommit", times=1)
        with pytest.raises(Errors.CommitFailedError, match="not assigned"):
            await one.coordinator.commit_offsets(
                one.subscription.assignment, dict.fromkeys(ALL, (6, ""))
            )
        assert not any(tp in kafka.group("g").committed for tp in ALL)


@virtual
async def test_rebalance_that_does_not_end():
    async with group() as (kafka, make):
        member = await (await make(**COOPERATIVE, default_api_timeout_ms=3000).start("t")).joined()
        kafka.faults.add(Error(ErrorCode.REBALANCE_IN_PROGRESS), api="OffsetCommit")
        with pytest.raises(Errors.CommitFailedError, match="default_api_timeout_ms=3000"):
            await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (1, "")})


@virtual
async def test_commit_while_join_is_held_back():
    """The group waits for another member: a commit of the generation in force still counts."""
    async with group(partitions=2) as (kafka, make):
        one = await make(rebalance_timeout_ms=20000, enable_auto_commit=False).start("t")
        two = make(rebalance_timeout_ms=20000, enable_auto_commit=False)
        await two.start("t")
        await settled(one, two)
        one.read(8)
        offsets = one.subscription.assignment.consumed()
        two.listener.delay = 10  # holds the rebalance up
        three = await make(rebalance_timeout_ms=20000).start("t")
        await until(lambda: one.coordinator.facts().state.name == "JOINING")
        started = now()
        await one.coordinator.commit_offsets(one.subscription.assignment, offsets)
        assert now() - started < 1
        for tp in offsets:
            assert kafka.group("g").committed[tp].offset == 8
        await until(lambda: one.stable and two.stable and three.stable)


@virtual
async def test_no_member_cannot_commit():
    async with group() as (kafka, make):
        member = await (await make(max_poll_interval_ms=2000).start("t")).joined()
        assignment = member.subscription.assignment
        await until(lambda: member.coordinator.facts().state.name == "STALE")
        with pytest.raises(Errors.CommitFailedError, match="not polled in time"):
            await member.coordinator.commit_offsets(assignment, {TP: (1, "")})
        assert TP not in kafka.group("g").committed


@virtual
async def test_auto_commit_by_interval():
    async with group() as (kafka, make):
        member = await (await make(auto_commit_interval_ms=2000).start("t")).joined()
        member.read(5)
        assignment = member.subscription.assignment
        assignment.state_value(TP).consumed_to(9)  # in the application's hands
        await asyncio.sleep(3)
        assert kafka.group("g").committed[TP].offset == 5
        assignment.all_returned()
        await asyncio.sleep(2.1)
        assert kafka.group("g").committed[TP].offset == 9
        times = [r.time for r in commits(kafka)]
        assert all(1.9 < b - a < 2.1 for a, b in itertools.pairwise(times))


@virtual
async def test_auto_commit_is_off():
    async with group() as (kafka, make):
        member = await make(enable_auto_commit=False, auto_commit_interval_ms=500).start("t")
        await member.joined()
        member.read(5)
        await asyncio.sleep(3)
        member.coordinator.request_rejoin()
        await until(lambda: member.coordinator.generation == 2)
        await member.close()
        assert not commits(kafka)


@virtual
async def test_only_stored_offsets():
    async with group() as (kafka, make):
        member = await make(enable_auto_offset_store=False, auto_commit_interval_ms=500).start("t")
        await member.joined()
        member.read(5)
        await asyncio.sleep(2)
        assert not commits(kafka)
        member.subscription.assignment.state_value(TP).store(3, "stored", 1)
        await asyncio.sleep(1)
        committed = kafka.group("g").committed[TP]
        assert (committed.offset, committed.metadata, committed.leader_epoch) == (3, "stored", 1)
        await member.close()
        assert kafka.group("g").committed[TP].offset == 3


@virtual
async def test_failed_auto_commit_is_repeated_soon(caplog):
    async with group() as (kafka, make):
        member = await (await make(auto_commit_interval_ms=5000).start("t")).joined()
        member.read(5)
        kafka.faults.add(
            Error(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), api="OffsetCommit", times=3
        )
        await asyncio.sleep(6)
        assert kafka.group("g").committed[TP].offset == 5
        assert [r.getMessage() for r in caplog.records if "Auto-commit" in r.getMessage()][
            1:
        ] == []


@virtual
async def test_auto_commit_before_a_rebalance():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        member.read(5)
        member.subscription.assignment.state_value(TP).consumed_to(9)
        member.coordinator.request_rejoin()
        await until(lambda: member.coordinator.generation == 2)
        assert kafka.group("g").committed[TP].offset == 5


@virtual
async def test_auto_commit_before_a_rebalance_is_bounded():
    async with group() as (kafka, make):
        one = await (await make(rebalance_timeout_ms=6000).start("t")).joined()
        one.read(5)
        kafka.faults.add(Error(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), api="OffsetCommit")
        one.coordinator.request_rejoin()
        started = now()
        await until(lambda: one.coordinator.generation == 2)
        assert 1.5 < now() - started < 2.5


@virtual
async def test_last_commit_has_everything_given_out():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        member.read(5)
        member.subscription.assignment.state_value(TP).consumed_to(9)
        await member.close()
        assert kafka.group("g").committed[TP].offset == 9


@virtual
async def test_auto_commit_of_partitions_assigned_by_hand():
    async with group() as (kafka, make):
        member = await make(auto_commit_interval_ms=1000).start(assign=[TP])
        member.read(5)
        await asyncio.sleep(2)
        assert kafka.group("g").committed[TP].offset == 5


@virtual
async def test_cancelled_commit_leaves_nothing_behind():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        kafka.faults.add(Deaf(), api="OffsetCommit", times=1)
        task = asyncio.create_task(
            member.coordinator.commit_offsets(member.subscription.assignment, {TP: (1, "")})
        )
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The connection is given up when heartbeats on it are not answered either.
        await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (2, "")})
        assert kafka.group("g").committed[TP].offset == 2


@virtual
async def test_coordinator_moves_under_a_commit():
    async with group(brokers=3) as (kafka, make):
        member = await (await make().start("t")).joined()
        kafka.faults.add(Do(lambda _: kafka.move_coordinator("g")), api="OffsetCommit", times=1)
        await member.coordinator.commit_offsets(member.subscription.assignment, {TP: (1, "")})
        assert kafka.group("g").committed[TP].offset == 1
        assert member.coordinator.coordinator_id == kafka.coordinator_of("g").node_id
