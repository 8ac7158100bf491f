"""The groups of a cluster, and which broker coordinates which.

Owns :class:`GroupRegistry`.  A coordinator stays one until its broker is given up or the group is
moved by hand; then another broker loads what was written of the group.  Runs no task.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import random
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from .group_members import GroupOptions, GroupState
from .groups import Group

if TYPE_CHECKING:
    from .broker import FakeBroker

__all__ = ["GroupRegistry"]


class GroupRegistry:
    """Groups by id, and coordinators by group or transactional id.

    Args:
        brokers: the brokers by node id.
        rng: makes member ids.
        clock: the loop's time.
        options: settings of the groups.
    """

    def __init__(
        self,
        brokers: Mapping[int, FakeBroker],
        rng: random.Random,
        clock: Callable[[], float],
        options: GroupOptions,
    ) -> None:
        self.options = options
        self._brokers = brokers
        self._rng = rng
        self._clock = clock
        self._groups: dict[str, Group] = {}
        self._coordinators: dict[str, int] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def __contains__(self, group_id: str) -> bool:
        return group_id in self._groups

    def group(self, group_id: str) -> Group:
        """A group; it is made when it is asked for first."""
        group = self._groups.get(group_id)
        if group is None:
            group = self._groups[group_id] = Group(group_id, self)
        if group.node is None:
            self._settle(group)
        return group

    def delete(self, group_id: str) -> None:
        """End a group with its offsets; no error if there is none."""
        group = self._groups.pop(group_id, None)
        if group is not None:
            group.delete()

    # -- coordinators --------------------------------------------------------------------------

    def coordinator_of(self, key: str) -> FakeBroker | None:
        """The broker that coordinates a group or transactional id; ``None`` if all are gone."""
        node = self._coordinators.get(key)
        if node is not None and not self._brokers[node].fenced:
            return self._brokers[node]
        nodes = list(self._brokers)
        start = zlib.crc32(key.encode()) % len(nodes)
        for node in nodes[start:] + nodes[:start]:
            if not self._brokers[node].fenced:
                self._coordinators[key] = node
                return self._brokers[node]
        return None

    def move(self, key: str, to: int | None = None) -> int:
        """Make another broker the coordinator: ``to``, or the next that lives.

        Returns its node id; it is the old one if there is no other.
        """
        current = self.coordinator_of(key)
        nodes = list(self._brokers)
        if to is None:
            at = 0 if current is None else nodes.index(current.node_id)
            others = [
                node
                for node in nodes[at + 1 :] + nodes[:at]
                if self._brokers[node].alive and not self._brokers[node].fenced
            ]
            to = others[0] if others else nodes[at]
        self._coordinators[key] = to
        group = self._groups.get(key)
        if group is not None:
            self._settle(group)
        return to

    def lost(self, broker: FakeBroker) -> None:
        """A broker died: with it goes what it had in memory only."""
        for group in self:
            if group.node == broker.node_id:
                group.unload()

    def settle(self) -> None:
        """Have every group loaded by its coordinator, after brokers came or went."""
        for group in self:
            self._settle(group)

    def _settle(self, group: Group) -> None:
        broker = self.coordinator_of(group.group_id)
        node = broker.node_id if broker is not None and broker.alive else None
        if group.node == node or group.state is GroupState.DEAD:
            return
        if group.node is not None:
            group.unload()
        if node is not None:
            group.load(node)

    # -- for groups ----------------------------------------------------------------------------

    def now(self) -> float:
        """The loop's time."""
        return self._clock()

    def later(
        self, node_id: int, delay: float, callback: Callable[[], None]
    ) -> asyncio.TimerHandle:
        """Call back after ``delay`` seconds of a broker's life."""
        return self._brokers[node_id].later(delay, callback)

    def new_member_id(self, prefix: str) -> str:
        """A member id that nobody had before."""
        return f"{prefix}-{uuid.UUID(int=self._rng.getrandbits(128), version=4)}"
