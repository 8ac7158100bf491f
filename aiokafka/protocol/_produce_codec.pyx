# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, binding=False
"""The ordinary Produce request and its ordinary answer, laid out without a schema.

Its plain Python twin is the schema itself: for whatever is not ordinary (a value of another
type, an error message, a tagged field, damaged bytes) the functions here return None, and the
caller takes the way that is declared in :mod:`aiokafka.protocol.produce`.  The tests compare the
two for every version, byte for byte.

Pure functions: no tasks, no futures.
"""
from cpython.bytearray cimport (
    PyByteArray_AS_STRING,
    PyByteArray_CheckExact,
    PyByteArray_GET_SIZE,
)
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.dict cimport PyDict_CheckExact, PyDict_GetItemWithError
from cpython.list cimport PyList_Append, PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_CheckExact, PyUnicode_DecodeUTF8
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    # From this version on: varint lengths and tagged fields; topic ids in place of names.
    FIRST_FLEXIBLE = 9
    FIRST_WITH_IDS = 13
    # More than the fields between two names, or two record sets, take.
    ROOM = 64
    # Below this many bytes copying a record set costs less than handing it around separately.
    COPY_BELOW = 2048
    LONGEST_NAME = 32767

cdef object _new_tuple = tuple.__new__


cdef inline char *put16(char *p, int16_t value) noexcept:
    p[0] = <char>(value >> 8)
    p[1] = <char>value
    return p + 2


cdef inline char *put32(char *p, int32_t value) noexcept:
    cdef uint32_t bits = <uint32_t>value
    p[0] = <char>(bits >> 24)
    p[1] = <char>(bits >> 16)
    p[2] = <char>(bits >> 8)
    p[3] = <char>bits
    return p + 4


cdef inline char *put_uvarint(char *p, uint32_t value) noexcept:
    while value > 127:
        p[0] = <char>(value & 127 | 128)
        value >>= 7
        p += 1
    p[0] = <char>value
    return p + 1


cdef char *put_name(char *p, bytes name, bint flexible) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(name)
    p = put_uvarint(p, <uint32_t>size + 1) if flexible else put16(p, <int16_t>size)
    memcpy(p, PyBytes_AS_STRING(name), size)
    return p + size


cdef class Out:
    """Buffers to be sent one after the other, the last of them still being written."""

    cdef list parts
    cdef char *start
    cdef char *pos
    cdef Py_ssize_t capacity

    def __dealloc__(self):
        PyMem_Free(self.start)

    cdef int reserve(self, Py_ssize_t size) except -1:
        """Have room for *size* more bytes."""
        cdef Py_ssize_t used = self.pos - self.start
        cdef char *data
        if size <= self.capacity - used:
            return 0
        self.capacity = 2 * self.capacity + size
        data = <char *>PyMem_Realloc(self.start, self.capacity)
        if data is NULL:
            raise MemoryError()
        self.start = data
        self.pos = data + used
        return 0

    cdef int cut(self) except -1:
        """End the buffer being written; begin another one."""
        PyList_Append(
            self.parts, PyBytes_FromStringAndSize(self.start, self.pos - self.start)
        )
        self.pos = self.start
        return 0


cdef bytes _utf8(object text):
    """*text* as bytes, None if it cannot be written."""
    cdef bytes raw
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return None
    return raw if PyBytes_GET_SIZE(raw) <= LONGEST_NAME else None


