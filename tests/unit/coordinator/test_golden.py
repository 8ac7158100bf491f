"""The assignors beside those of Kafka's Java client, which were given the same groups.

``GoldenAssignments.java`` made ``golden_assignments.json``.  Range and round-robin must be the
same.  Sticky assignments are the same where the rules leave no choice, and otherwise as even and
with as few moves.
"""

from __future__ import annotations

import base64

import pytest

from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyAssignorUserDataV1,
    StickyPartitionAssignor,
)

from .groups import Golden, Owners, golden, is_balanced, owners

CASES = range(len(golden()))
sticky = pytest.mark.parametrize(
    "assignor", [StickyPartitionAssignor, CooperativeStickyPartitionAssignor]
)


def assign(assignor, group: Golden) -> Owners:
    return owners(assignor.assign(group.cluster, group.subscriptions(assignor.name)))


def is_equal(group: Golden) -> bool:
    return len({tuple(member["topics"]) for member in group.members.values()}) == 1


def moves(group: Golden, assignment: Owners) -> int:
    return sum(len(held - assignment[member]) for member, held in group.owned().items())


def sizes(assignment: Owners) -> list[int]:
    return sorted(map(len, assignment.values()))


def test_the_groups_are_of_all_kinds():
    kinds = {(is_equal(group), group.has_racks, any(group.owned().values())) for group in golden()}
    assert len(kinds) == 8
    assert any(member["instance"] for group in golden() for member in group.members.values())
    assert {m["generation"] for g in golden() for m in g.members.values()} == {-1, 6, 7}


@pytest.mark.parametrize("assignor", [RangePartitionAssignor, RoundRobinPartitionAssignor])
@pytest.mark.parametrize("case", CASES)
def test_the_same_as_java(case, assignor):
    group = golden()[case]
    assert assign(assignor, group) == group.answers[assignor.name]


@sticky
def test_the_same_when_nobody_holds_anything(assignor):
    groups = [
        group
        for group in golden()
        if is_equal(group) and not group.has_racks and not any(group.owned().values())
    ]
    assert len(groups) > 10
    for group in groups:
        assert assign(assignor, group) == group.answers[assignor.name]


@pytest.mark.parametrize("case", CASES)
def test_as_even_and_as_sticky(case):
    group = golden()[case]
    ours = assign(StickyPartitionAssignor, group)
    theirs = group.answers["sticky"]
    members = group.subscriptions("sticky")
    assert set().union(*ours.values()) == set().union(*theirs.values())
    assert is_balanced(members, ours)
    assert is_balanced(members, theirs), "the measure is Java's too"
    if is_equal(group):
        assert sizes(ours) == sizes(theirs)
        if not group.has_racks:
            assert moves(group, ours) <= moves(group, theirs)


@sticky
def test_no_more_moves_on_the_whole(assignor):
    for has_racks in (False, True):
        groups = [group for group in golden() if group.has_racks is has_racks]
        ours = sum(moves(group, assign(assignor, group)) for group in groups)
        theirs = sum(moves(group, group.answers[assignor.name]) for group in groups)
        assert ours <= theirs


@pytest.mark.parametrize("case", CASES)
def test_cooperative_gives_nothing_away_too_early(case):
    group = golden()[case]
    ours = assign(CooperativeStickyPartitionAssignor, group)
    held = group.owned()
    generations = {member_id: fields["generation"] for member_id, fields in group.members.items()}
    for member_id, share in ours.items():
        for other, theirs in held.items():
            if other != member_id and share & theirs:
                assert share & theirs <= held[member_id]
                assert generations[other] < generations[member_id]


@pytest.mark.parametrize("case", CASES)
def test_user_data(case):
    """What Java's assignors wrote is read, and written the same."""
    for fields in golden()[case].members.values():
        if fields["sticky"] is not None:
            raw = base64.b64decode(fields["sticky"])
            user_data = StickyAssignorUserDataV1.decode(raw)
            assert user_data.encode() == raw
            assert user_data.generation == fields["generation"]
            held = {f"{t}-{n}" for t, numbers in user_data.previous_assignment for n in numbers}
            assert held == set(fields["owned"])
        made = CooperativeStickyPartitionAssignor.subscription(
            fields["topics"], generation=fields["generation"]
        )
        assert made.user_data == base64.b64decode(fields["cooperative-sticky"])
