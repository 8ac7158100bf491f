# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The key hash of `aiokafka.partitioner`, compiled; other extensions may cimport it."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint32_t


cdef uint32_t hash_bytes(const unsigned char* data, Py_ssize_t size) noexcept nogil:
    cdef uint32_t m = 0x5BD1E995
    cdef uint32_t h = <uint32_t>0x9747B28C ^ <uint32_t>size
    cdef uint32_t k
    cdef Py_ssize_t words = size // 4
    cdef Py_ssize_t i
    for i in range(words):
        # Byte by byte: the data need not be aligned, nor the machine little-endian.
        k = (
            <uint32_t>data[0]
            | (<uint32_t>data[1] << 8)
            | (<uint32_t>data[2] << 16)
            | (<uint32_t>data[3] << 24)
        )
        data += 4
        k *= m
        k ^= k >> 24
        k *= m
        h = (h * m) ^ k
    cdef Py_ssize_t rest = size % 4
    if rest:
        if rest == 3:
            h ^= <uint32_t>data[2] << 16
        if rest >= 2:
            h ^= <uint32_t>data[1] << 8
        h = (h ^ data[0]) * m
    h ^= h >> 13
    h *= m
    return h ^ (h >> 15)


def murmur2(data):
    """Hash *data* with Kafka's Murmur2; see `aiokafka.partitioner.murmur2`."""
    if type(data) is bytes:
        return hash_bytes(<const unsigned char*><bytes>data, len(<bytes>data))
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return hash_bytes(<const unsigned char*>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
