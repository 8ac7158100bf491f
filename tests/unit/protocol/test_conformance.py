"""Every declared class against Kafka's own message definitions.

The definitions are the JSON files inside the ``kafka-clients`` jar.  Types, order, nullability,
version ranges, tags, defaults of tagged fields, header versions and names are compared for every
version that is declared here.
"""

from __future__ import annotations

import json
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from aiokafka.protocol import API_KEYS, _shape
from aiokafka.protocol._declare import Api, covers
from aiokafka.protocol._shape import Shape
from aiokafka.protocol._versions import CEILINGS
from aiokafka.protocol.api import (
    RequestHeader_v1,
    RequestHeader_v2,
    ResponseHeader_v0,
    ResponseHeader_v1,
)
from aiokafka.protocol.types import Schema, shape_of

from .apis import APIS
from .renamed_fields import RENAMED

# Names of APIs that aiokafka spells in its own way.
API_NAMES = {
    "ApiVersion": "ApiVersions",
    "Offset": "ListOffsets",
    "SaslHandShake": "SaslHandshake",
}

# Versions whose layout the definitions no longer tell: fields that only they had are gone.
FORGOTTEN = {
    "OffsetRequest": {0},  # max_offsets
    "OffsetResponse": {0},  # offsets
    "OffsetCommitRequest": {1},  # timestamp
    "DescribeConfigsResponse": {0},  # is_default
}

_CODES = {
    "b": "int8",
    "?": "bool",
    "h": "int16",
    "i": "int32",
    "I": "uint32",
    "q": "int64",
    "d": "float64",
}


# --- the definitions -----------------------------------------------------------------------------


@cache
def definitions(jar: Path) -> dict[str, dict[str, Any]]:
    """The definitions in the jar by message name."""
    found: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"common/message/\w+\.json", name):
                message = json.loads(without_comments(archive.read(name).decode()))
                found[message["name"]] = message
    return found


def without_comments(text: str) -> str:
    """Remove ``//`` comments, which JSON does not have, outside of strings."""
    return re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*', lambda match: match[1] or "", text)


