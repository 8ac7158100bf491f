"""A broker that lies about lengths: an error, at once, and without memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from aiokafka.protocol.fetch import FetchResponse_v4, FetchResponse_v12
from aiokafka.protocol.metadata import MetadataResponse_v5, MetadataResponse_v12
from aiokafka.protocol.produce import ProduceResponse_v8, ProduceResponse_v12
from aiokafka.protocol.struct import Struct

_MEMORY = 1 << 20
_HUGE = b"\x7f\xff\xff\xff"
_HUGE_VARINT = b"\xff\xff\xff\xff\x0f"
_PADDING = bytes(2000)


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    # Compiled beforehand, so that only the decoding is measured.
    for struct_class in (
        FetchResponse_v4,
        FetchResponse_v12,
        MetadataResponse_v5,
        MetadataResponse_v12,
        ProduceResponse_v8,
        ProduceResponse_v12,
    ):
        struct_class.SCHEMA.codec_for(struct_class.__name__)
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < _MEMORY


@pytest.mark.parametrize("tail", [b"", _PADDING])
@pytest.mark.parametrize(
    ("struct_class", "head"),
    [
        (MetadataResponse_v5, b"\0\0\0\0" + _HUGE),  # brokers
        (MetadataResponse_v5, b"\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0" + _HUGE),  # topics
        (MetadataResponse_v5, b"\0\0\0\0\0\0\0\x01\0\0\0\0\x7f\xff"),  # host
        (MetadataResponse_v12, b"\0\0\0\0" + _HUGE_VARINT),
        (MetadataResponse_v12, b"\0\0\0\0\x02\0\0\0\0" + _HUGE_VARINT),
        (ProduceResponse_v8, _HUGE),
        (ProduceResponse_v8, b"\0\0\0\x01\0\x01t" + _HUGE),
        (ProduceResponse_v12, _HUGE_VARINT),
        (ProduceResponse_v12, b"\x01\0\0\0\0" + _HUGE_VARINT),  # tagged fields
        (ProduceResponse_v12, b"\x01\0\0\0\0\x01\0" + _HUGE_VARINT),  # one tagged field
        (FetchResponse_v4, b"\0\0\0\0" + _HUGE),
        (FetchResponse_v4, b"\0\0\0\0\0\0\0\x01\0\x01t\0\0\0\x01" + bytes(22) + _HUGE),
        (FetchResponse_v4, b"\0\0\0\0\0\0\0\x01\0\x01t\0\0\0\x01" + bytes(26) + _HUGE),
        (FetchResponse_v12, bytes(10) + _HUGE_VARINT),
    ],
)
def test_huge_lengths(struct_class: type[Struct], head: bytes, tail: bytes) -> None:
    with pytest.raises(ValueError):
        struct_class.decode(head + tail)
    with pytest.raises(ValueError):
        struct_class.decode(memoryview(head + tail))


@pytest.mark.parametrize(
    ("struct_class", "head"),
    [
        (MetadataResponse_v5, b"\0\0\0\0\xff\xff\xff\xff"),  # brokers are never null
        (MetadataResponse_v5, b"\0\0\0\0\xff\xff\xff\xf0"),
        (MetadataResponse_v5, b"\0\0\0\0\0\0\0\x01\0\0\0\0\xff\xff"),  # nor is a host
        (MetadataResponse_v5, b"\0\0\0\0\0\0\0\0\x80\0"),  # cluster id of -32768 bytes
        (MetadataResponse_v12, b"\0\0\0\0\0"),
        (FetchResponse_v4, b"\0\0\0\0\0\0\0\x01\0\x01t\0\0\0\x01" + bytes(26) + b"\x80\0\0\0"),
    ],
)
def test_negative_lengths_and_nulls(struct_class: type[Struct], head: bytes) -> None:
    with pytest.raises(ValueError):
        struct_class.decode(head + _PADDING)


def test_the_error_says_where() -> None:
    with pytest.raises(ValueError, match=r"MetadataResponse\.brokers"):
        MetadataResponse_v5.decode(b"\0\0\0\0" + _HUGE)
    with pytest.raises(ValueError, match="truncated MetadataResponse"):
        MetadataResponse_v5.decode(b"\0\0")
