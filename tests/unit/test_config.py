"""Settings: milliseconds become seconds, bad values are named, secrets stay secret."""

from __future__ import annotations

import ssl
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiokafka._config import SecurityConfig, at_least, backoff, milliseconds
from aiokafka._retry import Backoff
from aiokafka.abc import AbstractTokenProvider


class Provider(AbstractTokenProvider):
    async def token(self) -> str:
        return "tok"


class TestMilliseconds:
    @pytest.mark.parametrize(("value", "seconds"), [(0, 0), (1, 0.001), (2500, 2.5), (0.5, 5e-4)])
    def test_seconds(self, value: float, seconds: float) -> None:
        assert milliseconds("max_block_ms", value) == pytest.approx(seconds)

    @given(st.integers(0, 2**62) | st.floats(0, 1e15))
    def test_every_number_in_range(self, value: float) -> None:
        assert milliseconds("max_block_ms", value) == value / 1000

    @pytest.mark.parametrize(
        "value",
        [
            None, "100", b"1", True, False, [1], 1j, Fraction(1, 2), object(),
            -1, -0.001, float("nan"), float("inf"), float("-inf"), 10**400, -(10**400),
        ],
        ids=lambda value: repr(value)[:20],
    )  # fmt: skip
    def test_error_names_the_keyword(self, value: Any) -> None:
        with pytest.raises(ValueError, match="`max_block_ms`"):
            milliseconds("max_block_ms", value)

    def test_minimum(self) -> None:
        assert milliseconds("x_ms", 10, minimum=10) == 0.01
        with pytest.raises(ValueError, match=r"`x_ms`.*10"):
            milliseconds("x_ms", 9, minimum=10)


class TestAtLeast:
    @pytest.mark.parametrize("value", [1, 5, 10**30])
    def test_value(self, value: int) -> None:
        assert at_least("buffer_memory", value, 1) == value

    @pytest.mark.parametrize("value", [0, -5, 1.0, True, None, "7", float("nan")])
    def test_error_names_the_keyword(self, value: Any) -> None:
        with pytest.raises(ValueError, match="`buffer_memory`"):
            at_least("buffer_memory", value, 1)


def test_backoff() -> None:
    assert backoff("a_ms", 100, "b_ms", 1000) == Backoff(0.1, 1.0)
    with pytest.raises(ValueError, match="`a_ms`"):
        backoff("a_ms", -1, "b_ms", 1000)
    with pytest.raises(ValueError, match="`b_ms`"):
        backoff("a_ms", 1, "b_ms", "x")


class TestSecurity:
    def test_default_is_plain_text(self) -> None:
        config = SecurityConfig()
        assert (config.uses_tls, config.uses_sasl) == (False, False)
        assert config.connection_kwargs()["sasl_mechanism"] is None

    @pytest.mark.parametrize(
        ("protocol", "tls", "sasl"),
        [
            ("PLAINTEXT", False, False),
            ("SSL", True, False),
            ("SASL_PLAINTEXT", False, True),
            ("SASL_SSL", True, True),
        ],
    )
    def test_protocols(self, protocol: str, tls: bool, sasl: bool) -> None:
        context = ssl.create_default_context()
        config = SecurityConfig(
            protocol, context, sasl_plain_username="me", sasl_plain_password="secret"
        )
        assert (config.uses_tls, config.uses_sasl) == (tls, sasl)
        kwargs = config.connection_kwargs()
        assert kwargs["security_protocol"] == protocol
        assert kwargs["ssl_context"] is context
        assert kwargs["sasl_mechanism"] == ("PLAIN" if sasl else None)
        assert kwargs["sasl_plain_password"] == "secret"

    @pytest.mark.parametrize(
        ("kwargs", "text"),
        [
            ({"security_protocol": "TLS"}, "`security_protocol` should be SSL or PLAINTEXT"),
            (
                {"security_protocol": "SSL"},
                "`ssl_context` is mandatory if security_protocol=='SSL'",
            ),
            ({"security_protocol": "SASL_SSL"}, "`ssl_context` is mandatory"),
            (
                {"security_protocol": "SASL_PLAINTEXT"},
                "sasl_plain_username and sasl_plain_password required for PLAIN sasl",
            ),
            (
                {
                    "security_protocol": "SASL_PLAINTEXT",
                    "sasl_mechanism": "SCRAM-SHA-256",
                    "sasl_plain_username": "me",
                },
                "sasl_plain_username and sasl_plain_password required for SCRAM-SHA-256",
            ),
            ({"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "MD5"}, "MD5"),
            (
                {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER"},
                "sasl_oauth_token_provider",
            ),
            (
                {
                    "security_protocol": "SASL_PLAINTEXT",
                    "sasl_mechanism": "OAUTHBEARER",
                    "sasl_oauth_token_provider": "tok",
                },
                "AbstractTokenProvider",
            ),
        ],
    )
    def test_errors(self, kwargs: dict[str, Any], text: str) -> None:
        with pytest.raises(ValueError) as info:
            SecurityConfig(**kwargs)
        assert text in str(info.value)

    def test_sasl_settings_do_not_matter_without_sasl(self) -> None:
        assert not SecurityConfig(sasl_mechanism="MD5").uses_sasl

    def test_token_provider(self) -> None:
        provider = Provider()
        config = SecurityConfig(
            "SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=provider
        )
        assert config.connection_kwargs()["sasl_oauth_token_provider"] is provider

    def test_no_secret_in_repr_or_errors(self) -> None:
        config = SecurityConfig(
            "SASL_PLAINTEXT", sasl_plain_username="me", sasl_plain_password="hunter2"
        )
        assert "hunter2" not in repr(config)
        with pytest.raises(ValueError) as info:
            SecurityConfig("SSL", sasl_plain_username="me", sasl_plain_password="hunter2")
        assert "hunter2" not in str(info.value)

    def test_is_frozen(self) -> None:
        with pytest.raises(AttributeError):
            SecurityConfig().security_protocol = "SSL"  # type: ignore[misc]
