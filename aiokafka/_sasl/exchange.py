"""What a SASL mechanism and its driver say to each other."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    """What a mechanism may need to know; its repr shows none of it."""

    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    #: The broker's host name as the user gave it, for mechanisms that name the service.
    host: str = ""


@dataclass(frozen=True)
class Work:
    """A computation the exchange waits for; its result is sent back in.

    Parameters:
        run: the computation; safe to run in another thread.
        heavy: it may take long enough to disturb an event loop.
    """

    run: Callable[[], bytes] = field(repr=False)
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
