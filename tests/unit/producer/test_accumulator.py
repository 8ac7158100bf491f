"""The accumulator by itself, drained by hand."""

import asyncio
import logging

import pytest

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline
from aiokafka._news import SPACING
from aiokafka.errors import (
    BufferTimeoutError,
    DeliveryTimeoutError,
    KafkaError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    ProducerClosed,
)
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.transaction_manager import TransactionManager
from tests.unit.producer.lab import TP, TP1, Leaders, now, virtual


def accumulator(batch_size=1000, ttl=30, **kwargs):
    return MessageAccumulator(Leaders(), batch_size, 0, ttl, **kwargs)


def pooled(batch_size=1000, ttl=30, buffer_memory=10_000, **kwargs):
    return accumulator(batch_size, ttl, buffer_memory=buffer_memory, **kwargs)


def drained(acc, room=lambda node: 5):
    """Everything ready, as [(node, [batch, ...])]."""
    return [(node, list(batches.values())) for node, batches in acc.drain(room)]


def finish(acc, batch, offset=0):
    batch.done(offset)
    acc.landed(batch)


# One batch for each partition: the class as 0.14 has it


@virtual
async def test_waits_while_the_batch_is_full():
    acc = accumulator()
    await acc.add_message(TP, None, b"x" * 600, 2)
    started = now()
    with pytest.raises(KafkaTimeoutError):
        await acc.add_message(TP, None, b"x" * 600, 2)
    assert now() - started == pytest.approx(2, abs=0.01)
    # Another partition has a batch of its own.
    await acc.add_message(TP1, None, b"x" * 600, 2)

    waiting = asyncio.ensure_future(acc.add_message(TP, None, b"x" * 600, 2))
    await asyncio.sleep(0)
    nodes, unknown = acc.drain_by_nodes(ignore_nodes=[])
    assert ({*nodes[0]}, unknown) == ({TP, TP1}, False)
    await waiting
    assert len(acc._batches[TP]) == 1


@virtual
async def test_views_of_the_state():
    acc = accumulator()
    assert not acc._batches and not acc._pending_batches
    assert len(acc._batches[TP]) == 0
    await acc.add_message(TP, None, b"v", 2)
    batch = acc._batches[TP][0]
    assert acc._pending_batches == {batch}
    assert batch._builder._relative_offset == 1
    acc.drain_by_nodes(ignore_nodes=[])
    assert not acc._batches
    batch.done(0)
    await asyncio.sleep(0)
    assert not acc._pending_batches


@virtual
async def test_drain_by_nodes_leaves_out_nodes_and_partitions():
    acc = accumulator()
    acc._cluster.leaders = {TP: 0, TP1: 1}
    for tp in (TP, TP1):
        await acc.add_message(tp, None, b"v", 2)
    assert acc.drain_by_nodes(ignore_nodes=[0, 1]) == ({}, False)
    nodes, _ = acc.drain_by_nodes(ignore_nodes=[1], muted_partitions={TP})
    assert nodes == {}
    nodes, _ = acc.drain_by_nodes(ignore_nodes=[1])
    assert list(nodes) == [0]


@pytest.mark.parametrize(
    ("leader", "error"), [(None, NotLeaderForPartitionError), (-1, LeaderNotAvailableError)]
)
@virtual
async def test_without_leader_until_expiry(leader, error):
    acc = accumulator(ttl=1)
    acc._cluster.leaders = {TP: leader}
    future = await acc.add_message(TP, None, b"v", 2)
    assert acc.drain_by_nodes(ignore_nodes=[]) == ({}, True)
    await asyncio.sleep(1.1)
    assert acc.drain_by_nodes(ignore_nodes=[]) == ({}, True)
    with pytest.raises(error):
        await future
    assert acc.drain_by_nodes(ignore_nodes=[]) == ({}, False)


@virtual
async def test_lingering_unless_full():
    acc = accumulator(linger_ms=500)
    await acc.add_message(TP, None, b"v", 2)
    assert acc.drain_by_nodes(ignore_nodes=[]) == ({}, False)
    waiter = acc.waiter()
    assert not waiter.done()
    await waiter
    assert now() == pytest.approx(1000.5, abs=0.01)
    nodes, _ = acc.drain_by_nodes(ignore_nodes=[])
    assert list(nodes[0]) == [TP]
    assert acc.waiter() is not waiter


