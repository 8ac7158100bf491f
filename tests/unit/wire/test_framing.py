"""The frame parser: any chunking gives the same frames, and no length is trusted."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiokafka._wire.clues import recognise
from aiokafka._wire.framing import CHUNK, FrameError, FrameParser
from aiokafka.errors import KafkaProtocolError

payloads = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.integers(0, 3 * CHUNK).map(lambda n: bytes([n % 251]) * n),
        st.sampled_from([CHUNK - 5, CHUNK - 4, CHUNK - 3, CHUNK, CHUNK + 1]).map(
            lambda n: b"\xab" * n
        ),
    ),
    max_size=8,
)


def framed(*frames: bytes) -> bytes:
    return b"".join(struct.pack(">i", len(frame)) + frame for frame in frames)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut data into pieces of these sizes, the last taking what is left."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@settings(deadline=None, max_examples=150)
@given(payloads, st.lists(st.integers(0, 2 * CHUNK), max_size=30))
def test_any_chunking_gives_the_same_frames(frames, sizes):
    parser = FrameParser()
    got = []
    for piece in cut(framed(*frames), sizes):
        got += parser.feed(piece)
    assert [bytes(frame) for frame in got] == frames
    assert parser.frames_seen == len(frames)
    assert parser.buffered == 0


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=5))
def test_byte_by_byte(frames):
    parser = FrameParser()
    got = []
    for byte in framed(*frames):
        got += parser.feed(bytes([byte]))
    assert got == frames


@settings(deadline=None, max_examples=50)
@given(payloads, st.lists(st.integers(1, CHUNK), min_size=1, max_size=30))
def test_receiving_into_its_buffer_is_the_same(frames, sizes):
    data = framed(*frames)
    parser = FrameParser()
    got = []
    turn = 0
    while data:
        target = parser.get_buffer()
        count = min(len(target), len(data), sizes[turn % len(sizes)])
        turn += 1
        target[:count] = data[:count]
        got += parser.buffer_updated(count)
        data = data[count:]
    assert [bytes(frame) for frame in got] == frames


def test_a_frame_outlives_the_next_chunk():
    parser = FrameParser()
    first = parser.feed(framed(b"first"))
    large = parser.feed(framed(b"L" * (CHUNK * 2)))
    parser.feed(framed(b"xxxxx", b"y" * (CHUNK * 2)))
    assert first == [b"first"]
    assert bytes(large[0]) == b"L" * (CHUNK * 2)


def test_a_large_frame_is_handed_out_without_a_copy():
    parser = FrameParser()
    (frame,) = parser.feed(framed(b"a" * (4 * CHUNK)))
    assert isinstance(frame, memoryview)


@settings(deadline=None, max_examples=50)
@given(st.integers(CHUNK, 1 << 29), st.lists(st.integers(1, 3 * CHUNK), max_size=20))
def test_memory_follows_what_has_arrived_not_what_was_announced(size, arrivals):
    parser = FrameParser()
    parser.feed(struct.pack(">i", size))
    arrived = 4
    for count in arrivals:
        count = min(count, size + 4 - arrived - 1)
        parser.feed(bytes(count))
        arrived += count
        assert parser.allocated - CHUNK <= 2 * arrived + CHUNK


def test_a_size_once_delivered_is_credited():
    parser = FrameParser()
    data = framed(b"z" * 1_000_000)
    parser.feed(data)
    parser.feed(data[: CHUNK + 1])
    assert parser.allocated == CHUNK + 1_000_000
    assert len(parser.feed(data[CHUNK + 1 :])) == 1
    assert parser.allocated == CHUNK


def test_empty_frames():
    assert FrameParser().feed(framed(b"", b"", b"x", b"")) == [b"", b"", b"x", b""]


def test_negative_length():
    with pytest.raises(FrameError, match="negative length -2"):
        FrameParser().feed(b"\xff\xff\xff\xfe")


def test_the_limit_is_inclusive_and_names_itself():
    assert FrameParser(max_frame_bytes=10).feed(framed(b"x" * 10)) == [b"x" * 10]
    with pytest.raises(FrameError, match="a frame of 11 bytes was announced, the limit is 10"):
        FrameParser(max_frame_bytes=10).feed(framed(b"x" * 11))


def test_the_limit_holds_for_a_later_frame():
    with pytest.raises(KafkaProtocolError):
        FrameParser(max_frame_bytes=10).feed(framed(b"ok") + b"\x7f\xff\xff\xff")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x46", "a TLS alert; is this a TLS port"),
        (b"\x16\x03\x01\x02\x00\x01", "a TLS handshake record; is this a TLS port"),
        (b"HTTP/1.1 400 Bad Request\r\n", "an HTTP answer"),
        (b"SSH-2.0-OpenSSH_9.2", "an SSH greeting"),
        (b"220 mail.example.org ESMTP", "an SMTP or FTP greeting"),
        (b"-ERR unknown command", "a Redis or POP3 answer"),
    ],
)
def test_other_protocols_are_recognised(head, words):
    with pytest.raises(FrameError, match=words) as caught:
        FrameParser(max_frame_bytes=1 << 20).feed(head)
    assert caught.value.clue is not None


def test_unknown_bytes_are_not_guessed_at():
    assert recognise(b"\x12\x34\x56\x78") is None
    assert recognise(b"\x15") is None
    assert recognise(b"") is None
