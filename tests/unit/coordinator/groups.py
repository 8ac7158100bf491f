"""Clusters and groups for the assignors, and what is to be true of every assignment."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
