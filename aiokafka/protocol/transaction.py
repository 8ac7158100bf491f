"""Requests of idempotent and transactional producers (API keys 22, 24, 25, 26, 28).

Page: https://kafka.apache.org/protocol#The_Messages_InitProducerId
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ._declare import Api, Field, version_classes
from ._rows import commit_rows
from .api import Request, RequestStruct

_INIT_PRODUCER_ID = Api(
    "InitProducerId",
    22,
    versions=range(6),
    flexible=2,
    module=__name__,
    request=(
        Field("transactional_id", "string", nullable="0+"),
        Field("transaction_timeout_ms", "int32"),
        Field("producer_id", "int64", "3+"),
        Field("producer_epoch", "int16", "3+"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16"),
        Field("producer_id", "int64"),
        Field("producer_epoch", "int16"),
    ),
)

if TYPE_CHECKING:
    (
        InitProducerIdRequest_v0,
        InitProducerIdRequest_v1,
        InitProducerIdRequest_v2,
        InitProducerIdRequest_v3,
        InitProducerIdRequest_v4,
        InitProducerIdRequest_v5,
    ) = _INIT_PRODUCER_ID.requests
    (
        InitProducerIdResponse_v0,
        InitProducerIdResponse_v1,
        InitProducerIdResponse_v2,
        InitProducerIdResponse_v3,
        InitProducerIdResponse_v4,
        InitProducerIdResponse_v5,
    ) = _INIT_PRODUCER_ID.responses
InitProducerIdRequestStruct: TypeAlias = RequestStruct


class InitProducerIdRequest(Request[RequestStruct], api=_INIT_PRODUCER_ID):
    """Obtain a producer id, or bump the epoch of one (KIP-98, KIP-360).

    Parameters:
        transactional_id: None for a producer that is only idempotent.
        transaction_timeout_ms: milliseconds after which the coordinator aborts a transaction.
        producer_id, producer_epoch: the current ones when the epoch is to be bumped, else -1.
    """

    API_KEY = 22

    def __init__(
        self,
        transactional_id: str | None,
        transaction_timeout_ms: int,
        producer_id: int = -1,
        producer_epoch: int = -1,
    ) -> None:
        self._transactional_id = transactional_id
        self._transaction_timeout_ms = transaction_timeout_ms
        self._producer_id = producer_id
        self._producer_epoch = producer_epoch

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class.API_VERSION >= 3:
            return request_struct_class(
                self._transactional_id,
                self._transaction_timeout_ms,
                self._producer_id,
                self._producer_epoch,
            )
        if self._producer_id != -1 or self._producer_epoch != -1:
            raise self._not_expressible(request_struct_class, "bumping a producer epoch")
        return request_struct_class(self._transactional_id, self._transaction_timeout_ms)


class _TransactionRequest(Request[RequestStruct], api=_INIT_PRODUCER_ID):
    """A request that says who asks, then what for: the last field of the message."""

    def __init__(
        self, transactional_id: str, producer_id: int, producer_epoch: int, what: Any
    ) -> None:
        self._values = (transactional_id, producer_id, producer_epoch, what)

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(*self._values)


_ADD_PARTITIONS = Api(
    "AddPartitionsToTxn",
    24,
    versions=range(4),  # newer ones are for brokers only
    flexible=3,
    module=__name__,
    request=(
        Field("transactional_id", "string"),
        Field("producer_id", "int64"),
        Field("producer_epoch", "int16"),
        Field("topics", [Field("topic", "string"), Field("partitions", "[]int32")]),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "errors",
            [
                Field("topic", "string"),
                Field(
                    "partition_errors",
                    [Field("partition", "int32"), Field("error_code", "int16")],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        AddPartitionsToTxnRequest_v0,
        AddPartitionsToTxnRequest_v1,
        AddPartitionsToTxnRequest_v2,
        AddPartitionsToTxnRequest_v3,
    ) = _ADD_PARTITIONS.requests
    (
        AddPartitionsToTxnResponse_v0,
        AddPartitionsToTxnResponse_v1,
        AddPartitionsToTxnResponse_v2,
        AddPartitionsToTxnResponse_v3,
    ) = _ADD_PARTITIONS.responses
AddPartitionsToTxnRequestStruct: TypeAlias = RequestStruct


class AddPartitionsToTxnRequest(_TransactionRequest, api=_ADD_PARTITIONS):
    """Make partitions part of the transaction.

    Parameters:
        transactional_id, producer_id, producer_epoch: who asks.
        topics: ``[(topic, [partition])]``.
    """

    API_KEY = 24

    def __init__(
        self,
        transactional_id: str,
        producer_id: int,
        producer_epoch: int,
        topics: Sequence[tuple[str, Sequence[int]]],
    ) -> None:
        super().__init__(transactional_id, producer_id, producer_epoch, topics)


_ADD_OFFSETS = Api(
    "AddOffsetsToTxn",
    25,
    versions=range(5),
    flexible=3,
    module=__name__,
    request=(
        Field("transactional_id", "string"),
        Field("producer_id", "int64"),
        Field("producer_epoch", "int16"),
        Field("group_id", "string"),
    ),
    response=(Field("throttle_time_ms", "int32"), Field("error_code", "int16")),
)

if TYPE_CHECKING:
    (
        AddOffsetsToTxnRequest_v0,
        AddOffsetsToTxnRequest_v1,
        AddOffsetsToTxnRequest_v2,
        AddOffsetsToTxnRequest_v3,
        AddOffsetsToTxnRequest_v4,
    ) = _ADD_OFFSETS.requests
    (
        AddOffsetsToTxnResponse_v0,
        AddOffsetsToTxnResponse_v1,
        AddOffsetsToTxnResponse_v2,
        AddOffsetsToTxnResponse_v3,
        AddOffsetsToTxnResponse_v4,
    ) = _ADD_OFFSETS.responses
AddOffsetsToTxnRequestStruct: TypeAlias = RequestStruct


class AddOffsetsToTxnRequest(_TransactionRequest, api=_ADD_OFFSETS):
    """Make the offsets of a consumer group part of the transaction."""

    API_KEY = 25

    def __init__(
        self, transactional_id: str, producer_id: int, producer_epoch: int, group_id: str
    ) -> None:
        super().__init__(transactional_id, producer_id, producer_epoch, group_id)


_END_TXN = Api(
    "EndTxn",
    26,
    versions=range(6),
    flexible=3,
    module=__name__,
    request=(
        Field("transactional_id", "string"),
        Field("producer_id", "int64"),
        Field("producer_epoch", "int16"),
        Field("transaction_result", "bool"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16"),
        Field("producer_id", "int64", "5+"),
        Field("producer_epoch", "int16", "5+"),
    ),
)

if TYPE_CHECKING:
    (
        EndTxnRequest_v0,
        EndTxnRequest_v1,
        EndTxnRequest_v2,
        EndTxnRequest_v3,
        EndTxnRequest_v4,
        EndTxnRequest_v5,
    ) = _END_TXN.requests
    (
        EndTxnResponse_v0,
        EndTxnResponse_v1,
        EndTxnResponse_v2,
        EndTxnResponse_v3,
        EndTxnResponse_v4,
        EndTxnResponse_v5,
    ) = _END_TXN.responses
EndTxnRequestStruct: TypeAlias = RequestStruct

# From this version on the coordinator takes the request as one of a transaction of version 2 and
# bumps the epoch (KIP-890): only to be used when the feature transaction.version is 2.
_FIRST_OF_TRANSACTION_V2 = 5


class EndTxnRequest(_TransactionRequest, api=_END_TXN):
    """Commit or abort the transaction.

    Parameters:
        transactional_id, producer_id, producer_epoch: who asks.
        transaction_result: true commits, false aborts.
        transaction_v2: the cluster has finalized ``transaction.version`` 2 (KIP-890).
    """

    API_KEY = 26

    def __init__(
        self,
        transactional_id: str,
        producer_id: int,
        producer_epoch: int,
        transaction_result: bool,
        *,
        transaction_v2: bool = False,
    ) -> None:
        super().__init__(transactional_id, producer_id, producer_epoch, transaction_result)
        self._transaction_v2 = transaction_v2

    def _highest_version(self) -> int:
        if self._transaction_v2:
            return super()._highest_version()
        return _FIRST_OF_TRANSACTION_V2 - 1


_TXN_OFFSET_COMMIT = Api(
    "TxnOffsetCommit",
    28,
    versions=range(6),
    flexible=3,
    module=__name__,
    request=(
        Field("transactional_id", "string"),
        Field("group_id", "string"),
        Field("producer_id", "int64"),
        Field("producer_epoch", "int16"),
        Field("generation_id", "int32", "3+"),
        Field("member_id", "string", "3+"),
        Field("group_instance_id", "string", "3+", nullable="3+"),
        Field(
            "topics",
            [
                Field("topic", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition", "int32"),
                        Field("offset", "int64"),
                        Field("leader_epoch", "int32", "2+"),
                        Field("metadata", "string", nullable="0+"),
                    ],
                ),
            ],
        ),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "errors",
            [
                Field("topic", "string"),
                Field(
                    "partition_errors",
                    [Field("partition", "int32"), Field("error_code", "int16")],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        TxnOffsetCommitRequest_v0,
        TxnOffsetCommitRequest_v1,
        TxnOffsetCommitRequest_v2,
        TxnOffsetCommitRequest_v3,
        TxnOffsetCommitRequest_v4,
        TxnOffsetCommitRequest_v5,
    ) = _TXN_OFFSET_COMMIT.requests
    (
        TxnOffsetCommitResponse_v0,
        TxnOffsetCommitResponse_v1,
        TxnOffsetCommitResponse_v2,
        TxnOffsetCommitResponse_v3,
        TxnOffsetCommitResponse_v4,
        TxnOffsetCommitResponse_v5,
    ) = _TXN_OFFSET_COMMIT.responses
TxnOffsetCommitRequestStruct: TypeAlias = RequestStruct


class TxnOffsetCommitRequest(Request[RequestStruct], api=_TXN_OFFSET_COMMIT):
    """Commit offsets of a consumer group as part of the transaction.

    Parameters:
        transactional_id, group_id, producer_id, producer_epoch: who asks, for which group.
        topics: ``[(topic, [(partition, offset, metadata)])]``; a fourth item is the leader epoch
            of the last consumed record.
        generation_id, member_id, group_instance_id: the consumer's place in its group, with
            which zombies are fenced (KIP-447); ignored by brokers before 2.5.
        transaction_v2: the cluster has finalized ``transaction.version`` 2 (KIP-890).
    """

    API_KEY = 28

    def __init__(
        self,
        transactional_id: str,
        group_id: str,
        producer_id: int,
        producer_epoch: int,
        topics: Sequence[tuple[str, Sequence[tuple[Any, ...]]]],
        *,
        generation_id: int = -1,
        member_id: str = "",
        group_instance_id: str | None = None,
        transaction_v2: bool = False,
    ) -> None:
        self._transactional_id = transactional_id
        self._group_id = group_id
        self._producer_id = producer_id
        self._producer_epoch = producer_epoch
        self._topics = topics
        self._generation_id = generation_id
        self._member_id = member_id
        self._group_instance_id = group_instance_id
        self._transaction_v2 = transaction_v2

    def _highest_version(self) -> int:
        if self._transaction_v2:
            return super()._highest_version()
        return _FIRST_OF_TRANSACTION_V2 - 1

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        head = self._transactional_id, self._group_id, self._producer_id, self._producer_epoch
        topics = commit_rows(self._topics, with_epoch=version >= 2)
        if version < 3:
            return request_struct_class(*head, topics)
        member = self._generation_id, self._member_id, self._group_instance_id
        return request_struct_class(*head, *member, topics)


if not TYPE_CHECKING:
    __getattr__ = version_classes(
        __name__, _INIT_PRODUCER_ID, _ADD_PARTITIONS, _ADD_OFFSETS, _END_TXN, _TXN_OFFSET_COMMIT
    )
