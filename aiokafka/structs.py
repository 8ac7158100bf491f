"""Plain value types that appear in the public interface.

Owns no state and no tasks. All but :class:`ConsumerRecord` are named tuples: they
compare and hash equal to plain tuples with the same fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = [
    "BrokerMetadata",
    "ConsumerRecord",
    "OffsetAndMetadata",
    "PartitionMetadata",
    "RecordMetadata",
    "TopicPartition",
]

KT = TypeVar("KT", covariant=True)
"""Type of a record's key after the key deserializer."""

VT = TypeVar("VT", covariant=True)
"""Type of a record's value after the value deserializer."""


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    """Name of the topic."""

    partition: int
    """Partition number, counted from 0."""


class BrokerMetadata(NamedTuple):
    """Where a broker listens."""

    nodeId: int | str
    """Broker id; a string such as ``"bootstrap-0"`` before the real id is known."""

    host: str
    """Host name or address the broker advertises."""

    port: int
    """TCP port the broker advertises."""

    rack: str | None
    """Rack (availability zone) of the broker, when configured."""


class PartitionMetadata(NamedTuple):
    """State of one partition as a Metadata response described it."""

    topic: str
    """Name of the topic."""

    partition: int
    """Partition number, counted from 0."""

    leader: int
    """Node id of the leader, -1 when there is none at the moment."""

    replicas: list[int]
    """Node ids of all replicas."""

    isr: list[int]
    """Node ids of the replicas in sync with the leader."""

    error: int
    """Error code the broker gave for this partition, 0 for none."""


class OffsetAndMetadata(NamedTuple):
    """A position to commit for a partition.

    The offset is that of the *next* record to read: last processed offset + 1.
    """

    offset: int
    """Offset to commit."""

    metadata: str
    """Free text stored with the offset; ``""`` for none."""


class OffsetAndTimestamp(NamedTuple):
    """Answer to a look-up of an offset by time."""

    offset: int
    """Offset of the first record not older than the time asked for."""

    timestamp: int | None
    """Timestamp of that record in milliseconds since the epoch, when known."""


class RecordMetadata(NamedTuple):
    """Where a produced record was stored."""

    topic: str
    """Name of the topic."""

    partition: int
    """Partition number, counted from 0."""

    topic_partition: TopicPartition
    """Both of the above as one :class:`TopicPartition`."""

    offset: int
    """Offset of the record, -1 when the broker did not tell it."""

    timestamp: int | None
    """Timestamp of the record, in milliseconds since the epoch."""

    timestamp_type: int
    """0: the timestamp was set by the producer; 1: by the broker on append."""

    log_start_offset: int | None
    """First offset still in the partition's log, when the broker told it."""


class _RecordFields:
    """Where a :class:`ConsumerRecord` keeps its fields.

    Slots below the dataclass, with a ``__dict__`` that is only made when something else is
    attached: compiled code fills the slots of a new record by their places, which takes a
    third of the time of calling the class, and the record takes half the memory.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "checksum",
        "headers",
        "key",
        "offset",
        "partition",
        "serialized_key_size",
        "serialized_value_size",
        "timestamp",
        "timestamp_type",
        "topic",
        "value",
    )


_attached = _RecordFields.__dict__["__dict__"]


@dataclass
class ConsumerRecord(_RecordFields, Generic[KT, VT]):
    """A record read from a partition.

    A mutable dataclass on purpose: frameworks attach attributes of their own to it.
    """

    topic: str
    """Name of the topic the record was read from."""

    partition: int
    """Partition number, counted from 0."""

    offset: int
    """Offset of the record within its partition."""

    timestamp: int
    """Timestamp of the record, in milliseconds since the epoch."""

    timestamp_type: int
    """0: the timestamp was set by the producer; 1: by the broker on append."""

    key: KT | None
    """Deserialized key, ``None`` when the record has no key."""

    value: VT | None
    """Deserialized value, ``None`` for a tombstone."""

    checksum: int | None
    """CRC of the record in message formats 0 and 1, ``None`` in format 2."""

    serialized_key_size: int
    """Size of the raw key in bytes, -1 without a key."""

    serialized_value_size: int
    """Size of the raw value in bytes, -1 without a value."""

    headers: Sequence[tuple[str, bytes | None]]
    """Headers as (key, value) pairs; an empty sequence when there are none."""

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """A copy of everything on the record, for those who look at it with ``vars()``."""
        attached: dict[str, Any] = _attached.__get__(self)
        fields = self.__dataclass_fields__
        return {
            **{name: getattr(self, name) for name in fields if hasattr(self, name)},
            **attached,
        }

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
