"""PLAIN (RFC 4616): user name and password in one message, so use it over TLS only."""

from __future__ import annotations

from .exchange import Credentials, SaslExchange, require_password


def plain(credentials: Credentials) -> SaslExchange:
    """The exchange for PLAIN.

    The user name is sent as authorization identity too: brokers accept it empty or equal,
    and the released client has always sent it.

    Raises:
        ValueError: a credential is missing, or contains NUL, which PLAIN cannot carry.
    """
    username, password = require_password("PLAIN", credentials)
    if "\0" in username or "\0" in password:
        raise ValueError("SASL PLAIN credentials should not contain a NUL character")
    return _exchange(f"{username}\0{username}\0{password}".encode())


def _exchange(token: bytes) -> SaslExchange:
    yield token
