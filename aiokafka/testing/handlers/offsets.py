"""ListOffsets: where a partition begins and ends, and which offset a time belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from ..topics import Partition

if TYPE_CHECKING:
    from ..broker import BrokerConnection
    from ..received import ReceivedRequest

LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer ListOffsets."""
    return {
        "topics": [
            {
                "topic": topic["topic"],
                "partitions": [
                    _answer(received, topic["topic"], row) for row in topic["partitions"]
                ],
            }
            for topic in received.values["topics"]
        ]
    }


def _answer(received: ReceivedRequest, topic: str, row: dict[str, Any]) -> dict[str, Any]:
    index = row["partition"]
    partition = received.cluster.topics.partition(topic, index)
    error = received.error(Level.PARTITION, topic, index)
    offset = timestamp = -1
    if not error and topic in received.cluster.denied_topics:
        error = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if not error and partition is None:
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if not error and partition is not None:
        error = _leadership(received.node_id, partition, row.get("current_leader_epoch", -1))
        if not error:
            offset, timestamp = _find(partition, row["timestamp"])
    return {
        "partition": index,
        "error_code": error,
        "timestamp": timestamp,
        "offset": offset,
        "offsets": [] if error else [offset],
        "leader_epoch": -1 if error or partition is None else partition.leader_epoch,
    }


def _leadership(node_id: int, partition: Partition, epoch: int) -> ErrorCode:
    if partition.leader != node_id:
        return ErrorCode.NOT_LEADER_OR_FOLLOWER
    if epoch >= 0 and epoch < partition.leader_epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    if epoch > partition.leader_epoch:
        return ErrorCode.UNKNOWN_LEADER_EPOCH
    return ErrorCode.NONE


def _find(partition: Partition, timestamp: int) -> tuple[int, int]:
    log = partition.log
    if timestamp == LATEST:
        return log.end_offset, -1
    if timestamp == EARLIEST:
        return log.start_offset, -1
    found = log.max_timestamp() if timestamp == MAX_TIMESTAMP else log.offset_for_time(timestamp)
    return found or (-1, -1)
