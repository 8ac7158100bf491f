"""Sequence numbers of one idempotent producer, partition by partition.

A broker accepts a producer's batches for a partition only in sequence (KIP-98).  When the
sequence is broken for good, an idempotent producer starts a new one under a higher epoch
(KIP-360).  Brokers keep that state for each partition apart, so a partition gets its new
epoch without disturbing the others.

The rule that keeps "no duplicate" true: a batch that a broker *may* have stored is sent
again only under the numbers it already has.  It gets new ones after the broker has said
that it did not store it.

Pure: no loop, no task; owns no future.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aiokafka.structs import TopicPartition

NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1

MAX_EPOCH = 2**15 - 1
_SEQUENCE_MASK = 0x7FFFFFFF


class PidAndEpoch(NamedTuple):
    """A producer id and its epoch."""

    pid: int
    epoch: int


class SequencedBatch(Protocol):
    """What is read from and written to a batch here."""

    base_sequence: int | None
    sequence_ordinal: int
    may_be_stored: bool

    @property
    def record_count(self) -> int: ...

    def set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int
    ) -> None: ...

    def reset_producer_state(self) -> None: ...


def signed_int32(value: int) -> int:
    """Wrap as Java's int does."""
    return ((value + 2**31) & 0xFFFFFFFF) - 2**31


class PartitionSequence:
    """The sequence of one partition.

    ``outstanding`` holds, in order, the batches that have a sequence number and no final
    answer: on the wire, or waiting to be sent again.
    """

    __slots__ = ("broken", "identity", "known", "numbered", "on_wire", "outstanding")

    def __init__(self, identity: PidAndEpoch) -> None:
        self.identity = identity
        self.numbered = 0
        self.outstanding: list[SequencedBatch] = []
        self.on_wire = 0
        self.broken = False
        # Whether the broker has stored a batch under this producer id.
        self.known = False

    def may_send_new(self, limit: int) -> bool:
        """Whether a batch without a number may be sent now.

        Not while older ones wait to be sent again (``outstanding`` but not on the wire).
        And not more than *limit* after the oldest unsettled one, even if they would all be
        stored: brokers remember the last five batches only, and could not tell any more that
        the oldest is one they have.  Nor beside the very first one: from a producer that it
        does not know a broker takes any number, so the second could come before the first.
        """
        if self.broken or len(self.outstanding) != self.on_wire:
            return False
        if not self.outstanding:
            return True
        if not self.known:
            return False
        return self.numbered - self.outstanding[0].sequence_ordinal < limit

    def may_resend(self, batch: SequencedBatch) -> bool:
        """Whether a numbered batch may be sent again now: alone, and oldest first."""
        if self.on_wire or not self.outstanding or self.outstanding[0] is not batch:
            return False
        # In a broken sequence only the fate of what may be stored is still to be learnt.
        return batch.may_be_stored or not self.broken

    def is_first(self, batch: SequencedBatch) -> bool:
        """Whether everything before *batch* is settled."""
        return bool(self.outstanding) and self.outstanding[0] is batch

    def forget(self, batch: SequencedBatch) -> None:
        if batch in self.outstanding:
            self.outstanding.remove(batch)

    @property
    def can_restart(self) -> bool:
        """Whether a broken sequence is settled: nothing can still be stored under it."""
        return (
            self.broken
            and self.on_wire == 0
            and (not self.outstanding or not self.outstanding[0].may_be_stored)
        )


