"""Getting records to a cluster that makes trouble; in virtual time."""

import asyncio
import itertools
import logging

import pytest

from aiokafka import errors as Errors
from aiokafka.errors import DeliveryTimeoutError, KafkaError
from aiokafka.partitioner import StickyPartitioner
from aiokafka.producer import AIOKafkaProducer
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Cut, Deaf, Delay, Error, LostAnswer, Then, Throttle
from tests.unit.producer.lab import TP, batches_of, now, producing, virtual, warm


async def send_all(producer, count, **kwargs):
    return [await producer.send("t", b"%d" % i, **kwargs) for i in range(count)]


def numbers(kafka, partition=0):
    return [int(record.value) for record in kafka.records("t", partition)]


# All is well


@pytest.mark.parametrize("idempotent", [False, True])
@virtual
async def test_records_arrive_in_order(idempotent):
    async with producing(enable_idempotence=idempotent, max_batch_size=200) as (kafka, producer):
        futures = await send_all(producer, 500, timestamp_ms=5, key=b"k", headers=[("h", b"1")])
        results = await asyncio.gather(*futures)
        assert numbers(kafka) == list(range(500))
        assert [r.offset for r in results] == list(range(500))
        record = kafka.records("t")[7]
        assert (record.key, record.timestamp, list(record.headers)) == (b"k", 5, [("h", b"1")])


@virtual
async def test_unacknowledged():
    async with producing(acks=0) as (kafka, producer):
        assert await producer.send_and_wait("t", b"1") is None
        await kafka.wait_until(lambda: numbers(kafka) == [1])


@virtual
async def test_log_append_time():
    async with producing() as (kafka, producer):
        kafka.create_topic("u", configs={"message.timestamp.type": "LogAppendTime"})
        metadata = await producer.send_and_wait("u", b"v", timestamp_ms=5)
        assert metadata.timestamp_type == 1
        assert metadata.timestamp != 5


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
@virtual
async def test_codecs(codec):
    async with producing(compression_type=codec, linger_ms=5) as (kafka, producer):
        await asyncio.gather(*await send_all(producer, 200))
        assert numbers(kafka) == list(range(200))


@virtual
async def test_records_of_one_turn_travel_together():
    async with producing() as (kafka, producer):
        await warm(producer)
        await asyncio.gather(*(producer.send_and_wait("t", b"v") for _ in range(500)))
        assert kafka.count("Produce") == 1


@virtual
async def test_linger():
    async with producing(linger_ms=50) as (kafka, producer):
        await warm(producer)
        started = now()
        for i in range(4):
            future = await producer.send("t", b"%d" % i)
            await asyncio.sleep(0.01)
        await future
        assert now() - started == pytest.approx(0.05, abs=0.005)
        assert [values for _, _, values in batches_of(kafka)] == [[b"0", b"1", b"2", b"3"]]


@virtual
async def test_full_batches_do_not_linger():
    async with producing(linger_ms=60_000, max_batch_size=500) as (_, producer):
        await warm(producer)
        futures = [await producer.send("t", b"x" * 200) for _ in range(5)]
        await asyncio.wait_for(asyncio.gather(*futures[:4]), 1)
        assert not futures[4].done()
        await producer.flush()
        assert futures[4].done()


@virtual
async def test_a_tight_loop_lets_others_run():
    async with producing() as (_, producer):
        await warm(producer)
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        futures = [await producer.send("t", b"x" * 1000) for _ in range(1000)]
        task.cancel()
        assert 12 <= turns <= 40, "once for about 64 KiB"
        await asyncio.gather(*futures)


@virtual
async def test_idempotent_batches_are_pipelined():
    async with producing(enable_idempotence=True, max_batch_size=150) as (kafka, producer):
        await warm(producer)
        futures = [await producer.send("t", b"%099d" % i) for i in range(10)]
        sequence = producer._txn_manager.sequences.of(TP)
        most = 0
        while not all(future.done() for future in futures):
            most = max(most, sequence.on_wire)
            await asyncio.sleep(0.0001)
        assert most == 5
        assert numbers(kafka) == list(range(10))


@virtual
async def test_other_batches_keep_the_order_by_going_one_by_one():
    latency = {"Produce": 0.1}
    async with producing(
        max_batch_size=150, partitions=2, cluster={"answer_latency": latency}
    ) as (_, producer):
        await warm(producer)
        started = now()
        futures = [await producer.send("t", b"%099d" % i, partition=i % 2) for i in range(10)]
        await asyncio.gather(*futures)
        assert now() - started == pytest.approx(0.5, abs=0.05)


