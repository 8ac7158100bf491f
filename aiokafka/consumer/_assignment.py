"""What a consumer knows of each partition it has: where it reads, and what may be committed.

:class:`Assignment` is one set of partitions with a :class:`TopicPartitionState` for each.  Plain
state, shared by the fetcher and the group coordinator; no I/O and no tasks.  Whoever has to act
on a change registers with ``on_change`` of the
:class:`~aiokafka.consumer.subscription_state.SubscriptionState`.

Owns the futures of :meth:`TopicPartitionState.wait_for_position`,
:meth:`~TopicPartitionState.fetch_committed` and ``resume_fut``: they are resolved when the
position, the committed offset or the resumption comes, and when the partition is given up.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from aiokafka.errors import IllegalStateError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.util import create_future

__all__ = ["Assignment", "Committable", "PartitionStatus", "TopicPartitionState"]


class PartitionStatus(enum.Enum):
    """Whether records of a partition can be read."""

    AWAITING_RESET = 0
    """The position is not known yet, or not any more."""
    CONSUMING = 1
    UNASSIGNED = 2


_CONSUMING = PartitionStatus.CONSUMING  # looking it up there takes long for once a record


class Committable(NamedTuple):
    """An offset that may be committed, with the leader epoch it belongs to (KIP-320)."""

    offset: int
    metadata: str
    #: -1 when unknown.
    leader_epoch: int


class TopicPartitionState:
    """Where the consumer is in one partition.

    Attributes:
        highwater: the next offset the log will give out, as of the last fetch.
        lso: the last stable offset, as of the last fetch.
        log_start_offset: the first offset in the log, as of the last fetch.
        timestamp: wall time of the last fetch in milliseconds.
        position_epoch: leader epoch of the last record consumed, or of what the position came
            from; -1 when unknown (KIP-320).
        committable: the offset up to which the application has come back for more; what is given
            out after it may still be in the application's hands.
        committed: the last offset known to be committed, None when none is.
        stored: what :meth:`store` was told, for consumers that store offsets themselves.
        version: grows with every change of the position but by consuming; who looks a
            position up compares it to see whether the answer is still wanted.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._status = PartitionStatus.AWAITING_RESET
        self._position: int | None = None
        self._reset_strategy: int | None = None
        self._committed_futs: list[asyncio.Future[OffsetAndMetadata]] = []
        self._position_fut: asyncio.Future[None] | None = None
        self._resume_fut: asyncio.Future[None] | None = None
        self.highwater: int | None = None
        self.lso: int | None = None
        self.log_start_offset: int | None = None
        self.timestamp: int | None = None
        self.position_epoch = -1
        self.committable: int | None = None
        self.committed: int | None = None
        self.stored: Committable | None = None
        self.version = 0

    def __repr__(self) -> str:
        return f"TopicPartitionState<Status={self._status} position={self._position}>"

    # Position

    @property
    def has_valid_position(self) -> bool:
        return self._status is PartitionStatus.CONSUMING

    @property
    def position(self) -> int | None:
        """Offset of the next record to give out, None while it is not known."""
        return self._position

    @property
    def awaiting_reset(self) -> bool:
        """Has the offset to be looked up at the partition's leader?"""
        return self._reset_strategy is not None

    @property
    def reset_strategy(self) -> int | None:
        """The timestamp to look up: -1 for the end, -2 for the beginning, else milliseconds."""
        return self._reset_strategy

    def await_reset(self, strategy: int) -> None:
        """Give the position up; it is to be looked up by *strategy*."""
        self._check_assigned()
        self.version += 1
        self._reset_strategy = strategy
        self._position = None
        self._status = PartitionStatus.AWAITING_RESET
        self._assignment.changed()

    def forget_position(self) -> None:
        """Give the position up; the committed offset is to be used again."""
        self._check_assigned()
        self.version += 1
        self._reset_strategy = None
        self._position = None
        self._status = PartitionStatus.AWAITING_RESET
        self._assignment.changed()

    def consumed_to(self, position: int) -> None:
        """Records before *position* were given out."""
        self._position = position

    def gives_at(self, position: int) -> bool:
        """May records from *position* on be given out now?"""
        return (
            self._position == position and self._resume_fut is None and self._status is _CONSUMING
        )

    def reset_to(self, position: int, leader_epoch: int = -1) -> None:
        """Take a position that was looked up."""
        self._take_position(position, leader_epoch)

    def seek(self, position: int) -> None:
        """Take a position that the application chose."""
        self._take_position(position, -1)

    def _take_position(self, position: int, leader_epoch: int) -> None:
        self._check_assigned()
        self.version += 1
        self._position = self.committable = position
        self.position_epoch = leader_epoch
        self._reset_strategy = None
        self._status = PartitionStatus.CONSUMING
        if self._position_fut is not None:
            _resolve(self._position_fut)
        self._assignment.changed()

    def wait_for_position(self) -> asyncio.Future[None]:
        """A future of the position's coming; shared, so shield it.

        It fails with :class:`~aiokafka.errors.IllegalStateError` when the partition is given up.
        """
        if self._position_fut is None or self._position_fut.done():
            self._position_fut = create_future()
            if self._status is PartitionStatus.CONSUMING:
                self._position_fut.set_result(None)
            elif self._status is PartitionStatus.UNASSIGNED:
                _fail(self._position_fut)
        return self._position_fut

    # What may be committed

    def returned(self) -> None:
        """The application has come back: it is done with what it was given."""
        self.committable = self._position

    def store(self, offset: int, metadata: str = "", leader_epoch: int = -1) -> None:
        """Note an offset that the application wants to be committed next."""
        self.stored = Committable(offset, metadata, leader_epoch)

    def fetch_committed(self) -> asyncio.Future[OffsetAndMetadata]:
        """Ask for the committed offset; a future of it, with offset -1 when there is none."""
        future: asyncio.Future[OffsetAndMetadata] = create_future()
        if self._status is PartitionStatus.UNASSIGNED:
            _fail(future)
            return future
        self._committed_futs.append(future)
        self._assignment.commit_refresh_needed.set()
        return future

    @property
    def committed_wanted(self) -> bool:
        """Does somebody wait for the committed offset?"""
        return any(not future.done() for future in self._committed_futs)

    def update_committed(self, offset_meta: OffsetAndMetadata) -> None:
        """Answer :meth:`fetch_committed`."""
        if offset_meta.offset >= 0:
            self.committed = offset_meta.offset
        futures, self._committed_futs = self._committed_futs, []
        for future in futures:
            if not future.done():
                future.set_result(offset_meta)

    # Pausing

    @property
    def paused(self) -> bool:
        return self._resume_fut is not None

    @property
    def resume_fut(self) -> asyncio.Future[None] | None:
        """Done when a paused partition is resumed; None when it is not paused."""
        return self._resume_fut

    def pause(self) -> None:
        """Give out and fetch nothing more until :meth:`resume`."""
        if self._resume_fut is None:
            self._resume_fut = create_future()
            self._assignment.changed()

    def resume(self) -> None:
        """End :meth:`pause`; without effect otherwise."""
        if self._resume_fut is not None:
            future, self._resume_fut = self._resume_fut, None
            _resolve(future)
            self._assignment.changed()

    def release(self) -> None:
        """The partition is given up; answers about it that are on their way count no more."""
        self.version += 1
        self._status = PartitionStatus.UNASSIGNED
        for future in (*self._committed_futs, self._position_fut):
            if future is not None:
                _fail(future)
        self._committed_futs = []
        if self._resume_fut is not None:
            _resolve(self._resume_fut)

    def _check_assigned(self) -> None:
        if self._status is PartitionStatus.UNASSIGNED:
            raise IllegalStateError("The partition is no longer assigned to this consumer")


