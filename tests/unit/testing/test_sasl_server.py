"""The server's side of SASL, alone and on a connection."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random

import pytest

from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Error
from aiokafka.testing.sasl_server import SaslDenied, SaslServer

from .lab import RawClient, first_broker, virtual

USERS = {"user": "pencil", "o,dd=": "x"}


def server(mechanism: str) -> SaslServer:
    return SaslServer(mechanism, USERS, random.Random(1))


def scram(server: SaslServer, algorithm: str, user: str, password: str) -> bytes:
    """A client of RFC 5802, step by step; the server's last message."""
    bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r=client-nonce"
    challenge = server.step(f"n,,{bare}".encode()).decode()
    fields = dict(part.split("=", 1) for part in challenge.split(","))
    assert fields["r"].startswith("client-nonce")
    assert int(fields["i"]) >= 4096
    salt = base64.b64decode(fields["s"])
    salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, int(fields["i"]))
    without_proof = f"c=biws,r={fields['r']}"
    message = f"{bare},{challenge},{without_proof}".encode()
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    stored = hashlib.new(algorithm, client_key).digest()
    signature = hmac.digest(stored, message, algorithm)
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))
    final = server.step(f"{without_proof},p={proof.decode()}".encode())
    expected = hmac.digest(hmac.digest(salted, b"Server Key", algorithm), message, algorithm)
    assert final == b"v=" + base64.b64encode(expected)
    return final


def test_plain():
    exchange = server("PLAIN")
    assert exchange.step(b"\0user\0pencil") == b""
    assert exchange.user == "user"
    with pytest.raises(SaslDenied):
        exchange.step(b"more")


@pytest.mark.parametrize("token", [b"\0user\0wrong", b"\0nobody\0pencil", b"nonsense", b""])
def test_plain_denied(token):
    exchange = server("PLAIN")
    with pytest.raises(SaslDenied):
        exchange.step(token)
    assert exchange.user is None


@pytest.mark.parametrize(
    ("mechanism", "algorithm"), [("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-512", "sha512")]
)
def test_scram(mechanism, algorithm):
    for user, password in USERS.items():
        exchange = server(mechanism)
        scram(exchange, algorithm, user, password)
        assert exchange.user == user


def test_scram_denied():
    with pytest.raises(SaslDenied, match="Invalid user credentials"):
        scram(server("SCRAM-SHA-256"), "sha256", "user", "wrong")
    with pytest.raises(SaslDenied, match="Invalid user credentials"):
        scram(server("SCRAM-SHA-256"), "sha256", "nobody", "pencil")
    with pytest.raises(SaslDenied, match="client first"):
        server("SCRAM-SHA-256").step(b"what")
    exchange = server("SCRAM-SHA-256")
    exchange.step(b"n,,n=user,r=abc")
    with pytest.raises(SaslDenied, match="nonce"):
        exchange.step(b"c=biws,r=abc,p=AAAA")


@virtual
async def test_connection_has_to_authenticate():
    async with FakeCluster(1, sasl_users=USERS, session_lifetime_ms=9000) as cluster:
        client = await RawClient.connect(first_broker(cluster))
        answer = await client.ask(SaslHandShakeRequest("PLAIN"), 1)
        assert answer.error_code == 0
        assert "SCRAM-SHA-512" in answer.enabled_mechanisms
        answer = await client.ask(SaslAuthenticateRequest(b"\0user\0pencil"), 1)
        assert (answer.error_code, answer.session_lifetime_ms) == (0, 9000)
        assert (await client.ask(MetadataRequest([]))).brokers
        (connection,) = first_broker(cluster).connections
        assert connection.sasl is not None
        assert connection.sasl.user == "user"
        await client.close()

        stranger = await RawClient.connect(first_broker(cluster))
        stranger.write(MetadataRequest([]).prepare({3: (1, 1)}))
        assert await stranger.at_eof()
        await stranger.close()


@virtual
async def test_failed_authentication_is_answered_and_closed():
    async with FakeCluster(1, sasl_users=USERS, sasl_mechanisms=["PLAIN"]) as cluster:
        client = await RawClient.connect(first_broker(cluster))
        await client.ask(SaslHandShakeRequest("PLAIN"), 1)
        answer = await client.ask(SaslAuthenticateRequest(b"\0user\0wrong"))
        assert answer.error_code == ErrorCode.SASL_AUTHENTICATION_FAILED
        assert "Invalid username or password" in answer.error_message
        assert await client.at_eof()
        await client.close()

        client = await RawClient.connect(first_broker(cluster))
        answer = await client.ask(SaslHandShakeRequest("SCRAM-SHA-256"), 1)
        assert answer.error_code == ErrorCode.UNSUPPORTED_SASL_MECHANISM
        assert answer.enabled_mechanisms == ["PLAIN"]
        await client.close()

        client = await RawClient.connect(first_broker(cluster))
        answer = await client.ask(SaslAuthenticateRequest(b"\0user\0pencil"))
        assert answer.error_code == ErrorCode.ILLEGAL_SASL_STATE
        await client.close()


@virtual
async def test_tokens_without_headers_after_handshake_v0():
    async with FakeCluster(1, sasl_users=USERS) as cluster:
        client = await RawClient.connect(first_broker(cluster))
        await client.ask(SaslHandShakeRequest("PLAIN"), 0)
        token = b"\0user\0pencil"
        client.transport.write(len(token).to_bytes(4, "big") + token)
        assert await client.read_frame() == b""
        assert (await client.ask(MetadataRequest([]))).brokers
        await client.close()
        client = await RawClient.connect(first_broker(cluster))
        await client.ask(SaslHandShakeRequest("PLAIN"), 0)
        client.transport.write(b"\0\0\0\x03bad")
        assert await client.at_eof()
        await client.close()


@virtual
async def test_injected_authentication_error():
    async with FakeCluster(1, sasl_users=USERS) as cluster:
        cluster.faults.add(Error(ErrorCode.SASL_AUTHENTICATION_FAILED), api="SaslAuthenticate")
        client = await RawClient.connect(first_broker(cluster))
        await client.ask(SaslHandShakeRequest("PLAIN"), 1)
        answer = await client.ask(SaslAuthenticateRequest(b"\0user\0pencil"))
        assert answer.error_code == ErrorCode.SASL_AUTHENTICATION_FAILED
        assert await client.at_eof()
        await client.close()


@virtual
async def test_sasl_on_a_listener_without():
    async with FakeCluster(1) as cluster:
        client = await RawClient.connect(first_broker(cluster))
        answer = await client.ask(SaslHandShakeRequest("PLAIN"), 1)
        assert answer.error_code == ErrorCode.ILLEGAL_SASL_STATE
        answer = await client.ask(SaslAuthenticateRequest(b"x"))
        assert answer.error_code == ErrorCode.ILLEGAL_SASL_STATE
        await client.close()
