"""The sticky assignor: its state, its user data, and groups of which the outcome is clear."""

from __future__ import annotations

import struct

import pytest

from aiokafka.coordinator.assignors import instances
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyAssignmentExecutor,
    StickyAssignorMemberMetadataV1,
    StickyAssignorUserDataV1,
    StickyPartitionAssignor,
)
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
    MemberSubscription,
)
from aiokafka.structs import TopicPartition

from .groups import cluster, is_balanced, owners


@pytest.fixture(autouse=True)
def state_of_the_class():
    yield
    StickyPartitionAssignor.member_assignment = None
    StickyPartitionAssignor.generation = StickyPartitionAssignor.DEFAULT_GENERATION_ID
    StickyPartitionAssignor._latest_partition_movements = None


def tps(topic, *numbers):
    return [TopicPartition(topic, number) for number in numbers]


def assign(topics, **members):
    """Each member is its topics, what it holds, and from which generation (default 1)."""
    group = {}
    for member_id, (subscription, held, *rest) in members.items():
        group[member_id] = StickyPartitionAssignor._metadata(
            subscription, held, rest[0] if rest else 1
        )
    assignment = StickyPartitionAssignor.assign(cluster(topics), group)
    assert is_balanced(group, owners(assignment))
    assert StickyPartitionAssignor._latest_partition_movements.are_sticky()
    return {member_id: assigned.assignment for member_id, assigned in assignment.items()}


# --- assignments ---------------------------------------------------------------------------------


def test_one_by_one_when_nobody_holds_anything():
    everything = {"t1", "t2"}
    assert assign({"t1": 3, "t2": 3}, C1=(everything, None), C2=(everything, None)) == {
        "C1": [("t1", [0, 2]), ("t2", [1])],
        "C2": [("t1", [1]), ("t2", [0, 2])],
    }


def test_topics_of_few_members_are_shared_out_first():
    assert assign(
        {"t1": 3, "t2": 2}, C1=({"t1"}, None), C2=({"t1", "t2"}, None), C3=({"t1"}, None)
    ) == {"C1": [("t1", [0, 2])], "C2": [("t2", [0, 1])], "C3": [("t1", [1])]}


def test_a_member_joins():
    assert assign({"t": 3}, C1=(["t"], tps("t", 0, 1, 2)), C2=(["t"], None)) == {
        "C1": [("t", [0, 1])],
        "C2": [("t", [2])],
    }


def test_a_member_leaves():
    assert assign({"t": 6}, C1=(["t"], tps("t", 0, 3)), C3=(["t"], tps("t", 2, 5))) == {
        "C1": [("t", [0, 1, 3])],
        "C3": [("t", [2, 4, 5])],
    }


def test_a_topic_is_added_and_one_removed():
    first = {"C1": [("t1", [0, 2])], "C2": [("t1", [1])]}
    assert assign({"t1": 3}, C1=(["t1"], None), C2=(["t1"], None)) == first
    both = ["t1", "t2"]
    second = {"C1": [("t1", [0, 2]), ("t2", [1])], "C2": [("t1", [1]), ("t2", [0, 2])]}
    held_1, held_2 = tps("t1", 0, 2), tps("t1", 1)
    assert assign({"t1": 3, "t2": 3}, C1=(both, held_1), C2=(both, held_2)) == second
    held_1 += tps("t2", 1)
    held_2 += tps("t2", 0, 2)
    assert assign({"t2": 3}, C1=(["t2"], held_1), C2=(["t2"], held_2)) == {
        "C1": [("t2", [1])],
        "C2": [("t2", [0, 2])],
    }


def test_more_members_than_partitions():
    assert assign({"t": 1}, C1=(["t"], None), C2=(["t"], tps("t", 0)), C3=(["t"], None)) == {
        "C1": [],
        "C2": [("t", [0])],
        "C3": [],
    }


def test_nothing_to_assign():
    assert assign({}) == {}
    assert assign({}, C1=(["gone"], tps("gone", 0))) == {"C1": []}
    assert assign({"t": 1}, C1=([], None)) == {"C1": []}


def test_partitions_that_are_no_longer_there_or_wanted():
    held = [*tps("t", 0, 5), *tps("u", 0), *tps("gone", 1)]
    assert assign({"t": 2, "u": 1}, C1=(["t"], held), C2=(["u"], None)) == {
        "C1": [("t", [0, 1])],
        "C2": [("u", [0])],
    }


