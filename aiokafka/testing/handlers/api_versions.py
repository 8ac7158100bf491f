"""ApiVersions: what the broker speaks, and the features its cluster has finalized (KIP-584)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..faults import Level

if TYPE_CHECKING:
    from ..broker import FakeBroker
    from ..cluster import FakeCluster
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer ApiVersions."""
    values = values_for(received.cluster, connection.broker)
    values["error_code"] = received.error(Level.TOP)
    return values


def values_for(cluster: FakeCluster, broker: FakeBroker) -> dict[str, Any]:
    """The answer, also of use to a client that asked in a version the broker does not know."""
    return {
        "error_code": 0,
        "api_versions": [
            {"api_key": key, "min_version": low, "max_version": high}
            for key, (low, high) in sorted(cluster.advertised(broker).items())
        ],
        "throttle_time_ms": 0,
        "supported_features": [
            {"name": name, "min_version": 0, "max_version": level}
            for name, level in sorted(cluster.features.items())
        ],
        "finalized_features_epoch": 0,
        "finalized_features": [
            {"name": name, "max_version_level": level, "min_version_level": level}
            for name, level in sorted(cluster.features.items())
        ],
        "zk_migration_ready": False,
    }
