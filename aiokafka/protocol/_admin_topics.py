"""Topics and records: creating, growing, deleting (API keys 19, 20, 21, 37).

Page: https://kafka.apache.org/protocol#The_Messages_CreateTopics
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_CREATE_TOPICS = Api(
    "CreateTopics",
    19,
    versions=range(8),
    flexible=5,
    module=_MODULE,
    request=(
        Field(
            "create_topic_requests",
            [
                Field("topic", "string"),
                Field("num_partitions", "int32"),
                Field("replication_factor", "int16"),
                Field(
                    "replica_assignment",
                    [Field("partition_id", "int32"), Field("replicas", "[]int32")],
                ),
                Field(
                    "configs",
                    [
                        Field("config_key", "string"),
                        Field("config_value", "string", nullable="0+"),
                    ],
                ),
            ],
        ),
        Field("timeout", "int32"),
        Field("validate_only", "bool", "1+"),
    ),
    response=(
        Field("throttle_time_ms", "int32", "2+"),
        Field(
            "topic_errors",
            [
                Field("topic", "string"),
                Field("topic_id", "uuid", "7+"),
                Field("error_code", "int16"),
                Field("error_message", "string", "1+", nullable="1+"),
                Field("topic_config_error_code", "int16", "5+", tag=0, default=0),
                Field("num_partitions", "int32", "5+"),
                Field("replication_factor", "int16", "5+"),
                Field(
                    "configs",
                    [
                        Field("config_name", "string"),
                        Field("config_value", "string", nullable="5+"),
                        Field("read_only", "bool"),
                        Field("config_source", "int8"),
                        Field("is_sensitive", "bool"),
                    ],
                    "5+",
                    nullable="5+",
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        CreateTopicsRequest_v0,
        CreateTopicsRequest_v1,
        CreateTopicsRequest_v2,
        CreateTopicsRequest_v3,
        CreateTopicsRequest_v4,
        CreateTopicsRequest_v5,
        CreateTopicsRequest_v6,
        CreateTopicsRequest_v7,
    ) = _CREATE_TOPICS.requests
    (
        CreateTopicsResponse_v0,
        CreateTopicsResponse_v1,
        CreateTopicsResponse_v2,
        CreateTopicsResponse_v3,
        CreateTopicsResponse_v4,
        CreateTopicsResponse_v5,
        CreateTopicsResponse_v6,
        CreateTopicsResponse_v7,
    ) = _CREATE_TOPICS.responses
CreateTopicsRequestStruct: TypeAlias = RequestStruct


class CreateTopicsRequest(Request[RequestStruct], api=_CREATE_TOPICS):
    """Create topics.

    Parameters:
        create_topic_requests: ``[(topic, num_partitions, replication_factor,
            [(partition, [node_id])], [(config, value)])]``.
        timeout: milliseconds to wait until the topics are complete on the controller.
        validate_only: check, do not create.
    """

    API_KEY = 19

    def __init__(
        self, create_topic_requests: Sequence[Any], timeout: int, validate_only: bool
    ) -> None:
        self.create_topic_requests = create_topic_requests
        self.timeout = timeout
        self.validate_only = validate_only

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class.API_VERSION >= 1:
            return request_struct_class(
                self.create_topic_requests, self.timeout, bool(self.validate_only)
            )
        if self.validate_only:
            raise self._not_expressible(request_struct_class, "validate_only")
        return request_struct_class(self.create_topic_requests, self.timeout)


_DELETE_TOPICS = Api(
    "DeleteTopics",
    20,
    versions=range(7),
    flexible=4,
    module=_MODULE,
    request=(
        Field(
            "topics",
            [Field("topic", "string", nullable="6+"), Field("topic_id", "uuid")],
            "6+",
        ),
        Field("topics", "[]string", "0-5"),
        Field("timeout", "int32"),
    ),
    response=(
        Field("throttle_time_ms", "int32", "1+"),
        Field(
            "topic_error_codes",
            [
                Field("topic", "string", nullable="6+"),
                Field("topic_id", "uuid", "6+"),
                Field("error_code", "int16"),
                Field("error_message", "string", "5+", nullable="5+"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        DeleteTopicsRequest_v0,
        DeleteTopicsRequest_v1,
        DeleteTopicsRequest_v2,
        DeleteTopicsRequest_v3,
        DeleteTopicsRequest_v4,
        DeleteTopicsRequest_v5,
        DeleteTopicsRequest_v6,
    ) = _DELETE_TOPICS.requests
    (
        DeleteTopicsResponse_v0,
        DeleteTopicsResponse_v1,
        DeleteTopicsResponse_v2,
        DeleteTopicsResponse_v3,
        DeleteTopicsResponse_v4,
        DeleteTopicsResponse_v5,
        DeleteTopicsResponse_v6,
    ) = _DELETE_TOPICS.responses
DeleteTopicsRequestStruct: TypeAlias = RequestStruct


class DeleteTopicsRequest(Request[RequestStruct], api=_DELETE_TOPICS):
    """Delete topics by name.

    Parameters:
        topics: names.
        timeout: milliseconds to wait until the topics are gone from the controller.
    """

    API_KEY = 20

    def __init__(self, topics: Sequence[str], timeout: int) -> None:
        self._topics = topics
        self._timeout = timeout

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        topics: Sequence[Any] = self._topics
        if request_struct_class.API_VERSION >= 6:
            topics = [(topic, None) for topic in topics]
        return request_struct_class(topics, self._timeout)


_CREATE_PARTITIONS = Api(
    "CreatePartitions",
    37,
    versions=range(4),
    flexible=2,
    module=_MODULE,
    request=(
        Field(
            "topic_partitions",
            [
                Field("topic", "string"),
                Field(
                    "new_partitions",
                    (
                        Field("count", "int32"),
                        Field("assignment", "[][]int32", nullable="0+"),
                    ),
                    "0-1",
                ),
                Field("count", "int32", "2+"),
                Field("assignment", [Field("broker_ids", "[]int32")], "2+", nullable="2+"),
            ],
        ),
        Field("timeout", "int32"),
        Field("validate_only", "bool"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "topic_errors",
            [
                Field("topic", "string"),
                Field("error_code", "int16"),
                Field("error_message", "string", nullable="0+"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        CreatePartitionsRequest_v0,
        CreatePartitionsRequest_v1,
        CreatePartitionsRequest_v2,
        CreatePartitionsRequest_v3,
    ) = _CREATE_PARTITIONS.requests
    (
        CreatePartitionsResponse_v0,
        CreatePartitionsResponse_v1,
        CreatePartitionsResponse_v2,
        CreatePartitionsResponse_v3,
    ) = _CREATE_PARTITIONS.responses
CreatePartitionsRequestStruct: TypeAlias = RequestStruct


class CreatePartitionsRequest(Request[RequestStruct], api=_CREATE_PARTITIONS):
    """Add partitions to topics.

    Parameters:
        topic_partitions: ``[(topic, (total count, assignment))]``, where assignment is None or a
            list of node ids for each new partition.
        timeout: milliseconds to wait until the partitions are complete on the controller.
        validate_only: check, do not create.
    """

    API_KEY = 37

    def __init__(self, topic_partitions: Sequence[Any], timeout: int, validate_only: bool) -> None:
        self._topic_partitions = topic_partitions
        self._timeout = timeout
        self._validate_only = validate_only

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        rows = self._topic_partitions
        if request_struct_class.API_VERSION >= 2:
            rows = [
                (topic, count, None if assignment is None else [(ids,) for ids in assignment])
                for topic, (count, assignment) in rows
            ]
        return request_struct_class(rows, self._timeout, bool(self._validate_only))


_DELETE_RECORDS = Api(
    "DeleteRecords",
    21,
    versions=range(3),
    flexible=2,
    module=_MODULE,
    request=(
        Field(
            "topics",
            [
                Field("name", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition_index", "int32"),
                        Field("offset", "int64"),
                        Field("tags", "tags", "2+"),
                    ],
                ),
                Field("tags", "tags", "2+"),
            ],
        ),
        Field("timeout_ms", "int32"),
        Field("tags", "tags", "2+"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "topics",
            [
                Field("name", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition_index", "int32"),
                        Field("low_watermark", "int64"),
                        Field("error_code", "int16"),
                        Field("tags", "tags", "2+"),
                    ],
                ),
                Field("tags", "tags", "2+"),
            ],
        ),
        Field("tags", "tags", "2+"),
    ),
)

if TYPE_CHECKING:
    (
        DeleteRecordsRequest_v0,
        DeleteRecordsRequest_v1,
        DeleteRecordsRequest_v2,
    ) = _DELETE_RECORDS.requests
    (
        DeleteRecordsResponse_v0,
        DeleteRecordsResponse_v1,
        DeleteRecordsResponse_v2,
    ) = _DELETE_RECORDS.responses
DeleteRecordsRequestStruct: TypeAlias = RequestStruct


class DeleteRecordsRequest(Request[RequestStruct], api=_DELETE_RECORDS):
    """Delete the records before an offset.

    Parameters:
        topics: ``[(topic, [(partition, offset)])]``; the partitions may be a mapping.
        timeout_ms: milliseconds to wait for the replicas.
        tags: raw tagged fields of the request, from version 2.
    """

    API_KEY = 21

    def __init__(
        self, topics: Sequence[Any], timeout_ms: int, tags: Mapping[int, bytes] | None = None
    ) -> None:
        self._topics = topics
        self._timeout_ms = timeout_ms
        self._tags = tags

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        flexible = request_struct_class.API_VERSION >= 2
        if self._tags and not flexible:
            raise self._not_expressible(request_struct_class, "a tagged field")
        topics: list[Any] = []
        for topic, partitions, *_ in self._topics:
            pairs: Any = partitions.items() if isinstance(partitions, Mapping) else partitions
            if flexible:
                rows = [(row[0], row[1], row[2] if len(row) > 2 else {}) for row in pairs]
                topics.append((topic, rows, {}))
            else:
                topics.append((topic, [(row[0], row[1]) for row in pairs]))
        if flexible:
            return request_struct_class(topics, self._timeout_ms, self._tags or {})
        return request_struct_class(topics, self._timeout_ms)


if not TYPE_CHECKING:
    __getattr__ = version_classes(
        __name__, _CREATE_TOPICS, _DELETE_TOPICS, _CREATE_PARTITIONS, _DELETE_RECORDS
    )
