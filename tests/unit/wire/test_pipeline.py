"""Numbering, framing, matching and expiry of requests, without a socket."""

from __future__ import annotations

import struct
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiokafka._wire.pipeline import Pipeline, frame_raw
from aiokafka._wire.throttling import client_waits
from aiokafka._wire.versions import retry_version, usable_versions
from aiokafka.errors import CorrelationIdError, KafkaProtocolError


class Answer:
    def __init__(self, body: bytes) -> None:
        self.body = body

    @classmethod
    def decode_from(cls, frame: Any, start: int) -> tuple[Answer, int]:
        if bytes(frame[start:]) == b"bad":
            raise ValueError("cannot")
        return cls(bytes(frame[start:])), len(frame)


class Question:
    API_KEY: ClassVar[int] = 3
    API_VERSION: ClassVar[int] = 1
    FLEXIBLE_VERSION: ClassVar[bool] = False
    RESPONSE_TYPE = Answer

    def encode_parts(self) -> list[bytes | bytearray | memoryview]:
        return [b"bo", memoryview(b"dy")]


class FlexibleQuestion(Question):
    API_VERSION = 9
    FLEXIBLE_VERSION = True


class ApiVersions(FlexibleQuestion):
    API_KEY = 18


class OldFindCoordinator(Question):
    API_KEY = 10
    API_VERSION = 0


class Unencodable(Question):
    def encode_parts(self) -> list[bytes | bytearray | memoryview]:
        raise ValueError("does not fit")


def ask(
    pipeline: Pipeline[str], request: Question, token: str, *, at: float = 0.0, until: float = 1.0
) -> int:
    number, _ = pipeline.frame(request)
    pipeline.expect(number, request, token, at, until)
    return number


def answer(number: int, body: bytes = b"") -> bytes:
    return struct.pack(">i", number) + body


def complete(pipeline: Pipeline[str], frame: bytes) -> tuple[str, Any]:
    entry, start = pipeline.match(frame)
    return entry.token, pipeline.decode(entry, frame, start)


def test_header_v1():
    number, parts = Pipeline[str]("me").frame(Question())
    body = struct.pack(">hhih2s", 3, 1, number, 2, b"me") + b"body"
    assert b"".join(parts) == struct.pack(">i", len(body)) + body


def test_header_v2_has_empty_tags():
    number, parts = Pipeline[str]("me").frame(FlexibleQuestion())
    body = struct.pack(">hhih2sb", 3, 9, number, 2, b"me", 0) + b"body"
    assert b"".join(parts) == struct.pack(">i", len(body)) + body


def test_null_client_id():
    _, parts = Pipeline[str](None).frame(Question())
    assert b"".join(parts)[12:14] == b"\xff\xff"


def test_bodies_are_passed_through():
    part = Question().encode_parts()[1]
    _, parts = Pipeline[str]("me").frame(Question())
    assert parts[2] == part


def test_numbers_wrap_after_31_bits():
    pipeline = Pipeline[str]("me")
    assert pipeline.next_correlation_id() == 1
    pipeline._correlation_id = 2**31 - 2
    assert [pipeline.next_correlation_id() for _ in range(3)] == [2**31 - 1, 0, 1]


def test_an_unencodable_request_changes_nothing():
    pipeline = Pipeline[str]("me")
    with pytest.raises(ValueError, match="does not fit"):
        pipeline.frame(Unencodable())
    assert pipeline.next_correlation_id() == 1
    assert not pipeline.entries


@given(st.lists(st.binary(max_size=5).filter(lambda body: body != b"bad"), max_size=10))
def test_answers_come_in_order(bodies):
    pipeline = Pipeline[str]("me")
    numbers = [ask(pipeline, Question(), str(i)) for i in range(len(bodies))]
    for i, (number, body) in enumerate(zip(numbers, bodies, strict=True)):
        token, response = complete(pipeline, answer(number, body))
        assert (token, response.body) == (str(i), body)
    assert not pipeline.entries


def test_an_answer_out_of_order():
    pipeline = Pipeline[str]("me")
    first, second = (ask(pipeline, Question(), name) for name in "ab")
    with pytest.raises(CorrelationIdError, match=f"number {first} to Question.* {second} came"):
        pipeline.match(answer(second))
    assert [entry.token for entry in pipeline.entries] == ["a", "b"]


def test_an_answer_nobody_asked_for():
    with pytest.raises(CorrelationIdError, match="no request waits"):
        Pipeline[str]("me").match(answer(1))


