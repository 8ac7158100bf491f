"""The handlers: what each asks, and what it makes of every answer."""

import asyncio
from unittest import mock

import pytest

from aiokafka import errors as Errors
from aiokafka._client.connections import ConnectionGroup
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import (
    BACKOFF_OVERRIDE,
    AddOffsetsToTxnHandler,
    AddPartitionsToTxnHandler,
    BaseHandler,
    EndTxnHandler,
    InitPIDHandler,
    Sender,
    SendProduceReqHandler,
    TxnOffsetCommitHandler,
)
from aiokafka.producer.transaction_manager import TransactionManager, TransactionState
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import (
    ProduceRequest,
    ProduceResponse_v0,
    ProduceResponse_v4,
    ProduceResponse_v8,
)
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse_v0,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse_v0,
    EndTxnRequest,
    EndTxnResponse_v0,
    InitProducerIdRequest,
    InitProducerIdResponse_v0,
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse_v0,
)
from aiokafka.structs import OffsetAndMetadata
from tests.unit.producer.lab import TP, TP1, now, virtual

BACKOFF = 0.1
RETRIABLE_COORDINATOR = [(15, BACKOFF), (16, BACKOFF), (14, BACKOFF), (51, BACKOFF)]
GONE = {15, 16}


def make_sender(transactional_id="txn", acks=-1, **kwargs):
    client = AIOKafkaClient(bootstrap_servers="localhost:1")
    client.send = mock.AsyncMock()
    manager = TransactionManager(transactional_id, 30000)
    accumulator = MessageAccumulator(
        client.cluster, 1000, 0, 30, buffer_memory=10_000, txn_manager=manager
    )
    sender = Sender(
        client,
        acks=acks,
        txn_manager=manager,
        message_accumulator=accumulator,
        retry_backoff_ms=100,
        request_timeout_ms=40000,
        **kwargs,
    )
    sender._coordinator_dead = mock.Mock()
    return sender


def in_transaction(**kwargs):
    sender = make_sender(**kwargs)
    sender._txn_manager.set_pid_and_epoch(120, 22)
    sender._txn_manager.begin_transaction()
    return sender


# BaseHandler


class Asks(BaseHandler):
    def create_request(self):
        return MetadataRequest([])

    def handle_response(self, response):
        return response


@pytest.mark.parametrize(
    "error", [Errors.NodeNotReadyError, Errors.RequestTimedOutError, Errors.KafkaConnectionError]
)
@virtual
async def test_a_node_that_cannot_be_asked(error):
    sender = make_sender()
    sender.client.send.side_effect = error("x")
    started = now()
    assert await Asks(sender).do(3) is False
    assert now() - started == pytest.approx(BACKOFF)
    assert isinstance(sender.last_error, error)


@virtual
async def test_an_error_that_does_not_pass():
    sender = make_sender()
    sender.client.send.side_effect = Errors.IncompatibleBrokerVersion("x")
    with pytest.raises(Errors.IncompatibleBrokerVersion):
        await Asks(sender).do(3)


@virtual
async def test_settled_or_not():
    sender = make_sender()
    sender.client.send.return_value = None
    assert await Asks(sender).do(3) is True
    sender.client.send.return_value = 2.5
    started = now()
    assert await Asks(sender).do(3) is False
    assert now() - started == pytest.approx(2.5)
    # Patched with two positional parameters by many a test.
    node_id, request = sender.client.send.call_args.args
    assert (node_id, type(request)) == (3, MetadataRequest)


@virtual
async def test_the_base_asks_nothing():
    handler = BaseHandler(make_sender())
    with pytest.raises(AssertionError):
        handler.create_request()
    with pytest.raises(AssertionError):
        handler.handle_response(None)


# InitPIDHandler


def pid_response(code=0):
    return InitProducerIdResponse_v0(
        throttle_time_ms=0, error_code=code, producer_id=17, producer_epoch=1
    )


@virtual
async def test_init_pid():
    sender = make_sender()
    handler = InitPIDHandler(sender)
    assert isinstance(handler.create_request(), InitProducerIdRequest)
    assert handler.handle_response(pid_response()) is None
    manager = sender._txn_manager
    assert (manager.producer_id, manager.producer_epoch) == (17, 1)


@pytest.mark.parametrize(("code", "backoff"), RETRIABLE_COORDINATOR)
@virtual
async def test_init_pid_retriable(code, backoff):
    sender = make_sender()
    assert InitPIDHandler(sender).handle_response(pid_response(code)) == backoff
    assert sender._coordinator_dead.called is (code in GONE)
    if code in GONE:
        sender._coordinator_dead.assert_called_with(CoordinationType.TRANSACTION)
    assert not sender._txn_manager.has_pid()


