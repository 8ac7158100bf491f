"""Compiles a schema to Python source: one encoder and one decoder for each.

Consecutive fixed-size fields, and the length prefix or first varint byte of the field behind them,
become one ``struct`` call; nested rows become nested loops in the same function.  The generated
functions take and return plain tuples.

Owns no state, no tasks and no futures; :class:`Codec` is what schemas keep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ._decoder import Decoder
from ._encoder import Encoder
from ._shape import MANY, ROW, Shape

if TYPE_CHECKING:
    from ._runtime import Buffer
    from .types import Schema

Parts = list["bytes | bytearray | memoryview"]


class Codec:
    """The compiled functions of one schema.

    ``encode(values)`` returns bytes; ``encode_parts(values)`` a list of buffers, in which large
    record sets are the caller's own objects; ``decode(buf, pos)`` the values and the position
    behind them.  All raise ``ValueError``.
    """

    __slots__ = ("decode", "encode", "encode_parts")

    encode: Callable[[Sequence[Any]], bytes]
    encode_parts: Callable[[Sequence[Any]], Parts]
    decode: Callable[[Buffer, int], tuple[tuple[Any, ...], int]]

    def __init__(self, schema: Schema, label: str) -> None:
        self.encode = Encoder(split=False).compile(schema, label)
        if _has_reference(schema):
            self.encode_parts = Encoder(split=True).compile(schema, label)
        else:
            encode = self.encode
            self.encode_parts = lambda values: [encode(values)]
        self.decode = Decoder().compile(schema, label)


def _has_reference(schema: Schema) -> bool:
    return any(map(_refers, schema.shapes))


def _refers(shape: Shape) -> bool:
    if shape.kind == MANY:
        return _refers(shape.of)
    return _has_reference(shape.of) if shape.kind == ROW else shape.by_reference
