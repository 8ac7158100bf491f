"""Groups of which Java's, kafka-python's and our consumers are members at once."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.structs import TopicPartition
from tests.integration.conftest import MakeTopic, unique_topic
from tests.integration.consuming import Moves, consuming, fill_async, numbers, reading, until
from tests.kafka import KafkaCluster

with warnings.catch_warnings():
    # Its own use of a deprecated function is no concern of ours.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka as kafka_python
    from kafka.coordinator.assignors.range import RangePartitionAssignor as TheirRange
    from kafka.coordinator.assignors.roundrobin import (
        RoundRobinPartitionAssignor as TheirRoundRobin,
    )

_MEMBER = Path(__file__).parent / "java" / "Member.java"
_JAVA = "org.apache.kafka.clients.consumer"
PARTITIONS = 6

Places = set[tuple[int, int]]


class JavaMember:
    """Java's consumer in a process."""

    def __init__(self, kafka: KafkaCluster, topic: str, group: str, assignor: str) -> None:
        self.assignment: set[int] = set()
        self.records: list[tuple[int, int]] = []
        self._process = subprocess.Popen(
            kafka.java_command(_MEMBER, topic, group, f"{_JAVA}.{assignor}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            kind, *places = line.split()
            if kind == "record":
                self.records.append((int(places[0]), int(places[1])))
            elif kind == "assigned":
                self.assignment |= set(map(int, places))
            elif kind in ("revoked", "lost"):
                self.assignment -= set(map(int, places))

    def leave(self) -> None:
        """Leave the group; blocks."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(15)
        finally:
            self._process.kill()
            self._process.wait()
            self._thread.join(5)
            self._process.stdout.close()


class KafkaPythonMember:
    """kafka-python's consumer in a thread."""

    def __init__(self, kafka: KafkaCluster, topic: str, group: str, assignor: Any) -> None:
        self.assignment: set[int] = set()
        self.records: list[tuple[int, int]] = []
        self._over = threading.Event()
        self._consumer: Any = kafka_python.KafkaConsumer(
            topic,
            bootstrap_servers=kafka.bootstrap,
            group_id=group,
            partition_assignment_strategy=[assignor],
            auto_offset_reset="earliest",
            auto_commit_interval_ms=500,
            session_timeout_ms=6000,
            heartbeat_interval_ms=500,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._over.is_set():
            for records in self._consumer.poll(timeout_ms=100).values():
                self.records += [(record.partition, record.offset) for record in records]
            self.assignment = {tp.partition for tp in self._consumer.assignment()}
        self._consumer.close()

    def leave(self) -> None:
        """Leave the group; blocks."""
        self._over.set()
        self._thread.join(15)


@contextlib.asynccontextmanager
async def _member(make: Any, *args: Any) -> AsyncIterator[Any]:
    member = await asyncio.to_thread(make, *args)
    try:
        yield member
    finally:
        await asyncio.to_thread(member.leave)


def _ours(reader: Any) -> set[int]:
    return {tp.partition for tp in reader.consumer.assignment()}


def _shared(assignments: list[set[int]], partitions: int = PARTITIONS) -> bool:
    return (
        sum(map(len, assignments)) == partitions == len(set().union(*assignments))
        and max(map(len, assignments)) - min(map(len, assignments)) <= 1
    )


def _places(*members: Any) -> Iterator[tuple[int, int]]:
    for member in members:
        for record in member.records:
            yield record if isinstance(record, tuple) else (record.partition, record.offset)


async def _fill_all(server: str, topic: str, count: int) -> None:
    for partition in range(PARTITIONS):
        await fill_async(server, topic, numbers(count), partition)


@pytest.mark.parametrize(
    ("assignor", "java", "python"),
    [
        (RangePartitionAssignor, "RangeAssignor", TheirRange),
        (RoundRobinPartitionAssignor, "RoundRobinAssignor", TheirRoundRobin),
        (CooperativeStickyPartitionAssignor, "CooperativeStickyAssignor", None),
    ],
    ids=["range", "roundrobin", "cooperative-sticky"],
)
async def test_mixed_groups(
    kafka: KafkaCluster, make_topic: MakeTopic, assignor: Any, java: str, python: Any
) -> None:
    topic, group, moves = await make_topic(partitions=PARTITIONS), unique_topic("group"), Moves()
    server = kafka.bootstrap
    await _fill_all(server, topic, 20)
    # Java first: it leads the group, so that its assignor does the work; at the end ours does.
    async with contextlib.AsyncExitStack() as stack:
        theirs: list[Any] = [
            await stack.enter_async_context(_member(JavaMember, kafka, topic, group, java))
        ]
        await until(lambda: len(theirs[0].assignment) == PARTITIONS, 20, "Java reads alone")
        ours = [
            await stack.enter_async_context(
                reading(
                    server, topic, group_id=group, listener=moves,
                    partition_assignment_strategy=[assignor],
                )
            )
        ]  # fmt: skip
        if python is not None:
            theirs.append(
                await stack.enter_async_context(
                    _member(KafkaPythonMember, kafka, topic, group, python)
                )
            )
        else:
            ours.append(
                await stack.enter_async_context(
                    reading(
                        server, topic, group_id=group, partition_assignment_strategy=[assignor]
                    )
                )
            )
        await until(
            lambda: _shared([*(m.assignment for m in theirs), *map(_ours, ours)]),
            20,
            "three share",
        )
        await _fill_all(server, topic, 20)
        wanted = {(p, o) for p in range(PARTITIONS) for o in range(40)}
        await until(lambda: wanted <= set(_places(*theirs, *ours)), 15, "everything is read")
        assert all(list(_places(member)) for member in ours)
        # They leave: ours have everything, from where the others have committed.
        for member in theirs:
            await asyncio.to_thread(member.leave)
        await until(lambda: _shared([*map(_ours, ours)]), 15, "ours share what the others had")
        await _fill_all(server, topic, 20)
        wanted = {(p, o) for p in range(PARTITIONS) for o in range(60)}
        await until(lambda: wanted <= set(_places(*theirs, *ours)), 15, "everything is read")
        # Nothing that others had read and committed comes again.
        for member in theirs:
            seen = sorted(set(_places(*ours)) & set(_places(member)))
            assert not [place for place in seen if place[1] < 20]
    # And the other way round: the offsets that ours have committed are read by theirs.
    async with _member(JavaMember, kafka, topic, group, java) as last:
        await until(lambda: len(last.assignment) == PARTITIONS, 20, "Java reads alone")
        await _fill_all(server, topic, 1)
        await until(lambda: len(last.records) >= PARTITIONS, 10, "read on")
        assert sorted(last.records) == [(p, 60) for p in range(PARTITIONS)]


async def test_kafka_python_and_ours_go_on_from_each_other(
    kafka: KafkaCluster, topic: str
) -> None:
    group, server = unique_topic("group"), kafka.bootstrap
    await fill_async(server, topic, numbers(10))
    tp = TopicPartition(topic, 0)
    async with _member(KafkaPythonMember, kafka, topic, group, TheirRange) as theirs:
        await until(lambda: len(theirs.records) == 10, 30, "read")
    async with consuming(
        server, topic, group_id=group, partition_assignment_strategy=[RangePartitionAssignor]
    ) as consumer:
        assert await consumer.committed(tp) == 10
        await fill_async(server, topic, numbers(5))
        assert (await consumer.getone()).offset == 10
    async with _member(KafkaPythonMember, kafka, topic, group, TheirRange) as theirs:
        await until(lambda: len(theirs.records) == 4, 30, "read on")
        assert theirs.records[0] == (0, 11)
