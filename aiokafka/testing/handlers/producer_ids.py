"""InitProducerId: new producer ids, and epochs of transactional ones (KIP-98, KIP-360)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

#: The epoch after which a transactional id gets a new producer id.
LAST_EPOCH = 32766


@dataclass(slots=True)
class TransactionalProducer:
    """What the coordinator knows of a transactional id."""

    producer_id: int
    epoch: int


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer InitProducerId."""
    error = received.error(Level.TOP)
    producer_id = epoch = -1
    if not error:
        transactional_id = received.values["transactional_id"]
        if transactional_id is None:
            producer_id, epoch = received.cluster.new_producer_id(), 0
        else:
            error, producer_id, epoch = _transactional(received, transactional_id)
    return {
        "error_code": error,
        "producer_id": producer_id,
        "producer_epoch": epoch,
    }


def _transactional(received: ReceivedRequest, transactional_id: str) -> tuple[int, int, int]:
    cluster = received.cluster
    if cluster.coordinator_of(transactional_id) is not received.broker:
        return ErrorCode.NOT_COORDINATOR, -1, -1
    known = cluster.transactional_producers.get(transactional_id)
    if known is None:
        known = TransactionalProducer(cluster.new_producer_id(), -1)
        cluster.transactional_producers[transactional_id] = known
    asked = received.values.get("producer_id", -1), received.values.get("producer_epoch", -1)
    if asked[0] >= 0 and asked != (known.producer_id, known.epoch):
        return ErrorCode.PRODUCER_FENCED, -1, -1
    if known.epoch >= LAST_EPOCH:
        known.producer_id, known.epoch = cluster.new_producer_id(), 0
    else:
        known.epoch += 1
    return ErrorCode.NONE, known.producer_id, known.epoch
