"""Random outages, moves, seeks and pauses: each record once, in order, whatever the seed."""

from __future__ import annotations

import asyncio
import random

import pytest

from aiokafka.structs import TopicPartition
from aiokafka.testing.faults import Cut, Deaf, Delay, Error, Level, LostAnswer
from tests.unit.consumer.fetch_lab import fetching, virtual

PARTITIONS = 4
RECORDS = 400


async def trouble(lab, rng):
    """Something happens every now and then."""
    while True:
        await asyncio.sleep(rng.uniform(0.05, 0.6))
        partition = rng.randrange(PARTITIONS)
        lasting = rng.uniform(0.1, 2)
        kind = rng.randrange(9)
        faults, broker = lab.kafka.faults, lab.kafka.brokers[rng.randrange(3)]
        if kind == 0:
            lab.kafka.move_leader("t", partition)
        elif kind == 1:
            faults.add(Cut(), node=broker.node_id, lasting=lasting)
        elif kind == 2:
            faults.add(LostAnswer(), api="Fetch", lasting=lasting, probability=0.5)
        elif kind == 3:
            faults.add(Deaf(), node=broker.node_id, lasting=lasting, probability=0.5)
        elif kind == 4:
            faults.add(Delay((0, 1)), lasting=lasting)
        elif kind == 5:
            code = rng.choice([3, 5, 6, 7, 9, 56, 74, 75, 78, 100, 103])
            faults.add(Error(code, Level.PARTITION), api="Fetch", lasting=lasting)
        elif kind == 6:
            faults.add(Error(rng.choice([70, 71, 106]), Level.TOP), api="Fetch", lasting=lasting)
        elif kind == 7 and all(b.alive for b in lab.kafka.brokers.values()):
            broker.kill()
            asyncio.get_running_loop().call_later(lasting, broker.restart)
        elif kind == 8 and not any(b.frozen for b in lab.kafka.brokers.values()):
            broker.freeze()
            asyncio.get_running_loop().call_later(lasting, broker.thaw)


async def produce(lab, rng):
    for i in range(RECORDS):
        lab.append(i, partition=i % PARTITIONS)
        if rng.random() < 0.2:
            await asyncio.sleep(rng.uniform(0, 0.5))


async def read(lab, rng, seen):
    """Read in every way there is."""
    tps = [TopicPartition("t", number) for number in range(PARTITIONS)]
    paused = None
    while sum(map(len, seen.values())) < RECORDS:
        way = rng.randrange(6)
        some = () if rng.random() < 0.7 or paused else tuple(rng.sample(tps, 2))
        got = []
        if way == 0:
            record = lab.fetcher.take_one()
            got = [] if record is None else [record]
        elif way == 1:
            call = asyncio.ensure_future(lab.fetcher.next_record(some))
            try:
                await asyncio.wait((call,), timeout=rng.uniform(0, 0.3))
            finally:
                call.cancel()
            try:
                got = [await call]
            except asyncio.CancelledError:
                pass
        elif way == 2:
            tp = rng.choice(tps)
            state = lab.state(tp)
            if state.has_valid_position and rng.random() < 0.3:
                # Seeking to where it is changes nothing that can be seen.
                lab.fetcher.seek_to(tp, state.position)
        elif way == 3 and rng.random() < 0.2:
            if paused is None:
                paused = rng.choice(tps)
                lab.subscriptions.pause(paused)
            else:
                lab.subscriptions.resume(paused)
                paused = None
        else:
            answer = await lab.fetcher.fetched_records(
                some, timeout=rng.choice([0, 0.05, 0.5]), max_records=rng.choice([None, 1, 7])
            )
            got = [record for records in answer.values() for record in records]
        for record in got:
            assert paused is None or record.partition != paused.partition
            seen[record.partition].append(int(record.value))
        if rng.random() < 0.1:
            await asyncio.sleep(rng.uniform(0, 0.2))


@pytest.mark.parametrize("seed", range(25))
@virtual
async def test_each_record_once_and_in_order(seed):
    rng = random.Random(seed)
    async with fetching(
        brokers=3,
        partitions=PARTITIONS,
        cluster={"failover_delay": 0.3, "session_timeout": 1.5, "seed": seed},
        client={"request_timeout_ms": 3000, "metadata_max_age_ms": 5000},
        max_partition_fetch_bytes=rng.choice([100, 300, 1_000_000]),
        fetch_buffer_bytes=rng.choice([300, 5000, 10_000_000]),
        auto_offset_reset="earliest",
    ) as lab:
        seen = {number: [] for number in range(PARTITIONS)}
        tasks = [
            asyncio.ensure_future(trouble(lab, random.Random(f"{seed}/trouble"))),
            asyncio.ensure_future(produce(lab, random.Random(f"{seed}/produce"))),
        ]
        try:
            await asyncio.wait_for(read(lab, rng, seen), 600)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert seen == {p: list(range(p, RECORDS, PARTITIONS)) for p in range(PARTITIONS)}
