# cython: language_level=3, boundscheck=False, wraparound=False
"""Splits what a broker returned for a partition into batches, compiled.

The twin in plain Python is in :mod:`aiokafka.record.memory_records`. Pure
computation: no tasks, no futures, no I/O.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

from aiokafka.record._crecords.cutil cimport get_int32

from aiokafka.errors import CorruptRecordException
from aiokafka.record._crecords.default_reader import DefaultRecordBatch
from aiokafka.record._crecords.legacy_records import LegacyRecordBatch

# Offset and size, the same in every format.
cdef enum:
    LOG_OVERHEAD = 12
    SIZE_OFFSET = 8
    MAGIC_OFFSET = 16
    # CRC, magic, attributes, key and value lengths of a message of magic 0
    MIN_SLICE = 14


cdef class MemoryRecords:
    """The batches in `bytes_data`, one after the other; a partial tail is ignored."""

    def __init__(self, bytes_data):
        if self._has_buffer:
            raise TypeError("cannot be initialised twice")
        PyObject_GetBuffer(bytes_data, &self._buffer, PyBUF_SIMPLE)
        self._has_buffer = True
        self._buf = <const char *>self._buffer.buf
        self._data = memoryview(bytes_data).cast("B")

    def __dealloc__(self):
        if self._has_buffer:
            PyBuffer_Release(&self._buffer)

    def size_in_bytes(self):
        """Size of the whole data."""
        return self._buffer.len if self._has_buffer else 0

    cdef Py_ssize_t next_size(self) except -1:
        """Size of the batch at the position; 0 when there is no whole one.

        A size too small to be one is returned as it is (at least 1).
        """
        cdef Py_ssize_t left
        cdef Py_ssize_t size
        if not self._has_buffer:
            return 0
        left = self._buffer.len - self._pos
        if left < LOG_OVERHEAD:
            return 0
        size = get_int32(self._buf + self._pos + SIZE_OFFSET)
        if size < MIN_SLICE:
            return 1
        if size > left - LOG_OVERHEAD:
            return 0
        return size + LOG_OVERHEAD

    def has_next(self):
        """Whether `next_batch` has a batch, or an error, to give."""
        return self.next_size() > 0

    cpdef object next_batch(self):
        """The next batch, or None at the end. Raises CorruptRecordException."""
        cdef Py_ssize_t size = self.next_size()
        cdef int magic
        if size == 0:
            return None
        if size < LOG_OVERHEAD + MIN_SLICE:
            raise CorruptRecordException(
                "Corrupt record data: a batch says it has"
                f" {get_int32(self._buf + self._pos + SIZE_OFFSET)} bytes, fewer than any can"
            )
        magic = <signed char>self._buf[self._pos + MAGIC_OFFSET]
        if magic < 0 or magic > 2:
            raise CorruptRecordException(f"Corrupt record data: unknown magic {magic}")
        part = self._data[self._pos : self._pos + size]
        batch = DefaultRecordBatch(part) if magic == 2 else LegacyRecordBatch(part, magic)
        self._pos += size
        return batch
