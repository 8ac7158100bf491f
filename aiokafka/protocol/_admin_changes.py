"""Changes of configurations and quotas (API keys 44, 49; KIP-339, KIP-546).

Page: https://kafka.apache.org/protocol#The_Messages_IncrementalAlterConfigs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_INCREMENTAL_ALTER_CONFIGS = Api(
    "IncrementalAlterConfigs",
    44,
    versions=range(2),
    flexible=1,
    module=_MODULE,
    request=(
        Field(
            "resources",
            [
                Field("resource_type", "int8"),
                Field("resource_name", "string"),
                Field(
                    "configs",
                    [
                        Field("name", "string"),
                        Field("config_operation", "int8"),
                        Field("value", "string", nullable="0+"),
                    ],
                ),
            ],
        ),
        Field("validate_only", "bool"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "responses",
            [
                Field("error_code", "int16"),
                Field("error_message", "string", nullable="0+"),
                Field("resource_type", "int8"),
                Field("resource_name", "string"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        IncrementalAlterConfigsRequest_v0,
        IncrementalAlterConfigsRequest_v1,
    ) = _INCREMENTAL_ALTER_CONFIGS.requests
    (
        IncrementalAlterConfigsResponse_v0,
        IncrementalAlterConfigsResponse_v1,
    ) = _INCREMENTAL_ALTER_CONFIGS.responses


class IncrementalAlterConfigsRequest(Request[RequestStruct], api=_INCREMENTAL_ALTER_CONFIGS):
    """Change single settings.

    Parameters:
        resources: ``[(resource_type, resource_name, [(name, operation, value)])]``.
        validate_only: check, do not change.

    .. versionadded:: 0.14.1
    """

    API_KEY = 44

    def __init__(self, resources: Sequence[Any], validate_only: bool = False) -> None:
        self._values = resources, validate_only

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(*self._values)


_ALTER_CLIENT_QUOTAS = Api(
    "AlterClientQuotas",
    49,
    versions=range(2),
    flexible=1,
    module=_MODULE,
    request=(
        Field(
            "entries",
            [
                Field(
                    "entity",
                    [
                        Field("entity_type", "string"),
                        Field("entity_name", "string", nullable="0+"),
                    ],
                ),
                Field(
                    "ops",
                    [
                        Field("key", "string"),
                        Field("value", "float64"),
                        Field("remove", "bool"),
                    ],
                ),
            ],
        ),
        Field("validate_only", "bool"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "entries",
            [
                Field("error_code", "int16"),
                Field("error_message", "string", nullable="0+"),
                Field(
                    "entity",
                    [
                        Field("entity_type", "string"),
                        Field("entity_name", "string", nullable="0+"),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        AlterClientQuotasRequest_v0,
        AlterClientQuotasRequest_v1,
    ) = _ALTER_CLIENT_QUOTAS.requests
    (
        AlterClientQuotasResponse_v0,
        AlterClientQuotasResponse_v1,
    ) = _ALTER_CLIENT_QUOTAS.responses


class AlterClientQuotasRequest(Request[RequestStruct], api=_ALTER_CLIENT_QUOTAS):
    """Change quotas.

    Parameters:
        entries: ``[([(entity_type, entity_name)], [(key, value, remove)])]``.
        validate_only: check, do not change.

    .. versionadded:: 0.14.1
    """

    API_KEY = 49

    def __init__(self, entries: Sequence[Any], validate_only: bool) -> None:
        self._values = entries, validate_only

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(*self._values)


#: What is declared here.
APIS = (
    _INCREMENTAL_ALTER_CONFIGS,
    _ALTER_CLIENT_QUOTAS,
)

if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, *APIS)
