"""Reading batches of magic 2: what was written, and what nobody should have written."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from typing import Any

import pytest

from aiokafka import codec as codecs
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record import _protocols as protocols
from aiokafka.record.util import calc_crc32c, encode_varint_py

from .twins import Twin

HEADER = struct.Struct(">qiibIhiqqqhii")
CODECS = range(5)


def varint(value: int) -> bytes:
    out = bytearray()
    encode_varint_py(value, out.append)
    return bytes(out)


def batch_of(
    records: bytes,
    count: int,
    *,
    attributes: int = 0,
    base_offset: int = 0,
    first_timestamp: int = 0,
    max_timestamp: int = 0,
    length: int | None = None,
) -> bytes:
    """A batch with these bytes as records, whatever they are."""
    after = struct.pack(
        ">hiqqqhii",
        attributes,
        max(count - 1, 0),
        first_timestamp,
        max_timestamp,
        -1,
        -1,
        -1,
        count,
    )
    after += records
    size = len(after) + 9 if length is None else length
    return struct.pack(">qiibI", base_offset, size, -1, 2, calc_crc32c(after)) + after


def record_of(body: bytes) -> bytes:
    return varint(len(body)) + body


PLAIN = b"\0\0\0" + varint(1) + b"k" + varint(1) + b"v" + b"\0"


def test_plain_record(twin: Twin) -> None:
    (record,) = twin.DefaultRecordBatch(batch_of(record_of(PLAIN), 1, base_offset=7))
    assert isinstance(record, protocols.DefaultRecordProtocol)
    assert (record.offset, record.timestamp, record.timestamp_type) == (7, 0, 0)
    assert (record.key, record.value, record.headers, record.checksum) == (b"k", b"v", [], None)
    assert repr(record) == (
        "DefaultRecord(offset=7, timestamp=0, timestamp_type=0, key=b'k', value=b'v', headers=[])"
    )


def test_records_can_be_made_by_hand(twin: Twin) -> None:
    headers = [("a", b"b")]
    record = twin.DefaultRecord(1, 2, 1, b"k", None, headers)
    assert (record.offset, record.timestamp, record.timestamp_type) == (1, 2, 1)
    assert (record.key, record.value, record.headers) == (b"k", None, headers)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("transactional", [0, 1])
def test_round_trip(twin: Twin, codec: int, transactional: int) -> None:
    builder = twin.builder(
        compression_type=codec,
        is_transactional=transactional,
        producer_id=123,
        producer_epoch=4,
        base_sequence=5,
    )
    headers = [("h1", b"aaa"), ("h1", None), ("", b"")]
    for offset in range(20):
        builder.append(offset, 1000 + offset % 7, b"key", b"value" * 9, headers)
    batch = twin.DefaultRecordBatch(bytes(builder.build()))
    assert isinstance(batch, protocols.DefaultRecordBatchProtocol)
    assert batch.validate_crc()
    assert batch.compression_type == codec
    assert batch.attributes == codec | (0x10 if transactional else 0)
    assert batch.is_transactional is bool(transactional)
    assert batch.is_control_batch is False
    assert (batch.magic, batch.timestamp_type, batch.base_offset) == (2, 0, 0)
    assert (batch.last_offset_delta, batch.next_offset, batch.record_count) == (19, 20, 20)
    assert (batch.first_timestamp, batch.max_timestamp) == (1000, 1006)
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (123, 4, 5)
    assert batch.partition_leader_epoch == -1
    read = list(batch)
    assert [record.offset for record in read] == list(range(20))
    assert [record.timestamp for record in read] == [1000 + n % 7 for n in range(20)]
    assert {(record.key, record.value) for record in read} == {(b"key", b"value" * 9)}
    assert all(record.headers == headers for record in read)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_kinds_of_buffers(twin: Twin, kind: Any) -> None:
    data = kind(batch_of(record_of(PLAIN), 1))
    batch = twin.DefaultRecordBatch(data)
    assert batch.validate_crc()
    assert next(batch).value == b"v"
    with pytest.raises(StopIteration):
        next(batch)
    assert list(batch) == []


def test_iteration_goes_on_where_it_was(twin: Twin) -> None:
    batch = twin.DefaultRecordBatch(batch_of(record_of(PLAIN) * 3, 3))
    next(batch)
    assert len(list(batch)) == 2


def test_broker_side_header_fields(twin: Twin) -> None:
    data = bytearray(batch_of(record_of(PLAIN), 1, base_offset=2**40))
    struct.pack_into(">i", data, 12, 9)
    batch = twin.DefaultRecordBatch(data)
    assert (batch.partition_leader_epoch, batch.base_offset) == (9, 2**40)
    assert batch.next_offset == 2**40 + 1
    # neither is covered by the checksum
    assert batch.validate_crc()


def test_log_append_time(twin: Twin) -> None:
    data = batch_of(record_of(PLAIN), 1, attributes=8, first_timestamp=1, max_timestamp=99)
    batch = twin.DefaultRecordBatch(data)
    assert batch.timestamp_type == 1
    (record,) = batch
    assert (record.timestamp, record.timestamp_type) == (99, 1)


def test_control_batch(twin: Twin) -> None:
    batch = twin.DefaultRecordBatch(batch_of(record_of(PLAIN), 1, attributes=0x30))
    assert (batch.is_control_batch, batch.is_transactional) == (True, True)


def test_wrong_crc(twin: Twin) -> None:
    data = bytearray(batch_of(record_of(PLAIN), 1))
    crc = struct.unpack_from(">I", data, 17)[0]
    assert twin.DefaultRecordBatch(data).crc == crc
    data[-1] ^= 1
    assert not twin.DefaultRecordBatch(data).validate_crc()


def test_crc_is_to_be_checked_first(twin: Twin) -> None:
    batch = twin.DefaultRecordBatch(batch_of(record_of(PLAIN), 1))
    list(batch)
    with pytest.raises(AssertionError):
        batch.validate_crc()


def test_compacted_away(twin: Twin) -> None:
    """Log compaction keeps the header of a batch whose records are gone."""
    for codec in CODECS:
        assert list(twin.DefaultRecordBatch(batch_of(b"", 0, attributes=codec))) == []


def test_header_key_that_is_not_utf8(twin: Twin) -> None:
    body = PLAIN[:-1] + varint(1) + varint(2) + b"\xffa" + varint(-1)
    (record,) = twin.DefaultRecordBatch(batch_of(record_of(body), 1))
    assert record.headers == [("\ufffda", None)]


def test_sums_beyond_64_bits_wrap(twin: Twin) -> None:
    body = b"\0" + varint(1) + varint(1) + PLAIN[3:]
    data = batch_of(
        record_of(body), 1, base_offset=2**63 - 1, first_timestamp=2**63 - 1, max_timestamp=0
    )
    (record,) = twin.DefaultRecordBatch(data)
    assert (record.offset, record.timestamp) == (-(2**63), -(2**63))


# --------------------------------------------------------------- hostile input


def test_every_truncation_is_noticed(twin: Twin) -> None:
    builder = twin.builder()
    builder.append(0, 0, b"key", b"value", [("a", b"b")])
    data = bytes(builder.build())
    for size in range(len(data)):
        with pytest.raises(CorruptRecordException):
            list(twin.DefaultRecordBatch(data[:size]))
        # The same with a length that agrees with the truncation.
        if size >= HEADER.size:
            cut = bytearray(data[:size])
            struct.pack_into(">i", cut, 8, size - 12)
            with pytest.raises(CorruptRecordException):
                list(twin.DefaultRecordBatch(cut))


def test_leftover_bytes(twin: Twin) -> None:
    for data in (
        batch_of(record_of(PLAIN), 1) + b"\0",
        batch_of(record_of(PLAIN) + b"\0", 1),
        batch_of(record_of(PLAIN) * 2, 1),
        batch_of(record_of(PLAIN + b"\0"), 1),
        batch_of(b"\0", 0),
    ):
        batch = twin.DefaultRecordBatch(data)
        with pytest.raises(CorruptRecordException):
            list(batch)
        # and is not forgotten
        with pytest.raises(CorruptRecordException):
            list(batch)


HUGE = [-(2**63), -(2**31), -2, 2**31 - 1, 2**31, 2**40, 2**63 - 1]


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize(
    "shape",
    [
        # where the number is the length of: record, key, value, headers, header key, value
        lambda n: varint(n) + PLAIN,
        lambda n: record_of(b"\0\0\0" + varint(n) + b"k"),
        lambda n: record_of(b"\0\0\0\1" + varint(n) + b"v\0"),
        lambda n: record_of(b"\0\0\0\1\1" + varint(n) + b"\2a\2a"),
        lambda n: record_of(b"\0\0\0\1\1\2" + varint(n) + b"a\2a"),
        lambda n: record_of(b"\0\0\0\1\1\2\2a" + varint(n) + b"a"),
    ],
)
def test_hostile_lengths(twin: Twin, shape: Any, number: int) -> None:
    data = batch_of(shape(number), 1)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptRecordException):
            list(twin.DefaultRecordBatch(data))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_null_header_key(twin: Twin) -> None:
    data = batch_of(record_of(b"\0\0\0\1\1\2" + varint(-1) + b"\2a"), 1)
    with pytest.raises(CorruptRecordException, match="null header key"):
        list(twin.DefaultRecordBatch(data))


@pytest.mark.parametrize("count", [-1, -(2**31), 2, 2**31 - 1])
def test_hostile_record_count(twin: Twin, count: int) -> None:
    with pytest.raises(CorruptRecordException):
        list(twin.DefaultRecordBatch(batch_of(record_of(PLAIN), count)))


@pytest.mark.parametrize("length", [-1, -(2**31), 0, 5, 2**31 - 1])
def test_hostile_batch_length(twin: Twin, length: int) -> None:
    with pytest.raises(CorruptRecordException):
        list(twin.DefaultRecordBatch(batch_of(record_of(PLAIN), 1, length=length)))


def test_varint_beyond_64_bits(twin: Twin) -> None:
    for number in (b"\xff" * 9 + b"\x02", b"\xff" * 10 + b"\0", b"\x80" * 11):
        with pytest.raises(CorruptRecordException):
            list(twin.DefaultRecordBatch(batch_of(record_of(b"\0" + number + PLAIN), 1)))


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
@pytest.mark.parametrize("junk", [b"", b"\0", b"junk" * 20, b"\xff" * 100])
def test_compressed_junk(twin: Twin, codec: int, junk: bytes) -> None:
    batch = twin.DefaultRecordBatch(batch_of(junk, 1, attributes=codec))
    with pytest.raises(CorruptRecordException):
        list(batch)


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_unknown_codec(twin: Twin, codec: int) -> None:
    batch = twin.DefaultRecordBatch(batch_of(b"junk", 1, attributes=codec))
    with pytest.raises(UnsupportedCodecError):
        list(batch)


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_decompression_bomb(twin: Twin, codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = twin.builder(compression_type=codec)
    builder.append(0, 0, None, bytes(300_000), [])
    data = builder.build()
    monkeypatch.setattr(codecs, "MAX_DECOMPRESSED_SIZE", 300_100)
    assert len(list(twin.DefaultRecordBatch(data))) == 1
    monkeypatch.setattr(codecs, "MAX_DECOMPRESSED_SIZE", 299_000)
    with pytest.raises(CorruptRecordException, match="larger than 299000 bytes"):
        list(twin.DefaultRecordBatch(data))


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_codec_that_is_not_there(twin: Twin, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}[codec]
    builder = twin.builder(compression_type=number)
    builder.append(0, 0, None, b"x", [])
    data = builder.build()
    monkeypatch.setattr(f"aiokafka.codec.has_{codec}", lambda: False)
    message = f"Libraries for {codec} compression codec not found"
    with pytest.raises(UnsupportedCodecError, match=message):
        builder.build()
    with pytest.raises(UnsupportedCodecError, match=message):
        list(twin.DefaultRecordBatch(data))


def test_reader_of_nothing(twin: Twin) -> None:
    """A class made without its buffer must not touch memory that is not there."""
    with pytest.raises(TypeError):
        twin.DefaultRecordBatch("text")
    with pytest.raises(CorruptRecordException):
        twin.DefaultRecordBatch(b"")


def test_gzip_of_several_members(twin: Twin) -> None:
    data = record_of(PLAIN)
    packed = codecs.gzip_encode(data[:4]) + codecs.gzip_encode(data[4:])
    assert zlib.decompress(packed, 31) == data[:4]
    (record,) = twin.DefaultRecordBatch(batch_of(packed, 1, attributes=1))
    assert record.value == b"v"
