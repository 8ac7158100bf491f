"""Builder of message sets of magic 0 and 1 in plain Python.

Owns the bytes of a message set until it is built. Pure computation: no tasks, no
futures, no I/O. Its compiled twin is in ``_crecords/legacy_records.pyx``: a change
here is a change there.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from zlib import crc32

from aiokafka.util import INTEGER_MAX_VALUE

from ._compression import check_legacy_codec, compress
from ._legacy_layout import LegacyRecordBase
from ._protocols import Buffer, Header, LegacyRecordMetadataProtocol
from .util import as_bytes, to_int

__all__: list[str] = []


class _LegacyRecordMetadataPy:
    """Where an appended record went: offset, CRC, size in bytes, timestamp in ms."""

    __slots__ = ("_crc", "_offset", "_size", "_timestamp")

    def __init__(self, offset: int, crc: int, size: int, timestamp: int) -> None:
        self._offset = offset
        self._crc = crc
        self._size = size
        self._timestamp = timestamp

    @property
    def offset(self) -> int:
        return self._offset

    @property
    def crc(self) -> int:
        return self._crc

    @property
    def size(self) -> int:
        return self._size

    @property
    def timestamp(self) -> int:
        """-1 for magic 0, which has none."""
        return self._timestamp

    def __repr__(self) -> str:
        return (
            f"LegacyRecordMetadata(offset={self._offset}, crc={self._crc}, "
            f"size={self._size}, timestamp={self._timestamp})"
        )


def _sized(value: bytes | None) -> bytes:
    if value is None:
        return b"\xff\xff\xff\xff"
    if len(value) > INTEGER_MAX_VALUE - 64:
        raise ValueError("a message must be smaller than 2 GiB")
    return struct.pack(">i", len(value)) + value


class _LegacyRecordBatchBuilderPy(LegacyRecordBase):
    """Builds one message set of magic 0 or 1.

    Parameters:
        magic: 0 or 1.
        compression_type: a ``CODEC_*``; whether it is usable is checked by `build`.
        batch_size: limit in bytes, before compression. The first record is exempt.
    """

    def __init__(self, magic: int, compression_type: int, batch_size: int) -> None:
        self.record_overhead(magic)
        self._magic = magic
        self._compression_type = compression_type & self.CODEC_MASK
        self._batch_size = batch_size
        self._messages = bytearray()
        self._last_offset = 0
        self._max_timestamp = -1

    def append(
        self,
        offset: int,
        timestamp: int | None,
        key: Buffer | None,
        value: Buffer | None,
        headers: Sequence[Header] | None = None,
    ) -> LegacyRecordMetadataProtocol | None:
        """Append a record; None when the message set is full.

        Raises ValueError for headers, which these formats do not have.
        """
        if headers:
            raise ValueError(f"magic {self._magic} has no record headers")
        offset = to_int(offset, "offset")
        if self._magic == 0:
            timestamp = -1
        elif timestamp is None:
            timestamp = int(time.time() * 1000)
        else:
            timestamp = to_int(timestamp, "timestamp")
        key = None if key is None else as_bytes(key)
        value = None if value is None else as_bytes(value)
        size = self.size_in_bytes(offset, timestamp, key, value)
        end = len(self._messages) + size
        if self._messages and (end > self._batch_size or end > INTEGER_MAX_VALUE):
            return None
        message, crc = self._encode(offset, 0, timestamp, key, value)
        self._messages += message
        self._last_offset = offset
        self._max_timestamp = max(self._max_timestamp, timestamp)
        return _LegacyRecordMetadataPy(offset, crc, size, timestamp)

    def _encode(
        self, offset: int, attributes: int, timestamp: int, key: bytes | None, value: bytes | None
    ) -> tuple[bytes, int]:
        """A message and its CRC."""
        fields = [struct.pack(">bb", self._magic, attributes)]
        if self._magic:
            fields.append(struct.pack(">q", timestamp))
        fields += _sized(key), _sized(value)
        body = b"".join(fields)
        crc = crc32(body)
        return struct.pack(">qiI", offset, len(body) + 4, crc) + body, crc

    def build(self) -> bytearray:
        """The message set as bytes. Raises UnsupportedCodecError.

        May be called again, and gives a new bytearray each time.
        """
        if self._compression_type == self.CODEC_NONE:
            return bytearray(self._messages)
        check_legacy_codec(self._compression_type, self._magic)
        packed = compress(self._compression_type, self._messages, None)
        # The offset of a message that holds others is that of the last of them.
        message, _ = self._encode(
            self._last_offset, self._compression_type, self._max_timestamp, None, packed
        )
        return bytearray(message)

    def size(self) -> int:
        """Size in bytes of the message set so far, before compression."""
        return len(self._messages)

    def size_in_bytes(
        self, offset: int, timestamp: int, key: Buffer | None, value: Buffer | None
    ) -> int:
        """Bytes that this record would add."""
        key = None if key is None else as_bytes(key)
        value = None if value is None else as_bytes(value)
        return (
            self.LOG_OVERHEAD
            + self.record_overhead(self._magic)
            + (len(key) if key is not None else 0)
            + (len(value) if value is not None else 0)
        )

    @classmethod
    def record_overhead(cls, magic: int) -> int:
        """Bytes of a message besides offset, size, key and value.

        Raises ValueError unless `magic` is 0 or 1.
        """
        if magic == 0:
            return cls.RECORD_OVERHEAD_V0
        if magic == 1:
            return cls.RECORD_OVERHEAD_V1
        raise ValueError(f"magic must be 0 or 1, not {magic}")
