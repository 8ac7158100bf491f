"""Other clients read what we write, we read what they write, and all of them put the same key into
the same partition."""

from __future__ import annotations

import asyncio
import base64
import random
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from tests.integration.conftest import MakeTopic
from tests.integration.consuming import consuming, take
from tests.integration.support import producing
from tests.kafka import KafkaCluster, StoredRecord, Truth

with warnings.catch_warnings():
    # Its own use of a deprecated function is no concern of ours.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka as kafka_python

_CODECS: list[tuple[str | None, int | None]] = [
    (None, None),
    ("gzip", None),
    ("gzip", 1),
    ("gzip", 9),
    ("snappy", None),
    ("lz4", None),
    ("lz4", 1),
    ("lz4", 12),
    ("zstd", None),
    ("zstd", -7),
    ("zstd", 19),
]

# The records of these tests are years old: the broker would soon drop them.
_KEEP = {"retention.ms": -1}

Headers = list[tuple[str, bytes | None]]


def _sample(null_headers: bool = True) -> list[tuple[bytes | None, bytes | None, int, Headers]]:
    """Key, value, timestamp and headers of records of all kinds."""
    rng = random.Random(4)
    records: list[tuple[bytes | None, bytes | None, int, Headers]] = [
        (None, b"value", 1_600_000_000_000, []),
        (b"key", None, 1_600_000_000_001, []),
        (b"", b"", 1_600_000_000_000, [("", b""), ("null", None if null_headers else b"")]),
        (b"key", b"value", 1_500_000_000_000, [("one", b"1"), ("two", b"2"), ("one", b"3")]),
        (b"\x00\xff", bytes(range(256)) * 40, 1_600_000_100_000, [("ключ", b"\xf0" * 500)]),
    ]
    for number in range(300):
        value = b"a line that compresses well " * rng.randrange(20) + rng.randbytes(20)
        key = None if number % 3 == 0 else b"key %d" % rng.randrange(1000)
        headers: Headers = [("number", b"%d" % number)] if number % 2 else []
        records.append((key, value, 1_600_000_200_000 + number, headers))
    return records


def _read_with_kafka_python(bootstrap: str, topic: str, count: int) -> list[StoredRecord]:
    consumer: Any = kafka_python.KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        check_crcs=True,
    )
    try:
        tp = kafka_python.TopicPartition(topic, 0)
        consumer.assign([tp])
        records: list[StoredRecord] = []
        give_up = time.monotonic() + 20
        while len(records) < count:
            assert time.monotonic() < give_up, f"only {len(records)} records"
            for record in consumer.poll(timeout_ms=500).get(tp, []):
                records.append(
                    StoredRecord(
                        topic=record.topic,
                        partition=record.partition,
                        offset=record.offset,
                        key=record.key,
                        value=record.value,
                        timestamp=record.timestamp,
                        timestamp_type=record.timestamp_type,
                        headers=tuple(record.headers),
                    )
                )
        return records
    finally:
        consumer.close()


@pytest.mark.parametrize(("codec", "level"), _CODECS, ids=lambda value: str(value))
async def test_others_read_what_we_write(
    bootstrap: str, truth: Truth, make_topic: MakeTopic, codec: str | None, level: int | None
) -> None:
    topic, sample = await make_topic(config=_KEEP), _sample()
    async with producing(
        bootstrap, compression_type=codec, compression_level=level, linger_ms=10
    ) as producer:
        await producer.partitions_for(topic)
        futures = [
            await producer.send(topic, value, key, timestamp_ms=timestamp, headers=headers)
            for key, value, timestamp, headers in sample
        ]
        await asyncio.gather(*futures)
        batch = producer.create_batch()
        batch.append(key=b"k", value=b"of a batch", timestamp=1_600_000_300_000)
        await (await producer.send_batch(batch, topic, partition=0))
    expected = [
        *sample,
        (b"k", b"of a batch", 1_600_000_300_000, []),
    ]
    with_confluent, with_kafka_python = await asyncio.gather(
        truth.read_async(topic),
        asyncio.to_thread(_read_with_kafka_python, bootstrap, topic, len(expected)),
    )
    for records in (with_confluent, with_kafka_python):
        assert [record.offset for record in records] == list(range(len(expected)))
        assert [(r.key, r.value, r.timestamp, list(r.headers)) for r in records] == expected
        assert {record.timestamp_type for record in records} == {0}


async def test_levels_differ(bootstrap: str, truth: Truth, make_topic: MakeTopic) -> None:
    """A higher level makes fewer bytes: the setting reaches the codec.

    A topic keeps what the producer has compressed, so that its size on disk tells."""
    rng = random.Random(8)
    words = [rng.randbytes(rng.randrange(2, 9)) for _ in range(400)]
    values = [b" ".join(rng.choices(words, k=120)) for _ in range(60)]
    for codec, low, high in (("gzip", 1, 9), ("zstd", -7, 19), ("lz4", 1, 12)):
        sizes = []
        for level in (low, high):
            async with producing(
                bootstrap, compression_type=codec, compression_level=level, max_batch_size=200_000
            ) as producer:
                batch = producer.create_batch()
                for value in values:
                    assert batch.append(key=None, value=value, timestamp=1) is not None
                topic = await make_topic(config=_KEEP)
                await (await producer.send_batch(batch, topic, partition=0))
                sizes.append(batch.size())
            assert [record.value for record in await truth.read_async(topic)] == values
        assert sizes[1] < sizes[0], codec


