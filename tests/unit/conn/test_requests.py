"""A connection that is set up: requests, deadlines, throttling, idling, ending."""

from __future__ import annotations

import asyncio
import gc
import inspect
import struct
import weakref

import pytest

from aiokafka import conn as conn_module
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import (
    AIOKafkaConnection,
    CloseReason,
    SaslPlainAuthenticator,
    ScramAuthenticator,
    collect_hosts,
    get_ip_port_afi,
)
from aiokafka.errors import (
    CorrelationIdError,
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaProtocolError,
    RequestTimedOutError,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest

from .broker import (
    API_VERSIONS,
    METADATA,
    NO_BROKERS,
    OFFERED,
    Broker,
    Peer,
    Request,
    api_versions,
    closed,
    deaf,
    hang_up,
    link_of,
)


class WriteRecorder(asyncio.Transport):
    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        super().__init__()
        self.transport = transport
        self.writes = writes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))
        self.transport.write(data)

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()


async def connected(broker: Broker, **options: object) -> AIOKafkaConnection:
    conn = broker.connection(**options)
    await conn.connect()
    return conn


def metadata_requests(broker: Broker) -> int:
    return sum(request.key == METADATA for request in broker.requests)


async def test_responses_come_to_their_requests():
    names = iter(range(100))

    def answer(request):
        name = b"%04d" % next(names)
        request.reply(struct.pack(">iihh4si", 0, 1, 0, 4, name, 0))

    async with Broker({METADATA: answer}) as broker:
        conn = await connected(broker)
        futures = [conn.request(MetadataRequest([])) for _ in range(100)]
        assert conn.in_flight == 100
        responses = await asyncio.gather(*futures)
        assert [r.topics[0][1] for r in responses] == [f"{i:04d}" for i in range(100)]
        assert conn.in_flight == 0
        await closed(conn)


async def test_requests_of_one_turn_leave_in_one_write():
    chunks = []

    async def script(peer: Peer) -> None:
        request = await peer.read_frame()
        body = b"\0\0\x02" + struct.pack(">hhhb", METADATA, 0, 0, 0) + bytes(5)
        peer.send(struct.pack(">i", 4 + len(body)) + request[4:8] + body)
        while data := await peer.reader.read(65536):
            chunks.append(data)

    async with Broker(script=script) as broker:
        conn = await connected(broker)
        writes: list[bytes] = []
        link = link_of(conn)
        assert link.transport is not None
        link.transport = WriteRecorder(link.transport, writes)
        for _ in range(6):
            conn.request(MetadataRequest([]))
        # Nothing was under way: the first does not wait.
        assert len(writes) == 1
        await broker.wait_for(lambda: len(broker.peers) == 1)
        await asyncio.sleep(0)
        assert len(writes) == 2
        size = len(writes[0])
        assert len(writes[1]) == 5 * size
        await closed(conn)


async def test_what_was_sent_in_the_last_turn_is_flushed_on_shutdown():
    async with Broker() as broker:
        conn = await connected(broker)
        for _ in range(3):
            conn.request(MetadataRequest([]), expect_response=False)
        await conn.close(CloseReason.SHUTDOWN)
        await broker.wait_for(lambda: metadata_requests(broker) == 3)


async def test_no_response_is_expected():
    async with Broker({METADATA: deaf}) as broker:
        conn = await connected(broker)
        assert await conn.request(MetadataRequest([]), expect_response=False) is None
        assert await conn.send(MetadataRequest([]), expect_response=False) is None
        assert conn.in_flight == 0
        assert not conn._requests
        await broker.wait_for(lambda: metadata_requests(broker) == 2)
        await closed(conn)


async def test_send_writes_at_once_and_returns_a_coroutine():
    async with Broker() as broker:
        conn = await connected(broker)
        coroutine = conn.send(MetadataRequest([]))
        assert inspect.iscoroutine(coroutine)
        assert conn.in_flight == 1
        response = await asyncio.create_task(coroutine)
        assert response.brokers == []
        await closed(conn)


async def test_large_requests_and_answers():
    topics = [f"{i:0100d}" for i in range(20_000)]
    rows = b"".join(struct.pack(">hh", 0, 100) + t.encode() + bytes(4) for t in topics)
    body = bytes(4) + struct.pack(">i", len(topics)) + rows

    async with Broker({METADATA: lambda request: request.reply(body)}) as broker:
        conn = await connected(broker)
        for _ in range(2):
            response = await conn.request(MetadataRequest(topics))
            assert [row[1] for row in response.topics] == topics
        await closed(conn)