@virtual
async def test_init_pid_refused():
    handler = InitPIDHandler(make_sender())
    with pytest.raises(Errors.TransactionalIdAuthorizationFailed) as caught:
        handler.handle_response(pid_response(53))
    assert caught.value.args[0] == "txn"
    with pytest.raises(Errors.UnknownError):
        handler.handle_response(pid_response(-1))


# AddPartitionsToTxnHandler


def add_response(code, tps=(TP,)):
    return AddPartitionsToTxnResponse_v0(
        throttle_time_ms=0, errors=[(tp.topic, [(tp.partition, code)]) for tp in tps]
    )


@virtual
async def test_add_partitions():
    sender = in_transaction()
    manager = sender._txn_manager
    for tp in (TP, TP1):
        manager.maybe_add_partition_to_txn(tp)
    handler = AddPartitionsToTxnHandler(sender, [TP, TP1])
    assert handler.group == ConnectionGroup.COORDINATION
    request = handler.create_request()
    assert isinstance(request, AddPartitionsToTxnRequest)
    assert handler.handle_response(add_response(0, (TP, TP1))) is None
    assert manager._txn_partitions == {TP, TP1}


@pytest.mark.parametrize(
    ("code", "backoff"), [(15, BACKOFF), (16, BACKOFF), (14, BACKOFF), (3, BACKOFF)]
)
@virtual
async def test_add_partitions_retriable(code, backoff):
    sender = in_transaction()
    assert AddPartitionsToTxnHandler(sender, [TP]).handle_response(add_response(code)) == backoff
    if code in GONE:
        sender._coordinator_dead.assert_called_with(CoordinationType.TRANSACTION)


@virtual
async def test_add_partitions_while_the_last_transaction_is_completed():
    sender = in_transaction()
    handler = AddPartitionsToTxnHandler(sender, [TP])
    assert BACKOFF_OVERRIDE == 0.02
    assert handler.handle_response(add_response(51)) == BACKOFF_OVERRIDE
    sender._txn_manager.partition_added(TP1)
    assert handler.handle_response(add_response(51)) == BACKOFF


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (47, Errors.ProducerFenced),
        (90, Errors.ProducerFenced),
        (48, Errors.InvalidTxnState),
        (49, Errors.InvalidProducerIdMapping),
        (53, Errors.TransactionalIdAuthorizationFailed),
        (-1, Errors.UnknownError),
    ],
)
@virtual
async def test_add_partitions_fatal(code, error):
    handler = AddPartitionsToTxnHandler(in_transaction(), [TP])
    with pytest.raises(error):
        handler.handle_response(add_response(code))


@virtual
async def test_add_partitions_unauthorized():
    sender = in_transaction()
    handler = AddPartitionsToTxnHandler(sender, [TP, TP1])
    response = AddPartitionsToTxnResponse_v0(
        throttle_time_ms=0, errors=[("t", [(0, 29), (1, 55)])]
    )
    assert handler.handle_response(response) is None
    manager = sender._txn_manager
    assert manager.state is TransactionState.ABORTABLE_ERROR
    with pytest.raises(Errors.TopicAuthorizationFailedError) as caught:
        manager.committing_transaction()
    assert caught.value.args[0] == {"t"}


# AddOffsetsToTxnHandler


def offsets_response(code):
    return AddOffsetsToTxnResponse_v0(throttle_time_ms=0, error_code=code)


@virtual
async def test_add_offsets():
    sender = in_transaction()
    handler = AddOffsetsToTxnHandler(sender, "g")
    assert isinstance(handler.create_request(), AddOffsetsToTxnRequest)
    assert handler.handle_response(offsets_response(0)) is None
    assert not sender._txn_manager.is_empty_transaction()
    for code, backoff in RETRIABLE_COORDINATOR:
        assert handler.handle_response(offsets_response(code)) == backoff
    for code, error in ((47, Errors.ProducerFenced), (48, Errors.InvalidTxnState)):
        with pytest.raises(error):
            handler.handle_response(offsets_response(code))
    assert handler.handle_response(offsets_response(30)) is None
    with pytest.raises(Errors.GroupAuthorizationFailedError) as caught:
        sender._txn_manager.committing_transaction()
    assert caught.value.args[0] == "g"


# TxnOffsetCommitHandler


def commit_response(code):
    return TxnOffsetCommitResponse_v0(throttle_time_ms=0, errors=[("t", [(0, code)])])


def committing(sender):
    offsets = {TP: OffsetAndMetadata(10, "")}
    future = sender._txn_manager.add_offsets_to_txn(offsets, "g")
    return TxnOffsetCommitHandler(sender, offsets, "g"), future