@virtual
async def test_settled_once_however_often_it_is_sent():
    acc = accumulator()
    await acc.add_message(TP, None, b"v", 2)
    for attempt in range(3):
        nodes, _ = acc.drain_by_nodes(ignore_nodes=[])
        batch = nodes[0][TP]
        assert batch.retry_count == attempt
        acc.reenqueue(batch)
    settled = []
    tell, batch.on_settled = batch.on_settled, lambda *args: settled.append(args)
    batch.done(1)
    batch.failure(KafkaError("too late"))
    batch.done_noack()
    assert settled == [(batch, True)]
    tell(batch, True)
    assert len(acc._pending) == 0


@virtual
async def test_add_batch_waits_for_an_empty_queue():
    acc = accumulator()
    await acc.add_message(TP, None, b"v", 2)
    builder = acc.create_builder()
    builder.append(timestamp=1, key=None, value=b"b")
    with pytest.raises(KafkaTimeoutError):
        await acc.add_batch(builder, TP, 1)
    acc.drain_by_nodes(ignore_nodes=[])
    future = await acc.add_batch(builder, TP, 1)
    nodes, _ = acc.drain_by_nodes(ignore_nodes=[])
    nodes[0][TP].done(7)
    assert (await future).offset == 7


# With a buffer memory


@virtual
async def test_many_batches_of_a_partition():
    acc = pooled()
    futures = [await acc.add_message(TP, None, b"%d" % i + b"x" * 400, 0) for i in range(7)]
    queue = acc.queue(TP)
    assert [batch.record_count for batch in queue.batches] == [2, 2, 2, 1]
    requests = drained(acc)
    assert [len(batches) for _, batches in requests] == [1, 1, 1, 1]
    for i, (_, (batch,)) in enumerate(requests):
        finish(acc, batch, 2 * i)
    assert [(await future).offset for future in futures] == list(range(7))
    await asyncio.sleep(0)
    assert acc.pool.used == 0


@virtual
async def test_memory_is_counted_until_the_answer():
    acc = pooled(buffer_memory=1000)
    future = await acc.add_message(TP, None, b"x" * 600, 0)
    assert 660 < acc.pool.used < 690
    with pytest.raises(BufferTimeoutError):
        await acc.add_message(TP1, None, b"x" * 600, 0)
    ((_, (batch,)),) = drained(acc)
    waiting = asyncio.ensure_future(acc.add_message(TP1, None, b"x" * 600, 5))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    finish(acc, batch)
    await (await_first := asyncio.wait_for(waiting, 1))
    assert future.done() and await_first is not None
    assert 660 < acc.pool.used < 690


@virtual
async def test_a_record_larger_than_the_memory():
    acc = pooled(buffer_memory=1000)
    with pytest.raises(MessageSizeTooLargeError):
        await acc.add_message(TP, None, b"x" * 1000, 5)
    builder = acc.create_builder()
    builder.append(timestamp=1, key=None, value=b"x" * 2000)
    with pytest.raises(MessageSizeTooLargeError):
        await acc.add_batch(builder, TP, 5)
    assert acc.pool.used == 0


@virtual
async def test_who_needs_space_ends_the_lingering():
    acc = pooled(buffer_memory=1000, linger_ms=60_000)
    await acc.add_message(TP, None, b"x" * 600, 0)
    assert drained(acc) == []
    waiting = asyncio.ensure_future(acc.add_message(TP, None, b"x" * 600, 5))
    await asyncio.sleep(0)
    ((_, (batch,)),) = drained(acc)
    finish(acc, batch)
    await waiting


@virtual
async def test_a_record_that_cannot_be_encoded_leaves_nothing():
    acc = pooled()
    with pytest.raises(TypeError):
        await acc.add_message(TP, None, b"v", 0, timestamp_ms="soon")
    await asyncio.sleep(0)
    assert (acc.pool.used, len(acc._pending), drained(acc)) == (0, 0, [])
    await acc.add_message(TP, None, b"v", 0)
    assert len(drained(acc)) == 1


