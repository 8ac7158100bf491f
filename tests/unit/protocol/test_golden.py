"""Whole messages, byte by byte, laid out by hand from the protocol documentation."""

from __future__ import annotations

from uuid import UUID

import pytest

from aiokafka.protocol.admin import (
    ApiVersionRequest_v0,
    ApiVersionRequest_v3,
    ApiVersionResponse_v3,
    SaslAuthenticateResponse_v2,
    SaslHandShakeRequest_v1,
)
from aiokafka.protocol.commit import OffsetCommitRequest_v1
from aiokafka.protocol.coordination import FindCoordinatorRequest_v4, FindCoordinatorResponse_v0
from aiokafka.protocol.metadata import (
    MetadataRequest_v0,
    MetadataRequest_v12,
    MetadataResponse_v0,
)
from aiokafka.protocol.offset import OffsetRequest_v0, OffsetRequest_v5, OffsetResponse_v0
from aiokafka.protocol.produce import (
    ProduceRequest_v3,
    ProduceRequest_v13,
    ProduceResponse_v2,
    ProduceResponse_v10,
)
from aiokafka.protocol.struct import Struct
from aiokafka.protocol.transaction import InitProducerIdRequest_v4

_ID = UUID("00112233-4455-6677-8899-aabbccddeeff")
_I32_MINUS_1 = b"\xff\xff\xff\xff"
_I64_MINUS_1 = b"\xff" * 8

