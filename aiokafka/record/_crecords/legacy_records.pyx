# cython: language_level=3, boundscheck=False, wraparound=False
"""Messages of magic 0 and 1, compiled: the builder and the reader.

The twins in plain Python are in ``_legacy_builder`` and ``_legacy_reader``; both give
the same bytes and the same errors. Pure computation: no tasks, no futures, no I/O.
Brokers of today do not keep these formats, so the aim here is parity, not speed.
"""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from aiokafka.record._crecords.cutil cimport (
    as_int64,
    crc32_of,
    get_int32,
    get_int64,
    get_uint32,
    now_ms,
    put_int32,
    put_int64,
)

from aiokafka.errors import CorruptRecordException
from aiokafka.record._compression import check_legacy_codec, compress, decompress

cdef enum:
    SIZE_OFFSET = 8
    LOG_OVERHEAD = 12
    CRC_OFFSET = 12
    MAGIC_OFFSET = 16
    ATTRIBUTES_OFFSET = 17
    TIMESTAMP_OFFSET = 18
    OVERHEAD_V0 = 14
    OVERHEAD_V1 = 22
    CODEC_MASK = 0x07
    TIMESTAMP_TYPE_MASK = 0x08
    INT32_MAX = 2147483647


cdef int _overhead(int magic) except -1:
    if magic == 0:
        return OVERHEAD_V0
    if magic == 1:
        return OVERHEAD_V1
    raise ValueError(f"magic must be 0 or 1, not {magic}")


