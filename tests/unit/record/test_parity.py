"""The compiled code and its plain Python twin do the same, whatever they are given."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from .twins import PYTHON, TWINS, Twin

# Equal to PYTHON when there is nothing compiled: then these are round trips.
OTHER = TWINS[-1]

buffers = st.none() | st.binary(max_size=40) | st.binary(max_size=40).map(bytearray)
headers = st.none() | st.lists(st.tuples(st.text(max_size=5), buffers), max_size=3)
int64 = st.integers(-(2**63), 2**63 - 1)
timestamps = st.integers(0, 2**45) | int64
offsets = st.integers(0, 200) | st.integers(-5, 2**31 + 5)
records = st.lists(st.tuples(offsets, timestamps, buffers, buffers, headers), max_size=6)


def outcome(call: Any, *args: Any) -> Any:
    """What a call returns, or the type of what it raises."""
    try:
        result = call(*args)
    except Exception as exc:
        return type(exc)
    if result is None or isinstance(result, int):
        return result
    return (result.offset, result.size, result.timestamp, result.crc)


def read(batch: Any) -> list[Any]:
    """All fields of the records, ending with the type of the error, if any."""
    found: list[Any] = []
    try:
        for record in batch:
            found.append(
                (
                    record.offset,
                    record.timestamp,
                    record.timestamp_type,
                    record.key,
                    record.value,
                    record.headers,
                    record.checksum,
                )
            )
    except Exception as exc:
        found.append(type(exc))
    return found


@settings(deadline=None)
@given(
    records,
    st.integers(0, 4),
    st.booleans(),
    int64,
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 400),
)
def test_same_batches(
    appended: list[Any],
    codec: int,
    transactional: bool,
    producer_id: int,
    producer_epoch: int,
    base_sequence: int,
    batch_size: int,
) -> None:
    builders = [
        twin.DefaultRecordBatchBuilder(
            2, codec, transactional, producer_id, producer_epoch, base_sequence, batch_size
        )
        for twin in (PYTHON, OTHER)
    ]
    for record in appended:
        one, two = [outcome(builder.size_in_bytes, *record) for builder in builders]
        assert one == two
        one, two = [outcome(builder.append, *record) for builder in builders]
        assert one == two
    built, other = [bytes(builder.build()) for builder in builders]
    assert built == other
    assert read(PYTHON.DefaultRecordBatch(built)) == read(OTHER.DefaultRecordBatch(built))


def check_reading(data: bytes) -> None:
    results = []
    for twin in (PYTHON, OTHER):
        batches: list[Any] = []
        reader = twin.MemoryRecords(data)
        assert reader.size_in_bytes() == len(data)
        try:
            while reader.has_next():
                batch = reader.next_batch()
                fields = [batch.next_offset, batch.validate_crc(), batch.is_control_batch]
                fields += [batch.is_transactional, batch.compression_type, batch.timestamp_type]
                batches.append((fields, read(batch)))
            assert reader.next_batch() is None
        except Exception as exc:
            batches.append(type(exc))
        results.append(batches)
    assert results[0] == results[1]


def sample(twin: Twin) -> bytes:
    builder = twin.builder()
    builder.append(0, 1000, b"key", b"value", [("a", b"b"), ("c", None)])
    builder.append(1, 1300, None, b"v" * 70, [])
    legacy = LegacyRecordBatchBuilder(1, 0, 1000)
    legacy.append(0, 1000, b"key", b"value")
    inner = LegacyRecordBatchBuilder(1, 1, 1000)
    inner.append(0, 1000, b"key", b"value")
    return bytes(builder.build() + legacy.build() + inner.build() + builder.build()[:40])


SAMPLE = sample(PYTHON)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), min_size=1, max_size=4
    )
)
def test_same_reading_of_damaged_data(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SAMPLE)
    for position, byte in changes:
        data[position] = byte
    check_reading(bytes(data))


@settings(deadline=None)
@given(st.binary(max_size=120))
def test_same_reading_of_anything(data: bytes) -> None:
    check_reading(data)


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(-3, 5))
def test_same_reading_of_any_records(tail: bytes, count: int) -> None:
    data = bytearray(PYTHON.builder().build() + tail)
    data[8:12] = (len(data) - 12).to_bytes(4, "big")
    data[57:61] = count.to_bytes(4, "big", signed=True)
    check_reading(bytes(data))


@settings(deadline=None)
@given(
    st.sampled_from([0, 1]),
    st.sampled_from([0, 1, 2, 3]),
    st.lists(st.tuples(int64, timestamps, buffers, buffers), max_size=5),
    st.integers(0, 300),
)
def test_same_message_sets(magic: int, codec: int, appended: list[Any], batch_size: int) -> None:
    builders = [
        twin.LegacyRecordBatchBuilder(magic, codec, batch_size) for twin in (PYTHON, OTHER)
    ]
    for record in appended:
        one, two = [outcome(builder.append, *record) for builder in builders]
        assert one == two
        one, two = [outcome(builder.size_in_bytes, *record) for builder in builders]
        assert one == two
    assert builders[0].size() == builders[1].size()
    if codec == 3 and magic == 0:
        one, two = [outcome(builder.build) for builder in builders]
        assert one is two
        return
    built, other = [bytes(builder.build()) for builder in builders]
    assert built == other
    check_reading(built)


def test_public_names_are_the_last_twin() -> None:
    assert OTHER.DefaultRecordBatch is DefaultRecordBatch
