"""Brokers that answer nonsense: an error in time, never a crash, a hang or a runaway."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from aiokafka.errors import KafkaError, for_code
from aiokafka.testing import (
    Error,
    FakeCluster,
    Garbage,
    HalfFrame,
    Level,
    Rewrite,
    Then,
    WrongCorrelationId,
)

from .lab import log_lines, make_producer, now, producing, stop_cleanly, virtual

APIS = ("ApiVersions", "Metadata", "InitProducerId", "Produce")

NONSENSE = (
    *(Garbage(kind) for kind in Garbage.Kind),
    HalfFrame(0.5, Then.SILENCE),
    HalfFrame(0.01, Then.CUT),
    HalfFrame(0.99, Then.CUT),
    WrongCorrelationId(1),
    WrongCorrelationId(-(2**30)),
)

QUICK = {
    "request_timeout_ms": 400,
    "max_block_ms": 600,
    "delivery_timeout_ms": 900,
    "socket_connection_setup_timeout_ms": 300,
    "socket_connection_setup_timeout_max_ms": 300,
    "stop_timeout_ms": 100,
}


async def bother(cluster: FakeCluster, *, idempotent: bool, **settings: Any) -> None:
    """Everything a producer does, while something is wrong; then, after that, once more."""
    with log_lines() as log:
        producer = make_producer(cluster, enable_idempotence=idempotent, **{**QUICK, **settings})
        began = now()
        try:
            await producer.start()
        except KafkaError:
            pass
        assert now() - began <= 0.81
        made = cluster.connections_made
        for topic in ("a", "b"):
            began = now()
            try:
                future = await producer.send(topic, b"v")
            except KafkaError:
                assert now() - began <= 0.61
                continue
            began = now()
            await asyncio.wait((future,))
            assert now() - began <= 0.91
            assert future.exception() is None or isinstance(future.exception(), KafkaError)
        assert cluster.connections_made - made < 200, "a runaway"
        assert len(cluster.requests) < 1_000, "a runaway"
        cluster.faults.clear()
        if producer._closed is None:
            await producer.start()
        if not producer._message_accumulator._exception:
            # Unless the broker has told an idempotent producer that it is finished.
            for _ in range(10):
                try:
                    await producer.send_and_wait("a", b"after")
                except KafkaError:
                    continue
                break
            else:
                raise AssertionError("it does not recover")
        await stop_cleanly(producer)
    assert log.crashes == []


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("api", [None, *APIS])
@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
@virtual
async def test_nonsense(nonsense, api, idempotent):
    if api == "InitProducerId" and not idempotent:
        return
    async with FakeCluster(2) as cluster:
        cluster.faults.add(nonsense, api=api)
        await bother(cluster, idempotent=idempotent)


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
@virtual
async def test_now_and_then(nonsense, idempotent):
    """Every third answer is nonsense: what can be delivered is."""
    async with FakeCluster(2) as cluster:
        cluster.faults.add(nonsense, probability=0.33)
        await bother(cluster, idempotent=idempotent)


def every_code() -> list[int]:
    """All codes that mean something, and some that do not."""
    known = [code for code in range(-1, 140) if code and for_code(code).errno == code]
    return [*known, 999, 32767, -2, -32768]


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize(
    ("api", "level"),
    [
        ("ApiVersions", Level.TOP),
        ("Metadata", Level.TOP),
        ("Metadata", Level.TOPIC),
        ("Metadata", Level.PARTITION),
        ("InitProducerId", Level.TOP),
        ("Produce", Level.PARTITION),
    ],
)
def test_every_error_code(api, level, idempotent):
    if api == "InitProducerId" and not idempotent:
        return

    @virtual
    async def check(code):
        async with FakeCluster(1) as cluster:
            cluster.faults.add(Error(code, level), api=api)
            await bother(cluster, idempotent=idempotent)

    for code in every_code():
        try:
            check(code)
        except BaseException as error:
            raise AssertionError(f"code {code} ({for_code(code).__name__})") from error


def test_random_codes_everywhere():
    @virtual
    async def check(seed):
        rng = random.Random(seed)
        async with FakeCluster(2, seed=seed) as cluster:
            for api in APIS:
                for level in Level:
                    code = rng.choice(every_code())
                    cluster.faults.add(Error(code, level), api=api, probability=rng.random())
            await bother(cluster, idempotent=rng.random() < 0.5)

    for seed in range(100):
        try:
            check(seed)
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error


# Metadata that is well-formed and makes no sense


def no_brokers(_: Any, values: dict[str, Any]) -> None:
    values["brokers"] = []


def twice_the_same_id(_: Any, values: dict[str, Any]) -> None:
    other = {**values["brokers"][0], "host": "broker-9"}
    values["brokers"] = [other, *values["brokers"], other]


def strange_addresses(_: Any, values: dict[str, Any]) -> None:
    for number, broker in enumerate(values["brokers"]):
        broker["host"] = ("", "x" * 300, "a b", "\x00")[number % 4]
        broker["port"] = (-1, 0, 70_000, 2**31 - 1)[number % 4]


def strange_node_ids(_: Any, values: dict[str, Any]) -> None:
    for broker in values["brokers"]:
        broker["node_id"] = -broker["node_id"] - 2


def no_partitions(_: Any, values: dict[str, Any]) -> None:
    for topic in values["topics"]:
        topic["partitions"] = []


def strange_partition_numbers(_: Any, values: dict[str, Any]) -> None:
    for topic in values["topics"]:
        for partition in topic["partitions"]:
            partition["partition"] = -5


def the_same_partition_twice(_: Any, values: dict[str, Any]) -> None:
    for topic in values["topics"]:
        topic["partitions"] = [*topic["partitions"], *topic["partitions"]]


def unknown_leaders(_: Any, values: dict[str, Any]) -> None:
    for topic in values["topics"]:
        for partition in topic["partitions"]:
            partition["leader"] = 77


def negative_leaders(_: Any, values: dict[str, Any]) -> None:
    for topic in values["topics"]:
        for partition in topic["partitions"]:
            partition["leader"] = -9


def very_many_partitions(_: Any, values: dict[str, Any]) -> None:
    for topic in values["topics"]:
        if topic["partitions"]:
            first = topic["partitions"][0]
            topic["partitions"] = [{**first, "partition": i} for i in range(2_000)]


def other_topics(_: Any, values: dict[str, Any]) -> None:
    for topic in values["topics"]:
        topic["topic"] = "something-else"


def nothing_asked_for(_: Any, values: dict[str, Any]) -> None:
    values["topics"] = []


METADATA = (
    no_brokers,
    twice_the_same_id,
    strange_addresses,
    strange_node_ids,
    no_partitions,
    strange_partition_numbers,
    the_same_partition_twice,
    unknown_leaders,
    negative_leaders,
    very_many_partitions,
    other_topics,
    nothing_asked_for,
)


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("change", METADATA, ids=lambda change: change.__name__)
@virtual
async def test_metadata_without_sense(change, idempotent):
    async with FakeCluster(2) as cluster:
        cluster.faults.add(Rewrite(change), api="Metadata")
        await bother(cluster, idempotent=idempotent)


# Answers to Produce that are well-formed and make no sense


def no_topics(_: Any, values: dict[str, Any]) -> None:
    values["topics"] = []


def wrong_partitions(_: Any, values: dict[str, Any]) -> None:
    for topic in values["topics"]:
        for partition in topic["partitions"]:
            partition["partition"] += 100


def leader_is_nobody(_: Any, values: dict[str, Any]) -> None:
    for topic in values["topics"]:
        for partition in topic["partitions"]:
            partition["error_code"] = 6
            partition["current_leader"] = {"leader_id": 99, "leader_epoch": 1_000}


def leader_at_a_strange_address(_: Any, values: dict[str, Any]) -> None:
    leader_is_nobody(_, values)
    values["node_endpoints"] = [{"node_id": 99, "host": "", "port": -1, "rack": None}]


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize(
    "change",
    [no_topics, wrong_partitions, leader_is_nobody, leader_at_a_strange_address],
    ids=lambda change: change.__name__,
)
@virtual
async def test_produce_answers_without_sense(change, idempotent):
    async with FakeCluster(2) as cluster:
        cluster.faults.add(Rewrite(change), api="Produce")
        await bother(cluster, idempotent=idempotent)


@virtual
async def test_negative_offsets_are_passed_on():
    def negative(_: Any, values: dict[str, Any]) -> None:
        values["topics"][0]["partitions"][0]["offset"] = -7

    async with FakeCluster(1) as cluster, producing(cluster) as producer:
        cluster.faults.add(Rewrite(negative), api="Produce")
        assert (await producer.send_and_wait("t", b"v")).offset < 0
