"""The cluster: elections, the quorum, features (API keys 43, 55, 57).

Page: https://kafka.apache.org/protocol#The_Messages_ElectLeaders
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_ELECT_LEADERS = Api(
    "ElectLeaders",
    43,
    versions=range(3),
    flexible=2,
    module=_MODULE,
    request=(
        Field("election_type", "int8", "1+"),
        Field(
            "topic_partitions",
            [
                Field("topic", "string"),
                Field("partitions", "[]int32"),
            ],
            nullable="0+",
        ),
        Field("timeout_ms", "int32"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16", "1+"),
        Field(
            "replica_election_results",
            [
                Field("topic", "string"),
                Field(
                    "partition_result",
                    [
                        Field("partition_id", "int32"),
                        Field("error_code", "int16"),
                        Field("error_message", "string", nullable="0+"),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        ElectLeadersRequest_v0,
        ElectLeadersRequest_v1,
        ElectLeadersRequest_v2,
    ) = _ELECT_LEADERS.requests
    (
        ElectLeadersResponse_v0,
        ElectLeadersResponse_v1,
        ElectLeadersResponse_v2,
    ) = _ELECT_LEADERS.responses


class ElectLeadersRequest(Request[RequestStruct], api=_ELECT_LEADERS):
    """Elect leaders of partitions (KIP-183, KIP-460).

    Parameters:
        election_type: 0: preferred replicas, 1: unclean, from version 1.
        topic_partitions: ``[(topic, [partition])]``; None: all that need it.
        timeout_ms: milliseconds to wait for the elections.

    .. versionadded:: 0.14.1
    """

    API_KEY = 43

    def __init__(
        self,
        election_type: int,
        topic_partitions: Sequence[tuple[str, Sequence[int]]] | None,
        timeout_ms: int,
    ) -> None:
        self._election_type = election_type
        self._topic_partitions = topic_partitions
        self._timeout_ms = timeout_ms

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class.API_VERSION >= 1:
            return request_struct_class(
                self._election_type, self._topic_partitions, self._timeout_ms
            )
        if self._election_type:
            raise self._not_expressible(request_struct_class, "an unclean election")
        return request_struct_class(self._topic_partitions, self._timeout_ms)


_DESCRIBE_QUORUM = Api(
    "DescribeQuorum",
    55,
    versions=range(2),
    flexible=0,
    module=_MODULE,
    request=(
        Field(
            "topics",
            [
                Field("topic_name", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition_index", "int32"),
                    ],
                ),
            ],
        ),
    ),
    response=(
        Field("error_code", "int16"),
        Field(
            "topics",
            [
                Field("topic_name", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition_index", "int32"),
                        Field("error_code", "int16"),
                        Field("leader_id", "int32"),
                        Field("leader_epoch", "int32"),
                        Field("high_watermark", "int64"),
                        Field(
                            "current_voters",
                            [
                                Field("replica_id", "int32"),
                                Field("log_end_offset", "int64"),
                                Field("last_fetch_timestamp", "int64", "1+"),
                                Field("last_caught_up_timestamp", "int64", "1+"),
                            ],
                        ),
                        Field(
                            "observers",
                            [
                                Field("replica_id", "int32"),
                                Field("log_end_offset", "int64"),
                                Field("last_fetch_timestamp", "int64", "1+"),
                                Field("last_caught_up_timestamp", "int64", "1+"),
                            ],
                        ),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        DescribeQuorumRequest_v0,
        DescribeQuorumRequest_v1,
    ) = _DESCRIBE_QUORUM.requests
    (
        DescribeQuorumResponse_v0,
        DescribeQuorumResponse_v1,
    ) = _DESCRIBE_QUORUM.responses


class DescribeQuorumRequest(Request[RequestStruct], api=_DESCRIBE_QUORUM):
    """Ask for the state of the quorum of controllers (KIP-595, KIP-836).

    .. versionadded:: 0.14.1
    """

    API_KEY = 55

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class([("__cluster_metadata", [(0,)])])


_UPDATE_FEATURES = Api(
    "UpdateFeatures",
    57,
    versions=range(3),
    flexible=0,
    module=_MODULE,
    request=(
        Field("timeout_ms", "int32"),
        Field(
            "feature_updates",
            [
                Field("feature", "string"),
                Field("max_version_level", "int16"),
                Field("allow_downgrade", "bool", "0"),
                Field("upgrade_type", "int8", "1+"),
            ],
        ),
        Field("validate_only", "bool", "1+"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16"),
        Field("error_message", "string", nullable="0+"),
        Field(
            "results",
            [
                Field("feature", "string"),
                Field("error_code", "int16"),
                Field("error_message", "string", nullable="0+"),
            ],
            "0-1",
        ),
    ),
)

if TYPE_CHECKING:
    (
        UpdateFeaturesRequest_v0,
        UpdateFeaturesRequest_v1,
        UpdateFeaturesRequest_v2,
    ) = _UPDATE_FEATURES.requests
    (
        UpdateFeaturesResponse_v0,
        UpdateFeaturesResponse_v1,
        UpdateFeaturesResponse_v2,
    ) = _UPDATE_FEATURES.responses


class UpdateFeaturesRequest(Request[RequestStruct], api=_UPDATE_FEATURES):
    """Finalize levels of features (KIP-584).

    Parameters:
        timeout_ms: milliseconds to wait for it.
        updates: ``[(feature, max_version_level, upgrade_type)]``; the type is 1: upgrade,
            2: safe downgrade, 3: unsafe downgrade.
        validate_only: check, do not change, from version 1.

    .. versionadded:: 0.14.1
    """

    API_KEY = 57

    def __init__(self, timeout_ms: int, updates: Sequence[Any], validate_only: bool) -> None:
        self._timeout_ms = timeout_ms
        self._updates = updates
        self._validate_only = validate_only

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class.API_VERSION >= 1:
            return request_struct_class(self._timeout_ms, self._updates, self._validate_only)
        if self._validate_only:
            raise self._not_expressible(request_struct_class, "validate_only")
        if any(kind == 3 for _, _, kind in self._updates):
            raise self._not_expressible(request_struct_class, "an unsafe downgrade")
        updates = [(feature, level, kind == 2) for feature, level, kind in self._updates]
        return request_struct_class(self._timeout_ms, updates)


#: What is declared here.
APIS = (
    _ELECT_LEADERS,
    _DESCRIBE_QUORUM,
    _UPDATE_FEATURES,
)

if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, *APIS)
