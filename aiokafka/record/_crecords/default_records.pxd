# C-level interface of the compiled magic 2 record code, for `cimport`.
from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t


cdef class DefaultRecordMetadata:
    cdef readonly int64_t offset
    cdef readonly Py_ssize_t size
    cdef readonly int64_t timestamp


# A growing block of memory (see `_reserve` in the .pyx).
cdef struct Block:
    char *data
    Py_ssize_t capacity


cdef class DefaultRecordBatchBuilder:
    # Everything here is private to the .pyx, except where a comment says so.
    cdef Block _block           # 61 bytes kept free for the header, then records
    cdef Block _scratch         # one record's headers while it is appended
    cdef Py_ssize_t _pos        # readable: size in bytes so far (61 when empty)
    cdef Py_ssize_t _batch_size # readable: limit given by the caller
    cdef int32_t _num_records   # readable: records so far
    cdef int32_t _last_offset
    cdef int64_t _first_timestamp
    cdef int64_t _max_timestamp
    cdef int64_t _producer_id
    cdef int16_t _producer_epoch
    cdef int32_t _base_sequence
    cdef int _magic
    cdef int _compression_type
    cdef bint _is_transactional
    cdef object _compression_level

    # Append one record.
    #
    # `timestamp` in milliseconds. `key` and `value`: bytes-like or None (bytes
    # is the fast path). `headers`: None, or list/tuple of (str, bytes|None).
    # Returns the record's size in bytes (> 0), or 0 when the batch is full and
    # nothing was appended; -1 with TypeError, ValueError, OverflowError or
    # MemoryError set. The first record always fits.
    cdef Py_ssize_t append_record(
        self, int64_t offset, int64_t timestamp, object key, object value, object headers
    ) except -1

    # The same for memory that the caller keeps alive; size -1 means null.
    cdef Py_ssize_t append_raw(
        self,
        int64_t offset,
        int64_t timestamp,
        const char *key,
        Py_ssize_t key_size,
        const char *value,
        Py_ssize_t value_size,
        object headers,
    ) except -1

    cdef Py_ssize_t _write_record(
        self,
        int64_t offset,
        int64_t timestamp,
        const char *key,
        Py_ssize_t key_size,
        const char *value,
        Py_ssize_t value_size,
        const char *headers,
        Py_ssize_t headers_size,
    ) except -1
    cdef Py_ssize_t _append_buffers(
        self, int64_t offset, int64_t timestamp, object key, object value, object headers
    ) except -1
    cdef void _write_header(self, char *out, Py_ssize_t size) noexcept

    # The finished batch, header and checksum included (see the .pyx).
    cpdef bytearray build(self)
    cpdef set_producer_state(self, producer_id, producer_epoch, base_sequence)
