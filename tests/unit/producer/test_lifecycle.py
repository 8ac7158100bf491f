"""Making, starting, stopping, dropping a producer; its settings and its arguments."""

import asyncio
import gc
import inspect
import logging
import weakref
from unittest import mock

import pytest

from aiokafka import errors as Errors
from aiokafka.errors import (
    IllegalOperation,
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    ProducerClosed,
)
from aiokafka.producer import AIOKafkaProducer
from aiokafka.producer.producer import _missing
from aiokafka.structs import RecordMetadata, TopicPartition
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Cut, Deaf, Error
from tests.unit.producer.lab import FAST, now, producing, virtual, warm

NOWHERE = {"bootstrap_servers": "nowhere:1"}


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acks", 2),
        ("acks", "none"),
        ("acks", True),
        ("compression_type", "zip"),
        ("compression_level", 3),
        ("max_block_ms", -1),
        ("max_block_ms", "1000"),
        ("max_block_ms", float("nan")),
        ("max_block_ms", True),
        ("delivery_timeout_ms", 0),
        ("delivery_timeout_ms", None),
        ("retry_backoff_ms", -1),
        ("retry_backoff_max_ms", "x"),
        ("reconnect_backoff_ms", -1),
        ("reconnect_backoff_max_ms", None),
        ("socket_connection_setup_timeout_ms", -1),
        ("socket_connection_setup_timeout_max_ms", "x"),
        ("buffer_memory", 0),
        ("buffer_memory", 1.5),
        ("stop_timeout_ms", -1),
        ("linger_ms", -1),
        ("request_timeout_ms", -1),
        ("max_batch_size", -1),
        ("max_request_size", "1"),
        ("max_in_flight_requests_per_connection", 0),
    ],
)
@virtual
async def test_settings_that_cannot_work(name, value):
    with pytest.raises(ValueError, match=name.replace("compression_level", "compression")):
        AIOKafkaProducer(**NOWHERE, **{name: value})


@virtual
async def test_settings_that_cannot_work_together():
    for settings, word in (
        ({"enable_idempotence": True, "acks": 1}, "acks"),
        ({"transactional_id": "x", "acks": 0}, "acks"),
        (
            {"enable_idempotence": True, "max_in_flight_requests_per_connection": 6},
            "max_in_flight",
        ),
        ({"linger_ms": 1000, "delivery_timeout_ms": 500}, "delivery_timeout_ms"),
        ({"compression_type": "gzip", "compression_level": 11}, "compression_level"),
        ({"security_protocol": "SOME"}, "should be SSL or PLAINTEXT"),
        ({"security_protocol": "SSL"}, "is mandatory if"),
    ):
        with pytest.raises(ValueError, match=word):
            AIOKafkaProducer(**NOWHERE, **settings)


@virtual
async def test_defaults_that_depend_on_others():
    for settings, acks in (
        ({}, 1),
        ({"acks": _missing}, 1),
        ({"acks": "all"}, -1),
        ({"acks": -1}, -1),
        ({"enable_idempotence": True}, -1),
        ({"transactional_id": "x"}, -1),
    ):
        producer = AIOKafkaProducer(**NOWHERE, **settings)
        assert producer._sender._acks == acks
        await producer.stop()
    producer = AIOKafkaProducer(**NOWHERE, request_timeout_ms=1234)
    assert producer._max_block == 1.234
    assert producer._request_timeout_ms == 1234
    await producer.stop()


@virtual
async def test_missing_codec_library():
    with mock.patch("aiokafka.codec.has_snappy", return_value=False):
        with pytest.raises(RuntimeError, match="snappy"):
            AIOKafkaProducer(**NOWHERE, compression_type="snappy")


@virtual
async def test_deprecated_settings_warn():
    loop = asyncio.get_running_loop()
    for settings in ({"loop": loop}, {"api_version": "auto"}):
        with pytest.warns(DeprecationWarning, match=next(iter(settings))):
            producer = AIOKafkaProducer(**NOWHERE, **settings)
        await producer.stop()
    producer = AIOKafkaProducer(**NOWHERE, loop=None, api_version=None)
    await producer.stop()


def test_without_a_loop():
    with pytest.raises(RuntimeError):
        AIOKafkaProducer(**NOWHERE)


def test_driven_by_a_loop_of_the_application():
    loop = asyncio.new_event_loop()
    with pytest.warns(DeprecationWarning):
        producer = AIOKafkaProducer(**NOWHERE, loop=loop, enable_idempotence=True)

    async def elsewhere():
        with pytest.raises(AssertionError):
            await producer.start()

    asyncio.run(elsewhere())
    loop.run_until_complete(producer.stop())
    loop.close()


