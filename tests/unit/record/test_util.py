"""Varints, CRC-32C and control records."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiokafka.errors import CorruptRecordException
from aiokafka.record import _select, util
from aiokafka.record.control_record import ABORT_MARKER, COMMIT_MARKER, ControlRecord

int64 = st.integers(-(2**63), 2**63 - 1)

VARINTS = [
    (0, "00"),
    (-1, "01"),
    (1, "02"),
    (63, "7e"),
    (-64, "7f"),
    (64, "8001"),
    (-65, "8101"),
    (300, "d804"),
    (2**31 - 1, "feffffff0f"),
    (-(2**31), "ffffffff0f"),
    (2**63 - 1, "feffffffffffffffff01"),
    (-(2**63), "ffffffffffffffffff01"),
]


def encoders() -> list[Any]:
    found = [util.encode_varint_py]
    if _select.compiled is not None:
        found.append(_select.compiled.encode_varint_cython)
    return found


def of(name: str) -> list[Any]:
    return [getattr(util, f"{name}_py"), getattr(util, name)]


@pytest.mark.parametrize(("value", "encoded"), VARINTS)
def test_varints(value: int, encoded: str) -> None:
    data = bytes.fromhex(encoded)
    for encode in encoders():
        out = bytearray()
        assert encode(value, out.append) == len(data)
        assert out == data
    for decode in of("decode_varint"):
        assert decode(data) == (value, len(data))
        assert decode(memoryview(b"xx" + data + b"\xff"), 2) == (value, 2 + len(data))
    for size_of in of("size_of_varint"):
        assert size_of(value) == len(data)


@given(int64)
def test_varints_round_trip(value: int) -> None:
    for encode in encoders():
        out = bytearray()
        encode(value, out.append)
        for decode in of("decode_varint"):
            assert decode(out) == (value, len(out))
        for size_of in of("size_of_varint"):
            assert size_of(value) == len(out)


@given(st.binary(max_size=12), st.integers(-1, 13))
def test_varints_of_anything(data: bytes, pos: int) -> None:
    results = []
    for decode in of("decode_varint"):
        try:
            results.append(decode(data, pos))
        except ValueError:
            results.append(None)
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\xff" * 9 + b"\x02", b"\x80" * 10, b"\xff" * 10 + b"\x01"]
)
def test_bad_varints(data: bytes) -> None:
    for decode in of("decode_varint"):
        with pytest.raises(ValueError, match="varint"):
            decode(data)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_values_beyond_64_bits(value: int) -> None:
    for encode in encoders():
        with pytest.raises(OverflowError):
            encode(value, [].append)
    for size_of in of("size_of_varint"):
        with pytest.raises(OverflowError):
            size_of(value)


def checksums() -> list[Any]:
    found = of("calc_crc32c")
    if _select.compiled is not None:
        from aiokafka.record._crecords.cutil import crc32c_portable_cython

        found.append(crc32c_portable_cython)
    return found


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        # RFC 3720, appendix B.4
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc32c(data: bytes, crc: int) -> None:
    for calculate in checksums():
        assert calculate(data) == crc
        assert calculate(memoryview(data)) == crc


@given(st.binary(max_size=100), st.integers(0, 100), st.integers(0, 9))
def test_crc32c_in_parts(data: bytes, cut: int, skip: int) -> None:
    part = memoryview(data)[skip:]  # not aligned
    expected = util.calc_crc32c_py(part)
    for calculate in checksums():
        assert calculate(part) == expected
        assert calculate(part[cut:], calculate(part[:cut])) == expected


def test_control_records() -> None:
    assert ControlRecord.parse(b"\x00\x00\x00\x00") == ABORT_MARKER
    assert ControlRecord.parse(b"\x00\x00\x00\x01") == COMMIT_MARKER
    other = ControlRecord.parse(b"\xff\xfe\xff\xfdmore")
    assert (other.version, other.type_) == (0xFFFE, 0xFFFD)
    assert repr(COMMIT_MARKER) == "ControlRecord(version=0, type_=1)"
    assert ABORT_MARKER != COMMIT_MARKER
    assert ABORT_MARKER != (0, 0)
    assert len({ABORT_MARKER, ControlRecord(0, 0), COMMIT_MARKER}) == 2
    with pytest.raises(AttributeError):
        ABORT_MARKER.version = 1  # type: ignore[misc]
    with pytest.raises(CorruptRecordException):
        ControlRecord.parse(b"\0\0\0")


def test_choice_of_the_implementation() -> None:
    """The environment decides, and everything follows the one decision."""
    code = (
        "from aiokafka.record import _select, default_records as d;"
        "from aiokafka.record import memory_records as m, util as u;"
        "assert _select.compiled is None;"
        "assert d.DefaultRecordBatchBuilder is d._DefaultRecordBatchBuilderPy;"
        "assert m.MemoryRecords is m._MemoryRecordsPy;"
        "assert u.calc_crc32c is u.calc_crc32c_py"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={"AIOKAFKA_NO_EXTENSIONS": "1", "PYTHONPATH": ":".join(sys.path)},
    )
