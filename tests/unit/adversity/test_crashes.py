"""A defect in each background task: what it owed fails at once and clearly, the rest goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.producer._produce_handler import SendProduceReqHandler
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import Sender
from aiokafka.testing import Cut, FakeCluster

from .lab import (
    assert_client_gone,
    assert_nothing_left,
    log_lines,
    make_client,
    make_producer,
    now,
    producing,
    still_works,
    virtual,
)


class Defect(Exception):
    """Nobody reckons with this one."""


class Broken:
    """Replaces a method so that it raises for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.on = True
        self.calls = 0
        whole = getattr(owner, name)
        broken = self

        if asyncio.iscoroutinefunction(whole):

            async def replacement(*args: Any, **kwargs: Any) -> Any:
                broken.strike()
                return await whole(*args, **kwargs)
        else:

            def replacement(*args: Any, **kwargs: Any) -> Any:
                broken.strike()
                return whole(*args, **kwargs)

        monkeypatch.setattr(owner, name, replacement)

    def strike(self) -> None:
        if self.on:
            self.calls += 1
            raise Defect("a defect")


@pytest.fixture
def breaks(monkeypatch):
    def break_(owner: type, name: str) -> Broken:
        broken = Broken(monkeypatch, owner, name)
        broken.on = False
        return broken

    return break_


@pytest.mark.parametrize("method", ["_run_round", "_md_synchronizer"])
def test_metadata_synchronizer(breaks, method):
    broken = breaks(AIOKafkaClient, method)

    @virtual
    async def check():
        async with FakeCluster(1) as cluster:
            client = make_client(cluster)
            if method == "_md_synchronizer":
                broken.on = True
            await client.bootstrap()
            broken.on = True
            with log_lines() as log:
                began = now()
                waits = [
                    asyncio.ensure_future(client._wait_on_metadata(f"t{i}")) for i in range(5)
                ]
                await asyncio.wait(waits)
                assert now() - began < 0.01, "at once, not after the budget"
                for wait in waits:
                    assert isinstance(wait.exception(), KafkaError)
                    assert isinstance(wait.exception().__cause__, Defect)
            assert 1 <= len(log.crashes) <= 2
            broken.on = False
            assert await client._wait_on_metadata("t1") == {0}
            await client.close()
            assert_client_gone()

    check()


def test_a_synchronizer_that_keeps_crashing_does_not_run_away(breaks):
    broken = breaks(AIOKafkaClient, "_run_round")

    @virtual
    async def check():
        async with FakeCluster(1) as cluster:
            client = make_client(cluster)
            await client.bootstrap()
            broken.on = True
            client.request_metadata("test")
            await asyncio.sleep(60)
            assert 50 <= broken.calls <= 80, "once in a backoff"
            await client.close()

    check()


@pytest.mark.parametrize(
    ("owner", "method"),
    [(AIOKafkaClient, "_ask"), (AIOKafkaClient, "_take"), (AIOKafkaClient, "_make_connection")],
)
def test_metadata_and_connect_tasks(breaks, owner, method):
    """A round survives a defect in asking one node; who waits hears of it in time."""
    broken = breaks(owner, method)

    @virtual
    async def check():
        async with FakeCluster(2) as cluster, producing(cluster) as producer:
            await producer.send_and_wait("t", b"v")
            broken.on = True
            for broker in cluster.brokers.values():
                broker.drop_connections()
            began = now()
            with pytest.raises(KafkaError) as caught:
                await producer.send("new", b"v")
            assert now() - began <= 2.01
            causes = [caught.value]
            while causes[-1].__cause__ is not None:
                causes.append(causes[-1].__cause__)
            assert isinstance(causes[-1], Defect)
            broken.on = False
            await still_works(producer, "new")

    check()


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (SendProduceReqHandler, "create_request"),
        (SendProduceReqHandler, "handle_response"),
        (MessageAccumulator, "drain"),
        (MessageAccumulator, "retry_later"),
    ],
)
@pytest.mark.parametrize("idempotent", [False, True])
def test_sending(breaks, owner, method, idempotent):
    """A defect where records are sent: every future fails at once, and so does the next call."""
    broken = breaks(owner, method)

    @virtual
    async def check():
        async with FakeCluster(1) as cluster:
            producer = make_producer(cluster, enable_idempotence=idempotent)
            await producer.start()
            # Two: after one record by itself the next one would be sent, and crash, in its send().
            await asyncio.wait([await producer.send("t", b"before") for _ in range(2)])
            if method == "retry_later":
                cluster.faults.add(Cut(), api="Produce", times=1)
            broken.on = True
            with log_lines() as log:
                futures = [await producer.send("t", b"%d" % i) for i in range(3)]
                began = now()
                await asyncio.wait(futures)
                assert now() - began < 0.1
            for future in futures:
                assert isinstance(future.exception(), KafkaError)
                assert isinstance(future.exception().__cause__, Defect)
            assert len(log.crashes) == 1
            broken.on = False
            with pytest.raises(KafkaError) as caught:
                await producer.send("t", b"after")
            assert isinstance(caught.value.__cause__, Defect)
            await producer.flush()
            began = now()
            await producer.stop()
            assert now() - began < 0.1
            assert_nothing_left(producer)

    check()


def test_connecting_to_send(breaks):
    """A defect in connecting is taken for a failure to connect: tried again, with backoff."""
    broken = breaks(AIOKafkaClient, "ready")

    @virtual
    async def check():
        async with FakeCluster(1) as cluster, producing(cluster) as producer:
            await producer.send_and_wait("t", b"before")
            broken.on = True
            cluster.brokers[0].kill()
            future = await producer.send("t", b"v")
            await asyncio.sleep(5)
            assert not future.done()
            assert 1 <= broken.calls <= 50
            broken.on = False
            cluster.brokers[0].restart()
            await asyncio.wait((future,), timeout=2)
            assert future.done() and future.exception() is None

    check()


def test_sender_task(breaks):
    broken = breaks(Sender, "_maybe_wait_for_pid")

    @virtual
    async def check():
        async with FakeCluster(1) as cluster:
            producer = make_producer(cluster, enable_idempotence=True, linger_ms=10_000)
            await producer.start()
            await producer.partitions_for("t")
            future = await producer.send("t", b"v")
            broken.on = True
            with log_lines() as log:
                producer._txn_manager.notify_task_waiter()
                await asyncio.wait((future,), timeout=0.1)
            assert isinstance(future.exception(), KafkaError)
            assert isinstance(future.exception().__cause__, Defect)
            assert len(log.crashes) == 1
            with pytest.raises(KafkaError):
                await producer.send("t", b"after")
            await producer.stop()
            assert_nothing_left(producer)

    check()


def test_a_waiter_for_buffer_space_is_told(breaks):
    broken = breaks(SendProduceReqHandler, "handle_response")

    @virtual
    async def check():
        async with FakeCluster(1, answer_latency={"Produce": 0.5}) as cluster:
            producer = make_producer(cluster, buffer_memory=2_000)
            await producer.start()
            await producer.partitions_for("t")
            broken.on = True
            sends = [asyncio.ensure_future(producer.send("t", b"x" * 900)) for _ in range(5)]
            began = now()
            done = await asyncio.gather(*sends, return_exceptions=True)
            assert now() - began <= 0.6
            assert any(isinstance(outcome, KafkaError) for outcome in done)
            for outcome in done:
                if isinstance(outcome, asyncio.Future):
                    assert isinstance(outcome.exception(), KafkaError)
                else:
                    assert isinstance(outcome, KafkaError)
            await producer.stop()
            assert_nothing_left(producer)

    check()