@virtual
async def test_client_ids_count_up():
    one, two = AIOKafkaProducer(**NOWHERE), AIOKafkaProducer(**NOWHERE)
    numbers = [int(p.client._client_id.removeprefix("aiokafka-producer-")) for p in (one, two)]
    assert numbers[1] == numbers[0] + 1
    for producer in (one, two):
        await producer.stop()


def test_every_keyword_of_0_14_and_its_default():
    parameters = inspect.signature(AIOKafkaProducer).parameters
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    for name, default in {
        "loop": None,
        "bootstrap_servers": "localhost",
        "client_id": None,
        "metadata_max_age_ms": 300000,
        "request_timeout_ms": 40000,
        "api_version": None,
        "acks": _missing,
        "key_serializer": None,
        "value_serializer": None,
        "compression_type": None,
        "max_batch_size": 16384,
        "max_request_size": 1048576,
        "linger_ms": 0,
        "retry_backoff_ms": 100,
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
        "connections_max_idle_ms": 540000,
        "enable_idempotence": False,
        "transactional_id": None,
        "transaction_timeout_ms": 60000,
        "sasl_mechanism": "PLAIN",
        "sasl_plain_password": None,
        "sasl_plain_username": None,
        "sasl_kerberos_service_name": "kafka",
        "sasl_kerberos_domain_name": None,
        "sasl_oauth_token_provider": None,
    }.items():
        assert parameters[name].default == default
    assert "partitioner" in parameters
    send = list(inspect.signature(AIOKafkaProducer.send).parameters)
    assert send == ["self", "topic", "value", "key", "partition", "timestamp_ms", "headers"]


# Starting


@virtual
async def test_before_start():
    producer = AIOKafkaProducer(**NOWHERE)
    assert producer._closed is None
    batch = producer.create_batch()
    batch.append(key=None, value=b"v", timestamp=None)
    for call in (
        producer.send("t", b"v"),
        producer.send_and_wait("t", b"v"),
        producer.send_batch(batch, "t", partition=0),
    ):
        with pytest.raises(IllegalStateError, match="start"):
            await call
    await producer.flush()
    await producer.stop()
    with pytest.raises(ProducerClosed):
        await producer.start()


@virtual
async def test_after_a_start_that_failed():
    producer = AIOKafkaProducer(bootstrap_servers="broker-0:9092", **FAST)
    with pytest.raises(KafkaConnectionError):
        await producer.start()
    with pytest.raises(IllegalStateError):
        await producer.send("t", b"v")
    async with FakeCluster(brokers=1):
        await asyncio.sleep(1)
        await producer.start()
        await producer.send_and_wait("t", b"v")
        await producer.stop()


@virtual
async def test_context_manager():
    async with FakeCluster(brokers=1) as kafka:
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
            assert producer._closed is False
            assert producer._sender.sender_task is producer._sender._sender_task
            assert not producer._sender.sender_task.done()
            future = await producer.send("t", b"v")
        assert producer._closed is True
        assert (await future).offset == 0
        assert producer._sender.sender_task.done()
        for call in (producer.send("t", b"v"), producer.send_and_wait("new", b"v")):
            with pytest.raises(ProducerClosed):
                await call


@virtual
async def test_no_producer_id_in_time():
    async with FakeCluster(brokers=1) as kafka:
        kafka.faults.add(Error(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), api="InitProducerId")
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True, **FAST
        )
        started = now()
        with pytest.raises(KafkaTimeoutError) as caught:
            await producer.start()
        assert now() - started == pytest.approx(1, abs=0.1), "the request timeout"
        assert isinstance(caught.value.__cause__, Errors.GroupLoadInProgressError)
        with pytest.raises(IllegalStateError):
            await producer.send("t", b"v")
        kafka.faults.clear()
        await producer.start()
        await producer.send_and_wait("t", b"v")
        await producer.stop()


@pytest.mark.parametrize("action", [Deaf(), Cut(), Error(ErrorCode.NOT_COORDINATOR)])
@virtual
async def test_a_producer_id_after_some_trouble(action):
    async with FakeCluster(brokers=3) as kafka:
        kafka.faults.add(action, api="InitProducerId", times=2)
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers,
            enable_idempotence=True,
            **{**FAST, "request_timeout_ms": 5000},
        )
        started = now()
        await producer.start()
        # Not even a broker that never answers makes it wait for a request timeout.
        assert now() - started < 3
        assert producer._txn_manager.has_pid()
        await producer.stop()


@virtual
async def test_a_producer_id_refused():
    async with FakeCluster(brokers=1) as kafka:
        kafka.faults.add(
            Error(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED), api="InitProducerId"
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, transactional_id="mine", **FAST
        )
        with pytest.raises(Errors.TransactionalIdAuthorizationFailed) as caught:
            await producer.start()
        assert caught.value.args[0] == "mine"
        await producer.stop()


