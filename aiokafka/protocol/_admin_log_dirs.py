"""Directories in which brokers keep their logs (API key 35; KIP-113).

Page: https://kafka.apache.org/protocol#The_Messages_DescribeLogDirs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_DESCRIBE_LOG_DIRS = Api(
    "DescribeLogDirs",
    35,
    versions=range(6),
    flexible=2,
    module=_MODULE,
    request=(
        Field(
            "topics",
            [
                Field("topic", "string"),
                Field("partitions", "[]int32"),
            ],
            nullable="0+",
        ),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16", "3+"),
        Field(
            "results",
            [
                Field("error_code", "int16"),
                Field("log_dir", "string"),
                Field(
                    "topics",
                    [
                        Field("name", "string"),
                        Field(
                            "partitions",
                            [
                                Field("partition_index", "int32"),
                                Field("partition_size", "int64"),
                                Field("offset_lag", "int64"),
                                Field("is_future_key", "bool"),
                            ],
                        ),
                    ],
                ),
                Field("total_bytes", "int64", "4+"),
                Field("usable_bytes", "int64", "4+"),
                Field("is_cordoned", "bool", "5+"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        DescribeLogDirsRequest_v0,
        DescribeLogDirsRequest_v1,
        DescribeLogDirsRequest_v2,
        DescribeLogDirsRequest_v3,
        DescribeLogDirsRequest_v4,
        DescribeLogDirsRequest_v5,
    ) = _DESCRIBE_LOG_DIRS.requests
    (
        DescribeLogDirsResponse_v0,
        DescribeLogDirsResponse_v1,
        DescribeLogDirsResponse_v2,
        DescribeLogDirsResponse_v3,
        DescribeLogDirsResponse_v4,
        DescribeLogDirsResponse_v5,
    ) = _DESCRIBE_LOG_DIRS.responses


class DescribeLogDirsRequest(Request[RequestStruct], api=_DESCRIBE_LOG_DIRS):
    """Ask a broker for its directories and what is in them.

    Parameters:
        topics: ``[(topic, [partition])]``; None asks for all.

    .. versionadded:: 0.14.1
    """

    API_KEY = 35

    def __init__(self, topics: Sequence[tuple[str, Sequence[int]]] | None) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._topics)


#: What is declared here.
APIS = (_DESCRIBE_LOG_DIRS,)

if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, *APIS)
