"""Taking records from blocks: the order of turns, errors, limits, and what counts as returned."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aiokafka.consumer._assignment import Assignment
from aiokafka.consumer._delivery import A_LOT, Delivery
from aiokafka.consumer._fetch_buffer import Block, FetchBuffer
from aiokafka.consumer._results import FetchError, FetchResult
from aiokafka.errors import CorruptRecordException, RecordTooLargeError, UnknownError
from tests.unit.consumer.fetch_lab import TP, TP1, TP2, virtual


class Records:
    """A block that is a list; exceptions in it are raised in their turn."""

    def __init__(self, offset, items):
        self.next_offset = offset
        self.items = list(items)
        self.leader_epoch = -1
        self.reader = self

    def plain(self):
        return True

    @property
    def next_fetch_offset(self):
        return self.next_offset

    @property
    def exhausted(self):
        return not self.items

    def next_record(self):
        if not self.items:
            return None
        if isinstance(self.items[0], Exception):
            raise self.items[0]
        self.next_offset += 1
        return self.items.pop(0)

    def take(self, limit=None):
        taken = []
        while self.items and (limit is None or len(taken) < limit):
            if isinstance(self.items[0], Exception):
                if taken:
                    break
                raise self.items[0]
            taken.append(self.next_record())
        return taken


class Desk:
    def __init__(self):
        self.assignment = Assignment([TP, TP1, TP2])
        for _, state in self.assignment.states:
            state.seek(0)
        self.ends = dict.fromkeys((TP, TP1, TP2), 0)
        self.buffer = FetchBuffer()
        self.drained = []
        self.subscriptions = SimpleNamespace(polled=False)
        self.delivery = Delivery(self.buffer, self.subscriptions, self.drained.append)
        self.take = self.delivery.take
        self.many = self.delivery.take_many

    def state(self, tp=TP):
        return self.assignment.state_value(tp)

    def put(self, tp, *items, size=10):
        records = Records(self.ends[tp], items)
        self.ends[tp] += len(items)
        result = FetchResult(tp, assignment=self.assignment, partition_records=records, backoff=0)
        state = self.state(tp)
        self.buffer.put(tp, Block(result, size, self.ends[tp], state=state, version=state.version))

    def fail(self, tp, error, skip_to=-1):
        state = self.state(tp)
        self.buffer.put(
            tp,
            Block(FetchError(error=error, backoff=0), 0, -1, -1, skip_to, state, state.version),
        )


@virtual
async def test_a_block_after_the_other_in_turns():
    desk = Desk()
    desk.put(TP, "a", "b")
    desk.put(TP, "c")
    desk.put(TP1, "x")
    desk.put(TP2)
    assert [desk.take(()) for _ in range(5)] == ["a", "b", "x", "c", None]
    assert desk.buffer.bytes == 0
    assert desk.drained == [TP, TP1, TP2, TP] or set(desk.drained) == {TP, TP1, TP2}


@virtual
async def test_only_of_some():
    desk = Desk()
    desk.put(TP, "a")
    desk.put(TP1, "x")
    assert desk.take({TP1}) == "x"
    assert desk.take([TP1]) is None
    assert desk.many((TP1, TP2), None) == {}
    assert desk.many((TP,), None) == {TP: ["a"]}


@virtual
async def test_take_one_gives_only_what_needs_no_thought():
    desk = Desk()
    assert desk.delivery.take_one() is None
    desk.put(TP, "a")
    desk.put(TP, "b")
    assert desk.delivery.take_one() == "a"
    assert desk.subscriptions.polled
    assert desk.delivery.take_one() is None, "the block is used up"
    assert desk.take(None) == "b"
    assert desk.take(None) is None
    desk.fail(TP, UnknownError("x"))
    assert desk.delivery.take_one() is None
    with pytest.raises(UnknownError):
        desk.take(None)


@virtual
async def test_an_error_in_take_one_is_raised_by_the_next_call():
    for call in ("take", "many"):
        desk = Desk()
        desk.put(TP, ValueError("bad"), "b")
        desk.put(TP1, "x")
        assert desk.delivery.take_one() is None
        with pytest.raises(ValueError, match="bad"):
            desk.take(()) if call == "take" else desk.many((), None)
        assert desk.take(()) == "x", "the others are not held up"


@virtual
async def test_a_corrupt_block_is_dropped_with_what_is_behind():
    desk = Desk()
    desk.put(TP, "a", CorruptRecordException("x"))
    desk.put(TP, "b")
    assert desk.take(()) == "a"
    assert desk.delivery.take_one() is None
    with pytest.raises(CorruptRecordException):
        desk.take(())
    assert desk.buffer.blocks_of(TP) == 0
    assert desk.drained == [TP]
    assert desk.state().position == 1


@virtual
async def test_many_without_a_limit_is_a_block_of_each():
    desk = Desk()
    desk.put(TP, "a", "b")
    desk.put(TP, "c")
    desk.put(TP1, "x")
    desk.put(TP2)
    assert desk.many((), None) == {TP: ["a", "b"], TP1: ["x"]}
    assert desk.many((), None) == {TP: ["c"]}
    assert desk.many((), None) == {}


@virtual
async def test_many_with_a_limit():
    desk = Desk()
    desk.put(TP, "a", "b", "c")
    desk.put(TP, "d")
    desk.put(TP1, "x", "y")
    assert desk.many((), 2) == {TP: ["a", "b"]}
    assert desk.many((), 3) == {TP1: ["x", "y"], TP: ["c"]}
    assert desk.many((), 9) == {TP: ["d"]}


@virtual
async def test_an_empty_block_is_passed_over():
    desk = Desk()
    desk.put(TP)
    desk.put(TP, "a")
    assert desk.many((), None) == {TP: ["a"]}


@virtual
async def test_records_before_errors():
    desk = Desk()
    desk.put(TP, "a")
    desk.fail(TP1, UnknownError("x"))
    desk.put(TP2, "z")
    assert desk.many((), None) == {TP: ["a"]}
    with pytest.raises(UnknownError):
        desk.many((), None)
    assert desk.many((), None) == {TP2: ["z"]}

    for bad in (ValueError("bad"), CorruptRecordException("x")):
        desk = Desk()
        desk.put(TP, "a")
        desk.put(TP1, bad)
        assert desk.many((), None) == {TP: ["a"]}
        if isinstance(bad, CorruptRecordException):
            assert desk.drained[-1] == TP1, "to be fetched again, and to fail again"
        else:
            with pytest.raises(ValueError, match="bad"):
                desk.many((), None)


@virtual
async def test_an_error_about_another_position_is_not_raised():
    desk = Desk()
    desk.fail(TP, UnknownError("x"))
    desk.state().seek(5)
    assert desk.take(()) is None
    desk.fail(TP, UnknownError("x"))
    desk.state().seek(6)
    assert desk.many((), None) == {}


@virtual
async def test_a_record_that_cannot_be_read_is_skipped():
    desk = Desk()
    desk.fail(TP, RecordTooLargeError("x"), skip_to=1)
    assert desk.state().position == 0
    with pytest.raises(RecordTooLargeError):
        desk.take(())
    assert desk.state().position == 1


@virtual
async def test_paused_and_moved_blocks():
    desk = Desk()
    desk.put(TP, "a")
    desk.put(TP1, "x")
    desk.state(TP).pause()
    desk.state(TP1).seek(9)
    assert desk.take(()) is None
    assert desk.many((), 5) == {}
    assert desk.buffer.partitions() == [TP]
    desk.state(TP).resume()
    assert desk.many((), 5) == {TP: ["a"]}


@virtual
async def test_a_paused_partition_is_not_in_the_way_of_the_fast_path():
    desk = Desk()
    desk.put(TP, "a")
    desk.put(TP1, "x", "y")
    desk.state(TP).pause()
    assert desk.delivery.take_one() is None
    assert desk.take(()) == "x"
    assert desk.delivery.take_one() == "y"


@virtual
async def test_nothing_while_it_is_not_allowed():
    desk = Desk()
    desk.put(TP, "a")
    desk.delivery.enabled = False
    assert desk.delivery.take_one() is desk.take(()) is None
    assert desk.many((), None) == {}
    desk.delivery.enabled = True
    assert desk.take(()) == "a"


@virtual
async def test_what_was_given_counts_as_returned_at_the_next_call():
    desk = Desk()
    desk.put(TP, "a", "b", "c")
    desk.put(TP1, "x", "y")
    assert desk.delivery.take_one() == "a"
    assert desk.delivery.take_one() == "b"
    assert (desk.state().position, desk.state().committable) == (2, 1)
    desk.delivery.returned()
    assert desk.state().committable == 2
    desk.many((), None)
    assert (desk.state().committable, desk.state(TP1).committable) == (2, 0)
    assert desk.delivery.take_one() is None, "first it is to be said that they are returned"
    desk.delivery.returned()
    assert (desk.state().committable, desk.state(TP1).committable) == (3, 2)


@virtual
async def test_what_was_spent():
    desk = Desk()
    for _ in range(10):
        desk.put(TP, "a", size=A_LOT // 10)
    while desk.take(()):
        pass
    assert A_LOT <= desk.delivery.spent < 2 * A_LOT
