"""What a partition's log knows of transactions: as much as reading committed records needs.

Owns :class:`TransactionIndex`: which transactions are open, so where the last stable offset is,
and which were aborted, so what a Fetch answer lists for the consumer to leave out (KIP-98).
Pure: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .stored import StoredBatch

__all__ = ["AbortedTransaction", "TransactionIndex"]


class AbortedTransaction(NamedTuple):
    """An aborted transaction, from its first record to its marker."""

    producer_id: int
    first_offset: int
    last_offset: int


class TransactionIndex:
    """Transactions of one partition.

    Attributes:
        ongoing: first offset of every open transaction by producer id.
        aborted: aborted transactions by the offset of their markers.
    """

    def __init__(self, batches: Iterable[StoredBatch] = ()) -> None:
        self.ongoing: dict[int, int] = {}
        self.aborted: list[AbortedTransaction] = []
        for batch in batches:
            self.appended(batch)

    def appended(self, batch: StoredBatch) -> None:
        """Take note of a batch at the end of the log."""
        if batch.commits is not None:
            first = self.ongoing.pop(batch.producer_id, None)
            if first is not None and not batch.commits:
                self.aborted.append(
                    AbortedTransaction(batch.producer_id, first, batch.last_offset)
                )
        elif batch.transactional:
            self.ongoing.setdefault(batch.producer_id, batch.base_offset)

    def last_stable_offset(self, high_watermark: int) -> int:
        """The offset before which every transaction is decided."""
        return min((*self.ongoing.values(), high_watermark))

    def aborted_between(self, start: int, end: int) -> list[AbortedTransaction]:
        """The aborted transactions that reach into offsets from ``start`` to before ``end``."""
        return [
            transaction
            for transaction in self.aborted
            if transaction.last_offset >= start and transaction.first_offset < end
        ]
