"""Every example runs, against a fake cluster on loopback sockets."""

from __future__ import annotations

import ast
import re

import pytest

from aiokafka.testing.cluster import FakeCluster
from tests.examples import EXAMPLES, FOLDER, run_example

RECORDS = {
    "simple_producer": 3,
    "batch_producer": 1_000,
    "idempotent_producer": 1_000,
    "bounded_send": 1,
    "custom_partitioner": 6,
    "secure_producer": 1,
    "web_lifespan": 20,
}


def test_every_example_is_tested() -> None:
    assert set(EXAMPLES) == set(RECORDS)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_example(name: str) -> None:
    async with FakeCluster(3, default_partitions=3) as cluster:
        done = await run_example(name, cluster.bootstrap_servers[0], "--topic", "shown")
        assert (done.status, done.err) == (0, "")
        assert done.out
        assert len(cluster.values("shown")) == RECORDS[name]


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
