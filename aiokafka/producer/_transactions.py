"""The transactional part of the producer's interface.

Runs no task and owns no future; the transaction manager does, and the sender resolves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aiokafka._deadline import Deadline
from aiokafka.errors import IllegalOperation
from aiokafka.structs import TopicPartition
from aiokafka.util import commit_structure_validate

if TYPE_CHECKING:
    from aiokafka.producer.transaction_manager import TransactionManager


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
        await Deadline.after(self._max_block).run(
            manager.wait_for_pid(), what="begin_transaction()"
        )
        manager.begin_transaction()

    async def commit_transaction(self) -> None:
        """Flush, then make everything sent in the transaction visible.

        Cancelling the call, or its timeout, does not undo the commit.

        Raises:
            IllegalOperation: the producer has no ``transactional_id``.
            AssertionError: no transaction is open.
            KafkaTimeoutError: not done within ``max_block_ms``.
            KafkaError: the transaction has failed and can only be aborted.
        """
        manager = self._ensure_transactional()
        manager.committing_transaction()
        await Deadline.after(self._max_block).run(
            manager.wait_for_transaction_end(), what="commit_transaction()"
        )

    async def abort_transaction(self) -> None:
        """Discard everything sent in the transaction; otherwise as commit_transaction."""
        manager = self._ensure_transactional()
        manager.aborting_transaction()
        await Deadline.after(self._max_block).run(
            manager.wait_for_transaction_end(), what="abort_transaction()"
        )

    def transaction(self) -> TransactionContext:
        """A transaction as an ``async with`` block."""
        self._ensure_transactional()
        return TransactionContext(self)

    async def send_offsets_to_transaction(
        self, offsets: Mapping[TopicPartition, Any], group_id: str
    ) -> None:
        """Commit a consumer group's offsets as part of the transaction.

        Parameters:
            offsets: offset, or ``(offset, metadata)``, of the next record to read, by
                partition.
            group_id: the consumer group.

        Raises:
            IllegalOperation: no ``transactional_id``, or no transaction is open.
            ValueError, TypeError: bad *offsets* or *group_id*.
            KafkaTimeoutError: not done within ``max_block_ms``.
            KafkaError: the brokers refuse.
        """
        manager = self._ensure_transactional()
        if not manager.is_in_transaction():
            raise IllegalOperation("Not in the middle of a transaction")
        if not group_id or not isinstance(group_id, str):
            raise ValueError(f"`group_id` should be a non-empty string, not {group_id!r}")
        checked = commit_structure_validate(offsets)
        await Deadline.after(self._max_block).run(
            manager.add_offsets_to_txn(checked, group_id), what="send_offsets_to_transaction()"
        )
