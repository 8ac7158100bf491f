from libc.stdint cimport uint32_t

cdef uint32_t hash_bytes(const unsigned char* data, Py_ssize_t size) noexcept nogil
