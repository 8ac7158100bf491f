"""Encryption, authentication and authorisation on a real broker."""

from __future__ import annotations

import asyncio
import logging
import ssl
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.helpers import create_ssl_context
from tests.integration.conftest import unique_topic
from tests.integration.support import eventually, producing, timed
from tests.kafka import ADMIN_PASSWORD, ADMIN_USER, SASL_MECHANISMS, KafkaCluster

_WAYS = [
    ("PLAINTEXT", None),
    ("SSL", None),
    *(
        (listener, mechanism)
        for listener in ("SASL_PLAINTEXT", "SASL_SSL")
        for mechanism in SASL_MECHANISMS
    ),
]
# No retry can mend a wrong password: the error comes in this time, whatever the budgets.
AT_ONCE = 1.0
# Ours for what goes wrong on this side of the exchange, the broker's for what it refuses.
_NOT_AUTHENTICATED = (AuthenticationFailedError, SaslAuthenticationFailed)


def _options(
    kafka: KafkaCluster,
    listener: str,
    mechanism: str | None = None,
    user: str = "alice",
    password: str | None = None,
) -> dict[str, Any]:
    options: dict[str, Any] = {"security_protocol": listener}
    if listener.endswith("SSL"):
        options["ssl_context"] = create_ssl_context(cafile=str(kafka.certificates.ca))
    if mechanism is not None:
        options["sasl_mechanism"] = mechanism
        options["sasl_plain_username"] = user
        options["sasl_plain_password"] = password or kafka.users[user]
    return options


@pytest.mark.parametrize(("listener", "mechanism"), _WAYS)
async def test_produce(
    kafka: KafkaCluster, topic: str, listener: str, mechanism: str | None
) -> None:
    bootstrap = kafka.bootstrap_of(listener)
    async with producing(bootstrap, **_options(kafka, listener, mechanism)) as producer:
        futures = [await producer.send(topic, b"%d" % n * 1000) for n in range(100)]
        await asyncio.gather(*futures)
    records = await kafka.truth.read_async(topic)
    assert [record.value for record in records] == [b"%d" % n * 1000 for n in range(100)]


@pytest.mark.parametrize(("listener", "mechanism"), _WAYS)
async def test_client(kafka: KafkaCluster, listener: str, mechanism: str | None) -> None:
    client = AIOKafkaClient(
        bootstrap_servers=kafka.bootstrap_of(listener), **_options(kafka, listener, mechanism)
    )
    await client.bootstrap()
    assert client.cluster.cluster_id == kafka.cluster_id
    assert await client.ready(0)
    await client.close()


# -- Encryption -------------------------------------------------------------------------------


async def _refused(bootstrap: str, **options: Any) -> BaseException:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, request_timeout_ms=5000, **options)
    start = await timed(producer.start())
    stop = await timed(producer.stop())
    assert start.elapsed < AT_ONCE
    assert stop.elapsed < 0.2
    return start.failure


async def test_unknown_authority(kafka: KafkaCluster) -> None:
    context = create_ssl_context(cafile=str(kafka.certificates.other_ca))
    error = await _refused(kafka.bootstrap_of("SSL"), security_protocol="SSL", ssl_context=context)
    assert isinstance(error, KafkaConnectionError)
    assert "certificate verify failed" in str(error)


async def test_wrong_host_name(kafka: KafkaCluster) -> None:
    """Names are verified: the certificate is good for 127.0.0.1, not for this way to write it."""
    port = kafka.brokers[0].listeners["SSL"]
    context = create_ssl_context(cafile=str(kafka.certificates.ca))
    error = await _refused(f"127.1:{port}", security_protocol="SSL", ssl_context=context)
    assert isinstance(error, KafkaConnectionError)
    assert "127.1" in str(error)
    assert "certificate" in str(error)
    lenient = create_ssl_context(cafile=str(kafka.certificates.ca))
    lenient.check_hostname = False
    client = AIOKafkaClient(
        bootstrap_servers=f"127.1:{port}", security_protocol="SSL", ssl_context=lenient
    )
    await client.bootstrap()
    await client.close()


