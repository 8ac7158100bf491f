# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Record batches of magic 2, compiled: the builder. The reader is in ``default_reader``.

The twin in plain Python is in :mod:`aiokafka.record.default_records`; both
give the same bytes and the same errors. Pure computation: no tasks, no
futures, no I/O.
"""
cimport cython
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.list cimport PyList_Check, PyList_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from aiokafka.record._crecords.cutil cimport (
    MAX_VARINT_SIZE,
    as_int64,
    crc32c_of,
    now_ms,
    put_int16,
    put_int32,
    put_int64,
    put_varint,
    varint_size,
)

from aiokafka.record._compression import check_level, compress
from aiokafka.record._crecords.default_reader import DefaultRecord, DefaultRecordBatch

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

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
    TRANSACTIONAL_MASK = 0x10
    # Java's upper bound of what a record takes besides key, value and headers:
    # length (5) + attributes (1) + timestamp delta (10) + offset delta (5)
    MAX_RECORD_OVERHEAD = 21
    INITIAL_CAPACITY = 512
    INT32_MAX = 2147483647


# --------------------------------------------------------------------- memory


cdef int _reserve(Block *block, Py_ssize_t needed) except -1:
    """Make `block` hold at least `needed` bytes; it grows by doubling."""
    cdef Py_ssize_t capacity = block.capacity
    cdef char *data
    if needed <= capacity:
        return 0
    if capacity == 0:
        capacity = INITIAL_CAPACITY
    while capacity < needed:
        if capacity > PY_SSIZE_T_MAX // 2:
            raise MemoryError()
        capacity *= 2
    data = <char *>PyMem_Realloc(block.data, <size_t>capacity)
    if data is NULL:
        raise MemoryError()
    block.data = data
    block.capacity = capacity
    return 0


# -------------------------------------------------------------------- headers


cdef Py_ssize_t _encode_headers(Block *block, object headers) except -1:
    """Encode the header count and the headers into `block`; return the size.

    One pass into memory of our own: converting a foreign buffer can run Python
    code, so sizes measured beforehand could not be trusted.
    """
    cdef Py_ssize_t pos, count, i
    if PyList_Check(headers):
        count = PyList_GET_SIZE(headers)
    elif PyTuple_Check(headers):
        count = PyTuple_GET_SIZE(headers)
    else:
        raise TypeError(
            f"headers must be a list of (str, bytes) tuples, not {type(headers).__name__}"
        )
    _reserve(block, MAX_VARINT_SIZE)
    pos = put_varint(block.data, count) - block.data
    for i in range(count):
        # Indexing, checked: a list may be changed by code that runs meanwhile.
        pos = _encode_header(block, pos, headers[i])
    return pos


cdef Py_ssize_t _encode_header(Block *block, Py_ssize_t pos, object header) except -1:
    cdef const char *key
    cdef Py_ssize_t key_size
    cdef Py_buffer view
    cdef object value
    if not (PyTuple_Check(header) or PyList_Check(header)) or len(header) != 2:
        raise TypeError(f"a header must be a tuple (str, bytes), not {header!r}")
    name = header[0]
    value = header[1]
    if not PyUnicode_Check(name):
        raise TypeError(f"a header's key must be a str, not {type(name).__name__}")
    key = PyUnicode_AsUTF8AndSize(name, &key_size)
    pos = _put_sized(block, pos, key, key_size)
    if value is None:
        return _put_sized(block, pos, NULL, -1)
    if PyBytes_Check(value):
        return _put_sized(block, pos, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
    try:
        return _put_sized(block, pos, <const char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef Py_ssize_t _put_sized(
    Block *block, Py_ssize_t pos, const char *data, Py_ssize_t size
) except -1:
    """Put a length (-1: null) and that many bytes at `pos`; return what follows."""
    cdef char *p
    if size > INT32_MAX:
        raise ValueError(f"a header of {size} bytes does not fit in a record")
    _reserve(block, pos + MAX_VARINT_SIZE + (size if size > 0 else 0))
    p = put_varint(block.data + pos, size)
    if size > 0:
        memcpy(p, data, <size_t>size)
        p += size
    return p - block.data


cdef inline bint _no_headers(object headers) noexcept:
    return (
        headers is None
        or (PyList_Check(headers) and PyList_GET_SIZE(headers) == 0)
        or (PyTuple_Check(headers) and PyTuple_GET_SIZE(headers) == 0)
    )


cdef Py_ssize_t _headers_size(object headers) except -1:
    cdef Block block
    if _no_headers(headers):
        return 1
    block.data = NULL
    block.capacity = 0
    try:
        return _encode_headers(&block, headers)
    finally:
        PyMem_Free(block.data)


cdef Py_ssize_t _bytes_size(object value) except? -2:
    """Size of a bytes-like object; -1 for None."""
    cdef Py_buffer view
    if value is None:
        return -1
    if PyBytes_Check(value):
        return PyBytes_GET_SIZE(value)
    PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
    try:
        return view.len
    finally:
        PyBuffer_Release(&view)


cdef Py_ssize_t _sized(object value) except -1:
    """Bytes that a key or a value takes with its length."""
    cdef Py_ssize_t size = _bytes_size(value)
    return varint_size(size) + (size if size > 0 else 0)


# -------------------------------------------------------------------- builder


@cython.final
@cython.freelist(32)
cdef class DefaultRecordMetadata:
    """Where an appended record went: relative offset, size in bytes, timestamp in ms."""

    def __init__(self, int64_t offset, Py_ssize_t size, int64_t timestamp):
        self.offset = offset
        self.size = size
        self.timestamp = timestamp

    @property
    def crc(self):
        return None

    def __repr__(self):
        return (
            f"DefaultRecordMetadata(offset={self.offset}, size={self.size}, "
            f"timestamp={self.timestamp})"
        )


cdef DefaultRecordMetadata _metadata(int64_t offset, Py_ssize_t size, int64_t timestamp):
    cdef DefaultRecordMetadata metadata = DefaultRecordMetadata.__new__(DefaultRecordMetadata)
    metadata.offset = offset
    metadata.size = size
    metadata.timestamp = timestamp
    return metadata


cdef class DefaultRecordBatchBuilder:
    """Builds one record batch of magic 2.

    Records are encoded as they come into one block of memory, which starts at
    512 bytes and doubles; `build` puts the header before them, so a batch may be
    built again after `set_producer_state` (KIP-360).
    """

    CODEC_MASK = 0x07
    CODEC_NONE = 0
    CODEC_GZIP = 1
    CODEC_SNAPPY = 2
    CODEC_LZ4 = 3
    CODEC_ZSTD = 4

    def __cinit__(self, *args, **kwargs):
        self._pos = HEADER_SIZE
        self._first_timestamp = -1
        self._max_timestamp = -1

    def __init__(
        self,
        int magic,
        int compression_type,
        bint is_transactional,
        int64_t producer_id,
        int16_t producer_epoch,
        int32_t base_sequence,
        Py_ssize_t batch_size,
        *,
        compression_level=None,
    ):
        if magic < 2:
            raise ValueError(f"magic must be 2 or more, not {magic}")
        check_level(compression_type, compression_level)
        self._magic = magic
        self._compression_type = compression_type & CODEC_MASK
        self._compression_level = compression_level
        self._is_transactional = is_transactional
        self._producer_id = producer_id
        self._producer_epoch = producer_epoch
        self._base_sequence = base_sequence
        self._batch_size = batch_size
        _reserve(&self._block, INITIAL_CAPACITY)

    def __dealloc__(self):
        PyMem_Free(self._block.data)
        PyMem_Free(self._scratch.data)

    @property
    def producer_id(self):
        return self._producer_id

    @property
    def producer_epoch(self):
        return self._producer_epoch

    @property
    def base_sequence(self):
        return self._base_sequence

    cpdef set_producer_state(self, producer_id, producer_epoch, base_sequence):
        """Set what the next `build` writes as producer id, epoch and first sequence."""
        cdef int64_t new_id = producer_id
        cdef int16_t new_epoch = producer_epoch
        self._base_sequence = base_sequence
        self._producer_id = new_id
        self._producer_epoch = new_epoch

    def append(self, offset, timestamp, key, value, headers):
        """Append a record; None when the batch is full.

        The first record always fits. `offset` is relative to the batch,
        `timestamp` in milliseconds (None: now).
        """
        cdef int64_t record_offset = as_int64(offset, "offset")
        cdef int64_t record_timestamp
        cdef Py_ssize_t size
        if timestamp is None:
            record_timestamp = now_ms()
        else:
            record_timestamp = as_int64(timestamp, "timestamp")
        size = self.append_record(record_offset, record_timestamp, key, value, headers)
        if size == 0:
            return None
        return _metadata(record_offset, size, record_timestamp)

    cdef Py_ssize_t append_record(
        self, int64_t offset, int64_t timestamp, object key, object value, object headers
    ) except -1:
        cdef const char *key_data = NULL
        cdef const char *value_data = NULL
        cdef Py_ssize_t key_size = -1
        cdef Py_ssize_t value_size = -1
        if PyBytes_Check(key):
            key_data = PyBytes_AS_STRING(key)
            key_size = PyBytes_GET_SIZE(key)
        elif key is not None:
            return self._append_buffers(offset, timestamp, key, value, headers)
        if PyBytes_Check(value):
            value_data = PyBytes_AS_STRING(value)
            value_size = PyBytes_GET_SIZE(value)
        elif value is not None:
            return self._append_buffers(offset, timestamp, key, value, headers)
        return self.append_raw(
            offset, timestamp, key_data, key_size, value_data, value_size, headers
        )

    cdef Py_ssize_t _append_buffers(
        self, int64_t offset, int64_t timestamp, object key, object value, object headers
    ) except -1:
        """`append_record` for a key or a value that is not plain bytes."""
        cdef Py_buffer key_view
        cdef Py_buffer value_view
        key_view.buf = NULL
        key_view.len = -1
        value_view.buf = NULL
        value_view.len = -1
        if key is not None:
            PyObject_GetBuffer(key, &key_view, PyBUF_SIMPLE)
        try:
            if value is not None:
                PyObject_GetBuffer(value, &value_view, PyBUF_SIMPLE)
            try:
                return self.append_raw(
                    offset,
                    timestamp,
                    <const char *>key_view.buf,
                    key_view.len,
                    <const char *>value_view.buf,
                    value_view.len,
                    headers,
                )
            finally:
                if value is not None:
                    PyBuffer_Release(&value_view)
        finally:
            if key is not None:
                PyBuffer_Release(&key_view)

    cdef Py_ssize_t append_raw(
        self,
        int64_t offset,
        int64_t timestamp,
        const char *key,
        Py_ssize_t key_size,
        const char *value,
        Py_ssize_t value_size,
        object headers,
    ) except -1:
        cdef Py_ssize_t headers_size
        if _no_headers(headers):
            return self._write_record(
                offset, timestamp, key, key_size, value, value_size, b"\0", 1
            )
        headers_size = _encode_headers(&self._scratch, headers)
        return self._write_record(
            offset,
            timestamp,
            key,
            key_size,
            value,
            value_size,
            self._scratch.data,
            headers_size,
        )

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
    ) except -1:
        cdef Py_ssize_t body, size
        cdef int64_t delta
        cdef char *p
        cdef char *start
        if offset < 0 or offset > INT32_MAX:
            raise ValueError(f"offset {offset} is not a relative offset of a batch")
        delta = 0
        if self._num_records:
            delta = _timestamp_delta(timestamp, self._first_timestamp)
        if (
            key_size > INT32_MAX
            or value_size > INT32_MAX
            or (key_size + value_size + headers_size > INT32_MAX - 64)
        ):
            raise ValueError("a record must be smaller than 2 GiB")
        body = (
            1
            + varint_size(delta)
            + varint_size(offset)
            + varint_size(key_size)
            + varint_size(value_size)
            + headers_size
        )
        if key_size > 0:
            body += key_size
        if value_size > 0:
            body += value_size
        size = varint_size(body) + body
        if self._num_records and (
            self._pos + size > self._batch_size or self._pos + size > INT32_MAX
        ):
            return 0
        _reserve(&self._block, self._pos + size)
        start = self._block.data + self._pos
        p = put_varint(start, body)
        p[0] = 0  # attributes, unused
        p = put_varint(p + 1, delta)
        p = put_varint(p, offset)
        p = put_varint(p, key_size)
        if key_size > 0:
            memcpy(p, key, <size_t>key_size)
            p += key_size
        p = put_varint(p, value_size)
        if value_size > 0:
            memcpy(p, value, <size_t>value_size)
            p += value_size
        if headers_size == 1:
            p[0] = headers[0]
        else:
            memcpy(p, headers, <size_t>headers_size)
        self._pos += size
        if self._num_records == 0:
            self._first_timestamp = timestamp
            self._max_timestamp = timestamp
        elif timestamp > self._max_timestamp:
            self._max_timestamp = timestamp
        self._num_records += 1
        self._last_offset = <int32_t>offset
        return size

    def size(self):
        """Size in bytes of the batch so far, before compression; 61 when empty."""
        return self._pos

    def size_in_bytes(self, offset, timestamp, key, value, headers):
        """Bytes that this record would add to the batch."""
        cdef int64_t delta = 0
        cdef Py_ssize_t body
        if self._num_records:
            delta = _timestamp_delta(as_int64(timestamp, "timestamp"), self._first_timestamp)
        body = (
            1
            + varint_size(delta)
            + varint_size(as_int64(offset, "offset"))
            + _sized(key)
            + _sized(value)
            + _headers_size(headers)
        )
        return varint_size(body) + body

    @classmethod
    def size_of(cls, key, value, headers):
        """Bytes of key, value and headers with their lengths."""
        return _sized(key) + _sized(value) + _headers_size(headers)

    @classmethod
    def estimate_size_in_bytes(cls, key, value, headers):
        """Upper bound of the size of a batch that holds only this record."""
        return (
            HEADER_SIZE
            + MAX_RECORD_OVERHEAD
            + _sized(key)
            + _sized(value)
            + _headers_size(headers)
        )

    cpdef bytearray build(self):
        """The batch as bytes: compressed, with header and checksum.

        May be called again, and gives a new bytearray each time.
        """
        cdef bytearray out
        cdef bytes packed
        cdef Py_ssize_t size
        if self._compression_type == 0:
            size = self._pos
            out = PyByteArray_FromStringAndSize(self._block.data, size)
        else:
            packed = compress(
                self._compression_type,
                PyMemoryView_FromMemory(
                    self._block.data + HEADER_SIZE, self._pos - HEADER_SIZE, PyBUF_READ
                ),
                self._compression_level,
            )
            size = HEADER_SIZE + PyBytes_GET_SIZE(packed)
            if size > INT32_MAX:
                raise ValueError("a record batch must be smaller than 2 GiB")
            out = PyByteArray_FromStringAndSize(NULL, size)
            memcpy(
                PyByteArray_AS_STRING(out) + HEADER_SIZE,
                PyBytes_AS_STRING(packed),
                <size_t>(size - HEADER_SIZE),
            )
        self._write_header(PyByteArray_AS_STRING(out), size)
        return out

    cdef void _write_header(self, char *out, Py_ssize_t size) noexcept:
        cdef int16_t attributes = <int16_t>self._compression_type
        if self._is_transactional:
            attributes |= TRANSACTIONAL_MASK
        put_int64(out, 0)  # base offset: the broker sets it
        put_int32(out + LENGTH_OFFSET, <int32_t>(size - AFTER_LENGTH_OFFSET))
        put_int32(out + AFTER_LENGTH_OFFSET, -1)  # partition leader epoch: likewise
        out[MAGIC_OFFSET] = <char>self._magic
        put_int16(out + ATTRIBUTES_OFFSET, attributes)
        put_int32(out + LAST_OFFSET_DELTA_OFFSET, self._last_offset)
        put_int64(out + FIRST_TIMESTAMP_OFFSET, self._first_timestamp)
        put_int64(out + MAX_TIMESTAMP_OFFSET, self._max_timestamp)
        put_int64(out + PRODUCER_ID_OFFSET, self._producer_id)
        put_int16(out + PRODUCER_EPOCH_OFFSET, self._producer_epoch)
        put_int32(out + BASE_SEQUENCE_OFFSET, self._base_sequence)
        put_int32(out + NUM_RECORDS_OFFSET, self._num_records)
        put_int32(
            out + CRC_OFFSET,
            <int32_t>crc32c_of(out + ATTRIBUTES_OFFSET, size - ATTRIBUTES_OFFSET),
        )


cdef int64_t _timestamp_delta(int64_t timestamp, int64_t first) except? -1:
    cdef int64_t delta = <int64_t>(<uint64_t>timestamp - <uint64_t>first)
    if ((timestamp ^ first) & (timestamp ^ delta)) < 0:
        raise OverflowError(f"timestamp {timestamp} is too far from the batch's first")
    return delta