@virtual
async def test_one_in_flight_keeps_the_order():
    acc = pooled(max_in_flight=1)
    for _ in range(4):
        await acc.add_message(TP, None, b"x" * 600, 0)
    ((_, (first,)),) = drained(acc)
    assert drained(acc) == []
    acc.retry_later([first], 0.5)
    acc.landed(first)
    assert drained(acc) == []
    await asyncio.sleep(0.51)
    ((_, (again,)),) = drained(acc)
    assert again is first
    assert again.retry_count == 1


@virtual
async def test_retried_batches_go_back_to_their_places():
    acc = pooled()
    for _ in range(5):
        await acc.add_message(TP, None, b"x" * 600, 0)
    batches = [batch for _, (batch,) in drained(acc)]
    for index in (2, 0, 4, 1):
        acc.reenqueue(batches[index])
    assert list(acc.queue(TP).batches) == [batches[i] for i in (0, 1, 2, 4)]


@virtual
async def test_requests_are_limited_in_size_and_number():
    acc = pooled(max_request_size=1500)
    for partition in range(6):
        await acc.add_message(TP._replace(partition=partition), None, b"x" * 600, 0)
    requests = drained(acc, lambda node: 2)
    assert [len(batches) for _, batches in requests] == [2, 2]
    # The rest waits until the node can take more.
    assert drained(acc, lambda node: 2) == []
    acc.backlog.unpark(0)
    assert [len(batches) for _, batches in drained(acc, lambda node: 2)] == [2]


@virtual
async def test_only_partitions_with_something_to_send_are_looked_at():
    acc = pooled()
    for partition in range(100):
        acc.queue(TP._replace(partition=partition))
    asked = []
    acc._cluster.leader_for_partition = lambda tp: asked.append(tp) or 0
    await acc.add_message(TP, None, b"v", 0)
    drained(acc)
    assert asked == [TP]


@virtual
async def test_leaderless_partitions_wait_for_metadata():
    acc = pooled()
    acc._cluster.leaders = {TP: -1, TP1: None}
    for tp in (TP, TP1):
        await acc.add_message(tp, None, b"v", 0)
    assert drained(acc) == []
    assert acc.backlog.leaderless == [TP, TP1]
    acc._cluster.leaders = {TP: 3, TP1: 3}
    acc.on_metadata_changed()
    ((node, batches),) = drained(acc)
    assert (node, len(batches)) == (3, 2)


@virtual
async def test_a_new_leader_ends_the_backoff():
    acc = pooled()
    await acc.add_message(TP, None, b"v", 0)
    ((_, (batch,)),) = drained(acc)
    acc.retry_later([batch], 10)
    acc.landed(batch)
    acc.on_metadata_changed()
    assert drained(acc) == []
    acc._cluster.leaders = {TP: 2}
    acc.on_metadata_changed()
    assert [node for node, _ in drained(acc)] == [2]


# Expiry


@virtual
async def test_expiry_by_the_clock(caplog):
    acc = pooled(ttl=2)
    acc._cluster.leaders = {TP: -1}
    first = await acc.add_message(TP, None, b"v", 0)
    drained(acc)
    await asyncio.sleep(1)
    second = await acc.add_message(TP1, None, b"v", 0)
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(DeliveryTimeoutError) as caught:
            await first
        assert now() == pytest.approx(1002, abs=0.01)
        error = caught.value
        assert (error.tp, error.record_count, error.attempts) == (TP, 1, 0)
        assert error.elapsed_ms == pytest.approx(2000, abs=10)
        assert isinstance(error.__cause__, LeaderNotAvailableError)
        assert not second.done()
        with pytest.raises(DeliveryTimeoutError):
            await second
    assert now() == pytest.approx(1003, abs=0.01)
    # The second one is no news.
    assert [r.levelno for r in caplog.records] == [logging.WARNING, logging.DEBUG]
    await asyncio.sleep(0)
    assert acc.pool.used == 0
    # The open batch of an expired one takes no more records.
    await acc.add_message(TP, None, b"v", 0)
    assert len(acc.queue(TP).batches) == 1


