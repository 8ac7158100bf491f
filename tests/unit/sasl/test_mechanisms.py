"""PLAIN and SCRAM against the RFCs' examples and a server written from RFC 5802."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiokafka._sasl import MECHANISMS, Credentials, Work, begin
from aiokafka._sasl.scram import (
    INLINE_ITERATIONS,
    MAX_ITERATIONS,
    MIN_ITERATIONS,
    ScramClient,
    exchange,
    make_nonce,
)
from aiokafka.errors import AuthenticationFailedError, UnsupportedSaslMechanismError

SECRET = "correct,horse=battery"


class ScramServer:
    """The server's side, from RFC 5802 section 3."""

    def __init__(self, mechanism: str, password: str, iterations: int = MIN_ITERATIONS) -> None:
        self.hash = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}[mechanism]
        self.salt = b"salt and pepper!"
        self.iterations = iterations
        self.salted = hashlib.pbkdf2_hmac(self.hash, password.encode(), self.salt, iterations)
        self.username = ""
        self.client_first = self.server_first = self.nonce = ""

    def mac(self, key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, self.hash).digest()

    def first(self, message: str) -> str:
        assert message.startswith("n,,n=")
        self.client_first = message[3:]
        name, nonce = self.client_first.split(",")
        self.username = name[2:].replace("=2C", ",").replace("=3D", "=")
        self.nonce = nonce[2:] + "SERVER"
        salt = base64.b64encode(self.salt).decode()
        self.server_first = f"r={self.nonce},s={salt},i={self.iterations}"
        return self.server_first

    def final(self, message: str) -> str:
        bare, _, proof = message.partition(",p=")
        assert bare == f"c=biws,r={self.nonce}"
        auth = f"{self.client_first},{self.server_first},{bare}".encode()
        client_key = self.mac(self.salted, b"Client Key")
        stored_key = hashlib.new(self.hash, client_key).digest()
        signature = self.mac(stored_key, auth)
        recovered = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.new(self.hash, recovered).digest() != stored_key:
            return "e=invalid-proof"
        server_signature = self.mac(self.mac(self.salted, b"Server Key"), auth)
        return "v=" + base64.b64encode(server_signature).decode()


def converse(mechanism: str, username: str, password: str, server: ScramServer) -> None:
    steps = begin(mechanism, Credentials(username, password))
    first = next(steps)
    assert isinstance(first, bytes)
    work = steps.send(server.first(first.decode()).encode())
    assert isinstance(work, Work)
    final = steps.send(work.run())
    assert isinstance(final, bytes)
    with pytest.raises(StopIteration):
        steps.send(server.final(final.decode()).encode())


def test_plain():
    steps = begin("PLAIN", Credentials("tim", "tanstaafl"))
    assert next(steps) == b"tim\0tim\0tanstaafl"
    with pytest.raises(StopIteration):
        steps.send(b"")


@pytest.mark.parametrize("credentials", [Credentials("a\0b", "c"), Credentials("a", "b\0c")])
def test_plain_cannot_carry_nul(credentials):
    with pytest.raises(ValueError, match="NUL") as caught:
        begin("PLAIN", credentials)
    assert "b" not in str(caught.value).split("NUL")[1].replace("character", "")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("credentials", [Credentials(), Credentials("u"), Credentials(None, "p")])
def test_credentials_are_required(mechanism, credentials):
    with pytest.raises(ValueError, match="sasl_plain_username and sasl_plain_password required"):
        begin(mechanism, credentials)


def test_unknown_mechanism():
    with pytest.raises(UnsupportedSaslMechanismError, match="DIGEST-MD5 is not supported"):
        begin("DIGEST-MD5", Credentials())


def test_a_mechanism_can_be_added(monkeypatch):
    monkeypatch.setitem(MECHANISMS, "X", lambda credentials: iter_tokens(credentials.host))

    def iter_tokens(host):
        yield host.encode()

    assert next(begin("X", Credentials(host="kafka"))) == b"kafka"


