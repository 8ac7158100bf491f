"""Transactions end to end, on the fake cluster's coordinator (version 1)."""

import asyncio
import contextlib

import pytest

from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
)
from aiokafka.producer import AIOKafkaProducer
from aiokafka.producer.transaction_manager import TransactionState
from aiokafka.structs import TopicPartition
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Cut, Deaf, Do, Error, LostAnswer

from .lab import FAST, producing, virtual

TP = TopicPartition("t", 0)
S = TransactionState


def transacting(**kwargs):
    return producing(transactional_id="tx", brokers=3, **{"max_block_ms": 20000, **kwargs})


def committed(kafka, topic="t", partition=0):
    """The values that a consumer with read_committed sees."""
    log = kafka.partition(topic, partition).log
    aborted = log.transactions.aborted
    return [
        record.value
        for batch in log.batches
        for record in batch.records
        if batch.last_offset < log.last_stable_offset()
        and not any(
            gone.producer_id == batch.producer_id
            and gone.first_offset <= batch.base_offset <= gone.last_offset
            for gone in aborted
        )
    ]


async def transact(producer, value, commit=True):
    await producer.begin_transaction()
    sent = await producer.send("t", value, partition=0)
    sent.add_done_callback(lambda future: future.exception())
    await producer.send_offsets_to_transaction({TP: 7}, "g")
    await (producer.commit_transaction() if commit else producer.abort_transaction())


@virtual
async def test_commit_and_abort():
    async with transacting() as (kafka, producer):
        await transact(producer, b"a")
        assert kafka.group("g").committed["t", 0].offset == 7
        await transact(producer, b"b", commit=False)
        await transact(producer, b"c")
        assert committed(kafka) == [b"a", b"c"]
        assert not kafka.group("g").committed.unstable


@virtual
async def test_nothing_sent_is_ended_without_a_request():
    async with transacting() as (kafka, producer):
        await producer.begin_transaction()
        await producer.commit_transaction()
        assert not [r for r in kafka.requests if r.api_name == "EndTxn"]


REQUESTS = [
    "InitProducerId",
    "FindCoordinator",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "TxnOffsetCommit",
    "EndTxn",
]
PASSING = [
    Cut(),
    Deaf(),
    LostAnswer(),
    Do(lambda request: request.cluster.move_coordinator("tx")),
    Do(lambda request: request.cluster.move_coordinator("g")),
    Error(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS),
    Error(ErrorCode.COORDINATOR_NOT_AVAILABLE),
    Error(ErrorCode.NOT_COORDINATOR),
]


@pytest.mark.parametrize("api", REQUESTS)
@pytest.mark.parametrize("action", PASSING, ids=lambda a: type(a).__name__)
@virtual
async def test_passing_trouble_at_each_request(api, action):
    async with transacting() as (kafka, producer):
        kafka.faults.add(action, api=api, times=1)
        await transact(producer, b"a")
        await transact(producer, b"b", commit=False)
        await transact(producer, b"c")
        assert committed(kafka) == [b"a", b"c"]


@pytest.mark.parametrize("api", REQUESTS[2:])
@virtual
async def test_the_coordinator_dies_at_each_request(api):
    async with transacting() as (kafka, producer):
        for name in ("tx", "g"):
            kafka.move_coordinator(name, 2)
        kafka.faults.add(Do(lambda request: request.broker.kill()), api=api, times=1)
        await transact(producer, b"a")
        await transact(producer, b"b")
        assert committed(kafka) == [b"a", b"b"]


@pytest.mark.parametrize("api", REQUESTS[2:])
@pytest.mark.parametrize("code", [ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH])
@virtual
async def test_fencing_is_fatal(api, code):
    async with transacting() as (kafka, producer):
        kafka.faults.add(Error(code), api=api, times=1)
        if api == "TxnOffsetCommit":
            kafka.faults.clear()
            kafka.transactions.get("tx").initialise(60, -1, -1)
        if api == "AddPartitionsToTxn":
            with pytest.raises(KafkaError):
                await transact(producer, b"a")
        else:
            with pytest.raises(ProducerFenced):
                await transact(producer, b"a")
        assert producer._txn_manager.state is S.FATAL_ERROR
        with pytest.raises(ProducerFenced):
            await producer.begin_transaction()


@virtual
async def test_a_second_instance_fences_the_first():
    async with transacting() as (kafka, producer):
        await producer.begin_transaction()
        await (await producer.send("t", b"old", partition=0))
        second = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, transactional_id="tx", **FAST
        )
        await second.start()
        await transact(second, b"new")
        with pytest.raises(ProducerFenced):
            await producer.commit_transaction()
        await second.stop()
        assert committed(kafka) == [b"new"]


