"""A consumer group: one member reads everything back, a second one joins and leaves again.

The second member has an event loop of its own, in a thread, as if it were a program of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Partition

from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    TopicPartition,
)
from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from demo_parts.cluster import QUIET
from demo_parts.producing import MESSAGES, TOPICS, Traffic, number_of
from demo_parts.report import Bar, Report

GROUP = "demo"
PATIENCE = 20.0  # seconds for a rebalance
TOGETHER = 1.0  # seconds in which both members read
# Mock brokers wait so long, less a second, for members to join; real ones until all have.
SESSION_TIMEOUT_MS = 3_000
HEARTBEAT_INTERVAL_MS = 300  # a member hears of a rebalance with its next heartbeat

T = TypeVar("T")


class Unhurried(CooperativeStickyPartitionAssignor):
    """Mock brokers turn away who asks for an assignment that the leader has brought already.

    Real ones do not mind.  So the leader takes its time, and the others wait for it.
    """

    def assign(self, cluster: Any, members: Any) -> Any:  # type: ignore[override]
        time.sleep(0.1)
        return super().assign(cluster, members)


class Elsewhere:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait here."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def close(self) -> None:
        """End loop and thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()


def spell(partitions: Iterable[TopicPartition]) -> str:
    """``orders 0 2, payments 1``."""
    by_topic: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        by_topic.setdefault(topic, []).append(number)
    return ", ".join(
        f"{topic} {' '.join(map(str, numbers))}" for topic, numbers in by_topic.items()
    )


class Member(ConsumerRebalanceListener):
    """A consumer in the group, what it has read, and what it says when partitions move."""

    def __init__(self, report: Report, name: str, bootstrap: str) -> None:
        self.name = name
        self.read: list[int] = []
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=GROUP,
            client_id=name,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
            partition_assignment_strategy=(Unhurried,),
        )
        self.consumer.subscribe(TOPICS, listener=self)
        self._report = report
        self._reading: asyncio.Task[None] | None = None

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            # Whoever gets them goes on where this member has got to.
            await self.consumer.commit()
            self._report.say(f"[cyan]{self.name}[/] gives up {spell(revoked)}")

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if assigned:
            self._report.say(f"[cyan]{self.name}[/] gets {spell(assigned)}")

    @property
    def holds(self) -> set[TopicPartition]:
        """The partitions it has now."""
        return set(self.consumer.assignment())

    async def start(self) -> None:
        """Join the group; returns with partitions, perhaps none."""
        await self.consumer.start()

    async def read_on(self) -> None:
        """Begin to read in the background, until stopped."""
        self._reading = asyncio.create_task(self._read_on())

    async def _read_on(self) -> None:
        async for record in self.consumer:
            self.read.append(number_of(record.value))

    async def stop(self) -> None:
        """Leave the group, with everything committed that was read."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
            if self.holds:
                await self.consumer.commit()
        await self.consumer.stop()


async def _until(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    give_up = time.monotonic() + patience
    # The members are on two loops; their listeners could not set one event.
    while not condition() and time.monotonic() < give_up:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return condition()


def _committed(bootstrap: str, partitions: Iterable[TopicPartition]) -> int:
    """Sum of the offsets that the group has committed, as another client is told."""
    witness = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP, **QUIET})
    try:
        answer = witness.committed([Partition(*tp) for tp in partitions], timeout=10)
        return sum(max(partition.offset, 0) for partition in answer)
    finally:
        witness.close()


async def read_back(report: Report, member: Member, bootstrap: str) -> None:
    """All messages, as fast as they come."""
    report.say("A consumer joins the group; mock brokers wait 3 seconds for others to join, too")
    started = time.monotonic()
    await member.start()
    report.say(f"It has its partitions after {time.monotonic() - started:.1f} s")
    give_up = time.monotonic() + PATIENCE
    numbers: list[int] = []
    with Bar(report, "read back", MESSAGES) as bar:
        while len(numbers) < MESSAGES and time.monotonic() < give_up:
            for records in (await member.consumer.getmany(timeout_ms=500)).values():
                numbers.extend([number_of(record.value) for record in records])
            bar.at(len(numbers))
        elapsed = bar.elapsed
    report.check(
        sorted(numbers) == list(range(MESSAGES)),
        f"{len(numbers):,} messages read in {elapsed:.1f} s, {len(numbers) / elapsed:,.0f} a "
        "second, each of them once",
    )
    await member.consumer.commit()
    committed = await asyncio.to_thread(_committed, bootstrap, member.holds)
    report.check(
        committed == MESSAGES,
        f"committed: confluent-kafka finds the group's offsets add up to {committed:,}",
    )


async def _member(report: Report, name: str, bootstrap: str) -> Member:
    return Member(report, name, bootstrap)


async def rebalance(
    report: Report, producer: AIOKafkaProducer, first: Member, bootstrap: str
) -> None:
    """A second member joins while messages come in, and leaves again."""
    everything = first.holds
    traffic = Traffic(producer, TOPICS, first=MESSAGES)
    await first.read_on()
    report.say(
        "A background task sends 2,000 messages a second; the first member reads them with "
        "[bold]async for[/]"
    )
    await traffic.flowing()
    elsewhere = Elsewhere()
    second = await elsewhere.run(_member(report, "second", bootstrap))
    try:
        await _join(report, first, second, elsewhere, everything)
        report.say("The second member leaves")
    finally:
        await elsewhere.run(second.stop())
        await elsewhere.close()
    report.check(
        await _until(lambda: first.holds == everything),
        f"[cyan]{first.name}[/] has all {len(everything)} partitions again",
    )
    await traffic.stop()
    await asyncio.gather(*traffic.futures)
    sent = range(MESSAGES, MESSAGES + len(traffic.futures))
    await _until(lambda: len(first.read) + len(second.read) >= len(sent))
    report.check(
        sorted(first.read + second.read) == list(sent),
        f"of {len(sent):,} messages sent meanwhile, [cyan]{first.name}[/] read "
        f"{len(first.read):,} and [cyan]{second.name}[/] {len(second.read):,}: each of them once",
    )


async def _join(
    report: Report,
    first: Member,
    second: Member,
    elsewhere: Elsewhere,
    everything: set[TopicPartition],
) -> None:
    before = len(first.read)
    report.say("A second member joins")
    started = time.monotonic()
    await elsewhere.run(second.start())
    await elsewhere.run(second.read_on())
    shared = await _until(
        lambda: (
            bool(first.holds and second.holds)
            and first.holds | second.holds == everything
            and not first.holds & second.holds
        )
    )
    report.check(
        shared,
        f"after {time.monotonic() - started:.1f} s each partition has one owner: "
        f"{len(first.holds)} and {len(second.holds)} of {len(everything)}",
    )
    report.check(
        len(first.read) > before,
        f"[cyan]{first.name}[/] read {len(first.read) - before:,} messages meanwhile: it kept "
        "the partitions that did not move",
    )
    counts = len(first.read), len(second.read)
    await asyncio.sleep(TOGETHER)
    mine, theirs = len(first.read) - counts[0], len(second.read) - counts[1]
    report.check(
        mine > 0 and theirs > 0,
        f"in the next {TOGETHER:.0f} s they read {mine:,} and {theirs:,} messages",
    )
