"""Groups and their members.

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka.admin.acls import AclOperation
from aiokafka.structs import TopicPartition


@dataclass(frozen=True, slots=True)
class GroupListing:
    """A group in a list.

    Attributes:
        group_id: its id.
        protocol_type: ``"consumer"``, or what members of another kind call themselves; empty
            for a group that only has offsets.
        state: such as ``"Stable"`` or ``"Empty"``; None before Kafka 2.6.
        group_type: ``"classic"``, ``"consumer"`` (KIP-848) or ``"share"``; None before Kafka 3.8.

    .. versionadded:: 0.14.1
    """

    group_id: str
    protocol_type: str
    state: str | None = None
    group_type: str | None = None


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of a group.

    Attributes:
        member_id: its id.
        instance_id: of a static member (KIP-345), else None.
        client_id, client_host: of its client.
        assignment: its partitions; None when they are in a form that only the members know.
        target_assignment: what it is to have (KIP-848); None in a classic group.
        member_epoch: its epoch (KIP-848); None in a classic group.
        rack_id: its rack, if it has said so.

    .. versionadded:: 0.14.1
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    assignment: frozenset[TopicPartition] | None
    target_assignment: frozenset[TopicPartition] | None = None
    member_epoch: int | None = None
    rack_id: str | None = None


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A group.

    Attributes:
        group_id: its id.
        group_type: ``"classic"`` or ``"consumer"`` (KIP-848).
        state: such as ``"Stable"`` or ``"Empty"``.
        protocol_type: ``"consumer"``, or what members of another kind call themselves.
        assignor: the assignor, or other protocol, in use.
        members: its members.
        coordinator: the node id of its coordinator.
        authorized_operations: what this client may do; None if not asked for.

    .. versionadded:: 0.14.1
    """

    group_id: str
    group_type: str
    state: str
    protocol_type: str
    assignor: str
    members: tuple[GroupMember, ...]
    coordinator: int
    authorized_operations: frozenset[AclOperation] | None = None


@dataclass(frozen=True, slots=True)
class MemberToRemove:
    """A member to be removed: a static one by its instance id, any other by its member id.

    .. versionadded:: 0.14.1
    """

    member_id: str = ""
    instance_id: str | None = None
