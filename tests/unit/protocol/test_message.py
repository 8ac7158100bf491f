"""The messages of old formats."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest

from aiokafka.codec import gzip_encode
from aiokafka.errors import UnsupportedCodecError
from aiokafka.protocol.message import Message, MessageSet, PartialMessage


def test_magic_0() -> None:
    body = b"\0\0\0\0\0\x02k1\0\0\0\x02v1"
    message = Message(value=b"v1", key=b"k1", magic=0, attributes=0, crc=0)
    encoded = message.encode()
    assert encoded == struct.pack(">I", zlib.crc32(body)) + body
    assert message.crc == zlib.crc32(body)
    assert message.timestamp_type is None
    assert Message.decode(encoded) == message
    assert Message.decode(BytesIO(encoded)).validate_crc()


def test_magic_1() -> None:
    message = Message(value=None, key=None, magic=1, attributes=8, crc=0, timestamp=5)
    encoded = message.encode()
    assert encoded[4:] == b"\x01\x08\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xff"
    assert message.timestamp_type == 1
    assert Message(value=b"", magic=1, timestamp=5).timestamp_type == 0
    assert Message(value=b"", magic=1).timestamp == -1
    assert Message.decode(encoded) == message
    assert Message.decode(encoded) != Message(value=b"other", magic=1, timestamp=5)


def test_checksums() -> None:
    message = Message(value=b"v", crc=5)
    assert message.encode(recalc_crc=False)[:4] == b"\0\0\0\x05"
    assert not message.validate_crc()
    encoded = bytearray(message.encode())
    assert message.validate_crc()
    encoded[-1] ^= 1
    assert not Message.decode(bytes(encoded)).validate_crc()


def test_bad_values() -> None:
    for arguments in ({"value": "text"}, {"value": b"", "key": "k"}, {"value": b"", "magic": 2}):
        with pytest.raises(ValueError):
            Message(**arguments)
    for raw in (b"", b"\0\0\0\0\x02\0", b"\0\0\0\0\0\0"):
        with pytest.raises(ValueError):
            Message.decode(raw)


def test_sets() -> None:
    first, second = Message(value=b"v1"), Message(value=b"v2", magic=1, timestamp=3)
    items = [(4, first.encode()), (5, second.encode())]
    encoded = MessageSet.encode(items)
    assert encoded[:4] == struct.pack(">i", len(encoded) - 4)
    bare = MessageSet.encode(items, prepend_size=False)
    assert bare == encoded[4:]
    expected = [(4, len(first.encode()), first), (5, len(second.encode()), second)]
    assert MessageSet.decode(encoded) == expected
    assert MessageSet.decode(bare, bytes_to_read=len(bare)) == expected
    assert MessageSet.decode(BytesIO(encoded)) == expected
    assert "v1" in MessageSet.repr(bare)
    assert "v1" in MessageSet.repr(BytesIO(bare))
    assert MessageSet.repr(b"\0" * 8 + b"\xff" * 4) == "<12 bytes that are no message set>"
    assert MessageSet.HEADER_SIZE == 12
    assert MessageSet.ITEM.names == ("offset", "message")


@pytest.mark.parametrize("cut", [1, 5, 16])
def test_sets_that_are_cut_off(cut: int) -> None:
    message = Message(value=b"v1")
    whole = MessageSet.encode([(0, message.encode())] * 2, prepend_size=False)
    first, rest = MessageSet.decode(whole[:-cut], bytes_to_read=len(whole))
    assert first[2] == message
    assert rest[:2] == (None, None)
    assert isinstance(rest[2], PartialMessage)
    assert repr(rest[2]).startswith("PartialMessage(b'")


def test_sets_that_lie() -> None:
    with pytest.raises(ValueError):
        MessageSet.decode(b"\0" * 8 + b"\xff\xff\xff\xff", bytes_to_read=12)


def test_compression() -> None:
    inner = MessageSet.encode([(0, Message(value=b"v").encode())], prepend_size=False)
    message = Message(value=gzip_encode(inner), attributes=Message.CODEC_GZIP)
    assert message.is_compressed()
    assert message.decompress()[0][2].value == b"v"
    assert not Message(value=b"").is_compressed()
    with pytest.raises(UnsupportedCodecError):
        Message(value=b"", attributes=7).decompress()
