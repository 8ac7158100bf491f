"""OffsetCommit and OffsetFetch (API keys 8 and 9).

Page: https://kafka.apache.org/protocol#The_Messages_OffsetCommit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ._declare import Api, Field, version_classes
from ._rows import all_have_ids, commit_rows, topic_name, with_topic_ids
from .api import Request, RequestStruct, Response

if TYPE_CHECKING:
    from uuid import UUID

_OFFSET_COMMIT = Api(
    "OffsetCommit",
    8,
    versions=range(11),
    flexible=8,
    module=__name__,
    request=(
        Field("consumer_group", "string"),
        Field("consumer_group_generation_id", "int32", "1+"),
        Field("consumer_id", "string", "1+"),
        Field("group_instance_id", "string", "7+", nullable="7+"),
        Field("retention_time", "int64", "2-4"),
        Field(
            "topics",
            [
                Field("topic", "string", "0-9"),
                Field("topic_id", "uuid", "10+"),
                Field(
                    "partitions",
                    [
                        Field("partition", "int32"),
                        Field("offset", "int64"),
                        Field("timestamp", "int64", "1"),
                        Field("leader_epoch", "int32", "6+"),
                        Field("metadata", "string", nullable="0+"),
                    ],
                ),
            ],
        ),
    ),
    response=(
        Field("throttle_time_ms", "int32", "3+"),
        Field(
            "topics",
            [
                Field("topic", "string", "0-9"),
                Field("topic_id", "uuid", "10+"),
                Field("partitions", [Field("partition", "int32"), Field("error_code", "int16")]),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        OffsetCommitRequest_v0,
        OffsetCommitRequest_v1,
        OffsetCommitRequest_v2,
        OffsetCommitRequest_v3,
        OffsetCommitRequest_v4,
        OffsetCommitRequest_v5,
        OffsetCommitRequest_v6,
        OffsetCommitRequest_v7,
        OffsetCommitRequest_v8,
        OffsetCommitRequest_v9,
        OffsetCommitRequest_v10,
    ) = _OFFSET_COMMIT.requests
    (
        OffsetCommitResponse_v0,
        OffsetCommitResponse_v1,
        OffsetCommitResponse_v2,
        OffsetCommitResponse_v3,
        OffsetCommitResponse_v4,
        OffsetCommitResponse_v5,
        OffsetCommitResponse_v6,
        OffsetCommitResponse_v7,
        OffsetCommitResponse_v8,
        OffsetCommitResponse_v9,
        OffsetCommitResponse_v10,
    ) = _OFFSET_COMMIT.responses
OffsetCommitRequestStruct: TypeAlias = RequestStruct

_NEWEST_WITH_RETENTION = 4
_FIRST_WITH_STATIC_MEMBERS = 7
_FIRST_WITH_TOPIC_IDS = 10


class OffsetCommitRequest(Request[RequestStruct], api=_OFFSET_COMMIT, oldest=2):
    """Commit the offsets of a consumer group.

    Parameters:
        consumer_group: the group id.
        consumer_group_generation_id: generation or, in the new group protocol, member epoch.
        consumer_id: the member id.
        retention_time: milliseconds to keep the offsets, -1 for the broker's setting.
        topics: ``[(topic, [(partition, offset, metadata)])]``; a fourth item of the inner rows is
            the leader epoch of the last consumed record.
        group_instance_id: of a static member (KIP-345).
        topic_ids: ids by topic name; version 10 is picked only if every topic has one.
    """

    API_KEY = 8
    DEFAULT_GENERATION_ID = -1
    DEFAULT_RETENTION_TIME = -1

    def __init__(
        self,
        consumer_group: str,
        consumer_group_generation_id: int,
        consumer_id: str,
        retention_time: int,
        topics: Sequence[tuple[str, Sequence[tuple[Any, ...]]]],
        *,
        group_instance_id: str | None = None,
        topic_ids: Mapping[str, UUID] | None = None,
    ) -> None:
        self._consumer_group = consumer_group
        self._consumer_group_generation_id = consumer_group_generation_id
        self._consumer_id = consumer_id
        self._retention_time = retention_time
        self._topics = topics
        self._group_instance_id = group_instance_id
        self._topic_ids = topic_ids

    def _highest_version(self) -> int:
        if self._retention_time != self.DEFAULT_RETENTION_TIME:
            return _NEWEST_WITH_RETENTION
        if all_have_ids(self._topics, self._topic_ids):
            return super()._highest_version()
        return _FIRST_WITH_TOPIC_IDS - 1

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        values: list[Any] = [
            self._consumer_group,
            self._consumer_group_generation_id,
            self._consumer_id,
        ]
        if version >= _FIRST_WITH_STATIC_MEMBERS:
            values.append(self._group_instance_id)
        elif self._group_instance_id is not None:
            raise self._not_expressible(request_struct_class, "group_instance_id")
        if version <= _NEWEST_WITH_RETENTION:
            values.append(self._retention_time)
        topics: Any = commit_rows(self._topics, with_epoch=version >= 6)
        if version >= _FIRST_WITH_TOPIC_IDS:
            topics = with_topic_ids(topics, self._topic_ids)
        return request_struct_class(*values, topics)


def commit_results(
    response: Response, topic_names: Mapping[UUID, str] | None = None
) -> list[tuple[str, int, int]]:
    """``(topic, partition, error_code)`` of an OffsetCommitResponse of any version.

    Parameters:
        response: the response.
        topic_names: names by id, for version 10; a topic it lacks is named by its id.

    .. versionadded:: 0.14.1
    """
    return [
        (topic_name(topic, topic_names), partition, error_code)
        for topic, partitions in response.topics
        for partition, error_code in partitions
    ]


_COMMITTED = [
    Field("partition", "int32"),
    Field("offset", "int64"),
    Field("leader_epoch", "int32", "5+"),
    Field("metadata", "string", nullable="0+"),
    Field("error_code", "int16"),
]
_OFFSET_FETCH = Api(
    "OffsetFetch",
    9,
    versions=range(11),
    flexible=6,
    module=__name__,
    request=(
        Field("consumer_group", "string", "0-7"),
        Field(
            "topics",
            [Field("topic", "string"), Field("partitions", "[]int32")],
            "0-7",
            nullable="2-7",
        ),
        Field(
            "groups",
            [
                Field("group_id", "string"),
                Field("member_id", "string", "9+", nullable="9+"),
                Field("member_epoch", "int32", "9+"),
                Field(
                    "topics",
                    [
                        Field("topic", "string", "8-9"),
                        Field("topic_id", "uuid", "10+"),
                        Field("partitions", "[]int32"),
                    ],
                    nullable="8+",
                ),
            ],
            "8+",
        ),
        Field("require_stable", "bool", "7+"),
    ),
    response=(
        Field("throttle_time_ms", "int32", "3+"),
        Field("topics", [Field("topic", "string"), Field("partitions", _COMMITTED)], "0-7"),
        Field("error_code", "int16", "2-7"),
        Field(
            "groups",
            [
                Field("group_id", "string"),
                Field(
                    "topics",
                    [
                        Field("topic", "string", "8-9"),
                        Field("topic_id", "uuid", "10+"),
                        Field("partitions", _COMMITTED),
                    ],
                ),
                Field("error_code", "int16"),
            ],
            "8+",
        ),
    ),
)

if TYPE_CHECKING:
    (
        OffsetFetchRequest_v0,
        OffsetFetchRequest_v1,
        OffsetFetchRequest_v2,
        OffsetFetchRequest_v3,
        OffsetFetchRequest_v4,
        OffsetFetchRequest_v5,
        OffsetFetchRequest_v6,
        OffsetFetchRequest_v7,
        OffsetFetchRequest_v8,
        OffsetFetchRequest_v9,
        OffsetFetchRequest_v10,
    ) = _OFFSET_FETCH.requests
    (
        OffsetFetchResponse_v0,
        OffsetFetchResponse_v1,
        OffsetFetchResponse_v2,
        OffsetFetchResponse_v3,
        OffsetFetchResponse_v4,
        OffsetFetchResponse_v5,
        OffsetFetchResponse_v6,
        OffsetFetchResponse_v7,
        OffsetFetchResponse_v8,
        OffsetFetchResponse_v9,
        OffsetFetchResponse_v10,
    ) = _OFFSET_FETCH.responses
OffsetFetchRequestStruct: TypeAlias = RequestStruct


class OffsetFetchRequest(Request[RequestStruct], api=_OFFSET_FETCH, oldest=1):
    """Read the committed offsets of a group.

    Parameters:
        consumer_group: the group id.
        partitions: ``[(topic, [partition])]``; None asks for all, from version 2.
        require_stable: fail with UNSTABLE_OFFSET_COMMIT while a transaction may still change the
            offsets (KIP-447).
        member_id, member_epoch: of a member in the new group protocol (KIP-848).
        topic_ids: ids by topic name; version 10 is picked only if every topic has one.
    """

    API_KEY = 9

    def __init__(
        self,
        consumer_group: str,
        partitions: Sequence[tuple[str, Sequence[int]]] | None,
        *,
        require_stable: bool = False,
        member_id: str | None = None,
        member_epoch: int = -1,
        topic_ids: Mapping[str, UUID] | None = None,
    ) -> None:
        self._consumer_group = consumer_group
        self._partitions = partitions
        self._require_stable = require_stable
        self._member_id = member_id
        self._member_epoch = member_epoch
        self._topic_ids = topic_ids

    def _highest_version(self) -> int:
        if all_have_ids(self._partitions or (), self._topic_ids):
            return super()._highest_version()
        return _FIRST_WITH_TOPIC_IDS - 1

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        topics: Any = self._partitions
        if version < 2 and topics is None:
            raise self._not_expressible(request_struct_class, "asking for all partitions")
        if version < 7:
            if self._require_stable:
                raise self._not_expressible(request_struct_class, "require_stable")
            return request_struct_class(self._consumer_group, topics)
        if version == 7:
            return request_struct_class(self._consumer_group, topics, self._require_stable)
        if version >= _FIRST_WITH_TOPIC_IDS and topics is not None:
            topics = with_topic_ids(topics, self._topic_ids)
        member = () if version == 8 else (self._member_id, self._member_epoch)
        return request_struct_class(
            [(self._consumer_group, *member, topics)], self._require_stable
        )


class CommittedOffset(NamedTuple):
    """A committed offset; the same for all versions.

    .. versionadded:: 0.14.1
    """

    topic: str
    partition: int
    #: -1 when nothing is committed.
    offset: int
    #: -1 where the version does not say.
    leader_epoch: int
    metadata: str | None
    error_code: int


def committed_offsets(
    response: Response, topic_names: Mapping[UUID, str] | None = None
) -> tuple[int, list[CommittedOffset]]:
    """The error code of the group and its offsets, from an OffsetFetchResponse of any version.

    Parameters:
        response: the answer to a request for one group.
        topic_names: names by id, for version 10; a topic it lacks is named by its id.

    .. versionadded:: 0.14.1
    """
    groups = getattr(response, "groups", None)
    if groups is None:
        error_code, topics = getattr(response, "error_code", 0), response.topics
    elif groups:
        _, topics, error_code = groups[0]
    else:
        error_code, topics = 0, ()
    offsets: list[CommittedOffset] = []
    for topic, partitions in topics:
        name = topic_name(topic, topic_names)
        for row in partitions:
            leader_epoch = row[2] if len(row) == 5 else -1
            offsets.append(CommittedOffset(name, row[0], row[1], leader_epoch, row[-2], row[-1]))
    return error_code, offsets


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _OFFSET_COMMIT, _OFFSET_FETCH)
