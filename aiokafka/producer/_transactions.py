"""The transactional part of the producer's interface.

Runs no task and owns no future; the transaction manager does, and the sender resolves them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aiokafka._deadline import Deadline
from aiokafka.errors import IllegalOperation, KafkaTimeoutError
from aiokafka.producer._txn_states import TransactionResult
from aiokafka.structs import TopicPartition
from aiokafka.util import commit_structure_validate

if TYPE_CHECKING:
    from aiokafka.producer.transaction_manager import TransactionManager


_SEND_OFFSETS = "send_offsets_to_transaction()"


class TransactionContext:
    """A transaction as an ``async with`` block: commits at its end, aborts on an error."""

    def __init__(self, producer: TransactionCalls) -> None:
        self._producer = producer

    async def __aenter__(self) -> TransactionContext:
        await self._producer.begin_transaction()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            await self._producer.commit_transaction()
            return
        manager = self._producer._txn_manager
        # A producer that has failed for good has nothing left to abort.
        if manager is None or not manager.is_fatal_error():
            await self._producer.abort_transaction()


class TransactionCalls:
    """The methods of a producer that are about transactions."""

    _txn_manager: TransactionManager | None
    _max_block: float

    def _ensure_transactional(self) -> TransactionManager:
        manager = self._txn_manager
        if manager is None or manager.transactional_id is None:
            raise IllegalOperation("You need to configure transaction_id to use transactions")
        failure = manager.fatal_exception
        if failure is not None:
            raise failure
        return manager

    async def begin_transaction(self) -> None:
        """Open a transaction.

        Raises:
            IllegalOperation: the producer has no ``transactional_id``.
            AssertionError: a transaction is open already.
            KafkaTimeoutError: no producer id within ``max_block_ms``.
        """
        manager = self._ensure_transactional()
        manager.resume("begin_transaction()")
        await Deadline.after(self._max_block).run(
            manager.wait_for_pid(), what="begin_transaction()"
        )
        manager.begin_transaction()

    async def commit_transaction(self) -> None:
        """Flush, then make everything sent in the transaction visible.

        Cancelling the call, or its timeout, does not undo the commit. After a timeout only
        the same call is possible: it goes on waiting for the result.

        Raises:
            IllegalOperation: the producer has no ``transactional_id``.
            AssertionError: no transaction is open.
            KafkaTimeoutError: not done within ``max_block_ms``.
            KafkaError: the transaction has failed and can only be aborted.
        """
        manager = self._ensure_transactional()
        call = "commit_transaction()"
        pending = manager.resume(call)
        if pending is None:
            if manager.needs_transaction_commit() is not TransactionResult.COMMIT:
                manager.committing_transaction()
            pending = manager.wait_for_transaction_end()
        await self._wait(call, pending)

    async def abort_transaction(self) -> None:
        """Discard everything sent in the transaction; otherwise as commit_transaction."""
        manager = self._ensure_transactional()
        call = "abort_transaction()"
        pending = manager.resume(call, _SEND_OFFSETS)
        if pending is None:
            if manager.needs_transaction_commit() is not TransactionResult.ABORT:
                manager.aborting_transaction()
            pending = manager.wait_for_transaction_end()
        await self._wait(call, pending)

    async def _wait(self, call: str, pending: asyncio.Future[None]) -> None:
        """Wait for a result; what does not come in time can be asked for again."""
        manager = self._ensure_transactional()
        try:
            await Deadline.after(self._max_block).run(pending, what=call)
        except KafkaTimeoutError:
            if not pending.done():
                manager.unanswered(call, pending)
            raise

    def transaction(self) -> TransactionContext:
        """A transaction as an ``async with`` block."""
        self._ensure_transactional()
        return TransactionContext(self)

    async def send_offsets_to_transaction(
        self, offsets: Mapping[TopicPartition, Any], group_id: Any
    ) -> None:
        """Commit a consumer group's offsets as part of the transaction.

        Parameters:
            offsets: offset, or ``(offset, metadata)``, of the next record to read, by
                partition.
            group_id: the consumer group; or what ``consumer.group_metadata()`` gives, then a
                consumer that was replaced in its group cannot commit (KIP-447).

        Raises:
            IllegalOperation: no ``transactional_id``, or no transaction is open.
            ValueError, TypeError: bad *offsets* or *group_id*.
            KafkaTimeoutError: not done within ``max_block_ms``; repeat the call, or abort.
            CommitFailedError: the consumer is not that member any more: abort.
            KafkaError: the brokers refuse.

        .. versionchanged:: 0.14.1
            *group_id* may be a ``ConsumerGroupMetadata``.
        """
        manager = self._ensure_transactional()
        if not manager.is_in_transaction():
            raise IllegalOperation("Not in the middle of a transaction")
        member = None
        if not isinstance(group_id, str) and hasattr(group_id, "generation_id"):
            metadata = group_id
            group_id = metadata.group_id
            member = metadata.generation_id, metadata.member_id, metadata.group_instance_id
        if not group_id or not isinstance(group_id, str):
            raise ValueError(f"`group_id` should be a non-empty string, not {group_id!r}")
        checked = commit_structure_validate(offsets)
        pending = manager.resume(_SEND_OFFSETS)
        if pending is None:
            pending = manager.add_offsets_to_txn(checked, group_id, member)
        await self._wait(_SEND_OFFSETS, pending)
