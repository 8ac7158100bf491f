"""Configuration, validated and turned from milliseconds to seconds once.

Below the facades everything is in seconds and already checked.  Owns no task and no future.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Sequence
from typing import Any, ClassVar

from aiokafka._retry import Backoff
from aiokafka._values import Value
from aiokafka.abc import AbstractTokenProvider

SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
# Seconds.  Refusals may come in no time: without any pause between attempts a dead cluster would
# take all the time of the event loop.
_SHORTEST_BACKOFF = 0.01

SASL_MECHANISMS = ("PLAIN", "GSSAPI", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")


def milliseconds(name: str, value: object, *, minimum: float = 0) -> float:
    """Check a setting in milliseconds and return it in seconds.

    Raises:
        ValueError: *value* is not a finite number or is below *minimum*; names the keyword.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"`{name}` should be a number of milliseconds, not {value!r}")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        finite = False
    if not finite:
        raise ValueError(f"`{name}` should be finite, not {value!r}")
    if value < minimum:
        raise ValueError(f"`{name}` should be at least {minimum:g} ms, not {value!r}")
    return value / 1000


def at_least(name: str, value: object, minimum: int) -> int:
    """Check a whole-number setting (bytes, counts).

    Raises:
        ValueError: *value* is not an int or is below *minimum*; names the keyword.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"`{name}` should be an integer, not {value!r}")
    if value < minimum:
        raise ValueError(f"`{name}` should be at least {minimum}, not {value!r}")
    return value


def backoff(base_name: str, base_ms: object, cap_name: str, cap_ms: object) -> Backoff:
    """A :class:`Backoff` from a pair of settings in milliseconds.

    As in KIP-580, a base above the cap makes every delay equal to the cap.
    """
    base, cap = milliseconds(base_name, base_ms), milliseconds(cap_name, cap_ms)
    return Backoff(max(base, _SHORTEST_BACKOFF), max(cap, _SHORTEST_BACKOFF))


class SecurityConfig(Value):
    """How connections are encrypted and authenticated.

    Raises:
        ValueError: settings that cannot work together; the text names the setting.
    """

    _secret: ClassVar[frozenset[str]] = frozenset(
        {"sasl_plain_username", "sasl_plain_password", "sasl_oauth_token_provider"}
    )

    security_protocol: str = "PLAINTEXT"
    ssl_context: ssl.SSLContext | None = None
    sasl_mechanism: str = "PLAIN"
    sasl_plain_username: str | None = None
    sasl_plain_password: str | None = None
    sasl_kerberos_service_name: str = "kafka"
    sasl_kerberos_domain_name: str | None = None
    sasl_oauth_token_provider: AbstractTokenProvider | None = None

    def __post_init__(self) -> None:
        if self.security_protocol not in SECURITY_PROTOCOLS:
            raise ValueError(
                "`security_protocol` should be SSL or PLAINTEXT"
                f" (or one of {', '.join(SECURITY_PROTOCOLS)}), not {self.security_protocol!r}"
            )
        if self.uses_tls and self.ssl_context is None:
            raise ValueError("`ssl_context` is mandatory if security_protocol=='SSL'")
        if self.uses_sasl:
            self._check_sasl()

    def _check_sasl(self) -> None:
        if self.sasl_mechanism not in SASL_MECHANISMS:
            raise ValueError(
                f"only {', '.join(SASL_MECHANISMS)} sasl_mechanism are supported,"
                f" not {self.sasl_mechanism!r}"
            )
        needs_password = self.sasl_mechanism == "PLAIN" or self.sasl_mechanism.startswith("SCRAM")
        if needs_password and (
            self.sasl_plain_username is None or self.sasl_plain_password is None
        ):
            raise ValueError(
                "sasl_plain_username and sasl_plain_password required for"
                f" {self.sasl_mechanism} sasl"
            )
        if self.sasl_mechanism == "OAUTHBEARER" and not isinstance(
            self.sasl_oauth_token_provider, AbstractTokenProvider
        ):
            raise ValueError(
                "`sasl_oauth_token_provider` should be an instance of"
                " aiokafka.abc.AbstractTokenProvider for OAUTHBEARER sasl"
            )

    @property
    def uses_tls(self) -> bool:
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def uses_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL_")

    def connection_kwargs(self) -> dict[str, Any]:
        """The keywords a connection takes for this."""
        return {
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context,
            "sasl_mechanism": self.sasl_mechanism if self.uses_sasl else None,
            "sasl_plain_username": self.sasl_plain_username,
            "sasl_plain_password": self.sasl_plain_password,
            "sasl_kerberos_service_name": self.sasl_kerberos_service_name,
            "sasl_kerberos_domain_name": self.sasl_kerberos_domain_name,
            "sasl_oauth_token_provider": self.sasl_oauth_token_provider,
        }


class ClientConfig(Value):
    """Everything a client needs to know; times in seconds."""

    bootstrap_servers: str | Sequence[str]
    client_id: str
    request_timeout: float
    metadata_max_age: float
    max_block: float
    retry_backoff: Backoff
    reconnect_backoff: Backoff
    connection_setup: Backoff
    connections_max_idle: float | None
    security: SecurityConfig

    @classmethod
    def from_keywords(
        cls,
        *,
        bootstrap_servers: str | Sequence[str],
        client_id: str,
        request_timeout_ms: object,
        metadata_max_age_ms: object,
        max_block_ms: object,
        retry_backoff_ms: object,
        retry_backoff_max_ms: object,
        reconnect_backoff_ms: object,
        reconnect_backoff_max_ms: object,
        socket_connection_setup_timeout_ms: object,
        socket_connection_setup_timeout_max_ms: object,
        connections_max_idle_ms: object,
        security: SecurityConfig,
    ) -> ClientConfig:
        """Check the keywords of a client.

        Raises:
            ValueError: names the keyword that cannot work.
        """
        request_timeout = milliseconds("request_timeout_ms", request_timeout_ms)
        return cls(
            bootstrap_servers=bootstrap_servers,
            client_id=client_id,
            request_timeout=request_timeout,
            metadata_max_age=milliseconds("metadata_max_age_ms", metadata_max_age_ms),
            max_block=(
                request_timeout
                if max_block_ms is None
                else milliseconds("max_block_ms", max_block_ms)
            ),
            retry_backoff=backoff(
                "retry_backoff_ms",
                retry_backoff_ms,
                "retry_backoff_max_ms",
                retry_backoff_max_ms,
            ),
            reconnect_backoff=backoff(
                "reconnect_backoff_ms",
                reconnect_backoff_ms,
                "reconnect_backoff_max_ms",
                reconnect_backoff_max_ms,
            ),
            connection_setup=backoff(
                "socket_connection_setup_timeout_ms",
                socket_connection_setup_timeout_ms,
                "socket_connection_setup_timeout_max_ms",
                socket_connection_setup_timeout_max_ms,
            ),
            connections_max_idle=(
                None
                if connections_max_idle_ms is None
                else milliseconds("connections_max_idle_ms", connections_max_idle_ms)
            ),
            security=security,
        )