class Assignment:
    """A set of partitions this consumer reads.

    It stays the same object while a cooperative rebalance (KIP-429) adds and takes partitions;
    an eager one ends it and brings another.

    Attributes:
        unassign_future: done when the assignment has ended.
        commit_refresh_needed: set when somebody wants committed offsets.
    """

    def __init__(
        self,
        topic_partitions: Iterable[TopicPartition],
        *,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self._on_change = on_change
        self._states: dict[TopicPartition, TopicPartitionState] = {
            tp: TopicPartitionState(self) for tp in topic_partitions
        }
        self._tps = frozenset(self._states)
        self.unassign_future: asyncio.Future[None] = create_future()
        self.commit_refresh_needed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Assignment {sorted(self._tps)}{'' if self.active else ' (ended)'}>"

    @property
    def tps(self) -> frozenset[TopicPartition]:
        return self._tps

    @property
    def active(self) -> bool:
        return not self.unassign_future.done()

    @property
    def states(self) -> Collection[tuple[TopicPartition, TopicPartitionState]]:
        """Partitions with their states, in the order in which they came."""
        return self._states.items()

    def state_value(self, tp: TopicPartition) -> TopicPartitionState | None:
        """The state of a partition; None when it is not in this assignment."""
        return self._states.get(tp)

    def changed(self) -> None:
        """Tell whoever acts on changes of the assignment."""
        if self._on_change is not None and self.active:
            self._on_change()

    def update(
        self, *, added: Iterable[TopicPartition] = (), taken: Iterable[TopicPartition] = ()
    ) -> None:
        """Give up the partitions *taken*, begin with those *added*; others go on unharmed."""
        for tp in taken:
            state = self._states.pop(tp, None)
            if state is not None:
                state.release()
        for tp in added:
            if tp not in self._states:
                self._states[tp] = TopicPartitionState(self)
        self._tps = frozenset(self._states)
        self.changed()

    def end(self) -> None:
        """Give up all partitions; positions stay readable, for a last commit."""
        if self.unassign_future.done():
            return
        self.unassign_future.set_result(None)
        for state in self._states.values():
            state.release()

    _unassign = end

    def requesting_committed(self) -> list[TopicPartition]:
        """Partitions whose committed offset somebody waits for."""
        return [tp for tp, state in self._states.items() if state.committed_wanted]

    # What may be committed

    def all_consumed_offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """Positions of all partitions that have one."""
        return {
            tp: OffsetAndMetadata(state.position, "")
            for tp, state in self._states.items()
            if state.position is not None
        }

    def consumed(self) -> dict[TopicPartition, Committable]:
        """What a commit of everything given out commits."""
        return {
            tp: Committable(state.position, "", state.position_epoch)
            for tp, state in self._states.items()
            if state.position is not None
        }

    def given_back(self) -> dict[TopicPartition, Committable]:
        """What may be committed while the application works: everything before the records it
        has in its hands."""
        return {
            tp: Committable(state.committable, "", state.position_epoch)
            for tp, state in self._states.items()
            if state.position is not None and state.committable is not None
        }

    def stored(self) -> dict[TopicPartition, Committable]:
        """What the application stored, for consumers that do it themselves."""
        return {tp: state.stored for tp, state in self._states.items() if state.stored is not None}

    def all_returned(self) -> None:
        """The application has come back for more: it is done with everything it was given."""
        for state in self._states.values():
            state.returned()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[OffsetAndMetadata] | asyncio.Future[None]) -> None:
    """Nobody need be waiting: the error counts as seen."""
    if not future.done():
        future.set_exception(
            IllegalStateError("The partition is no longer assigned to this consumer")
        )
        future.exception()
