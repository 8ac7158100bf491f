"""Produce (API key 0): requests, responses and what a producer reads from them.

Page: https://kafka.apache.org/protocol#The_Messages_Produce
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from aiokafka.util import NO_EXTENSIONS

from ._declare import Api, Field, version_classes
from ._rows import ResultsReader, all_have_ids, with_topic_ids
from ._rows import node_endpoints as node_endpoints
from .api import Request, RequestStruct, Response

if TYPE_CHECKING:
    from uuid import UUID

encode: Any = None
decode: Any = None
if not NO_EXTENSIONS:
    try:
        from ._produce_codec import decode, encode
    except ImportError:  # not compiled: the schema does it all
        pass

_API = Api(
    "Produce",
    0,
    versions=range(14),
    flexible=9,
    module=__name__,
    request=(
        Field("transactional_id", "string", "3+", nullable="3+"),
        Field("required_acks", "int16"),
        Field("timeout", "int32"),
        Field(
            "topics",
            [
                Field("topic", "string", "0-12"),
                Field("topic_id", "uuid", "13+"),
                Field(
                    "partitions",
                    [Field("partition", "int32"), Field("messages", "records", nullable="0+")],
                ),
            ],
        ),
    ),
    response=(
        Field(
            "topics",
            [
                Field("topic", "string", "0-12"),
                Field("topic_id", "uuid", "13+"),
                Field(
                    "partitions",
                    [
                        Field("partition", "int32"),
                        Field("error_code", "int16"),
                        Field("offset", "int64"),
                        Field("timestamp", "int64", "2+"),
                        Field("log_start_offset", "int64", "5+"),
                        Field(
                            "record_errors",
                            [
                                Field("batch_index", "int32"),
                                Field("batch_index_error_message", "string", nullable="8+"),
                            ],
                            "8+",
                        ),
                        Field("error_message", "string", "8+", nullable="8+"),
                        Field(
                            "current_leader",
                            (Field("leader_id", "int32"), Field("leader_epoch", "int32")),
                            "10+",
                            tag=0,
                            default=(-1, -1),
                        ),
                    ],
                ),
            ],
        ),
        Field("throttle_time_ms", "int32", "1+"),
        Field(
            "node_endpoints",
            [
                Field("node_id", "int32"),
                Field("host", "string"),
                Field("port", "int32"),
                Field("rack", "string", nullable="10+"),
            ],
            "10+",
            tag=0,
            default=[],
        ),
    ),
)

if TYPE_CHECKING:
    (
        ProduceRequest_v0,
        ProduceRequest_v1,
        ProduceRequest_v2,
        ProduceRequest_v3,
        ProduceRequest_v4,
        ProduceRequest_v5,
        ProduceRequest_v6,
        ProduceRequest_v7,
        ProduceRequest_v8,
        ProduceRequest_v9,
        ProduceRequest_v10,
        ProduceRequest_v11,
        ProduceRequest_v12,
        ProduceRequest_v13,
    ) = _API.requests
    (
        ProduceResponse_v0,
        ProduceResponse_v1,
        ProduceResponse_v2,
        ProduceResponse_v3,
        ProduceResponse_v4,
        ProduceResponse_v5,
        ProduceResponse_v6,
        ProduceResponse_v7,
        ProduceResponse_v8,
        ProduceResponse_v9,
        ProduceResponse_v10,
        ProduceResponse_v11,
        ProduceResponse_v12,
        ProduceResponse_v13,
    ) = _API.responses
ProduceRequestStruct: TypeAlias = RequestStruct

# Above this version a produce request adds its partitions to the transaction itself, which the
# coordinator allows in transactions of version 2 only (KIP-890).
_NEWEST_IN_TRANSACTION_V1 = 11
_FIRST_WITH_TOPIC_IDS = 13

Topics = Sequence[tuple[str, Sequence[tuple[int, Any]]]]


class ProduceRequest(Request[RequestStruct], api=_API):
    """Append record batches to partitions.

    Parameters:
        transactional_id: None outside transactions.
        required_acks: -1 all in-sync replicas, 1 the leader, 0 no answer at all.
        timeout: milliseconds the broker may wait for the replicas.
        topics: ``[(topic, [(partition, records)])]``; records are bytes-like and not copied.
        topic_ids: ids by topic name; version 13 is picked only if every topic has one.
        max_version: never pick a newer version. Requests with a transactional id go no further
            than version 11 unless this says so, see KIP-890.
    """

    API_KEY = 0

    def __init__(
        self,
        transactional_id: str | None,
        required_acks: int,
        timeout: int,
        topics: Topics,
        *,
        topic_ids: Mapping[str, UUID] | None = None,
        max_version: int | None = None,
    ) -> None:
        self._transactional_id = transactional_id
        self._required_acks = required_acks
        self._timeout = timeout
        self._topics = topics
        self._topic_ids = topic_ids
        self._max_version = max_version

    @property
    def required_acks(self) -> int:
        """The acknowledgements asked for: with 0 the broker sends no response."""
        return self._required_acks

    def _highest_version(self) -> int:
        limit = self._max_version
        if limit is None:
            limit = _FIRST_WITH_TOPIC_IDS
            if self._transactional_id is not None:
                limit = _NEWEST_IN_TRANSACTION_V1
        if limit >= _FIRST_WITH_TOPIC_IDS and not all_have_ids(self._topics, self._topic_ids):
            return _FIRST_WITH_TOPIC_IDS - 1
        return limit

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        version = request_struct_class.API_VERSION
        topics: Any = self._topics
        if version >= _FIRST_WITH_TOPIC_IDS:
            topics = with_topic_ids(topics, self._topic_ids)
        if version >= 3:
            return request_struct_class(
                self._transactional_id, self._required_acks, self._timeout, topics
            )
        if self._transactional_id is not None:
            raise self._not_expressible(request_struct_class, "a transactional id")
        return request_struct_class(self._required_acks, self._timeout, topics)

    def for_wire(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """What a connection sends; laid out at once where the compiled code can do that."""
        struct_class = self._struct_class(versions)
        if encode is not None:
            version = struct_class.API_VERSION
            parts = encode(
                version,
                self._transactional_id,
                self._required_acks,
                self._timeout,
                self._topics,
                self._topic_ids,
            )
            if parts is not None:
                return _ordinary(version)(parts, self._topic_ids)
        return self.build(struct_class)


class ProducePartitionResult(NamedTuple):
    """What became of one partition's batch; the same for all versions.

    .. versionadded:: 0.14.1
    """

    topic: str
    partition: int
    error_code: int
    base_offset: int
    #: Log-append time in milliseconds, -1 when the topic keeps create times.
    timestamp: int = -1
    #: None where the version does not say.
    log_start_offset: int | None = None
    error_message: str | None = None
    #: ``(batch_index, message)`` of the records that caused the rejection (KIP-467).
    record_errors: Sequence[tuple[int, str | None]] = ()
    #: The new leader, -1 when the broker does not say (KIP-951).
    leader_id: int = -1
    leader_epoch: int = -1


_RESULT_FIELDS: dict[str, tuple[Any, ...]] = {
    "partition": ("partition", -1),
    "error_code": ("error_code", 0),
    "base_offset": ("offset", -1),
    "timestamp": ("timestamp", -1),
    "log_start_offset": ("log_start_offset", None),
    "error_message": ("error_message", None),
    "record_errors": ("record_errors", ()),
    "leader_id": ("current_leader", -1, 0),
    "leader_epoch": ("current_leader", -1, 1),
}
_results = ResultsReader(ProducePartitionResult, _RESULT_FIELDS)


class OrdinaryResponse:
    """An answer that is read already: of nothing but results.

    .. versionadded:: 0.14.1
    """

    __slots__ = ("results", "throttle_time_ms")

    def __init__(self, results: list[ProducePartitionResult], throttle_time_ms: int) -> None:
        self.results = results
        self.throttle_time_ms = throttle_time_ms


class _OrdinaryRequest:
    """A request that is laid out already, with what a connection needs to know of it.

    It reads its answer, too, or leaves that to the schema.
    """

    __slots__ = ("_names", "_parts")

    API_KEY = 0
    API_VERSION: ClassVar[int]
    FLEXIBLE_VERSION: ClassVar[bool]
    STRUCT: ClassVar[type[RequestStruct]]

    def __init__(self, parts: Sequence[bytes | bytearray | memoryview], topic_ids: Any) -> None:
        self._parts = parts
        self._names: dict[bytes, str] | None = None
        if self.API_VERSION >= _FIRST_WITH_TOPIC_IDS:
            self._names = {topic_id.bytes: name for name, topic_id in topic_ids.items()}

    def encode_parts(self) -> Sequence[bytes | bytearray | memoryview]:
        return self._parts

    @property
    def RESPONSE_TYPE(self) -> _OrdinaryRequest:
        return self

    def decode_from(self, frame: Any, start: int) -> tuple[Any, int]:
        """The response and the position behind it."""
        found = decode(self.API_VERSION, frame, start, self._names, ProducePartitionResult)
        if found is None:
            return self.STRUCT.RESPONSE_TYPE.decode_from(frame, start)
        return OrdinaryResponse(*found), len(frame)


@functools.cache
def _ordinary(version: int) -> type[_OrdinaryRequest]:
    """The class for one version; errors name it like the struct."""
    struct_class = _API.requests[version]
    namespace = {
        "__slots__": (),
        "API_VERSION": version,
        "FLEXIBLE_VERSION": struct_class.FLEXIBLE_VERSION,
        "STRUCT": struct_class,
    }
    return type(struct_class.__name__, (_OrdinaryRequest,), namespace)


def partition_results(
    response: Response | OrdinaryResponse, topic_names: Mapping[UUID, str] | None = None
) -> list[ProducePartitionResult]:
    """The results of a produce response, one for each partition.

    Parameters:
        response: a ProduceResponse of any version, or what stands for it.
        topic_names: names by id, for version 13; a topic it lacks is named by its id.

    .. versionadded:: 0.14.1
    """
    if isinstance(response, OrdinaryResponse):
        return response.results
    return _results.read(response, topic_names)


if not TYPE_CHECKING:
    __getattr__ = version_classes(__name__, _API)
