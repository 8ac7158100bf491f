"""A broker that accepts connections and goes silent: at TLS, ApiVersions, SASL, Metadata, ...

Each phase is reached by a client that starts, and by one that was connected before.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from aiokafka.helpers import create_ssl_context
from tests.integration.frames import (
    API_VERSIONS,
    INIT_PRODUCER_ID,
    METADATA,
    SASL_AUTHENTICATE,
    SASL_HANDSHAKE,
    FrameProxy,
)
from tests.integration.support import all_bounded_calls, eventually, producing, timed
from tests.kafka import KafkaCluster, Proxy

_START_MS = 600
_START_LIMIT = _START_MS / 1000 * 1.1 + 0.1


@pytest.fixture
async def frames(kafka: KafkaCluster) -> AsyncIterator[FrameProxy]:
    """A proxy in front of the listener with SASL; clients stay behind it."""
    host, _, port = kafka.bootstrap_of("SASL_PLAINTEXT").partition(":")
    async with FrameProxy((host, int(port))) as frames:
        frames.lead_to(frames.port)
        yield frames


def _credentials(kafka: KafkaCluster, mechanism: str = "SCRAM-SHA-256") -> dict[str, Any]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "alice",
        "sasl_plain_password": kafka.users["alice"],
    }


async def _refused_start(producer: AIOKafkaProducer) -> Exception:
    start = await timed(producer.start())
    assert _START_MS / 1000 - 0.05 <= start.elapsed <= _START_LIMIT
    stop = await timed(producer.stop())
    assert stop.elapsed < 0.2
    assert isinstance(start.failure, Exception)
    return start.failure


@pytest.mark.parametrize("phase", [API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE, METADATA])
async def test_deaf_at_start(kafka: KafkaCluster, frames: FrameProxy, phase: int) -> None:
    frames.deaf_to = {phase}
    error = await _refused_start(
        AIOKafkaProducer(
            bootstrap_servers=frames.address,
            request_timeout_ms=_START_MS,
            **_credentials(kafka),
        )
    )
    assert isinstance(error, KafkaConnectionError)
    assert f"{_START_MS} ms" in str(error)
    assert frames.address in str(error)
    assert frames.swallowed[phase] >= 1


async def test_deaf_to_init_producer_id_at_start(kafka: KafkaCluster, frames: FrameProxy) -> None:
    frames.deaf_to = {INIT_PRODUCER_ID}
    error = await _refused_start(
        AIOKafkaProducer(
            bootstrap_servers=frames.address,
            enable_idempotence=True,
            request_timeout_ms=_START_MS,
            **_credentials(kafka),
        )
    )
    assert isinstance(error, KafkaTimeoutError)
    assert "producer id" in str(error)
    assert f"{_START_MS} ms" in str(error)
    assert frames.swallowed[INIT_PRODUCER_ID] >= 1


async def test_deaf_at_tls_at_start(kafka: KafkaCluster) -> None:
    host, _, port = kafka.bootstrap_of("SSL").partition(":")
    context = create_ssl_context(cafile=str(kafka.certificates.ca))
    async with Proxy((host, int(port))) as proxy:
        proxy.silence()
        error = await _refused_start(
            AIOKafkaProducer(
                bootstrap_servers=proxy.address,
                request_timeout_ms=_START_MS,
                security_protocol="SSL",
                ssl_context=context,
            )
        )
        assert isinstance(error, KafkaConnectionError)
        assert proxy.address in str(error)
        assert proxy.accepted == 1


@pytest.mark.parametrize("phase", [API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE, METADATA])
async def test_deaf_when_connecting_again(
    kafka: KafkaCluster, frames: FrameProxy, topic: str, phase: int
) -> None:
    async with producing(frames.address, **_credentials(kafka)) as producer:
        await producer.send_and_wait(topic, b"before")
        frames.deaf_to = {phase}
        frames.cut()
        await all_bounded_calls(producer)
        frames.deaf_to = set()
        # What was swallowed never comes; with the next connection all is well.
        frames.cut()
        await producer.send_and_wait(topic, b"after")


@pytest.mark.parametrize("listener", ["SSL", "SASL_SSL"])
async def test_deaf_at_tls_when_connecting_again(
    kafka: KafkaCluster, topic: str, listener: str
) -> None:
    """The connection was idle for long, and the broker froze meanwhile: TCP connects, no more."""
    context = create_ssl_context(cafile=str(kafka.certificates.ca))
    options: dict[str, Any] = {**_credentials(kafka), "security_protocol": listener}
    async with producing(
        kafka.bootstrap_of(listener),
        ssl_context=context,
        connections_max_idle_ms=200,
        **options,
    ) as producer:
        await producer.send_and_wait(topic, b"before")
        await eventually(lambda: not producer.client._conns)
        with kafka.frozen(0):
            await all_bounded_calls(producer)
        await producer.send_and_wait(topic, b"after")


async def test_deaf_in_the_middle_of_the_handshake(kafka: KafkaCluster) -> None:
    """TLS gets some way and then no further."""
    host, _, port = kafka.bootstrap_of("SSL").partition(":")
    context = create_ssl_context(cafile=str(kafka.certificates.ca))
    async with Proxy((host, int(port))) as proxy:
        producer = AIOKafkaProducer(
            bootstrap_servers=proxy.address,
            request_timeout_ms=_START_MS,
            security_protocol="SSL",
            ssl_context=context,
        )
        starting = asyncio.ensure_future(timed(producer.start()))
        await eventually(lambda: proxy.links and proxy.links[0].bytes_up > 0)
        proxy.silence()
        start = await starting
        assert start.elapsed <= _START_LIMIT
        # On a quick machine the handshake may have been over: then Metadata is what is missing.
        assert isinstance(start.failure, (KafkaConnectionError, ssl.SSLError))
        await producer.stop()