@virtual
async def test_expiry_in_flight_and_while_backing_off():
    acc = pooled(ttl=2)
    one = await acc.add_message(TP, None, b"v", 0)
    two = await acc.add_message(TP1, None, b"v", 0)
    ((_, batches),) = drained(acc)
    batches[1].last_error = Errors.NotEnoughReplicasError()
    acc.retry_later([batches[1]], 60)
    acc.landed(batches[1])
    for future, attempts, cause in (
        (one, 1, Errors.RequestTimedOutError),
        (two, 1, Errors.NotEnoughReplicasError),
    ):
        with pytest.raises(DeliveryTimeoutError) as caught:
            await future
        assert caught.value.attempts == attempts
        assert isinstance(caught.value.__cause__, cause)
    # Answered after all: nobody is told twice.
    finish(acc, batches[0])
    acc.retry_later([batches[0]], 0)
    assert drained(acc) == []


@virtual
async def test_delivered_again_is_news(caplog):
    acc = pooled(ttl=1)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            future = await acc.add_message(TP, None, b"v", 0)
            with pytest.raises(DeliveryTimeoutError):
                await future
            await acc.add_message(TP, None, b"v", 0)
            ((_, (batch,)),) = drained(acc)
            finish(acc, batch)
            await asyncio.sleep(SPACING)
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"] * 2


# Splitting


@virtual
async def test_split():
    acc = pooled(buffer_memory=100_000, batch_size=10_000)
    futures = [await acc.add_message(TP, None, b"%d" % i + b"x" * 500, 0) for i in range(8)]
    later = await acc.add_message(TP, None, b"y" * 9_000, 0)
    batches = [batch for _, (batch,) in drained(acc)]
    acc.reenqueue(batches[1])
    acc.split(batches[0])
    acc.landed(batches[0])
    again = [batch for _, (batch,) in drained(acc)]
    assert again[-1] is batches[1]
    assert sum(batch.record_count for batch in again[:-1]) == 8
    offset = 0
    for batch in again:
        finish(acc, batch, offset)
        offset += batch.record_count
    assert [(await future).offset for future in (*futures, later)] == list(range(9))
    await asyncio.sleep(0)
    assert acc.pool.used == 0
    assert len(acc._pending) == 0


# Flushing and ending


@virtual
async def test_flush():
    acc = pooled(linger_ms=60_000)
    await acc.flush()
    await acc.add_message(TP, None, b"v", 0)
    flushing = asyncio.ensure_future(acc.flush())
    await asyncio.sleep(0)
    ((_, (batch,)),) = drained(acc)
    await asyncio.sleep(1)
    # What comes later is not waited for.
    await acc.add_message(TP, None, b"v", 0)
    finish(acc, batch)
    await flushing
    with pytest.raises(KafkaTimeoutError):
        await acc.flush(Deadline.after(1))


@virtual
async def test_fail_all():
    acc = pooled(buffer_memory=1000)
    future = await acc.add_message(TP, None, b"x" * 600, 0)
    waiting = asyncio.ensure_future(acc.add_message(TP, None, b"x" * 600, 5))
    await asyncio.sleep(0)
    error = KafkaError("broken")
    acc.fail_all(error)
    for failed in (future, waiting, acc.add_message(TP, None, b"v", 0)):
        with pytest.raises(KafkaError) as caught:
            await failed
        assert caught.value is not error
        assert str(caught.value) == str(error)


@virtual
async def test_close_waits_for_what_there_is():
    acc = pooled(buffer_memory=1000, linger_ms=60_000)
    future = await acc.add_message(TP, None, b"x" * 600, 0)
    waiting = asyncio.ensure_future(acc.add_message(TP, None, b"x" * 600, 5))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(acc.close())
    with pytest.raises(ProducerClosed):
        await waiting
    with pytest.raises(ProducerClosed):
        await acc.add_message(TP, None, b"v", 0)
    ((_, (batch,)),) = drained(acc)
    finish(acc, batch)
    await closing
    await future


@virtual
async def test_dispose_fails_the_rest():
    acc = pooled(linger_ms=60_000)
    future = await acc.add_message(TP, None, b"v", 0)
    assert acc.dispose(ProducerClosed("stopped")) == 1
    with pytest.raises(ProducerClosed):
        await future


# Batches of the application


