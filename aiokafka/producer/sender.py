"""The sender: takes ready batches and gets them to the brokers.

What it runs: one supervised task (:attr:`Sender.sender_task`) that gets the producer id and
drives transactions, and one for each node being connected to.  Draining is a plain callback,
at most once per turn of the event loop, so that records appended in one turn travel together.
Only where one record at a time is sent, each after the answer to the one before, the next one
leaves as it is appended: nothing would join it, and a turn of the loop is a tenth of its way.
A Produce request is posted and settled in callbacks too.  Only where that way is not open
(``acks=0``, ``client.send`` replaced by somebody) a request has a short task of its own.  At
most ``max_in_flight`` requests are under way to a node.

However one of these ends unexpectedly, :meth:`Sender._crashed` fails everything the producer
holds: no future is left behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka._config import backoff, milliseconds
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._news import News
from aiokafka._on_demand import on_demand
from aiokafka._retry import Action, action_for
from aiokafka._tasks import Supervisor
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.producer._coordination import TransactionalSteps
from aiokafka.producer._handlers import BaseHandler
from aiokafka.producer._lanes import Lanes
from aiokafka.producer._produce_handler import SendProduceReqHandler
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.structs import TopicPartition
from aiokafka.util import INTEGER_MAX_VALUE

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient
    from aiokafka.producer._txn_handlers import (
        BACKOFF_OVERRIDE,
        AddOffsetsToTxnHandler,
        AddPartitionsToTxnHandler,
        EndTxnHandler,
        InitPIDHandler,
        TxnOffsetCommitHandler,
    )
    from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch

__all__ = [
    "BACKOFF_OVERRIDE",
    "AddOffsetsToTxnHandler",
    "AddPartitionsToTxnHandler",
    "BaseHandler",
    "EndTxnHandler",
    "InitPIDHandler",
    "SendProduceReqHandler",
    "Sender",
    "TxnOffsetCommitHandler",
]

if not TYPE_CHECKING:
    __getattr__ = on_demand(
        __name__,
        dict.fromkeys(
            (
                "BACKOFF_OVERRIDE",
                "AddOffsetsToTxnHandler",
                "AddPartitionsToTxnHandler",
                "EndTxnHandler",
                "InitPIDHandler",
                "TxnOffsetCommitHandler",
            ),
            "aiokafka.producer._txn_handlers",
        ),
    )

log = logging.getLogger(__name__)

_CLOSE_TIMEOUT = 5.0


class Sender(TransactionalSteps):
    """Background half of a producer.

    Parameters:
        client: to talk through.
        acks: acknowledgements to ask the brokers for: 0, 1 or -1.
        txn_manager: of an idempotent or transactional producer, else None.
        message_accumulator: where the batches come from.
        retry_backoff_ms, retry_backoff_max_ms: first and longest delay between attempts,
            in milliseconds (KIP-580).
        request_timeout_ms: how long a broker may wait for its replicas, in milliseconds.
        max_in_flight: unanswered Produce requests a node may have.
        max_block: seconds that :meth:`start` may wait for a producer id.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        *,
        acks: int,
        txn_manager: TransactionManager | None,
        message_accumulator: MessageAccumulator,
        retry_backoff_ms: float,
        request_timeout_ms: float,
        retry_backoff_max_ms: float = 1000,
        max_in_flight: int = 5,
        max_block: float | None = None,
    ) -> None:
        self.client = client
        self._acks = acks
        self._txn_manager = txn_manager
        self._message_accumulator = message_accumulator
        self._pool = message_accumulator.pool
        self._retry_backoff = backoff(
            "retry_backoff_ms", retry_backoff_ms, "retry_backoff_max_ms", retry_backoff_max_ms
        )
        self._request_timeout = milliseconds("request_timeout_ms", request_timeout_ms)
        # How long the broker may wait for its replicas, as the protocol has it.
        self.replicas_timeout_ms = min(as_milliseconds(self._request_timeout), INTEGER_MAX_VALUE)
        self._max_block = self._request_timeout if max_block is None else max_block
        self._loop = client._loop
        self._supervisor = Supervisor("producer", log)
        self._lanes = Lanes(
            client,
            max_in_flight=max_in_flight,
            answered=acks != 0,
            supervisor=self._supervisor,
            backlog=message_accumulator.backlog,
            backoff=self._retry_backoff,
        )
        self._sender_task: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._running = False
        self._turn_due = False
        self._coordinators: dict[int, tuple[str, int]] = {}
        self._leader_search = 0
        self._leader_timer: asyncio.TimerHandle | None = None
        self._news = News(self._loop.time)  # of topics whose batches are too large
        # The last thing that went wrong, for the error of whoever runs out of time.
        self.last_error: BaseException | None = None

    # Life cycle

    @property
    def sender_task(self) -> asyncio.Task[None] | None:
        """The background task; done when the producer was stopped or has failed."""
        return self._sender_task

    @property
    def topic_ids(self) -> Mapping[str, Any]:
        """Topic ids known of the cluster."""
        return self.client.cluster.topic_ids

    @property
    def _in_flight(self) -> set[int]:
        """Nodes with unanswered Produce requests."""
        return self._lanes.busy()

    @property
    def _muted_partitions(self) -> set[TopicPartition]:
        """Partitions of which a batch is under way."""
        return {tp for tp, queue in self._message_accumulator._queues.items() if queue.in_flight}

    async def start(self) -> None:
        """Get a producer id if one is needed, and begin to send.

        Raises:
            KafkaTimeoutError: no producer id within *max_block*.
            KafkaError: the brokers refuse to give one.
        """
        if self._txn_manager is not None:
            await self._acquire_pid()
        self._ended = self._loop.create_future()
        self._running = True
        self._sender_task = self._supervisor.spawn(
            self._sender_routine(), name="sender", on_crash=self._crashed
        )
        self._message_accumulator.backlog.on_ready = self._wake
        self.client.cluster.add_listener(self._on_metadata)
        self._wake()

    async def _acquire_pid(self) -> None:
        deadline = Deadline.after(self._max_block)
        try:
            await deadline.run(self._maybe_wait_for_pid(), what="Getting a producer id")
        except KafkaTimeoutError as error:
            if self.last_error is None or not deadline.expired:
                raise
            raise KafkaTimeoutError(
                f"{error.args[0]}; last error: {self.last_error!r}"
            ) from self.last_error

    async def close(self) -> None:
        """End all tasks; what is still queued stays there. Safe when never started."""
        self._stop_turning()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        if self._txn_manager is not None:
            self._txn_manager.close(Errors.ProducerClosed("The producer was stopped"))
        await self._supervisor.cancel_all(Deadline.after(_CLOSE_TIMEOUT))

    def abandon(self) -> None:
        """What :meth:`close` does, as far as it goes without awaiting: the producer was
        garbage collected."""
        self._stop_turning()
        for task in self._supervisor.tasks:
            task.cancel()

    def _stop_turning(self) -> None:
        if self._running:
            self._running = False
            self.client.cluster.remove_listener(self._on_metadata)
        self._lanes.close()
        if self._leader_timer is not None:
            self._leader_timer.cancel()
            self._leader_timer = None

    def _crashed(self, error: BaseException) -> None:
        """Something unforeseen has happened: fail everything instead of hanging."""
        self._fail_all(error)

    def _fail_all(self, error: BaseException) -> None:
        if isinstance(error, KafkaError) and action_for(error) is Action.FATAL:
            failure: KafkaError = error
        else:
            failure = KafkaError("Unexpected error during batch delivery")
            failure.__cause__ = error
        self._stop_turning()
        self._message_accumulator.fail_all(failure)
        manager = self._txn_manager
        if manager is not None and not manager.is_fatal_error():
            manager.fatal_error(failure)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    # Draining

    def _wake(self) -> None:
        """Have a turn soon; many wake-ups of one loop iteration make one turn."""
        if self._running and not self._turn_due and not self._pool.turn_follows:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn_now(self) -> None:
        """Called by the appender with its record ready; see :meth:`_expect_another`."""
        if not self._turn_due:
            self._turn()

    def _expect_another(self, batches: dict[TopicPartition, MessageBatch]) -> None:
        """Have the next record sent as it is appended, if they come one by one."""
        accumulator = self._message_accumulator
        if (
            len(batches) == 1
            and accumulator.appender is not None
            and not accumulator.unsettled
            and accumulator._impatient
        ):
            (batch,) = batches.values()
            if batch.record_count == 1:
                accumulator.appender.send_now = self._turn_now

    def _turn(self) -> None:
        """Take what is ready and send it."""
        self._turn_due = False
        if not self._running:
            return
        accumulator = self._message_accumulator
        self._pool.appended = 0
        try:
            for node_id, batches in accumulator.drain(self._lanes.room):
                self._lanes.enter(node_id)
                if not self._post(node_id, batches):
                    self._supervisor.spawn(
                        self._carry(node_id, batches), name="produce", on_crash=self._crashed
                    )
            if accumulator.backlog.leaderless:
                self._seek_leaders()
        except Exception as error:
            log.exception("Unexpected error in the producer's sender")
            self._crashed(error)

    def _post(self, node_id: int, batches: dict[TopicPartition, MessageBatch]) -> bool:
        """Send *batches* without a task, and settle them in the turn the answer arrives.

        A task and its futures would cost a record two turns of the loop.  False, with nothing
        done, where this way is not open; then :meth:`_carry` them.
        """
        if self._acks == 0 or "_send_produce_req" in self.__dict__:
            return False
        handler = SendProduceReqHandler(self, batches)

        def answered(response: Any, error: BaseException | None) -> None:
            if not self._running:
                return  # everything was failed meanwhile
            try:
                handler.settle(node_id, response, error)
                self._landed(node_id, batches)
                self._put_back(handler)
                self._expect_another(batches)
            except Exception as unexpected:
                log.exception("Unexpected error in the producer's sender")
                self._crashed(unexpected)

        return handler.post(node_id, answered)

    async def _carry(self, node_id: int, batches: dict[TopicPartition, MessageBatch]) -> None:
        try:
            await self._send_produce_req(node_id, batches)
        finally:
            self._landed(node_id, batches)

    def _landed(self, node_id: int, batches: dict[TopicPartition, MessageBatch]) -> None:
        for batch in batches.values():
            self._message_accumulator.landed(batch)
        self._lanes.leave(node_id)

    async def _send_produce_req(
        self, node_id: int, batches: dict[TopicPartition, MessageBatch]
    ) -> None:
        """Send *batches* in one request and settle them or put them back."""
        handler = SendProduceReqHandler(self, batches)
        await handler.do(node_id)
        self._put_back(handler)

    def _put_back(self, handler: SendProduceReqHandler) -> None:
        """Have the batches sent again that were not settled."""
        at_once = handler.without_delay
        again = [batch for batch in handler._to_reenqueue if batch not in at_once]
        if at_once:
            self._message_accumulator.retry_later(at_once, 0)
        if again:
            attempt = min(batch.attempts for batch in again) - 1
            delay = self._retry_backoff.delay(attempt, self.client._rng)
            self._message_accumulator.retry_later(again, delay)

    # What the produce handler reports

    def on_produce_error(self, node_id: int, error: KafkaError) -> None:
        """A Produce request has got no answer."""
        self.last_error = error
        if error.invalid_metadata:
            self.client.request_metadata(f"produce request to node {node_id} failed: {error!r}")

    def on_stale_leader(self, tp: TopicPartition, error: KafkaError) -> None:
        """A broker does not lead *tp* (any more)."""
        self.last_error = error
        self.client.request_metadata(
            f"produce to {tp.topic}-{tp.partition} failed: {error!r}", (tp.topic,)
        )

    def on_stored(self, batch: MessageBatch) -> None:
        """The broker has *batch*."""
        if self._txn_manager is not None:
            self._txn_manager.sequences.settled(batch.tp, batch)

    def on_too_large(self, batch: MessageBatch, error: KafkaError) -> None:
        """The broker takes no batch of this size, but maybe its halves."""
        log.log(
            logging.WARNING if self._news.is_news(batch.tp.topic) else logging.DEBUG,
            "%r is too large for the broker, splitting it: %s; further ones of this topic are"
            " split without a warning",
            batch,
            error,
        )
        batch.last_error = error
        self._message_accumulator.split(batch)

    def on_out_of_sequence(self, batch: MessageBatch) -> bool:
        """The broker expects another sequence number; whether to send *batch* again."""
        manager = self._txn_manager
        if manager is None:
            return False
        again = manager.sequences.rejected(batch.tp, batch)
        if manager.sequences.of(batch.tp).broken:
            log.info("The sequence of %s is broken, going on under a new epoch", batch.tp)
        return again

    def on_given_up(self, batch: MessageBatch, error: KafkaError) -> None:
        """*batch* has failed for good."""
        self.last_error = error
        manager = self._txn_manager
        if manager is None:
            return
        manager.sequences.lost(batch.tp, batch)
        if batch.settled:
            return  # an answer to what was given up before says nothing of the producer now
        if manager.transactional_id is None or manager.is_fatal_error():
            return
        if isinstance(error, Errors.ProducerFenced) or action_for(error) is Action.FATAL:
            manager.fatal_error(error)
        else:
            manager.fail_transaction(error)

    # Metadata

    def _on_metadata(self, _: Any) -> None:
        self._message_accumulator.on_metadata_changed()

    def _seek_leaders(self) -> None:
        """Ask for metadata, again and again with backoff, while partitions lack a leader."""
        if self._leader_timer is not None:
            return
        topics = sorted({tp.topic for tp in self._message_accumulator.backlog.leaderless})
        self.client.request_metadata(f"no leader for partitions of {topics}", topics)
        delay = self._retry_backoff.delay(self._leader_search, self.client._rng)
        self._leader_search += 1
        self._leader_timer = self._loop.call_later(delay, self._leaders_sought)

    def _leaders_sought(self) -> None:
        self._leader_timer = None
        if self._message_accumulator.backlog.leaderless:
            self._seek_leaders()
        else:
            self._leader_search = 0

    # The background task

    async def _sender_routine(self) -> None:
        ended = self._ended
        if ended is None:
            raise AssertionError("The sender was not started")
        manager = self._txn_manager
        if manager is None:
            await ended
            return
        while not ended.done():
            waiter = manager.make_task_waiter()
            try:
                await self._maybe_wait_for_pid()
                self._message_accumulator.reschedule_pending()
                if manager.transactional_id is not None:
                    while await self._maybe_do_transactional_request():
                        pass
            except KafkaError as error:
                if not manager.is_fatal_error():
                    manager.fatal_error(error)
            failure = manager.fatal_exception
            if failure is not None:
                self._message_accumulator.fail_all(failure)
                self._stop_turning()
                return
            await asyncio.wait((waiter, ended), return_when=asyncio.FIRST_COMPLETED)
