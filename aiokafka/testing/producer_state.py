"""What a partition remembers of its idempotent producers.

Owns :class:`ProducerState`, one per (producer id, partition), and the rules by which a broker
accepts a batch: the epoch may not go back, a new epoch starts at sequence 0, sequences have no
gap, and a repeat of one of the last five batches is answered with its first offset (KIP-98,
KIP-360).  Pure: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from .codes import ErrorCode

__all__ = ["AppendedBatch", "ProducerState", "check_sequence", "next_sequence"]

#: Batches a broker remembers per producer and partition: as many as may be in flight.
REMEMBERED_BATCHES = 5

_SEQUENCES = 1 << 31


def next_sequence(sequence: int, count: int = 1) -> int:
    """The sequence ``count`` records later; 2^31 - 1 is followed by 0."""
    return (sequence + count) % _SEQUENCES


@dataclass(frozen=True, slots=True)
class AppendedBatch:
    """A batch as remembered for recognising its repetition."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    timestamp: int


@dataclass(slots=True)
class ProducerState:
    """Epoch and last batches of one producer in one partition."""

    epoch: int
    batches: deque[AppendedBatch] = field(default_factory=lambda: deque(maxlen=REMEMBERED_BATCHES))

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record appended; -1 when there is none in this epoch."""
        return self.batches[-1].last_sequence if self.batches else -1

    def find_duplicate(self, epoch: int, first: int, last: int) -> AppendedBatch | None:
        """The remembered batch with exactly these sequences, if there is one."""
        if epoch == self.epoch:
            for batch in self.batches:
                if batch.first_sequence == first and batch.last_sequence == last:
                    return batch
        return None

    def fenced(self, epoch: int) -> None:
        """A marker of that epoch was written: older ones may not append any more."""
        if epoch > self.epoch:
            self.epoch = epoch
            self.batches.clear()

    def appended(self, epoch: int, batch: AppendedBatch) -> None:
        """Remember a batch that was appended."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches.clear()
        self.batches.append(batch)


def check_sequence(
    state: ProducerState | None, epoch: int, first: int, *, accept_unknown: bool = False
) -> ErrorCode:
    """Whether a batch that repeats none of the remembered ones may be appended.

    Args:
        state: what the partition knows of the producer, or ``None``.
        epoch: the producer epoch of the batch.
        first: its first sequence.
        accept_unknown: let a producer that the partition does not know start at any sequence,
            as brokers since 2.5 or so do; otherwise the answer is UNKNOWN_PRODUCER_ID.
    """
    if state is None:
        if first == 0 or accept_unknown:
            return ErrorCode.NONE
        return ErrorCode.UNKNOWN_PRODUCER_ID
    if epoch < state.epoch:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if epoch > state.epoch:
        return ErrorCode.NONE if first == 0 else ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    if first == next_sequence(state.last_sequence):
        return ErrorCode.NONE
    return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
