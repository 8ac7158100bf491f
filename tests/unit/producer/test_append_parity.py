"""The compiled appender and its twin in Python do the same."""

import asyncio
import importlib
import pickle
import random
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner, StickyPartitioner
from aiokafka.producer import _append_py
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition
from aiokafka.util import NO_EXTENSIONS

compiled: ModuleType | None
try:
    if NO_EXTENSIONS:
        raise ImportError("switched off")
    compiled = importlib.import_module("aiokafka.producer._append")
except ImportError:
    compiled = None

TWINS = [_append_py] if compiled is None else [_append_py, compiled]

keys = st.none() | st.binary(max_size=20) | st.binary(max_size=8).map(bytearray)
values = st.none() | st.binary(max_size=200)
headers = st.none() | st.lists(
    st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2
)
records = st.lists(
    st.tuples(
        values,
        keys,
        st.none() | st.integers(-1, 7),
        st.integers(0, 2**41),
        headers,
    ),
    max_size=40,
)


class World:
    """An appender of one implementation, with the batches it has opened."""

    def __init__(self, module, loop, partitioner=None, total=10**6, **kwargs):
        self.module = module
        self.loop = loop
        self.pool = module.BufferPool(total)
        self.slots = {}
        self.opened = []
        self.dropped = []
        partitioner = partitioner or DefaultPartitioner(rng=random.Random(5))
        kind = module_kind(partitioner)
        settings = {
            "pool": self.pool,
            "find_route": self.find_route,
            "open_batch": self.open_batch,
            "drop_empty": self.dropped.append,
            "create_future": loop.create_future,
            "max_record": 1000,
            "partitioner": partitioner,
            "kind": kind,
            "sticky_bytes": 500,
            "seed": 12345,
        }
        self.appender = module.Appender(**{**settings, **kwargs})
        self.appender.enabled = True
        self.partitions = [0, 1, 2, 3, 4]
        self.available = [0, 2, 3]

    def slot(self, tp):
        return self.slots.setdefault(tp, self.module.PartitionSlot(tp))

    def find_route(self, topic):
        if topic != "t":
            return None
        return self.module.TopicRoute(topic, self.partitions, self.available, self.slot)

    def open_batch(self, slot):
        if slot.open is not None:
            slot.open.closed = True
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 300)
        slot.open = self.module.BatchRecords(builder)
        slot.open.charge(self.pool)
        self.opened.append((slot.tp, slot.open))
        return slot.open

    def append(self, *args):
        try:
            return self.appender.append(*args)
        except Exception as error:
            return type(error), str(error)

    def state(self):
        return {
            "used": self.pool.used,
            "appended": self.pool.appended,
            "batches": [
                (tp, r.count, list(r.timestamps), r.charged, bytes(r.builder.build()))
                for tp, r in self.opened
            ],
        }


def module_kind(partitioner):
    if type(partitioner) is DefaultPartitioner:
        return _append_py.DEFAULT
    if isinstance(partitioner, StickyPartitioner):
        return _append_py.TOPIC_AWARE
    return _append_py.CALLABLE


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def shape(result):
    return "future" if asyncio.isfuture(result) else result


@pytest.mark.skipif(compiled is None, reason="there is only one implementation")
@pytest.mark.parametrize("partitioner", [None, StickyPartitioner, lambda: lambda k, a, b: a[-1]])
@given(records=records)
def test_same_results(partitioner, records):
    loop = asyncio.new_event_loop()
    try:
        made = []
        for module in TWINS:
            chooser = partitioner() if partitioner else None
            if isinstance(chooser, StickyPartitioner):
                chooser = StickyPartitioner(500, rng=random.Random(3))
            world = World(module, loop, chooser)
            results = [
                shape(world.append("t", value, key, partition, timestamp, hdrs))
                for value, key, partition, timestamp, hdrs in records
            ]
            made.append((results, world.state()))
        assert made[0] == made[1]
    finally:
        loop.close()


@pytest.mark.parametrize("module", TWINS)
def test_same_partition_as_the_partitioner_for_keys(module, loop):
    world = World(module, loop)
    choose = DefaultPartitioner()
    for i in range(50):
        key = b"key-%d" % i
        world.append("t", b"v", key, None, None, None)
        expected = choose(key, world.partitions, world.available)
        assert key in bytes(world.slots[TopicPartition("t", expected)].open.builder.build())


