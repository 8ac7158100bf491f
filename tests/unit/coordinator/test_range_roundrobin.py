"""Range and round-robin: the examples of their documentation, and what is always true of them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
    MemberSubscription,
)
from aiokafka.structs import TopicPartition

from .groups import cluster, equal_groups, groups, owners, subscribed_to

ASSIGNORS = [RangePartitionAssignor, RoundRobinPartitionAssignor]


def assigned(*rows):
    return ConsumerProtocolMemberAssignment(0, list(rows), b"")


def members(assignor, **subscriptions):
    return {member_id: assignor.metadata(topics) for member_id, topics in subscriptions.items()}


def test_range():
    group = members(RangePartitionAssignor, C0={"t0", "t1"}, C1={"t0", "t1"})
    assert RangePartitionAssignor.assign(cluster({"t0": 3, "t1": 3}), group) == {
        "C0": assigned(("t0", [0, 1]), ("t1", [0, 1])),
        "C1": assigned(("t0", [2]), ("t1", [2])),
    }


def test_roundrobin():
    group = members(RoundRobinPartitionAssignor, C0={"t0", "t1"}, C1={"t0", "t1"})
    assert RoundRobinPartitionAssignor.assign(cluster({"t0": 3, "t1": 3}), group) == {
        "C0": assigned(("t0", [0, 2]), ("t1", [1])),
        "C1": assigned(("t0", [1]), ("t1", [0, 2])),
    }


def test_roundrobin_passes_over_who_is_not_subscribed():
    group = members(RoundRobinPartitionAssignor, C0=["t0"], C1=["t0", "t1"], C2=["t0", "t1", "t2"])
    assert RoundRobinPartitionAssignor.assign(cluster({"t0": 1, "t1": 2, "t2": 3}), group) == {
        "C0": assigned(("t0", [0])),
        "C1": assigned(("t1", [0])),
        "C2": assigned(("t1", [1]), ("t2", [0, 1, 2])),
    }


@pytest.mark.parametrize("assignor", ASSIGNORS)
def test_metadata(assignor):
    assert assignor.metadata(["a"]) == ConsumerProtocolMemberMetadata(0, ["a"], b"")
    assert assignor.on_assignment(assigned()) is None
    owned = [TopicPartition("a", 1)]
    expected = MemberSubscription(["a"], b"", owned, 5, "r")
    assert assignor.subscription(["a"], owned=owned, generation=5, rack_id="r") == expected
    assert assignor.protocols == ("eager",)


@pytest.mark.parametrize("assignor", ASSIGNORS)
def test_user_data_of_a_subclass_is_in_its_subscription(assignor):
    class Custom(assignor):  # type: ignore[valid-type]
        def metadata(self, topics):
            return ConsumerProtocolMemberMetadata(0, topics, b"custom")

    assert Custom().subscription(["a"]).user_data == b"custom"


@pytest.mark.parametrize("assignor", ASSIGNORS)
def test_static_members_come_first(assignor):
    """By instance id, which outlives the member id that a restart changes (KIP-345)."""
    group = {
        member_id: MemberSubscription(["t"], group_instance_id=instance_id)
        for member_id, instance_id in [("a", None), ("b", "2"), ("c", "1"), ("0", None)]
    }
    assignment = assignor.assign(cluster({"t": 4}), group)
    order = sorted(group, key=lambda member_id: assignment[member_id].partitions())
    assert order == ["c", "b", "0", "a"]


@pytest.mark.parametrize("assignor", ASSIGNORS)
def test_unknown_topics_are_assigned_to_nobody(assignor, caplog):
    group = members(assignor, C0=["gone", "t"])
    assert assignor.assign(cluster({"t": 1}), group) == {"C0": assigned(("t", [0]))}
    assert [record.getMessage() for record in caplog.records] == [
        "No partitions of topic gone are known: it is assigned to nobody"
    ]
    assert caplog.records[0].name == assignor.__module__
    assert assignor.assign(ClusterMetadata(), {}) == {}
    assert assignor.assign(ClusterMetadata(), group) == {"C0": assigned()}


@pytest.mark.parametrize("assignor", ASSIGNORS)
@given(group=groups())
def test_everything_is_assigned_once(assignor, group):
    assignment = owners(assignor.assign(group.cluster, group.members))
    counts = Counter(partition for share in assignment.values() for partition in share)
    assert counts == Counter(subscribed_to(group))
    for member_id, share in assignment.items():
        assert {topic for topic, _ in share} <= set(group.members[member_id].subscription)


@given(group=equal_groups())
def test_roundrobin_is_even(group):
    assignment = owners(RoundRobinPartitionAssignor.assign(group.cluster, group.members))
    sizes = [len(share) for share in assignment.values()]
    assert max(sizes) - min(sizes) <= 1


@given(group=groups())
def test_range_is_even_in_each_topic(group):
    """By rack or not."""
    assignment = owners(RangePartitionAssignor.assign(group.cluster, group.members))
    for name in {topic for topic, _ in subscribed_to(group)}:
        sizes = [
            sum(topic == name for topic, _ in assignment[member_id])
            for member_id, member in group.members.items()
            if name in member.subscription
        ]
        assert max(sizes) - min(sizes) <= 1


@given(group=equal_groups())
def test_range_keeps_equal_topics_together(group):
    assignment = owners(RangePartitionAssignor.assign(group.cluster, group.members))
    by_count: dict[int, list[str]] = {}
    for topic in group.cluster.topics():
        by_count.setdefault(group.cluster.partition_count(topic), []).append(topic)
    for share in assignment.values():
        for topics in by_count.values():
            numbers = [{n for topic, n in share if topic == name} for name in topics]
            assert all(each == numbers[0] for each in numbers)


def test_range_by_rack():
    racks = {0: "x", 1: "y", 2: "z"}
    group = {
        member_id: MemberSubscription(["t"], rack_id=rack)
        for member_id, rack in [("a", "z"), ("b", "y"), ("c", "x")]
    }
    replicas = [[0], [1], [2], [0], [1], [2]]
    assignment = owners(RangePartitionAssignor.assign(cluster({"t": replicas}, racks), group))
    assert assignment == {"a": {("t", 2), ("t", 5)}, "b": {("t", 1), ("t", 4)},
                          "c": {("t", 0), ("t", 3)}}  # fmt: skip
    # When the replicas are everywhere, neighbours are kept together.
    everywhere = [[0, 1, 2]] * 6
    assignment = owners(RangePartitionAssignor.assign(cluster({"t": everywhere}, racks), group))
    assert assignment["a"] == {("t", 0), ("t", 1)}


def test_brokers_that_are_gone_have_no_rack():
    group = {"a": MemberSubscription(["t"], rack_id="x"), "b": MemberSubscription(["t"])}
    made = cluster({"t": [[0], [9]]}, {0: "x"})
    assert owners(RangePartitionAssignor.assign(made, group)) == {"a": {("t", 0)}, "b": {("t", 1)}}
