"""Metadata (API key 3): requests, responses and what a client reads from them.

Page: https://kafka.apache.org/protocol#The_Messages_Metadata
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ._declare import Api, Field, version_classes
from ._rows import row_reader, row_schema
from .api import Request, RequestStruct, Response
from .types import Schema

if TYPE_CHECKING:
    from uuid import UUID

_API = Api(
    "Metadata",
    3,
    versions=range(14),
    flexible=9,
    module=__name__,
    request=(
        # Before the flexible versions a row of one field and the field alone are the same bytes.
        Field("topics", "[]string", "0-8", nullable="1+"),
        Field(
            "topics",
            [Field("topic_id", "uuid", "10+"), Field("topic", "string", nullable="10+")],
            "9+",
            nullable="9+",
        ),
        Field("allow_auto_topic_creation", "bool", "4+"),
        Field("include_cluster_authorized_operations", "bool", "8-10"),
        Field("include_topic_authorized_operations", "bool", "8+"),
    ),
    response=(
        Field("throttle_time_ms", "int32", "3+"),
        Field(
            "brokers",
            [
                Field("node_id", "int32"),
                Field("host", "string"),
                Field("port", "int32"),
                Field("rack", "string", "1+", nullable="1+"),
            ],
        ),
        Field("cluster_id", "string", "2+", nullable="2+"),
        Field("controller_id", "int32", "1+"),
        Field(
            "topics",
            [
                Field("error_code", "int16"),
                Field("topic", "string", nullable="12+"),
                Field("topic_id", "uuid", "10+"),
                Field("is_internal", "bool", "1+"),
                Field(
                    "partitions",
                    [
                        Field("error_code", "int16"),
                        Field("partition", "int32"),
                        Field("leader", "int32"),
                        Field("leader_epoch", "int32", "7+"),
                        Field("replicas", "[]int32"),
                        Field("isr", "[]int32"),
                        Field("offline_replicas", "[]int32", "5+"),
                    ],
                ),
                Field("authorized_operations", "int32", "8+"),
            ],
        ),
        Field("cluster_authorized_operations", "int32", "8-10"),
        Field("error_code", "int16", "13+"),
    ),
)

if TYPE_CHECKING:
    (
        MetadataRequest_v0,
        MetadataRequest_v1,
        MetadataRequest_v2,
        MetadataRequest_v3,
        MetadataRequest_v4,
        MetadataRequest_v5,
        MetadataRequest_v6,
        MetadataRequest_v7,
        MetadataRequest_v8,
        MetadataRequest_v9,
        MetadataRequest_v10,
        MetadataRequest_v11,
        MetadataRequest_v12,
        MetadataRequest_v13,
    ) = _API.requests
    (
        MetadataResponse_v0,
        MetadataResponse_v1,
        MetadataResponse_v2,
        MetadataResponse_v3,
        MetadataResponse_v4,
        MetadataResponse_v5,
        MetadataResponse_v6,
        MetadataResponse_v7,
        MetadataResponse_v8,
        MetadataResponse_v9,
        MetadataResponse_v10,
        MetadataResponse_v11,
        MetadataResponse_v12,
        MetadataResponse_v13,
    ) = _API.responses
MetadataRequestStruct: TypeAlias = RequestStruct


class MetadataRequest(Request[RequestStruct], api=_API):
    """Ask for brokers, topics and partition leaders.

    Parameters:
        topics: names; None asks for all topics, an empty list for none (brokers that only know
            version 0 answer both with all).
        allow_auto_topic_creation: whether the broker may create topics that do not exist; None
            leaves the protocol's default, true.
        include_topic_authorized_operations: ask for the operations this client may perform on
            each topic; ignored before version 8.
    """

    API_KEY = 3

    def __init__(
        self,
        topics: Sequence[str] | None = None,
        allow_auto_topic_creation: bool | None = None,
        include_topic_authorized_operations: bool = False,
    ) -> None:
        self._topics = topics
        self._allow_auto_topic_creation = allow_auto_topic_creation
        self._include_topic_authorized_operations = include_topic_authorized_operations

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        topics: Any = self._topics
        if version < 4:
            # Nothing can be created where no topic is named.
            if self._allow_auto_topic_creation is False and topics:
                raise self._not_expressible(request_struct_class, "forbidding topic creation")
            return request_struct_class(topics or [] if version == 0 else topics)
        if version >= 9 and topics is not None:
            topics = [(topic,) if version == 9 else (None, topic) for topic in topics]
        allow = self._allow_auto_topic_creation is not False
        if version < 8:
            return request_struct_class(topics, allow)
        include = self._include_topic_authorized_operations
        if version <= 10:
            return request_struct_class(topics, allow, False, include)
        return request_struct_class(topics, allow, include)


class ParsedPartition(NamedTuple):
    """One partition of a metadata response; the same for all versions.

    .. versionadded:: 0.14.1
    """

    error_code: int
    partition: int
    #: -1 when the partition has no leader.
    leader: int
    #: -1 where the version does not say.
    leader_epoch: int
    replicas: Sequence[int]
    isr: Sequence[int]
    #: Empty where the version does not say.
    offline_replicas: Sequence[int]


class ParsedTopic(NamedTuple):
    """One topic of a metadata response; the same for all versions.

    .. versionadded:: 0.14.1
    """

    error_code: int
    #: None for an id the broker does not know.
    name: str | None
    #: None where the version, or the broker, has no id for the topic.
    topic_id: UUID | None
    is_internal: bool
    partitions: list[ParsedPartition]


class ParsedMetadata(NamedTuple):
    """A metadata response; the same for all versions.

    .. versionadded:: 0.14.1
    """

    #: ``(node_id, host, port, rack)``
    brokers: list[tuple[int, str, int, str | None]]
    cluster_id: str | None
    #: -1 where the version, or the broker, does not say.
    controller_id: int
    topics: list[ParsedTopic]
    error_code: int = 0


_NO_REPLICAS: tuple[int, ...] = ()
_PARTITION_FIELDS: dict[str, tuple[Any, ...]] = {
    "error_code": ("error_code", 0),
    "partition": ("partition", -1),
    "leader": ("leader", -1),
    "leader_epoch": ("leader_epoch", -1),
    "replicas": ("replicas", _NO_REPLICAS),
    "isr": ("isr", _NO_REPLICAS),
    "offline_replicas": ("offline_replicas", _NO_REPLICAS),
}
_TOPIC_FIELDS: dict[str, tuple[Any, ...]] = {
    "error_code": ("error_code", 0),
    "name": ("topic", None),
    "topic_id": ("topic_id", None),
    "is_internal": ("is_internal", False),
    "partitions": ("partitions", ()),
}
_readers: dict[Schema, tuple[Callable[..., ParsedTopic], Callable[..., ParsedPartition]]] = {}


def parse(response: Response) -> ParsedMetadata:
    """What a metadata response of any version says.

    .. versionadded:: 0.14.1
    """
    schema = response.SCHEMA
    readers = _readers.get(schema)
    if readers is None:
        topics, partitions = (
            row_schema(schema, "topics"),
            row_schema(schema, "topics", "partitions"),
        )
        readers = _readers[schema] = (
            row_reader(topics, ParsedTopic, _TOPIC_FIELDS),
            row_reader(partitions, ParsedPartition, _PARTITION_FIELDS),
        )
    read_topic, read_partition = readers
    parsed: list[ParsedTopic] = []
    for row in response.topics or ():
        topic = read_topic(row)
        topic_id = topic.topic_id
        if topic_id is not None and not topic_id.int:
            topic_id = None
        parsed.append(
            topic._replace(topic_id=topic_id, partitions=list(map(read_partition, topic[4])))
        )
    return ParsedMetadata(
        brokers=[
            (row[0], row[1], row[2], row[3] if len(row) > 3 else None)
            for row in response.brokers or ()
        ],
        cluster_id=getattr(response, "cluster_id", None),
        controller_id=getattr(response, "controller_id", -1),
        topics=parsed,
        error_code=getattr(response, "error_code", 0),
    )


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _API)
