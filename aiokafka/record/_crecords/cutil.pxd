# Varints, big-endian fields and CRC-32C shared by the compiled record code.
#
# The small functions are `inline` here, so that every extension that cimports
# them gets its own copy and no call goes through a function pointer.
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

# A varint of 64 bits takes at most ten bytes.
cdef enum:
    MAX_VARINT_SIZE = 10


cdef inline Py_ssize_t varint_size(int64_t value) noexcept nogil:
    """Bytes that `value` takes as a zig-zag varint."""
    cdef uint64_t v = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    cdef Py_ssize_t size = 1
    while v >= 0x80:
        v >>= 7
        size += 1
    return size


cdef inline char *put_varint(char *p, int64_t value) noexcept nogil:
    """Write a zig-zag varint at `p`; return the place after it."""
    cdef uint64_t v = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    while v >= 0x80:
        p[0] = <char>(<uint8_t>((v & 0x7F) | 0x80))
        p += 1
        v >>= 7
    p[0] = <char>(<uint8_t>v)
    return p + 1


cdef inline const char *get_varint(
    const char *p, const char *end, int64_t *value
) noexcept nogil:
    """Read a zig-zag varint; return the place after it, or NULL.

    NULL: the buffer ends within the number, or the number needs more than 64
    bits.
    """
    cdef uint64_t v = 0
    cdef uint64_t byte
    cdef int shift = 0
    while p < end:
        byte = <uint8_t>p[0]
        p += 1
        if shift == 63 and byte > 1:
            return NULL
        v |= (byte & 0x7F) << shift
        if byte < 0x80:
            value[0] = <int64_t>((v >> 1) ^ (0 - (v & 1)))
            return p
        shift += 7
    return NULL


cdef inline void put_int16(char *p, int16_t value) noexcept nogil:
    cdef uint16_t v = <uint16_t>value
    p[0] = <char>(<uint8_t>(v >> 8))
    p[1] = <char>(<uint8_t>v)


cdef inline void put_int32(char *p, int32_t value) noexcept nogil:
    cdef uint32_t v = <uint32_t>value
    p[0] = <char>(<uint8_t>(v >> 24))
    p[1] = <char>(<uint8_t>(v >> 16))
    p[2] = <char>(<uint8_t>(v >> 8))
    p[3] = <char>(<uint8_t>v)


cdef inline void put_int64(char *p, int64_t value) noexcept nogil:
    cdef uint64_t v = <uint64_t>value
    put_int32(p, <int32_t>(<uint32_t>(v >> 32)))
    put_int32(p + 4, <int32_t>(<uint32_t>v))


cdef inline int16_t get_int16(const char *p) noexcept nogil:
    return <int16_t>((<uint16_t>(<uint8_t>p[0]) << 8) | <uint16_t>(<uint8_t>p[1]))


cdef inline uint32_t get_uint32(const char *p) noexcept nogil:
    return (
        (<uint32_t>(<uint8_t>p[0]) << 24)
        | (<uint32_t>(<uint8_t>p[1]) << 16)
        | (<uint32_t>(<uint8_t>p[2]) << 8)
        | <uint32_t>(<uint8_t>p[3])
    )


cdef inline int32_t get_int32(const char *p) noexcept nogil:
    return <int32_t>get_uint32(p)


cdef inline int64_t get_int64(const char *p) noexcept nogil:
    return <int64_t>((<uint64_t>get_uint32(p) << 32) | <uint64_t>get_uint32(p + 4))


# Checksums of memory; called once per batch, so a function pointer is fine.
cdef uint32_t crc32c_of(const char *data, Py_ssize_t size) noexcept nogil
# CRC-32 of magic 0 and 1 (zlib's).
cdef uint32_t crc32_of(const char *data, Py_ssize_t size) except? 0

# `value` as an int64: TypeError naming `what` unless it is an integer.
cdef int64_t as_int64(object value, str what) except? -1
# Milliseconds since the epoch, now.
cdef int64_t now_ms() except? -1
