"""The cluster: features, the quorum of controllers, log directories, elections.

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from aiokafka.structs import TopicPartition


class FeatureRange(NamedTuple):
    """Levels of a feature, both included."""

    min_level: int
    max_level: int


@dataclass(frozen=True, slots=True)
class FeatureMetadata:
    """Features of a cluster (KIP-584).

    Attributes:
        supported: what the broker asked could do, by name.
        finalized: what all brokers do, by name.
        finalized_epoch: grows with each change of it; None when the broker does not know.

    .. versionadded:: 0.14.1
    """

    supported: dict[str, FeatureRange]
    finalized: dict[str, FeatureRange]
    finalized_epoch: int | None


class FeatureUpgradeType(IntEnum):
    """Which way a feature may go; a safe downgrade loses nothing."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


@dataclass(frozen=True, slots=True)
class FeatureUpdate:
    """A new level for a feature; level 0 takes it away.

    .. versionadded:: 0.14.1
    """

    max_level: int
    upgrade_type: FeatureUpgradeType = FeatureUpgradeType.UPGRADE


@dataclass(frozen=True, slots=True)
class QuorumReplica:
    """A voter or an observer of the quorum.

    Attributes:
        replica_id: its node id.
        log_end_offset: how far it has come; -1 when unknown.
        last_fetch_timestamp: when it has fetched last, in milliseconds since 1970; None when
            unknown.
        last_caught_up_timestamp: when it had all there was, likewise.

    .. versionadded:: 0.14.1
    """

    replica_id: int
    log_end_offset: int
    last_fetch_timestamp: int | None
    last_caught_up_timestamp: int | None


@dataclass(frozen=True, slots=True)
class QuorumInfo:
    """The quorum of controllers (KIP-836).

    .. versionadded:: 0.14.1
    """

    leader_id: int
    leader_epoch: int
    high_watermark: int
    voters: tuple[QuorumReplica, ...]
    observers: tuple[QuorumReplica, ...]


@dataclass(frozen=True, slots=True)
class ReplicaInfo:
    """A replica in a log directory.

    Attributes:
        size: bytes.
        offset_lag: how many records it is behind.
        is_future: it is being moved here from another directory.

    .. versionadded:: 0.14.1
    """

    size: int
    offset_lag: int
    is_future: bool


@dataclass(frozen=True, slots=True)
class LogDirDescription:
    """A log directory of a broker.

    Attributes:
        replicas: what is in it.
        total_bytes, usable_bytes: of its volume (KIP-827); None before Kafka 3.3.
        error: why it cannot be used, such as ``KafkaStorageError``; else None.

    .. versionadded:: 0.14.1
    """

    replicas: dict[TopicPartition, ReplicaInfo]
    total_bytes: int | None
    usable_bytes: int | None
    error: Exception | None = None


class ElectionType(IntEnum):
    """Who may become leader: the preferred replica, or if there is none in sync, any."""

    PREFERRED = 0
    UNCLEAN = 1