@pytest.mark.parametrize("module", TWINS)
def test_keyless_records_go_to_available_partitions_evenly(module, loop):
    world = World(module, loop)
    for _ in range(600):
        world.append("t", b"v", None, None, None, None)
    counts = {}
    for tp, batch in world.opened:
        counts[tp.partition] = counts.get(tp.partition, 0) + batch.count
    assert set(counts) == {0, 2, 3}
    assert all(150 < count < 250 for count in counts.values())


@pytest.mark.parametrize("module", TWINS)
def test_without_leaders_any_partition_will_do(module, loop):
    world = World(module, loop)
    world.available = []
    for _ in range(100):
        world.append("t", b"v", None, None, None, None)
    assert {tp.partition for tp, _ in world.opened} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("module", TWINS)
def test_partition_numbers_with_gaps(module, loop):
    world = World(module, loop)
    world.partitions, world.available = [1, 4], [4]
    assert world.append("t", b"v", None, 0, None, None) is None
    assert world.append("t", b"v", None, 4, None, None) is not None
    assert world.append("t", b"v", None, None, None, None) is not None
    assert set(world.slots) == {TopicPartition("t", 4)}


@pytest.mark.parametrize("module", TWINS)
def test_what_needs_patience(module, loop):
    world = World(module, loop)
    good = ("t", b"v", None, 0, None, None)
    assert world.append("unknown", b"v", None, None, None, None) is None
    assert world.append("t", None, None, None, None, None) is None
    assert world.append("t", b"v", None, 5, None, None) is None
    assert world.append("t", b"v", None, -1, None, None) is None
    assert world.append("t", b"v", None, 2**70, None, None) is None
    assert world.append("t", b"v", None, True, None, None) is None
    world.appender.enabled = False
    assert world.append(*good) is None
    world.appender.enabled = True
    world.pool.blocked = True
    assert world.append(*good) is None
    world.pool.blocked = False
    world.pool.appended = _append_py.YIELD_AFTER
    assert world.append(*good) is None
    world.pool.appended = 0
    assert world.opened == []
    assert world.append(*good) is not None


@pytest.mark.parametrize("module", TWINS)
def test_a_record_without_space_is_left_prepared(module, loop):
    world = World(module, loop, total=200, value_serializer=str.encode)
    assert world.append("t", "x" * 150, b"k", None, None, None) is None
    tp = TopicPartition("t", DefaultPartitioner()(b"k", world.partitions, world.available))
    assert world.appender.prepared == (tp, b"k", b"x" * 150)
    assert world.pool.used == 0


@pytest.mark.parametrize("module", TWINS)
def test_errors_leave_no_trace(module, loop):
    world = World(module, loop)
    for bad, kind in (
        (("t", "text", None, 0, None, None), TypeError),
        (("t", b"v", "text", None, None, None), TypeError),
        (("t", b"v", None, 0, "soon", None), TypeError),
        (("t", b"v", None, 0, None, {"a": b"b"}), TypeError),
        (("t", b"x" * 2000, None, 0, None, None), MessageSizeTooLargeError),
    ):
        assert world.append(*bad)[0] is kind
    assert world.opened == []
    assert world.append("t", b"v", None, 0, 5, None) is not None
    # A timestamp too far from the first one's is found out only when encoding.
    assert world.append("t", b"v", None, 0, -(2**63), None)[0] is OverflowError
    assert world.dropped == []
    assert [batch.count for _, batch in world.opened] == [1]


@pytest.mark.parametrize("module", TWINS)
def test_an_error_in_the_first_record_gives_the_empty_batch_back(module, loop):
    world = World(module, loop)
    assert world.append("t", b"v", None, 0, 2**70, None)[0] is OverflowError
    if world.opened:
        assert world.dropped == [world.slots[TopicPartition("t", 0)]]


