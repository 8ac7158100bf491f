"""Structs, headers, and what makes a class a request."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest

from aiokafka.protocol import api, coordination, group, metadata, produce
from aiokafka.protocol.admin import (
    ApiVersionRequest_v3,
    ApiVersionResponse_v3,
    SaslAuthenticateRequest_v1,
)
from aiokafka.protocol.api import (
    RequestHeader_v1,
    RequestHeader_v2,
    RequestStruct,
    Response,
    ResponseHeader_v0,
    ResponseHeader_v1,
    throttle_time_ms,
)
from aiokafka.protocol.fetch import FetchRequest_v0
from aiokafka.protocol.struct import Struct
from aiokafka.protocol.types import Array, Int8, Int32, Schema, String

from .apis import APIS, MODULES, STRUCTS


class Point(Struct):
    SCHEMA = Schema(("x", Int32), ("y", Int32))


class Named(Struct):
    SCHEMA = Schema(
        ("name", String()),
        ("rows", Array(("id", Int8), ("points", Array(("x", Int8), ("y", Int8))))),
        ("place", Schema(("x", Int8))),
    )


class TestConstruction:
    def test_positions_or_keywords(self) -> None:
        assert Point(1, 2) == Point(x=1, y=2)
        assert (Point(1, 2).x, Point(1, 2).y) == (1, 2)

    def test_missing_keywords_are_none(self) -> None:
        request = FetchRequest_v0(max_wait_time=100)
        assert request.max_wait_time == 100
        assert request.min_bytes is None
        assert Point().x is None

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [((1,), {}), ((1, 2, 3), {}), ((), {"z": 1}), ((1, 2), {"x": 1})],
    )
    def test_everything_else_is_a_value_error(self, args: Any, kwargs: Any) -> None:
        with pytest.raises(ValueError, match="Point"):
            Point(*args, **kwargs)

    def test_tagged_fields_may_be_left_out(self) -> None:
        response = produce.ProduceResponse_v10([], 5)
        assert response.node_endpoints == []
        assert produce.ProduceResponse_v10(topics=[]).node_endpoints == []
        assert response == produce.ProduceResponse_v10([], 5, [])
        response.node_endpoints.append((1, "h", 2, None))
        assert produce.ProduceResponse_v10([], 5).node_endpoints == []

    def test_attributes_can_be_set(self) -> None:
        point = Point(1, 2)
        point.x = 3
        point.note = "free"
        assert Point.decode(point.encode()).x == 3


class TestIdentity:
    def test_equal_by_schema_and_values(self) -> None:
        class Other(Struct):
            SCHEMA = Schema(("x", Int32), ("y", Int32))

        assert Point(1, 2) == Point(1, 2)
        assert Point(1, 2) != Point(1, 3)
        assert Point(1, 2) != Other(1, 2)
        assert Point(1, 2) != (1, 2)
        assert len({Point(1, 2), Point(1, 2)}) == 2

    def test_versions_with_equal_layouts_share_their_schema(self) -> None:
        assert produce.ProduceRequest_v0.SCHEMA is produce.ProduceRequest_v2.SCHEMA
        assert produce.ProduceRequest_v2.SCHEMA is not produce.ProduceRequest_v3.SCHEMA
        assert produce.ProduceRequest_v2(1, 2, []) == produce.ProduceRequest_v0(1, 2, [])
        # Equal bytes of different APIs stay different things.
        assert group.HeartbeatResponse_v0.SCHEMA is not group.LeaveGroupResponse_v0.SCHEMA

    def test_repr(self) -> None:
        assert repr(Point(1, None)) == "Point(x=1, y=None)"
        named = Named("n", [(1, [(2, 3)])], (4,))
        assert repr(named) == "Named(name='n', rows=[(id=1, points=[(x=2, y=3)])], place=(x=4))"

    def test_repr_never_shows_a_credential(self) -> None:
        assert "hunter2" not in repr(SaslAuthenticateRequest_v1(b"\0me\0hunter2"))


def test_get_item() -> None:
    assert Point(1, 2).get_item("x") == 1
    with pytest.raises(KeyError):
        Point(1, 2).get_item("encode")


def test_to_object() -> None:
    named = Named("n", [[1, [[2, 3], (4, 5)]]], (6,))
    assert named.to_object() == {
        "name": "n",
        "rows": [{"id": 1, "points": [{"x": 2, "y": 3}, {"x": 4, "y": 5}]}],
        "place": {"x": 6},
    }
    assert Named("n", None, (6,)).to_object()["rows"] is None
    response = metadata.MetadataResponse_v5(
        0, [], "c", 1, [[0, "t", False, [[0, 1, 2, [3], [], []]]]]
    )
    assert response.to_object()["topics"][0]["partitions"][0]["replicas"] == [3]


def test_to_object_of_a_nullable_structure() -> None:
    from aiokafka.protocol.consumer_group import ConsumerGroupHeartbeatResponse_v0 as Answer

    some_id = UUID(int=5)
    answer = Answer(0, 0, None, "m", 1, 2, ([(some_id, [0])],))
    assert Answer.decode(answer.encode()) == answer
    rows = [{"topic_id": some_id, "partitions": [0]}]
    assert answer.to_object()["assignment"] == {"topic_partitions": rows}
    assert Answer(0, 0, None, "m", 1, 2, None).to_object()["assignment"] is None


class TestRequestStruct:
    class Answer(Response):
        API_KEY = 5
        API_VERSION = 0
        SCHEMA = Schema(("a", Int8))

    complete = {
        "API_KEY": 5,
        "API_VERSION": 0,
        "RESPONSE_TYPE": Answer,
        "SCHEMA": Schema(("a", Int8)),
    }

    def test_complete(self) -> None:
        made = type("Made", (RequestStruct,), dict(self.complete))
        assert made(1).encode() == b"\x01"
        assert made in RequestStruct.__subclasses__()
        assert type("Child", (made,), {})(1).encode() == b"\x01"

    @pytest.mark.parametrize("name", sorted(complete))
    def test_incomplete_classes_cannot_be_made(self, name: str) -> None:
        namespace = {key: value for key, value in self.complete.items() if key != name}
        with pytest.raises(TypeError, match=name):
            type("Incomplete", (RequestStruct,), namespace)

    def test_responses_without_a_key_cannot_be_made(self) -> None:
        class Keyless(Response):
            SCHEMA = Schema(("a", Int8))

        with pytest.raises(TypeError):
            Keyless(1)  # type: ignore[abstract]


class TestHeaders:
    def test_version_1(self) -> None:
        header = metadata.MetadataRequest_v1(None).build_request_header(7, "me")
        assert type(header) is RequestHeader_v1
        assert header.encode() == b"\0\x03\0\x01\0\0\0\x07\0\x02me"

    def test_version_2(self) -> None:
        header = metadata.MetadataRequest_v9(None, True, False, False).build_request_header(
            7, "me"
        )
        assert type(header) is RequestHeader_v2
        assert header.encode() == b"\0\x03\0\x09\0\0\0\x07\0\x02me\0"

    @pytest.mark.parametrize("struct_class", [api.requests[-1] for api in APIS])
    def test_made_at_once(self, struct_class: type[RequestStruct]) -> None:
        request = struct_class()
        for client_id in ("", "me", None):
            expected = request.build_request_header(-9, client_id).encode()  # type: ignore[arg-type]
            assert request.encode_header(-9, client_id) == expected

    def test_defaults(self) -> None:
        request = metadata.MetadataRequest_v0([])
        assert RequestHeader_v1(request) == RequestHeader_v1(request, 0, "aiokafka")
        assert RequestHeader_v2(request).tags == {}

    def test_responses(self) -> None:
        stream = BytesIO(b"\0\0\0\x07rest")
        header = metadata.MetadataRequest_v8().parse_response_header(stream)
        assert (type(header), header.correlation_id) == (ResponseHeader_v0, 7)
        assert stream.read() == b"rest"
        stream = BytesIO(b"\0\0\0\x07\x01\x05\x02abrest")
        header = metadata.MetadataRequest_v9().parse_response_header(stream)
        assert (type(header), header.tags) == (ResponseHeader_v1, {5: b"ab"})
        assert stream.read() == b"rest"

    def test_api_versions_answers_with_the_old_header(self) -> None:
        request = ApiVersionRequest_v3("a", "1")
        assert type(request.build_request_header(1, "c")) is RequestHeader_v2
        assert request.response_header_type() is ResponseHeader_v0

    def test_whole_responses(self) -> None:
        response = coordination.FindCoordinatorResponse_v4(0, [("g", 1, "h", 2, 0, None)])
        request = coordination.FindCoordinatorRequest_v4(0, ["g"])
        for head in (b"\0\0\0\x07\0", b"\0\0\0\x07\x01\x05\x02ab"):
            frame = head + response.encode()
            assert request.decode_response(frame) == (7, response)
            assert request.decode_response(memoryview(frame)) == (7, response)
        answer = ApiVersionResponse_v3(0, [], 0)
        assert ApiVersionRequest_v3("a", "1").decode_response(b"\0\0\0\x08" + answer.encode()) == (
            8,
            answer,
        )
        for size in range(len(frame)):
            with pytest.raises(ValueError):
                request.decode_response(frame[:size])


def test_throttle_time() -> None:
    assert throttle_time_ms(produce.ProduceResponse_v1([], 25)) == 25
    assert throttle_time_ms(produce.ProduceResponse_v0([])) == 0
    assert throttle_time_ms(produce.ProduceResponse_v1(topics=[])) == 0
    assert throttle_time_ms(None) == 0


def test_every_class_can_be_found_by_its_name() -> None:
    for struct_class in STRUCTS:
        assert any(
            getattr(module, struct_class.__name__, None) is struct_class for module in MODULES
        )


def test_encode_parts_does_not_copy_records() -> None:
    records = bytearray(5000)
    small = b"small"
    request = produce.ProduceRequest_v9(
        "t", -1, 1, [("a", [(0, records), (1, small), (2, records)])]
    )
    parts = request.encode_parts()
    assert [type(part) for part in parts] == [bytes, bytearray, bytes, bytearray, bytes]
    assert parts[1] is records
    assert parts[3] is records
    assert b"".join(parts) == request.encode()
    view = memoryview(records)
    assert api.RequestStruct.encode_parts(
        produce.ProduceRequest_v9("t", -1, 1, [("a", [(0, view)])])
    )[1] is view  # fmt: skip


def test_every_version_that_type_checkers_see_is_there() -> None:
    seen = 0
    parts = [sys.modules[name] for name in sys.modules if "protocol._admin_" in name]
    for module in (*MODULES, *parts):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Name) and re.search(r"(Request|Response)_v\d+$", node.id):
                assert getattr(module, node.id).__name__ == node.id
                seen += 1
    assert seen == len(STRUCTS)
