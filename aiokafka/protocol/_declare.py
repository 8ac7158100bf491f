"""Declarations of APIs: one list of fields with version ranges, from which the classes come.

``Field("rack", "string", "1+", nullable="1+")`` is in versions 1 and newer and may be null.  Types
are named as in Kafka's own definitions: ``int8 int16 int32 int64 float64 bool uuid string bytes
records``, ``[]int32`` for an array of them, ``secret`` for bytes that must not be logged; a list
of fields is an array of rows, a tuple of fields a structure in place.  From the first flexible
version on, lengths become varints and every row ends with a section of tagged fields (KIP-482).

Owns the interned schemas: versions with equal layouts share one :class:`Schema` object.  Classes
are made and schemas built when first looked at, and compiled when first used, so that importing
stays cheap: a program uses one or two versions of an API.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Union, cast

from . import _shape
from .api import RequestStruct, Response
from .types import (
    Array,
    Blob,
    Boolean,
    CompactArray,
    CompactString,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    NullableRow,
    Schema,
    String,
    TaggedFields,
    Uuid,
)

_EVER = 32767
_SIMPLE = {
    "int8": Int8,
    "int16": Int16,
    "int32": Int32,
    "int64": Int64,
    "float64": Float64,
    "bool": Boolean,
    "uuid": Uuid,
    "tags": TaggedFields,
}

# A list of fields is an array of rows, a tuple of fields a structure in place.
FieldType = Union[str, "list[Field]", "tuple[Field, ...]"]


class Field:
    """One field of a message.

    Parameters:
        name: the attribute.
        type_: see the module.
        versions: the versions that have it: ``"3+"``, ``"3-7"``, ``"3"``.
        nullable: the versions in which it may be null.
        tag: its number as a tagged field, in versions that are in ``versions``.
        default: value of a tagged field that is absent.
    """

    __slots__ = ("default", "name", "nullable", "tag", "type", "versions")

    def __init__(
        self,
        name: str,
        type_: FieldType,
        versions: str = "0+",
        *,
        nullable: str = "",
        tag: int | None = None,
        default: Any = None,
    ) -> None:
        self.name = name
        self.type = type_
        self.versions = versions
        self.nullable = nullable
        self.tag = tag
        self.default = default


def covers(versions: str, version: int) -> bool:
    """Whether a range like ``"3+"`` or ``"0-2"`` has ``version`` in it; ``""`` is empty."""
    if not versions:
        return False
    if versions.endswith("+"):
        return version >= int(versions[:-1])
    low, _, high = versions.partition("-")
    return int(low) <= version <= int(high or low)


class _Layouts:
    """The schemas of one message, by version."""

    def __init__(self, fields: Sequence[Field], first_flexible: int) -> None:
        self._fields = fields
        self._first_flexible = first_flexible
        self._by_key: dict[Any, Schema] = {}
        self._by_version: dict[int, Schema] = {}

    def schema(self, version: int) -> Schema:
        """The schema of ``version``; the same object for all versions with the same layout."""
        schema = self._by_version.get(version)
        if schema is None:
            schema = _build_schema(self._fields, version, version >= self._first_flexible)
            schema = self._by_key.setdefault(_shape.schema_key(schema), schema)
            self._by_version[version] = schema
        return schema


def _build_schema(fields: Sequence[Field], version: int, flexible: bool) -> Schema:
    plain: list[tuple[str, Any]] = []
    tagged: list[tuple[str, Any, int, Any]] = []
    for field in fields:
        if not covers(field.versions, version):
            continue
        type_ = _build_type(field, version, flexible)
        if field.tag is None:
            plain.append((field.name, type_))
        else:
            tagged.append((field.name, type_, field.tag, field.default))
    # Old classes show their section of tagged fields as a field of its own.
    if not flexible or (plain and plain[-1][1] is TaggedFields):
        return Schema(*plain)
    tagged.sort(key=lambda item: item[2])
    return Schema.flexible(plain, tagged)


def _build_type(field: Field, version: int, flexible: bool) -> Any:
    nullable = covers(field.nullable, version)
    declared = field.type
    if isinstance(declared, tuple):
        row = _build_schema(declared, version, flexible)
        return NullableRow(row) if nullable else row
    array = CompactArray if flexible else Array
    if isinstance(declared, list):
        return array(_build_schema(declared, version, flexible), nullable=nullable)
    return _simple_type(declared, flexible, nullable=nullable)


def _simple_type(name: str, flexible: bool, *, nullable: bool) -> Any:
    if name.startswith("[]"):
        array = CompactArray if flexible else Array
        return array(_simple_type(name[2:], flexible, nullable=False), nullable=nullable)
    if name == "string":
        return (CompactString if flexible else String)(nullable=nullable)
    if name in ("bytes", "records", "secret"):
        return Blob(
            compact=flexible,
            nullable=nullable,
            by_reference=name == "records",
            secret=name == "secret",
        )
    return _SIMPLE[name]


class _LazySchema:
    """Class attribute that becomes the schema when it is first looked at."""

    __slots__ = ("_layouts", "_version")

    def __init__(self, layouts: _Layouts, version: int) -> None:
        self._layouts = layouts
        self._version = version

    def __get__(self, instance: object, owner: type) -> Schema:
        schema = self._layouts.schema(self._version)
        for cls in owner.__mro__:
            if cls.__dict__.get("SCHEMA") is self:
                cls.SCHEMA = schema  # type: ignore[attr-defined]
        return schema


class Api:
    """One API: its two messages in all their versions.

    Parameters:
        name: what the class names begin with.
        key: the number of the API.
        versions: how many versions there are, counted from 0.
        flexible: the first flexible version, None when there is none.
        request, response: the fields.
        module: the module the classes belong to.
    """

    #: Every API declared so far.
    declared: ClassVar[list[Api]] = []

    def __init__(
        self,
        name: str,
        key: int,
        *,
        versions: range,
        flexible: int | None = None,
        request: Sequence[Field],
        response: Sequence[Field],
        module: str,
    ) -> None:
        self.name = name
        self.key = key
        self.versions = versions
        self.flexible = _EVER if flexible is None else flexible
        self.request_fields = request
        self.response_fields = response
        self.module = module
        self.declared.append(self)

    @cached_property
    def responses(self) -> tuple[type[Response], ...]:
        """The response classes, oldest first."""
        layouts = _Layouts(self.response_fields, self.flexible)
        return tuple(self._response(version, layouts) for version in self.versions)

    @cached_property
    def requests(self) -> tuple[type[RequestStruct], ...]:
        """The request classes, oldest first."""
        layouts = _Layouts(self.request_fields, self.flexible)
        return tuple(
            self._request(version, layouts, response_class)
            for version, response_class in zip(self.versions, self.responses, strict=True)
        )

    def _response(self, version: int, layouts: _Layouts) -> type[Response]:
        namespace = {
            "__module__": self.module,
            "__doc__": f"Response of {self.name}, version {version}.",
            "API_KEY": self.key,
            "API_VERSION": version,
            "SCHEMA": _LazySchema(layouts, version),
        }
        made = ABCMeta(f"{self.name}Response_v{version}", (Response,), namespace)
        return cast("type[Response]", made)

    def _request(
        self, version: int, layouts: _Layouts, response: type[Response]
    ) -> type[RequestStruct]:
        namespace = {
            "__module__": self.module,
            "__doc__": f"Request of {self.name}, version {version}.",
            "API_KEY": self.key,
            "API_VERSION": version,
            "RESPONSE_TYPE": response,
            "FLEXIBLE_VERSION": version >= self.flexible,
            "SCHEMA": _LazySchema(layouts, version),
        }
        return type(f"{self.name}Request_v{version}", (RequestStruct,), namespace)


def version_classes(module: str, *apis: Api) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that declares *apis*: their classes by name (PEP 562)."""

    def __getattr__(name: str) -> Any:
        for api in apis:
            if name.startswith(api.name):
                for made in (*api.requests, *api.responses):
                    if made.__name__ == name:
                        # The next look-up does not come here.
                        setattr(sys.modules[module], name, made)
                        return made
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__
