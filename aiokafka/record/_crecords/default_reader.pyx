# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The reader of record batches of magic 2, compiled.

The twin in plain Python is in :mod:`aiokafka.record._default_reader`; both give the same
records and the same errors. Pure computation: no tasks, no futures, no I/O.
"""
cimport cython
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t

from aiokafka.record._crecords.cutil cimport (
    crc32c_of,
    get_int16,
    get_int32,
    get_int64,
    get_uint32,
    get_varint,
)

from aiokafka.errors import CorruptRecordException
from aiokafka.record._compression import decompress

# Layout of a batch, https://kafka.apache.org/documentation/#recordbatch
cdef enum:
    LENGTH_OFFSET = 8
    AFTER_LENGTH_OFFSET = 12
    MAGIC_OFFSET = 16
    CRC_OFFSET = 17
    ATTRIBUTES_OFFSET = 21
    LAST_OFFSET_DELTA_OFFSET = 23
    FIRST_TIMESTAMP_OFFSET = 27
    MAX_TIMESTAMP_OFFSET = 35
    PRODUCER_ID_OFFSET = 43
    PRODUCER_EPOCH_OFFSET = 51
    BASE_SEQUENCE_OFFSET = 53
    NUM_RECORDS_OFFSET = 57
    HEADER_SIZE = 61
    CODEC_MASK = 0x07
    TIMESTAMP_TYPE_MASK = 0x08
    TRANSACTIONAL_MASK = 0x10
    CONTROL_MASK = 0x20


@cython.final
@cython.freelist(128)
cdef class DefaultRecord:
    """One record: offset, timestamp in ms, key, value and headers."""

    cdef readonly int64_t offset
    cdef readonly int64_t timestamp
    cdef readonly int timestamp_type
    cdef readonly object key
    cdef readonly object value
    # None stands for the empty list that most records would have to carry.
    cdef list _headers

    def __init__(self, int64_t offset, int64_t timestamp, int timestamp_type, key, value, headers):
        self.offset = offset
        self.timestamp = timestamp
        self.timestamp_type = timestamp_type
        self.key = key
        self.value = value
        self._headers = headers

    @property
    def headers(self):
        if self._headers is None:
            self._headers = []
        return self._headers

    @property
    def checksum(self):
        return None

    def __repr__(self):
        return (
            f"DefaultRecord(offset={self.offset}, timestamp={self.timestamp}, "
            f"timestamp_type={self.timestamp_type}, key={self.key!r}, "
            f"value={self.value!r}, headers={self.headers!r})"
        )


cdef object _corrupt(str what):
    return CorruptRecordException(f"Corrupt record batch: {what}")


cdef const char *_get_sized(
    const char *p, const char *end, const char **data, Py_ssize_t *size
) except NULL:
    """Read a length (-1: null) and that many bytes; return the place after them."""
    cdef int64_t length
    p = get_varint(p, end, &length)
    if p is NULL:
        raise _corrupt("a length is truncated or out of range")
    if length < -1:
        raise _corrupt(f"negative length {length}")
    if length > end - p:
        raise _corrupt(f"length {length} with {end - p} bytes left")
    data[0] = p
    size[0] = <Py_ssize_t>length
    return p if length < 0 else p + length


cdef inline object _bytes_or_none(const char *data, Py_ssize_t size):
    if size < 0:
        return None
    return PyBytes_FromStringAndSize(data, size)


cdef list decode_headers(Fields *fields):
    """The headers of a record, whose count has been checked to be positive."""
    cdef const char *p = fields.headers
    cdef const char *data = NULL
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t i
    cdef str key
    cdef list headers = []
    for i in range(fields.num_headers):
        p = _get_sized(p, fields.end, &data, &size)
        if size < 0:
            raise _corrupt("null header key")
        # As Java does: a key that is not UTF-8 must not make the record unreadable.
        key = PyUnicode_DecodeUTF8(<char *>data, size, "replace")
        p = _get_sized(p, fields.end, &data, &size)
        headers.append((key, _bytes_or_none(data, size)))
    if p is not fields.end:
        raise _corrupt(f"{fields.end - p} bytes left after the last field of a record")
    return headers


cdef class DefaultRecordBatch:
    """A record batch of magic 2 as read from a broker.

    Iterable, and its own iterator: a batch is read once. The buffer is kept, and
    decompressed when the first record is asked for.
    """

    CODEC_NONE = 0
    CODEC_GZIP = 1
    CODEC_SNAPPY = 2
    CODEC_LZ4 = 3
    CODEC_ZSTD = 4

    def __init__(self, buffer):
        if self._has_view:
            raise TypeError("a batch cannot be given another buffer")
        PyObject_GetBuffer(buffer, &self._view, PyBUF_SIMPLE)
        self._has_view = True
        if self._view.len < HEADER_SIZE:
            raise _corrupt(f"{self._view.len} bytes are less than its header")
        self._header = <const char *>self._view.buf
        self._base_offset = get_int64(self._header)
        self._first_timestamp = get_int64(self._header + FIRST_TIMESTAMP_OFFSET)
        self._max_timestamp = get_int64(self._header + MAX_TIMESTAMP_OFFSET)
        self._attributes = get_int16(self._header + ATTRIBUTES_OFFSET)

    def __dealloc__(self):
        if self._has_view:
            PyBuffer_Release(&self._view)

    cdef const char *_checked_header(self) except NULL:
        # NULL after `__new__` without `__init__`, or after an `__init__` that raised.
        if self._header is NULL:
            raise _corrupt("no header")
        return self._header

    @property
    def base_offset(self):
        return self._base_offset

    @property
    def partition_leader_epoch(self):
        return get_int32(self._checked_header() + AFTER_LENGTH_OFFSET)

    @property
    def magic(self):
        return <int>(<signed char>self._checked_header()[MAGIC_OFFSET])

    @property
    def crc(self):
        return get_uint32(self._checked_header() + CRC_OFFSET)

    @property
    def attributes(self):
        return self._attributes

    @property
    def compression_type(self):
        return self._attributes & CODEC_MASK

    @property
    def timestamp_type(self):
        return 1 if self._attributes & TIMESTAMP_TYPE_MASK else 0

    @property
    def is_transactional(self):
        return self._attributes & TRANSACTIONAL_MASK != 0

    @property
    def is_control_batch(self):
        return self._attributes & CONTROL_MASK != 0

    @property
    def last_offset_delta(self):
        return get_int32(self._checked_header() + LAST_OFFSET_DELTA_OFFSET)

    @property
    def first_timestamp(self):
        return self._first_timestamp

    @property
    def max_timestamp(self):
        return self._max_timestamp

    @property
    def producer_id(self):
        return get_int64(self._checked_header() + PRODUCER_ID_OFFSET)

    @property
    def producer_epoch(self):
        return get_int16(self._checked_header() + PRODUCER_EPOCH_OFFSET)

    @property
    def base_sequence(self):
        return get_int32(self._checked_header() + BASE_SEQUENCE_OFFSET)

    @property
    def record_count(self):
        return get_int32(self._checked_header() + NUM_RECORDS_OFFSET)

    @property
    def next_offset(self):
        return self.base_offset + self.last_offset_delta + 1

    cdef int64_t offset_after(self) except? -1:
        cdef int64_t delta = get_int32(self._checked_header() + LAST_OFFSET_DELTA_OFFSET)
        return <int64_t>(<uint64_t>self._base_offset + <uint64_t>delta + 1)

    def validate_crc(self):
        """Whether the checksum is right. To be asked before the records."""
        cdef const char *header = self._checked_header()
        assert not self._started, "validate_crc() must be called before iterating"
        return get_uint32(header + CRC_OFFSET) == crc32c_of(
            header + ATTRIBUTES_OFFSET, self._view.len - ATTRIBUTES_OFFSET
        )

    cdef int open(self) except -1:
        cdef const char *header = self._checked_header()
        cdef int64_t length = get_int32(header + LENGTH_OFFSET)
        cdef int32_t count = get_int32(header + NUM_RECORDS_OFFSET)
        cdef int codec = self._attributes & CODEC_MASK
        if length + AFTER_LENGTH_OFFSET != self._view.len:
            raise _corrupt(
                f"its length says {length + AFTER_LENGTH_OFFSET} bytes,"
                f" there are {self._view.len}"
            )
        if count < 0:
            raise _corrupt(f"negative record count {count}")
        if codec == 0:
            self._pos = header + HEADER_SIZE
            self._end = header + self._view.len
        elif self._view.len == HEADER_SIZE and count == 0:
            # What log compaction leaves of a compressed batch.
            self._pos = self._end = header + HEADER_SIZE
        else:
            self._unpacked = decompress(
                codec,
                PyMemoryView_FromMemory(
                    <char *>header + HEADER_SIZE, self._view.len - HEADER_SIZE, PyBUF_READ
                ),
            )
            self._pos = PyBytes_AS_STRING(self._unpacked)
            self._end = self._pos + PyBytes_GET_SIZE(self._unpacked)
        self._left = count
        self._started = True
        return 0

    def __iter__(self):
        if not self._started:
            self.open()
        return self

    def __next__(self):
        cdef Fields fields
        cdef DefaultRecord record
        if not self._started:
            self.open()
        if self._left == 0:
            self.check_end()
            raise StopIteration
        self.read(&fields)
        record = DefaultRecord.__new__(DefaultRecord)
        record.offset = fields.offset
        record.timestamp = fields.timestamp
        record.timestamp_type = 1 if self._attributes & TIMESTAMP_TYPE_MASK else 0
        record.key = _bytes_or_none(fields.key, fields.key_size)
        record.value = _bytes_or_none(fields.value, fields.value_size)
        if fields.num_headers:
            record._headers = decode_headers(&fields)
        self.advance(&fields)
        return record

    cdef int check_end(self) except -1:
        if self._pos is not self._end:
            raise _corrupt(f"{self._end - self._pos} bytes left after the last record")
        return 0

    cdef void advance(self, Fields *fields) noexcept:
        self._pos = fields.end
        self._left -= 1

    cdef int read(self, Fields *fields) except -1:
        """Read the record at `_pos`, all but its headers, without moving on."""
        cdef const char *p = self._pos
        cdef const char *end = self._end
        cdef int64_t length = 0
        cdef int64_t offset_delta = 0
        cdef int64_t timestamp_delta = 0
        cdef int64_t num_headers = 0
        p = get_varint(p, end, &length)
        if p is NULL:
            raise _corrupt("a record's length is truncated or out of range")
        if length < 0 or length > end - p:
            raise _corrupt(f"a record of {length} bytes with {end - p} bytes left")
        end = p + length
        fields.end = end
        if p is end:
            raise _corrupt("an empty record")
        p = get_varint(p + 1, end, &timestamp_delta)  # after the attributes, unused
        if p is not NULL:
            p = get_varint(p, end, &offset_delta)
        if p is NULL:
            raise _corrupt("a record is truncated in its deltas")
        p = _get_sized(p, end, &fields.key, &fields.key_size)
        p = _get_sized(p, end, &fields.value, &fields.value_size)
        p = get_varint(p, end, &num_headers)
        if p is NULL:
            raise _corrupt("a record's header count is truncated or out of range")
        # A header takes two bytes at least.
        if num_headers < 0 or num_headers > (end - p) // 2:
            raise _corrupt(f"{num_headers} headers with {end - p} bytes left")
        if num_headers == 0 and p is not end:
            raise _corrupt(f"{end - p} bytes left after the last field of a record")
        fields.headers = p
        fields.num_headers = <Py_ssize_t>num_headers
        # Unsigned sums: what a hostile batch overflows must wrap, not be undefined.
        fields.offset = <int64_t>(<uint64_t>self._base_offset + <uint64_t>offset_delta)
        if self._attributes & TIMESTAMP_TYPE_MASK:
            fields.timestamp = self._max_timestamp
        else:
            fields.timestamp = <int64_t>(
                <uint64_t>self._first_timestamp + <uint64_t>timestamp_delta
            )
        return 0
