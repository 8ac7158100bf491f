"""A group of three consumers, of which one after the other leaves and another one joins.

    python group.py CLIENT DIRECT PROXIED TOPIC GROUP OUT

Run with the interpreter whose client is to be looked at; imports nothing of the tests.  Members 0,
3, 6 ... bootstrap with DIRECT, the others with PROXIED, where connections are cut.  Reads lines
from standard input: ``until {"0": 123, ...}`` gives the end offsets to read up to, after which it
stops.  Writes one line to OUT for each event, times being those of the monotonic clock:

    r <time> <member> <partition> <offset>     a record was given out
    g <time> <member> <seconds>                a call of getmany() or its like returned
    j <time> <member> <seconds>                a member had started (and joined)
    s <time> <member> <seconds>                a member had stopped
    a/v/l <time> <member> <partitions>         assigned, revoked, lost
    w <time> <text>                            the client logged a warning or an error
    e <time> <member> <text>                   a call raised an error
    b <time> <seconds>                         the event loop was late by so much
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
import threading
import time
from typing import Any, TextIO

MEMBERS = 3
# A member leaves every so often, and another one joins some seconds later.
CHURN, AWAY = 6.0, 1.0
SESSION_TIMEOUT_MS = 6000
HEARTBEAT_INTERVAL_MS = 1500
GETMANY_MS = 500
GIVE_UP = 60.0


class Journal:
    """Writes events, and knows how far the partitions were read."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._read: dict[int, int] = {}
        self._until: dict[int, int] | None = None
        self._lock = threading.Lock()

    def note(self, kind: str, *what: object) -> None:
        with self._lock:
            words = " ".join(str(word).replace("\n", " | ") for word in what)
            self._out.write(f"{kind} {time.monotonic():.4f} {words}\n")

    def record(self, member: int, partition: int, offset: int) -> None:
        self.note("r", member, partition, offset)
        self._read[partition] = max(self._read.get(partition, 0), offset + 1)

    def listen(self) -> None:
        """Wait for the end offsets."""
        for line in sys.stdin:
            verb, _, rest = line.partition(" ")
            if verb == "until":
                self._until = {int(key): value for key, value in json.loads(rest).items()}
                return
        self._until = {}  # the parent is gone

    @property
    def over(self) -> bool:
        until = self._until
        return until is not None and all(self._read.get(p, 0) >= end for p, end in until.items())

    @property
    def ending(self) -> bool:
        return self._until is not None


class _Lines(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        self._journal.note("w", record.levelname, record.name, record.getMessage())


class AsyncioGroup:
    """Members made of aiokafka's consumer, whichever release."""

    def __init__(self, journal: Journal, options: dict[str, Any], topic: str) -> None:
        import aiokafka

        self._aiokafka = aiokafka
        self._journal = journal
        self._options = options
        self._topic = topic

    def _listener(self, number: int) -> Any:
        journal = self._journal

        class Listener(self._aiokafka.ConsumerRebalanceListener):  # type: ignore[misc,name-defined]
            def on_partitions_revoked(self, revoked: Any) -> None:
                journal.note("v", number, sorted(tp.partition for tp in revoked))

            def on_partitions_assigned(self, assigned: Any) -> None:
                journal.note("a", number, sorted(tp.partition for tp in assigned))

            def on_partitions_lost(self, lost: Any) -> None:
                journal.note("l", number, sorted(tp.partition for tp in lost))

        return Listener()

    async def member(self, number: int, bootstrap: str, leave: asyncio.Event) -> None:
        journal = self._journal
        consumer = self._aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, **self._options)
        consumer.subscribe([self._topic], listener=self._listener(number))
        started = time.monotonic()
        while True:
            try:
                await consumer.start()
                break
            except Exception as error:
                journal.note("e", number, f"start(): {error!r}")
                await consumer.stop()
                if leave.is_set():
                    return
                consumer = self._aiokafka.AIOKafkaConsumer(
                    bootstrap_servers=bootstrap, **self._options
                )
                consumer.subscribe([self._topic], listener=self._listener(number))
        journal.note("j", number, time.monotonic() - started)
        try:
            while not leave.is_set():
                started = time.monotonic()
                try:
                    taken = await consumer.getmany(timeout_ms=GETMANY_MS)
                except Exception as error:
                    journal.note("e", number, f"getmany(): {error!r}")
                    continue
                journal.note("g", number, time.monotonic() - started)
                for tp, records in taken.items():
                    for record in records:
                        journal.record(number, tp.partition, record.offset)
                if taken:
                    await asyncio.sleep(0.005)
        finally:
            started = time.monotonic()
            await consumer.stop()
            journal.note("s", number, time.monotonic() - started)

    async def _late(self) -> None:
        while True:
            due = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            if (late := time.monotonic() - due) > 0.1:
                self._journal.note("b", late)

    async def run(self, addresses: tuple[str, str]) -> None:
        numbers = itertools.count()
        members: list[tuple[asyncio.Task[None], asyncio.Event]] = []
        late = asyncio.ensure_future(self._late())

        def join() -> None:
            number, leave = next(numbers), asyncio.Event()
            bootstrap = addresses[0 if number % MEMBERS == 0 else 1]
            members.append((asyncio.ensure_future(self.member(number, bootstrap, leave)), leave))

        for _ in range(MEMBERS):
            join()
        changed, left = time.monotonic(), False
        give_up: float | None = None
        while not self._journal.over:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            if self._journal.ending:
                give_up = give_up or now + GIVE_UP
                if now > give_up:
                    break
            elif not left and now - changed > CHURN:
                members[0][1].set()
                changed, left = now, True
            if left and now - changed > AWAY:
                join()
                await members.pop(0)[0]
                left = False
        for _, leave in members:
            leave.set()
        await asyncio.gather(*(task for task, _ in members))
        late.cancel()


