"""What is said on a connection before anything else: ApiVersions and SASL.

Pages: https://kafka.apache.org/protocol#The_Messages_ApiVersions (KIP-35, KIP-511),
https://kafka.apache.org/protocol#sasl_handshake (KIP-152, KIP-368)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from aiokafka._version import __version__

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct, Response, throttle_time_ms

_MODULE = "aiokafka.protocol.admin"

_FEATURE_RANGE = [
    Field("name", "string"),
    Field("min_version", "int16"),
    Field("max_version", "int16"),
]
_FEATURE_LEVELS = [
    Field("name", "string"),
    Field("max_version_level", "int16"),
    Field("min_version_level", "int16"),
]

_API_VERSIONS = Api(
    "ApiVersion",
    18,
    versions=range(5),
    flexible=3,
    module=_MODULE,
    request=(
        Field("client_software_name", "string", "3+"),
        Field("client_software_version", "string", "3+"),
    ),
    response=(
        Field("error_code", "int16"),
        Field(
            "api_versions",
            [
                Field("api_key", "int16"),
                Field("min_version", "int16"),
                Field("max_version", "int16"),
            ],
        ),
        Field("throttle_time_ms", "int32", "1+"),
        Field("supported_features", _FEATURE_RANGE, "3+", tag=0, default=[]),
        Field("finalized_features_epoch", "int64", "3+", tag=1, default=-1),
        Field("finalized_features", _FEATURE_LEVELS, "3+", tag=2, default=[]),
        Field("zk_migration_ready", "bool", "3+", tag=3, default=False),
    ),
)

if TYPE_CHECKING:
    (
        ApiVersionRequest_v0,
        ApiVersionRequest_v1,
        ApiVersionRequest_v2,
        ApiVersionRequest_v3,
        ApiVersionRequest_v4,
    ) = _API_VERSIONS.requests
    (
        ApiVersionResponse_v0,
        ApiVersionResponse_v1,
        ApiVersionResponse_v2,
        ApiVersionResponse_v3,
        ApiVersionResponse_v4,
    ) = _API_VERSIONS.responses
ApiVersionRequestStruct: TypeAlias = RequestStruct


class ApiVersionRequest(Request[RequestStruct], api=_API_VERSIONS):
    """Ask which APIs the broker speaks, in which versions.

    Parameters:
        client_software_name, client_software_version: shown in the broker's metrics (KIP-511).
    """

    API_KEY = 18
    ALLOW_UNKNOWN_API_VERSION = True

    def __init__(
        self, client_software_name: str = "aiokafka", client_software_version: str = __version__
    ) -> None:
        self._client_software_name = client_software_name
        self._client_software_version = client_software_version

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class.API_VERSION < 3:
            return request_struct_class()
        return request_struct_class(self._client_software_name, self._client_software_version)


def parse_api_versions(
    response: Response,
) -> tuple[int, dict[int, tuple[int, int]], dict[str, int], int]:
    """What an ApiVersionResponse of any version says.

    Returns the error code, the lowest and highest version of each API key, the finalized maximum
    level of each feature, and the throttle time in milliseconds.

    .. versionadded:: 0.14.1
    """
    versions = {row[0]: (row[1], row[2]) for row in response.api_versions or ()}
    # Features without an epoch are not known to be finalized (KIP-584).
    known = getattr(response, "finalized_features_epoch", -1) >= 0
    rows = response.finalized_features if known else ()
    features = {row[0]: row[1] for row in rows}
    return response.error_code, versions, features, throttle_time_ms(response)


_SASL_HANDSHAKE = Api(
    "SaslHandShake",
    17,
    versions=range(2),
    module=_MODULE,
    request=(Field("mechanism", "string"),),
    response=(Field("error_code", "int16"), Field("enabled_mechanisms", "[]string")),
)

if TYPE_CHECKING:
    SaslHandShakeRequest_v0, SaslHandShakeRequest_v1 = _SASL_HANDSHAKE.requests
    SaslHandShakeResponse_v0, SaslHandShakeResponse_v1 = _SASL_HANDSHAKE.responses
SaslHandShakeRequestStruct: TypeAlias = RequestStruct


class SaslHandShakeRequest(Request[RequestStruct], api=_SASL_HANDSHAKE):
    """Announce the SASL mechanism.

    Version 1 means that the tokens follow in SaslAuthenticate requests, version 0 that they are
    sent bare.
    """

    API_KEY = 17

    def __init__(self, mechanism: str) -> None:
        self._mechanism = mechanism

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._mechanism)


_SASL_AUTHENTICATE = Api(
    "SaslAuthenticate",
    36,
    versions=range(3),
    flexible=2,
    module=_MODULE,
    request=(Field("sasl_auth_bytes", "secret"),),
    response=(
        Field("error_code", "int16"),
        Field("error_message", "string", nullable="0+"),
        Field("sasl_auth_bytes", "secret"),
        Field("session_lifetime_ms", "int64", "1+"),
    ),
)

if TYPE_CHECKING:
    (
        SaslAuthenticateRequest_v0,
        SaslAuthenticateRequest_v1,
        SaslAuthenticateRequest_v2,
    ) = _SASL_AUTHENTICATE.requests
    (
        SaslAuthenticateResponse_v0,
        SaslAuthenticateResponse_v1,
        SaslAuthenticateResponse_v2,
    ) = _SASL_AUTHENTICATE.responses
SaslAuthenticateRequestStruct: TypeAlias = RequestStruct


class SaslAuthenticateRequest(Request[RequestStruct], api=_SASL_AUTHENTICATE):
    """One token of a SASL exchange; its ``repr`` never shows the token."""

    API_KEY = 36

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._payload)


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _API_VERSIONS, _SASL_HANDSHAKE, _SASL_AUTHENTICATE)
