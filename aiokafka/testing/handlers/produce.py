"""Produce: checks and appends batches, and says who leads what this broker does not (KIP-951)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from ..log import AppendResult
from ..stored import batch_producer
from ..topics import Partition, Topic
from .leadership import leader_hint

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

_FIRST_VERSION_WITH_IDS = 13
_LEGAL_ACKS = (-1, 0, 1)
_FIRST_VERSION_OF_TRANSACTION_V2 = 12


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any] | None:
    """Answer Produce; with acks=0 nothing, but after an error the connection is closed."""
    endpoints: dict[int, dict[str, Any]] = {}
    failed = False
    topics = []
    for row in received.values["topics"]:
        topic, unknown = _find_topic(received, row)
        partitions = []
        for part in row["partitions"]:
            answer = _partition(received, topic, unknown, part, endpoints)
            failed = failed or bool(answer["error_code"])
            partitions.append(answer)
        topics.append(
            {
                "topic": row.get("topic", ""),
                "topic_id": row.get("topic_id"),
                "partitions": partitions,
            }
        )
    if received.values["required_acks"] == 0:
        if failed:
            connection.close()
        return None
    return {"topics": topics, "node_endpoints": list(endpoints.values())}


def _find_topic(received: ReceivedRequest, row: dict[str, Any]) -> tuple[Topic | None, ErrorCode]:
    """The topic, and what to answer where there is none."""
    topics = received.cluster.topics
    if received.version >= _FIRST_VERSION_WITH_IDS:
        topic_id: uuid.UUID | None = row["topic_id"]
        return topics.by_id(topic_id), ErrorCode.UNKNOWN_TOPIC_ID
    return topics.get(row["topic"]), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def _partition(
    received: ReceivedRequest,
    topic: Topic | None,
    unknown: ErrorCode,
    part: dict[str, Any],
    endpoints: dict[int, dict[str, Any]],
) -> dict[str, Any]:
    index = part["partition"]
    if topic is None:
        return _answer(index, AppendResult(unknown))
    partition = received.cluster.topics.partition(topic.name, index)
    error = received.error(Level.PARTITION, topic.name, index)
    if error:
        if partition is not None and received.error_applied(Level.PARTITION, topic.name, index):
            _append(received, partition, part["messages"])
        return _answer(index, AppendResult(_code(error), message="injected fault"), partition)
    refusal = _refusal(received, topic, partition)
    if refusal:
        answer = _answer(index, AppendResult(refusal), partition)
        if refusal == ErrorCode.NOT_LEADER_OR_FOLLOWER and partition is not None:
            leader, hinted = leader_hint(received.cluster, partition)
            if leader is not None:
                answer["current_leader"] = leader
                endpoints.update(hinted)
        return answer
    assert partition is not None
    return _answer(index, _append(received, partition, part["messages"]), partition)


def _code(error: int) -> ErrorCode:
    """A code that a test made up has no name."""
    try:
        return ErrorCode(error)
    except ValueError:
        return error  # type: ignore[return-value]


def _refusal(received: ReceivedRequest, topic: Topic, partition: Partition | None) -> ErrorCode:
    cluster = received.cluster
    acks = received.values["required_acks"]
    if acks not in _LEGAL_ACKS:
        return ErrorCode.INVALID_REQUIRED_ACKS
    if topic.name in cluster.denied_topics:
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if partition.leader != received.node_id:
        return ErrorCode.NOT_LEADER_OR_FOLLOWER
    if acks == -1 and len(partition.isr) < cluster.min_insync_replicas:
        return ErrorCode.NOT_ENOUGH_REPLICAS
    return ErrorCode.NONE


def _append(received: ReceivedRequest, partition: Partition, data: Any) -> AppendResult:
    cluster = received.cluster
    records = b"" if data is None else bytes(data)
    name = received.values.get("transactional_id")
    if name is not None:
        error = _transaction_error(received, partition, name, records)
        if error:
            return AppendResult(_code(error))
    return partition.log.append(
        records,
        now_ms=cluster.wall_time_ms(),
        leader_epoch=partition.leader_epoch,
        version=received.version,
    )


def _transaction_error(
    received: ReceivedRequest, partition: Partition, name: str, records: bytes
) -> int:
    """Whether the leader finds the batch to belong to an open transaction (KIP-890)."""
    identity = batch_producer(records)
    if identity is None:
        return ErrorCode.NONE
    producer_id, epoch = identity
    state = partition.log.producers.get(producer_id)
    if state is not None and epoch < state.epoch:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if producer_id in partition.log.transactions.ongoing:
        return ErrorCode.NONE
    return received.cluster.transactions.check_produce(
        name,
        producer_id,
        epoch,
        (partition.topic, partition.index),
        implicit=received.version >= _FIRST_VERSION_OF_TRANSACTION_V2,
    )


def _answer(
    index: int, result: AppendResult, partition: Partition | None = None
) -> dict[str, Any]:
    return {
        "partition": index,
        "error_code": result.error,
        "offset": result.base_offset,
        "timestamp": result.timestamp,
        "log_start_offset": -1 if partition is None else partition.log.start_offset,
        "record_errors": [
            {"batch_index": position, "batch_index_error_message": message}
            for position, message in result.record_errors
        ],
        "error_message": result.message,
    }
