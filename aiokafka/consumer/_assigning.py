"""Assignors: which protocol they make, what they say when joining, and the leader's work.

Pure but for the logs: no loop, no future, no task.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import MemberSubscription
from aiokafka.errors import InconsistentGroupProtocolError, KafkaProtocolError
from aiokafka.protocol.api import Response
from aiokafka.protocol.group import joined_members
from aiokafka.structs import TopicPartition

EAGER = "eager"
COOPERATIVE = "cooperative"


def rebalance_protocol(assignors: Iterable[Any]) -> str:
    """Cooperative (KIP-429) if every assignor can work under it, else eager."""
    if all(COOPERATIVE in getattr(assignor, "protocols", (EAGER,)) for assignor in assignors):
        return COOPERATIVE
    return EAGER


def encoded(value: Any) -> bytes:
    """What an assignor returned, as bytes."""
    return value if isinstance(value, bytes) else bytes(value.encode())


def joining_metadata(
    assignor: Any,
    topics: Collection[str],
    *,
    owned: Iterable[TopicPartition],
    generation: int,
    rack_id: str | None,
) -> bytes:
    """The subscription of a member as *assignor* wants to have it."""
    subscription = getattr(assignor, "subscription", None)
    if subscription is None:
        return encoded(assignor.metadata(list(topics)))
    return encoded(subscription(list(topics), owned=owned, generation=generation, rack_id=rack_id))


def assignor_named(assignors: Sequence[Any], name: str | None, group_id: str) -> Any:
    """The assignor that the group has chosen.

    Raises:
        InconsistentGroupProtocolError: this member does not have it.
    """
    for assignor in assignors:
        if assignor.name == name:
            return assignor
    raise InconsistentGroupProtocolError(
        f"Group {group_id!r} uses the assignor {name!r}; this member has"
        f" {[assignor.name for assignor in assignors]}"
    )


def subscriptions_of(response: Response) -> dict[str, MemberSubscription]:
    """The subscription of each member, from a JoinGroupResponse of any version.

    Raises:
        KafkaProtocolError: a member's subscription cannot be read.
    """
    found: dict[str, MemberSubscription] = {}
    for member in joined_members(response):
        try:
            subscription = MemberSubscription.decode(member.metadata)
        except KafkaProtocolError as error:
            raise KafkaProtocolError(
                f"The subscription of member {member.member_id!r} cannot be read: {error}"
            ) from error
        subscription.group_instance_id = member.group_instance_id
        found[member.member_id] = subscription
    return found


def partition_counts(cluster: ClusterMetadata, topics: Iterable[str]) -> dict[str, int]:
    """How many partitions each of the topics has; without those that are not known."""
    found: dict[str, int] = {}
    for topic in topics:
        count = cluster.partition_count(topic)
        if count is not None:
            found[topic] = count
    return found


class Change(NamedTuple):
    """What an assignment adds to and takes from the partitions a member has."""

    added: frozenset[TopicPartition]
    taken: frozenset[TopicPartition]

    @classmethod
    def between(
        cls, owned: Iterable[TopicPartition], assigned: Iterable[TopicPartition]
    ) -> Change:
        before, after = frozenset(owned), frozenset(assigned)
        return cls(after - before, before - after)