def encode(int version, transactional_id, acks, timeout, topics, topic_ids):
    """The request as a list of buffers, record sets as they are; None if it is not ordinary."""
    cdef bint flexible = version >= FIRST_FLEXIBLE
    cdef Out out = Out.__new__(Out)
    cdef bytes name
    cdef object topic, rows
    cdef Py_ssize_t i
    if not (
        PyList_CheckExact(topics)
        and PyLong_CheckExact(acks)
        and PyLong_CheckExact(timeout)
        and -0x8000 <= acks < 0x8000
        and -0x80000000 <= timeout < 0x80000000
        and PyList_GET_SIZE(topics) < 0x1000000
    ):
        return None
    out.parts = []
    if transactional_id is not None:
        if version < 3 or not PyUnicode_CheckExact(transactional_id):
            return None
        name = _utf8(transactional_id)
        if name is None:
            return None
        out.reserve(PyBytes_GET_SIZE(name) + ROOM)
        out.pos = put_name(out.pos, name, flexible)
    else:
        out.reserve(ROOM)
        if flexible:
            out.pos = put_uvarint(out.pos, 0)
        elif version >= 3:
            out.pos = put16(out.pos, -1)
    out.pos = put16(out.pos, acks)
    out.pos = put32(out.pos, timeout)
    out.pos = _put_count(out.pos, PyList_GET_SIZE(topics), flexible)
    for i in range(PyList_GET_SIZE(topics)):
        item = <object>PyList_GET_ITEM(topics, i)
        if not (PyTuple_CheckExact(item) and PyTuple_GET_SIZE(item) == 2):
            return None
        topic = <object>PyTuple_GET_ITEM(item, 0)
        rows = <object>PyTuple_GET_ITEM(item, 1)
        if not PyUnicode_CheckExact(topic):
            return None
        if version >= FIRST_WITH_IDS:
            found = topic_ids.get(topic)
            if found is None:
                return None
            name = found.bytes
        else:
            name = _utf8(topic)
            if name is None:
                return None
        if not _put_topic(out, name, rows, version):
            return None
    if flexible:
        out.pos = put_uvarint(out.pos, 0)
    if out.pos != out.start:
        out.cut()
    return out.parts


cdef inline char *_put_count(char *p, Py_ssize_t count, bint flexible) noexcept:
    if flexible:
        return put_uvarint(p, <uint32_t>count + 1)
    return put32(p, <int32_t>count)


cdef int _put_topic(Out out, bytes name, object rows, int version) except -1:
    """Write a topic's row; 0 if it is not ordinary."""
    cdef bint flexible = version >= FIRST_FLEXIBLE
    cdef object partition, records
    cdef Py_ssize_t i, size
    cdef char *data
    if not (PyList_CheckExact(rows) and PyList_GET_SIZE(rows) < 0x1000000):
        return 0
    out.reserve(PyBytes_GET_SIZE(name) + ROOM)
    if version >= FIRST_WITH_IDS:
        memcpy(out.pos, PyBytes_AS_STRING(name), 16)
        out.pos += 16
    else:
        out.pos = put_name(out.pos, name, flexible)
    out.pos = _put_count(out.pos, PyList_GET_SIZE(rows), flexible)
    for i in range(PyList_GET_SIZE(rows)):
        row = <object>PyList_GET_ITEM(rows, i)
        if not (PyTuple_CheckExact(row) and PyTuple_GET_SIZE(row) == 2):
            return 0
        partition = <object>PyTuple_GET_ITEM(row, 0)
        records = <object>PyTuple_GET_ITEM(row, 1)
        if not (PyLong_CheckExact(partition) and -0x80000000 <= partition < 0x80000000):
            return 0
        if PyByteArray_CheckExact(records):
            data = PyByteArray_AS_STRING(records)
            size = PyByteArray_GET_SIZE(records)
        elif PyBytes_CheckExact(records):
            data = PyBytes_AS_STRING(records)
            size = PyBytes_GET_SIZE(records)
        else:
            return 0
        if size > 0x7FFFFFF0:
            return 0
        out.reserve(ROOM)
        out.pos = put32(out.pos, partition)
        if flexible:
            out.pos = put_uvarint(out.pos, <uint32_t>size + 1)
        else:
            out.pos = put32(out.pos, <int32_t>size)
        if size < COPY_BELOW:
            out.reserve(size + ROOM)
            memcpy(out.pos, data, size)
            out.pos += size
        else:
            out.cut()
            PyList_Append(out.parts, records)
        if flexible:
            out.pos = put_uvarint(out.pos, 0)
    if flexible:
        out.pos = put_uvarint(out.pos, 0)
    return 1


