"""A consumer group as its coordinator keeps it (the classic protocol).

Owns :class:`Group`: what the requests of members do to it.  The rules are those of Kafka's group
coordinator: KIP-62, KIP-345 (static members), KIP-394 (members get their id first), KIP-559,
KIP-814 (skipped assignment).  Runs no task; the answers that wait are resolved by the rebalance,
by the end of the session, or when the coordinator gives the group up.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from collections.abc import Mapping

from .codes import ErrorCode
from .group_members import GroupState, Join, Member, sync_failure
from .group_offsets import Committed
from .group_rebalance import Rebalancing
from .pending import Pending

__all__ = ["Group"]

_FIRST_JOIN_WITH_ID_REQUIRED = 4


class Group(Rebalancing):
    """A group; see :class:`~aiokafka.testing.group_core.GroupCore` for what it consists of."""

    # -- requests ------------------------------------------------------------------------------

    def join(self, join: Join) -> None:
        """Handle a JoinGroup; its ``pending`` is answered now or by the rebalance."""
        if self.state is GroupState.DEAD:
            join.fail(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        elif not self._has_room(join.member_id):
            join.fail(ErrorCode.GROUP_MAX_SIZE_REACHED)
        elif not self._supports(join):
            join.fail(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        elif join.member_id:
            self._join_again(join)
        else:
            self._join_first(join)

    def sync(
        self,
        generation: int,
        member_id: str,
        instance_id: str | None,
        protocol_type: str | None,
        protocol: str | None,
        assignments: Mapping[str, bytes],
    ) -> Pending:
        """Handle a SyncGroup; followers wait for the leader's."""
        pending = Pending()
        error = self.error_for(member_id, instance_id, generation)
        if not error and (
            protocol_type not in (None, self.protocol_type)
            or protocol not in (None, self.protocol)
        ):
            error = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if not error and self.state is GroupState.PREPARING_REBALANCE:
            error = ErrorCode.REBALANCE_IN_PROGRESS
        if error:
            pending.answer(sync_failure(error))
            return pending
        member = self.members[member_id]
        self._not_synced.discard(member_id)
        member.sync = pending
        if self.state is GroupState.STABLE:
            self._heard_of(member)
            member.answer_sync(self._sync_values(member))
        elif member_id == self.leader:
            self._assign(assignments)
        return pending

    def heartbeat(self, generation: int, member_id: str, instance_id: str | None) -> ErrorCode:
        """Handle a Heartbeat."""
        error = self.error_for(member_id, instance_id, generation)
        if error:
            return error
        self._heard_of(self.members[member_id])
        if self.state is GroupState.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def leave(self, member_id: str, instance_id: str | None, reason: str | None) -> ErrorCode:
        """Handle the leaving of one member; a static one may be named by its instance alone."""
        if self.state is GroupState.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if instance_id is not None and not member_id:
            member_id = self._static.get(instance_id, "")
        if member_id in self._awaited:
            self._awaited.pop(member_id).cancel()
            self.note("left", member_id=member_id, instance_id=None, reason=reason)
            self._complete_if_all_joined()
            return ErrorCode.NONE
        error = self._identity_error(member_id, instance_id)
        if not error:
            self.note("left", member_id=member_id, instance_id=instance_id, reason=reason)
            self._remove_and_rebalance(member_id, "a member left")
        return error

    def commit_error(self, generation: int, member_id: str, instance_id: str | None) -> ErrorCode:
        """Whether an OffsetCommit is accepted; from a member it counts as a heartbeat."""
        if self.state is GroupState.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if generation < 0 and not member_id and instance_id is None:
            # A consumer without a group, or an administrator.
            empty = self.state is GroupState.EMPTY
            return ErrorCode.NONE if empty else ErrorCode.UNKNOWN_MEMBER_ID
        if not self.generation and generation >= 0:
            return ErrorCode.GROUP_ID_NOT_FOUND
        error = self.error_for(member_id, instance_id, generation)
        if not error and self.state is GroupState.COMPLETING_REBALANCE:
            error = ErrorCode.REBALANCE_IN_PROGRESS
        if not error:
            self._heard_of(self.members[member_id])
        return error

    def error_for(self, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
        """Whether somebody is a member of this generation."""
        if self.state is GroupState.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        error = self._identity_error(member_id, instance_id)
        if not error and generation != self.generation:
            error = ErrorCode.ILLEGAL_GENERATION
        return error

    def _identity_error(self, member_id: str, instance_id: str | None) -> ErrorCode:
        if instance_id is not None:
            known = self._static.get(instance_id)
            if known is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if known != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def commit(
        self, offsets: Mapping[tuple[str, int], Committed], member_id: str, generation: int
    ) -> None:
        """Take offsets that were accepted."""
        self.committed.update(offsets)
        self.note("commit", member_id=member_id, generation=generation, offsets=dict(offsets))

    # -- joining -------------------------------------------------------------------------------

    def _has_room(self, member_id: str) -> bool:
        limit = self._host.options.max_size
        if limit is None or self.state is GroupState.EMPTY:
            return True
        if self.state is GroupState.PREPARING_REBALANCE:
            joined = [member for member in self.members.values() if member.join is not None]
            known = self.members.get(member_id)
            return len(joined) < limit or (known is not None and known.join is not None)
        return member_id in self.members or len(self.members) < limit

    def _supports(self, join: Join) -> bool:
        """Whether the group has, or would have, an assignor that all its members know."""
        if not self.members:
            return bool(join.protocol_type and join.protocols)
        names = {name for name, _ in join.protocols}
        return join.protocol_type == self.protocol_type and bool(names & self._common_protocols())

    def _join_first(self, join: Join) -> None:
        member_id = self._host.new_member_id(join.instance_id or join.client_id)
        if join.instance_id is not None:
            old_id = self._static.get(join.instance_id)
            if old_id is None:
                self._add(join, member_id)
            else:
                self._replace(join, self.members[old_id], member_id)
        elif join.version >= _FIRST_JOIN_WITH_ID_REQUIRED:
            self._awaited[member_id] = self._later(
                join.session_timeout, lambda: self._not_joined(member_id)
            )
            join.fail(ErrorCode.MEMBER_ID_REQUIRED, member_id)
        else:
            self._add(join, member_id)

    def _not_joined(self, member_id: str) -> None:
        del self._awaited[member_id]
        self.note("expired", member_id=member_id, instance_id=None)
        self._complete_if_all_joined()

    def _join_again(self, join: Join) -> None:
        if join.member_id in self._awaited:
            self._awaited.pop(join.member_id).cancel()
            self._add(join, join.member_id)
            return
        error = self._identity_error(join.member_id, join.instance_id)
        if error:
            join.fail(error)
            return
        member = self.members[join.member_id]
        changed = member.protocols != join.protocols
        settled = self.state is GroupState.COMPLETING_REBALANCE or (
            self.state is GroupState.STABLE and member.member_id != self.leader
        )
        if settled and not changed:
            # Its answer got lost, or it changed its mind about rejoining.
            self._heard_of(member)
            self._answer_join(member, join)
            return
        member.update(join)
        member.join = join
        self.note("joined", member_id=member.member_id, reason=join.reason)
        self._rebalance(f"{member.member_id} joins again: {join.reason or 'no reason given'}")

    def _add(self, join: Join, member_id: str) -> None:
        member = Member(
            member_id,
            join.instance_id,
            join.client_id,
            join.session_timeout,
            join.rebalance_timeout,
            join.protocols,
            self._host.now(),
            join.reason,
            join=join,
        )
        if not self.members:
            self.protocol_type = join.protocol_type
        self.members[member_id] = member
        if join.instance_id is not None:
            self._static[join.instance_id] = member_id
        if self.leader is None:
            self.leader = member_id
        self._grew = True
        self.note(
            "added",
            member_id=member_id,
            instance_id=join.instance_id,
            client_id=join.client_id,
            reason=join.reason,
        )
        self._watch(member, self._host.options.new_member_timeout)
        self._rebalance(f"{member_id} joins: {join.reason or 'no reason given'}")

    def _replace(self, join: Join, member: Member, member_id: str) -> None:
        """A static member is back under a new member id; the old one is fenced (KIP-345)."""
        old_id, old_leader = member.member_id, self.leader
        if member.join is not None:
            member.join.fail(ErrorCode.FENCED_INSTANCE_ID)
            member.join = None
        member.answer_sync(sync_failure(ErrorCode.FENCED_INSTANCE_ID))
        self.members = {
            member_id if key == old_id else key: value for key, value in self.members.items()
        }
        member.member_id = member_id
        member.update(join)
        assert join.instance_id is not None
        self._static[join.instance_id] = member_id
        if old_leader == old_id:
            self.leader = member_id
        self._not_synced.discard(old_id)
        self.note("fenced", member_id=old_id, instance_id=join.instance_id, replaced_by=member_id)
        self._heard_of(member)
        if self.state is GroupState.STABLE and self._select_protocol() == self.protocol:
            self._keep()
            self._answer_join(member, join, old_leader)
            return
        member.join = join
        self._rebalance(f"static member {join.instance_id} is back")
