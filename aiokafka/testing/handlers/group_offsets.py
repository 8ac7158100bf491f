"""OffsetCommit and OffsetFetch: the offsets of consumer groups."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from ..group_offsets import Committed
from ..groups import Group
from .coordination import group_error

if TYPE_CHECKING:
    from ..cluster import FakeCluster
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

_FIRST_COMMIT_WITH_NOT_FOUND = 9
_FIRST_FETCH_WITH_IDS = 10
_FIRST_FETCH_WITH_TOP_ERROR = 2
_FIRST_FETCH_WITH_GROUPS = 8


def handle_commit(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer OffsetCommit; an error of the group stands at every partition."""
    values = received.values
    group_id = values["consumer_group"]
    error = group_error(received, group_id, named=False)
    group = received.cluster.groups.group(group_id)
    if not error:
        error = group.commit_error(
            values.get("consumer_group_generation_id", -1),
            values.get("consumer_id", ""),
            values.get("group_instance_id"),
        )
    if error == ErrorCode.GROUP_ID_NOT_FOUND and received.version < _FIRST_COMMIT_WITH_NOT_FOUND:
        error = ErrorCode.ILLEGAL_GENERATION
    accepted: dict[tuple[str, int], Committed] = {}
    topics = [
        {
            "topic": row.get("topic"),
            "topic_id": row.get("topic_id"),
            "partitions": [
                {
                    "partition": part["partition"],
                    "error_code": error or _commit(received, row, part, accepted),
                }
                for part in row["partitions"]
            ],
        }
        for row in values["topics"]
    ]
    if accepted:
        group.commit(
            accepted, values.get("consumer_id", ""), values.get("consumer_group_generation_id", -1)
        )
    return {"topics": topics}


def _commit(
    received: ReceivedRequest,
    row: dict[str, Any],
    part: dict[str, Any],
    accepted: dict[tuple[str, int], Committed],
) -> int:
    """Take one offset, or say why not."""
    cluster, index = received.cluster, part["partition"]
    name = _name(cluster, row)
    error = received.error(Level.PARTITION, name, index)
    if not error:
        error = _refusal(cluster, name, part)
    elif not received.error_applied(Level.PARTITION, name, index):
        return error
    if name is not None and (not error or received.error(Level.PARTITION, name, index)):
        accepted[name, index] = Committed(
            part["offset"], part["metadata"] or "", part.get("leader_epoch", -1)
        )
    return error


def _refusal(cluster: FakeCluster, name: str | None, part: dict[str, Any]) -> ErrorCode:
    if name is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    if name in cluster.denied_topics:
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if cluster.topics.partition(name, part["partition"]) is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if len((part["metadata"] or "").encode()) > cluster.group_options.max_metadata_size:
        return ErrorCode.OFFSET_METADATA_TOO_LARGE
    return ErrorCode.NONE


def _name(cluster: FakeCluster, row: dict[str, Any]) -> str | None:
    """The topic's name; ``None`` for an id that is not known."""
    if "topic" in row:
        name: str = row["topic"]
        return name
    topic = cluster.topics.by_id(row["topic_id"])
    return None if topic is None else topic.name


def handle_fetch(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer OffsetFetch; versions from 8 on ask for several groups."""
    values = received.values
    stable = values.get("require_stable", False)
    if received.version >= _FIRST_FETCH_WITH_GROUPS:
        return {
            "groups": [
                {
                    "group_id": row["group_id"],
                    **_group_answer(received, row["group_id"], row, stable),
                }
                for row in values["groups"]
            ]
        }
    return _group_answer(received, values["consumer_group"], values, stable)


def _group_answer(
    received: ReceivedRequest, group_id: str, asked: dict[str, Any], stable: bool
) -> dict[str, Any]:
    cluster = received.cluster
    error = group_error(received, group_id, named=False)
    topics = asked["topics"]
    if error:
        old = received.version < _FIRST_FETCH_WITH_TOP_ERROR
        failed = [
            {**row, "partitions": [_failed(index, error) for index in row["partitions"]]}
            for row in topics or ()
            if old
        ]
        return {"error_code": error, "topics": failed}
    group = cluster.groups.group(group_id)
    if topics is None:
        topics = _everything(cluster, group, received.version >= _FIRST_FETCH_WITH_IDS)
    return {
        "error_code": ErrorCode.NONE,
        "topics": [
            {
                **row,
                "partitions": [
                    _committed(received, group, _name(cluster, row), index, stable)
                    for index in row["partitions"]
                ],
            }
            for row in topics
        ],
    }


def _everything(cluster: FakeCluster, group: Group, by_id: bool) -> list[dict[str, Any]]:
    """Rows for all that the group has committed, as if they had been asked for."""
    partitions: dict[str, list[int]] = {}
    for topic, index in group.committed:
        if topic not in cluster.denied_topics:
            partitions.setdefault(topic, []).append(index)
    if not by_id:
        return [{"topic": topic, "partitions": found} for topic, found in partitions.items()]
    ids: dict[str, uuid.UUID] = {topic.name: topic.topic_id for topic in cluster.topics}
    return [
        {"topic_id": ids[topic], "partitions": found}
        for topic, found in partitions.items()
        if topic in ids
    ]


def _committed(
    received: ReceivedRequest, group: Group, name: str | None, index: int, stable: bool
) -> dict[str, Any]:
    error = received.error(Level.PARTITION, name, index)
    if not error and name is None:
        error = ErrorCode.UNKNOWN_TOPIC_ID
    if not error and name in received.cluster.denied_topics:
        error = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if error or name is None:
        return _failed(index, error)
    if stable and (name, index) in group.committed.unstable:
        return _failed(index, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    found = group.committed.get((name, index))
    if found is None:
        return _failed(index, ErrorCode.NONE)
    return {
        "partition": index,
        "offset": found.offset,
        "leader_epoch": found.leader_epoch,
        "metadata": found.metadata,
        "error_code": ErrorCode.NONE,
    }


def _failed(index: int, error: int) -> dict[str, Any]:
    """A partition without an offset."""
    return {
        "partition": index,
        "offset": -1,
        "leader_epoch": -1,
        "metadata": "",
        "error_code": error,
    }
