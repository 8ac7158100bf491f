"""What an answer to a Fetch request means.

:func:`read` turns a response of any version into :class:`FetchAnswer`; :func:`judge` says what is
to be done about one partition of it.  Pure: no I/O, no state.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka._values import Value
from aiokafka.protocol import fetch as protocol
from aiokafka.protocol.api import Response
from aiokafka.protocol.fetch import FetchPartitionResult

if TYPE_CHECKING:
    from uuid import UUID


# Before this version the broker was not told the consumer's rack.
FIRST_WITH_RACK = 11


class Verdict(enum.Enum):
    """What to do about a partition's part of an answer."""

    DATA = "take the data"
    AGAIN = "ask again later"
    LEADER = "ask again where the leader is now"
    OUT_OF_RANGE = "the log does not have the offset"
    RAISE = "tell the application"


class FetchAnswer(Value):
    """A response, the same for all versions."""

    version: int
    error: type[Errors.KafkaError]
    session_id: int
    results: list[FetchPartitionResult]
    #: ``(node_id, host, port, rack)`` by node id (KIP-951).
    endpoints: dict[int, tuple[int, str, int, str | None]]


def read(response: Any, topic_ids: Mapping[str, UUID] | None = None) -> FetchAnswer:
    """Read a response.

    Parameters:
        response: a FetchResponse of any version, or what looks like one.
        topic_ids: the ids of the topics that were asked for.
    """
    version: int = response.API_VERSION
    if not isinstance(response, Response):
        struct = getattr(protocol, f"FetchResponse_v{version}")
        response = SimpleNamespace(SCHEMA=struct.SCHEMA, topics=response.topics)
    names = {topic_id: name for name, topic_id in (topic_ids or {}).items()}
    return FetchAnswer(
        version,
        Errors.for_code(getattr(response, "error_code", 0)),
        getattr(response, "session_id", 0),
        protocol.partition_results(response, names),
        {row[0]: row for row in protocol.node_endpoints(response)},
    )


# Errors whose classes do not say that they pass, or that leaders have moved.
_PASSING = (
    Errors.ReplicaNotAvailableError,
    Errors.UnknownTopicOrPartitionError,
    Errors.UnknownTopicIdError,
    Errors.InconsistentTopicIdError,
    Errors.FencedLeaderEpochError,
    Errors.NotLeaderForPartitionError,
    Errors.LeaderNotAvailableError,
    Errors.KafkaStorageError,
)


def judge(error: type[Errors.KafkaError]) -> Verdict:
    """What the error of a partition asks for."""
    if error is Errors.NoError:
        return Verdict.DATA
    if issubclass(error, (Errors.OffsetOutOfRangeError, Errors.OffsetMovedToTieredStorageError)):
        return Verdict.OUT_OF_RANGE
    if error.invalid_metadata or issubclass(error, _PASSING):
        return Verdict.LEADER
    return Verdict.AGAIN if error.retriable else Verdict.RAISE


def as_error(error: type[Errors.KafkaError], topic: str, partition: int) -> Errors.KafkaError:
    """The error to raise to the application about a partition."""
    if issubclass(error, Errors.TopicAuthorizationFailedError):
        raised: Errors.KafkaError = error(topic)
    else:
        raised = error(f"fetching {topic}-{partition}")
    raised.topic, raised.partition = topic, partition  # type: ignore[attr-defined]
    return raised