@pytest.mark.parametrize("module", TWINS)
def test_a_partitioner_that_is_wrong(module, loop):
    world = World(module, loop, lambda key, every, available: 17)
    assert world.append("t", b"v", None, None, None, None)[0] is ValueError
    world = World(module, loop, lambda key, every, available: 1 // 0)
    assert world.append("t", b"v", None, None, None, None)[0] is ZeroDivisionError
    assert world.opened == []


@pytest.mark.parametrize("module", TWINS)
def test_serializers_and_gate(module, loop):
    allowed = []
    world = World(
        module,
        loop,
        key_serializer=lambda key: b"k" + key,
        value_serializer=lambda value: b"v" + value,
        may_append=lambda: bool(allowed),
    )
    assert world.append("t", b"1", b"1", 0, 7, None) is None
    allowed.append(1)
    assert world.append("t", b"1", b"1", 0, 7, None) is not None
    (record,) = DefaultRecordBatch(bytes(world.opened[0][1].builder.build()))
    assert (record.key, record.value, record.timestamp) == (b"k1", b"v1", 7)


@pytest.mark.parametrize("module", TWINS)
def test_sticky_partitioner_is_told_what_was_appended(module, loop):
    told = []

    class Told(StickyPartitioner):
        def on_append(self, topic, partition, size):
            told.append((topic, partition, size))
            super().on_append(topic, partition, size)

    world = World(module, loop, Told(500, rng=random.Random(1)))
    for _ in range(40):
        world.append("t", b"x" * 50, None, None, None, None)
    assert len(told) == 4
    assert all(500 <= size < 600 for _, _, size in told)
    assert {topic for topic, _, _ in told} == {"t"}
    runs = [tp.partition for tp, _ in world.opened]
    assert len(set(runs)) > 1


@pytest.mark.parametrize("module", TWINS)
@pytest.mark.parametrize(("stamp", "kind"), [(-1, 0), (None, 0), (99, 1)])
def test_complete(module, loop, stamp, kind):
    world = World(module, loop)
    futures = [world.append("t", b"v", None, 1, 10 + i, None) for i in range(4)]
    futures[1].cancel()
    futures[2].set_result("already")
    tp = TopicPartition("t", 1)
    batch = world.opened[0][1]
    batch.complete(tp, 100, stamp, 3)
    first = futures[0].result()
    assert first == RecordMetadata("t", 1, tp, 100, 99 if kind else 10, kind, 3)
    assert type(first) is RecordMetadata
    assert hash(first) == hash(tuple(first))
    assert pickle.loads(pickle.dumps(first)) == first
    assert first.topic_partition is tp
    assert futures[1].cancelled()
    assert futures[2].result() == "already"
    assert futures[3].result().offset == 103
    assert futures[3].result() == batch.metadata(3, tp, 100, stamp, 3)
    assert batch.futures == []


@pytest.mark.parametrize("module", TWINS)
def test_complete_with_an_unknown_offset(module, loop):
    world = World(module, loop)
    futures = [world.append("t", b"v", None, 1, 10, None) for i in range(2)]
    world.opened[0][1].complete(TopicPartition("t", 1), -1, -1, None)
    assert [f.result().offset for f in futures] == [-1, -1]


@pytest.mark.parametrize("module", TWINS)
def test_fail_gives_each_its_own_copy(module, loop):
    world = World(module, loop)
    futures = [world.append("t", b"v", None, 1, 10, None) for i in range(3)]
    futures[0].cancel()
    error = KafkaTimeoutError("late")
    error.__cause__ = OSError("why")
    world.opened[0][1].fail(error)
    one, two = (f.exception() for f in futures[1:])
    assert one is not two is not error
    assert str(one) == str(error)
    assert one.__cause__ is error.__cause__


@pytest.mark.parametrize("module", TWINS)
def test_unacknowledged(module, loop):
    world = World(module, loop)
    futures = [world.append("t", b"v", None, 1, 10, None) for i in range(3)]
    futures[0].cancel()
    world.opened[0][1].complete_unacknowledged()
    assert [f.result() for f in futures[1:]] == [None, None]


@pytest.mark.parametrize("module", TWINS)
def test_bytes_are_counted_and_given_back(module, loop):
    world = World(module, loop)
    for _ in range(3):
        world.append("t", b"v" * 20, None, 1, 10, None)
    batch = world.opened[0][1]
    assert world.pool.used == batch.charged == batch.builder.size()
    assert batch.release() == batch.builder.size()
    assert (batch.release(), world.pool.used) == (0, 0)


@pytest.mark.parametrize("module", TWINS)
def test_a_closed_batch_takes_nothing(module, loop):
    batch = module.BatchRecords(DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 300))
    metadata = batch.append(5, b"k", b"v", [])
    assert (metadata.offset, metadata.timestamp) == (0, 5)
    assert batch.futures == [None]
    batch.closed = True
    assert batch.append(5, b"k", b"v", []) is None
    assert batch.append_future(5, b"k", b"v", [], loop.create_future) is None
    assert (batch.count, batch.release()) == (1, 0)
