"""Nothing acknowledged is lost while brokers are killed and frozen in turn.

Four producers write to one topic side by side at the same rate, ours and librdkafka's, each
without and with idempotence, so that every fault meets all of them alike.  An independent
consumer then reads the topic from its beginning.

`AIOKAFKA_SOAK_SECONDS` sets how long they write (default 45).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import ElectionType, TopicPartition

from aiokafka import AIOKafkaProducer
from tests.integration.conftest import unique_topic
from tests.integration.support import eventually
from tests.kafka import KafkaCluster, StoredRecord

SOAK_SECONDS = float(os.environ.get("AIOKAFKA_SOAK_SECONDS") or 45)
PARTITIONS = 6
# Every producer: three records each hundredth of a second, 300 a second.
PAUSE, BURST = 0.01, 3
REQUEST_TIMEOUT_MS = 6000
FREEZE = 8.0


@dataclass
class Account:
    """What a producer was told about each of its records."""

    name: str
    sent: int = 0
    acknowledged: dict[int, tuple[int, int]] = field(default_factory=dict)
    errors: list[tuple[int, BaseException | str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def value(self, number: int) -> bytes:
        return b"%s %d" % (self.name.encode(), number)

    @property
    def settled(self) -> int:
        return len(self.acknowledged) + len(self.errors)

    @property
    def longest_wait(self) -> float:
        return max(self.waits)


async def _ours(bootstrap: str, topic: str, account: Account, over: asyncio.Event, **options: Any):
    """Send at the rate until told to end; then wait for every acknowledgement."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        linger_ms=5,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **options,
    )
    await producer.start()
    loop = asyncio.get_running_loop()

    def note(number: int, started: float, future: asyncio.Future[Any]) -> None:
        account.waits.append(time.monotonic() - started)
        error = future.exception()
        if error is not None:
            account.errors.append((number, error))
        else:
            metadata = future.result()
            account.acknowledged[number] = metadata.partition, metadata.offset

    numbers = itertools.count()
    due = loop.time()
    try:
        while not over.is_set():
            for number in itertools.islice(numbers, BURST):
                started = time.monotonic()
                account.sent += 1
                future = await producer.send(
                    topic, account.value(number), partition=number % PARTITIONS
                )
                future.add_done_callback(
                    lambda f, n=number, t=started: note(n, t, f)  # type: ignore[misc]
                )
            due += PAUSE
            await asyncio.sleep(max(0.0, due - loop.time()))
        await producer.flush()
    finally:
        await producer.stop()


def _theirs(
    bootstrap: str, topic: str, account: Account, over: threading.Event, **options: Any
) -> None:
    """The same with librdkafka, in a thread."""
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 5,
            "request.timeout.ms": REQUEST_TIMEOUT_MS,
            "socket.timeout.ms": REQUEST_TIMEOUT_MS,
            "message.timeout.ms": 120_000,
            "log_level": 2,
            **options,
        }
    )

    def noting(number: int, started: float) -> Callable[[Any, Any], None]:
        def note(error: Any, message: Any) -> None:
            account.waits.append(time.monotonic() - started)
            if error is not None:
                account.errors.append((number, str(error)))
            else:
                account.acknowledged[number] = message.partition(), message.offset()

        return note

    numbers = itertools.count()
    due = time.monotonic()
    while not over.is_set():
        for number in itertools.islice(numbers, BURST):
            account.sent += 1
            producer.produce(
                topic,
                account.value(number),
                partition=number % PARTITIONS,
                on_delivery=noting(number, time.monotonic()),
            )
        due += PAUSE
        while (left := due - time.monotonic()) > 0:
            producer.poll(left)
    assert producer.flush(130) == 0


class Recovery:
    """Tells when a fault is over and the next may come."""

    def __init__(self, kafka: KafkaCluster, topic: str) -> None:
        self._admin = kafka.truth.admin
        self._topic = topic
        self._probe = confluent_kafka.Producer(
            {"bootstrap.servers": kafka.bootstrap, "acks": "all", "log_level": 2}
        )

    def _write(self) -> None:
        # A broker that was killed stays among the in-sync replicas until its session is over, so
        # that they may be complete because nobody has noticed.  A record that all of them have
        # is the proof.
        for partition in range(PARTITIONS):
            self._probe.produce(self._topic, b"probe 0", partition=partition)
        assert self._probe.flush(60) == 0

    def _in_sync(self) -> bool:
        found = self._admin.list_topics(self._topic, timeout=10).topics[self._topic]
        return all(len(p.isrs) == 3 for p in found.partitions.values())

    async def wait(self) -> None:
        """Until all replicas of every partition are in sync."""
        await asyncio.to_thread(self._write)
        while not await asyncio.to_thread(self._in_sync):
            await asyncio.sleep(0.1)


async def _caught_up(accounts: Iterable[Account]) -> None:
    """Until every producer has delivered what it had when this was called: a producer that is
    still busy with one fault when the next comes would be judged by its luck."""
    for account, sent in [(account, account.sent) for account in accounts]:
        await eventually(lambda account=account, sent=sent: account.settled >= sent, 60)


async def _faults(
    kafka: KafkaCluster, topic: str, seconds: float, accounts: Iterable[Account]
) -> list[str]:
    """Freeze one broker, kill the next, and so on, for as long as there is time for it."""
    happened = []
    recovery = Recovery(kafka, topic)
    over = time.monotonic() + seconds
    for turn in itertools.count():
        broker = kafka.brokers[turn % 3]
        if turn % 2 == 0:
            if time.monotonic() + FREEZE > over:
                break
            happened.append(f"froze {broker.node_id}")
            broker.freeze()
            await asyncio.sleep(FREEZE)
            broker.thaw()
        else:
            happened.append(f"killed {broker.node_id}")
            await asyncio.to_thread(broker.kill)
            await broker.start_async()
        await recovery.wait()
        await _caught_up(accounts)
    await asyncio.sleep(max(0.0, over - time.monotonic()))
    return happened