def test_the_newest_generation_is_right():
    """C3 has missed generation 2, in which C1 and C2 took over what it had."""
    assert assign(
        {"t": 6},
        C1=(["t"], tps("t", 0, 3, 2), 2),
        C2=(["t"], tps("t", 1, 4, 5), 2),
        C3=(["t"], tps("t", 2, 5), 1),
    ) == {"C1": [("t", [0, 3])], "C2": [("t", [1, 4])], "C3": [("t", [2, 5])]}


def test_partitions_go_back_to_whom_they_were_taken_from():
    """C1 and C3 were away while C2 had everything (KIP-341)."""
    assert assign(
        {"t": 6},
        C1=(["t"], tps("t", 0, 3), 1),
        C2=(["t"], tps("t", 0, 1, 2, 3, 4, 5), 2),
        C3=(["t"], tps("t", 2, 5), 1),
    ) == {"C1": [("t", [0, 3])], "C2": [("t", [1, 4])], "C3": [("t", [2, 5])]}


def test_two_who_claim_the_same():
    assert assign({"t": 2}, C1=(["t"], tps("t", 0, 1)), C2=(["t"], tps("t", 0, 1))) == {
        "C1": [("t", [0])],
        "C2": [("t", [1])],
    }


def test_only_what_balance_needs_is_moved():
    """C1 can have t1 only, C2 has partitions of both: those of t1 are the ones to give."""
    assignment = assign(
        {"t1": 4, "t2": 2},
        C1=(["t1"], None),
        C2=(["t1", "t2"], [*tps("t1", 0, 1, 2, 3), *tps("t2", 0, 1)]),
    )
    assert assignment == {"C1": [("t1", [1, 2, 3])], "C2": [("t1", [0]), ("t2", [0, 1])]}


def test_racks():
    racks = {0: "x", 1: "y"}
    held = tps("t", 0, 1, 2, 3)
    group = {
        "C1": MemberSubscription(["t"], None, rack_id="y"),
        "C2": MemberSubscription(["t"], None, rack_id="x"),
    }
    topic = {"t": [[0], [1], [0], [1]]}
    expected = {"C1": {*tps("t", 1, 3)}, "C2": {*tps("t", 0, 2)}}
    assert owners(StickyPartitionAssignor.assign(cluster(topic, racks), group)) == expected
    group["C1"].user_data = StickyPartitionAssignor._metadata(["t"], held, 1).user_data
    assert owners(StickyPartitionAssignor.assign(cluster(topic, racks), group)) == expected
    # Without racks at the brokers it takes what is last.
    assert owners(StickyPartitionAssignor.assign(cluster(topic), group))["C2"] == {*tps("t", 2, 3)}


def test_a_member_far_from_everything_keeps_what_nobody_has_room_for():
    racks = {0: "x", 1: "y"}
    group = {
        member_id: MemberSubscription(
            ["t"], StickyPartitionAssignor._metadata(["t"], held, 1).user_data, rack_id=rack
        )
        for member_id, rack, held in [("C1", "z", tps("t", 1, 2)), ("C2", "x", tps("t", 0, 3))]
    }
    made = cluster({"t": [[0], [0], [1], [0]]}, racks)
    assert owners(StickyPartitionAssignor.assign(made, group)) == {
        "C1": {*tps("t", 1, 2)},
        "C2": {*tps("t", 0, 3)},
    }


# --- user data -----------------------------------------------------------------------------------


def test_user_data_is_javas():
    metadata = StickyPartitionAssignor._metadata({"a"}, tps("a", 2, 0), 7)
    assert metadata.version == 0
    assert metadata.subscription == ["a"]
    assert metadata.user_data == (b"\0\0\0\x01\0\x01a\0\0\0\x02\0\0\0\x02\0\0\0\0\0\0\0\x07")
    assert StickyAssignorUserDataV1.decode(metadata.user_data) == StickyAssignorUserDataV1(
        [("a", [2, 0])], 7
    )
    parsed = StickyPartitionAssignor.parse_member_metadata(metadata)
    assert parsed == StickyAssignorMemberMetadataV1(["a"], tps("a", 2, 0), 7)