cdef bytes _as_bytes(object value):
    cdef Py_buffer view
    if value is None or type(value) is bytes:
        return value
    PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
    try:
        return PyBytes_FromStringAndSize(<char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


@cython.final
cdef class LegacyRecordMetadata:
    """Where an appended record went: offset, CRC, size in bytes, timestamp in ms."""

    cdef readonly int64_t offset
    cdef readonly uint32_t crc
    cdef readonly Py_ssize_t size
    cdef readonly int64_t timestamp

    def __init__(self, int64_t offset, uint32_t crc, Py_ssize_t size, int64_t timestamp):
        self.offset = offset
        self.crc = crc
        self.size = size
        self.timestamp = timestamp

    def __repr__(self):
        return (
            f"LegacyRecordMetadata(offset={self.offset}, crc={self.crc}, "
            f"size={self.size}, timestamp={self.timestamp})"
        )


cdef char *_put_bytes(char *p, bytes value) noexcept:
    cdef Py_ssize_t size
    if value is None:
        put_int32(p, -1)
        return p + 4
    size = PyBytes_GET_SIZE(value)
    put_int32(p, <int32_t>size)
    memcpy(p + 4, PyBytes_AS_STRING(value), <size_t>size)
    return p + 4 + size


cdef uint32_t _put_message(
    char *p,
    Py_ssize_t size,
    int magic,
    int64_t offset,
    int attributes,
    int64_t timestamp,
    bytes key,
    bytes value,
) except? 0:
    """Write a message of `size` bytes in all at `p`; return its CRC."""
    cdef uint32_t crc
    cdef char *q = p + TIMESTAMP_OFFSET
    put_int64(p, offset)
    put_int32(p + SIZE_OFFSET, <int32_t>(size - LOG_OVERHEAD))
    p[MAGIC_OFFSET] = <char>magic
    p[ATTRIBUTES_OFFSET] = <char>attributes
    if magic:
        put_int64(q, timestamp)
        q += 8
    _put_bytes(_put_bytes(q, key), value)
    crc = crc32_of(p + MAGIC_OFFSET, size - MAGIC_OFFSET)
    put_int32(p + CRC_OFFSET, <int32_t>crc)
    return crc


cdef Py_ssize_t _message_size(int magic, bytes key, bytes value) except -1:
    cdef Py_ssize_t size = LOG_OVERHEAD + _overhead(magic)
    if (key is not None and PyBytes_GET_SIZE(key) > INT32_MAX - 64) or (
        value is not None and PyBytes_GET_SIZE(value) > INT32_MAX - 64
    ):
        raise ValueError("a message must be smaller than 2 GiB")
    if key is not None:
        size += PyBytes_GET_SIZE(key)
    if value is not None:
        size += PyBytes_GET_SIZE(value)
    if size > INT32_MAX:
        raise ValueError("a message must be smaller than 2 GiB")
    return size


cdef class LegacyRecordBatchBuilder:
    """Builds one message set of magic 0 or 1."""

    CODEC_MASK = 0x07
    CODEC_NONE = 0
    CODEC_GZIP = 1
    CODEC_SNAPPY = 2
    CODEC_LZ4 = 3

    cdef char *_data
    cdef Py_ssize_t _capacity
    cdef Py_ssize_t _pos
    cdef Py_ssize_t _batch_size
    cdef int _magic
    cdef int _compression_type
    cdef int64_t _last_offset
    cdef int64_t _max_timestamp

    def __init__(self, int magic, int compression_type, Py_ssize_t batch_size):
        _overhead(magic)
        self._magic = magic
        self._compression_type = compression_type & CODEC_MASK
        self._batch_size = batch_size
        self._max_timestamp = -1

    def __dealloc__(self):
        PyMem_Free(self._data)

    def append(self, offset, timestamp, key, value, headers=None):
        """Append a record; None when the message set is full.

        Raises ValueError for headers, which these formats do not have.
        """
        cdef int64_t record_offset, record_timestamp
        cdef bytes key_bytes, value_bytes
        cdef Py_ssize_t size
        cdef uint32_t crc
        if headers:
            raise ValueError(f"magic {self._magic} has no record headers")
        record_offset = as_int64(offset, "offset")
        if self._magic == 0:
            record_timestamp = -1
        elif timestamp is None:
            record_timestamp = now_ms()
        else:
            record_timestamp = as_int64(timestamp, "timestamp")
        key_bytes = _as_bytes(key)
        value_bytes = _as_bytes(value)
        size = _message_size(self._magic, key_bytes, value_bytes)
        if self._pos and (self._pos + size > self._batch_size or self._pos + size > INT32_MAX):
            return None
        self._reserve(self._pos + size)
        crc = _put_message(
            self._data + self._pos,
            size,
            self._magic,
            record_offset,
            0,
            record_timestamp,
            key_bytes,
            value_bytes,
        )
        self._pos += size
        self._last_offset = record_offset
        if record_timestamp > self._max_timestamp:
            self._max_timestamp = record_timestamp
        return LegacyRecordMetadata(record_offset, crc, size, record_timestamp)

    cdef int _reserve(self, Py_ssize_t needed) except -1:
        cdef Py_ssize_t capacity
        cdef char *data
        if needed <= self._capacity:
            return 0
        capacity = needed + needed // 2
        data = <char *>PyMem_Realloc(self._data, <size_t>capacity)
        if data is NULL:
            raise MemoryError()
        self._data = data
        self._capacity = capacity
        return 0

    def build(self):
        """The message set as bytes. Raises UnsupportedCodecError.

        May be called again, and gives a new bytearray each time.
        """
        cdef bytearray out
        cdef bytes packed
        cdef Py_ssize_t size
        if self._compression_type == 0:
            return PyByteArray_FromStringAndSize(self._data, self._pos)
        check_legacy_codec(self._compression_type, self._magic)
        packed = compress(
            self._compression_type,
            PyByteArray_FromStringAndSize(self._data, self._pos),
            None,
        )
        size = _message_size(self._magic, None, packed)
        out = PyByteArray_FromStringAndSize(NULL, size)
        # The offset of a message that holds others is that of the last of them.
        _put_message(
            PyByteArray_AS_STRING(out),
            size,
            self._magic,
            self._last_offset,
            self._compression_type,
            self._max_timestamp,
            None,
            packed,
        )
        return out

    def size(self):
        """Size in bytes of the message set so far, before compression."""
        return self._pos

    def size_in_bytes(self, offset, timestamp, key, value):
        """Bytes that this record would add."""
        return _message_size(self._magic, _as_bytes(key), _as_bytes(value))

    @classmethod
    def record_overhead(cls, int magic):
        """Bytes of a message besides offset, size, key and value."""
        return _overhead(magic)


@cython.final
cdef class LegacyRecord:
    """One message: offset, timestamp in ms, key and value."""

    cdef readonly int64_t offset
    cdef readonly object timestamp
    cdef readonly object timestamp_type
    cdef readonly object key
    cdef readonly object value
    cdef readonly uint32_t checksum

    def __init__(self, int64_t offset, timestamp, timestamp_type, key, value, uint32_t crc):
        self.offset = offset
        self.timestamp = timestamp
        self.timestamp_type = timestamp_type
        self.key = key
        self.value = value
        self.checksum = crc

    @property
    def headers(self):
        return []

    def __repr__(self):
        return (
            f"LegacyRecord(offset={self.offset}, timestamp={self.timestamp}, "
            f"timestamp_type={self.timestamp_type}, key={self.key!r}, "
            f"value={self.value!r}, crc={self.checksum})"
        )


cdef struct Message:
    int64_t offset
    uint32_t crc
    int attributes
    int64_t timestamp
    const char *key
    Py_ssize_t key_size
    const char *value
    Py_ssize_t value_size
    const char *end


cdef object _corrupt(str what):
    return CorruptRecordException(f"Corrupt message: {what}")


cdef const char *_get_sized(
    const char *p, const char *end, const char **data, Py_ssize_t *size
) except NULL:
    """Read a length (-1: null) and that many bytes; return the place after them."""
    cdef int32_t length
    if end - p < 4:
        raise _corrupt("a length is truncated")
    length = get_int32(p)
    p += 4
    if length < -1 or length > end - p:
        raise _corrupt(f"length {length} with {end - p} bytes left")
    data[0] = p
    size[0] = length
    return p if length < 0 else p + length


cdef int _read(const char *p, const char *end, int magic, Message *message) except -1:
    """Read the message at `p`, which must be whole."""
    cdef Py_ssize_t left = end - p
    cdef int overhead = OVERHEAD_V1 if magic else OVERHEAD_V0
    cdef int32_t size
    if left < LOG_OVERHEAD + overhead:
        raise _corrupt(f"{left} bytes left are less than a header")
    size = get_int32(p + SIZE_OFFSET)
    if <signed char>p[MAGIC_OFFSET] != magic:
        raise _corrupt(f"magic {<signed char>p[MAGIC_OFFSET]} inside of magic {magic}")
    if size < overhead or size > left - LOG_OVERHEAD:
        raise _corrupt(f"a message of {size} bytes with {left - LOG_OVERHEAD} left")
    message.end = p + LOG_OVERHEAD + size
    message.offset = get_int64(p)
    message.crc = get_uint32(p + CRC_OFFSET)
    message.attributes = <signed char>p[ATTRIBUTES_OFFSET]
    message.timestamp = -1
    p += TIMESTAMP_OFFSET
    if magic:
        message.timestamp = get_int64(p)
        p += 8
    p = _get_sized(p, message.end, &message.key, &message.key_size)
    p = _get_sized(p, message.end, &message.value, &message.value_size)
    if p is not message.end:
        raise _corrupt(f"{message.end - p} bytes left after the value")
    return 0


cdef class LegacyRecordBatch:
    """One message as read from a broker, with the messages inside it."""

    CODEC_MASK = 0x07
    CODEC_NONE = 0
    CODEC_GZIP = 1
    CODEC_SNAPPY = 2
    CODEC_LZ4 = 3
    is_control_batch = False
    is_transactional = False
    producer_id = None

    cdef Py_buffer _view
    cdef bint _has_view
    cdef int _magic
    cdef int64_t _offset
    cdef uint32_t _crc
    cdef int _attributes

    def __init__(self, buffer, int magic):
        cdef const char *p
        if self._has_view:
            raise TypeError("a batch cannot be given another buffer")
        PyObject_GetBuffer(buffer, &self._view, PyBUF_SIMPLE)
        self._has_view = True
        self._magic = magic
        if self._view.len < LOG_OVERHEAD + (OVERHEAD_V1 if magic else OVERHEAD_V0):
            raise _corrupt(f"{self._view.len} bytes are less than its header")
        p = <const char *>self._view.buf
        self._offset = get_int64(p)
        self._crc = get_uint32(p + CRC_OFFSET)
        self._attributes = <signed char>p[ATTRIBUTES_OFFSET]

    def __dealloc__(self):
        if self._has_view:
            PyBuffer_Release(&self._view)

    @property
    def compression_type(self):
        return self._attributes & CODEC_MASK

    @property
    def timestamp_type(self):
        if self._magic == 0:
            return None
        return 1 if self._attributes & TIMESTAMP_TYPE_MASK else 0

    @property
    def next_offset(self):
        return <object>self._offset + 1

    def validate_crc(self):
        """Whether the checksum is right."""
        if not self._has_view or self._view.len < MAGIC_OFFSET:
            raise _corrupt("no header")
        return self._crc == crc32_of(
            <const char *>self._view.buf + MAGIC_OFFSET, self._view.len - MAGIC_OFFSET
        )

    def __iter__(self):
        return iter(self._records())

    cdef list _records(self):
        cdef Message outer
        cdef Message message
        cdef const char *p
        cdef const char *end
        cdef bytes data
        cdef int64_t base = 0
        cdef list records = []
        if not self._has_view:
            raise _corrupt("no header")
        p = <const char *>self._view.buf
        end = p + self._view.len
        _read(p, end, self._magic, &outer)
        if outer.end is not end:
            raise _corrupt(f"{end - outer.end} bytes left after it")
        if not outer.attributes & CODEC_MASK:
            records.append(self._record(&outer, &outer, 0))
            return records
        check_legacy_codec(outer.attributes & CODEC_MASK, self._magic)
        if outer.value_size < 0:
            raise _corrupt("a codec without a value")
        data = decompress(
            outer.attributes & CODEC_MASK,
            PyBytes_FromStringAndSize(outer.value, outer.value_size),
        )
        end = PyBytes_AS_STRING(data) + PyBytes_GET_SIZE(data)
        # Magic 1 counts inner offsets from 0 (KIP-31): the last is the outer's. So
        # they are walked twice, first for the last offset.
        p = PyBytes_AS_STRING(data)
        while p is not end:
            _read(p, end, self._magic, &message)
            if message.attributes & CODEC_MASK:
                raise _corrupt("compression inside of compression")
            if self._magic:
                base = <int64_t>(<uint64_t>outer.offset - <uint64_t>message.offset)
            p = message.end
        p = PyBytes_AS_STRING(data)
        while p is not end:
            _read(p, end, self._magic, &message)
            records.append(self._record(&message, &outer, base))
            p = message.end
        return records

    cdef LegacyRecord _record(self, Message *message, Message *outer, int64_t base):
        cdef LegacyRecord record = LegacyRecord.__new__(LegacyRecord)
        record.offset = <int64_t>(<uint64_t>message.offset + <uint64_t>base)
        if self._magic:
            # Log append time is known to the broker alone, which writes it outside.
            if outer.attributes & TIMESTAMP_TYPE_MASK:
                record.timestamp = outer.timestamp
                record.timestamp_type = 1
            else:
                record.timestamp = message.timestamp
                record.timestamp_type = 0
        if message.key_size >= 0:
            record.key = PyBytes_FromStringAndSize(message.key, message.key_size)
        if message.value_size >= 0:
            record.value = PyBytes_FromStringAndSize(message.value, message.value_size)
        record.checksum = message.crc
        return record
