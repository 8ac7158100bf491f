"""What the producer does once per record, in plain Python.

The compiled twin is ``_append.pyx``; both give the same batches, futures and errors, and
:mod:`aiokafka.producer._hot` chooses between them.  A record's way: :meth:`Appender.append`
finds the topic's :class:`TopicRoute`, picks a partition, and encodes into the open
:class:`BatchRecords` of that :class:`PartitionSlot`, all without awaiting.  Its way back:
:meth:`BatchRecords.complete` resolves the futures of a whole batch in one loop.

Runs no task.  Makes the futures of records; the batch that holds them resolves them.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import murmur2
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import to_int
from aiokafka.structs import RecordMetadata, TopicPartition

__all__ = [
    "CALLABLE",
    "DEFAULT",
    "TOPIC_AWARE",
    "Appender",
    "BatchRecords",
    "BufferPool",
    "PartitionSlot",
    "TopicRoute",
]

# Kinds of partitioners.
DEFAULT, TOPIC_AWARE, CALLABLE = range(3)

# A tight loop of send() gives way to the other tasks once per this many bytes.
YIELD_AFTER = 65536

_LOW_64 = 2**64 - 1
_estimate = DefaultRecordBatchBuilder.estimate_size_in_bytes


class BufferPool:
    """How many bytes of records the producer holds, of how many it may.

    ``blocked`` is set while somebody waits for space: nobody overtakes him then.
    ``appended`` counts bytes since the loop last got a turn.  ``turn_follows`` is set while a
    record is appended that the sender is going to be called for: it need not be woken.
    """

    __slots__ = ("appended", "blocked", "total", "turn_follows", "used")

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self.blocked = False
        self.appended = 0
        self.turn_follows = False


class BatchRecords:
    """The records of one batch, and the futures of those who wait for them.

    ``futures`` has an entry for each record, None where nobody waits.
    """

    __slots__ = ("builder", "charged", "closed", "count", "futures", "pool", "timestamps")

    def __init__(self, builder: Any, pool: BufferPool | None = None) -> None:
        self.builder = builder
        self.pool = pool
        self.count = 0
        self.closed = False
        self.futures: list[asyncio.Future[Any] | None] = []
        self.timestamps: list[int] = []
        self.charged = 0

    def append(self, timestamp: int | None, key: Any, value: Any, headers: Any) -> Any:
        """Append a record nobody waits for; its metadata, or None when full or closed."""
        metadata = self._append(timestamp, key, value, headers)
        if metadata is not None:
            self.futures.append(None)
        return metadata

    def append_future(
        self,
        timestamp: int | None,
        key: Any,
        value: Any,
        headers: Any,
        create_future: Callable[[], asyncio.Future[Any]],
    ) -> asyncio.Future[Any] | None:
        """Append a record and make its future; None when full or closed."""
        if self._append(timestamp, key, value, headers) is None:
            return None
        future = create_future()
        self.futures.append(future)
        return future

    def _append(self, timestamp: int | None, key: Any, value: Any, headers: Any) -> Any:
        if self.closed:
            return None
        metadata = self.builder.append(self.count, timestamp, key, value, headers)
        if metadata is None:
            return None
        self.count += 1
        self.timestamps.append(metadata.timestamp)
        size = metadata.size
        if self.pool is not None:
            self.charged += size
            self.pool.used += size
            self.pool.appended += size
        return metadata

    def charge(self, pool: BufferPool) -> None:
        """Count everything in the batch so far against *pool*."""
        self.pool = pool
        size = self.builder.size()
        pool.used += size - self.charged
        self.charged = size

    def release(self) -> int:
        """Give the bytes back; returns how many."""
        charged, self.charged = self.charged, 0
        if self.pool is None:
            return 0
        self.pool.used -= charged
        return charged

    def metadata(
        self,
        index: int,
        tp: TopicPartition,
        base_offset: int,
        timestamp: int | None,
        log_start_offset: int | None,
    ) -> RecordMetadata:
        """What the future of record *index* is told."""
        timestamp_type = 1
        if timestamp is None or timestamp < 0:
            # The broker keeps the times the records came with.
            timestamp_type = 0
            timestamp = self.timestamps[index] if index < self.count else -1
        return RecordMetadata(
            tp.topic,
            tp.partition,
            tp,
            base_offset + index if base_offset >= 0 else -1,
            timestamp,
            timestamp_type,
            log_start_offset,
        )

    def complete(
        self,
        tp: TopicPartition,
        base_offset: int,
        timestamp: int | None,
        log_start_offset: int | None,
    ) -> None:
        """Resolve every future with where its record was stored."""
        futures, self.futures = self.futures, []
        for index, future in enumerate(futures):
            if future is not None and not future.done():
                future.set_result(
                    self.metadata(index, tp, base_offset, timestamp, log_start_offset)
                )

    def complete_unacknowledged(self) -> None:
        """Resolve every future with None: nobody will tell where the records are."""
        futures, self.futures = self.futures, []
        for future in futures:
            if future is not None and not future.done():
                future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Fail every future with a copy of *error* of its own."""
        futures, self.futures = self.futures, []
        for future in futures:
            if future is not None and not future.done():
                own = copy.copy(error)
                own.__cause__ = error.__cause__
                future.set_exception(own)


