"""Reading while all is well: order, nothing lost, nothing twice, fetch-ahead, sessions."""

from __future__ import annotations

import asyncio
import time

import pytest

from aiokafka.consumer import fetcher as fetcher_module
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import TopicPartition
from aiokafka.testing.faults import Delay
from tests.unit.consumer.fetch_lab import TP, TP1, TP2, fetching, now, virtual


def values(records):
    return [int(record.value) for record in records]


def fetches(lab, node=None):
    """The offsets asked for, by topic partition, of every Fetch request."""
    return [
        {
            (topic.get("topic") or "t", row["partition"]): row["fetch_offset"]
            for topic in request.values["topics"]
            for row in topic["partitions"]
        }
        for request in lab.kafka.history("Fetch", node)
    ]


# Order


@virtual
async def test_records_come_in_order():
    async with fetching() as lab:
        lab.append(*range(10))
        assert await lab.take(10) == list(range(10))
        lab.append(*range(10, 20))
        record = await lab.fetcher.next_record(())
        assert (record.topic, record.partition, record.offset) == ("t", 0, 10)
        assert await lab.take(9) == list(range(11, 20))
        assert lab.state().position == 20
        assert lab.state().highwater == 20


@virtual
async def test_a_record_is_given_out_as_soon_as_it_is_there():
    async with fetching() as lab:
        reading = asyncio.ensure_future(lab.fetcher.next_record(()))
        await asyncio.sleep(0.75)
        started = now()
        lab.append(1)
        assert int((await reading).value) == 1
        assert now() - started < 0.01


@virtual
async def test_many_blocks_of_many_partitions():
    async with fetching(partitions=3, brokers=3, max_partition_fetch_bytes=200) as lab:
        for i in range(60):
            lab.append(i, partition=i % 3)
        seen = {0: [], 1: [], 2: []}
        for _ in range(60):
            record = await lab.fetcher.next_record(())
            seen[record.partition].append(int(record.value))
        assert seen == {p: list(range(p, 60, 3)) for p in range(3)}


@virtual
async def test_fetched_records_takes_what_is_there():
    async with fetching(partitions=2) as lab:
        lab.append(1, 2)
        lab.append(3, partition=1)
        got = await lab.fetcher.fetched_records((), timeout=1)
        assert {tp: values(records) for tp, records in got.items()} == {TP: [1, 2], TP1: [3]}


@virtual
async def test_fetched_records_waits_no_longer_than_told():
    async with fetching() as lab:
        started = now()
        assert await lab.fetcher.fetched_records((), timeout=1.5) == {}
        assert now() - started == pytest.approx(1.5, abs=0.001)
        started = now()
        assert await lab.fetcher.fetched_records((), timeout=0) == {}
        assert now() == started


@virtual
async def test_fetched_records_comes_at_once_with_data():
    async with fetching() as lab:
        reading = asyncio.ensure_future(lab.fetcher.fetched_records([], timeout=60))
        await asyncio.sleep(1)
        lab.append(5)
        started = now()
        assert values((await reading)[TP]) == [5]
        assert now() - started < 0.01


@virtual
async def test_max_records_counts_over_all_partitions():
    async with fetching(partitions=2) as lab:
        lab.append(*range(5))
        lab.append(*range(5, 10), partition=1)
        await lab.kafka.wait_for_requests("Fetch", 2)
        await asyncio.sleep(0.1)
        seen = []
        while len(seen) < 10:
            got = await lab.fetcher.fetched_records((), timeout=1, max_records=3)
            count = sum(map(len, got.values()))
            assert 1 <= count <= 3
            seen += [value for records in got.values() for value in values(records)]
        assert sorted(seen) == list(range(10))
        assert [v for v in seen if v < 5] == list(range(5))


@virtual
async def test_partitions_take_turns():
    async with fetching(partitions=2, max_partition_fetch_bytes=1) as lab:
        for i in range(20):
            lab.append(i, partition=i % 2)
        await asyncio.sleep(0.5)
        order = [(await lab.fetcher.next_record(())).partition for _ in range(20)]
        # A busy partition does not keep the other one waiting for more than a few blocks.
        assert max(len(run) for run in "".join(map(str, order)).split("1")) <= 3
        assert order.count(0) == order.count(1) == 10


