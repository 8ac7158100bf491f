# C-level interface of the compiled reader of magic 2, for `cimport`.
from libc.stdint cimport int16_t, int32_t, int64_t

# One record as it lies in the buffer. Sizes are -1 for null.
cdef struct Fields:
    int64_t offset
    int64_t timestamp
    const char *key
    Py_ssize_t key_size
    const char *value
    Py_ssize_t value_size
    const char *headers
    Py_ssize_t num_headers
    const char *end


cdef class DefaultRecordBatch:
    # Everything here is private to the .pyx, except where a comment says so.
    cdef Py_buffer _view
    cdef bint _has_view
    cdef bint _started          # readable: opened, `_left` and `_pos` count
    cdef const char *_header
    cdef bytes _unpacked
    cdef const char *_pos       # readable: the next record
    cdef const char *_end       # readable: where the records end
    cdef int32_t _left          # readable: records to come
    # Of the header, what every record needs.
    cdef int64_t _base_offset
    cdef int64_t _first_timestamp
    cdef int64_t _max_timestamp
    cdef int16_t _attributes    # readable

    cdef const char *_checked_header(self) except NULL

    # The offset after the batch; a hostile sum wraps.
    cdef int64_t offset_after(self) except? -1
    # Decompress the records. To be called once, before the following.
    cdef int open(self) except -1
    # Read the record at `_pos`, all but its headers, without moving on.
    cdef int read(self, Fields *fields) except -1
    # Move on to the record after the one that was read.
    cdef void advance(self, Fields *fields) noexcept
    # Raise unless the last record ends where the batch does.
    cdef int check_end(self) except -1


# The headers of a record that `read` has found, as a list of pairs; there are some.
cdef list decode_headers(Fields *fields)
