# C-level interface of the compiled `MemoryRecords`, for `cimport`.


cdef class MemoryRecords:
    # Private to the .pyx.
    cdef object _data
    cdef const char *_buf
    cdef Py_buffer _buffer
    cdef bint _has_buffer
    cdef Py_ssize_t _pos

    # Size of the batch at the position; 0 when there is no whole one. A size too small to
    # be one is returned as it is (at least 1).
    cdef Py_ssize_t next_size(self) except -1

    # The next batch, or None at the end.
    cpdef object next_batch(self)
