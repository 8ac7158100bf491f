"""JoinGroup, SyncGroup, Heartbeat and LeaveGroup: membership in consumer groups.

What the requests do is decided by :class:`~aiokafka.testing.groups.Group`; here are their
versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..group_members import Join, sync_failure
from ..pending import Pending
from .coordination import group_error

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

_FIRST_LEAVE_WITH_MEMBERS = 3


def handle_join(received: ReceivedRequest, connection: BrokerConnection) -> Pending:
    """Answer JoinGroup, when the group has come together."""
    values = received.values
    session_timeout = values["session_timeout"] / 1000
    join = Join(
        version=received.version,
        member_id=values["member_id"],
        instance_id=values.get("group_instance_id"),
        client_id=received.client_id or "",
        session_timeout=session_timeout,
        rebalance_timeout=values.get("rebalance_timeout", values["session_timeout"]) / 1000,
        protocol_type=values["protocol_type"],
        protocols=tuple(
            (row["protocol_name"], bytes(row["protocol_metadata"]))
            for row in values["group_protocols"]
        ),
        reason=values.get("reason"),
    )
    error = group_error(received, values["group"])
    options = received.cluster.group_options
    if not error and not (
        options.min_session_timeout <= session_timeout <= options.max_session_timeout
    ):
        error = ErrorCode.INVALID_SESSION_TIMEOUT
    if error:
        join.fail(error)
    else:
        received.cluster.groups.group(values["group"]).join(join)
    return join.pending


def handle_sync(
    received: ReceivedRequest, connection: BrokerConnection
) -> dict[str, Any] | Pending:
    """Answer SyncGroup, when the leader has assigned."""
    values = received.values
    error = group_error(received, values["group"])
    if error:
        return sync_failure(error)
    return received.cluster.groups.group(values["group"]).sync(
        values["generation_id"],
        values["member_id"],
        values.get("group_instance_id"),
        values.get("protocol_type"),
        values.get("protocol_name"),
        {row["member_id"]: bytes(row["member_metadata"]) for row in values["group_assignment"]},
    )


def handle_heartbeat(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer Heartbeat."""
    values = received.values
    error = group_error(received, values["group"])
    if not error:
        error = received.cluster.groups.group(values["group"]).heartbeat(
            values["generation_id"], values["member_id"], values.get("group_instance_id")
        )
    return {"error_code": error}


def handle_leave(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer LeaveGroup; versions from 3 on may name several members."""
    values = received.values
    error = group_error(received, values["group"])
    if error:
        return {"error_code": error, "members": []}
    group = received.cluster.groups.group(values["group"])
    if received.version < _FIRST_LEAVE_WITH_MEMBERS:
        return {"error_code": group.leave(values["member_id"], None, None)}
    return {
        "error_code": ErrorCode.NONE,
        "members": [
            {
                "member_id": row["member_id"],
                "group_instance_id": row["group_instance_id"],
                "error_code": group.leave(
                    row["member_id"], row["group_instance_id"], row.get("reason")
                ),
            }
            for row in values["members"]
        ],
    }
