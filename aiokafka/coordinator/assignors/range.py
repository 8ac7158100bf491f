"""The range assignor: of each topic, every member gets a run of neighbouring partitions.

Pure and without state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aiokafka.coordinator.assignors._builtin import (
    BuiltinPartitionAssignor,
    assignment_of,
    partitions_of,
    sorted_members,
)
from aiokafka.coordinator.assignors._racks import Racks
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, Members

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata

__all__ = ["RangePartitionAssignor"]

log = logging.getLogger(__name__)


class RangePartitionAssignor(BuiltinPartitionAssignor):
    """Divides each topic by itself, as Java's ``RangeAssignor`` does.

    The partitions of a topic, in order, are laid beside the members subscribed to it, in order.
    When they do not divide evenly the first members have one more.  Of topics ``t0`` and ``t1``
    with three partitions each, members ``C0`` and ``C1`` get ``t0-0 t0-1 t1-0 t1-1`` and
    ``t0-2 t1-2``.

    Topics with equally many partitions and the same subscribers are *co-partitioned*: whoever has
    a partition of one has the same partition of the others.

    Where racks of members and replicas are known, partitions go to members in a rack of theirs as
    far as the size of each member's share and co-partitioning allow (KIP-881).
    """

    name = "range"
    version = 0

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Members
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        order = sorted_members(members)
        subscribed = {member_id: set(members[member_id].subscription) for member_id in order}
        partitions = partitions_of(cluster, members, log)
        topics = [
            _Topic(topic, numbers, [m for m in order if topic in subscribed[m]])
            for topic, numbers in partitions.items()
        ]
        _match_racks(topics, Racks(cluster, members, partitions))
        for topic in topics:
            topic.assign_where(lambda _member, _number: True)

        shares: dict[str, list[tuple[str, int]]] = {member_id: [] for member_id in order}
        for topic in topics:
            for member_id, numbers in topic.assigned.items():
                shares[member_id] += [(topic.name, number) for number in numbers]
        return {
            member_id: assignment_of(cls.version, share) for member_id, share in shares.items()
        }


class _Topic:
    """A topic while it is divided."""

    def __init__(self, name: str, partitions: list[int], members: list[str]) -> None:
        self.name = name
        self.members = members
        self.count = len(partitions)
        self.unassigned = list(partitions)
        self.assigned: dict[str, list[int]] = {member_id: [] for member_id in members}
        #: Everybody's share, and how many members have one more.
        self._share, self._extras = divmod(len(partitions), len(members))

    def room(self, member_id: str) -> int:
        """How many more partitions the member may have."""
        return self._share + (self._extras > 0) - len(self.assigned[member_id])

    def give(self, member_id: str, numbers: Sequence[int]) -> None:
        had = len(self.assigned[member_id])
        self.assigned[member_id] += numbers
        if had <= self._share < len(self.assigned[member_id]):
            self._extras -= 1
        taken = set(numbers)
        self.unassigned = [number for number in self.unassigned if number not in taken]

    def assign_where(self, allowed: Callable[[str, int], bool]) -> None:
        """Let each member in turn have as much as it may of what it is allowed to."""
        for member_id in self.members:
            room = self.room(member_id)
            if room > 0 and self.unassigned:
                numbers = [n for n in self.unassigned if allowed(member_id, n)]
                if numbers:
                    self.give(member_id, numbers[:room])


def _match_racks(topics: list[_Topic], racks: Racks) -> None:
    """Assign what can be read from a replica in the member's own rack.

    If that is worth while for one topic, co-partitioned topics are matched too, whose replicas
    may be in the same racks for every partition of each, but not for all of them together.
    """
    better_by_rack = {
        topic.name
        for topic in topics
        if racks.matter(topic.members, [(topic.name, number) for number in topic.unassigned])
    }
    if not better_by_rack:
        return
    alike: dict[tuple[int, tuple[str, ...]], list[_Topic]] = {}
    for topic in topics:
        alike.setdefault((topic.count, tuple(topic.members)), []).append(topic)
    for group in alike.values():
        if len(group) > 1:
            _match_together(group, racks)
        elif group[0].name in better_by_rack:
            _match_alone(group[0], racks)


def _match_alone(topic: _Topic, racks: Racks) -> None:
    topic.assign_where(lambda member_id, number: racks.match(member_id, (topic.name, number)))


def _match_together(topics: list[_Topic], racks: Racks) -> None:
    """Assign partitions of co-partitioned topics whose replicas share a rack with a member."""
    for number in list(topics[0].unassigned):
        for member_id in topics[0].members:
            if all(t.room(member_id) > 0 for t in topics) and all(
                racks.match(member_id, (t.name, number)) for t in topics
            ):
                for topic in topics:
                    topic.give(member_id, [number])
                break