@virtual
async def test_a_commit_that_ran_out_of_time_can_only_be_repeated():
    async with transacting(max_block_ms=500) as (kafka, producer):
        fault = kafka.faults.add(Error(ErrorCode.COORDINATOR_NOT_AVAILABLE), api="EndTxn")
        await producer.begin_transaction()
        await producer.send("t", b"a", partition=0)
        with pytest.raises(KafkaTimeoutError):
            await producer.commit_transaction()
        for call in (producer.abort_transaction, producer.begin_transaction):
            with pytest.raises(IllegalStateError, match="repeat commit_transaction"):
                await call()
        kafka.faults.remove(fault)
        await producer.commit_transaction()
        await producer.begin_transaction()
        await producer.abort_transaction()
        assert committed(kafka) == [b"a"]


@virtual
async def test_cancelling_a_commit_does_not_stop_it():
    async with transacting() as (kafka, producer):
        await producer.begin_transaction()
        await producer.send("t", b"a", partition=0)
        task = asyncio.ensure_future(producer.commit_transaction())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await kafka.wait_until(lambda: committed(kafka) == [b"a"], what="the commit")
        await producer._txn_manager.wait_for_transaction_end()
        await transact(producer, b"b")


@virtual
async def test_an_expired_batch_fails_its_transaction_and_a_new_epoch_follows():
    async with transacting(delivery_timeout_ms=1500) as (kafka, producer):
        await transact(producer, b"a")
        epoch = producer._txn_manager.producer_epoch
        await producer.begin_transaction()
        fault = kafka.faults.add(Deaf(), api="Produce")
        future = await producer.send("t", b"lost", partition=0)
        with pytest.raises(KafkaTimeoutError):
            await future
        with pytest.raises(KafkaTimeoutError):
            await producer.commit_transaction()
        kafka.faults.remove(fault)
        await producer.abort_transaction()
        assert producer._txn_manager.producer_epoch == epoch + 1
        await transact(producer, b"c")
        assert committed(kafka) == [b"a", b"c"]


@virtual
async def test_a_gap_in_the_numbers_fails_the_transaction():
    async with transacting() as (kafka, producer):
        await transact(producer, b"a")
        await producer.begin_transaction()
        producer._txn_manager.increment_sequence_number(TP, 1)
        with pytest.raises(OutOfOrderSequenceNumber):
            await producer.send_and_wait("t", b"x", partition=0)
        await producer.abort_transaction()
        await transact(producer, b"b")
        assert committed(kafka) == [b"a", b"b"]


@virtual
async def test_a_batch_too_large_is_split_within_its_numbers():
    async with transacting(
        cluster={"max_message_bytes": 400}, max_batch_size=4000, linger_ms=10
    ) as (kafka, producer):
        await producer.begin_transaction()
        values = [b"%03d" % i + b"x" * 50 for i in range(30)]
        for value in values:
            await producer.send("t", value, partition=0)
        await producer.commit_transaction()
        assert committed(kafka) == values


@virtual
async def test_offsets_of_a_consumer_that_was_replaced():
    async with transacting() as (kafka, producer):
        manager = producer._txn_manager
        await producer.begin_transaction()
        done = manager.add_offsets_to_txn(_offsets(3), "g", (4, "gone", None))
        with pytest.raises(CommitFailedError):
            await done
        assert manager.state is S.ABORTABLE_ERROR
        await producer.abort_transaction()
        assert ("t", 0) not in kafka.group("g").committed


def _offsets(offset):
    from aiokafka.structs import OffsetAndMetadata

    return {TP: OffsetAndMetadata(offset, "")}


@virtual
async def test_stopping_ends_calls_that_wait():
    async with transacting(stop_timeout_ms=100) as (kafka, producer):
        await producer.begin_transaction()
        await (await producer.send("t", b"a", partition=0))
        kafka.faults.add(Deaf(), api="EndTxn")
        commit = asyncio.ensure_future(producer.commit_transaction())
        await kafka.wait_until(lambda: kafka.requests[-1].api_name == "EndTxn", what="EndTxn")
        await producer.stop()
        with pytest.raises(ProducerClosed):
            await commit


@virtual
async def test_the_coordinator_gives_a_transaction_up():
    async with transacting(transaction_timeout_ms=1000) as (kafka, producer):
        await producer.begin_transaction()
        await (await producer.send("t", b"a", partition=0))
        await asyncio.sleep(2)
        with pytest.raises(ProducerFenced):
            await producer.commit_transaction()
        with contextlib.suppress(KafkaError):
            await producer.abort_transaction()
        assert committed(kafka) == []
