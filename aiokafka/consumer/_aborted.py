"""Which transactions of a fetched block were aborted (``isolation_level=read_committed``).

Pure: no tasks, no futures. Used for one block, from its first batch to its last.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.record.control_record import ABORT_MARKER, ControlRecord

__all__ = ["AbortedTransactions"]


class AbortedTransactions:
    """Follows the transactions of a block, whose markers come after their records.

    The broker lists the aborted ones with the producer's id and the first offset: from
    there on the producer's batches are to be left out, up to its abort marker. A marker of
    a transaction that is not listed changes nothing: all that is left of a transaction
    whose records were compacted away, or that began before the block and had none in it.

    Parameters:
        aborted: ``(producer_id, first_offset)`` of each, in any order; None: there are none.
    """

    def __init__(self, aborted: Iterable[tuple[int, int]] | None) -> None:
        # The next to begin is the last of the list.
        self._to_begin = sorted(
            ((first_offset, producer_id) for producer_id, first_offset in aborted or ()),
            reverse=True,
        )
        self._open: set[int] = set()

    def skips(self, producer_id: int, last_offset: int) -> bool:
        """Whether a batch of a transaction, ending at `last_offset`, is to be left out."""
        self._begin(last_offset)
        return producer_id in self._open

    def marker(self, producer_id: int, last_offset: int, key: bytes | None) -> None:
        """The transaction of `producer_id` ends; `key` is that of the control record.

        Raises CorruptRecordException for a key that is none.
        """
        self._begin(last_offset)
        if key is not None and ControlRecord.parse(key).type_ == ABORT_MARKER.type_:
            self._open.discard(producer_id)

    def _begin(self, last_offset: int) -> None:
        to_begin = self._to_begin
        while to_begin and to_begin[-1][0] <= last_offset:
            self._open.add(to_begin.pop()[1])
