"""A producer at work, and in trouble: ``make demo``.

Starts an embedded mock cluster (it comes with confluent-kafka's wheel: no Java, no Docker, no
broker), produces 200,000 messages, checks that the brokers have them, then freezes the brokers
while messages are in flight.  A ``send()`` to a topic that the client has not met yet then needs
metadata that cannot come: it ends after ``max_block_ms``, and says why.  After the thaw the same
producer goes on by itself.

The exit status is 1 when anything is not as promised.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.table import Table

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import RecordMetadata

MESSAGES = 200_000
MESSAGE_SIZE = 100
CHUNK = 5_000  # messages sent before older acknowledgements are looked at
MAX_BLOCK_MS = 2_000
SLACK = 1.1  # a bound holds when the call ends within it plus 10 %
RECOVERY = 2.0  # seconds after the thaw: the longest backoff is one of them
WHOLE_DEMO = 120.0
QUIET = {"log_level": 2}  # librdkafka, which plays the cluster and the witness, logs by itself

Acknowledgement = asyncio.Future[RecordMetadata | None]


class MockCluster:
    """librdkafka's mock brokers, in a process of their own so that they can be frozen."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--mock-cluster"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.bootstrap = self._process.stdout.readline().strip()
        if not self.bootstrap:
            raise RuntimeError("the mock cluster did not start")

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        # The signal takes effect a moment later: wait until every thread stands still.
        os.waitpid(self._process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    @staticmethod
    def run() -> None:
        """What the child process does: be a cluster until the parent is gone."""
        if sys.platform == "linux":
            pr_set_pdeathsig = 1
            ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        client = AdminClient({"bootstrap.servers": "mock", "test.mock.num.brokers": 3, **QUIET})
        brokers = client.list_topics(timeout=10).brokers.values()
        print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
        sys.stdin.read()


class Report:
    """Prints what happens, and remembers what was not as promised."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.failed: list[str] = []

    def title(self, text: str) -> None:
        self.console.print()
        self.console.print(Rule(f"[bold]{text}", align="left"))

    def say(self, text: str, mark: str = "") -> None:
        row = Table.grid(padding=(0, 1))
        row.add_column(width=7)
        row.add_column()
        row.add_row(f"  {mark}", text)
        self.console.print(row)

    def check(self, kept: bool, text: str) -> None:
        self.say(text, "[green]ok[/]" if kept else "[bold red]WRONG[/]")
        if not kept:
            self.failed.append(text)


class Warnings(logging.Handler):
    """Counts the warnings that the client logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def describe(error: Exception | None) -> str:
    if error is None:
        return "nothing"
    kind = type(error).__name__
    text = str(error).removeprefix(f"{kind}: ")
    if isinstance(error, KafkaTimeoutError) and kind != "KafkaTimeoutError":
        kind += " (a KafkaTimeoutError)"
    return f"{kind}: {text}"


def value(number: int) -> bytes:
    return b"%08d" % number + b"." * (MESSAGE_SIZE - 8)


def partitions(witness: Consumer, topic: str) -> list[int]:
    return sorted(witness.list_topics(topic, timeout=10).topics[topic].partitions)


def stored(witness: Consumer, topic: str) -> int:
    """How many messages the brokers have been given, as they tell another client."""
    return sum(
        witness.get_watermark_offsets(TopicPartition(topic, number), timeout=10, cached=False)[1]
        for number in partitions(witness, topic)
    )


def read_back(witness: Consumer, topic: str) -> list[int]:
    """The numbers of the messages that the brokers still hold: mock ones keep 5 MB a partition."""
    numbers: list[int] = []
    left = {
        number: witness.get_watermark_offsets(TopicPartition(topic, number), 10, cached=False)[1]
        for number in partitions(witness, topic)
    }
    witness.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
    left = {number: end for number, end in left.items() if end}
    give_up = time.monotonic() + 20
    while left and time.monotonic() < give_up:
        for message in witness.consume(10_000, timeout=0.5):
            if message.error() is None:
                numbers.append(int(message.value()[:8]))
                if message.offset() + 1 >= left.get(message.partition(), 0):
                    left.pop(message.partition(), None)
    witness.unassign()
    return numbers


async def produce(report: Report, producer: AIOKafkaProducer, topic: str) -> None:
    """200,000 messages, as fast as they go."""
    acknowledged = 0
    outstanding: deque[list[Acknowledgement]] = deque()
    columns = (
        TextColumn("  [bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>9,.0f} messages/s"),
        TimeElapsedColumn(),
    )
    started = time.monotonic()
    with Progress(*columns, console=report.console, refresh_per_second=10) as progress:
        bar = progress.add_task("acknowledged", total=MESSAGES, rate=0.0)
        for first in range(0, MESSAGES, CHUNK):
            chunk = range(first, first + CHUNK)
            outstanding.append([await producer.send(topic, value(number)) for number in chunk])
            last = chunk.stop == MESSAGES
            while outstanding and (last or len(outstanding) > 3):
                acknowledged += len(await asyncio.gather(*outstanding.popleft()))
                rate = acknowledged / (time.monotonic() - started)
                progress.update(bar, completed=acknowledged, rate=rate)
    elapsed = time.monotonic() - started
    report.check(
        acknowledged == MESSAGES,
        f"{acknowledged:,} of {MESSAGES:,} messages of {MESSAGE_SIZE} bytes acknowledged by all "
        f"replicas in {elapsed:.1f} s: {acknowledged / elapsed:,.0f} a second",
    )


async def verify(report: Report, witness: Consumer, topic: str) -> None:
    """Ask another client what the brokers have."""
    count = await asyncio.to_thread(stored, witness, topic)
    report.check(count == MESSAGES, f"the brokers counted {count:,} messages")
    numbers = await asyncio.to_thread(read_back, witness, topic)
    legible = len(set(numbers)) == len(numbers) and set(numbers) <= set(range(MESSAGES))
    report.check(
        bool(numbers) and legible,
        f"confluent-kafka read {len(numbers):,} of them back (all that mock brokers keep), "
        "each of them once",
    )


class Traffic:
    """2,000 messages a second to a topic that the producer knows, until told to stop."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self.futures: list[Acknowledgement] = []
        self.longest_send = 0.0
        self._producer = producer
        self._topic = topic
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
        for _ in range(count):
            before = time.monotonic()
            self.futures.append(await self._producer.send(self._topic, value(0)))
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
        self._stopped = True
        await self._task


async def trouble(
    report: Report, producer: AIOKafkaProducer, cluster: MockCluster, traffic: Traffic, topic: str
) -> None:
    """Freeze the brokers with messages in flight, and send to a topic not met before."""
    warnings = Warnings()
    logging.getLogger("aiokafka").addHandler(warnings)
    report.say("A background task goes on sending 2,000 messages a second")
    await traffic.flowing()
    await traffic.burst(1_000)
    cluster.freeze()
    before = len(traffic.futures)
    report.say(f"SIGSTOP to the brokers; {traffic.pending:,} messages are on their way")
    report.say(f"await producer.send({topic!r}, ...) with max_block_ms={MAX_BLOCK_MS} ...")
    budget = MAX_BLOCK_MS / 1000
    started = time.monotonic()
    error: Exception | None = None
    try:
        await producer.send(topic, b"anybody there?")
    except Exception as exc:
        error = exc
    elapsed = time.monotonic() - started
    report.check(
        isinstance(error, KafkaTimeoutError),
        f"it raised [yellow]{escape(describe(error))}[/]",
    )
    report.check(
        budget * 0.95 <= elapsed <= budget * SLACK,
        f"after {elapsed:.2f} s (bound: {budget:.1f} s; aiokafka 0.14 takes 40 s)",
    )
    report.check(1 <= warnings.count <= 5, f"{warnings.count} warning(s) in the log, as above")
    await traffic.stop()
    report.check(
        len(traffic.futures) > before and traffic.longest_send < budget,
        f"meanwhile send() took in {len(traffic.futures) - before:,} messages more for the topic "
        f"it knows; the slowest of these calls took {traffic.longest_send * 1000:.0f} ms",
    )
    logging.getLogger("aiokafka").removeHandler(warnings)


async def recovery(
    report: Report, producer: AIOKafkaProducer, cluster: MockCluster, traffic: Traffic, topic: str
) -> None:
    """Thaw the brokers: the same producer goes on."""
    pending = traffic.pending
    cluster.thaw()
    thawed = time.monotonic()
    report.say("SIGCONT to the brokers")
    try:
        metadata = await producer.send_and_wait(topic, b"there you are")
    except Exception as exc:
        report.check(False, f"send_and_wait({topic!r}, ...) raised {escape(repr(exc))}")
    else:
        elapsed = time.monotonic() - thawed
        assert metadata is not None
        report.check(
            elapsed <= RECOVERY,
            f"send_and_wait({topic!r}, ...) was acknowledged {elapsed:.2f} s after the thaw: "
            f"partition {metadata.partition}, offset {metadata.offset}",
        )
    results = await asyncio.gather(*traffic.futures, return_exceptions=True)
    lost = [result for result in results if isinstance(result, BaseException)]
    elapsed = time.monotonic() - thawed
    report.check(
        not lost,
        f"the {pending:,} messages that were on their way: "
        + (f"{len(lost):,} failed, {escape(repr(lost[0]))}" if lost else "all acknowledged")
        + f", {elapsed:.2f} s after the thaw",
    )


async def demo(report: Report, cluster: MockCluster) -> None:
    witness = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "witness", **QUIET})
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap,
        acks="all",
        max_block_ms=MAX_BLOCK_MS,
    )
    await producer.start()
    try:
        report.title(f"1. {MESSAGES:,} messages")
        await produce(report, producer, "demo")
        await verify(report, witness, "demo")
        report.title("2. The brokers freeze")
        traffic = Traffic(producer, "demo")
        await trouble(report, producer, cluster, traffic, "a-new-topic")
        report.title("3. The brokers are back")
        await recovery(report, producer, cluster, traffic, "a-new-topic")
    finally:
        cluster.thaw()
        witness.close()
        await producer.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mock-cluster", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().mock_cluster:
        MockCluster.run()
        return 0
    report = Report()
    handler = RichHandler(console=report.console, show_path=False, log_time_format="  log %X")
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", handlers=[handler])
    started = time.monotonic()
    cluster = MockCluster()
    report.say(f"A mock cluster of three brokers: {cluster.bootstrap}")
    try:
        asyncio.run(asyncio.wait_for(demo(report, cluster), WHOLE_DEMO))
    except asyncio.TimeoutError:
        report.check(False, f"the demo was not done after {WHOLE_DEMO:.0f} s")
    finally:
        cluster.close()
    report.console.print()
    if report.failed:
        report.console.print(f"[bold red]{len(report.failed)} thing(s) not as promised:")
        for text in report.failed:
            report.console.print(f"  - {text}")
        return 1
    report.console.print(
        f"[bold green]All as promised[/], in {time.monotonic() - started:.0f} seconds."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