def test_old_brokers_answer_find_coordinator_with_number_zero():
    pipeline = Pipeline[str]("me")
    ask(pipeline, OldFindCoordinator(), "a")
    assert complete(pipeline, answer(0, b"x"))[1].body == b"x"
    ask(pipeline, Question(), "b")
    with pytest.raises(CorrelationIdError):
        pipeline.match(answer(0))


@pytest.mark.parametrize("frame", [b"", b"\0\0\0"])
def test_an_answer_without_header(frame):
    pipeline = Pipeline[str]("me")
    ask(pipeline, Question(), "a")
    with pytest.raises(KafkaProtocolError, match="no header"):
        pipeline.match(frame)


@pytest.mark.parametrize(
    "tags",
    [b"\x00", b"\x01\x05\x03abc", b"\x02\x05\x00\x80\x01\x02xy", b"\x80\x00"],
)
def test_tags_of_the_response_header_are_skipped(tags):
    pipeline = Pipeline[str]("me")
    number = ask(pipeline, FlexibleQuestion(), "a")
    assert complete(pipeline, answer(number, tags + b"rest"))[1].body == b"rest"


@pytest.mark.parametrize(
    "tags", [b"", b"\x01", b"\x01\x05", b"\x01\x05\x09abc", b"\xff\xff\xff\xff\xff\xff", b"\x7f"]
)
def test_a_response_header_cut_short(tags):
    pipeline = Pipeline[str]("me")
    number = ask(pipeline, FlexibleQuestion(), "a")
    with pytest.raises(KafkaProtocolError, match="cut short"):
        pipeline.match(answer(number, tags))


def test_api_versions_has_no_tags_in_its_response_header():
    pipeline = Pipeline[str]("me")
    number = ask(pipeline, ApiVersions(), "a")
    assert complete(pipeline, answer(number, b"\0\0x"))[1].body == b"\0\0x"


def test_an_undecodable_answer_names_the_request():
    pipeline = Pipeline[str]("me")
    number = ask(pipeline, Question(), "a")
    with pytest.raises(KafkaProtocolError, match="answer to Question") as caught:
        complete(pipeline, answer(number, b"bad"))
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_decoder_of_the_callers_own():
    pipeline = Pipeline[str]("me")
    number, _ = pipeline.frame(Question())
    pipeline.expect(
        number, Question(), "a", 0.0, 1.0, lambda frame, start: (frame[start:][::-1], 0)
    )
    assert complete(pipeline, answer(number, b"abc"))[1] == b"cba"


def test_bare_tokens_have_no_header():
    pipeline = Pipeline[str]("me")
    pipeline.expect_raw("a", 0.0, 1.0)
    assert pipeline.entries[0].name == "SASL token"
    assert complete(pipeline, b"")[1] == b""
    assert frame_raw(b"abc") == b"\0\0\0\x03abc"


def test_deadlines():
    pipeline = Pipeline[str]("me")
    assert pipeline.next_deadline() is None
    ask(pipeline, Question(), "slow", until=30.0)
    ask(pipeline, Question(), "fast", until=10.0)
    assert pipeline.next_deadline() == 10.0
    assert pipeline.expired(9.9) == []
    assert [entry.token for entry in pipeline.expired(10.0)] == ["fast"]
    assert [entry.token for entry in pipeline.expired(30.0)] == ["slow", "fast"]


def test_drain_hands_every_waiter_back_once():
    pipeline = Pipeline[str]("me")
    for name in "abc":
        ask(pipeline, Question(), name)
    assert [entry.token for entry in pipeline.drain()] == ["a", "b", "c"]
    assert list(pipeline.drain()) == []


def test_versions_both_sides_can_use():
    versions = usable_versions({0: (0, 99), 3: (4, 5), 1: (90, 99), 999: (1, 2)})
    assert versions == {0: (3, 13), 3: (4, 5), 999: (1, 2)}


def test_a_broker_that_only_speaks_old_produce_keeps_it():
    assert usable_versions({0: (0, 2)}) == {0: (0, 2)}


@pytest.mark.parametrize(
    ("advertised", "sent", "expected"),
    [({}, 4, 0), ({18: (0, 3)}, 4, 3), ({18: (0, 2)}, 4, 2), ({18: (0, 9)}, 4, 3), ({}, 1, 0)],
)
def test_the_next_version_of_api_versions_is_always_lower(advertised, sent, expected):
    assert retry_version(advertised, sent) == expected < sent


@pytest.mark.parametrize(
    ("key", "version", "expected"),
    [(0, 5, False), (0, 6, True), (1, 7, False), (1, 8, True), (22, 0, False), (22, 1, True),
     (32, 1, False), (68, 0, True)],
)  # fmt: skip
def test_who_waits_out_a_throttle_time(key, version, expected):
    assert client_waits(key, version) is expected
