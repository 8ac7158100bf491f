"""Builder of record batches of magic 2 in plain Python.

Owns the bytes of a batch until it is built. Pure computation: no tasks, no futures,
no I/O. Its compiled twin is in ``_crecords/default_records.pyx``: a change here is
a change there.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from typing import Any

from aiokafka.util import INTEGER_MAX_VALUE

from ._compression import check_level, compress
from ._default_layout import DefaultRecordBase
from ._protocols import Buffer, DefaultRecordMetadataProtocol, Header
from .util import as_bytes, calc_crc32c, to_int

__all__: list[str] = []

_ONE_BYTE = [bytes([value]) for value in range(0x80)]


def _varint(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    if value < 0x80:
        return _ONE_BYTE[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _sized(value: Buffer | None) -> bytes:
    """A bytes-like object, or None, after its length."""
    if value is None:
        return b"\x01"
    data = as_bytes(value)
    if len(data) > INTEGER_MAX_VALUE:
        raise ValueError("a record must be smaller than 2 GiB")
    return _varint(len(data)) + data


def _encode_headers(headers: Sequence[Header] | None) -> bytes:
    if headers is None:
        return b"\0"
    if not isinstance(headers, (list, tuple)):
        raise TypeError(
            f"headers must be a list of (str, bytes) tuples, not {type(headers).__name__}"
        )
    if not headers:
        return b"\0"
    parts = [_varint(len(headers))]
    for header in headers:
        if not isinstance(header, (list, tuple)) or len(header) != 2:
            raise TypeError(f"a header must be a tuple (str, bytes), not {header!r}")
        key, value = header
        if not isinstance(key, str):
            raise TypeError(f"a header's key must be a str, not {type(key).__name__}")
        parts.append(_sized(key.encode("utf-8")))
        parts.append(_sized(value))
    return b"".join(parts)


def _ranged(value: Any, bits: int, what: str) -> int:
    value = to_int(value, what)
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise OverflowError(f"{what} {value} does not fit in {bits} bits")
    return int(value)


class _DefaultRecordMetadataPy:
    """Where an appended record went: relative offset, size in bytes, timestamp in ms."""

    __slots__ = ("_offset", "_size", "_timestamp")

    def __init__(self, offset: int, size: int, timestamp: int) -> None:
        self._offset = offset
        self._size = size
        self._timestamp = timestamp

    @property
    def offset(self) -> int:
        return self._offset

    @property
    def crc(self) -> None:
        return None

    @property
    def size(self) -> int:
        return self._size

    @property
    def timestamp(self) -> int:
        return self._timestamp

    def __repr__(self) -> str:
        return (
            f"DefaultRecordMetadata(offset={self._offset}, size={self._size}, "
            f"timestamp={self._timestamp})"
        )


class _DefaultRecordBatchBuilderPy(DefaultRecordBase):
    """Builds one record batch of magic 2.

    Parameters:
        magic: 2.
        compression_type: a ``CODEC_*``; whether it is usable is checked by `build`.
        is_transactional: whether the batch belongs to a transaction.
        producer_id, producer_epoch, base_sequence: state of an idempotent producer,
            -1 without one.
        batch_size: limit in bytes, before compression. The first record is exempt.
        compression_level: level of the codec (KIP-390), None for its default.
            Raises ValueError out of the codec's range.

            .. versionadded:: 0.14.1
    """

    # Java's upper bound of what a record takes besides key, value and headers:
    # length (5) + attributes (1) + timestamp delta (10) + offset delta (5)
    MAX_RECORD_OVERHEAD = 21

    def __init__(
        self,
        magic: int,
        compression_type: int,
        is_transactional: int,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        batch_size: int,
        *,
        compression_level: int | None = None,
    ) -> None:
        if magic < 2:
            raise ValueError(f"magic must be 2 or more, not {magic}")
        check_level(compression_type, compression_level)
        self._magic = magic
        self._compression_type = compression_type & self.CODEC_MASK
        self._compression_level = compression_level
        self._is_transactional = bool(is_transactional)
        self._batch_size = batch_size
        self.set_producer_state(producer_id, producer_epoch, base_sequence)
        self._records = bytearray()
        self._num_records = 0
        self._last_offset = 0
        self._first_timestamp = -1
        self._max_timestamp = -1

    @property
    def producer_id(self) -> int:
        return self._producer_id

    @property
    def producer_epoch(self) -> int:
        return self._producer_epoch

    @property
    def base_sequence(self) -> int:
        return self._base_sequence

    def set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int
    ) -> None:
        """Set what the next `build` writes as producer id, epoch and first sequence."""
        new_id = _ranged(producer_id, 64, "producer_id")
        new_epoch = _ranged(producer_epoch, 16, "producer_epoch")
        self._base_sequence = _ranged(base_sequence, 32, "base_sequence")
        self._producer_id = new_id
        self._producer_epoch = new_epoch

    def append(
        self,
        offset: int,
        timestamp: int | None,
        key: Buffer | None,
        value: Buffer | None,
        headers: Sequence[Header] | None,
    ) -> DefaultRecordMetadataProtocol | None:
        """Append a record; None when the batch is full.

        The first record always fits. `offset` is relative to the batch, `timestamp`
        in milliseconds (None: now). Raises TypeError for wrong types, ValueError for
        an impossible offset or a record beyond 2 GiB, OverflowError for timestamps
        out of 64 bits.
        """
        offset = to_int(offset, "offset")
        if timestamp is None:
            timestamp = int(time.time() * 1000)
        else:
            timestamp = to_int(timestamp, "timestamp")
        record = self._encode(offset, timestamp, _sized(key), _sized(value), headers)
        size = len(record)
        if self._num_records:
            end = self.size() + size
            if end > self._batch_size or end > INTEGER_MAX_VALUE:
                return None
            self._max_timestamp = max(self._max_timestamp, timestamp)
        else:
            self._first_timestamp = self._max_timestamp = timestamp
        self._records += record
        self._num_records += 1
        self._last_offset = offset
        return _DefaultRecordMetadataPy(offset, size, timestamp)

    def _encode(
        self,
        offset: int,
        timestamp: int,
        key: bytes,
        value: bytes,
        headers: Sequence[Header] | None,
    ) -> bytes:
        encoded_headers = _encode_headers(headers)
        if not 0 <= offset <= INTEGER_MAX_VALUE:
            raise ValueError(f"offset {offset} is not a relative offset of a batch")
        delta = self._timestamp_delta(timestamp)
        if len(key) + len(value) + len(encoded_headers) > INTEGER_MAX_VALUE - 64:
            raise ValueError("a record must be smaller than 2 GiB")
        body = b"".join((b"\0", _varint(delta), _varint(offset), key, value, encoded_headers))
        return _varint(len(body)) + body

    def _timestamp_delta(self, timestamp: int) -> int:
        if not self._num_records:
            return 0
        return _ranged(timestamp - self._first_timestamp, 64, "timestamp delta")

    def size(self) -> int:
        """Size in bytes of the batch so far, before compression; 61 when empty."""
        return self.HEADER_STRUCT.size + len(self._records)

    def size_in_bytes(
        self,
        offset: int,
        timestamp: int,
        key: Buffer | None,
        value: Buffer | None,
        headers: Sequence[Header] | None,
    ) -> int:
        """Bytes that this record would add to the batch."""
        delta = 0
        if self._num_records:
            delta = self._timestamp_delta(to_int(timestamp, "timestamp"))
        body = (
            1
            + len(_varint(delta))
            + len(_varint(to_int(offset, "offset")))
            + self.size_of(key, value, headers)
        )
        return len(_varint(body)) + body

    @classmethod
    def size_of(
        cls, key: Buffer | None, value: Buffer | None, headers: Sequence[Header] | None
    ) -> int:
        """Bytes of key, value and headers with their lengths."""
        return len(_sized(key)) + len(_sized(value)) + len(_encode_headers(headers))

    @classmethod
    def estimate_size_in_bytes(
        cls, key: Buffer | None, value: Buffer | None, headers: Sequence[Header] | None
    ) -> int:
        """Upper bound of the size of a batch that holds only this record."""
        return cls.HEADER_STRUCT.size + cls.MAX_RECORD_OVERHEAD + cls.size_of(key, value, headers)

    def _get_attributes(self, include_compression_type: bool = True) -> int:
        attributes = 0
        if include_compression_type:
            attributes |= self._compression_type
        if self._is_transactional:
            attributes |= self.TRANSACTIONAL_MASK
        return attributes

    def build(self) -> bytearray:
        """The batch as bytes: compressed, with header and checksum.

        May be called again, and gives a new bytearray each time. Raises
        UnsupportedCodecError.
        """
        records: Buffer = self._records
        if self._compression_type != self.CODEC_NONE:
            records = compress(self._compression_type, records, self._compression_level)
        size = self.HEADER_STRUCT.size + len(records)
        if size > INTEGER_MAX_VALUE:
            raise ValueError("a record batch must be smaller than 2 GiB")
        out = bytearray(self.HEADER_STRUCT.size)
        out += records
        self.HEADER_STRUCT.pack_into(
            out,
            0,
            0,  # base offset: the broker sets it
            size - self.AFTER_LEN_OFFSET,
            self.NO_PARTITION_LEADER_EPOCH,
            self._magic,
            0,  # the checksum covers what follows it
            self._get_attributes(True),
            self._last_offset,
            self._first_timestamp,
            self._max_timestamp,
            self._producer_id,
            self._producer_epoch,
            self._base_sequence,
            self._num_records,
        )
        with memoryview(out) as view:
            crc = calc_crc32c(view[self.ATTRIBUTES_OFFSET :])
        struct.pack_into(">I", out, self.CRC_OFFSET, crc)
        return out
