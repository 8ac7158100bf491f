"""Heartbeats: their timing, expired sessions, blocked loops, applications that do not poll."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.testing import Deaf, Delay, Error, ErrorCode
from tests.unit.consumer.group_lab import group, now, tps, until, virtual

ALL = tps("t", 0, 1, 2, 3)


def beats(kafka):
    return [r.time for r in kafka.requests if r.api_name == "Heartbeat"]


@virtual
async def test_every_interval():
    async with group() as (kafka, make):
        await (await make().start("t")).joined()
        await asyncio.sleep(20)
        assert len(beats(kafka)) in (19, 20)
        assert all(0.95 < b - a < 1.05 for a, b in itertools.pairwise(beats(kafka)))


@virtual
async def test_slow_answers_do_not_stretch_the_interval():
    async with group() as (kafka, make):
        await (await make().start("t")).joined()
        kafka.faults.add(Delay(0.6), api="Heartbeat")
        await asyncio.sleep(10)
        assert all(0.95 < b - a < 1.05 for a, b in itertools.pairwise(beats(kafka)))


@virtual
async def test_answer_that_does_not_come():
    """A coordinator that is silent for a session is none: another connection, another look-up."""
    async with group(brokers=3) as (kafka, make):
        member = await (await make().start("t")).joined()
        kafka.faults.add(Deaf(), api="Heartbeat", times=1)
        silent = now()
        lookups = len([r for r in kafka.requests if r.api_name == "FindCoordinator"])
        await until(
            lambda: len([r for r in kafka.requests if r.api_name == "FindCoordinator"]) > lookups
        )
        assert now() - silent < 7
        await asyncio.sleep(10)
        await member.joined()
        assert member.partitions == ALL


@virtual
async def test_frozen_coordinator_is_replaced():
    async with group(brokers=3, cluster={"session_timeout": 4.0}) as (kafka, make):
        member = await (await make().start("t")).joined()
        frozen = kafka.coordinator_of("g")
        frozen.freeze()
        await until(lambda: member.coordinator.coordinator_id not in (None, frozen.node_id))
        await asyncio.sleep(10)
        await member.joined()
        assert member.partitions == ALL
        assert member.coordinator.generation == 1
        assert member.calls == [("revoked", set()), ("assigned", ALL)]


@virtual
async def test_crashed_heartbeats_go_on(caplog):
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        broken = [True]
        do_heartbeat = member.coordinator._do_heartbeat

        async def crash():
            if broken:
                broken.pop()
                raise ZeroDivisionError("a defect")
            return await do_heartbeat()

        member.coordinator._do_heartbeat = crash
        await asyncio.sleep(10)
        assert len(beats(kafka)) >= 7
        assert member.coordinator.generation == 1
    assert "a defect" in caplog.text


@virtual
async def test_blocked_loop_is_told(caplog):
    async with group() as (_, make):
        member = await (await make().start("t")).joined()
        member.coordinator._stalled(3.4)
        member.coordinator._stalled(3.4)
    lines = [r for r in caplog.records if "event loop was blocked" in r.getMessage()]
    assert [r.levelname for r in lines] == ["WARNING"]
    assert "3.4 s" in lines[0].getMessage()
    assert "session_timeout_ms=6000" in lines[0].getMessage()


@pytest.mark.parametrize("settings", [{}, {"assignors": [CooperativeStickyPartitionAssignor]}])
@virtual
async def test_application_that_does_not_poll(settings, caplog):
    async with group() as (kafka, make):
        member = make(max_poll_interval_ms=4000, **settings)
        await (await member.start("t")).joined()
        joined = now()
        member.read(7)
        del member.calls[:]
        await until(lambda: not kafka.group("g").members)
        assert 4 <= now() - joined < 5
        assert {kafka.group("g").committed[tp].offset for tp in ALL} == {7}
        assert "max_poll_interval_ms=4000" in caplog.text
        reason = next(r for r in kafka.requests if r.api_name == "LeaveGroup").values["members"]
        assert "max_poll_interval_ms" in reason[0]["reason"]
        await until(lambda: member.calls)
        assert member.calls == [("lost", ALL)]
        assert not member.subscription.delivering
        await asyncio.sleep(20)
        assert not kafka.group("g").members
        assert member.coordinator.facts().state.name == "STALE"
        with member.subscription.fetch_context():
            await member.joined()
            assert member.partitions == ALL
            await asyncio.sleep(20)  # waits for records
            assert member.stable
        assert member.calls == [("lost", ALL), ("assigned", ALL)]


@virtual
async def test_application_that_polls_without_waiting():
    async with group() as (_, make):
        member = await (await make(max_poll_interval_ms=4000).start("t")).joined()
        for _ in range(20):
            member.subscription.polled = True
            await asyncio.sleep(1)
        assert member.stable
        assert member.coordinator.generation == 1


@virtual
async def test_stale_member_can_be_closed_and_resubscribed():
    async with group(topics=("t", "u")) as (_, make):
        member = await (await make(max_poll_interval_ms=1000).start("t")).joined()
        await until(lambda: member.coordinator.facts().state.name == "STALE")
        member.subscription.subscribe(["u"], member.listener)
        await asyncio.sleep(5)
        with member.subscription.fetch_context():
            pass
        await until(lambda: member.partitions == tps("u", 0, 1, 2, 3))
        await until(lambda: member.coordinator.facts().state.name == "STALE")
        started = now()
        await member.close()
        assert now() - started < 1


@virtual
async def test_facts():
    async with group() as (kafka, make):
        member = make(group_instance_id="i")
        await member.start("t")
        await member.joined()
        await asyncio.sleep(5)
        facts = member.coordinator.facts()
        assert facts.state.name == "STABLE"
        assert facts.generation == 1
        assert facts.member_id in kafka.group("g").members
        assert facts.coordinator_id == 0
        assert facts.is_leader
        assert facts.rebalances == 1
        assert facts.last_rebalance_reason == "first join"
        assert 0 <= now() - facts.last_heartbeat_at <= 1.1
        assert facts.last_error is None
        metadata = member.coordinator.group_metadata()
        assert metadata == ("g", 1, facts.member_id, "i")
        kafka.faults.add(Error(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), api="Heartbeat", times=3)
        await until(lambda: member.coordinator.facts().last_error is not None)
        await until(lambda: member.coordinator.facts().last_error is None)
