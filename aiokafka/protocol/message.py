"""Messages of the formats before record batches (magic 0 and 1), kept for users of the names.

The clients read and write records through :mod:`aiokafka.record`.

Page: https://kafka.apache.org/documentation/#messageset
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from typing import Any, ClassVar

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode
from aiokafka.errors import UnsupportedCodecError

from .abstract import AbstractType
from .struct import Struct
from .types import Bytes, Int8, Int32, Int64, Schema, UInt32

_CODEC_MASK = 0x07
_TIMESTAMP_TYPE_MASK = 0x08
_DECODERS = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode}
_MAX_MAGIC = 1
_NO_TIMESTAMP = -1


class Message(Struct):
    """One message.

    Parameters:
        value, key: bytes or None.
        magic: 0, or 1 for messages with a timestamp.
        attributes: codec in the lowest three bits, type of the timestamp in the fourth.
        crc: CRC-32 of all that follows it on the wire.
        timestamp: milliseconds since the epoch, -1 for none; magic 0 has no place for it.
    """

    SCHEMAS: ClassVar[tuple[Schema, Schema]] = (
        Schema(
            ("crc", UInt32),
            ("magic", Int8),
            ("attributes", Int8),
            ("key", Bytes),
            ("value", Bytes),
        ),
        Schema(
            ("crc", UInt32),
            ("magic", Int8),
            ("attributes", Int8),
            ("timestamp", Int64),
            ("key", Bytes),
            ("value", Bytes),
        ),
    )
    SCHEMA = SCHEMAS[1]
    CODEC_MASK = _CODEC_MASK
    CODEC_GZIP = 1
    CODEC_SNAPPY = 2
    CODEC_LZ4 = 3
    _crc_of_source: int

    def __init__(
        self,
        *,
        value: bytes | None,
        key: bytes | None = None,
        magic: int = 0,
        attributes: int = 0,
        crc: int = 0,
        timestamp: int | None = None,
    ) -> None:
        if value is not None and not isinstance(value, bytes):
            raise ValueError("the value of a message must be bytes")
        if key is not None and not isinstance(key, bytes):
            raise ValueError("the key of a message must be bytes")
        if not 0 <= magic <= _MAX_MAGIC:
            raise ValueError(f"messages have magic 0 or 1, not {magic}")
        if magic > 0 and timestamp is None:
            timestamp = _NO_TIMESTAMP
        super().__init__(
            crc=crc, magic=magic, attributes=attributes, timestamp=timestamp, key=key, value=value
        )

    @property
    def timestamp_type(self) -> int | None:
        """0 for create time, 1 for log-append time, None for magic 0, which has no timestamp."""
        if self.magic == 0:
            return None
        return 1 if self.attributes & _TIMESTAMP_TYPE_MASK else 0

    def encode(self, recalc_crc: bool = True) -> bytes:
        """Return the bytes of this message, by default with a fresh checksum."""
        schema = self.SCHEMAS[self.magic]
        encoded = schema.encode([getattr(self, name) for name in schema.names])
        if not recalc_crc:
            return encoded
        self.crc = zlib.crc32(encoded[4:])
        return UInt32.encode(self.crc) + encoded[4:]

    @classmethod
    def decode(cls, data: Any) -> Message:
        """Read one message from bytes or a stream."""
        raw = data.read() if isinstance(data, io.BytesIO) else bytes(data)
        if len(raw) < 6:
            raise ValueError(f"{len(raw)} bytes are too few for a message")
        magic = raw[4]
        if magic > _MAX_MAGIC:
            raise ValueError(f"messages have magic 0 or 1, not {magic}")
        schema = cls.SCHEMAS[magic]
        values = schema.decode(io.BytesIO(raw))
        message = cls(**dict(zip(schema.names, values, strict=True)))
        message._crc_of_source = zlib.crc32(raw[4:])
        return message

    def validate_crc(self) -> bool:
        """Whether the checksum fits the bytes the message came from, or else would become."""
        expected: int | None = self.__dict__.get("_crc_of_source")
        if expected is None:
            expected = zlib.crc32(self.encode(recalc_crc=False)[4:])
        return bool(self.crc == expected)

    def is_compressed(self) -> bool:
        """Whether the value is a compressed message set."""
        return bool(self.attributes & _CODEC_MASK)

    def decompress(self) -> list[tuple[Any, Any, Any]]:
        """Return the messages inside, as :meth:`MessageSet.decode` does.

        Raises ``UnsupportedCodecError`` for an unknown codec or one without its library.
        """
        codec = self.attributes & _CODEC_MASK
        if codec not in _DECODERS:
            raise UnsupportedCodecError(f"unknown compression codec {codec}")
        raw = _DECODERS[codec](self.value)
        return MessageSet.decode(raw, bytes_to_read=len(raw))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        mine, theirs = dict(self.__dict__), dict(other.__dict__)
        for ignored in ("crc", "_crc_of_source"):
            mine.pop(ignored, None)
            theirs.pop(ignored, None)
        return mine == theirs

    __hash__ = object.__hash__


class PartialMessage(bytes):
    """The bytes of a message that was cut off at the end of a fetch response."""

    def __repr__(self) -> str:
        return f"PartialMessage({bytes(self)!r})"


class MessageSet(AbstractType):
    """Messages one after the other, each behind its offset and size."""

    ITEM = Schema(("offset", Int64), ("message", Bytes))
    HEADER_SIZE = 12  # offset and size

    @classmethod
    def encode(cls, items: Iterable[tuple[int, bytes]], prepend_size: bool = True) -> bytes:
        """Encode ``(offset, encoded message)`` pairs, by default behind their size in bytes."""
        encoded = b"".join(cls.ITEM.encode(item) for item in items)
        return Int32.encode(len(encoded)) + encoded if prepend_size else encoded

    @classmethod
    def decode(cls, data: Any, bytes_to_read: int | None = None) -> list[tuple[Any, Any, Any]]:
        """Return ``(offset, size, message)`` for each message.

        Parameters:
            data: bytes or a stream.
            bytes_to_read: size of the set; None when its size stands in front of it.

        A message that is cut off at the end comes as ``(None, None, PartialMessage)``.
        """
        stream = data if isinstance(data, io.BytesIO) else io.BytesIO(bytes(data))
        if bytes_to_read is None:
            bytes_to_read = Int32.decode(stream)
        raw = stream.read(max(0, bytes_to_read))
        items: list[tuple[Any, Any, Any]] = []
        position = 0
        while position < len(raw):
            start = position + cls.HEADER_SIZE
            if start > len(raw):
                items.append((None, None, PartialMessage(raw[position:])))
                break
            offset = int.from_bytes(raw[position : position + 8], "big", signed=True)
            size = int.from_bytes(raw[position + 8 : start], "big", signed=True)
            if size < 0:
                raise ValueError(f"a message cannot have {size} bytes")
            position = start + size
            if position > len(raw):
                items.append((None, None, PartialMessage(raw[start:])))
                break
            items.append((offset, size, Message.decode(raw[start:position])))
        return items

    @classmethod
    def repr(cls, value: Any) -> str:
        """Return a set, encoded or decoded, as text."""
        if isinstance(value, (bytes, io.BytesIO)):
            raw = value.getvalue() if isinstance(value, io.BytesIO) else value
            try:
                value = cls.decode(raw, bytes_to_read=len(raw))
            except ValueError:
                return f"<{len(raw)} bytes that are no message set>"
        return f"[{', '.join(map(str, value))}]"
