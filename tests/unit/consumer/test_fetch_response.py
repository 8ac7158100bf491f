"""What Fetch answers of all versions, and of none, mean."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from aiokafka import errors as Errors
from aiokafka.consumer._fetch_response import Verdict, as_error, judge, read
from aiokafka.protocol.fetch import (
    FetchResponse_v0,
    FetchResponse_v4,
    FetchResponse_v11,
    FetchResponse_v13,
)


def test_versions():
    answer = read(FetchResponse_v0([("t", [(3, 6, 9, b"abc")])]))
    assert (answer.version, answer.error, answer.session_id) == (0, Errors.NoError, 0)
    [result] = answer.results
    assert result[:4] == ("t", 3, 6, 9)
    assert result.records == b"abc"
    assert result.preferred_read_replica == -1

    answer = read(FetchResponse_v11(0, 70, 5, [("t", [(3, 0, 9, 8, 1, [(7, 2)], 4, b"")])]))
    assert (answer.error, answer.session_id) == (Errors.FetchSessionIdNotFound, 5)
    [result] = answer.results
    assert (result.last_stable_offset, result.log_start_offset) == (8, 1)
    assert (list(result.aborted_transactions), result.preferred_read_replica) == ([(7, 2)], 4)


def test_topic_ids():
    topic_id = uuid.UUID(int=5)
    row = (3, 0, 9, 8, 1, None, -1, b"", (-1, -1), (-1, -1), (-1, -1))
    response = FetchResponse_v13(0, 0, 5, [(topic_id, [row])])
    assert read(response, {"t": topic_id}).results[0].topic == "t"
    assert read(response).results[0].topic == str(topic_id)


def test_what_looks_like_a_response():
    mock = SimpleNamespace(API_VERSION=4, topics=[("t", [(0, 0, 9, 9, [], b"x")])])
    real = FetchResponse_v4(0, mock.topics)
    assert read(mock).results == read(real).results


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Errors.NoError, Verdict.DATA),
        (Errors.OffsetOutOfRangeError, Verdict.OUT_OF_RANGE),
        (Errors.OffsetMovedToTieredStorageError, Verdict.OUT_OF_RANGE),
        (Errors.NotLeaderForPartitionError, Verdict.LEADER),
        (Errors.ReplicaNotAvailableError, Verdict.LEADER),
        (Errors.FencedLeaderEpochError, Verdict.LEADER),
        (Errors.UnknownTopicOrPartitionError, Verdict.LEADER),
        (Errors.KafkaStorageError, Verdict.LEADER),
        (Errors.UnknownLeaderEpochError, Verdict.AGAIN),
        (Errors.OffsetNotAvailableError, Verdict.AGAIN),
        (Errors.RequestTimedOutError, Verdict.AGAIN),
        (Errors.TopicAuthorizationFailedError, Verdict.RAISE),
        (Errors.CorruptRecordException, Verdict.RAISE),
        (Errors.UnknownError, Verdict.RAISE),
        (Errors.UnsupportedCompressionTypeError, Verdict.RAISE),
    ],
)
def test_verdicts(error, verdict):
    assert judge(error) is verdict


def test_errors_for_the_application():
    refused = as_error(Errors.TopicAuthorizationFailedError, "t", 3)
    assert refused.args == ("t",)
    error: Any = as_error(Errors.UnknownError, "t", 3)
    assert "t-3" in str(error)
    assert (error.topic, error.partition) == ("t", 3)
