"""OffsetForLeaderEpoch: where the log of a leader epoch ended (KIP-320)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from .leadership import leader_error

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer OffsetForLeaderEpoch."""
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
    epoch = end_offset = -1
    if not error and topic in received.cluster.denied_topics:
        error = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if not error and partition is None:
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if not error and partition is not None:
        error = leader_error(partition, received.node_id, row.get("current_leader_epoch", -1))
        if not error:
            log = partition.log
            epoch, end_offset = log.epochs.end_of(row["leader_epoch"], log.end_offset)
    return {
        "partition": index,
        "error_code": error,
        "leader_epoch": epoch,
        "end_offset": end_offset,
    }
