"""Which partitions change hands while an assignment is balanced.

Of a topic no partition should go from one member to another while another partition of it goes
the other way: leaving both where they are is as balanced, and moves less (KIP-54).

Pure: no tasks, no futures.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka.structs import TopicPartition

__all__ = ["ConsumerPair", "PartitionMovements", "is_sublist"]

log = logging.getLogger(__name__)


class ConsumerPair(NamedTuple):
    """From which member to which member partitions go."""

    src_member_id: str
    dst_member_id: str

    def reversed(self) -> ConsumerPair:
        return ConsumerPair(self.dst_member_id, self.src_member_id)


def is_sublist(source: Sequence[object], target: Sequence[object]) -> bool:
    """Does ``target`` stand in ``source``, as a run of neighbours?"""
    size = len(target)
    return any(
        list(source[start : start + size]) == list(target)
        for start in range(len(source) - size + 1)
    )


class PartitionMovements:
    """The movements so far: for each partition, where it was at first and where it is now."""

    def __init__(self) -> None:
        self._pairs: dict[TopicPartition, ConsumerPair] = {}
        self._by_topic: dict[str, dict[ConsumerPair, set[TopicPartition]]] = {}

    def move_partition(
        self, partition: TopicPartition, old_consumer: str, new_consumer: str
    ) -> None:
        """Take note of a movement.  One back to where the partition was at first undoes all."""
        known = self._pairs.pop(partition, None)
        if known is not None:
            partitions = self._by_topic[partition.topic][known]
            partitions.remove(partition)
            if not partitions:
                del self._by_topic[partition.topic][known]
            old_consumer = known.src_member_id
            if old_consumer == new_consumer:
                return
        pair = ConsumerPair(old_consumer, new_consumer)
        self._pairs[partition] = pair
        self._by_topic.setdefault(partition.topic, {}).setdefault(pair, set()).add(partition)

    def get_partition_to_be_moved(
        self, partition: TopicPartition, old_consumer: str, new_consumer: str
    ) -> TopicPartition:
        """The partition to move instead of ``partition``: one of its topic that has come the
        other way, or itself when there is none."""
        pairs = self._by_topic.get(partition.topic)
        if pairs is None:
            return partition
        known = self._pairs.get(partition)
        if known is not None:
            old_consumer = known.src_member_id
        returning = pairs.get(ConsumerPair(new_consumer, old_consumer))
        return min(returning) if returning else partition

    def are_sticky(self) -> bool:
        """Do no two members exchange partitions of a topic?"""
        for topic, pairs in self._by_topic.items():
            for pair in pairs:
                if pair.reversed() in pairs:
                    log.error("Partitions of topic %s go from %s to %s and back", topic, *pair)
                    return False
        return True
