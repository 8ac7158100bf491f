"""Which members and which replicas are in the same rack (KIP-881).

Pure: no state, no tasks, no futures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata

_NOWHERE: frozenset[str] = frozenset()


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
        if self._of_member:
            brokers: dict[int, str | None] = {}
            for topic, numbers in partitions.items():
                for number in numbers:
                    partition = TopicPartition(topic, number)
                    self._of_partition[partition] = _racks(cluster, partition, brokers)

    def matter(self, member_ids: Iterable[str], partitions: Sequence[tuple[str, int]]) -> bool:
        """Can sharing out these partitions be done better or worse by rack?

        Not when all of them have replicas in the same racks, for any choice is then as good as
        any other; nor when no member is where a replica is.
        """
        racks = {self._of_partition.get(partition, _NOWHERE) for partition in partitions}
        if len(racks) < 2:
            return False
        return any(
            self._of_member.get(member_id) in of_partition
            for of_partition in racks
            for member_id in member_ids
        )

    def near(self, member_id: str, partition: tuple[str, int]) -> bool:
        """Like :meth:`match`, but a member that names no rack is near to nothing."""
        return self._of_member.get(member_id) in self._of_partition.get(partition, _NOWHERE)

    def of_partition(self, partition: tuple[str, int]) -> frozenset[str]:
        """The racks of a partition's replicas."""
        return self._of_partition.get(partition, _NOWHERE)

    def match(self, member_id: str, partition: tuple[str, int]) -> bool:
        """Is there a replica of ``partition`` in the member's rack?

        A member that names no rack is as near to one partition as to any other: always.
        """
        rack = self._of_member.get(member_id)
        return rack is None or rack in self._of_partition.get(partition, _NOWHERE)


def _racks(
    cluster: ClusterMetadata, partition: TopicPartition, brokers: dict[int, str | None]
) -> frozenset[str]:
    """The racks of a partition's replicas.  ``brokers`` remembers the racks of brokers."""
    metadata = cluster.partition_metadata(partition)
    racks = set()
    for node_id in metadata.replicas if metadata is not None else ():
        if node_id not in brokers:
            broker = cluster.broker_metadata(node_id)
            brokers[node_id] = broker.rack if broker is not None else None
        if rack := brokers[node_id]:
            racks.add(rack)
    return frozenset(racks)
