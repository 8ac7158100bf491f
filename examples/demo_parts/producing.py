"""Messages with numbers: produced as fast as they go, counted by another client, or in a trickle.

The number makes it possible to tell whether each was read once.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata
from demo_parts.report import Bar, Report

MESSAGES = 200_000
MESSAGE_SIZE = 100
TOPICS = ("orders", "payments")
CHUNK = 5_000  # messages sent before older acknowledgements are looked at

Acknowledgement = asyncio.Future[RecordMetadata | None]


def value(number: int) -> bytes:
    """A message of 100 bytes that begins with its number."""
    return b"%08d" % number + b"." * (MESSAGE_SIZE - 8)


def number_of(message: bytes | None) -> int:
    """The number that a message begins with."""
    assert message is not None
    return int(message[:8])


async def produce(report: Report, producer: AIOKafkaProducer) -> None:
    """200,000 messages, as fast as they go."""
    acknowledged = 0
    outstanding: deque[list[Acknowledgement]] = deque()
    with Bar(report, "acknowledged", MESSAGES) as bar:
        for first in range(0, MESSAGES, CHUNK):
            topic = TOPICS[first // CHUNK % len(TOPICS)]
            chunk = range(first, first + CHUNK)
            outstanding.append([await producer.send(topic, value(number)) for number in chunk])
            last = chunk.stop == MESSAGES
            while outstanding and (last or len(outstanding) > 3):
                acknowledged += len(await asyncio.gather(*outstanding.popleft()))
                bar.at(acknowledged)
        elapsed = bar.elapsed
    report.check(
        acknowledged == MESSAGES,
        f"{acknowledged:,} of {MESSAGES:,} messages of {MESSAGE_SIZE} bytes acknowledged by all "
        f"replicas in {elapsed:.1f} s: {acknowledged / elapsed:,.0f} a second",
    )


def _ends(witness: Consumer) -> dict[tuple[str, int], int]:
    """How many messages each partition has been given, as the brokers tell another client."""
    return {
        (topic, number): witness.get_watermark_offsets(
            TopicPartition(topic, number), timeout=10, cached=False
        )[1]
        for topic in TOPICS
        for number in sorted(witness.list_topics(topic, timeout=10).topics[topic].partitions)
    }


def _read(witness: Consumer, ends: dict[tuple[str, int], int]) -> list[int]:
    """The numbers of all messages, as another client reads them."""
    numbers: list[int] = []
    witness.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in ends])
    left = {partition for partition, end in ends.items() if end}
    give_up = time.monotonic() + 20
    while left and time.monotonic() < give_up:
        for message in witness.consume(10_000, timeout=0.5):
            if message.error() is None:
                numbers.append(number_of(message.value()))
                partition = (message.topic(), message.partition())
                if message.offset() + 1 >= ends[partition]:
                    left.discard(partition)
    witness.unassign()
    return numbers


async def verify(report: Report, witness: Consumer) -> None:
    """Ask another client what the brokers have."""
    ends = await asyncio.to_thread(_ends, witness)
    numbers = await asyncio.to_thread(_read, witness, ends)
    report.check(
        sum(ends.values()) == MESSAGES and sorted(numbers) == list(range(MESSAGES)),
        f"confluent-kafka counted {sum(ends.values()):,} messages and read each of them once",
    )


class Traffic:
    """2,000 messages a second, numbered, to known topics in turns, until told to stop."""

    def __init__(self, producer: AIOKafkaProducer, topics: Sequence[str], first: int = 0) -> None:
        self.futures: list[Acknowledgement] = []
        self.first = first
        self.longest_send = 0.0
        self._producer = producer
        self._topics = itertools.cycle(topics)
        self._begun = asyncio.Event()
        self._stopped = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while not self._stopped:
            await self.burst(20)
            if len(self.futures) >= 500:
                self._begun.set()
            await asyncio.sleep(0.01)

    async def burst(self, count: int) -> None:
        """Send `count` messages at once."""
        topic = next(self._topics)
        for _ in range(count):
            message = value(self.first + len(self.futures))
            before = time.monotonic()
            self.futures.append(await self._producer.send(topic, message))
            self.longest_send = max(self.longest_send, time.monotonic() - before)

    @property
    def pending(self) -> int:
        """Messages whose acknowledgement is still to come."""
        return sum(not future.done() for future in self.futures)

    async def flowing(self) -> None:
        """Wait until the first messages are acknowledged."""
        await self._begun.wait()
        await asyncio.gather(*self.futures)

    async def stop(self) -> None:
        """Send no more; what was sent may still be on its way."""
        self._stopped = True
        await self._task
