"""Fixtures with real brokers.

Brokers are started once a run and shared; a test may freeze, kill, stop or
restart them as it likes, as everything is brought back after each test.  A test
that needs other settings makes a `KafkaCluster` of its own in a module-scoped
fixture.  The end of the brokers' logs is shown with a failed test.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kafka import KafkaCluster, KafkaUnavailableError, Proxy, Truth, kafka_version
from tests.kafka.cluster import living_clusters

_HERE = Path(__file__).parent
_LOG_SIZES = pytest.StashKey[dict[Path, int]]()

MakeTopic = Callable[..., Awaitable[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


def pytest_report_header(config: pytest.Config) -> str:
    return f"Kafka: {kafka_version()}"


def _started(n: int, **options: Any) -> Iterator[KafkaCluster]:
    try:
        cluster = KafkaCluster(n, **options)
    except KafkaUnavailableError as exc:
        pytest.fail(str(exc), pytrace=False)
    with cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster]:
    """One broker with every listener: plain text, proxied, SSL, SASL_PLAINTEXT, SASL_SSL.

    SASL knows the users ``admin`` (a super user), ``alice`` and ``bob``.
    """
    yield from _started(
        1,
        listeners=("SSL", "SASL_PLAINTEXT", "SASL_SSL"),
        users={"alice": "alice-secret", "bob": "bob-secret"},
    )


@pytest.fixture(scope="session")
def kafka3() -> Iterator[KafkaCluster]:
    """Three brokers and a controller; replication factor 3, two in-sync replicas required."""
    yield from _started(3)


@pytest.fixture
def bootstrap(kafka: KafkaCluster) -> str:
    """Bootstrap servers of the single broker."""
    return kafka.bootstrap


@pytest.fixture
def truth(kafka: KafkaCluster) -> Truth:
    """Another client's view of the single broker."""
    return kafka.truth


@pytest.fixture
def topic_name(request: pytest.FixtureRequest) -> str:
    """A topic name that nobody else uses; the topic does not exist (yet)."""
    return unique_topic(request.node.name)


def unique_topic(prefix: str = "topic") -> str:
    """A topic name that nobody else uses."""
    legal = re.sub(r"[^A-Za-z0-9._-]+", "-", prefix)[:100]
    return f"{legal}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def topic(kafka: KafkaCluster, topic_name: str) -> str:
    """A new topic of one partition on the single broker."""
    return await kafka.truth.create_topic_async(topic_name)


@pytest.fixture
def make_topic(kafka: KafkaCluster, request: pytest.FixtureRequest) -> MakeTopic:
    """``await make_topic(partitions=3, config={...})``: a new topic on the single broker."""

    async def make(partitions: int = 1, **options: Any) -> str:
        name = unique_topic(request.node.name)
        return await kafka.truth.create_topic_async(name, partitions, **options)

    return make


@pytest.fixture
async def proxy(kafka: KafkaCluster) -> AsyncIterator[Proxy]:
    """A proxy in front of the single broker, listening; bootstrap with ``proxy.address``."""
    async with kafka.proxy() as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _brokers_healed(request: pytest.FixtureRequest) -> Iterator[None]:
    request.node.stash[_LOG_SIZES] = {
        node.log_path: node.log_size() for cluster in living_clusters() for node in cluster.nodes
    }
    yield
    for cluster in living_clusters():
        if not cluster.healthy:
            cluster.heal()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        sizes = item.stash.get(_LOG_SIZES, {})
        for cluster in living_clusters():
            for node in cluster.nodes:
                tail = node.log_tail(40, since=sizes.get(node.log_path, 0))
                if tail:
                    report.sections.append((f"Kafka node {node.node_id} {call.when}", tail))
    return report
