"""Fetch (API key 1): requests, responses and what a consumer reads from them.

Page: https://kafka.apache.org/protocol#The_Messages_Fetch
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ._declare import Api, Field, version_classes
from ._rows import ResultsReader, all_have_ids, with_topic_ids
from ._rows import node_endpoints as node_endpoints
from .api import Request, RequestStruct, Response

if TYPE_CHECKING:
    from uuid import UUID

_INT64_MAX = 0x7FFFFFFFFFFFFFFF

_REQUEST = (
    Field("cluster_id", "string", "12+", nullable="12+", tag=0),
    Field("replica_id", "int32", "0-14"),
    Field(
        "replica_state",
        (Field("replica_id", "int32"), Field("replica_epoch", "int64")),
        "15+",
        tag=1,
        default=(-1, -1),
    ),
    Field("max_wait_time", "int32"),
    Field("min_bytes", "int32"),
    Field("max_bytes", "int32", "3+"),
    Field("isolation_level", "int8", "4+"),
    Field("session_id", "int32", "7+"),
    Field("session_epoch", "int32", "7+"),
    Field(
        "topics",
        [
            Field("topic", "string", "0-12"),
            Field("topic_id", "uuid", "13+"),
            Field(
                "partitions",
                [
                    Field("partition", "int32"),
                    Field("current_leader_epoch", "int32", "9+"),
                    Field("offset", "int64", "0-4"),
                    Field("fetch_offset", "int64", "5+"),
                    Field("last_fetched_epoch", "int32", "12+"),
                    Field("log_start_offset", "int64", "5+"),
                    Field("max_bytes", "int32"),
                    Field("replica_directory_id", "uuid", "17+", tag=0),
                    Field("high_watermark", "int64", "18+", tag=1, default=_INT64_MAX),
                ],
            ),
        ],
    ),
    Field(
        "forgotten_topics_data",
        [
            Field("topic", "string", "0-12"),
            Field("topic_id", "uuid", "13+"),
            Field("partitions", "[]int32"),
        ],
        "7+",
    ),
    Field("rack_id", "string", "11+"),
)
_PARTITION_RESPONSE = [
    Field("partition", "int32"),
    Field("error_code", "int16"),
    Field("highwater_offset", "int64"),
    Field("last_stable_offset", "int64", "4+"),
    Field("log_start_offset", "int64", "5+"),
    Field(
        "diverging_epoch",
        (Field("epoch", "int32"), Field("end_offset", "int64")),
        "12+",
        tag=0,
        default=(-1, -1),
    ),
    Field(
        "current_leader",
        (Field("leader_id", "int32"), Field("leader_epoch", "int32")),
        "12+",
        tag=1,
        default=(-1, -1),
    ),
    Field(
        "snapshot_id",
        (Field("end_offset", "int64"), Field("epoch", "int32")),
        "12+",
        tag=2,
        default=(-1, -1),
    ),
    Field(
        "aborted_transactions",
        [Field("producer_id", "int64"), Field("first_offset", "int64")],
        "4+",
        nullable="4+",
    ),
    Field("preferred_read_replica", "int32", "11+"),
    Field("message_set", "records", nullable="0+"),
]
_RESPONSE = (
    Field("throttle_time_ms", "int32", "1+"),
    Field("error_code", "int16", "7+"),
    Field("session_id", "int32", "7+"),
    Field(
        "topics",
        [
            Field("topics", "string", "0-12"),  # the topic's name
            Field("topic_id", "uuid", "13+"),
            Field("partitions", _PARTITION_RESPONSE),
        ],
    ),
    Field(
        "node_endpoints",
        [
            Field("node_id", "int32"),
            Field("host", "string"),
            Field("port", "int32"),
            Field("rack", "string", nullable="16+"),
        ],
        "16+",
        tag=0,
        default=[],
    ),
)

_API = Api(
    "Fetch",
    1,
    versions=range(19),
    flexible=12,
    module=__name__,
    request=_REQUEST,
    response=_RESPONSE,
)

if TYPE_CHECKING:
    (
        FetchRequest_v0,
        FetchRequest_v1,
        FetchRequest_v2,
        FetchRequest_v3,
        FetchRequest_v4,
        FetchRequest_v5,
        FetchRequest_v6,
        FetchRequest_v7,
        FetchRequest_v8,
        FetchRequest_v9,
        FetchRequest_v10,
        FetchRequest_v11,
        FetchRequest_v12,
        FetchRequest_v13,
        FetchRequest_v14,
        FetchRequest_v15,
        FetchRequest_v16,
        FetchRequest_v17,
        FetchRequest_v18,
    ) = _API.requests
    (
        FetchResponse_v0,
        FetchResponse_v1,
        FetchResponse_v2,
        FetchResponse_v3,
        FetchResponse_v4,
        FetchResponse_v5,
        FetchResponse_v6,
        FetchResponse_v7,
        FetchResponse_v8,
        FetchResponse_v9,
        FetchResponse_v10,
        FetchResponse_v11,
        FetchResponse_v12,
        FetchResponse_v13,
        FetchResponse_v14,
        FetchResponse_v15,
        FetchResponse_v16,
        FetchResponse_v17,
        FetchResponse_v18,
    ) = _API.responses
FetchRequestStruct: TypeAlias = RequestStruct

_FIRST_WITH_TOPIC_IDS = 13


class FetchRequest(Request[RequestStruct], api=_API, oldest=1):
    """Read record batches.

    Parameters:
        max_wait_time: milliseconds the broker may wait for ``min_bytes``.
        min_bytes, max_bytes: bounds of the whole response in bytes.
        isolation_level: 0 read uncommitted, 1 read committed.
        topics: ``[(topic, [(partition, offset, max_bytes)])]``; further items of the inner rows
            are the current leader epoch (KIP-320) and the epoch of the last record fetched
            (KIP-595), -1 when not known.
        rack_id: where the consumer is, for fetching from followers (KIP-392); brokers before
            version 11 are not told.
        session_id, session_epoch: the fetch session (KIP-227); by default there is none.
        forgotten_topics_data: ``[(topic, [partition])]`` to be dropped from the session.
        topic_ids: ids by topic name; version 13 is picked only if every topic has one.
    """

    API_KEY = 1

    def __init__(
        self,
        max_wait_time: int,
        min_bytes: int,
        max_bytes: int,
        isolation_level: int,
        topics: Sequence[tuple[str, Sequence[tuple[int, ...]]]],
        rack_id: str = "",
        *,
        session_id: int = 0,
        session_epoch: int = -1,
        forgotten_topics_data: Sequence[tuple[str, Sequence[int]]] = (),
        topic_ids: Mapping[str, UUID] | None = None,
    ) -> None:
        self._max_wait_time = max_wait_time
        self._min_bytes = min_bytes
        self._max_bytes = max_bytes
        self._isolation_level = isolation_level
        self._topics = topics
        self._rack_id = rack_id
        self._session_id = session_id
        self._session_epoch = session_epoch
        self._forgotten_topics_data = forgotten_topics_data
        self._topic_ids = topic_ids

    @property
    def topics(self) -> Sequence[tuple[str, Sequence[tuple[int, ...]]]]:
        """The topics asked for, as given."""
        return self._topics

    def _highest_version(self) -> int:
        ids = self._topic_ids
        if all_have_ids(self._topics, ids) and (
            not self._forgotten_topics_data or all_have_ids(self._forgotten_topics_data, ids)
        ):
            return super()._highest_version()
        return _FIRST_WITH_TOPIC_IDS - 1

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        values: list[Any] = [-1] if version <= 14 else []  # replica id of a consumer
        values += [self._max_wait_time, self._min_bytes]
        if version >= 3:
            values.append(self._max_bytes)
        if version >= 4:
            # Older brokers know no transactions: all that they have is committed.
            values.append(self._isolation_level)
        if version >= 7:
            values += [self._session_id, self._session_epoch]
        topics: Any = self._topics
        if version >= 5 or any(len(row) > 3 for _, rows in topics for row in rows):
            topics = [
                (topic, [_partition_row(row, version) for row in rows]) for topic, rows in topics
            ]
        forgotten: list[Any] = list(self._forgotten_topics_data)
        if version >= _FIRST_WITH_TOPIC_IDS:
            topics = with_topic_ids(topics, self._topic_ids)
            forgotten = with_topic_ids(forgotten, self._topic_ids)
        values.append(topics)
        if version >= 7:
            values.append(forgotten)
        if version >= 11:
            values.append(self._rack_id)
        return request_struct_class(*values)


def _partition_row(row: tuple[int, ...], version: int) -> tuple[int, ...]:
    partition, offset, max_bytes = row[:3]
    if version < 5:
        return partition, offset, max_bytes
    if version < 9:
        return partition, offset, -1, max_bytes
    leader_epoch = row[3] if len(row) > 3 else -1
    if version < 12:
        return partition, leader_epoch, offset, -1, max_bytes
    last_fetched_epoch = row[4] if len(row) > 4 else -1
    return partition, leader_epoch, offset, last_fetched_epoch, -1, max_bytes


class FetchPartitionResult(NamedTuple):
    """What was fetched from one partition; the same for all versions.

    .. versionadded:: 0.14.1
    """

    topic: str
    partition: int
    error_code: int
    high_watermark: int
    #: -1 where the version does not say.
    last_stable_offset: int
    #: -1 where the version does not say.
    log_start_offset: int
    #: ``(producer_id, first_offset)``; None when the broker filtered nothing.
    aborted_transactions: Sequence[tuple[int, int]] | None
    #: -1 when this broker is the one to read from (KIP-392).
    preferred_read_replica: int
    records: bytes | None
    #: The new leader, -1 when the broker does not say (KIP-951).
    leader_id: int = -1
    leader_epoch: int = -1
    #: Where the consumer's log diverges from the leader's, -1 when it does not (KIP-595).
    diverging_epoch: int = -1
    diverging_end_offset: int = -1


_RESULT_FIELDS: dict[str, tuple[Any, ...]] = {
    "partition": ("partition", -1),
    "error_code": ("error_code", 0),
    "high_watermark": ("highwater_offset", -1),
    "last_stable_offset": ("last_stable_offset", -1),
    "log_start_offset": ("log_start_offset", -1),
    "aborted_transactions": ("aborted_transactions", None),
    "preferred_read_replica": ("preferred_read_replica", -1),
    "records": ("message_set", None),
    "leader_id": ("current_leader", -1, 0),
    "leader_epoch": ("current_leader", -1, 1),
    "diverging_epoch": ("diverging_epoch", -1, 0),
    "diverging_end_offset": ("diverging_epoch", -1, 1),
}
_results = ResultsReader(FetchPartitionResult, _RESULT_FIELDS)


def partition_results(
    response: Response, topic_names: Mapping[UUID, str] | None = None
) -> list[FetchPartitionResult]:
    """The results of a fetch response, one for each partition.

    Parameters:
        response: a FetchResponse of any version.
        topic_names: names by id, from version 13; a topic it lacks is named by its id.

    .. versionadded:: 0.14.1
    """
    return _results.read(response, topic_names)


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _API)
