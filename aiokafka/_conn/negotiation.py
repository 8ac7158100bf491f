"""Finding out on a new link what the broker can do (ApiVersions, KIP-35 and KIP-511).

No state of its own; the one future at a time belongs to the link.
"""

from __future__ import annotations

import math
import struct
from typing import Any

from aiokafka._wire.pipeline import Decoder
from aiokafka._wire.versions import (
    API_VERSIONS,
    Negotiated,
    retry_version,
    usable_versions,
)
from aiokafka.errors import KafkaProtocolError, NoError, UnsupportedVersionError, for_code
from aiokafka.protocol._admin_connection import (
    ApiVersionRequest,
    ApiVersionRequest_v0,
    ApiVersionRequest_v1,
    ApiVersionRequest_v2,
    ApiVersionRequest_v3,
    ApiVersionRequest_v4,
    ApiVersionResponse_v0,
    parse_api_versions,
)

from .link import Link

_STRUCTS = (
    ApiVersionRequest_v0,
    ApiVersionRequest_v1,
    ApiVersionRequest_v2,
    ApiVersionRequest_v3,
    ApiVersionRequest_v4,
)

# A refusal that names no versions.
_BARE_REFUSAL = struct.pack(">hi", UnsupportedVersionError.errno, 0)

_error_code_at = struct.Struct(">h").unpack_from


async def negotiate(link: Link, where: str) -> Negotiated:
    """Ask for the broker's versions, newest question first.

    Bounded by the caller; requests are sent without a deadline of their own.

    Raises:
        UnsupportedVersionError: the broker refuses every version of ApiVersions.
        KafkaError: the broker answers with another error.
        KafkaConnectionError: the link ends.
    """
    version = len(_STRUCTS) - 1
    while True:
        request = ApiVersionRequest().build(_STRUCTS[version])
        response = await link.send(request, math.inf, decoder_for(request.RESPONSE_TYPE))
        code, advertised, features, _ = parse_api_versions(response)
        error_type = for_code(code)
        if error_type is NoError:
            return Negotiated(usable_versions(advertised), dict(features))
        if error_type is not UnsupportedVersionError:
            raise error_type(f"{where} refused ApiVersions")
        if version == 0:
            raise UnsupportedVersionError(f"{where} supports no version of ApiVersions")
        # Each turn of the loop asks in a lower version, so it ends.
        version = retry_version(advertised, version)


def decoder_for(response_type: Any) -> Decoder:
    """A decoder that also reads the refusal, which comes in version 0 whatever was asked."""

    def decode(frame: Any, start: int) -> tuple[Any, int]:
        if len(frame) < start + 2:
            raise KafkaProtocolError(f"the answer to API {API_VERSIONS} has no error code")
        (code,) = _error_code_at(frame, start)
        result: tuple[Any, int]
        if code == UnsupportedVersionError.errno:
            try:
                result = ApiVersionResponse_v0.decode_from(frame, start)
            except ValueError:
                # librdkafka's mock brokers refuse in a layout that is no version's; what counts is
                # that they refuse, and everything understands version 0.
                result = ApiVersionResponse_v0.decode(_BARE_REFUSAL), len(frame)
        else:
            result = response_type.decode_from(frame, start)
        return result

    return decode