GOLDEN: list[tuple[Struct, bytes]] = [
    (MetadataRequest_v0(["foo"]), b"\0\0\0\x01" b"\0\x03foo"),
    (MetadataRequest_v12(None, True, False), b"\0" b"\x01" b"\0" b"\0"),
    (
        MetadataRequest_v12([(_ID, None), (None, "t")], False, True),
        b"\x03" + _ID.bytes + b"\0\0" + bytes(16) + b"\x02t\0" + b"\0\x01\0",
    ),
    (
        MetadataResponse_v0(
            brokers=[(1, "h", 9092)], topics=[(0, "t", [(5, 0, -1, [1, 2], [])])]
        ),
        b"\0\0\0\x01" b"\0\0\0\x01" b"\0\x01h" b"\0\0\x23\x84"
        b"\0\0\0\x01" b"\0\0" b"\0\x01t"
        b"\0\0\0\x01" b"\0\x05" b"\0\0\0\0" + _I32_MINUS_1 +
        b"\0\0\0\x02" b"\0\0\0\x01" b"\0\0\0\x02" b"\0\0\0\0",
    ),
    (ApiVersionRequest_v0(), b""),
    (ApiVersionRequest_v3("ab", "1"), b"\x03ab" b"\x021" b"\0"),
    (
        ApiVersionResponse_v3(0, [(18, 0, 4)], 0, [], 7, [("f", 2, 1)], False),
        b"\0\0" b"\x02" b"\0\x12" b"\0\0" b"\0\x04" b"\0" b"\0\0\0\0"
        b"\x02"  # two tagged fields
        b"\x01\x08" b"\0\0\0\0\0\0\0\x07"
        b"\x02\x08" b"\x02" b"\x02f" b"\0\x02" b"\0\x01" b"\0",
    ),
    (SaslHandShakeRequest_v1("PLAIN"), b"\0\x05PLAIN"),
    (
        SaslAuthenticateResponse_v2(58, "no", b"x", 1000),
        b"\0\x3a" b"\x03no" b"\x02x" b"\0\0\0\0\0\0\x03\xe8" b"\0",
    ),
    (
        FindCoordinatorResponse_v0(0, 1, "h", 9092),
        b"\0\0" b"\0\0\0\x01" b"\0\x01h" b"\0\0\x23\x84",
    ),
    (FindCoordinatorRequest_v4(1, ["a", "bc"]), b"\x01" b"\x03" b"\x02a" b"\x03bc" b"\0"),
    (
        InitProducerIdRequest_v4(None, 60000, -1, -1),
        b"\0" b"\0\0\xea\x60" + _I64_MINUS_1 + b"\xff\xff" b"\0",
    ),
    (
        ProduceRequest_v3(None, -1, 1000, [("t", [(2, b"abc")])]),
        b"\xff\xff" b"\xff\xff" b"\0\0\x03\xe8"
        b"\0\0\0\x01" b"\0\x01t" b"\0\0\0\x01" b"\0\0\0\x02" b"\0\0\0\x03abc",
    ),
    (
        ProduceRequest_v13("x", 1, 1, [(_ID, [(2, None)])]),
        b"\x02x" b"\0\x01" b"\0\0\0\x01"
        b"\x02" + _ID.bytes + b"\x02" b"\0\0\0\x02" b"\0" b"\0" b"\0" b"\0",
    ),
    (
        ProduceResponse_v2([("t", [(0, 3, -1, 5)])], 9),
        b"\0\0\0\x01" b"\0\x01t" b"\0\0\0\x01" b"\0\0\0\0" b"\0\x03" + _I64_MINUS_1 +
        b"\0\0\0\0\0\0\0\x05" b"\0\0\0\x09",
    ),
    (
        ProduceResponse_v10(
            [("t", [(0, 6, -1, -1, -1, [(1, None)], "e", (4, 7))])],
            0,
            [(4, "h", 9092, None)],
        ),
        b"\x02" b"\x02t" b"\x02" b"\0\0\0\0" b"\0\x06" + _I64_MINUS_1 * 3 +
        b"\x02" b"\0\0\0\x01" b"\0" b"\0"  # record errors
        b"\x02e"
        b"\x01" b"\0\x09" b"\0\0\0\x04" b"\0\0\0\x07" b"\0"  # current leader
        b"\0"  # end of the topic
        b"\0\0\0\0"
        b"\x01" b"\0\x0d" b"\x02" b"\0\0\0\x04" b"\x02h" b"\0\0\x23\x84" b"\0" b"\0",
    ),
    # Layouts that newer definitions no longer tell.
    (
        OffsetRequest_v0(-1, [("t", [(0, -2, 1)])]),
        _I32_MINUS_1 + b"\0\0\0\x01" b"\0\x01t" b"\0\0\0\x01" b"\0\0\0\0"
        b"\xff\xff\xff\xff\xff\xff\xff\xfe" b"\0\0\0\x01",
    ),
    (
        OffsetResponse_v0([("t", [(0, 0, [5, 3])])]),
        b"\0\0\0\x01" b"\0\x01t" b"\0\0\0\x01" b"\0\0\0\0" b"\0\0"
        b"\0\0\0\x02" b"\0\0\0\0\0\0\0\x05" b"\0\0\0\0\0\0\0\x03",
    ),
    # The leader epoch has 32 bits.
    (
        OffsetRequest_v5(-1, 1, [("t", [(0, 3, -1)])]),
        _I32_MINUS_1 + b"\x01" b"\0\0\0\x01" b"\0\x01t" b"\0\0\0\x01" b"\0\0\0\0"
        b"\0\0\0\x03" + _I64_MINUS_1,
    ),
    (
        OffsetCommitRequest_v1("g", 2, "m", [("t", [(0, 5, 6, None)])]),
        b"\0\x01g" b"\0\0\0\x02" b"\0\x01m" b"\0\0\0\x01" b"\0\x01t" b"\0\0\0\x01"
        b"\0\0\0\0" b"\0\0\0\0\0\0\0\x05" b"\0\0\0\0\0\0\0\x06" b"\xff\xff",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("struct", "encoded"), GOLDEN, ids=[type(struct).__name__ for struct, _ in GOLDEN]
)
def test_golden(struct: Struct, encoded: bytes) -> None:
    assert struct.encode() == encoded
    decoded = type(struct).decode(encoded)
    assert decoded.encode() == encoded
    if not isinstance(struct, MetadataRequest_v12):  # an absent id reads as the zero id
        assert decoded == struct
