"""ListOffsets and OffsetForLeaderEpoch (API keys 2 and 23).

Page: https://kafka.apache.org/protocol#The_Messages_ListOffsets
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct, Response


class OffsetResetStrategy:
    """Timestamps that stand for the ends of a partition."""

    LATEST: Final = -1
    EARLIEST: Final = -2
    NONE: Final = 0


_LIST_OFFSETS = Api(
    "Offset",
    2,
    versions=range(12),
    flexible=6,
    module=__name__,
    request=(
        Field("replica_id", "int32"),
        Field("isolation_level", "int8", "2+"),
        Field(
            "topics",
            [
                Field("topic", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition", "int32"),
                        Field("current_leader_epoch", "int32", "4+"),
                        Field("timestamp", "int64"),
                        Field("max_offsets", "int32", "0"),
                    ],
                ),
            ],
        ),
        Field("timeout_ms", "int32", "10+"),
    ),
    response=(
        Field("throttle_time_ms", "int32", "2+"),
        Field(
            "topics",
            [
                Field("topic", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition", "int32"),
                        Field("error_code", "int16"),
                        Field("offsets", "[]int64", "0"),
                        Field("timestamp", "int64", "1+"),
                        Field("offset", "int64", "1+"),
                        Field("leader_epoch", "int32", "4+"),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        OffsetRequest_v0,
        OffsetRequest_v1,
        OffsetRequest_v2,
        OffsetRequest_v3,
        OffsetRequest_v4,
        OffsetRequest_v5,
        OffsetRequest_v6,
        OffsetRequest_v7,
        OffsetRequest_v8,
        OffsetRequest_v9,
        OffsetRequest_v10,
        OffsetRequest_v11,
    ) = _LIST_OFFSETS.requests
    (
        OffsetResponse_v0,
        OffsetResponse_v1,
        OffsetResponse_v2,
        OffsetResponse_v3,
        OffsetResponse_v4,
        OffsetResponse_v5,
        OffsetResponse_v6,
        OffsetResponse_v7,
        OffsetResponse_v8,
        OffsetResponse_v9,
        OffsetResponse_v10,
        OffsetResponse_v11,
    ) = _LIST_OFFSETS.responses
OffsetRequestStruct: TypeAlias = RequestStruct

# Timestamps with a meaning, and the version that brought it: the record with the highest
# timestamp (KIP-734), the start of the local log and the end of the tiered one (KIP-405,
# KIP-1005), the first offset not yet tiered (KIP-1023).
_SPECIAL_TIMESTAMPS: Final[Mapping[int, int]] = {-3: 7, -4: 8, -5: 9, -6: 11}


class OffsetRequest(Request[RequestStruct], api=_LIST_OFFSETS):
    """Look up offsets by timestamp (ListOffsets).

    Parameters:
        replica_id: -1 for consumers.
        isolation_level: 0 read uncommitted, 1 read committed: whether the latest offset is the
            high watermark or the last stable offset.
        topics: ``[(topic, [(partition, timestamp)])]`` with timestamps in milliseconds, -1 for
            the latest offset, -2 for the earliest; a third item of the inner rows is the current
            leader epoch (KIP-320), for version 0 the number of offsets wanted.
        timeout_ms: milliseconds the broker may wait for tiered storage, from version 10.
    """

    API_KEY = 2

    def __init__(
        self,
        replica_id: int,
        isolation_level: int,
        topics: Sequence[tuple[str, Sequence[tuple[int, ...]]]],
        *,
        timeout_ms: int = 0,
    ) -> None:
        self._replica_id = replica_id
        self._isolation_level = isolation_level
        self._topics = topics
        self._timeout_ms = timeout_ms

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        topics: Any = self._topics
        self._check_timestamps(request_struct_class)
        if not 1 <= version < 4 or any(len(row) > 2 for _, rows in topics for row in rows):
            topics = [
                (topic, [_partition_row(row, version) for row in rows]) for topic, rows in topics
            ]
        if version < 2:
            if self._isolation_level:
                raise self._not_expressible(request_struct_class, "an isolation level")
            return request_struct_class(self._replica_id, topics)
        values: list[Any] = [self._replica_id, self._isolation_level, topics]
        if version >= 10:
            values.append(self._timeout_ms)
        return request_struct_class(*values)

    def _check_timestamps(self, request_struct_class: type[RequestStruct]) -> None:
        for _, rows in self._topics:
            for row in rows:
                if _SPECIAL_TIMESTAMPS.get(row[1], 0) > request_struct_class.API_VERSION:
                    raise self._not_expressible(request_struct_class, f"timestamp {row[1]}")


def _partition_row(row: tuple[int, ...], version: int) -> tuple[int, ...]:
    partition, timestamp = row[:2]
    if version == 0:
        return partition, timestamp, row[2] if len(row) > 2 else 1
    if version < 4:
        return partition, timestamp
    return partition, row[2] if len(row) > 2 else -1, timestamp


class ListOffsetsResult(NamedTuple):
    """The offset found in one partition; the same for all versions.

    .. versionadded:: 0.14.1
    """

    topic: str
    partition: int
    error_code: int
    #: -1 where there is none, or the version does not say.
    timestamp: int
    #: -1 where there is none.
    offset: int
    #: -1 where the version does not say.
    leader_epoch: int


def list_offsets_results(response: Response) -> list[ListOffsetsResult]:
    """The results of an OffsetResponse of any version, one for each partition.

    .. versionadded:: 0.14.1
    """
    results: list[ListOffsetsResult] = []
    for topic, partitions in response.topics:
        for partition, error_code, *rest in partitions:
            if len(rest) == 1:  # version 0: a list of offsets, the newest first
                timestamp, offset, leader_epoch = -1, rest[0][0] if rest[0] else -1, -1
            else:
                timestamp, offset = rest[:2]
                leader_epoch = rest[2] if len(rest) > 2 else -1
            results.append(
                ListOffsetsResult(topic, partition, error_code, timestamp, offset, leader_epoch)
            )
    return results


_LEADER_EPOCH = Api(
    "OffsetForLeaderEpoch",
    23,
    versions=range(5),
    flexible=4,
    module=__name__,
    request=(
        Field("replica_id", "int32", "3+"),
        Field(
            "topics",
            [
                Field("topic", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition", "int32"),
                        Field("current_leader_epoch", "int32", "2+"),
                        Field("leader_epoch", "int32"),
                    ],
                ),
            ],
        ),
    ),
    response=(
        Field("throttle_time_ms", "int32", "2+"),
        Field(
            "topics",
            [
                Field("topic", "string"),
                Field(
                    "partitions",
                    [
                        Field("error_code", "int16"),
                        Field("partition", "int32"),
                        Field("leader_epoch", "int32", "1+"),
                        Field("end_offset", "int64"),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        OffsetForLeaderEpochRequest_v0,
        OffsetForLeaderEpochRequest_v1,
        OffsetForLeaderEpochRequest_v2,
        OffsetForLeaderEpochRequest_v3,
        OffsetForLeaderEpochRequest_v4,
    ) = _LEADER_EPOCH.requests
    (
        OffsetForLeaderEpochResponse_v0,
        OffsetForLeaderEpochResponse_v1,
        OffsetForLeaderEpochResponse_v2,
        OffsetForLeaderEpochResponse_v3,
        OffsetForLeaderEpochResponse_v4,
    ) = _LEADER_EPOCH.responses
OffsetForLeaderEpochRequestStruct: TypeAlias = RequestStruct


class OffsetForLeaderEpochRequest(Request[RequestStruct], api=_LEADER_EPOCH):
    """Ask where the log of a leader epoch ended, to notice truncation (KIP-320).

    Parameters:
        topics: ``[(topic, [(partition, current_leader_epoch, leader_epoch)])]``.

    .. versionadded:: 0.14.1
    """

    API_KEY = 23

    def __init__(self, topics: Sequence[tuple[str, Sequence[tuple[int, int, int]]]]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        if version >= 3:
            return request_struct_class(-1, self._topics)
        if version == 2:
            return request_struct_class(self._topics)
        return request_struct_class(
            [(topic, [(row[0], row[2]) for row in rows]) for topic, rows in self._topics]
        )


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _LIST_OFFSETS, _LEADER_EPOCH)
