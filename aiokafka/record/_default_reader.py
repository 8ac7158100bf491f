"""Reader of record batches of magic 2 in plain Python.

Owns the buffer of one batch while it is read. Pure computation: no tasks, no
futures, no I/O. Its compiled twin is in ``_crecords/default_records.pyx``: a change
here is a change there. Nothing in the data is trusted: a length is checked before
anything of that size is made.
"""

from __future__ import annotations

from aiokafka.errors import CorruptRecordException

from ._compression import decompress
from ._default_layout import DefaultRecordBase
from ._protocols import Buffer, DefaultRecordProtocol
from .util import calc_crc32c, decode_varint_py

__all__: list[str] = []


def _corrupt(what: str) -> CorruptRecordException:
    return CorruptRecordException(f"Corrupt record batch: {what}")


class _DefaultRecordPy:
    """One record: offset, timestamp in ms, key, value and headers."""

    __slots__ = ("_headers", "_key", "_offset", "_timestamp", "_timestamp_type", "_value")

    def __init__(
        self,
        offset: int,
        timestamp: int,
        timestamp_type: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]],
    ) -> None:
        self._offset = offset
        self._timestamp = timestamp
        self._timestamp_type = timestamp_type
        self._key = key
        self._value = value
        self._headers = headers

    @property
    def offset(self) -> int:
        return self._offset

    @property
    def timestamp(self) -> int:
        return self._timestamp

    @property
    def timestamp_type(self) -> int:
        return self._timestamp_type

    @property
    def key(self) -> bytes | None:
        return self._key

    @property
    def value(self) -> bytes | None:
        return self._value

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        return self._headers

    @property
    def checksum(self) -> None:
        return None

    def __repr__(self) -> str:
        return (
            f"DefaultRecord(offset={self._offset}, timestamp={self._timestamp}, "
            f"timestamp_type={self._timestamp_type}, key={self._key!r}, "
            f"value={self._value!r}, headers={self._headers!r})"
        )


def _wrapped(value: int) -> int:
    """`value` in 64 bits, two's complement: what a hostile sum overflows wraps."""
    return (value + 2**63) % 2**64 - 2**63


def _get_sized(data: bytes, pos: int, end: int) -> tuple[bytes | None, int]:
    """Read a length (-1: null) and that many bytes before `end`."""
    length, pos = decode_varint_py(data, pos)
    if length < -1:
        raise _corrupt(f"negative length {length}")
    if length > end - pos:
        raise _corrupt(f"length {length} with {end - pos} bytes left")
    if length < 0:
        return None, pos
    return data[pos : pos + length], pos + length


def _decode_headers(data: bytes, pos: int, end: int) -> tuple[list[tuple[str, bytes | None]], int]:
    count, pos = decode_varint_py(data, pos)
    if count < 0 or count > (end - pos) // 2:
        raise _corrupt(f"{count} headers with {end - pos} bytes left")
    headers = []
    for _ in range(count):
        key, pos = _get_sized(data, pos, end)
        if key is None:
            raise _corrupt("null header key")
        value, pos = _get_sized(data, pos, end)
        # As Java does: a key that is not UTF-8 must not make the record unreadable.
        headers.append((key.decode("utf-8", "replace"), value))
    return headers, pos


class _DefaultRecordBatchPy(DefaultRecordBase):
    """A record batch of magic 2 as read from a broker.

    Iterable, and its own iterator: a batch is read once. The buffer is kept, and
    decompressed when the first record is asked for. Raises CorruptRecordException,
    here and later, for a structure that cannot be, and UnsupportedCodecError when
    the records are asked for.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = memoryview(buffer).cast("B")
        if len(self._buffer) < self.HEADER_STRUCT.size:
            raise _corrupt(f"{len(self._buffer)} bytes are less than its header")
        (
            self.base_offset,
            self._length,
            self.partition_leader_epoch,
            self.magic,
            self.crc,
            self.attributes,
            self.last_offset_delta,
            self.first_timestamp,
            self.max_timestamp,
            self.producer_id,
            self.producer_epoch,
            self.base_sequence,
            self.record_count,
        ) = self.HEADER_STRUCT.unpack_from(self._buffer)
        self._started = False
        self._data = b""
        self._pos = 0
        self._left = 0

    @property
    def compression_type(self) -> int:
        return int(self.attributes & self.CODEC_MASK)

    @property
    def timestamp_type(self) -> int:
        if self.attributes & self.TIMESTAMP_TYPE_MASK:
            return self.LOG_APPEND_TIME
        return self.CREATE_TIME

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & self.TRANSACTIONAL_MASK)

    @property
    def is_control_batch(self) -> bool:
        return bool(self.attributes & self.CONTROL_MASK)

    @property
    def next_offset(self) -> int:
        return int(self.base_offset + self.last_offset_delta + 1)

    def validate_crc(self) -> bool:
        """Whether the checksum is right. To be asked before the records.

        Raises AssertionError afterwards.
        """
        assert not self._started, "validate_crc() must be called before iterating"
        return bool(self.crc == calc_crc32c(self._buffer[self.ATTRIBUTES_OFFSET :]))

    def _start(self) -> None:
        size = len(self._buffer)
        if self._length + self.AFTER_LEN_OFFSET != size:
            raise _corrupt(
                f"its length says {self._length + self.AFTER_LEN_OFFSET} bytes, there are {size}"
            )
        if self.record_count < 0:
            raise _corrupt(f"negative record count {self.record_count}")
        records = self._buffer[self.HEADER_STRUCT.size :]
        # Log compaction leaves compressed batches without any data.
        if self.compression_type != self.CODEC_NONE and (records or self.record_count):
            self._data = decompress(self.compression_type, records)
        else:
            self._data = bytes(records)
        self._left = self.record_count
        self._started = True

    def __iter__(self) -> _DefaultRecordBatchPy:
        if not self._started:
            self._start()
        return self

    def __next__(self) -> DefaultRecordProtocol:
        if not self._started:
            self._start()
        if not self._left:
            if self._pos != len(self._data):
                raise _corrupt(f"{len(self._data) - self._pos} bytes left after the last record")
            raise StopIteration
        try:
            record = self._read()
        except ValueError as exc:  # a varint
            raise _corrupt(str(exc)) from exc
        self._left -= 1
        return record

    def _read(self) -> DefaultRecordProtocol:
        data = self._data
        length, pos = decode_varint_py(data, self._pos)
        if length < 1 or length > len(data) - pos:
            raise _corrupt(f"a record of {length} bytes with {len(data) - pos} bytes left")
        end = pos + length
        timestamp_delta, pos = decode_varint_py(data, pos + 1)  # after the attributes
        offset_delta, pos = decode_varint_py(data, pos)
        key, pos = _get_sized(data, pos, end)
        value, pos = _get_sized(data, pos, end)
        headers, pos = _decode_headers(data, pos, end)
        if pos != end:
            raise _corrupt(f"{end - pos} bytes left after the last field of a record")
        timestamp = self.max_timestamp
        if not self.attributes & self.TIMESTAMP_TYPE_MASK:
            timestamp = _wrapped(self.first_timestamp + timestamp_delta)
        self._pos = end
        return _DefaultRecordPy(
            _wrapped(self.base_offset + offset_delta),
            timestamp,
            self.timestamp_type,
            key,
            value,
            headers,
        )
