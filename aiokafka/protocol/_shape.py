"""What the compiler has to know of a wire type.

Every type of :mod:`aiokafka.protocol.types` carries a :class:`Shape`.  The code generators look at
shapes only, so the public type classes stay free of code generation, and two types with equal
shapes are the same thing on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .types import Schema

# Kinds of shapes. Plain strings: they are compared while code is generated, never at run time.
FIXED = "fixed"  # one value of a struct format code
UVARINT = "uvarint"
VARINT = "varint"  # zigzag
UUID = "uuid"
TEXT = "text"
BLOB = "blob"
MANY = "many"  # array of `of`
ROW = "row"  # inline structure `of`
TAGS = "tags"  # a raw section of tagged fields, a dict
FOREIGN = "foreign"  # a type from outside this package: only its encode() and decode() are known

_FIXED_SIZES = {"b": 1, "?": 1, "h": 2, "i": 4, "I": 4, "q": 8, "d": 8}


class Shape:
    """One node of the description of a layout."""

    __slots__ = ("by_reference", "code", "compact", "encoding", "kind", "nullable", "of", "secret")

    def __init__(
        self,
        kind: str,
        *,
        code: str = "",
        compact: bool = False,
        nullable: bool = False,
        encoding: str = "",
        by_reference: bool = False,
        secret: bool = False,
        of: Any = None,
    ) -> None:
        self.kind = kind
        self.code = code
        self.compact = compact
        self.nullable = nullable
        self.encoding = encoding
        self.by_reference = by_reference
        self.secret = secret
        self.of = of

    def key(self) -> tuple[Any, ...]:
        """A hashable value that is equal for shapes with equal layouts."""
        of: Any = self.of
        if self.kind == MANY:
            of = of.key()
        elif self.kind == ROW:
            of = schema_key(of)
        return (self.kind, self.code, self.compact, self.nullable, self.encoding, of)

    def min_size(self) -> int:
        """The fewest bytes a value takes: what bounds the count of an array before it is read."""
        kind = self.kind
        if kind == FIXED:
            return _FIXED_SIZES[self.code]
        if kind == UUID:
            return 16
        if kind == TEXT:
            return 1 if self.compact else 2
        if kind in (BLOB, MANY):
            return 1 if self.compact else 4
        if kind == ROW:
            return 1 if self.nullable else schema_min_size(self.of)
        return 0 if kind == FOREIGN else 1


def schema_key(schema: Schema) -> tuple[Any, ...]:
    """A hashable value that is equal for schemas with equal names and layouts."""
    return (
        schema.is_flexible,
        schema.names,
        tuple((tag, repr(default)) for tag, default in schema.tags),
        tuple(shape.key() for shape in schema.shapes),
    )


def schema_min_size(schema: Schema) -> int:
    """The fewest bytes a value of ``schema`` takes."""
    untagged = schema.shapes[: len(schema.shapes) - len(schema.tags)]
    return sum(shape.min_size() for shape in untagged) + schema.is_flexible
