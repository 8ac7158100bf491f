"""What the group's leader asks of an assignor, and the base class of assignors.

An item of ``partition_assignment_strategy`` is a class or an instance.  It need not derive from
:class:`AbstractPartitionAssignor`; it is asked by the names below, and kafka-python's assignors
work as they are.  :func:`aiokafka.coordinator.assignors.instances` makes, for each consumer, the
list that the consumer uses.

Needed:

``name``
    The protocol's name in JoinGroup.  All members of a group must have one in common.
``metadata(topics)``
    The member's subscription: bytes, or an object with ``encode()``.
``assign(cluster, members)``
    Called at the leader.  ``members`` has the decoded subscription of each member id: objects with
    ``subscription`` (list of topics), ``user_data`` (bytes or None), ``version``, and since 0.14.1
    ``owned_partitions``, ``generation_id``, ``rack_id`` and ``group_instance_id``
    (:class:`~aiokafka.coordinator.protocol.MemberSubscription`).  Returns for each member id bytes
    or an object with ``encode()``.
``on_assignment(assignment)``
    Called at every member with its decoded assignment (``assignment``, ``user_data``,
    ``partitions()``) when a rebalance has succeeded.

Used when an assignor has it (``getattr``, so that custom assignors need not):

``per_consumer``
    True on a class that keeps state: each consumer makes an instance of its own, without
    arguments.  Other classes, and instances, are used as they are.
``subscription(topics, *, owned=(), generation=-1, rack_id=None)``
    Instead of ``metadata``: the subscription in its newest form.  ``owned`` are the partitions the
    member still holds while it joins (none under the eager protocol, which has given them up),
    ``generation`` is the generation they are from.  Returns an object with ``encode()``.
``protocols``
    The rebalance protocols it can work under, of ``"eager"`` and ``"cooperative"``; without it
    ``("eager",)``.  A consumer uses ``cooperative`` when all its assignors have it (KIP-429).
    Under it, ``assign`` must not give a partition away that another member still owns; the members
    rejoin when they have given up what they lost.
``on_generation_assignment(generation)``
    The group's generation of an assignment, called right after ``on_assignment``.

Racks (KIP-881) need no hook: an assignor compares ``rack_id`` of the members with the racks of a
partition's replicas in ``cluster``.

Pure: assignors never wait, and know no clock and no chance, so that all leaders decide alike.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
    Members,
)

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata

__all__ = ["AbstractPartitionAssignor"]


class AbstractPartitionAssignor(abc.ABC):
    """Base of assignors; the module has the whole contract.

    Subclasses may implement the methods as class methods and be given as classes, or as plain
    methods and be given as instances.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name members of a group know this assignor by, e.g. ``"range"``."""

    @classmethod
    @abc.abstractmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Members
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Share out the partitions of all subscribed topics.

        Parameters:
            cluster: partitions of the topics.
            members: the subscription of each member id.

        Returns:
            An assignment for every member id.
        """

    @classmethod
    @abc.abstractmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """The subscription to ``topics`` that this member joins the group with."""

    @classmethod
    @abc.abstractmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Take note of this member's new assignment."""