cdef class In:
    """Where a reader stands; ``bad`` once it met the end or something that is not ordinary."""

    cdef const uint8_t *pos
    cdef const uint8_t *end
    cdef bint bad

    cdef inline bint lacks(self, Py_ssize_t size) noexcept:
        if self.end - self.pos < size:
            self.bad = True
        return self.bad

    cdef uint64_t fixed(self, int size) noexcept:
        cdef uint64_t value = 0
        cdef int i
        if self.lacks(size):
            return 0
        for i in range(size):
            value = value << 8 | self.pos[i]
        self.pos += size
        return value

    cdef int64_t int64(self) noexcept:
        return <int64_t>self.fixed(8)

    cdef int32_t int32(self) noexcept:
        return <int32_t>self.fixed(4)

    cdef int16_t int16(self) noexcept:
        return <int16_t>self.fixed(2)

    cdef uint32_t uvarint(self) noexcept:
        """Of three bytes at most: whatever is longer is not ordinary."""
        cdef uint32_t value = 0
        cdef uint8_t byte
        cdef int shift
        for shift in range(0, 21, 7):
            if self.lacks(1):
                return 0
            byte = self.pos[0]
            self.pos += 1
            value |= <uint32_t>(byte & 127) << shift
            if byte < 128:
                return value
        self.bad = True
        return 0

    cdef Py_ssize_t count(self, bint flexible) noexcept:
        """A count; null is not ordinary, nor is one that the bytes left cannot hold."""
        cdef Py_ssize_t count
        count = <Py_ssize_t>self.uvarint() - 1 if flexible else self.int32()
        if count < 0 or count > self.end - self.pos:
            self.bad = True
        return count

    cdef int no_tags(self) noexcept:
        if self.uvarint():
            self.bad = True
        return 0


def decode(int version, frame, Py_ssize_t start, names, result_type):
    """The answer's results, one *result_type* for each partition, and its throttle time.

    Parameters:
        names: from topic id, as bytes, to name; for the versions that have ids.

    None if the answer is not ordinary.
    """
    cdef bint flexible = version >= FIRST_FLEXIBLE
    cdef In data = In.__new__(In)
    cdef list results = []
    cdef Py_ssize_t topics, partitions
    cdef object topic
    cdef int32_t throttle = 0
    if not PyBytes_CheckExact(frame) or start > PyBytes_GET_SIZE(frame):
        return None
    data.pos = <const uint8_t *>PyBytes_AS_STRING(frame) + start
    data.end = <const uint8_t *>PyBytes_AS_STRING(frame) + PyBytes_GET_SIZE(frame)
    topics = data.count(flexible)
    while topics > 0 and not data.bad:
        topics -= 1
        topic = _topic(data, version, names)
        if topic is None:
            return None
        partitions = data.count(flexible)
        while partitions > 0 and not data.bad:
            partitions -= 1
            PyList_Append(results, _result(data, version, topic, result_type))
        if flexible:
            data.no_tags()
    if version >= 1:
        throttle = data.int32()
    if flexible:
        data.no_tags()
    return None if data.bad else (results, throttle)


cdef object _topic(In data, int version, object names):
    """A topic's name; None if it is not ordinary."""
    cdef const char *raw
    cdef Py_ssize_t size
    cdef PyObject *found
    if version >= FIRST_WITH_IDS:
        if data.lacks(16) or not PyDict_CheckExact(names):
            return None
        found = PyDict_GetItemWithError(
            names, PyBytes_FromStringAndSize(<const char *>data.pos, 16)
        )
        data.pos += 16
        return None if found is NULL else <object>found
    if version >= FIRST_FLEXIBLE:
        size = <Py_ssize_t>data.uvarint() - 1
    else:
        size = data.int16()
    if size < 0 or data.lacks(size):
        return None
    raw = <const char *>data.pos
    data.pos += size
    try:
        return PyUnicode_DecodeUTF8(raw, size, NULL)
    except UnicodeDecodeError:
        return None


cdef object _result(In data, int version, object topic, object result_type):
    cdef int32_t partition = data.int32()
    cdef int16_t error_code = data.int16()
    cdef int64_t base_offset = data.int64()
    cdef int64_t timestamp = -1
    cdef object log_start_offset = None
    cdef object record_errors = [] if version >= 8 else ()
    if version >= 2:
        timestamp = data.int64()
    if version >= 5:
        log_start_offset = data.int64()
    if version >= FIRST_FLEXIBLE:
        # No record errors, no message, no tags.
        if data.uvarint() != 1 or data.uvarint() != 0 or data.uvarint() != 0:
            data.bad = True
    elif version == 8 and (data.int32() != 0 or data.int16() != -1):
        data.bad = True
    return _new_tuple(
        result_type,
        (
            topic, partition, error_code, base_offset, timestamp, log_start_offset,
            None, record_errors, -1, -1,
        ),
    )
