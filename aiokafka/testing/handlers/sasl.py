"""SaslHandshake and SaslAuthenticate (KIP-43, KIP-152), and the state of a connection's SASL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codec import API_VERSIONS_KEY
from ..codes import ErrorCode
from ..faults import Level
from ..sasl_server import SaslDenied, SaslServer

if TYPE_CHECKING:
    from ..cluster import FakeCluster
    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

_HANDSHAKE, _AUTHENTICATE = 17, 36
_BEFORE_AUTHENTICATION = (API_VERSIONS_KEY, _HANDSHAKE, _AUTHENTICATE)


class SaslSession:
    """Where the authentication of a connection stands.

    Attributes:
        user: who authenticated, or ``None``.
        raw: tokens travel without Kafka headers (after SaslHandshake v0).
        failed: authentication failed, so the broker closes after its answer.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self.user: str | None = None
        self.raw = False
        self.failed = False
        self._cluster = cluster
        self._server: SaslServer | None = None

    def allows(self, api_key: int) -> bool:
        """Whether a request may be made now."""
        return self.user is not None or api_key in _BEFORE_AUTHENTICATION

    def begin(self, mechanism: str, raw: bool) -> ErrorCode:
        """Start an exchange; again on a live connection to re-authenticate (KIP-368)."""
        cluster = self._cluster
        if mechanism not in cluster.sasl_mechanisms or cluster.sasl_users is None:
            self.failed = True
            return ErrorCode.UNSUPPORTED_SASL_MECHANISM
        self._server = SaslServer(mechanism, cluster.sasl_users, cluster.rng)
        self.raw = raw
        return ErrorCode.NONE

    def step(self, token: bytes) -> tuple[ErrorCode, str | None, bytes]:
        """Answer a token: error code, error message, token."""
        if self._server is None:
            self.failed = True
            message = "SaslAuthenticate request received before SaslHandshake"
            return ErrorCode.ILLEGAL_SASL_STATE, message, b""
        try:
            answer = self._server.step(token)
        except (SaslDenied, ValueError) as error:
            self.failed = True
            message = str(error) if isinstance(error, SaslDenied) else "Malformed SASL token"
            return ErrorCode.SASL_AUTHENTICATION_FAILED, message, b""
        if self._server.user is not None:
            self.user, self._server, self.raw = self._server.user, None, False
        return ErrorCode.NONE, None, answer

    def raw_step(self, token: bytes) -> bytes | None:
        """Answer a token without headers; ``None`` after a failure."""
        error, _message, answer = self.step(token)
        return None if error else answer


def handle_handshake(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer SaslHandshake."""
    session = connection.sasl
    error: int = received.error(Level.TOP)
    if not error:
        if session is None:
            error = ErrorCode.ILLEGAL_SASL_STATE
        else:
            error = session.begin(received.values["mechanism"], raw=received.version == 0)
    return {
        "error_code": error,
        "enabled_mechanisms": list(received.cluster.sasl_mechanisms),
    }


def handle_authenticate(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any]:
    """Answer SaslAuthenticate."""
    session = connection.sasl
    error: int = received.error(Level.TOP)
    message: str | None = "injected fault" if error else None
    token = b""
    if error and session is not None:
        session.failed = True
    elif session is None:
        error, message = ErrorCode.ILLEGAL_SASL_STATE, "the listener has no authentication"
    else:
        error, message, token = session.step(bytes(received.values["sasl_auth_bytes"]))
    return {
        "error_code": error,
        "error_message": message,
        "sasl_auth_bytes": token,
        "session_lifetime_ms": 0 if error else received.cluster.session_lifetime_ms,
    }
