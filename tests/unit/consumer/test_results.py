"""A block is given out together with the position, and not when it must not be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from aiokafka.consumer._assignment import Assignment, TopicPartitionState
from aiokafka.consumer._records import PartitionRecords
from aiokafka.consumer._results import FetchError, FetchResult
from aiokafka.errors import CorruptRecordException, OffsetOutOfRangeError, UnsupportedCodecError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from aiokafka.testing import run_virtual
from tests.unit.record.blocks import COMMIT, batch, marker

TP = TopicPartition("topic", 3)


class Given:
    """A result with what it depends on."""

    def __init__(
        self,
        block: bytes,
        *,
        position: int = 0,
        deserializer: Callable[[bytes], Any] | None = None,
        backoff: float = 0.0,
    ) -> None:
        self.assignment = Assignment([TP])
        state = self.assignment.state_value(TP)
        assert state is not None
        self.state: TopicPartitionState = state
        self.state.reset_to(position)
        self.records = PartitionRecords(
            TP, MemoryRecords(block), [], position, None, deserializer, True, 0
        )
        self.result = FetchResult(
            TP, assignment=self.assignment, partition_records=self.records, backoff=backoff
        )


def offsets(found: Any) -> list[int]:
    return [record.offset for record in found]


async def test_one_by_one() -> None:
    given = Given(batch([b"a", b"b"], leader_epoch=5))
    assert repr(given.result) == "<FetchResult position=0>"
    assert given.state.position_epoch == -1
    assert given.result.getone().offset == 0
    assert (given.state.position, given.state.position_epoch) == (1, 5)
    assert repr(given.result) == "<FetchResult position=1>"
    assert given.result.getone().offset == 1
    assert given.state.position == 2
    assert given.result.getone() is None
    assert not given.result.has_more()
    assert given.result.getone() is None
    assert repr(given.result) == "<FetchResult position=2>"


async def test_many() -> None:
    given = Given(batch([b"a"] * 5, leader_epoch=5))
    assert offsets(given.result.getall(2)) == [0, 1]
    assert (given.state.position, given.state.position_epoch) == (2, 5)
    assert given.result.has_more()
    assert given.result.getall(max_records=0) == []
    assert offsets(given.result.getall(max_records=3)) == [2, 3, 4]
    assert given.state.position == 5
    assert not given.result.has_more(), "known at once, so that the next block can follow"
    assert given.result.getall() == []


async def test_the_position_goes_past_what_is_not_given_out() -> None:
    block = batch([b"a"], leader_epoch=2) + marker(1, 7, COMMIT)
    given = Given(block)
    assert offsets(given.result.getall()) == [0]
    assert (given.state.position, given.state.position_epoch) == (2, 2)

    given = Given(marker(0, 7, COMMIT) + batch([], base=1, last_delta=3))
    given.state.position_epoch = 9
    assert given.result.getone() is None
    assert given.state.position == 5
    assert given.state.position_epoch == 9, "no record was given out that would tell another"
    assert not given.result.has_more()


async def test_moved_position_makes_the_block_useless() -> None:
    for call in ("getone", "getall"):
        given = Given(batch([b"a"] * 3))
        given.result.getone()
        given.state.seek(0)
        assert given.result.has_more()
        assert not getattr(given.result, call)()
        assert not given.result.has_more()
        assert given.state.position == 0, "stays where it was sought to"


async def test_unknown_position_makes_the_block_useless() -> None:
    given = Given(batch([b"a"] * 3))
    given.state.await_reset(-1)
    assert given.result.getone() is None
    assert not given.result.has_more()
    assert given.state.position is None


async def test_seek_to_where_it_is_changes_nothing() -> None:
    given = Given(batch([b"a"] * 3))
    given.result.getone()
    given.state.seek(1)
    assert given.result.getone().offset == 1


@pytest.mark.parametrize("call", ["getone", "getall"])
async def test_nothing_while_paused(call: str) -> None:
    given = Given(batch([b"a"] * 3))
    given.state.pause()
    assert not given.result.check_assignment(TP)
    assert not getattr(given.result, call)()
    assert given.result.has_more()
    given.state.resume()
    assert given.result.check_assignment(TP)
    assert getattr(given.result, call)()


@pytest.mark.parametrize("call", ["getone", "getall", "check_assignment"])
async def test_lost_assignment(call: str) -> None:
    for lose in ("end", "take"):
        given = Given(batch([b"a"] * 3))
        given.result.getone()
        if lose == "end":
            given.assignment.end()
        else:
            given.assignment.update(taken=[TP])
            given.assignment.update(added=[TP])
            given.assignment.state_value(TP).reset_to(1)  # type: ignore[union-attr]
        args = (TP,) if call == "check_assignment" else ()
        assert not getattr(given.result, call)(*args)
        assert not given.result.has_more()
        assert given.state.position == 1


async def test_partition_that_was_never_assigned() -> None:
    given = Given(batch())
    result = FetchResult(TP, assignment=Assignment([]), partition_records=given.records, backoff=0)
    assert not result.has_more()
    assert result.getone() is None
    assert result.getall() == []


# Errors


def strict(data: bytes) -> bytes:
    if data == b"bad":
        raise LookupError("bad")
    return data


@pytest.mark.parametrize("call", ["getone", "getall"])
async def test_poison(call: str) -> None:
    given = Given(
        batch([(0, None, b"a"), (3, None, b"bad"), (4, None, b"c")]), deserializer=strict
    )
    assert getattr(given.result, call)()
    # Who wanted more has been led past the hole already.
    assert given.state.position == (1 if call == "getone" else 3)
    for _ in range(2):
        with pytest.raises(LookupError) as caught:
            getattr(given.result, call)()
        assert given.state.position == 3
        assert caught.value.offset == 3  # type: ignore[attr-defined]
        assert given.result.has_more()
    given.state.seek(4)
    assert not getattr(given.result, call)()
    assert not given.result.has_more(), "to be fetched again from there"


@pytest.mark.parametrize("call", ["getone", "getall"])
async def test_corrupt_block_is_dropped(call: str) -> None:
    bad = bytearray(batch([b"c"], base=2))
    bad[-1] ^= 1
    given = Given(batch([b"a"]) + marker(1, 7, COMMIT) + bytes(bad))
    assert getattr(given.result, call)()
    with pytest.raises(CorruptRecordException) as caught:
        getattr(given.result, call)()
    assert caught.value.offset == given.state.position == 2  # type: ignore[attr-defined]
    assert not given.result.has_more()
    assert not getattr(given.result, call)()


async def test_missing_codec_is_no_damage() -> None:
    given = Given(batch(attributes=7))
    for _ in range(2):
        with pytest.raises(UnsupportedCodecError):
            given.result.getone()
        assert given.result.has_more()


async def test_interrupted_in_between() -> None:
    """Records that were read but did not arrive are read again."""

    def interrupted(data: bytes) -> bytes:
        if data == b"b":
            raise KeyboardInterrupt
        return data

    given = Given(batch([b"a", b"b"]), deserializer=interrupted)
    with pytest.raises(KeyboardInterrupt):
        given.result.getall()
    assert given.state.position == 0
    assert given.result.getall() == []
    assert not given.result.has_more()


# What tests put in between


async def test_patched_next() -> None:
    given = Given(batch([b"a"] * 3))
    original = PartitionRecords.__next__
    with mock.patch.object(PartitionRecords, "__next__", autospec=True) as patched:
        patched.side_effect = CorruptRecordException("patched")
        with pytest.raises(CorruptRecordException, match="patched"):
            given.result.getone()
        assert not given.result.has_more()

        given = Given(batch([b"a"] * 3))
        patched.side_effect = original
        assert given.result.getone().offset == 0
        assert offsets(given.result.getall(1)) == [1]
        assert given.result.has_more()
        assert offsets(given.result.getall()) == [2]
        assert given.state.position == 3


async def test_replaced_iterator() -> None:
    given = Given(batch([b"a"] * 3))
    one, two = mock.Mock(), mock.Mock()
    given.records._records_iterator = iter([one, two])
    assert given.result.getone() is one
    assert given.result.getall() == [two]
    assert given.result.getone() is None


# Back-off, errors of a fetch


def test_backoff() -> None:
    async def main() -> None:
        result = Given(batch(), backoff=0.1).result
        error = FetchError(error=OffsetOutOfRangeError({}), backoff=0.25)
        assert result.calculate_backoff() == pytest.approx(0.1)
        await asyncio.sleep(0.04)
        assert result.calculate_backoff() == pytest.approx(0.06)
        await asyncio.sleep(0.1)
        assert result.calculate_backoff() == 0
        assert error.calculate_backoff() == pytest.approx(0.11)

    run_virtual(main())


def test_fetch_error() -> None:
    cause = OffsetOutOfRangeError({})
    error = FetchError(error=cause, backoff=0.5)
    assert repr(error) == "<FetchError error=OffsetOutOfRangeError({})>"
    assert error.calculate_backoff() == 0.5
    with pytest.raises(OffsetOutOfRangeError) as caught:
        error.check_raise()
    assert caught.value is cause
