"""The making of a sticky assignment.

First everybody keeps what is rightfully theirs, then what is nobody's goes to those who have
least, then partitions move from those who have most to those who have least, until nobody could be
given one by somebody who has two more.  Every move makes the numbers of partitions more equal, so
there is an end to it.

Members are numbers here, by the order of their ids, which is also what breaks ties: leaders with
the same input decide alike.

Pure: no tasks, no futures.

Page: KIP-54, KIP-341 (generations), KIP-881 (racks)
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiokafka.coordinator.assignors._builtin import partitions_of
from aiokafka.coordinator.assignors._racks import Racks
from aiokafka.coordinator.assignors.sticky._claims import Claims, Holder
from aiokafka.coordinator.assignors.sticky.partition_movements import PartitionMovements
from aiokafka.coordinator.protocol import by_topic
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata

log = logging.getLogger("aiokafka.coordinator.assignors.sticky.sticky_assignor")

#: Among how many partitions one is looked for that is nearer to the member it moves to.
_CANDIDATES = 64


class _Audience:
    """The members that are subscribed to a topic, shared by all topics that have the same."""

    def __init__(self, members: tuple[int, ...], sizes: list[int]) -> None:
        self.members = members
        self._sizes = sizes
        # Of every member there is an entry that is not above its true size.
        self._heap = [(sizes[member], member) for member in members]
        heapq.heapify(self._heap)

    def least(self) -> int:
        """The member that has the fewest partitions, the first of them."""
        heap, sizes = self._heap, self._sizes
        while True:
            size, member = heap[0]
            if size == sizes[member]:
                return member
            heapq.heapreplace(heap, (sizes[member], member))

    def has_less(self, member: int) -> None:
        """A member has lost a partition."""
        heapq.heappush(self._heap, (self._sizes[member], member))


class StickyAssignmentExecutor:
    """Makes one assignment; to be used once.

    Parameters:
        cluster: partitions of the topics, and racks of their replicas.
        members: what each member id is subscribed to and holds; with ``rack_id`` where it is.
    """

    def __init__(self, cluster: ClusterMetadata, members: Mapping[str, Holder]) -> None:
        self.partition_movements = PartitionMovements()
        self._members = members
        self._ids = sorted(members)
        self._numbers = {member_id: number for number, member_id in enumerate(self._ids)}
        self._partitions = partitions_of(cluster, members, log)
        self._racks = Racks(cluster, members, self._partitions)
        self._sizes = [0] * len(self._ids)
        self._audience_of: dict[str, _Audience] = {}
        self._audiences_of_member: list[list[_Audience]] = [[] for _ in self._ids]
        #: What each member has, apart by audience; the latest come last, and go first.
        self._held: list[dict[_Audience, list[TopicPartition]]] = [{} for _ in self._ids]
        self._claims = Claims({}, {})
        #: Do racks matter; and what is not near to its owner, and may go to somebody nearer.
        self._by_rack = False
        self._far: list[TopicPartition] = []
        self._moved: set[TopicPartition] = set()
        self._former: list[dict[int, list[TopicPartition]]] | None = None

    def perform_initial_assignment(self) -> None:
        """Let everybody keep what they rightfully hold."""
        subscribers: dict[str, list[int]] = {topic: [] for topic in self._partitions}
        for number, member_id in enumerate(self._ids):
            for topic in set(self._members[member_id].subscription):
                if topic in subscribers:
                    subscribers[topic].append(number)
        self._claims = Claims(self._members, self._partitions)
        everything = [(topic, n) for topic, numbers in self._partitions.items() for n in numbers]
        self._by_rack = self._racks.matter(self._ids, everything)
        may_improve = self._by_rack and len({tuple(each) for each in subscribers.values()}) == 1
        owned: list[list[TopicPartition]] = [[] for _ in self._ids]
        for partition, member_id in self._claims.owner.items():
            if may_improve and not self._racks.near(member_id, partition):
                self._far.append(partition)
            else:
                owned[self._numbers[member_id]].append(partition)
        self._sizes[:] = map(len, owned)
        self._make_audiences(subscribers)
        for number, partitions in enumerate(owned):
            for partition in sorted(partitions):
                audience = self._audience_of[partition.topic]
                self._held[number].setdefault(audience, []).append(partition)

    def _make_audiences(self, subscribers: Mapping[str, list[int]]) -> None:
        made: dict[tuple[int, ...], _Audience] = {}
        for topic, numbers in subscribers.items():
            key = tuple(numbers)
            audience = made.get(key)
            if audience is None:
                audience = made[key] = _Audience(key, self._sizes)
                for number in numbers:
                    self._audiences_of_member[number].append(audience)
            self._audience_of[topic] = audience

    def balance(self) -> None:
        """Share out what is nobody's, then even out what everybody has."""
        unassigned = self._unassigned()
        if self._by_rack:
            unassigned = self._share_out_by_rack(unassigned)
        for partition in unassigned:
            audience = self._audience_of[partition.topic]
            self._give(partition, audience, audience.least())
        while self._even_out():
            pass

    def _unassigned(self) -> list[TopicPartition]:
        """Partitions that are nobody's, those first that the fewest members could have."""
        owner = self._claims.owner
        found = [
            TopicPartition(topic, number)
            for topic, numbers in sorted(
                self._partitions.items(), key=lambda item: len(self._audience_of[item[0]].members)
            )
            for number in numbers
        ]
        return [partition for partition in found if partition not in owner]

    def _share_out_by_rack(self, unassigned: list[TopicPartition]) -> list[TopicPartition]:
        """Give partitions to members in a rack of theirs; those that are far from their owners
        too, which keep what nobody else is nearer to.  Nobody is given more than an equal share
        (or one more, if the partitions do not divide evenly).

        Returns:
            The rest.
        """
        fair, more = divmod(sum(map(len, self._partitions.values())), len(self._ids))
        more -= sum(size > fair for size in self._sizes)
        near: dict[tuple[_Audience, frozenset[str]], _Audience | None] = {}
        rest = []
        for partition in [*unassigned, *sorted(self._far)]:
            audience = self._audience_of[partition.topic]
            key = audience, self._racks.of_partition(partition)
            if key not in near:
                members = [m for m in audience.members if self._is_near(m, partition)]
                near[key] = _Audience(tuple(members), self._sizes) if members else None
            neighbours = near[key]
            member = -1 if neighbours is None else neighbours.least()
            if member < 0 or self._sizes[member] >= fair + (more > 0):
                rest.append(partition)
            else:
                self._give(partition, audience, member)
                more -= self._sizes[member] > fair
        return [
            partition for partition in rest if not self._give_back(partition, fair + (more > 0))
        ]

    def _give_back(self, partition: TopicPartition, limit: int) -> bool:
        """Let the owner of a partition that is far from everybody keep it, if it has room."""
        owner = self._claims.owner.get(partition)
        if owner is None or self._sizes[self._numbers[owner]] >= limit:
            return False
        self._give(partition, self._audience_of[partition.topic], self._numbers[owner])
        return True

    def _is_near(self, member: int, partition: TopicPartition) -> bool:
        return self._racks.near(self._ids[member], partition)

    def _give(self, partition: TopicPartition, audience: _Audience, member: int) -> None:
        self._sizes[member] += 1
        self._held[member].setdefault(audience, []).append(partition)

    def _take(self, partition: TopicPartition, audience: _Audience, member: int) -> None:
        self._sizes[member] -= 1
        held = self._held[member][audience]
        _remove(held, partition)
        if not held:
            del self._held[member][audience]
        for each in self._audiences_of_member[member]:
            each.has_less(member)
        before = self._claims.former.get(partition)
        if before is not None and self._is_kept(member, partition):
            _remove(self._lost_to(member).get(self._numbers[before], []), partition)

    def _even_out(self) -> bool:
        """Let everybody in turn, from those who have most, give what they have too much.

        Returns:
            Whether anything has moved: then those who could give nothing before may be able to.
        """
        moved = False
        richest = [(-size, -member) for member, size in enumerate(self._sizes) if size > 1]
        heapq.heapify(richest)
        while richest:
            size, negative = heapq.heappop(richest)
            member = -negative
            if -size != self._sizes[member]:
                heapq.heappush(richest, (-self._sizes[member], negative))
            elif self._give_one(member):
                moved = True
                heapq.heappush(richest, (-self._sizes[member], negative))
        return moved

    def _give_one(self, rich: int) -> bool:
        """Move a partition to whoever has least of those who could have one."""
        sizes = self._sizes
        least = [(sizes[a.least()], a.least(), order) for order, a in enumerate(self._held[rich])]
        size, poor, order = min(least)
        if sizes[rich] - size < 2:
            return False
        audience = list(self._held[rich])[order]
        partition, poor = self._choose(rich, poor, audience)
        self._take(partition, audience, rich)
        self._give(partition, audience, poor)
        if partition in self._moved or self._is_kept(rich, partition):
            self._moved.add(partition)
            source, target = self._ids[rich], self._ids[poor]
            self.partition_movements.move_partition(partition, source, target)
        return True

    def _is_kept(self, member: int, partition: TopicPartition) -> bool:
        """Has the member had the partition before this assignment?"""
        return self._claims.owner.get(partition) == self._ids[member]

    def _choose(self, rich: int, poor: int, audience: _Audience) -> tuple[TopicPartition, int]:
        """Which partition moves, and to whom: ``poor``, or one who has as little.

        The best is one that goes back to whoever had it before (KIP-341), then one that
        ``rich`` has got just now, which are the latest.
        """
        for before, partitions in self._lost_to(rich).items():
            if self._sizes[before] == self._sizes[poor]:
                for partition in reversed(partitions):
                    if self._audience_of[partition.topic] is audience:
                        return partition, before
        latest = self._held[rich][audience]
        partition = latest[-1]
        if self._by_rack:
            partition = min(
                reversed(latest[-_CANDIDATES:]),
                key=lambda p: (
                    self._is_kept(rich, p),
                    not self._is_near(poor, p),
                    self._is_near(rich, p),
                ),
            )
        if self._is_kept(rich, partition):
            partition = self.partition_movements.get_partition_to_be_moved(
                partition, self._ids[rich], self._ids[poor]
            )
        return partition, poor

    def _lost_to(self, rich: int) -> dict[int, list[TopicPartition]]:
        """What ``rich`` came to hold while others had it, by who that was."""
        if not self._claims.former:
            return {}
        if self._former is None:
            self._former = [{} for _ in self._ids]
            free = set(self._far)
            for partition, before in sorted(self._claims.former.items()):
                if partition in free:
                    continue
                owner = self._numbers[self._claims.owner[partition]]
                lost = self._former[owner].setdefault(self._numbers[before], [])
                lost.append(partition)
        return self._former[rich]

    def get_final_assignment(self, member_id: str) -> list[tuple[str, list[int]]]:
        """The topics and partitions of a member, in order."""
        held = self._held[self._numbers[member_id]]
        return list(
            by_topic(sorted(p for partitions in held.values() for p in partitions)).items()
        )

    def owner_of(self, partition: TopicPartition) -> str | None:
        """The member that rightfully held a partition before this assignment."""
        return self._claims.owner.get(partition)


def _remove(partitions: list[TopicPartition], partition: TopicPartition) -> None:
    """Remove a partition, which is the last one nearly always, if it is there."""
    if partitions and partitions[-1] == partition:
        partitions.pop()
    elif partition in partitions:
        partitions.remove(partition)