async def test_plain_text_to_a_tls_port(kafka: KafkaCluster) -> None:
    error = await _refused(kafka.bootstrap_of("SSL"))
    assert isinstance(error, KafkaConnectionError)
    assert "is this a TLS port?" in str(error)


async def test_tls_to_a_plain_text_port(kafka: KafkaCluster) -> None:
    context = create_ssl_context(cafile=str(kafka.certificates.ca))
    error = await _refused(kafka.bootstrap, security_protocol="SSL", ssl_context=context)
    assert isinstance(error, KafkaConnectionError)
    assert "is this a plain-text port" in str(error)


async def test_sasl_to_a_listener_without(kafka: KafkaCluster) -> None:
    error = await _refused(kafka.bootstrap, **_options(kafka, "SASL_PLAINTEXT", "PLAIN"))
    assert isinstance(error, KafkaError)
    assert "SASL" in str(error)


async def test_no_sasl_to_a_listener_with(kafka: KafkaCluster) -> None:
    error = await _refused(kafka.bootstrap_of("SASL_PLAINTEXT"))
    assert isinstance(error, KafkaConnectionError)


# -- Authentication ---------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", SASL_MECHANISMS)
async def test_wrong_password(
    kafka: KafkaCluster, listener: str, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "wr0ng-" + uuid.uuid4().hex
    error = await _refused(
        kafka.bootstrap_of(listener), **_options(kafka, listener, mechanism, password=secret)
    )
    causes = [error, error.__cause__]
    assert any(isinstance(cause, _NOT_AUTHENTICATED) for cause in causes), causes
    assert secret not in str(error) + repr(error) + caplog.text
    nobody = _options(kafka, listener, mechanism, user="alice")
    nobody["sasl_plain_username"] = "nobody"
    error = await _refused(kafka.bootstrap_of(listener), **nobody)
    assert any(isinstance(cause, _NOT_AUTHENTICATED) for cause in (error, error.__cause__))


async def test_unknown_mechanism(kafka: KafkaCluster) -> None:
    """A broker that does not enable the mechanism is told apart from a wrong password."""
    # Every mechanism of ours is enabled on the shared broker, so ask for one that is not.
    with pytest.raises((ValueError, UnsupportedSaslMechanismError)):
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_of("SASL_PLAINTEXT"),
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="CRAM-MD5",
            sasl_plain_username="alice",
            sasl_plain_password="x",
        )
        await producer.start()


@pytest.fixture
async def carol(kafka: KafkaCluster) -> AsyncIterator[str]:
    """A user who can be removed; known by SCRAM-SHA-256 only."""
    name = f"carol-{uuid.uuid4().hex[:6]}"
    await _alter_scram(
        kafka,
        UserScramCredentialUpsertion(
            name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), b"carol-secret"
        ),
    )
    yield name


async def _alter_scram(kafka: KafkaCluster, alteration: Any) -> None:
    futures = kafka.truth.admin.alter_user_scram_credentials([alteration])
    for future in futures.values():
        await asyncio.to_thread(future.result, 10)


async def test_authentication_fails_later(kafka: KafkaCluster, topic: str, carol: str) -> None:
    """A user is removed while connected: once the connection is gone, calls say so at once."""
    options = _options(
        kafka, "SASL_PLAINTEXT", "SCRAM-SHA-256", user=carol, password="carol-secret"
    )
    new = await kafka.truth.create_topic_async(unique_topic("new"))
    async with producing(
        kafka.bootstrap_of("SASL_PLAINTEXT"), connections_max_idle_ms=300, **options
    ) as producer:
        await producer.send_and_wait(topic, b"before")
        await _alter_scram(kafka, UserScramCredentialDeletion(carol, ScramMechanism.SCRAM_SHA_256))
        await eventually(lambda: not producer.client._conns)
        for call in (
            producer.send(new, b"x"),
            producer.partitions_for(new),
            producer.client._wait_on_metadata(new),
            producer.client.fetch_all_metadata(),
        ):
            end = await timed(call)
            assert isinstance(end.failure, _NOT_AUTHENTICATED), end
            assert end.elapsed < AT_ONCE


