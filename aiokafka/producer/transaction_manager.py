"""What an idempotent or transactional producer has to remember.

:class:`TransactionManager` holds the producer id and epoch, the sequence numbers
(:mod:`aiokafka.producer._sequences`) and the state of the transaction
(:mod:`aiokafka.producer._txn_states`).  It decides nothing about requests: the sender asks it
what to send next and tells it what came back.

Runs no task.  Owns three kinds of futures: the waiters for a producer id (resolved by
``set_pid_and_epoch`` or ``fatal_error``), the one for the end of a transaction, and one for
each ``add_offsets_to_txn`` (both resolved when the transaction goes on, fails or dies).
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.producer._sequences import (
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    PidAndEpoch,
    Sequences,
)
from aiokafka.producer._txn_states import (
    SubscriptionType,
    TransactionResult,
    TransactionState,
    WrongTransactionCall,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.util import create_future, get_running_loop

__all__ = [
    "NO_PRODUCER_EPOCH",
    "NO_PRODUCER_ID",
    "PidAndEpoch",
    "SubscriptionType",
    "TransactionManager",
    "TransactionResult",
    "TransactionState",
]

Offsets = Mapping[TopicPartition, OffsetAndMetadata]


def settle(future: asyncio.Future[Any], error: BaseException | None = None) -> None:
    """Resolve *future* unless somebody else did; an error of it need not be looked at."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
        return
    future.set_exception(error)
    future.exception()


