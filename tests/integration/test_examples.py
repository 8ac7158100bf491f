"""Every example runs against a real broker, and the broker has what it sent."""

from __future__ import annotations

import pytest

from tests.examples import EXAMPLES, run_example
from tests.kafka import SASL_MECHANISMS, KafkaCluster, Truth

RECORDS = {
    "simple_producer": 3,
    "batch_producer": 1_000,
    "idempotent_producer": 1_000,
    "bounded_send": 1,
    "custom_partitioner": 6,
    "secure_producer": 1,
    "web_lifespan": 20,
}


@pytest.mark.parametrize("name", EXAMPLES)
async def test_example(name: str, bootstrap: str, make_topic, truth: Truth) -> None:
    topic = await make_topic(partitions=3)
    done = await run_example(name, bootstrap, "--topic", topic)
    assert (done.status, done.err) == (0, "")
    assert done.out
    assert len(await truth.read_async(topic)) == RECORDS[name]


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
