"""The requests of idempotent and transactional producers; see :mod:`aiokafka.producer._handlers`.

Loaded with the first of them: other producers never need it.  Runs no task, owns no future.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka._client.connections import ConnectionGroup
from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.producer._handlers import BaseHandler
from aiokafka.producer.transaction_manager import TransactionResult
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from aiokafka.producer.sender import Sender

log = logging.getLogger("aiokafka.producer.sender")

# A transaction's markers are usually written within this many seconds.
BACKOFF_OVERRIDE = 0.02

_NOT_THE_MEMBER = (
    Errors.IllegalGenerationError,
    Errors.UnknownMemberIdError,
    Errors.FencedInstanceIdError,
)


def by_topic(partitions: Collection[TopicPartition]) -> dict[str, list[int]]:
    """Partition numbers grouped by topic."""
    topics: dict[str, list[int]] = {}
    for topic, partition in partitions:
        topics.setdefault(topic, []).append(partition)
    return topics


class InitPIDHandler(BaseHandler):
    """Gets a producer id (and fences older producers with the same transactional id).

    Parameters:
        bump: keep the producer id and begin its next epoch (KIP-360); somebody else who has
            taken the transactional id meanwhile is not fenced by that, but this producer is.
    """

    def __init__(self, sender: Sender, *, bump: bool = False) -> None:
        super().__init__(sender)
        self._bump = bump

    def create_request(self) -> InitProducerIdRequest:
        manager = self._txn_manager
        return InitProducerIdRequest(
            transactional_id=manager.transactional_id,
            transaction_timeout_ms=manager.transaction_timeout_ms,
            producer_id=manager.producer_id if self._bump else -1,
            producer_epoch=manager.producer_epoch if self._bump else -1,
        )

    def handle_response(self, response: Any) -> float | None:
        error = Errors.for_code(response.error_code)
        if error is Errors.NoError:
            log.debug("Got producer id %s epoch %s", response.producer_id, response.producer_epoch)
            self._txn_manager.set_pid_and_epoch(response.producer_id, response.producer_epoch)
            return None
        self._sender.last_error = error()
        backoff = self._coordinator_backoff(error, CoordinationType.TRANSACTION)
        if backoff is not None:
            return backoff
        if error is Errors.TransactionalIdAuthorizationFailed:
            raise error(self._txn_manager.transactional_id)
        if error.retriable:
            return self._default_backoff
        if error is Errors.InvalidProducerEpoch or issubclass(error, Errors.ProducerFenced):
            raise Errors.ProducerFenced()
        raise error()

    def handle_error(self) -> float:
        if self._txn_manager.transactional_id is not None:
            self._sender._coordinator_dead(CoordinationType.TRANSACTION)
        return self._default_backoff


class TransactionHandler(BaseHandler):
    """What the requests to the transaction coordinator have in common."""

    group = ConnectionGroup.COORDINATION
    kind = CoordinationType.TRANSACTION

    def handle_error(self) -> float:
        self._sender._coordinator_dead(self.kind)
        return self._default_backoff

    def _raise_fatal(self, error: type[KafkaError]) -> None:
        """Raise what ends the producer; the transaction alone where that is enough."""
        if error.abortable or error is Errors.UnknownProducerId:
            self._txn_manager.sequences.gap |= error is Errors.UnknownProducerId
            if self._txn_manager.has_open_transaction():
                self._txn_manager.error_transaction(error())
                return
        if error is Errors.InvalidProducerEpoch or issubclass(error, Errors.ProducerFenced):
            raise Errors.ProducerFenced()
        if error is Errors.TransactionalIdAuthorizationFailed:
            raise error(self._txn_manager.transactional_id)
        raise error()


class AddPartitionsToTxnHandler(TransactionHandler):
    """Tells the coordinator which partitions the transaction will write to."""

    def __init__(self, sender: Sender, topic_partitions: Collection[TopicPartition]) -> None:
        super().__init__(sender)
        self._tps = set(topic_partitions)

    def create_request(self) -> AddPartitionsToTxnRequest:
        manager = self._txn_manager
        return AddPartitionsToTxnRequest(
            transactional_id=str(manager.transactional_id),
            producer_id=manager.producer_id,
            producer_epoch=manager.producer_epoch,
            topics=list(by_topic(self._tps).items()),
        )

    def handle_response(self, response: Any) -> float | None:
        manager = self._txn_manager
        unauthorized = set()
        for topic, partitions in response.errors:
            for partition, code in partitions:
                error = Errors.for_code(code)
                if error is Errors.NoError:
                    manager.partition_added(TopicPartition(topic, partition))
                    continue
                backoff = self._coordinator_backoff(error, self.kind)
                if backoff is not None:
                    if error is Errors.ConcurrentTransactions and not manager.txn_partitions:
                        # The one before is still being completed, which takes a moment.
                        return BACKOFF_OVERRIDE
                    return backoff
                if error.retriable:
                    return self._default_backoff
                if error is Errors.TopicAuthorizationFailedError:
                    unauthorized.add(topic)
                elif error is not Errors.OperationNotAttempted:
                    # "Not attempted" accompanies the real reason on another partition.
                    self._raise_fatal(error)
        if unauthorized:
            manager.fail_transaction(Errors.TopicAuthorizationFailedError(unauthorized))
        return None


class AddOffsetsToTxnHandler(TransactionHandler):
    """Tells the coordinator for which group offsets will be committed."""

    def __init__(self, sender: Sender, group_id: str) -> None:
        super().__init__(sender)
        self._group_id = group_id

    def create_request(self) -> AddOffsetsToTxnRequest:
        manager = self._txn_manager
        return AddOffsetsToTxnRequest(
            transactional_id=str(manager.transactional_id),
            producer_id=manager.producer_id,
            producer_epoch=manager.producer_epoch,
            group_id=self._group_id,
        )

    def handle_response(self, response: Any) -> float | None:
        error = Errors.for_code(response.error_code)
        if error is Errors.NoError:
            self._txn_manager.consumer_group_added(self._group_id)
            return None
        backoff = self._coordinator_backoff(error, self.kind)
        if backoff is not None:
            return backoff
        if error.retriable:
            return self._default_backoff
        if error is Errors.GroupAuthorizationFailedError:
            self._txn_manager.fail_transaction(error(self._group_id))
            return None
        self._raise_fatal(error)
        return None


class TxnOffsetCommitHandler(TransactionHandler):
    """Commits consumer offsets within the transaction, at the group's coordinator."""

    kind = CoordinationType.GROUP

    def __init__(
        self,
        sender: Sender,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        group_id: str,
    ) -> None:
        super().__init__(sender)
        self._offsets = dict(offsets)
        self._group_id = group_id

    def create_request(self) -> TxnOffsetCommitRequest:
        manager = self._txn_manager
        generation_id, member_id, instance_id = manager.member_of(self._group_id)
        topics: dict[str, list[tuple[int, int, str]]] = {}
        for tp, (offset, metadata) in sorted(self._offsets.items()):
            topics.setdefault(tp.topic, []).append((tp.partition, offset, metadata))
        return TxnOffsetCommitRequest(
            transactional_id=str(manager.transactional_id),
            group_id=self._group_id,
            producer_id=manager.producer_id,
            producer_epoch=manager.producer_epoch,
            topics=list(topics.items()),
            generation_id=generation_id,
            member_id=member_id,
            group_instance_id=instance_id,
        )

    def handle_response(self, response: Any) -> float | None:
        manager = self._txn_manager
        for topic, partitions in response.errors:
            for partition, code in partitions:
                tp = TopicPartition(topic, partition)
                error = Errors.for_code(code)
                if error is Errors.NoError:
                    manager.offset_committed(tp, self._offsets[tp].offset, self._group_id)
                    continue
                if error is Errors.RequestTimedOutError:
                    error = Errors.GroupCoordinatorNotAvailableError
                backoff = self._coordinator_backoff(error, self.kind)
                if backoff is not None:
                    return backoff
                if error.retriable:
                    return self._default_backoff
                if error is Errors.GroupAuthorizationFailedError:
                    manager.fail_transaction(error(self._group_id))
                    return None
                if error in _NOT_THE_MEMBER:
                    failure = Errors.CommitFailedError(
                        f"The consumer is not the member of {self._group_id!r} any more that"
                        f" the offsets come from: {error()!r}"
                    )
                    failure.__cause__ = error()
                    manager.fail_transaction(failure)
                    return None
                self._raise_fatal(error)
                return None
        return None


class EndTxnHandler(TransactionHandler):
    """Commits or aborts the transaction."""

    def __init__(self, sender: Sender, commit_result: int) -> None:
        super().__init__(sender)
        self._commit_result = commit_result

    def create_request(self) -> EndTxnRequest:
        manager = self._txn_manager
        return EndTxnRequest(
            transactional_id=str(manager.transactional_id),
            producer_id=manager.producer_id,
            producer_epoch=manager.producer_epoch,
            transaction_result=self._commit_result == TransactionResult.COMMIT,
        )

    def handle_response(self, response: Any) -> float | None:
        error = Errors.for_code(response.error_code)
        if error is Errors.NoError:
            if self._txn_manager.sequences.gap:
                self._txn_manager.ended = True
            else:
                self._txn_manager.complete_transaction()
            return None
        backoff = self._coordinator_backoff(error, self.kind)
        if backoff is not None:
            return backoff
        if error.retriable:
            return self._default_backoff
        self._raise_fatal(error)
        return None
