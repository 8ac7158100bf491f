"""What a SASL mechanism and its driver say to each other."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import ClassVar

from aiokafka._values import Value


class Credentials(Value):
    """What a mechanism may need to know; its repr shows none of it."""

    _secret: ClassVar[frozenset[str]] = frozenset({"username", "password"})

    username: str | None = None
    password: str | None = None
    #: The broker's host name as the user gave it, for mechanisms that name the service.
    host: str = ""


class Work(Value):
    """A computation the exchange waits for; its result is sent back in.

    Parameters:
        run: the computation; safe to run in another thread.
        heavy: it may take long enough to disturb an event loop.
    """

    run: Callable[[], bytes]
    heavy: bool


SaslExchange = Generator[bytes | Work, bytes, None]


def require_password(mechanism: str, credentials: Credentials) -> tuple[str, str]:
    """The user name and password.

    Raises:
        ValueError: one of them is missing.
    """
    if credentials.username is None or credentials.password is None:
        raise ValueError(
            f"sasl_plain_username and sasl_plain_password required for {mechanism} sasl"
        )
    return credentials.username, credentials.password
