"""The harness itself: brokers freeze, die and come back, and a proxy spoils the network."""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer

from tests.kafka import SASL_MECHANISMS, KafkaCluster, Mode, Proxy, Truth, probe
from tests.kafka.node import KafkaNode

# ApiVersions v0: correlation id 7, no client id.
_ASK = struct.pack(">ihhih", 10, 18, 0, 7, -1)


async def _connect(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def _answer(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


async def _ends(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


def _answers(broker: KafkaNode, timeout: float = 1.0) -> bool:
    try:
        probe.api_versions("127.0.0.1", broker.port, timeout)
    except probe.ProbeError:
        return False
    return True


def test_truth_writes_and_reads(kafka: KafkaCluster, truth: Truth, topic_name: str) -> None:
    truth.create_topic(topic_name, 3)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 2})
    for number in range(30):
        producer.produce(
            topic_name, b"%d" % number, b"k", partition=number % 3, headers=[("h", b"1")]
        )
    assert producer.flush(30) == 0
    records = truth.read(topic_name)
    assert [(r.partition, r.offset) for r in records] == [
        (p, o) for p in range(3) for o in range(10)
    ]
    assert records[0].headers == (("h", b"1"),)
    assert (records[0].key, records[0].value, records[0].timestamp_type) == (b"k", b"0", 0)
    assert truth.end_offsets(topic_name) == {0: 10, 1: 10, 2: 10}
    truth.create_partitions(topic_name, 4)
    assert set(truth.leaders(topic_name)) == {0, 1, 2, 3}


async def test_topic_fixtures(topic: str, make_topic, truth: Truth) -> None:
    other = await make_topic(partitions=2, config={"max.message.bytes": 1000})
    assert set(truth.leaders(topic)) == {0}
    assert set(truth.leaders(other)) == {0, 1}
    assert truth.leaders("no-such-topic") == {}
    assert "no-such-topic" not in truth.topics()


def test_freeze_and_thaw(kafka: KafkaCluster) -> None:
    with kafka.frozen(0):
        assert not _answers(kafka.brokers[0], timeout=0.2)
    assert _answers(kafka.brokers[0], timeout=10)


async def test_kill_and_start_keep_the_records(kafka: KafkaCluster, topic: str) -> None:
    broker, truth = kafka.brokers[0], kafka.truth
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 2})
    producer.produce(topic, b"before")
    assert producer.flush(30) == 0
    broker.kill()
    assert not broker.running
    assert not _answers(broker)
    await broker.start_async()
    assert [record.value for record in await truth.read_async(topic)] == [b"before"]


@pytest.mark.parametrize("listener", ["SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_security(kafka: KafkaCluster, topic: str, listener: str) -> None:
    for mechanism in SASL_MECHANISMS if listener.startswith("SASL") else ("",):
        config = {
            "bootstrap.servers": kafka.bootstrap_of(listener),
            "security.protocol": listener,
            "ssl.ca.location": str(kafka.certificates.ca),
            "log_level": 2,
        }
        if mechanism:
            config |= {
                "sasl.mechanism": mechanism,
                "sasl.username": "alice",
                "sasl.password": kafka.users["alice"],
            }
        producer = Producer(config)
        producer.produce(topic, mechanism.encode())
        assert producer.flush(30) == 0


async def test_proxy_leads_to_itself(kafka: KafkaCluster, proxy: Proxy) -> None:
    known = await asyncio.to_thread(probe.living_brokers, "127.0.0.1", proxy.port, 5.0)
    assert known == [probe.LivingBroker(0, "127.0.0.1", proxy.port)]


async def test_proxy_delay(proxy: Proxy) -> None:
    reader, writer = await _connect(proxy)
    proxy.delay = 0.15
    started = time.monotonic()
    writer.write(_ASK)
    await _answer(reader)
    assert time.monotonic() - started >= 0.3
    writer.close()


async def test_proxy_silence_and_heal(proxy: Proxy) -> None:
    reader, writer = await _connect(proxy)
    proxy.silence()
    writer.write(_ASK)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    (link,) = proxy.links
    assert link.bytes_down == 0
    proxy.heal()
    assert (await _answer(reader))[:4] == struct.pack(">i", 7)
    writer.close()


async def test_proxy_loses_answers(proxy: Proxy) -> None:
    reader, writer = await _connect(proxy)
    proxy.lose_answers()
    writer.write(_ASK)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    proxy.heal()
    assert await _ends(reader)
    writer.close()


async def test_proxy_one_link_only(proxy: Proxy) -> None:
    deaf_reader, deaf_writer = await _connect(proxy)
    deaf_writer.write(_ASK)
    await _answer(deaf_reader)
    (deaf,) = proxy.links
    deaf.answers = Mode.HOLD
    deaf_writer.write(_ASK)
    reader, writer = await _connect(proxy)
    writer.write(_ASK)
    await _answer(reader)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(deaf_reader.read(1), 0.2)
    deaf.reset()
    assert await _ends(deaf_reader)
    writer.write(_ASK)
    await _answer(reader)
    deaf_writer.close()
    writer.close()


async def test_proxy_cut_and_refuse(proxy: Proxy) -> None:
    reader, writer = await _connect(proxy)
    writer.write(_ASK)
    await _answer(reader)
    proxy.cut()
    assert await _ends(reader)
    writer.close()
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await _connect(proxy)
    await proxy.accept()
    reader, writer = await _connect(proxy)
    writer.write(_ASK)
    await _answer(reader)
    writer.close()


async def test_three_brokers_outlive_one(kafka3: KafkaCluster) -> None:
    truth, (first, second, third) = kafka3.truth, kafka3.brokers
    topic = await truth.create_topic_async("outlive", 3)
    assert set(truth.leaders(topic).values()) == {0, 1, 2}

    async def leaderless(node_id: int) -> None:
        while node_id in (await asyncio.to_thread(truth.leaders, topic)).values():
            await asyncio.sleep(0.05)

    second.kill()
    await leaderless(1)
    await second.start_async()
    third.freeze()
    await leaderless(2)
    third.thaw()
    await first.restart_async()
    kafka3.wait_ready()


def test_brokers_end_with_the_process() -> None:
    code = (
        "import os\n"
        "from tests.kafka import KafkaCluster\n"
        "kafka = KafkaCluster()\n"
        "kafka.start()\n"
        "print(kafka.brokers[0].pid, kafka.folder, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False, timeout=60
    )
    assert done.returncode == -9
    pid, folder = done.stdout.split()
    give_up = time.monotonic() + 20
    while subprocess.run(["test", "-e", folder], check=False).returncode == 0:
        assert time.monotonic() < give_up, "the data folder is still there"
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < give_up:
            os.kill(int(pid), 0)
            time.sleep(0.05)
