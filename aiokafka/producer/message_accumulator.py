"""Records on their way to the sender, batch by batch and partition by partition.

:class:`MessageAccumulator` owns the batches from their creation to their end: the queues,
the buffer memory (:mod:`~aiokafka.producer._queues`), who has to be looked at
(:mod:`~aiokafka.producer._backlog`) and who runs out of time
(:mod:`~aiokafka.producer._pending`).

Runs no task.  Every batch is resolved by a response, by its expiry, or by
:meth:`MessageAccumulator.fail_all` or :meth:`MessageAccumulator.dispose`.
"""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiokafka._deadline import Deadline
from aiokafka.errors import (
    KafkaTimeoutError,
    ProducerClosed,
)
from aiokafka.producer._append_py import too_large
from aiokafka.producer._backlog import Backlog
from aiokafka.producer._batch import BatchBuilder, MessageBatch, RecordFuture
from aiokafka.producer._draining import Draining, silence
from aiokafka.producer._hot import BatchRecords
from aiokafka.producer._pending import PendingBatches
from aiokafka.producer._queues import BufferMemory, PartitionQueue, until_done
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition
from aiokafka.util import get_running_loop

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata
    from aiokafka.producer._hot import Appender
    from aiokafka.producer.transaction_manager import TransactionManager

__all__ = ["BatchBuilder", "MessageAccumulator", "MessageBatch"]

_UNLIMITED = 2**62


