"""What is really on the brokers, told by another client (confluent-kafka).

Nothing here uses the client under test.  The methods block; ``*_async`` do the
same in a worker thread.  While a broker is frozen, topics cannot be made nor
records read with certainty (the other client may pick that very broker);
`Truth.leaders` works all the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from . import probe
from .node import KafkaNode


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it lies in the log.

    `timestamp_type` is 0 for the producer's time and 1 for the broker's (log
    append time), as on the wire.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = -1
    timestamp_type: int = 0
    headers: tuple[tuple[str, bytes | None], ...] = field(default=())


# Errors of the admin client that go away with a look at newer metadata.
_PASSING = (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT)


class Truth:
    """Makes topics on, and reads records from, the cluster of `brokers`."""

    def __init__(self, brokers: Sequence[KafkaNode]) -> None:
        self._brokers = brokers
        self._bootstrap = ",".join(broker.bootstrap for broker in brokers)
        self._admin: AdminClient | None = None

    @property
    def admin(self) -> AdminClient:
        """confluent-kafka's admin client, for everything that has no method here."""
        if self._admin is None:
            # The short timeout of a request lets it turn to the next broker when one is silent.
            config = {"bootstrap.servers": self._bootstrap, "socket.timeout.ms": 5000, **_QUIET}
            self._admin = AdminClient(config)
        return self._admin

    def close(self) -> None:
        """Let go of the admin client and its threads."""
        self._admin = None

    # -- topics ----------------------------------------------------------------------------

    def create_topic(
        self,
        topic: str,
        partitions: int = 1,
        replication_factor: int = -1,
        config: Mapping[str, object] | None = None,
        timeout: float = 30.0,
    ) -> str:
        """Make a topic and wait until each of its partitions has a leader; return its name."""
        new = NewTopic(
            topic,
            num_partitions=partitions,
            replication_factor=replication_factor,
            config={key: str(value) for key, value in (config or {}).items()},
        )
        give_up = time.monotonic() + timeout
        while True:
            try:
                self.admin.create_topics([new])[topic].result(timeout)
                break
            except KafkaException as exc:
                code = exc.args[0].code()
                if code == KafkaError.TOPIC_ALREADY_EXISTS:
                    break  # names are used once: an attempt whose answer was lost made it
                if code not in _PASSING or time.monotonic() >= give_up:
                    raise
                # It clings to the controller it has heard of, which in KRaft is any broker,
                # also one that was killed meanwhile and is not fenced yet.
                self.close()
        self.wait_partitions(topic, partitions, timeout)
        return topic

    def create_partitions(self, topic: str, total: int, timeout: float = 30.0) -> None:
        """Let a topic grow to `total` partitions and wait until each has a leader."""
        grown = self.admin.create_partitions([NewPartitions(topic, total)])
        grown[topic].result(timeout)
        self.wait_partitions(topic, total, timeout)

    def delete_topic(self, topic: str, timeout: float = 30.0) -> None:
        """Delete a topic."""
        self.admin.delete_topics([topic], operation_timeout=timeout)[topic].result(timeout)

    def wait_partitions(self, topic: str, count: int, timeout: float = 30.0) -> None:
        """Wait until the topic has `count` partitions with a leader each."""
        give_up = time.monotonic() + timeout
        while len([p for p in self.leaders(topic).values() if p >= 0]) < count:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{topic} had not {count} led partitions after {timeout} s")
            time.sleep(0.02)

    def leaders(self, topic: str, timeout: float = 10.0) -> dict[int, int]:
        """Node id of the leader of each partition, -1 without one; empty for no such topic.

        Asks the brokers that are neither frozen nor down, one after the other.
        """
        give_up = time.monotonic() + timeout
        while True:
            for broker in self._brokers:
                if broker.running and not broker.frozen:
                    try:
                        return probe.leaders("127.0.0.1", broker.port, topic)
                    except probe.ProbeError as exc:
                        if time.monotonic() > give_up:
                            raise TimeoutError(f"nobody knows the leaders of {topic}") from exc
            if time.monotonic() > give_up:
                raise TimeoutError(f"no broker is up to tell the leaders of {topic}")
            time.sleep(0.02)

    def topics(self, timeout: float = 10.0) -> set[str]:
        """Names of all topics."""
        return set(self.admin.list_topics(timeout=timeout).topics)

    # -- records ---------------------------------------------------------------------------

    def end_offsets(self, topic: str, timeout: float = 10.0) -> dict[int, int]:
        """The high watermark of each partition."""
        consumer = self._consumer("read_uncommitted")
        try:
            return {
                partition: consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=timeout, cached=False
                )[1]
                for partition in self.leaders(topic)
            }
        finally:
            consumer.close()

    def read(
        self, topic: str, *, isolation: str = "read_uncommitted", timeout: float = 60.0
    ) -> list[StoredRecord]:
        """Every record of the topic, each partition in order from its beginning to its end."""
        consumer = self._consumer(isolation)
        records: list[StoredRecord] = []
        give_up = time.monotonic() + timeout
        try:
            unread = set(self.leaders(topic))
            consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in unread])
            while unread:
                if time.monotonic() > give_up:
                    raise TimeoutError(f"{topic}: partitions {unread} not read in {timeout} s")
                for message in consumer.consume(10_000, timeout=0.2):
                    error = message.error()
                    if error is None:
                        records.append(_stored(message))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        unread.discard(message.partition())
                    elif not error.retriable():
                        raise KafkaException(error)
        finally:
            consumer.close()
        records.sort(key=lambda record: (record.partition, record.offset))
        return records

    def _consumer(self, isolation: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "truth",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "isolation.level": isolation,
                "fetch.wait.max.ms": 10,
                "check.crcs": True,
                **_QUIET,
            }
        )

    async def create_topic_async(
        self,
        topic: str,
        partitions: int = 1,
        replication_factor: int = -1,
        config: Mapping[str, object] | None = None,
    ) -> str:
        """`create_topic`, in a worker thread."""
        return await asyncio.to_thread(
            self.create_topic, topic, partitions, replication_factor, config
        )

    async def read_async(
        self, topic: str, *, isolation: str = "read_uncommitted", timeout: float = 60.0
    ) -> list[StoredRecord]:
        """`read`, in a worker thread."""
        return await asyncio.to_thread(self.read, topic, isolation=isolation, timeout=timeout)

    async def end_offsets_async(self, topic: str) -> dict[int, int]:
        """`end_offsets`, in a worker thread."""
        return await asyncio.to_thread(self.end_offsets, topic)


# librdkafka logs every lost connection to standard error; the tests lose them on purpose.
_QUIET = {"log_level": 2}
_LOG_APPEND_TIME = 2  # confluent_kafka.TIMESTAMP_LOG_APPEND_TIME


def _stored(message) -> StoredRecord:  # type: ignore[no-untyped-def]
    kind, timestamp = message.timestamp()
    return StoredRecord(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        key=message.key(),
        value=message.value(),
        timestamp=timestamp,
        timestamp_type=int(kind == _LOG_APPEND_TIME),
        headers=tuple(message.headers() or ()),
    )
