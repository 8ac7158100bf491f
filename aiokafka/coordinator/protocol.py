"""The protocol that consumers speak inside of JoinGroup and SyncGroup, which brokers pass on.

A member sends a *subscription*, the leader answers with an *assignment*.  New versions only add
fields at the end, so every version can be read by everybody: what is older than a field gives its
default, what is newer is read as far as it is known.

:class:`ConsumerProtocolMemberMetadata` and :class:`ConsumerProtocolMemberAssignment` are structs
of the three fields all versions have.  :class:`MemberSubscription` has what came later as well.

Pure: no state, no tasks, no futures.

Page: KIP-429 (owned partitions), KIP-792 (generation), KIP-881 (rack);
``ConsumerProtocolSubscription.json`` and ``ConsumerProtocolAssignment.json`` of Kafka
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from aiokafka.errors import KafkaProtocolError
from aiokafka.protocol.struct import Source, Struct
from aiokafka.protocol.types import Array, Bytes, Int16, Int32, Schema, String
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "SUBSCRIPTION_SCHEMAS",
    "ConsumerProtocol",
    "ConsumerProtocolMemberAssignment",
    "ConsumerProtocolMemberMetadata",
    "MemberSubscription",
    "Schema",
    "by_topic",
]

NO_GENERATION = -1

_TEXT = String("utf-8", nullable=False)
_PARTITIONS = Array(("topic", _TEXT), ("partitions", Array(Int32, nullable=False)), nullable=False)
_SUBSCRIPTION_FIELDS = (
    ("version", Int16),
    ("subscription", Array(_TEXT, nullable=False)),
    ("user_data", Bytes),
    ("owned_partitions", _PARTITIONS),
    ("generation_id", Int32),
    ("rack_id", String("utf-8")),
)

#: Layouts of a subscription by version; each has one field more than the one before.
SUBSCRIPTION_SCHEMAS: tuple[Schema, ...] = tuple(
    Schema(*_SUBSCRIPTION_FIELDS[: 3 + version]) for version in range(4)
)
NEWEST_SUBSCRIPTION = len(SUBSCRIPTION_SCHEMAS) - 1


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn what the codec says of bytes that another member wrote into an error of ours."""
    try:
        yield
    except ValueError as exc:
        raise KafkaProtocolError(f"not a {what} of the consumer protocol: {exc}") from exc


def _check_version(version: int) -> None:
    if version < 0:
        raise ValueError(f"there is no version {version}")


def by_topic(partitions: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """The partitions of each topic, in the order in which they come."""
    found: dict[str, list[int]] = {}
    for topic, partition in partitions:
        found.setdefault(topic, []).append(partition)
    return found


class _EmbeddedStruct(Struct):
    """A struct that members of a group send each other.

    ``decode`` raises ``KafkaProtocolError`` for bytes that cannot be one.
    """

    version: int

    @classmethod
    def decode(cls, data: Source) -> Self:
        with _reading(cls.__name__.removeprefix("ConsumerProtocol")):
            struct = super().decode(data)
            _check_version(struct.version)
            return struct


class ConsumerProtocolMemberMetadata(_EmbeddedStruct):
    """A subscription as all versions have it; see :class:`MemberSubscription` for the rest.

    Parameters:
        version: of the protocol; this struct writes the fields of version 0 whatever it says.
        subscription: names of topics.
        user_data: what the assignor adds, bytes or None.
    """

    SCHEMA = SUBSCRIPTION_SCHEMAS[0]

    subscription: list[str]
    user_data: bytes | None


class Assignment(NamedTuple):
    """The partitions a member is given of one topic."""

    topic: str
    partitions: list[int]


class ConsumerProtocolMemberAssignment(_EmbeddedStruct):
    """What the leader assigns to a member.  All versions (0 to 3) are laid out alike.

    Parameters:
        version: of the protocol.
        assignment: ``(topic, partitions)`` pairs.
        user_data: what the assignor adds, bytes or None.
    """

    SCHEMA = Schema(("version", Int16), ("assignment", _PARTITIONS), ("user_data", Bytes))

    Assignment = Assignment

    assignment: list[tuple[str, list[int]]]
    user_data: bytes | None

    @classmethod
    def decode(cls, data: Source) -> Self:
        struct = super().decode(data)
        struct.assignment = [Assignment(*row) for row in struct.assignment]
        return struct

    def partitions(self) -> list[TopicPartition]:
        """All assigned partitions."""
        return [
            TopicPartition(topic, partition)
            for topic, partitions in self.assignment
            for partition in partitions
        ]


@dataclass
class MemberSubscription:
    """A subscription of any version, with the defaults of the fields it does not have.

    Parameters:
        subscription: names of topics.
        user_data: what the assignor adds, bytes or None.
        owned_partitions: what the member holds while it joins (version 1, KIP-429).
        generation_id: the group's generation those are from, -1 for none (version 2, KIP-792).
        rack_id: where the member runs, ``client_rack`` (version 3, KIP-881).
        version: the version that was read, which may be one newer than is known here.
        group_instance_id: of a static member (KIP-345).  Not part of the subscription: JoinGroup
            carries it beside, and who reads the answer puts it here for the assignors.

    .. versionadded:: 0.14.1
    """

    subscription: list[str]
    user_data: bytes | None = None
    owned_partitions: list[TopicPartition] = field(default_factory=list)
    generation_id: int = NO_GENERATION
    rack_id: str | None = None
    version: int = NEWEST_SUBSCRIPTION
    group_instance_id: str | None = field(default=None, kw_only=True)

    def encode(self, version: int | None = None) -> bytes:
        """Return the bytes of this subscription.

        Parameters:
            version: 0 to 3; what it has no field for is left out.  None: :attr:`version`, or the
                newest known when that is newer still.

        Raises ``ValueError`` for other versions, and for values that do not fit.
        """
        if version is None:
            version = min(self.version, NEWEST_SUBSCRIPTION)
        if not 0 <= version <= NEWEST_SUBSCRIPTION:
            raise ValueError(f"subscriptions have versions 0 to 3, not {version}")
        values = (
            version,
            self.subscription,
            self.user_data,
            sorted((t, sorted(p)) for t, p in by_topic(self.owned_partitions).items()),
            self.generation_id,
            self.rack_id,
        )
        return (
            SUBSCRIPTION_SCHEMAS[version].codec_for("Subscription").encode(values[: 3 + version])
        )

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview) -> MemberSubscription:
        """Read a subscription of any version; of newer ones what is known.

        Raises ``KafkaProtocolError`` for bytes that cannot be one.
        """
        with _reading("Subscription"):
            version: int = int.from_bytes(bytes(data[:2]), "big", signed=True)
            _check_version(version)
            schema = SUBSCRIPTION_SCHEMAS[min(version, NEWEST_SUBSCRIPTION)]
            values, _ = schema.codec_for("Subscription").decode(data, 0)
        _, subscription, user_data, *rest = values
        if rest:
            rest[0] = [TopicPartition(t, number) for t, numbers in rest[0] for number in numbers]
        found = cls(subscription, user_data, *rest)
        found.version = version
        return found


class ConsumerProtocol:
    """Names of the protocol, as JoinGroup has them, and its structs."""

    PROTOCOL_TYPE = "consumer"
    ASSIGNMENT_STRATEGIES: Sequence[str] = ("range", "roundrobin")
    METADATA = ConsumerProtocolMemberMetadata
    ASSIGNMENT = ConsumerProtocolMemberAssignment


#: What assignors are given: a subscription for each member id.
Members = Mapping[str, "ConsumerProtocolMemberMetadata | MemberSubscription"]
