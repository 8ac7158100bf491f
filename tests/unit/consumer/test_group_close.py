"""Closing at any moment: bounded, nothing left behind, the group told where possible."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.testing import Deaf
from tests.unit.consumer.group_lab import group, now, settled, tps, until, virtual

ALL = tps("t", 0, 1, 2, 3)


async def closes_within(member, seconds: float) -> None:
    started = now()
    await member.coordinator.close()
    assert now() - started <= seconds
    assert member.coordinator.facts().state.name == "CLOSED"
    await asyncio.sleep(0)
    assert not member.coordinator._supervisor.tasks


@virtual
async def test_leaves_and_ends_everything():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        await closes_within(member, 0.5)
        assert not kafka.group("g").members
        await closes_within(member, 0)
        leave = [r for r in kafka.requests if r.api_name == "LeaveGroup"]
        assert len(leave) == 1
        assert leave[0].values["members"][0]["reason"] == "the consumer was closed"


@virtual
async def test_never_subscribed():
    async with group() as (_, make):
        member = await make().start()
        await asyncio.sleep(1)
        await closes_within(member, 0.1)


@pytest.mark.parametrize(
    "api",
    ["FindCoordinator", "JoinGroup", "SyncGroup", "Heartbeat", "OffsetCommit", "LeaveGroup"],
)
@virtual
async def test_deaf_at_each_request(api):
    async with group() as (kafka, make):
        kafka.faults.add(Deaf(), api=api)
        member = await make(auto_commit_interval_ms=1500).start("t")
        await asyncio.sleep(2)
        if member.subscription.assignment is not None:
            member.read(3)
            await asyncio.sleep(2)
        await closes_within(member, 7.6)


@virtual
async def test_frozen_coordinator():
    async with group() as (kafka, make):
        member = await (await make(stop_timeout_ms=4000).start("t")).joined()
        member.read(3)
        kafka.brokers[0].freeze()
        await closes_within(member, 4.5)
        kafka.brokers[0].thaw()


@virtual
async def test_while_the_join_is_held_back():
    async with group() as (kafka, make):
        one = make(rebalance_timeout_ms=30000)
        await (await one.start("t")).joined()
        one.listener.delay = 20
        two = await make(rebalance_timeout_ms=30000).start("t")
        await until(lambda: one.calls[2:])  # one is held up by its listener
        assert two.coordinator.facts().state.name == "JOINING"
        await closes_within(two, 2)
        assert len(kafka.group("g").members) == 1
        one.listener.delay = 0
        await until(lambda: one.stable)
        assert one.partitions == ALL


@virtual
async def test_waits_for_the_listener():
    async with group() as (_, make):
        member = make(stop_timeout_ms=10000)
        member.listener.delay = 2
        await member.start("t")
        await until(lambda: [c for c in member.calls if c[0] == "assigned"])
        started = now()
        await closes_within(member, 3)
        assert now() - started > 1.5


@virtual
async def test_listener_that_never_returns():
    async with group() as (_, make):
        member = make(stop_timeout_ms=4000)
        member.listener.delay = 1000
        await member.start("t")
        await until(lambda: member.calls)
        await closes_within(member, 4.5)


@virtual
async def test_static_member_stays():
    async with group() as (kafka, make):
        member = await (await make(group_instance_id="i").start("t")).joined()
        await closes_within(member, 0.5)
        assert len(kafka.group("g").members) == 1


@virtual
async def test_failed_member():
    async with group() as (_, make):
        member = await (await make().start("t")).joined()

        async def crash(subscription, assignment):
            raise ZeroDivisionError("a defect")

        member.coordinator.ensure_active_group = crash
        waiting = member.subscription.wait_for_assignment()
        member.coordinator.request_rejoin()
        with pytest.raises(Exception, match="crashed") as caught:
            await waiting
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(Exception, match="crashed"):
            member.coordinator.check_errors()
        await closes_within(member, 0.5)


@virtual
async def test_crashed_reading_of_committed_offsets():
    async with group() as (_, make):
        member = await (await make().start("t")).joined()

        async def crash(assignment):
            raise ZeroDivisionError("a defect")

        member.coordinator._maybe_refresh_commit_offsets = crash
        next(iter(member.subscription.assignment.states))[1].fetch_committed()
        await until(lambda: member.coordinator.facts().state.name == "FAILED")
        with pytest.raises(KafkaError, match="crashed"):
            member.coordinator.check_errors()
        await closes_within(member, 0.5)


@virtual
async def test_crashed_look_up():
    async with group() as (_, make):
        member = await (await make().start("t")).joined()

        async def crash(*args):
            raise ZeroDivisionError("a defect")

        member.client.coordinator_lookup = crash
        member.coordinator.coordinator_dead()
        await until(lambda: member.coordinator.facts().state.name == "FAILED")
        with pytest.raises(KafkaError, match="crashed"):
            member.coordinator.check_errors()
        await closes_within(member, 0.5)


@virtual
async def test_crash_while_closing():
    async with group() as (_, make):
        member = await (await make().start("t")).joined()

        async def crash(assignment):
            raise ZeroDivisionError("a defect")

        member.coordinator._maybe_do_last_autocommit = crash
        await closes_within(member, 0.5)


@virtual
async def test_task_cancelled_from_outside():
    async with group() as (_, make):
        member = await (await make().start("t")).joined()
        member.coordinator._coordination_task.cancel()
        await asyncio.sleep(0.1)
        with pytest.raises(Exception, match="cancelled"):
            member.coordinator.check_errors()
        await closes_within(member, 0.5)


@virtual
async def test_cancelled_close_goes_on():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        member.read(3)
        task = asyncio.create_task(member.coordinator.close())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await member.coordinator.close()
        assert not kafka.group("g").members
        assert kafka.group("g").committed[next(iter(ALL))].offset == 3


@virtual
async def test_concurrent_closes():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        await asyncio.gather(*(member.coordinator.close() for _ in range(3)))
        assert len([r for r in kafka.requests if r.api_name == "LeaveGroup"]) == 1


@virtual
async def test_abandoned():
    async with group() as (_, make):
        member = await (await make().start("t")).joined()
        member.coordinator.abandon()
        await asyncio.sleep(0.1)
        assert not member.coordinator._supervisor.tasks


@virtual
async def test_waiting_commit_ends_with_the_member():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        kafka.brokers[0].freeze()
        member.coordinator.coordinator_dead()
        commit = asyncio.create_task(
            member.coordinator.commit_offsets(
                member.subscription.assignment, {next(iter(ALL)): (1, "")}
            )
        )
        await asyncio.sleep(0.1)
        await member.coordinator.close()
        with pytest.raises(IllegalStateError):
            await asyncio.wait_for(commit, 2)
        kafka.brokers[0].thaw()


SETTINGS = [{}, {"assignors": [CooperativeStickyPartitionAssignor]}]


@pytest.mark.parametrize("settings", SETTINGS, ids=["eager", "cooperative"])
@pytest.mark.parametrize("turns", range(0, 120, 3))
@virtual
async def test_close_after_any_number_of_turns(settings, turns):
    """Closing cuts through every await of a first join and of a rebalance."""
    async with group(cluster={"answer_latency": 0.01}) as (kafka, make):
        one = make(stop_timeout_ms=5000, **settings)
        one.listener.delay = 0.01
        two = make(**settings)
        await two.start("t")
        await one.start("t")
        for _ in range(turns):
            await asyncio.sleep(0.002)
        await closes_within(one, 5.5)
        await until(lambda: two.partitions == ALL and two.stable)
        assert len(kafka.group("g").members) == 1


@pytest.mark.parametrize("turns", range(1, 60, 2))
@virtual
async def test_cancelled_calls_after_any_number_of_turns(turns):
    async with group(cluster={"answer_latency": 0.003}) as (kafka, make):
        member = await (await make().start("t")).joined()
        member.coordinator.coordinator_dead()
        tp = next(iter(ALL))
        calls = [
            asyncio.create_task(
                member.coordinator.commit_offsets(member.subscription.assignment, {tp: (1, "")})
            ),
            asyncio.create_task(member.coordinator.fetch_committed_offsets([tp])),
            asyncio.create_task(member.coordinator.ensure_coordinator_known()),
        ]
        await asyncio.sleep(turns * 0.0005)
        for call in calls:
            call.cancel()
        for call in calls:
            with contextlib.suppress(asyncio.CancelledError):
                await call
        await member.coordinator.commit_offsets(member.subscription.assignment, {tp: (2, "")})
        assert kafka.group("g").committed[tp].offset == 2
        await settled(member)
