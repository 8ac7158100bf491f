"""ListOffsets: where a partition begins and ends, and which offset a time belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from ..topics import Partition
from .leadership import leader_error

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL = -1, -2, -3, -4
#: The latest tiered offset and the earliest one still to be tiered: nothing is tiered here.
LATEST_TIERED, EARLIEST_PENDING_UPLOAD = -5, -6
_READ_COMMITTED = 1


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
    offset = timestamp = epoch = -1
    if not error and topic in received.cluster.denied_topics:
        error = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if not error and partition is None:
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if not error and partition is not None:
        error = leader_error(partition, received.node_id, row.get("current_leader_epoch", -1))
        if not error:
            committed = received.values.get("isolation_level", 0) == _READ_COMMITTED
            offset, timestamp, epoch = _find(partition, row["timestamp"], committed)
    return {
        "partition": index,
        "error_code": error,
        "timestamp": timestamp,
        "offset": offset,
        "offsets": [] if offset < 0 else [offset],
        "leader_epoch": epoch,
    }


def _find(partition: Partition, timestamp: int, committed: bool) -> tuple[int, int, int]:
    """Offset, timestamp and leader epoch; -1 where there is none."""
    log = partition.log
    end = partition.high_watermark(partition.leader)
    if committed:
        end = log.last_stable_offset(end)
    if timestamp == LATEST:
        return end, -1, partition.leader_epoch
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        return log.start_offset, -1, log.epoch_at(log.start_offset)
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return -1, -1, -1
    found = log.max_timestamp() if timestamp == MAX_TIMESTAMP else log.offset_for_time(timestamp)
    if found is None or found[0] >= end:
        return -1, -1, -1
    return *found, log.epoch_at(found[0])
