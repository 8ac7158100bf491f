"""SASL on a new connection: SaslHandshake, then the mechanism's tokens (KIP-43, KIP-152).

No task and no state; what the broker says of the session is left on the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    NoError,
    UnsupportedSaslMechanismError,
    for_code,
)
from aiokafka.protocol._admin_connection import SaslAuthenticateRequest, SaslHandShakeRequest

from .authenticators import BaseSaslAuthenticator
from .states import CloseReason

if TYPE_CHECKING:
    from aiokafka.conn import AIOKafkaConnection


async def authenticate(
    conn: AIOKafkaConnection, mechanism: str, authenticator: BaseSaslAuthenticator
) -> None:
    """Authenticate *conn*; bounded by the caller.

    Raises:
        UnsupportedSaslMechanismError, IllegalSaslStateError, SaslAuthenticationFailed: the
            broker refused; the connection is closed then.
        AuthenticationFailedError: the broker's side of the exchange is not acceptable.
        KafkaConnectionError: the connection ended.
    """
    answer = await conn.send(SaslHandShakeRequest(mechanism))
    _check_handshake(conn, mechanism, answer)
    # After a version 0 handshake the tokens travel bare, with no way to say what is wrong.
    bare = answer.API_VERSION == 0
    payload: bytes | None = None
    while True:
        step = await authenticator.step(payload)
        if step is None:
            return
        token, expect_response = step
        if bare:
            payload = await conn._send_sasl_token(token, expect_response)
        else:
            payload = await _send_authenticate(conn, token)


def _check_handshake(conn: AIOKafkaConnection, mechanism: str, answer: Any) -> None:
    error_type = for_code(answer.error_code)
    if error_type is NoError:
        return
    where = f"{conn.host}:{conn.port}"
    offered = ", ".join(answer.enabled_mechanisms or ()) or "none"
    if error_type is UnsupportedSaslMechanismError:
        text = f"{where} does not offer SASL mechanism {mechanism}; it offers {offered}"
    elif error_type is IllegalSaslStateError:
        text = f"{where} expects no SASL authentication here; is it a listener without SASL?"
    else:
        text = f"{where} refused the SASL handshake for {mechanism}"
    _refuse(conn, error_type(text))


async def _send_authenticate(conn: AIOKafkaConnection, token: bytes) -> bytes:
    answer = await conn.send(SaslAuthenticateRequest(token))
    error_type = for_code(answer.error_code)
    if error_type is not NoError:
        reason = answer.error_message or "no reason given"
        where = f"{conn.host}:{conn.port}"
        _refuse(conn, error_type(f"{where} refused the authentication: {reason}"))
    # Since version 1: how long the broker accepts this authentication (KIP-368).
    lifetime_ms = getattr(answer, "session_lifetime_ms", 0) or 0
    if lifetime_ms > 0:
        conn.session_lifetime = lifetime_ms / 1000
    return bytes(answer.sasl_auth_bytes or b"")


def _refuse(conn: AIOKafkaConnection, error: KafkaError) -> NoReturn:
    conn.close(reason=CloseReason.AUTH_FAILURE, exc=error)
    raise error
