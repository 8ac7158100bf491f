"""What a consumer's calls do on a cluster: positions, commits, look-ups, their bounds."""

import asyncio
import json
from typing import Any

import pytest

from aiokafka import errors as Errors
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalStateError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
)
from aiokafka.structs import OffsetAndTimestamp, TopicPartition
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Cut, Deaf, Delay, Error
from tests.unit.consumer.consumer_lab import (
    TP,
    TP1,
    consuming,
    fill,
    make,
    now,
    take,
    virtual,
    within,
)
from tests.unit.consumer.group_lab import Recorder

GROUPS = pytest.mark.parametrize("group", [None, "g"])


# Positions


@GROUPS
@virtual
async def test_positions(group):
    async with consuming(records=10, group_id=group) as (_, consumer):
        assert await consumer.position(TP) == 0
        await take(consumer, 4)
        assert await consumer.position(TP) == 4
        consumer.seek(TP, 8)
        assert await consumer.position(TP) == 8
        assert await take(consumer, 1) == [b"8"]
        assert await consumer.seek_to_beginning(TP)
        assert await consumer.position(TP) == 0
        assert await take(consumer, 1) == [b"0"]
        assert await consumer.seek_to_end()
        assert await consumer.position(TP) == 10
        assert await consumer.getmany(timeout_ms=100) == {}
        assert consumer.highwater(TP) == 10
        with pytest.raises(IllegalStateError, match=r"Partition .* is not assigned"):
            await consumer.position(TP1)
        with pytest.raises(TypeError):
            await consumer.position("t")


@virtual
async def test_position_is_waited_for():
    async with consuming(records=3, group_id="g") as (kafka, consumer):
        kafka.faults.add(Delay(0.5), api="OffsetFetch")
        kafka.faults.add(Delay(0.5), api="ListOffsets")
        consumer.unsubscribe()
        consumer.assign([TP])
        async with within(2.5, at_least=1):
            assert await consumer.position(TP) == 0


@pytest.mark.parametrize("api", ["OffsetFetch", "ListOffsets"])
@virtual
async def test_position_in_vain(api):
    async with consuming(records=3, group_id="g") as (kafka, consumer):
        kafka.faults.add(Deaf(), api=api)
        consumer.unsubscribe()
        consumer.assign([TP])
        async with within(3.1, at_least=2.9):
            with pytest.raises(KafkaTimeoutError, match=r"position\(t-0\).*3000 ms") as caught:
                await consumer.position(TP)
        assert "last error" in str(caught.value)
        assert caught.value.__cause__ is not None


@virtual
async def test_position_of_a_partition_that_is_given_up_meanwhile():
    async with consuming(records=3) as (kafka, consumer):
        kafka.faults.add(Deaf(), api="ListOffsets")
        consumer.unsubscribe()
        consumer.assign([TP])
        loop = asyncio.get_running_loop()
        position = loop.create_task(consumer.position(TP))
        await asyncio.sleep(0.1)
        started = now()
        consumer.unsubscribe()
        with pytest.raises(IllegalStateError, match=r"Partition .* is not assigned"):
            await position
        assert now() == started


@virtual
async def test_position_survives_a_rebalance():
    async with consuming(records=3, group_id="g") as (kafka, consumer):
        await take(consumer, 1)
        kafka.faults.add(Delay(0.5), api="OffsetFetch")
        consumer._subscription._assigned_state(TP).forget_position()
        waiting = asyncio.get_running_loop().create_task(consumer.position(TP))
        await asyncio.sleep(0)
        consumer._coordinator.request_rejoin()
        # What was committed when the partition was given up for the rebalance.
        assert await waiting == 0
        assert consumer._coordinator.facts().rebalances == 2


@virtual
async def test_nothing_to_begin_at():
    async with consuming(records=3, group_id="g", auto_offset_reset="none") as (_, consumer):
        with pytest.raises(NoOffsetForPartitionError):
            await consumer.position(TP)
        for call in (consumer.getone, consumer.getmany):
            with pytest.raises(NoOffsetForPartitionError):
                await call(timeout_ms=100) if call == consumer.getmany else await call()
        consumer.seek(TP, 1)
        assert await take(consumer, 2) == [b"1", b"2"]
        consumer.seek(TP, 100)
        with pytest.raises(Errors.OffsetOutOfRangeError):
            await consumer.getone()
        consumer.seek(TP, 0)
        assert await take(consumer, 3) == [b"0", b"1", b"2"]