@virtual
async def test_add_batch_keeps_the_order():
    acc = pooled(linger_ms=60_000)
    await acc.add_message(TP, None, b"before", 0)
    builder = acc.create_builder()
    with pytest.raises(ValueError, match="no records"):
        await acc.add_batch(builder, TP, 0)
    builder.append(timestamp=1, key=None, value=b"b")
    future = await acc.add_batch(builder, TP, 0)
    assert builder.closed()
    with pytest.raises(ValueError, match="already"):
        await acc.add_batch(builder, TP, 0)
    await acc.add_message(TP, None, b"after", 0)
    one, two = (batch for _, (batch,) in drained(acc))
    assert (one.record_count, two.record_count) == (1, 1)
    finish(acc, one, 0)
    finish(acc, two, 1)
    assert (await future).offset == 1
    # Once settled it may be sent again.
    await acc.add_batch(builder, TP, 0)


@virtual
async def test_cancelling_the_shield_does_not_stop_the_batch():
    acc = pooled()
    builder = acc.create_builder()
    builder.append(timestamp=1, key=None, value=b"b")
    future = await acc.add_batch(builder, TP, 0)
    future.cancel()
    ((_, (batch,)),) = drained(acc)
    finish(acc, batch)


# Idempotence: only what the sequences allow is drained


async def acknowledged(acc, txn):
    """Have a first record stored, so that the broker knows the producer."""
    await acc.add_message(TP, None, b"first", 0)
    ((_, (batch,)),) = drained(acc)
    txn.sequences.settled(TP, batch)
    finish(acc, batch)


@virtual
async def test_nothing_goes_out_without_a_producer_id():
    txn = TransactionManager(None, 1000)
    acc = pooled(txn_manager=txn, max_in_flight=5)
    await acc.add_message(TP, None, b"v", 0)
    assert drained(acc) == []
    txn.set_pid_and_epoch(4, 0)
    acc.reschedule_pending()
    assert [batch.base_sequence for _, (batch,) in drained(acc)] == [0]


@virtual
async def test_five_batches_of_a_partition_at_once():
    txn = TransactionManager(None, 1000)
    txn.set_pid_and_epoch(4, 0)
    acc = pooled(txn_manager=txn, max_in_flight=5)
    await acknowledged(acc, txn)
    for _ in range(7):
        await acc.add_message(TP, None, b"x" * 600, 0)
    batches = [batch for _, (batch,) in drained(acc, lambda node: 99)]
    assert [batch.base_sequence for batch in batches] == [1, 2, 3, 4, 5]
    txn.sequences.settled(TP, batches[0])
    finish(acc, batches[0])
    assert [batch.base_sequence for _, (batch,) in drained(acc)] == [6]


@virtual
async def test_expiry_in_flight_restarts_the_sequence_when_all_is_settled():
    txn = TransactionManager(None, 1000)
    txn.set_pid_and_epoch(4, 0)
    acc = pooled(txn_manager=txn, max_in_flight=5, ttl=2)
    await acknowledged(acc, txn)
    lost = await acc.add_message(TP, None, b"x" * 600, 0)
    await asyncio.sleep(1)
    await acc.add_message(TP, None, b"x" * 600, 0)
    first, second = (batch for _, (batch,) in drained(acc))
    with pytest.raises(DeliveryTimeoutError):
        await lost
    await acc.add_message(TP, None, b"x" * 600, 0)
    assert drained(acc) == []
    acc.landed(first)
    acc.retry_later([second], 0)
    acc.landed(second)
    # It may be stored: the same number again, alone.
    ((_, (again,)),) = drained(acc)
    assert (again, again.base_sequence) == (second, 2)
    txn.sequences.settled(TP, second)
    finish(acc, second)
    ((_, (third,)),) = drained(acc)
    assert (third.base_sequence, txn.producer_epoch) == (0, 1)


async def test_lingering_under_any_loop():
    # Not in virtual time: uvloop's timer handles are different.
    acc = pooled(linger_ms=1)
    waiter = acc.waiter()
    for partition in range(3):
        await acc.add_message(TP._replace(partition=partition), None, b"v", 0)
    await asyncio.wait_for(waiter, 5)
    batches = []
    while len(batches) < 3:
        batches += [batch for _, found in drained(acc) for batch in found]
        await asyncio.sleep(0)
    for batch in batches:
        finish(acc, batch)
    acc.dispose(ProducerClosed())
