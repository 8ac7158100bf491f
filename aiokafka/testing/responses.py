"""Frames that a fake broker sends outside the ordinary way.

Pure functions: the answer to an ApiVersions request of an unknown version, and garbage.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Any

from aiokafka.protocol.api import Response

from .codec import (
    API_VERSIONS_KEY,
    RequestHeader,
    build_response,
    encode_response,
    request_class,
)
from .codes import ErrorCode
from .faults import Garbage
from .handlers import api_versions

if TYPE_CHECKING:
    from .broker import FakeBroker
    from .cluster import FakeCluster
    from .received import ReceivedRequest

__all__ = ["garbage_frame", "respond", "unsupported_version_answer"]

_INT32 = struct.Struct(">i")


def respond(received: ReceivedRequest, values: dict[str, Any]) -> Response:
    """The answer to a request, from its values."""
    return build_response(received.request.RESPONSE_TYPE, values)


def unsupported_version_answer(
    cluster: FakeCluster, broker: FakeBroker, header: RequestHeader
) -> bytes:
    """UNSUPPORTED_VERSION in version 0, with the versions that are supported (KIP-511)."""
    request_type = request_class(API_VERSIONS_KEY, 0)
    assert request_type is not None
    values = api_versions.values_for(cluster, broker)
    values["error_code"] = ErrorCode.UNSUPPORTED_VERSION
    response = build_response(request_type.RESPONSE_TYPE, values)
    return encode_response(request_type(), header.correlation_id, response)


def garbage_frame(garbage: Garbage, received: ReceivedRequest, rng: random.Random) -> bytes:
    """Bytes that are no answer, of the kind asked for."""
    correlation_id = _INT32.pack(received.correlation_id)
    kind = garbage.kind
    if kind is Garbage.Kind.NEGATIVE_FRAME:
        return _INT32.pack(-5) + correlation_id
    if kind is Garbage.Kind.HUGE_FRAME:
        return _INT32.pack(0x7FFFFFFF) + correlation_id
    if kind is Garbage.Kind.EMPTY_FRAME:
        return _INT32.pack(0)
    if kind is Garbage.Kind.NEGATIVE_LENGTHS:
        # As counts, -2 in the classic encoding and far more than there is in the compact one.
        body = b"\xff\xff\xff\xfe" * (garbage.size // 4)
    elif kind is Garbage.Kind.TRUNCATED_BODY:
        body = b"\x00"
    else:
        body = rng.randbytes(garbage.size)
    if kind is not Garbage.Kind.NOISE:
        body = correlation_id + body
    return _INT32.pack(len(body)) + body
