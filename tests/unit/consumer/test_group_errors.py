"""Every error at every request: the member recovers, or everybody is told."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from aiokafka import errors as Errors
from aiokafka.testing import Cut, Deaf, Do, Error, ErrorCode, Garbage, HalfFrame, Level, LostAnswer
from tests.unit.consumer.group_lab import group, now, settled, tps, until, virtual

ALL = tps("t", 0, 1, 2, 3)
PASSING = [
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.REBALANCE_IN_PROGRESS,
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.REQUEST_TIMED_OUT,
]
FATAL = {
    ErrorCode.GROUP_AUTHORIZATION_FAILED: Errors.GroupAuthorizationFailedError,
    ErrorCode.FENCED_INSTANCE_ID: Errors.FencedInstanceIdError,
}
FATAL_JOIN = {
    **FATAL,
    ErrorCode.INCONSISTENT_GROUP_PROTOCOL: Errors.InconsistentGroupProtocolError,
    ErrorCode.INVALID_SESSION_TIMEOUT: Errors.InvalidSessionTimeoutError,
    ErrorCode.INVALID_GROUP_ID: Errors.InvalidGroupIdError,
    ErrorCode.GROUP_MAX_SIZE_REACHED: Errors.GroupMaxSizeReachedError,
    ErrorCode.UNKNOWN_SERVER_ERROR: Errors.UnknownError,
}


@pytest.mark.parametrize("code", [*PASSING, ErrorCode.MEMBER_ID_REQUIRED], ids=str)
@virtual
async def test_passing_error_of_join(code):
    async with group() as (kafka, make):
        kafka.faults.add(Error(code), api="JoinGroup", times=3)
        member = await (await make().start("t")).joined()
        assert member.partitions == ALL


@pytest.mark.parametrize("code", [*PASSING, ErrorCode.ILLEGAL_GENERATION], ids=str)
@virtual
async def test_passing_error_of_sync(code):
    async with group() as (kafka, make):
        kafka.faults.add(Error(code), api="SyncGroup", times=3)
        member = await (await make().start("t")).joined()
        assert member.partitions == ALL


@pytest.mark.parametrize("code", [*PASSING, ErrorCode.ILLEGAL_GENERATION], ids=str)
@virtual
async def test_passing_error_of_heartbeat(code):
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        kafka.faults.add(Error(code), api="Heartbeat", times=2)
        await asyncio.sleep(5)
        await member.joined()
        assert member.partitions == ALL
        await asyncio.sleep(10)
        assert member.stable


@pytest.mark.parametrize(("code", "error"), FATAL_JOIN.items(), ids=str)
@virtual
async def test_fatal_error_of_join(code, error):
    async with group() as (kafka, make):
        kafka.faults.add(Error(code), api="JoinGroup")
        member = await make().start("t")
        waiting = member.subscription.wait_for_assignment()
        with pytest.raises(error):
            await asyncio.wait_for(waiting, 10)
        with pytest.raises(error):
            member.coordinator.check_errors()
        with pytest.raises(error):
            await member.coordinator.commit_offsets(None, {next(iter(ALL)): (1, "")})
        assert member.coordinator.facts().state.name == "FAILED"


@pytest.mark.parametrize(
    ("api", "code"),
    [
        ("FindCoordinator", ErrorCode.GROUP_AUTHORIZATION_FAILED),
        ("OffsetFetch", ErrorCode.GROUP_AUTHORIZATION_FAILED),
        ("SyncGroup", ErrorCode.GROUP_AUTHORIZATION_FAILED),
        ("SyncGroup", ErrorCode.FENCED_INSTANCE_ID),
        ("Heartbeat", ErrorCode.GROUP_AUTHORIZATION_FAILED),
        ("Heartbeat", ErrorCode.FENCED_INSTANCE_ID),
    ],
)
@virtual
async def test_fatal_error_elsewhere(api, code):
    error = FATAL[code]
    async with group() as (kafka, make):
        kafka.faults.add(Error(code, Level.TOP), api=api)
        member = await make(group_instance_id="i").start("t")
        if api == "OffsetFetch":
            await member.joined()
            next(iter(member.subscription.assignment.states))[1].fetch_committed()
        await until(lambda: member.coordinator.facts().state.name == "FAILED")
        with pytest.raises(error) as caught:
            member.coordinator.check_errors()
        expected = "group_instance_id='i'" if error is Errors.FencedInstanceIdError else "g"
        assert expected in str(caught.value)


@virtual
async def test_hints_name_the_settings():
    async with group() as (kafka, make):
        kafka.group_options.min_session_timeout = 60
        member = await make(session_timeout_ms=7000).start("t")
        await until(lambda: member.coordinator.facts().state.name == "FAILED")
        with pytest.raises(Errors.InvalidSessionTimeoutError, match="session_timeout_ms=7000"):
            member.coordinator.check_errors()


@virtual
async def test_max_size():
    async with group() as (kafka, make):
        kafka.group_options.max_size = 1
        await (await make().start("t")).joined()
        two = await make().start("t")
        await until(lambda: two.coordinator.facts().state.name == "FAILED")
        with pytest.raises(Errors.GroupMaxSizeReachedError, match=r"group\.max\.size"):
            two.coordinator.check_errors()


FAULTS = [Cut(), LostAnswer(), HalfFrame(), Deaf(), Garbage()]
APIS = ["FindCoordinator", "JoinGroup", "SyncGroup", "Heartbeat"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("api", APIS)
@virtual
async def test_bad_or_no_answer(api, fault):
    async with group(brokers=3) as (kafka, make):
        kafka.faults.add(fault, api=api, times=2)
        one, two = make(), make()
        await one.start("t")
        await two.start("t")
        await until(lambda: one.partitions | two.partitions == ALL, within=120)
        await asyncio.sleep(10)
        await settled(one, two)
        assert not one.partitions & two.partitions


@pytest.mark.parametrize("how", ["move", "kill", "freeze", "drop"])
@pytest.mark.parametrize("api", [*APIS, "OffsetCommit", "OffsetFetch"])
@virtual
async def test_coordinator_lost_at_each_request(api, how):
    async with group(brokers=3) as (kafka, make):

        def lose(request):
            broker = kafka.coordinator_of("g")
            if how == "move":
                kafka.move_coordinator("g")
            elif how == "drop":
                broker.drop_connections()
            else:
                getattr(broker, how)()

        kafka.faults.add(Do(lose), api=api, times=1)
        one, two = make(auto_commit_interval_ms=1000), make(auto_commit_interval_ms=1000)
        await one.start("t")
        await two.start("t")
        await until(lambda: one.partitions | two.partitions == ALL, within=120)
        await settled(one, two)
        one.read(5)
        two.read(5)
        for member in (one, two):
            for _, state in member.subscription.assignment.states:
                state.fetch_committed()
        await asyncio.sleep(40)
        await settled(one, two)
        assert not one.partitions & two.partitions
        assert one.partitions | two.partitions == ALL


@virtual
async def test_join_is_not_bounded_by_request_timeout():
    async with group() as (kafka, make):
        kafka.group_options.initial_rebalance_delay = 8  # request_timeout_ms is 5 s
        member = make(rebalance_timeout_ms=10000)
        await member.start("t")
        started = now()
        await member.joined()
        assert 7.9 < now() - started < 9
        assert sum(r.api_name == "JoinGroup" for r in kafka.requests) == 2  # one for the id


@virtual
async def test_gaps_between_attempts_grow():
    async with group() as (kafka, make):
        kafka.faults.add(Error(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), api="JoinGroup", times=8)
        await (await make().start("t")).joined()
        times = [r.time for r in kafka.requests if r.api_name == "JoinGroup"]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert 0.08 <= gaps[0] <= 0.13
        assert 0.79 <= gaps[6] <= 1.01


@virtual
async def test_one_line_in_the_log_for_an_outage(caplog):
    async with group(brokers=2) as (kafka, make):
        member = await (await make(auto_commit_interval_ms=500).start("t")).joined()
        member.read(1)
        caplog.clear()
        kafka.faults.add(Error(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), lasting=4.0)
        await asyncio.sleep(20)
        lines = [r for r in caplog.records if r.levelname == "WARNING"]
        assert len([r for r in lines if "Heartbeat" in r.getMessage()]) == 1
        assert len([r for r in lines if "Auto-commit" in r.getMessage()]) == 1
        assert member.stable


@virtual
async def test_a_connection_that_is_lost_and_made_again_is_no_warning(caplog):
    async with group(brokers=2) as (kafka, make):
        member = await (await make(auto_commit_interval_ms=500).start("t")).joined()
        member.read(1)
        caplog.clear()
        for api in ("Heartbeat", "OffsetCommit") * 4:
            kafka.faults.add(Cut(), api=api, times=1)
            member.read(1)
            await asyncio.sleep(5)
        lines = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        assert not [line for line in lines if "Heartbeat" in line or "Auto-commit" in line]
        assert member.stable


@virtual
async def test_deaf_broker_does_not_hold_the_look_up_up():
    async with group(brokers=3) as (kafka, make):
        kafka.faults.add(Deaf(), api="FindCoordinator", times=1)
        started = now()
        await (await make().start("t")).joined()
        assert now() - started < 2
