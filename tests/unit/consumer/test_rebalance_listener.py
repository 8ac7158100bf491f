"""What the rebalance listener hears, and what goes on meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import sys

import pytest

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.testing import Delay, Error, ErrorCode
from tests.unit.consumer.group_lab import group, now, settled, tps, until, virtual

COOPERATIVE = {"assignors": [CooperativeStickyPartitionAssignor]}
ALL = tps("t", 0, 1, 2, 3)


@virtual
async def test_cooperative_first_join():
    async with group() as (_, make):
        member = await (await make(**COOPERATIVE).start("t")).joined()
        assert member.calls == [("assigned", ALL)]


@virtual
async def test_cooperative_gives_up_only_what_moves():
    async with group() as (kafka, make):
        one = await (await make(**COOPERATIVE).start("t")).joined()
        one.read(7)
        assignment = one.subscription.assignment
        kept_states = dict(assignment.states)
        del one.calls[:]
        two = await make(**COOPERATIVE).start("t")
        await until(lambda: len(two.partitions) == 2)
        await settled(one, two)
        moved = ALL - one.partitions
        assert len(moved) == 2
        # Revoked once, told of "nothing added" at both rebalances.
        assert one.calls == [("revoked", moved), ("assigned", set()), ("assigned", set())]
        assert two.calls == [("assigned", set()), ("assigned", moved)]
        # What it keeps has gone on: the same assignment, the same states and positions.
        assert one.subscription.assignment is assignment
        for tp in one.partitions:
            assert assignment.state_value(tp) is kept_states[tp]
            assert kept_states[tp].position == 7
        # What moved was committed before.
        for tp in moved:
            assert kafka.group("g").committed[tp].offset == 7
        del one.calls[:]
        await two.close()
        await until(lambda: one.partitions == ALL)
        assert one.calls == [("assigned", moved)]


@virtual
async def test_cooperative_delivers_while_joining():
    async with group() as (kafka, make):
        one = await (await make(**COOPERATIVE).start("t")).joined()
        kafka.group_options.initial_rebalance_delay = 3
        seen = []
        one.subscription.on_change(lambda: seen.append(one.subscription.delivering))
        one.coordinator.request_rejoin("test")
        await until(lambda: one.coordinator.generation == 2)
        await one.joined()
        assert seen
        assert one.subscription.delivering
        assert one.subscription.assigned_partitions() == ALL


@virtual
async def test_eager_holds_records_back_until_told():
    async with group() as (_, make):
        member = make()
        member.listener.delay = 2.0
        await member.start("t")
        await until(lambda: member.calls)
        assert not member.subscription.delivering
        await until(lambda: len(member.calls) == 2)
        assert member.subscription.assigned_partitions() == ALL
        assert not member.subscription.delivering
        await member.joined()
        assert member.subscription.delivering


@pytest.mark.parametrize("settings", [{}, COOPERATIVE], ids=["eager", "cooperative"])
@virtual
async def test_slow_listener_keeps_its_membership(settings):
    async with group() as (kafka, make):
        member = make(**settings)
        member.listener.delay = 20.0  # sessions last six seconds
        await member.start("t")
        await until(lambda: member.stable)
        assert member.coordinator.generation == 1
        assert not kafka.group("g").events("expired")
        beats = [r.time for r in kafka.requests if r.api_name == "Heartbeat"]
        gaps = [b - a for a, b in itertools.pairwise(beats)]
        assert gaps
        assert all(abs(gap - 1.0) < 0.05 for gap in gaps)


@virtual
async def test_listener_that_raises_does_not_stop_the_rebalance(caplog):
    async with group() as (_, make):
        member = make()
        member.listener.error = ValueError("the listener's own")
        await member.start("t")
        await member.joined()
        assert member.partitions == ALL
    assert "the listener's own" in caplog.text
    assert "on_partitions_assigned" in caplog.text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 cannot tell who is cancelled")
@virtual
async def test_listener_cancelled_by_itself(caplog):
    async with group() as (_, make):
        member = make()
        member.listener.error = asyncio.CancelledError()
        await member.start("t")
        await member.joined()
        assert member.partitions == ALL


@virtual
async def test_plain_functions():
    told = []

    class Plain(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            told.append(("revoked", revoked))

        def on_partitions_assigned(self, assigned):
            told.append(("assigned", assigned))

    async with group() as (_, make):
        member = make()
        member.listener = Plain()
        await (await member.start("t")).joined()
        assert told == [("revoked", set()), ("assigned", ALL)]


@virtual
async def test_lost_falls_back_to_revoked():
    told = []

    class Old:
        def on_partitions_revoked(self, revoked):
            told.append(("revoked", revoked))

        def on_partitions_assigned(self, assigned):
            told.append(("assigned", assigned))

    async with group() as (kafka, make):
        member = make()
        member.listener = Old()
        await (await member.start("t")).joined()
        kafka.delete_group("g")
        await until(lambda: len(told) == 4)
        assert told[2:] == [("revoked", ALL), ("assigned", ALL)]


@pytest.mark.parametrize("settings", [{}, COOPERATIVE], ids=["eager", "cooperative"])
@virtual
async def test_removed_member_has_lost_its_partitions(settings):
    async with group() as (kafka, make):
        member = await (await make(**settings).start("t")).joined()
        del member.calls[:]
        was = member.coordinator.member_id
        kafka.delete_group("g")
        await until(lambda: len(member.calls) == 2)
        assert member.calls == [("lost", ALL), ("assigned", ALL)]
        assert member.coordinator.member_id != was
        await member.joined()
        assert member.partitions == ALL


@virtual
async def test_cooperative_member_removed_while_it_joins():
    async with group() as (kafka, make):
        member = await (await make(**COOPERATIVE).start("t")).joined()
        del member.calls[:]
        kafka.faults.add(Error(ErrorCode.UNKNOWN_MEMBER_ID), api="SyncGroup", times=1)
        member.coordinator.request_rejoin("test")
        await until(lambda: len(member.calls) == 2)
        assert member.calls == [("lost", ALL), ("assigned", ALL)]
        await member.joined()


@virtual
async def test_info_records_have_sets_of_partitions(caplog):
    caplog.set_level(logging.INFO, "aiokafka")
    async with group() as (_, make):
        await (await make().start("t")).joined()
    records = [r for r in caplog.records if r.name == "aiokafka.consumer.group_coordinator"]
    revoking = next(r for r in records if "Revoking" in r.msg)
    setting = next(r for r in records if "Setting newly assigned" in r.msg)
    assert revoking.args[0] == set()
    assert setting.args[0] == ALL
    assert [r.levelno for r in (revoking, setting)] == [logging.INFO, logging.INFO]


@virtual
async def test_listener_may_commit_and_read_committed_offsets():
    async with group() as (_, make):
        one = await (await make().start("t")).joined()
        one.read(3)
        done = []

        async def told(name, partitions):
            assignment = one.subscription.assignment
            if name == "revoked":
                await one.coordinator.commit_offsets(
                    assignment, dict.fromkeys(partitions, (9, "mine"))
                )
            else:
                found = await one.coordinator.fetch_committed_offsets(sorted(partitions))
                done.append({tp: meta.offset for tp, meta in found.items()})

        one.listener._told = told
        started = now()
        one.coordinator.request_rejoin("test")
        await until(lambda: done)
        assert done == [dict.fromkeys(ALL, 9)]
        assert now() - started < 1


@virtual
async def test_cooperative_new_topic_stops_nothing():
    async with group(topics=("a-1", "b"), partitions=2) as (kafka, make):
        member = await make(**COOPERATIVE).start(pattern=re.compile("a-.*"))
        await until(lambda: member.partitions == tps("a-1", 0, 1))
        await member.joined()
        member.read(7)
        assignment = member.subscription.assignment
        states = dict(assignment.states)
        del member.calls[:]
        kafka.create_topic("a-2", partitions=1)
        await member.client.force_metadata_update()
        assert member.subscription.delivering
        assert member.partitions == tps("a-1", 0, 1)
        await until(lambda: member.partitions == tps("a-1", 0, 1) | tps("a-2", 0))
        await member.joined()
        assert member.subscription.assignment is assignment
        assert all(assignment.state_value(tp) is state for tp, state in states.items())
        assert member.calls == [("assigned", tps("a-2", 0))]


@virtual
async def test_cooperative_subscription_changes():
    async with group(topics=("a", "b", "c"), partitions=2) as (kafka, make):
        member = await (await make(**COOPERATIVE).start("a", "b")).joined()
        member.read(7)
        del member.calls[:]
        member.subscription.subscribe(["b", "c"], member.listener)
        await until(lambda: member.partitions == tps("b", 0, 1) | tps("c", 0, 1))
        await member.joined()
        assert member.calls == [("revoked", tps("a", 0, 1)), ("assigned", tps("c", 0, 1))]
        state = member.subscription.assignment.state_value(sorted(tps("b", 0))[0])
        assert state.position == 7
        assert all(kafka.group("g").committed[tp].offset == 7 for tp in tps("a", 0, 1))
        # From topics to partitions by hand, and back.
        member.subscription.unsubscribe()
        assert member.partitions == set()
        member.subscription.assign_from_user(tps("a", 0))
        await until(lambda: not kafka.group("g").members)
        member.subscription.unsubscribe()
        member.subscription.subscribe(["a"], member.listener)
        await until(lambda: member.partitions == tps("a", 0, 1))


@virtual
async def test_cooperative_records_given_out_while_joining_are_committed():
    async with group() as (kafka, make):
        one = await (await make(**COOPERATIVE).start("t")).joined()
        one.read(7)
        kafka.faults.add(Delay(0.5), api="JoinGroup")
        await make(**COOPERATIVE).start("t")
        await until(lambda: one.coordinator.facts().state.name == "JOINING")
        one.read(9)
        await until(lambda: len(one.partitions) == 2)
        assert {kafka.group("g").committed[tp].offset for tp in ALL - one.partitions} == {9}
