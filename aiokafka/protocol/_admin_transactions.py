"""Transactions as administrators see them (API keys 61, 65, 66; KIP-664).

Page: https://kafka.apache.org/protocol#The_Messages_DescribeProducers
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_DESCRIBE_PRODUCERS = Api(
    "DescribeProducers",
    61,
    versions=range(1),
    flexible=0,
    module=_MODULE,
    request=(
        Field(
            "topics",
            [
                Field("name", "string"),
                Field("partition_indexes", "[]int32"),
            ],
        ),
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
                        Field("error_code", "int16"),
                        Field("error_message", "string", nullable="0+"),
                        Field(
                            "active_producers",
                            [
                                Field("producer_id", "int64"),
                                Field("producer_epoch", "int32"),
                                Field("last_sequence", "int32"),
                                Field("last_timestamp", "int64"),
                                Field("coordinator_epoch", "int32"),
                                Field("current_txn_start_offset", "int64"),
                            ],
                        ),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (DescribeProducersRequest_v0,) = _DESCRIBE_PRODUCERS.requests
    (DescribeProducersResponse_v0,) = _DESCRIBE_PRODUCERS.responses


class DescribeProducersRequest(Request[RequestStruct], api=_DESCRIBE_PRODUCERS):
    """Ask a leader for the producers that have written to its partitions.

    Parameters:
        topics: ``[(topic, [partition])]``.

    .. versionadded:: 0.14.1
    """

    API_KEY = 61

    def __init__(self, topics: Sequence[tuple[str, Sequence[int]]]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._topics)


_DESCRIBE_TRANSACTIONS = Api(
    "DescribeTransactions",
    65,
    versions=range(1),
    flexible=0,
    module=_MODULE,
    request=(Field("transactional_ids", "[]string"),),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "transaction_states",
            [
                Field("error_code", "int16"),
                Field("transactional_id", "string"),
                Field("transaction_state", "string"),
                Field("transaction_timeout_ms", "int32"),
                Field("transaction_start_time_ms", "int64"),
                Field("producer_id", "int64"),
                Field("producer_epoch", "int16"),
                Field(
                    "topics",
                    [
                        Field("topic", "string"),
                        Field("partitions", "[]int32"),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (DescribeTransactionsRequest_v0,) = _DESCRIBE_TRANSACTIONS.requests
    (DescribeTransactionsResponse_v0,) = _DESCRIBE_TRANSACTIONS.responses


class DescribeTransactionsRequest(Request[RequestStruct], api=_DESCRIBE_TRANSACTIONS):
    """Ask a coordinator for the state of transactional ids.

    .. versionadded:: 0.14.1
    """

    API_KEY = 65

    def __init__(self, transactional_ids: Sequence[str]) -> None:
        self._transactional_ids = transactional_ids

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._transactional_ids)


_LIST_TRANSACTIONS = Api(
    "ListTransactions",
    66,
    versions=range(3),
    flexible=0,
    module=_MODULE,
    request=(
        Field("state_filters", "[]string"),
        Field("producer_id_filters", "[]int64"),
        Field("duration_filter", "int64", "1+"),
        Field("transactional_id_pattern", "string", "2+", nullable="2+"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16"),
        Field("unknown_state_filters", "[]string"),
        Field(
            "transaction_states",
            [
                Field("transactional_id", "string"),
                Field("producer_id", "int64"),
                Field("transaction_state", "string"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        ListTransactionsRequest_v0,
        ListTransactionsRequest_v1,
        ListTransactionsRequest_v2,
    ) = _LIST_TRANSACTIONS.requests
    (
        ListTransactionsResponse_v0,
        ListTransactionsResponse_v1,
        ListTransactionsResponse_v2,
    ) = _LIST_TRANSACTIONS.responses


class ListTransactionsRequest(Request[RequestStruct], api=_LIST_TRANSACTIONS):
    """Ask a broker for the transactions that it coordinates.

    Parameters:
        states: only those in these states; empty for all.
        producer_ids: only those of these producers; empty for all.
        duration_ms: only those that are open for so many milliseconds, from version 1
            (KIP-994); -1 for all.
        pattern: only ids that this regular expression matches, from version 2 (KIP-1152).

    .. versionadded:: 0.14.1
    """

    API_KEY = 66

    def __init__(
        self,
        states: Sequence[str],
        producer_ids: Sequence[int],
        duration_ms: int = -1,
        pattern: str | None = None,
    ) -> None:
        self._filters = states, producer_ids
        self._duration_ms = duration_ms
        self._pattern = pattern

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        values: list[Any] = list(self._filters)
        if version >= 1:
            values.append(self._duration_ms)
        elif self._duration_ms >= 0:
            raise self._not_expressible(request_struct_class, "a filter of durations")
        if version >= 2:
            values.append(self._pattern)
        elif self._pattern is not None:
            raise self._not_expressible(request_struct_class, "a pattern of ids")
        return request_struct_class(*values)


#: What is declared here.
APIS = (
    _DESCRIBE_PRODUCERS,
    _DESCRIBE_TRANSACTIONS,
    _LIST_TRANSACTIONS,
)

if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, *APIS)
