"""Membership in consumer groups, the protocol of KIP-848 (API key 68).

Page: https://kafka.apache.org/protocol#The_Messages_ConsumerGroupHeartbeat
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

if TYPE_CHECKING:
    from uuid import UUID

_TOPIC_PARTITIONS = [Field("topic_id", "uuid"), Field("partitions", "[]int32")]

_API = Api(
    "ConsumerGroupHeartbeat",
    68,
    versions=range(2),
    flexible=0,
    module=__name__,
    request=(
        Field("group_id", "string"),
        Field("member_id", "string"),
        Field("member_epoch", "int32"),
        Field("instance_id", "string", nullable="0+"),
        Field("rack_id", "string", nullable="0+"),
        Field("rebalance_timeout_ms", "int32"),
        Field("subscribed_topic_names", "[]string", nullable="0+"),
        Field("subscribed_topic_regex", "string", "1+", nullable="1+"),
        Field("server_assignor", "string", nullable="0+"),
        Field("topic_partitions", _TOPIC_PARTITIONS, nullable="0+"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16"),
        Field("error_message", "string", nullable="0+"),
        Field("member_id", "string", nullable="0+"),
        Field("member_epoch", "int32"),
        Field("heartbeat_interval_ms", "int32"),
        Field("assignment", (Field("topic_partitions", _TOPIC_PARTITIONS),), nullable="0+"),
    ),
)

if TYPE_CHECKING:
    ConsumerGroupHeartbeatRequest_v0, ConsumerGroupHeartbeatRequest_v1 = _API.requests
    ConsumerGroupHeartbeatResponse_v0, ConsumerGroupHeartbeatResponse_v1 = _API.responses
ConsumerGroupHeartbeatRequestStruct: TypeAlias = RequestStruct


class ConsumerGroupHeartbeatRequest(Request[RequestStruct], api=_API):
    """Join, stay in and leave a group, and report the partitions held.

    Fields that have not changed since the last heartbeat are None (timeout: -1).

    Parameters:
        group_id, member_id: who; from version 1 the member makes up its own id (KIP-1082).
        member_epoch: 0 to join, -1 to leave, -2 to leave as a static member.
        instance_id, rack_id: of the member.
        rebalance_timeout_ms: milliseconds the member has to give partitions up.
        subscribed_topic_names, subscribed_topic_regex: the subscription.
        server_assignor: the assignor wanted.
        topic_partitions: ``[(topic_id, [partition])]`` the member holds.

    .. versionadded:: 0.14.1
    """

    API_KEY = 68

    def __init__(
        self,
        group_id: str,
        member_id: str,
        member_epoch: int,
        *,
        instance_id: str | None = None,
        rack_id: str | None = None,
        rebalance_timeout_ms: int = -1,
        subscribed_topic_names: Sequence[str] | None = None,
        subscribed_topic_regex: str | None = None,
        server_assignor: str | None = None,
        topic_partitions: Sequence[tuple[UUID, Sequence[int]]] | None = None,
    ) -> None:
        self._head = group_id, member_id, member_epoch, instance_id, rack_id, rebalance_timeout_ms
        self._subscribed_topic_names = subscribed_topic_names
        self._subscribed_topic_regex = subscribed_topic_regex
        self._tail = server_assignor, topic_partitions

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        subscription: list[Any] = [self._subscribed_topic_names]
        if request_struct_class.API_VERSION >= 1:
            subscription.append(self._subscribed_topic_regex)
        elif self._subscribed_topic_regex is not None:
            raise self._not_expressible(request_struct_class, "subscribed_topic_regex")
        return request_struct_class(*self._head, *subscription, *self._tail)


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _API)
