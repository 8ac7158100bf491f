"""What is true of sticky and cooperative assignments whatever the group and its history."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import MemberSubscription, by_topic
from aiokafka.structs import TopicPartition

from .groups import (
    Group,
    Owners,
    cluster,
    equal_groups,
    groups,
    is_balanced,
    owners,
    subscribed_to,
)

ASSIGNORS: list[Any] = [StickyPartitionAssignor, CooperativeStickyPartitionAssignor]
both = pytest.mark.parametrize("assignor", ASSIGNORS)


def join(
    assignor: Any, member: MemberSubscription, held: set[TopicPartition], generation: int
) -> MemberSubscription:
    """The member's subscription when it holds these partitions."""
    if assignor is StickyPartitionAssignor:
        metadata = assignor._metadata(member.subscription, sorted(held), generation)
        made = MemberSubscription(metadata.subscription, metadata.user_data)
    else:
        made = assignor.subscription(
            member.subscription, owned=sorted(held), generation=generation
        )
    made.rack_id = member.rack_id
    return made


def rebalance(assignor: Any, group: Group, held: Owners, generation: int = 1) -> Owners:
    """Assignments of the group until nobody has to give up anything any more."""
    for _ in range(3):
        members = {
            member_id: join(assignor, member, held.get(member_id, set()), generation)
            for member_id, member in group.members.items()
        }
        assignment = owners(assignor.assign(group.cluster, members))
        gives_up = any(held.get(m, set()) - assignment[m] for m in group.members)
        if assignor is StickyPartitionAssignor or not gives_up:
            return assignment
        held, generation = assignment, generation + 1
    raise AssertionError("the group does not come to rest")


def check(group: Group, assignment: Owners) -> None:
    """Everything has one owner, who wants it, and nobody has much less than another."""
    everything = [partition for share in assignment.values() for partition in share]
    assert len(everything) == len(set(everything))
    assert set(everything) == subscribed_to(group)
    for member_id, share in assignment.items():
        assert {topic for topic, _ in share} <= set(group.members[member_id].subscription)
    assert is_balanced(group.members, assignment)


def moves(before: Owners, after: Owners) -> int:
    """How many partitions were taken from members that are still there."""
    return sum(len(before.get(member_id, set()) - share) for member_id, share in after.items())


def without(group: Group, member_id: str) -> Group:
    return Group(group.cluster, {m: s for m, s in group.members.items() if m != member_id})


@both
@given(group=groups())
def test_fresh(assignor, group):
    check(group, rebalance(assignor, group, {}))


@both
@given(group=groups(with_racks=False))
def test_nothing_moves_without_a_reason(assignor, group):
    first = rebalance(assignor, group, {})
    assert rebalance(assignor, group, first) == first


@both
@given(group=groups(with_racks=True))
def test_racks_come_to_rest(assignor, group):
    """Each rebalance may bring partitions nearer to their members, but not for ever."""
    assignment = rebalance(assignor, group, {})
    for _ in range(5):
        before, assignment = assignment, rebalance(assignor, group, assignment)
        check(group, assignment)
        if before == assignment:
            return
    raise AssertionError("partitions go round in circles")


@both
@given(group=equal_groups(with_racks=False))
def test_a_member_leaves_and_only_its_partitions_move(assignor, group):
    before = rebalance(assignor, group, {})
    rest = without(group, "m0")
    after = rebalance(assignor, rest, before)
    check(rest, after)
    assert moves(before, after) == 0


@both
@given(group=equal_groups(with_racks=False))
def test_a_member_joins_and_takes_no_more_than_its_share(assignor, group):
    before = rebalance(assignor, without(group, "m0"), {})
    after = rebalance(assignor, group, before)
    check(group, after)
    if len(group.members) > 1:
        assert moves(before, after) == len(after["m0"])
        assert len(after["m0"]) == len(subscribed_to(group)) // len(group.members)


@both
@given(group=equal_groups(with_racks=False), data=st.data())
def test_as_few_moves_as_there_can_be(assignor, group, data):
    """From any distribution, however uneven."""
    partitions = sorted(subscribed_to(group))
    members = sorted(group.members)
    before: Owners = {member_id: set() for member_id in members}
    for partition in partitions:
        before[data.draw(st.sampled_from(members))].add(partition)
    after = rebalance(assignor, group, before)
    check(group, after)
    fair, more = divmod(len(partitions), len(members))
    too_many = sorted((len(share) - fair for share in before.values()), reverse=True)
    needed = sum(max(0, size - (place < more)) for place, size in enumerate(too_many))
    assert moves(before, after) == needed


