"""Building batches of magic 2."""

from __future__ import annotations

import struct
import time

import pytest

from aiokafka.errors import UnsupportedCodecError
from aiokafka.record import _protocols as protocols
from aiokafka.record.util import calc_crc32c_py

from .twins import PYTHON, Twin

BAD_KEYS = ["text", 1, 1.5, ["x"]]


def test_golden_batch(twin: Twin) -> None:
    """Every byte, from the protocol's documentation."""
    builder = twin.builder(
        is_transactional=1, producer_id=0x0102030405060708, producer_epoch=0x0A0B, base_sequence=77
    )
    builder.append(0, 1_600_000_000_000, b"test", b"Super", [("h", b"1"), ("\u00e9", None)])
    builder.append(1, 1_600_000_000_100, None, b"", [])
    builder.append(2, 1_599_999_999_999, b"", None, None)
    records = bytes.fromhex(
        "2e" "00" "00" "00" "08" "74657374" "0a" "5375706572" "04" "0268" "0231" "04c3a9" "01"
        "0e" "00" "c801" "02" "01" "00" "00"
        "0c" "00" "01" "04" "00" "01" "00"
    )  # fmt: skip
    body = (
        struct.pack(">hi", 0x10, 2)
        + struct.pack(">qq", 1_600_000_000_000, 1_600_000_000_100)
        + struct.pack(">qhi", 0x0102030405060708, 0x0A0B, 77)
        + struct.pack(">i", 3)
        + records
    )
    head = struct.pack(">qiibI", 0, len(body) + 9, -1, 2, calc_crc32c_py(body))
    assert bytes(builder.build()) == head + body


def test_golden_checksum(twin: Twin) -> None:
    """The same bytes in every release: a checksum worked out once, by hand."""
    builder = twin.builder()
    builder.append(0, 0, b"k", b"v", [])
    built = builder.build()
    assert isinstance(built, bytearray)
    assert built.hex() == (
        "0000000000000000" "0000003a" "ffffffff" "02" "fe917cab" "0000" "00000000"
        "0000000000000000" "0000000000000000" "ffffffffffffffff" "ffff" "ffffffff"
        "00000001" "10000000026b027600"
    )  # fmt: skip


def test_sizes(twin: Twin) -> None:
    builder = twin.builder()
    assert builder.size() == 61
    assert builder.size_in_bytes(0, 0, b"test", b"Super", []) == 16
    assert builder.append(0, 9999, b"test", b"Super", []).size == 16
    assert builder.size() == 77
    # now relative to the first
    assert builder.size_in_bytes(1, 9999 + 64, b"test", b"Super", []) == 17
    assert len(builder.build()) == builder.size()
    assert twin.DefaultRecordBatchBuilder.size_of(None, None, []) == 3
    assert twin.DefaultRecordBatchBuilder.size_of(b"k" * 64, b"v", [("a", b"")]) == 66 + 2 + 4
    assert twin.DefaultRecordBatchBuilder.estimate_size_in_bytes(b"k", b"v", None) == 61 + 21 + 5


def test_metadata(twin: Twin) -> None:
    metadata = twin.builder().append(0, 5, None, b"Super", [])
    assert isinstance(metadata, protocols.DefaultRecordMetadataProtocol)
    assert (metadata.offset, metadata.size, metadata.timestamp, metadata.crc) == (0, 12, 5, None)
    assert repr(metadata) == "DefaultRecordMetadata(offset=0, size=12, timestamp=5)"
    assert twin.DefaultRecordMetadata(1, 2, 3).size == 2


def test_builder_has_the_protocol(twin: Twin) -> None:
    assert isinstance(twin.builder(), protocols.DefaultRecordBatchBuilderProtocol)


def test_first_record_always_fits(twin: Twin) -> None:
    builder = twin.builder(batch_size=10)
    assert builder.append(5, 0, None, b"x" * 1000, []) is not None
    assert builder.append(6, 0, None, b"", []) is None


def test_batch_may_be_filled_to_the_last_byte(twin: Twin) -> None:
    builder = twin.builder(batch_size=61 + 16 + 16)
    assert builder.append(0, 0, b"test", b"Super", [])
    assert builder.append(1, 0, b"test", b"Super!", []) is None
    assert builder.append(1, 0, b"test", b"Super", [])
    assert builder.size() == 61 + 32
    assert builder.append(2, 0, None, None, []) is None
    assert twin.DefaultRecordBatch(builder.build()).record_count == 2


