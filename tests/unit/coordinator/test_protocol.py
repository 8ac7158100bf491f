"""Subscriptions and assignments: layouts against Kafka's definitions, versions, hostile bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiokafka.coordinator import protocol
from aiokafka.coordinator.protocol import (
    SUBSCRIPTION_SCHEMAS,
    ConsumerProtocol,
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
    MemberSubscription,
)
from aiokafka.errors import KafkaProtocolError
from aiokafka.structs import TopicPartition
from tests.unit.protocol.conftest import kafka_clients_jar  # noqa: F401  (a fixture)
from tests.unit.protocol.test_conformance import (
    Definition,
    compare_nodes,
    declared_fields,
    definitions,
)

READERS = [MemberSubscription, ConsumerProtocolMemberMetadata, ConsumerProtocolMemberAssignment]

OWNED = [TopicPartition("a", 0), TopicPartition("a", 3), TopicPartition("b", 1)]
EVERYTHING = MemberSubscription(["a", "b"], b"mine", OWNED, 7, "rack-1")

topics = st.text("abc.-_é", min_size=1, max_size=5)
subscriptions = st.builds(
    MemberSubscription,
    st.lists(topics, max_size=4),
    st.none() | st.binary(max_size=20),
    st.lists(st.builds(TopicPartition, topics, st.integers(0, 2**31 - 1)), unique=True).map(
        sorted
    ),
    st.integers(-1, 2**31 - 1),
    st.none() | st.text(max_size=5),
)


# --- layouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(4))
@pytest.mark.parametrize(
    ("name", "schemas"),
    [
        ("ConsumerProtocolSubscription", SUBSCRIPTION_SCHEMAS),
        ("ConsumerProtocolAssignment", [ConsumerProtocolMemberAssignment.SCHEMA] * 4),
    ],
)
def test_laid_out_as_kafka_defines_it(name, schemas, version, kafka_clients_jar: Path):  # noqa: F811
    message = definitions(kafka_clients_jar)[name]
    assert message["validVersions"] == "0-3"
    expected = Definition(message, version)
    ours = declared_fields(schemas[version], expected.flexible)
    assert ours.pop(0)[:2] == ("version", ("int16", False)), "which stands before the message"
    assert len(ours) == len(expected.fields)
    for mine, theirs in zip(ours, expected.fields, strict=True):
        assert compare_nodes(name, theirs[0], mine[1], theirs[1]) == []


def test_names_of_the_protocol():
    assert ConsumerProtocol.PROTOCOL_TYPE == "consumer"
    assert ConsumerProtocol.ASSIGNMENT_STRATEGIES == ("range", "roundrobin")
    assert ConsumerProtocol.METADATA is ConsumerProtocolMemberMetadata
    assert ConsumerProtocol.ASSIGNMENT is ConsumerProtocolMemberAssignment
    assert protocol.Schema is type(ConsumerProtocolMemberMetadata.SCHEMA)


# --- structs of three fields ---------------------------------------------------------------------


def test_metadata_by_position():
    metadata = ConsumerProtocolMemberMetadata(0, ["a", "b"], b"x")
    encoded = metadata.encode()
    assert encoded == b"\0\0\0\0\0\x02\0\x01a\0\x01b\0\0\0\x01x"
    assert ConsumerProtocolMemberMetadata.decode(encoded) == metadata
    assert ConsumerProtocolMemberMetadata(0, [], None).encode().endswith(b"\xff\xff\xff\xff")


def test_metadata_of_newer_versions_is_read_as_far_as_it_goes():
    metadata = ConsumerProtocolMemberMetadata.decode(EVERYTHING.encode())
    assert metadata == ConsumerProtocolMemberMetadata(3, ["a", "b"], b"mine")


def test_assignment():
    assignment = ConsumerProtocolMemberAssignment(0, [("b", [1]), ("a", [0, 3])], b"")
    decoded = ConsumerProtocolMemberAssignment.decode(assignment.encode())
    assert decoded == assignment
    last = decoded.assignment[1]
    assert isinstance(last, ConsumerProtocolMemberAssignment.Assignment)
    assert (last.topic, last.partitions) == ("a", [0, 3])
    assert sorted(decoded.assignment) == [("a", [0, 3]), ("b", [1])]
    assert sorted(decoded.partitions()) == sorted(assignment.partitions()) == OWNED


def test_assignment_of_a_newer_version():
    encoded = ConsumerProtocolMemberAssignment(9, [("a", [1])], None).encode() + b"more"
    decoded = ConsumerProtocolMemberAssignment.decode(encoded)
    assert (decoded.version, decoded.partitions()) == (9, [TopicPartition("a", 1)])


# --- subscriptions of any version ----------------------------------------------------------------


@given(subscriptions, st.integers(0, 3))
def test_round_trip(subscription, version):
    decoded = MemberSubscription.decode(subscription.encode(version))
    assert decoded.version == version
    assert decoded.subscription == subscription.subscription
    assert decoded.user_data == subscription.user_data
    assert decoded.owned_partitions == (subscription.owned_partitions if version > 0 else [])
    assert decoded.generation_id == (subscription.generation_id if version > 1 else -1)
    assert decoded.rack_id == (subscription.rack_id if version > 2 else None)


def test_the_newest_version_is_written():
    assert MemberSubscription.decode(EVERYTHING.encode()) == EVERYTHING
    assert EVERYTHING.encode()[:2] == b"\0\x03"


def test_an_old_subscription_is_written_as_it_was_read():
    old = MemberSubscription.decode(EVERYTHING.encode(1))
    assert old.encode() == EVERYTHING.encode(1)


def test_a_version_newer_than_known():
    encoded = b"\0\x0c" + EVERYTHING.encode()[2:] + b"what is to come"
    decoded = MemberSubscription.decode(encoded)
    assert decoded.version == 12
    decoded.version = 3
    assert decoded == EVERYTHING
    decoded.version = 12
    assert decoded.encode() == EVERYTHING.encode(3)


@pytest.mark.parametrize("version", [-1, 4])
def test_a_version_that_cannot_be_written(version):
    with pytest.raises(ValueError, match="versions 0 to 3"):
        EVERYTHING.encode(version)


def test_read_from_any_buffer():
    encoded = EVERYTHING.encode()
    for buffer in (bytearray(encoded), memoryview(encoded)):
        assert MemberSubscription.decode(buffer) == EVERYTHING


# --- bytes of a hostile member -------------------------------------------------------------------


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\xff\xff" + bytes(12),  # version -1
        b"\0\0\xff\xff\xff\xff\0\0\0\0",  # null where there must be a list
        b"\0\0\x7f\xff\xff\xff\0\0\0\0",  # two thousand million topics
        b"\0\0\0\0\0\x01\0\x02\xc3\x28\0\0\0\0\0\0\0\0",  # not UTF-8
        b"\0\0\0\0\0\0\x7f\xff\xff\xff",  # two gigabytes of user data
    ],
)
def test_broken(reader, data):
    with pytest.raises(KafkaProtocolError, match="of the consumer protocol"):
        reader.decode(data)


@pytest.mark.parametrize("reader", READERS)
@given(data=st.binary(max_size=60))
def test_random_bytes(reader, data):
    try:
        reader.decode(data)
    except KafkaProtocolError:
        pass


@pytest.mark.parametrize("size", range(len(EVERYTHING.encode())))
def test_cut_off(size):
    with pytest.raises(KafkaProtocolError):
        MemberSubscription.decode(EVERYTHING.encode()[:size])


@given(st.data())
def test_damaged(data):
    encoded = bytearray(EVERYTHING.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        MemberSubscription.decode(encoded)
    except KafkaProtocolError:
        pass
