"""One run: records are written, brokers frozen and killed, connections cut, a group reads.

The group is a process of its own (see `group`); the producer is ours.  A thread looks all the
while who leads what, to tell a consumer's stalls from the brokers'.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from benchmark.environments import peers_python
from tests.integration.conftest import unique_topic
from tests.integration.faults.figures import Events, Figures, Interval, merged, work_out
from tests.integration.faults.group import SESSION_TIMEOUT_MS
from tests.integration.support import eventually
from tests.integration.test_durability import PARTITIONS, Recovery
from tests.kafka import KafkaCluster

PAUSE = 0.02  # between records to each partition: 300 a second in all
FREEZE = 8.0
# The longest that the next fault is put off for the group.
CATCH_UP = 20.0
CUT_EVERY = 1.0
# How long the group may take to read what is left and to stop.
END_TIMEOUT = 90.0
OFFSETS_PARTITIONS = 5  # the harness's offsets.topic.num.partitions

CLIENTS = ("aiokafka", "aiokafka-cooperative", "aiokafka-0.14.0", "confluent-kafka")
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]


def offsets_partition(group: str) -> int:
    """The partition of __consumer_offsets that a group belongs to: Java's String.hashCode."""
    code = 0
    for char in group:
        code = (code * 31 + ord(char)) & 0xFFFFFFFF
    # Kafka's Utils.abs: the lowest number becomes 0.
    signed = code - (1 << 32) if code >> 31 else code
    return (0 if signed == -(1 << 31) else abs(signed)) % OFFSETS_PARTITIONS


class Leaders:
    """Notes when a partition, or the group's coordinator, has nobody to answer for it."""

    def __init__(self, kafka: KafkaCluster, topic: str, group: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._group = offsets_partition(group)
        self._over = threading.Event()
        # Killed, and not yet ready again, though there may be a process.
        self.down: set[int] = set()
        # When, which partitions had no leader, and whether the group had no coordinator.
        self._seen: list[tuple[float, set[int], bool]] = []
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.05):
            at = time.monotonic()
            try:
                leaders = self._kafka.truth.leaders(self._topic, 0.5)
                coordinators = self._kafka.truth.leaders("__consumer_offsets", 0.5)
            except (TimeoutError, OSError):
                self._seen.append((at, set(range(PARTITIONS)), True))
                continue
            out = {p for p, leader in leaders.items() if not self._answers(leader)}
            coordinator = coordinators.get(self._group, -1)
            self._seen.append((at, out, not self._answers(coordinator)))

    def _answers(self, node_id: int) -> bool:
        return (
            node_id >= 0 and node_id not in self.down and not self._kafka.brokers[node_id].frozen
        )

    def __enter__(self) -> Leaders:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def outages(self) -> tuple[dict[int, list[Interval]], list[Interval]]:
        """Of each partition, and of the group's coordinator."""
        found: dict[int, list[Interval]] = {partition: [] for partition in range(PARTITIONS)}
        coordinator: list[Interval] = []
        for (at, out, headless), (until, _, _) in itertools.pairwise(self._seen):
            for partition in out:
                found[partition].append((at, until))
            if headless:
                coordinator.append((at, until))
        partitions = {partition: merged(intervals) for partition, intervals in found.items()}
        return partitions, merged(coordinator)


