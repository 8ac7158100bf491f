"""Joining, leaving and rebalancing of one to five members, eager and cooperative."""

from __future__ import annotations

import asyncio
import re

import pytest

from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import MemberSubscription
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from tests.unit.consumer.group_lab import group, settled, tps, until, virtual

ASSIGNORS = [
    RangePartitionAssignor,
    RoundRobinPartitionAssignor,
    StickyPartitionAssignor,
    CooperativeStickyPartitionAssignor,
]


def shared_out(members, partitions: set[TopicPartition]) -> bool:
    """Has each partition one owner?"""
    owned = [tp for member in members for tp in member.partitions]
    return len(owned) == len(partitions) and set(owned) == partitions


@virtual
async def test_one_member_gets_everything():
    async with group() as (kafka, make):
        member = await make().start("t")
        await member.joined()
        assert member.partitions == tps("t", 0, 1, 2, 3)
        assert member.calls == [("revoked", set()), ("assigned", tps("t", 0, 1, 2, 3))]
        assert member.coordinator.generation == 1
        assert member.coordinator.member_id in kafka.group("g").members
        await asyncio.sleep(30)
        assert member.coordinator.generation == 1


@virtual
async def test_two_members_share():
    async with group() as (_, make):
        one = await make().start("t")
        await one.joined()
        two = await make().start("t")
        await settled(one, two)
        assert one.partitions | two.partitions == tps("t", 0, 1, 2, 3)
        assert not one.partitions & two.partitions
        assert one.calls[2] == ("revoked", tps("t", 0, 1, 2, 3))
        await two.close()
        await until(lambda: one.partitions == tps("t", 0, 1, 2, 3))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("assignor", ASSIGNORS, ids=lambda a: a.name)