def snake(name: str) -> str:
    """``TopicId`` as ``topic_id``, ``V3AndBelowTopics`` as ``v3_and_below_topics``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Definition:
    """One message definition, laid out for one version."""

    def __init__(self, message: dict[str, Any], version: int) -> None:
        self._shared = {item["name"]: item for item in message.get("commonStructs", ())}
        self._version = version
        self.flexible = covers(_range(message.get("flexibleVersions")), version)
        self.fields = self._fields(message["fields"])

    def _fields(self, fields: list[dict[str, Any]]) -> list[Any]:
        plain, tagged = [], []
        for field in fields:
            if not covers(_range(field["versions"]), self._version):
                continue
            node = self._node(field)
            if covers(_range(field.get("taggedVersions")), self._version):
                tagged.append((snake(field["name"]), node, field["tag"], self._default(field)))
            else:
                plain.append((snake(field["name"]), node, None, None))
        tagged.sort(key=lambda item: int(item[2]))
        return flattened(plain + tagged, self.flexible)

    def _node(self, field: dict[str, Any]) -> tuple[Any, ...]:
        nullable = covers(_range(field.get("nullableVersions")), self._version)
        name: str = field["type"]
        if name.startswith("[]"):
            element = {**field, "type": name[2:], "nullableVersions": "none"}
            return array_node(self._node(element), nullable, self.flexible)
        members = field.get("fields") or self._shared.get(name, {}).get("fields")
        if members is not None:
            return ("struct", nullable, tuple(self._fields(members)))
        return (name, nullable)

    def _default(self, field: dict[str, Any]) -> Any:
        default = field.get("default")
        name: str = field["type"]
        if default == "null":
            return None
        if name.startswith("[]"):
            return []
        members = field.get("fields") or self._shared.get(name, {}).get("fields")
        if members is not None:
            return tuple(
                self._default(member)
                for member in members
                if covers(_range(member["versions"]), self._version)
            )
        if name == "uuid":
            return None  # the zero id
        if name == "bool":
            return str(default).lower() == "true"
        if name == "string":
            return default or ""
        return int(str(default), 0) if default not in (None, "") else 0


def _range(text: str | None) -> str:
    return "" if text in (None, "none") else str(text)


# --- what is declared ----------------------------------------------------------------------------


def declared_fields(schema: Schema, flexible: bool) -> list[Any]:
    """The fields of a schema in the form that definitions have above."""
    first_tagged = len(schema.names) - len(schema.tags)
    fields: list[Any] = []
    explicit_tags = False
    for index, (name, shape) in enumerate(zip(schema.names, schema.shapes, strict=True)):
        if shape.kind == _shape.TAGS:
            assert index == len(schema.names) - 1, "tagged fields stand last"
            explicit_tags = True
        elif index >= first_tagged:
            tag, default = schema.tags[index - first_tagged]
            fields.append((name, declared_node(shape, flexible), tag, default))
        else:
            fields.append((name, declared_node(shape, flexible), None, None))
    assert flexible is (schema.is_flexible or explicit_tags)
    return flattened(fields, flexible)


def declared_node(shape: Shape, flexible: bool) -> tuple[Any, ...]:
    kind = shape.kind
    if kind == _shape.FIXED:
        return (_CODES[shape.code], False)
    if kind == _shape.UUID:
        return ("uuid", False)
    if kind == _shape.ROW:
        return ("struct", shape.nullable, tuple(declared_fields(shape.of, flexible)))
    assert shape.compact is flexible, "lengths are varints in flexible versions and only there"
    if kind == _shape.MANY:
        return array_node(declared_node(shape.of, flexible), shape.nullable, flexible)
    if kind == _shape.TEXT:
        assert shape.encoding == "utf-8"
        return ("string", shape.nullable)
    assert kind == _shape.BLOB
    return ("records" if shape.by_reference else "bytes", shape.nullable)


# --- what is the same on the wire ----------------------------------------------------------------


def flattened(fields: list[Any], flexible: bool) -> list[Any]:
    """Without structures in place: before flexible versions they leave no trace on the wire."""
    if flexible:
        return fields
    flat: list[Any] = []
    for field in fields:
        node = field[1]
        if node[0] == "struct" and not node[1]:
            flat.extend(node[2])
        else:
            flat.append(field)
    return flat


def array_node(element: tuple[Any, ...], nullable: bool, flexible: bool) -> tuple[Any, ...]:
    """An array; before flexible versions a row of one field and the field are the same bytes."""
    if not flexible and element[0] == "struct" and len(element[2]) == 1:
        element = element[2][0][1]
    return ("array", nullable, element)


def compare(message: str, path: str, ours: Any, theirs: Any) -> list[str]:
    """Differences between two lists of fields."""
    problems: list[str] = []
    if len(ours) != len(theirs):
        return [f"{path}: {[f[0] for f in ours]} should be {[f[0] for f in theirs]}"]
    for mine, expected in zip(ours, theirs, strict=True):
        here = f"{path}.{expected[0]}"
        allowed = {expected[0], *RENAMED.get(message, {}).get(expected[0], ())}
        if mine[0] not in allowed:
            problems.append(f"{here} is called {mine[0]}")
        if mine[2:] != expected[2:]:
            problems.append(f"{here}: tag and default {mine[2:]} should be {expected[2:]}")
        problems += compare_nodes(message, here, mine[1], expected[1])
    return problems


def compare_nodes(message: str, path: str, mine: Any, expected: Any) -> list[str]:
    if mine[:2] != expected[:2]:
        return [f"{path}: {mine[:2]} should be {expected[:2]}"]
    if mine[0] == "struct":
        return compare(message, path, mine[2], expected[2])
    if mine[0] == "array":
        return compare_nodes(message, f"{path}[]", mine[2], expected[2])
    return []


# --- tests ---------------------------------------------------------------------------------------

_IDS = [api.name for api in APIS]


def _names(api: Api) -> tuple[tuple[str, Any], tuple[str, Any]]:
    name = API_NAMES.get(api.name, api.name)
    return (f"{name}Request", api.requests), (f"{name}Response", api.responses)


@pytest.mark.parametrize("api", APIS, ids=_IDS)
def test_every_version_is_laid_out_as_kafka_defines_it(api: Api, kafka_clients_jar: Path) -> None:
    problems: list[str] = []
    for name, classes in _names(api):
        message = definitions(kafka_clients_jar)[name]
        for struct in classes:
            version = struct.API_VERSION
            ours = struct.__name__.partition("_v")[0]
            if version in FORGOTTEN.get(ours, ()):
                continue
            expected = Definition(message, version)
            fields = declared_fields(struct.SCHEMA, expected.flexible)
            problems += compare(ours, struct.__name__, fields, expected.fields)
    assert problems == []


@pytest.mark.parametrize("api", APIS, ids=_IDS)
def test_keys_versions_and_headers(api: Api, kafka_clients_jar: Path) -> None:
    for name, classes in _names(api):
        message = definitions(kafka_clients_jar)[name]
        newest = int(message["validVersions"].rpartition("-")[2])
        if message.get("latestVersionUnstable"):
            newest -= 1
        assert message["apiKey"] == api.key
        assert API_KEYS[api.key] == API_NAMES.get(api.name, api.name)
        assert [struct.API_VERSION for struct in classes] == list(range(len(classes)))
        assert len(classes) - 1 <= newest
        assert {struct.API_KEY for struct in classes} == {api.key}
    flexible = _range(definitions(kafka_clients_jar)[_names(api)[0][0]].get("flexibleVersions"))
    for request, response in zip(api.requests, api.responses, strict=True):
        assert request.RESPONSE_TYPE is response
        assert request.FLEXIBLE_VERSION is covers(flexible, request.API_VERSION)
        # The one exception is spelled out in ApiVersionsResponse.json.
        is_new = request.FLEXIBLE_VERSION and api.key != 18
        header = ResponseHeader_v1 if is_new else ResponseHeader_v0
        assert request.response_header_type() is header


@pytest.mark.parametrize("api", APIS, ids=_IDS)
def test_the_newest_version_sent_is_declared(api: Api) -> None:
    assert CEILINGS[api.key] in {request.API_VERSION for request in api.requests}


def test_request_headers(kafka_clients_jar: Path) -> None:
    message = definitions(kafka_clients_jar)["RequestHeader"]
    client_id = message["fields"][-1]
    assert client_id["flexibleVersions"] == "none", "the client id never becomes compact"
    for version, header in ((1, RequestHeader_v1), (2, RequestHeader_v2)):
        expected = [
            (field["type"], covers(_range(field.get("nullableVersions")), version))
            for field in message["fields"]
        ]
        names, shapes = list(header.SCHEMA.names), list(header.SCHEMA.shapes)
        if version == 2:
            assert names.pop() == "tags"
            assert shapes.pop().kind == _shape.TAGS
        assert [declared_node(shape, False) for shape in shapes] == expected
        assert names == ["api_key", "api_version", "correlation_id", "client_id"]


def test_response_headers(kafka_clients_jar: Path) -> None:
    message = definitions(kafka_clients_jar)["ResponseHeader"]
    assert [field["type"] for field in message["fields"]] == ["int32"]
    assert message["flexibleVersions"] == "1+"
    assert [shape.kind for shape in ResponseHeader_v1.SCHEMA.shapes] == [
        _shape.FIXED,
        _shape.TAGS,
    ]
    assert [shape.kind for shape in ResponseHeader_v0.SCHEMA.shapes] == [_shape.FIXED]


def test_no_renaming_is_left_over(kafka_clients_jar: Path) -> None:
    """The list of renamed fields says nothing that is not so."""
    used: set[tuple[str, str, str]] = set()

    def visit(message: str, ours: Any, theirs: Any) -> None:
        for mine, expected in zip(ours, theirs, strict=True):
            used.add((message, expected[0], mine[0]))
            mine, expected = mine[1], expected[1]
            while mine[0] == "array":
                mine, expected = mine[2], expected[2]
            if mine[0] == "struct":
                visit(message, mine[2], expected[2])

    for api in APIS:
        for name, classes in _names(api):
            for struct in classes:
                ours = struct.__name__.partition("_v")[0]
                if struct.API_VERSION not in FORGOTTEN.get(ours, ()):
                    definition = Definition(
                        definitions(kafka_clients_jar)[name], struct.API_VERSION
                    )
                    fields = declared_fields(struct.SCHEMA, definition.flexible)
                    visit(ours, fields, definition.fields)
    listed = {
        (message, theirs, ours)
        for message, names in RENAMED.items()
        for theirs, all_ours in names.items()
        for ours in all_ours
    }
    assert listed - used == set()


def test_the_reader_of_definitions_finds_differences() -> None:
    """A comparison that never fails proves nothing."""
    message = {
        "flexibleVersions": "1+",
        "fields": [
            {"name": "Name", "type": "string", "versions": "0+", "nullableVersions": "1+"},
            {"name": "Ids", "type": "[]int32", "versions": "0+"},
            {"name": "Epoch", "type": "int64", "versions": "1+", "taggedVersions": "1+",
             "tag": 0, "default": "-1"},
        ],
    }  # fmt: skip
    expected = Definition(message, 1).fields
    string, ids, epoch = expected
    assert compare("X", "X", expected, expected) == []
    for wrong in (
        [ids, string, epoch],
        [string, ids],
        [("name", ("string", False), None, None), ids, epoch],
        [string, ("ids", ("array", False, ("int64", False)), None, None), epoch],
        [string, ids, ("epoch", ("int64", False), 1, -1)],
        [string, ids, ("epoch", ("int64", False), 0, 0)],
        [string, ("other", *ids[1:]), epoch],
    ):
        assert compare("X", "X", wrong, expected) != []
    assert without_comments('{"a": "//b"} // c') == '{"a": "//b"} '
    assert shape_of(int).kind == _shape.FOREIGN
