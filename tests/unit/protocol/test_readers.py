"""Readers give the same shape whatever the version."""

from __future__ import annotations

from uuid import UUID

from aiokafka.protocol import commit, coordination, fetch, group, metadata, offset, produce
from aiokafka.protocol.admin import (
    ApiVersionResponse_v0,
    ApiVersionResponse_v1,
    ApiVersionResponse_v4,
    parse_api_versions,
)
from aiokafka.structs import TopicPartition

ID = UUID(int=7)


class TestProduce:
    def test_oldest(self) -> None:
        response = produce.ProduceResponse_v0([("t", [(0, 3, 5)]), ("u", [(1, 0, 6)])])
        first, second = produce.partition_results(response)
        assert first == produce.ProducePartitionResult("t", 0, 3, 5)
        assert first[3:] == (5, -1, None, None, (), -1, -1)
        assert (second.topic, second.partition, second.base_offset) == ("u", 1, 6)
        assert produce.node_endpoints(response) == []

    def test_timestamps(self) -> None:
        (result,) = produce.partition_results(
            produce.ProduceResponse_v2([["t", [[0, 0, 5, 99]]]], 0)
        )
        assert (result.timestamp, result.log_start_offset) == (99, None)

    def test_newest(self) -> None:
        partition = (2, 6, -1, -1, 4, [(1, "bad")], "worse", (8, 9))
        response = produce.ProduceResponse_v13(
            [(ID, [partition]), (UUID(int=8), [])], 0, [(8, "h", 9092, "r")]
        )
        response = produce.ProduceResponse_v13.decode(response.encode())
        assert produce.partition_results(response, {ID: "t"}) == [
            produce.ProducePartitionResult(
                "t", 2, 6, -1, -1, 4, "worse", [(1, "bad")], leader_id=8, leader_epoch=9
            )
        ]
        assert produce.partition_results(response)[0].topic == str(ID)
        assert produce.node_endpoints(response) == [(8, "h", 9092, "r")]


class TestMetadata:
    def test_oldest(self) -> None:
        response = metadata.MetadataResponse_v0([(1, "h", 2)], [(0, "t", [(5, 0, 1, [1], [1])])])
        parsed = metadata.parse(response)
        assert parsed == metadata.ParsedMetadata(
            brokers=[(1, "h", 2, None)],
            cluster_id=None,
            controller_id=-1,
            topics=[
                metadata.ParsedTopic(
                    0,
                    "t",
                    None,
                    False,
                    [metadata.ParsedPartition(5, 0, 1, -1, [1], [1], ())],
                )
            ],
            error_code=0,
        )

    def test_newest(self) -> None:
        partition = (0, 3, 1, 8, [1, 2], [1], [2])
        topics = [(0, "t", ID, True, [partition], 0), (3, "u", None, False, [], 0)]
        response = metadata.MetadataResponse_v13(0, [(1, "h", 2, "r")], "c", 1, topics, 42)
        response = metadata.MetadataResponse_v13.decode(response.encode())
        parsed = metadata.parse(response)
        known, unknown = parsed.topics
        assert (parsed.brokers, parsed.cluster_id) == ([(1, "h", 2, "r")], "c")
        assert (parsed.controller_id, parsed.error_code) == (1, 42)
        assert (known.name, known.topic_id, known.is_internal) == ("t", ID, True)
        assert known.partitions == [metadata.ParsedPartition(*partition)]
        assert (unknown.error_code, unknown.topic_id, unknown.partitions) == (3, None, [])


def test_api_versions() -> None:
    rows = [(0, 3, 13), (3, 0, 13)]
    versions = {0: (3, 13), 3: (0, 13)}
    assert parse_api_versions(ApiVersionResponse_v0(35, rows)) == (35, versions, {}, 0)
    assert parse_api_versions(ApiVersionResponse_v1(0, rows, 5)) == (0, versions, {}, 5)
    features = [("transaction.version", 2, 1)]
    newest = ApiVersionResponse_v4(0, rows, 0, [("kraft.version", 0, 1)], 3, features)
    assert parse_api_versions(newest) == (0, versions, {"transaction.version": 2}, 0)
    unknown = ApiVersionResponse_v4(0, rows, 0, [], -1, features)
    assert parse_api_versions(unknown)[2] == {}


