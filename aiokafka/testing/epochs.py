"""Which leader epoch wrote which offsets of a log.

Owns :class:`LeaderEpochs`, the leader epoch cache of a replica, by which brokers answer
OffsetForLeaderEpoch (KIP-101, KIP-279, KIP-320).  Pure: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

__all__ = ["LeaderEpochs"]

UNDEFINED = (-1, -1)


class LeaderEpochs:
    """Epochs of a log with the offset each began at, oldest first."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int]] = [(0, 0)]

    def begin(self, epoch: int, offset: int) -> None:
        """An epoch begins; those that have written nothing are forgotten."""
        self.entries = [entry for entry in self.entries if entry[0] < epoch and entry[1] < offset]
        self.entries.append((epoch, offset))

    def truncate(self, offset: int) -> None:
        """The log now ends at ``offset``."""
        self.entries = [entry for entry in self.entries if entry[1] < offset]

    def advance(self, offset: int) -> None:
        """The log now starts at ``offset``."""
        before = [entry for entry in self.entries if entry[1] <= offset]
        if before:
            rest = self.entries[len(before) :]
            self.entries = [(before[-1][0], max(before[-1][1], offset)), *rest]

    def end_of(self, epoch: int, log_end: int) -> tuple[int, int]:
        """The largest epoch up to ``epoch`` that the log knows, and the offset it ended at.

        ``(-1, -1)`` when the epoch is later than all that the log knows.
        """
        if epoch < 0 or not self.entries:
            return UNDEFINED
        if epoch == self.entries[-1][0]:
            return epoch, log_end
        later = next((entry for entry in self.entries if entry[0] > epoch), None)
        if later is None:
            return UNDEFINED
        known = [entry[0] for entry in self.entries if entry[0] <= epoch]
        return (known[-1] if known else epoch), later[1]
