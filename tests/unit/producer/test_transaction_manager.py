"""The transaction manager: id, numbers, states and the futures it owns."""

import asyncio
import itertools

import pytest

from aiokafka.errors import KafkaError, ProducerFenced, TopicAuthorizationFailedError
from aiokafka.producer.transaction_manager import (
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    PidAndEpoch,
    TransactionManager,
    TransactionResult,
    TransactionState,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition

TP = TopicPartition("t", 0)
S = TransactionState


@pytest.fixture
async def manager():
    return TransactionManager("txn", 30000)


@pytest.fixture
async def ready(manager):
    manager.set_pid_and_epoch(5, 2)
    return manager


@pytest.fixture
async def open_txn(ready):
    ready.begin_transaction()
    return ready


async def test_no_id_at_first(manager):
    assert (NO_PRODUCER_ID, NO_PRODUCER_EPOCH) == (-1, -1)
    assert (manager.producer_id, manager.producer_epoch) == (-1, -1)
    assert not manager.has_pid()
    assert manager.state is S.UNINITIALIZED
    assert not manager._sequence_numbers


async def test_id_wakes_its_waiters(manager):
    waiting = asyncio.ensure_future(manager.wait_for_pid())
    await asyncio.sleep(0)
    assert not waiting.done()
    manager.set_pid_and_epoch(5, 2)
    await waiting
    await manager.wait_for_pid()
    assert manager._pid_and_epoch == PidAndEpoch(5, 2)
    assert manager.state is S.READY


async def test_a_fatal_error_wakes_them_too(manager):
    waiting = asyncio.ensure_future(manager.wait_for_pid())
    await asyncio.sleep(0)
    manager.fatal_error(ProducerFenced())
    with pytest.raises(ProducerFenced):
        await waiting


async def test_sequence_numbers(ready):
    assert ready.sequence_number(TP) == 0
    ready.increment_sequence_number(TP, 3)
    assert ready.sequence_number(TP) == 3
    ready.increment_sequence_number(TP, 2**31 - 3)
    assert ready.sequence_number(TP) == -(2**31)


LEGAL = {
    (S.UNINITIALIZED, S.READY),
    (S.READY, S.UNINITIALIZED),
    (S.READY, S.IN_TRANSACTION),
    (S.IN_TRANSACTION, S.COMMITTING_TRANSACTION),
    (S.IN_TRANSACTION, S.ABORTING_TRANSACTION),
    (S.IN_TRANSACTION, S.ABORTABLE_ERROR),
    (S.COMMITTING_TRANSACTION, S.READY),
    (S.COMMITTING_TRANSACTION, S.ABORTABLE_ERROR),
    (S.ABORTING_TRANSACTION, S.READY),
    (S.ABORTABLE_ERROR, S.ABORTING_TRANSACTION),
    (S.ABORTABLE_ERROR, S.ABORTABLE_ERROR),
}


@pytest.mark.parametrize(("source", "target"), list(itertools.product(S, S)))
def test_transitions(source, target):
    legal = (source, target) in LEGAL or target is S.FATAL_ERROR
    assert S.is_transition_valid(source, target) is legal


async def test_illegal_order_of_calls(ready):
    for call in (ready.committing_transaction, ready.aborting_transaction):
        with pytest.raises(AssertionError):
            call()
    ready.begin_transaction()
    with pytest.raises(AssertionError):
        ready.begin_transaction()
    assert ready.is_in_transaction()


async def test_commit(open_txn):
    open_txn.maybe_add_partition_to_txn(TP)
    open_txn.maybe_add_partition_to_txn(TP)
    assert open_txn.partitions_to_add() == {TP}
    assert not open_txn.may_send_to(TP)
    open_txn.partition_added(TP)
    assert open_txn.may_send_to(TP)
    assert (open_txn.partitions_to_add(), open_txn.txn_partitions) == (set(), {TP})
    assert not open_txn.is_empty_transaction()
    assert open_txn.needs_transaction_commit() is None

    end = open_txn.wait_for_transaction_end()
    open_txn.committing_transaction()
    assert open_txn.needs_transaction_commit() is TransactionResult.COMMIT
    open_txn.complete_transaction()
    await end
    assert open_txn.state is S.READY
    assert open_txn.is_empty_transaction()


async def test_abortable_error(open_txn):
    end = open_txn.wait_for_transaction_end()
    open_txn.maybe_add_partition_to_txn(TP)
    open_txn.error_transaction(TopicAuthorizationFailedError("t"))
    assert open_txn.partitions_to_add() == set()
    with pytest.raises(TopicAuthorizationFailedError):
        await end
    with pytest.raises(TopicAuthorizationFailedError):
        open_txn.committing_transaction()
    open_txn.aborting_transaction()
    assert open_txn.needs_transaction_commit() is TransactionResult.ABORT
    end = open_txn.wait_for_transaction_end()
    open_txn.complete_transaction()
    await end


async def test_records_need_an_open_transaction(ready):
    with pytest.raises(AssertionError):
        ready.maybe_add_partition_to_txn(TP)


async def test_without_transactional_id_partitions_need_no_step():
    manager = TransactionManager(None, 1000)
    manager.maybe_add_partition_to_txn(TP)
    assert manager.partitions_to_add() == set()
    assert not manager.may_send_to(TP)
    manager.set_pid_and_epoch(1, 0)
    assert manager.may_send_to(TP)


async def test_offsets(open_txn):
    other = TopicPartition("t", 1)
    offsets = {TP: OffsetAndMetadata(3, ""), other: OffsetAndMetadata(4, "m")}
    done = open_txn.add_offsets_to_txn(offsets, "g")
    assert open_txn.offsets_to_commit() is None
    assert open_txn.consumer_group_to_add() == "g"
    open_txn.consumer_group_added("g")
    assert open_txn.consumer_group_to_add() is None
    assert open_txn.offsets_to_commit() == (offsets, "g")
    open_txn.offset_committed(TP, 3, "g")
    assert not done.done()
    with pytest.raises(AssertionError):
        open_txn.offset_committed(TP, 3, "g")
    open_txn.offset_committed(other, 4, "g")
    await done
    assert open_txn.offsets_to_commit() is None
    open_txn.offset_committed(TP, 3, "g")


async def test_offsets_fail_with_the_transaction(open_txn):
    done = open_txn.add_offsets_to_txn({TP: OffsetAndMetadata(3, "")}, "g")
    open_txn.error_transaction(KafkaError("x"))
    with pytest.raises(KafkaError):
        await done


async def test_abort_fails_offsets_not_yet_committed(open_txn):
    done = open_txn.add_offsets_to_txn({TP: OffsetAndMetadata(3, "")}, "g")
    open_txn.aborting_transaction()
    with pytest.raises(KafkaError, match="aborted"):
        await done


async def test_offsets_outside_of_a_transaction(ready):
    with pytest.raises(AssertionError):
        ready.add_offsets_to_txn({TP: OffsetAndMetadata(3, "")}, "g")


async def test_fatal_error_resolves_everything(open_txn):
    done = open_txn.add_offsets_to_txn({TP: OffsetAndMetadata(3, "")}, "g")
    end = open_txn.wait_for_transaction_end()
    waiter = open_txn.make_task_waiter()
    open_txn.fatal_error(ProducerFenced())
    for future in (done, end):
        with pytest.raises(ProducerFenced):
            await future
    await waiter
    assert open_txn.is_fatal_error()
    assert isinstance(open_txn.fatal_exception, ProducerFenced)


async def test_the_sender_is_notified(open_txn):
    waiter = open_txn.make_task_waiter()
    open_txn.maybe_add_partition_to_txn(TP)
    assert waiter.done()