async def test_a_request_that_cannot_be_sent_harms_nothing():
    async with Broker() as broker:
        conn = await connected(broker)
        with pytest.raises(IncompatibleBrokerVersion):
            conn.request(FindCoordinatorRequest("group", 0))
        with pytest.raises(ValueError):
            conn.request(MetadataRequest(["x" * 40_000]))
        assert conn.in_flight == 0
        await conn.request(MetadataRequest([]))
        await closed(conn)


async def test_versions_can_be_assigned():
    async with Broker() as broker:
        conn = await connected(broker)
        conn._versions = {}
        with pytest.raises(IncompatibleBrokerVersion):
            conn.request(MetadataRequest([]))
        await closed(conn)


# -- wrong answers ------------------------------------------------------------------------


async def test_wrong_correlation_id():
    async with Broker({METADATA: lambda r: r.reply(NO_BROKERS, 4711)}) as broker:
        reasons = []
        conn = await connected(broker, on_close=lambda _, reason: reasons.append(reason))
        first, second = (conn.request(MetadataRequest([])) for _ in range(2))
        with pytest.raises(CorrelationIdError, match="4711"):
            await first
        with pytest.raises(KafkaConnectionError) as caught:
            await second
        assert isinstance(caught.value.__cause__, CorrelationIdError)
        assert reasons == [CloseReason.OUT_OF_SYNC]
        await closed(conn)


async def test_an_answer_nobody_asked_for():
    def answer(request):
        request.reply(NO_BROKERS)
        request.reply(NO_BROKERS)

    async with Broker({METADATA: answer}) as broker:
        reason = asyncio.get_running_loop().create_future()
        conn = await connected(broker, on_close=lambda _, why: reason.set_result(why))
        await conn.request(MetadataRequest([]))
        assert await reason is CloseReason.OUT_OF_SYNC
        await closed(conn)


async def test_undecodable_answer():
    body = struct.pack(">i", -5) + b"\x7f\xff\xff\xff"
    async with Broker({METADATA: lambda r: r.reply(body)}) as broker:
        conn = await connected(broker)
        with pytest.raises(KafkaProtocolError, match="MetadataRequest_v0"):
            await conn.request(MetadataRequest([]))
        assert not conn.connected()
        await closed(conn)


async def test_impossible_frame_in_mid_stream():
    async with Broker({METADATA: lambda r: r.connection.send(b"\x80\0\0\0")}) as broker:
        conn = await connected(broker)
        with pytest.raises(KafkaConnectionError, match="negative length"):
            await conn.request(MetadataRequest([]))
        await closed(conn)


# -- deadlines and cancellation -----------------------------------------------------------


async def test_an_unanswered_request_closes_the_connection():
    async with Broker({METADATA: deaf}) as broker:
        reasons = []
        conn = await connected(
            broker, request_timeout_ms=50, on_close=lambda _, reason: reasons.append(reason)
        )
        first = conn.request(MetadataRequest([]))
        behind = conn.request(MetadataRequest([]), timeout=60.0)
        with pytest.raises(RequestTimedOutError, match="did not answer MetadataRequest_v0") as e:
            await first
        assert isinstance(e.value, asyncio.TimeoutError)
        with pytest.raises(KafkaConnectionError) as caught:
            await behind
        assert isinstance(caught.value.__cause__, RequestTimedOutError)
        assert reasons == [CloseReason.CONNECTION_TIMEOUT]
        await closed(conn)


async def test_a_shorter_timeout_behind_a_longer_one():
    async with Broker({METADATA: deaf}) as broker:
        conn = await connected(broker)
        slow = conn.request(MetadataRequest([]), timeout=60.0)
        fast = conn.request(MetadataRequest([]), timeout=0.03)
        with pytest.raises(RequestTimedOutError):
            await fast
        with pytest.raises(KafkaConnectionError):
            await slow
        await closed(conn)


