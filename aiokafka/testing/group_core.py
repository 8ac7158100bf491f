"""What a consumer group consists of, and how it goes from one coordinator to the next.

Owns :class:`GroupCore`: the state, the members with the timers of their sessions, the committed
offsets, and what of all that is written to the log of the coordinators, so that it outlives
them.  Timers are the coordinating broker's: they stand still while it is frozen.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from .codes import ErrorCode
from .group_members import (
    TRANSITIONS,
    GroupEvent,
    GroupOptions,
    GroupState,
    Member,
    Snapshot,
    sync_failure,
)
from .group_offsets import GroupOffsets

__all__ = ["GroupCore", "GroupHost"]


class GroupHost(Protocol):
    """What a group needs of its cluster."""

    options: GroupOptions

    def now(self) -> float:
        """The loop's time."""

    def later(
        self, node_id: int, delay: float, callback: Callable[[], None]
    ) -> asyncio.TimerHandle:
        """Call back after ``delay`` seconds of a broker's life."""

    def new_member_id(self, prefix: str) -> str:
        """A member id that nobody had before."""


class GroupCore:
    """State and members of a group.

    Attributes:
        group_id: its id.
        state: where it stands.
        generation: the current or last generation.
        protocol_type, protocol: what its members agreed on, ``None`` without members.
        leader: member id of the leader, or ``None``.
        members: by member id, oldest first.
        committed: offsets by (topic, partition).
        history: what happened, oldest first.
        node: the broker that has it loaded, or ``None``.
        loading_until: loop time until which that broker is still loading it.
    """

    def __init__(self, group_id: str, host: GroupHost) -> None:
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.leader: str | None = None
        self.members: dict[str, Member] = {}
        self.committed = GroupOffsets()
        self.history: list[GroupEvent] = []
        self.node: int | None = None
        self.loading_until = 0.0
        self._host = host
        self._static: dict[str, str] = {}
        self._awaited: dict[str, asyncio.TimerHandle] = {}  # given an id, not joined yet
        self._rebalance_timer: asyncio.TimerHandle | None = None
        self._initial_delay_left: float | None = None
        self._grew = False
        self._not_synced: set[str] = set()
        self._sync_timer: asyncio.TimerHandle | None = None
        self._kept = Snapshot()

    def __repr__(self) -> str:
        return (
            f"<Group {self.group_id!r} {self.state.value} generation {self.generation}, "
            f"members {sorted(self.members)}>"
        )

    @property
    def assignments(self) -> dict[str, bytes]:
        """What each member is assigned, as the leader encoded it."""
        return {member.member_id: member.assignment for member in self.members.values()}

    def events(self, event: str) -> list[GroupEvent]:
        """The entries of the history of one kind."""
        return [entry for entry in self.history if entry.event == event]

    def note(self, event: str, **details: Any) -> None:
        """Put an entry into the history."""
        self.history.append(GroupEvent(self._host.now(), event, details))

    # -- members -------------------------------------------------------------------------------

    def _heard_of(self, member: Member) -> None:
        member.last_heartbeat = self._host.now()
        self._watch(member, member.session_timeout)

    def _watch(self, member: Member, timeout: float) -> None:
        if member.timer is not None:
            member.timer.cancel()
        member.timer = self._later(timeout, lambda: self._session_over(member))

    def _session_over(self, member: Member) -> None:
        if member.waits and not member.is_new:
            # Whoever waits for an answer cannot be expected to send heartbeats.
            self._watch(member, member.session_timeout)
            return
        member_id = member.member_id
        self.note("expired", member_id=member_id, instance_id=member.instance_id)
        self._remove_and_rebalance(member_id, f"the session of {member_id} expired")

    def _remove(self, member_id: str) -> None:
        member = self.members.pop(member_id)
        if member.timer is not None:
            member.timer.cancel()
        if member.join is not None:
            member.join.fail(ErrorCode.UNKNOWN_MEMBER_ID)
            member.join = None
        member.answer_sync(sync_failure(ErrorCode.UNKNOWN_MEMBER_ID))
        if member.instance_id is not None:
            del self._static[member.instance_id]
        self._not_synced.discard(member_id)
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)

    @abstractmethod
    def _remove_and_rebalance(self, member_id: str, reason: str) -> None:
        """Take a member out and have the others rebalance."""

    # -- life ----------------------------------------------------------------------------------

    def _to(self, state: GroupState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"group {self.group_id}: {self.state.value} to {state.value}")
        self.state = state

    def _keep(self) -> None:
        """Write the group to the log of the coordinators."""
        self._kept = Snapshot(
            self.generation,
            self.protocol_type,
            self.protocol,
            self.leader,
            [member.copied() for member in self.members.values()],
        )

    def delete(self) -> None:
        """End the group with its offsets."""
        self.unload()
        self.members.clear()
        self.committed.clear()
        self._to(GroupState.DEAD)

    def unload(self) -> None:
        """Its coordinator gives it up: who waits is told, what was not written is lost."""
        for member in self.members.values():
            if member.timer is not None:
                member.timer.cancel()
            if member.join is not None:
                member.join.fail(ErrorCode.NOT_COORDINATOR)
            member.answer_sync(sync_failure(ErrorCode.NOT_COORDINATOR))
        for timer in self._awaited.values():
            timer.cancel()
        self._awaited.clear()
        self._stop_rebalance_timer()
        self._stop_waiting_for_syncs()
        self.node = None
        kept = self._kept
        self.generation, self.protocol_type = kept.generation, kept.protocol_type
        self.protocol, self.leader = kept.protocol, kept.leader
        self.members = {member.member_id: member.copied() for member in kept.members}
        self._static = {
            member.instance_id: member.member_id
            for member in self.members.values()
            if member.instance_id is not None
        }
        self.state = GroupState.STABLE if self.members else GroupState.EMPTY

    def load(self, node_id: int) -> None:
        """A broker becomes the coordinator; sessions begin anew when it has loaded the group."""
        self.node = node_id
        load_time = self._host.options.load_time if self.history else 0.0
        self.loading_until = self._host.now() + load_time
        self.note("loaded", node=node_id, generation=self.generation)
        for member in self.members.values():
            member.last_heartbeat = self.loading_until
            self._watch(member, load_time + member.session_timeout)

    def _later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        assert self.node is not None
        return self._host.later(self.node, delay, callback)

    def _stop_rebalance_timer(self) -> None:
        self._initial_delay_left = None
        if self._rebalance_timer is not None:
            self._rebalance_timer.cancel()
            self._rebalance_timer = None

    def _stop_waiting_for_syncs(self) -> None:
        self._not_synced.clear()
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = None
