"""Both block readers give out the same, and stay in the same place, whatever the block is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiokafka import codec as codecs
from aiokafka.consumer._aborted import AbortedTransactions
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError

from .blocks import ABORT, COMMIT, CONTROL, LOG_APPEND_TIME, batch, marker, messages
from .twins import PYTHON, TWINS

# Equal to PYTHON when there is nothing compiled: then these only show that nothing crashes.
OTHER = TWINS[-1]

values = st.none() | st.binary(max_size=12) | st.just(b"bad")
headers = st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), max_size=2)
producers = st.sampled_from([-1, 7, 8])


@dataclass
class Block:
    data: bytes = b""
    end: int = 0
    aborted: list[tuple[int, int]] = field(default_factory=list)


@st.composite
def magic_2(draw: Any, base: int) -> tuple[bytes, int]:
    deltas = sorted(draw(st.sets(st.integers(0, 6), max_size=4)))
    records = [(delta, draw(values), draw(values), draw(headers)) for delta in deltas]
    last = (deltas[-1] if deltas else 0) + draw(st.integers(0, 2))
    data = batch(
        records,
        base=base,
        codec=draw(st.integers(0, 4)),
        leader_epoch=draw(st.integers(-1, 3)),
        producer_id=draw(producers),
        transactional=draw(st.booleans()),
        attributes=draw(st.sampled_from([0, 0, LOG_APPEND_TIME])),
        last_delta=last,
        max_timestamp=5000,
    )
    return data, base + last + 1


@st.composite
def old(draw: Any, base: int) -> tuple[bytes, int]:
    magic = draw(st.integers(0, 1))
    codec = draw(st.sampled_from([0, 1, 2, 3] if magic else [0, 1, 2]))
    contents = draw(st.lists(values, min_size=1, max_size=3))
    return messages(contents, base=base, magic=magic, codec=codec), base + len(contents)


@st.composite
def blocks(draw: Any) -> Block:
    block = Block()
    for kind in draw(st.lists(st.sampled_from(["two", "two", "old", "marker"]), max_size=5)):
        base = block.end + draw(st.integers(0, 2))
        if kind == "marker":
            data = marker(base, draw(producers), draw(st.sampled_from([ABORT, COMMIT])))
            block.end = base + 1
        else:
            data, block.end = draw(magic_2(base) if kind == "two" else old(base))
        block.data += data
    block.aborted = draw(st.lists(st.tuples(producers, st.integers(0, block.end + 1)), max_size=3))
    return block


def strict(data: bytes | None) -> bytes | None:
    if data == b"bad":
        raise LookupError("bad")
    return data


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (CorruptRecordException, UnsupportedCodecError, LookupError) as exc:
        place: Any = exc
        return type(exc), place.topic, place.partition, place.offset


steps = st.lists(st.none() | st.integers(0, 4), max_size=6)


def run(twin: Any, data: bytes, calls: list[int | None], *args: Any, aborted: Any) -> list[Any]:
    """What a reader does when it is called: with a number take, otherwise the next record."""
    reader = twin.reader(data, *args, None if aborted is None else AbortedTransactions(aborted))
    found: list[Any] = []
    # At the end everything that is left, the errors twice.
    for call in [*calls, "all", "all", "all"]:
        if call is None:
            found.append(outcome(reader.next_record))
        else:
            found.append(outcome(lambda n=None if call == "all" else call: reader.take(n)))
        found.append((reader.next_offset, reader.leader_epoch, reader.exhausted))
    return found


@settings(deadline=None, max_examples=300)
@given(blocks(), st.integers(0, 12), steps, st.booleans(), st.booleans(), st.booleans())
def test_same_records(
    block: Block,
    fetch_offset: int,
    calls: list[int | None],
    keys: bool,
    strict_values: bool,
    committed: bool,
) -> None:
    args = (fetch_offset, strict if keys else None, strict if strict_values else None, True)
    aborted = block.aborted if committed else None
    one = run(PYTHON, block.data, calls, *args, aborted=aborted)
    assert one == run(OTHER, block.data, calls, *args, aborted=aborted)
    if not keys and not strict_values:
        reader = OTHER.reader(block.data, fetch_offset, None, None, True, None)
        reader.take()
        assert reader.next_offset == max(fetch_offset, OTHER.scan(block.data).next_offset)


@settings(deadline=None, max_examples=300)
@given(
    blocks(),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=5),
    st.integers(0, 3),
    st.integers(0, 12),
    steps,
    st.booleans(),
)
def test_same_for_damaged_blocks(
    block: Block,
    changes: list[tuple[int, int]],
    cut: int,
    fetch_offset: int,
    calls: list[int | None],
    check_crcs: bool,
) -> None:
    data = bytearray(block.data)
    for place, byte in changes:
        if place < len(data):
            data[place] = byte
    damaged = bytes(data[: len(data) - cut])
    args = (fetch_offset, None, None, check_crcs)
    one = run(PYTHON, damaged, calls, *args, aborted=block.aborted)
    assert one == run(OTHER, damaged, calls, *args, aborted=block.aborted)
    assert PYTHON.scan(damaged) == OTHER.scan(damaged)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=90), st.integers(0, 4), st.integers(-2, 4), st.integers(-3, 5))
def test_same_for_any_records(tail: bytes, codec: int, count: int, attributes: int) -> None:
    data = bytearray(batch([])[:61] + tail)
    data[8:12] = (len(data) - 12).to_bytes(4, "big")
    data[57:61] = count.to_bytes(4, "big", signed=True)
    data[22] = codec | (CONTROL if attributes == 5 else 0)
    args = (0, None, None, False)
    one = run(PYTHON, bytes(data), [], *args, aborted=[])
    assert one == run(OTHER, bytes(data), [], *args, aborted=[])


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=150))
def test_same_for_anything(data: bytes) -> None:
    one = run(PYTHON, data, [], 0, None, None, False, aborted=[])
    assert one == run(OTHER, data, [], 0, None, None, False, aborted=[])
    assert PYTHON.scan(data) == OTHER.scan(data)


@settings(deadline=None, max_examples=100)
@given(blocks(), st.integers(0, 40))
def test_same_under_a_small_limit_of_decompression(block: Block, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codecs, "MAX_DECOMPRESSED_SIZE", limit)
        one = run(PYTHON, block.data, [], 0, None, None, True, aborted=None)
        assert one == run(OTHER, block.data, [], 0, None, None, True, aborted=None)
