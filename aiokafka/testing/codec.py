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
from collections.abc import Mapping
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
    return response_type(*_row(response_type.SCHEMA, values, response_type.__name__))


def _row(schema: Schema, values: Mapping[str, Any], path: str) -> tuple[Any, ...]:
    required = len(schema.names) - len(schema.optional)
    row: list[Any] = []
    for position, (name, kind) in enumerate(zip(schema.names, schema.fields, strict=True)):
        if name in values:
            row.append(_value(kind, values[name], f"{path}.{name}"))
        elif position >= required:
            row.append(schema.optional[position - required])
        else:
            raise ValueError(f"no value for {path}.{name}")
    return tuple(row)


def _value(kind: Any, value: Any, path: str) -> Any:
    if value is None:
        return None
    if isinstance(kind, Array):
        return [_value(kind.array_of, item, path) for item in value]
    if isinstance(kind, NullableRow):
        kind = kind.schema
    if isinstance(kind, Schema) and isinstance(value, Mapping):
        return _row(kind, value, path)
    return value


def encode_response(request: RequestStruct, correlation_id: int, response: Response) -> bytes:
    """The whole frame of a response: length, header, body.

    The header of an ApiVersions response is never flexible, because the client does not know
    yet what the broker speaks (KIP-511).
    """
    body = response.encode()
    flexible = request.FLEXIBLE_VERSION and request.API_KEY != API_VERSIONS_KEY
    header = _INT32.pack(correlation_id) + (_NO_TAGS if flexible else b"")
    return _INT32.pack(len(header) + len(body)) + header + body
