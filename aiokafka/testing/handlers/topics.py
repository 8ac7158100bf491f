"""CreateTopics, DeleteTopics, CreatePartitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from ..topics import topic_name_error

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest


def handle_create(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer CreateTopics."""
    return {
        "topic_errors": [
            _create(received, row) for row in received.values["create_topic_requests"]
        ]
    }


def _create(received: ReceivedRequest, row: dict[str, Any]) -> dict[str, Any]:
    cluster = received.cluster
    name = row["topic"]
    assignment = {
        part["partition_id"]: part["replicas"] for part in row["replica_assignment"]
    } or None
    partitions = row["num_partitions"]
    if partitions == -1:
        partitions = len(assignment) if assignment else cluster.default_partitions
    factor = row["replication_factor"]
    if factor == -1:
        factor = len(assignment[0]) if assignment else cluster.default_replication_factor
    error: int = received.error(Level.TOPIC, name) or topic_name_error(name)
    if not error:
        if name in cluster.topics:
            error = ErrorCode.TOPIC_ALREADY_EXISTS
        elif partitions < 1:
            error = ErrorCode.INVALID_PARTITIONS
        elif not 1 <= factor <= len(cluster.brokers):
            error = ErrorCode.INVALID_REPLICATION_FACTOR
        elif not received.values.get("validate_only", False):
            configs = {config["config_key"]: config["config_value"] for config in row["configs"]}
            cluster.create_topic(name, partitions, factor, assignment=assignment, configs=configs)
    topic = cluster.topics.get(name)
    return {
        "topic": name,
        "topic_id": None if topic is None else topic.topic_id,
        "error_code": error,
        "error_message": None if not error else f"cannot create {name!r}",
        "num_partitions": partitions,
        "replication_factor": factor,
        "configs": [],
    }


def handle_delete(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer DeleteTopics."""
    results = []
    for row in received.values["topics"]:
        name = row if isinstance(row, str) else row["topic"]
        error: int = received.error(Level.TOPIC, name)
        if not error:
            if name in received.cluster.topics:
                received.cluster.delete_topic(name)
            else:
                error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        results.append({"topic": name, "error_code": error})
    return {"topic_error_codes": results}


def handle_create_partitions(
    received: ReceivedRequest, connection: BrokerConnection
) -> dict[str, Any]:
    """Answer CreatePartitions."""
    results = []
    for row in received.values["topic_partitions"]:
        name = row["topic"]
        count = row.get("new_partitions", row)["count"]
        topic = received.cluster.topics.get(name)
        error: int = received.error(Level.TOPIC, name)
        if not error:
            if topic is None:
                error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif count <= len(topic.partitions):
                error = ErrorCode.INVALID_PARTITIONS
            elif not received.values.get("validate_only", False):
                received.cluster.add_partitions(name, count)
        results.append(
            {
                "topic": name,
                "error_code": error,
                "error_message": None if not error else f"cannot grow {name!r}",
            }
        )
    return {"topic_errors": results}
