"""Helpers called by generated encoders and decoders: the cases too rare to be worth inlining.

All of them raise ``ValueError`` for bytes that cannot be right, before memory is set aside for
what the bytes claim to hold.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

Buffer = bytes | bytearray | memoryview

#: The one-byte varints, which are nearly all there are.
SMALL_VARINTS = tuple(bytes((n,)) for n in range(128))

_UUID_CACHE_SIZE = 8192
_uuid_cache: dict[bytes, Any] = {}
ZERO_UUID_BYTES = bytes(16)


def bad_null(label: str) -> NoReturn:
    raise ValueError(f"{label} is null, which the protocol does not allow")


def bad_length(label: str, length: int) -> NoReturn:
    raise ValueError(f"{label} has an impossible length: {length}")


def bad_row(label: str, expected: int, actual: int) -> NoReturn:
    raise ValueError(f"{label} takes {expected} fields, got {actual}")


def truncated(label: str, exc: BaseException | None = None) -> NoReturn:
    raise ValueError(f"truncated {label}") from exc


def unencodable(label: str, exc: BaseException) -> NoReturn:
    raise ValueError(f"cannot encode {label}: {exc}") from exc


# --- variable-length integers ---------------------------------------------------------------


def write_uvarint(value: int, bits: int = 32) -> bytes:
    """Encode an unsigned integer, seven bits a byte, the lowest first."""
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{value} is out of range for an unsigned varint of {bits} bits")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def more_uvarint(buf: Buffer, pos: int, first: int, bits: int = 32) -> tuple[int, int]:
    """Continue an unsigned varint whose first byte (128 or more) has been read."""
    value = first & 127
    shift = 7
    while True:
        byte = buf[pos]
        pos += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift >= bits:
            raise ValueError(f"a varint of {bits} bits does not end")
    if value >> bits:
        raise ValueError(f"{value} is out of range for a varint of {bits} bits")
    return value, pos


def read_uvarint(buf: Buffer, pos: int, bits: int = 32) -> tuple[int, int]:
    """Read an unsigned varint: its value and the position behind it."""
    first = buf[pos]
    if first < 128:
        return first, pos + 1
    return more_uvarint(buf, pos + 1, first, bits)


def write_varint(value: int, bits: int) -> bytes:
    """Encode a signed integer as a zigzag varint."""
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError(f"{value} is out of range for a varint of {bits} bits")
    return write_uvarint((value << 1) ^ (value >> bits - 1), bits)


def read_varint(buf: Buffer, pos: int, bits: int) -> tuple[int, int]:
    """Read a zigzag varint: its value and the position behind it."""
    value, pos = read_uvarint(buf, pos, bits)
    return (value >> 1) ^ -(value & 1), pos


# --- tagged fields (KIP-482) ------------------------------------------------------------------


def skip_tags(buf: Buffer, pos: int, end: int, count: int) -> int:
    """Step over ``count`` tagged fields nobody declared; the position behind them."""
    if count > 127:
        count, pos = more_uvarint(buf, pos, count)
    for _ in range(count):
        _, pos = read_uvarint(buf, pos)
        size, pos = read_uvarint(buf, pos)
        pos += size
        if pos > end:
            truncated("tagged field")
    return pos


def read_tags(buf: Buffer, pos: int, end: int) -> tuple[dict[int, bytes], int]:
    """Read a whole section of tagged fields as ``{tag: raw bytes}``."""
    tags: dict[int, bytes] = {}
    count, pos = read_uvarint(buf, pos)
    for _ in range(count):
        tag, pos = read_uvarint(buf, pos)
        size, pos = read_uvarint(buf, pos)
        if pos + size > end:
            truncated("tagged field")
        tags[tag] = bytes(buf[pos : pos + size])
        pos += size
    return tags, pos


def write_tags(tags: Mapping[int, bytes] | None) -> bytes:
    """Encode ``{tag: raw bytes}``; None is an empty section."""
    if not tags:
        return b"\0"
    out = bytearray(write_uvarint(len(tags)))
    for tag in sorted(tags):
        data = tags[tag]
        out += write_uvarint(tag)
        out += write_uvarint(len(data))
        out += data
    return bytes(out)


# --- the rest ---------------------------------------------------------------------------------


def read_uuid(raw: bytes) -> UUID:
    """The UUID of 16 bytes.

    Topic ids come back with every response and building a UUID costs more than decoding the rest
    of its row, so they are kept; dropping all of them at the limit bounds the memory.
    """
    found = _uuid_cache.get(raw)
    if found is not None:
        return found  # type: ignore[no-any-return]
    # Imported late: most of the time it takes to import this package would be this module.
    from uuid import UUID

    if len(_uuid_cache) >= _UUID_CACHE_SIZE:
        _uuid_cache.clear()
    made = _uuid_cache[raw] = UUID(bytes=raw)
    return made


def write_uuid(value: UUID | None) -> bytes:
    """The 16 bytes of a UUID; None is the zero id, "no such topic"."""
    return ZERO_UUID_BYTES if value is None else value.bytes


def complete_row(
    row: Sequence[Any], required: int, optional: Sequence[Any], label: str
) -> Iterable[Any]:
    """Append the defaults of the optional fields that ``row`` leaves out at its end."""
    missing = required + len(optional) - len(row)
    if not 0 < missing <= len(optional):
        bad_row(label, required + len(optional), len(row))
    return (*row, *optional[len(optional) - missing :])


def read_foreign(type_: Any, buf: Buffer, pos: int) -> tuple[Any, int]:
    """Decode a value of a type that only knows how to read a stream."""
    stream = BytesIO(bytes(buf[pos:]))
    value = type_.decode(stream)
    return value, pos + stream.tell()


def read_many_fixed(code: str, size: int, count: int, buf: Buffer, pos: int) -> list[Any]:
    """Read a long array of fixed-size values (the caller has checked that they are there)."""
    return list(struct.unpack_from(f">{count}{code}", buf, pos))
