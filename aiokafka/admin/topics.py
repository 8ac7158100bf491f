"""Topics and their partitions.

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from aiokafka.admin.acls import AclOperation


@dataclass(frozen=True, slots=True)
class PartitionDescription:
    """A partition.

    Attributes:
        partition: its number.
        leader: node id of its leader; None when it has none.
        leader_epoch: None when unknown.
        replicas, isr, offline_replicas: node ids.
        eligible_leader_replicas: who else may become leader (KIP-966); None when unknown.
        last_known_elr: who could when all were lost (KIP-966); None when unknown.

    .. versionadded:: 0.14.1
    """

    partition: int
    leader: int | None
    leader_epoch: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    offline_replicas: tuple[int, ...]
    eligible_leader_replicas: tuple[int, ...] | None = None
    last_known_elr: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic.

    Attributes:
        name: its name.
        topic_id: its id (KIP-516); None before Kafka 2.8.
        is_internal: it belongs to the brokers.
        partitions: in their order.
        authorized_operations: what this client may do (KIP-430); None when unknown.

    .. versionadded:: 0.14.1
    """

    name: str
    topic_id: UUID | None
    is_internal: bool
    partitions: tuple[PartitionDescription, ...]
    authorized_operations: frozenset[AclOperation] | None = None
