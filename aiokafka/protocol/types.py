"""Wire types of the Kafka protocol, and schemas made of them.

A type describes how a value is laid out; the work is done by functions that are compiled the first
time a type or schema is used (:mod:`aiokafka.protocol._codegen`).

Page: https://kafka.apache.org/protocol#protocol_types
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from . import _shape
from ._codegen import Codec
from ._shape import Shape
from .abstract import AbstractType

__all__ = [
    "Array",
    "Boolean",
    "Bytes",
    "CompactArray",
    "CompactBytes",
    "CompactString",
    "Float64",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Schema",
    "String",
    "TaggedFields",
    "UInt32",
    "UnsignedVarInt32",
    "Uuid",
    "VarInt32",
    "VarInt64",
]

TypeLike = AbstractType | type[AbstractType]


def shape_of(type_: Any) -> Shape:
    """The shape of a type; types from outside this package are used through their methods."""
    shape = getattr(type_, "SHAPE", None)
    return shape if isinstance(shape, Shape) else Shape(_shape.FOREIGN, of=type_)


def _codec_for(type_: Any, shape: Shape) -> Codec:
    """A codec of one value, compiled once for each type."""
    codec: Codec | None = vars(type_).get("_codec")
    if codec is None:
        name = type_.__name__ if isinstance(type_, type) else type(type_).__name__
        codec = Codec(Schema((name, type_)), name)
        type_._codec = codec
    return codec


def decode_stream(codec: Codec, data: BytesIO) -> tuple[Any, ...]:
    """Decode from the position of a stream and move it behind what was read."""
    start = data.tell()
    values, end = codec.decode(data.getvalue(), start)
    data.seek(end)
    return values


class _ClassType(AbstractType):
    """A type without parameters, used as a class."""

    SHAPE: Shape

    @classmethod
    def encode(cls, value: Any) -> bytes:
        return _codec_for(cls, cls.SHAPE).encode((value,))

    @classmethod
    def decode(cls, data: BytesIO) -> Any:
        return decode_stream(_codec_for(cls, cls.SHAPE), data)[0]


class _InstanceType(AbstractType):
    """A type with parameters, used as an instance."""

    SHAPE: Shape

    def encode(self, value: Any) -> bytes:  # type: ignore[override]
        return _codec_for(self, self.SHAPE).encode((value,))

    def decode(self, data: BytesIO) -> Any:  # type: ignore[override]
        return decode_stream(_codec_for(self, self.SHAPE), data)[0]


class Int8(_ClassType):
    """A signed integer of one byte."""

    SHAPE = Shape(_shape.FIXED, code="b")


class Int16(_ClassType):
    """A signed integer of two bytes, big-endian."""

    SHAPE = Shape(_shape.FIXED, code="h")


class Int32(_ClassType):
    """A signed integer of four bytes, big-endian."""

    SHAPE = Shape(_shape.FIXED, code="i")


class UInt32(_ClassType):
    """An unsigned integer of four bytes, big-endian."""

    SHAPE = Shape(_shape.FIXED, code="I")


class Int64(_ClassType):
    """A signed integer of eight bytes, big-endian."""

    SHAPE = Shape(_shape.FIXED, code="q")


class Float64(_ClassType):
    """An IEEE 754 double, big-endian."""

    SHAPE = Shape(_shape.FIXED, code="d")


class Boolean(_ClassType):
    """One byte, zero or one; any other value reads as true."""

    SHAPE = Shape(_shape.FIXED, code="?")


class Uuid(_ClassType):
    """Sixteen bytes; None is written as the zero id.

    .. versionadded:: 0.14.1
    """

    SHAPE = Shape(_shape.UUID)


class UnsignedVarInt32(_ClassType):
    """An unsigned integer of 32 bits in one to five bytes."""

    SHAPE = Shape(_shape.UVARINT)


class VarInt32(_ClassType):
    """A signed integer of 32 bits in one to five bytes, zigzag."""

    SHAPE = Shape(_shape.VARINT, code="32")


class VarInt64(_ClassType):
    """A signed integer of 64 bits in one to ten bytes, zigzag."""

    SHAPE = Shape(_shape.VARINT, code="64")


class Bytes(_ClassType):
    """Bytes behind a length of four bytes, or null."""

    SHAPE = Shape(_shape.BLOB, nullable=True)

    @classmethod
    def repr(cls, value: Any) -> str:
        return _repr_bytes(value)


class CompactBytes(_ClassType):
    """Bytes behind a varint length, or null."""

    SHAPE = Shape(_shape.BLOB, compact=True, nullable=True)

    @classmethod
    def repr(cls, value: Any) -> str:
        return _repr_bytes(value)


def _repr_bytes(value: Any) -> str:
    """Bytes shortened to what is of use in a log line."""
    if value is None or len(value) <= 100:
        return repr(value)
    return f"{bytes(value[:100])!r}...<{len(value)} bytes>"


class Blob(_InstanceType):
    """Bytes with the finer points the protocol definitions make.

    Parameters:
        compact: a varint length (flexible versions).
        nullable: whether null may be read and written.
        by_reference: keep large values as buffers of their own in ``encode_parts``.
        secret: never show the value in a ``repr``.

    .. versionadded:: 0.14.1
    """

    def __init__(
        self, *, compact: bool, nullable: bool, by_reference: bool = False, secret: bool = False
    ) -> None:
        self.SHAPE = Shape(
            _shape.BLOB,
            compact=compact,
            nullable=nullable,
            by_reference=by_reference,
            secret=secret,
        )

    def repr(self, value: Any) -> str:  # type: ignore[override]
        if self.SHAPE.secret and value is not None:
            return f"<{len(value)} secret bytes>"
        return _repr_bytes(value)


class String(_InstanceType):
    """Text behind a length of two bytes; null is allowed unless ``nullable`` is false."""

    _compact = False

    def __init__(self, encoding: str = "utf-8", *, nullable: bool = True) -> None:
        self.encoding = encoding
        self.SHAPE = Shape(
            _shape.TEXT, compact=self._compact, nullable=nullable, encoding=encoding
        )


class CompactString(String):
    """Text behind a varint length; null is allowed unless ``nullable`` is false."""

    _compact = True


class TaggedFields(_ClassType):
    """A section of tagged fields as ``{tag: raw bytes}``; None is an empty section (KIP-482)."""

    SHAPE = Shape(_shape.TAGS)


class Schema(_InstanceType):
    """Named fields one after the other.

    Parameters:
        fields: pairs of a name and a type.

    Values are sequences in the order of the fields.  A schema of a flexible version ends with a
    section of tagged fields; the ones it declares are its last fields, may be left out when
    encoding and have their default when absent on the wire.  Others are skipped.
    """

    def __init__(self, *fields: tuple[str, TypeLike]) -> None:
        self._set_up(fields, (), is_flexible=False)

    @classmethod
    def flexible(
        cls,
        fields: Sequence[tuple[str, TypeLike]],
        tagged: Sequence[tuple[str, TypeLike, int, Any]] = (),
    ) -> Schema:
        """A schema of a flexible version.

        Parameters:
            fields: as in the constructor.
            tagged: name, type, tag number and default of each tagged field, by ascending tag.

        .. versionadded:: 0.14.1
        """
        schema = cls.__new__(cls)
        tags = tuple((tag, default) for _, _, tag, default in tagged)
        pairs = (*fields, *((name, type_) for name, type_, _, _ in tagged))
        schema._set_up(pairs, tags, is_flexible=True)
        return schema

    def _set_up(
        self,
        fields: Sequence[tuple[str, TypeLike]],
        tags: tuple[tuple[int, Any], ...],
        *,
        is_flexible: bool,
    ) -> None:
        self.names: tuple[str, ...] = tuple(name for name, _ in fields)
        self.fields: tuple[TypeLike, ...] = tuple(type_ for _, type_ in fields)
        self.shapes = tuple(map(shape_of, self.fields))
        self.tags = tags
        self.is_flexible = is_flexible
        self.SHAPE = Shape(_shape.ROW, of=self)
        #: Defaults of the last fields, those that may be left out of a row.
        self.optional: tuple[Any, ...] = tuple(default for _, default in tags)
        if self.shapes and self.shapes[-1].kind == _shape.TAGS:
            self.optional = (None,)

    @property
    def codec(self) -> Codec:
        """The compiled functions of this schema."""
        return self.codec_for("schema")

    def codec_for(self, label: str) -> Codec:
        """The compiled functions; ``label`` names the schema in errors when it is compiled now."""
        codec: Codec | None = self.__dict__.get("_schema_codec")
        if codec is None:
            # Without the version: all that are laid out alike share this schema.
            codec = self._schema_codec = Codec(self, label.partition("_v")[0])
        return codec

    def __len__(self) -> int:
        return len(self.fields)

    def encode(self, value: Sequence[Any]) -> bytes:  # type: ignore[override]
        """Encode a sequence of values; ``ValueError`` if one is missing or does not fit."""
        return self.codec.encode(value)

    def decode(self, data: BytesIO) -> tuple[Any, ...]:  # type: ignore[override]
        """Decode one tuple of values and leave ``data`` behind it."""
        return decode_stream(self.codec, data)

    def repr(self, value: Any) -> str:  # type: ignore[override]
        try:
            shown = (
                f"{name}={type_.repr(item)}"
                for name, type_, item in zip(self.names, self.fields, value, strict=False)
            )
            return f"({', '.join(shown)})"
        except (TypeError, AttributeError):
            # A struct under construction may hold anything, and a repr must not fail.
            return repr(value)

    def complete(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """``values`` with the optional last fields filled in; ``ValueError`` if others lack."""
        missing = len(self.names) - len(values)
        if not 0 <= missing <= len(self.optional):
            raise ValueError(f"{len(self.names)} values expected, got {len(values)}")
        return (*values, *self.defaults()[len(self.optional) - missing :])

    def defaults(self) -> list[Any]:
        """The defaults of the optional last fields; lists among them are the caller's own."""
        return [[] if default == [] else default for default in self.optional]


