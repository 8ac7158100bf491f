"""Batches: being filled, and on their way.

:class:`BatchBuilder` collects records for one partition; it knows no event loop, so an
application may fill one wherever it likes.  :class:`MessageBatch` is a batch the producer
has taken over: it has an age, attempts, maybe a sequence number, and futures.

Runs no task.  A :class:`MessageBatch` owns the futures of its records, and its own ``future``,
which is made when somebody asks for it: ``done``, ``done_noack`` or ``failure`` resolve all of
them, the first call wins.
"""

from __future__ import annotations

import asyncio
import copy
import functools
from collections.abc import Callable
from typing import Any

from aiokafka.producer._hot import BatchRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition
from aiokafka.util import create_future, get_running_loop

Serializer = Callable[[Any], bytes]
RecordFuture = asyncio.Future[RecordMetadata | None]

MAGIC = 2


class BatchBuilder:
    """Collects records for one partition until the batch is full.

    Made by :meth:`AIOKafkaProducer.create_batch`, sent with
    :meth:`AIOKafkaProducer.send_batch`.

    Parameters:
        batch_size: bytes the batch may have, before compression.
        compression_type: the codec's number in the record format, 0 for none.
        is_transactional: whether the batch belongs to a transaction.
        key_serializer, value_serializer: applied to keys and values, None for bytes.
        compression_level: the codec's level, None for its default.

    .. versionchanged:: 0.14.1
        Added ``compression_level``.
    """

    def __init__(
        self,
        batch_size: int,
        compression_type: int,
        *,
        is_transactional: int = 0,
        key_serializer: Serializer | None = None,
        value_serializer: Serializer | None = None,
        compression_level: int | None = None,
    ) -> None:
        self._options = (compression_type, is_transactional, compression_level)
        self._builder = DefaultRecordBatchBuilder(
            MAGIC,
            compression_type,
            bool(is_transactional),
            -1,
            -1,
            -1,
            batch_size,
            compression_level=compression_level,
        )
        self._records = BatchRecords(self._builder)
        self._buffer: bytearray | None = None
        # While a producer has it.
        self.sent_as: asyncio.Future[Any] | None = None
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer

    def append(
        self,
        *,
        timestamp: int | None,
        key: Any,
        value: Any,
        headers: Any = (),
    ) -> Any:
        """Add a record.

        Parameters:
            timestamp: milliseconds since the epoch, None for now.
            key: the record's key or None.
            value: the record's value or None.
            headers: list of ``(str, bytes)`` or None.

        Returns:
            Metadata of the record (``offset`` within the batch, ``size`` in bytes,
            ``timestamp``), or None when it does not fit or the batch is closed. The first
            record always fits.

        Raises:
            TypeError: key or value is not bytes-like (after serialisation), or a header is
                not a pair of str and bytes.
        """
        if self._records.closed:
            return None
        key, value = self._serialize(key, value)
        return self._records.append(timestamp, key, value, headers)

    def _serialize(self, key: Any, value: Any) -> tuple[Any, Any]:
        if self._key_serializer is not None:
            key = self._key_serializer(key)
        if self._value_serializer is not None:
            value = self._value_serializer(value)
        return key, value

    def check_sendable(self) -> None:
        """Close the batch, which is being sent.

        Raises:
            ValueError: it has no records, or is still on its way from an earlier call.
        """
        if self.sent_as is not None and not self.sent_as.done():
            raise ValueError("The batch is already being sent")
        if not self._records.count:
            raise ValueError("The batch has no records")
        self.close()

    def close(self) -> None:
        """Take no more records. May be called again."""
        self._records.closed = True

    def closed(self) -> bool:
        """Whether the batch takes no more records."""
        return self._records.closed

    def size(self) -> int:
        """Bytes of the batch: before compression while it is open, as sent once built."""
        return len(self._buffer) if self._buffer is not None else self._builder.size()

    def record_count(self) -> int:
        """How many records the batch has."""
        return self._records.count

    @property
    def _closed(self) -> bool:
        return self._records.closed

    @property
    def _relative_offset(self) -> int:
        return self._records.count

    def _build(self) -> bytearray:
        self.close()
        if self._buffer is None:
            self._buffer = self._builder.build()
        return self._buffer

    def _set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int
    ) -> None:
        if producer_id == self._builder.producer_id and (
            producer_epoch,
            base_sequence,
        ) == (self._builder.producer_epoch, self._builder.base_sequence):
            return
        self._builder.set_producer_state(producer_id, producer_epoch, base_sequence)
        # The numbers are in the header, under the checksum.
        self._buffer = None

    def _empty_twin(self, batch_size: int) -> BatchBuilder:
        """A new builder with the same format, for a part of this one's records."""
        compression_type, is_transactional, level = self._options
        return BatchBuilder(
            batch_size,
            compression_type,
            is_transactional=is_transactional,
            compression_level=level,
        )


