"""Fetched blocks: the bytes of one partition in a Fetch response, several batches in a row.

Exports the compiled code when it is there and wanted, otherwise its twin in plain
Python. No tasks, no futures.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._block_types import BatchFilter, BlockSummary
from ._select import compiled
from .memory_records import MemoryRecords

if TYPE_CHECKING:
    from ._protocols import MemoryRecordsProtocol

__all__ = ["BatchFilter", "BlockReader", "BlockSummary", "open_block", "scan"]

if TYPE_CHECKING or compiled is None:
    from ._block_reader import _BlockReaderPy, _scan_py

    BlockReader = _BlockReaderPy
    scan = _scan_py
else:
    BlockReader = compiled.BlockReader
    scan = compiled.scan


def open_block(records: MemoryRecordsProtocol, *args: Any) -> BlockReader:
    """A reader of `records`, whoever made them; the arguments of :class:`BlockReader`."""
    if isinstance(records, MemoryRecords):
        return BlockReader(records, *args)
    from ._block_reader import _BlockReaderPy

    return _BlockReaderPy(records, *args)