async def test_send_times_out_as_an_asyncio_timeout():
    async with Broker({METADATA: deaf}) as broker:
        conn = await connected(broker, request_timeout_ms=30)
        with pytest.raises(asyncio.TimeoutError):
            await conn.send(MetadataRequest([]))
        await closed(conn)


async def test_one_timer_for_any_number_of_requests():
    async with Broker() as broker:
        conn = await connected(broker)
        await conn.request(MetadataRequest([]))
        timer = link_of(conn)._timer
        assert timer is not None
        for _ in range(20):
            await conn.request(MetadataRequest([]))
        assert link_of(conn)._timer is timer
        await closed(conn)
        assert timer.cancelled()


async def test_a_request_answered_in_time_does_not_expire_the_next():
    """The timer was set for the first; at its time only the later ones are in flight."""
    held: list[Request] = []
    async with Broker({METADATA: held.append}) as broker:
        conn = await connected(broker)
        first = conn.request(MetadataRequest([]), timeout=0.05)
        await broker.wait_for(lambda: held)
        held[0].reply(NO_BROKERS)
        await first
        second = conn.request(MetadataRequest([]), timeout=0.2)
        with pytest.raises(RequestTimedOutError):
            await second
        await closed(conn)


async def test_a_late_answer_to_a_cancelled_request_is_dropped():
    held: list[Request] = []
    async with Broker({METADATA: held.append}) as broker:
        conn = await connected(broker)
        first = conn.request(MetadataRequest([]))
        second = asyncio.ensure_future(conn.send(MetadataRequest([])))
        third = conn.request(MetadataRequest([]))
        await broker.wait_for(lambda: len(held) == 3)
        first.cancel()
        second.cancel()
        for request in held:
            request.reply(NO_BROKERS)
        assert (await third).brokers == []
        assert conn.connected()
        assert conn.in_flight == 0
        await closed(conn)


async def test_age_of_the_oldest_request():
    loop = asyncio.get_running_loop()
    async with Broker({METADATA: deaf}) as broker:
        conn = broker.connection()
        assert (conn.oldest_in_flight_age(), conn.last_response_at) == (0.0, 0.0)
        await conn.connect()
        assert conn.oldest_in_flight_age() == 0.0
        assert 0 < conn.last_response_at <= loop.time()
        future = conn.request(MetadataRequest([]))
        conn._requests[0].sent_at -= 5
        assert 5 <= conn.oldest_in_flight_age() < 10
        await closed(conn)
        with pytest.raises(KafkaConnectionError):
            await future


# -- throttling, back pressure, idling ----------------------------------------------------


@pytest.mark.parametrize(("version", "throttled"), [(5, False), (6, True)])
async def test_throttling_is_the_clients_from_kip_219_on(version, throttled):
    offered = {**OFFERED, METADATA: (version, version)}
    body = struct.pack(">i", 1500) + bytes(4) + b"\xff\xff" + bytes(4) + bytes(4)
    answers = {API_VERSIONS: api_versions(offered), METADATA: lambda r: r.reply(body)}
    async with Broker(answers) as broker:
        conn = await connected(broker)
        assert conn.throttled_until == 0
        response = await conn.request(MetadataRequest([]))
        assert response.throttle_time_ms == 1500
        until = conn.throttled_until - asyncio.get_running_loop().time()
        assert (1.0 < until <= 1.5) if throttled else conn.throttled_until == 0
        await closed(conn)


async def test_back_pressure_is_told():
    stop = asyncio.Event()

    async def hold(request):
        await stop.wait()

    async with Broker({METADATA: hold}) as broker:
        conn = await connected(broker)
        assert not conn.write_paused
        topics = ["t" * 30_000] * 1000
        for _ in range(2):
            conn.request(MetadataRequest(topics))
        await asyncio.sleep(0)
        assert conn.write_paused
        # The peer does not read, so flushing is hopeless: it is given up.
        conn.close(CloseReason.CONNECTION_BROKEN)
        stop.set()
        await closed(conn)


async def test_a_graceful_close_is_bounded(monkeypatch):
    monkeypatch.setattr("aiokafka._conn.link.LINGER", 0.05)
    stop = asyncio.Event()

    async def hold(request):
        await stop.wait()

    async with Broker({METADATA: hold}) as broker:
        conn = await connected(broker)
        for _ in range(2):
            conn.request(MetadataRequest(["t" * 30_000] * 1000))
        await asyncio.sleep(0)
        await conn.close(CloseReason.SHUTDOWN)
        stop.set()
        await closed(conn)


