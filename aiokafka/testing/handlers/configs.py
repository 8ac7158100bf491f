"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: the settings of topics.

Those of brokers are empty and cannot be changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

_TOPIC, _BROKER = 2, 4
_FROM_TOPIC = 1
_SET, _DELETE, _APPEND, _SUBTRACT = range(4)


def _refusal(received: ReceivedRequest, row: dict[str, Any]) -> int:
    name, cluster = row["resource_name"], received.cluster
    error = received.error(Level.TOPIC, name)
    if error:
        return error
    if row["resource_type"] == _TOPIC and name not in cluster.topics:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if row["resource_type"] == _BROKER and name not in ("", str(received.broker.node_id)):
        return ErrorCode.INVALID_REQUEST
    return ErrorCode.NONE


def _answer(row: dict[str, Any], error: int) -> dict[str, Any]:
    return {
        "error_code": error,
        "error_message": "refused" if error else None,
        "resource_type": row["resource_type"],
        "resource_name": row["resource_name"],
    }


def handle_describe(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer DescribeConfigs."""
    results = []
    for row in received.values["resources"]:
        error = _refusal(received, row)
        topic = received.cluster.topics.get(row["resource_name"])
        wanted = row["config_names"]
        configs: dict[str, Any] = {} if topic is None or error else topic.configs
        entries = [
            {
                "config_names": name,
                "config_value": value,
                "read_only": False,
                "is_default": False,
                "config_source": _FROM_TOPIC,
                "is_sensitive": False,
                "config_synonyms": [],
                "config_type": 2,
                "documentation": None,
            }
            for name, value in configs.items()
            if wanted is None or name in wanted
        ]
        results.append({**_answer(row, error), "config_entries": entries})
    return {"resources": results}


def handle_alter(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer AlterConfigs: what is not given goes."""
    results = []
    for row in received.values["resources"]:
        error = _refusal(received, row)
        topic = received.cluster.topics.get(row["resource_name"])
        if topic is not None and not error and not received.values["validate_only"]:
            topic.configs.clear()
            topic.configs.update(
                {entry["config_name"]: entry["config_value"] for entry in row["config_entries"]}
            )
        results.append(_answer(row, error))
    return {"resources": results}


def handle_change(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer IncrementalAlterConfigs (KIP-339)."""
    results = []
    for row in received.values["resources"]:
        error = _refusal(received, row)
        topic = received.cluster.topics.get(row["resource_name"])
        if topic is not None and not error and not received.values["validate_only"]:
            for change in row["configs"]:
                _change(topic.configs, change)
        results.append(_answer(row, error))
    return {"responses": results}


def _change(configs: dict[str, Any], change: dict[str, Any]) -> None:
    name, operation, value = change["name"], change["config_operation"], change["value"]
    listed = [item for item in (configs.get(name) or "").split(",") if item]
    if operation == _SET:
        configs[name] = value
    elif operation == _DELETE:
        configs.pop(name, None)
    elif operation == _APPEND:
        configs[name] = ",".join([*listed, value])
    elif operation == _SUBTRACT:
        configs[name] = ",".join(item for item in listed if item != value)
