"""BatchBuilder and MessageBatch."""

import asyncio

import pytest

from aiokafka.errors import KafkaError, LeaderNotAvailableError
from aiokafka.producer.message_accumulator import BatchBuilder, MessageBatch
from aiokafka.record.default_records import DefaultRecordBatch
from tests.unit.producer.lab import TP, now, virtual

ROOM = 1000


def values(builder):
    return [record.value for record in DefaultRecordBatch(bytes(builder._build()))]


def filled(count=4, size=100, **kwargs):
    builder = BatchBuilder(ROOM * 100, 0, **kwargs)
    for i in range(count):
        builder.append(timestamp=1000 + i, key=None, value=b"%03d" % i + b"x" * (size - 3))
    return builder


# BatchBuilder: without a loop


def test_builder_by_itself():
    builder = BatchBuilder(200, 0)
    assert (builder.size(), builder.record_count(), builder.closed()) == (61, 0, False)
    metadata = builder.append(timestamp=5, key=b"k", value=b"v", headers=None)
    assert (metadata.offset, metadata.timestamp, metadata.crc) == (0, 5, None)
    assert builder.size() == 61 + metadata.size
    assert builder._relative_offset == builder.record_count() == 1
    assert builder.append(timestamp=5, key=None, value=b"x" * 150) is None
    assert not builder.closed()
    builder.close()
    builder.close()
    assert builder.closed() and builder._closed
    assert builder.append(timestamp=5, key=None, value=b"") is None


def test_first_record_always_fits():
    builder = BatchBuilder(10, 0)
    assert builder.append(timestamp=None, key=None, value=b"x" * 100) is not None


def test_build_closes_and_is_kept():
    builder = filled()
    data = builder._build()
    assert builder.closed()
    assert builder._build() is data is builder._buffer
    assert builder.size() == len(data)
    builder._set_producer_state(7, 1, 5)
    batch = DefaultRecordBatch(bytes(builder._build()))
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (7, 1, 5)
    again = builder._build()
    builder._set_producer_state(7, 1, 5)
    assert builder._build() is again


def test_serializers():
    builder = BatchBuilder(ROOM, 0, key_serializer=str.encode, value_serializer=str.encode)
    builder.append(timestamp=1, key="k", value="v")
    assert values(builder) == [b"v"]
    with pytest.raises(TypeError):
        BatchBuilder(ROOM, 0).append(timestamp=1, key=None, value="text")


def test_transactional_flag_and_compression():
    builder = filled(is_transactional=1)
    assert DefaultRecordBatch(bytes(builder._build())).is_transactional
    packed = BatchBuilder(ROOM, 1, compression_level=1)
    packed.append(timestamp=1, key=None, value=b"x" * 900)
    assert packed.size() > 900
    packed._build()
    assert packed.size() < 200


# MessageBatch


def batch(builder=None, ttl=10, linger=0):
    return MessageBatch(TP, builder or BatchBuilder(ROOM, 0), ttl, linger)


@virtual
async def test_done_resolves_records_and_batch():
    b = batch()
    assert b.is_empty()
    futures = [b.append(None, b"v", 10 + i) for i in range(3)]
    b.done(20, None, 4)
    assert [f.result().offset for f in futures] == [20, 21, 22]
    assert [f.result().timestamp for f in futures] == [10, 11, 12]
    assert b.future.result() == futures[0].result()
    b.failure(KafkaError("too late"))
    assert (await b.future).offset == 20


@virtual
async def test_done_noack():
    b = batch()
    future = b.append(None, b"v", 10)
    b.done_noack()
    assert await future is None
    assert await b.future is None


@virtual
async def test_failure_copies():
    b = batch()
    futures = [b.append(None, b"v", 10 + i) for i in range(2)]
    cause = OSError("x")
    error = KafkaError("gone")
    error.__cause__ = cause
    b.failure(error)
    errors = [f.exception() for f in (*futures, b.future)]
    assert len({id(e) for e in errors}) == 3
    assert all(str(e) == str(error) and e.__cause__ is cause for e in errors)
    assert b.append(None, b"late", 10) is None


