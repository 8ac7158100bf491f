"""The order in which fetched blocks get their turn, and how much memory they are counted with."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from aiokafka.consumer._fetch_buffer import Block, FetchBuffer
from tests.unit.consumer.fetch_lab import TP, TP1, TP2


def block(size=10, next_offset=-1):
    return Block(SimpleNamespace(), size, next_offset)


def test_blocks_queue_up():
    buffer = FetchBuffer()
    first, second = block(10, 5), block(20, 7)
    buffer.put(TP, first)
    buffer.put(TP, second)
    assert buffer.heads == {TP: first.entry}
    assert (buffer.bytes, buffer.bytes_of(TP), buffer.blocks_of(TP)) == (30, 30, 2)
    assert buffer.head(TP) is first
    assert buffer.last(TP) is second
    buffer.used_up(TP)
    assert buffer.heads == {TP: second.entry}
    assert buffer.bytes == 20
    buffer.used_up(TP)
    assert buffer.heads == {}
    assert (buffer.bytes, buffer.blocks_of(TP), buffer.last(TP)) == (0, 0, None)
    buffer.used_up(TP)


def test_turns():
    buffer = FetchBuffer()
    for tp in (TP, TP1, TP2, TP):
        buffer.put(tp, block())
    assert buffer.partitions() == [TP, TP1, TP2]
    buffer.next_turn(TP)
    assert buffer.partitions() == [TP1, TP2, TP]
    buffer.used_up(TP1)
    assert buffer.partitions() == [TP2, TP]
    buffer.used_up(TP)
    assert buffer.partitions() == [TP2, TP]
    buffer.next_turn(TP1)
    assert buffer.partitions() == [TP2, TP]


def test_dropping():
    buffer = FetchBuffer()
    buffer.put(TP, block())
    buffer.put(TP, block())
    buffer.put(TP1, block())
    assert buffer.drop(TP)
    assert not buffer.drop(TP)
    assert (buffer.bytes, buffer.partitions()) == (10, [TP1])
    buffer.clear()
    assert (buffer.bytes, buffer.partitions()) == (0, [])


def test_heads_that_others_put_there():
    buffer = FetchBuffer()
    buffer.put(TP, block())
    mine = SimpleNamespace()
    buffer.heads[TP] = mine
    buffer.heads[TP1] = mine
    assert buffer.head(TP) is None
    assert (buffer.bytes, buffer.blocks_of(TP), buffer.bytes_of(TP1)) == (0, 1, 0)
    buffer.used_up(TP)
    buffer.heads = {}
    assert buffer.blocks_of(TP1) == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "used_up", "drop", "next_turn", "clear"]),
        st.sampled_from([TP, TP1, TP2]),
        st.integers(0, 100),
    )
)


@given(STEPS)
def test_the_count_is_right(steps):
    buffer = FetchBuffer()
    model: dict = {TP: [], TP1: [], TP2: []}
    for step, tp, size in steps:
        if step == "put":
            buffer.put(tp, block(size))
            model[tp].append(size)
        elif step == "clear":
            buffer.clear()
            model = {TP: [], TP1: [], TP2: []}
        else:
            getattr(buffer, step)(tp)
            model[tp] = model[tp][1:] if step == "used_up" else model[tp]
            model[tp] = [] if step == "drop" else model[tp]
        assert buffer.bytes == sum(map(sum, model.values()))
        for each, sizes in model.items():
            assert (buffer.blocks_of(each), buffer.bytes_of(each)) == (len(sizes), sum(sizes))
            assert (each in buffer.heads) == bool(sizes)