# Stopping


@virtual
async def test_stop_delivers_what_is_left():
    async with producing(linger_ms=60_000) as (kafka, producer):
        futures = [await producer.send("t", b"v") for _ in range(10)]
        started = now()
        await producer.stop()
        assert now() - started < 0.1
        assert [(await future).offset for future in futures] == list(range(10))
        await producer.stop()
        assert len(kafka.records("t")) == 10


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("state", ["frozen", "dead"])
@virtual
async def test_stop_is_bounded(idempotent, state, caplog):
    async with producing(enable_idempotence=idempotent, stop_timeout_ms=3000) as (
        kafka,
        producer,
    ):
        await producer.send_and_wait("t", b"0")
        broker = kafka.brokers[0]
        broker.freeze() if state == "frozen" else broker.kill()
        future = await producer.send("t", b"v")
        started = now()
        with caplog.at_level(logging.WARNING, "aiokafka.producer"):
            await producer.stop()
        assert now() - started == pytest.approx(3, rel=0.1)
        with pytest.raises(ProducerClosed):
            await future
        assert any("undelivered" in r.getMessage() for r in caplog.records)


@virtual
async def test_default_bound_of_stop():
    async with producing() as (kafka, producer):
        await producer.send_and_wait("t", b"0")
        kafka.brokers[0].kill()
        future = await producer.send("t", b"v")
        started = now()
        await producer.stop()
        assert now() - started == pytest.approx(30, rel=0.05)
        with pytest.raises(ProducerClosed):
            await future


@virtual
async def test_flush_is_bounded():
    async with producing(delivery_timeout_ms=3000) as (kafka, producer):
        await producer.flush()
        await producer.send_and_wait("t", b"0")
        kafka.brokers[0].freeze()
        future = await producer.send("t", b"v")
        started = now()
        await producer.flush()
        assert now() - started == pytest.approx(3, rel=0.05)
        with pytest.raises(KafkaTimeoutError):
            await future
        kafka.brokers[0].thaw()


@virtual
async def test_cancelled_stop_leaves_nothing_behind():
    async with producing() as (kafka, producer):
        await producer.send_and_wait("t", b"0")
        kafka.brokers[0].freeze()
        future = await producer.send("t", b"v")
        stopping = asyncio.ensure_future(producer.stop())
        await asyncio.sleep(1)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        with pytest.raises(ProducerClosed):
            await future
        assert not producer._sender._supervisor.tasks


# Dropping


async def test_unclosed_producer_warns_and_is_collected():
    messages = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: messages.append(context["message"]))
    async with FakeCluster(brokers=1) as kafka:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
        await producer.start()
        await producer.send_and_wait("t", b"v")
        client, sender = producer.client, producer._sender
        reference = weakref.ref(producer)
        with pytest.warns(ResourceWarning, match="Unclosed AIOKafkaProducer"):
            del producer
            gc.collect()
        assert reference() is None
        assert messages == ["Unclosed AIOKafkaProducer"]
        await asyncio.wait((sender.sender_task,))
        await client.close()


async def test_a_producer_never_started_goes_quietly():
    producer = AIOKafkaProducer(**NOWHERE)
    reference = weakref.ref(producer)
    del producer
    gc.collect()
    assert reference() is None


# Arguments of send


@virtual
async def test_arguments_that_make_no_record():
    async with producing(partitions=2) as (kafka, producer):
        for cold in (True, False):
            with pytest.raises(AssertionError):
                await producer.send("t")
            with pytest.raises(ValueError, match="negative"):
                await producer.send("t", b"v", partition=-1)
            with pytest.raises(TypeError):
                await producer.send("t", b"v", partition="0")
            with pytest.raises(TypeError):
                await producer.send(b"t", b"v")
            with pytest.raises(TypeError):
                await producer.send("t", "text")
            with pytest.raises(TypeError):
                await producer.send("t", b"v", key="text")
            with pytest.raises(TypeError):
                await producer.send("t", b"v", headers={"a": b"b"})
            with pytest.raises(TypeError):
                await producer.send("t", b"v", headers=[("a", "b")])
            with pytest.raises(TypeError):
                await producer.send("t", b"v", timestamp_ms=1.5)
            if cold:
                await warm(producer)
        await producer.send_and_wait("t", bytearray(b"good"), key=memoryview(b"k"))
        assert kafka.values("t") == [b"good"]