@virtual
async def test_seeking_before_start_and_while_data_is_at_hand():
    async with consuming(records=5) as (kafka, _):
        consumer = make(kafka)
        consumer.assign([TP])
        consumer.seek(TP, 3)
        await consumer.start()
        assert await take(consumer, 2) == [b"3", b"4"]
        consumer.seek(TP, 1)
        assert await take(consumer, 1) == [b"1"]
        consumer.seek(TP, 0)
        records = await consumer.getmany(timeout_ms=1000)
        assert [record.offset for record in records[TP]] == [0, 1, 2, 3, 4]
        await consumer.stop()


@pytest.mark.parametrize("call", ["seek_to_beginning", "seek_to_end"])
@virtual
async def test_resets_in_vain(call, caplog):
    async with consuming(records=3) as (kafka, consumer):
        await take(consumer, 1)
        kafka.faults.add(Deaf(), api="ListOffsets")
        async with within(3.1, at_least=2.9):
            assert await getattr(consumer, call)() is False
        assert f"{call}() did not succeed within 3000 ms" in caplog.text
        kafka.faults.clear()
        assert await consumer.position(TP) == (0 if call == "seek_to_beginning" else 3)


@virtual
async def test_a_reset_whose_partition_is_given_up():
    async with consuming(records=3) as (kafka, consumer):
        kafka.faults.add(Deaf(), api="ListOffsets")
        reset = asyncio.get_running_loop().create_task(consumer.seek_to_end())
        await asyncio.sleep(0.1)
        consumer.unsubscribe()
        assert await reset is False


@virtual
async def test_seek_to_committed():
    async with consuming(partitions=2, records=10, group_id="g") as (_, consumer):
        await take(consumer, 6)
        assert await consumer.seek_to_committed() == {TP: None, TP1: None}
        await consumer.commit({TP: 0, TP1: (2, "why")})
        assert await consumer.seek_to_committed(TP1) == {TP1: 2}
        assert await consumer.seek_to_committed() == {TP: 0, TP1: 2}
        assert [await consumer.position(tp) for tp in (TP, TP1)] == [0, 2]


# Commits


@virtual
async def test_commits():
    async with consuming(partitions=2, records=10, group_id="g") as (kafka, consumer):
        assert await consumer.committed(TP) is None
        await take(consumer, 7)
        await consumer.commit()
        taken = {tp: await consumer.committed(tp) for tp in (TP, TP1)}
        assert sum(offset or 0 for offset in taken.values()) == 7
        await consumer.commit({TP: 1})
        assert await consumer.committed(TP) == 1
        assert await consumer.committed(TopicPartition("other", 0)) is None
        assert consumer.health().partitions[TP].committed == 1
        assert kafka.count("OffsetCommit") == 2


@virtual
async def test_what_is_in_hand_is_not_committed_automatically():
    async with consuming(records=10, group_id="g", auto_commit_interval_ms=500) as (_, consumer):
        await take(consumer, 4)
        await asyncio.sleep(2)
        # The fourth may still be worked on.
        assert await consumer.committed(TP) == 3
        await consumer.getmany(max_records=2)
        await asyncio.sleep(2)
        assert await consumer.committed(TP) == 4
        await consumer.commit()
        assert await consumer.committed(TP) == 6


@virtual
async def test_only_stored_offsets_are_committed():
    async with consuming(
        records=10, group_id="g", auto_commit_interval_ms=500, enable_auto_offset_store=False
    ) as (kafka, consumer):
        await take(consumer, 8)
        await asyncio.sleep(2)
        assert await consumer.committed(TP) is None
        consumer.store_offsets({TP: 5})
        await asyncio.sleep(2)
        assert await consumer.committed(TP) == 5
        consumer.store_offsets({TP: (6, "six")})
        await consumer.commit()
        assert await consumer.committed(TP) == 6
        consumer.store_offsets({TP: 7})
        await consumer.stop()
        again = make(kafka, "t", group_id="g")
        await again.start()
        assert await again.committed(TP) == 7
        await again.stop()


@pytest.mark.parametrize("call", ["commit", "committed", "seek_to_committed"])
@pytest.mark.parametrize(
    "action", [Deaf(), Cut(), Error(ErrorCode.NOT_COORDINATOR)], ids=["deaf", "cut", "moved"]
)
@virtual
async def test_group_calls_in_vain(call, action):
    async with consuming(brokers=3, records=3, group_id="g") as (kafka, consumer):
        await take(consumer, 2)
        for api in ("OffsetCommit", "OffsetFetch"):
            kafka.faults.add(action, api=api)
        arguments = (TP,) if call == "committed" else ()
        async with within(3.1, at_least=2):
            with pytest.raises(KafkaTimeoutError, match="3000 ms") as caught:
                await getattr(consumer, call)(*arguments)
        assert "last error" in str(caught.value)
        assert caught.value.__cause__ is not None
        kafka.faults.clear()
        await consumer.commit()
        assert await consumer.committed(TP) == 2


