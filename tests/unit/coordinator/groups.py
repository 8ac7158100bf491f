"""Clusters and groups for the assignors, and what is to be true of every assignment."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import MemberSubscription
from aiokafka.structs import BrokerMetadata, PartitionMetadata, TopicPartition

GOLDEN = Path(__file__).with_name("golden_assignments.json")

Owners = dict[str, set[TopicPartition]]


def cluster(
    topics: Mapping[str, int | list[list[int]]], racks: Mapping[int, str | None] | None = None
) -> ClusterMetadata:
    """A cluster with these topics: how many partitions each has, or the replicas of each."""
    partitions = []
    for topic, spec in topics.items():
        replicas = [[0]] * spec if isinstance(spec, int) else spec
        for number, nodes in enumerate(replicas):
            partitions.append(PartitionMetadata(topic, number, nodes[0], nodes, nodes, 0))
    made = ClusterMetadata().with_partitions(partitions)
    made._brokers = {
        node_id: BrokerMetadata(node_id, "localhost", 9092 + node_id, rack)
        for node_id, rack in (racks or {0: None}).items()
    }
    return made


def owners(assignment: Mapping[str, Any]) -> Owners:
    """The partitions of each member; none of them twice."""
    found: Owners = {}
    for member_id, assigned in assignment.items():
        partitions = assigned.partitions()
        assert len(partitions) == len(set(partitions))
        found[member_id] = set(partitions)
    return found


def is_balanced(
    members: Mapping[str, Any], owned: Mapping[str, Iterable[tuple[str, int]]]
) -> bool:
    """Would no member with two partitions less be subscribed to one that another has?"""
    return all(
        len(set(owned[rich])) - len(set(owned[poor])) < 2
        for poor in owned
        for rich in owned
        if {topic for topic, _ in owned[rich]} & set(members[poor].subscription)
    )


class Golden(NamedTuple):
    """A group, and what the Java client answered."""

    cluster: ClusterMetadata
    members: dict[str, dict[str, Any]]
    answers: dict[str, dict[str, set[TopicPartition]]]
    has_racks: bool

    def subscriptions(self, assignor: str) -> dict[str, MemberSubscription]:
        """The members' subscriptions, with the user data that Java's own assignors wrote."""
        return {
            member_id: MemberSubscription(
                fields["topics"],
                base64.b64decode(fields.get(assignor) or "") or None,
                [] if assignor == "sticky" else sorted(map(partition, fields["owned"])),
                fields["generation"],
                fields["rack"],
                group_instance_id=fields["instance"],
            )
            for member_id, fields in self.members.items()
        }

    def owned(self) -> Owners:
        return {
            member_id: set(map(partition, fields["owned"]))
            for member_id, fields in self.members.items()
        }


def partition(text: str) -> TopicPartition:
    topic, _, number = text.rpartition("-")
    return TopicPartition(topic, int(number))


@functools.cache
def golden() -> list[Golden]:
    found = []
    for item in json.loads(GOLDEN.read_text(encoding="utf-8")):
        racks = {int(node): rack for node, rack in item["racks"].items()}
        answers = {
            assignor: {
                member_id: set(map(partition, names)) for member_id, names in answer.items()
            }
            for assignor, answer in item["answers"].items()
        }
        found.append(
            Golden(cluster(item["topics"], racks), item["members"], answers, any(racks.values()))
        )
    return found


# --- random groups -------------------------------------------------------------------------------


class Group(NamedTuple):
    cluster: ClusterMetadata
    members: dict[str, MemberSubscription]


def subscribed_to(group: Group) -> set[TopicPartition]:
    """All partitions that somebody is to have."""
    return {
        TopicPartition(topic, number)
        for member in group.members.values()
        for topic in member.subscription
        for number in group.cluster.partitions_for_topic(topic) or ()
    }


@st.composite
def groups(draw: Any, equal: bool = False, with_racks: bool | None = None) -> Group:
    """Groups whose members hold nothing yet."""
    racks = draw(st.booleans()) if with_racks is None else with_racks
    topics: dict[str, int | list[list[int]]] = {}
    for index in range(draw(st.integers(1, 5))):
        count = draw(st.integers(1, 9))
        first = draw(st.integers(0, 2))
        topics[f"t{index}"] = [[(first + number) % 3] for number in range(count)]
    made = cluster(topics, {n: f"rack-{n}" if racks else None for n in range(3)})
    names = sorted(topics)
    members = {}
    for index in range(draw(st.integers(1, 8))):
        some = st.lists(st.sampled_from(names), min_size=1, unique=True).map(sorted)
        rack = draw(st.sampled_from([None, "rack-0", "rack-1", "rack-2"])) if racks else None
        members[f"m{index}"] = MemberSubscription(names if equal else draw(some), rack_id=rack)
    return Group(made, members)


def equal_groups(with_racks: bool | None = None) -> Any:
    """Groups in which all members are subscribed to the same topics."""
    return groups(equal=True, with_racks=with_racks)