@virtual
async def test_serializers_and_partitioner_of_the_application():
    calls = []

    def choose(key, every, available):
        calls.append((key, list(every), list(available)))
        return 2

    async with producing(
        partitions=3,
        key_serializer=str.encode,
        value_serializer=lambda v: str(v).encode(),
        partitioner=choose,
    ) as (kafka, producer):
        for _ in range(2):
            await producer.send_and_wait("t", 17, key="k")
        assert calls == [(b"k", [0, 1, 2], [0, 1, 2])] * 2
        assert kafka.records("t", 2)[0].value == b"17"
        assert producer._key_serializer is str.encode
        with pytest.raises(TypeError):
            await producer.send("t", 17, key=18)


@virtual
async def test_partition_for_instrumentations():
    async with producing(partitions=3) as (_, producer):
        await warm(producer)
        assert producer._partition("t", 2, None, None, None, None) == 2
        key = {"serialized_key": b"k", "serialized_value": None}
        chosen = producer._partition(topic="t", partition=None, key="k", value=None, **key)
        assert (await producer.send_and_wait("t", b"v", key=b"k")).partition == chosen
        with pytest.raises(AssertionError):
            producer._partition("t", 3, None, None, None, None)
        fresh = await producer.partitions_for("t")
        fresh.clear()
        assert await producer.partitions_for("t") == {0, 1, 2}


@virtual
async def test_routes_follow_the_metadata():
    async with producing(partitions=1) as (kafka, producer):
        await producer.send_and_wait("t", b"v")
        kafka.add_partitions("t", 8)
        await producer.client.force_metadata_update()
        metadata = await producer.send_and_wait("t", b"v", partition=7)
        assert metadata.partition == 7
        used = {(await producer.send_and_wait("t", b"v")).partition for _ in range(100)}
        assert len(used) > 4


# Instrumented, without any broker


@virtual
async def test_calls_that_instrumentations_replace():
    producer = AIOKafkaProducer(bootstrap_servers=["a:1", "b:2"], client_id="me")
    assert producer.client._bootstrap_servers == ["a:1", "b:2"]
    assert producer.client._client_id == "me"
    producer.client.bootstrap = mock.AsyncMock()
    producer.client._wait_on_metadata = mock.AsyncMock()
    producer._sender.start = mock.AsyncMock()
    producer._partition = mock.Mock(return_value=1)
    expected = RecordMetadata("t", 1, TopicPartition("t", 1), 5, 0, 0, None)
    done = asyncio.get_running_loop().create_future()
    done.set_result(expected)
    add_message = mock.AsyncMock(return_value=done)
    producer._message_accumulator.add_message = add_message
    await producer.start()
    headers = [("traceparent", b"00")]
    assert await producer.send_and_wait("t", b"value", b"key", headers=headers) == expected
    add_message.assert_awaited_with(
        TopicPartition("t", 1), b"key", b"value", 40.0, timestamp_ms=None, headers=headers
    )
    await producer.send("t", b"value")
    assert add_message.await_args.kwargs["headers"] == []
    await producer.stop()


@virtual
async def test_send_and_wait_goes_through_send_by_position():
    async with producing() as (_, producer):
        real, seen = producer.send, []

        async def wrapped(*args, **kwargs):
            seen.append((args, kwargs))
            return await real(*args, **kwargs)

        producer.send = wrapped
        await producer.send_and_wait("t", b"v", b"k", 0, 7, [("h", b"1")])
        assert seen == [(("t", b"v", b"k", 0, 7, [("h", b"1")]), {})]


# Transactions: the calls and their order


@virtual
async def test_transaction_calls_need_a_transactional_id():
    async with producing(enable_idempotence=True) as (_, producer):
        for call in (
            producer.begin_transaction,
            producer.commit_transaction,
            producer.abort_transaction,
        ):
            with pytest.raises(IllegalOperation):
                await call()
        with pytest.raises(IllegalOperation):
            producer.transaction()
        with pytest.raises(IllegalOperation):
            await producer.send_offsets_to_transaction({}, "g")


@virtual
async def test_records_outside_of_a_transaction():
    async with producing(transactional_id="x") as (_, producer):
        for _ in range(2):
            with pytest.raises(IllegalOperation):
                await producer.send("t", b"v")
        with pytest.raises(IllegalOperation):
            await producer.send_offsets_to_transaction({}, "g")
        with pytest.raises(AssertionError):
            await producer.commit_transaction()
        # Nothing was sent: the coordinator need not be asked.
        async with producer.transaction():
            with pytest.raises(AssertionError):
                await producer.begin_transaction()
            with pytest.raises(ValueError, match="group_id"):
                await producer.send_offsets_to_transaction({TopicPartition("t", 0): 1}, "")
        with pytest.raises(ZeroDivisionError):
            async with producer.transaction():
                1 // 0