@virtual
async def test_listener_uses_the_consumer():
    """Commits, positions and seeks work from the listener, in ``start()`` and ``stop()`` too."""

    class Listener(Recorder):
        async def on_partitions_revoked(self, revoked):
            await super().on_partitions_revoked(revoked)
            if revoked:
                await consumer.commit({tp: await consumer.position(tp) for tp in revoked})

        async def on_partitions_assigned(self, assigned):
            await super().on_partitions_assigned(assigned)
            for tp in assigned:
                if await consumer.committed(tp) is None:
                    await consumer.seek_to_beginning(tp)
                    consumer.seek(tp, 2)

    async with consuming(records=6) as (kafka, _):
        consumer = make(kafka, group_id="g", enable_auto_commit=False)
        listener = Listener()
        consumer.subscribe(["t"], listener=listener)
        await consumer.start()
        assert await take(consumer, 1) == [b"2"]
        consumer._coordinator.request_rejoin()
        assert await take(consumer, 1) == [b"3"]
        while consumer._coordinator.facts().rebalances < 2:
            await asyncio.sleep(0.1)
        assert await consumer.committed(TP) in (3, 4)
        await consumer.stop()
        assert [name for name, _ in listener.calls][:4] == [
            "revoked", "assigned", "revoked", "assigned",
        ]  # fmt: skip


# Look-ups


@GROUPS
@virtual
async def test_look_ups(group):
    async with consuming(partitions=2, records=10, group_id=group) as (_, consumer):
        assert await consumer.beginning_offsets([TP, TP1]) == {TP: 0, TP1: 0}
        assert await consumer.end_offsets({TP, TP1}) == {TP: 5, TP1: 5}
        # Times are 1000 + the number of the record.
        found = await consumer.offsets_for_times({TP: 0, TP1: 1004})
        assert found == {TP: OffsetAndTimestamp(0, 1000), TP1: OffsetAndTimestamp(2, 1005)}
        assert await consumer.offsets_for_times({TP: 10_000}) == {TP: None}
        assert await consumer.topics() == {"t"}
        assert consumer.partitions_for_topic("t") == {0, 1}
        assert consumer.partitions_for_topic("x") is None


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("beginning_offsets", [TP]),
        ("end_offsets", [TP]),
        ("offsets_for_times", {TP: 0}),
    ],
)
@pytest.mark.parametrize(
    "action",
    [Deaf(), Cut(), Error(ErrorCode.NOT_LEADER_OR_FOLLOWER)],
    ids=["deaf", "cut", "moved"],
)
@virtual
async def test_look_ups_in_vain(name, argument, action):
    async with consuming(brokers=3, records=3) as (kafka, consumer):
        await take(consumer, 1)
        kafka.faults.add(action, api="ListOffsets")
        async with within(3.1, at_least=2):
            with pytest.raises(KafkaTimeoutError, match=r"t-0.*3000 ms") as caught:
                await getattr(consumer, name)(argument)
        assert caught.value.__cause__ is not None
        kafka.faults.clear()
        assert await getattr(consumer, name)(argument)


@virtual
async def test_look_up_of_a_topic_that_does_not_exist():
    async with consuming(records=3, default_api_timeout_ms=500) as (kafka, consumer):
        kafka.auto_create = False
        async with within(0.6):
            with pytest.raises(Errors.KafkaError):
                await consumer.end_offsets([TopicPartition("missing", 0)])


@virtual
async def test_topics_in_vain():
    async with consuming() as (kafka, consumer):
        kafka.faults.add(Deaf(), api="Metadata")
        async with within(3.1, at_least=2.9):
            with pytest.raises(KafkaTimeoutError):
                await consumer.topics()


# Records


@virtual
async def test_pausing():
    async with consuming(partitions=2, records=10) as (_, consumer):
        consumer.pause(TP)
        records = await consumer.getmany(timeout_ms=1000)
        assert set(records) == {TP1}
        assert await consumer.getmany(timeout_ms=100) == {}
        one = asyncio.get_running_loop().create_task(consumer.getone())
        await asyncio.sleep(0.1)
        assert not one.done()
        consumer.resume(TP)
        assert (await one).value == b"0"


@virtual
async def test_some_partitions_only():
    async with consuming(partitions=2, records=10) as (_, consumer):
        assert (await consumer.getone(TP1)).value == b"1"
        records = await consumer.getmany(TP1, timeout_ms=100)
        assert set(records) == {TP1}
        assert await consumer.getmany(TP1, timeout_ms=100) == {}
        assert (await consumer.getone()).value == b"0"


