"""The part of the producer's interface that sends records.

Runs no task itself, but see :mod:`aiokafka.producer._waiting`.  The futures it returns belong
to batches (:mod:`aiokafka.producer._batch`).
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiokafka._deadline import Deadline
from aiokafka.errors import IllegalOperation, IllegalStateError, ProducerClosed
from aiokafka.producer._append_py import YIELD_AFTER, too_large
from aiokafka.producer._appending import make_route
from aiokafka.producer._batch import BatchBuilder, RecordFuture, Serializer
from aiokafka.producer._waiting import StopSignal, left_of
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient
    from aiokafka.cluster import ClusterMetadata
    from aiokafka.producer._append_py import Appender, TopicRoute
    from aiokafka.producer._settings import ProducerSettings
    from aiokafka.producer.transaction_manager import TransactionManager


class SendCalls:
    """The methods of a producer that are about records."""

    client: AIOKafkaClient
    _append: Callable[..., RecordFuture | None]
    _appender: Appender
    _closed: bool | None
    _key_serializer: Serializer | None
    _value_serializer: Serializer | None
    _max_block: float
    _max_request_size: int
    _message_accumulator: MessageAccumulator
    _metadata: ClusterMetadata
    _partitioner: Callable[..., int]
    _settings: ProducerSettings
    _stopping: StopSignal
    _txn_manager: TransactionManager | None

    def _check_open(self) -> None:
        """Raise unless records can be taken."""
        if self._closed is None:
            raise IllegalStateError("The producer is not started: await its start() first")
        self._message_accumulator.check_usable()
        if self._closed:
            raise ProducerClosed("The producer is stopped")

    # Metadata

    async def _wait_on_metadata(self, topic: str, deadline: Deadline | None = None) -> set[int]:
        """The partitions of *topic*; waits for them until *deadline*."""
        known = self._metadata.partitions_for_topic(topic)
        if known:
            return known
        recent = self.client.take_recent_timeout(topic)
        if recent is not None:
            # This task has just waited for the same in vain.
            raise recent
        return await self._stopping.unless_given(
            lambda: self.client._wait_on_metadata(
                topic, deadline or Deadline.after(self._max_block)
            )
        )

    async def _wait_on_partition(
        self, topic: str, partition: int | None, deadline: Deadline
    ) -> None:
        if not self._metadata.partition_count(topic):
            await self._wait_on_metadata(topic, deadline)
        if partition is None:
            return
        route = self._route(topic)
        if route is not None and not _has(route, partition):
            await self._stopping.unless_given(
                lambda: self.client._wait_on_partition(topic, partition, deadline)
            )

    async def partitions_for(self, topic: str) -> set[int]:
        """The partitions of a topic, as a new set.

        Raises:
            KafkaTimeoutError: the topic's metadata did not come within ``max_block_ms``
                (also an ``UnknownTopicOrPartitionError``).
            TopicAuthorizationFailedError, InvalidTopicError: at once.
            IllegalStateError, ProducerClosed: the producer is not started, or stopped.
        """
        self._check_open()
        return await self._wait_on_metadata(topic)

    # Sending

    async def send(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Any = None,
    ) -> RecordFuture:
        """Queue a record and return a future of where it was stored.

        Waits only when the topic is not known yet or the buffer is full, at most
        ``max_block_ms``.

        Parameters:
            topic: the topic's name.
            value: bytes, or what ``value_serializer`` takes; None deletes the key in a
                compacted topic.
            key: bytes, or what ``key_serializer`` takes; records with the same key go to
                the same partition.
            partition: the partition, None to let the partitioner choose.
            timestamp_ms: milliseconds since the epoch, None for now.
            headers: list of ``(str, bytes)``.

        Returns:
            A future of :class:`~aiokafka.structs.RecordMetadata`, or of None with
            ``acks=0``. It fails with the broker's error, or with
            :class:`~aiokafka.errors.DeliveryTimeoutError` after ``delivery_timeout_ms``.
            Cancelling it does not stop the delivery.

        Raises:
            KafkaTimeoutError: the topic's metadata (then also an
                ``UnknownTopicOrPartitionError``) or buffer space did not come in time.
            TopicAuthorizationFailedError, InvalidTopicError: at once.
            MessageSizeTooLargeError: larger than ``max_request_size`` or ``buffer_memory``.
            IllegalStateError, ProducerClosed: the producer is not started, or stopped.
            IllegalOperation: a transactional producer outside of a transaction.
            TypeError, ValueError, AssertionError: arguments that make no record.
        """
        future = self._append(topic, value, key, partition, timestamp_ms, headers)
        if future is not None:
            return future
        return await self._send_patiently(topic, value, key, partition, timestamp_ms, headers)

    async def _send_patiently(
        self,
        topic: str,
        value: Any,
        key: Any,
        partition: int | None,
        timestamp_ms: int | None,
        headers: Any,
    ) -> RecordFuture:
        """Send a record for which something has to be waited for or complained about."""
        prepared = self._take_prepared()
        self._check_open()
        partition = _check_arguments(topic, value, key, partition)
        deadline = Deadline.after(self._max_block)
        if prepared is None:
            pool = self._message_accumulator.pool
            if pool.appended >= YIELD_AFTER:
                # A tight loop of sends: the sender and everybody else need a turn, too.
                pool.appended = 0
                await asyncio.sleep(0)
                self._check_open()
            await self._wait_on_partition(topic, partition, deadline)
            self._check_transaction()
            future = self._append(topic, value, key, partition, timestamp_ms, headers)
            if future is not None:
                return future
            prepared = self._take_prepared()
        if prepared is None:
            key_bytes, value_bytes = self._serialize(key, value, headers)
            chosen = self._partition(topic, partition, key, value, key_bytes, value_bytes)
            prepared = (TopicPartition(topic, chosen), key_bytes, value_bytes)
        tp, key_bytes, value_bytes = prepared
        return await self._message_accumulator.add_message(
            tp,
            key_bytes,
            value_bytes,
            left_of(deadline),
            timestamp_ms=timestamp_ms,
            headers=[] if headers is None else headers,
        )

    def _take_prepared(self) -> tuple[TopicPartition, Any, Any] | None:
        """What the appender left of a record that did not fit into the buffer."""
        prepared, self._appender.prepared = self._appender.prepared, None
        return prepared

    async def send_and_wait(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Any = None,
    ) -> RecordMetadata | None:
        """Send a record and wait until it is stored; see :meth:`send`."""
        # Through self.send and by position: instrumentations wrap it.
        future = await self.send(topic, value, key, partition, timestamp_ms, headers)
        return await future

    def create_batch(self) -> BatchBuilder:
        """An empty batch to fill and to send with :meth:`send_batch`."""
        return self._message_accumulator.create_builder(
            key_serializer=self._key_serializer, value_serializer=self._value_serializer
        )

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> RecordFuture:
        """Queue a batch made with :meth:`create_batch`; it takes no more records.

        Parameters:
            topic: the topic's name.
            partition: the partition.

        Returns:
            A future of the first record's metadata.

        Raises:
            KafkaTimeoutError, ProducerClosed, IllegalOperation, ValueError: as :meth:`send`.
        """
        self._check_open()
        if partition is None:
            raise AssertionError("A batch needs a partition")
        _check_partition(partition)
        deadline = Deadline.after(self._max_block)
        await self._wait_on_partition(topic, partition, deadline)
        self._check_transaction()
        tp = TopicPartition(topic, self._partition(topic, partition, None, None, None, None))
        return await self._message_accumulator.add_batch(batch, tp, left_of(deadline))

    # Steps of sending

    def _check_transaction(self) -> None:
        manager = self._txn_manager
        if manager is None or manager.transactional_id is None:
            return
        if not manager.is_in_transaction():
            raise IllegalOperation("Can't send messages while not in transaction")

    def _serialize(self, key: Any, value: Any, headers: Any) -> tuple[Any, Any]:
        """Key and value as bytes.

        Raises:
            TypeError: they are not, or the headers are not pairs of str and bytes.
            MessageSizeTooLargeError: the record can never be sent.
        """
        if self._key_serializer is not None:
            key = self._key_serializer(key)
        if self._value_serializer is not None:
            value = self._value_serializer(value)
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, headers)
        limit = min(self._max_request_size, self._settings.buffer_memory)
        if size > limit:
            raise too_large(size, limit)
        return key, value

    def _partition(
        self,
        topic: str,
        partition: int | None,
        key: Any,
        value: Any,
        serialized_key: bytes | None,
        serialized_value: bytes | None,
    ) -> int:
        """The partition for a record; the topic's metadata has to be at hand."""
        route = self._route(topic)
        if partition is not None:
            _check_partition(partition)
            if not _has(route, partition):
                raise AssertionError(f"Unrecognized partition {partition} of topic {topic!r}")
            return partition
        partitions: list[int] = [] if route is None else route.shown
        available: list[int] = [] if route is None else route.shown_available
        chosen = self._partitioner(serialized_key, partitions, available)
        if not _has(route, chosen):
            raise ValueError(
                f"The partitioner chose partition {chosen!r}, which topic {topic!r} does not have"
            )
        return int(chosen)

    def _route(self, topic: str) -> TopicRoute | None:
        """The topic's partitions, put in order once for each change of the metadata: what a
        record costs must not grow with their number, with the buffer full neither."""
        route = self._appender.routes.get(topic)
        if route is None:
            route = make_route(self._metadata, self._message_accumulator, topic)
            if route is not None:
                self._appender.routes[topic] = route
        return route


def _has(route: TopicRoute | None, partition: Any) -> bool:
    try:
        return route is not None and route.slot(operator.index(partition)) is not None
    except TypeError:  # no number at all
        return False


def _check_partition(partition: Any) -> int:
    """A partition number as an int."""
    number = operator.index(partition)
    if number < 0:
        raise ValueError(f"`partition` should not be negative: {partition!r}")
    return number


def _check_arguments(topic: Any, value: Any, key: Any, partition: Any) -> int | None:
    if not isinstance(topic, str):
        raise TypeError(f"`topic` should be a str, not {type(topic).__name__}")
    if value is None and key is None:
        raise AssertionError("Need at least one: key or value")
    return None if partition is None else _check_partition(partition)