async def test_idle_close():
    loop = asyncio.get_running_loop()
    async with Broker() as broker:
        reason = loop.create_future()
        conn = await connected(
            broker, max_idle_ms=60, on_close=lambda _, why: reason.set_result(why)
        )
        await conn.request(MetadataRequest([]))
        started = loop.time()
        assert await reason is CloseReason.IDLE_DROP
        assert loop.time() - started >= 0.055
        await closed(conn)


async def test_a_connection_with_requests_in_flight_is_not_idle():
    loop = asyncio.get_running_loop()
    held: list[Request] = []
    async with Broker({METADATA: held.append}) as broker:
        reason = loop.create_future()
        conn = await connected(
            broker, max_idle_ms=30, on_close=lambda _, why: reason.set_result(why)
        )
        future = conn.request(MetadataRequest([]))
        await broker.wait_for(lambda: held)
        started = loop.time()
        loop.call_at(started + 0.1, held[0].reply, NO_BROKERS)
        await future
        assert not reason.done()
        assert await reason is CloseReason.IDLE_DROP
        assert loop.time() - started >= 0.125
        await closed(conn)


# -- ending -------------------------------------------------------------------------------


async def test_close_fails_what_is_in_flight():
    async with Broker({METADATA: deaf}) as broker:
        calls = []
        conn = await connected(broker, on_close=lambda *args: calls.append(args))
        futures = [conn.request(MetadataRequest([])) for _ in range(3)]
        cause = OSError("the cable")
        closing = conn.close(reason=CloseReason.CONNECTION_BROKEN, exc=cause)
        assert all(future.done() for future in futures)
        for future in futures:
            with pytest.raises(KafkaConnectionError, match="the cable") as caught:
                await future
            assert caught.value.__cause__ is cause
        assert not conn.connected()
        await conn.close(CloseReason.SHUTDOWN)
        await closing
        assert calls == [(conn, CloseReason.CONNECTION_BROKEN)]
        with pytest.raises(KafkaConnectionError, match="No connection"):
            conn.request(MetadataRequest([]))
        with pytest.raises(KafkaConnectionError, match="No connection"):
            await conn.send(MetadataRequest([]))
        with pytest.raises(KafkaConnectionError, match="No connection"):
            conn._send_sasl_token(b"")


async def test_the_peer_goes_away():
    async with Broker({METADATA: hang_up}) as broker:
        reasons = []
        conn = await connected(broker, on_close=lambda _, reason: reasons.append(reason))
        with pytest.raises(KafkaConnectionError, match="CONNECTION_BROKEN"):
            await conn.request(MetadataRequest([]))
        assert reasons == [CloseReason.CONNECTION_BROKEN]
        await closed(conn)


async def test_the_peer_resets():
    async with Broker({METADATA: lambda r: r.connection.abort()}) as broker:
        conn = await connected(broker)
        with pytest.raises(KafkaConnectionError):
            await conn.request(MetadataRequest([]))
        await closed(conn)


async def test_half_an_answer_then_the_end():
    def half(request):
        request.connection.send(struct.pack(">ii", 1_000_000, request.number) + bytes(200_000))
        request.connection.close()

    async with Broker({METADATA: half}) as broker:
        conn = await connected(broker)
        with pytest.raises(KafkaConnectionError):
            await conn.request(MetadataRequest([]))
        await closed(conn)


async def test_waiting_for_the_end_can_be_cancelled():
    async with Broker() as broker:
        conn = await connected(broker)
        conn.close().cancel()
        await closed(conn)


async def test_closing_a_connection_that_never_was():
    conn = AIOKafkaConnection("127.0.0.1", 1)
    await conn.close()
    await conn.close()
    assert not conn.connected()
    assert conn._closed_fut is None


async def test_an_abandoned_connection_warns_and_closes():
    loop = asyncio.get_running_loop()
    contexts = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    async with Broker() as broker:
        conn = await connected(broker)
        alive = weakref.ref(conn)
        with pytest.warns(ResourceWarning, match="Unclosed AIOKafkaConnection"):
            del conn
            gc.collect()
        assert alive() is None
        assert [c["message"] for c in contexts] == ["Unclosed AIOKafkaConnection"]
        await broker.wait_for(lambda: broker.peers[0].ended.done())


