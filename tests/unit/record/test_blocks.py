"""The block reader gives out a block's records one after the other, whatever is between them."""

from __future__ import annotations

import gc
import struct
import sys
import weakref
from typing import Any

import pytest

from aiokafka import codec as codecs
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record import blocks as public
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.structs import ConsumerRecord

from .blocks import COMMIT, LOG_APPEND_TIME, batch, marker, messages, sealed
from .twins import TWINS, Twin


def offsets(records: Any) -> list[int]:
    return [record.offset for record in records]


def test_a_record_has_everything(twin: Twin) -> None:
    block = batch([(2, b"key", b"value", [("a", b"b"), ("a", None)])], base=10, leader_epoch=4)
    reader = twin.reader(block)
    assert reader.leader_epoch == -1
    (record,) = reader.take()
    assert record == ConsumerRecord(
        "topic", 3, 12, 1002, 0, b"key", b"value", None, 3, 5, (("a", b"b"), ("a", None))
    )
    assert type(record) is ConsumerRecord
    assert reader.next_offset == 13
    assert reader.leader_epoch == 4
    assert reader.exhausted
    assert reader.next_record() is None


def test_null_and_empty(twin: Twin) -> None:
    null, empty = twin.reader(batch([(0, None, None), (1, b"", b"")])).take()
    assert (null.key, null.value, null.headers) == (None, None, ())
    assert (null.serialized_key_size, null.serialized_value_size) == (-1, -1)
    assert (empty.key, empty.value) == (b"", b"")
    assert (empty.serialized_key_size, empty.serialized_value_size) == (0, 0)


def test_append_time(twin: Twin) -> None:
    block = batch([b"a", b"b"], attributes=LOG_APPEND_TIME, max_timestamp=77)
    assert [(r.timestamp, r.timestamp_type) for r in twin.reader(block)] == [(77, 1), (77, 1)]


@pytest.mark.parametrize("codec", range(5))
def test_codecs(twin: Twin, codec: int) -> None:
    block = batch([b"a" * 300, b"b"], codec=codec) + batch([b"c"], base=2, codec=codec)
    assert [r.value for r in twin.reader(block)] == [b"a" * 300, b"b", b"c"]


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, 1, 2])
def test_old_formats(twin: Twin, magic: int, codec: int) -> None:
    block = messages([b"a", None], base=5, magic=magic, codec=codec) + batch(base=7)
    reader = twin.reader(block, 6)
    old, new = reader.take()
    assert (old.offset, old.key, old.value, old.headers) == (6, b"k", None, ())
    assert (old.serialized_key_size, old.serialized_value_size) == (1, -1)
    assert (old.timestamp, old.timestamp_type) == ((1001, 0) if magic else (None, None))
    assert isinstance(old.checksum, int)
    assert (new.offset, reader.next_offset) == (7, 8)


def test_starts_at_the_offset_asked_for(twin: Twin) -> None:
    # The first batch is not even opened: its codec does not exist.
    block = batch(base=0, attributes=7) + batch([b"a", b"b", b"c"], base=1)
    assert offsets(twin.reader(block, 2)) == [2, 3]
    reader = twin.reader(block, 9)
    assert reader.take() == []
    assert reader.next_offset == 9


def test_partial_tail_is_ignored(twin: Twin) -> None:
    block = batch() + batch(base=1)[:-1]
    reader = twin.reader(block)
    assert offsets(reader.take()) == [0]
    assert reader.exhausted


def test_goes_past_what_is_not_there(twin: Twin) -> None:
    """Compacted tails, empty batches and control batches."""
    block = (
        batch([(1, None, b"a")], base=0, last_delta=4)
        + batch([], base=5, last_delta=2)
        + batch([], base=8, codec=1, last_delta=1)
        + marker(10, 1, COMMIT)
        + batch([(0, None, b"b")], base=20)
        + marker(21, 1, COMMIT)
    )
    reader = twin.reader(block)
    assert reader.next_record().offset == 1
    assert reader.next_offset == 5, "the compacted tail is behind us"
    assert reader.next_record().offset == 20
    assert not reader.exhausted
    assert reader.next_record() is None
    assert reader.next_offset == 22


def test_empty_compressed_batch_without_data(twin: Twin) -> None:
    hollow = bytearray(batch([], base=3, codec=1, last_delta=1)[:61])
    reader = twin.reader(sealed(hollow))
    assert reader.take() == []
    assert reader.next_offset == 5