@virtual
async def test_max_records_does_not_starve_a_partition():
    async with fetching(partitions=2) as lab:
        lab.append(*range(100))
        lab.append(*range(100, 200), partition=1)
        await asyncio.sleep(0.5)
        seen = set()
        for _ in range(2):
            seen.update(await lab.fetcher.fetched_records((), timeout=1, max_records=10))
        assert seen == {TP, TP1}


@virtual
async def test_only_of_some_partitions():
    async with fetching(partitions=3) as lab:
        for partition in range(3):
            lab.append(partition, partition=partition)
        assert await lab.take(1, (TP1,)) == [1]
        got = await lab.fetcher.fetched_records({TP2}, timeout=1)
        assert list(got) == [TP2]
        with pytest.raises(asyncio.TimeoutError):
            await lab.take(1, (TP1,), limit=1)
        assert await lab.take(1, None) == [0]


@virtual
async def test_take_one_never_waits():
    async with fetching(partitions=2) as lab:
        assert lab.fetcher.take_one() is None
        lab.append(1, 2)
        assert await lab.take(1) == [1]
        assert int(lab.fetcher.take_one().value) == 2
        assert lab.fetcher.take_one() is None
        assert lab.fetcher.take_one() is None


@virtual
async def test_compacted_and_empty_stretches_are_passed_over():
    async with fetching() as lab:
        lab.append(*range(5))
        lab.append(5, skip=10)
        lab.append(6, transactional=True, producer_id=7)
        lab.kafka.end_transaction("t", 0, 7, commit=True)
        lab.kafka.compact("t", 0, [3, 4])
        assert await lab.take(5) == [0, 1, 2, 5, 6]
        assert await lab.fetcher.fetched_records((), timeout=1) == {}
        assert lab.state().position == 18


@virtual
async def test_read_committed():
    async with fetching(isolation_level="read_committed") as lab:
        lab.append(1, transactional=True, producer_id=7)
        lab.append(2, transactional=True, producer_id=8)
        lab.append(3)
        assert await lab.fetcher.fetched_records((), timeout=1) == {}
        assert (lab.state().lso, lab.state().highwater) == (0, 3)
        lab.kafka.end_transaction("t", 0, 7, commit=False)
        lab.kafka.end_transaction("t", 0, 8, commit=True)
        assert await lab.take(2) == [2, 3]


@pytest.mark.parametrize(
    "version", [1, 2, 3, 4, 6, 7, 9, 11, 12, 13, 16, 18], ids=lambda v: f"v{v}"
)
@virtual
async def test_every_kind_of_version(version):
    limits = {"versions": {"Fetch": (0, version)}, "release": "2.0" if version < 4 else "4.1"}
    async with fetching(cluster=limits, partitions=2) as lab:
        for i in range(20):
            lab.append(i, partition=i % 2)
        assert sorted(await lab.take(20)) == list(range(20))
        lab.append(20)
        assert await lab.take(1) == [20]
        assert {request.version for request in lab.kafka.history("Fetch")} == {
            min(version, lab.kafka.history("Fetch")[0].version)
        }


# Fetching ahead


@virtual
async def test_it_fetches_ahead_while_the_application_works():
    async with fetching(max_partition_fetch_bytes=100) as lab:
        for i in range(50):
            lab.append(i)
        assert await lab.take(1) == [0]
        await asyncio.sleep(1)
        fetched = lab.fetcher._buffer.blocks_of(TP)
        assert fetched == 2, "one block ahead"
        count = lab.kafka.count("Fetch")
        await asyncio.sleep(5)
        assert lab.kafka.count("Fetch") == count, "and then it waits"
        assert await lab.take(49) == list(range(1, 50))


@virtual
async def test_small_blocks_are_fetched_ahead_up_to_the_limit():
    async with fetching(max_partition_fetch_bytes=1000) as lab:
        lab.append(0)
        await asyncio.sleep(0.2)
        for i in range(1, 50):
            lab.append(i)
            await asyncio.sleep(0.01)
        assert 1000 <= lab.fetcher._buffer.bytes_of(TP) < 2000
        assert await lab.take(50) == list(range(50))


