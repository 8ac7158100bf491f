"""FindCoordinator (API key 10).

Page: https://kafka.apache.org/protocol#The_Messages_FindCoordinator
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct, Response

_API = Api(
    "FindCoordinator",
    10,
    versions=range(7),
    flexible=3,
    module=__name__,
    request=(
        Field("consumer_group", "string", "0"),
        Field("coordinator_key", "string", "1-3"),
        Field("coordinator_type", "int8", "1+"),
        Field("coordinator_keys", "[]string", "4+"),
    ),
    response=(
        Field("throttle_time_ms", "int32", "1+"),
        Field("error_code", "int16", "0-3"),
        Field("error_message", "string", "1-3", nullable="1-3"),
        Field("coordinator_id", "int32", "0-3"),
        Field("host", "string", "0-3"),
        Field("port", "int32", "0-3"),
        Field(
            "coordinators",
            [
                Field("key", "string"),
                Field("node_id", "int32"),
                Field("host", "string"),
                Field("port", "int32"),
                Field("error_code", "int16"),
                Field("error_message", "string", nullable="4+"),
            ],
            "4+",
        ),
    ),
)

if TYPE_CHECKING:
    (
        FindCoordinatorRequest_v0,
        FindCoordinatorRequest_v1,
        FindCoordinatorRequest_v2,
        FindCoordinatorRequest_v3,
        FindCoordinatorRequest_v4,
        FindCoordinatorRequest_v5,
        FindCoordinatorRequest_v6,
    ) = _API.requests
    (
        FindCoordinatorResponse_v0,
        FindCoordinatorResponse_v1,
        FindCoordinatorResponse_v2,
        FindCoordinatorResponse_v3,
        FindCoordinatorResponse_v4,
        FindCoordinatorResponse_v5,
        FindCoordinatorResponse_v6,
    ) = _API.responses
FindCoordinatorRequestStruct: TypeAlias = RequestStruct


class FindCoordinatorRequest(Request[RequestStruct], api=_API):
    """Ask which broker coordinates a group or a transactional id.

    Parameters:
        coordinator_key: the group id or transactional id.
        coordinator_type: 0 for a group, 1 for a transaction.
    """

    API_KEY = 10

    def __init__(self, coordinator_key: str, coordinator_type: int) -> None:
        self._coordinator_key = coordinator_key
        self._coordinator_type = coordinator_type

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        coordinator_type = int(self._coordinator_type)
        if version >= 4:
            return request_struct_class(coordinator_type, [self._coordinator_key])
        if version >= 1:
            return request_struct_class(self._coordinator_key, coordinator_type)
        if coordinator_type != 0:
            raise self._not_expressible(request_struct_class, "the coordinator of a transaction")
        return request_struct_class(self._coordinator_key)


def parse_coordinators(
    response: Response, key: str
) -> list[tuple[str, int, str | None, int, str, int]]:
    """``(key, error_code, error_message, node_id, host, port)`` of each coordinator found.

    Parameters:
        response: a FindCoordinatorResponse of any version.
        key: the key asked for, which versions before 4 do not repeat.

    .. versionadded:: 0.14.1
    """
    rows = getattr(response, "coordinators", None)
    if rows is None:
        message = getattr(response, "error_message", None)
        coordinator = response.coordinator_id, response.host, response.port
        return [(key, response.error_code, message, *coordinator)]
    return [(row[0], row[4], row[5], row[1], row[2], row[3]) for row in rows]


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _API)
