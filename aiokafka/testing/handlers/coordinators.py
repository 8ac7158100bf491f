"""FindCoordinator: which broker coordinates a group or a transactional id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest


_GROUP = 0


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer FindCoordinator; versions from 4 on ask for several keys at once."""
    values = received.values
    keys = values.get("coordinator_keys")
    group = values.get("coordinator_type", _GROUP) == _GROUP
    if keys is None:
        key = values["coordinator_key" if received.version else "consumer_group"]
        found = _coordinator(received, key, group)
        return {**found, "coordinator_id": found["node_id"]}
    return {"coordinators": [_coordinator(received, key, group) for key in keys]}


def _coordinator(received: ReceivedRequest, key: str, group: bool) -> dict[str, Any]:
    broker = received.cluster.coordinator_of(key)
    error = received.error(Level.TOP)
    if not error and group and key in received.cluster.denied_groups:
        error = ErrorCode.GROUP_AUTHORIZATION_FAILED
    if not error and broker is None:
        error = ErrorCode.COORDINATOR_NOT_AVAILABLE
    if not error and not group and key in received.cluster.denied_transactional_ids:
        error = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    known = broker is not None and not error
    return {
        "key": key,
        "error_code": error,
        "error_message": None if known else "no coordinator",
        "node_id": broker.node_id if known and broker else -1,
        "host": broker.host if known and broker else "",
        "port": broker.port if known and broker else -1,
    }
