"""Words for a connection that could not be set up, with the likely mistake.

Pure functions; no state.
"""

from __future__ import annotations

import socket
import ssl

from aiokafka._deadline import as_milliseconds
from aiokafka._wire.framing import FrameError
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from .states import ConnectionState

#: Errors that end the set-up and say everything themselves: trying again would not help.
FINAL = (
    AuthenticationFailedError,
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

_TLS_CLOSED = (
    "the peer closed the connection during the TLS handshake; is this a plain-text port, or"
    " does the broker require a client certificate?"
)


def setup_error(
    where: str,
    state: ConnectionState,
    elapsed: float,
    cause: BaseException | None,
    *,
    tls: bool,
    timed_out: bool,
) -> KafkaConnectionError:
    """The error of a set-up that failed in *state*, after *elapsed* seconds."""
    if timed_out:
        what = "no answer in time"
        hint = _silence_hint(state, tls)
    else:
        what = describe(cause)
        hint = _hint(state, cause, tls)
    text = f"Connection to {where} failed while {state.value}"
    text += f" after {as_milliseconds(elapsed)} ms: {what}"
    if hint:
        text += f" ({hint})"
    error = KafkaConnectionError(text)
    error.__cause__ = cause
    return error


def describe(cause: BaseException | None) -> str:
    """One line about an error, its type where the text alone says little."""
    if cause is None:
        return "the peer closed the connection"
    text = str(cause)
    if isinstance(cause, FrameError):
        return text.partition(": ")[2]
    if isinstance(cause, socket.gaierror):
        return f"the host name cannot be resolved: {text}"
    if not text:
        return type(cause).__name__
    if isinstance(cause, OSError):
        return text
    return text if text.startswith(type(cause).__name__) else f"{type(cause).__name__}: {text}"


def _silence_hint(state: ConnectionState, tls: bool) -> str | None:
    if state is ConnectionState.NEGOTIATING and not tls:
        return "a TLS port stays silent when it is spoken to in plain text: is this one?"
    if state is ConnectionState.CONNECTING and tls:
        return "a plain-text port stays silent in a TLS handshake: is this one?"
    return None


def _hint(state: ConnectionState, cause: BaseException | None, tls: bool) -> str | None:
    if state is ConnectionState.CONNECTING and tls:
        return _tls_hint(cause)
    closed = cause is None or isinstance(cause, ConnectionError)
    if not closed:
        return None
    if state is ConnectionState.NEGOTIATING:
        if tls:
            return "does the broker require a client certificate?"
        return "is this a TLS port, or a broker older than 0.10, which has no ApiVersions?"
    if state is ConnectionState.AUTHENTICATING:
        return "brokers before 1.0 do that when the credentials are wrong"
    return None


def _tls_hint(cause: BaseException | None) -> str | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "the broker's certificate is not trusted by the ssl_context, or names another host"
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or ""
        if reason in ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"):
            return "the answer is not TLS: is this a plain-text port?"
        if "EOF" in reason:
            return _TLS_CLOSED
        return None
    if isinstance(cause, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return _TLS_CLOSED
    return None
