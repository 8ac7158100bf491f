"""SASL mechanisms as generators, without sockets and without asyncio.

An exchange yields the tokens to send and is sent the broker's answers; it returns when both
sides are satisfied and raises :class:`~aiokafka.errors.AuthenticationFailedError` when not.
Work too long for an event loop is yielded as :class:`Work`, so that whoever drives the
exchange decides where it runs.

:data:`MECHANISMS` is the seam for mechanisms that come from elsewhere: a factory from
:class:`Credentials` to an exchange under the name the broker knows.

No text, repr or error made here contains a password, a key or a token.
"""

from __future__ import annotations

from collections.abc import Callable

from aiokafka.errors import UnsupportedSaslMechanismError

from .exchange import Credentials, SaslExchange, Work
from .plain import plain
from .scram import scram_sha_256, scram_sha_512

__all__ = ["MECHANISMS", "Credentials", "SaslExchange", "Work", "begin"]

MechanismFactory = Callable[[Credentials], SaslExchange]

#: Mechanism name, as in SaslHandshake, to the factory of its exchange.
MECHANISMS: dict[str, MechanismFactory] = {
    "PLAIN": plain,
    "SCRAM-SHA-256": scram_sha_256,
    "SCRAM-SHA-512": scram_sha_512,
}


def begin(mechanism: str, credentials: Credentials) -> SaslExchange:
    """Start an exchange.

    Raises:
        UnsupportedSaslMechanismError: no factory is registered under this name.
        ValueError: the credentials lack what the mechanism needs.
    """
    factory = MECHANISMS.get(mechanism)
    if factory is None:
        known = ", ".join(sorted(MECHANISMS))
        raise UnsupportedSaslMechanismError(
            f"SASL mechanism {mechanism} is not supported by this client (it has {known})"
        )
    return factory(credentials)