class PartitionSlot:
    """Where records of one partition go: ``open`` is the batch that takes them, if any."""

    def __init__(self, tp: TopicPartition) -> None:
        self.tp = tp
        self.open: BatchRecords | None = None


class TopicRoute:
    """The partitions of a topic as one version of the metadata has them.

    Parameters:
        topic: the topic's name.
        partitions: all partition numbers, ascending.
        available: those that have a leader, ascending.
        find_slot: gives the slot of a partition; asked once per partition.
    """

    __slots__ = (
        "_find_slot",
        "_positions",
        "_slots",
        "available",
        "partitions",
        "shown",
        "shown_available",
        "sticky",
        "sticky_size",
        "topic",
    )

    def __init__(
        self,
        topic: str,
        partitions: list[int],
        available: list[int],
        find_slot: Callable[[TopicPartition], PartitionSlot],
    ) -> None:
        self.topic = topic
        self.partitions = partitions
        self.available = available
        # What an application's partitioner gets to see: lists of its own, so that one that
        # sorts or empties them harms nobody else.
        self.shown = list(partitions)
        self.shown_available = list(available)
        self._find_slot = find_slot
        self._slots: list[PartitionSlot | None] = [None] * len(partitions)
        # Mostly a partition's number is its place in the list.
        contiguous = not partitions or (
            partitions[0] == 0 and partitions[-1] == len(partitions) - 1
        )
        self._positions = (
            None if contiguous else {partition: i for i, partition in enumerate(partitions)}
        )
        self.sticky: PartitionSlot | None = None
        self.sticky_size = 0

    def slot(self, partition: int) -> PartitionSlot | None:
        """The slot of *partition*; None when the topic has no such partition."""
        if self._positions is not None:
            position = self._positions.get(partition)
            if position is None:
                return None
        elif 0 <= partition < len(self._slots):
            position = partition
        else:
            return None
        return self.slot_at(position)

    def slot_at(self, position: int) -> PartitionSlot:
        """The slot of the partition at *position* of ``partitions``."""
        slot = self._slots[position]
        if slot is None:
            slot = self._find_slot(TopicPartition(self.topic, self.partitions[position]))
            self._slots[position] = slot
        return slot