@virtual
async def test_members_come_and_go(assignor, count):
    everything = tps("t", *range(12))
    async with group(partitions=12, brokers=3) as (kafka, make):
        members = []
        for _ in range(count):
            members.append(await make(assignors=[assignor]).start("t"))
            await asyncio.sleep(0.3)
        await until(lambda: shared_out(members, everything))
        await settled(*members)
        assert {len(m.partitions) for m in members} <= {12 // count, 12 // count + 1}
        while len(members) > 1:
            await members.pop(0).close()
            await until(lambda: shared_out(members, everything))
        await settled(*members)
        assert set(kafka.group("g").members) == {members[0].coordinator.member_id}


@pytest.mark.parametrize("assignor", ASSIGNORS, ids=lambda a: a.name)
@virtual
async def test_all_at_once(assignor):
    everything = tps("t", *range(10))
    async with group(partitions=10) as (_, make):
        members = [make(assignors=[assignor]) for _ in range(5)]
        await asyncio.gather(*(member.start("t") for member in members))
        await until(lambda: shared_out(members, everything))
        await settled(*members)


@pytest.mark.parametrize("assignor", ASSIGNORS, ids=lambda a: a.name)
@virtual
async def test_killed_member_is_replaced(assignor):
    async with group(partitions=6) as (_, make):
        members = [await make(assignors=[assignor]).start("t") for _ in range(3)]
        await until(lambda: shared_out(members, tps("t", *range(6))))
        await settled(*members)
        dead = members.pop(1)
        dead.coordinator.abandon()  # says nothing to the group
        await dead.client.close()
        await until(lambda: shared_out(members, tps("t", *range(6))))


@virtual
async def test_different_subscriptions():
    async with group(topics=("a", "b", "c"), partitions=3) as (_, make):
        one = await make().start("a", "b")
        two = await make().start("b", "c")
        await settled(one, two)
        together = one.partitions | two.partitions
        assert together == tps("a", 0, 1, 2) | tps("b", 0, 1, 2) | tps("c", 0, 1, 2)
        assert {tp.topic for tp in one.partitions} <= {"a", "b"}
        assert {tp.topic for tp in two.partitions} <= {"b", "c"}
        leader = one if one.coordinator._is_leader else two
        assert set(leader.coordinator._metadata_snapshot) == {"a", "b", "c"}


@virtual
async def test_subscription_changes():
    async with group(topics=("a", "b"), partitions=2) as (_, make):
        member = await (await make().start("a")).joined()
        await member.client.set_topics(["b"])
        member.subscription.subscribe(["b"], member.listener)
        await until(lambda: member.partitions == tps("b", 0, 1))
        assert member.calls[-2:] == [("revoked", tps("a", 0, 1)), ("assigned", tps("b", 0, 1))]


@virtual
async def test_unsubscribe_leaves_the_group_and_subscribing_joins_again():
    async with group(partitions=2) as (kafka, make):
        member = await (await make().start("t")).joined()
        member.subscription.unsubscribe()
        await until(lambda: not kafka.group("g").members)
        assert member.coordinator.facts().state.name == "UNJOINED"
        member.subscription.subscribe(["t"], member.listener)
        await member.joined()
        assert member.partitions == tps("t", 0, 1)


@virtual
async def test_unsubscribe_by_the_consumer_leaves_once():
    async with group(partitions=2) as (kafka, make):
        member = await (await make().start("t")).joined()
        member.subscription.unsubscribe()
        task = member.coordinator.maybe_leave_group()
        await task
        assert not kafka.group("g").members
        await asyncio.sleep(1)
        assert sum(r.api_name == "LeaveGroup" for r in kafka.requests) == 1


@virtual
async def test_partitions_are_added():
    async with group(partitions=2) as (kafka, make):
        one = await make().start("t")
        two = await make().start("t")
        await settled(one, two)
        kafka.add_partitions("t", 4)
        leader = one if one.coordinator._is_leader else two
        leader.client.force_metadata_update()
        await until(lambda: shared_out([one, two], tps("t", 0, 1, 2, 3)))
        assert leader.coordinator.facts().last_rebalance_reason.startswith("the partitions")


@pytest.mark.parametrize("assignor", ASSIGNORS, ids=lambda a: a.name)
@virtual
async def test_pattern(assignor):
    async with group(topics=("a-1", "b-1"), partitions=2) as (kafka, make):
        member = await make(assignors=[assignor]).start(pattern=re.compile("a-.*"))
        await until(lambda: member.partitions == tps("a-1", 0, 1))
        kafka.create_topic("a-2", partitions=1)
        kafka.create_topic("c-2", partitions=1)
        member.client.force_metadata_update()
        await until(lambda: member.partitions == tps("a-1", 0, 1) | tps("a-2", 0))
        await member.joined()
        assert member.coordinator._metadata_snapshot == {"a-1": 2, "a-2": 1}


@virtual
async def test_pattern_that_matches_nothing_yet():
    async with group(topics=(), partitions=2) as (kafka, make):
        member = await make().start(pattern=re.compile("later"))
        await asyncio.sleep(5)
        kafka.create_topic("later", partitions=2)
        member.client.force_metadata_update()
        await until(lambda: member.partitions == tps("later", 0, 1))


@virtual
async def test_pattern_subscribed_late():
    async with group(topics=("a",), partitions=2) as (_, make):
        member = await make().start()
        await asyncio.sleep(1)
        member.subscription.subscribe_pattern(re.compile("a"), member.listener)
        await until(lambda: member.partitions == tps("a", 0, 1))


@virtual
async def test_topic_that_appears_later():
    async with group(topics=(), cluster={"auto_create": False}) as (kafka, make):
        member = make()
        await member.client.bootstrap()
        member.subscription.subscribe(["late"], member.listener)
        await member.start()
        await until(lambda: member.subscription.assignment is not None)
        assert member.partitions == set()
        kafka.create_topic("late", partitions=2)
        await until(lambda: member.partitions == tps("late", 0, 1), within=400)


@virtual
async def test_static_member_returns_without_a_rebalance():
    async with group(partitions=4) as (kafka, make):
        one = await make(group_instance_id="one").start("t")
        two = await make(group_instance_id="two").start("t")
        await settled(one, two)
        generation, had = one.coordinator.generation, two.partitions
        await two.close()
        assert len(kafka.group("g").members) == 2
        again = await make(group_instance_id="two").start("t")
        await again.joined()
        assert again.coordinator.generation == generation
        assert again.partitions == had
        assert one.coordinator.generation == generation
        assert not [r for r in kafka.requests if r.api_name == "LeaveGroup"]


@virtual
async def test_static_leader_returns_without_a_rebalance():
    async with group(partitions=4) as (kafka, make):
        one = await make(group_instance_id="one").start("t")
        await one.joined()
        two = await make(group_instance_id="two").start("t")
        await settled(one, two)
        leader, other = (one, two) if one.coordinator._is_leader else (two, one)
        generation, had = one.coordinator.generation, leader.partitions
        await leader.close()
        again = await make(group_instance_id=leader.coordinator._group_instance_id).start("t")
        await again.joined()
        assert (again.coordinator.generation, again.partitions) == (generation, had)
        assert again.coordinator._is_leader
        # It has not assigned, but it watches.
        kafka.add_partitions("t", 6)
        again.client.force_metadata_update()
        await until(lambda: shared_out([again, other], tps("t", *range(6))))


@virtual
async def test_second_member_of_the_same_instance_fences_the_first():
    async with group() as (_, make):
        one = await make(group_instance_id="same").start("t")
        await one.joined()
        two = await make(group_instance_id="same").start("t")
        await two.joined()
        await until(lambda: one.coordinator.facts().state.name == "FAILED")
        with pytest.raises(Exception, match="group_instance_id='same'") as caught:
            one.coordinator.check_errors()
        assert type(caught.value).__name__ == "FencedInstanceIdError"
        await asyncio.sleep(20)
        assert two.stable


@virtual
async def test_static_member_on_an_old_broker():
    async with group(cluster={"release": "2.0"}) as (_, make):
        member = await make(group_instance_id="x").start("t")
        await until(lambda: member.coordinator.facts().state.name == "FAILED")
        with pytest.raises(Exception, match=r"group_instance_id='x' needs Kafka 2\.3"):
            member.coordinator.check_errors()


@pytest.mark.parametrize("release", ["0.11", "2.0", "2.8", "4.0", "4.1", "4.3"])
@virtual
async def test_releases(release):
    async with group(cluster={"release": release}, partitions=4) as (_, make):
        one = await make().start("t")
        two = await make().start("t")
        await settled(one, two)
        assert shared_out([one, two], tps("t", 0, 1, 2, 3))
        one.read(5)
        await one.coordinator.commit_offsets(
            one.subscription.assignment, one.subscription.assignment.consumed()
        )
        found = await two.coordinator.fetch_committed_offsets(sorted(tps("t", 0, 1, 2, 3)))
        assert set(found) == one.partitions
        await one.close()
        await until(lambda: two.partitions == tps("t", 0, 1, 2, 3))


@virtual
async def test_rack_owned_partitions_and_generation_are_in_the_subscription():
    async with group(partitions=2) as (kafka, make):
        settings = {"assignors": [CooperativeStickyPartitionAssignor], "client_rack": "r1"}
        member = await (await make(**settings).start("t")).joined()

        def subscription() -> MemberSubscription:
            return MemberSubscription.decode(
                kafka.group("g").members[member.coordinator.member_id].subscription
            )

        assert subscription().rack_id == "r1"
        assert subscription().owned_partitions == []
        member.coordinator.request_rejoin("to say it")
        await until(lambda: member.coordinator.generation == 2)
        assert set(subscription().owned_partitions) == tps("t", 0, 1)
        assert subscription().generation_id == 1
        assert kafka.group("g").members[member.coordinator.member_id].reason == "to say it"


@virtual
async def test_assignor_of_other_making():
    """Duck-typed, as those of other packages: no newer hooks, bytes instead of structs."""

    class Other:
        name = "other"

        @classmethod
        def metadata(cls, topics):
            return RoundRobinPartitionAssignor.metadata(topics).encode()

        @classmethod
        def assign(cls, cluster, members):
            found = RoundRobinPartitionAssignor.assign(cluster, members)
            return {name: assignment.encode() for name, assignment in found.items()}

        @classmethod
        def on_assignment(cls, assignment):
            heard.append(assignment.partitions())

    heard = []
    async with group(partitions=4) as (_, make):
        one, two = make(assignors=[Other]), make(assignors=[Other])
        await one.start("t")
        await two.start("t")
        await until(lambda: shared_out([one, two], tps("t", 0, 1, 2, 3)))
        assert sorted(heard[-1]) in (sorted(one.partitions), sorted(two.partitions))


@virtual
async def test_assignor_that_crashes_is_told():
    class Broken(RoundRobinPartitionAssignor):
        @classmethod
        def assign(cls, cluster, members):
            raise ZeroDivisionError("in the assignor")

    async with group() as (kafka, make):
        member = await make(assignors=[Broken]).start("t")
        with pytest.raises(KafkaError, match="'roundrobin' could not assign") as caught:
            await member.subscription.wait_for_assignment()
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        await until(lambda: not kafka.group("g").members)


@pytest.mark.parametrize("assignor", ASSIGNORS, ids=lambda a: a.name)
@virtual
async def test_group_that_moves_from_one_assignor_to_the_other(assignor):
    """A rolling bounce (KIP-429): first both, then the new one only."""
    old, both, new = (
        [RangePartitionAssignor],
        [assignor, RangePartitionAssignor],
        [assignor],
    )
    async with group(partitions=6) as (kafka, make):
        members = [await make(assignors=old).start("t") for _ in range(2)]
        await settled(*members)
        for assignors in (both, new):
            for _ in range(2):
                await members.pop(0).close()
                members.append(await make(assignors=assignors).start("t"))
                await until(lambda: shared_out(members, tps("t", *range(6))))
                await settled(*members)
        assert kafka.group("g").protocol == assignor.name
