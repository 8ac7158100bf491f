"""InitProducerId: new producer ids, and epochs of transactional ones (KIP-98, KIP-360)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from .coordination import transaction_error

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer InitProducerId."""
    values = received.values
    transactional_id = values["transactional_id"]
    producer_id = epoch = -1
    if transactional_id is None:
        error: int = received.error(Level.TOP)
        if not error:
            producer_id, epoch = received.cluster.new_producer_id(), 0
    else:
        error = transaction_error(received, transactional_id)
        transactions = received.cluster.transactions
        timeout = values["transaction_timeout_ms"] / 1000
        if not error and not 0 < timeout <= transactions.options.max_timeout:
            error = ErrorCode.INVALID_TRANSACTION_TIMEOUT
        if not error:
            error, producer_id, epoch = transactions.get(transactional_id).initialise(
                timeout, values.get("producer_id", -1), values.get("producer_epoch", -1)
            )
    return {
        "error_code": error,
        "producer_id": producer_id,
        "producer_epoch": epoch,
    }