class Array(_InstanceType):
    """Elements behind a count of four bytes, or null.

    Parameters:
        array_of: one type, or several pairs of name and type: the fields of a row.

    Rows decode to tuples inside a list.
    """

    _compact = False

    def __init__(self, *array_of: Any, nullable: bool = True) -> None:
        if not array_of:
            raise ValueError("an array needs the type of its elements")
        first = array_of[0]
        if len(array_of) == 1 and not isinstance(first, tuple):
            self.array_of: Any = first
        else:
            self.array_of = Schema(*array_of)
        self.SHAPE = Shape(
            _shape.MANY, compact=self._compact, nullable=nullable, of=shape_of(self.array_of)
        )

    def repr(self, value: Any) -> str:  # type: ignore[override]
        if value is None:
            return "NULL"
        try:
            return f"[{', '.join(self.array_of.repr(item) for item in value)}]"
        except TypeError:
            return repr(value)


class CompactArray(Array):
    """Elements behind a varint count, or null."""

    _compact = True


class NullableRow(_InstanceType):
    """A structure that may be null: one byte, -1 for null, in front of it.

    .. versionadded:: 0.14.1
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.SHAPE = Shape(_shape.ROW, nullable=True, of=schema)

    def repr(self, value: Any) -> str:  # type: ignore[override]
        return repr(value) if value is None else self.schema.repr(value)
