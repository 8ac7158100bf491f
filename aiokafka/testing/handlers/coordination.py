"""Whether a broker is the one to ask about a group or a transactional id: how all requests to
coordinators begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..codes import ErrorCode
from ..faults import Level

if TYPE_CHECKING:
    from ..received import ReceivedRequest

__all__ = ["group_error", "transaction_error"]


def group_error(received: ReceivedRequest, group_id: str, *, named: bool = True) -> int:
    """Why the group is not to be had here, else NONE; ``named``: it needs a name."""
    cluster = received.cluster
    error = received.error(Level.TOP)
    if error:
        return error
    if named and not group_id:
        return ErrorCode.INVALID_GROUP_ID
    if group_id in cluster.denied_groups:
        return ErrorCode.GROUP_AUTHORIZATION_FAILED
    if cluster.coordinator_of(group_id) is not received.broker:
        return ErrorCode.NOT_COORDINATOR
    group = cluster.groups.group(group_id)  # this may load it: only then look at the clock
    if cluster.loop.time() < group.loading_until:
        return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    return ErrorCode.NONE


def transaction_error(received: ReceivedRequest, transactional_id: str) -> int:
    """Why the transactional id is not to be had here, else NONE."""
    cluster = received.cluster
    error = received.error(Level.TOP)
    if error:
        return error
    if transactional_id in cluster.denied_transactional_ids:
        return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    if cluster.coordinator_of(transactional_id) is not received.broker:
        return ErrorCode.NOT_COORDINATOR
    entry = cluster.transactions.get(transactional_id)
    if cluster.loop.time() < entry.loading_until:
        return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    return ErrorCode.NONE
