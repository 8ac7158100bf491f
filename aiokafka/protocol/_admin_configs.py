"""Configurations and quotas (API keys 32, 33, 48).

Page: https://kafka.apache.org/protocol#The_Messages_DescribeConfigs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

# The newest version whose rows are those that users of 0.14 see.
_NEWEST_SHOWN = 2
_NEWEST_OF_ALL = 4

_ALTER_CONFIGS = Api(
    "AlterConfigs",
    33,
    versions=range(3),
    flexible=2,
    module=_MODULE,
    request=(
        Field(
            "resources",
            [
                Field("resource_type", "int8"),
                Field("resource_name", "string"),
                Field(
                    "config_entries",
                    [
                        Field("config_name", "string"),
                        Field("config_value", "string", nullable="0+"),
                    ],
                ),
            ],
        ),
        Field("validate_only", "bool"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "resources",
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
    AlterConfigsRequest_v0, AlterConfigsRequest_v1, AlterConfigsRequest_v2 = (
        _ALTER_CONFIGS.requests
    )
    (
        AlterConfigsResponse_v0,
        AlterConfigsResponse_v1,
        AlterConfigsResponse_v2,
    ) = _ALTER_CONFIGS.responses
AlterConfigsRequestStruct: TypeAlias = RequestStruct


class AlterConfigsRequest(Request[RequestStruct], api=_ALTER_CONFIGS):
    """Replace the configuration of resources.

    Parameters:
        resources: ``[(resource_type, resource_name, [(config, value)])]``.
        validate_only: check, do not change.
    """

    API_KEY = 33

    def __init__(self, resources: Sequence[Any], validate_only: bool = False) -> None:
        self._resources = resources
        self._validate_only = validate_only

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._resources, self._validate_only)


_DESCRIBE_CONFIGS = Api(
    "DescribeConfigs",
    32,
    versions=range(5),
    flexible=4,
    module=_MODULE,
    request=(
        Field(
            "resources",
            [
                Field("resource_type", "int8"),
                Field("resource_name", "string"),
                Field("config_names", "[]string", nullable="0+"),
            ],
        ),
        Field("include_synonyms", "bool", "1+"),
        Field("include_documentation", "bool", "3+"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "resources",
            [
                Field("error_code", "int16"),
                Field("error_message", "string", nullable="0+"),
                Field("resource_type", "int8"),
                Field("resource_name", "string"),
                Field(
                    "config_entries",
                    [
                        Field("config_names", "string"),
                        Field("config_value", "string", nullable="0+"),
                        Field("read_only", "bool"),
                        Field("is_default", "bool", "0"),
                        Field("config_source", "int8", "1+"),
                        Field("is_sensitive", "bool"),
                        Field(
                            "config_synonyms",
                            [
                                Field("config_name", "string"),
                                Field("config_value", "string", nullable="1+"),
                                Field("config_source", "int8"),
                            ],
                            "1+",
                        ),
                        Field("config_type", "int8", "3+"),
                        Field("documentation", "string", "3+", nullable="3+"),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        DescribeConfigsRequest_v0,
        DescribeConfigsRequest_v1,
        DescribeConfigsRequest_v2,
        DescribeConfigsRequest_v3,
        DescribeConfigsRequest_v4,
    ) = _DESCRIBE_CONFIGS.requests
    (
        DescribeConfigsResponse_v0,
        DescribeConfigsResponse_v1,
        DescribeConfigsResponse_v2,
        DescribeConfigsResponse_v3,
        DescribeConfigsResponse_v4,
    ) = _DESCRIBE_CONFIGS.responses
DescribeConfigsRequestStruct: TypeAlias = RequestStruct


class DescribeConfigsRequest(Request[RequestStruct], api=_DESCRIBE_CONFIGS):
    """Read the configuration of resources.

    Parameters:
        resources: ``[(resource_type, resource_name, names)]``; names None asks for all.
        include_synonyms: also list where values come from (KIP-226).
    """

    API_KEY = 32

    def __init__(self, resources: Sequence[Any], include_synonyms: bool = False) -> None:
        self._resources = resources
        self._include_synonyms = include_synonyms

    def _highest_version(self) -> int:
        return _NEWEST_SHOWN

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        if version == 0:
            if self._include_synonyms:
                raise self._not_expressible(request_struct_class, "include_synonyms")
            return request_struct_class(self._resources)
        if version < 3:
            return request_struct_class(self._resources, self._include_synonyms)
        return request_struct_class(self._resources, self._include_synonyms, False)


class DescribeConfigsInFullRequest(DescribeConfigsRequest, api=_DESCRIBE_CONFIGS):
    """The same, in the newest version.

    Parameters:
        include_documentation: also ask what a setting means, from version 3; ignored before.

    .. versionadded:: 0.14.1
    """

    API_KEY = 32

    def __init__(
        self, resources: Sequence[Any], include_synonyms: bool, include_documentation: bool
    ) -> None:
        super().__init__(resources, include_synonyms)
        self._include_documentation = include_documentation

    def _highest_version(self) -> int:
        return _NEWEST_OF_ALL

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        made = super().build(request_struct_class)
        if request_struct_class.API_VERSION >= 3:
            made.include_documentation = self._include_documentation
        return made


_DESCRIBE_CLIENT_QUOTAS = Api(
    "DescribeClientQuotas",
    48,
    versions=range(2),
    flexible=1,
    module=_MODULE,
    request=(
        Field(
            "components",
            [
                Field("entity_type", "string"),
                Field("match_type", "int8"),
                Field("match", "string", nullable="0+"),
            ],
        ),
        Field("strict", "bool"),
    ),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("error_code", "int16"),
        Field("error_message", "string", nullable="0+"),
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
                Field("values", [Field("name", "string"), Field("value", "float64")]),
            ],
            nullable="0+",
        ),
    ),
)

if TYPE_CHECKING:
    DescribeClientQuotasRequest_v0, DescribeClientQuotasRequest_v1 = (
        _DESCRIBE_CLIENT_QUOTAS.requests
    )
    (
        DescribeClientQuotasResponse_v0,
        DescribeClientQuotasResponse_v1,
    ) = _DESCRIBE_CLIENT_QUOTAS.responses
DescribeClientQuotasRequestStruct: TypeAlias = RequestStruct


class DescribeClientQuotasRequest(Request[RequestStruct], api=_DESCRIBE_CLIENT_QUOTAS):
    """List quotas (KIP-546).

    Parameters:
        components: ``[(entity_type, match_type, match)]``.
        strict: leave out entities with components that were not asked for.
    """

    API_KEY = 48

    def __init__(self, components: Sequence[Any], strict: bool) -> None:
        self._components = components
        self._strict = strict

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._components, self._strict)


if not TYPE_CHECKING:
    __getattr__ = version_classes(
        __name__, _ALTER_CONFIGS, _DESCRIBE_CONFIGS, _DESCRIBE_CLIENT_QUOTAS
    )
