"""Topics and partitions of a fake cluster.

Owns :class:`Topic`, :class:`Partition` and the :class:`TopicRegistry` that creates them, places
their replicas and moves their leaders.  Pure: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .codes import ErrorCode
from .log import LogOptions, PartitionLog

__all__ = ["Partition", "Topic", "TopicRegistry", "topic_name_error"]

NO_LEADER = -1

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def topic_name_error(name: str | None) -> ErrorCode:
    """INVALID_TOPIC_EXCEPTION for a name that no broker accepts, else NONE."""
    if name is None or name in (".", "..") or not _LEGAL_NAME.fullmatch(name):
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    return ErrorCode.NONE


@dataclass(slots=True)
class Partition:
    """A partition: who leads it, who replicates it, and its log.

    Attributes:
        error: what Metadata answers for it instead of 0 (LEADER_NOT_AVAILABLE while there is no
            leader).
        lags: how many records a replica is behind, by node id; for the leader: how many at the
            end its followers have not copied yet.
    """

    topic: str
    index: int
    replicas: list[int]
    leader: int
    log: PartitionLog
    leader_epoch: int = 0
    isr: list[int] = field(default_factory=list)
    error: int = ErrorCode.NONE
    lags: dict[int, int] = field(default_factory=dict)

    def elect(self, leader: int) -> None:
        """Make ``leader`` lead (``-1``: nobody does), under a new epoch."""
        if leader != self.leader:
            self.begin_epoch(leader)

    def begin_epoch(self, leader: int) -> None:
        """Begin a new leader epoch, of another leader or of the same."""
        self.leader = leader
        self.leader_epoch += 1
        self.log.epochs.begin(self.leader_epoch, self.log.end_offset)
        self.log.notify()

    def high_watermark(self, node_id: int) -> int:
        """The high watermark as a replica knows it."""
        return max(self.log.start_offset, self.log.end_offset - self.lags.get(node_id, 0))


@dataclass(slots=True)
class Topic:
    """A topic.

    Attributes:
        hidden_answers: Metadata answers about it that still say LEADER_NOT_AVAILABLE, as right
            after its creation.
        error: what Metadata answers for it instead of 0.
    """

    name: str
    topic_id: uuid.UUID
    partitions: list[Partition]
    options: LogOptions
    internal: bool = False
    hidden_answers: int = 0
    error: int = ErrorCode.NONE
    configs: dict[str, str | None] = field(default_factory=dict)

    @property
    def replication_factor(self) -> int:
        return len(self.partitions[0].replicas)


class TopicRegistry:
    """All topics of a cluster, by name and by id.

    Args:
        rng: makes topic ids.
        node_ids: the brokers that replicas are placed on.
    """

    def __init__(self, rng: random.Random, node_ids: Sequence[int]) -> None:
        self._rng = rng
        self.node_ids = list(node_ids)
        self._by_name: dict[str, Topic] = {}
        self._by_id: dict[uuid.UUID, Topic] = {}
        self._next_start = 0

    def __iter__(self) -> Iterator[Topic]:
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Topic:
        return self._by_name[name]

    def get(self, name: str | None) -> Topic | None:
        """The topic of that name, or ``None``."""
        return None if name is None else self._by_name.get(name)

    def by_id(self, topic_id: uuid.UUID | None) -> Topic | None:
        """The topic of that id, or ``None``."""
        return None if topic_id is None else self._by_id.get(topic_id)

    def partition(self, name: str | None, index: int) -> Partition | None:
        """A partition, or ``None`` when the topic or the partition does not exist."""
        topic = self.get(name)
        if topic is None or not 0 <= index < len(topic.partitions):
            return None
        return topic.partitions[index]

    def partitions(self) -> Iterator[Partition]:
        """Every partition of every topic."""
        for topic in self:
            yield from topic.partitions

    def create(
        self,
        name: str,
        partitions: int,
        replication_factor: int,
        *,
        options: LogOptions | None = None,
        assignment: Mapping[int, Sequence[int]] | None = None,
        internal: bool = False,
        hidden_answers: int = 0,
    ) -> Topic:
        """Create a topic; `ValueError` if it exists or cannot be placed."""
        if name in self._by_name:
            raise ValueError(f"topic {name!r} exists")
        if not 1 <= replication_factor <= len(self.node_ids):
            raise ValueError(
                f"replication factor {replication_factor} with {len(self.node_ids)} brokers"
            )
        topic = Topic(
            name,
            uuid.UUID(int=self._rng.getrandbits(128), version=4),
            [],
            options or LogOptions(),
            internal,
            hidden_answers,
        )
        for index in range(partitions):
            replicas = list(assignment[index]) if assignment else self._place(replication_factor)
            self._add_partition(topic, replicas)
        self._by_name[name] = topic
        self._by_id[topic.topic_id] = topic
        return topic

    def grow(self, name: str, partitions: int) -> None:
        """Raise the number of partitions of a topic."""
        topic = self[name]
        while len(topic.partitions) < partitions:
            self._add_partition(topic, self._place(topic.replication_factor))

    def delete(self, name: str) -> None:
        """Delete a topic with its records."""
        topic = self._by_name.pop(name)
        del self._by_id[topic.topic_id]
        for partition in topic.partitions:
            partition.log.notify()

    def _add_partition(self, topic: Topic, replicas: list[int]) -> None:
        topic.partitions.append(
            Partition(
                topic.name,
                len(topic.partitions),
                replicas,
                replicas[0],
                PartitionLog(topic.options),
                isr=list(replicas),
            )
        )

    def _place(self, replication_factor: int) -> list[int]:
        nodes = self.node_ids
        start = self._next_start
        self._next_start += 1
        return [nodes[(start + i) % len(nodes)] for i in range(replication_factor)]
