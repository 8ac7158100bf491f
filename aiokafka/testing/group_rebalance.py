"""Rebalances of a consumer group: from the first who joins to everybody's assignment.

Owns :class:`Rebalancing`.  A rebalance waits until all members have joined, or for the longest
of their rebalance timeouts; the new generation waits for its leader's assignment.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .codes import ErrorCode
from .group_core import GroupCore
from .group_members import GroupState, Join, Member, sync_failure

__all__ = ["Rebalancing"]

_FIRST_JOIN_WITH_SKIPPING = 9


class Rebalancing(GroupCore):
    """A group that rebalances."""

    def _rebalance(self, reason: str) -> None:
        """Begin a rebalance, unless there is one; it ends when all members have joined."""
        if self.state is not GroupState.PREPARING_REBALANCE:
            was_empty = self.state is GroupState.EMPTY
            for member in self.members.values():
                if member.sync is not None:
                    member.answer_sync(sync_failure(ErrorCode.REBALANCE_IN_PROGRESS))
                    self._heard_of(member)
            self._stop_waiting_for_syncs()
            self._to(GroupState.PREPARING_REBALANCE)
            self.note("rebalance", reason=reason)
            if was_empty:
                delay = self._host.options.initial_rebalance_delay
                self._initial_delay_left = max(0.0, self._rebalance_timeout() - delay)
                self._grew = False
                self._rebalance_timer = self._later(delay, self._initial_delay_over)
                return
            self._rebalance_timer = self._later(self._rebalance_timeout(), self._complete)
        self._complete_if_all_joined()

    def _rebalance_timeout(self) -> float:
        return max((member.rebalance_timeout for member in self.members.values()), default=0.0)

    def _initial_delay_over(self) -> None:
        left = self._initial_delay_left or 0.0
        if self._grew and left > 0:
            delay = min(self._host.options.initial_rebalance_delay, left)
            if delay > 0:
                self._grew = False
                self._initial_delay_left = left - delay
                self._rebalance_timer = self._later(delay, self._initial_delay_over)
                return
        self._complete()

    def _complete_if_all_joined(self) -> None:
        if (
            self.state is GroupState.PREPARING_REBALANCE
            and self._initial_delay_left is None
            and not self._awaited
            and all(member.join is not None for member in self.members.values())
        ):
            self._complete()

    def _complete(self) -> None:
        """All have joined, or the time for it is over: the next generation begins."""
        self._stop_rebalance_timer()
        for member in list(self.members.values()):
            if member.join is None and member.instance_id is None:
                self.note("removed", member_id=member.member_id, why="did not rejoin in time")
                self._remove(member.member_id)
        if self.members and not self._elect():
            # Only static members, none of which is here: they have until their sessions end.
            self._rebalance_timer = self._later(self._rebalance_timeout(), self._complete)
            return
        self.generation += 1
        if not self.members:
            self._become_empty()
            return
        self.protocol = self._select_protocol()
        self._to(GroupState.COMPLETING_REBALANCE)
        self.note(
            "generation",
            generation=self.generation,
            protocol=self.protocol,
            leader=self.leader,
            members=tuple(self.members),
        )
        self._not_synced = set(self.members)
        self._sync_timer = self._later(self._rebalance_timeout(), self._syncs_are_late)
        for member in self.members.values():
            join, member.join = member.join, None
            member.is_new = False
            self._heard_of(member)
            if join is not None:
                self._answer_join(member, join)

    def _elect(self) -> bool:
        """Have a leader that has joined, if there is one."""
        joined = [key for key, member in self.members.items() if member.join is not None]
        if self.leader not in joined:
            if not joined:
                return False
            self.leader = joined[0]
        return True

    def _select_protocol(self) -> str | None:
        """The assignor that most members prefer among those that all know."""
        common = self._common_protocols()
        votes = Counter(
            next(name for name, _ in member.protocols if name in common)
            for member in self.members.values()
            if common
        )
        return votes.most_common(1)[0][0] if votes else None

    def _assign(self, assignments: Mapping[str, bytes]) -> None:
        """The leader has assigned: the group is stable, and everybody may know."""
        for member in self.members.values():
            member.assignment = assignments.get(member.member_id, b"")
        self._to(GroupState.STABLE)
        self._keep()
        self.note("assigned", generation=self.generation, assignments=self.assignments)
        for member in self.members.values():
            if member.sync is not None:
                member.answer_sync(self._sync_values(member))
                self._heard_of(member)

    def _sync_values(self, member: Member) -> dict[str, Any]:
        return {
            "error_code": ErrorCode.NONE,
            "protocol_type": self.protocol_type,
            "protocol_name": self.protocol,
            "member_assignment": member.assignment,
        }

    def _syncs_are_late(self) -> None:
        self._sync_timer = None
        late = [key for key in self.members if key in self._not_synced]
        self._not_synced.clear()
        for member_id in late:
            self.note("removed", member_id=member_id, why="did not sync in time")
            self._remove(member_id)
        if late:
            self._rebalance("members did not sync in time")

    def _remove_and_rebalance(self, member_id: str, reason: str) -> None:
        self._remove(member_id)
        self._rebalance(reason)

    def _become_empty(self) -> None:
        self.protocol = self.protocol_type = self.leader = None
        self._to(GroupState.EMPTY)
        self._keep()
        self.note("empty", generation=self.generation)

    def _common_protocols(self) -> set[str]:
        known = [{name for name, _ in member.protocols} for member in self.members.values()]
        return set.intersection(*known) if known else set()

    # -- answers -------------------------------------------------------------------------------

    def _answer_join(self, member: Member, join: Join, old_leader: str | None = None) -> None:
        """Tell a member of the current generation.

        ``old_leader``: who led before a static member came back.  If that was itself, it shall
        not assign anew: that is said in version 9 (KIP-814), and before by naming a leader that
        is no more.
        """
        skip = old_leader is not None and join.version >= _FIRST_JOIN_WITH_SKIPPING
        leader = old_leader if old_leader is not None and not skip else self.leader
        leads = leader == member.member_id
        join.pending.answer(
            {
                "error_code": ErrorCode.NONE,
                "generation_id": self.generation,
                "protocol_type": self.protocol_type,
                "group_protocol": self.protocol,
                "leader_id": leader,
                "skip_assignment": skip and leads,
                "member_id": member.member_id,
                "members": self._member_rows() if leads else [],
            }
        )

    def _member_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "member_id": member.member_id,
                "group_instance_id": member.instance_id,
                "member_metadata": member.metadata(self.protocol),
            }
            for member in self.members.values()
        ]
