"""The public value types: order of fields, tuple equality, what frameworks do to them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import weakref
from typing import Any, NamedTuple

import pytest

import aiokafka.structs as structs
from aiokafka.structs import ConsumerRecord, RecordMetadata, TopicPartition

FIELDS: dict[str, tuple[str, ...]] = {
    "TopicPartition": ("topic", "partition"),
    "BrokerMetadata": ("nodeId", "host", "port", "rack"),
    "PartitionMetadata": ("topic", "partition", "leader", "replicas", "isr", "error"),
    "OffsetAndMetadata": ("offset", "metadata"),
    "OffsetAndTimestamp": ("offset", "timestamp"),
    "RecordMetadata": (
        "topic", "partition", "topic_partition", "offset", "timestamp", "timestamp_type",
        "log_start_offset",
    ),
}  # fmt: skip

RECORD_FIELDS = (
    "topic", "partition", "offset", "timestamp", "timestamp_type", "key", "value", "checksum",
    "serialized_key_size", "serialized_value_size", "headers",
)  # fmt: skip


def record(**changes: Any) -> ConsumerRecord[Any, Any]:
    values: dict[str, Any] = dict(
        zip(RECORD_FIELDS, ("t", 0, 5, 1000, 0, b"k", None, None, 1, -1, ()), strict=True)
    )
    return ConsumerRecord(**{**values, **changes})


@pytest.mark.parametrize("name", FIELDS)
def test_named_tuple_fields(name: str) -> None:
    cls = getattr(structs, name)
    assert cls._fields == FIELDS[name]
    assert cls._field_defaults == {}


def test_named_tuples_equal_plain_ones() -> None:
    assert TopicPartition("t", 1) == ("t", 1)
    assert {TopicPartition("t", 1)} == {("t", 1)}
    brokers = [structs.BrokerMetadata(2, "b", 9092, None), structs.BrokerMetadata(1, "a", 1, "r")]
    assert sorted(brokers) == [(1, "a", 1, "r"), (2, "b", 9092, None)]


def test_partition_metadata_replace() -> None:
    before = structs.PartitionMetadata("t", 0, 1, [1], [1], 0)
    assert before._replace(leader=-1).leader == -1
    assert before.leader == 1


def test_public_names() -> None:
    assert sorted(structs.__all__) == [
        "BrokerMetadata", "ConsumerRecord", "OffsetAndMetadata", "PartitionMetadata",
        "RecordMetadata", "TopicPartition",
    ]  # fmt: skip
    assert {"OffsetAndTimestamp", "KT", "VT"} <= set(vars(structs))


def test_consumer_record_fields() -> None:
    assert tuple(f.name for f in dataclasses.fields(ConsumerRecord)) == RECORD_FIELDS
    assert ConsumerRecord("t", 0, 5, 1000, 0, b"k", None, None, 1, -1, ()) == record()
    with pytest.raises(TypeError):
        ConsumerRecord("t", 0)  # type: ignore[call-arg]


def test_consumer_record_is_open_to_frameworks() -> None:
    one = record()
    one.consumer = "mine"  # type: ignore[attr-defined]
    one.value = b"changed"
    assert one.consumer == "mine"  # type: ignore[attr-defined]
    assert one and not hasattr(one, "__len__")
    assert one != record()
    with pytest.raises(TypeError):
        hash(one)

    class Mine(ConsumerRecord[str, str]):
        pass

    assert isinstance(Mine("t", 0, 5, 1000, 0, "k", "v", None, 1, 1, ()), ConsumerRecord)
    assert ConsumerRecord[Any, Any].__origin__ is ConsumerRecord  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "value",
    [
        record(),
        RecordMetadata("t", 0, TopicPartition("t", 0), 1, 2, 0, None),
        structs.OffsetAndTimestamp(1, None),
    ],
)
def test_pickle(value: ConsumerRecord[Any, Any] | NamedTuple) -> None:
    assert pickle.loads(pickle.dumps(value)) == value


def test_consumer_record_with_something_attached() -> None:
    one = record()
    one.mine = [1]  # type: ignore[attr-defined]
    for other in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
        assert type(other) is ConsumerRecord
        assert other == one
        assert vars(other)["mine"] == [1]
    shallow: Any = copy.copy(one)
    assert shallow.mine == [1]
    assert not hasattr(dataclasses.replace(one, offset=6), "mine")
    assert weakref.ref(one)() is one


def test_consumer_record_is_a_dataclass() -> None:
    one = record()
    assert dataclasses.is_dataclass(ConsumerRecord)
    assert dataclasses.asdict(one) == {name: getattr(one, name) for name in RECORD_FIELDS}
    assert dataclasses.astuple(one) == tuple(getattr(one, name) for name in RECORD_FIELDS)
    assert dataclasses.replace(one, key=b"other").key == b"other"
    assert repr(one).startswith("ConsumerRecord(topic='t', partition=0, offset=5, ")
    match one:
        case ConsumerRecord(topic, partition, offset):
            assert (topic, partition, offset) == ("t", 0, 5)


def test_vars_of_a_consumer_record() -> None:
    """Its fields, in their order, and what else is on it."""
    one = record()
    one.mine = 1  # type: ignore[attr-defined]
    assert list(vars(one)) == [*RECORD_FIELDS, "mine"]
    assert vars(one)["offset"] == 5
    del one.checksum
    assert "checksum" not in vars(one)


def test_subclasses_of_a_consumer_record() -> None:
    @dataclasses.dataclass
    class Extended(ConsumerRecord[str, int]):
        extra: int = 0

    one = Extended("t", 0, 5, 1000, 0, "k", 1, None, 1, 1, (), extra=7)
    assert list(vars(one)) == [*RECORD_FIELDS, "extra"]
    assert dataclasses.asdict(one)["extra"] == 7
    assert copy.copy(one) == one
    assert one != ConsumerRecord("t", 0, 5, 1000, 0, "k", 1, None, 1, 1, ())


def test_types_of_a_consumer_record() -> None:
    """Checked by mypy: what a user's code may take for granted."""
    one: ConsumerRecord[str, int] = ConsumerRecord("t", 0, 5, 1, 0, "k", 1, None, 1, 1, ())
    key: str | None = one.key
    value: int | None = one.value
    headers: list[tuple[str, bytes | None]] = list(one.headers)
    assert (key, value, headers) == ("k", 1, [])
