"""Every example runs, against a fake cluster on loopback sockets."""

from __future__ import annotations

import ast
import re

import pytest

from aiokafka.producer import AIOKafkaProducer
from aiokafka.testing.cluster import FakeCluster
from tests.examples import ADMINS, CONSUMERS, EXAMPLES, FOLDER, PRODUCERS, VALUES, run_example


def test_every_example_is_tested() -> None:
    assert set(EXAMPLES) == {*PRODUCERS, *CONSUMERS, *ADMINS}


@pytest.mark.parametrize("name", PRODUCERS)
async def test_producer(name: str) -> None:
    async with FakeCluster(3, default_partitions=3) as cluster:
        done = await run_example(name, cluster.bootstrap_servers[0], "--topic", "shown")
        assert (done.status, done.err) == (0, "")
        assert done.out
        assert len(cluster.values("shown")) == PRODUCERS[name]


@pytest.mark.parametrize("name", CONSUMERS)
async def test_consumer(name: str) -> None:
    arguments, shown = CONSUMERS[name]
    async with FakeCluster(3) as cluster:
        cluster.create_topic("shown", 3)
        async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            for number, value in enumerate(VALUES):
                await producer.send("shown", value, partition=number % 3)
        server = cluster.bootstrap_servers[0]
        done = await run_example(name, server, "--topic", "shown", *arguments)
        assert (done.status, done.err) == (0, "")
        assert shown in done.out, done.out


@pytest.mark.parametrize("name", ADMINS)
@pytest.mark.parametrize("present", [None, 1, 3])
async def test_admin(name: str, present: int | None) -> None:
    async with FakeCluster(3) as cluster:
        if present is not None:
            cluster.create_topic("shown", present)
        done = await run_example(name, cluster.bootstrap_servers[0], "--topic", "shown")
        assert (done.status, done.err) == (0, "")
        assert ADMINS[name] in done.out
        assert ("created shown" in done.out) == (present is None)
        assert cluster.topics["shown"].configs == {"retention.ms": "3600000"}


async def test_consumer_goes_on_where_it_was() -> None:
    async with FakeCluster(1) as cluster:
        cluster.create_topic("shown", 1)
        async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            for number in range(20):
                await producer.send("shown", b"%d" % number)
        seen = []
        for _ in range(2):
            done = await run_example(
                "cooperative_consumer",
                cluster.bootstrap_servers[0],
                *("--topic", "shown", "--count", "10", "--instance", "same"),
            )
            assert (done.status, done.err) == (0, "")
            seen += re.findall(r"at offset (\d+)", done.out)
        assert [int(offset) for offset in seen] == list(range(20))


async def test_bounded_send_gives_up_in_time() -> None:
    async with FakeCluster(1, auto_create=False) as cluster:
        done = await run_example(
            "bounded_send",
            cluster.bootstrap_servers[0],
            "--topic",
            "missing",
            "--max-block-ms",
            "300",
        )
    assert done.status == 1
    assert "no metadata of missing; the cause: UnknownTopicOrPartitionError" in done.out
    gave_up = re.search(r"gave up after ([\d.]+) s", done.out)
    assert gave_up is not None
    assert 0.3 <= float(gave_up[1]) < 1  # the machine may be busy
    assert done.err.count("\n") == 1, done.err  # one line in the log


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_secure_producer_with_sasl(mechanism: str) -> None:
    async with FakeCluster(1, sasl_users={"alice": "secret"}) as cluster:
        done = await run_example(
            "secure_producer",
            cluster.bootstrap_servers[0],
            "--username",
            "alice",
            "--mechanism",
            mechanism,
            environment={"KAFKA_PASSWORD": "secret"},
        )
        assert (done.status, done.err) == (0, "")


async def test_secure_producer_with_a_wrong_password() -> None:
    async with FakeCluster(1, sasl_users={"alice": "secret"}) as cluster:
        done = await run_example(
            "secure_producer",
            cluster.bootstrap_servers[0],
            "--username",
            "alice",
            environment={"KAFKA_PASSWORD": "wrong-one"},
        )
        assert done.status == 1
        assert "cause: SaslAuthenticationFailed" in done.out
        assert "wrong-one" not in done.out + done.err


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_says_what_it_shows(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    assert ast.get_docstring(tree)
