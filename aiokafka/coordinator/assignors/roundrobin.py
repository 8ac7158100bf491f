"""The round-robin assignor: all partitions of all topics are dealt out one by one.

Pure and without state.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiokafka.coordinator.assignors._builtin import (
    BuiltinPartitionAssignor,
    assignment_of,
    partitions_of,
    sorted_members,
)
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, Members

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata

__all__ = ["RoundRobinPartitionAssignor"]

log = logging.getLogger(__name__)


class RoundRobinPartitionAssignor(BuiltinPartitionAssignor):
    """Deals out the partitions of all topics in turn, as Java's ``RoundRobinAssignor`` does.

    A member that is not subscribed to a topic is passed over.  With equal subscriptions all
    members have equally many partitions, give or take one: of topics ``t0`` and ``t1`` with three
    partitions each, members ``C0`` and ``C1`` get ``t0-0 t0-2 t1-1`` and ``t0-1 t1-0 t1-2``.
    """

    name = "roundrobin"
    version = 0

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Members
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        order = sorted_members(members)
        subscribed = [set(members[member_id].subscription) for member_id in order]
        dealt: list[list[tuple[str, int]]] = [[] for _ in order]
        turn = 0
        for topic, partitions in partitions_of(cluster, members, log).items():
            for partition in partitions:
                while topic not in subscribed[turn]:
                    turn = (turn + 1) % len(order)
                dealt[turn].append((topic, partition))
                turn = (turn + 1) % len(order)
        return {
            member_id: assignment_of(cls.version, share)
            for member_id, share in zip(order, dealt, strict=True)
        }
