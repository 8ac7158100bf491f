"""Moving partitions between brokers (API keys 45, 46; KIP-455).

These classes show their sections of tagged fields as fields called ``tags``.

Page: https://kafka.apache.org/protocol#The_Messages_AlterPartitionReassignments
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_ALTER = Api(
    "AlterPartitionReassignments",
    45,
    versions=range(1),
    flexible=0,
    module=_MODULE,
    request=(
        Field("timeout_ms", "int32"),
        Field(
            "topics",
            [
                Field("name", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition_index", "int32"),
                        Field("replicas", "[]int32", nullable="0+"),
                        Field("tags", "tags"),
                    ],
                ),
                Field("tags", "tags"),
            ],
        ),
        Field("tags", "tags"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16"),
        Field("error_message", "string", nullable="0+"),
        Field(
            "responses",
            [
                Field("name", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition_index", "int32"),
                        Field("error_code", "int16"),
                        Field("error_message", "string", nullable="0+"),
                        Field("tags", "tags"),
                    ],
                ),
                Field("tags", "tags"),
            ],
        ),
        Field("tags", "tags"),
    ),
)

if TYPE_CHECKING:
    (AlterPartitionReassignmentsRequest_v0,) = _ALTER.requests
    (AlterPartitionReassignmentsResponse_v0,) = _ALTER.responses
AlterPartitionReassignmentsRequestStruct: TypeAlias = RequestStruct


class AlterPartitionReassignmentsRequest(Request[RequestStruct], api=_ALTER):
    """Assign replicas to partitions, or cancel a reassignment.

    Parameters:
        timeout_ms: milliseconds to wait for the reassignment to be recorded.
        topics: ``[(topic, [(partition, replicas, tags)], tags)]``; replicas None cancels.
        tags: raw tagged fields of the request.
    """

    API_KEY = 45

    def __init__(
        self, timeout_ms: int, topics: Sequence[Any], tags: Mapping[int, bytes] | None
    ) -> None:
        self._timeout_ms = timeout_ms
        self._topics = topics
        self._tags = tags

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._timeout_ms, self._topics, self._tags)


_LIST = Api(
    "ListPartitionReassignments",
    46,
    versions=range(1),
    flexible=0,
    module=_MODULE,
    request=(
        Field("timeout_ms", "int32"),
        Field(
            "topics",
            [
                Field("name", "string"),
                Field("partition_index", "[]int32"),
                Field("tags", "tags"),
            ],
            nullable="0+",
        ),
        Field("tags", "tags"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16"),
        Field("error_message", "string", nullable="0+"),
        Field(
            "topics",
            [
                Field("name", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition_index", "int32"),
                        Field("replicas", "[]int32"),
                        Field("adding_replicas", "[]int32"),
                        Field("removing_replicas", "[]int32"),
                        Field("tags", "tags"),
                    ],
                ),
                Field("tags", "tags"),
            ],
        ),
        Field("tags", "tags"),
    ),
)

if TYPE_CHECKING:
    (ListPartitionReassignmentsRequest_v0,) = _LIST.requests
    (ListPartitionReassignmentsResponse_v0,) = _LIST.responses
ListPartitionReassignmentsRequestStruct: TypeAlias = RequestStruct


class ListPartitionReassignmentsRequest(Request[RequestStruct], api=_LIST):
    """List the reassignments that are going on.

    Parameters:
        timeout_ms: milliseconds the broker may take.
        topics: ``[(topic, [partition], tags)]``; None asks for all.
        tags: raw tagged fields of the request.
    """

    API_KEY = 46

    def __init__(
        self, timeout_ms: int, topics: Sequence[Any] | None, tags: Mapping[int, bytes] | None
    ) -> None:
        self._timeout_ms = timeout_ms
        self._topics = topics
        self._tags = tags

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._timeout_ms, self._topics, self._tags)


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _ALTER, _LIST)