class TransactionManager:
    """State of one idempotent (``transactional_id=None``) or transactional producer.

    Parameters:
        transactional_id: the producer's transactional id or None.
        transaction_timeout_ms: sent to the coordinator, in milliseconds.

    Illegal transitions raise ``AssertionError``: they are mistakes in the order of calls.
    """

    def __init__(
        self,
        transactional_id: str | None,
        transaction_timeout_ms: int,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.transactional_id = transactional_id
        self.transaction_timeout_ms = transaction_timeout_ms
        self.state = TransactionState.UNINITIALIZED
        self.sequences = Sequences(may_restart=transactional_id is None)

        self._loop = loop or get_running_loop()
        self._pid_waiter = create_future(self._loop)
        self._exception: BaseException | None = None
        # The epochs of the present id are used up; the sender gets another id.
        self.needs_new_pid = False
        self._task_waiter: asyncio.Future[None] | None = None
        self._forget_transaction()
        self._transaction_waiter: asyncio.Future[None] | None = None
        # The call that ran out of time, and the result it would have had: only its repetition
        # may go on.
        self._unanswered: tuple[str, asyncio.Future[None]] | None = None

    def _forget_transaction(self) -> None:
        self._txn_partitions: set[TopicPartition] = set()
        self._pending_txn_partitions: set[TopicPartition] = set()
        self._txn_consumer_group: str | None = None
        self._pending_offsets: deque[
            tuple[dict[TopicPartition, OffsetAndMetadata], str, asyncio.Future[None]]
        ] = deque()
        self._members: dict[str, tuple[int, str, str | None]] = {}
        # The coordinator has ended the transaction; a new epoch is to follow.
        self.ended = False

    # Producer id and sequence numbers

    @property
    def _pid_and_epoch(self) -> PidAndEpoch:
        return self.sequences.identity

    @property
    def _sequence_numbers(self) -> dict[TopicPartition, int]:
        return self.sequences.numbers

    @property
    def producer_id(self) -> int:
        return self._pid_and_epoch.pid

    @property
    def producer_epoch(self) -> int:
        return self._pid_and_epoch.epoch

    def set_pid_and_epoch(self, pid: int, epoch: int) -> None:
        """A broker has given (or renewed) the producer id."""
        self.sequences.new_identity(PidAndEpoch(pid, epoch))
        self.needs_new_pid = False
        if self.state is TransactionState.UNINITIALIZED:
            self._transition_to(TransactionState.READY)
        settle(self._pid_waiter)

    def has_pid(self) -> bool:
        return self._pid_and_epoch.pid != NO_PRODUCER_ID

    async def wait_for_pid(self) -> None:
        """Wait until there is a producer id.

        Raises:
            KafkaError: the producer failed for good before that.
        """
        if not self.has_pid():
            await asyncio.shield(self._pid_waiter)

    def may_send_to(self, tp: TopicPartition) -> bool:
        """Whether batches of *tp* may go out now: there is a producer id, and the partition
        is part of the transaction if there is to be one."""
        if not self.has_pid():
            return False
        if self.transactional_id is None:
            return True
        # What is to be aborted need not be sent any more.
        return tp in self._txn_partitions and self.state in (
            TransactionState.IN_TRANSACTION,
            TransactionState.COMMITTING_TRANSACTION,
        )

    def restart_sequence(self, tp: TopicPartition) -> bool:
        """Go on with *tp* under a new epoch (KIP-360); False while a new id is needed."""
        if self.sequences.restart(tp):
            return True
        self.needs_new_pid = True
        self.notify_task_waiter()
        return False

    def sequence_number(self, tp: TopicPartition) -> int:
        """The next sequence number of *tp*, as Java's int."""
        return self._sequence_numbers.get(tp, 0)

    def increment_sequence_number(self, tp: TopicPartition, increment: int) -> None:
        self.sequences.increment(tp, increment)

    # State

    def _transition_to(self, target: TransactionState) -> None:
        if not TransactionState.is_transition_valid(self.state, target):
            raise WrongTransactionCall(f"Invalid state transition {self.state} -> {target}")
        self.state = target

    def begin_transaction(self) -> None:
        self._transition_to(TransactionState.IN_TRANSACTION)
        self._transaction_waiter = create_future(self._loop)

    def committing_transaction(self) -> None:
        """Ask for a commit; re-raises the error of a transaction that can only be aborted."""
        if self.state is TransactionState.ABORTABLE_ERROR and self._exception is not None:
            raise copy.copy(self._exception) from self._exception.__cause__
        self._transition_to(TransactionState.COMMITTING_TRANSACTION)
        self.notify_task_waiter()

    def aborting_transaction(self) -> None:
        self._transition_to(TransactionState.ABORTING_TRANSACTION)
        if self._transaction_waiter is None or self._transaction_waiter.done():
            # The one of begin_transaction() was failed by error_transaction().
            self._transaction_waiter = create_future(self._loop)
        # Nothing that was not yet announced to the coordinator has to be.
        self._pending_txn_partitions.clear()
        self._fail_pending_offsets(KafkaError("The transaction was aborted"))
        self.notify_task_waiter()

    def complete_transaction(self) -> None:
        """The transaction has ended at the coordinator."""
        self._transition_to(TransactionState.READY)
        self._exception = None
        self._forget_transaction()
        if self._transaction_waiter is not None:
            settle(self._transaction_waiter)

    def error_transaction(self, exc: BaseException) -> None:
        """The open transaction has failed and has to be aborted."""
        self._transition_to(TransactionState.ABORTABLE_ERROR)
        self._exception = exc
        self._pending_txn_partitions.clear()
        self._fail_pending_offsets(exc)
        if self._transaction_waiter is not None:
            settle(self._transaction_waiter, exc)

    def fail_transaction(self, exc: BaseException) -> None:
        """A step of the open transaction has failed; no matter if it is aborted already."""
        if self.transactional_id is not None and self.has_open_transaction():
            self.error_transaction(exc)

    def close(self, exc: BaseException) -> None:
        """The producer is stopped: resolves every future this object owns."""
        settle(self._pid_waiter, exc)
        self._fail_pending_offsets(exc)
        if self._transaction_waiter is not None:
            settle(self._transaction_waiter, exc)

    # Calls that ran out of time

    def unanswered(self, call: str, future: asyncio.Future[None]) -> None:
        """*call* has run out of time before *future*, its result, came."""
        self._unanswered = call, future

    def resume(self, call: str, *others: str) -> asyncio.Future[None] | None:
        """The result that an earlier *call* has not waited for, None without one.

        Parameters:
            others: calls whose unknown result does not matter to this one.

        Raises:
            WrongTransactionCall: another call ran out of time, and its result is not known.
        """
        if self._unanswered is None:
            return None
        name, future = self._unanswered
        if name == call:
            self._unanswered = None
            return future
        if name in others:
            self._unanswered = None
            return None
        raise WrongTransactionCall(
            f"{call} is not possible now: {name} ran out of time and its result is not known;"
            f" repeat {name} to learn it"
        )

    def fatal_error(self, exc: BaseException) -> None:
        """The producer has failed for good: resolves every future this object owns."""
        self._transition_to(TransactionState.FATAL_ERROR)
        self._exception = exc
        self._pending_txn_partitions.clear()
        settle(self._pid_waiter, exc)
        self._fail_pending_offsets(exc)
        if self._transaction_waiter is not None:
            settle(self._transaction_waiter, exc)
        self.notify_task_waiter()

    def _fail_pending_offsets(self, exc: BaseException) -> None:
        while self._pending_offsets:
            settle(self._pending_offsets.popleft()[2], exc)

    def is_in_transaction(self) -> bool:
        return self.state is TransactionState.IN_TRANSACTION

    def has_open_transaction(self) -> bool:
        """Whether a transaction is open that may still fail with an abortable error."""
        return TransactionState.is_transition_valid(self.state, TransactionState.ABORTABLE_ERROR)

    def is_fatal_error(self) -> bool:
        return self.state is TransactionState.FATAL_ERROR

    @property
    def fatal_exception(self) -> BaseException | None:
        """Why the producer cannot be used any more; None while it can."""
        return self._exception if self.is_fatal_error() else None

    # Contents of the transaction

    @property
    def txn_partitions(self) -> set[TopicPartition]:
        return self._txn_partitions

    def maybe_add_partition_to_txn(self, tp: TopicPartition) -> None:
        """Records for *tp* will be sent; without a transactional id that needs no step."""
        if self.transactional_id is None:
            return
        if not self.is_in_transaction():
            raise AssertionError(f"No transaction is open, the producer is {self.state}")
        if tp not in self._txn_partitions and tp not in self._pending_txn_partitions:
            self._pending_txn_partitions.add(tp)
            self.notify_task_waiter()

    def partitions_to_add(self) -> set[TopicPartition]:
        return self._pending_txn_partitions

    def partition_added(self, tp: TopicPartition) -> None:
        self._pending_txn_partitions.discard(tp)
        self._txn_partitions.add(tp)

    def add_offsets_to_txn(
        self,
        offsets: Offsets,
        group_id: str,
        member: tuple[int, str, str | None] | None = None,
    ) -> asyncio.Future[None]:
        """Queue consumer offsets for the transaction; done when they are committed in it.

        Parameters:
            member: generation, member id and instance id of the consumer (KIP-447).
        """
        if not self.is_in_transaction():
            raise AssertionError(f"No transaction is open, the producer is {self.state}")
        if member is not None:
            self._members[group_id] = member
        future: asyncio.Future[None] = create_future(self._loop)
        self._pending_offsets.append((dict(offsets), group_id, future))
        self.notify_task_waiter()
        return future

    def consumer_group_to_add(self) -> str | None:
        """The group to announce to the coordinator before its offsets, if any."""
        for _, group_id, _ in self._pending_offsets:
            if group_id != self._txn_consumer_group:
                return group_id
            return None
        return None

    def consumer_group_added(self, group_id: str) -> None:
        self._txn_consumer_group = group_id

    def offsets_to_commit(
        self,
    ) -> tuple[dict[TopicPartition, OffsetAndMetadata], str] | None:
        """The next offsets to commit and their group; None while there is nothing to do."""
        for offsets, group_id, _ in self._pending_offsets:
            if group_id == self._txn_consumer_group:
                return offsets, group_id
            return None
        return None

    def member_of(self, group_id: str) -> tuple[int, str, str | None]:
        """The consumer's place in its group, as far as it was told."""
        return self._members.get(group_id, (-1, "", None))

    def offset_committed(self, tp: TopicPartition, offset: int, group_id: str) -> None:
        """The group coordinator has stored *offset* of *tp*."""
        if not self._pending_offsets:
            return
        offsets, pending_group, future = self._pending_offsets[0]
        if pending_group != group_id or tp not in offsets or offsets[tp].offset != offset:
            raise AssertionError(f"Offset {offset} of {tp} for {group_id!r} is not pending")
        del offsets[tp]
        if not offsets:
            self._pending_offsets.popleft()
            settle(future)

    def needs_transaction_commit(self) -> TransactionResult | None:
        """How the transaction is to be ended now, None when it is not."""
        if self.state is TransactionState.COMMITTING_TRANSACTION:
            return TransactionResult.COMMIT
        if self.state is TransactionState.ABORTING_TRANSACTION:
            return TransactionResult.ABORT
        return None

    def is_empty_transaction(self) -> bool:
        """Whether the coordinator knows nothing of the transaction, so need not end it."""
        return not self._txn_partitions and self._txn_consumer_group is None

    def wait_for_transaction_end(self) -> asyncio.Future[None]:
        if self._transaction_waiter is None:
            raise AssertionError("No transaction was begun")
        return self._transaction_waiter

    # The sender's waiting

    def make_task_waiter(self) -> asyncio.Future[None]:
        """A future that is resolved when there may be something new to do."""
        self._task_waiter = create_future(self._loop)
        return self._task_waiter

    def notify_task_waiter(self) -> None:
        if self._task_waiter is not None:
            settle(self._task_waiter)