# -- Authorisation ----------------------------------------------------------------------------


@pytest.fixture
async def bobs_topic(kafka: KafkaCluster) -> str:
    """A topic in which bob may write, alice not."""
    topic = await kafka.truth.create_topic_async(unique_topic("bobs"))
    acls = [
        AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            "User:bob",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        for operation in (AclOperation.WRITE, AclOperation.DESCRIBE)
    ]
    for future in kafka.truth.admin.create_acls(acls).values():
        await asyncio.to_thread(future.result, 10)
    return topic


@pytest.mark.parametrize("idempotent", [False, True])
async def test_unauthorized_topic(
    kafka: KafkaCluster, bobs_topic: str, topic: str, idempotent: bool
) -> None:
    bootstrap = kafka.bootstrap_of("SASL_PLAINTEXT")
    options = _options(kafka, "SASL_PLAINTEXT", "PLAIN")

    async def forbidden() -> bool:
        # ACLs take a moment to arrive where they are checked.
        async with producing(bootstrap, **options) as probe:
            end = await timed(probe.partitions_for(bobs_topic))
            return isinstance(end.error, TopicAuthorizationFailedError)

    while not await forbidden():
        await asyncio.sleep(0.05)
    async with producing(bootstrap, enable_idempotence=idempotent, **options) as producer:
        batch = producer.create_batch()
        batch.append(key=None, value=b"x", timestamp=None)
        for call in (
            producer.send(bobs_topic, b"x"),
            producer.send_and_wait(bobs_topic, b"x"),
            producer.send_batch(batch, bobs_topic, partition=0),
            producer.partitions_for(bobs_topic),
            producer._wait_on_metadata(bobs_topic),
            producer.client._wait_on_metadata(bobs_topic),
        ):
            end = await timed(call)
            assert isinstance(end.failure, TopicAuthorizationFailedError)
            assert bobs_topic in str(end.failure)
            assert end.elapsed < AT_ONCE
        assert (await producer.send_and_wait(topic, b"fine")) is not None
    async with producing(
        bootstrap, **_options(kafka, "SASL_PLAINTEXT", "PLAIN", user="bob")
    ) as bob:
        assert (await bob.send_and_wait(bobs_topic, b"allowed")) is not None


async def test_may_describe_but_not_write(kafka: KafkaCluster, topic: str) -> None:
    """The topic is known, and the broker refuses the records: their futures say why."""
    name = await kafka.truth.create_topic_async(unique_topic("readable"))
    acl = AclBinding(
        ResourceType.TOPIC,
        name,
        ResourcePatternType.LITERAL,
        "User:alice",
        "*",
        AclOperation.DESCRIBE,
        AclPermissionType.ALLOW,
    )
    for future in kafka.truth.admin.create_acls([acl]).values():
        await asyncio.to_thread(future.result, 10)
    options = _options(kafka, "SASL_PLAINTEXT", "PLAIN")
    async with producing(kafka.bootstrap_of("SASL_PLAINTEXT"), **options) as producer:
        while True:
            refused = await timed(producer.send_and_wait(name, b"x"))
            if refused.error is not None:
                break
            await asyncio.sleep(0.05)
        assert isinstance(refused.failure, TopicAuthorizationFailedError)
        assert refused.elapsed < AT_ONCE
        assert (await producer.send_and_wait(topic, b"fine")) is not None


async def test_admin_may_everything(kafka: KafkaCluster, bobs_topic: str) -> None:
    options = _options(
        kafka, "SASL_SSL", "SCRAM-SHA-512", user=ADMIN_USER, password=ADMIN_PASSWORD
    )
    async with producing(kafka.bootstrap_of("SASL_SSL"), **options) as producer:
        assert (await producer.send_and_wait(bobs_topic, b"x")) is not None


def test_harness_certificates_are_checked(kafka: KafkaCluster) -> None:
    """The context that the helper makes verifies certificates and names."""
    context = create_ssl_context(cafile=str(kafka.certificates.ca))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