class Sequences:
    """All partitions of one producer id.

    ``numbers`` maps a partition to the next sequence number, wrapped to signed 32 bits.
    """

    def __init__(self, *, may_restart: bool) -> None:
        # A transactional producer must not skip a failed batch: its transaction fails.
        self.may_restart = may_restart
        self.identity = PidAndEpoch(NO_PRODUCER_ID, NO_PRODUCER_EPOCH)
        self.numbers: dict[TopicPartition, int] = {}
        self._partitions: dict[TopicPartition, PartitionSequence] = {}
        # A transactional producer gave up a numbered batch: the numbers cannot go on before
        # the coordinator has begun a new epoch.
        self.gap = False

    def of(self, tp: TopicPartition) -> PartitionSequence:
        state = self._partitions.get(tp)
        if state is None:
            state = self._partitions[tp] = PartitionSequence(self.identity)
        return state

    def new_identity(self, identity: PidAndEpoch) -> None:
        """Go on with *identity*: partitions that have nothing outstanding start afresh,
        broken ones do so when they are settled."""
        self.identity = identity
        self.gap = False
        for tp, state in self._partitions.items():
            if not state.outstanding and not state.on_wire:
                state.known = state.known and state.identity.pid == identity.pid
                state.identity = identity
                state.broken = False
                self.numbers.pop(tp, None)
            elif not self.may_restart:
                # A batch that was given up is still on the wire: restarted when it is over.
                state.broken = True

    def assign(self, tp: TopicPartition, batch: SequencedBatch) -> None:
        """Number *batch*, which is about to be sent for the first time."""
        state = self.of(tp)
        if state.identity.pid == NO_PRODUCER_ID:
            state.identity = self.identity
        number = self.numbers.get(tp, 0)
        # After 2**31 - 1 comes 0; the table keeps Java's int, of which that is the rest.
        batch.set_producer_state(state.identity.pid, state.identity.epoch, number & _SEQUENCE_MASK)
        self.increment(tp, batch.record_count)
        batch.sequence_ordinal = state.numbered
        state.numbered += 1
        state.outstanding.append(batch)

    def departs(self, tp: TopicPartition, batch: SequencedBatch) -> None:
        """*batch* is being sent."""
        state = self.of(tp)
        if batch.base_sequence is None and self.identity.pid != NO_PRODUCER_ID:
            self.assign(tp, batch)
        state.on_wire += 1
        batch.may_be_stored = True

    def arrived(self, tp: TopicPartition) -> None:
        """A request with a batch of *tp* has ended."""
        self.of(tp).on_wire -= 1

    def increment(self, tp: TopicPartition, count: int) -> None:
        self.numbers[tp] = signed_int32(self.numbers.get(tp, 0) + count)

    def settled(self, tp: TopicPartition, batch: SequencedBatch) -> None:
        """The broker has stored *batch*."""
        state = self.of(tp)
        state.forget(batch)
        state.known = True

    def lost(self, tp: TopicPartition, batch: SequencedBatch) -> None:
        """*batch* was given up: its number stays unused or unknown, so the sequence ends.

        For a batch on the wire this only records the loss; :attr:`on_wire` falls when the
        request ends.
        """
        if batch.base_sequence is None:
            return
        state = self.of(tp)
        if not self.may_restart and batch in state.outstanding:
            self.gap = True
        state.forget(batch)
        state.broken = state.broken or self.may_restart

    def split(
        self, tp: TopicPartition, batch: SequencedBatch, parts: Sequence[SequencedBatch]
    ) -> bool:
        """Give the numbers of *batch*, which the broker did not store, to its *parts*.

        Only in transactions, whose numbers cannot start anew; False where nothing was done.
        """
        state = self.of(tp)
        if self.may_restart or batch.base_sequence is None or batch not in state.outstanding:
            return False
        at = state.outstanding.index(batch)
        number = batch.base_sequence
        for part in parts:
            part.set_producer_state(state.identity.pid, state.identity.epoch, number)
            part.sequence_ordinal = batch.sequence_ordinal
            number = (number + part.record_count) & _SEQUENCE_MASK
        state.outstanding[at : at + 1] = parts
        return True

    def rejected(self, tp: TopicPartition, batch: SequencedBatch) -> bool:
        """The broker did not store *batch* because its number is out of order.

        Returns whether it may be sent again.  It may when an older batch is unsettled (the
        older one comes first then), or after a restart of the sequence.
        """
        state = self.of(tp)
        batch.may_be_stored = False
        if not state.is_first(batch):
            return True
        if not self.may_restart:
            return False
        state.broken = True
        return True

    def restart(self, tp: TopicPartition) -> bool:
        """Start a settled partition's sequence anew, if it can be done locally.

        Returns False when the epochs of this producer id are used up: another id is
        needed from a broker first (:meth:`new_identity`).
        """
        state = self.of(tp)
        current = self.identity
        if state.identity.pid == current.pid:
            epoch = max(current.epoch, state.identity.epoch + 1)
            if epoch > MAX_EPOCH:
                return False
            if epoch > current.epoch:
                self.identity = current = PidAndEpoch(current.pid, epoch)
        state.known = state.known and state.identity.pid == current.pid
        state.identity = current
        state.broken = False
        for batch in state.outstanding:
            batch.reset_producer_state()
        state.outstanding.clear()
        self.numbers[tp] = 0
        return True
