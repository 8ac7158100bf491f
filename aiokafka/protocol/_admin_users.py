"""Users that authenticate with SCRAM (API keys 50, 51; KIP-554).

Page: https://kafka.apache.org/protocol#The_Messages_DescribeUserScramCredentials
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_DESCRIBE_USER_SCRAM_CREDENTIALS = Api(
    "DescribeUserScramCredentials",
    50,
    versions=range(1),
    flexible=0,
    module=_MODULE,
    request=(
        Field(
            "users",
            [
                Field("name", "string"),
            ],
            nullable="0+",
        ),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16"),
        Field("error_message", "string", nullable="0+"),
        Field(
            "results",
            [
                Field("user", "string"),
                Field("error_code", "int16"),
                Field("error_message", "string", nullable="0+"),
                Field(
                    "credential_infos",
                    [
                        Field("mechanism", "int8"),
                        Field("iterations", "int32"),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (DescribeUserScramCredentialsRequest_v0,) = _DESCRIBE_USER_SCRAM_CREDENTIALS.requests
    (DescribeUserScramCredentialsResponse_v0,) = _DESCRIBE_USER_SCRAM_CREDENTIALS.responses


class DescribeUserScramCredentialsRequest(
    Request[RequestStruct], api=_DESCRIBE_USER_SCRAM_CREDENTIALS
):
    """Ask which credentials users have.

    Parameters:
        users: names; None asks for all.

    .. versionadded:: 0.14.1
    """

    API_KEY = 50

    def __init__(self, users: Sequence[str] | None) -> None:
        self._users = users

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        users = None if self._users is None else [(user,) for user in self._users]
        return request_struct_class(users)


_ALTER_USER_SCRAM_CREDENTIALS = Api(
    "AlterUserScramCredentials",
    51,
    versions=range(1),
    flexible=0,
    module=_MODULE,
    request=(
        Field(
            "deletions",
            [
                Field("name", "string"),
                Field("mechanism", "int8"),
            ],
        ),
        Field(
            "upsertions",
            [
                Field("name", "string"),
                Field("mechanism", "int8"),
                Field("iterations", "int32"),
                Field("salt", "secret"),
                Field("salted_password", "secret"),
            ],
        ),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "results",
            [
                Field("user", "string"),
                Field("error_code", "int16"),
                Field("error_message", "string", nullable="0+"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (AlterUserScramCredentialsRequest_v0,) = _ALTER_USER_SCRAM_CREDENTIALS.requests
    (AlterUserScramCredentialsResponse_v0,) = _ALTER_USER_SCRAM_CREDENTIALS.responses


class AlterUserScramCredentialsRequest(Request[RequestStruct], api=_ALTER_USER_SCRAM_CREDENTIALS):
    """Set and delete credentials.

    Parameters:
        deletions: ``[(user, mechanism)]``.
        upsertions: ``[(user, mechanism, iterations, salt, salted password)]``.

    .. versionadded:: 0.14.1
    """

    API_KEY = 51

    def __init__(self, deletions: Sequence[Any], upsertions: Sequence[Any]) -> None:
        self._deletions = deletions
        self._upsertions = upsertions

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._deletions, self._upsertions)


#: What is declared here.
APIS = (
    _DESCRIBE_USER_SCRAM_CREDENTIALS,
    _ALTER_USER_SCRAM_CREDENTIALS,
)

if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, *APIS)