async def test_an_abandoned_connection_fails_its_requests():
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with Broker({METADATA: deaf}) as broker:
        conn = await connected(broker)
        future = conn.request(MetadataRequest([]))
        with pytest.warns(ResourceWarning):
            del conn
            gc.collect()
        with pytest.raises(KafkaConnectionError, match="without being closed"):
            await future


# -- compatibility ------------------------------------------------------------------------


async def test_names_and_constants():
    conn = AIOKafkaConnection("kafka", 9093, sasl_kerberos_service_name="svc")
    assert repr(conn) == "<AIOKafkaConnection host=kafka port=9093>"
    assert (conn.host, conn.port) == ("kafka", 9093)
    assert conn.sasl_principal == "svc@kafka"
    other = AIOKafkaConnection("kafka", 1, sasl_kerberos_domain_name="example.org")
    assert other.sasl_principal == "kafka@example.org"
    assert conn_module.DEFAULT_KAFKA_PORT == 9092
    assert conn_module.READER_LIMIT == 65536
    assert conn_module.SASL_QOP_AUTH == 1
    assert conn_module.AbstractTokenProvider is AbstractTokenProvider
    assert [reason.value for reason in CloseReason] == [0, 1, 2, 3, 4, 5]
    assert not conn.connected()


async def test_correlation_ids_are_numbered_on_the_connection():
    async with Broker() as broker:
        conn = await connected(broker)
        number = conn._next_correlation_id()
        assert conn._next_correlation_id() == number + 1
        await closed(conn)
    with pytest.raises(KafkaConnectionError):
        AIOKafkaConnection("127.0.0.1", 1)._next_correlation_id()


def test_needs_a_running_loop():
    with pytest.raises(RuntimeError):
        AIOKafkaConnection("127.0.0.1", 9092)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"security_protocol": "TLS"}, "security_protocol"),
        ({"security_protocol": "SSL"}, "ssl_context"),
        ({"request_timeout_ms": -1}, "request_timeout_ms"),
        ({"max_idle_ms": "soon"}, "max_idle_ms"),
        ({"socket_connection_setup_timeout_ms": True}, "socket_connection_setup_timeout_ms"),
        ({"sasl_mechanism": "OAUTHBEARER"}, "sasl_oauth_token_provider"),
    ],
)
async def test_settings_are_checked(options, words):
    with pytest.raises(ValueError, match=words):
        AIOKafkaConnection("127.0.0.1", 9092, **options)


async def test_gssapi_needs_its_library(monkeypatch):
    monkeypatch.setattr(conn_module, "gssapi", None)
    with pytest.raises(AssertionError):
        AIOKafkaConnection("127.0.0.1", 9092, sasl_mechanism="GSSAPI")


async def test_authenticators_step_by_step():
    loop = asyncio.get_running_loop()
    plain = SaslPlainAuthenticator(loop=loop, sasl_plain_password="p", sasl_plain_username="u")
    assert await plain.step(None) == (b"u\0u\0p", True)
    assert await plain.step(b"") is None

    scram = ScramAuthenticator(
        loop=loop,
        sasl_plain_password="p",
        sasl_plain_username="u,=",
        sasl_mechanism="SCRAM-SHA-512",
    )
    step = await scram.step(None)
    assert step is not None
    token, more = step
    assert more
    assert token.startswith(b"n,,n=u=2C=3D,r=")
    assert len(scram.hmac(b"key", b"text")) == 64


async def test_factories_of_authenticators():
    conn = AIOKafkaConnection(
        "h",
        1,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_plain_username="u",
        sasl_plain_password="p",
    )
    assert isinstance(conn.authenticator_plain(), SaslPlainAuthenticator)
    assert isinstance(conn.authenticator_scram(), ScramAuthenticator)


def test_hosts():
    assert get_ip_port_afi("kafka")[:2] == ("kafka", 9092)
    assert get_ip_port_afi("[::1]:1234")[:2] == ("::1", 1234)
    assert [host for host, _, _ in collect_hosts("a:1,b:2", randomize=False)] == ["a", "b"]
    assert {port for _, port, _ in collect_hosts(["a:1", "b:2", "c"])} == {1, 2, 9092}
