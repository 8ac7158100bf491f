# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, binding=False
"""What the producer does once per record, compiled.

The twin in plain Python, with the documentation of all classes, is ``_append_py.py``; both
give the same batches, futures and errors.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_Append, PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from cpython.object cimport PyObject, PyObject_Call
from libc.stdint cimport int64_t, uint32_t, uint64_t

from aiokafka._murmur2 cimport hash_bytes
from aiokafka.record._crecords.cutil cimport as_int64, varint_size
from aiokafka.record._crecords.default_records cimport (
    DefaultRecordBatchBuilder,
    DefaultRecordMetadata,
)

import copy
from asyncio import Future, InvalidStateError
from functools import partial

from aiokafka.partitioner import murmur2
from aiokafka.producer import _append_py
from aiokafka.producer._append_py import too_large
from aiokafka.structs import RecordMetadata, TopicPartition

cdef extern from *:
    """
    #include <time.h>

    /* Milliseconds since 1970 (C11, also where there is no POSIX). */
    static long long aiokafka_wall_ms(void)
    {
        struct timespec ts;
        timespec_get(&ts, TIME_UTC);
        return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    }

    /* An instance of a named tuple with seven fields. Its own __new__ is Python code, which
       takes longer than all the rest of completing a record. */
    static PyObject *aiokafka_seven(
        PyObject *cls, PyObject *f0, PyObject *f1, PyObject *f2, PyObject *f3,
        PyObject *f4, PyObject *f5, PyObject *f6)
    {
        PyObject *self = ((PyTypeObject *)cls)->tp_alloc((PyTypeObject *)cls, 7);
        if (self == NULL)
            return NULL;
    #if PY_VERSION_HEX >= 0x030E0000
        ((PyTupleObject *)self)->ob_hash = -1;
    #endif
        Py_INCREF(f0); PyTuple_SET_ITEM(self, 0, f0);
        Py_INCREF(f1); PyTuple_SET_ITEM(self, 1, f1);
        Py_INCREF(f2); PyTuple_SET_ITEM(self, 2, f2);
        Py_INCREF(f3); PyTuple_SET_ITEM(self, 3, f3);
        Py_INCREF(f4); PyTuple_SET_ITEM(self, 4, f4);
        Py_INCREF(f5); PyTuple_SET_ITEM(self, 5, f5);
        Py_INCREF(f6); PyTuple_SET_ITEM(self, 6, f6);
        /* Strings, ints and a pair of these: no cycle can lead through it, and the garbage
           collector has enough to do with the futures. */
        PyObject_GC_UnTrack(self);
        return self;
    }
    """
    int64_t aiokafka_wall_ms() noexcept
    void PyObject_GC_UnTrack(PyObject *)
    void PyObject_GC_Track(PyObject *)
    int PyObject_GC_IsTracked(PyObject *)
    object aiokafka_seven(
        object cls, object f0, object f1, object f2, object f3, object f4, object f5, object f6
    )

cdef enum:
    HEADER_SIZE = 61
    MAX_RECORD_OVERHEAD = 21
    KIND_DEFAULT = 0
    KIND_TOPIC_AWARE = 1
    KIND_CALLABLE = 2

cdef int64_t YIELD_AFTER = _append_py.YIELD_AFTER

if (_append_py.DEFAULT, _append_py.TOPIC_AWARE, _append_py.CALLABLE) != (
    KIND_DEFAULT, KIND_TOPIC_AWARE, KIND_CALLABLE
):
    raise ImportError("the kinds of partitioners differ between the twins")

# The last timestamp as an object: most records share it with the one before.
cdef int64_t _last_ms = -1
cdef object _last_timestamp = -1

cdef object ZERO = 0
cdef object ONE = 1
cdef object MINUS_ONE = -1
cdef object _estimate = DefaultRecordBatchBuilder.estimate_size_in_bytes


# Futures of records that wait are the bulk of what the garbage collector would look at again
# and again: a sixth of the time that sending takes. They need no collector as long as they are
# sure to be resolved, which lets go of whoever waits for them, and have no exception, whose
# traceback may lead back to them. So it is told of them only when one fails, or when a batch
# that still has some is forgotten. (What is then never collected: a producer that was neither
# stopped nor has a running loop any more, while a callback of one of its records refers to it.)

cdef inline void _hide(object future) noexcept:
    """Keep *future* from the garbage collector."""
    if type(future) is Future:
        PyObject_GC_UnTrack(<PyObject *>future)


cdef inline void _show(object future) noexcept:
    """Have the garbage collector look after *future* again."""
    if type(future) is Future and not PyObject_GC_IsTracked(<PyObject *>future):
        PyObject_GC_Track(<PyObject *>future)


cdef inline object _timestamp(int64_t ms):
    global _last_ms, _last_timestamp
    if ms != _last_ms:
        _last_timestamp = ms
        _last_ms = ms
    return _last_timestamp


cdef class BufferPool:
    cdef public int64_t total
    cdef public int64_t used
    cdef public int64_t appended
    cdef public bint blocked
    cdef public bint turn_follows

    def __init__(self, int64_t total):
        self.total = total
        self.used = 0
        self.appended = 0
        self.blocked = False
        self.turn_follows = False


@cython.final
@cython.no_gc_clear  # __dealloc__ needs the futures
cdef class BatchRecords:
    cdef readonly DefaultRecordBatchBuilder builder
    cdef public BufferPool pool
    cdef readonly Py_ssize_t count
    cdef public bint closed
    cdef public list futures
    cdef readonly list timestamps
    cdef readonly int64_t charged

    def __init__(self, DefaultRecordBatchBuilder builder not None, BufferPool pool=None):
        self.builder = builder
        self.pool = pool
        self.count = 0
        self.closed = False
        self.futures = []
        self.timestamps = []
        self.charged = 0

    def __dealloc__(self):
        if self.futures is not None:
            for future in self.futures:
                _show(future)

    cdef Py_ssize_t put(
        self, int64_t timestamp, object key, object value, object headers
    ) except -1:
        """Encode a record; its size, or 0 when the batch takes no more."""
        cdef Py_ssize_t size
        if self.closed:
            return 0
        size = self.builder.append_record(self.count, timestamp, key, value, headers)
        if size:
            self.count += 1
            PyList_Append(self.timestamps, _timestamp(timestamp))
            if self.pool is not None:
                self.charged += size
                self.pool.used += size
                self.pool.appended += size
        return size

    def append(self, timestamp, key, value, headers):
        cdef int64_t ms = _ms(timestamp)
        cdef Py_ssize_t size = self.put(ms, key, value, headers)
        if size == 0:
            return None
        self.futures.append(None)
        return DefaultRecordMetadata(self.count - 1, size, ms)

    def append_future(self, timestamp, key, value, headers, create_future):
        if self.put(_ms(timestamp), key, value, headers) == 0:
            return None
        future = create_future()
        _hide(future)
        self.futures.append(future)
        return future

    def charge(self, BufferPool pool not None):
        cdef int64_t size = self.builder._pos
        self.pool = pool
        pool.used += size - self.charged
        self.charged = size

    def release(self):
        cdef int64_t charged = self.charged
        self.charged = 0
        if self.pool is None:
            return 0
        self.pool.used -= charged
        return charged

    def metadata(self, Py_ssize_t index, tp, int64_t base_offset, timestamp, log_start_offset):
        cdef object timestamp_type = ONE
        if timestamp is None or timestamp < 0:
            timestamp_type = ZERO
            timestamp = self.timestamps[index] if index < self.count else MINUS_ONE
        return aiokafka_seven(
            RecordMetadata,
            tp[0],
            tp[1],
            tp,
            base_offset + index if base_offset >= 0 else MINUS_ONE,
            timestamp,
            timestamp_type,
            log_start_offset,
        )

    def complete(self, tp, int64_t base_offset, timestamp, log_start_offset):
        cdef list futures = self.futures
        cdef list timestamps = self.timestamps
        cdef object topic = tp[0]
        cdef object partition = tp[1]
        cdef object record_metadata = RecordMetadata
        cdef object own_timestamp, offset, future
        cdef bint stamped = timestamp is not None and timestamp >= 0
        cdef object timestamp_type = ONE if stamped else ZERO
        cdef Py_ssize_t i
        self.futures = []
        for i in range(PyList_GET_SIZE(futures)):
            future = <object>PyList_GET_ITEM(futures, i)
            if future is None:
                continue
            own_timestamp = timestamp
            if not stamped:
                own_timestamp = <object>PyList_GET_ITEM(timestamps, i)
            offset = base_offset + i if base_offset >= 0 else MINUS_ONE
            metadata = aiokafka_seven(
                record_metadata,
                topic,
                partition,
                tp,
                offset,
                own_timestamp,
                timestamp_type,
                log_start_offset,
            )
            try:
                future.set_result(metadata)
            except InvalidStateError:
                # Cancelled by whoever sent the record.
                pass

    def complete_unacknowledged(self):
        cdef list futures = self.futures
        self.futures = []
        for future in futures:
            if future is not None and not future.done():
                future.set_result(None)

    def fail(self, error):
        cdef list futures = self.futures
        self.futures = []
        for future in futures:
            if future is not None and not future.done():
                own = copy.copy(error)
                own.__cause__ = error.__cause__
                _show(future)
                future.set_exception(own)


cdef inline int64_t _ms(object timestamp) except? -1:
    if timestamp is None:
        return aiokafka_wall_ms()
    return as_int64(timestamp, "timestamp")


cdef class PartitionSlot:
    cdef readonly object tp
    cdef public BatchRecords open

    def __init__(self, tp):
        self.tp = tp
        self.open = None


@cython.final
cdef class TopicRoute:
    cdef readonly object topic
    cdef readonly list partitions
    cdef readonly list available
    cdef readonly list shown
    cdef readonly list shown_available
    cdef public PartitionSlot sticky
    cdef public int64_t sticky_size
    cdef object _find_slot
    cdef list _slots
    cdef dict _positions

    def __init__(self, topic, list partitions not None, list available not None, find_slot):
        cdef Py_ssize_t count = len(partitions)
        self.topic = topic
        self.partitions = partitions
        self.available = available
        self.shown = list(partitions)
        self.shown_available = list(available)
        self._find_slot = find_slot
        self._slots = [None] * count
        self._positions = None
        if count and not (partitions[0] == 0 and partitions[count - 1] == count - 1):
            self._positions = {partition: i for i, partition in enumerate(partitions)}
        self.sticky = None
        self.sticky_size = 0

    def slot(self, partition):
        return self.find(partition)

    def slot_at(self, Py_ssize_t position):
        if not 0 <= position < PyList_GET_SIZE(self._slots):
            raise IndexError(position)
        return self.at(position)

    cdef PartitionSlot find(self, object partition):
        """The slot of *partition*, which is anything comparable to an int, or None."""
        cdef PyObject *found
        cdef int overflow = 0
        cdef long number
        if self._positions is not None:
            found = PyDict_GetItemWithError(self._positions, partition)
            if found is NULL:
                return None
            return self.at(<object>found)
        if PyLong_CheckExact(partition):
            number = PyLong_AsLongAndOverflow(partition, &overflow)
            if overflow:
                return None
        else:
            number = partition
        if not 0 <= number < PyList_GET_SIZE(self._slots):
            return None
        return self.at(number)

    cdef PartitionSlot at(self, Py_ssize_t position):
        cdef object slot = <object>PyList_GET_ITEM(self._slots, position)
        if slot is None:
            slot = self._find_slot(TopicPartition(self.topic, self.partitions[position]))
            self._slots[position] = slot
        return <PartitionSlot?>slot


@cython.final
cdef class Appender:
    cdef public bint enabled
    cdef readonly dict routes
    cdef public object prepared
    cdef public object send_now
    cdef BufferPool _pool
    cdef object _find_route
    cdef object _open_batch
    cdef object _drop_empty
    cdef object _create_future
    cdef dict _future_settings
    cdef int64_t _max_record
    cdef object _partitioner
    cdef int _kind
    cdef int64_t _sticky_bytes
    cdef uint64_t _random
    cdef object _key_serializer
    cdef object _value_serializer
    cdef object _may_append

    def __init__(
        self,
        *,
        BufferPool pool not None,
        find_route,
        open_batch,
        drop_empty,
        create_future,
        int64_t max_record,
        partitioner,
        int kind,
        int64_t sticky_bytes,
        seed,
        key_serializer=None,
        value_serializer=None,
        may_append=None,
    ):
        self.enabled = False
        self.routes = {}
        self.prepared = None
        self.send_now = None
        self._pool = pool
        self._find_route = find_route
        self._open_batch = open_batch
        self._drop_empty = drop_empty
        self._create_future = create_future
        # A partial makes a new dict of its keywords for each call.
        self._future_settings = None
        if type(create_future) is partial and create_future.func is Future:
            self._future_settings = create_future.keywords
        self._max_record = max_record
        self._partitioner = partitioner
        self._kind = kind
        self._sticky_bytes = sticky_bytes
        self._random = (seed & 0xFFFFFFFFFFFFFFFF) or 1
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer
        self._may_append = may_append

    def append(self, topic, value, key, partition, timestamp_ms, headers):
        cdef BufferPool pool = self._pool
        cdef TopicRoute route
        cdef PartitionSlot slot = None
        cdef PyObject *found
        cdef int64_t size, ms
        if not self.enabled or pool.blocked or pool.appended >= YIELD_AFTER:
            return None
        if key is None and value is None:
            return None
        if self._may_append is not None and not self._may_append():
            return None
        found = PyDict_GetItemWithError(self.routes, topic)
        if found is not NULL:
            route = <TopicRoute>found
        else:
            route = self._find_route(topic)
            if route is None:
                return None
            self.routes[topic] = route
        if partition is not None:
            slot = route.find(partition) if PyLong_CheckExact(partition) else None
            if slot is None:
                return None
        if self._key_serializer is not None:
            key = self._key_serializer(key)
        if self._value_serializer is not None:
            value = self._value_serializer(value)
        size = _size(key, value, headers)
        if size > self._max_record:
            raise too_large(size, self._max_record)
        if slot is None:
            slot = self._choose(route, key)
        if pool.used + size > pool.total:
            self.prepared = (slot.tp, key, value)
            return None
        ms = _ms(timestamp_ms)
        if self.send_now is None:
            return self._put(route, slot, ms, key, value, headers)
        send_now, self.send_now = self.send_now, None
        pool.turn_follows = True
        try:
            return self._put(route, slot, ms, key, value, headers)
        finally:
            pool.turn_follows = False
            send_now()

    cdef object _put(
        self,
        TopicRoute route,
        PartitionSlot slot,
        int64_t ms,
        object key,
        object value,
        object headers,
    ):
        cdef int64_t appended = self._pool.appended
        future = self._put_into(slot, ms, key, value, headers)
        if route.sticky is not None and key is None and slot is route.sticky:
            # What the record takes in its batch: the estimate is an upper bound, far too high
            # for a small one.
            self._count_sticky(route, slot, self._pool.appended - appended)
        return future

    cdef object _put_into(
        self, PartitionSlot slot, int64_t ms, object key, object value, object headers
    ):
        cdef BatchRecords records = slot.open
        if records is None or records.put(ms, key, value, headers) == 0:
            records = self._open_batch(slot)
            try:
                records.put(ms, key, value, headers)
            except BaseException:
                self._drop_empty(slot)
                raise
        if self._future_settings is not None:
            future = PyObject_Call(Future, (), self._future_settings)
        else:
            future = self._create_future()
        _hide(future)
        PyList_Append(records.futures, future)
        return future

    cdef PartitionSlot _choose(self, TopicRoute route, object key):
        cdef PartitionSlot slot
        cdef list choice
        cdef uint32_t hashed
        if self._kind == KIND_DEFAULT:
            if key is not None:
                if PyBytes_CheckExact(key):
                    hashed = hash_bytes(
                        <const unsigned char *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)
                    )
                else:
                    hashed = murmur2(key)
                return route.at((hashed & 0x7FFFFFFF) % PyList_GET_SIZE(route.partitions))
            choice = route.available
            if PyList_GET_SIZE(choice) == 0:
                choice = route.partitions
            return self._slot_of(
                route, <object>PyList_GET_ITEM(choice, self._below(PyList_GET_SIZE(choice)))
            )
        if self._kind == KIND_CALLABLE:
            return self._slot_of(
                route, self._partitioner(key, route.shown, route.shown_available)
            )
        if key is None and route.sticky is not None:
            return route.sticky
        slot = self._slot_of(
            route,
            self._partitioner.partition_for(
                route.topic, key, route.shown, route.shown_available
            ),
        )
        if key is None:
            route.sticky = slot
            route.sticky_size = 0
        return slot

    cdef PartitionSlot _slot_of(self, TopicRoute route, object partition):
        cdef PartitionSlot slot = route.find(partition)
        if slot is None:
            raise ValueError(
                f"The partitioner chose partition {partition!r}, which topic"
                f" {route.topic!r} does not have"
            )
        return slot

    cdef int _count_sticky(
        self, TopicRoute route, PartitionSlot slot, int64_t size
    ) except -1:
        route.sticky_size += size
        if route.sticky_size >= self._sticky_bytes:
            self._partitioner.on_append(route.topic, slot.tp.partition, route.sticky_size)
            route.sticky = None
        return 0

    cdef Py_ssize_t _below(self, Py_ssize_t limit):
        """A random number below *limit* (xorshift64*)."""
        cdef uint64_t x = self._random
        x ^= x >> 12
        x ^= x << 25
        x ^= x >> 27
        self._random = x
        return <Py_ssize_t>((((x * <uint64_t>0x2545F4914F6CDD1D) >> 32) * <uint64_t>limit) >> 32)


cdef inline int64_t _size(object key, object value, object headers) except -1:
    """Upper bound of a batch with this record alone, as the builder estimates it."""
    cdef Py_ssize_t key_size = -1
    cdef Py_ssize_t value_size = -1
    if headers is not None and not (
        PyList_CheckExact(headers) and PyList_GET_SIZE(headers) == 0
    ):
        return _estimate(key, value, headers)
    if PyBytes_CheckExact(key):
        key_size = PyBytes_GET_SIZE(key)
    elif key is not None:
        return _estimate(key, value, headers)
    if PyBytes_CheckExact(value):
        value_size = PyBytes_GET_SIZE(value)
    elif value is not None:
        return _estimate(key, value, headers)
    return (
        HEADER_SIZE
        + MAX_RECORD_OVERHEAD
        + 1
        + varint_size(key_size)
        + varint_size(value_size)
        + (key_size if key_size > 0 else 0)
        + (value_size if value_size > 0 else 0)
    )
