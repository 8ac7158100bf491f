"""ListGroups, DescribeGroups, DeleteGroups, OffsetDelete: groups as administrators see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from .coordination import group_error

if TYPE_CHECKING:
    from ..cluster import FakeCluster
    from ..connection import BrokerConnection
    from ..groups import Group
    from ..received import ReceivedRequest

_NO_OPERATIONS = -(2**31)


def _known(cluster: FakeCluster, group_id: str) -> Group | None:
    """The group, if anybody has ever used it: asking for it makes an empty one."""
    for group in cluster.groups:
        if group.group_id == group_id and _used(group):
            return group
    return None


def _used(group: Group) -> bool:
    return bool(group.generation or group.members or group.committed)


def handle_list(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer ListGroups: the groups that this broker coordinates."""
    error = received.error(Level.TOP)
    cluster, states = received.cluster, received.values.get("states_filter")
    groups = [
        {
            "group": group.group_id,
            "protocol_type": group.protocol_type or "",
            "group_state": group.state.value,
            "group_type": "classic",
        }
        for group in cluster.groups
        if not error
        and _used(group)
        and cluster.coordinator_of(group.group_id) is received.broker
        and (not states or group.state.value in states)
    ]
    return {"error_code": error, "groups": groups}


def handle_describe(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer DescribeGroups."""
    return {"groups": [_described(received, group_id) for group_id in received.values["groups"]]}


def _described(received: ReceivedRequest, group_id: str) -> dict[str, Any]:
    error = group_error(received, group_id)
    group = None if error else _known(received.cluster, group_id)
    return {
        "error_code": error,
        "error_message": None,
        "group": group_id,
        "state": ("" if error else "Dead") if group is None else group.state.value,
        "protocol_type": "" if group is None else group.protocol_type or "",
        "protocol": "" if group is None else group.protocol or "",
        "members": [
            {
                "member_id": member.member_id,
                "group_instance_id": member.instance_id,
                "client_id": "",
                "client_host": "/127.0.0.1",
                "member_metadata": b"",
                "member_assignment": member.assignment,
            }
            for member in (() if group is None else group.members.values())
        ],
        "authorized_operations": _NO_OPERATIONS,
    }


def handle_delete(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer DeleteGroups."""
    results = []
    for group_id in received.values["groups_names"]:
        error = group_error(received, group_id)
        group = _known(received.cluster, group_id)
        if not error and group is None:
            error = ErrorCode.GROUP_ID_NOT_FOUND
        elif not error and group is not None and group.members:
            error = ErrorCode.NON_EMPTY_GROUP
        elif not error:
            received.cluster.delete_group(group_id)
        results.append({"group_id": group_id, "error_code": error})
    return {"results": results}


def handle_delete_offsets(
    received: ReceivedRequest, connection: BrokerConnection
) -> dict[str, Any]:
    """Answer OffsetDelete."""
    values = received.values
    error = group_error(received, values["group_id"])
    group = _known(received.cluster, values["group_id"])
    if not error and group is None:
        error = ErrorCode.GROUP_ID_NOT_FOUND
    if error or group is None:
        return {"error_code": error, "topics": []}
    return {
        "error_code": ErrorCode.NONE,
        "topics": [
            {
                "name": row["name"],
                "partitions": [
                    _offset_deleted(received, group, row["name"], part["partition_index"])
                    for part in row["partitions"]
                ],
            }
            for row in values["topics"]
        ],
    }


def _offset_deleted(
    received: ReceivedRequest, group: Group, name: str, index: int
) -> dict[str, Any]:
    error = received.error(Level.PARTITION, name, index)
    if not error and received.cluster.topics.partition(name, index) is None:
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if not error:
        group.committed.pop((name, index), None)
    return {"partition_index": index, "error_code": error}
