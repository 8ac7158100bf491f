"""SCRAM (RFC 5802 and RFC 7677) with SHA-256 and SHA-512, as Kafka uses it (KIP-84).

Neither side ever sends the password; the client also checks that the server knows it.  As in
Kafka's own clients, names and passwords go through UTF-8 but not through SASLprep.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable

from aiokafka.errors import AuthenticationFailedError

from .exchange import Credentials, SaslExchange, Work, require_password

#: RFC 7677 asks servers for at least 4096.  The upper bound keeps a hostile server from making
#: the client compute for minutes.
MIN_ITERATIONS = 4096
MAX_ITERATIONS = 1_000_000

#: Up to this many iterations (some 10 ms) a thread costs more than it spares the event loop.
INLINE_ITERATIONS = 16384

HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}

_GS2_HEADER = "n,,"  # no channel binding, no authorization identity
_CHANNEL_BINDING = base64.b64encode(_GS2_HEADER.encode()).decode()

# RFC 5802 section 7: value-safe-char is anything but NUL, "=" and ","; a nonce is printable.
_NONCE = re.compile(r"[\x21-\x2b\x2d-\x7e]+")


def make_nonce() -> str:
    """144 random bits in characters that SCRAM allows."""
    return secrets.token_urlsafe(18)


def escape(name: str) -> str:
    """A user name with the two characters SCRAM gives a meaning replaced."""
    return name.replace("=", "=3D").replace(",", "=2C")


class ScramClient:
    """The client's messages and checks, one method a message.

    Parameters:
        mechanism: ``"SCRAM-SHA-256"`` or ``"SCRAM-SHA-512"``.
        username, password: the credentials.
        nonce: makes the client's nonce; for tests.

    Raises:
        ValueError: the mechanism is none of the two.
    """

    def __init__(
        self,
        mechanism: str,
        username: str,
        password: str,
        *,
        nonce: Callable[[], str] = make_nonce,
    ) -> None:
        if mechanism not in HASHES:
            raise ValueError(f"{mechanism} is not one of {', '.join(HASHES)}")
        self.mechanism = mechanism
        self.iterations = 0
        self._hash = HASHES[mechanism]
        self._username = username
        self._password = password
        self._nonce = nonce()
        self._salt = b""
        self._first_bare = ""
        self._server_first = ""
        self._full_nonce = ""
        self._salted_password: bytes | None = None
        self._server_signature: bytes | None = None

    def first_message(self) -> str:
        """client-first-message."""
        self._first_bare = f"n={escape(self._username)},r={self._nonce}"
        return _GS2_HEADER + self._first_bare

    def process_server_first_message(self, message: str) -> None:
        """Check server-first-message and take nonce, salt and iteration count from it.

        Raises:
            AuthenticationFailedError: the server reports an error or breaks the protocol.
        """
        fields = self._fields(message)
        if "m" in fields:
            raise self._failure("the broker asks for an extension this client does not know")
        nonce = fields.get("r", "")
        if not nonce.startswith(self._nonce) or len(nonce) <= len(self._nonce):
            raise self._failure("the broker's nonce does not continue the client's")
        if not _NONCE.fullmatch(nonce):
            raise self._failure("the broker's nonce contains characters SCRAM forbids")
        try:
            salt = base64.b64decode(fields.get("s", ""), validate=True)
        except binascii.Error as exc:
            raise self._failure("the broker's salt is not base64") from exc
        if not salt:
            raise self._failure("the broker sent no salt")
        count = fields.get("i", "")
        # The length is checked first: int() of a million digits is slow.
        iterations = int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 0
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise self._failure(
                f"the broker asks for {count[:20] or 'no'} iterations,"
                f" allowed are {MIN_ITERATIONS} to {MAX_ITERATIONS}"
            )
        self._full_nonce, self._salt, self.iterations = nonce, salt, iterations
        self._server_first = message

    def create_salted_password(self) -> bytes:
        """The costly step: PBKDF2 of the password.  Releases the GIL, safe in a thread."""
        self._salted_password = hashlib.pbkdf2_hmac(
            self._hash, self._password.encode(), self._salt, self.iterations
        )
        return self._salted_password

    def final_message(self) -> str:
        """client-final-message, with the proof that we know the password.

        Computes the salted password if :meth:`create_salted_password` was not called.
        """
        salted = self._salted_password
        if salted is None:
            salted = self.create_salted_password()
        bare = f"c={_CHANNEL_BINDING},r={self._full_nonce}"
        auth_message = f"{self._first_bare},{self._server_first},{bare}".encode()
        client_key = self.hmac(salted, b"Client Key")
        stored_key = hashlib.new(self._hash, client_key).digest()
        signature = self.hmac(stored_key, auth_message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server_key = self.hmac(salted, b"Server Key")
        self._server_signature = self.hmac(server_key, auth_message)
        self._salted_password = None
        return f"{bare},p={base64.b64encode(proof).decode()}"

    def process_server_final_message(self, message: str) -> None:
        """Check that the server knows the password too.

        Raises:
            AuthenticationFailedError: it does not, or it refused us and says why.
        """
        fields = self._fields(message)
        try:
            signature = base64.b64decode(fields.get("v", ""), validate=True)
        except binascii.Error as exc:
            raise self._failure("the broker's signature is not base64") from exc
        expected = self._server_signature
        if expected is None or not hmac.compare_digest(signature, expected):
            raise self._failure(
                "the broker's signature is wrong: it does not know this user's password"
            )

    def hmac(self, key: bytes, message: bytes) -> bytes:
        """HMAC with the mechanism's hash."""
        return hmac.digest(key, message, self._hash)

    def _fields(self, message: str) -> dict[str, str]:
        fields: dict[str, str] = {}
        for item in message.split(","):
            name, equals, value = item.partition("=")
            if not equals or len(name) != 1 or name in fields:
                raise self._failure("the broker's message is malformed")
            fields[name] = value
        if "e" in fields:
            raise self._failure(f"the broker answered {fields['e']!r}")
        return fields

    def _failure(self, text: str) -> AuthenticationFailedError:
        return AuthenticationFailedError(f"{self.mechanism}: {text}")


def exchange(client: ScramClient) -> SaslExchange:
    """The exchange of one :class:`ScramClient`."""
    answer = yield client.first_message().encode()
    client.process_server_first_message(_text(client, answer))
    yield Work(client.create_salted_password, client.iterations > INLINE_ITERATIONS)
    answer = yield client.final_message().encode()
    client.process_server_final_message(_text(client, answer))


def _text(client: ScramClient, answer: bytes) -> str:
    try:
        return answer.decode()
    except UnicodeDecodeError:
        # Not chained: the codec's error carries the bytes themselves.
        raise AuthenticationFailedError(
            f"{client.mechanism}: the broker's message is not UTF-8"
        ) from None


def scram_sha_256(credentials: Credentials) -> SaslExchange:
    """The exchange for SCRAM-SHA-256; ValueError when a credential is missing."""
    return exchange(ScramClient("SCRAM-SHA-256", *require_password("SCRAM", credentials)))


def scram_sha_512(credentials: Credentials) -> SaslExchange:
    """The exchange for SCRAM-SHA-512; ValueError when a credential is missing."""
    return exchange(ScramClient("SCRAM-SHA-512", *require_password("SCRAM", credentials)))