def _check_records(account: Account, records: Iterable[StoredRecord], *, exact: bool) -> None:
    """`exact`: each record once and in order, not only each acknowledged one at least once."""
    stored: dict[int, list[tuple[int, int]]] = defaultdict(list)
    order: dict[int, list[int]] = defaultdict(list)
    for record in records:
        assert record.value is not None
        name, _, number = record.value.decode().rpartition(" ")
        if name == account.name:
            stored[int(number)].append((record.partition, record.offset))
            order[record.partition].append(int(number))
    lost = [n for n in account.acknowledged if n not in stored]
    assert not lost, f"{account.name}: acknowledged and lost: {lost[:20]} ({len(lost)})"
    misplaced = [n for n, place in account.acknowledged.items() if place not in stored[n]]
    assert not misplaced, f"{account.name}: not where it was said to be: {misplaced[:20]}"
    if exact:
        twice = {n: places for n, places in stored.items() if len(places) > 1}
        assert not twice, f"{account.name}: stored twice: {list(twice.items())[:10]}"
        for partition, numbers in order.items():
            assert numbers == sorted(numbers), f"{account.name}: reordered in {partition}"


@pytest.mark.slow
@pytest.mark.timeout(SOAK_SECONDS * 2 + 240)
async def test_brokers_die_and_freeze_in_turn(kafka3: KafkaCluster) -> None:
    topic = await kafka3.truth.create_topic_async(unique_topic("durable"), PARTITIONS)
    plain, exact = Account("aiokafka"), Account("aiokafka idempotent")
    rd_plain, rd_exact = Account("librdkafka"), Account("librdkafka idempotent")
    ours_over, theirs_over = asyncio.Event(), threading.Event()
    bootstrap = kafka3.bootstrap
    writers = [
        asyncio.ensure_future(coro)
        for coro in (
            _ours(bootstrap, topic, plain, ours_over),
            _ours(bootstrap, topic, exact, ours_over, enable_idempotence=True),
            asyncio.to_thread(_theirs, bootstrap, topic, rd_plain, theirs_over),
            asyncio.to_thread(
                _theirs, bootstrap, topic, rd_exact, theirs_over, **{"enable.idempotence": True}
            ),
        )
    ]
    try:
        accounts = (plain, exact, rd_plain, rd_exact)
        await eventually(lambda: all(account.acknowledged for account in accounts), 30)
        happened = await _faults(kafka3, topic, SOAK_SECONDS, accounts)
    finally:
        ours_over.set()
        theirs_over.set()
        await asyncio.wait(writers)
    await asyncio.gather(*writers)
    for account in accounts:
        print(
            f"{account.name}: {account.sent} sent, {len(account.acknowledged)} acknowledged,"
            f" {len(account.errors)} failed, longest wait {account.longest_wait:.2f} s"
        )
    print(", ".join(happened))

    assert len(happened) >= min(3, SOAK_SECONDS // 15)
    records = await kafka3.truth.read_async(topic)
    for account in accounts:
        assert account.settled == account.sent
    for account in (plain, exact):
        assert account.sent >= SOAK_SECONDS * BURST / PAUSE * 0.7
        assert not account.errors, account.errors[:5]
    _check_records(plain, records, exact=False)
    _check_records(exact, records, exact=True)
    for account, other in ((plain, rd_plain), (exact, rd_exact)):
        assert account.longest_wait <= other.longest_wait * 1.15 + 0.5


@pytest.mark.parametrize("idempotent", [False, True], ids=["plain", "idempotent"])
async def test_leaders_move(kafka3: KafkaCluster, idempotent: bool) -> None:
    """Preferred leaders are elected back and forth while records are sent: no fault, no loss,
    and no long wait."""
    topic = await kafka3.truth.create_topic_async(unique_topic("moving"), PARTITIONS)
    account = Account("aiokafka")
    over = asyncio.Event()
    writer = asyncio.ensure_future(
        _ours(kafka3.bootstrap, topic, account, over, enable_idempotence=idempotent)
    )
    try:
        await eventually(lambda: len(account.acknowledged) > 100)
        preferred = kafka3.truth.leaders(topic)
        recovery = Recovery(kafka3, topic)
        for broker in kafka3.brokers[:2]:
            await broker.restart_async()
            await recovery.wait()
            assert set(kafka3.truth.leaders(topic).values()) != set(preferred.values())
            partitions = [TopicPartition(topic, p) for p in range(PARTITIONS)]
            election = kafka3.truth.admin.elect_leaders(ElectionType.PREFERRED, partitions)
            await asyncio.to_thread(election.result, 30)
            while await asyncio.to_thread(kafka3.truth.leaders, topic) != preferred:
                await asyncio.sleep(0.05)
            seen = len(account.acknowledged)
            await eventually(lambda seen=seen: len(account.acknowledged) > seen + 200)
    finally:
        over.set()
        await asyncio.wait((writer,))
    await writer
    print(f"{account.sent} sent, longest wait {account.longest_wait:.2f} s")
    assert not account.errors
    assert account.settled == account.sent
    records = await kafka3.truth.read_async(topic)
    # Nothing was lost on the way, so nothing was sent twice, with or without idempotence.
    _check_records(account, records, exact=idempotent)
    # No request is left unanswered, so that none is waited for in vain.  What remains is the
    # cluster's own: followers pause for a second (replica.fetch.backoff.ms) when a leader moves.
    assert account.longest_wait < REQUEST_TIMEOUT_MS / 1000 / 2
