"""Which members and which replicas are in the same rack (KIP-881).

Pure: no state, no tasks, no futures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata


class Racks:
    """The racks of a group's members, and of the replicas of the partitions it reads.

    All replicas count, also those that are not in sync or not available: they are likely to be
    so again soon, and a group is not to be rebalanced for it.

    Parameters:
        cluster: replicas of partitions, and racks of brokers.
        members: subscriptions by member id; those without ``rack_id`` match nothing.
        partitions: partition numbers by topic.
    """

    def __init__(
        self,
        cluster: ClusterMetadata,
        members: Mapping[str, Any],
        partitions: Mapping[str, list[int]],
    ) -> None:
        self._of_member: dict[str, str] = {}
        for member_id, member in members.items():
            if rack := getattr(member, "rack_id", None):
                self._of_member[member_id] = rack
        self._of_partition: dict[tuple[str, int], frozenset[str]] = {}
        if not self._of_member:
            return
        racks_of_members = frozenset(self._of_member.values())
        known: dict[int, str | None] = {}
        for topic, numbers in partitions.items():
            for number in numbers:
                metadata = cluster.partition_metadata(TopicPartition(topic, number))
                racks = set()
                for node_id in metadata.replicas if metadata is not None else ():
                    if node_id not in known:
                        broker = cluster.broker_metadata(node_id)
                        known[node_id] = broker.rack if broker is not None else None
                    racks.add(known[node_id])
                self._of_partition[topic, number] = racks_of_members.intersection(racks)
        if all(racks == racks_of_members for racks in self._of_partition.values()):
            # Everything is everywhere: any assignment is as good as any other.
            self._of_partition = {}

    def matter(self, partitions: list[tuple[str, int]] | None = None) -> bool:
        """Can an assignment of these partitions (None: of any) be better or worse by rack?"""
        if partitions is None:
            return any(self._of_partition.values())
        return any(self._of_partition.get(partition) for partition in partitions)

    def match(self, member_id: str, partition: tuple[str, int]) -> bool:
        """Is there a replica of ``partition`` in the member's rack?"""
        return self._of_member.get(member_id) in self._of_partition.get(partition, ())