@both
@given(group=groups(), data=st.data())
def test_any_history(assignor, group, data):
    """Members come and go and change their subscriptions; some miss a generation."""
    present = data.draw(st.sets(st.sampled_from(sorted(group.members)), min_size=1))
    held: Owners = {}
    old: Owners = {}
    for generation in range(1, 4):
        now = Group(group.cluster, {m: group.members[m] for m in sorted(present)})
        members = {}
        for member_id, member in now.members.items():
            is_late = data.draw(st.booleans()) and generation > 1
            claim = (old if is_late else held).get(member_id, set())
            members[member_id] = join(assignor, member, claim, generation - is_late)
        before = copy.deepcopy(members)
        assignment = owners(assignor.assign(group.cluster, members))
        assert members == before, "subscriptions are not touched"
        if assignor is StickyPartitionAssignor:
            check(now, assignment)
        old, held = held, assignment
        present = data.draw(st.sets(st.sampled_from(sorted(group.members)), min_size=1))


@both
@given(group=groups(), data=st.data())
def test_any_claims(assignor, group, data):
    """Claims need not be consistent: members may be broken, or not of this package."""
    claims = claimed(data, group)
    members = {
        member_id: join(assignor, member, *claims[member_id])
        for member_id, member in group.members.items()
    }
    assignment = owners(assignor.assign(group.cluster, members))
    if assignor is StickyPartitionAssignor:
        check(group, assignment)
    shuffled = {m: members[m] for m in data.draw(st.permutations(sorted(members)))}
    assert owners(assignor.assign(group.cluster, shuffled)) == assignment, "all leaders agree"


def claimed(data: Any, group: Group) -> dict[str, tuple[set[TopicPartition], int]]:
    strange = [TopicPartition("t0", 99), TopicPartition("x", 0)]
    partitions = sorted(subscribed_to(group)) + strange
    some = st.tuples(st.sets(st.sampled_from(partitions), max_size=12), st.integers(-1, 3))
    return {member_id: data.draw(some) for member_id in group.members}


@given(group=groups(), data=st.data())
def test_nothing_is_given_away_that_another_owns(group, data):
    """Save that a rightful owner keeps what a member claims from an older generation."""
    claims = claimed(data, group)
    members = {
        member_id: join(CooperativeStickyPartitionAssignor, member, *claims[member_id])
        for member_id, member in group.members.items()
    }
    assignment = owners(CooperativeStickyPartitionAssignor.assign(group.cluster, members))
    for member_id, share in assignment.items():
        mine, generation = claims[member_id]
        for other, (theirs, their_generation) in claims.items():
            for partition in share & theirs if other != member_id else ():
                assert partition in mine
                assert their_generation < generation or (
                    partition.topic not in group.members[other].subscription
                )
    assert sum(map(len, assignment.values())) == len(set().union(*assignment.values()))


@given(group=groups(), data=st.data())
def test_cooperative_groups_come_to_rest(group, data):
    """Whatever was claimed at first, members that do as they are told end with everything."""
    claims = claimed(data, group)
    members = {
        member_id: join(CooperativeStickyPartitionAssignor, member, *claims[member_id])
        for member_id, member in group.members.items()
    }
    first = owners(CooperativeStickyPartitionAssignor.assign(group.cluster, members))
    check(group, rebalance(CooperativeStickyPartitionAssignor, group, first, 4))


@both
def test_a_large_group(assignor):
    """200 members and 1000 partitions take some ten milliseconds."""
    topics = [f"t{index}" for index in range(10)]
    made = cluster(dict.fromkeys(topics, 100))
    members = {f"m{index:03}": MemberSubscription(topics) for index in range(200)}
    group = Group(made, members)
    before = rebalance(assignor, without(group, "m007"), {})
    after = rebalance(assignor, group, before)
    assert {len(share) for share in after.values()} == {5}
    assert moves(before, after) == 5
    assert sum(len(numbers) for numbers in by_topic(after["m007"]).values()) == 5
