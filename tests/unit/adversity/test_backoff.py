"""Gaps between attempts, against the formula of KIP-580: base * 2^n, capped, give or take 20 %."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from aiokafka.errors import DeliveryTimeoutError, KafkaError
from aiokafka.testing import Error, ErrorCode, FakeCluster

from .lab import make_client, now, producing, virtual

JITTER = 0.2
#: A round trip in the in-memory network and the turns of the loop, in seconds.
ROUND_TRIP = 0.005


def expected(base: float, cap: float, attempt: int) -> tuple[float, float]:
    """The least and the longest delay after failed attempt number ``attempt``."""
    # The exponent stops growing where the cap is reached; jitter below the cap stays.
    plain = min(base * 2**attempt, cap)
    return plain * (1 - JITTER), min(cap, plain * (1 + JITTER))


def assert_gaps(times: list[float], base: float, cap: float, *, slack: float) -> None:
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    for attempt, gap in enumerate(gaps):
        least, longest = expected(base, cap, attempt)
        assert least - 1e-9 <= gap <= longest + slack, f"gap {attempt}: {gap}, all: {gaps}"


@pytest.mark.parametrize(("base_ms", "cap_ms"), [(50, 1000), (100, 3000), (200, 200)])
@virtual
async def test_connects(base_ms, cap_ms):
    async with FakeCluster(1) as cluster:
        client = make_client(
            cluster, reconnect_backoff_ms=base_ms, reconnect_backoff_max_ms=cap_ms
        )
        await client.bootstrap()
        server = cluster.brokers[0].memory_server
        attempts: list[float] = []

        def refuse() -> bool:
            attempts.append(now())
            return False

        server.admits = refuse
        node = client._pool.node(0)
        began = now()
        cluster.brokers[0].drop_connections()
        await asyncio.sleep(0.001)
        while now() - began < 20:
            await asyncio.sleep(max(node.delay(), 1e-6))
            await client.ready(0)
        # The loss of the connection itself counts as the first reason to wait.
        own = attempts
        assert len(own) >= 8
        await client.close()
        # Two ways lead to the broker (as a node and as a bootstrap server): each backs off.
        assert len(own) <= 2 * (20 / (cap_ms / 1000 * 0.8) + 10)


@virtual
async def test_gaps_between_connects_of_one_node():
    async with FakeCluster(1) as cluster:
        client = make_client(cluster, reconnect_backoff_ms=50, reconnect_backoff_max_ms=1000)
        await client.bootstrap()
        await client._wait_on_metadata("t")
        node = client._pool.node(0)
        client._refresher.close()  # nobody else connects
        cluster.brokers[0].kill()
        await asyncio.sleep(0.01)
        times = []
        for _ in range(12):
            await asyncio.sleep(node.delay())
            times.append(now())
            assert not await client.ready(0)
        assert_gaps(times, 0.05, 1.0, slack=ROUND_TRIP)
        await client.close()


@pytest.mark.parametrize(("base_ms", "cap_ms"), [(100, 1000), (20, 400), (500, 100)])
@virtual
async def test_metadata_of_an_absent_topic(base_ms, cap_ms):
    async with (
        FakeCluster(1, auto_create=False) as cluster,
        producing(
            cluster, retry_backoff_ms=base_ms, retry_backoff_max_ms=cap_ms, max_block_ms=8_000
        ) as producer,
    ):
        since = now()
        with pytest.raises(KafkaError):
            await producer.send("absent", b"v")
        times = [request.time for request in cluster.history("Metadata", since=since)]
        assert_gaps(times[:-1], base_ms / 1000, cap_ms / 1000, slack=ROUND_TRIP)


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize(("base_ms", "cap_ms"), [(100, 1000), (20, 400)])
@virtual
async def test_produce(base_ms, cap_ms, idempotent):
    async with (
        FakeCluster(1) as cluster,
        producing(
            cluster,
            enable_idempotence=idempotent,
            retry_backoff_ms=base_ms,
            retry_backoff_max_ms=cap_ms,
            delivery_timeout_ms=8_000,
        ) as producer,
    ):
        cluster.faults.add(Error(ErrorCode.NOT_ENOUGH_REPLICAS), api="Produce")
        with pytest.raises(DeliveryTimeoutError) as caught:
            await producer.send_and_wait("t", b"v")
        times = [request.time for request in cluster.history("Produce")]
        assert caught.value.attempts == len(times)
        assert_gaps(times, base_ms / 1000, cap_ms / 1000, slack=ROUND_TRIP)


@virtual
async def test_no_request_more_than_once_in_a_backoff_while_leaders_are_sought():
    async with (
        FakeCluster(2, failover_delay=None) as cluster,
        producing(cluster, delivery_timeout_ms=20_000) as producer,
    ):
        cluster.create_topic("t", assignment={0: [1]})
        await producer.send_and_wait("t", b"v")
        cluster.partition("t", 0).elect(-1)
        since = now()
        await producer.client.force_metadata_update()
        with pytest.raises(KafkaError):
            await producer.send_and_wait("t", b"v")
        metadata = cluster.count("Metadata", since=since)
        assert 15 <= metadata <= 60, "about once a second"
        assert cluster.count("Produce", since=since) == 0
