"""``Struct``: a schema with named attributes, the base of requests, responses and headers."""

from __future__ import annotations

from io import BytesIO
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, cast

from .types import Array, NullableRow, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Self

    from ._codegen import Parts

Source = bytes | bytearray | memoryview | BytesIO

# Slices of a memoryview cost about twice those of bytes: below this size copying it once pays.
_COPY_BELOW = 512 * 1024


class Struct:
    """Values laid out by :attr:`SCHEMA`, as attributes.

    Takes all values by position, in the order of the schema, or all by keyword; keywords left out
    are None (tagged fields: their default).  ``ValueError`` for unknown keywords or a wrong number
    of values.
    """

    SCHEMA: ClassVar[Schema]

    if TYPE_CHECKING:
        # The fields come from the schema, which a type checker cannot read.
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        schema = self.SCHEMA
        names = schema.names
        if args:
            if kwargs:
                raise ValueError(f"{type(self).__name__}: either positions or keywords, not both")
            if len(args) != len(names):
                try:
                    args = schema.complete(args)
                except ValueError as exc:
                    raise ValueError(f"{type(self).__name__}: {exc}") from None
            self.__dict__.update(zip(names, args, strict=True))
            return
        values = dict.fromkeys(names)
        if schema.optional:
            values.update(zip(names[-len(schema.optional) :], schema.defaults(), strict=True))
        unknown = kwargs.keys() - values.keys()
        if unknown:
            raise ValueError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        values.update(kwargs)
        self.__dict__.update(values)

    def encode(self) -> bytes:
        """Return the bytes of this struct; ``ValueError`` when a value does not fit its type."""
        cls = type(self)
        return cls.SCHEMA.codec_for(cls.__name__).encode(self._values())

    def encode_parts(self) -> Parts:
        """Like :meth:`encode`, as buffers to be sent one after the other.

        Large record sets are passed through without a copy.

        .. versionadded:: 0.14.1
        """
        cls = type(self)
        return cls.SCHEMA.codec_for(cls.__name__).encode_parts(self._values())

    @classmethod
    def decode(cls, data: Source) -> Self:
        """Return the struct that ``data`` starts with (a stream: from its position).

        Raises ``ValueError`` for bytes that cannot be one.
        """
        if isinstance(data, BytesIO):
            start = data.tell()
            struct, end = cls.decode_from(data.getvalue(), start)
            data.seek(end)
            return struct
        if type(data) is memoryview and data.nbytes < _COPY_BELOW:
            data = bytes(data)
        return cls.decode_from(data, 0)[0]

    @classmethod
    def decode_from(cls, data: bytes | bytearray | memoryview, start: int) -> tuple[Self, int]:
        """Return the struct at ``start`` and the position behind it.

        .. versionadded:: 0.14.1
        """
        schema = cls.SCHEMA
        values, end = schema.codec_for(cls.__name__).decode(data, start)
        struct = cls.__new__(cls)
        struct.__dict__.update(zip(schema.names, values, strict=True))
        return struct, end

    def get_item(self, name: str) -> Any:
        """Return the value of field ``name``; ``KeyError`` if the schema has no such field."""
        if name not in self.SCHEMA.names:
            raise KeyError(f"{name} is not in the schema of {type(self).__name__}")
        return getattr(self, name)

    def to_object(self) -> dict[str, Any]:
        """Return the fields as nested dictionaries and lists, named by the schema."""
        return _to_object(self.SCHEMA, self._values())

    def _values(self) -> tuple[Any, ...]:
        return _values_getter(self.SCHEMA)(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Struct):
            return NotImplemented
        return self.SCHEMA is other.SCHEMA and self._values() == other._values()

    # Structs are mutable and still used as members of sets, by identity.
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        schema = self.SCHEMA
        fields = (
            f"{name}={type_.repr(value)}"
            for name, type_, value in zip(schema.names, schema.fields, self._values(), strict=True)
        )
        return f"{type(self).__name__}({', '.join(fields)})"


def _values_getter(schema: Schema) -> Callable[[Any], tuple[Any, ...]]:
    """A function that collects the values of a struct with this schema."""
    found = schema.__dict__.get("_values_getter")
    if found is not None:
        return cast("Callable[[Any], tuple[Any, ...]]", found)
    names = schema.names
    getter: Callable[[Any], tuple[Any, ...]]
    if len(names) > 1:
        getter = attrgetter(*names)
    elif names:
        name = names[0]

        def getter(struct: Any) -> tuple[Any, ...]:
            return (getattr(struct, name),)
    else:

        def getter(struct: Any) -> tuple[Any, ...]:
            return ()

    schema._values_getter = getter  # type: ignore[attr-defined]
    return getter


def _to_object(schema: Schema, values: Sequence[Any]) -> dict[str, Any]:
    return {
        name: _convert(type_, value)
        for name, type_, value in zip(schema.names, schema.fields, values, strict=True)
    }


def _convert(type_: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(type_, Schema):
        return _to_object(type_, value)
    if isinstance(type_, NullableRow):
        return _to_object(type_.schema, value)
    if isinstance(type_, Array):
        return [_convert(type_.array_of, item) for item in value]
    return value
