"""The sticky assignor for the cooperative protocol: only partitions that move are given up.

A partition goes from one member to another in two rebalances.  In the first it is left out of both
assignments: its owner, which kept on reading meanwhile, gives it up and has everybody join again.
In the second nobody owns it, and it goes to its new member.

State: what this member was assigned, and in which generation; kept as by
:mod:`aiokafka.coordinator.assignors.sticky.sticky_assignor`.

Page: KIP-429, KIP-792 (generation in the subscription)
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from aiokafka.coordinator.assignors._builtin import BuiltinPartitionAssignor, assignment_of
from aiokafka.coordinator.assignors._owner_method import owner_method
from aiokafka.coordinator.assignors.sticky._executor import StickyAssignmentExecutor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyAssignorMemberMetadataV1
from aiokafka.coordinator.protocol import (
    NO_GENERATION,
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
    Members,
    MemberSubscription,
)
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata

__all__ = ["CooperativeStickyPartitionAssignor"]

log = logging.getLogger(__name__)

_GENERATION = struct.Struct(">i")


class CooperativeStickyPartitionAssignor(BuiltinPartitionAssignor):
    """Moves as few partitions as :class:`StickyPartitionAssignor`, without stopping the others.

    Under the cooperative protocol a member keeps its partitions, and goes on reading them, while
    the group rebalances; it gives up only those it loses.  A group moves to it in two rolling
    bounces: first add this assignor to the one in use, then take that one out (KIP-429).

    What members own is in their subscriptions, and the generation in the user data too, as with
    Java's ``CooperativeStickyAssignor``, so that both can be in one group.

    .. versionadded:: 0.14.1
    """

    name = "cooperative-sticky"
    version = 0
    protocols: ClassVar[tuple[str, ...]] = ("cooperative", "eager")
    per_consumer: ClassVar[bool] = True

    DEFAULT_GENERATION_ID: ClassVar[int] = NO_GENERATION

    member_assignment: list[TopicPartition] | None = None
    generation: int = DEFAULT_GENERATION_ID

    def __init__(self) -> None:
        self.member_assignment = None
        self.generation = self.DEFAULT_GENERATION_ID

    @owner_method
    def assign(
        cls, cluster: ClusterMetadata, members: Members
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        claims = {member_id: _claim(metadata) for member_id, metadata in members.items()}
        executor = StickyAssignmentExecutor(cluster, claims)
        executor.perform_initial_assignment()
        executor.balance()
        claimed: dict[TopicPartition, list[str]] = {}
        for member_id, claim in claims.items():
            for partition in set(claim.partitions):
                claimed.setdefault(partition, []).append(member_id)

        assignment = {}
        for member_id in members:
            mine = [
                TopicPartition(topic, number)
                for topic, numbers in executor.get_final_assignment(member_id)
                for number in numbers
            ]
            # What it is rightful owner of already stays, even if a member that has missed a
            # rebalance takes itself for the owner too: that one is not assigned it, and gives up.
            free = [
                partition
                for partition in mine
                if executor.owner_of(partition) == member_id
                or all(other == member_id for other in claimed.get(partition, ()))
            ]
            assignment[member_id] = assignment_of(cls.version, free)
        return assignment

    @owner_method
    def metadata(cls, topics: Iterable[str]) -> MemberSubscription:  # type: ignore[override]
        """A subscription that claims what :meth:`on_assignment` was told last."""
        return cls.subscription(
            topics, owned=cls.member_assignment or (), generation=cls.generation
        )

    @owner_method
    def subscription(
        cls,
        topics: Iterable[str],
        *,
        owned: Iterable[TopicPartition] = (),
        generation: int = NO_GENERATION,
        rack_id: str | None = None,
    ) -> MemberSubscription:
        # Twice, for leaders that know version 1 of the subscription only.
        user_data = _GENERATION.pack(generation)
        return MemberSubscription(list(topics), user_data, list(owned), generation, rack_id)

    @owner_method
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        cls.member_assignment = assignment.partitions()

    @owner_method
    def on_generation_assignment(cls, generation: int) -> None:
        """The generation of the assignment that :meth:`on_assignment` was told."""
        cls.generation = generation


def _claim(
    metadata: ConsumerProtocolMemberMetadata | MemberSubscription,
) -> StickyAssignorMemberMetadataV1:
    """What a member owns.  Subscriptions of version 0, which cannot tell, own nothing."""
    owned = getattr(metadata, "owned_partitions", [])
    generation: int = getattr(metadata, "generation_id", NO_GENERATION)
    user_data = metadata.user_data
    if generation < 0 and user_data:
        if len(user_data) >= _GENERATION.size:
            (generation,) = _GENERATION.unpack_from(user_data)
        else:
            log.warning("Ignoring user data that has no generation: %d bytes", len(user_data))
    return StickyAssignorMemberMetadataV1(
        metadata.subscription, owned, generation, getattr(metadata, "rack_id", None)
    )