@virtual
async def test_offset_commit():
    handler, future = committing(in_transaction())
    assert isinstance(handler.create_request(), TxnOffsetCommitRequest)
    assert handler.handle_response(commit_response(0)) is None
    await future


@pytest.mark.parametrize("code", [14, 15, 16, 7, 3])
@virtual
async def test_offset_commit_retriable(code):
    sender = in_transaction()
    handler, _ = committing(sender)
    assert handler.handle_response(commit_response(code)) == BACKOFF
    if code in {15, 16, 7}:
        sender._coordinator_dead.assert_called_with(CoordinationType.GROUP)


@virtual
async def test_offset_commit_refused():
    sender = in_transaction()
    handler, future = committing(sender)
    with pytest.raises(Errors.ProducerFenced):
        handler.handle_response(commit_response(47))
    assert handler.handle_response(commit_response(30)) is None
    with pytest.raises(Errors.GroupAuthorizationFailedError):
        await future


# EndTxnHandler


@virtual
async def test_end():
    sender = in_transaction()
    manager = sender._txn_manager
    manager.committing_transaction()
    handler = EndTxnHandler(sender, 1)
    assert isinstance(handler.create_request(), EndTxnRequest)

    def response(code):
        return EndTxnResponse_v0(throttle_time_ms=0, error_code=code)

    for code, backoff in RETRIABLE_COORDINATOR:
        assert handler.handle_response(response(code)) == backoff
    for code, error in ((47, Errors.ProducerFenced), (48, Errors.InvalidTxnState)):
        with pytest.raises(error):
            handler.handle_response(response(code))
    assert handler.handle_response(response(0)) is None
    await manager.wait_for_transaction_end()
    assert manager.state is TransactionState.READY


@virtual
async def test_a_dead_coordinator_is_looked_up_again():
    sender = in_transaction()
    sender.client.send.side_effect = Errors.RequestTimedOutError()
    assert await EndTxnHandler(sender, 1).do(2) is False
    sender._coordinator_dead.assert_called_with(CoordinationType.TRANSACTION)
    assert sender.client.send.call_args.kwargs == {"group": ConnectionGroup.COORDINATION}


# SendProduceReqHandler


def produce_response(code, base_offset=100, timestamp=200, leader=None):
    return ProduceResponse_v8(
        topics=[("t", [(0, code, base_offset, timestamp, 5, [], None)])], throttle_time_ms=0
    )


class Produce:
    """A handler with one real batch of one record."""

    def __init__(self, sender=None, records=1, acks=-1):
        self.sender = sender or make_sender(transactional_id=None, acks=acks)
        self.sender._txn_manager.set_pid_and_epoch(1, 0)
        self.sender.client.request_metadata = mock.Mock(return_value=0)
        self.acc = self.sender._message_accumulator
        self.records = records

    async def __aenter__(self):
        self.acc._cluster.leader_for_partition = lambda tp: 0
        self.futures = [
            await self.acc.add_message(TP, None, b"v", 0, timestamp_ms=7)
            for _ in range(self.records)
        ]
        ((_, batches),) = self.acc.drain(lambda node: 5)
        self.batch = batches[TP]
        self.handler = SendProduceReqHandler(self.sender, batches)
        return self

    async def __aexit__(self, *exc):
        self.acc.dispose(Errors.ProducerClosed())
        for future in self.futures:
            future.cancelled() or (future.done() and future.exception())


@virtual
async def test_produce_request():
    async with Produce() as p:
        request = p.handler.create_request()
        assert isinstance(request, ProduceRequest)
        assert request.API_KEY == 0
        assert request.required_acks == -1


@pytest.mark.parametrize("code", [0, 46])
@virtual
async def test_stored(code):
    async with Produce() as p:
        p.handler.handle_response(produce_response(code))
        metadata = await p.futures[0]
        assert (metadata.offset, metadata.timestamp, metadata.timestamp_type) == (100, 200, 1)
        assert metadata.log_start_offset == 5
        assert p.handler._to_reenqueue == []
        assert p.sender._txn_manager.sequences.of(TP).outstanding == []


@virtual
async def test_old_responses():
    async with Produce() as p:
        p.handler.handle_response(
            ProduceResponse_v4(topics=[("t", [(0, 0, 100, -1)])], throttle_time_ms=0)
        )
        metadata = await p.futures[0]
        assert (metadata.timestamp, metadata.timestamp_type) == (7, 0)
        assert metadata.log_start_offset is None
    async with Produce() as p:
        p.handler.handle_response(ProduceResponse_v0(topics=[("t", [(0, 0, 100)])]))
        assert (await p.futures[0]).offset == 100


