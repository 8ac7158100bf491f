"""Reader of messages of magic 0 and 1 in plain Python.

Owns the buffer of one message while it is read. Pure computation: no tasks, no
futures, no I/O. Its compiled twin is in ``_crecords/legacy_records.pyx``: a change
here is a change there. Nothing in the data is trusted: a length is checked before
anything of that size is made.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

from aiokafka.errors import CorruptRecordException

from ._compression import check_legacy_codec, decompress
from ._legacy_layout import LegacyRecordBase
from ._protocols import Buffer

__all__: list[str] = []


class _LegacyRecordPy:
    """One message: offset, timestamp in ms, key and value."""

    __slots__ = ("_crc", "_key", "_offset", "_timestamp", "_timestamp_type", "_value")

    def __init__(
        self,
        offset: int,
        timestamp: int | None,
        timestamp_type: int | None,
        key: bytes | None,
        value: bytes | None,
        crc: int,
    ) -> None:
        self._offset = offset
        self._timestamp = timestamp
        self._timestamp_type = timestamp_type
        self._key = key
        self._value = value
        self._crc = crc

    @property
    def offset(self) -> int:
        return self._offset

    @property
    def timestamp(self) -> int | None:
        """None for magic 0."""
        return self._timestamp

    @property
    def timestamp_type(self) -> int | None:
        """None for magic 0."""
        return self._timestamp_type

    @property
    def key(self) -> bytes | None:
        return self._key

    @property
    def value(self) -> bytes | None:
        return self._value

    @property
    def headers(self) -> list[Any]:
        return []

    @property
    def checksum(self) -> int:
        return self._crc

    def __repr__(self) -> str:
        return (
            f"LegacyRecord(offset={self._offset}, timestamp={self._timestamp}, "
            f"timestamp_type={self._timestamp_type}, key={self._key!r}, "
            f"value={self._value!r}, crc={self._crc})"
        )


class _Message(NamedTuple):
    offset: int
    crc: int
    attributes: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    end: int


def _corrupt(what: str) -> CorruptRecordException:
    return CorruptRecordException(f"Corrupt message: {what}")


class _LegacyRecordBatchPy(LegacyRecordBase):
    """One message as read from a broker, with the messages inside it.

    Iterable. Raises CorruptRecordException, here and later, for a structure that
    cannot be, and UnsupportedCodecError when the records are asked for.
    """

    is_control_batch = False
    is_transactional = False
    producer_id: None = None

    def __init__(self, buffer: Buffer, magic: int) -> None:
        self._buffer = memoryview(buffer).cast("B")
        self._magic = magic
        self._header = self.HEADER_STRUCT_V1 if magic else self.HEADER_STRUCT_V0
        self._overhead = self.RECORD_OVERHEAD_V1 if magic else self.RECORD_OVERHEAD_V0
        if len(self._buffer) < self.LOG_OVERHEAD + self._overhead:
            raise _corrupt(f"{len(self._buffer)} bytes are less than its header")
        fields = self._header.unpack_from(self._buffer)
        self._offset: int = fields[0]
        self._crc: int = fields[2]
        self._attributes: int = fields[4]

    @property
    def compression_type(self) -> int:
        return self._attributes & self.CODEC_MASK

    @property
    def timestamp_type(self) -> int | None:
        """None for magic 0."""
        return self._timestamp_type(self._attributes)

    @property
    def next_offset(self) -> int:
        return self._offset + 1

    def validate_crc(self) -> bool:
        """Whether the checksum is right."""
        return self._crc == crc32(self._buffer[self.MAGIC_OFFSET :])

    def _timestamp_type(self, attributes: int) -> int | None:
        if self._magic == 0:
            return None
        return self.LOG_APPEND_TIME if attributes & self.TIMESTAMP_TYPE_MASK else self.CREATE_TIME

    def _read(self, data: memoryview, pos: int) -> _Message:
        """The message at `pos`, which must be whole."""
        left = len(data) - pos
        if left < self.LOG_OVERHEAD + self._overhead:
            raise _corrupt(f"{left} bytes left are less than a header")
        fields = self._header.unpack_from(data, pos)
        size, magic = fields[1], fields[3]
        if magic != self._magic:
            raise _corrupt(f"magic {magic} inside of magic {self._magic}")
        if size < self._overhead or size > left - self.LOG_OVERHEAD:
            raise _corrupt(f"a message of {size} bytes with {left - self.LOG_OVERHEAD} left")
        end = pos + self.LOG_OVERHEAD + size
        key, pos = self._sized(data, pos + self._header.size, end)
        value, pos = self._sized(data, pos, end)
        if pos != end:
            raise _corrupt(f"{end - pos} bytes left after the value")
        timestamp = fields[5] if magic else -1
        return _Message(fields[0], fields[2], fields[4], timestamp, key, value, end)

    @staticmethod
    def _sized(data: memoryview, pos: int, end: int) -> tuple[bytes | None, int]:
        """Read a length (-1: null) and that many bytes before `end`."""
        if end - pos < 4:
            raise _corrupt("a length is truncated")
        (length,) = struct.unpack_from(">i", data, pos)
        pos += 4
        if length < -1 or length > end - pos:
            raise _corrupt(f"length {length} with {end - pos} bytes left")
        if length < 0:
            return None, pos
        return bytes(data[pos : pos + length]), pos + length

    def __iter__(self) -> Iterator[_LegacyRecordPy]:
        return iter(self._records())

    def _records(self) -> list[_LegacyRecordPy]:
        outer = self._read(self._buffer, 0)
        if outer.end != len(self._buffer):
            raise _corrupt(f"{len(self._buffer) - outer.end} bytes left after it")
        if not self.compression_type:
            return [self._record(outer, outer, 0)]
        check_legacy_codec(self.compression_type, self._magic)
        if outer.value is None:
            raise _corrupt("a codec without a value")
        data = memoryview(decompress(self.compression_type, outer.value))
        inner = []
        pos = 0
        while pos < len(data):
            message = self._read(data, pos)
            if message.attributes & self.CODEC_MASK:
                raise _corrupt("compression inside of compression")
            inner.append(message)
            pos = message.end
        # Magic 1 counts inner offsets from 0 (KIP-31): the last is the outer's.
        base = outer.offset - inner[-1].offset if inner and self._magic else 0
        return [self._record(message, outer, base) for message in inner]

    def _record(self, message: _Message, outer: _Message, base: int) -> _LegacyRecordPy:
        timestamp: int | None = None
        if self._magic:
            # Log append time is known to the broker alone, which writes it outside.
            stamped = outer if outer.attributes & self.TIMESTAMP_TYPE_MASK else message
            timestamp = stamped.timestamp
        return _LegacyRecordPy(
            (message.offset + base + 2**63) % 2**64 - 2**63,
            timestamp,
            self.timestamp_type,
            message.key,
            message.value,
            message.crc,
        )
