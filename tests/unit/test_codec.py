"""The codecs, their framing and their bounds."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiokafka import codec
from aiokafka.errors import CorruptRecordException

XERIAL = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"

CODECS: dict[str, tuple[Callable[..., bytes], Callable[..., bytes]]] = {
    "gzip": (codec.gzip_encode, codec.gzip_decode),
    "snappy": (codec.snappy_encode, codec.snappy_decode),
    "lz4": (codec.lz4_encode, codec.lz4_decode),
    "zstd": (codec.zstd_encode, codec.zstd_decode),
}


@pytest.fixture(params=CODECS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, 100, 32 * 1024, 32 * 1024 + 1, 200_000, 5_000_000])
def test_round_trip(name: str, size: int) -> None:
    encode, decode = CODECS[name]
    for payload in (noise(size), (b"kafka" * (size // 5 + 1))[:size]):
        packed = encode(payload)
        assert type(packed) is bytes
        assert decode(packed) == payload
        assert decode(packed, max_size=size) == payload
        assert type(decode(memoryview(packed))) is bytes


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_kinds_of_buffers(name: str, kind: Any) -> None:
    encode, decode = CODECS[name]
    assert decode(kind(encode(kind(b"payload" * 50)))) == b"payload" * 50


@settings(deadline=None)
@given(st.sampled_from(sorted(CODECS)), st.binary(max_size=5000))
def test_round_trip_of_anything(name: str, payload: bytes) -> None:
    encode, decode = CODECS[name]
    packed = encode(payload)
    assert decode(packed, max_size=len(payload)) == payload


def test_available() -> None:
    assert codec.has_gzip() and codec.has_snappy() and codec.has_lz4() and codec.has_zstd()


def test_library_missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_cramjam", None)
    encode, decode = CODECS[name]
    if name == "gzip":
        assert codec.has_gzip()
        assert decode(encode(b"x")) == b"x"
        return
    assert not getattr(codec, f"has_{name}")()
    for call in (encode, decode):
        with pytest.raises(NotImplementedError, match=rf"aiokafka\[{name}\]"):
            call(b"x")


# ------------------------------------------------------------------------ levels


def test_gzip_levels() -> None:
    payload = b"".join(b"%d" % n for n in range(5000))
    assert codec.gzip_encode(payload) == codec.gzip_encode(payload, 9)
    assert codec.gzip_encode(payload, 0) == codec.gzip_encode(payload, 9)
    assert codec.gzip_encode(payload, 1) != codec.gzip_encode(payload, compresslevel=9)
    assert codec.gzip_decode(codec.gzip_encode(payload, -1)) == payload


def test_lz4_and_zstd_levels() -> None:
    payload = b"".join(b"%d" % (n * n) for n in range(5000))
    assert codec.lz4_encode(payload) == codec.lz4_encode(payload, level=9)
    assert len(codec.lz4_encode(payload, level=1)) >= len(codec.lz4_encode(payload, level=12))
    assert codec.zstd_encode(payload) == codec.zstd_encode(payload, level=3)
    assert len(codec.zstd_encode(payload, level=-100)) > len(codec.zstd_encode(payload, level=9))


# ------------------------------------------------------------------------ snappy


def test_xerial_frames_of_two_blocks() -> None:
    """Two blocks of 300 equal bytes, by the snappy and snappy-java formats."""
    # length 300, a literal of one byte, copies at offset 1 (64 bytes each, then 43)
    block = (
        bytes.fromhex("ac02 00") + b"%s" + bytes.fromhex("fe0100") * 4 + bytes.fromhex("aa0100")
    )
    first, second = block.replace(b"%s", b"S"), block.replace(b"%s", b"N")
    expected = XERIAL + b"".join(struct.pack(">i", len(b)) + b for b in (first, second))
    packed = codec.snappy_encode(b"S" * 300 + b"N" * 300, True, 300)
    assert packed == expected
    assert codec.snappy_decode(expected) == b"S" * 300 + b"N" * 300


def test_xerial_detection() -> None:
    assert codec._detect_xerial_stream(codec.snappy_encode(b"x"))
    assert not codec._detect_xerial_stream(codec.snappy_encode(b"x", xerial_compatible=False))
    assert not codec._detect_xerial_stream(XERIAL)
    assert not codec._detect_xerial_stream(b"")
    assert codec._detect_xerial_stream(memoryview(XERIAL + b"\0"))


def test_raw_snappy() -> None:
    packed = codec.snappy_encode(b"raw" * 100, xerial_compatible=False)
    assert not packed.startswith(XERIAL)
    assert codec.snappy_decode(packed) == b"raw" * 100


def test_snappy_without_blocks() -> None:
    assert codec.snappy_encode(b"") == XERIAL
    assert codec.snappy_decode(XERIAL) == b""


@pytest.mark.parametrize(
    "tail",
    [
        b"\0",
        struct.pack(">i", -1),
        struct.pack(">i", 5) + b"1234",
        struct.pack(">i", 2**31 - 1) + b"\0",
        struct.pack(">i", 3) + b"\x05ab",
    ],
)
def test_bad_xerial_blocks(tail: bytes) -> None:
    with pytest.raises(CorruptRecordException):
        codec.snappy_decode(XERIAL + tail)


def test_snappy_that_claims_too_much() -> None:
    """Nothing is allocated for a length that the data cannot hold."""
    claim = b"\xff\xff\xff\xff\x0f"  # 4 GiB - 1
    with pytest.raises(CorruptRecordException):
        codec.snappy_decode(claim + b"\0a")
    with pytest.raises(CorruptRecordException):
        codec.snappy_decode(XERIAL + struct.pack(">i", 7) + claim + b"\0a")


# --------------------------------------------------------------------------- lz4


def test_lz4_frame_header() -> None:
    """What Java's reader insists on: version 1, independent blocks, header checksum."""
    packed = codec.lz4_encode(b"x" * 100_000)
    assert packed[:4] == bytes.fromhex("04224d18")
    flags = packed[4]
    assert flags >> 6 == 1
    assert flags & 0x20, "blocks must be independent"
    assert not flags & 0x04, "no content checksum"
    assert not flags & 0x01, "no dictionary"
    assert xxh32(packed[4:6]) >> 8 & 0xFF == packed[6]