class ThreadedGroup:
    """Members made of confluent-kafka's consumer, each in a thread."""

    def __init__(self, journal: Journal, options: dict[str, Any], topic: str) -> None:
        self._journal = journal
        self._options = options
        self._topic = topic

    def member(self, number: int, bootstrap: str, leave: threading.Event) -> None:
        import confluent_kafka

        journal = self._journal
        consumer = confluent_kafka.Consumer(
            {
                **self._options,
                "bootstrap.servers": bootstrap,
                "error_cb": lambda error: journal.note("w", "ERROR librdkafka", error),
            },
            logger=logging.getLogger("librdkafka"),
        )
        started: float | None = time.monotonic()

        def assigned(_: Any, partitions: Any) -> None:
            nonlocal started
            journal.note("a", number, sorted(tp.partition for tp in partitions))
            if started is not None:
                journal.note("j", number, time.monotonic() - started)
                started = None

        consumer.subscribe(
            [self._topic],
            on_assign=assigned,
            on_revoke=lambda _, gone: journal.note(
                "v", number, sorted(tp.partition for tp in gone)
            ),
            on_lost=lambda _, gone: journal.note("l", number, sorted(tp.partition for tp in gone)),
        )
        while not leave.is_set():
            asked = time.monotonic()
            message = consumer.poll(GETMANY_MS / 1000)
            journal.note("g", number, time.monotonic() - asked)
            if message is None:
                continue
            if message.error() is not None:
                journal.note("e", number, message.error())
            else:
                journal.record(number, message.partition(), message.offset())
        stopping = time.monotonic()
        consumer.close()
        journal.note("s", number, time.monotonic() - stopping)

    def run(self, addresses: tuple[str, str]) -> None:
        numbers = itertools.count()
        members: list[tuple[threading.Thread, threading.Event]] = []

        def join() -> None:
            number, leave = next(numbers), threading.Event()
            bootstrap = addresses[0 if number % MEMBERS == 0 else 1]
            thread = threading.Thread(target=self.member, args=(number, bootstrap, leave))
            thread.daemon = True
            thread.start()
            members.append((thread, leave))

        for _ in range(MEMBERS):
            join()
        changed, left = time.monotonic(), False
        give_up: float | None = None
        while not self._journal.over:
            time.sleep(0.05)
            now = time.monotonic()
            if self._journal.ending:
                give_up = give_up or now + GIVE_UP
                if now > give_up:
                    break
            elif not left and now - changed > CHURN:
                members[0][1].set()
                changed, left = now, True
            if left and now - changed > AWAY:
                join()
                members.pop(0)
                left = False
        for _, leave in members:
            leave.set()
        for thread, _ in members:
            thread.join(30)


def main() -> None:
    client, direct, proxied, topic, group, out = sys.argv[1:]
    # By lines: a process that has to be killed has told all the same.
    with open(out, "w", buffering=1, encoding="utf-8") as file:
        journal = Journal(file)
        for name in ("aiokafka", "librdkafka", "asyncio"):
            logging.getLogger(name).addHandler(_Lines(journal))
        threading.Thread(target=journal.listen, daemon=True).start()
        if client == "confluent-kafka":
            options: dict[str, Any] = {
                "group.id": group,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": SESSION_TIMEOUT_MS,
                "heartbeat.interval.ms": HEARTBEAT_INTERVAL_MS,
                "auto.commit.interval.ms": 1000,
            }
            ThreadedGroup(journal, options, topic).run((direct, proxied))
            return
        options = {
            "group_id": group,
            "auto_offset_reset": "earliest",
            "session_timeout_ms": SESSION_TIMEOUT_MS,
            "heartbeat_interval_ms": HEARTBEAT_INTERVAL_MS,
            "auto_commit_interval_ms": 1000,
        }
        if client == "aiokafka-cooperative":
            from aiokafka.coordinator.assignors.cooperative_sticky import (
                CooperativeStickyPartitionAssignor,
            )

            options["partition_assignment_strategy"] = [CooperativeStickyPartitionAssignor]
        asyncio.run(AsyncioGroup(journal, options, topic).run((direct, proxied)))


if __name__ == "__main__":
    main()
