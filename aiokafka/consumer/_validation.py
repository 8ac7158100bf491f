"""Whether what was read is still in the log after another broker became leader (KIP-320).

A broker that was elected uncleanly may lack records that were read already, and have others in
their place.  Before anything more is read under a new leader epoch, the leader is asked where the
epoch of the last record read ended; if before the position, the log was cut off.

Pure but for the request that :func:`ask` sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka._values import Value
from aiokafka.protocol.offset import OffsetForLeaderEpochRequest
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

_UNKNOWN = -1


class ReadSoFar(Value):
    """How far a partition was read, and under which leaders."""

    offset: int
    #: Leader epoch of the last record before *offset*.
    epoch: int
    #: The leader epoch the client knows.
    leader_epoch: int


class EpochEnd(Value):
    """What the leader says: where its log and what was read part."""

    error: type[Errors.KafkaError]
    #: The first offset that was read but is not in the log any more, -1 if the leader cannot
    #: tell which; None: all is well.
    diverging: int | None = None
    #: Leader epoch of what is before it, -1 when the leader does not know.
    epoch: int = _UNKNOWN


async def ask(
    client: AIOKafkaClient, node_id: int, read: Mapping[TopicPartition, ReadSoFar]
) -> dict[TopicPartition, EpochEnd]:
    """Ask the leader *node_id* about some of its partitions.

    Raises:
        KafkaError: it could not be asked, or is too old for such questions.
    """
    topics: dict[str, list[tuple[int, int, int]]] = {}
    for tp, far in read.items():
        topics.setdefault(tp.topic, []).append((tp.partition, far.leader_epoch, far.epoch))
    response = await client.send(node_id, OffsetForLeaderEpochRequest(list(topics.items())))
    answers: dict[TopicPartition, EpochEnd] = {}
    for topic, rows in response.topics:
        for row in rows:
            tp = TopicPartition(topic, row[1])
            if tp in read:
                answers[tp] = _judge(read[tp], row)
    return answers


def _judge(read: ReadSoFar, row: Any) -> EpochEnd:
    # Version 0 does not tell the epoch.
    code, _, *epoch, end_offset = row
    error = Errors.for_code(code)
    if error is not Errors.NoError:
        return EpochEnd(error)
    found = epoch[0] if epoch else read.epoch
    if end_offset == _UNKNOWN or found == _UNKNOWN:
        return EpochEnd(error, diverging=_UNKNOWN)
    if end_offset < read.offset or found < read.epoch:
        return EpochEnd(error, diverging=min(end_offset, read.offset), epoch=found)
    return EpochEnd(error)
