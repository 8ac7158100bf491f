"""What both forms of the block reader take and give.

Pure declarations: no tasks, no futures.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["BatchFilter", "BlockSummary"]


class BlockSummary(NamedTuple):
    """What the headers of a block's batches say.

    .. versionadded:: 0.14.1
    """

    next_offset: int
    """The offset after the last whole batch, -1 when there is none."""

    leader_epoch: int
    """Leader epoch of the last whole batch, -1 when there is none or it does not say."""

    size_in_bytes: int
    """Size of the whole batches together."""

    batches: int
    """Number of whole batches."""

    complete: bool
    """Whether the block ends where a batch ends, and no header is damaged."""


class BatchFilter(Protocol):
    """Decides about the batches of transactions (``isolation_level=read_committed``)."""

    def skips(self, producer_id: int, last_offset: int) -> bool:
        """Whether a transaction's batch is to be left out."""

    def marker(self, producer_id: int, last_offset: int, key: bytes | None) -> None:
        """A transaction ends here, as the key of its control record says."""
