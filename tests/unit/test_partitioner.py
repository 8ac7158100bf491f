"""Key hash and partitioners, against vectors of the Java client and other clients."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Callable
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aiokafka.partitioner as module
from aiokafka.partitioner import (
    DefaultPartitioner,
    StickyPartitioner,
    TopicPartitioner,
    murmur2,
)

Hash = Callable[[bytes | bytearray | memoryview], int]


def implementations() -> dict[str, Hash]:
    """The Python twin, and the compiled one where it has been built."""
    found: dict[str, Hash] = {"python": module._murmur2_py, "chosen": murmur2}
    try:
        found["compiled"] = import_module("aiokafka._murmur2").murmur2
    except ImportError:
        pass
    return found


each_hash = pytest.mark.parametrize("hash_", implementations().values(), ids=implementations())

# Known answers of the Java client, signed as Java prints them.
JAVA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}

ALL = list(range(7))


@each_hash
@pytest.mark.parametrize("key", JAVA_VECTORS)
def test_java_vectors(hash_: Hash, key: bytes) -> None:
    assert hash_(key) == JAVA_VECTORS[key] & 0xFFFFFFFF


@each_hash
@given(data=st.binary(max_size=70))
def test_all_implementations_agree_on_any_bytes(hash_: Hash, data: bytes) -> None:
    expected = module._murmur2_py(data)
    assert 0 <= expected < 2**32
    assert hash_(data) == expected
    assert hash_(bytearray(data)) == expected
    assert hash_(memoryview(data)) == expected


def test_same_hash_as_kafka_python() -> None:
    """An interop check: records of both clients with one key meet in one partition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its import causes some
        theirs = import_module("kafka.partitioner.default").murmur2
    rng = random.Random(1)
    for _ in range(300):
        key = rng.randbytes(rng.randrange(40))
        assert murmur2(key) == theirs(key) & 0xFFFFFFFF


def test_keyed_record_ignores_availability() -> None:
    partitioner = DefaultPartitioner()
    for key, signed in JAVA_VECTORS.items():
        assert partitioner(key, ALL, [0]) == (signed & 0x7FFFFFFF) % 7
    assert partitioner(b"", ALL, ALL) == partitioner(b"", ALL, [])


def test_keyless_record_prefers_available_partitions() -> None:
    partitioner = DefaultPartitioner()
    assert {partitioner(None, ALL, [2, 5]) for _ in range(100)} == {2, 5}
    assert {partitioner(None, ALL, []) for _ in range(500)} == set(ALL)


def test_seeded_choice_repeats() -> None:
    one, two = (DefaultPartitioner(rng=random.Random(7)) for _ in range(2))
    assert [one(None, ALL, ALL) for _ in range(50)] == [two(None, ALL, ALL) for _ in range(50)]


def test_default_knows_no_topics_and_sticky_does() -> None:
    assert not isinstance(DefaultPartitioner(), TopicPartitioner)
    assert isinstance(StickyPartitioner(), TopicPartitioner)


class TestSticky:
    def make(self, batch_size: int | None = 100) -> StickyPartitioner:
        return StickyPartitioner(batch_size, rng=random.Random(3))

    def fill(self, sticky: StickyPartitioner, topic: str, available: list[int], size: int) -> int:
        partition = sticky.partition_for(topic, None, ALL, available)
        sticky.on_append(topic, partition, size)
        return partition

    def test_stays_until_batch_size_bytes_then_moves(self) -> None:
        sticky = self.make()
        first = [self.fill(sticky, "t", ALL, 30) for _ in range(4)]  # 120 bytes
        assert len(set(first)) == 1
        assert self.fill(sticky, "t", ALL, 30) != first[0]

    def test_exactly_full_moves(self) -> None:
        sticky = self.make()
        assert self.fill(sticky, "t", ALL, 99) == self.fill(sticky, "t", ALL, 1)
        before = sticky._topics["t"].partition
        assert self.fill(sticky, "t", ALL, 1) != before

    def test_several_records_may_be_counted_at_once(self) -> None:
        sticky = self.make()
        first = self.fill(sticky, "t", ALL, 1000)
        assert self.fill(sticky, "t", ALL, 1) != first

    def test_topics_are_independent(self) -> None:
        sticky = self.make()
        first = self.fill(sticky, "a", ALL, 50)
        for _ in range(10):
            self.fill(sticky, "b", ALL, 100)
        assert self.fill(sticky, "a", ALL, 1) == first

    def test_bytes_of_other_partitions_do_not_count(self) -> None:
        sticky = self.make()
        first = self.fill(sticky, "t", ALL, 1)
        sticky.on_append("t", (first + 1) % 7, 10_000)
        sticky.on_append("unknown", 0, 10_000)
        assert self.fill(sticky, "t", ALL, 1) == first

    def test_lost_leader_is_left_at_once(self) -> None:
        sticky = self.make()
        first = self.fill(sticky, "t", ALL, 1)
        rest = [p for p in ALL if p != first]
        second = self.fill(sticky, "t", rest, 1)
        assert second in rest
        assert self.fill(sticky, "t", list(ALL), 1) == second  # comes back: no reason to move

    def test_no_leader_at_all_uses_all(self) -> None:
        assert self.fill(self.make(), "t", [], 1) in ALL

    def test_single_partition(self) -> None:
        sticky = self.make()
        assert {self.fill(sticky, "t", [4], 100) for _ in range(5)} == {4}

    def test_keyed_as_default_and_uncounted(self) -> None:
        sticky = self.make()
        for key in JAVA_VECTORS:
            assert sticky.partition_for("t", key, ALL, []) == DefaultPartitioner()(key, ALL, [])
        assert sticky._topics == {}

    def test_plain_call_spreads(self) -> None:
        sticky = self.make()
        assert {sticky(None, ALL, ALL) for _ in range(500)} == set(ALL)
        assert sticky(b"foobar", ALL, ALL) == DefaultPartitioner()(b"foobar", ALL, ALL)

    def test_shares_are_even(self) -> None:
        sticky = self.make(batch_size=1)
        counts = Counter(self.fill(sticky, "t", ALL, 1) for _ in range(7000))
        assert min(counts.values()) > 850
        assert max(counts.values()) < 1150

    def test_unchanged_list_is_not_searched(self) -> None:
        class Counting(list[int]):
            searches = 0

            def __contains__(self, item: object) -> bool:
                Counting.searches += 1
                return super().__contains__(item)

        sticky = self.make(batch_size=10_000)
        available = Counting(ALL)
        for _ in range(100):
            self.fill(sticky, "t", available, 1)
        assert Counting.searches == 0
        self.fill(sticky, "t", Counting(ALL), 1)
        assert Counting.searches == 1

    def test_batch_size_from_the_producer(self) -> None:
        sticky = self.make(batch_size=None)
        assert sticky.batch_size is None
        first = self.fill(sticky, "t", ALL, module.DEFAULT_BATCH_SIZE - 1)
        assert self.fill(sticky, "t", ALL, 0) == first
        sticky.batch_size = 100
        assert self.fill(sticky, "t", ALL, 0) != first

    @pytest.mark.parametrize("size", [0, -1])
    def test_bad_batch_size(self, size: int) -> None:
        with pytest.raises(ValueError, match="batch_size"):
            StickyPartitioner(size)
