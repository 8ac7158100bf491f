"""Answers to Fetch that no broker should give: nothing lost, nothing crashed, no runaway."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from aiokafka.errors import KafkaError

from .lab import TP, numbers, partition_rows, rewriting, running, virtual

RECORDS = 6
Values = dict[str, Any]


def rows(**changes: Any) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        for row in partition_rows(values):
            row.update(changes)

    return change


def doubled(values: Values) -> None:
    for topic in values["topics"]:
        topic["partitions"] = topic["partitions"] * 3
    values["topics"] = values["topics"] * 3


def foreign_partitions(values: Values) -> None:
    for topic in values["topics"]:
        topic["partitions"] += [
            {**row, "partition": number}
            for row in topic["partitions"]
            for number in (-1, 7, 2**31 - 1)
        ]


def foreign_topic(values: Values) -> None:
    values["topics"] += [
        {**topic, "topic": "other", "topic_id": UUID(int=7)} for topic in values["topics"]
    ]


def only_foreign(values: Values) -> None:
    for topic in values["topics"]:
        topic["topic_id"] = UUID(int=7)


def wrong_partition(values: Values) -> None:
    for row in partition_rows(values):
        row["partition"] += 1


def nothing(values: Values) -> None:
    values["topics"] = []


def no_rows(values: Values) -> None:
    for topic in values["topics"]:
        topic["partitions"] = []


def session(number: int) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        values["session_id"] = number

    return change


def sessions_change(values: Values, ids: Any = itertools.count(5)) -> None:  # noqa: B008
    values["session_id"] = next(ids)


def cut_short(values: Values) -> None:
    for row in partition_rows(values):
        row["message_set"] = bytes(row["message_set"] or b"")[:-1]


def noise(values: Values) -> None:
    for row in partition_rows(values):
        row["message_set"] = bytes(range(256)) * 4


def flipped(at: int, value: int) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        for row in partition_rows(values):
            if row["message_set"]:
                data = bytearray(row["message_set"])
                data[at : at + 4] = value.to_bytes(4, "big", signed=True)
                row["message_set"] = bytes(data)

    return change


def repeated(values: Values) -> None:
    """Overlapping batches."""
    for row in partition_rows(values):
        row["message_set"] = bytes(row["message_set"] or b"") * 3


#: Those that do not keep the records from coming.
HARMLESS = {
    "no high watermark": rows(highwater_offset=-1),
    "high watermark below the position": rows(highwater_offset=0, last_stable_offset=0),
    "least numbers": rows(
        highwater_offset=-(2**63), last_stable_offset=-(2**63), log_start_offset=-(2**63)
    ),
    "largest numbers": rows(
        highwater_offset=2**63 - 1, last_stable_offset=2**63 - 1, log_start_offset=2**63 - 1
    ),
    "unknown replica": rows(preferred_read_replica=99),
    "everything three times": doubled,
    "partitions not asked for": foreign_partitions,
    "a topic not asked for": foreign_topic,
    "negative session": session(-7),
    "no session": session(0),
    "another session each time": sessions_change,
    "overlapping batches": repeated,
    "odd aborted list": rows(
        aborted_transactions=[
            {"producer_id": n % 3 - 1, "first_offset": (n * 7919) % 100 - 50} for n in range(1000)
        ]
    ),
    "huge leader epoch": flipped(12, 2**31 - 1),
    "negative leader epoch": flipped(12, -(2**31)),
}

#: Those after which they come.
HARMFUL = {
    "another partition": wrong_partition,
    "another topic": only_foreign,
    "nothing": nothing,
    "no partitions": no_rows,
    "no records": rows(message_set=None),
    "cut short": cut_short,
    "noise": noise,
    "batch of negative length": flipped(8, -1),
    "batch of huge length": flipped(8, 2**31 - 1),
    "bad checksum": flipped(17, 12345),
    "negative count": flipped(57, -1),
    "huge count": flipped(57, 2**31 - 1),
    "negative last offset": flipped(23, -5),
    "huge last offset": flipped(23, 2**31 - 1),
    "unknown magic": flipped(16, 0x7F000000),
    "unknown error": rows(error_code=32000),
    "negative error": rows(error_code=-32000),
    "out of range": rows(error_code=1),
    "not the leader, a hint to nobody": rows(
        error_code=6, current_leader={"leader_id": 99, "leader_epoch": 1000}
    ),
}


@pytest.mark.parametrize("isolation_level", ["read_uncommitted", "read_committed"])
@pytest.mark.parametrize("name", HARMLESS)
@virtual
async def test_harmless(name, isolation_level):
    async with running(records=RECORDS, isolation_level=isolation_level, brokers=2) as (
        kafka,
        consumer,
    ):
        rewriting(kafka, "Fetch", HARMLESS[name])
        consumer.seek(TP, 0)
        assert await numbers(consumer, RECORDS) == list(range(RECORDS))
        before = kafka.count("Fetch")
        assert await consumer.getmany(timeout_ms=10_000) == {}
        assert kafka.count("Fetch") - before < 150, "a runaway"
        str(consumer.health())
        assert await consumer.position(TP) == RECORDS


@pytest.mark.parametrize("name", HARMFUL)
@virtual
async def test_harmful(name):
    async with running(records=RECORDS, brokers=2) as (kafka, consumer):
        rewriting(kafka, "Fetch", HARMFUL[name])
        consumer.seek(TP, 0)
        before = kafka.count("Fetch")
        errors = 0
        for _ in range(20):
            try:
                assert await consumer.getmany(timeout_ms=500) == {}
            except KafkaError:
                errors += 1
        assert kafka.count("Fetch") - before < 250, "a runaway"
        str(consumer.health())
        kafka.faults.clear()
        assert await consumer.position(TP) == 0
        for _ in range(3):
            try:
                assert await numbers(consumer, RECORDS) == list(range(RECORDS))
            except KafkaError:
                continue
            break
        else:
            raise AssertionError("it does not recover")
        await asyncio.sleep(0)
