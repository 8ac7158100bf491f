"""From which replica to read a partition (KIP-392).

A leader that knows of a better replica for this consumer names it in its answer; the partition
is read from there for as long as metadata is good for, then the leader is asked again.  A
follower that cannot be reached, or does not have the offset, is given up for the leader.

Pure but for the clock it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiokafka.cluster import ClusterMetadata
from aiokafka.structs import TopicPartition


class PreferredReplicas:
    """The replicas that leaders have named.

    Parameters:
        cluster: tells the leaders, and whether a node is known at all.
        clock: the loop's ``time``.
        max_age: seconds for which a named replica is used.

    Attributes:
        chosen: node id and expiry by partition.
    """

    def __init__(
        self,
        cluster: Callable[[], ClusterMetadata],
        *,
        clock: Callable[[], float],
        max_age: float,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._max_age = max_age
        self.chosen: dict[TopicPartition, tuple[int, float]] = {}

    def select(self, tp: TopicPartition) -> int | None:
        """The node to read *tp* from: -1 without a leader, None when it is unknown."""
        chosen = self.chosen.get(tp)
        cluster = self._cluster()
        if chosen is not None:
            node_id, expiry = chosen
            if self._clock() < expiry and cluster.broker_metadata(node_id) is not None:
                return node_id
            del self.chosen[tp]
        return cluster.leader_for_partition(tp)

    def update(self, tp: TopicPartition, node_id: int) -> bool:
        """Take the replica that the leader has named; -1 names none.

        Returns:
            True when the partition is to be read from another node than so far.
        """
        if node_id < 0:
            return False
        before = self.chosen.get(tp)
        if node_id == self._cluster().leader_for_partition(tp):
            self.chosen.pop(tp, None)
            return before is not None
        self.chosen[tp] = node_id, self._clock() + self._max_age
        return before is None or before[0] != node_id

    def forget(self, tp: TopicPartition) -> bool:
        """Read *tp* from its leader again; False when that was so already."""
        return self.chosen.pop(tp, None) is not None

    def forget_node(self, node_id: int, partitions: Iterable[TopicPartition]) -> bool:
        """Read those of *partitions* that were read from *node_id* from their leaders again."""
        forgotten = False
        for tp in partitions:
            chosen = self.chosen.get(tp)
            if chosen is not None and chosen[0] == node_id:
                del self.chosen[tp]
                forgotten = True
        return forgotten

    def follows(self, tp: TopicPartition, node_id: int) -> bool:
        """Is *node_id* read from although it does not lead *tp*?"""
        chosen = self.chosen.get(tp)
        return chosen is not None and chosen[0] == node_id