class MessageAccumulator(Draining):
    """Collects records into batches and hands ready batches to the sender.

    Parameters:
        cluster: where the leaders are looked up.
        batch_size: bytes of a batch before compression.
        compression_type: the codec's number, 0 for none.
        batch_ttl: seconds from the creation of a batch to its expiry.
        txn_manager: of an idempotent or transactional producer.
        linger_ms: how long a batch waits for more records, in milliseconds.
        buffer_memory: bytes of records held at most. Without it each partition holds one
            batch at a time and :meth:`add_message` waits while that is full, and expiry is
            looked at when draining: the behaviour of 0.14, for those who use this class by
            itself.
        compression_level: the codec's level.
        max_request_size: bytes of batches put into one request.
        max_in_flight: batches of one partition that may be sent and not answered.
    """

    def __init__(
        self,
        cluster: ClusterMetadata,
        batch_size: int,
        compression_type: int,
        batch_ttl: float,
        *,
        txn_manager: TransactionManager | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        linger_ms: float = 0,
        buffer_memory: int | None = None,
        compression_level: int | None = None,
        max_request_size: int = _UNLIMITED,
        max_in_flight: int = _UNLIMITED,
    ) -> None:
        self._loop = loop or get_running_loop()
        self._cluster = cluster
        self._batch_size = batch_size
        self._compression_type = compression_type
        self._compression_level = compression_level
        self._batch_ttl = batch_ttl
        self._linger_time = linger_ms / 1000
        self._txn_manager = txn_manager
        self._transactional = txn_manager is not None and txn_manager.transactional_id is not None
        self._max_request_size = max_request_size
        self._max_in_flight = max_in_flight
        self._one_batch_each = buffer_memory is None
        self.pool = BufferMemory(buffer_memory or _UNLIMITED, self._loop)
        self.backlog = Backlog(self._loop)
        self._queues: dict[TopicPartition, PartitionQueue] = {}
        self._pending = PendingBatches(
            self._loop, batch_ttl, None if self._one_batch_each else self._expire
        )
        # What appends without asking this object; switched off when no records are taken.
        self.appender: Appender | None = None
        self._flushing = 0
        self._closed = False
        self._exception: BaseException | None = None
        # Why batches that come back are not sent again: their transaction is being aborted.
        self._aborting: BaseException | None = None

    # Appending

    def check_usable(self) -> None:
        """Raise why no records are taken any more, if so."""
        if self._exception is not None:
            raise copy.copy(self._exception) from self._exception.__cause__
        if self._closed:
            raise ProducerClosed("The producer is closed")

    async def add_message(
        self,
        tp: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        timeout: float,
        timestamp_ms: int | None = None,
        headers: Any = (),
    ) -> RecordFuture:
        """Append one record to a batch of *tp*, waiting for space if need be.

        Parameters:
            timeout: seconds to wait at most.

        Raises:
            KafkaTimeoutError: no space became free in time.
            ProducerClosed: the producer was closed, maybe while waiting.
            MessageSizeTooLargeError: the record can never fit.
            KafkaError: the producer has failed.
        """
        self.check_usable()
        queue = self.queue(tp)
        if self._one_batch_each:
            deadline = self._loop.time() + timeout
            while True:
                future = self._try_append(queue, key, value, timestamp_ms, headers)
                if future is not None:
                    return future
                if not queue.batches:
                    return self._append(queue, key, value, timestamp_ms, headers)
                await self._wait_drained(queue, deadline)
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, headers)
        await self._reserve(size, timeout)
        try:
            self.check_usable()
            return self._append(queue, key, value, timestamp_ms, headers)
        finally:
            # The append has counted what the record really takes.
            self.pool.give_back(size)

    async def _reserve(self, size: int, timeout: float) -> None:
        if size > self.pool.total:
            raise too_large(size, self.pool.total)
        if not self.pool.fits(size):
            # Do not linger on batches whose space somebody needs.
            self.backlog.linger.end()
        await self.pool.reserve(size, timeout, self._last_error())

    def _last_error(self) -> BaseException | None:
        oldest = self._pending.oldest
        return None if oldest is None else oldest.last_error or self.queue(oldest.tp).obstacle

    def _try_append(
        self, queue: PartitionQueue, key: Any, value: Any, timestamp_ms: Any, headers: Any
    ) -> RecordFuture | None:
        if queue.open is None:
            return None
        return queue.open.append_future(
            timestamp_ms, key, value, headers, self._loop.create_future
        )

    def _append(
        self, queue: PartitionQueue, key: Any, value: Any, timestamp_ms: Any, headers: Any
    ) -> RecordFuture:
        future = self._try_append(queue, key, value, timestamp_ms, headers)
        if future is not None:
            return future
        self.open_batch(queue)
        try:
            future = self._try_append(queue, key, value, timestamp_ms, headers)
        except BaseException:
            self.drop_empty(queue)
            raise
        if future is None:
            raise AssertionError("The first record of a batch did not fit")
        return future

    async def _wait_drained(self, queue: PartitionQueue, deadline: float) -> None:
        """Wait until the last batch of *queue* is taken by the sender."""
        remaining = deadline - self._loop.time()
        if remaining <= 0:
            raise KafkaTimeoutError(f"The batch of {queue.tp} was not sent in time")
        await queue.batches[-1].wait_drain(remaining)
        self.check_usable()

    async def add_batch(
        self, builder: BatchBuilder, tp: TopicPartition, timeout: float
    ) -> RecordFuture:
        """Queue a batch the application has filled; see :meth:`add_message` for errors."""
        self.check_usable()
        builder.check_sendable()
        queue = self.queue(tp)
        if self._one_batch_each:
            deadline = self._loop.time() + timeout
            while queue.batches:
                await self._wait_drained(queue, deadline)
        else:
            size = builder.size()
            await self._reserve(size, timeout)
            try:
                self.check_usable()
            except BaseException:
                self.pool.give_back(size)
                raise
            # Charged by the batch from here on; nobody else is granted them in between.
            self.pool.used -= size
        try:
            # Once more: another call may have queued it while this one waited.
            builder.check_sendable()
        except BaseException:
            self.pool.grant()
            raise
        queue.seal()
        batch = self._enqueue(queue, builder, linger=0)
        builder.sent_as = batch.future
        self.backlog.schedule(queue)
        return asyncio.shield(batch.future)

    def create_builder(
        self, key_serializer: Any = None, value_serializer: Any = None
    ) -> BatchBuilder:
        """An empty batch with this accumulator's settings."""
        return BatchBuilder(
            self._batch_size,
            self._compression_type,
            is_transactional=int(self._transactional),
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            compression_level=self._compression_level,
        )

    def queue(self, tp: TopicPartition) -> PartitionQueue:
        """The queue of *tp*."""
        queue = self._queues.get(tp)
        if queue is None:
            queue = self._queues[tp] = PartitionQueue(tp)
        return queue

    def open_batch(self, queue: PartitionQueue) -> BatchRecords:
        """Start a new batch of *queue*; the one before takes no more records."""
        queue.seal()
        batch = self._enqueue(queue, self.create_builder(), self._linger_time)
        queue.open = batch._records
        if len(queue.batches) > 1 or self._impatient:
            self.backlog.schedule(queue)
        elif not queue.scheduled:
            self.backlog.linger.add(queue, batch.linger_until)
        return batch._records

    def _enqueue(
        self, queue: PartitionQueue, builder: BatchBuilder, linger: float
    ) -> MessageBatch:
        if self._transactional and self._txn_manager is not None:
            self._txn_manager.maybe_add_partition_to_txn(queue.tp)
        batch = MessageBatch(queue.tp, builder, self._batch_ttl, linger, loop=self._loop)
        batch._records.charge(self.pool)
        self._track(batch)
        queue.batches.append(batch)
        return batch

    def _track(self, batch: MessageBatch) -> None:
        self._pending.add(batch)
        batch.on_settled = self._settled

    def _settled(self, batch: MessageBatch, stored: bool) -> None:
        self._pending.discard(batch)
        if self.pool.blocked:
            self.pool.grant()
        if stored:
            self._pending.delivered()
            self.pool.news.all_is_well()

    @property
    def unsettled(self) -> int:
        """How many batches there are, queued or under way."""
        return len(self._pending)

    def drop_empty(self, queue: PartitionQueue) -> None:
        """Take back a batch for which its first record could not be encoded."""
        if queue.batches and queue.batches[-1].is_empty():
            queue.seal()
            queue.batches.pop().done_noack()

    @property
    def _impatient(self) -> bool:
        """Whether batches are sent without lingering."""
        return bool(not self._linger_time or self._flushing or self._closed or self.pool.blocked)

    def waiter(self) -> asyncio.Future[None]:
        """A future that is done when there may be something to drain."""
        return self.backlog.waiter()

    def on_metadata_changed(self) -> None:
        """Leaders may have moved: look again at everything that waits for one."""
        self.backlog.unpark_all()
        for queue in self.backlog.backing_off:
            leader = self._cluster.leader_for_partition(queue.tp)
            if queue.batches and leader not in (None, -1, queue.batches[0].last_node):
                self.backlog.retry_now(queue)

    def reschedule_pending(self) -> None:
        """Something all partitions may have waited for has come (a producer id)."""
        for batch in self._pending:
            self.backlog.schedule(self.queue(batch.tp))

    # After an attempt

    def landed(self, batch: MessageBatch) -> None:
        """The request that carried *batch* has ended, one way or the other."""
        queue = self.queue(batch.tp)
        queue.in_flight -= 1
        if self._txn_manager is not None:
            self._txn_manager.sequences.arrived(batch.tp)
        self.backlog.schedule(queue)

    def reenqueue(self, batch: MessageBatch) -> None:
        """Put *batch* back to be sent again, before everything that came after it."""
        if self._aborting is not None:
            self._lost(batch)
            batch.failure(self._aborting)
            return
        queue = self.queue(batch.tp)
        queue.obstacle = batch.last_error
        batch.reset_drain()
        queue.insert_in_order(batch)
        self.backlog.schedule(queue)

    def retry_later(self, batches: Iterable[MessageBatch], delay: float) -> None:
        """Put *batches* back, to be sent again in *delay* seconds."""
        live = [batch for batch in batches if not batch.settled]
        if live and delay > 0:
            self.backlog.back_off([self.queue(batch.tp) for batch in live], delay)
        for batch in live:
            self.reenqueue(batch)

    def split(self, batch: MessageBatch) -> None:
        """Queue the records of *batch*, which was too large, as several smaller batches."""
        queue = self.queue(batch.tp)
        parts = batch.split(self._batch_ttl)
        manager = self._txn_manager
        if manager is None or not manager.sequences.split(batch.tp, batch, parts):
            self._lost(batch)
        # The parts stand for it from now on.
        self._pending.discard(batch)
        batch._records.release()
        for number, part in enumerate(parts):
            part.order = (*(batch.order or ()), number)
            part.drain_ready()
            part._records.charge(self.pool)
            self._track(part)
            queue.insert_in_order(part)
        self._pending.sort()
        self.backlog.schedule(queue)

    def _lost(self, batch: MessageBatch) -> None:
        if self._txn_manager is not None:
            self._txn_manager.sequences.lost(batch.tp, batch)

    def _expire(self, batch: MessageBatch) -> None:
        if batch.settled:
            return
        queue = self.queue(batch.tp)
        cause = self._cause_of(batch)
        # Those behind it have waited for the same.
        queue.obstacle = cause
        error = self._pending.timeout_of(batch, cause)
        self._remove(queue, batch)
        self._lost(batch)
        batch.failure(error)
        if self._txn_manager is not None:
            self._txn_manager.fail_transaction(error)
        self.backlog.schedule(queue)

    def _cause_of(self, batch: MessageBatch) -> BaseException | None:
        """What keeps *batch* from being delivered."""
        queue = self.queue(batch.tp)
        return batch.last_error or queue.obstacle or silence(batch, queue)

    def _remove(self, queue: PartitionQueue, batch: MessageBatch) -> None:
        if batch in queue.batches:
            queue.batches.remove(batch)
        if queue.open is batch._records:
            queue.seal()

    # Flushing and ending

    async def flush(self, deadline: Deadline | None = None) -> None:
        """Wait until every batch there is now is delivered or failed.

        Raises:
            KafkaTimeoutError: *deadline* passed first.
        """
        self._flushing += 1
        try:
            self.reschedule_pending()
            futures: list[Any] = [batch.future for batch in self._pending]
            await until_done(futures, deadline, "flush()")
        finally:
            self._flushing -= 1

    async def flush_for_commit(self) -> None:
        """Wait until everything that belongs to the transaction is delivered or failed."""
        await self.flush()

    async def abort(self, error: BaseException) -> None:
        """Fail everything that is not on the wire, and wait for what is."""
        self._aborting = error
        try:
            for batch in list(self._pending):
                queue = self.queue(batch.tp)
                if batch in queue.batches:
                    self._remove(queue, batch)
                    self._lost(batch)
                    batch.failure(error)
            await self.flush()
        finally:
            self._aborting = None

    def fail_all(self, exception: BaseException) -> None:
        """The producer has failed: fail everything held, and everything to come."""
        self._exception = exception
        self._bar()
        self._fail_pending(exception)

    def _bar(self) -> None:
        if self.appender is not None:
            self.appender.enabled = False

    def _fail_pending(self, exception: BaseException) -> None:
        for batch in list(self._pending):
            batch.failure(exception)
        for queue in self._queues.values():
            queue.batches.clear()
            queue.seal()
        self.pool.fail_waiters(exception)

    def stop_accepting(self) -> None:
        """Take no more records; whoever waits for space gets :class:`ProducerClosed`."""
        self._closed = True
        self._bar()
        self.pool.fail_waiters(ProducerClosed("The producer was closed while send() waited"))
        self.backlog.linger.end()

    async def close(self, deadline: Deadline | None = None) -> None:
        """Take no more records, wait for those there are, at most until *deadline*."""
        self.stop_accepting()
        await self.flush(deadline)

    def dispose(self, exception: BaseException) -> int:
        """Fail what is left, stop the timers; returns how many records were left."""
        left = sum(batch.record_count for batch in self._pending)
        self._closed = True
        for batch in list(self._pending):
            own = copy.copy(exception)
            own.__cause__ = self._cause_of(batch) or exception.__cause__
            batch.failure(own)
        self._fail_pending(exception)
        self.backlog.close()
        self._pending.close()
        return left

    # Views of the state, under the names of 0.14

    @property
    def _batches(self) -> defaultdict[TopicPartition, deque[MessageBatch]]:
        view: defaultdict[TopicPartition, deque[MessageBatch]] = defaultdict(deque)
        for tp, queue in self._queues.items():
            if queue.batches:
                view[tp] = queue.batches
        return view

    @property
    def _pending_batches(self) -> set[MessageBatch]:
        return set(self._pending)

    @property
    def _waiter_future(self) -> asyncio.Future[None]:
        return self.backlog.waiter()