def test_no_timestamp_is_now(twin: Twin) -> None:
    before = int(time.time() * 1000)
    metadata = twin.builder().append(0, None, None, b"", [])
    assert before <= metadata.timestamp <= int(time.time() * 1000)


def test_growth_keeps_what_was_written(twin: Twin) -> None:
    builder = twin.builder()
    values = [bytes([n % 256]) * n for n in range(0, 3000, 7)]
    for offset, value in enumerate(values):
        assert builder.append(offset, offset, None, value, [("n", value[:300])])
    read = list(twin.DefaultRecordBatch(builder.build()))
    assert [record.value for record in read] == values
    assert [record.headers for record in read] == [[("n", value[:300])] for value in values]


def test_build_without_records(twin: Twin) -> None:
    for codec in range(5):
        built = twin.builder(compression_type=codec).build()
        batch = twin.DefaultRecordBatch(built)
        assert batch.validate_crc()
        assert (batch.record_count, batch.next_offset) == (0, 1)
        assert (batch.first_timestamp, batch.max_timestamp) == (-1, -1)
        assert list(batch) == []


def test_build_again_after_a_new_producer_state(twin: Twin) -> None:
    builder = twin.builder(compression_type=1)
    builder.append(0, 0, b"k", b"v", [])
    first = builder.build()
    builder.set_producer_state(producer_id=5, producer_epoch=6, base_sequence=7)
    assert (builder.producer_id, builder.producer_epoch, builder.base_sequence) == (5, 6, 7)
    batch = twin.DefaultRecordBatch(builder.build())
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (5, 6, 7)
    assert batch.validate_crc()
    assert twin.DefaultRecordBatch(first).producer_id == -1
    assert [record.value for record in batch] == [b"v"]


def test_bad_producer_state_changes_nothing(twin: Twin) -> None:
    builder = twin.builder(producer_id=1, producer_epoch=2, base_sequence=3)
    for state in [(2**63, 0, 0), (0, 2**15, 0), (0, 0, 2**31)]:
        with pytest.raises(OverflowError):
            builder.set_producer_state(*state)
    assert (builder.producer_id, builder.producer_epoch, builder.base_sequence) == (1, 2, 3)


@pytest.mark.parametrize("bad", BAD_KEYS)
def test_key_and_value_must_be_bytes(twin: Twin, bad: object) -> None:
    builder = twin.builder()
    with pytest.raises(TypeError):
        builder.append(0, 0, bad, None, [])
    with pytest.raises(TypeError):
        builder.append(0, 0, b"k", bad, [])
    with pytest.raises(TypeError):
        builder.size_of(bad, None, [])
    assert builder.size() == 61


@pytest.mark.parametrize("buffer", [bytearray(b"abc"), memoryview(b"xabcx")[1:4]])
def test_any_contiguous_buffer_will_do(twin: Twin, buffer: bytearray | memoryview) -> None:
    builder = twin.builder()
    assert builder.append(0, 0, buffer, buffer, [("h", buffer)]).size == 19
    (record,) = twin.DefaultRecordBatch(builder.build())
    assert (record.key, record.value, record.headers) == (b"abc", b"abc", [("h", b"abc")])
    assert builder.size_of(buffer, None, None) == 6


def test_memory_with_gaps_is_refused(twin: Twin) -> None:
    builder = twin.builder()
    gaps = memoryview(b"abcdef")[::2]
    for args in [(gaps, None, []), (None, gaps, []), (None, None, [("h", gaps)])]:
        with pytest.raises(BufferError):
            builder.append(0, 0, *args)
    assert builder.size() == 61


@pytest.mark.parametrize("bad", ["1", 1.5, b"1"])
def test_offset_and_timestamp_must_be_ints(twin: Twin, bad: object) -> None:
    builder = twin.builder()
    with pytest.raises(TypeError, match="offset must be an int"):
        builder.append(bad, 0, None, None, [])
    with pytest.raises(TypeError, match="offset must be an int"):
        builder.append(None, 0, None, None, [])
    with pytest.raises(TypeError, match="timestamp must be an int"):
        builder.append(0, bad, None, None, [])


