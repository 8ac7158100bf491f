"""Access control lists (API keys 29, 30, 31).

Page: https://kafka.apache.org/protocol#The_Messages_DescribeAcls
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

# Pattern types (KIP-290). Before version 1 every resource name was literal.
_PATTERN_ANY = 1
_PATTERN_LITERAL = 3

_FILTER = (
    Field("resource_type", "int8"),
    Field("resource_name", "string", nullable="0+"),
    Field("resource_pattern_type_filter", "int8", "1+"),
    Field("principal", "string", nullable="0+"),
    Field("host", "string", nullable="0+"),
    Field("operation", "int8"),
    Field("permission_type", "int8"),
)
_RESOURCE = (
    Field("resource_type", "int8"),
    Field("resource_name", "string"),
    Field("resource_pattern_type", "int8", "1+"),
)
_ENTRY = (
    Field("principal", "string"),
    Field("host", "string"),
    Field("operation", "int8"),
    Field("permission_type", "int8"),
)
_ERROR = (Field("error_code", "int16"), Field("error_message", "string", nullable="0+"))

_DESCRIBE_ACLS = Api(
    "DescribeAcls",
    29,
    versions=range(4),
    flexible=2,
    module=_MODULE,
    request=_FILTER,
    response=(
        Field("throttle_time_ms", "int32"),
        *_ERROR,
        Field("resources", [*_RESOURCE, Field("acls", [*_ENTRY])]),
    ),
)

if TYPE_CHECKING:
    (
        DescribeAclsRequest_v0,
        DescribeAclsRequest_v1,
        DescribeAclsRequest_v2,
        DescribeAclsRequest_v3,
    ) = _DESCRIBE_ACLS.requests
    (
        DescribeAclsResponse_v0,
        DescribeAclsResponse_v1,
        DescribeAclsResponse_v2,
        DescribeAclsResponse_v3,
    ) = _DESCRIBE_ACLS.responses
DescribeAclsRequestStruct: TypeAlias = RequestStruct

_CREATE_ACLS = Api(
    "CreateAcls",
    30,
    versions=range(4),
    flexible=2,
    module=_MODULE,
    request=(Field("creations", [*_RESOURCE, *_ENTRY]),),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("creation_responses", [*_ERROR]),
    ),
)

if TYPE_CHECKING:
    (
        CreateAclsRequest_v0,
        CreateAclsRequest_v1,
        CreateAclsRequest_v2,
        CreateAclsRequest_v3,
    ) = _CREATE_ACLS.requests
    (
        CreateAclsResponse_v0,
        CreateAclsResponse_v1,
        CreateAclsResponse_v2,
        CreateAclsResponse_v3,
    ) = _CREATE_ACLS.responses
CreateAclsRequestStruct: TypeAlias = RequestStruct

_DELETE_ACLS = Api(
    "DeleteAcls",
    31,
    versions=range(4),
    flexible=2,
    module=_MODULE,
    request=(Field("filters", [*_FILTER]),),
    response=(
        Field("throttle_time_ms", "int32"),
        Field(
            "filter_responses",
            [*_ERROR, Field("matching_acls", [*_ERROR, *_RESOURCE, *_ENTRY])],
        ),
    ),
)

if TYPE_CHECKING:
    (
        DeleteAclsRequest_v0,
        DeleteAclsRequest_v1,
        DeleteAclsRequest_v2,
        DeleteAclsRequest_v3,
    ) = _DELETE_ACLS.requests
    (
        DeleteAclsResponse_v0,
        DeleteAclsResponse_v1,
        DeleteAclsResponse_v2,
        DeleteAclsResponse_v3,
    ) = _DELETE_ACLS.responses
DeleteAclsRequestStruct: TypeAlias = RequestStruct


class _AclRequest(Request[RequestStruct], api=_DESCRIBE_ACLS):
    """What the three builders share: one entry, or one filter of entries."""

    def __init__(
        self,
        resource_type: int,
        resource_name: str | None,
        resource_pattern_type_filter: int,
        principal: str | None,
        host: str | None,
        operation: int,
        permission_type: int,
    ) -> None:
        self._resource_type = resource_type
        self._resource_name = resource_name
        self._resource_pattern_type_filter = resource_pattern_type_filter
        self._principal = principal
        self._host = host
        self._operation = operation
        self._permission_type = permission_type

    def _row(self, request_struct_class: type[RequestStruct]) -> tuple[object, ...]:
        resource: tuple[object, ...] = self._resource_type, self._resource_name
        pattern = self._resource_pattern_type_filter
        if request_struct_class.API_VERSION >= 1:
            resource = (*resource, pattern)
        elif pattern not in (_PATTERN_ANY, _PATTERN_LITERAL):
            raise self._not_expressible(request_struct_class, f"pattern type {pattern}")
        return (*resource, self._principal, self._host, self._operation, self._permission_type)

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class([self._row(request_struct_class)])


class DescribeAclsRequest(_AclRequest, api=_DESCRIBE_ACLS):
    """List the entries that match; None matches everything."""

    API_KEY = 29

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(*self._row(request_struct_class))


class CreateAclsRequest(_AclRequest, api=_CREATE_ACLS):
    """Create one entry."""

    API_KEY = 30


class DeleteAclsRequest(_AclRequest, api=_DELETE_ACLS):
    """Delete the entries that match; None matches everything."""

    API_KEY = 31


class _AclRowsRequest(Request[RequestStruct], api=_CREATE_ACLS):
    """Several entries, or several filters, each with the arguments of the builders above."""

    def __init__(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._rows = rows

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        rows = [_AclRequest(*row) for row in self._rows]
        return request_struct_class([row._row(request_struct_class) for row in rows])


class CreateAclEntriesRequest(_AclRowsRequest, api=_CREATE_ACLS):
    """Create several entries.

    .. versionadded:: 0.14.1
    """

    API_KEY = 30


class DeleteAclEntriesRequest(_AclRowsRequest, api=_DELETE_ACLS):
    """Delete the entries that match any of several filters.

    .. versionadded:: 0.14.1
    """

    API_KEY = 31


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _DESCRIBE_ACLS, _CREATE_ACLS, _DELETE_ACLS)
