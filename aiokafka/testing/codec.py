"""From bytes to requests and from plain values to responses: the protocol seen by a server.

Owns the lookup of request classes by (API key, version), the parsing of request headers, and
:func:`build_response`, which lays out one dictionary of values for whatever version was asked.
Pure: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiokafka.protocol
from aiokafka.protocol import API_KEYS
from aiokafka.protocol._declare import Api
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import Array, NullableRow, Schema

__all__ = [
    "API_VERSIONS_KEY",
    "RequestHeader",
    "api_key_of",
    "api_name",
    "build_response",
    "encode_response",
    "parse_header",
    "request_class",
    "supported_versions",
]

API_VERSIONS_KEY = 18

_HEADER = struct.Struct(">hhih")
_INT32 = struct.Struct(">i")
_NO_TAGS = b"\x00"


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """Header of a request, and where its body starts in the frame."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_at: int


def parse_header(frame: bytes) -> RequestHeader:
    """Read a request header (v1, or v2 when the API version is flexible).

    Raises:
        ValueError: the frame is too short or lies about a length.
    """
    if len(frame) < _HEADER.size:
        raise ValueError(f"request of {len(frame)} bytes has no header")
    api_key, version, correlation_id, length = _HEADER.unpack_from(frame)
    position = _HEADER.size
    client_id = None
    if length >= 0:
        if position + length > len(frame):
            raise ValueError(f"client id of {length} bytes in a frame of {len(frame)}")
        client_id = frame[position : position + length].decode()
        position += length
    request_type = request_class(api_key, version)
    if request_type is not None and request_type.FLEXIBLE_VERSION:
        position = _skip_tags(frame, position)
    return RequestHeader(api_key, version, correlation_id, client_id, position)


def _skip_tags(frame: bytes, position: int) -> int:
    count, position = _uvarint(frame, position)
    for _ in range(count):
        _tag, position = _uvarint(frame, position)
        size, position = _uvarint(frame, position)
        position += size
        if position > len(frame):
            raise ValueError("tagged field reaches past the end of the frame")
    return position


def _uvarint(frame: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(frame) or shift > 28:
            raise ValueError("bad varint in a request header")
        byte = frame[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


# -- classes -----------------------------------------------------------------------------------


@functools.cache
def _request_classes() -> dict[tuple[int, int], type[RequestStruct]]:
    """Every request class of the protocol package by (API key, version)."""
    package = aiokafka.protocol
    found: dict[tuple[int, int], type[RequestStruct]] = {}
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(info.name)
    for api in Api.declared:
        # Not what somebody else has declared.
        if api.module.startswith(f"{package.__name__}."):
            found.update({(api.key, made.API_VERSION): made for made in api.requests})
    return found


def request_class(api_key: int, version: int) -> type[RequestStruct] | None:
    """The request class, or ``None`` when the codec does not know that version."""
    return _request_classes().get((api_key, version))


@functools.cache
def supported_versions() -> dict[int, tuple[int, int]]:
    """Lowest and highest version that the codec knows, by API key."""
    ranges: dict[int, tuple[int, int]] = {}
    for api_key, version in _request_classes():
        low, high = ranges.get(api_key, (version, version))
        ranges[api_key] = (min(low, version), max(high, version))
    return ranges


def api_name(api_key: int) -> str:
    """Kafka's name of an API, for people."""
    return API_KEYS.get(api_key, f"api {api_key}")


def api_key_of(api: int | str) -> int:
    """The key of an API given by key or by name (``"Produce"``); `ValueError` if unknown."""
    if isinstance(api, int):
        return api
    for key, name in API_KEYS.items():
        if name.lower() == api.lower():
            return key
    raise ValueError(f"no API is called {api!r}")


# -- responses ---------------------------------------------------------------------------------


def build_response(response_type: type[Response], values: Mapping[str, Any]) -> Response:
    """Lay out ``values`` as that version's response.

    Args:
        response_type: a versioned response class.
        values: fields by name, rows as mappings.  Names that the version does not have are
            ignored, so that one set of values serves every version.

    Raises:
        ValueError: a field that the version has is missing; the message names its path.
    """
    try:
        return response_type(*_row(response_type.SCHEMA, values))
    except _MissingFieldError as missing:
        raise ValueError(f"no value for {response_type.__name__}.{missing}") from None


class _MissingFieldError(Exception):
    """A field without a value; the argument is its path."""


_Layout = Callable[[Any], Any]
_NO_DEFAULT = object()


def _row(schema: Schema, values: Mapping[str, Any]) -> tuple[Any, ...]:
    row: list[Any] = []
    for name, layout, default in _fields(schema):
        value = values.get(name, default)
        if value is _NO_DEFAULT:
            raise _MissingFieldError(name)
        if layout is None or value is None or value is default:
            row.append(value)
            continue
        try:
            row.append(layout(value))
        except _MissingFieldError as missing:
            raise _MissingFieldError(f"{name}.{missing}") from None
    return tuple(row)


@functools.cache
def _fields(schema: Schema) -> tuple[tuple[str, _Layout | None, Any], ...]:
    """Name, layout (``None``: the value as it is) and default of each field."""
    required = len(schema.names) - len(schema.optional)
    defaults = [_NO_DEFAULT] * required + list(schema.optional)
    layouts = [_layout(kind) for kind in schema.fields]
    return tuple(zip(schema.names, layouts, defaults, strict=True))


def _layout(kind: Any) -> _Layout | None:
    if isinstance(kind, Array):
        item = _layout(kind.array_of)
        return list if item is None else lambda values: [item(value) for value in values]
    schema = kind.schema if isinstance(kind, NullableRow) else kind
    if not isinstance(schema, Schema):
        return None
    return lambda value: _row(schema, value) if isinstance(value, Mapping) else value


def encode_response(request: RequestStruct, correlation_id: int, response: Response) -> bytes:
    """The whole frame of a response: length, header, body.

    The header of an ApiVersions response is never flexible, because the client does not know
    yet what the broker speaks (KIP-511).
    """
    body = response.encode()
    flexible = request.FLEXIBLE_VERSION and request.API_KEY != API_VERSIONS_KEY
    header = _INT32.pack(correlation_id) + (_NO_TAGS if flexible else b"")
    return _INT32.pack(len(header) + len(body)) + header + body
