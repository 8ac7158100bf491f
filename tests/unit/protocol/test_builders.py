"""What each builder says in each version."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from aiokafka._version import __version__
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol import (
    admin,
    commit,
    consumer_group,
    coordination,
    fetch,
    group,
    metadata,
    offset,
    produce,
    transaction,
)
from aiokafka.protocol.api import Request

from .apis import APIS

ID = UUID(int=7)
IDS = {"t": ID}

COMMIT = [("t", [(0, 5, "m")])]
COMMIT_EPOCH = [("t", [(0, 5, "m", 3)])]
LITERAL, PREFIXED = 3, 4

CASES: list[tuple[Request[Any], int, tuple[Any, ...]]] = [
    (produce.ProduceRequest(None, 1, 2, []), 2, (1, 2, [])),
    (produce.ProduceRequest("x", 1, 2, []), 9, ("x", 1, 2, [])),
    (produce.ProduceRequest(None, 1, 2, [("t", [(0, b"")])], topic_ids=IDS), 13,
     (None, 1, 2, [(ID, [(0, b"")])])),
    (fetch.FetchRequest(1, 2, 3, 1, [("t", [(0, 5, 9)])], "r"), 1,
     (-1, 1, 2, [("t", [(0, 5, 9)])])),
    (fetch.FetchRequest(1, 2, 3, 1, [("t", [(0, 5, 9, 4)])]), 3,
     (-1, 1, 2, 3, [("t", [(0, 5, 9)])])),
    (fetch.FetchRequest(1, 2, 3, 1, [("t", [(0, 5, 9)])]), 4,
     (-1, 1, 2, 3, 1, [("t", [(0, 5, 9)])])),
    (fetch.FetchRequest(1, 2, 3, 1, [("t", [(0, 5, 9)])]), 6,
     (-1, 1, 2, 3, 1, [("t", [(0, 5, -1, 9)])])),
    (fetch.FetchRequest(1, 2, 3, 1, [("t", [(0, 5, 9)])]), 8,
     (-1, 1, 2, 3, 1, 0, -1, [("t", [(0, 5, -1, 9)])], [])),
    (fetch.FetchRequest(1, 2, 3, 1, [("t", [(0, 5, 9, 4)])], "r", session_id=8, session_epoch=6,
                        forgotten_topics_data=[("t", [1])]), 11,
     (-1, 1, 2, 3, 1, 8, 6, [("t", [(0, 4, 5, -1, 9)])], [("t", [1])], "r")),
    (fetch.FetchRequest(1, 2, 3, 1, [("t", [(0, 5, 9, 4, 2)])]), 12,
     (-1, 1, 2, 3, 1, 0, -1, [("t", [(0, 4, 5, 2, -1, 9)])], [], "")),
    (fetch.FetchRequest(1, 2, 3, 1, [("t", [(0, 5, 9)])], topic_ids=IDS,
                        forgotten_topics_data=[("t", [1])]), 14,
     (-1, 1, 2, 3, 1, 0, -1, [(ID, [(0, -1, 5, -1, -1, 9)])], [(ID, [1])], "")),
    (fetch.FetchRequest(1, 2, 3, 1, [("t", [(0, 5, 9)])], topic_ids=IDS), 17,
     (1, 2, 3, 1, 0, -1, [(ID, [(0, -1, 5, -1, -1, 9)])], [], "")),
    (offset.OffsetRequest(-1, 0, [("t", [(0, -1)])]), 0, (-1, [("t", [(0, -1, 1)])])),
    (offset.OffsetRequest(-1, 0, [("t", [(0, -1, 5)])]), 0, (-1, [("t", [(0, -1, 5)])])),
    (offset.OffsetRequest(-1, 0, [("t", [(0, -1)])]), 1, (-1, [("t", [(0, -1)])])),
    (offset.OffsetRequest(-1, 1, [("t", [(0, -1, 4)])]), 3, (-1, 1, [("t", [(0, -1)])])),
    (offset.OffsetRequest(-1, 1, [("t", [(0, -1)])]), 4, (-1, 1, [("t", [(0, -1, -1)])])),
    (offset.OffsetRequest(-1, 1, [("t", [(0, -3, 4)])], timeout_ms=5), 11,
     (-1, 1, [("t", [(0, 4, -3)])], 5)),
    (offset.OffsetForLeaderEpochRequest([("t", [(0, 4, 3)])]), 1, ([("t", [(0, 3)])],)),
    (offset.OffsetForLeaderEpochRequest([("t", [(0, 4, 3)])]), 2, ([("t", [(0, 4, 3)])],)),
    (offset.OffsetForLeaderEpochRequest([("t", [(0, 4, 3)])]), 4, (-1, [("t", [(0, 4, 3)])])),
    (metadata.MetadataRequest(None), 0, ([],)),
    (metadata.MetadataRequest(["t"]), 0, (["t"],)),
    (metadata.MetadataRequest(None), 1, (None,)),
    (metadata.MetadataRequest([], False), 1, ([],)),
    (metadata.MetadataRequest(["t"]), 4, (["t"], True)),
    (metadata.MetadataRequest(["t"], False), 5, (["t"], False)),
    (metadata.MetadataRequest(["t"], True, True), 8, (["t"], True, False, True)),
    (metadata.MetadataRequest(["t"], False), 9, ([("t",)], False, False, False)),
    (metadata.MetadataRequest(["t"], False), 10, ([(None, "t")], False, False, False)),
    (metadata.MetadataRequest(None), 13, (None, True, False)),
    (commit.OffsetCommitRequest("g", 1, "m", 9, COMMIT), 2, ("g", 1, "m", 9, COMMIT)),
    (commit.OffsetCommitRequest("g", 1, "m", -1, COMMIT_EPOCH), 5, ("g", 1, "m", COMMIT)),
    (commit.OffsetCommitRequest("g", 1, "m", -1, COMMIT), 6,
     ("g", 1, "m", [("t", [(0, 5, -1, "m")])])),
    (commit.OffsetCommitRequest("g", 1, "m", -1, COMMIT_EPOCH, group_instance_id="i"), 9,
     ("g", 1, "m", "i", [("t", [(0, 5, 3, "m")])])),
    (commit.OffsetCommitRequest("g", 1, "m", -1, COMMIT, topic_ids=IDS), 10,
     ("g", 1, "m", None, [(ID, [(0, 5, -1, "m")])])),
    (commit.OffsetFetchRequest("g", [("t", [0])]), 1, ("g", [("t", [0])])),
    (commit.OffsetFetchRequest("g", None), 2, ("g", None)),
    (commit.OffsetFetchRequest("g", None, require_stable=True), 7, ("g", None, True)),
    (commit.OffsetFetchRequest("g", [("t", [0])]), 8, ([("g", [("t", [0])])], False)),
    (commit.OffsetFetchRequest("g", None, member_id="m", member_epoch=2), 9,
     ([("g", "m", 2, None)], False)),
    (commit.OffsetFetchRequest("g", [("t", [0])], topic_ids=IDS), 10,
     ([("g", None, -1, [(ID, [0])])], False)),
    (coordination.FindCoordinatorRequest("g", 0), 0, ("g",)),
    (coordination.FindCoordinatorRequest("g", 1), 3, ("g", 1)),
    (coordination.FindCoordinatorRequest("g", 1), 6, (1, ["g"])),
    (group.JoinGroupRequest("g", 1, 2, "m", None, "c", [("r", b"")]), 0,
     ("g", 1, "m", "c", [("r", b"")])),
    (group.JoinGroupRequest("g", 1, 2, "m", None, "c", []), 4, ("g", 1, 2, "m", "c", [])),
    (group.JoinGroupRequest("g", 1, 2, "m", "i", "c", []), 7, ("g", 1, 2, "m", "i", "c", [])),
    (group.JoinGroupRequest("g", 1, 2, "m", "i", "c", [], reason="why"), 9,
     ("g", 1, 2, "m", "i", "c", [], "why")),
    (group.SyncGroupRequest("g", 1, "m", None, []), 2, ("g", 1, "m", [])),
    (group.SyncGroupRequest("g", 1, "m", "i", []), 4, ("g", 1, "m", "i", [])),
    (group.SyncGroupRequest("g", 1, "m", "i", [], protocol_type="c", protocol_name="r"), 5,
     ("g", 1, "m", "i", "c", "r", [])),
    (group.HeartbeatRequest("g", 1, "m"), 2, ("g", 1, "m")),
    (group.HeartbeatRequest("g", 1, "m", group_instance_id="i"), 4, ("g", 1, "m", "i")),
    (group.LeaveGroupRequest("g", "m"), 2, ("g", "m")),
    (group.LeaveGroupRequest("g", "m", group_instance_id="i"), 4, ("g", [("m", "i")])),
    (group.LeaveGroupRequest("g", "m", reason="why"), 5, ("g", [("m", None, "why")])),
    (consumer_group.ConsumerGroupHeartbeatRequest("g", "m", 0, subscribed_topic_names=["t"]), 0,
     ("g", "m", 0, None, None, -1, ["t"], None, None)),
    (consumer_group.ConsumerGroupHeartbeatRequest("g", "m", 0, subscribed_topic_regex="t.*"), 1,
     ("g", "m", 0, None, None, -1, None, "t.*", None, None)),
    (transaction.InitProducerIdRequest(None, 5), 1, (None, 5)),
    (transaction.InitProducerIdRequest("x", 5), 4, ("x", 5, -1, -1)),
    (transaction.InitProducerIdRequest("x", 5, 6, 7), 5, ("x", 5, 6, 7)),
    (transaction.AddPartitionsToTxnRequest("x", 1, 2, [("t", [0])]), 3, ("x", 1, 2, [("t", [0])])),
    (transaction.AddOffsetsToTxnRequest("x", 1, 2, "g"), 4, ("x", 1, 2, "g")),
    (transaction.EndTxnRequest("x", 1, 2, True), 4, ("x", 1, 2, True)),
    (transaction.EndTxnRequest("x", 1, 2, True, transaction_v2=True), 5, ("x", 1, 2, True)),
    (transaction.TxnOffsetCommitRequest("x", "g", 1, 2, COMMIT), 0, ("x", "g", 1, 2, COMMIT)),
    (transaction.TxnOffsetCommitRequest("x", "g", 1, 2, COMMIT_EPOCH), 2,
     ("x", "g", 1, 2, [("t", [(0, 5, 3, "m")])])),
    (transaction.TxnOffsetCommitRequest("x", "g", 1, 2, COMMIT, generation_id=4, member_id="m",
                                        group_instance_id="i"), 4,
     ("x", "g", 1, 2, 4, "m", "i", [("t", [(0, 5, -1, "m")])])),
    (transaction.TxnOffsetCommitRequest("x", "g", 1, 2, [], transaction_v2=True), 5,
     ("x", "g", 1, 2, -1, "", None, [])),
    (admin.ApiVersionRequest(), 2, ()),
    (admin.ApiVersionRequest(), 4, ("aiokafka", __version__)),
    (admin.SaslHandShakeRequest("PLAIN"), 1, ("PLAIN",)),
    (admin.SaslAuthenticateRequest(b"x"), 2, (b"x",)),
    (admin.CreateTopicsRequest([], 5, False), 0, ([], 5)),
    (admin.CreateTopicsRequest([], 5, True), 4, ([], 5, True)),
    (admin.DeleteTopicsRequest(["t"], 5), 4, (["t"], 5)),
    (admin.CreatePartitionsRequest([("t", (3, [[1]]))], 5, False), 1,
     ([("t", (3, [[1]]))], 5, False)),
    (admin.CreatePartitionsRequest([("t", (3, [[1]])), ("u", (2, None))], 5, True), 3,
     ([("t", 3, [([1],)]), ("u", 2, None)], 5, True)),
    (admin.DeleteRecordsRequest([("t", [(0, 5)])], 9), 1, ([("t", [(0, 5)])], 9)),
    (admin.DeleteRecordsRequest([("t", {0: 5})], 9), 2, ([("t", [(0, 5, {})], {})], 9, {})),
    (admin.AlterPartitionReassignmentsRequest(5, [], {}), 0, (5, [], {})),
    (admin.ListPartitionReassignmentsRequest(5, None, {}), 0, (5, None, {})),
    (admin.ListGroupsRequest(), 3, ()),
    (admin.DescribeGroupsRequest(["g"]), 2, (["g"],)),
    (admin.DescribeGroupsRequest(["g"], True), 3, (["g"], True)),
    (admin.DeleteGroupsRequest(["g"]), 2, (["g"],)),
    (admin.DescribeAclsRequest(2, None, LITERAL, "p", "h", 3, 4), 0, (2, None, "p", "h", 3, 4)),
    (admin.DescribeAclsRequest(2, None, PREFIXED, "p", "h", 3, 4), 3,
     (2, None, PREFIXED, "p", "h", 3, 4)),
    (admin.CreateAclsRequest(2, "n", LITERAL, "p", "h", 3, 4), 0, ([(2, "n", "p", "h", 3, 4)],)),
    (admin.CreateAclsRequest(2, "n", PREFIXED, "p", "h", 3, 4), 1,
     ([(2, "n", PREFIXED, "p", "h", 3, 4)],)),
    (admin.DeleteAclsRequest(2, "n", LITERAL, "p", "h", 3, 4), 2,
     ([(2, "n", LITERAL, "p", "h", 3, 4)],)),
    (admin.AlterConfigsRequest([(2, "n", [("k", "v")])], True), 2,
     ([(2, "n", [("k", "v")])], True)),
    (admin.DescribeConfigsRequest([(2, "n", None)]), 0, ([(2, "n", None)],)),
    (admin.DescribeConfigsRequest([(2, "n", ["k"])], True), 2, ([(2, "n", ["k"])], True)),
    (admin.DescribeClientQuotasRequest([("user", 0, "u")], True), 1, ([("user", 0, "u")], True)),
    (admin.DescribeConfigsInFullRequest([(2, "n", None)], False, True), 1,
     ([(2, "n", None)], False)),
    (admin.DescribeConfigsInFullRequest([(2, "n", None)], True, True), 4,
     ([(2, "n", None)], True, True)),
    (admin.IncrementalAlterConfigsRequest([(2, "n", [("k", 0, "v")])]), 1,
     ([(2, "n", [("k", 0, "v")])], False)),
    (admin.AlterClientQuotasRequest([([("user", None)], [("k", 1.0, False)])], True), 1,
     ([([("user", None)], [("k", 1.0, False)])], True)),
    (admin.CreateAclEntriesRequest([(2, "n", LITERAL, "p", "h", 3, 4)] * 2), 0,
     ([(2, "n", "p", "h", 3, 4)] * 2,)),
    (admin.DeleteAclEntriesRequest([(2, None, PREFIXED, None, "h", 3, 4)]), 3,
     ([(2, None, PREFIXED, None, "h", 3, 4)],)),
    (admin.ListGroupsOfKindRequest(), 3, ()),
    (admin.ListGroupsOfKindRequest(["Empty"]), 4, (["Empty"],)),
    (admin.ListGroupsOfKindRequest(["Empty"], ["classic"]), 5, (["Empty"], ["classic"])),
    (admin.DescribeGroupsInFullRequest(["g"], True), 6, (["g"], True)),
    (admin.ConsumerGroupDescribeRequest(["g"], True), 1, (["g"], True)),
    (admin.DescribeTopicPartitionsRequest(["t"], 9, ("t", 5)), 0, ([("t",)], 9, ("t", 5))),
    (admin.OffsetDeleteRequest("g", [("t", [0, 1])]), 0, ("g", [("t", [(0,), (1,)])])),
    (admin.DescribeLogDirsRequest([("t", [0])]), 4, ([("t", [0])],)),
    (admin.CreateDelegationTokenRequest([("User", "r")], 9), 2, ([("User", "r")], 9)),
    (admin.CreateDelegationTokenRequest([], -1, ("User", "o")), 3, ("User", "o", [], -1)),
    (admin.CreateDelegationTokenRequest([], -1), 3, (None, None, [], -1)),
    (admin.RenewDelegationTokenRequest(b"h", 5), 2, (b"h", 5)),
    (admin.ExpireDelegationTokenRequest(b"h", -1), 2, (b"h", -1)),
    (admin.DescribeDelegationTokenRequest(None), 3, (None,)),
    (admin.ElectLeadersRequest(0, [("t", [0])], 5), 0, ([("t", [0])], 5)),
    (admin.ElectLeadersRequest(1, None, 5), 2, (1, None, 5)),
    (admin.DescribeUserScramCredentialsRequest(None), 0, (None,)),
    (admin.DescribeUserScramCredentialsRequest(["u"]), 0, ([("u",)],)),
    (admin.AlterUserScramCredentialsRequest([("u", 1)], [("v", 2, 4096, b"s", b"p")]), 0,
     ([("u", 1)], [("v", 2, 4096, b"s", b"p")])),
    (admin.DescribeQuorumRequest(), 1, ([("__cluster_metadata", [(0,)])],)),
    (admin.UpdateFeaturesRequest(5, [("f", 1, 2)], False), 0, (5, [("f", 1, True)])),
    (admin.UpdateFeaturesRequest(5, [("f", 1, 3)], True), 2, (5, [("f", 1, 3)], True)),
    (admin.DescribeProducersRequest([("t", [0])]), 0, ([("t", [0])],)),
    (admin.DescribeTransactionsRequest(["x"]), 0, (["x"],)),
    (admin.ListTransactionsRequest(["Ongoing"], [7]), 0, (["Ongoing"], [7])),
    (admin.ListTransactionsRequest([], [], 5), 1, ([], [], 5)),
    (admin.ListTransactionsRequest([], [], 5, "a.*"), 2, ([], [], 5, "a.*")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "version", "values"),
    CASES,
    ids=[f"{type(request).__name__}_v{version}" for request, version, _ in CASES],
)
def test_build(request_: Request[Any], version: int, values: tuple[Any, ...]) -> None:
    struct = request_.prepare({request_.API_KEY: (version, version)})
    assert version == struct.API_VERSION
    assert struct == type(struct)(*values)
    decoded = type(struct).decode(struct.encode())
    assert decoded.encode() == struct.encode()


def test_every_version_a_builder_may_pick_can_be_built() -> None:
    built = {}
    for request, _, _ in CASES:
        for struct_class in type(request)._CLASSES:
            version = struct_class.API_VERSION
            try:
                struct = request.prepare({request.API_KEY: (version, version)})
            except (IncompatibleBrokerVersion, NotImplementedError):
                continue
            assert type(struct).decode(struct.encode()).encode() == struct.encode()
            built[request.API_KEY, version] = True
    for api in APIS:
        for struct_class in api.requests:
            never_sent = {(1, 0), (8, 0), (8, 1), (9, 0)}
            key = (api.key, struct_class.API_VERSION)
            from aiokafka.protocol._versions import CEILINGS

            assert key in built or key in never_sent or key[1] > CEILINGS[api.key]


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        (produce.ProduceRequest("x", 1, 2, []), 2),
        (produce.ProduceRequest(None, 1, 2, [("t", [])]), 13),
        (produce.ProduceRequest(None, 1, 2, [("t", [])], topic_ids={"t": UUID(int=0)}), 13),
        (produce.ProduceRequest("x", 1, 2, [("t", [])], topic_ids=IDS), 12),
        (produce.ProduceRequest(None, 1, 2, [("t", [])], topic_ids=IDS, max_version=9), 10),
        (fetch.FetchRequest(1, 2, 3, 0, [("t", [])]), 13),
        (offset.OffsetRequest(-1, 1, []), 1),
        (offset.OffsetRequest(-1, 0, [("t", [(0, -3)])]), 6),
        (offset.OffsetRequest(-1, 0, [("t", [(0, -4)])]), 7),
        (metadata.MetadataRequest(["t"], False), 3),
        (commit.OffsetCommitRequest("g", 1, "m", 5, []), 5),
        (commit.OffsetCommitRequest("g", 1, "m", -1, COMMIT), 10),
        (commit.OffsetCommitRequest("g", 1, "m", -1, COMMIT, group_instance_id="i"), 6),
        (commit.OffsetFetchRequest("g", None), 1),
        (commit.OffsetFetchRequest("g", [], require_stable=True), 6),
        (commit.OffsetFetchRequest("g", [("t", [0])]), 10),
        (coordination.FindCoordinatorRequest("g", 1), 0),
        (group.JoinGroupRequest("g", 1, 2, "m", "i", "c", []), 4),
        (group.SyncGroupRequest("g", 1, "m", "i", []), 2),
        (group.SyncGroupRequest("g", 1, "m", "i", []), 5),
        (group.HeartbeatRequest("g", 1, "m", group_instance_id="i"), 2),
        (group.LeaveGroupRequest("g", "m", group_instance_id="i"), 2),
        (consumer_group.ConsumerGroupHeartbeatRequest("g", "m", 0, subscribed_topic_regex="t"), 0),
        (transaction.InitProducerIdRequest("x", 5, 6, 7), 2),
        (transaction.EndTxnRequest("x", 1, 2, True), 5),
        (transaction.TxnOffsetCommitRequest("x", "g", 1, 2, []), 5),
        (admin.CreateTopicsRequest([], 5, True), 0),
        (admin.DeleteRecordsRequest([], 5, {1: b""}), 1),
        (admin.DescribeGroupsRequest([], True), 2),
        (admin.DescribeAclsRequest(2, None, PREFIXED, "p", "h", 3, 4), 0),
        (admin.CreateAclsRequest(2, "n", PREFIXED, "p", "h", 3, 4), 0),
        (admin.DeleteAclsRequest(2, "n", PREFIXED, "p", "h", 3, 4), 0),
        (admin.DescribeConfigsRequest([], True), 0),
        (admin.ListGroupsOfKindRequest(["Empty"]), 3),
        (admin.ListGroupsOfKindRequest([], ["classic"]), 4),
        (admin.CreateDelegationTokenRequest([], -1, ("User", "o")), 2),
        (admin.ElectLeadersRequest(1, None, 5), 0),
        (admin.UpdateFeaturesRequest(5, [], True), 0),
        (admin.UpdateFeaturesRequest(5, [("f", 1, 3)], False), 0),
        (admin.ListTransactionsRequest([], [], 5), 0),
        (admin.ListTransactionsRequest([], [], -1, "a"), 1),
    ],
)
def test_what_a_version_cannot_say(request_: Request[Any], version: int) -> None:
    with pytest.raises(IncompatibleBrokerVersion):
        request_.prepare({request_.API_KEY: (version, version)})


def test_topic_ids_must_be_known_to_build_with_them() -> None:
    request = produce.ProduceRequest(None, 1, 2, [("t", [])])
    with pytest.raises(IncompatibleBrokerVersion, match="'t'"):
        request.build(produce.ProduceRequest_v13)


def test_attributes_that_others_read() -> None:
    create = admin.CreateTopicsRequest(["rows"], 5, True)
    assert (create.create_topic_requests, create.timeout, create.validate_only) == (
        ["rows"],
        5,
        True,
    )
    assert produce.ProduceRequest(None, 0, 2, []).required_acks == 0
    request = fetch.FetchRequest(1, 2, 3, 0, [("t", [(0, 1, 2)])], "rack")
    assert request.topics == [("t", [(0, 1, 2)])]
    assert request.build(fetch.FetchRequest_v11).to_object()["rack_id"] == "rack"
    assert commit.OffsetCommitRequest.DEFAULT_GENERATION_ID == -1
    assert commit.OffsetCommitRequest.DEFAULT_RETENTION_TIME == -1
    assert group.JoinGroupRequest.UNKNOWN_MEMBER_ID == ""
    assert offset.OffsetResetStrategy.EARLIEST == -2
