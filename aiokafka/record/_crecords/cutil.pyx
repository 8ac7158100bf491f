# cython: language_level=3, boundscheck=False, wraparound=False
"""Varints and checksums of the compiled record code.

Pure computation: no tasks, no futures, no I/O. The C-level part is in the
``.pxd``; what is defined with ``def`` here backs :mod:`aiokafka.record.util`.
"""
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.long cimport PyLong_AsLongLong, PyLong_Check
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.number cimport PyNumber_Index

from time import time as _time
from zlib import crc32 as _crc32

cdef extern from "crc32c.h":
    void aiokafka_crc32c_init()
    uint32_t aiokafka_crc32c(uint32_t crc, const void *data, size_t size) nogil
    uint32_t aiokafka_crc32c_portable(uint32_t crc, const void *data, size_t size) nogil
    const char *aiokafka_crc32c_implementation()

aiokafka_crc32c_init()


cdef uint32_t crc32c_of(const char *data, Py_ssize_t size) noexcept nogil:
    return aiokafka_crc32c(0, data, <size_t>size)


cdef uint32_t crc32_of(const char *data, Py_ssize_t size) except? 0:
    return _crc32(PyMemoryView_FromMemory(<char *>data, size, PyBUF_READ))


cdef int64_t as_int64(object value, str what) except? -1:
    if PyLong_Check(value):
        return PyLong_AsLongLong(value)
    if not hasattr(type(value), "__index__"):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    return PyLong_AsLongLong(PyNumber_Index(value))


cdef int64_t now_ms() except? -1:
    cdef double seconds = _time()
    return <int64_t>(seconds * 1000)


def crc32c_cython(data, crc=0):
    """CRC-32C of `data` (bytes-like), continuing from `crc`."""
    return _checksum(data, crc, False)


def crc32c_portable_cython(data, crc=0):
    """The same without the processor's CRC instructions."""
    return _checksum(data, crc, True)


cdef object _checksum(object data, object crc, bint portable):
    cdef Py_buffer view
    cdef uint32_t start = crc
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if portable:
            return aiokafka_crc32c_portable(start, view.buf, <size_t>view.len)
        return aiokafka_crc32c(start, view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)


def crc32c_implementation():
    """Which CRC-32C is in use: ``sse4.2``, ``armv8`` or ``portable``."""
    return aiokafka_crc32c_implementation().decode("ascii")


def size_of_varint_cython(value):
    """Bytes that `value` takes as a zig-zag varint of at most 64 bits."""
    return varint_size(as_int64(value, "value"))


def encode_varint_cython(value, write=None):
    """Pass the bytes of `value`, each as an int, to `write`; return their number.

    Without `write` return them as bytes.
    """
    cdef char out[MAX_VARINT_SIZE]
    cdef Py_ssize_t size = put_varint(out, as_int64(value, "value")) - out
    if write is None:
        return out[:size]
    for i in range(size):
        write(<uint8_t>out[i])
    return size


def decode_varint_cython(buffer, Py_ssize_t pos=0):
    """Read a zig-zag varint from `buffer` at `pos`: ``(value, next_pos)``."""
    cdef Py_buffer view
    cdef const char *start
    cdef const char *after
    cdef int64_t value = 0
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        if pos < 0 or pos > view.len:
            raise ValueError(f"position {pos} is outside of the buffer")
        start = <const char *>view.buf
        after = get_varint(start + pos, start + view.len, &value)
        if after is NULL:
            raise ValueError("varint is truncated or out of the range of 64 bits")
        return value, after - start
    finally:
        PyBuffer_Release(&view)
