"""Deaf in some phase of the conversation: every call ends within its budget and a tenth."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

from aiokafka.errors import (
    DeliveryTimeoutError,
    KafkaConnectionError,
    KafkaTimeoutError,
    MetadataTimeoutError,
    UnknownTopicOrPartitionError,
)
from aiokafka.testing import Deaf, FakeBroker, FakeCluster

from .lab import SETTINGS, make_producer, now, producing, stop_cleanly, stopwatch, virtual

Silence = Callable[[FakeBroker], None]


def no_tcp(broker: FakeBroker) -> None:
    broker.link.blackhole()


def no_tls(broker: FakeBroker) -> None:
    broker.link.tls_deaf = True


def deaf_to(api: str | None) -> Silence:
    def silence(broker: FakeBroker) -> None:
        broker.cluster.faults.add(Deaf(), api=api, node=broker.node_id)

    return silence


CONNECTING: dict[str, Silence] = {
    "TCP": no_tcp,
    "TLS": no_tls,
    "ApiVersions": deaf_to("ApiVersions"),
    "SaslHandshake": deaf_to("SaslHandshake"),
    "SaslAuthenticate": deaf_to("SaslAuthenticate"),
}
ASKING: dict[str, Silence] = {
    "Metadata": deaf_to("Metadata"),
    "everything": deaf_to(None),
}
PHASES = {**CONNECTING, **ASKING}


def make_cluster(phase: str, brokers: int = 1, **options) -> FakeCluster:
    if phase.startswith("Sasl"):
        options["sasl_users"] = {"user": "secret"}
    return FakeCluster(brokers, tls=phase == "TLS", **options)


def security(phase: str) -> dict:
    if phase == "TLS":
        return {"security_protocol": "SSL", "ssl_context": ssl.create_default_context()}
    if phase.startswith("Sasl"):
        return {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_plain_username": "user",
            "sasl_plain_password": "secret",
        }
    return {}


@pytest.mark.parametrize("phase", PHASES)
@virtual
async def test_start(phase):
    async with make_cluster(phase, brokers=2) as cluster:
        for broker in cluster.brokers.values():
            PHASES[phase](broker)
        producer = make_producer(cluster, **security(phase))
        with stopwatch() as watch, pytest.raises(KafkaConnectionError) as caught:
            await producer.start()
        assert watch.within(SETTINGS["request_timeout_ms"])
        assert "broker-0:9092" in str(caught.value) and "broker-1:9092" in str(caught.value)
        await stop_cleanly(producer)


@pytest.mark.parametrize("phase", PHASES)
@virtual
async def test_start_again_after_the_silence(phase):
    async with make_cluster(phase) as cluster:
        PHASES[phase](cluster.brokers[0])
        producer = make_producer(cluster, **security(phase))
        with pytest.raises(KafkaConnectionError):
            await producer.start()
        cluster.faults.clear()
        cluster.brokers[0].link.heal()
        with stopwatch() as watch:
            await producer.start()
        assert watch.elapsed < 2
        await producer.send_and_wait("t", b"v")
        await stop_cleanly(producer)


@pytest.mark.parametrize("phase", PHASES)
@virtual
async def test_send_to_a_new_topic(phase):
    async with (
        make_cluster(phase, brokers=2) as cluster,
        producing(cluster, **security(phase)) as producer,
    ):
        for broker in cluster.brokers.values():
            PHASES[phase](broker)
            broker.drop_connections()
        with stopwatch() as watch, pytest.raises(KafkaTimeoutError) as caught:
            await producer.send("new", b"v")
        assert watch.within(SETTINGS["max_block_ms"])
        error = caught.value
        assert isinstance(error, MetadataTimeoutError)
        assert isinstance(error, UnknownTopicOrPartitionError)
        assert error.__cause__ is not None
        assert error.budget_ms == 2000 and error.attempts >= 1
        # Whatever calls of another kind have waited for, each has its own budget.
        with stopwatch() as watch, pytest.raises(KafkaTimeoutError):
            await producer.partitions_for("other")
        assert watch.within(SETTINGS["max_block_ms"])
        with stopwatch() as watch, pytest.raises(KafkaTimeoutError):
            await producer.client.fetch_all_metadata()
        assert watch.within(SETTINGS["max_block_ms"])


@pytest.mark.parametrize("phase", PHASES)
@virtual
async def test_one_of_three_brokers(phase):
    """The healthy ones serve: new topics at once, and every partition that they lead."""
    async with (
        make_cluster(phase, brokers=3, default_partitions=3) as cluster,
        producing(cluster, **security(phase)) as producer,
    ):
        for victim in cluster.brokers.values():
            cluster.faults.clear()
            for broker in cluster.brokers.values():
                broker.link.heal()
            PHASES[phase](victim)
            victim.drop_connections()
            topic = f"topic-{victim.node_id}"
            with stopwatch() as watch:
                partitions = await producer.partitions_for(topic)
            assert watch.elapsed < 0.5
            for partition in partitions:
                if cluster.partition(topic, partition).leader != victim.node_id:
                    with stopwatch() as watch:
                        await producer.send_and_wait(topic, b"v", partition=partition)
                    assert watch.elapsed < 0.5


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("api", ["Produce", None])
@virtual
async def test_produce(idempotent, api):
    async with FakeCluster(1) as cluster:
        producer = make_producer(cluster, enable_idempotence=idempotent)
        await producer.start()
        await producer.send_and_wait("t", b"before")
        cluster.faults.add(Deaf(), api=api)
        future = await producer.send("t", b"v")
        with stopwatch() as watch, pytest.raises(DeliveryTimeoutError) as caught:
            await future
        assert watch.within(SETTINGS["delivery_timeout_ms"])
        assert caught.value.__cause__ is not None
        await stop_cleanly(producer)


@virtual
async def test_init_producer_id():
    async with FakeCluster(1) as cluster:
        cluster.faults.add(Deaf(), api="InitProducerId")
        producer = make_producer(cluster, enable_idempotence=True)
        with stopwatch() as watch, pytest.raises(KafkaTimeoutError) as caught:
            await producer.start()
        assert watch.within(SETTINGS["request_timeout_ms"])
        assert "producer id" in str(caught.value)
        cluster.faults.clear()
        await producer.start()
        await producer.send_and_wait("t", b"v")
        await stop_cleanly(producer)


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("phase", [*PHASES, "Produce", "frozen", "dead"])
@virtual
async def test_stop_when_nobody_answers(phase, idempotent):
    """stop() has its own bound, however many records wait."""
    async with make_cluster(phase) as cluster:
        producer = make_producer(cluster, enable_idempotence=idempotent, **security(phase))
        await producer.start()
        await producer.send_and_wait("t", b"before")
        broker = cluster.brokers[0]
        if phase == "frozen":
            broker.freeze()
        elif phase == "dead":
            broker.kill()
        elif phase == "Produce":
            cluster.faults.add(Deaf(), api="Produce")
        else:
            PHASES[phase](broker)
            broker.drop_connections()
        futures = [await producer.send("t", b"%d" % i) for i in range(100)]
        await stop_cleanly(producer)
        assert all(future.done() for future in futures)
        errors = [future.exception() for future in futures]
        # Deaf to Metadata only, it takes records all the same, unless they come behind an
        # unanswered Metadata request on the same connection.
        assert phase == "Metadata" or None not in errors


@virtual
async def test_an_answer_just_within_the_budget_is_taken():
    """Slow is not deaf: metadata that comes after nine tenths of the budget is used."""
    async with (
        FakeCluster(1, auto_create_answers=0) as cluster,
        producing(cluster) as producer,
    ):
        cluster.answer_latency = {"Metadata": 1.8}
        with stopwatch() as watch:
            await producer.partitions_for("slow")
        assert 1.8 <= watch.elapsed <= 2.0
        cluster.answer_latency = {"Metadata": 2.5}
        began = now()
        with pytest.raises(KafkaTimeoutError):
            await producer.partitions_for("slower")
        assert now() - began == pytest.approx(2.0, abs=0.01)
        # The late answer is not thrown away.
        with stopwatch() as watch:
            await producer.partitions_for("slower")
        assert watch.elapsed < 2.0
