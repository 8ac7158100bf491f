"""What the assignors of this package have in common.

Pure: no state, no tasks, no futures.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from aiokafka.coordinator.assignors._owner_method import owner_method
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    NO_GENERATION,
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
    MemberSubscription,
    by_topic,
)
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata


class BuiltinPartitionAssignor(AbstractPartitionAssignor):
    """Base of the assignors that come with this package."""

    version: ClassVar[int] = 0
    protocols: ClassVar[tuple[str, ...]] = ("eager",)

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing to remember."""

    @owner_method
    def subscription(
        cls,
        topics: Iterable[str],
        *,
        owned: Iterable[TopicPartition] = (),
        generation: int = NO_GENERATION,
        rack_id: str | None = None,
    ) -> MemberSubscription:
        """The newest form of :meth:`metadata`; see :mod:`aiokafka.coordinator.assignors.abstract`.

        .. versionadded:: 0.14.1
        """
        # Subclasses may add user data in `metadata`.
        metadata = cls.metadata(topics)
        return MemberSubscription(
            metadata.subscription, metadata.user_data, list(owned), generation, rack_id
        )


def sorted_members(members: Mapping[str, Any]) -> list[str]:
    """Member ids in the order of assignment: static members come first, by instance id, as that
    stays the same when a member restarts (KIP-345)."""
    static: list[tuple[str, str]] = []
    dynamic: list[str] = []
    for member_id, member in members.items():
        instance_id = getattr(member, "group_instance_id", None)
        if instance_id is None:
            dynamic.append(member_id)
        else:
            static.append((instance_id, member_id))
    return [member_id for _, member_id in sorted(static)] + sorted(dynamic)


class Subscribed(Protocol):
    """Whatever says to which topics a member is subscribed."""

    @property
    def subscription(self) -> Iterable[str]: ...


def partitions_of(
    cluster: ClusterMetadata, members: Mapping[str, Subscribed], log: logging.Logger
) -> dict[str, list[int]]:
    """Partitions of every subscribed topic, both in order.  Unknown topics are left out."""
    found: dict[str, list[int]] = {}
    for topic in sorted({topic for member in members.values() for topic in member.subscription}):
        partitions = cluster.partitions_for_topic(topic)
        if partitions is None:
            log.warning("No partitions of topic %s are known: it is assigned to nobody", topic)
            continue
        found[topic] = sorted(partitions)
    return found


def assignment_of(
    version: int, partitions: Iterable[tuple[str, int]]
) -> ConsumerProtocolMemberAssignment:
    """An assignment of these partitions, topics and partitions in order."""
    assignment = list(by_topic(sorted(partitions)).items())
    return ConsumerProtocolMemberAssignment(version, assignment, b"")
