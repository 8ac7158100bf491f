"""Consumer groups as seen by an administrator (API keys 15, 16, 42).

Page: https://kafka.apache.org/protocol#The_Messages_DescribeGroups
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

# The newest versions whose rows are those that users of 0.14 see.
_NEWEST_LISTING = 3
_NEWEST_DESCRIPTION = 3
_NEWEST_OF_ALL = 6

_LIST_GROUPS = Api(
    "ListGroups",
    16,
    versions=range(6),
    flexible=3,
    module=_MODULE,
    request=(
        Field("states_filter", "[]string", "4+"),
        Field("types_filter", "[]string", "5+"),
    ),
    response=(
        Field("throttle_time_ms", "int32", "1+"),
        Field("error_code", "int16"),
        Field(
            "groups",
            [
                Field("group", "string"),
                Field("protocol_type", "string"),
                Field("group_state", "string", "4+"),
                Field("group_type", "string", "5+"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        ListGroupsRequest_v0,
        ListGroupsRequest_v1,
        ListGroupsRequest_v2,
        ListGroupsRequest_v3,
        ListGroupsRequest_v4,
        ListGroupsRequest_v5,
    ) = _LIST_GROUPS.requests
    (
        ListGroupsResponse_v0,
        ListGroupsResponse_v1,
        ListGroupsResponse_v2,
        ListGroupsResponse_v3,
        ListGroupsResponse_v4,
        ListGroupsResponse_v5,
    ) = _LIST_GROUPS.responses
ListGroupsRequestStruct: TypeAlias = RequestStruct


class ListGroupsRequest(Request[RequestStruct], api=_LIST_GROUPS):
    """List the groups a broker coordinates."""

    API_KEY = 16

    def _highest_version(self) -> int:
        return _NEWEST_LISTING

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        return request_struct_class(*([],) * max(0, version - 3))


class ListGroupsOfKindRequest(Request[RequestStruct], api=_LIST_GROUPS):
    """List the groups a broker coordinates that are in certain states and of certain types.

    Parameters:
        states: names of states, from version 4 (KIP-518); empty for all.
        types: names of types, from version 5 (KIP-848); empty for all.

    .. versionadded:: 0.14.1
    """

    API_KEY = 16

    def __init__(self, states: Sequence[str] = (), types: Sequence[str] = ()) -> None:
        self._filters = (states, "a filter of states"), (types, "a filter of types")

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        number = max(0, request_struct_class.API_VERSION - 3)
        for values, what in self._filters[number:]:
            if values:
                raise self._not_expressible(request_struct_class, what)
        return request_struct_class(*(values for values, _ in self._filters[:number]))


_DESCRIBE_GROUPS = Api(
    "DescribeGroups",
    15,
    versions=range(7),
    flexible=5,
    module=_MODULE,
    request=(
        Field("groups", "[]string"),
        Field("include_authorized_operations", "bool", "3+"),
    ),
    response=(
        Field("throttle_time_ms", "int32", "1+"),
        Field(
            "groups",
            [
                Field("error_code", "int16"),
                Field("error_message", "string", "6+", nullable="6+"),
                Field("group", "string"),
                Field("state", "string"),
                Field("protocol_type", "string"),
                Field("protocol", "string"),
                Field(
                    "members",
                    [
                        Field("member_id", "string"),
                        Field("group_instance_id", "string", "4+", nullable="4+"),
                        Field("client_id", "string"),
                        Field("client_host", "string"),
                        Field("member_metadata", "bytes"),
                        Field("member_assignment", "bytes"),
                    ],
                ),
                Field("authorized_operations", "int32", "3+"),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (
        DescribeGroupsRequest_v0,
        DescribeGroupsRequest_v1,
        DescribeGroupsRequest_v2,
        DescribeGroupsRequest_v3,
        DescribeGroupsRequest_v4,
        DescribeGroupsRequest_v5,
        DescribeGroupsRequest_v6,
    ) = _DESCRIBE_GROUPS.requests
    (
        DescribeGroupsResponse_v0,
        DescribeGroupsResponse_v1,
        DescribeGroupsResponse_v2,
        DescribeGroupsResponse_v3,
        DescribeGroupsResponse_v4,
        DescribeGroupsResponse_v5,
        DescribeGroupsResponse_v6,
    ) = _DESCRIBE_GROUPS.responses
DescribeGroupsRequestStruct: TypeAlias = RequestStruct


class DescribeGroupsRequest(Request[RequestStruct], api=_DESCRIBE_GROUPS):
    """Describe groups and their members.

    Parameters:
        groups: group ids.
        include_authorized_operations: also ask what this client may do (KIP-430).
    """

    API_KEY = 15

    def __init__(self, groups: Sequence[str], include_authorized_operations: bool = False) -> None:
        self._groups = groups
        self._include_authorized_operations = include_authorized_operations

    def _highest_version(self) -> int:
        return _NEWEST_DESCRIPTION

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class.API_VERSION >= 3:
            return request_struct_class(self._groups, self._include_authorized_operations)
        if self._include_authorized_operations:
            raise self._not_expressible(request_struct_class, "include_authorized_operations")
        return request_struct_class(self._groups)


class DescribeGroupsInFullRequest(DescribeGroupsRequest, api=_DESCRIBE_GROUPS):
    """The same, in the newest version.

    .. versionadded:: 0.14.1
    """

    API_KEY = 15

    def _highest_version(self) -> int:
        return _NEWEST_OF_ALL


_DELETE_GROUPS = Api(
    "DeleteGroups",
    42,
    versions=range(3),
    flexible=2,
    module=_MODULE,
    request=(Field("groups_names", "[]string"),),
    response=(
        Field("throttle_time_ms", "int32"),
        Field("results", [Field("group_id", "string"), Field("error_code", "int16")]),
    ),
)

if TYPE_CHECKING:
    DeleteGroupsRequest_v0, DeleteGroupsRequest_v1, DeleteGroupsRequest_v2 = (
        _DELETE_GROUPS.requests
    )
    (
        DeleteGroupsResponse_v0,
        DeleteGroupsResponse_v1,
        DeleteGroupsResponse_v2,
    ) = _DELETE_GROUPS.responses
DeleteGroupsRequestStruct: TypeAlias = RequestStruct


class DeleteGroupsRequest(Request[RequestStruct], api=_DELETE_GROUPS):
    """Delete groups that have no members."""

    API_KEY = 42

    def __init__(self, group_names: Sequence[str]) -> None:
        self._group_names = group_names

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(self._group_names)


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _LIST_GROUPS, _DESCRIBE_GROUPS, _DELETE_GROUPS)
