"""The Produce request: sending a set of batches to one node and settling each of them.

Runs no task.  It resolves the futures of the batches it carries, or puts a batch on the
list of those to be sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka._retry import Action, action_for
from aiokafka.errors import KafkaError
from aiokafka.producer._handlers import BaseHandler
from aiokafka.protocol.produce import (
    OrdinaryResponse,
    ProducePartitionResult,
    ProduceRequest,
    node_endpoints,
    partition_results,
)
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.producer._batch import MessageBatch
    from aiokafka.producer.sender import Sender

log = logging.getLogger("aiokafka.producer.sender")

_TOO_LARGE = (Errors.MessageSizeTooLargeError, Errors.RecordListTooLargeError)
# Bytes damaged on their way: what is here is sound, so another try may get through.
_DAMAGED = Errors.CorruptRecordException
_OUT_OF_SEQUENCE = (Errors.OutOfOrderSequenceNumber, Errors.UnknownProducerId)
_REFUSED_FOR_GOOD = frozenset({Action.FAIL, Action.ABORT, Action.FATAL})


class SendProduceReqHandler(BaseHandler):
    """Sends one batch of each of several partitions to their leader.

    Parameters:
        sender: whose client and settings to use.
        batches: the batches by partition.
    """

    def __init__(self, sender: Sender, batches: dict[TopicPartition, MessageBatch]) -> None:
        super().__init__(sender)
        self._batches = batches
        self._to_reenqueue: list[MessageBatch] = []
        self._topic_ids: dict[str, Any] = {}
        # Those of them that need not wait before it: something has changed already.
        self.without_delay: set[MessageBatch] = set()

    def create_request(self) -> ProduceRequest:
        topics: dict[str, list[tuple[int, bytearray]]] = {}
        for (topic, partition), batch in self._batches.items():
            topics.setdefault(topic, []).append((partition, batch.get_data_buffer()))
        sender = self._sender
        manager = sender._txn_manager
        known_ids = sender.topic_ids
        if known_ids:
            self._topic_ids = {name: known_ids[name] for name in topics if name in known_ids}
        return ProduceRequest(
            transactional_id=None if manager is None else manager.transactional_id,
            required_acks=sender._acks,
            timeout=sender.replicas_timeout_ms,
            topics=list(topics.items()),
            topic_ids=self._topic_ids,
        )

    async def do(self, node_id: int) -> bool:
        """Send the batches; True when each of them is settled."""
        try:
            request = self.create_request()
            response = await self._sender.client.send(node_id, request)
        except (KafkaError, asyncio.TimeoutError, NotImplementedError) as error:
            self.settle(node_id, None, error)
        else:
            self.settle(node_id, response, None)
        return not self._to_reenqueue

    def post(self, node_id: int, answered: Callable[[Any, BaseException | None], None]) -> bool:
        """Send the batches without awaiting anything.

        Parameters:
            answered: called once, with the response or the error; see :meth:`settle`.

        Returns:
            False, with nothing sent, where the client cannot do that now: then ``do``.
        """
        client = self._sender.client
        try:
            return client.post(node_id, self.create_request(), answered)
        except (KafkaError, NotImplementedError) as error:
            answered(None, error)
            return True

    def settle(self, node_id: int, response: Any, error: BaseException | None) -> None:
        """Take the answer: settle each batch, or put it on the list of those to send again."""
        if error is not None:
            self._request_failed(node_id, _as_kafka_error(node_id, error))
        elif self._sender._acks == 0:
            for batch in self._batches.values():
                batch.done_noack()
        else:
            self.handle_response(response)

    def _request_failed(self, node_id: int, error: KafkaError) -> None:
        """No answer: what the broker has done with the batches is not known."""
        log.debug("Produce request to node %s failed: %r", node_id, error)
        self._sender.on_produce_error(node_id, error)
        for batch in self._batches.values():
            if action_for(error).retriable:
                self._retry(batch, error)
            else:
                self._give_up(batch, error)

    def handle_response(self, response: Any) -> float | None:
        names = None
        if not isinstance(response, OrdinaryResponse):  # which has names already
            names = {topic_id: name for name, topic_id in self._topic_ids.items()}
        results = partition_results(response, names)
        unanswered = dict(self._batches)
        endpoints = None
        for result in results:
            batch = unanswered.pop((result.topic, result.partition), None)  # type: ignore[call-overload]
            if batch is None:
                continue
            if result.error_code and result.leader_id >= 0:
                if endpoints is None:
                    endpoints = {row[0]: row for row in node_endpoints(response)}
                if self._sender.client.cluster.update_leader(
                    batch.tp,
                    result.leader_id,
                    result.leader_epoch,
                    endpoints.get(result.leader_id),
                ):
                    self.without_delay.add(batch)
            self._settle(batch, result)
        for batch in unanswered.values():
            self._retry(
                batch, Errors.KafkaProtocolError(f"The response says nothing of {batch.tp}")
            )
        return None

    def _settle(self, batch: MessageBatch, result: ProducePartitionResult) -> None:
        code = result.error_code
        # A duplicate: an earlier attempt was stored, maybe so long ago that the broker has
        # forgotten where; it says offset -1 then.
        if code == 0 or code == Errors.DuplicateSequenceNumber.errno:
            self._sender.on_stored(batch)
            batch.done(result.base_offset, result.timestamp, result.log_start_offset)
        else:
            self._refused(batch, Errors.for_code(code), result.error_message)

    def _refused(
        self, batch: MessageBatch, error_class: type[KafkaError], message: str | None
    ) -> None:
        error = self._error_of(batch, error_class, message)
        log.debug("Node refused %r: %r", batch, error)
        if issubclass(error_class, _TOO_LARGE) and batch.record_count > 1:
            self._sender.on_too_large(batch, error)
        elif issubclass(error_class, _OUT_OF_SEQUENCE) and self._sender.on_out_of_sequence(batch):
            if not isinstance(batch.last_error, _OUT_OF_SEQUENCE):
                # It gets another number. Should that be refused, too, it is no hurry any more.
                self.without_delay.add(batch)
            self._retry(batch, error)
        elif action_for(error) in _REFUSED_FOR_GOOD and error_class is not _DAMAGED:
            self._give_up(batch, error)
        else:
            if error.invalid_metadata:
                self._sender.on_stale_leader(batch.tp, error)
            self._retry(batch, error)

    @staticmethod
    def _error_of(
        batch: MessageBatch, error_class: type[KafkaError], message: str | None
    ) -> KafkaError:
        if error_class is Errors.TopicAuthorizationFailedError:
            return error_class(batch.tp.topic)
        if error_class is Errors.InvalidProducerEpoch:
            return Errors.ProducerFenced()
        return error_class(message) if message else error_class()

    def _retry(self, batch: MessageBatch, error: KafkaError) -> None:
        batch.last_error = error
        self._to_reenqueue.append(batch)

    def _give_up(self, batch: MessageBatch, error: KafkaError) -> None:
        self._sender.on_given_up(batch, error)
        batch.failure(exception=error)


def _as_kafka_error(node_id: int, error: BaseException) -> KafkaError:
    """*error* itself, or what it means; raises what nobody has foreseen."""
    meaning: KafkaError
    if isinstance(error, KafkaError):
        return error
    if isinstance(error, asyncio.TimeoutError):  # from a client.send that was replaced
        meaning = Errors.RequestTimedOutError(f"no answer from node {node_id}")
    elif isinstance(error, NotImplementedError):
        meaning = Errors.UnsupportedVersionError(
            f"Node {node_id} speaks no version of Produce that this client does"
        )
    else:
        raise error
    meaning.__cause__ = error
    return meaning
