"""Hypothesis strategies for values of schemas."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from aiokafka.protocol import _shape
from aiokafka.protocol._shape import Shape
from aiokafka.protocol.types import Schema


def _signed(bits: int) -> st.SearchStrategy[Any]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


_FIXED: dict[str, st.SearchStrategy[Any]] = {
    "b": _signed(8),
    "?": st.booleans(),
    "h": _signed(16),
    "i": _signed(32),
    "I": st.integers(0, (1 << 32) - 1),
    "q": _signed(64),
    "d": st.floats(allow_nan=False),
}
_UUIDS = st.uuids().filter(lambda value: value.int != 0)


def values(schema: Schema) -> st.SearchStrategy[tuple[Any, ...]]:
    """Tuples of values that decode to themselves."""
    first_tagged = len(schema.names) - len(schema.tags)
    strategies = [
        # An absent id is written as the zero id; as a tagged field it is left out.
        st.one_of(st.none(), _UUIDS)
        if shape.kind == _shape.UUID and index >= first_tagged
        else value(shape)
        for index, shape in enumerate(schema.shapes)
    ]
    return st.tuples(*strategies)


def value(shape: Shape) -> st.SearchStrategy[Any]:
    found = _value(shape)
    return st.one_of(st.none(), found) if shape.nullable else found


def _value(shape: Shape) -> st.SearchStrategy[Any]:
    kind = shape.kind
    if kind == _shape.FIXED:
        return _FIXED[shape.code]
    if kind == _shape.UUID:
        return _UUIDS
    if kind == _shape.TEXT:
        return st.text(max_size=200)
    if kind == _shape.BLOB:
        return st.binary(max_size=200)
    if kind == _shape.MANY:
        return st.lists(value(shape.of), max_size=12 if shape.of.kind == _shape.FIXED else 3)
    if kind == _shape.ROW:
        return values(shape.of)
    assert kind == _shape.TAGS
    return st.dictionaries(st.integers(0, 300), st.binary(max_size=150), max_size=3)