def xxh32(data: bytes) -> int:
    """XXH32 of fewer than four bytes with seed 0, from its specification."""
    mask = 0xFFFFFFFF
    acc = 374761393 + len(data) & mask
    for byte in data:
        acc = acc + byte * 374761393 & mask
        acc = (acc << 11 | acc >> 21) & mask
        acc = acc * 2654435761 & mask
    acc ^= acc >> 15
    acc = acc * 2246822519 & mask
    acc ^= acc >> 13
    acc = acc * 3266489917 & mask
    return acc ^ acc >> 16


# ------------------------------------------------------------------------ bounds


@pytest.mark.parametrize("size", [1000, 100_000, 3_000_000])
def test_bombs(name: str, size: int) -> None:
    encode, decode = CODECS[name]
    for payload in (bytes(size), noise(size)):
        packed = encode(payload)
        assert decode(packed, max_size=size) == payload
        for limit in (0, size // 100, size - 1):
            with pytest.raises(CorruptRecordException, match=f"larger than {limit} bytes"):
                decode(packed, max_size=limit)


@pytest.mark.parametrize("name", ["gzip", "snappy", "zstd"])
def test_bombs_in_several_frames(name: str) -> None:
    encode, decode = CODECS[name]
    packed = encode(bytes(100_000))
    if name == "snappy":
        packed += packed[len(XERIAL) :]
    else:
        packed += packed
    assert decode(packed, max_size=200_000) == bytes(200_000)
    with pytest.raises(CorruptRecordException, match="larger than"):
        decode(packed, max_size=199_999)


def test_many_small_blocks_are_no_bomb() -> None:
    """The bound counts 128 KiB a block; the truth is told by decompressing."""
    compressed_block = codec.zstd_encode(b"ab" * 100, 3)
    frames = compressed_block * 50
    assert codec.zstd_decode(frames, max_size=10_000) == b"ab" * 5000


@pytest.mark.parametrize("max_size", [None, 50, 1 << 20])
def test_damage(name: str, max_size: int | None) -> None:
    encode, decode = CODECS[name]
    packed = encode(b"payload" * 100)
    for cut in range(1, len(packed)):
        if name == "snappy" and cut == len(XERIAL):
            continue  # a stream of no blocks
        with pytest.raises(CorruptRecordException):
            decode(packed[:cut], max_size=max_size)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(CODECS)),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.binary(max_size=20),
)
def test_damage_of_any_kind(name: str, changes: list[tuple[int, int]], tail: bytes) -> None:
    encode, decode = CODECS[name]
    packed = bytearray(encode(b"payload" * 40 + bytes(300)) + tail)
    for position, byte in changes:
        packed[position % len(packed)] = byte
    for limit in (1 << 16, 100):
        try:
            assert len(decode(packed, max_size=limit)) <= limit
        except CorruptRecordException:
            pass
    assert len(packed)  # nothing holds on to the buffer
    packed.clear()


@given(st.sampled_from(sorted(CODECS)), st.binary(max_size=60))
def test_anything_as_input(name: str, data: bytes) -> None:
    try:
        CODECS[name][1](data, max_size=1 << 20)
    except CorruptRecordException:
        pass
