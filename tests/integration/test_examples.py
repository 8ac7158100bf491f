"""Every example runs against a real broker, and the broker has what it sent."""

from __future__ import annotations

import pytest

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tests.examples import ADMINS, CONSUMERS, PRODUCERS, VALUES, run_example
from tests.kafka import SASL_MECHANISMS, KafkaCluster, Truth


@pytest.mark.parametrize("name", PRODUCERS)
async def test_producer(name: str, bootstrap: str, make_topic, truth: Truth) -> None:
    topic = await make_topic(partitions=3)
    done = await run_example(name, bootstrap, "--topic", topic)
    assert (done.status, done.err) == (0, "")
    assert done.out
    assert len(await truth.read_async(topic)) == PRODUCERS[name]


@pytest.mark.parametrize("name", CONSUMERS)
async def test_consumer(name: str, bootstrap: str, make_topic) -> None:
    arguments, shown = CONSUMERS[name]
    topic = await make_topic(partitions=3)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number, value in enumerate(VALUES):
            await producer.send(topic, value, partition=number % 3)
    # The first group of a new cluster waits until the topic for offsets is made, and says so.
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=f"{topic}-first"):
        pass
    if name not in ("simple_consumer", "seek_by_time_consumer"):
        arguments = [*arguments, "--group", topic]
    done = await run_example(name, bootstrap, "--topic", topic, *arguments)
    assert (done.status, done.err) == (0, "")
    assert shown in done.out, done.out


@pytest.mark.parametrize("name", ADMINS)
async def test_admin(name: str, bootstrap: str, topic: str) -> None:
    for partitions in ("2", "3", "3"):  # brokers learn of new partitions a moment later
        done = await run_example(name, bootstrap, "--topic", topic, "--partitions", partitions)
        assert (done.status, done.err) == (0, "")
    assert ADMINS[name] in done.out, done.out


@pytest.mark.parametrize("listener", ["SSL", "SASL_PLAINTEXT", "SASL_SSL"])
async def test_secure_producer(kafka: KafkaCluster, topic: str, listener: str) -> None:
    arguments = ["--topic", topic]
    if listener.endswith("SSL"):
        arguments += ["--ca", str(kafka.certificates.ca)]
    for mechanism in SASL_MECHANISMS if listener.startswith("SASL") else ("",):
        login = ["--username", "alice", "--mechanism", mechanism] if mechanism else []
        done = await run_example(
            "secure_producer",
            kafka.bootstrap_of(listener),
            *arguments,
            *login,
            environment={"KAFKA_PASSWORD": kafka.users["alice"]},
        )
        assert (done.status, done.err) == (0, ""), done.out


async def test_secure_producer_without_tls_on_a_tls_port(kafka: KafkaCluster, topic: str) -> None:
    done = await run_example("secure_producer", kafka.bootstrap_of("SSL"), "--topic", topic)
    assert done.status == 1
    assert "is this a TLS port?" in done.out