class MessageBatch:
    """A batch in the hands of the producer.

    Parameters:
        tp: the partition it goes to.
        builder: its records.
        ttl: seconds from now in which it has to be delivered.
        linger_time: seconds from now that it may wait for more records.
    """

    def __init__(
        self,
        tp: TopicPartition,
        builder: BatchBuilder,
        ttl: float,
        linger_time: float,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        created_at: float | None = None,
    ) -> None:
        self._loop = loop or get_running_loop()
        self._tp = tp
        self._builder = builder
        self._records = builder._records
        self._retry_count = 0
        self._drain_waiter: asyncio.Future[None] | None = None
        self._drained = False

        self.created_at = self._loop.time() if created_at is None else created_at
        self.expires_at = self.created_at + ttl
        self.linger_until = self.created_at + linger_time
        #: Whether it has ended.
        self.settled = False
        # Called with the batch and whether it is stored, once it has ended.
        self.on_settled: Callable[[MessageBatch, bool], None] | None = None
        self._future: RecordFuture | None = None
        # How it has ended: what `done` was told (None without an answer), or the error.
        self._stored: tuple[int, int | None, int | None] | None = None
        self._error: BaseException | None = None
        # What an attempt left behind.
        self.attempts = 0
        self.last_error: BaseException | None = None
        self.last_node: int | None = None
        self.retry_at = 0.0
        # Its place in the partition's queue, once it was taken from there.
        # Parts of a batch that was split come in its place, in their own order.
        self.order: tuple[int, ...] | None = None
        # Sequence of an idempotent producer (see _sequences).
        self.base_sequence: int | None = None
        self.sequence_ordinal = 0
        self.may_be_stored = False

    def __repr__(self) -> str:
        return (
            f"<MessageBatch {self._tp.topic}-{self._tp.partition} records={self.record_count}"
            f" attempts={self.attempts} base_sequence={self.base_sequence}>"
        )

    @property
    def tp(self) -> TopicPartition:
        return self._tp

    @property
    def record_count(self) -> int:
        return self._records.count

    @property
    def retry_count(self) -> int:
        """How often the batch was taken back to be sent again."""
        return self._retry_count

    def is_empty(self) -> bool:
        return self._records.count == 0

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int | None,
        _create_future: Callable[[], asyncio.Future[Any]] | None = None,
        headers: Any = (),
    ) -> asyncio.Future[Any] | None:
        """Add a record and make its future; None when it does not fit."""
        return self._records.append_future(
            timestamp_ms, key, value, headers, _create_future or self._loop.create_future
        )

    # Time

    def expired(self) -> bool:
        """Whether the time to deliver the batch is over."""
        return self._loop.time() >= self.expires_at

    def remaining_linger(self) -> float:
        """Seconds the batch may still wait for records, 0 when none."""
        return max(0.0, self.linger_until - self._loop.time())

    # Draining

    def drain_ready(self) -> None:
        """The batch is being sent: nothing is added any more."""
        self._drained = True
        self._builder.close()
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)

    def reset_drain(self) -> None:
        """The batch is back in its queue, to be sent again."""
        self._drained = False
        self._retry_count += 1
        self._drain_waiter = None

    async def wait_drain(self, timeout: float | None = None) -> None:
        """Wait until the batch is sent or given up, at most *timeout* seconds.

        Raises:
            KafkaError: the batch was given up before it was sent.
        """
        if not self._drained:
            if self._drain_waiter is None:
                self._drain_waiter = create_future(self._loop)
            await asyncio.wait((self._drain_waiter,), timeout=timeout)
        waiter = self._drain_waiter
        if waiter is not None and waiter.done():
            waiter.result()

    def set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int
    ) -> None:
        if self.attempts and self.base_sequence is not None:
            raise AssertionError(f"{self!r} was already sent under another sequence number")
        self._builder._set_producer_state(producer_id, producer_epoch, base_sequence)
        self.base_sequence = base_sequence

    def reset_producer_state(self) -> None:
        """Forget the sequence number: the batch is not stored under it."""
        self.base_sequence = None
        self.may_be_stored = False

    def get_data_buffer(self) -> bytearray:
        """The batch as it goes on the wire."""
        return self._builder._build()

    # Ends

    def done(
        self,
        base_offset: int,
        timestamp: int | None = None,
        log_start_offset: int | None = None,
    ) -> None:
        """The broker has stored the batch.

        Parameters:
            base_offset: offset of the first record, -1 when unknown.
            timestamp: milliseconds the broker stamped the records with, None or -1 when it
                kept theirs.
            log_start_offset: the first offset of the partition, None when unknown.
        """
        # First: whoever waits for a record finds its buffer memory free.
        self._records.release()
        self._records.complete(self._tp, base_offset, timestamp, log_start_offset)
        if not self.settled:
            self._stored = (base_offset, timestamp, log_start_offset)
            self._settle()

    def done_noack(self) -> None:
        """The batch was written; with ``acks=0`` nobody will say more."""
        self._records.release()
        self._records.complete_unacknowledged()
        self._settle()

    def failure(self, exception: BaseException) -> None:
        """The batch is given up. Each record's future gets its own copy of *exception*."""
        self._records.closed = True
        self._records.release()
        self._records.fail(exception)
        if not self.settled:
            self._error = copy.copy(exception)
            self._error.__cause__ = exception.__cause__
            self._settle()
        waiter = self._drain_waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(exception)
            waiter.exception()

    @property
    def future(self) -> RecordFuture:
        """The end of the batch: the first record's metadata, None with ``acks=0``, an error."""
        if self._future is None:
            self._future = create_future(self._loop)
            if self.settled:
                self._resolve(self._future)
        return self._future

    def _settle(self) -> None:
        if self.settled:
            return
        self.settled = True
        if self._future is not None:
            self._resolve(self._future)
        if self.on_settled is not None:
            self.on_settled(self, self._error is None)

    def _resolve(self, future: RecordFuture) -> None:
        if future.done():
            return
        if self._error is not None:
            future.set_exception(self._error)
            # Most batches have nobody waiting for the whole; that is no lost error.
            future.exception()
        elif self._stored is None:
            future.set_result(None)
        else:
            future.set_result(self._records.metadata(0, self._tp, *self._stored))

    # Splitting

    def split(self, ttl: float) -> list[MessageBatch]:
        """Divide the records among batches of half the size, which take over the futures.

        For a batch that the broker found too large (KIP-126). This batch's own ``future``
        follows the parts: it gets the first record's metadata when all are stored, or the
        first error.
        """
        from aiokafka.producer._split import split_records

        parts = []
        for records, builder in split_records(self._builder):
            part = MessageBatch(
                self._tp,
                builder,
                ttl,
                0,
                loop=self._loop,
                created_at=self.created_at,
            )
            part.attempts = self.attempts
            part.last_error = self.last_error
            part._records.futures[:] = records
            parts.append(part)
        self._records.futures = []
        pending = [part.future for part in parts]
        for future in pending:
            future.add_done_callback(functools.partial(self._part_done, pending))
        return parts

    def _part_done(
        self,
        parts: list[RecordFuture],
        _: RecordFuture,
    ) -> None:
        if self.future.done() or not all(part.done() for part in parts):
            return
        self.settled = True
        for part in parts:
            error = part.exception()
            if error is not None:
                self.future.set_exception(error)
                self.future.exception()
                return
        self.future.set_result(parts[0].result())
