"""The offsets that a group has committed.

Owns :class:`GroupOffsets`.  Pure: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

__all__ = ["Committed", "GroupOffsets"]

PartitionKey: TypeAlias = "tuple[str, int]"


class Committed(NamedTuple):
    """A committed offset."""

    offset: int
    metadata: str = ""
    leader_epoch: int = -1


class GroupOffsets(dict[PartitionKey, Committed]):
    """Committed offsets by (topic, partition).

    Attributes:
        unstable: partitions whose offsets a transaction may still change; OffsetFetch answers
            UNSTABLE_OFFSET_COMMIT for them if asked for stable ones (KIP-447).
    """

    def __init__(self) -> None:
        super().__init__()
        self.unstable: set[PartitionKey] = set()

    def forget(self, topic: str) -> None:
        """Drop the offsets of a topic that was deleted."""
        for key in [key for key in self if key[0] == topic]:
            del self[key]
            self.unstable.discard(key)