def test_user_data_without_a_generation():
    """As Java's assignor wrote it before KIP-341."""
    old = ConsumerProtocolMemberMetadata(0, ["a"], b"\0\0\0\x01\0\x01a\0\0\0\x01\0\0\0\x05")
    parsed = StickyPartitionAssignor.parse_member_metadata(old)
    assert parsed == StickyAssignorMemberMetadataV1(["a"], tps("a", 5), -1)


@pytest.mark.parametrize("user_data", [b"", None])
def test_no_user_data(user_data):
    metadata = ConsumerProtocolMemberMetadata(0, ["a"], user_data)
    parsed = StickyPartitionAssignor.parse_member_metadata(metadata)
    assert parsed == StickyAssignorMemberMetadataV1(["a"], [], -1)


@pytest.mark.parametrize(
    "user_data", [b"\0", b"\xff\xff\xff\xff", struct.pack(">i", 2**31 - 1), b"\0\0\0\x01\0\x09abc"]
)
def test_user_data_of_a_broken_member(user_data, caplog):
    metadata = ConsumerProtocolMemberMetadata(0, ["t"], user_data)
    assignment = StickyPartitionAssignor.assign(cluster({"t": 1}), {"C1": metadata})
    assert assignment["C1"].assignment == [("t", [0])]
    (record,) = caplog.records
    assert record.name == "aiokafka.coordinator.assignors.sticky.sticky_assignor"
    assert "Ignoring what a member" in record.getMessage()


# --- state ---------------------------------------------------------------------------------------

ASSIGNMENT = ConsumerProtocolMemberAssignment(0, [("a", [1, 2])], b"")


def check_state(assignor):
    assert assignor.metadata(["a"]) == ConsumerProtocolMemberMetadata(0, ["a"], b"")
    assignor.on_assignment(ASSIGNMENT)
    assignor.on_generation_assignment(4)
    assert assignor.member_assignment == tps("a", 1, 2)
    assert assignor.generation == 4
    expected = StickyPartitionAssignor._metadata(["a"], tps("a", 1, 2), 4)
    assert assignor.metadata(["a"]) == expected
    assert assignor.subscription(["a"], generation=4, rack_id="r") == MemberSubscription(
        ["a"], expected.user_data, [], 4, "r"
    )


def test_the_class_has_the_state_when_it_is_used():
    check_state(StickyPartitionAssignor)
    StickyPartitionAssignor.member_assignment = None
    assert StickyPartitionAssignor.metadata(["a"]).user_data == b""


def test_instances_have_their_own():
    StickyPartitionAssignor.on_assignment(ASSIGNMENT)
    StickyPartitionAssignor.on_generation_assignment(9)
    one, other = StickyPartitionAssignor(), StickyPartitionAssignor()
    check_state(one)
    assert (other.member_assignment, other.generation) == (None, -1)
    check_state(other)
    one.assign(cluster({"t": 1}), {})
    assert one._latest_partition_movements is not None
    assert other._latest_partition_movements is None
    assert StickyPartitionAssignor._latest_partition_movements is None
    assert StickyPartitionAssignor.generation == 9


def test_one_instance_for_each_consumer():
    class Custom:
        name = "custom"

    custom = Custom()
    shared = StickyPartitionAssignor()
    strategies = (StickyPartitionAssignor, RoundRobinPartitionAssignor, Custom, custom, shared)
    first, second = instances(strategies), instances(strategies)
    assert first[1:] == second[1:] == [RoundRobinPartitionAssignor, Custom, custom, shared]
    assert isinstance(first[0], StickyPartitionAssignor)
    assert isinstance(second[0], StickyPartitionAssignor)
    assert first[0] is not second[0]


def test_the_executor_step_by_step():
    members = {
        "C1": StickyAssignorMemberMetadataV1(["t"], tps("t", 0, 1, 2, 3), 1),
        "C2": StickyAssignorMemberMetadataV1(["t"], [], -1),
    }
    executor = StickyAssignmentExecutor(cluster({"t": 4}), members)
    executor.perform_initial_assignment()
    assert executor.get_final_assignment("C1") == [("t", [0, 1, 2, 3])]
    assert executor.get_final_assignment("C2") == []
    executor.balance()
    assert executor.get_final_assignment("C1") == [("t", [0, 1])]
    assert executor.get_final_assignment("C2") == [("t", [2, 3])]
    assert executor.partition_movements.are_sticky()
