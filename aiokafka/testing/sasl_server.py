"""The server's side of SASL.

Owns :class:`SaslServer`: one authentication of one connection, PLAIN (RFC 4616) or SCRAM
(RFC 5802, RFC 7677), written from the RFCs and independent of the client's own code, so that the
two check each other.  Pure: no loop, no clock; randomness is injected.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Generator, Mapping

__all__ = ["SASL_MECHANISMS", "SaslDenied", "SaslServer"]

ITERATIONS = 4096

_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}

#: Mechanisms a :class:`SaslServer` speaks.
SASL_MECHANISMS = ("PLAIN", *_HASHES)


class SaslDenied(Exception):
    """The client did not authenticate; the message is the one sent to it."""


class SaslServer:
    """One exchange of tokens.

    Args:
        mechanism: one of :data:`SASL_MECHANISMS`.
        users: passwords by user name.
        rng: makes the server's nonce and salt.

    Attributes:
        user: who authenticated; ``None`` until :meth:`step` has ended the exchange.
    """

    def __init__(self, mechanism: str, users: Mapping[str, str], rng: random.Random) -> None:
        self.user: str | None = None
        self._users = users
        self._rng = rng
        if mechanism == "PLAIN":
            self._steps = self._plain()
        else:
            self._steps = self._scram(_HASHES[mechanism])
        next(self._steps)

    def step(self, token: bytes) -> bytes:
        """Answer a client token; raises :class:`SaslDenied`."""
        try:
            return self._steps.send(token)
        except StopIteration:
            raise SaslDenied("token after the end of the exchange") from None

    def _plain(self) -> Generator[bytes, bytes, None]:
        token = yield b""
        parts = token.split(b"\0")
        if len(parts) != 3:
            raise SaslDenied("Invalid SASL/PLAIN response: expected 3 tokens")
        user, password = parts[1].decode(), parts[2].decode()
        if self._users.get(user) != password:
            raise SaslDenied("Authentication failed: Invalid username or password")
        self.user = user
        yield b""

    def _scram(self, algorithm: str) -> Generator[bytes, bytes, None]:
        first = (yield b"").decode()
        bare, user, nonce = _parse_client_first(first)
        nonce += f"{self._rng.getrandbits(128):032x}"
        salt = self._rng.getrandbits(128).to_bytes(16, "big")
        challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i={ITERATIONS}"
        final = (yield challenge.encode()).decode()
        without_proof, _, proof = final.rpartition(",p=")
        attributes = _attributes(without_proof)
        if attributes.get("r") != nonce:
            raise SaslDenied("Authentication failed: invalid nonce")
        password = self._users.get(user)
        if password is None:
            raise SaslDenied("Authentication failed: Invalid user credentials")
        salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, ITERATIONS)
        message = f"{bare},{challenge},{without_proof}".encode()
        if not _proof_fits(algorithm, salted, message, base64.b64decode(proof)):
            raise SaslDenied("Authentication failed: Invalid user credentials")
        server_key = hmac.digest(salted, b"Server Key", algorithm)
        signature = hmac.digest(server_key, message, algorithm)
        self.user = user
        yield b"v=" + base64.b64encode(signature)


def _parse_client_first(message: str) -> tuple[str, str, str]:
    """The bare message, the user name and the client's nonce."""
    flag, _, rest = message.partition(",")
    _authzid, _, bare = rest.partition(",")
    attributes = _attributes(bare)
    if flag not in ("n", "y") or "n" not in attributes or "r" not in attributes:
        raise SaslDenied("Invalid SCRAM client first message")
    user = attributes["n"].replace("=2C", ",").replace("=3D", "=")
    return bare, user, attributes["r"]


def _attributes(message: str) -> dict[str, str]:
    return {part[0]: part[2:] for part in message.split(",") if part[1:2] == "="}


def _proof_fits(algorithm: str, salted: bytes, message: bytes, proof: bytes) -> bool:
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    stored_key = hashlib.new(algorithm, client_key).digest()
    signature = hmac.digest(stored_key, message, algorithm)
    if len(signature) != len(proof):
        return False
    recovered = bytes(a ^ b for a, b in zip(signature, proof, strict=True))
    return hmac.compare_digest(hashlib.new(algorithm, recovered).digest(), stored_key)
