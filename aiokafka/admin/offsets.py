"""Offsets of partitions.

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class OffsetSpec(IntEnum):
    """Offsets with a meaning, to be given in place of a time."""

    LATEST = -1
    EARLIEST = -2
    #: Of the record with the highest timestamp, from Kafka 3.0 (KIP-734).
    MAX_TIMESTAMP = -3
    #: The first that the leader itself has, not only tiered storage, from Kafka 3.4 (KIP-405).
    EARLIEST_LOCAL = -4
    #: The last that is in tiered storage, from Kafka 3.9 (KIP-1005).
    LATEST_TIERED = -5
    #: The first that is not yet in tiered storage, from Kafka 4.2 (KIP-1023).
    EARLIEST_PENDING_UPLOAD = -6


@dataclass(frozen=True, slots=True)
class ListedOffset:
    """An offset of a partition.

    Attributes:
        offset: -1 when there is no such record.
        timestamp: of the record, in milliseconds, where a time was asked for; else None.
        leader_epoch: of the record; None when unknown.

    .. versionadded:: 0.14.1
    """

    offset: int
    timestamp: int | None
    leader_epoch: int | None