def test_scram_sha_256_example_of_rfc_7677():
    client = ScramClient("SCRAM-SHA-256", "user", "pencil", nonce=lambda: "rOprNGfwEbeRWgbNEkqO")
    assert client.first_message() == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    client.process_server_first_message(
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert client.final_message() == (
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    client.process_server_final_message("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("username", ["user", "a,b=c", "=2C,", "Jürgen"])
def test_scram_with_a_server(mechanism, username):
    server = ScramServer(mechanism, SECRET)
    converse(mechanism, username, SECRET, server)
    assert server.username == username


def test_scram_wrong_password_is_the_servers_error():
    server = ScramServer("SCRAM-SHA-256", "other")
    with pytest.raises(AuthenticationFailedError, match="answered 'invalid-proof'") as caught:
        converse("SCRAM-SHA-256", "user", SECRET, server)
    assert SECRET not in str(caught.value)


def test_scram_server_that_does_not_know_the_password():
    client = ScramClient("SCRAM-SHA-256", "user", SECRET)
    server = ScramServer("SCRAM-SHA-256", "something else")
    client.process_server_first_message(server.first(client.first_message()))
    client.final_message()
    fake = base64.b64encode(b"x" * 32).decode()
    with pytest.raises(AuthenticationFailedError, match="signature is wrong"):
        client.process_server_final_message(f"v={fake}")


def started(nonce: str = "abc") -> ScramClient:
    client = ScramClient("SCRAM-SHA-512", "user", SECRET, nonce=lambda: nonce)
    client.first_message()
    return client


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("r=xyz123,s=c2FsdA==,i=4096", "does not continue"),
        ("r=abc,s=c2FsdA==,i=4096", "does not continue"),
        ("r=abc\x7f,s=c2FsdA==,i=4096", "SCRAM forbids"),
        ("s=c2FsdA==,i=4096", "does not continue"),
        ("r=abcd,s=%%%,i=4096", "not base64"),
        ("r=abcd,s=,i=4096", "no salt"),
        ("r=abcd,i=4096", "no salt"),
        ("r=abcd,s=c2FsdA==", "no iterations"),
        ("r=abcd,s=c2FsdA==,i=4095", "asks for 4095 iterations, allowed are 4096"),
        (f"r=abcd,s=c2FsdA==,i={MAX_ITERATIONS + 1}", "allowed are 4096 to 1000000"),
        ("r=abcd,s=c2FsdA==,i=" + "9" * 100_000, "iterations"),
        ("r=abcd,s=c2FsdA==,i=-5000", "iterations"),
        ("r=abcd,s=c2FsdA==,i=\u0665000", "iterations"),
        ("m=ext,r=abcd,s=c2FsdA==,i=4096", "extension"),
        ("r=abcd,r=abcd,s=c2FsdA==,i=4096", "malformed"),
        ("nonsense", "malformed"),
        ("", "malformed"),
        ("e=other-error", "answered 'other-error'"),
    ],
)
def test_scram_bad_server_first_message(message, words):
    with pytest.raises(AuthenticationFailedError, match=words) as caught:
        started().process_server_first_message(message)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("message", ["v=", "v=%%", "x=1", "", "e=unknown-user"])
def test_scram_bad_server_final_message(message):
    client = started()
    client.process_server_first_message("r=abcd,s=c2FsdA==,i=4096")
    client.final_message()
    with pytest.raises(AuthenticationFailedError):
        client.process_server_final_message(message)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_scram_never_fails_otherwise(text):
    with pytest.raises(AuthenticationFailedError):
        started("a-nonce-no-text-contains").process_server_first_message(text)


def test_scram_answer_that_is_not_utf8():
    steps = exchange(started())
    next(steps)
    with pytest.raises(AuthenticationFailedError, match="not UTF-8"):
        steps.send(b"\xff\xfe")


@pytest.mark.parametrize(
    ("iterations", "heavy"), [(INLINE_ITERATIONS, False), (INLINE_ITERATIONS + 1, True)]
)
def test_only_many_iterations_are_heavy_work(iterations, heavy):
    steps = exchange(started())
    next(steps)
    work = steps.send(f"r=abcd,s=c2FsdA==,i={iterations}".encode())
    assert isinstance(work, Work)
    assert work.heavy is heavy


def test_scram_mechanism_is_checked():
    with pytest.raises(ValueError, match="SCRAM-SHA-1 is not one of"):
        ScramClient("SCRAM-SHA-1", "u", "p")


def test_nonces_differ_and_are_legal():
    nonces = {make_nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert all("," not in nonce and len(nonce) >= 20 for nonce in nonces)


def test_no_repr_shows_a_credential():
    credentials = Credentials("user-name", SECRET)
    client = ScramClient("SCRAM-SHA-256", "user-name", SECRET)
    shown = repr([credentials, client, Work(client.create_salted_password, True)])
    assert SECRET not in shown