@pytest.mark.parametrize("code", [3, 5, 6, 7, 19, 20, 56])
@virtual
async def test_sent_again(code):
    async with Produce() as p:
        p.handler.handle_response(produce_response(code))
        assert p.handler._to_reenqueue == [p.batch]
        assert type(p.batch.last_error) is Errors.for_code(code)
        assert not p.futures[0].done()
        stale = Errors.for_code(code).invalid_metadata
        assert p.sender.client.request_metadata.called is stale


@pytest.mark.parametrize(
    ("code", "error", "args"),
    [
        (10, Errors.MessageSizeTooLargeError, ()),
        (29, Errors.TopicAuthorizationFailedError, ("t",)),
        (31, Errors.ClusterAuthorizationFailedError, ()),
        (87, Errors.InvalidRecordError, ()),
        (-1, Errors.UnknownError, ()),
    ],
)
@virtual
async def test_given_up(code, error, args):
    async with Produce() as p:
        p.handler.handle_response(produce_response(code))
        with pytest.raises(error) as caught:
            await p.futures[0]
        assert caught.value.args == args
        assert p.handler._to_reenqueue == []
        assert p.sender._txn_manager.sequences.of(TP).broken


@virtual
async def test_fenced():
    for code in (47, 90):
        async with Produce() as p:
            p.handler.handle_response(produce_response(code))
            with pytest.raises(Errors.ProducerFenced):
                await p.futures[0]


@pytest.mark.parametrize("code", [10, 18])
@virtual
async def test_too_large_with_many_records(code):
    async with Produce(records=4) as p:
        p.handler.handle_response(produce_response(code))
        p.acc.landed(p.batch)
        assert p.handler._to_reenqueue == []
        assert len(p.acc.queue(TP).batches) >= 2
        assert not any(future.done() for future in p.futures)


@pytest.mark.parametrize("code", [45, 59])
@virtual
async def test_out_of_sequence(code):
    async with Produce() as p:
        p.handler.handle_response(produce_response(code))
        assert p.handler._to_reenqueue == [p.batch]
        assert p.sender._txn_manager.sequences.of(TP).broken


@virtual
async def test_out_of_sequence_in_a_transaction():
    sender = in_transaction()
    manager = sender._txn_manager
    accumulator = sender._message_accumulator
    accumulator._cluster.leader_for_partition = lambda tp: 0
    future = await accumulator.add_message(TP, None, b"v", 0)
    manager.partition_added(TP)
    accumulator.reschedule_pending()
    ((_, batches),) = accumulator.drain(lambda node: 5)
    handler = SendProduceReqHandler(sender, batches)
    handler.handle_response(produce_response(45))
    with pytest.raises(Errors.OutOfOrderSequenceNumber):
        await future
    assert manager.state is TransactionState.ABORTABLE_ERROR


@virtual
async def test_a_partition_the_answer_leaves_out():
    async with Produce() as p:
        p.handler.handle_response(ProduceResponse_v8(topics=[], throttle_time_ms=0))
        assert p.handler._to_reenqueue == [p.batch]
        assert "nothing of" in str(p.batch.last_error)


@virtual
async def test_an_answer_about_something_else():
    async with Produce() as p:
        p.handler.handle_response(
            ProduceResponse_v8(
                topics=[("u", [(0, 0, 1, -1, 0, [], None)]), *produce_response(0).topics],
                throttle_time_ms=0,
            )
        )
        assert (await p.futures[0]).offset == 100


@pytest.mark.parametrize(
    "error",
    [
        Errors.NodeNotReadyError("x"),
        Errors.RequestTimedOutError("x"),
        Errors.KafkaConnectionError("x"),
        Errors.CorrelationIdError("x"),
        asyncio.TimeoutError(),
    ],
)
@virtual
async def test_no_answer(error):
    async with Produce() as p:
        p.sender.client.send.side_effect = error
        assert await p.handler.do(0) is False
        assert p.handler._to_reenqueue == [p.batch]
        assert isinstance(p.sender.last_error, Errors.KafkaError)
        args = p.sender.client.send.call_args
        assert (len(args.args), args.kwargs) == (2, {})


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (Errors.IncompatibleBrokerVersion("x"), Errors.IncompatibleBrokerVersion),
        (NotImplementedError("no version"), Errors.UnsupportedVersionError),
    ],
)
@virtual
async def test_a_broker_that_does_not_understand(error, raised):
    async with Produce() as p:
        p.sender.client.send.side_effect = error
        await p.handler.do(0)
        with pytest.raises(raised):
            await p.futures[0]


@virtual
async def test_unacknowledged():
    sender = make_sender(transactional_id=None, acks=0)
    async with Produce(sender) as p:
        p.sender.client.send.return_value = None
        assert await p.handler.do(0) is True
        assert await p.futures[0] is None
