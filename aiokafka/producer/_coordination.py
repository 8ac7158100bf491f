"""What the sender asks coordinators for: a producer id, and the steps of a transaction.

Runs no task of the sender's own, except that a producer id is asked for at several brokers at
once when one is silent: each such request is a task of :meth:`TransactionalSteps._ask_for_pid`,
which ends them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from aiokafka import errors as Errors
from aiokafka._client.connections import ConnectionGroup
from aiokafka._deadline import Deadline
from aiokafka._retry import Action, Backoff, action_for, pause
from aiokafka._tasks import Supervisor
from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError, KafkaTimeoutError, ProducerClosed
from aiokafka.producer.transaction_manager import TransactionManager, TransactionResult
from aiokafka.structs import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient
    from aiokafka.producer.message_accumulator import MessageAccumulator

log = logging.getLogger("aiokafka.producer.sender")

# Seconds a broker may keep silent before another one is asked for a producer id as well.
_PATIENCE = 1.0


def _handlers() -> ModuleType:
    from aiokafka.producer import _txn_handlers

    return _txn_handlers


class TransactionalSteps:
    """The part of the sender that deals with coordinators."""

    client: AIOKafkaClient
    last_error: BaseException | None
    _coordinators: dict[int, tuple[str, int]]
    _message_accumulator: MessageAccumulator
    _retry_backoff: Backoff
    _supervisor: Supervisor
    _txn_manager: TransactionManager | None

    # Producer id

    async def _maybe_wait_for_pid(self) -> None:
        """Get a producer id unless there is a good one; tries until it has one.

        Raises:
            KafkaError: the brokers refuse for good.
        """
        manager = self._txn_manager
        if manager is None or (manager.has_pid() and not manager.needs_new_pid):
            return
        attempt = 0
        while not await self._ask_for_pid(manager):
            backoff = Deadline.after(self._retry_backoff.delay(attempt, self.client._rng))
            attempt += 1
            try:
                await backoff.run(self.client.force_metadata_update(), what="Refreshing metadata")
            except KafkaTimeoutError as error:
                # A refresh takes long when brokers are silent: the answer to our question may
                # be had before.
                log.debug("%s", error)
            await pause(backoff.remaining())

    async def _ask_for_pid(self, manager: TransactionManager) -> bool:
        """Ask once for a producer id; whether there is one now."""
        if manager.transactional_id is not None:
            return await self._do_init_pid(
                await self._find_coordinator(
                    CoordinationType.TRANSACTION, manager.transactional_id
                )
            )
        # Any broker will do: when one is silent, another one is asked besides.
        asked: dict[asyncio.Task[bool | KafkaError], int] = {}
        try:
            while True:
                node_id = self._pid_node(asked.values())
                if node_id is not None:
                    task = self._supervisor.spawn(self._try_node(node_id), name="producer id")
                    asked[task] = node_id
                if not asked:
                    return False
                done, _ = await asyncio.wait(
                    asked, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    refusal = task.result()
                    if isinstance(refusal, KafkaError):
                        raise refusal
                if done:
                    return any(task.result() for task in done)
        finally:
            for task in asked:
                if not task.done():
                    task.cancel()

    async def _try_node(self, node_id: int) -> bool | KafkaError:
        """Ask one broker; its refusal is a result, no crash of a task."""
        try:
            return await self._do_init_pid(node_id)
        except KafkaError as error:
            return error

    def _pid_node(self, asked: Collection[int]) -> int | None:
        """A broker that is not being asked already."""
        node_id = self.client.get_random_node()
        if node_id is None or node_id not in asked:
            return node_id
        others = [
            broker.nodeId
            for broker in self.client.cluster.brokers()
            if isinstance(broker.nodeId, int) and broker.nodeId not in asked
        ]
        return self.client._rng.choice(sorted(others)) if others else None

    async def _do_init_pid(self, node_id: int) -> bool:
        return bool(await _handlers().InitPIDHandler(self).do(node_id))

    # Coordinators

    async def _find_coordinator(self, coordinator_type: int, coordinator_key: str) -> int:
        """The coordinator's node, connected; looked up once until it is found dead.

        Raises:
            KafkaError: the look-up cannot succeed.
        """
        known = self._coordinators.get(coordinator_type)
        if known is not None and known[0] == coordinator_key:
            return known[1]
        attempt = 0
        while True:
            try:
                node_id = await self.client.coordinator_lookup(coordinator_type, coordinator_key)
            except KafkaError as error:
                self._check_lookup_error(error, coordinator_key)
            else:
                if await self.client.ready(node_id, group=ConnectionGroup.COORDINATION):
                    self._coordinators[coordinator_type] = (coordinator_key, node_id)
                    return node_id
            await pause(self._retry_backoff.delay(attempt, self.client._rng))
            attempt += 1

    def _check_lookup_error(self, error: KafkaError, key: str) -> None:
        """Raise what another look-up cannot mend."""
        self.last_error = error
        if isinstance(
            error,
            (Errors.TransactionalIdAuthorizationFailed, Errors.GroupAuthorizationFailedError),
        ):
            raise type(error)(key) from error
        action = action_for(error)
        if not action.retriable:
            raise KafkaError(f"Looking up the coordinator of {key!r} failed: {error!r}") from error
        if action is Action.REFRESH_METADATA:
            self.client.request_metadata(f"coordinator look-up failed: {error!r}")

    def _coordinator_dead(self, coordinator_type: int) -> None:
        """The node is not the coordinator any more, or is not to be reached."""
        self._coordinators.pop(coordinator_type, None)

    # Transactions

    async def _maybe_do_transactional_request(self) -> bool:
        """Do one step of the transaction; False when there is nothing to do."""
        manager = self._txn_manager
        if manager is None:
            return False
        partitions = manager.partitions_to_add()
        if partitions:
            await self._do_add_partitions_to_txn(set(partitions))
            self._message_accumulator.reschedule_pending()
            return True
        group_id = manager.consumer_group_to_add()
        if group_id is not None:
            await self._do_add_offsets_to_txn(group_id)
            return True
        commit = manager.offsets_to_commit()
        if commit is not None:
            await self._do_txn_offset_commit(*commit)
            return True
        result = manager.needs_transaction_commit()
        if result is not None:
            await self._do_txn_commit(result)
            return True
        return False

    async def _do_add_partitions_to_txn(self, tps: Collection[TopicPartition]) -> None:
        manager = self._manager()
        node_id = await self._find_coordinator(
            CoordinationType.TRANSACTION, str(manager.transactional_id)
        )
        await _handlers().AddPartitionsToTxnHandler(self, tps).do(node_id)

    async def _do_add_offsets_to_txn(self, group_id: str) -> None:
        manager = self._manager()
        node_id = await self._find_coordinator(
            CoordinationType.TRANSACTION, str(manager.transactional_id)
        )
        await _handlers().AddOffsetsToTxnHandler(self, group_id).do(node_id)

    async def _do_txn_offset_commit(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group_id: str
    ) -> None:
        try:
            node_id = await self._find_coordinator(CoordinationType.GROUP, group_id)
        except Errors.GroupAuthorizationFailedError as error:
            self._manager().fail_transaction(error)
            return
        handler = _handlers().TxnOffsetCommitHandler(self, offsets, group_id)
        await handler.do(node_id)

    async def _do_txn_commit(self, result: TransactionResult) -> None:
        manager = self._manager()
        if result is TransactionResult.ABORT:
            await self._message_accumulator.abort(KafkaError("The transaction was aborted"))
        else:
            await self._message_accumulator.flush_for_commit()
        if manager.needs_transaction_commit() is not result:
            return
        if manager.is_empty_transaction():
            manager.complete_transaction()
            return
        node_id = await self._find_coordinator(
            CoordinationType.TRANSACTION, str(manager.transactional_id)
        )
        if not manager.ended:
            await _handlers().EndTxnHandler(self, result).do(node_id)
        elif await _handlers().InitPIDHandler(self, bump=True).do(node_id):
            manager.complete_transaction()

    def _manager(self) -> TransactionManager:
        if self._txn_manager is None:
            raise ProducerClosed("This producer has no transactions")
        return self._txn_manager
