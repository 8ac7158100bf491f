"""Splits what a broker returned for a partition into record batches, in plain Python.

Its compiled twin is in ``_crecords/memory_records.pyx``: a change here is a change there. Pure
computation: no tasks, no futures, no I/O.
"""

from __future__ import annotations

import struct

from aiokafka.errors import CorruptRecordException

from ._default_reader import _DefaultRecordBatchPy
from ._legacy_reader import _LegacyRecordBatchPy
from ._protocols import Buffer

__all__: list[str] = []


class _MemoryRecordsPy:
    """The batches in `bytes_data`, one after the other; a partial tail is ignored."""

    # Offset and size come first in every format.
    LENGTH_OFFSET = struct.calcsize(">q")
    LOG_OVERHEAD = struct.calcsize(">qi")
    MAGIC_OFFSET = struct.calcsize(">qii")
    # CRC, magic, attributes, key and value lengths of a message of magic 0
    MIN_SLICE = struct.calcsize(">ibbii")

    def __init__(self, bytes_data: Buffer) -> None:
        self._data = memoryview(bytes_data).cast("B")
        self._pos = 0

    def size_in_bytes(self) -> int:
        """Size of the whole data."""
        return len(self._data)

    def _next_size(self) -> int | None:
        """What the next batch says it has after its length; None without a whole one."""
        left = len(self._data) - self._pos - self.LOG_OVERHEAD
        if left < 0:
            return None
        (size,) = struct.unpack_from(">i", self._data, self._pos + self.LENGTH_OFFSET)
        if left < size:
            return None
        return int(size)

    def has_next(self) -> bool:
        """Whether `next_batch` has a batch, or an error, to give."""
        return self._next_size() is not None

    def next_batch(self) -> _DefaultRecordBatchPy | _LegacyRecordBatchPy | None:
        """The next batch, or None at the end. Raises CorruptRecordException."""
        size = self._next_size()
        if size is None:
            return None
        if size < self.MIN_SLICE:
            raise CorruptRecordException(
                f"Corrupt record data: a batch says it has {size} bytes, fewer than any can"
            )
        (magic,) = struct.unpack_from(">b", self._data, self._pos + self.MAGIC_OFFSET)
        if not 0 <= magic <= 2:
            raise CorruptRecordException(f"Corrupt record data: unknown magic {magic}")
        part = self._data[self._pos : self._pos + self.LOG_OVERHEAD + size]
        batch = _DefaultRecordBatchPy(part) if magic == 2 else _LegacyRecordBatchPy(part, magic)
        self._pos += self.LOG_OVERHEAD + size
        return batch
