"""Delegation tokens (API keys 38 to 41; KIP-48).

Page: https://kafka.apache.org/protocol#The_Messages_CreateDelegationToken
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_CREATE_DELEGATION_TOKEN = Api(
    "CreateDelegationToken",
    38,
    versions=range(4),
    flexible=2,
    module=_MODULE,
    request=(
        Field("owner_principal_type", "string", "3+", nullable="3+"),
        Field("owner_principal_name", "string", "3+", nullable="3+"),
        Field(
            "renewers",
            [
                Field("principal_type", "string"),
                Field("principal_name", "string"),
            ],
        ),
        Field("max_lifetime_ms", "int64"),
    ),
    response=(
        Field("error_code", "int16"),
        Field("principal_type", "string"),
        Field("principal_name", "string"),
        Field("token_requester_principal_type", "string", "3+"),
        Field("token_requester_principal_name", "string", "3+"),
        Field("issue_timestamp_ms", "int64"),
        Field("expiry_timestamp_ms", "int64"),
        Field("max_timestamp_ms", "int64"),
        Field("token_id", "string"),
        Field("hmac", "secret"),
        Field("throttle_time_ms", "int32"),
    ),
)

if TYPE_CHECKING:
    (
        CreateDelegationTokenRequest_v0,
        CreateDelegationTokenRequest_v1,
        CreateDelegationTokenRequest_v2,
        CreateDelegationTokenRequest_v3,
    ) = _CREATE_DELEGATION_TOKEN.requests
    (
        CreateDelegationTokenResponse_v0,
        CreateDelegationTokenResponse_v1,
        CreateDelegationTokenResponse_v2,
        CreateDelegationTokenResponse_v3,
    ) = _CREATE_DELEGATION_TOKEN.responses


class CreateDelegationTokenRequest(Request[RequestStruct], api=_CREATE_DELEGATION_TOKEN):
    """Create a token.

    Parameters:
        renewers: ``[(principal type, principal name)]`` that may renew it, besides its owner.
        max_lifetime_ms: milliseconds it can be used at most; -1: the broker's maximum.
        owner: ``(principal type, principal name)``, from version 3 (KIP-373); None: whoever asks.

    .. versionadded:: 0.14.1
    """

    API_KEY = 38

    def __init__(
        self,
        renewers: Sequence[tuple[str, str]],
        max_lifetime_ms: int,
        owner: tuple[str, str] | None = None,
    ) -> None:
        self._renewers = renewers
        self._max_lifetime_ms = max_lifetime_ms
        self._owner = owner

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class.API_VERSION >= 3:
            owner = self._owner or (None, None)
            return request_struct_class(*owner, self._renewers, self._max_lifetime_ms)
        if self._owner is not None:
            raise self._not_expressible(request_struct_class, "an owner")
        return request_struct_class(self._renewers, self._max_lifetime_ms)


_RENEW_DELEGATION_TOKEN = Api(
    "RenewDelegationToken",
    39,
    versions=range(3),
    flexible=2,
    module=_MODULE,
    request=(
        Field("hmac", "secret"),
        Field("renew_period_ms", "int64"),
    ),
    response=(
        Field("error_code", "int16"),
        Field("expiry_timestamp_ms", "int64"),
        Field("throttle_time_ms", "int32"),
    ),
)

if TYPE_CHECKING:
    (
        RenewDelegationTokenRequest_v0,
        RenewDelegationTokenRequest_v1,
        RenewDelegationTokenRequest_v2,
    ) = _RENEW_DELEGATION_TOKEN.requests
    (
        RenewDelegationTokenResponse_v0,
        RenewDelegationTokenResponse_v1,
        RenewDelegationTokenResponse_v2,
    ) = _RENEW_DELEGATION_TOKEN.responses


class RenewDelegationTokenRequest(Request[RequestStruct], api=_RENEW_DELEGATION_TOKEN):
    """Have a token expire later.

    Parameters:
        hmac: its secret.
        period_ms: milliseconds from now; -1: the broker's setting.

    .. versionadded:: 0.14.1
    """

    API_KEY = 39

    def __init__(self, hmac: bytes, period_ms: int) -> None:
        self._values = hmac, period_ms

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(*self._values)


_EXPIRE_DELEGATION_TOKEN = Api(
    "ExpireDelegationToken",
    40,
    versions=range(3),
    flexible=2,
    module=_MODULE,
    request=(
        Field("hmac", "secret"),
        Field("expiry_time_period_ms", "int64"),
    ),
    response=(
        Field("error_code", "int16"),
        Field("expiry_timestamp_ms", "int64"),
        Field("throttle_time_ms", "int32"),
    ),
)

if TYPE_CHECKING:
    (
        ExpireDelegationTokenRequest_v0,
        ExpireDelegationTokenRequest_v1,
        ExpireDelegationTokenRequest_v2,
    ) = _EXPIRE_DELEGATION_TOKEN.requests
    (
        ExpireDelegationTokenResponse_v0,
        ExpireDelegationTokenResponse_v1,
        ExpireDelegationTokenResponse_v2,
    ) = _EXPIRE_DELEGATION_TOKEN.responses


class ExpireDelegationTokenRequest(Request[RequestStruct], api=_EXPIRE_DELEGATION_TOKEN):
    """Have a token expire at another time.

    Parameters:
        hmac: its secret.
        period_ms: milliseconds from now; -1: at once.

    .. versionadded:: 0.14.1
    """

    API_KEY = 40

    def __init__(self, hmac: bytes, period_ms: int) -> None:
        self._values = hmac, period_ms

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(*self._values)


_DESCRIBE_DELEGATION_TOKEN = Api(
    "DescribeDelegationToken",
    41,
    versions=range(4),
    flexible=2,
    module=_MODULE,
    request=(
        Field(
            "owners",
            [
                Field("principal_type", "string"),
                Field("principal_name", "string"),
            ],
            nullable="0+",
        ),
    ),
    response=(
        Field("error_code", "int16"),
        Field(
            "tokens",
            [
                Field("principal_type", "string"),
                Field("principal_name", "string"),
                Field("token_requester_principal_type", "string", "3+"),
                Field("token_requester_principal_name", "string", "3+"),
                Field("issue_timestamp", "int64"),
                Field("expiry_timestamp", "int64"),
                Field("max_timestamp", "int64"),
                Field("token_id", "string"),
                Field("hmac", "secret"),
                Field(
                    "renewers",
                    [
                        Field("principal_type", "string"),
                        Field("principal_name", "string"),
                    ],
                ),
            ],
        ),
        Field("throttle_time_ms", "int32"),
    ),
)

if TYPE_CHECKING:
    (
        DescribeDelegationTokenRequest_v0,
        DescribeDelegationTokenRequest_v1,
        DescribeDelegationTokenRequest_v2,
        DescribeDelegationTokenRequest_v3,
    ) = _DESCRIBE_DELEGATION_TOKEN.requests
    (
        DescribeDelegationTokenResponse_v0,
        DescribeDelegationTokenResponse_v1,
        DescribeDelegationTokenResponse_v2,
        DescribeDelegationTokenResponse_v3,
    ) = _DESCRIBE_DELEGATION_TOKEN.responses


class DescribeDelegationTokenRequest(Request[RequestStruct], api=_DESCRIBE_DELEGATION_TOKEN):
    """Ask for tokens.

    Parameters:
        owners: ``[(principal type, principal name)]``; None asks for all.

    .. versionadded:: 0.14.1
    """

    API_KEY = 41

    def __init__(self, owners: Sequence[tuple[str, str]] | None) -> None:
        self._owners = owners

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._owners)


#: What is declared here.
APIS = (
    _CREATE_DELEGATION_TOKEN,
    _RENEW_DELEGATION_TOKEN,
    _EXPIRE_DELEGATION_TOKEN,
    _DESCRIBE_DELEGATION_TOKEN,
)

if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, *APIS)
