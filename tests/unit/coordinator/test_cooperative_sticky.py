"""The cooperative sticky assignor: ownership on the wire, and moves in two phases."""

from __future__ import annotations

import struct

import pytest

from aiokafka.coordinator.assignors import instances
from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
    MemberSubscription,
)
from aiokafka.structs import TopicPartition

from .groups import cluster, owners


@pytest.fixture
def assignor():
    return CooperativeStickyPartitionAssignor()


def tps(topic, *numbers):
    return [TopicPartition(topic, number) for number in numbers]


def test_what_it_is(assignor):
    assert assignor.name == "cooperative-sticky"
    assert assignor.protocols == ("cooperative", "eager")
    made = instances([CooperativeStickyPartitionAssignor])
    assert made != instances([CooperativeStickyPartitionAssignor])
    assert isinstance(made[0], CooperativeStickyPartitionAssignor)


def test_subscription(assignor):
    made = assignor.subscription(["t"], owned=tps("t", 1), generation=5, rack_id="r")
    assert made == MemberSubscription(["t"], struct.pack(">i", 5), tps("t", 1), 5, "r")
    assert assignor.subscription(["t"]).user_data == b"\xff\xff\xff\xff"


def test_metadata_claims_the_last_assignment(assignor):
    assert assignor.metadata(["t"]).owned_partitions == []
    assignor.on_assignment(ConsumerProtocolMemberAssignment(0, [("t", [1])], b""))
    assignor.on_generation_assignment(5)
    expected = assignor.subscription(["t"], owned=tps("t", 1), generation=5)
    assert assignor.metadata(["t"]) == expected
    assert CooperativeStickyPartitionAssignor.member_assignment is None
    assert CooperativeStickyPartitionAssignor.metadata(["t"]).owned_partitions == []


def test_two_phases(assignor):
    made = cluster({"t": 4})
    first = {
        "C1": assignor.subscription(["t"], owned=tps("t", 0, 1, 2, 3), generation=1),
        "C2": assignor.subscription(["t"]),
    }
    assert owners(assignor.assign(made, first)) == {"C1": {*tps("t", 0, 1)}, "C2": set()}
    second = {
        "C1": assignor.subscription(["t"], owned=tps("t", 0, 1), generation=2),
        "C2": assignor.subscription(["t"], generation=2),
    }
    assert owners(assignor.assign(made, second)) == {
        "C1": {*tps("t", 0, 1)},
        "C2": {*tps("t", 2, 3)},
    }


def test_a_member_that_missed_a_rebalance_gives_up(assignor):
    group = {
        "C1": assignor.subscription(["t"], owned=tps("t", 0), generation=6),
        "C2": assignor.subscription(["t"], owned=tps("t", 0, 1), generation=5),
    }
    assert owners(assignor.assign(cluster({"t": 2}), group)) == {
        "C1": {*tps("t", 0)},
        "C2": {*tps("t", 1)},
    }


def test_nobody_gets_what_two_claim_with_the_same_right(assignor):
    group = {
        member_id: assignor.subscription(["t"], owned=tps("t", 0), generation=6)
        for member_id in ("C1", "C2")
    }
    assert owners(assignor.assign(cluster({"t": 1}), group)) == {"C1": set(), "C2": set()}


def test_a_topic_that_its_owner_does_not_want_any_more(assignor):
    group = {
        "C1": assignor.subscription(["u"], owned=tps("t", 0), generation=6),
        "C2": assignor.subscription(["t"], generation=6),
    }
    assert owners(assignor.assign(cluster({"t": 1, "u": 1}), group)) == {
        "C1": {*tps("u", 0)},
        "C2": set(),
    }


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_generation_is_known_from_any_version(assignor, version):
    newer = assignor.subscription(["t"], owned=tps("t", 0), generation=6)
    older = assignor.subscription(["t"], owned=tps("t", 0), generation=5)
    group = {
        "C1": MemberSubscription.decode(older.encode(version)),
        "C2": MemberSubscription.decode(newer.encode(version)),
    }
    assert owners(assignor.assign(cluster({"t": 1}), group))["C2"] == {*tps("t", 0)}


def test_subscriptions_without_ownership(assignor, caplog):
    group = {
        "C1": ConsumerProtocolMemberMetadata(0, ["t"], None),
        "C2": MemberSubscription(["t"], b"\0", tps("t", 1)),
    }
    assert owners(assignor.assign(cluster({"t": 2}), group)) == {
        "C1": {*tps("t", 0)},
        "C2": {*tps("t", 1)},
    }
    assert "has no generation" in caplog.text
