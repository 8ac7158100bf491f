"""Descriptions of topics and of groups (API keys 69, 75; KIP-848, KIP-966).

Page: https://kafka.apache.org/protocol#The_Messages_DescribeTopicPartitions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_CONSUMER_GROUP_DESCRIBE = Api(
    "ConsumerGroupDescribe",
    69,
    versions=range(2),
    flexible=0,
    module=_MODULE,
    request=(
        Field("group_ids", "[]string"),
        Field("include_authorized_operations", "bool"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "groups",
            [
                Field("error_code", "int16"),
                Field("error_message", "string", nullable="0+"),
                Field("group_id", "string"),
                Field("group_state", "string"),
                Field("group_epoch", "int32"),
                Field("assignment_epoch", "int32"),
                Field("assignor_name", "string"),
                Field(
                    "members",
                    [
                        Field("member_id", "string"),
                        Field("instance_id", "string", nullable="0+"),
                        Field("rack_id", "string", nullable="0+"),
                        Field("member_epoch", "int32"),
                        Field("client_id", "string"),
                        Field("client_host", "string"),
                        Field("subscribed_topic_names", "[]string"),
                        Field("subscribed_topic_regex", "string", nullable="0+"),
                        Field(
                            "assignment",
                            (
                                Field(
                                    "topic_partitions",
                                    [
                                        Field("topic_id", "uuid"),
                                        Field("topic_name", "string"),
                                        Field("partitions", "[]int32"),
                                    ],
                                ),
                            ),
                        ),
                        Field(
                            "target_assignment",
                            (
                                Field(
                                    "topic_partitions",
                                    [
                                        Field("topic_id", "uuid"),
                                        Field("topic_name", "string"),
                                        Field("partitions", "[]int32"),
                                    ],
                                ),
                            ),
                        ),
                        Field("member_type", "int8", "1+"),
                    ],
                ),
                Field("authorized_operations", "int32"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        ConsumerGroupDescribeRequest_v0,
        ConsumerGroupDescribeRequest_v1,
    ) = _CONSUMER_GROUP_DESCRIBE.requests
    (
        ConsumerGroupDescribeResponse_v0,
        ConsumerGroupDescribeResponse_v1,
    ) = _CONSUMER_GROUP_DESCRIBE.responses


class ConsumerGroupDescribeRequest(Request[RequestStruct], api=_CONSUMER_GROUP_DESCRIBE):
    """Describe groups of the protocol of KIP-848.

    Parameters:
        group_ids: the groups.
        include_authorized_operations: also ask what this client may do.

    .. versionadded:: 0.14.1
    """

    API_KEY = 69

    def __init__(self, group_ids: Sequence[str], include_authorized_operations: bool) -> None:
        self._values = group_ids, include_authorized_operations

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(*self._values)


_DESCRIBE_TOPIC_PARTITIONS = Api(
    "DescribeTopicPartitions",
    75,
    versions=range(1),
    flexible=0,
    module=_MODULE,
    request=(
        Field(
            "topics",
            [
                Field("name", "string"),
            ],
        ),
        Field("response_partition_limit", "int32"),
        Field(
            "cursor",
            (
                Field("topic_name", "string"),
                Field("partition_index", "int32"),
            ),
            nullable="0+",
        ),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "topics",
            [
                Field("error_code", "int16"),
                Field("name", "string", nullable="0+"),
                Field("topic_id", "uuid"),
                Field("is_internal", "bool"),
                Field(
                    "partitions",
                    [
                        Field("error_code", "int16"),
                        Field("partition_index", "int32"),
                        Field("leader_id", "int32"),
                        Field("leader_epoch", "int32"),
                        Field("replica_nodes", "[]int32"),
                        Field("isr_nodes", "[]int32"),
                        Field("eligible_leader_replicas", "[]int32", nullable="0+"),
                        Field("last_known_elr", "[]int32", nullable="0+"),
                        Field("offline_replicas", "[]int32"),
                    ],
                ),
                Field("topic_authorized_operations", "int32"),
            ],
        ),
        Field(
            "next_cursor",
            (
                Field("topic_name", "string"),
                Field("partition_index", "int32"),
            ),
            nullable="0+",
        ),
    ),
)

if TYPE_CHECKING:
    (DescribeTopicPartitionsRequest_v0,) = _DESCRIBE_TOPIC_PARTITIONS.requests
    (DescribeTopicPartitionsResponse_v0,) = _DESCRIBE_TOPIC_PARTITIONS.responses


class DescribeTopicPartitionsRequest(Request[RequestStruct], api=_DESCRIBE_TOPIC_PARTITIONS):
    """Describe topics, page by page.

    Parameters:
        topics: names; empty for all.
        limit: how many partitions an answer may have.
        cursor: ``(topic, partition)`` to go on at, from the answer before.

    .. versionadded:: 0.14.1
    """

    API_KEY = 75

    def __init__(
        self, topics: Sequence[str], limit: int, cursor: tuple[str, int] | None = None
    ) -> None:
        self._topics = topics
        self._limit = limit
        self._cursor = cursor

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        topics = [(topic,) for topic in self._topics]
        return request_struct_class(topics, self._limit, self._cursor)


#: What is declared here.
APIS = (
    _CONSUMER_GROUP_DESCRIBE,
    _DESCRIBE_TOPIC_PARTITIONS,
)

if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, *APIS)