@virtual
async def test_a_full_partition_does_not_hold_up_others():
    async with fetching(partitions=2, max_partition_fetch_bytes=100) as lab:
        for i in range(10):
            lab.append(i)
        await asyncio.sleep(1)
        started = now()
        lab.append(99, partition=1)
        assert await lab.take(1, (TP1,)) == [99]
        assert now() - started < 0.01
        # The partition that is drained again is fetched soon, though the other is idle.
        await lab.take(4, (TP,))
        started = now()
        await lab.take(4, (TP,))
        assert now() - started < 0.15


@virtual
async def test_memory_is_bounded():
    async with fetching(
        partitions=8, fetch_buffer_bytes=3000, max_partition_fetch_bytes=1000
    ) as lab:
        for i in range(400):
            lab.append(i, partition=i % 8)
        most = 0
        seen = []
        for _ in range(400):
            most = max(most, lab.fetcher._buffer.bytes)
            seen += await lab.take(1)
        assert sorted(seen) == list(range(400))
        assert most <= 3000 + 1000


@virtual
async def test_what_is_asked_for_is_fetched_though_memory_is_used_up():
    async with fetching(
        partitions=3, fetch_buffer_bytes=2000, max_partition_fetch_bytes=1000
    ) as lab:
        for i in range(100):
            lab.append(i)
            lab.append(i, partition=1)
        await asyncio.sleep(1)
        assert lab.fetcher._buffer.bytes > 1000
        lab.append(5, 6, partition=2)
        assert await lab.take(2, (TP2,)) == [5, 6]


@virtual
async def test_a_batch_larger_than_everything_is_read():
    async with fetching(
        fetch_buffer_bytes=100, max_partition_fetch_bytes=50, fetch_max_bytes=60
    ) as lab:
        for i in range(5):
            lab.append(*range(100 * i, 100 * i + 100))
        assert await lab.take(500) == list(range(500))


# Sessions (KIP-227)


@virtual
async def test_a_session_says_only_what_has_changed():
    async with fetching(partitions=3) as lab:
        for partition in range(3):
            lab.append(partition, partition=partition)
        await lab.take(3)
        await asyncio.sleep(2)
        lab.append(7, partition=1)
        await lab.take(1)
        await asyncio.sleep(2)
        requests = [r.values for r in lab.kafka.history("Fetch")]
        assert requests[0]["session_epoch"] == 0
        assert len({r["session_id"] for r in requests[1:]}) == 1
        assert [r["session_epoch"] for r in requests] == list(range(len(requests)))
        assert len(fetches(lab)[0]) == 3
        later = [len(f) for f in fetches(lab)[2:]]
        assert sorted(set(later)) in ([0], [0, 1])


@virtual
async def test_paused_partitions_are_forgotten_and_come_back():
    async with fetching(partitions=2) as lab:
        lab.append(1)
        await lab.take(1)
        lab.subscriptions.pause(TP)
        await asyncio.sleep(1)
        forgotten = [
            row["partitions"]
            for request in lab.kafka.history("Fetch")
            for row in request.values["forgotten_topics_data"]
        ]
        assert forgotten == [[0]]
        lab.append(2)
        lab.append(3, partition=1)
        assert await lab.take(1) == [3]
        assert await lab.fetcher.fetched_records((), timeout=1) == {}
        lab.subscriptions.resume(TP)
        started = now()
        assert await lab.take(1) == [2]
        assert now() - started <= 0.5


@virtual
async def test_the_session_ends_with_the_fetcher():
    async with fetching() as lab:
        lab.append(1)
        await lab.take(1)
        await asyncio.sleep(0.6)
        await lab.fetcher.close()
        await lab.kafka.wait_until(
            lambda: lab.kafka.history("Fetch")[-1].values["session_epoch"] == -1
        )


# Pausing, seeking, reassignment


