"""What tests see of the consumer groups of a fake cluster, and do to them.

Owns :class:`ClusterGroups`, the part of :class:`~aiokafka.testing.cluster.FakeCluster` that deals
with groups and their coordinators.  Everything takes effect at once, without a request.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .group_members import GroupOptions
from .group_offsets import Committed
from .group_registry import GroupRegistry
from .groups import Group

if TYPE_CHECKING:
    from .broker import FakeBroker
    from .txn_coordinator import TransactionRegistry

__all__ = ["ClusterGroups"]


class ClusterGroups:
    """Groups of a cluster."""

    groups: GroupRegistry
    transactions: TransactionRegistry
    brokers: Mapping[int, FakeBroker]

    @abstractmethod
    def changed(self) -> None:
        """Ask the predicates of ``wait_until`` again."""

    @property
    def group_options(self) -> GroupOptions:
        """Settings of the groups; they may be changed at any time."""
        return self.groups.options

    def group(self, group_id: str) -> Group:
        """A group; an empty one if nobody has joined or committed yet."""
        return self.groups.group(group_id)

    def commit(
        self,
        group_id: str,
        topic: str,
        partition: int,
        offset: int,
        metadata: str = "",
        leader_epoch: int = -1,
    ) -> None:
        """Commit an offset for a group."""
        committed = Committed(offset, metadata, leader_epoch)
        self.group(group_id).commit({(topic, partition): committed}, "", -1)
        self.changed()

    def set_unstable(
        self, group_id: str, topic: str, partition: int, unstable: bool = True
    ) -> None:
        """Let a committed offset be one that a transaction may still change (KIP-447)."""
        offsets = self.group(group_id).committed.unstable
        (offsets.add if unstable else offsets.discard)((topic, partition))
        self.changed()

    def delete_group(self, group_id: str) -> None:
        """Delete a group with its offsets."""
        self.groups.delete(group_id)
        self.changed()

    def coordinator_of(self, key: str) -> FakeBroker | None:
        """The broker that coordinates a group or transactional id; ``None`` if all are gone."""
        return self.groups.coordinator_of(key)

    def move_coordinator(self, key: str, to: int | None = None) -> int:
        """Give a group or transactional id another coordinator: ``to``, or the next broker.

        Members that wait for an answer are told NOT_COORDINATOR; for ``group_options.load_time``
        the new coordinator answers COORDINATOR_LOAD_IN_PROGRESS.  It knows the offsets and the
        last generation that had its assignment.

        Returns the node id of the new coordinator; it is the old one if no other broker lives.
        """
        node = self.groups.move(key, to)
        self.transactions.settle()
        self.changed()
        return node

    def forget_fetch_sessions(self, node_id: int | None = None) -> None:
        """Let a broker (default: all) forget its fetch sessions (KIP-227)."""
        for broker in self.brokers.values():
            if node_id in (None, broker.node_id):
                broker.fetch_sessions.evict()