@virtual
async def test_clocks():
    b = batch(ttl=2, linger=0.5)
    assert b.remaining_linger() == pytest.approx(0.5)
    await asyncio.sleep(0.6)
    assert b.remaining_linger() == 0
    assert not b.expired()
    await asyncio.sleep(1.4)
    assert b.expired()


@virtual
async def test_wait_drain():
    b = batch()
    started = now()
    await b.wait_drain(0.2)
    assert now() - started == pytest.approx(0.2)
    waiting = asyncio.ensure_future(b.wait_drain(5))
    await asyncio.sleep(0)
    b.drain_ready()
    await waiting
    await b.wait_drain(5)
    b.reset_drain()
    assert b.retry_count == 1
    waiting = asyncio.ensure_future(b.wait_drain(5))
    await asyncio.sleep(0)
    b.failure(LeaderNotAvailableError())
    with pytest.raises(LeaderNotAvailableError):
        await waiting


@virtual
async def test_numbers_do_not_change_once_sent():
    b = batch()
    b.append(None, b"v", 1)
    b.attempts = 1
    b.set_producer_state(7, 0, 3)
    assert DefaultRecordBatch(bytes(b.get_data_buffer())).base_sequence == 3
    with pytest.raises(AssertionError):
        b.set_producer_state(7, 0, 4)
    b.reset_producer_state()
    b.set_producer_state(7, 1, 0)


# Splitting


@virtual
async def test_split_hands_the_futures_on():
    b = batch(filled(0))
    sent = [
        b.append(b"k", b"%03d" % i + b"x" * 97, 1000 + i, headers=[("h", b"1")]) for i in range(10)
    ]
    b.get_data_buffer()
    parts = b.split(10)
    assert len(parts) >= 2
    assert all(part.created_at == b.created_at for part in parts)
    records = [r for part in parts for r in DefaultRecordBatch(bytes(part.get_data_buffer()))]
    assert [r.value[:3] for r in records] == [b"%03d" % i for i in range(10)]
    assert [r.timestamp for r in records] == list(range(1000, 1010))
    assert {(r.key, tuple(r.headers)) for r in records} == {(b"k", (("h", b"1"),))}
    offset = 0
    for part in parts:
        assert not b.future.done()
        part.done(offset)
        offset += part.record_count
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [f.result().offset for f in sent] == list(range(10))
    assert (await b.future).offset == 0


@pytest.mark.parametrize(
    "sizes", [(100, 100), (1, 5000), (5000, 1), (1, 1, 1, 9000), (9000, 1, 1)]
)
@virtual
async def test_split_makes_at_least_two_parts(sizes):
    builder = BatchBuilder(10**6, 0)
    for size in sizes:
        builder.append(timestamp=1, key=None, value=b"x" * size)
    parts = batch(builder).split(10)
    assert len(parts) >= 2
    assert sum(part.record_count for part in parts) == len(sizes)
    assert all(part.record_count for part in parts)


@virtual
async def test_split_batch_fails_with_its_parts():
    b = batch(filled(4))
    one, two = b.split(10)
    one.done(0)
    two.failure(KafkaError("no"))
    with pytest.raises(KafkaError):
        await b.future


@virtual
async def test_repr():
    assert "t-0" in repr(batch())


@virtual
async def test_the_future_made_after_the_end():
    stored, unacknowledged, failed = batch(), batch(), batch()
    future = stored.append(None, b"v", 10)
    stored.done(20, None, 4)
    assert stored.future.result() == future.result()
    assert stored.future is stored.future
    unacknowledged.done_noack()
    assert unacknowledged.future.result() is None
    failed.failure(KafkaError("gone"))
    with pytest.raises(KafkaError, match="gone"):
        await failed.future
