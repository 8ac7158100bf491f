"""Offsets of groups as administrators delete them (API key 47; KIP-496).

Page: https://kafka.apache.org/protocol#The_Messages_OffsetDelete
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._declare import Api, Field, version_classes
from .api import Request, RequestStruct

_MODULE = "aiokafka.protocol.admin"

_OFFSET_DELETE = Api(
    "OffsetDelete",
    47,
    versions=range(1),
    module=_MODULE,
    request=(
        Field("group_id", "string"),
        Field(
            "topics",
            [
                Field("name", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition_index", "int32"),
                    ],
                ),
            ],
        ),
    ),
    response=(
        Field("error_code", "int16"),
        Field("throttle_time_ms", "int32"),
        Field(
            "topics",
            [
                Field("name", "string"),
                Field(
                    "partitions",
                    [
                        Field("partition_index", "int32"),
                        Field("error_code", "int16"),
                    ],
                ),
            ],
        ),
    ),
)

if TYPE_CHECKING:
    (OffsetDeleteRequest_v0,) = _OFFSET_DELETE.requests
    (OffsetDeleteResponse_v0,) = _OFFSET_DELETE.responses


class OffsetDeleteRequest(Request[RequestStruct], api=_OFFSET_DELETE):
    """Delete offsets that a group has committed.

    Parameters:
        group_id: the group.
        topics: ``[(topic, [partition])]``.

    .. versionadded:: 0.14.1
    """

    API_KEY = 47

    def __init__(self, group_id: str, topics: Sequence[tuple[str, Sequence[int]]]) -> None:
        self._group_id = group_id
        self._topics = topics

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        topics = [(topic, [(index,) for index in indexes]) for topic, indexes in self._topics]
        return request_struct_class(self._group_id, topics)


#: What is declared here.
APIS = (_OFFSET_DELETE,)

if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, *APIS)
