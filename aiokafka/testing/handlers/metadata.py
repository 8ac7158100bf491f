"""Metadata: brokers, topics and leaders; creates topics that were asked for by name."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from ..topics import NO_LEADER, Partition, Topic, topic_name_error

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

_NO_ID = uuid.UUID(int=0)
_UNKNOWN_OPERATIONS = -(1 << 31)


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer Metadata."""
    cluster = received.cluster
    controller = cluster.controller
    return {
        "brokers": [
            {
                "node_id": broker.node_id,
                "host": broker.host,
                "port": broker.port,
                "rack": broker.rack,
            }
            for broker in cluster.brokers.values()
            if not broker.fenced
        ],
        "cluster_id": cluster.cluster_id,
        "controller_id": -1 if controller is None else controller.node_id,
        "topics": _topics(received),
        "cluster_authorized_operations": _UNKNOWN_OPERATIONS,
        "error_code": received.error(Level.TOP),
    }


def _topics(received: ReceivedRequest) -> list[dict[str, Any]]:
    asked = received.values["topics"]
    if asked is None or (not asked and received.version == 0):
        cluster = received.cluster
        return [
            _describe(received, topic)
            for topic in cluster.topics
            if topic.name not in cluster.denied_topics
        ]
    return [_one(received, row) for row in asked]


def _one(received: ReceivedRequest, row: Any) -> dict[str, Any]:
    """Answer for one topic asked for: a name, or a row with a name or an id."""
    cluster = received.cluster
    name = row if isinstance(row, str) else row.get("topic")
    topic_id = None if isinstance(row, str) else row.get("topic_id")
    if name is None:
        topic = cluster.topics.by_id(topic_id)
        if topic is None:
            return _failed(None, ErrorCode.UNKNOWN_TOPIC_ID, topic_id)
        return _describe(received, topic)
    if name in cluster.denied_topics:
        return _failed(name, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    invalid = topic_name_error(name)
    if invalid:
        return _failed(name, invalid)
    fault = received.error(Level.TOPIC, name)
    if fault:
        return _failed(name, fault)
    topic = cluster.topics.get(name)
    if topic is not None:
        return _describe(received, topic)
    if not (cluster.auto_create and received.values.get("allow_auto_topic_creation", True)):
        return _failed(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    topic = cluster.create_topic(name)
    topic.hidden_answers = cluster.auto_create_answers
    return _describe(received, topic)


def _failed(name: str | None, error: int, topic_id: uuid.UUID | None = None) -> dict[str, Any]:
    return {
        "error_code": error,
        "topic": name,
        "topic_id": topic_id or _NO_ID,
        "is_internal": False,
        "partitions": [],
        "authorized_operations": _UNKNOWN_OPERATIONS,
    }


def _describe(received: ReceivedRequest, topic: Topic) -> dict[str, Any]:
    error = received.error(Level.TOPIC, topic.name) or topic.error
    if not error and topic.hidden_answers > 0:
        topic.hidden_answers -= 1
        error = received.cluster.auto_create_error
    if error:
        return _failed(topic.name, error)
    return {
        "error_code": ErrorCode.NONE,
        "topic": topic.name,
        "topic_id": topic.topic_id,
        "is_internal": topic.internal,
        "partitions": [_partition(received, partition) for partition in topic.partitions],
        "authorized_operations": _UNKNOWN_OPERATIONS,
    }


def _partition(received: ReceivedRequest, partition: Partition) -> dict[str, Any]:
    error = received.error(Level.PARTITION, partition.topic, partition.index) or partition.error
    leader = partition.leader
    if not error and leader == NO_LEADER:
        error = ErrorCode.LEADER_NOT_AVAILABLE
    if error == ErrorCode.LEADER_NOT_AVAILABLE:
        leader = NO_LEADER
    brokers = received.cluster.brokers
    return {
        "error_code": error,
        "partition": partition.index,
        "leader": leader,
        "leader_epoch": partition.leader_epoch,
        "replicas": partition.replicas,
        "isr": partition.isr,
        "offline_replicas": [node for node in partition.replicas if brokers[node].fenced],
    }
