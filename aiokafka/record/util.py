"""Varints and CRC-32C.

A varint is a zig-zag encoded integer of at most 64 bits, seven bits a byte, lowest
first (https://kafka.apache.org/protocol#protocol_types, VARINT and VARLONG). Pure
functions; each has a plain Python form with the suffix ``_py``.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._select import choose

__all__ = ["calc_crc32c", "decode_varint", "encode_varint", "size_of_varint"]

_INT64_MIN = -(2**63)
_INT64_MAX = 2**63 - 1
_POLYNOMIAL = 0x82F63B78


def to_int(value: Any, what: str) -> int:
    """`value` as an int of 64 bits.

    Raises TypeError naming `what` unless it is an integer, OverflowError when it
    needs more bits.
    """
    if type(value) is not int:
        try:
            value = operator.index(value)
        except TypeError:
            raise TypeError(f"{what} must be an int, not {type(value).__name__}") from None
    if not _INT64_MIN <= value <= _INT64_MAX:
        raise OverflowError(f"{what} {value} does not fit in 64 bits")
    return int(value)


def as_bytes(value: bytes | bytearray | memoryview) -> bytes:
    """Any bytes-like object as bytes.

    Raises TypeError for anything else, BufferError for memory with gaps.
    """
    if isinstance(value, bytes):
        return value
    view = memoryview(value)
    if not view.c_contiguous:
        raise BufferError("the buffer is not contiguous")
    return bytes(view)


def encode_varint_py(value: int, write: Callable[[int], object]) -> int:
    """Pass the bytes of `value`, each as an int, to `write`; return their number.

    Raises OverflowError beyond 64 bits.
    """
    value = to_int(value, "value")
    value = (value << 1) ^ (value >> 63)
    size = 1
    while value > 0x7F:
        write(value & 0x7F | 0x80)
        value >>= 7
        size += 1
    write(value)
    return size


def size_of_varint_py(value: int) -> int:
    """Bytes that `value` takes as a varint. Raises OverflowError beyond 64 bits."""
    value = to_int(value, "value")
    value = (value << 1) ^ (value >> 63)
    return (value.bit_length() + 6) // 7 or 1


def decode_varint_py(buffer: bytes | bytearray | memoryview, pos: int = 0) -> tuple[int, int]:
    """Read a varint from `buffer` at `pos`: ``(value, next_pos)``.

    Raises ValueError when it is truncated or needs more than 64 bits.
    """
    if pos < 0 or pos > len(buffer):
        raise ValueError(f"position {pos} is outside of the buffer")
    result = shift = 0
    for pos in range(pos, min(pos + 10, len(buffer))):  # noqa: B020 - goes on from it
        byte = buffer[pos]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            if result >= 2**64:
                break
            return (result >> 1) ^ -(result & 1), pos + 1
        shift += 7
    raise ValueError("varint is truncated or out of the range of 64 bits")


@functools.cache
def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


def calc_crc32c_py(data: bytes | bytearray | memoryview, crc: int = 0) -> int:
    """CRC-32C (Castagnoli) of `data` as an unsigned int, continuing from `crc`."""
    table = _crc32c_table()
    crc ^= 0xFFFFFFFF
    for byte in memoryview(data).cast("B"):
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# A call per byte is not worth compiling: the encoders write varints themselves.
encode_varint = encode_varint_py

if TYPE_CHECKING:
    decode_varint = decode_varint_py
    size_of_varint = size_of_varint_py
    calc_crc32c = calc_crc32c_py
else:
    decode_varint = choose("decode_varint_cython", decode_varint_py)
    size_of_varint = choose("size_of_varint_cython", size_of_varint_py)
    calc_crc32c = choose("crc32c_cython", calc_crc32c_py)