def test_what_has_an_index_is_an_int(twin: Twin) -> None:
    class Number:
        def __index__(self) -> int:
            return 7

    assert twin.builder().append(Number(), Number(), None, None, []).timestamp == 7


@pytest.mark.parametrize("offset", [-1, 2**31])
def test_offsets_are_relative(twin: Twin, offset: int) -> None:
    with pytest.raises(ValueError, match="relative offset"):
        twin.builder().append(offset, 0, None, None, [])


def test_timestamps_of_64_bits(twin: Twin) -> None:
    builder = twin.builder()
    with pytest.raises(OverflowError):
        builder.append(0, 2**63, None, None, [])
    assert builder.append(0, -(2**63), None, None, [])
    with pytest.raises(OverflowError):
        builder.append(1, 0, None, None, [])
    with pytest.raises(OverflowError):
        builder.size_in_bytes(1, 2**62, None, None, [])
    assert builder.append(1, -1, None, None, []).size == 7 + 9


@pytest.mark.parametrize(
    "headers",
    [
        {"a": b"b"},
        "ab",
        [("a", "text")],
        [(b"a", b"b")],
        [("a",)],
        [("a", b"b", b"c")],
        ["ab"],
        [None],
        7,
    ],
)
def test_bad_headers(twin: Twin, headers: object) -> None:
    builder = twin.builder()
    with pytest.raises(TypeError):
        builder.append(0, 0, None, None, headers)
    with pytest.raises(TypeError):
        builder.size_of(None, None, headers)
    assert builder.size() == 61


def test_header_key_that_is_not_unicode(twin: Twin) -> None:
    with pytest.raises(UnicodeEncodeError):
        twin.builder().append(0, 0, None, None, [("\ud800", b"")])


def test_headers_may_be_a_tuple(twin: Twin) -> None:
    builder = twin.builder()
    builder.append(0, 0, None, None, (("a", b"b"), ["c", None]))
    (record,) = twin.DefaultRecordBatch(builder.build())
    assert record.headers == [("a", b"b"), ("c", None)]


@pytest.mark.parametrize("magic", [-1, 0, 1])
def test_magic(twin: Twin, magic: int) -> None:
    with pytest.raises(ValueError, match="magic"):
        twin.builder(magic=magic)


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_unknown_codec(twin: Twin, codec: int) -> None:
    builder = twin.builder(compression_type=codec)
    builder.append(0, 0, None, b"", [])
    with pytest.raises(UnsupportedCodecError, match="Unknown compression codec 0x0"):
        builder.build()


@pytest.mark.parametrize(
    ("codec", "level", "error"),
    [
        (0, 1, ValueError),
        (2, 1, ValueError),
        (1, 10, ValueError),
        (1, -2, ValueError),
        (3, 0, ValueError),
        (3, 18, ValueError),
        (4, 23, ValueError),
        (4, -131073, ValueError),
        (4, "3", TypeError),
        (4, True, TypeError),
    ],
)
def test_bad_compression_level(
    twin: Twin, codec: int, level: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="compression_level"):
        twin.builder(compression_type=codec, compression_level=level)


def test_compression_level_is_used(twin: Twin) -> None:
    def size(codec: int, level: int | None) -> int:
        builder = twin.builder(compression_type=codec, compression_level=level)
        builder.append(0, 0, None, b"".join(b"%d," % (n * n) for n in range(3000)), [])
        built = builder.build()
        (record,) = twin.DefaultRecordBatch(built)
        assert record.value.startswith(b"0,1,4,9,")
        return len(built)

    assert size(1, 1) > size(1, 9) == size(1, None)
    assert size(4, -50) > size(4, 1) != size(4, 19)
    assert size(4, 3) == size(4, None)
    assert size(3, 1) >= size(3, 9) == size(3, None)


def test_python_hooks() -> None:
    """The attributes of a batch can be overridden in the plain Python builder."""
    builder = PYTHON.builder()
    mask = type(builder).CONTROL_MASK
    builder._get_attributes = lambda include_compression_type=True: mask
    builder.append(0, 0, b"\0\0\0\1", b"", [])
    batch = PYTHON.DefaultRecordBatch(builder.build())
    assert batch.is_control_batch is True
    assert batch.validate_crc()