@virtual
async def test_nothing_of_a_paused_partition():
    async with fetching(partitions=2) as lab:
        lab.append(*range(10))
        lab.append(*range(10, 20), partition=1)
        first = await lab.take(1)
        paused = TP if first == [0] else TP1
        lab.subscriptions.pause(paused)
        rest = [v for v in range(20) if (v < 10) != (paused is TP)]
        assert await lab.take(10) == rest
        assert lab.fetcher.take_one() is None
        reading = asyncio.ensure_future(lab.take(9))
        await asyncio.sleep(1)
        assert not reading.done()
        lab.subscriptions.resume(paused)
        assert len(await reading) == 9


@virtual
async def test_seek_drops_what_was_fetched(monkeypatch):
    made = []
    original = fetcher_module.PartitionRecords

    def counted(tp, records, aborted, offset, *args):
        made.append(offset)
        return original(tp, records, aborted, offset, *args)

    monkeypatch.setattr(fetcher_module, "PartitionRecords", counted)
    async with fetching() as lab:
        lab.append(*range(10))
        assert await lab.take(3) == [0, 1, 2]
        assert made == [0]
        lab.fetcher.seek_to(TP, 7)
        assert TP not in lab.fetcher._records
        assert await lab.take(3) == [7, 8, 9]
        assert made == [0, 7]
        lab.fetcher.seek_to(TP, 1)
        assert await lab.take(9) == list(range(1, 10))
        assert made == [0, 7, 1]


@virtual
async def test_seek_while_a_fetch_is_under_way():
    async with fetching() as lab:
        lab.append(*range(10))
        lab.kafka.faults.add(Delay(0.2), api="Fetch", times=1)
        reading = asyncio.ensure_future(lab.take(2))
        await lab.kafka.wait_for_requests("Fetch")
        lab.fetcher.seek_to(TP, 5)
        assert await reading == [5, 6]
        assert lab.state().position == 7


@virtual
async def test_seek_through_the_subscription():
    async with fetching() as lab:
        lab.append(*range(10))
        await lab.take(1)
        lab.subscriptions.seek(TP, 8)
        assert await lab.take(2) == [8, 9]


@virtual
async def test_seek_between_every_record():
    async with fetching(max_partition_fetch_bytes=100) as lab:
        for i in range(20):
            lab.append(i)
        for i in [3, 15, 0, 19, 7, 7, 8]:
            lab.fetcher.seek_to(TP, i)
            assert await lab.take(1) == [i]


@virtual
async def test_a_partition_that_is_taken_away_gives_no_more_records():
    async with fetching(partitions=2, assign=[]) as lab:
        lab.append(*range(10))
        lab.append(*range(10, 20), partition=1)
        lab.subscriptions.subscribe({"t"})
        lab.subscriptions.assign_from_subscribed([TP, TP1])
        lab.answer_committed()
        await lab.take(2)
        lab.subscriptions.begin_reassignment()
        assert lab.fetcher.take_one() is None
        assert await lab.fetcher.fetched_records((), timeout=1) == {}
        lab.subscriptions.assign_from_subscribed([TP1])
        lab.answer_committed()
        assert await lab.take(10) == list(range(10, 20))
        assert TP not in lab.fetcher._records
        assert await lab.fetcher.fetched_records((), timeout=1) == {}


@virtual
async def test_others_go_on_through_a_cooperative_rebalance():
    async with fetching(partitions=3, assign=[]) as lab:
        for partition in range(3):
            lab.append(*range(10 * partition, 10 * partition + 10), partition=partition)
        lab.subscriptions.subscribe({"t"})
        lab.subscriptions.assign_from_subscribed([TP, TP1])
        lab.answer_committed()
        seen = await lab.take(3)
        count = lab.kafka.count("ListOffsets")
        lab.subscriptions.begin_reassignment(delivering=True)
        seen += await lab.take(3)
        lab.subscriptions.update_assignment(added=[TP2], taken=[TP1])
        while len([v for v in seen if v < 10 or v >= 20]) < 20:
            seen += await lab.take(1)
        assert [v for v in seen if v < 10] == list(range(10))
        assert [v for v in seen if v >= 20] == list(range(20, 30))
        assert lab.kafka.count("ListOffsets") == count + 1


