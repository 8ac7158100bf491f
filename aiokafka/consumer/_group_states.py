"""The states of a member of a consumer group and the legal transitions between them.

Pure data: no loop, no future, no task.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from aiokafka._values import Value
from aiokafka.errors import IllegalStateError

UNKNOWN_GENERATION = -1
UNKNOWN_MEMBER_ID = ""


class MemberState(Enum):
    """Where a member stands."""

    UNJOINED = "unjoined"
    """No member: nothing is subscribed, or the group was not joined yet."""
    PREPARING = "preparing"
    """Before joining: offsets are committed, the listener hears what is revoked."""
    JOINING = "joining"
    """JoinGroup is under way."""
    SYNCING = "syncing"
    """SyncGroup is under way."""
    ASSIGNING = "assigning"
    """The listener hears what is assigned."""
    STABLE = "stable"
    FENCED = "fenced"
    """The group has removed this member; its partitions are lost."""
    STALE = "stale"
    """The application did not poll in time and the group was left; joins with the next poll."""
    LEAVING = "leaving"
    CLOSED = "closed"
    FAILED = "failed"
    """Cannot go on; left only by closing."""

    @classmethod
    def check_transition(cls, source: MemberState, target: MemberState) -> None:
        """Raises IllegalStateError: no member in state *source* may go to *target*."""
        if target not in _TRANSITIONS[source]:
            raise IllegalStateError(f"A member cannot go from {source.name} to {target.name}")


_S = MemberState

#: States in which a rebalance is under way.
REBALANCING = frozenset({_S.FENCED, _S.PREPARING, _S.JOINING, _S.SYNCING, _S.ASSIGNING})

#: States in which the coordinator holds our request back, so that it knows us to be alive.
AWAITED = frozenset({_S.JOINING, _S.SYNCING})

_ENDS = frozenset({_S.UNJOINED, _S.LEAVING, _S.CLOSED, _S.FAILED})

_TRANSITIONS: dict[MemberState, frozenset[MemberState]] = {
    _S.UNJOINED: frozenset({_S.PREPARING, _S.JOINING, _S.FENCED}) | _ENDS,
    _S.PREPARING: frozenset({_S.JOINING, _S.FENCED, _S.STALE}) | _ENDS,
    _S.JOINING: frozenset({_S.JOINING, _S.SYNCING, _S.PREPARING, _S.FENCED}) | _ENDS,
    _S.SYNCING: frozenset({_S.JOINING, _S.ASSIGNING, _S.PREPARING, _S.FENCED}) | _ENDS,
    _S.ASSIGNING: frozenset({_S.STABLE, _S.PREPARING, _S.JOINING, _S.FENCED}) | _ENDS,
    _S.STABLE: frozenset({_S.PREPARING, _S.JOINING, _S.FENCED, _S.STALE}) | _ENDS,
    _S.FENCED: frozenset({_S.PREPARING, _S.JOINING, _S.FENCED, _S.STALE}) | _ENDS,
    _S.STALE: frozenset({_S.PREPARING, _S.JOINING, _S.STALE}) | _ENDS,
    _S.LEAVING: frozenset({_S.UNJOINED, _S.LEAVING, _S.CLOSED, _S.FAILED}),
    _S.FAILED: frozenset({_S.FAILED, _S.LEAVING, _S.CLOSED}),
    _S.CLOSED: frozenset({_S.CLOSED}),
}


class ConsumerGroupMetadata(NamedTuple):
    """Who a consumer is in its group, for a transactional producer that commits its offsets
    (KIP-447).

    .. versionadded:: 0.14.1
    """

    group_id: str
    generation_id: int
    """-1 while the consumer is no member."""
    member_id: str
    group_instance_id: str | None


class GroupFacts(Value):
    """What a member of a group knows of itself; times in seconds of the loop's clock.

    .. versionadded:: 0.14.1
    """

    group_id: str
    group_instance_id: str | None
    state: MemberState
    generation: int
    """-1 while the consumer is no member."""
    member_id: str
    coordinator_id: int | None
    """Node id, None while the coordinator is not known."""
    is_leader: bool
    rebalances: int
    """How many have succeeded."""
    last_heartbeat_at: float | None
    """When the coordinator last answered a heartbeat well."""
    last_rebalance_at: float | None
    last_rebalance_reason: str
    last_commit_at: float | None
    last_error: BaseException | None
    """What went wrong last, None when nothing has since the last success."""