@virtual
async def test_a_record_that_cannot_be_deserialized():
    async with consuming(
        records=3, value_deserializer=lambda value: json.loads(value), max_poll_records=10
    ) as (kafka, consumer):
        await consumer.seek_to_end()
        async with kafka_producer(kafka) as producer:
            for value in (b"1", b"{", b"3"):
                await producer.send("t", value)
        assert (await consumer.getone()).value == 1
        for call in (consumer.getone, consumer.getmany, consumer.getone):
            with pytest.raises(json.JSONDecodeError) as caught:
                await call()
            error: Any = caught.value
            assert (error.topic, error.partition, error.offset) == ("t", 0, 4)
            assert await consumer.position(TP) == 4
        consumer.seek(TP, 5)
        assert (await consumer.getone()).value == 3


def kafka_producer(kafka):
    from aiokafka.producer import AIOKafkaProducer

    return AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)


@GROUPS
@virtual
async def test_cancelled_calls_lose_nothing(group):
    async with consuming(partitions=3, group_id=group) as (kafka, consumer):
        loop = asyncio.get_running_loop()
        seen = []

        async def read():
            while len(seen) < 60:
                call = consumer.getone() if len(seen) % 2 else consumer.getmany(timeout_ms=50)
                task = loop.create_task(call)
                await asyncio.wait((task,), timeout=0.003)
                if not task.done():
                    task.cancel()
                    await asyncio.wait((task,))
                if not task.cancelled():
                    got = task.result()
                    if isinstance(got, dict):
                        seen.extend(r.value for records in got.values() for r in records)
                    else:
                        seen.append(got.value)

        reading = loop.create_task(read())
        await fill(kafka, 60, 3)
        await reading
        assert sorted(int(value) for value in seen) == list(range(60))


@GROUPS
@virtual
async def test_an_outage_is_waited_out(group):
    async with consuming(brokers=3, records=5, group_id=group) as (kafka, consumer):
        await take(consumer, 5)
        for broker in kafka.brokers.values():
            broker.freeze()
        assert await consumer.getmany(timeout_ms=2000) == {}
        one = asyncio.get_running_loop().create_task(consumer.getone())
        await asyncio.sleep(600)
        assert not one.done()
        assert not consumer.health().ok
        assert consumer.health().reason
        for broker in kafka.brokers.values():
            broker.thaw()
        await fill(kafka, 1)
        async with within(10):
            await one
        async with within(10):
            while not consumer.health().ok:
                await asyncio.sleep(0.1)


async def test_the_loop_gets_its_turns():
    """In real time: records at hand are no reason to keep everything else waiting."""
    async with consuming(records=20_000, max_partition_fetch_bytes=65536) as (_, consumer):
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.get_running_loop().create_task(tick())
        most = 0
        for _ in range(20_000):
            before = ticks
            await consumer.getone()
            most = most + 1 if ticks == before else 0
            assert most < 10_000
        ticking.cancel()


@virtual
async def test_subscriptions_change_while_it_runs():
    async with consuming(records=3) as (kafka, consumer):
        kafka.create_topic("u", 1)
        await fill(kafka, 2, topic="u")
        await take(consumer, 3)
        consumer.subscribe(["u"])
        assert await take(consumer, 2) == [b"0", b"1"]
        consumer.unsubscribe()
        assert consumer.assignment() == set()
        assert await consumer.getmany(timeout_ms=100) == {}
        consumer.assign([TP])
        assert await take(consumer, 3) == [b"0", b"1", b"2"]
        kafka.add_partitions("t", 2)
        consumer.unsubscribe()
        consumer.subscribe(["t"])
        consumer._client.request_metadata("test")
        await asyncio.sleep(1)
        assert consumer.assignment() == {TP, TP1}


@virtual
async def test_a_group_that_fails_reaches_every_call():
    async with consuming(records=3, group_id="g") as (kafka, consumer):
        kafka.faults.add(Error(ErrorCode.GROUP_AUTHORIZATION_FAILED), api="Heartbeat")
        one = asyncio.get_running_loop().create_task(consumer.getone(TP1))
        with pytest.raises(Errors.GroupAuthorizationFailedError):
            await one
        # With records at hand, too.
        for call in (consumer.getone(), consumer.getmany(), consumer.seek_to_end()):
            with pytest.raises(Errors.GroupAuthorizationFailedError):
                await call
        assert consumer.health().verdict.name == "FAILED"
        assert "GroupAuthorizationFailedError" in consumer.health().reason
        async with within(2):
            await consumer.stop()
        with pytest.raises(ConsumerStoppedError):
            await consumer.getone()
