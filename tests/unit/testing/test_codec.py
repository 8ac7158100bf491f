"""The server's view of the protocol: headers, lookup of classes, responses from plain values."""

from __future__ import annotations

import pytest

from aiokafka.protocol import API_KEYS
from aiokafka.testing.codec import (
    api_key_of,
    api_name,
    build_response,
    encode_response,
    parse_header,
    request_class,
    supported_versions,
)
from aiokafka.testing.handlers import HANDLERS
from aiokafka.testing.releases import RELEASES, release_versions

from .lab import struct_of

METADATA, API_VERSIONS = 3, 18


@pytest.mark.parametrize("version", [0, 9])
def test_header(version):
    request = struct_of(METADATA, version, *([[]] if version == 0 else [[], True, False, False]))
    header = request.build_request_header(77, "me").encode()
    parsed = parse_header(header + b"body")
    assert (parsed.api_key, parsed.api_version) == (METADATA, version)
    assert (parsed.correlation_id, parsed.client_id) == (77, "me")
    assert parsed.body_at == len(header)


def test_header_without_client_id():
    assert parse_header(b"\0\x03\0\0\0\0\0\x05\xff\xff").client_id is None


def test_header_with_tagged_fields():
    head = b"\0\x03\0\x09\0\0\0\x05\xff\xff"
    assert parse_header(head + b"\x01\x07\x02ab" + b"rest").body_at == len(head) + 5


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\x03\0\0\0\0\0\x05\0",
        b"\0\x03\0\0\0\0\0\x05\0\x09abc",
        b"\0\x03\0\x09\0\0\0\x05\xff\xff",
        b"\0\x03\0\x09\0\0\0\x05\xff\xff\x01\x07\x7fab",
        b"\0\x03\0\x09\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\x03\0\0\0\0\0\x05\0\x02\xff\xfe",
    ],
)
def test_bad_headers(frame):
    with pytest.raises(ValueError):
        parse_header(frame)


def test_lookup():
    request_type = request_class(METADATA, 1)
    assert request_type is not None
    assert request_type.__name__ == "MetadataRequest_v1"
    assert request_class(METADATA, 99) is None
    assert request_class(999, 0) is None
    assert all(0 <= low <= high for low, high in supported_versions().values())


def test_names():
    assert api_name(0) == "Produce"
    assert api_name(999) == "api 999"
    assert api_key_of("produce") == 0
    assert api_key_of(7) == 7
    with pytest.raises(ValueError, match="no API"):
        api_key_of("Prodoose")


def test_every_handler_is_of_an_api_that_the_codec_knows():
    assert set(HANDLERS) <= set(supported_versions())


@pytest.mark.parametrize("release", RELEASES)
def test_releases_can_be_served(release):
    for api_key, (low, high) in release_versions(release).items():
        assert api_key in API_KEYS
        assert low <= high


def test_missing_value_is_named():
    request = struct_of(METADATA, 1, [])
    values = {"brokers": [{"node_id": 1, "host": "h", "rack": None}], "topics": []}
    with pytest.raises(ValueError, match=r"MetadataResponse_v1\.brokers\.port"):
        build_response(request.RESPONSE_TYPE, values)


def test_values_of_other_versions_are_ignored():
    request = struct_of(METADATA, 0, [])
    values = {"brokers": [], "topics": [], "cluster_id": "x", "nonsense": 1}
    assert build_response(request.RESPONSE_TYPE, values).to_object() == {
        "brokers": [],
        "topics": [],
    }


@pytest.mark.parametrize("version", [0, 3])
def test_api_versions_has_a_plain_response_header(version):
    request = struct_of(API_VERSIONS, version, *(("a", "b") if version else ()))
    values = {"error_code": 35, "api_versions": [], "throttle_time_ms": 0}
    frame = encode_response(request, 5, build_response(request.RESPONSE_TYPE, values))
    assert frame[4:8] == b"\0\0\0\x05"
    assert frame[8:10] == b"\0\x23"
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
