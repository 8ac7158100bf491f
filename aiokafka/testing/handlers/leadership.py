"""Who leads a partition, as answers of several APIs say it (KIP-320, KIP-951)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..topics import Partition

if TYPE_CHECKING:
    from ..cluster import FakeCluster

__all__ = ["epoch_error", "leader_error", "leader_hint"]


def epoch_error(partition: Partition, epoch: int) -> ErrorCode:
    """What is wrong with the leader epoch that a client believes in; -1 is none."""
    if 0 <= epoch < partition.leader_epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    if epoch > partition.leader_epoch:
        return ErrorCode.UNKNOWN_LEADER_EPOCH
    return ErrorCode.NONE


def leader_error(partition: Partition, node_id: int, epoch: int) -> ErrorCode:
    """Why a broker does not answer as the leader of a partition."""
    if partition.leader != node_id:
        return ErrorCode.NOT_LEADER_OR_FOLLOWER
    return epoch_error(partition, epoch)


def leader_hint(
    cluster: FakeCluster, partition: Partition
) -> tuple[dict[str, int] | None, dict[int, dict[str, Any]]]:
    """The leader with its epoch, and its address by node id, if the cluster gives hints."""
    leader = cluster.brokers.get(partition.leader)
    if leader is None or not cluster.leader_hints:
        return None, {}
    return {"leader_id": leader.node_id, "leader_epoch": partition.leader_epoch}, {
        leader.node_id: {
            "node_id": leader.node_id,
            "host": leader.host,
            "port": leader.port,
            "rack": leader.rack,
        }
    }
