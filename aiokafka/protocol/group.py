"""Membership in consumer groups, classic protocol (API keys 11, 12, 13, 14).

Page: https://kafka.apache.org/protocol#The_Messages_JoinGroup
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from aiokafka.structs import TopicPartition

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct, Response
from .struct import Struct
from .types import Array, Bytes, Int16, Int32, Schema, String

_JOIN_GROUP = Api(
    "JoinGroup",
    11,
    versions=range(10),
    flexible=6,
    module=__name__,
    request=(
        Field("group", "string"),
        Field("session_timeout", "int32"),
        Field("rebalance_timeout", "int32", "1+"),
        Field("member_id", "string"),
        Field("group_instance_id", "string", "5+", nullable="5+"),
        Field("protocol_type", "string"),
        Field(
            "group_protocols",
            [Field("protocol_name", "string"), Field("protocol_metadata", "bytes")],
        ),
        Field("reason", "string", "8+", nullable="8+"),
    ),
    response=(
        Field("throttle_time_ms", "int32", "2+"),
        Field("error_code", "int16"),
        Field("generation_id", "int32"),
        Field("protocol_type", "string", "7+", nullable="7+"),
        Field("group_protocol", "string", nullable="7+"),
        Field("leader_id", "string"),
        Field("skip_assignment", "bool", "9+"),
        Field("member_id", "string"),
        Field(
            "members",
            [
                Field("member_id", "string"),
                Field("group_instance_id", "string", "5+", nullable="5+"),
                Field("member_metadata", "bytes"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        JoinGroupRequest_v0,
        JoinGroupRequest_v1,
        JoinGroupRequest_v2,
        JoinGroupRequest_v3,
        JoinGroupRequest_v4,
        JoinGroupRequest_v5,
        JoinGroupRequest_v6,
        JoinGroupRequest_v7,
        JoinGroupRequest_v8,
        JoinGroupRequest_v9,
    ) = _JOIN_GROUP.requests
    (
        JoinGroupResponse_v0,
        JoinGroupResponse_v1,
        JoinGroupResponse_v2,
        JoinGroupResponse_v3,
        JoinGroupResponse_v4,
        JoinGroupResponse_v5,
        JoinGroupResponse_v6,
        JoinGroupResponse_v7,
        JoinGroupResponse_v8,
        JoinGroupResponse_v9,
    ) = _JOIN_GROUP.responses
JoinGroupRequestStruct: TypeAlias = RequestStruct


class JoinGroupRequest(Request[RequestStruct], api=_JOIN_GROUP):
    """Join a group.

    Parameters:
        group: the group id.
        session_timeout: milliseconds without a heartbeat after which a member is removed.
        rebalance_timeout: milliseconds members have to rejoin in a rebalance.
        member_id: empty when joining for the first time.
        group_instance_id: of a static member (KIP-345), else None.
        protocol_type: "consumer".
        group_protocols: ``[(assignor, metadata)]``, the preferred one first.
        reason: why the member joins (KIP-800), for the broker's log.
    """

    API_KEY = 11
    UNKNOWN_MEMBER_ID = ""

    def __init__(
        self,
        group: str,
        session_timeout: int,
        rebalance_timeout: int,
        member_id: str,
        group_instance_id: str | None,
        protocol_type: str,
        group_protocols: Sequence[tuple[str, bytes]],
        *,
        reason: str | None = None,
    ) -> None:
        self._group = group
        self._session_timeout = session_timeout
        self._rebalance_timeout = rebalance_timeout
        self._member_id = member_id
        self._group_instance_id = group_instance_id
        self._protocol_type = protocol_type
        self._group_protocols = group_protocols
        self._reason = reason

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        values: list[Any] = [self._group, self._session_timeout]
        if version >= 1:
            values.append(self._rebalance_timeout)
        values.append(self._member_id)
        if version >= 5:
            values.append(self._group_instance_id)
        elif self._group_instance_id is not None:
            raise self._not_expressible(request_struct_class, "group_instance_id")
        values += [self._protocol_type, self._group_protocols]
        if version >= 8:
            values.append(self._reason)
        return request_struct_class(*values)


class JoinedMember(NamedTuple):
    """A member as the leader of its group sees it; the same for all versions.

    .. versionadded:: 0.14.1
    """

    member_id: str
    group_instance_id: str | None
    metadata: bytes


def joined_members(response: Response) -> list[JoinedMember]:
    """The members in a JoinGroupResponse of any version.

    .. versionadded:: 0.14.1
    """
    return [
        JoinedMember(row[0], row[1] if len(row) > 2 else None, row[-1]) for row in response.members
    ]


_SYNC_GROUP = Api(
    "SyncGroup",
    14,
    versions=range(6),
    flexible=4,
    module=__name__,
    request=(
        Field("group", "string"),
        Field("generation_id", "int32"),
        Field("member_id", "string"),
        Field("group_instance_id", "string", "3+", nullable="3+"),
        Field("protocol_type", "string", "5+", nullable="5+"),
        Field("protocol_name", "string", "5+", nullable="5+"),
        Field(
            "group_assignment",
            [Field("member_id", "string"), Field("member_metadata", "bytes")],
        ),
    ),
    response=(
        Field("throttle_time_ms", "int32", "1+"),
        Field("error_code", "int16"),
        Field("protocol_type", "string", "5+", nullable="5+"),
        Field("protocol_name", "string", "5+", nullable="5+"),
        Field("member_assignment", "bytes"),
    ),
)

if TYPE_CHECKING:
    (
        SyncGroupRequest_v0,
        SyncGroupRequest_v1,
        SyncGroupRequest_v2,
        SyncGroupRequest_v3,
        SyncGroupRequest_v4,
        SyncGroupRequest_v5,
    ) = _SYNC_GROUP.requests
    (
        SyncGroupResponse_v0,
        SyncGroupResponse_v1,
        SyncGroupResponse_v2,
        SyncGroupResponse_v3,
        SyncGroupResponse_v4,
        SyncGroupResponse_v5,
    ) = _SYNC_GROUP.responses
SyncGroupRequestStruct: TypeAlias = RequestStruct


class SyncGroupRequest(Request[RequestStruct], api=_SYNC_GROUP):
    """Hand in (leader) and receive the assignment of a generation.

    Parameters:
        group, generation_id, member_id, group_instance_id: who asks.
        group_assignment: ``[(member_id, assignment)]``, empty for followers.
        protocol_type, protocol_name: as in the answer to JoinGroup; version 5, which must say
            both, is picked only when they are given (KIP-559).
    """

    API_KEY = 14

    def __init__(
        self,
        group: str,
        generation_id: int,
        member_id: str,
        group_instance_id: str | None,
        group_assignment: Sequence[tuple[str, bytes]],
        *,
        protocol_type: str | None = None,
        protocol_name: str | None = None,
    ) -> None:
        self._group = group
        self._generation_id = generation_id
        self._member_id = member_id
        self._group_instance_id = group_instance_id
        self._group_assignment = group_assignment
        self._protocol_type = protocol_type
        self._protocol_name = protocol_name

    def _highest_version(self) -> int:
        if self._protocol_type is None or self._protocol_name is None:
            return 4
        return super()._highest_version()

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        values: list[Any] = [self._group, self._generation_id, self._member_id]
        if version >= 3:
            values.append(self._group_instance_id)
        elif self._group_instance_id is not None:
            raise self._not_expressible(request_struct_class, "group_instance_id")
        if version >= 5:
            values += [self._protocol_type, self._protocol_name]
        return request_struct_class(*values, self._group_assignment)


_HEARTBEAT = Api(
    "Heartbeat",
    12,
    versions=range(5),
    flexible=4,
    module=__name__,
    request=(
        Field("group", "string"),
        Field("generation_id", "int32"),
        Field("member_id", "string"),
        Field("group_instance_id", "string", "3+", nullable="3+"),
    ),
    response=(Field("throttle_time_ms", "int32", "1+"), Field("error_code", "int16")),
)

if TYPE_CHECKING:
    (
        HeartbeatRequest_v0,
        HeartbeatRequest_v1,
        HeartbeatRequest_v2,
        HeartbeatRequest_v3,
        HeartbeatRequest_v4,
    ) = _HEARTBEAT.requests
    (
        HeartbeatResponse_v0,
        HeartbeatResponse_v1,
        HeartbeatResponse_v2,
        HeartbeatResponse_v3,
        HeartbeatResponse_v4,
    ) = _HEARTBEAT.responses
HeartbeatRequestStruct: TypeAlias = RequestStruct


class HeartbeatRequest(Request[RequestStruct], api=_HEARTBEAT):
    """Keep a membership alive and learn of rebalances."""

    API_KEY = 12

    def __init__(
        self,
        group: str,
        generation_id: int,
        member_id: str,
        *,
        group_instance_id: str | None = None,
    ) -> None:
        self._group = group
        self._generation_id = generation_id
        self._member_id = member_id
        self._group_instance_id = group_instance_id

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        values: list[Any] = [self._group, self._generation_id, self._member_id]
        if request_struct_class.API_VERSION >= 3:
            values.append(self._group_instance_id)
        elif self._group_instance_id is not None:
            raise self._not_expressible(request_struct_class, "group_instance_id")
        return request_struct_class(*values)


_LEAVE_GROUP = Api(
    "LeaveGroup",
    13,
    versions=range(6),
    flexible=4,
    module=__name__,
    request=(
        Field("group", "string"),
        Field("member_id", "string", "0-2"),
        Field(
            "members",
            [
                Field("member_id", "string"),
                Field("group_instance_id", "string", nullable="3+"),
                Field("reason", "string", "5+", nullable="5+"),
            ],
            "3+",
        ),
    ),
    response=(
        Field("throttle_time_ms", "int32", "1+"),
        Field("error_code", "int16"),
        Field(
            "members",
            [
                Field("member_id", "string"),
                Field("group_instance_id", "string", nullable="3+"),
                Field("error_code", "int16"),
            ],
            "3+",
        ),
    ),
)

if TYPE_CHECKING:
    (
        LeaveGroupRequest_v0,
        LeaveGroupRequest_v1,
        LeaveGroupRequest_v2,
        LeaveGroupRequest_v3,
        LeaveGroupRequest_v4,
        LeaveGroupRequest_v5,
    ) = _LEAVE_GROUP.requests
    (
        LeaveGroupResponse_v0,
        LeaveGroupResponse_v1,
        LeaveGroupResponse_v2,
        LeaveGroupResponse_v3,
        LeaveGroupResponse_v4,
        LeaveGroupResponse_v5,
    ) = _LEAVE_GROUP.responses
LeaveGroupRequestStruct: TypeAlias = RequestStruct


class LeaveGroupRequest(Request[RequestStruct], api=_LEAVE_GROUP):
    """Give up a membership.

    Parameters:
        group, member_id: what is left.
        group_instance_id: of a static member (KIP-345).
        reason: why (KIP-800), for the broker's log.
    """

    API_KEY = 13

    def __init__(
        self,
        group: str,
        member_id: str,
        *,
        group_instance_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        self._group = group
        self._member_id = member_id
        self._group_instance_id = group_instance_id
        self._reason = reason

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        if version < 3:
            if self._group_instance_id is not None:
                raise self._not_expressible(request_struct_class, "group_instance_id")
            return request_struct_class(self._group, self._member_id)
        member: tuple[Any, ...] = self._member_id, self._group_instance_id
        if version >= 5:
            member = (*member, self._reason)
        return request_struct_class(self._group, [member])


def leave_error_code(response: Response) -> int:
    """The error code of a LeaveGroupResponse of any version: the response's, else the member's.

    .. versionadded:: 0.14.1
    """
    if response.error_code:
        return int(response.error_code)
    return next((row[2] for row in getattr(response, "members", ()) if row[2]), 0)


class ProtocolMetadata(Struct):
    """What a member of the protocol type "consumer" says of itself."""

    SCHEMA = Schema(
        ("version", Int16),
        ("subscription", Array(String("utf-8"))),
        ("user_data", Bytes),
    )


class MemberAssignment(Struct):
    """What a member of the protocol type "consumer" is assigned."""

    SCHEMA = Schema(
        ("version", Int16),
        (
            "assignment",
            Array(("topic", String("utf-8")), ("partitions", Array(Int32))),
        ),
        ("user_data", Bytes),
    )

    def partitions(self) -> list[TopicPartition]:
        """The partitions, in the order of the assignment."""
        return [
            TopicPartition(topic, partition)
            for topic, partitions in self.assignment
            for partition in partitions
        ]


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _JOIN_GROUP, _SYNC_GROUP, _HEARTBEAT, _LEAVE_GROUP)
