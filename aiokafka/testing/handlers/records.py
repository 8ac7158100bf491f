"""DeleteRecords: the beginning of a partition's log goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from .leadership import leader_error

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

_ANY_EPOCH = -1
_HIGH_WATERMARK = -1


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer DeleteRecords."""
    return {
        "topics": [
            {
                "name": row["name"],
                "partitions": [
                    _delete(received, row["name"], part["partition_index"], part["offset"])
                    for part in row["partitions"]
                ],
            }
            for row in received.values["topics"]
        ]
    }


def _delete(received: ReceivedRequest, name: str, index: int, offset: int) -> dict[str, Any]:
    node_id = received.broker.node_id
    partition = received.cluster.topics.partition(name, index)
    error: int = received.error(Level.PARTITION, name, index)
    low_watermark = -1
    if not error:
        if partition is None:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        else:
            error = leader_error(partition, node_id, _ANY_EPOCH)
            end = partition.high_watermark(node_id)
            if offset == _HIGH_WATERMARK:
                offset = end
            if not error and offset > end:
                error = ErrorCode.OFFSET_OUT_OF_RANGE
            if not error:
                if offset > partition.log.start_offset:
                    partition.log.advance_start(offset)
                low_watermark = partition.log.start_offset
    return {"partition_index": index, "low_watermark": low_watermark, "error_code": error}