class Traffic:
    """Records written at a steady rate, with idempotence, and when each was acknowledged."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.acknowledged: list[tuple[int, int, float]] = []
        self.failed: list[BaseException] = []
        self._topic = topic
        self._over = asyncio.Event()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5,
            request_timeout_ms=6000,
        )  # fmt: skip

    def _note(self, future: asyncio.Future[Any]) -> None:
        if (error := future.exception()) is not None:
            self.failed.append(error)
        else:
            done = future.result()
            self.acknowledged.append((done.partition, done.offset, time.monotonic()))

    async def run(self) -> None:
        await self._producer.start()
        loop = asyncio.get_running_loop()
        try:
            due = loop.time()
            for number in itertools.count():
                if self._over.is_set():
                    break
                for partition in range(PARTITIONS):
                    future = await self._producer.send(
                        self._topic, b"%d" % number, partition=partition
                    )
                    future.add_done_callback(self._note)
                due += PAUSE
                await asyncio.sleep(max(0.0, due - loop.time()))
            await self._producer.flush()
        finally:
            await self._producer.stop()

    def end(self) -> None:
        self._over.set()


def _interpreter(client: str) -> tuple[str, str]:
    """What to run the group with, and what it calls the client."""
    if client in ("aiokafka", "aiokafka-cooperative"):
        return sys.executable, client
    return str(peers_python()), client.removesuffix("-0.14.0")


class Group:
    """The process with the consumers; its journal is read as it grows."""

    def __init__(
        self, kafka: KafkaCluster, client: str, topic: str, group: str, out: Path
    ) -> None:
        python, name = _interpreter(client)
        self.journal = out
        self.errors = out.with_suffix(".stderr")
        self._read: dict[int, int] = {}
        self._at = 0
        with self.errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [
                    python, "-u", str(_HERE / "group.py"), name, kafka.bootstrap,
                    kafka.proxied_bootstrap, topic, group, str(out),
                ],
                stdin=subprocess.PIPE,
                stderr=errors,
                cwd=_ROOT if python == sys.executable else _HERE,
            )  # fmt: skip

    def read(self) -> dict[int, int]:
        """How far each partition was read."""
        if self.journal.exists():
            with self.journal.open("rb") as journal:
                journal.seek(self._at)
                for line in journal:
                    if not line.endswith(b"\n"):
                        break
                    self._at += len(line)
                    if line.startswith(b"r "):
                        partition, offset = map(int, line.split()[3:5])
                        self._read[partition] = max(self._read.get(partition, 0), offset + 1)
        return self._read

    async def read_until(self, ends: dict[int, int], timeout: float) -> bool:
        """Let it read up to these offsets, and end; False when it did not in time."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"until {json.dumps(ends)}\n".encode())
        self._process.stdin.close()
        try:
            status = await asyncio.to_thread(self._process.wait, timeout)
        except subprocess.TimeoutExpired:
            return False
        assert status == 0, self.errors.read_text()[-3000:]
        return True

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextlib.asynccontextmanager
async def cutting(kafka: KafkaCluster) -> AsyncIterator[None]:
    """Proxies in front of all brokers, of which each second one resets all its connections."""
    async with contextlib.AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(kafka.proxy(n)) for n in range(3)]

        async def cut() -> None:
            for proxy in itertools.cycle(proxies):
                await asyncio.sleep(CUT_EVERY)
                proxy.cut()

        task = asyncio.ensure_future(cut())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))


async def _caught_up(group: Group, traffic: Traffic) -> None:
    """Until the group has read what was acknowledged when this was called, if it does: a group
    that is still busy with one fault when the next comes would be judged by its luck."""
    ends: dict[int, int] = {}
    for partition, offset, _ in traffic.acknowledged:
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    give_up = time.monotonic() + CATCH_UP
    while any(group.read().get(p, 0) < end for p, end in ends.items()):
        if time.monotonic() > give_up:
            return
        await asyncio.sleep(0.05)


async def _faults(
    kafka: KafkaCluster,
    topic: str,
    seconds: float,
    first: int,
    group: Group,
    traffic: Traffic,
    leaders: Leaders,
) -> list[tuple[float, str]]:
    """Freeze one broker, kill the next, and so on, for as long as there is time for it."""
    happened = []
    recovery = Recovery(kafka, topic)
    over = time.monotonic() + seconds
    for turn in itertools.count(first):
        if time.monotonic() + FREEZE > over:
            break
        broker = kafka.brokers[turn % 3]
        freezing = turn % 2 == first % 2
        happened.append(
            (time.monotonic(), f"{'froze' if freezing else 'killed'} {broker.node_id}")
        )
        if freezing:
            broker.freeze()
            await asyncio.sleep(FREEZE)
            broker.thaw()
        else:
            leaders.down.add(broker.node_id)
            await asyncio.to_thread(broker.kill)
            await broker.start_async()
            leaders.down.discard(broker.node_id)
        await recovery.wait()
        await _caught_up(group, traffic)
    await asyncio.sleep(max(0.0, over - time.monotonic()))
    return happened


async def run(
    kafka: KafkaCluster, client: str, seconds: float, folder: Path, first: int = 0
) -> tuple[Figures, Events]:
    """The whole of it; `first` is the broker to begin with."""
    topic = await kafka.truth.create_topic_async(unique_topic("faults"), PARTITIONS)
    group_id = unique_topic("group")
    traffic = Traffic(kafka.bootstrap, topic)
    async with cutting(kafka):
        group = Group(kafka, client, topic, group_id, folder / f"{topic}.journal")
        writer = asyncio.ensure_future(traffic.run())
        try:
            await eventually(
                lambda: writer.done() or len(traffic.acknowledged) > 100 * PARTITIONS, 30
            )
            with Leaders(kafka, topic, group_id) as leaders:
                faults = await _faults(kafka, topic, seconds, first, group, traffic, leaders)
                traffic.end()
                await writer
                ends = await kafka.truth.end_offsets_async(topic)
                ended = await group.read_until(ends, END_TIMEOUT)
        finally:
            traffic.end()
            await asyncio.wait((writer,))
            group.kill()
    assert not traffic.failed, traffic.failed[:3]
    stored = [(r.partition, r.offset) for r in await kafka.truth.read_async(topic)]
    events = Events.read(group.journal)
    figures = work_out(
        client, events, traffic.acknowledged, stored, *leaders.outages(), faults,
        SESSION_TIMEOUT_MS / 1000, ended,
    )  # fmt: skip
    return figures, events