class Appender:
    """Appends records as long as that needs no waiting.

    Parameters:
        pool: the producer's buffer memory.
        find_route: gives the route of a topic, None while its metadata is unknown.
        open_batch: gives a slot a new open batch and puts what it had up for sending.
        drop_empty: takes back a batch that stayed empty.
        create_future: makes a future on the producer's loop.
        max_record: bytes of the largest record allowed, in a batch of its own.
        partitioner, kind: the partitioner and how to call it.
        sticky_bytes: bytes after which a topic-aware partitioner is asked again.
        seed: of the choice among partitions for records without a key.

    ``enabled`` is False while nothing may be appended; ``may_append`` is asked before each
    record when it is not None.  ``send_now`` is what the sender wants to be called after the
    next record, once, instead of being woken.
    """

    def __init__(
        self,
        *,
        pool: BufferPool,
        find_route: Callable[[str], TopicRoute | None],
        open_batch: Callable[[Any], BatchRecords],
        drop_empty: Callable[[Any], None],
        create_future: Callable[[], asyncio.Future[Any]],
        max_record: int,
        partitioner: Any,
        kind: int,
        sticky_bytes: int,
        seed: int,
        key_serializer: Callable[[Any], bytes] | None = None,
        value_serializer: Callable[[Any], bytes] | None = None,
        may_append: Callable[[], bool] | None = None,
    ) -> None:
        self.enabled = False
        self.routes: dict[str, TopicRoute] = {}
        self.prepared: tuple[TopicPartition, Any, Any] | None = None
        self.send_now: Callable[[], None] | None = None
        self._pool = pool
        self._find_route = find_route
        self._open_batch = open_batch
        self._drop_empty = drop_empty
        self._create_future = create_future
        self._max_record = max_record
        self._partitioner = partitioner
        self._kind = kind
        self._sticky_bytes = sticky_bytes
        self._random = (seed & _LOW_64) or 1
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer
        self._may_append = may_append

    def append(
        self,
        topic: str,
        value: Any,
        key: Any,
        partition: int | None,
        timestamp_ms: int | None,
        headers: Any,
    ) -> asyncio.Future[Any] | None:
        """Append one record and return its future.

        Returns None when that needs waiting or is not allowed.  If the record was already
        serialised and given a partition, both are left in ``prepared``.
        """
        pool = self._pool
        if not self.enabled or pool.blocked or pool.appended >= YIELD_AFTER:
            return None
        if key is None and value is None:
            return None
        if self._may_append is not None and not self._may_append():
            return None
        route = self.routes.get(topic)
        if route is None:
            route = self._find_route(topic)
            if route is None:
                return None
            self.routes[topic] = route
        slot = None
        if partition is not None:
            slot = route.slot(partition) if type(partition) is int else None
            if slot is None:
                return None
        if self._key_serializer is not None:
            key = self._key_serializer(key)
        if self._value_serializer is not None:
            value = self._value_serializer(value)
        size = _estimate(key, value, headers)
        if size > self._max_record:
            raise too_large(size, self._max_record)
        if slot is None:
            slot = self._choose(route, key)
        if pool.used + size > pool.total:
            self.prepared = (slot.tp, key, value)
            return None
        if timestamp_ms is None:
            timestamp_ms = time.time_ns() // 1_000_000
        else:
            # Before a batch is opened for a record that cannot be.
            timestamp_ms = to_int(timestamp_ms, "timestamp")
        if self.send_now is None:
            return self._put(route, slot, timestamp_ms, key, value, headers)
        send_now, self.send_now = self.send_now, None
        pool.turn_follows = True
        try:
            return self._put(route, slot, timestamp_ms, key, value, headers)
        finally:
            pool.turn_follows = False
            send_now()

    def _put(
        self,
        route: TopicRoute,
        slot: PartitionSlot,
        timestamp_ms: int,
        key: Any,
        value: Any,
        headers: Any,
    ) -> asyncio.Future[Any] | None:
        appended = self._pool.appended
        future = self._put_into(slot, timestamp_ms, key, value, headers)
        if key is None and slot is route.sticky:
            # What the record takes in its batch: the estimate is an upper bound, far too high
            # for a small one.
            self._count_sticky(route, slot, self._pool.appended - appended)
        return future

    def _put_into(
        self, slot: PartitionSlot, timestamp_ms: int, key: Any, value: Any, headers: Any
    ) -> asyncio.Future[Any] | None:
        future = None
        records = slot.open
        if records is not None:
            future = records.append_future(timestamp_ms, key, value, headers, self._create_future)
        if future is None:
            records = self._open_batch(slot)
            try:
                future = records.append_future(
                    timestamp_ms, key, value, headers, self._create_future
                )
            except BaseException:
                self._drop_empty(slot)
                raise
        return future

    def _choose(self, route: TopicRoute, key: Any) -> PartitionSlot:
        if self._kind == DEFAULT:
            if key is not None:
                position = (murmur2(key) & 0x7FFFFFFF) % len(route.partitions)
                return route.slot_at(position)
            choice = route.available or route.partitions
            return self._slot_of(route, choice[self._below(len(choice))])
        if self._kind == CALLABLE:
            return self._slot_of(route, self._partitioner(key, route.shown, route.shown_available))
        if key is None and route.sticky is not None:
            return route.sticky
        slot = self._slot_of(
            route,
            self._partitioner.partition_for(route.topic, key, route.shown, route.shown_available),
        )
        if key is None:
            route.sticky = slot
            route.sticky_size = 0
        return slot

    def _slot_of(self, route: TopicRoute, partition: Any) -> PartitionSlot:
        slot = route.slot(partition)
        if slot is None:
            raise ValueError(
                f"The partitioner chose partition {partition!r}, which topic"
                f" {route.topic!r} does not have"
            )
        return slot

    def _count_sticky(self, route: TopicRoute, slot: PartitionSlot, size: int) -> None:
        route.sticky_size += size
        if route.sticky_size >= self._sticky_bytes:
            self._partitioner.on_append(route.topic, slot.tp.partition, route.sticky_size)
            route.sticky = None

    def _below(self, limit: int) -> int:
        """A random number below *limit* (xorshift64*, Marsaglia 2003, Vigna 2016)."""
        x = self._random
        x ^= x >> 12
        x = (x ^ (x << 25)) & _LOW_64
        x ^= x >> 27
        self._random = x
        return ((((x * 0x2545F4914F6CDD1D) & _LOW_64) >> 32) * limit) >> 32


def too_large(size: int, limit: int) -> MessageSizeTooLargeError:
    """The error for a record of *size* bytes."""
    return MessageSizeTooLargeError(
        f"The message is {size} bytes when serialized, more than the {limit} bytes that"
        " max_request_size and buffer_memory allow"
    )
