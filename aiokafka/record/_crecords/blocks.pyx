# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""From a fetched block to the records that are given out, compiled.

The twin in plain Python, with the documentation, is in ``_block_reader``; both give the
same records and the same errors. Pure computation: no tasks, no futures, no I/O.
"""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.list cimport PyList_Append, PyList_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint64_t

from aiokafka.record._crecords.cutil cimport get_int32, get_int64
from aiokafka.record._crecords.default_reader cimport DefaultRecordBatch, Fields, decode_headers
from aiokafka.record._crecords.memory_records cimport MemoryRecords

from types import MemberDescriptorType

from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record._block_types import BlockSummary
from aiokafka.record._places import deserializing_failed, placed
from aiokafka.structs import ConsumerRecord, _RecordFields

cdef extern from *:
    """
    #include <structmember.h>

    /* Where the slots of a record are, in the order of the fields. */
    static Py_ssize_t aiokafka_slots[11];

    static void aiokafka_learn_slot(int index, PyObject *descriptor)
    {
        aiokafka_slots[index] = ((PyMemberDescrObject *)descriptor)->d_member->offset;
    }

    /* A new record: an instance of the class without a call of its Python __init__. */
    static PyObject *aiokafka_new_record(PyObject *cls, PyObject *const *fields)
    {
        PyObject *self = ((PyTypeObject *)cls)->tp_alloc((PyTypeObject *)cls, 0);
        if (self == NULL)
            return NULL;
        for (int i = 0; i < 11; i++) {
            Py_INCREF(fields[i]);
            *(PyObject **)((char *)self + aiokafka_slots[i]) = fields[i];
        }
        return self;
    }
    """
    ctypedef struct PyObject:
        pass
    const Py_ssize_t PY_SSIZE_T_MAX
    void aiokafka_learn_slot(int index, object descriptor)
    object aiokafka_new_record(object cls, PyObject **fields)

cdef enum:
    LOG_OVERHEAD = 12
    SIZE_OFFSET = 8
    LEADER_EPOCH_OFFSET = 12
    MAGIC_OFFSET = 16
    LAST_OFFSET_DELTA_OFFSET = 23
    MIN_SLICE = 14
    HEADER_SIZE = 61
    TIMESTAMP_TYPE_MASK = 0x08
    TRANSACTIONAL_MASK = 0x10
    CONTROL_MASK = 0x20

cdef int64_t INT64_MAX = 0x7FFFFFFFFFFFFFFF
cdef object MINUS_ONE = -1
cdef object ZERO = 0
cdef object ONE = 1


def _learn_slots():
    """Find the slots of a record; ImportError when this is not the Python we know."""
    for index, name in enumerate(ConsumerRecord.__dataclass_fields__):
        descriptor = _RecordFields.__dict__.get(name)
        if index >= 11 or type(descriptor) is not MemberDescriptorType:
            raise ImportError(f"the field {name} of ConsumerRecord is in no slot")
        aiokafka_learn_slot(index, descriptor)


_learn_slots()


def scan(block):
    """Summarise a block from the headers of its batches, without decompressing anything."""
    cdef Py_buffer view
    cdef const char *p
    cdef Py_ssize_t left
    cdef Py_ssize_t size
    cdef Py_ssize_t batches = 0
    cdef int64_t next_offset = -1
    cdef int64_t after
    cdef int32_t leader_epoch = -1
    cdef int64_t delta
    cdef int magic
    PyObject_GetBuffer(block, &view, PyBUF_SIMPLE)
    try:
        p = <const char *>view.buf
        left = view.len
        while left >= LOG_OVERHEAD:
            size = get_int32(p + SIZE_OFFSET)
            if size < MIN_SLICE or size > left - LOG_OVERHEAD:
                break
            size += LOG_OVERHEAD
            magic = <unsigned char>p[MAGIC_OFFSET]
            if magic > 2 or (magic == 2 and size < HEADER_SIZE):
                break
            delta = 0
            leader_epoch = -1
            if magic == 2:
                leader_epoch = get_int32(p + LEADER_EPOCH_OFFSET)
                delta = get_int32(p + LAST_OFFSET_DELTA_OFFSET)
            after = <int64_t>(<uint64_t>get_int64(p) + <uint64_t>delta + 1)
            if after > next_offset:
                next_offset = after
            batches += 1
            p += size
            left -= size
        return BlockSummary(next_offset, leader_epoch, view.len - left, batches, left == 0)
    finally:
        PyBuffer_Release(&view)


cdef inline object _bytes_or_none(const char *data, Py_ssize_t size):
    if size < 0:
        return None
    return PyBytes_FromStringAndSize(data, size)


@cython.final
cdef class BlockReader:
    """Gives out the records of one partition's block from an offset on."""

    cdef MemoryRecords _block
    cdef object _topic
    cdef object _partition
    cdef object _key_deserializer
    cdef object _value_deserializer
    cdef bint _check_crcs
    cdef object _filter
    cdef public int64_t next_offset
    cdef readonly int32_t leader_epoch
    # The batch at hand, whether its checksum is known to be right, whether it is open, and
    # the record of a control batch.
    cdef object _batch
    cdef bint _checked
    cdef bint _opened
    cdef object _control
    cdef int32_t _batch_epoch
    cdef object _timestamp_type
    # It again when it is of magic 2; otherwise its records, and the next of them.
    cdef DefaultRecordBatch _current
    cdef list _listed
    cdef Py_ssize_t _index
    # Objects that many records share.
    cdef int64_t _last_timestamp
    cdef object _timestamp
    cdef Py_ssize_t _last_size
    cdef object _size

    def __init__(
        self,
        MemoryRecords records not None,
        topic,
        partition,
        int64_t fetch_offset,
        key_deserializer=None,
        value_deserializer=None,
        bint check_crcs=True,
        batch_filter=None,
    ):
        self._block = records
        self._topic = topic
        self._partition = partition
        self._key_deserializer = key_deserializer
        self._value_deserializer = value_deserializer
        self._check_crcs = check_crcs
        self._filter = batch_filter
        self.next_offset = fetch_offset
        self.leader_epoch = -1
        self._last_timestamp = -1
        self._timestamp = MINUS_ONE
        self._last_size = -1
        self._size = MINUS_ONE

    @property
    def exhausted(self):
        return self._block is None or (self._batch is None and self._block.next_size() == 0)

    def __iter__(self):
        return self

    def __next__(self):
        record = self._next()
        if record is None:
            raise StopIteration
        return record

    def next_record(self):
        return self._next()

    def take(self, limit=None):
        cdef Py_ssize_t wanted = PY_SSIZE_T_MAX if limit is None else limit
        cdef list records = []
        try:
            while PyList_GET_SIZE(records) < wanted:
                record = self._next()
                if record is None:
                    break
                PyList_Append(records, record)
        except Exception:
            if PyList_GET_SIZE(records) == 0:
                raise
        return records

    cdef object _next(self):
        cdef Fields fields
        cdef object record
        try:
            if not self._find(&fields):
                return None
        except (CorruptRecordException, UnsupportedCodecError) as exc:
            after = None if self._batch is None else self._after()
            raise placed(exc, self._topic, self._partition, self.next_offset, after) from exc
        if self._current is None:
            return self._give_listed()
        return self._give(self._current, &fields)

    # Finding the next record

    cdef bint _find(self, Fields *fields) except -1:
        """Go to the next record to give out; 0 at the end."""
        cdef DefaultRecordBatch batch
        while True:
            if not self._opened:
                if not self._open():
                    return False
            elif self._current is not None:
                batch = self._current
                if batch._left:
                    batch.read(fields)
                    if fields.offset >= self.next_offset:
                        return True
                    if fields.num_headers:
                        decode_headers(fields)  # they are checked by that
                    batch.advance(fields)
                else:
                    batch.check_end()
                    self._leave_batch()
            elif self._listed is not None and self._index < PyList_GET_SIZE(self._listed):
                if self._listed[self._index].offset >= self.next_offset:
                    return True
                self._index += 1
            else:
                self._leave_batch()

    cdef bint _open(self) except -1:
        """Go to the next batch, and open it unless it is to be passed over."""
        cdef DefaultRecordBatch batch = None
        cdef object raw
        if self._batch is None:
            self._batch = None if self._block is None else self._block.next_batch()
            if self._batch is None:
                return False
            self._checked = not self._check_crcs
            self._control = None
        if self._after() <= self.next_offset:
            self._batch = None
            return True
        raw = self._batch
        if not self._checked:
            if not raw.validate_crc():
                raise CorruptRecordException("Corrupt record batch: its checksum is wrong")
            self._checked = True
        if type(raw) is DefaultRecordBatch:
            batch = <DefaultRecordBatch>raw
            if self._passed_over(batch):
                self._leave_batch()
                return True
            if not batch._started:
                batch.open()
            self._timestamp_type = ONE if batch._attributes & TIMESTAMP_TYPE_MASK else ZERO
            self._batch_epoch = get_int32(batch._checked_header() + LEADER_EPOCH_OFFSET)
        else:
            self._listed = list(raw)
            self._index = 0
            self._batch_epoch = -1
        self._current = batch
        self._opened = True
        return True

    cdef int64_t _after(self) except? -1:
        """The offset after the batch at hand."""
        if type(self._batch) is DefaultRecordBatch:
            return (<DefaultRecordBatch>self._batch).offset_after()
        return self._batch.next_offset

    cdef bint _passed_over(self, DefaultRecordBatch batch) except -1:
        cdef int64_t last_offset
        if not batch._attributes & (CONTROL_MASK | TRANSACTIONAL_MASK):
            return False
        if self._filter is None:
            return batch._attributes & CONTROL_MASK != 0
        last_offset = <int64_t>(<uint64_t>batch.offset_after() - 1)
        if batch._attributes & CONTROL_MASK:
            if self._control is None:
                self._control = next(iter(batch), None)
            key = None if self._control is None else self._control.key
            self._filter.marker(batch.producer_id, last_offset, key)
            return True
        return self._filter.skips(batch.producer_id, last_offset)

    cdef int _leave_batch(self) except -1:
        cdef int64_t after = self._after()
        if after > self.next_offset:
            self.next_offset = after
        self._batch = None
        self._current = None
        self._listed = None
        self._opened = False
        return 0

    # Giving it out

    cdef object _give(self, DefaultRecordBatch batch, Fields *fields):
        cdef PyObject *values[11]
        cdef const char *pos = batch._pos
        cdef object headers = ()
        cdef object raw_key, raw_value, key, value, offset, key_size, record
        if fields.num_headers:
            headers = self._headers(fields)
        key = raw_key = _bytes_or_none(fields.key, fields.key_size)
        value = raw_value = _bytes_or_none(fields.value, fields.value_size)
        offset = fields.offset
        if self._key_deserializer is not None or self._value_deserializer is not None:
            key, value = self._deserialized(offset, raw_key, raw_value)
            if batch._pos is not pos:
                raise RuntimeError("a deserializer has read from the block it is used on")
        if fields.timestamp != self._last_timestamp:
            self._timestamp = fields.timestamp
            self._last_timestamp = fields.timestamp
        if fields.value_size != self._last_size:
            self._size = fields.value_size
            self._last_size = fields.value_size
        key_size = fields.key_size
        values[0] = <PyObject *>self._topic
        values[1] = <PyObject *>self._partition
        values[2] = <PyObject *>offset
        values[3] = <PyObject *>self._timestamp
        values[4] = <PyObject *>self._timestamp_type
        values[5] = <PyObject *>key
        values[6] = <PyObject *>value
        values[7] = <PyObject *>None
        values[8] = <PyObject *>key_size
        values[9] = <PyObject *>self._size
        values[10] = <PyObject *>headers
        record = aiokafka_new_record(ConsumerRecord, values)
        self._given(fields.offset)
        batch.advance(fields)
        if batch._left == 0 and batch._pos is batch._end:
            self._leave_batch()
        return record

    cdef object _give_listed(self):
        cdef object raw = self._listed[self._index]
        cdef object key = raw.key
        cdef object value = raw.value
        cdef object record
        cdef Py_ssize_t index = self._index
        if self._key_deserializer is not None or self._value_deserializer is not None:
            key, value = self._deserialized(raw.offset, key, value)
            if self._listed is None or self._index != index:
                raise RuntimeError("a deserializer has read from the block it is used on")
        record = ConsumerRecord(
            self._topic,
            self._partition,
            raw.offset,
            raw.timestamp,
            raw.timestamp_type,
            key,
            value,
            raw.checksum,
            -1 if raw.key is None else len(raw.key),
            -1 if raw.value is None else len(raw.value),
            (),
        )
        self._given(raw.offset)
        self._index += 1
        if self._index == PyList_GET_SIZE(self._listed):
            self._leave_batch()
        return record

    cdef void _given(self, int64_t offset) noexcept:
        self.next_offset = offset + 1 if offset < INT64_MAX else offset
        self.leader_epoch = self._batch_epoch

    cdef tuple _headers(self, Fields *fields):
        try:
            return tuple(decode_headers(fields))
        except CorruptRecordException as exc:
            raise placed(
                exc, self._topic, self._partition, self.next_offset, self._after()
            ) from exc

    cdef tuple _deserialized(self, object offset, object key, object value):
        cdef str what = "key"
        try:
            if self._key_deserializer is not None:
                key = self._key_deserializer(key)
            what = "value"
            if self._value_deserializer is not None:
                value = self._value_deserializer(value)
        except Exception as exc:
            # What is between the last record and this one is not there.
            self.next_offset = offset
            deserializing_failed(exc, what, self._topic, self._partition, offset)
            raise
        return key, value
