"""AddPartitionsToTxn, AddOffsetsToTxn, EndTxn and TxnOffsetCommit (KIP-98, KIP-447, KIP-890)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from ..group_offsets import Committed, PartitionKey
from ..groups import Group
from .coordination import group_error, transaction_error

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

_FIRST_TXN_OFFSET_COMMIT_V2 = 5
_FIRST_END_TXN_V2 = 5
_FIRST_WITH_MEMBER = 3


def handle_add_partitions(
    received: ReceivedRequest, connection: BrokerConnection
) -> dict[str, Any]:
    """Answer AddPartitionsToTxn as clients send it: all partitions or none are added."""
    values, cluster = received.values, received.cluster
    error: int = transaction_error(received, values["transactional_id"])
    asked = {(row["topic"], part) for row in values["topics"] for part in row["partitions"]}
    refused: dict[PartitionKey, int] = {}
    if not error:
        refused = {key: code for key in asked if (code := _partition_error(received, key))}
    if not error and not refused:
        entry = cluster.transactions.get(values["transactional_id"])
        error = entry.add(values["producer_id"], values["producer_epoch"], asked)
    other = ErrorCode.OPERATION_NOT_ATTEMPTED if refused else error
    return {
        "errors": [
            {
                "topic": row["topic"],
                "partition_errors": [
                    {
                        "partition": part,
                        "error_code": refused.get((row["topic"], part), other),
                    }
                    for part in row["partitions"]
                ],
            }
            for row in values["topics"]
        ]
    }


def _partition_error(received: ReceivedRequest, key: PartitionKey) -> int:
    topic, index = key
    error = received.error(Level.PARTITION, topic, index)
    if error:
        return error
    if topic in received.cluster.denied_topics:
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if received.cluster.topics.partition(topic, index) is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE


def handle_add_offsets(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer AddOffsetsToTxn."""
    values = received.values
    error: int = transaction_error(received, values["transactional_id"])
    if not error and values["group_id"] in received.cluster.denied_groups:
        error = ErrorCode.GROUP_AUTHORIZATION_FAILED
    if not error:
        entry = received.cluster.transactions.get(values["transactional_id"])
        error = entry.add(
            values["producer_id"], values["producer_epoch"], group=values["group_id"]
        )
    return {"error_code": error}


def handle_end(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer EndTxn; from version 5 on it says the producer's next id and epoch."""
    values = received.values
    error: int = transaction_error(received, values["transactional_id"])
    producer_id = epoch = -1
    if not error:
        entry = received.cluster.transactions.get(values["transactional_id"])
        error, producer_id, epoch = entry.end(
            values["producer_id"],
            values["producer_epoch"],
            bool(values["transaction_result"]),
            bump=received.version >= _FIRST_END_TXN_V2,
        )
    return {"error_code": error, "producer_id": producer_id, "producer_epoch": epoch}


def handle_offset_commit(
    received: ReceivedRequest, connection: BrokerConnection
) -> dict[str, Any]:
    """Answer TxnOffsetCommit; an error of group or transaction stands at every partition."""
    values, cluster = received.values, received.cluster
    group_id, producer_id = values["group_id"], values["producer_id"]
    error: int = group_error(received, group_id)
    if not error:
        error = _member_error(received, cluster.groups.group(group_id))
    if not error:
        error = _transaction_state(received, group_id)
    accepted: dict[PartitionKey, Committed] = {}
    topics = []
    for row in values["topics"]:
        parts = []
        for part in row["partitions"]:
            key = row["topic"], part["partition"]
            code = error or received.error(Level.PARTITION, *key) or _refusal(received, key)
            if not code:
                accepted[key] = Committed(
                    part["offset"], part["metadata"] or "", part.get("leader_epoch", -1)
                )
            parts.append({"partition": part["partition"], "error_code": code})
        topics.append({"topic": row["topic"], "partition_errors": parts})
    if accepted:
        cluster.transactions.add_offsets(group_id, producer_id, accepted)
    return {"errors": topics}


def _member_error(received: ReceivedRequest, group: Group) -> int:
    """Whether the consumer is (still) the member it says it is (KIP-447)."""
    values = received.values
    member_id = values.get("member_id", "")
    generation = values.get("generation_id", -1)
    instance_id = values.get("group_instance_id")
    if received.version < _FIRST_WITH_MEMBER:
        return ErrorCode.NONE
    if generation < 0 and not member_id and instance_id is None:
        return ErrorCode.NONE
    return group.error_for(member_id, instance_id, generation)


def _transaction_state(received: ReceivedRequest, group_id: str) -> int:
    values = received.values
    entry = received.cluster.transactions.expect(values["transactional_id"])
    if entry is None:
        return ErrorCode.INVALID_TXN_STATE
    identity = values["producer_id"], values["producer_epoch"]
    if received.version >= _FIRST_TXN_OFFSET_COMMIT_V2:
        return entry.add(*identity, group=group_id)
    error = entry.check(*identity)
    if error == ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if not error and group_id not in entry.groups:
        return ErrorCode.INVALID_TXN_STATE
    return error


def _refusal(received: ReceivedRequest, key: PartitionKey) -> int:
    cluster = received.cluster
    if key[0] in cluster.denied_topics:
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if cluster.topics.partition(*key) is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE
