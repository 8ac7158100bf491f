"""Brokers that move, are replaced, hold clients back, or send them elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

import pytest

from aiokafka.errors import KafkaError, MetadataTimeoutError
from aiokafka.testing import Deaf, Error, ErrorCode, FakeCluster, Level, Rewrite, Throttle

from .lab import (
    assert_client_gone,
    log_lines,
    loop,
    make_client,
    make_producer,
    now,
    producing,
    still_works,
    stop_cleanly,
    stopwatch,
    virtual,
)

# Rebootstrapping (KIP-899, KIP-1102)


@pytest.mark.parametrize("old", ["gone", "silent"])
@virtual
async def test_all_brokers_are_replaced_behind_the_bootstrap_address(old):
    """The name resolves to other hosts, where other brokers with other ids live."""
    network = loop().network
    async with FakeCluster([1, 2], host_pattern="old-{node_id}") as before:
        address = network.addresses("old-1")[0]
        network.add_host("kafka", address)
        producer = make_producer(before, bootstrap_servers="kafka:9092", max_block_ms=10_000)
        await producer.start()
        await still_works(producer)
        async with FakeCluster([7, 8], host_pattern="new-{node_id}") as after:
            network.add_host("kafka", network.addresses("new-7")[0])
            for broker in before.brokers.values():
                if old == "silent":
                    broker.power_off()
                else:
                    broker.kill()
            after.create_topic("t")
            with stopwatch() as watch:
                await producer.send_and_wait("new", b"v")
            assert watch.elapsed < 10
            assert [r.value for r in after.records("new")] == [b"v"]
            await still_works(producer)
            assert after.values("t") == [b"still works"]
            await stop_cleanly(producer)


@virtual
async def test_rebootstrap_required():
    """Error 129: forget all brokers and ask the bootstrap servers; nobody else notices."""
    async with FakeCluster(3) as cluster, producing(cluster) as producer:
        await still_works(producer)
        cluster.faults.add(
            Error(ErrorCode.REBOOTSTRAP_REQUIRED, Level.TOP), api="Metadata", times=1
        )
        with log_lines() as log:
            with stopwatch() as watch:
                await producer.send_and_wait("new", b"v")
            assert watch.elapsed < 1
            assert any("bootstrap again" in line for line in log.lines())
        await still_works(producer)


@virtual
async def test_a_broker_comes_back_under_another_address():
    async with FakeCluster(2) as cluster, producing(cluster) as producer:
        cluster.create_topic("t", assignment={0: [1]})
        await still_works(producer)
        broker = cluster.brokers[1]
        broker.kill()
        loop().network.add_host(broker.host)  # the same name, another machine
        broker.restart()
        with stopwatch() as watch:
            await still_works(producer)
        assert watch.elapsed < 1.5
        broker.kill()
        broker.host, broker.port = "elsewhere", 9999
        broker.restart()
        with stopwatch() as watch:
            await still_works(producer)
        assert watch.elapsed < 1.5


# Leader hints (KIP-951)


@pytest.mark.parametrize("idempotent", [False, True])
@virtual
async def test_a_hint_makes_the_retry_go_straight_to_the_new_leader(idempotent):
    """Nobody answers Metadata, and the record is there all the same, at once."""
    async with (
        FakeCluster(2) as cluster,
        producing(cluster, enable_idempotence=idempotent) as producer,
    ):
        cluster.create_topic("t", assignment={0: [0, 1], 1: [1, 0]})
        for partition in (0, 1):  # both brokers are connected
            await producer.send_and_wait("t", b"before", partition=partition)
        cluster.move_leader("t", 0, to=1)
        cluster.answer_latency = {"Metadata": 1.5}
        with stopwatch() as watch:
            await producer.send_and_wait("t", b"after", partition=0)
        assert watch.elapsed < 0.05
        assert [r.node_id for r in cluster.history("Produce")][-2:] == [0, 1]


@virtual
async def test_a_hint_may_name_a_broker_nobody_has_heard_of():
    def hint(_: Any, values: dict[str, Any]) -> None:
        stranger = cluster.brokers[2]
        row = {"node_id": 2, "host": stranger.host, "port": stranger.port, "rack": None}
        values["node_endpoints"] = [row]

    def hide(_: Any, values: dict[str, Any]) -> None:
        values["brokers"] = [b for b in values["brokers"] if b["node_id"] != 2]

    async with FakeCluster(3) as cluster:
        cluster.create_topic("t", assignment={0: [0, 2]})
        hidden = cluster.faults.add(Rewrite(hide), api="Metadata")
        async with producing(cluster) as producer:
            await still_works(producer)
            cluster.move_leader("t", 0, to=2)
            cluster.answer_latency = {"Metadata": 1.5}
            cluster.faults.add(Rewrite(hint), api="Produce", node=0)
            with stopwatch() as watch:
                await still_works(producer)
            assert watch.elapsed < 0.5
            cluster.answer_latency = 0.0
            cluster.faults.remove(hidden)


@virtual
async def test_without_hints_metadata_says_where_to_go():
    async with FakeCluster(2, leader_hints=False) as cluster, producing(cluster) as producer:
        cluster.create_topic("t", assignment={0: [0, 1]})
        await still_works(producer)
        for to in (1, 0, 1):
            cluster.move_leader("t", 0, to=to)
            with stopwatch() as watch:
                await still_works(producer)
            assert watch.elapsed < 0.2


@virtual
async def test_an_older_epoch_is_believed_in_the_end():
    """A topic made anew at brokers without topic ids begins with epoch 0 again."""
    async with FakeCluster(2, release="2.0") as cluster, producing(cluster) as producer:
        cluster.create_topic("t", assignment={0: [0, 1]})
        for _ in range(5):
            cluster.move_leader("t", 0)
        await still_works(producer)
        cluster.delete_topic("t")
        cluster.create_topic("t", assignment={0: [0, 1]})
        with stopwatch() as watch:
            await still_works(producer)
        assert watch.elapsed < 2


# Throttling (KIP-219)


@virtual
async def test_throttling_is_respected():
    """The broker asks for a second of quiet after each answer, and gets it."""
    async with FakeCluster(1) as cluster, producing(cluster) as producer:
        await still_works(producer)
        cluster.faults.add(Throttle(1_000), api="Produce")
        since = now()
        for _ in range(5):
            await still_works(producer)
        times = [request.time for request in cluster.history("Produce", since=since)]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert len(gaps) == 4
        assert all(0.999 <= gap <= 1.1 for gap in gaps), gaps


@virtual
async def test_one_throttling_broker_does_not_hold_up_the_others():
    async with FakeCluster(2) as cluster, producing(cluster) as producer:
        cluster.create_topic("t", assignment={0: [0], 1: [1]})
        for partition in (0, 1):
            await producer.send_and_wait("t", b"v", partition=partition)
        cluster.faults.add(Throttle(5_000), node=0)
        await producer.send_and_wait("t", b"v", partition=0)
        with stopwatch() as watch:
            for _ in range(10):
                await producer.send_and_wait("t", b"v", partition=1)
            await producer.partitions_for("new")
        assert watch.elapsed < 0.5


# Idle connections


@virtual
async def test_idle_connections_are_closed_and_made_again():
    async with (
        FakeCluster(1) as cluster,
        producing(cluster, connections_max_idle_ms=5_000) as producer,
    ):
        with log_lines() as log:
            await still_works(producer)
            assert cluster.connection_count == 1
            await asyncio.sleep(6)
            assert cluster.connection_count == 0
            with stopwatch() as watch:
                await still_works(producer)
            assert watch.elapsed < 0.02, "no backoff: nothing was wrong"
            assert log.lines() == []


@virtual
async def test_a_busy_connection_is_not_idle():
    async with (
        FakeCluster(1) as cluster,
        producing(cluster, connections_max_idle_ms=1_000) as producer,
    ):
        await still_works(producer)
        made = cluster.connections_made
        cluster.answer_latency = {"Produce": 2.5}
        await still_works(producer)
        assert cluster.connections_made == made


# Topics that do not exist


@pytest.mark.parametrize("deaf", [False, True])
@virtual
async def test_a_thousand_senders_wait_for_one_absent_topic(deaf):
    """All are released on time, and they cost the brokers no more than one of them would."""
    async with FakeCluster(3, auto_create=False) as cluster, producing(cluster) as producer:
        if deaf:
            cluster.faults.add(Deaf(), api="Metadata")
        since = now()
        with log_lines() as log:
            sends = [asyncio.ensure_future(producer.send("absent", b"v")) for _ in range(1_000)]
            await asyncio.wait(sends)
        assert now() - since == pytest.approx(2.0, abs=0.01)
        assert all(isinstance(send.exception(), MetadataTimeoutError) for send in sends)
        assert cluster.count("Metadata", since=since) < 30
        assert len([line for line in log.lines() if "absent" in line]) == 1


@virtual
async def test_a_thousand_senders_and_the_topic_comes():
    async with FakeCluster(2, auto_create=False) as cluster, producing(cluster) as producer:
        sends = [asyncio.ensure_future(producer.send("late", b"v")) for _ in range(1_000)]
        await asyncio.sleep(0.7)
        cluster.create_topic("late", 3)
        began = now()
        await asyncio.wait(sends)
        assert now() - began < 1.3
        await asyncio.gather(*(send.result() for send in sends))
        assert len(cluster.values("late")) == 1_000


@virtual
async def test_no_budget_at_all():
    """max_block_ms=0: from warm metadata and free buffer, or not at all; never waiting."""
    async with (
        FakeCluster(2) as cluster,
        producing(cluster, max_block_ms=0, buffer_memory=2_000) as producer,
    ):
        for call in (
            producer.send("t", b"v"),
            producer.partitions_for("t"),
            producer.client._wait_on_metadata("t"),
            producer.client.fetch_all_metadata(),
        ):
            with stopwatch() as watch, pytest.raises(KafkaError):
                await call
            assert watch.elapsed == 0.0
        # Asking in vain has started a refresh, so that a later call finds the topic.
        for _ in range(3):
            await asyncio.sleep(0.5)
            with contextlib.suppress(KafkaError):
                await producer.partitions_for("t")
        assert await producer.partitions_for("t") == {0}
        future = await producer.send("t", b"x" * 1_000)
        with stopwatch() as watch, pytest.raises(KafkaError, match="buffer_memory"):
            await producer.send("t", b"x" * 1_000)
        assert watch.elapsed == 0.0
        await future
        await still_works(producer)


@pytest.mark.parametrize("budget", [0, 5, 30])
@virtual
async def test_a_budget_below_the_backoff(budget):
    """The first answer about a topic that is being created is of no use; a later call's is."""
    async with (
        FakeCluster(2, auto_create_answers=3) as cluster,
        producing(cluster, max_block_ms=budget) as producer,
    ):
        for _ in range(10):
            try:
                await producer.partitions_for("t")
                break
            except KafkaError:
                await asyncio.sleep(1)
        assert await producer.partitions_for("t") == {0}
        # Calls in vain do not make the brokers busy either.
        cluster.auto_create = False
        since = now()
        while now() < since + 10:
            with pytest.raises(KafkaError):
                await producer.partitions_for("absent")
            await asyncio.sleep(0.01)
        assert cluster.count("Metadata", since=since) <= 150


@virtual
async def test_a_client_that_never_bootstrapped_can_be_closed():
    async with FakeCluster(1) as cluster:
        client = make_client(cluster)
        await client.close()
        await client.close()
        assert_client_gone()
