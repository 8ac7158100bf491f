"""Coordinators and leaders that answer nonsense: an error or recovery, no crash, no runaway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from .lab import log_lines, make, now, numbers, rewriting, running, virtual

Values = dict[str, Any]


def setting(**changes: Any) -> Callable[[Values], None]:
    return lambda values: values.update(changes)


def assigned(*topics: tuple[str, list[int]]) -> Callable[[Values], None]:
    data = ConsumerProtocolMemberAssignment(0, list(topics), b"").encode()
    return setting(member_assignment=data)


def doubled_members(values: Values) -> None:
    values["members"] = values["members"] * 3


def undecodable_members(values: Values) -> None:
    for member in values["members"]:
        member["member_metadata"] = b"\xff" * 5


def with_stranger(values: Values) -> None:
    if values["members"]:
        values["members"] += [{**values["members"][0], "member_id": "", "member_metadata": b""}]


def committed(**changes: Any) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        for group in values["groups"]:
            for topic in group["topics"]:
                for row in topic["partitions"]:
                    row.update(changes)

    return change


def no_committed_topics(values: Values) -> None:
    for group in values["groups"]:
        group["topics"] = []


def coordinators(**changes: Any) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        for row in values["coordinators"]:
            row.update(changes)

    return change


CASES: dict[str, tuple[str, Callable[[Values], None]]] = {
    "join: no members": ("JoinGroup", setting(members=[])),
    "join: members twice": ("JoinGroup", doubled_members),
    "join: undecodable members": ("JoinGroup", undecodable_members),
    "join: a stranger": ("JoinGroup", with_stranger),
    "join: no member id": ("JoinGroup", setting(member_id="")),
    "join: no leader": ("JoinGroup", setting(leader_id="")),
    "join: generation -1": ("JoinGroup", setting(generation_id=-1)),
    "join: another protocol": ("JoinGroup", setting(group_protocol="unheard of")),
    "join: no protocol": ("JoinGroup", setting(group_protocol=None)),
    "join: another type": ("JoinGroup", setting(protocol_type="connect")),
    "join: member id required for ever": ("JoinGroup", setting(error_code=79, member_id="x")),
    "join: unknown member for ever": ("JoinGroup", setting(error_code=25)),
    "join: not the coordinator for ever": ("JoinGroup", setting(error_code=16)),
    "sync: empty": ("SyncGroup", setting(member_assignment=b"")),
    "sync: noise": ("SyncGroup", setting(member_assignment=b"\x00\x00\xff\xff\xff\xff\x07")),
    "sync: negative version": ("SyncGroup", setting(member_assignment=b"\xff\xff" + bytes(8))),
    "sync: a foreign topic": ("SyncGroup", assigned(("other", [0]))),
    "sync: foreign partitions": ("SyncGroup", assigned(("t", [0, 1, -3, 99, 2**31 - 1]))),
    "sync: twice the same": ("SyncGroup", assigned(("t", [0, 0, 1]), ("t", [1, 0]))),
    "sync: unknown member for ever": ("SyncGroup", setting(error_code=25)),
    "heartbeat: unknown member for ever": ("Heartbeat", setting(error_code=25)),
    "heartbeat: rebalance for ever": ("Heartbeat", setting(error_code=27)),
    "heartbeat: old generation for ever": ("Heartbeat", setting(error_code=22)),
    "offsets: negative": ("OffsetFetch", committed(offset=-77)),
    "offsets: left out": ("OffsetFetch", no_committed_topics),
    "offsets: error of the group": (
        "OffsetFetch", lambda v: [g.update(error_code=14) for g in v["groups"]]
    ),
    "offsets: errors of partitions": ("OffsetFetch", committed(error_code=14)),
    "offsets: unstable for ever": ("OffsetFetch", committed(error_code=88)),
    "coordinator: node -1": ("FindCoordinator", coordinators(node_id=-1)),
    "coordinator: no host": ("FindCoordinator", coordinators(host="", port=-1)),
    "coordinator: none": ("FindCoordinator", setting(coordinators=[])),
    "coordinator: another key": ("FindCoordinator", coordinators(key="h")),
}  # fmt: skip


@pytest.mark.parametrize("strategy", ["eager", "cooperative"])
@pytest.mark.parametrize("name", CASES)
@virtual
async def test_nonsense(name, strategy):
    api, change = CASES[name]
    more: dict[str, Any] = {}
    if strategy == "cooperative":
        more["partition_assignment_strategy"] = (CooperativeStickyPartitionAssignor,)
    async with running(group_id="g", partitions=2, records=4, **more) as (kafka, consumer):
        got = await numbers(consumer, 4)
        await consumer.commit()
        rewriting(kafka, api, change)
        coordinator = consumer._coordinator
        coordinator.coordinator_dead()
        coordinator.request_rejoin("a test")
        fatal: KafkaError | None = None
        before = len(kafka.requests)
        with log_lines() as log:
            for _ in range(40):
                began = now()
                try:
                    for records in (await consumer.getmany(timeout_ms=500)).values():
                        got += [int(record.value) for record in records]
                except KafkaError as error:
                    fatal = error
                    await asyncio.sleep(0.1)
                assert now() - began < 1.0
                health = str(consumer.health())
        assert len(kafka.requests) - before < 900, "a runaway"
        assert len(log.lines()) < 12, log.lines()
        kafka.faults.clear()
        if coordinator._fatal is not None:
            assert fatal is coordinator._fatal
            assert "crash" not in str(fatal), repr(fatal)
            return
        assert health
        for number in range(4, 8):
            kafka.append("t", number % 2, b"%d" % number)
        # A group that has assigned nothing is content with that.
        coordinator.request_rejoin("all is well again")
        ends = now() + 60
        while set(got) != set(range(8)):
            # Whatever was committed, and read again or not: nothing is left out.
            assert now() < ends, got
            for records in (await consumer.getmany(timeout_ms=500)).values():
                got += [int(record.value) for record in records]


@virtual
async def test_an_undecodable_member_is_named():
    async with running(group_id="g") as (kafka, consumer):
        rewriting(kafka, "JoinGroup", undecodable_members)
        consumer._coordinator.request_rejoin("a test")
        with pytest.raises(KafkaError, match="aiokafka-"):
            await consumer.getone()


@virtual
async def test_offsets_left_out_of_an_answer_are_not_taken_for_none():
    """Else the partition would start at its end."""
    async with running(group_id="g", records=4) as (kafka, consumer):
        await numbers(consumer, 2)
        await consumer.commit()
        await consumer.stop()
        rewriting(kafka, "OffsetFetch", no_committed_topics)
        other = make(kafka, "t", group_id="g", auto_offset_reset="latest")
        await other.start()
        assert await other.getmany(timeout_ms=5000) == {}
        kafka.faults.clear()
        assert await other.position(TopicPartition("t", 0)) == 2
        assert await numbers(other, 2) == [2, 3]
        await other.stop()


@virtual
async def test_foreign_topics_are_reported_once():
    async with running(group_id="g") as (kafka, consumer):
        rewriting(kafka, "SyncGroup", assigned(("other", [0])))
        with log_lines() as log:
            consumer._coordinator.request_rejoin("a test")
            await asyncio.sleep(600)
        assert len([line for line in log.lines() if "other" in line]) <= 12
