"""The compiled way of an ordinary Produce request and answer, against the schema's."""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiokafka.protocol import produce
from aiokafka.protocol.produce import OrdinaryResponse, ProduceRequest, partition_results

VERSIONS = range(14)
IDS = {
    name: UUID(int=number + 1)
    for number, name in enumerate(("a", "topic", "\u00fcber", "x" * 249))
}
NAMES = {topic_id: name for name, topic_id in IDS.items()}

compiled = pytest.mark.skipif(produce.encode is None, reason="not compiled")

records = st.one_of(
    st.binary(max_size=30).map(bytearray),
    st.binary(max_size=3),
    st.integers(0, 5000).map(bytearray),
)
rows = st.lists(st.tuples(st.integers(0, 2**31 - 1), records), max_size=4)
topics_of = st.lists(st.tuples(st.sampled_from(sorted(IDS)), rows), max_size=4)


def ways(version: int, *args: Any) -> tuple[Any, Any]:
    """The request as it is sent, and as the schema lays it out."""
    transactional_id, acks, timeout, topics = args
    request = ProduceRequest(
        transactional_id, acks, timeout, topics, topic_ids=IDS, max_version=version
    )
    versions = {0: (version, version)}
    return request.for_wire(versions), request.prepare(versions)


@compiled
@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=60)
@given(
    topics=topics_of,
    transactional_id=st.one_of(st.none(), st.text(max_size=200)),
    acks=st.integers(-1, 1),
    timeout=st.integers(0, 2**31 - 1),
)
def test_requests_are_equal(
    version: int, topics: Any, transactional_id: str | None, acks: int, timeout: int
) -> None:
    if version < 3:
        transactional_id = None
    ours, declared = ways(version, transactional_id, acks, timeout, topics)
    assert type(ours).__name__ == type(declared).__name__
    assert type(ours) is not type(declared)
    assert (ours.API_KEY, ours.API_VERSION) == (declared.API_KEY, declared.API_VERSION)
    assert ours.FLEXIBLE_VERSION == declared.FLEXIBLE_VERSION
    assert b"".join(ours.encode_parts()) == b"".join(declared.encode_parts()) == declared.encode()
    # Large record sets are not copied.
    large = [data for _, rows in topics for _, data in rows if len(data) >= 2048]
    parts = ours.encode_parts()
    assert all(any(part is data for part in parts) for data in large)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "topics",
    [
        [("a", [(0, None)])],
        [("a", [(0, memoryview(b"view"))])],
        [("a", ((1, bytearray(b"x")),))],
        (("a", [(0, bytearray(b"x"))]),),
        [("\ud800", [(0, bytearray(b"x"))])],
        [("a", [(2**31, bytearray(b"x"))])],
        [("a", [("0", bytearray(b"x"))])],
        [("a", [(0, bytearray(b"x"), 1)])],
        [("y" * 40000, [(0, bytearray(b"x"))])],
        [(5, [(0, bytearray(b"x"))])],
        [("unknown", [(0, bytearray(b"x"))])],
    ],
)
def test_what_is_not_ordinary_takes_the_declared_way(version: int, topics: Any) -> None:
    request = ProduceRequest(None, 1, 5, topics, topic_ids=IDS)
    outcomes = []
    for make in (request.for_wire, request.prepare):
        try:
            outcomes.append(b"".join(make({0: (version, version)}).encode_parts()))
        except Exception as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]


def answer(version: int, draw: random.Random, *, ordinary: bool) -> bytes:
    """The bytes of an answer."""
    cls = produce._API.responses[version]
    schema = cls.SCHEMA
    topics_schema: Any = schema.fields[schema.names.index("topics")]
    rows_schema = topics_schema.array_of.fields[1].array_of

    def row(number: int) -> tuple[Any, ...]:
        values: dict[str, Any] = {
            "partition": number,
            "error_code": draw.choice((0, 0, 6, 87)),
            "offset": draw.randrange(-1, 2**63),
            "timestamp": draw.choice((-1, 1700000000000)),
            "log_start_offset": draw.randrange(-1, 2**40),
            "record_errors": [],
            "error_message": None,
            "current_leader": (-1, -1),
        }
        if not ordinary:
            values["record_errors"] = draw.choice(([], [(1, None), (2, "bad")]))
            values["error_message"] = draw.choice((None, "", "no"))
            values["current_leader"] = draw.choice(((-1, -1), (3, 9)))
        return tuple(values[name] for name in rows_schema.names)

    names = draw.sample(sorted(IDS), draw.randrange(len(IDS)))
    topics = [
        (IDS[name] if version >= 13 else name, [row(n) for n in range(draw.randrange(4))])
        for name in names
    ]
    values: dict[str, Any] = {"topics": topics, "throttle_time_ms": draw.randrange(3) * 100}
    if not ordinary and draw.random() < 0.5:
        values["node_endpoints"] = [(3, "host", 9092, None)]
    return cls(**{name: values[name] for name in schema.names if name in values}).encode()


def read(reader: Any, data: bytes) -> Any:
    """What a reader makes of an answer: results and throttle time, or the kind of error."""
    try:
        response, _ = reader(b"head" + data, 4)
    except ValueError as error:
        return type(error)
    return partition_results(response, NAMES), getattr(response, "throttle_time_ms", 0)


@compiled
@pytest.mark.parametrize("version", VERSIONS)
def test_answers_are_equal(version: int) -> None:
    draw = random.Random(version)
    ours, declared = ways(version, None, 1, 5, [])
    for ordinary in (True, False) * 60:
        data = answer(version, draw, ordinary=ordinary)
        if ordinary:
            response, end = ours.decode_from(data, 0)
            assert type(response) is OrdinaryResponse
            assert end == len(data)
        wanted = read(declared.RESPONSE_TYPE.decode_from, data)
        assert read(ours.RESPONSE_TYPE.decode_from, data) == wanted
        assert all(type(result) is produce.ProducePartitionResult for result in wanted[0])
        # Whatever happens to it on its way.
        for _ in range(40):
            damaged = bytearray(data[: draw.randrange(len(data) + 1)])
            for _ in range(draw.randrange(3)):
                if damaged:
                    damaged[draw.randrange(len(damaged))] = draw.choice((0, 1, 2, 127, 128, 255))
            wanted = read(declared.RESPONSE_TYPE.decode_from, bytes(damaged))
            assert read(ours.decode_from, bytes(damaged)) == wanted


@compiled
def test_names_by_id_are_those_of_the_request() -> None:
    data = answer(13, random.Random(5), ordinary=True)
    ours = ProduceRequest(None, 1, 5, [], topic_ids={"other": UUID(int=99)})
    response, _ = ours.for_wire({0: (0, 12)}).decode_from(data[:0] + b"\x01\0\0\0\0\0", 0)
    assert type(response) is OrdinaryResponse
    request = ProduceRequest(None, 1, 5, [("other", [])], topic_ids={"other": UUID(int=99)})
    response, _ = request.for_wire({0: (0, 13)}).decode_from(data, 0)
    assert type(response).__name__ == "ProduceResponse_v13"
