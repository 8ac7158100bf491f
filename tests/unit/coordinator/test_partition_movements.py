"""Movements of partitions between members, and the sorted set."""

from __future__ import annotations

import pytest

from aiokafka.coordinator.assignors.sticky.partition_movements import (
    ConsumerPair,
    PartitionMovements,
    is_sublist,
)
from aiokafka.coordinator.assignors.sticky.sorted_set import SortedSet
from aiokafka.structs import TopicPartition

T0, T1, T2 = (TopicPartition("t", number) for number in range(3))


def test_nothing_has_moved():
    assert PartitionMovements().are_sticky()
    assert PartitionMovements().get_partition_to_be_moved(T1, "A", "B") == T1


def test_one_way_is_sticky():
    movements = PartitionMovements()
    movements.move_partition(T0, "A", "B")
    movements.move_partition(T1, "A", "B")
    movements.move_partition(T2, "B", "C")
    assert movements.are_sticky()


def test_an_exchange_is_not(caplog):
    movements = PartitionMovements()
    movements.move_partition(T0, "A", "B")
    movements.move_partition(T1, "B", "A")
    assert not movements.are_sticky()
    assert "of topic t" in caplog.text


def test_an_exchange_of_different_topics_is_sticky():
    movements = PartitionMovements()
    movements.move_partition(T0, "A", "B")
    movements.move_partition(TopicPartition("u", 0), "B", "A")
    assert movements.are_sticky()


def test_once_around_is_no_movement():
    movements = PartitionMovements()
    for old, new in [("A", "B"), ("B", "C"), ("C", "A")]:
        movements.move_partition(T0, old, new)
    movements.move_partition(T1, "C", "A")
    assert movements.are_sticky()


def test_only_beginning_and_end_count():
    movements = PartitionMovements()
    movements.move_partition(T0, "A", "B")
    movements.move_partition(T0, "B", "C")
    movements.move_partition(T1, "B", "A")
    assert movements.are_sticky()
    movements.move_partition(T2, "C", "A")
    assert not movements.are_sticky()


def test_what_came_the_other_way_goes_back_instead():
    movements = PartitionMovements()
    movements.move_partition(T0, "A", "B")
    assert movements.get_partition_to_be_moved(T1, "B", "A") == T0
    assert movements.get_partition_to_be_moved(T1, "A", "B") == T1
    assert movements.get_partition_to_be_moved(T1, "B", "C") == T1
    assert movements.get_partition_to_be_moved(TopicPartition("u", 0), "B", "A").topic == "u"


def test_pairs():
    assert ConsumerPair("A", "B").reversed() == ConsumerPair("B", "A")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ([], [], True),
        ([1, 2, 3], [], True),
        ([1, 2, 3], [1, 2, 3], True),
        ([1, 2, 3], [2, 3], True),
        ([1, 2, 3], [1, 3], False),
        ([1, 2, 3], [3, 2], False),
        ([1, 2], [1, 2, 3], False),
        ([], [1], False),
    ],
)
def test_is_sublist(source, target, expected):
    assert is_sublist(source, target) is expected


def test_sorted_set():
    values = SortedSet([3, 1, 2, 3])
    assert list(values) == [1, 2, 3]
    assert (values.first(), values.last(), len(values)) == (1, 3, 3)
    values.add(2)
    values.add(0)
    values.remove(1)
    values.remove(7)
    assert 0 in values
    assert 1 not in values
    assert values == SortedSet([0, 2, 3])
    assert values != [0, 2, 3]
    assert values.pop_last() == 3
    assert repr(values) == "SortedSet([0, 2])"


def test_sorted_set_by_key():
    values = SortedSet(["ccc", "a"], key=len)
    values.add("bb")
    assert list(values) == ["a", "bb", "ccc"]
    empty: SortedSet[int] = SortedSet()
    with pytest.raises(IndexError):
        empty.pop_last()
    with pytest.raises(IndexError):
        empty.first()
