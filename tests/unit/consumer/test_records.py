"""What of a fetched block is given out: transactions, positions, and what tests put in between."""

from __future__ import annotations

import struct
from typing import Any
from unittest import mock

import pytest

from aiokafka.consumer._aborted import AbortedTransactions
from aiokafka.consumer._records import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.structs import ConsumerRecord, TopicPartition
from tests.unit.record.blocks import ABORT, COMMIT, CONTROL, batch, marker

TP = TopicPartition("topic", 3)


@pytest.fixture(params=[MemoryRecords, _MemoryRecordsPy], ids=["chosen", "python"], autouse=True)
def memory_records(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are read by whichever twin there is, and by the one in plain Python."""
    monkeypatch.setitem(globals(), "MemoryRecords", request.param)


def records(
    block: bytes, aborted: Any = (), *, offset: int = 0, level: int = READ_COMMITTED
) -> PartitionRecords:
    return PartitionRecords(TP, MemoryRecords(block), aborted, offset, None, None, True, level)


def offsets(found: Any) -> list[int]:
    return [record.offset for record in found]


def of(producer_id: int, base: int, count: int = 2, **changes: Any) -> bytes:
    """A batch of a transaction."""
    changes = {"transactional": True, **changes}
    return batch([b"v"] * count, base=base, producer_id=producer_id, **changes)


def test_signature() -> None:
    found = PartitionRecords(
        tp=TP,
        records=MemoryRecords(batch([b"a"], base=5)),
        aborted_transactions=None,
        fetch_offset=4,
        key_deserializer=None,
        value_deserializer=bytes.decode,
        check_crcs=True,
        isolation_level=READ_UNCOMMITTED,
    )
    assert found.next_fetch_offset == 4
    assert iter(found) is found
    record = next(found)
    assert record == ConsumerRecord("topic", 3, 5, 1000, 0, None, "a", None, -1, 1, ())
    assert found.next_fetch_offset == 6
    assert list(found) == []
    assert "next_fetch_offset=6" in repr(found)


# Transactions


def test_aborted_are_left_out_in_read_committed_only() -> None:
    block = of(1, 0) + of(2, 2) + marker(4, 1, ABORT) + marker(5, 2, COMMIT)
    found = records(block, [(1, 0)])
    assert offsets(found) == [2, 3]
    assert found.next_fetch_offset == 6
    found = records(block, [(1, 0)], level=READ_UNCOMMITTED)
    assert offsets(found) == [0, 1, 2, 3]
    assert found.next_fetch_offset == 6


def test_a_marker_ends_its_transaction() -> None:
    block = of(1, 0) + marker(2, 1, ABORT) + of(1, 3) + marker(5, 1, COMMIT)
    assert offsets(records(block, [(1, 0)])) == [3, 4]


def test_a_transaction_begins_where_the_broker_says() -> None:
    block = of(1, 0) + marker(2, 1, COMMIT) + of(1, 3) + marker(5, 1, ABORT) + of(1, 6)
    assert offsets(records(block, [(1, 3)])) == [0, 1, 6, 7]


def test_transactions_of_several_producers_overlap() -> None:
    block = b"".join(
        [
            of(1, 0), of(2, 2), of(3, 4), marker(6, 2, ABORT), of(1, 7), of(2, 9),
            marker(11, 1, ABORT), marker(12, 3, COMMIT), of(1, 13), marker(15, 2, ABORT),
        ]
    )  # fmt: skip
    # In any order, as tuples or lists.
    assert offsets(records(block, [[2, 9], (1, 0), (2, 2)])) == [4, 5, 13, 14]


def test_other_batches_of_the_producer_stay() -> None:
    """Not every batch of a producer is of a transaction."""
    block = of(1, 0) + of(1, 2, transactional=False)
    assert offsets(records(block, [(1, 0)])) == [2, 3]


def test_lone_and_double_markers() -> None:
    block = (
        marker(0, 1, ABORT)
        + of(1, 1)
        + marker(3, 1, ABORT)
        + marker(4, 1, ABORT)
        + marker(5, 9, COMMIT)
        + of(1, 6)
    )
    assert offsets(records(block, [(1, 1)])) == [6, 7]
    assert offsets(records(block, None)) == [1, 2, 6, 7]


def test_everything_aborted() -> None:
    block = of(1, 0) + marker(2, 1, ABORT)
    found = records(block, [(1, 0)])
    assert found.take() == []
    assert found.next_fetch_offset == 3
    assert found.exhausted


def test_an_aborted_batch_is_not_opened() -> None:
    block = of(1, 0, attributes=7) + marker(2, 1, ABORT)
    assert records(block, [(1, 0)]).take() == []


@pytest.mark.parametrize("key", [b"\0\0\0", b""])
def test_a_marker_that_cannot_be(key: bytes) -> None:
    block = of(1, 0) + batch(
        [(0, key, b"")], base=2, producer_id=1, transactional=True, attributes=CONTROL
    )
    found = records(block, [])
    assert offsets(found.take()) == [0, 1]
    for _ in range(2):
        with pytest.raises(CorruptRecordException, match="Control record") as caught:
            next(found)
        assert caught.value.offset == found.next_fetch_offset == 2
    # Who does not care for transactions does not look into it.
    assert offsets(records(block, level=READ_UNCOMMITTED)) == [0, 1]


def test_empty_control_batch() -> None:
    block = batch([], base=0, producer_id=1, transactional=True, attributes=CONTROL) + of(1, 1)
    assert offsets(records(block)) == [1, 2]


def test_following_transactions() -> None:
    aborted = AbortedTransactions([(1, 10), (2, 5)])
    abort = struct.pack(">hh", 0, ABORT)
    assert not aborted.skips(1, 9)
    assert aborted.skips(2, 9)
    assert aborted.skips(1, 10)
    aborted.marker(1, 11, struct.pack(">hh", 0, COMMIT))
    aborted.marker(1, 11, None)
    assert aborted.skips(1, 12)
    aborted.marker(1, 13, abort)
    aborted.marker(1, 13, abort)
    assert not aborted.skips(1, 14)
    assert aborted.skips(2, 14)


# Many at once, and one by one


def test_take() -> None:
    found = records(batch([b"a"] * 4, leader_epoch=6))
    assert found.leader_epoch == -1
    assert offsets(found.take(3)) == [0, 1, 2]
    assert (found.next_fetch_offset, found.leader_epoch, found.exhausted) == (3, 6, False)
    assert found.next_record().offset == 3
    assert found.exhausted
    assert found.next_record() is None


def test_next_fetch_offset_can_be_moved() -> None:
    found = records(batch([b"a"] * 4))
    found.next_fetch_offset = 2
    assert offsets(found) == [2, 3]


def test_patched_next() -> None:
    calls = []

    def patched(self: PartitionRecords) -> Any:
        calls.append(self)
        if len(calls) == 2:
            raise CorruptRecordException("once")
        return original(self)

    original = PartitionRecords.__next__
    found = records(batch([b"a"] * 3))
    with mock.patch.object(PartitionRecords, "__next__", autospec=True) as replaced:
        replaced.side_effect = patched
        assert not found.plain()
        assert offsets(found.take()) == [0]
        assert calls == [found, found]
        assert found.next_record().offset == 1
        assert not found.exhausted
    assert found.plain()
    assert offsets(found.take()) == [2]


def test_replaced_iterator() -> None:
    found = records(batch([b"a"] * 2))
    kept = found._records_iterator
    one, two = mock.Mock(), mock.Mock()
    found._records_iterator = iter([one, two])
    assert found.take(1) == [one]
    assert found.next_record() is two
    assert found.take() == []
    assert found.next_record() is None

    found._records_iterator = mock.MagicMock()
    found._records_iterator.__next__.side_effect = ValueError("mine")
    with pytest.raises(ValueError, match="mine"):
        found.take()
    found._records_iterator = kept
    assert offsets(found.take()) == [0, 1]
