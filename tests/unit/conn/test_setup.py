"""Connecting: every phase answered, refused, silent, cut short, spoken wrongly, cancelled."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
import struct

import pytest

from aiokafka._conn.states import TRANSITIONS, ConnectionState, check_transition
from aiokafka._deadline import Deadline
from aiokafka._version import __version__
from aiokafka.conn import AIOKafkaConnection, CloseReason, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)
from aiokafka.protocol.metadata import MetadataRequest

from ..sasl.test_mechanisms import ScramServer
from .broker import (
    API_VERSIONS,
    AUTHENTICATE,
    HANDSHAKE,
    METADATA,
    OFFERED,
    Broker,
    Peer,
    Request,
    api_versions,
    authenticated,
    closed,
    deaf,
    frame,
    handshake,
    hang_up,
    not_authenticated,
    plain,
    refuse_above,
)

PASSWORD = "s3cret,=password"
SASL = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "PLAIN",
    "sasl_plain_username": "user",
    "sasl_plain_password": PASSWORD,
}
SCRAM = {**SASL, "sasl_mechanism": "SCRAM-SHA-256"}
SHORT = {"socket_connection_setup_timeout_ms": 100}


async def fails(conn: AIOKafkaConnection, error: type[BaseException], match: str) -> BaseException:
    reasons: list[CloseReason | None] = []
    conn._on_close_cb = lambda _, reason: reasons.append(reason)
    with pytest.raises(error, match=match) as caught:
        await conn.connect()
    assert not conn.connected()
    assert len(reasons) == 1
    assert PASSWORD not in str(caught.value)
    await closed(conn)
    return caught.value


# -- versions -----------------------------------------------------------------------------


async def test_versions_and_features_are_negotiated():
    offered = {**OFFERED, 0: (0, 99), 22: (0, 6), 999: (0, 7)}
    answer = api_versions(offered, features={"transaction.version": 2, "kraft.version": 1})
    async with Broker({API_VERSIONS: answer}) as broker:
        conn = broker.connection(client_id="me")
        await conn.connect()
        assert conn.connected()
        assert conn.state is ConnectionState.READY
        assert conn.versions[0] == (3, 13)
        assert conn.versions[22] == (0, 5)
        assert conn.versions[999] == (0, 7)
        assert conn.finalized_features == {"transaction.version": 2, "kraft.version": 1}
        (request,) = broker.requests
        assert (request.key, request.version, request.client_id) == (API_VERSIONS, 4, "me")
        name, version = b"aiokafka", __version__.encode()
        expected = bytes([len(name) + 1]) + name + bytes([len(version) + 1]) + version + b"\0"
        assert request.body == expected
        await closed(conn)


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (refuse_above(3, listed=True), [4, 3]),
        (refuse_above(2, listed=True), [4, 2]),
        (refuse_above(0, listed=True), [4, 0]),
        (refuse_above(1, listed=False), [4, 0]),
    ],
)
async def test_older_brokers_are_asked_again(answer, asked):
    async with Broker({API_VERSIONS: answer}) as broker:
        conn = broker.connection()
        await conn.connect()
        assert [request.version for request in broker.requests] == asked
        assert conn.versions[METADATA] == (0, 0)
        await closed(conn)


async def test_a_refusal_in_a_layout_of_its_own():
    accept = api_versions({API_VERSIONS: (0, 2), METADATA: (0, 0)})

    def answer(request: Request) -> object:
        if request.version <= 2:
            return accept(request)
        # Byte for byte what librdkafka's mock brokers say.
        request.reply(bytes.fromhex("0023 01 0012 0000 0002 00000000"))
        return None

    async with Broker({API_VERSIONS: answer}) as broker:
        conn = broker.connection()
        await conn.connect()
        assert [request.version for request in broker.requests] == [4, 0]
        assert conn.versions[METADATA] == (0, 0)
        await closed(conn)


async def test_a_broker_without_any_version():
    async with Broker({API_VERSIONS: refuse_above(-1, listed=False)}) as broker:
        await fails(broker.connection(), UnsupportedVersionError, "no version of ApiVersions")
        assert [request.version for request in broker.requests] == [4, 0]


async def test_another_error_from_api_versions():
    async with Broker({API_VERSIONS: api_versions({}, error=41)}) as broker:
        await fails(broker.connection(), KafkaConnectionError, "NotController.*refused ApiVers")


async def test_a_broker_that_hangs_up_on_api_versions():
    async with Broker({API_VERSIONS: hang_up}) as broker:
        conn = broker.connection()
        error = await fails(conn, KafkaConnectionError, "TLS port, or a broker older than 0.10")
        assert f"127.0.0.1:{broker.port}" in str(error)
        assert "negotiating" in str(error)


async def test_an_unreadable_answer_to_api_versions():
    async with Broker({API_VERSIONS: lambda request: request.reply(b"\0")}) as broker:
        await fails(broker.connection(), KafkaConnectionError, "no error code")
    async with Broker({API_VERSIONS: lambda request: request.reply(b"\0\0\xff\xff")}) as broker:
        await fails(broker.connection(), KafkaConnectionError, "cannot be decoded")


async def test_a_wrong_correlation_id_in_the_set_up():
    async with Broker({API_VERSIONS: lambda request: request.reply(b"", 77)}) as broker:
        await fails(broker.connection(), KafkaConnectionError, "number 77 came")


# -- silence and broken peers -------------------------------------------------------------


async def test_refused_port():
    async with Broker() as broker:
        port = broker.port
    conn = AIOKafkaConnection("127.0.0.1", port)
    error = await fails(conn, KafkaConnectionError, f"127.0.0.1:{port} failed while connecting")
    assert isinstance(error.__cause__, ConnectionRefusedError)


async def test_name_that_does_not_resolve():
    conn = AIOKafkaConnection("no-such-host.invalid", 9092)
    await fails(conn, KafkaConnectionError, "cannot be resolved")


async def test_port_out_of_range():
    conn = AIOKafkaConnection("127.0.0.1", 99999)
    await fails(conn, KafkaConnectionError, "failed while connecting")


@pytest.mark.parametrize(
    ("options", "silent", "phase"),
    [
        ({}, API_VERSIONS, "negotiating"),
        (SASL, API_VERSIONS, "negotiating"),
        (SASL, HANDSHAKE, "authenticating"),
        (SASL, AUTHENTICATE, "authenticating"),
        (SCRAM, AUTHENTICATE, "authenticating"),
    ],
)
async def test_silence_ends_with_the_set_up_timeout(options, silent, phase):
    answers = {HANDSHAKE: handshake(mechanisms=("PLAIN", "SCRAM-SHA-256")), silent: deaf}
    async with Broker(answers) as broker:
        conn = broker.connection(**options, **SHORT)
        started = asyncio.get_running_loop().time()
        error = await fails(conn, KafkaConnectionError, f"{phase}.*no answer in time")
        assert 0.09 < asyncio.get_running_loop().time() - started < 1.0
        assert isinstance(error.__cause__, KafkaTimeoutError)


async def test_the_callers_deadline_can_be_shorter():
    async with Broker({API_VERSIONS: deaf}) as broker:
        conn = broker.connection()
        with pytest.raises(KafkaConnectionError, match="no answer in time"):
            await conn.connect(Deadline.after(0.05))
        await closed(conn)


async def test_the_request_timeout_can_be_shorter():
    async with Broker({HANDSHAKE: deaf}) as broker:
        conn = broker.connection(**SASL, request_timeout_ms=50)
        await fails(conn, KafkaConnectionError, "no answer in time")


async def test_half_a_frame_then_silence():
    async def script(peer: Peer) -> None:
        await peer.read_frame()
        peer.send(struct.pack(">ii", 100, 1) + b"only this")
        await peer.reader.read()

    async with Broker(script=script) as broker:
        await fails(broker.connection(**SHORT), KafkaConnectionError, "no answer in time")


async def test_half_a_frame_then_the_end():
    async def script(peer: Peer) -> None:
        await peer.read_frame()
        peer.send(struct.pack(">ii", 100, 1) + b"only this")

    async with Broker(script=script) as broker:
        await fails(broker.connection(), KafkaConnectionError, "closed the connection")


async def test_answers_in_single_bytes():
    async def script(peer: Peer) -> None:
        request = await peer.read_frame()
        number = request[4:8]
        body = b"\0\0" + b"\x02" + struct.pack(">hhhb", METADATA, 0, 0, 0) + bytes(4) + b"\0"
        for byte in frame(number + body):
            peer.send(bytes([byte]))
            await peer.writer.drain()
            await asyncio.sleep(0)
        await peer.reader.read()

    async with Broker(script=script) as broker:
        conn = broker.connection()
        await conn.connect()
        assert conn.versions == {METADATA: (0, 0)}
        await closed(conn)


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "an HTTP answer"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "a TLS alert; is this a TLS port"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH greeting"),
        (b"\xff\xff\xff\xff", "negative length"),
        (b"\x7f\xff\xff\xff", "the limit is"),
    ],
)
async def test_not_kafka_at_all(greeting, words):
    async def script(peer: Peer) -> None:
        peer.send(greeting)
        await peer.reader.read()

    async with Broker(script=script) as broker:
        await fails(broker.connection(), KafkaConnectionError, words)


# -- TLS ----------------------------------------------------------------------------------


async def test_tls(server_tls, client_tls):
    async with Broker(tls=server_tls) as broker:
        conn = broker.connection(security_protocol="SSL", ssl_context=client_tls)
        await conn.connect()
        await conn.request(MetadataRequest([]))
        await closed(conn)


async def test_tls_large_answer_in_pieces(server_tls, client_tls):
    topics = b"".join(struct.pack(">hh6si", 0, 6, b"%06d" % i, 0) for i in range(30000))
    body = bytes(4) + struct.pack(">i", 30000) + topics
    async with Broker({METADATA: lambda r: r.reply(body)}, tls=server_tls) as broker:
        conn = broker.connection(security_protocol="SSL", ssl_context=client_tls)
        await conn.connect()
        for _ in range(2):
            response = await conn.request(MetadataRequest([]))
            assert len(response.topics) == 30000
        await closed(conn)


async def test_plain_text_client_at_a_tls_port(server_tls):
    async with Broker(tls=server_tls) as broker:
        await fails(broker.connection(), KafkaConnectionError, "is this a TLS port")


async def test_tls_client_at_a_port_that_hangs_up(client_tls):
    async def script(peer: Peer) -> None:
        # A ClientHello read as a length is some 369 MB: brokers hang up.
        assert struct.unpack(">i", await peer.reader.readexactly(4))[0] > 100 << 20

    async with Broker(script=script) as broker:
        conn = broker.connection(security_protocol="SSL", ssl_context=client_tls)
        await fails(conn, KafkaConnectionError, "TLS handshake; is this a plain-text port")


async def test_tls_client_at_a_port_that_talks(client_tls):
    async def script(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.reader.read()

    async with Broker(script=script) as broker:
        conn = broker.connection(security_protocol="SSL", ssl_context=client_tls)
        error = await fails(conn, KafkaConnectionError, "not TLS: is this a plain-text port")
        assert isinstance(error.__cause__, ssl.SSLError)


async def test_tls_client_at_a_silent_port(client_tls):
    async def script(peer: Peer) -> None:
        await peer.reader.read()

    async with Broker(script=script) as broker:
        conn = broker.connection(security_protocol="SSL", ssl_context=client_tls, **SHORT)
        await fails(conn, KafkaConnectionError, "stays silent in a TLS handshake")


async def test_certificate_for_another_name(authority, client_tls):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("kafka.example.org").configure_cert(context)
    async with Broker(tls=context) as broker:
        conn = broker.connection(security_protocol="SSL", ssl_context=client_tls)
        await fails(conn, KafkaConnectionError, "not trusted by the ssl_context, or names another")


async def test_certificate_of_an_unknown_authority(server_tls):
    context = ssl.create_default_context()
    async with Broker(tls=server_tls) as broker:
        conn = broker.connection(security_protocol="SSL", ssl_context=context)
        await fails(conn, KafkaConnectionError, "not trusted")


# -- SASL ---------------------------------------------------------------------------------


async def test_plain_login():
    async with Broker({AUTHENTICATE: plain("user", PASSWORD)}) as broker:
        conn = broker.connection(**SASL)
        await conn.connect()
        assert [r.key for r in broker.requests] == [API_VERSIONS, HANDSHAKE, AUTHENTICATE]
        assert conn.session_lifetime is None
        await conn.request(MetadataRequest([]))
        await closed(conn)


async def test_session_lifetime_is_kept():
    async with Broker({AUTHENTICATE: plain("user", PASSWORD, lifetime_ms=90_000)}) as broker:
        conn = broker.connection(**SASL)
        await conn.connect()
        assert conn.session_lifetime == 90.0
        await closed(conn)


async def test_sasl_over_tls(server_tls, client_tls):
    async with Broker({AUTHENTICATE: plain("user", PASSWORD)}, tls=server_tls) as broker:
        options = {**SASL, "security_protocol": "SASL_SSL", "ssl_context": client_tls}
        conn = broker.connection(**options)
        await conn.connect()
        await closed(conn)


async def test_wrong_password(caplog):
    caplog.set_level(logging.DEBUG)
    async with Broker({AUTHENTICATE: plain("user", "another")}) as broker:
        conn = broker.connection(**SASL)
        await fails(conn, SaslAuthenticationFailed, "Invalid username or password")
    assert PASSWORD not in caplog.text


async def test_a_failure_without_a_reason():
    async with Broker({AUTHENTICATE: lambda r: not_authenticated(r, text=None)}) as broker:
        await fails(broker.connection(**SASL), SaslAuthenticationFailed, "no reason given")


async def test_mechanism_the_broker_does_not_offer():
    answers = {HANDSHAKE: handshake(33, ("GSSAPI", "SCRAM-SHA-512"))}
    async with Broker(answers) as broker:
        conn = broker.connection(**SASL)
        words = "does not offer SASL mechanism PLAIN; it offers GSSAPI, SCRAM-SHA-512"
        await fails(conn, UnsupportedSaslMechanismError, words)


async def test_listener_without_sasl():
    async with Broker({HANDSHAKE: handshake(34, ())}) as broker:
        await fails(broker.connection(**SASL), IllegalSaslStateError, "a listener without SASL")


async def test_mechanism_this_client_does_not_have():
    async with Broker() as broker:
        conn = broker.connection(**{**SASL, "sasl_mechanism": "DIGEST-MD5"})
        await fails(conn, UnsupportedSaslMechanismError, "not supported by this client")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_missing_credentials(mechanism):
    async with Broker() as broker:
        conn = broker.connection(security_protocol="SASL_PLAINTEXT", sasl_mechanism=mechanism)
        await fails(conn, AuthenticationFailedError, "sasl_plain_username and")


def scram(server: ScramServer):
    turns = iter([server.first, server.final])

    def answer(request):
        message = next(turns)(request.body[4:].decode())
        if message.startswith("e="):
            not_authenticated(request, text="Authentication failed during authentication")
        else:
            authenticated(request, message.encode())

    return answer


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("iterations", [4096, 20000])
async def test_scram_login(mechanism, iterations):
    server = ScramServer(mechanism, PASSWORD, iterations)
    answers = {HANDSHAKE: handshake(mechanisms=(mechanism,)), AUTHENTICATE: scram(server)}
    async with Broker(answers) as broker:
        conn = broker.connection(**{**SCRAM, "sasl_mechanism": mechanism})
        await conn.connect()
        assert conn.connected()
        await closed(conn)


async def test_scram_wrong_password():
    server = ScramServer("SCRAM-SHA-256", "another")
    answers = {HANDSHAKE: handshake(mechanisms=("SCRAM-SHA-256",)), AUTHENTICATE: scram(server)}
    async with Broker(answers) as broker:
        await fails(broker.connection(**SCRAM), SaslAuthenticationFailed, "refused")


async def test_scram_broker_that_does_not_know_the_password():
    def answer(request):
        text = request.body[4:].decode()
        if text.startswith("n,,"):
            authenticated(request, f"r={text.split('r=')[1]}x,s=c2FsdA==,i=4096".encode())
        else:
            authenticated(request, b"v=AAAA")

    answers = {HANDSHAKE: handshake(mechanisms=("SCRAM-SHA-256",)), AUTHENTICATE: answer}
    async with Broker(answers) as broker:
        conn = broker.connection(**SCRAM)
        await fails(conn, AuthenticationFailedError, "signature is wrong")


async def test_bare_tokens_after_handshake_v0():
    seen = []

    def tokens(peer, token):
        seen.append(token)
        peer.send(frame(b""))

    offered = {**OFFERED, HANDSHAKE: (0, 0)}
    del offered[AUTHENTICATE]
    async with Broker({API_VERSIONS: api_versions(offered)}, tokens=tokens) as broker:
        conn = broker.connection(**SASL)
        await conn.connect()
        assert seen == [f"user\0user\0{PASSWORD}".encode()]
        await closed(conn)


async def test_bare_tokens_refused_by_hanging_up():
    offered = {**OFFERED, HANDSHAKE: (0, 0)}
    answers = {API_VERSIONS: api_versions(offered)}
    async with Broker(answers, tokens=lambda peer, _: peer.close()) as broker:
        conn = broker.connection(**SASL)
        await fails(conn, KafkaConnectionError, "when the credentials are wrong")


async def test_sasl_without_a_mechanism_is_plain():
    async with Broker({AUTHENTICATE: plain("user", PASSWORD)}) as broker:
        conn = broker.connection(**{**SASL, "sasl_mechanism": None})
        await conn.connect()
        await closed(conn)


# -- cancellation and closing -------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "silent"),
    [
        ({}, API_VERSIONS),
        (SASL, HANDSHAKE),
        (SASL, AUTHENTICATE),
    ],
)
async def test_cancelled_while_waiting(options, silent):
    async with Broker({silent: deaf}) as broker:
        conn = broker.connection(**options)
        task = asyncio.ensure_future(conn.connect())
        await broker.wait_for(lambda: broker.requests and broker.requests[-1].key == silent)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed(conn)
        await broker.wait_for(lambda: broker.peers[0].ended.done())


async def test_cancelled_in_the_tls_handshake(client_tls):
    async def script(peer: Peer) -> None:
        await peer.reader.read()

    async with Broker(script=script) as broker:
        conn = broker.connection(security_protocol="SSL", ssl_context=client_tls)
        task = asyncio.ensure_future(conn.connect())
        await broker.wait_for(lambda: broker.peers)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed(conn)
        await broker.wait_for(lambda: broker.peers[0].ended.done())


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_cancelled_at_every_turn_of_the_loop(mechanism):
    """Whichever turn the cancellation hits, nothing is left; in the end it connects."""
    for turns in range(1, 1000):
        server = ScramServer("SCRAM-SHA-256", PASSWORD)
        answers = {
            HANDSHAKE: handshake(mechanisms=(mechanism,)),
            AUTHENTICATE: plain("user", PASSWORD) if mechanism == "PLAIN" else scram(server),
        }
        async with Broker(answers) as broker:
            conn = broker.connection(**{**SASL, "sasl_mechanism": mechanism})
            task = asyncio.ensure_future(conn.connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            finished = task.done()
            task.cancel()
            if finished:
                await task
                await closed(conn)
                break
            try:
                await task
            except asyncio.CancelledError:
                assert conn.state is ConnectionState.CLOSED
            await closed(conn)
    else:
        pytest.fail("it never connected")
    gc.collect()


async def test_closed_while_connecting():
    async with Broker({API_VERSIONS: deaf}) as broker:
        conn = broker.connection()
        task = asyncio.ensure_future(conn.connect())
        await broker.wait_for(lambda: broker.requests)
        await conn.close(reason=CloseReason.SHUTDOWN)
        with pytest.raises(KafkaConnectionError):
            await task
        await closed(conn)


async def test_closed_before_the_socket_is_there():
    async with Broker() as broker:
        conn = broker.connection()
        task = asyncio.ensure_future(conn.connect())
        await asyncio.sleep(0)
        conn.close()
        with pytest.raises(KafkaConnectionError):
            await task
        await closed(conn)


async def test_a_connection_connects_once():
    async with Broker() as broker:
        conn = broker.connection()
        await conn.connect()
        with pytest.raises(IllegalStateError):
            await conn.connect()
        await closed(conn)
        with pytest.raises(IllegalStateError):
            await conn.connect()


async def test_create_conn():
    async with Broker() as broker:
        conn = await create_conn("127.0.0.1", broker.port)
        assert conn.connected()
        await closed(conn)


# -- state table --------------------------------------------------------------------------


def test_the_state_table():
    assert set(TRANSITIONS) == set(ConnectionState)
    for state, ways in TRANSITIONS.items():
        assert state not in ways
        if state is not ConnectionState.CLOSED:
            assert ConnectionState.CLOSED in ways
    assert not TRANSITIONS[ConnectionState.CLOSED]


def test_an_illegal_transition_raises():
    with pytest.raises(RuntimeError, match="READY -> CONNECTING"):
        check_transition(ConnectionState.READY, ConnectionState.CONNECTING)