def test_take_in_portions(twin: Twin) -> None:
    block = batch([b"x"] * 3) + batch([b"x"] * 3, base=3)
    reader = twin.reader(block)
    assert offsets(reader.take(2)) == [0, 1]
    assert offsets(reader.take(2)) == [2, 3]
    assert reader.take(0) == []
    assert not reader.exhausted
    assert offsets(reader.take(2)) == [4, 5]
    assert reader.exhausted
    assert reader.take(2) == []


def test_is_an_iterator(twin: Twin) -> None:
    reader = twin.reader(batch([b"a", b"b"]))
    assert iter(reader) is reader
    assert next(reader).value == b"a"
    assert [record.value for record in reader] == [b"b"]
    with pytest.raises(StopIteration):
        next(reader)


def test_a_batch_is_opened_at_its_turn(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    decode = codecs.gzip_decode
    monkeypatch.setattr(
        codecs, "gzip_decode", lambda *a, **kw: opened.append(1) or decode(*a, **kw)
    )
    reader = twin.reader(batch([b"a", b"b"], codec=1) + batch(base=2, codec=1))
    assert opened == []
    reader.take(2)
    assert opened == [1]
    reader.take(2)
    assert opened == [1, 1]


# Deserializers


def test_deserializers(twin: Twin) -> None:
    seen: list[Any] = []
    block = batch([(0, b"1", None), (1, None, b"2")])
    reader = twin.reader(block, 0, lambda k: seen.append(k) or "K", lambda v: seen.append(v) or 0)
    record = reader.next_record()
    assert (record.key, record.value) == ("K", 0)
    assert (record.serialized_key_size, record.serialized_value_size) == (1, -1)
    assert seen == [b"1", None], "the second record's turn has not come"
    assert reader.next_record().serialized_value_size == 1


@pytest.mark.parametrize(("which", "magic"), [("key", 2), ("value", 2), ("value", 1)])
def test_poison_record(twin: Twin, which: str, magic: int) -> None:
    error = ValueError("no")

    def fail(data: bytes) -> bytes:
        if broken and data == b"bad":
            raise error
        return data

    if magic == 2:
        items = [(i, data, data) for i, data in enumerate([b"ok", b"ok"])]
        block = batch([*items, (4, b"bad", b"bad"), (5, b"ok", b"ok")], leader_epoch=2)
    else:
        block = messages([b"ok", b"ok"], base=0, magic=1)
        block += messages([b"bad", b"ok"], base=4, magic=1)
    broken = True
    args = (fail, None) if which == "key" else (None, fail)
    reader = twin.reader(block, 0, *args)
    assert offsets(reader.take()) == [0, 1], "those before it come first"
    for _ in range(3):
        with pytest.raises(ValueError) as caught:
            reader.next_record()
        assert caught.value is error
        assert (error.topic, error.partition, error.offset) == ("topic", 3, 4)  # type: ignore[attr-defined]
        assert reader.next_offset == 4
        assert not reader.exhausted
    if sys.version_info >= (3, 11):
        (note,) = error.__notes__
        assert f"{which} deserializer" in note
        assert "offset 4 of partition topic-3; seek to 5" in note
    assert reader.take(0) == []
    broken = False
    assert offsets(reader.take()) == [4, 5], "a later try may succeed"


def test_error_that_takes_no_attributes(twin: Twin) -> None:
    class Slotted(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    error = Slotted()

    def fail(data: bytes) -> None:
        raise error

    with pytest.raises(Slotted) as caught:
        twin.reader(batch(), 0, None, fail).next_record()
    assert caught.value is error


def test_deserializer_raising_an_error_of_the_package(twin: Twin) -> None:
    """It is the deserializer's, and is not taken for damage of the batch."""
    error = CorruptRecordException("mine")

    def fail(data: bytes) -> None:
        raise error

    with pytest.raises(CorruptRecordException) as caught:
        twin.reader(batch(), 0, None, fail).next_record()
    assert caught.value is error


def test_not_even_a_base_exception_loses_the_place(twin: Twin) -> None:
    def fail(data: bytes) -> bytes:
        if data == b"stop":
            raise KeyboardInterrupt
        return data

    reader = twin.reader(batch([b"a", b"stop"]), 0, None, fail)
    with pytest.raises(KeyboardInterrupt):
        reader.take()


# Errors


def expect(error: type[Exception], reader: Any, offset: int, match: str) -> None:
    for call in (reader.next_record, reader.take, reader.next_record):
        with pytest.raises(error, match=match) as caught:
            call()
        exc: Any = caught.value
        assert (exc.topic, exc.partition, exc.offset) == ("topic", 3, offset)
        assert reader.next_offset == offset
        assert f"Partition topic-3 at offset {offset}: " in str(exc)
        assert not reader.exhausted


def test_wrong_checksum(twin: Twin) -> None:
    bad = bytearray(batch([b"c", b"d"], base=2))
    bad[-2] ^= 1
    block = batch([b"a", b"b"]) + bytes(bad)
    reader = twin.reader(block)
    assert offsets(reader.take()) == [0, 1]
    expect(CorruptRecordException, reader, 2, "checksum is wrong; seek to 4 to go on after")
    unchecked = twin.reader(block, 0, None, None, False)
    assert [record.offset for record in unchecked] == [0, 1, 2, 3]


@pytest.mark.parametrize("codec", [0, 1])
def test_wrong_checksum_of_messages(twin: Twin, codec: int) -> None:
    bad = bytearray(messages([b"c"], base=0, magic=1, codec=codec))
    bad[12] ^= 1
    expect(CorruptRecordException, twin.reader(bytes(bad)), 0, "checksum")


def test_codec_that_is_not_there(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = twin.reader(batch() + batch(base=1, codec=1))
    monkeypatch.setattr(codecs, "has_gzip", lambda: False)
    assert offsets(reader.take()) == [0]
    expect(UnsupportedCodecError, reader, 1, "Libraries for gzip compression codec not found")
    monkeypatch.undo()
    assert offsets(reader.take()) == [1]


def test_unknown_codec(twin: Twin) -> None:
    expect(UnsupportedCodecError, twin.reader(batch(attributes=6)), 0, "codec 0x06")


@pytest.mark.parametrize("magic", [3, 127, 255])
def test_unknown_magic(twin: Twin, magic: int) -> None:
    bad = bytearray(batch(base=1))
    bad[16] = magic
    reader = twin.reader(batch() + bytes(bad))
    assert offsets(reader.take()) == [0]
    expect(CorruptRecordException, reader, 1, "unknown magic")


@pytest.mark.parametrize("length", [-(2**31), -1, 0, 13])
def test_batch_length_that_cannot_be(twin: Twin, length: int) -> None:
    bad = bytearray(batch(base=1))
    struct.pack_into(">i", bad, 8, length)
    expect(CorruptRecordException, twin.reader(bytes(bad)), 0, "fewer than any can")


@pytest.mark.parametrize("codec", range(1, 5))
def test_decompression_bomb(twin: Twin, codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    block = batch([bytes(100_000)], codec=codec)
    monkeypatch.setattr(codecs, "MAX_DECOMPRESSED_SIZE", 50_000)
    expect(CorruptRecordException, twin.reader(block), 0, "50000")


@pytest.mark.parametrize("count", [-1, 2, 3, 2**31 - 1])
def test_count_that_is_not_true(twin: Twin, count: int) -> None:
    bad = bytearray(batch([b"a"]))
    struct.pack_into(">i", bad, 57, count)
    reader = twin.reader(sealed(bad))
    if count > 0:
        assert offsets(reader.take()) == [0]
        assert reader.next_offset == 1
    expect(CorruptRecordException, reader, int(count > 0), "Corrupt record batch")


def test_bytes_after_the_last_record(twin: Twin) -> None:
    """They may be records: nothing is passed over in silence."""
    block = sealed(batch([b"a", b"b"], last_delta=5) + b"rest")
    reader = twin.reader(block + batch(base=6))
    assert offsets(reader.take()) == [0, 1]
    assert reader.next_offset == 2
    expect(CorruptRecordException, reader, 2, "4 bytes left.*seek to 6")


@pytest.mark.parametrize(
    "body",
    [
        b"",  # nothing
        b"\x00",  # no bytes
        b"\x01",  # -1 bytes
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # more than 64 bits
        b"\x0e\x00\x00\x00\x03\x03\x00",  # one byte short
        b"\x0c\x00\x00\x00\x05\x01\x00",  # a key of -3 bytes
        b"\x0c\x00\x00\x00\xfe\x01\x00",  # a key longer than the record
        b"\x0c\x00\x00\x00\x01\x01\x01",  # -1 headers
        b"\x0c\x00\x00\x00\x01\x01\x7e",  # 63 headers
        b"\x10\x00\x00\x00\x01\x01\x02\x01\x01",  # a header without a key
        b"\x12\x00\x00\x00\x01\x01\x02\x02a\x08",  # a header value longer than the record
    ],
)
def test_records_that_cannot_be(twin: Twin, body: bytes) -> None:
    head = bytearray(batch([b"a"]))
    struct.pack_into(">i", head, 57, 2)
    struct.pack_into(">i", head, 23, 1)
    reader = twin.reader(sealed(bytes(head) + body))
    assert offsets(reader.take()) == [0]
    expect(CorruptRecordException, reader, 1, "seek to 2")
    # The damage may be in a record that is passed over.
    expect(CorruptRecordException, twin.reader(sealed(bytes(head) + body), 1), 1, "seek to 2")


def test_offsets_never_go_back(twin: Twin) -> None:
    block = batch([(3, None, b"a"), (1, None, b"b"), (3, None, b"c"), (4, None, b"d")])
    block += batch(base=2)
    reader = twin.reader(block)
    assert offsets(reader.take()) == [3, 4]
    assert reader.next_offset == 5


@pytest.mark.parametrize("base", [-(2**63), -1, 2**63 - 1])
def test_offsets_at_the_limits(twin: Twin, base: int) -> None:
    reader = twin.reader(batch([b"a", b"b", b"c"], base=base))
    reader.take()
    assert 0 <= reader.next_offset < 2**63


def test_a_deserializer_cannot_read_on(twin: Twin) -> None:
    reader: Any = None

    def greedy(data: bytes) -> bytes:
        if data == b"a":
            reader.next_offset = 1
            reader.take()
        return data

    for block in (batch([b"a", b"b"]), messages([b"a", b"b"], base=0, magic=1, codec=1)):
        reader = twin.reader(block, 0, None, greedy)
        with pytest.raises(RuntimeError, match="has read from the block"):
            reader.next_record()


# The summary


def test_scan(twin: Twin) -> None:
    block = (
        messages([b"a"], base=4, magic=0)
        + messages([b"a", b"b"], base=5, magic=1, codec=1)
        + batch(base=10, last_delta=4, leader_epoch=8, attributes=7)
    )
    assert twin.scan(block) == (15, 8, len(block), 3, True)
    assert twin.scan(memoryview(block)).next_offset == 15
    assert twin.scan(block[:-1]).complete is False
    assert twin.scan(block[:-1]).next_offset == 7
    assert twin.scan(b"") == (-1, -1, 0, 0, True)
    assert twin.scan(batch()[:-1]) == (-1, -1, 0, 0, False)
    assert twin.scan(batch(leader_epoch=3) + messages([b"a"], base=1, magic=1)).leader_epoch == -1


def test_scan_stops_at_damage(twin: Twin) -> None:
    good = batch(leader_epoch=3)
    for place, damage in ((8, b"\xff\xff\xff\xff"), (8, b"\0\0\0\x01"), (16, b"\x05")):
        bad = bytearray(batch(base=1))
        bad[place : place + len(damage)] = damage
        found = twin.scan(good + bytes(bad))
        assert found == (1, 3, len(good), 1, False)


# Whose blocks


def test_open_block() -> None:
    assert isinstance(public.open_block(MemoryRecords(b""), "t", 0, 0), public.BlockReader)
    # One that is not this package's first choice is read as well.
    reader = public.open_block(_MemoryRecordsPy(batch()), "t", 0, 0)
    assert offsets(reader) == [0]
    assert type(reader) is type(TWINS[0].reader(b""))


def test_no_record_is_leaked(twin: Twin) -> None:
    topic = "".join(["a", " topic"])
    block = batch([(0, b"k", b"v", [("a", b"b")])])
    gc.collect()
    before = sys.getrefcount(topic), sys.getrefcount(ConsumerRecord)
    for _ in range(50):
        reader = twin.BlockReader(twin.MemoryRecords(block), topic, 3, 0)
        (record,) = reader.take()
        record.itself = record
        gone = weakref.ref(record)
        del record, reader
    gc.collect()
    assert gone() is None
    assert (sys.getrefcount(topic), sys.getrefcount(ConsumerRecord)) == before