@virtual
async def test_sticky_partitioner_fills_batches():
    async with producing(
        partitions=20, partitioner=StickyPartitioner(), max_batch_size=2000, linger_ms=5
    ) as (kafka, producer):
        await asyncio.gather(*await send_all(producer, 1000))
        used = [len(batches_of(kafka, p)) for p in range(20)]
        assert sum(used) < 30
        assert sum(1 for n in used if n) > 3


# Batches of the application


@virtual
async def test_send_batch():
    async with producing(partitions=2, key_serializer=str.encode) as (kafka, producer):
        batch = producer.create_batch()
        for i in range(3):
            batch.append(key="k", value=b"%d" % i, timestamp=5)
        metadata = await (await producer.send_batch(batch, "t", partition=1))
        assert (metadata.partition, metadata.offset) == (1, 0)
        assert numbers(kafka, 1) == [0, 1, 2]
        with pytest.raises(ValueError, match="negative"):
            await producer.send_batch(batch, "t", partition=-1)
        with pytest.raises(Errors.KafkaTimeoutError):
            await producer.send_batch(batch, "t", partition=2)


# Trouble that passes

TROUBLE = {
    "cut": Cut(),
    "answer lost": LostAnswer(),
    "answer lost in silence": LostAnswer(Then.SILENCE),
    "deaf": Deaf(),
    "late": Delay(1.5),
    "not leader": Error(ErrorCode.NOT_LEADER_OR_FOLLOWER),
    "unknown topic": Error(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    "too few replicas": Error(ErrorCode.NOT_ENOUGH_REPLICAS),
    "too few replicas, stored": Error(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, applied=True),
    "timed out": Error(ErrorCode.REQUEST_TIMED_OUT),
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("idempotent", [False, True])
@virtual
async def test_passing_trouble(trouble, idempotent):
    async with producing(enable_idempotence=idempotent, max_batch_size=150, acks="all") as (
        kafka,
        producer,
    ):
        await warm(producer)
        kafka.faults.add(TROUBLE[trouble], api="Produce", times=3, skip=1)
        futures = await send_all(producer, 100)
        results = await asyncio.gather(*futures)
        stored = numbers(kafka)
        if idempotent:
            assert stored == list(range(100))
            assert [r.offset for r in results] == list(range(100))
        else:
            # Sent again for lack of an answer: twice in the log maybe, but in order.
            assert list(dict.fromkeys(stored)) == list(range(100))


@virtual
async def test_attempts_back_off_exponentially():
    async with producing(retry_backoff_ms=100, retry_backoff_max_ms=1000) as (kafka, producer):
        kafka.faults.add(Error(ErrorCode.NOT_ENOUGH_REPLICAS), api="Produce", times=7)
        await producer.send_and_wait("t", b"v")
        times = [request.time for request in kafka.history("Produce")]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        for attempt, gap in enumerate(gaps):
            expected = min(1.0, 0.1 * 2**attempt)
            assert 0.8 * expected - 0.01 <= gap <= min(1.0, 1.2 * expected) + 0.01


@virtual
async def test_leader_hint_saves_the_wait():
    async with producing(brokers=2, retry_backoff_ms=1000) as (kafka, producer):
        await producer.send_and_wait("t", b"0")
        kafka.move_leader("t")
        started = now()
        await producer.send_and_wait("t", b"1")
        assert now() - started < 0.2
        assert numbers(kafka) == [0, 1]


@virtual
async def test_leader_moves_without_hint():
    async with producing(brokers=2, cluster={"leader_hints": False}) as (kafka, producer):
        await producer.send_and_wait("t", b"0")
        kafka.move_leader("t")
        await producer.send_and_wait("t", b"1")
        assert numbers(kafka) == [0, 1]


@virtual
async def test_broker_restarts():
    async with producing(enable_idempotence=True) as (kafka, producer):
        await producer.send_and_wait("t", b"0")
        kafka.brokers[0].kill()
        futures = await send_all(producer, 10)
        await asyncio.sleep(20)
        assert not any(future.done() for future in futures)
        kafka.brokers[0].restart()
        back = now()
        await asyncio.gather(*futures)
        assert now() - back < 1.2


@virtual
async def test_one_frozen_broker_does_not_hold_up_the_others():
    async with producing(brokers=2, partitions=2, cluster={"session_timeout": None}) as (
        kafka,
        producer,
    ):
        for partition in range(2):
            await producer.send_and_wait("t", b"0", partition=partition)
        frozen, well = (kafka.partition("t", p).leader for p in range(2))
        assert frozen != well
        kafka.brokers[frozen].freeze()
        stuck = await producer.send("t", b"1", partition=0)
        for i in range(20):
            started = now()
            await producer.send_and_wait("t", b"%d" % i, partition=1)
            assert now() - started < 0.1
        assert not stuck.done()
        kafka.brokers[frozen].thaw()
        await stuck


@virtual
async def test_throttled():
    async with producing() as (kafka, producer):
        await warm(producer)
        kafka.faults.add(Throttle(2000), api="Produce", times=1)
        await producer.send_and_wait("t", b"0")
        started = now()
        await producer.send_and_wait("t", b"1")
        assert now() - started == pytest.approx(2, abs=0.1)


@virtual
async def test_too_large_batches_are_split():
    async with producing(enable_idempotence=True, max_batch_size=10_000, linger_ms=5) as (
        kafka,
        producer,
    ):
        kafka.create_topic("small", configs={"max.message.bytes": "1200"})
        futures = [await producer.send("small", b"%d" % i + b"x" * 500) for i in range(16)]
        results = await asyncio.gather(*futures)
        assert [r.offset for r in results] == list(range(16))
        values = [int(v.rstrip(b"x")) for v in kafka.values("small")]
        assert values == list(range(16))
        with pytest.raises(Errors.MessageSizeTooLargeError):
            await producer.send_and_wait("small", b"x" * 2000)
        await producer.send_and_wait("small", b"after")


# Idempotence


@virtual
async def test_epoch_bump_after_a_batch_is_lost():
    async with producing(
        enable_idempotence=True,
        request_timeout_ms=3000,
        delivery_timeout_ms=2000,
        max_batch_size=150,
    ) as (kafka, producer):
        await warm(producer)
        kafka.faults.add(Deaf(), api="Produce", times=1)
        lost = await producer.send("t", b"%0100d" % 1)
        with pytest.raises(DeliveryTimeoutError):
            await lost
        assert now() == pytest.approx(1002, abs=0.1)
        await producer.send_and_wait("t", b"%0100d" % 2)
        assert [(epoch, seq) for epoch, seq, _ in batches_of(kafka)] == [(1, 0)]
        assert producer._txn_manager.producer_epoch == 1


@virtual
async def test_followers_of_a_lost_batch_are_delivered_once():
    async with producing(
        enable_idempotence=True,
        request_timeout_ms=1500,
        delivery_timeout_ms=4000,
        max_batch_size=150,
    ) as (kafka, producer):
        await warm(producer)
        kafka.faults.add(Deaf(), api="Produce", lasting=3.5)
        first = await producer.send("t", b"%0100d" % 0)
        await asyncio.sleep(1)
        rest = [await producer.send("t", b"%0100d" % i) for i in range(1, 8)]
        results = await asyncio.gather(first, *rest, return_exceptions=True)
        delivered = [i for i, r in enumerate(results) if not isinstance(r, BaseException)]
        assert delivered[-7:] == list(range(1, 8))
        assert [i for i in numbers(kafka) if i] == list(range(1, 8))


@virtual
async def test_the_broker_has_forgotten_the_producer():
    async with producing(enable_idempotence=True) as (kafka, producer):
        await asyncio.gather(*await send_all(producer, 5))
        kafka.partition("t", 0).log.producers.clear()
        await asyncio.gather(*[await producer.send("t", b"%d" % i) for i in range(5, 9)])
        assert numbers(kafka) == list(range(9))


@virtual
async def test_out_of_order_in_the_pipeline():
    async with producing(enable_idempotence=True, max_batch_size=150) as (kafka, producer):
        await producer.send_and_wait("t", b"%0100d" % 0)
        # The first of five is refused, so the broker finds the others out of order.
        kafka.faults.add(Error(ErrorCode.NOT_ENOUGH_REPLICAS), api="Produce", times=1)
        futures = [await producer.send("t", b"%0100d" % i) for i in range(1, 8)]
        results = await asyncio.gather(*futures)
        assert numbers(kafka) == list(range(8))
        assert [r.offset for r in results] == list(range(1, 8))
        assert producer._txn_manager.producer_epoch == 0


@virtual
async def test_used_up_epochs():
    async with producing(enable_idempotence=True, delivery_timeout_ms=1000) as (kafka, producer):
        await producer.send_and_wait("t", b"0")
        manager = producer._txn_manager
        first_id = manager.producer_id
        manager.set_pid_and_epoch(first_id, 2**15 - 1)
        kafka.faults.add(Error(ErrorCode.NOT_ENOUGH_REPLICAS), api="Produce", lasting=1.05)
        with pytest.raises(DeliveryTimeoutError):
            await producer.send_and_wait("t", b"1")
        await producer.send_and_wait("t", b"2")
        assert manager.producer_id != first_id
        assert numbers(kafka) == [0, 2]


# Delivery timeout


@pytest.mark.parametrize("idempotent", [False, True])
@virtual
async def test_delivery_timeout(idempotent, caplog):
    async with producing(enable_idempotence=idempotent, delivery_timeout_ms=5000) as (
        kafka,
        producer,
    ):
        # Two: after one record by itself the next one would not wait for company.
        for future in await send_all(producer, 2):
            await future
        kafka.brokers[0].freeze()
        started = now()
        with caplog.at_level(logging.WARNING, "aiokafka.producer"):
            futures = await send_all(producer, 3)
            for future in futures:
                with pytest.raises(DeliveryTimeoutError) as caught:
                    await future
        assert now() - started == pytest.approx(5, rel=0.05)
        error = caught.value
        assert error.record_count == 3
        assert error.attempts >= 1
        assert error.__cause__ is not None
        for fact in ("3 record(s)", "t-0", "5000"):
            assert fact in str(error)
        ours = [r for r in caplog.records if "Expired" in r.getMessage()]
        assert len(ours) == 1
        kafka.brokers[0].thaw()
        await producer.send_and_wait("t", b"4")


@virtual
async def test_ten_minutes_without_a_cluster(caplog):
    async with producing(enable_idempotence=True, delivery_timeout_ms=10_000) as (
        kafka,
        producer,
    ):
        await producer.send_and_wait("t", b"0")
        kafka.brokers[0].kill()
        outage = now()
        with caplog.at_level(logging.INFO, "aiokafka.producer"):
            while now() - outage < 600:
                started = now()
                with pytest.raises(DeliveryTimeoutError):
                    await producer.send_and_wait("t", b"lost")
                assert now() - started < 10.5
            ours = [r for r in caplog.records if r.name.startswith("aiokafka")]
            assert len(ours) < 5
        kafka.brokers[0].restart()
        back = now()
        await producer.send_and_wait("t", b"1")
        assert now() - back < 1.5


# Crashes


@virtual
async def test_a_crash_while_sending_fails_everything():
    async with producing() as (_, producer):
        await warm(producer)

        async def broken(node_id, batches):
            raise ZeroDivisionError("a bug")

        producer._sender._send_produce_req = broken
        future = await producer.send("t", b"v")
        with pytest.raises(KafkaError, match="Unexpected error during batch delivery") as caught:
            await future
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(KafkaError, match="Unexpected error during batch delivery"):
            await producer.send("t", b"v")
        await asyncio.sleep(0)
        assert producer._sender.sender_task.done()


@virtual
async def test_a_crash_while_draining_fails_everything():
    async with producing() as (_, producer):
        await warm(producer)
        producer._message_accumulator._next_batch = None
        with pytest.raises(KafkaError, match="Unexpected error during batch delivery"):
            await producer.send_and_wait("t", b"v")


@virtual
async def test_nothing_is_left_behind():
    async with producing(enable_idempotence=True, partitions=3) as (kafka, producer):
        kafka.faults.add(Cut(), api="Produce", probability=0.3)
        await asyncio.gather(*await send_all(producer, 300))
        kafka.faults.clear()
        accumulator = producer._message_accumulator
        await asyncio.sleep(0)
        assert accumulator.pool.used == 0
        assert len(accumulator._pending) == 0
        assert producer._sender._in_flight == set()
        assert producer._sender._muted_partitions == set()
    assert isinstance(producer, AIOKafkaProducer)