def test_coordinators() -> None:
    expected = ("g", 15, None, 1, "h", 2)
    read = coordination.parse_coordinators
    assert read(coordination.FindCoordinatorResponse_v0(15, 1, "h", 2), "g") == [expected]
    new = coordination.FindCoordinatorResponse_v2(0, 15, "m", 1, "h", 2)
    assert read(new, "g") == [("g", 15, "m", 1, "h", 2)]
    batch = coordination.FindCoordinatorResponse_v4(0, [("g", 1, "h", 2, 15, None)])
    assert read(batch, "other") == [expected]


class TestFetch:
    def test_oldest(self) -> None:
        (result,) = fetch.partition_results(fetch.FetchResponse_v0([("t", [(0, 1, 5, b"r")])]))
        assert result == fetch.FetchPartitionResult("t", 0, 1, 5, -1, -1, None, -1, b"r")
        assert result[9:] == (-1, -1, -1, -1)

    def test_newest(self) -> None:
        row = (0, 6, 5, 4, 3, [(1, 2)], 9, b"r", (7, 70), (8, 80))
        response = fetch.FetchResponse_v18(0, 0, 0, [(ID, [row])], [(8, "h", 1, None)])
        response = fetch.FetchResponse_v18.decode(response.encode())
        (result,) = fetch.partition_results(response, {ID: "t"})
        assert result == fetch.FetchPartitionResult(
            "t", 0, 6, 5, 4, 3, [(1, 2)], 9, b"r", 8, 80, 7, 70
        )
        assert fetch.node_endpoints(response) == [(8, "h", 1, None)]


def test_list_offsets() -> None:
    read = offset.list_offsets_results
    result = offset.ListOffsetsResult
    old = offset.OffsetResponse_v0([("t", [(0, 0, [9, 8]), (1, 3, [])])])
    assert read(old) == [result("t", 0, 0, -1, 9, -1), result("t", 1, 3, -1, -1, -1)]
    assert read(offset.OffsetResponse_v1([("t", [(0, 0, 5, 9)])])) == [result("t", 0, 0, 5, 9, -1)]
    new = offset.OffsetResponse_v11(0, [("t", [(0, 0, 5, 9, 2)])])
    assert read(new) == [result("t", 0, 0, 5, 9, 2)]


def test_commits() -> None:
    read = commit.commit_results
    assert read(commit.OffsetCommitResponse_v2([("t", [(0, 5)])])) == [("t", 0, 5)]
    new = commit.OffsetCommitResponse_v10(0, [(ID, [(0, 5)])])
    assert read(new, {ID: "t"}) == [("t", 0, 5)]


def test_committed_offsets() -> None:
    read = commit.committed_offsets
    old = commit.OffsetFetchResponse_v1([("t", [(0, 5, "m", 3)])])
    assert read(old) == (0, [commit.CommittedOffset("t", 0, 5, -1, "m", 3)])
    middle = commit.OffsetFetchResponse_v5(0, [("t", [(0, 5, 2, None, 0)])], 14)
    assert read(middle) == (14, [commit.CommittedOffset("t", 0, 5, 2, None, 0)])
    new = commit.OffsetFetchResponse_v10(0, [("g", [(ID, [(0, 5, 2, "m", 0)])], 16)])
    assert read(new, {ID: "t"}) == (16, [commit.CommittedOffset("t", 0, 5, 2, "m", 0)])
    assert read(commit.OffsetFetchResponse_v8(0, [])) == (0, [])


def test_group_membership() -> None:
    old = group.JoinGroupResponse_v0(0, 1, "range", "m", "m", [("m", b"x")])
    new = group.JoinGroupResponse_v9(0, 0, 1, "consumer", "r", "m", False, "m", [("m", "i", b"x")])
    assert group.joined_members(old) == [group.JoinedMember("m", None, b"x")]
    assert group.joined_members(new) == [group.JoinedMember("m", "i", b"x")]
    assert group.leave_error_code(group.LeaveGroupResponse_v0(25)) == 25
    assert group.leave_error_code(group.LeaveGroupResponse_v3(0, 0, [("m", None, 25)])) == 25
    assert group.leave_error_code(group.LeaveGroupResponse_v3(0, 0, [("m", None, 0)])) == 0


def test_consumer_protocol_structs() -> None:
    assignment = group.MemberAssignment(0, [("t", [0, 2])], None)
    assert group.MemberAssignment.decode(assignment.encode()) == assignment
    assert assignment.partitions() == [TopicPartition("t", 0), TopicPartition("t", 2)]
    member = group.ProtocolMetadata(0, ["t"], b"")
    assert group.ProtocolMetadata.decode(member.encode()) == member
