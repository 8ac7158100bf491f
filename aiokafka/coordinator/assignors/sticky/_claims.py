"""Who may keep which partition: what members say they hold, told apart by generation (KIP-341).

Pure: no state, no tasks, no futures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from aiokafka.structs import TopicPartition


class Holder(Protocol):
    """A member, and what it holds."""

    @property
    def subscription(self) -> Iterable[str]: ...
    @property
    def partitions(self) -> Iterable[TopicPartition]: ...
    @property
    def generation(self) -> int: ...


class Claims:
    """The claims that count.

    A partition belongs to the member that claims it from the newest generation: one that claims it
    from an older one has missed a rebalance.  When several claim it from the same generation none
    of them can be right, and it belongs to nobody.

    Parameters:
        members: by member id.
        partitions: all partitions there are, by topic.

    Claims of partitions that are not there, or whose topic the member is not subscribed to, are
    void.
    """

    def __init__(
        self, members: Mapping[str, Holder], partitions: Mapping[str, Iterable[int]]
    ) -> None:
        #: Whose a partition is.
        self.owner: dict[TopicPartition, str] = {}
        #: Who had it before, when that member claims it still.
        self.former: dict[TopicPartition, str] = {}
        claims: dict[TopicPartition, list[tuple[int, str]]] = {}
        existing = {topic: set(numbers) for topic, numbers in partitions.items()}
        for member_id, member in members.items():
            subscription = set(member.subscription)
            for partition in dict.fromkeys(member.partitions):
                topic, number = partition
                if topic in subscription and number in existing.get(topic, ()):
                    claims.setdefault(partition, []).append((member.generation, member_id))
        for partition, made in claims.items():
            if len(made) == 1:
                self.owner[partition] = made[0][1]
            else:
                self._settle(partition, sorted(made, reverse=True))

    def _settle(self, partition: TopicPartition, made: list[tuple[int, str]]) -> None:
        (newest, first), (older, second) = made[:2]
        if newest == older:
            return
        self.owner[partition] = first
        if len(made) == 2 or made[2][0] < older:
            self.former[partition] = second