@pytest.mark.parametrize("codec", [None, "gzip", "zstd"])
async def test_log_append_time(
    bootstrap: str, truth: Truth, make_topic: MakeTopic, codec: str | None
) -> None:
    topic = await make_topic(config={"message.timestamp.type": "LogAppendTime"})
    async with producing(bootstrap, compression_type=codec, linger_ms=10) as producer:
        futures = [await producer.send(topic, b"%d" % n, timestamp_ms=n) for n in range(10)]
        ends = await asyncio.gather(*futures)
    with_confluent, with_kafka_python = await asyncio.gather(
        truth.read_async(topic),
        asyncio.to_thread(_read_with_kafka_python, bootstrap, topic, 10),
    )
    for records in (with_confluent, with_kafka_python):
        assert [record.value for record in records] == [b"%d" % n for n in range(10)]
        assert {record.timestamp_type for record in records} == {1}
        assert [r.timestamp for r in records] == [end.timestamp for end in ends]


async def test_same_key_same_partition(
    bootstrap: str, truth: Truth, make_topic: MakeTopic
) -> None:
    """As with librdkafka's murmur2_random and kafka-python's default, which are Java's."""
    ours, theirs, others = [await make_topic(partitions=7) for _ in range(3)]
    rng = random.Random(2)
    # Unlike Java, librdkafka takes an empty key for none.
    keys = [rng.randbytes(size) for size in range(1, 65) for _ in range(6)]
    keys += [f"schlüssel-{n}".encode() for n in range(100)]
    async with producing(bootstrap, linger_ms=5) as producer:
        await asyncio.gather(*[await producer.send(ours, b"", key) for key in keys])

    def write_with_librdkafka() -> None:
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "log_level": 2}
        )
        for key in keys:
            producer.produce(theirs, b"", key)
        assert producer.flush(30) == 0

    def write_with_kafka_python() -> None:
        producer: Any = kafka_python.KafkaProducer(bootstrap_servers=bootstrap)
        for key in keys:
            producer.send(others, b"", key)
        producer.flush(30)
        producer.close()

    await asyncio.gather(
        asyncio.to_thread(write_with_librdkafka), asyncio.to_thread(write_with_kafka_python)
    )
    places = []
    for topic in (ours, theirs, others):
        records = await truth.read_async(topic)
        assert len(records) == len(keys)
        places.append({record.key: record.partition for record in records})
    assert places[0] == places[1] == places[2]
    assert set(places[0].values()) == set(range(7))


# -- what others write ------------------------------------------------------------------------

_ALL_CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
_WRITE = Path(__file__).parent / "java" / "Write.java"


def _in_base64(data: bytes | None) -> str:
    return "-" if data is None else "=" + base64.b64encode(data).decode()


def _write_with_java(kafka: KafkaCluster, topics: dict[str, str]) -> None:
    """All codecs at once: most of the time is Java's own."""
    lines = []
    for codec, topic in topics.items():
        for key, value, timestamp, headers in _sample():
            packed = ",".join(
                f"{_in_base64(name.encode())}:{_in_base64(data)}" for name, data in headers
            )
            words = [topic, codec, "0", str(timestamp), _in_base64(key), _in_base64(value), packed]
            lines.append(" ".join(words))
    done = subprocess.run(
        kafka.java_command(_WRITE),
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def _write_with_librdkafka(kafka: KafkaCluster, topics: dict[str, str]) -> None:
    for codec, topic in topics.items():
        producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "compression.type": codec,
                "linger.ms": 20,
                "log_level": 2,
            }
        )
        for key, value, timestamp, headers in _sample():
            producer.produce(
                topic, value, key, partition=0, timestamp=timestamp, headers=headers or None
            )
        assert producer.flush(30) == 0


def _write_with_kafka_python(kafka: KafkaCluster, topics: dict[str, str]) -> None:
    for codec, topic in topics.items():
        producer: Any = kafka_python.KafkaProducer(
            bootstrap_servers=kafka.bootstrap,
            compression_type=None if codec == "none" else codec,
            linger_ms=20,
        )
        for key, value, timestamp, headers in _sample(null_headers=False):
            producer.send(
                topic, value, key, partition=0, timestamp_ms=timestamp, headers=headers or None
            )
        producer.flush(30)
        producer.close()


@pytest.mark.parametrize(
    "write",
    [_write_with_java, _write_with_librdkafka, _write_with_kafka_python],
    ids=["java", "librdkafka", "kafka-python"],
)
async def test_we_read_what_others_write(
    kafka: KafkaCluster, truth: Truth, make_topic: MakeTopic, write: Any
) -> None:
    topics = {codec: await make_topic(config=_KEEP) for codec in _ALL_CODECS}
    await asyncio.to_thread(write, kafka, topics)
    # kafka-python sends no headers without a value.
    sample = _sample(null_headers=write is not _write_with_kafka_python)
    for codec, topic in topics.items():
        async with consuming(kafka.bootstrap, topic) as consumer:
            records = await take(consumer, len(sample))
        assert [record.offset for record in records] == list(range(len(sample))), codec
        got = [(r.key, r.value, r.timestamp, list(r.headers)) for r in records]
        assert got == sample, codec
        assert {record.timestamp_type for record in records} == {0}
        # To librdkafka they are the same.
        theirs = await truth.read_async(topic)
        assert [(r.key, r.value, r.timestamp, list(r.headers)) for r in theirs] == got, codec


async def test_we_read_log_append_time(
    kafka: KafkaCluster, truth: Truth, make_topic: MakeTopic
) -> None:
    topic = await make_topic(config={"message.timestamp.type": "LogAppendTime"})
    await asyncio.to_thread(_write_with_librdkafka, kafka, {"lz4": topic})
    theirs = await truth.read_async(topic)
    async with consuming(kafka.bootstrap, topic) as consumer:
        records = await take(consumer, len(theirs))
    assert {record.timestamp_type for record in records} == {1}
    assert [record.timestamp for record in records] == [record.timestamp for record in theirs]
