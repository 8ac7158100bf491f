"""What random schedules have found (``tests/unit/simulation_consumer``), each by itself."""

from __future__ import annotations

import asyncio
import re

from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.structs import TopicPartition
from aiokafka.testing import Delay, Error, ErrorCode
from tests.unit.consumer.consumer_lab import TP, make
from tests.unit.consumer.group_lab import group, tps, until, virtual


@virtual
async def test_a_position_that_is_found_when_the_partition_is_gone():
    async with group(partitions=1) as (kafka, _):
        kafka.append("t", 0, b"one")
        consumer = make(kafka, "t", group_id="g")
        kafka.faults.add(Delay(0.5), api="ListOffsets", times=1)
        await consumer.start()
        await asyncio.sleep(0.2)  # the position is being looked up
        consumer._coordinator.request_rejoin("a test")
        assert (await consumer.getone()).value == b"one"
        assert consumer._fetcher._failure is None
        await consumer.stop()


@virtual
async def test_nothing_is_given_out_while_the_listener_is_told_what_is_taken():
    async with group(partitions=2) as (_, make_member):
        settings = {"assignors": [CooperativeStickyPartitionAssignor]}
        member = await make_member(**settings).start("t")
        await member.joined()
        delivering = []
        member.subscription.on_change(lambda: delivering.append(member.subscription.delivering))
        told = member.listener._told

        async def hear(name, partitions):
            delivering.append((name, delivering[-1]))
            await told(name, partitions)

        member.listener._told = hear
        other = await make_member(**settings).start("t")
        await until(lambda: other.partitions)
        taken = [entry for entry in delivering if isinstance(entry, tuple)]
        assert taken[0] == ("revoked", False)


@virtual
async def test_a_pattern_that_matches_more_while_a_lost_membership_is_renewed():
    async with group(partitions=1) as (kafka, make_member):
        member = make_member(assignors=[CooperativeStickyPartitionAssignor])
        await member.start(pattern=re.compile(".*"))
        await member.joined()
        kafka.faults.add(Error(ErrorCode.UNKNOWN_MEMBER_ID), api="Heartbeat", times=1)
        kafka.faults.add(Delay(0.5), api="JoinGroup", times=1)
        await until(lambda: member.coordinator._state.name == "JOINING")
        kafka.create_topic("u", 1)
        await member.client.force_metadata_update()
        assert member.coordinator._state.name == "JOINING"
        await until(lambda: member.stable and member.partitions == {TP, TopicPartition("u", 0)})
        assert tps("t", 0) <= member.partitions


@virtual
async def test_who_has_lost_the_membership_does_not_commit_over_those_who_came_after():
    async with group(partitions=1) as (kafka, make_member):
        member = await make_member().start("t")
        await member.joined()
        member.read(79)
        kafka.group("g").leave(member.coordinator.member_id, None, "a test")
        kafka.commit("g", "t", 0, 110)
        kafka.faults.add(Delay(3), api="FindCoordinator", times=1)
        member.coordinator.coordinator_dead()
        await asyncio.sleep(0.1)  # the coordination task waits for the coordinator
        member.coordinator.reset_generation("a test")
        assert member.coordinator._state.name == "STABLE"
        await member.close()
        assert kafka.group("g").committed["t", 0].offset == 110


@virtual
async def test_what_was_given_up_stays_so_when_the_pattern_matches_more_meanwhile():
    async with group(partitions=2) as (kafka, make_member):
        settings = {"assignors": [CooperativeStickyPartitionAssignor]}
        member = await make_member(**settings).start(pattern=re.compile(".*"))
        await member.joined()
        member.listener.delay = 0.5
        other = await make_member(**settings).start(pattern=re.compile(".*"))
        await until(lambda: member.calls[-1][0] == "revoked")
        kafka.create_topic("u", 1)
        await member.client.force_metadata_update()
        await other.client.force_metadata_update()
        new = TopicPartition("u", 0)
        await until(
            lambda: member.stable and other.stable and new in member.partitions | other.partitions
        )
        owned = set()
        for name, partitions in member.calls:
            owned = owned | partitions if name == "assigned" else owned - partitions
        assert owned == member.partitions
