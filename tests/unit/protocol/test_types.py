"""Wire types on their own."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.types import (
    Array,
    Blob,
    Boolean,
    Bytes,
    CompactArray,
    CompactBytes,
    CompactString,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    NullableRow,
    Schema,
    String,
    TaggedFields,
    UInt32,
    UnsignedVarInt32,
    Uuid,
    VarInt32,
    VarInt64,
)

_ID = UUID("12345678-9abc-def0-1234-56789abcdef0")

# Derived by hand from the descriptions of the types in the protocol documentation.
GOLDEN: list[tuple[Any, Any, bytes]] = [
    (Int8, -2, b"\xfe"),
    (Int16, 258, b"\x01\x02"),
    (Int32, -1, b"\xff\xff\xff\xff"),
    (UInt32, 0xFFFFFFFE, b"\xff\xff\xff\xfe"),
    (Int64, 1, b"\0\0\0\0\0\0\0\x01"),
    (Float64, 1.5, b"\x3f\xf8\0\0\0\0\0\0"),
    (Boolean, True, b"\x01"),
    (Boolean, False, b"\0"),
    (Uuid, _ID, _ID.bytes),
    (UnsignedVarInt32, 0, b"\0"),
    (UnsignedVarInt32, 127, b"\x7f"),
    (UnsignedVarInt32, 128, b"\x80\x01"),
    (UnsignedVarInt32, 300, b"\xac\x02"),
    (UnsignedVarInt32, 0xFFFFFFFF, b"\xff\xff\xff\xff\x0f"),
    (VarInt32, 0, b"\0"),
    (VarInt32, -1, b"\x01"),
    (VarInt32, 1, b"\x02"),
    (VarInt32, 2**31 - 1, b"\xfe\xff\xff\xff\x0f"),
    (VarInt32, -(2**31), b"\xff\xff\xff\xff\x0f"),
    (VarInt64, -65, b"\x81\x01"),
    (VarInt64, -(2**63), b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    (String(), "é", b"\0\x02\xc3\xa9"),
    (String(), None, b"\xff\xff"),
    (String("utf-16-be"), "a", b"\0\x02\0a"),
    (CompactString(), "", b"\x01"),
    (CompactString(), "abc", b"\x04abc"),
    (CompactString(), None, b"\0"),
    (CompactString(), "x" * 200, b"\xc9\x01" + b"x" * 200),
    (Bytes, b"ab", b"\0\0\0\x02ab"),
    (Bytes, None, b"\xff\xff\xff\xff"),
    (CompactBytes, b"ab", b"\x03ab"),
    (CompactBytes, None, b"\0"),
    (Array(Int16), [1, 2], b"\0\0\0\x02\0\x01\0\x02"),
    (Array(Int16), [], b"\0\0\0\0"),
    (Array(Int16), None, b"\xff\xff\xff\xff"),
    (Array(Array(Int8)), [[1], []], b"\0\0\0\x02\0\0\0\x01\x01\0\0\0\0"),
    (CompactArray(Int8), [1, 2], b"\x03\x01\x02"),
    (CompactArray(Int8), None, b"\0"),
    (CompactArray(CompactString()), ["a", None], b"\x03\x02a\0"),
    (Array(("a", Int8), ("b", String())), [(1, "x")], b"\0\0\0\x01\x01\0\x01x"),
    (TaggedFields, {}, b"\0"),
    (TaggedFields, {0: b"a", 200: b""}, b"\x02\0\x01a\xc8\x01\0"),
    (Schema(("a", Int8), ("b", Int16)), (1, 2), b"\x01\0\x02"),
    (NullableRow(Schema(("a", Int8))), None, b"\xff"),
    (NullableRow(Schema(("a", Int8))), (5,), b"\x01\x05"),
]


@pytest.mark.parametrize(("type_", "value", "encoded"), GOLDEN)
def test_golden(type_: Any, value: Any, encoded: bytes) -> None:
    assert type_.encode(value) == encoded
    stream = BytesIO(b"before" + encoded + b"after")
    stream.seek(6)
    assert type_.decode(stream) == value
    assert stream.read() == b"after"


@pytest.mark.parametrize(("type_", "value", "encoded"), GOLDEN)
def test_every_short_buffer_is_a_value_error(type_: Any, value: Any, encoded: bytes) -> None:
    for size in range(len(encoded)):
        with pytest.raises(ValueError):
            type_.decode(BytesIO(encoded[:size]))


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Int8, 128),
        (Int16, -32769),
        (Int32, 2**31),
        (UInt32, -1),
        (Int64, 2**63),
        (Int32, None),
        (Int32, "1"),
        (UnsignedVarInt32, -1),
        (UnsignedVarInt32, 2**32),
        (VarInt32, 2**31),
        (VarInt64, -(2**63) - 1),
        (String(), "x" * 32768),
        (String(), 5),
        (String(nullable=False), None),
        (CompactString(nullable=False), None),
        (Blob(compact=False, nullable=False), None),
        (Array(Int8, nullable=False), None),
        (Array(Int8), 5),
        (Array(Int8), [300]),
        (Array(("a", Int8), ("b", Int8)), [(1,)]),
        (Array(("a", Int8), ("b", Int8)), [(1, 2, 3)]),
        (Schema(("a", Int8)), ()),
        (Schema(), (1,)),
    ],
)
def test_values_that_do_not_fit_are_value_errors(type_: Any, value: Any) -> None:
    with pytest.raises(ValueError):
        type_.encode(value)


@pytest.mark.parametrize(
    ("type_", "encoded"),
    [
        (String(), b"\xff\xfe"),  # length -2
        (Bytes, b"\xff\xff\xff\xfe"),
        (Array(Int8), b"\x80\0\0\0"),
        (String(nullable=False), b"\xff\xff"),
        (CompactString(nullable=False), b"\0"),
        (Array(Int8, nullable=False), b"\xff\xff\xff\xff"),
        (String(), b"\0\x01\xff"),  # not UTF-8
        (UnsignedVarInt32, b"\x80\x80\x80\x80\x80\x01"),
        (UnsignedVarInt32, b"\xff\xff\xff\xff\x1f"),
        (VarInt64, b"\xff" * 10 + b"\x01"),
    ],
)
def test_bytes_that_cannot_be_are_value_errors(type_: Any, encoded: bytes) -> None:
    with pytest.raises(ValueError):
        type_.decode(BytesIO(encoded))


@given(st.integers(0, 2**32 - 1))
def test_unsigned_varints(value: int) -> None:
    encoded = UnsignedVarInt32.encode(value)
    assert len(encoded) == max(1, -(-value.bit_length() // 7))
    assert UnsignedVarInt32.decode(BytesIO(encoded)) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_varints(value: int) -> None:
    assert VarInt64.decode(BytesIO(VarInt64.encode(value))) == value
    if -(2**31) <= value < 2**31:
        assert VarInt32.encode(value) == VarInt64.encode(value)


def test_rows_decode_to_tuples_in_lists() -> None:
    rows = Array(("a", Int8), ("b", Array(("c", Int8))))
    encoded = rows.encode([[1, [[2], (3,)]]])
    assert rows.decode(BytesIO(encoded)) == [(1, [(2,), (3,)])]
    assert rows.encode({}) == rows.encode([]) == rows.encode(())
    assert isinstance(rows.array_of, Schema)
    assert Array(Int8).array_of is Int8


def test_an_array_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError):
        Array()


def test_schema() -> None:
    schema = Schema(("a", Int8), ("b", String("utf-8")))
    assert schema.names == ("a", "b")
    assert schema.fields[0] is Int8
    assert len(schema) == 2
    assert schema.repr((1, "x")) == "(a=1, b='x')"
    assert schema.repr(5) == "5"


def test_reprs() -> None:
    assert Int8.repr(1) == "1"
    assert Array(Int8).repr(None) == "NULL"
    assert Array(("a", Int8)).repr([(1,)]) == "[(a=1)]"
    assert Array(Int8).repr(7) == "7"
    assert Bytes.repr(b"a" * 101) == repr(b"a" * 100) + "...<101 bytes>"
    assert CompactBytes.repr(None) == "None"
    assert Blob(compact=False, nullable=True, secret=True).repr(b"password") == "<8 secret bytes>"
    assert NullableRow(Schema(("a", Int8))).repr((1,)) == "(a=1)"


class Reversed(AbstractType):
    """A type made elsewhere: text, its bytes the other way round, behind one byte of length."""

    @classmethod
    def encode(cls, value: str) -> bytes:
        return bytes((len(value),)) + value.encode()[::-1]

    @classmethod
    def decode(cls, data: BytesIO) -> str:
        return data.read(data.read(1)[0])[::-1].decode()


def test_types_made_elsewhere_work_inside_schemas() -> None:
    schema = Schema(("a", Int8), ("b", Reversed), ("c", Int8))
    encoded = schema.encode((1, "xyz", 2))
    assert encoded == b"\x01\x03zyx\x02"
    assert schema.decode(BytesIO(encoded)) == (1, "xyz", 2)


class TestTaggedFields:
    schema = Schema.flexible(
        [("name", CompactString())],
        [("size", Int32, 0, -1), ("rows", CompactArray(Int8), 3, [])],
    )

    def test_defaults_are_not_written(self) -> None:
        assert self.schema.encode(("a", -1, [])) == b"\x02a\0"
        assert self.schema.encode(("a",)) == b"\x02a\0"

    def test_others_are(self) -> None:
        encoded = self.schema.encode(("a", 5, [7]))
        assert encoded == b"\x02a\x02\0\x04\0\0\0\x05\x03\x02\x02\x07"
        assert self.schema.decode(BytesIO(encoded)) == ("a", 5, [7])

    def test_absent_ones_have_their_default(self) -> None:
        first: Any = self.schema.decode(BytesIO(b"\x02a\0"))
        assert list(first) == ["a", -1, []]
        first[2].append(1)
        assert self.schema.decode(BytesIO(b"\x02a\0")) == ("a", -1, [])

    def test_unknown_ones_are_skipped(self) -> None:
        encoded = b"\x02a\x03\0\x04\0\0\0\x05\x01\x03xyz\x09\0"
        assert self.schema.decode(BytesIO(encoded)) == ("a", 5, [])
        nothing_declared = Schema.flexible([("name", CompactString())])
        stream = BytesIO(encoded + b"!")
        assert nothing_declared.decode(stream) == ("a",)
        assert stream.read() == b"!"

    @pytest.mark.parametrize(
        "section",
        [
            b"\x01\0\x03\0\0\0\x05",  # shorter than its type
            b"\x01\0\x05\0\0\0\x05\0",  # longer than its type
            b"\x01\x05\x7fxyz",  # longer than the message
            b"\xff\xff\xff\xff\x0f",  # four billion fields
        ],
    )
    def test_sizes_are_not_trusted(self, section: bytes) -> None:
        with pytest.raises(ValueError):
            self.schema.decode(BytesIO(b"\x02a" + section))