# What counts as returned


@virtual
async def test_only_what_was_given_back_is_committable():
    async with fetching() as lab:
        lab.append(*range(5))
        await lab.take(1)
        assert (lab.state().position, lab.state().committable) == (1, 0)
        lab.fetcher.take_one()
        assert (lab.state().position, lab.state().committable) == (2, 1)
        await lab.fetcher.fetched_records((), timeout=0, max_records=2)
        assert (lab.state().position, lab.state().committable) == (4, 2)
        lab.fetcher.take_one() or await lab.take(1)
        assert (lab.state().position, lab.state().committable) == (5, 4)
        await lab.fetcher.fetched_records((), timeout=0)
        assert (lab.state().position, lab.state().committable) == (5, 5)


@virtual
async def test_whoever_takes_records_is_not_idle():
    async with fetching() as lab:
        lab.append(*range(5))
        await lab.take(1)
        assert lab.subscriptions.fetcher_idle_time == 0
        await asyncio.sleep(7)
        assert lab.subscriptions.fetcher_idle_time == pytest.approx(7)
        lab.fetcher.take_one()
        assert lab.subscriptions.fetcher_idle_time == 0
        await lab.take(3)
        waiting = asyncio.ensure_future(lab.fetcher.next_record(()))
        await asyncio.sleep(9)
        assert lab.subscriptions.fetcher_idle_time == 0
        waiting.cancel()


@pytest.mark.parametrize("take", ["next_record", "fetched_records"])
@virtual
async def test_a_tight_loop_lets_others_run(take):
    async with fetching() as lab:
        for _ in range(50):
            lab.kafka.append("t", 0, b"x" * 10_000)
            await asyncio.sleep(0.01)
        turns = count = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        while count < 50:
            got = await getattr(lab.fetcher, take)(())
            count += len(got[TP]) if isinstance(got, dict) else 1
        task.cancel()
        assert 6 <= turns <= 12, "once for about 64 KiB"


# Positions


@virtual
async def test_latest():
    async with fetching(auto_offset_reset="latest") as lab:
        lab.append(1)
        lab.append(2)
        await asyncio.wait_for(asyncio.shield(lab.state().wait_for_position()), 1)
        lab.append(3)
        assert await lab.take(1) == [3]


@virtual
async def test_committed():
    async with fetching(assign=[]) as lab:
        lab.append(*range(5))
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(3)
        assert await lab.take(2) == [3, 4]
        assert lab.kafka.count("ListOffsets") == 0


@virtual
async def test_by_duration(monkeypatch):
    wall = 1_700_000_000.0
    monkeypatch.setattr(time, "time", lambda: wall)
    async with fetching(auto_offset_reset="by_duration:PT1H", partitions=2) as lab:
        for age in (7200, 3601, 3599, 60):
            lab.append(age, timestamp=int((wall - age) * 1000))
        lab.append(9999, partition=1, timestamp=int((wall - 9999) * 1000))
        assert await lab.take(2) == [3599, 60]
        await asyncio.wait_for(asyncio.shield(lab.state(TP1).wait_for_position()), 1)
        assert lab.state(TP1).position == 1, "at the end, as no record is so new"


@virtual
async def test_request_offset_reset():
    async with fetching(partitions=2) as lab:
        lab.append(*range(10))
        await lab.take(10)
        future = lab.fetcher.request_offset_reset([TP, TP1], OffsetResetStrategy.EARLIEST)
        await asyncio.wait_for(future, 1)
        assert lab.state().position == 0
        assert await lab.take(1) == [0]
        future = lab.fetcher.request_offset_reset([TP], OffsetResetStrategy.LATEST)
        await asyncio.wait_for(future, 1)
        assert lab.state().position == 10
        future = lab.fetcher.request_offset_reset([TP], OffsetResetStrategy.EARLIEST)
        await lab.fetcher.close()
        with pytest.raises(ConsumerStoppedError):
            await future
        assert isinstance(TP, TopicPartition)
