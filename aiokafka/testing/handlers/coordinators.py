"""FindCoordinator: which broker coordinates a group or a transactional id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level

if TYPE_CHECKING:
    from ..broker import BrokerConnection
    from ..received import ReceivedRequest


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer FindCoordinator; versions from 4 on ask for several keys at once."""
    values = received.values
    keys = values.get("coordinator_keys")
    if keys is None:
        key = values["coordinator_key" if received.version else "consumer_group"]
        found = _coordinator(received, key)
        return {**found, "coordinator_id": found["node_id"]}
    return {"coordinators": [_coordinator(received, key) for key in keys]}


def _coordinator(received: ReceivedRequest, key: str) -> dict[str, Any]:
    broker = received.cluster.coordinator_of(key)
    error = received.error(Level.TOP)
    if not error and broker is None:
        error = ErrorCode.COORDINATOR_NOT_AVAILABLE
    known = broker is not None and not error
    return {
        "key": key,
        "error_code": error,
        "error_message": None if known else "no coordinator",
        "node_id": broker.node_id if known and broker else -1,
        "host": broker.host if known and broker else "",
        "port": broker.port if known and broker else -1,
    }
