"""The parts of a consumer group: its states, its members, who waits for an answer, its history.

Pure values; what happens to them is decided by :class:`~aiokafka.testing.groups.Group`.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import copy
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .pending import Pending

__all__ = ["GroupEvent", "GroupOptions", "GroupState", "Join", "Member", "Snapshot"]

_FIRST_VERSION_WITH_NULL_PROTOCOL = 7


class GroupState(enum.Enum):
    """State of a group, by Kafka's name."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


#: Which states may follow which.
TRANSITIONS: Mapping[GroupState, frozenset[GroupState]] = {
    GroupState.EMPTY: frozenset({GroupState.PREPARING_REBALANCE, GroupState.DEAD}),
    GroupState.PREPARING_REBALANCE: frozenset(
        {GroupState.COMPLETING_REBALANCE, GroupState.EMPTY, GroupState.DEAD}
    ),
    GroupState.COMPLETING_REBALANCE: frozenset(
        {GroupState.STABLE, GroupState.PREPARING_REBALANCE, GroupState.DEAD}
    ),
    GroupState.STABLE: frozenset({GroupState.PREPARING_REBALANCE, GroupState.DEAD}),
    GroupState.DEAD: frozenset(),
}


@dataclass(slots=True)
class GroupOptions:
    """Settings of the brokers that consumer groups depend on; all times in seconds.

    Attributes:
        min_session_timeout, max_session_timeout: bounds of what members may ask for
            (``group.min.session.timeout.ms``, ``group.max.session.timeout.ms``).
        initial_rebalance_delay: how long a group that was empty waits for further members
            (``group.initial.rebalance.delay.ms``; brokers have 3 s, the cluster none).
        max_size: members a group may have, ``None`` for any number (``group.max.size``).
        load_time: how long a new coordinator answers COORDINATOR_LOAD_IN_PROGRESS.
        new_member_timeout: how long a member that is new waits for its group at most.
        max_metadata_size: bytes of metadata with a committed offset
            (``offset.metadata.max.bytes``).
    """

    min_session_timeout: float = 6.0
    max_session_timeout: float = 1800.0
    initial_rebalance_delay: float = 0.0
    max_size: int | None = None
    load_time: float = 0.0
    new_member_timeout: float = 300.0
    max_metadata_size: int = 4096


class GroupEvent(NamedTuple):
    """An entry of a group's history: loop time in seconds, what happened, and to whom."""

    time: float
    event: str
    details: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Join:
    """A JoinGroup request, and the answer that waits for the group."""

    version: int
    member_id: str
    instance_id: str | None
    client_id: str
    session_timeout: float
    rebalance_timeout: float
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]
    reason: str | None
    pending: Pending = field(default_factory=Pending)

    def fail(self, error: int, member_id: str | None = None) -> None:
        """Answer with an error."""
        nullable = self.version >= _FIRST_VERSION_WITH_NULL_PROTOCOL
        self.pending.answer(
            {
                "error_code": error,
                "generation_id": -1,
                "protocol_type": None,
                "group_protocol": None if nullable else "",
                "leader_id": "",
                "skip_assignment": False,
                "member_id": self.member_id if member_id is None else member_id,
                "members": [],
            }
        )


@dataclass(slots=True, eq=False)
class Member:
    """A member of a group.

    Attributes:
        instance_id: of a static member (KIP-345), else ``None``.
        session_timeout, rebalance_timeout: in seconds.
        protocols: the assignors it offers with its subscription for each, the preferred first.
        assignment: what it is assigned, as its leader encoded it.
        last_heartbeat: loop time at which it was last heard of.
        reason: why it joined last (KIP-800).
        is_new: it has not got through a join yet.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    session_timeout: float
    rebalance_timeout: float
    protocols: tuple[tuple[str, bytes], ...]
    last_heartbeat: float
    reason: str | None = None
    assignment: bytes = b""
    is_new: bool = True
    join: Join | None = field(default=None, repr=False)
    sync: Pending | None = field(default=None, repr=False)
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def waits(self) -> bool:
        """Whether an answer to JoinGroup or SyncGroup is outstanding."""
        return self.join is not None or self.sync is not None

    @property
    def subscription(self) -> bytes:
        """What it subscribes to, as it encoded it for the assignor it prefers."""
        return self.protocols[0][1] if self.protocols else b""

    def metadata(self, protocol: str | None) -> bytes:
        """Its subscription for an assignor."""
        return next((data for name, data in self.protocols if name == protocol), b"")

    def update(self, join: Join) -> None:
        """Take over what the member says when it joins again."""
        self.client_id = join.client_id
        self.session_timeout = join.session_timeout
        self.rebalance_timeout = join.rebalance_timeout
        self.protocols = join.protocols
        self.reason = join.reason

    def answer_sync(self, values: dict[str, Any]) -> None:
        """Answer its SyncGroup, if it waits for that."""
        pending, self.sync = self.sync, None
        if pending is not None:
            pending.answer(values)

    def copied(self) -> Member:
        """The member as it is kept in the log of the coordinators."""
        kept = copy.copy(self)
        kept.join = kept.sync = kept.timer = None
        return kept


class Snapshot(NamedTuple):
    """What a new coordinator finds of a group: the last generation with an assignment."""

    generation: int = 0
    protocol_type: str | None = None
    protocol: str | None = None
    leader: str | None = None
    members: Sequence[Member] = ()


def sync_failure(error: int) -> dict[str, Any]:
    """The answer to a SyncGroup that failed."""
    return {
        "error_code": error,
        "protocol_type": None,
        "protocol_name": None,
        "member_assignment": b"",
    }
