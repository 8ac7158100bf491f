"""The sticky assignor for the eager protocol, with what members hold in their user data.

State: what this member was assigned, and in which generation.  It is kept by an instance for one
consumer; when the class itself is used, as with 0.14, by the class for all of them.

Page: KIP-54, KIP-341
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from aiokafka.coordinator.assignors._builtin import BuiltinPartitionAssignor
from aiokafka.coordinator.assignors._owner_method import owner_method
from aiokafka.coordinator.assignors.sticky._executor import StickyAssignmentExecutor
from aiokafka.coordinator.assignors.sticky.partition_movements import PartitionMovements
from aiokafka.coordinator.protocol import (
    NO_GENERATION,
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
    Members,
    MemberSubscription,
    Schema,
    by_topic,
)
from aiokafka.protocol.struct import Struct
from aiokafka.protocol.types import Array, Int32, String
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata

__all__ = [
    "ConsumerGenerationPair",
    "ConsumerSubscription",
    "StickyAssignmentExecutor",
    "StickyAssignorMemberMetadataV1",
    "StickyAssignorUserDataV1",
    "StickyPartitionAssignor",
]

log = logging.getLogger(__name__)


class ConsumerGenerationPair(NamedTuple):
    """A member, and the generation of what it holds."""

    consumer: str
    generation: int


class ConsumerSubscription(NamedTuple):
    """A member, and what it has."""

    consumer: str
    partitions: list[TopicPartition]


class StickyAssignorMemberMetadataV1(NamedTuple):
    """A member's subscription with its user data read.

    Parameters:
        subscription: names of topics.
        partitions: what the member held in ``generation``.
        generation: -1 when it holds nothing, or an old client did not say.
        rack_id: where it runs, if known.
    """

    subscription: list[str]
    partitions: list[TopicPartition]
    generation: int
    rack_id: str | None = None


class StickyAssignorUserDataV1(Struct):
    """User data of Java's ``StickyAssignor`` since KIP-341."""

    SCHEMA = Schema(
        (
            "previous_assignment",
            Array(
                ("topic", String("utf-8", nullable=False)),
                ("partitions", Array(Int32, nullable=False)),
                nullable=False,
            ),
        ),
        ("generation", Int32),
    )

    previous_assignment: list[tuple[str, list[int]]]
    generation: int


class _UserDataV0(Struct):
    """The same before KIP-341: without a generation."""

    SCHEMA = Schema(("previous_assignment", StickyAssignorUserDataV1.SCHEMA.fields[0]))


class StickyPartitionAssignor(BuiltinPartitionAssignor):
    """Keeps members' partitions where they are as far as balance allows.

    Balanced means: nobody could be given a partition by a member that has at least two more.  When
    a member leaves only its partitions move; when one joins only as many as it needs to have its
    share.  What members hold is known from their user data, which is the same as that of Java's
    ``StickyAssignor``, so that both can be in one group.

    Racks come second to balance (KIP-881): of the members that may be given a partition, one in
    the rack of a replica is given it.  When all members are subscribed to the same topics, a
    partition also moves to such a member from one that is not, as with the Java client.
    """

    name = "sticky"
    version = 0
    per_consumer: ClassVar[bool] = True

    DEFAULT_GENERATION_ID: ClassVar[int] = NO_GENERATION

    member_assignment: list[TopicPartition] | None = None
    generation: int = DEFAULT_GENERATION_ID
    _latest_partition_movements: PartitionMovements | None = None

    def __init__(self) -> None:
        self.member_assignment = None
        self.generation = self.DEFAULT_GENERATION_ID
        self._latest_partition_movements = None

    @owner_method
    def assign(
        cls, cluster: ClusterMetadata, members: Members
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        executor = StickyAssignmentExecutor(
            cluster,
            {
                member_id: cls.parse_member_metadata(metadata)
                for member_id, metadata in members.items()
            },
        )
        executor.perform_initial_assignment()
        executor.balance()
        cls._latest_partition_movements = executor.partition_movements
        return {
            member_id: ConsumerProtocolMemberAssignment(
                cls.version, executor.get_final_assignment(member_id), b""
            )
            for member_id in members
        }

    @classmethod
    def parse_member_metadata(
        cls, metadata: ConsumerProtocolMemberMetadata | MemberSubscription
    ) -> StickyAssignorMemberMetadataV1:
        """Read a member's user data.

        A member whose user data cannot be read counts as one that holds nothing: one broken member
        must not keep the group from being assigned.
        """
        rack_id = getattr(metadata, "rack_id", None)
        nothing = StickyAssignorMemberMetadataV1(
            metadata.subscription, [], cls.DEFAULT_GENERATION_ID, rack_id
        )
        if not metadata.user_data:
            return nothing
        generation = cls.DEFAULT_GENERATION_ID
        try:
            try:
                user_data = StickyAssignorUserDataV1.decode(metadata.user_data)
                rows, generation = user_data.previous_assignment, user_data.generation
            except ValueError:
                rows = _UserDataV0.decode(metadata.user_data).previous_assignment
        except ValueError as exc:
            log.warning("Ignoring what a member of the group says it holds: %s", exc)
            return nothing
        partitions = [
            TopicPartition(topic, number) for topic, numbers in rows for number in numbers
        ]
        return nothing._replace(partitions=partitions, generation=generation)

    @owner_method
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return cls._metadata(topics, cls.member_assignment, cls.generation)

    @classmethod
    def _metadata(
        cls,
        topics: Iterable[str],
        member_assignment_partitions: Iterable[TopicPartition] | None,
        generation: int = NO_GENERATION,
    ) -> ConsumerProtocolMemberMetadata:
        """The subscription of a member that holds these partitions; None: it never held any."""
        user_data = b""
        if member_assignment_partitions is not None:
            rows = list(by_topic(member_assignment_partitions).items())
            user_data = StickyAssignorUserDataV1(rows, generation).encode()
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), user_data)

    @owner_method
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        cls.member_assignment = assignment.partitions()

    @owner_method
    def on_generation_assignment(cls, generation: int) -> None:
        """The generation of the assignment that :meth:`on_assignment` was told."""
        cls.generation = generation
