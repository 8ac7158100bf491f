"""The calls beyond 0.14: what is sent, what is made of the answers, in part and in whole."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import UUID

import pytest

from aiokafka.admin.acls import (
    AclBinding,
    AclFilter,
    AclOperation,
    AclPatternType,
    AclResourceType,
    allowed,
)
from aiokafka.admin.cluster import FeatureRange, FeatureUpdate
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.admin.configs import ConfigChange, ConfigOperation, ConfigSource, ConfigTarget
from aiokafka.admin.groups import GroupListing, MemberToRemove
from aiokafka.admin.offsets import OffsetSpec
from aiokafka.admin.quotas import QuotaEntity, QuotaFilter, QuotaMatch
from aiokafka.admin.reassignments import PartitionReassignment
from aiokafka.admin.tokens import Principal
from aiokafka.admin.topics import PartitionDescription
from aiokafka.admin.users import ScramDeletion, ScramMechanism, ScramUpsertion
from aiokafka.consumer import AIOKafkaConsumer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    DelegationTokenAuthDisabled,
    ElectionNotNeededError,
    GroupIdNotFound,
    IllegalArgumentError,
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NonEmptyGroup,
    SecurityDisabled,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from aiokafka.producer import AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.testing.faults import Cut, Deaf, Error, Level

from .admin_lab import administering, count, now, virtual

TP, TP1, TP2 = (TopicPartition("t", n) for n in range(3))
MISSING = TopicPartition("missing", 0)


class Scripted:
    """A handler of the fake brokers that answers what it is told, one after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.nodes: list[int] = []

    def __call__(self, received: Any, connection: Any) -> dict[str, Any]:
        self.asked.append(received.values)
        self.nodes.append(received.broker.node_id)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return {"throttle_time_ms": 0, "error_code": 0, "error_message": None, **answer}


def scripted(api: int, *answers: dict[str, Any]) -> tuple[Scripted, dict[str, Any]]:
    """A scripted handler, and the settings of a cluster whose brokers speak the API."""
    return Scripted(*answers), {"versions": {api: (0, 20)}}


# -- groups and offsets ---------------------------------------------------------------------------


@virtual
async def test_groups() -> None:
    async with administering() as (kafka, admin):
        consumer = AIOKafkaConsumer(
            "t", bootstrap_servers=kafka.bootstrap_servers, group_id="g", group_instance_id="one"
        )
        await consumer.start()
        kafka.commit("empty", "t", 0, 5)
        listed = await admin.list_groups()
        assert sorted(listed, key=lambda found: found.group_id) == [
            GroupListing("empty", "", "Empty", "classic"),
            GroupListing("g", "consumer", "Stable", "classic"),
        ]
        assert [found.group_id for found in await admin.list_groups(["Empty"])] == ["empty"]
        results = await admin.describe_groups(["g", "missing", "empty"])
        assert set(results.succeeded) == {"g", "empty"}
        assert isinstance(results.errors["missing"], GroupIdNotFound)
        found = results["g"]
        assert (found.group_type, found.state, found.assignor) == (
            "classic",
            "Stable",
            "roundrobin",
        )
        assert found.coordinator == kafka.coordinator_of("g").node_id
        assert found.authorized_operations is None
        assert found.members[0].instance_id == "one"
        assert found.members[0].assignment == {TP, TP1, TP2}
        deleted = await admin.delete_consumer_groups(["g", "missing", "empty"])
        assert deleted.succeeded == {"empty": None}
        assert isinstance(deleted.errors["g"], NonEmptyGroup)
        assert isinstance(deleted.errors["missing"], GroupIdNotFound)
        unknown = MemberToRemove("nobody")
        removed = await admin.remove_members_from_consumer_group(
            "g", [MemberToRemove(instance_id="one"), unknown], "why"
        )
        assert removed.succeeded == {MemberToRemove(instance_id="one"): None}
        assert isinstance(removed.errors[unknown], UnknownMemberIdError)
        await consumer.stop()


@virtual
async def test_groups_of_old_brokers() -> None:
    async with administering(cluster={"release": "2.0"}) as (kafka, admin):
        kafka.commit("g", "t", 0, 5)
        assert await admin.list_groups() == [GroupListing("g", "")]
        assert set((await admin.describe_groups(["g", "missing"])).succeeded) == {"g"}
        with pytest.raises(IncompatibleBrokerVersion, match="states"):
            await admin.list_groups(["Empty"])


@virtual
async def test_groups_of_the_new_protocol() -> None:
    partitions = {
        "topic_partitions": [{"topic_id": UUID(int=1), "topic_name": "t", "partitions": [0, 2]}]
    }
    member = {
        "member_id": "m",
        "instance_id": None,
        "rack_id": "r",
        "member_epoch": 4,
        "client_id": "c",
        "client_host": "/h",
        "subscribed_topic_names": ["t"],
        "subscribed_topic_regex": None,
        "assignment": partitions,
        "target_assignment": {"topic_partitions": []},
        "member_type": 1,
    }
    group = {
        "error_code": 0,
        "error_message": None,
        "group_id": "g",
        "group_state": "Reconciling",
        "group_epoch": 4,
        "assignment_epoch": 4,
        "assignor_name": "uniform",
        "members": [member],
        "authorized_operations": 1 << AclOperation.READ,
    }
    handler, options = scripted(69, {"groups": [{**group, "error_code": 16}]}, {"groups": [group]})
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[69] = handler
        found = (await admin.describe_groups(["g"], True))["g"]
        assert (found.group_type, found.state, found.assignor) == (
            "consumer",
            "Reconciling",
            "uniform",
        )
        assert found.authorized_operations == {AclOperation.READ}
        assert found.members[0].assignment == {TP, TP2}
        assert found.members[0].target_assignment == frozenset()
        assert (found.members[0].member_epoch, found.members[0].rack_id) == (4, "r")
        assert len(handler.asked) == 2, "the coordinator had moved"


@virtual
async def test_offsets_of_groups() -> None:
    async with administering() as (_kafka, admin):
        altered = await admin.alter_consumer_group_offsets("g", {TP: (5, "five"), TP1: 7})
        assert altered.check() == {TP: None, TP1: None}
        found = await admin.list_group_offsets({"g": [TP, TP2], "h": None})
        assert found["g"] == {TP: OffsetAndMetadata(5, "five"), TP2: OffsetAndMetadata(-1, "")}
        assert found["h"] == {}
        assert set((await admin.list_group_offsets(["g"]))["g"]) == {TP, TP1}
        deleted = await admin.delete_consumer_group_offsets("g", [TP, MISSING])
        assert deleted.succeeded == {TP: None}
        assert isinstance(deleted.errors[MISSING], UnknownTopicOrPartitionError)
        with pytest.raises(GroupIdNotFound):
            await admin.delete_consumer_group_offsets("none", [TP])
        with pytest.raises(ValueError, match="mpty"):
            await admin.alter_consumer_group_offsets("g", {})


@virtual
async def test_one_dead_coordinator_does_not_take_the_others_along() -> None:
    cluster = {"failover_delay": None}
    async with administering(cluster=cluster) as (kafka, admin):
        for group in "abcdef":
            kafka.commit(group, "t", 0, 5)
        dead = kafka.coordinator_of("a")
        lost = {group for group in "abcdef" if kafka.coordinator_of(group) is dead}
        dead.kill()
        began = now()
        results = await admin.list_group_offsets("abcdef", timeout_ms=1500)
        assert now() - began <= 1.5
        assert set(results.errors) == lost
        assert set(results.succeeded) == set("abcdef") - lost
        for group in lost:
            with pytest.raises(KafkaTimeoutError, match=f"{group}: .*1500 ms") as caught:
                results[group]
            assert isinstance(caught.value.__cause__, KafkaError)
        with pytest.raises(KafkaTimeoutError):
            await admin.list_group_offsets(lost, timeout_ms=500)


@virtual
async def test_list_offsets() -> None:
    async with administering() as (kafka, admin):
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
            for _ in range(3):
                await producer.send_and_wait("t", b"x", partition=0, timestamp_ms=5000)
        kafka.faults.add(Error(6, Level.PARTITION), api="ListOffsets", times=1)
        found = await admin.list_offsets(
            {TP: OffsetSpec.LATEST, TP1: OffsetSpec.EARLIEST, TP2: 0, MISSING: OffsetSpec.LATEST}
        )
        assert found[TP].offset == 3
        assert found[TP].timestamp is None
        assert found[TP1].offset == 0
        assert found[TP2].offset == -1
        assert isinstance(found.errors[MISSING], UnknownTopicOrPartitionError)
        assert "missing" not in kafka.topics
        at = (await admin.list_offsets({TP: 4000}, "read_committed"))[TP]
        assert (at.offset, at.timestamp, at.leader_epoch) == (0, 5000, 0)
        with pytest.raises(IllegalArgumentError, match="isolation level"):
            await admin.list_offsets({TP: 0}, "serializable")


# -- configurations and topics --------------------------------------------------------------------


@virtual
async def test_single_settings() -> None:
    async with administering() as (kafka, admin):
        topic, missing = (ConfigTarget(ConfigResourceType.TOPIC, name) for name in ("t", "none"))
        brokers = [ConfigTarget(ConfigResourceType.BROKER, name) for name in ("2", "")]
        kafka.topics["t"].configs.update({"list": "a,b", "old": "1", "gone": "x"})
        changes = [
            ConfigChange("old", "2"),
            ConfigChange("gone", None),
            ConfigChange("list", "c", ConfigOperation.APPEND),
            ConfigChange("list", "a", ConfigOperation.SUBTRACT),
        ]
        changed = await admin.incremental_alter_configs({topic: changes, missing: changes})
        assert changed.succeeded == {topic: None}
        assert isinstance(changed.errors[missing], UnknownTopicOrPartitionError)
        assert kafka.topics["t"].configs == {"list": "b,c", "old": "2"}
        found = await admin.describe_config_entries([topic, missing, *brokers], ["old"])
        assert found[topic]["old"].value == "2"
        assert found[topic]["old"].source is ConfigSource.TOPIC
        assert found[brokers[0]] == found[brokers[1]] == {}
        assert set(found.errors) == {missing}
        assert ConfigSource(99) is ConfigSource.UNKNOWN
        with pytest.raises(IllegalArgumentError):
            await admin.incremental_alter_configs(
                {ConfigTarget(ConfigResourceType.BROKER, "x"): []}
            )


def _partition(index: int) -> dict[str, Any]:
    return {
        "error_code": 0,
        "partition_index": index,
        "leader_id": -1 if index else 2,
        "leader_epoch": 3,
        "replica_nodes": [2, 1],
        "isr_nodes": [2],
        "eligible_leader_replicas": None if index else [1],
        "last_known_elr": [],
        "offline_replicas": [1],
    }


@virtual
async def test_topics_by_page() -> None:
    topic = {
        "error_code": 0,
        "name": "t",
        "topic_id": UUID(int=7),
        "is_internal": False,
        "topic_authorized_operations": -(2**31),
    }
    unknown = {**topic, "error_code": 3, "name": "u", "topic_id": None, "partitions": []}
    handler, options = scripted(
        75,
        {
            "topics": [{**topic, "partitions": [_partition(0)]}],
            "next_cursor": {"topic_name": "t", "partition_index": 1},
        },
        {"topics": [{**topic, "partitions": [_partition(1)]}, unknown], "next_cursor": None},
        {"topics": [unknown], "next_cursor": None},
    )
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[75] = handler
        results = await admin.describe_topic_partitions(["u", "t"])
        assert isinstance(results.errors["u"], UnknownTopicOrPartitionError)
        assert results["t"].partitions == (
            PartitionDescription(0, 2, 3, (2, 1), (2,), (1,), (1,), ()),
            PartitionDescription(1, None, 3, (2, 1), (2,), (1,), None, ()),
        )
        assert results["t"].topic_id == UUID(int=7)
        assert results["t"].authorized_operations is None
        assert handler.asked[1]["cursor"] == {"topic_name": "t", "partition_index": 1}
        assert [len(values["topics"]) for values in handler.asked] == [2, 2, 1, 1]


@virtual
async def test_topics_by_metadata() -> None:
    async with administering() as (kafka, admin):
        results = await admin.describe_topic_partitions(["t", "missing"])
        assert isinstance(results.errors["missing"], UnknownTopicOrPartitionError)
        assert results["t"].topic_id == kafka.topics["t"].topic_id
        assert [part.leader for part in results["t"].partitions] == [
            kafka.partition("t", n).leader for n in range(3)
        ]
        assert "missing" not in kafka.topics


# -- access, users, quotas, tokens ----------------------------------------------------------------

READ = AclBinding(AclResourceType.TOPIC, "t", "User:alice", AclOperation.READ)
READ_ROW = {
    "resource_type": 2,
    "resource_name": "t",
    "resource_pattern_type": 3,
    "principal": "User:alice",
    "host": "*",
    "operation": 3,
    "permission_type": 3,
}


@virtual
async def test_acls() -> None:
    entry = {"error_code": 0, "error_message": None, **READ_ROW}
    made, options = scripted(
        30,
        {"creation_responses": [
            {"error_code": 0, "error_message": None},
            {"error_code": 41, "error_message": None},
            {"error_code": 54, "error_message": "off"},
        ]},
        {"creation_responses": [{"error_code": 0, "error_message": None}]},
    )  # fmt: skip
    options["versions"].update({29: (0, 3), 31: (0, 3)})
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[30] = made
        others = [
            AclBinding(AclResourceType.GROUP, name, "User:bob", AclOperation.READ, host="h")
            for name in ("g", "h")
        ]
        results = await admin.create_acls([READ, *others])
        assert results.succeeded == {READ: None, others[0]: None}
        assert isinstance(results.errors[others[1]], SecurityDisabled)
        assert [len(values["creations"]) for values in made.asked] == [3, 1]
        assert made.asked[0]["creations"][0] == READ_ROW
        kafka.handlers[29] = found = Scripted({"resources": [{**READ_ROW, "acls": [READ_ROW]}]})
        assert await admin.describe_acls(AclFilter(pattern_type=AclPatternType.MATCH)) == [READ]
        assert found.asked[0]["resource_pattern_type_filter"] == AclPatternType.MATCH
        assert found.asked[0]["principal"] is None
        kafka.handlers[31] = Scripted(
            {"filter_responses": [
                {"error_code": 0, "error_message": None, "matching_acls": [entry]},
                {"error_code": 0, "error_message": None,
                 "matching_acls": [{**entry, "error_code": 31}]},
            ]}
        )  # fmt: skip
        filters = AclFilter(), AclFilter(host="h")
        deleted = await admin.delete_acls(filters)
        assert deleted[filters[0]] == [READ]
        assert isinstance(deleted.errors[filters[1]], ClusterAuthorizationFailedError)
        off = {"error_code": 54, "error_message": "no authorizer", "resources": []}
        kafka.handlers[29] = Scripted(off)
        with pytest.raises(SecurityDisabled, match="no authorizer"):
            await admin.describe_acls()


def test_operations() -> None:
    assert allowed(-(2**31)) is None
    assert allowed(0) == frozenset()
    assert allowed(1 << 3 | 1 << 8) == {AclOperation.READ, AclOperation.DESCRIBE}
    assert AclOperation(99) is AclOperation.UNKNOWN


@virtual
async def test_users() -> None:
    ok = {"user": "alice", "error_code": 0, "error_message": None}
    altered, options = scripted(
        51, {"results": [ok, {"user": "bob", "error_code": 91, "error_message": "none"}]}
    )
    options["versions"][50] = (0, 0)
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[51] = altered
        results = await admin.alter_user_scram_credentials(
            [
                ScramUpsertion("alice", ScramMechanism.SCRAM_SHA_512, "pw", 5000, b"salt"),
                ScramDeletion("bob", ScramMechanism.SCRAM_SHA_256),
            ]
        )
        assert results.succeeded == {"alice": None}
        assert set(results.errors) == {"bob"}
        (asked,) = altered.asked
        assert asked["deletions"] == [{"name": "bob", "mechanism": 1}]
        assert asked["upsertions"] == [
            {
                "name": "alice",
                "mechanism": 2,
                "iterations": 5000,
                "salt": b"salt",
                "salted_password": hashlib.pbkdf2_hmac("sha512", b"pw", b"salt", 5000),
            }
        ]
        infos = [{"mechanism": 2, "iterations": 5000}, {"mechanism": 1, "iterations": 4096}]
        kafka.handlers[50] = described = Scripted({"results": [{**ok, "credential_infos": infos}]})
        found = await admin.describe_user_scram_credentials()
        assert [credential.iterations for credential in found["alice"]] == [4096, 5000]
        assert described.asked[0]["users"] is None
        only = await admin.describe_user_scram_credentials(["alice", "unmentioned"])
        assert set(only.errors) == {"unmentioned"}


def test_passwords_are_not_shown() -> None:
    upsertion = ScramUpsertion("alice", ScramMechanism.SCRAM_SHA_256, "secret-pw", salt=b"salty")
    assert "secret-pw" not in repr(upsertion)
    assert "salty" not in repr(upsertion)


@virtual
async def test_quotas() -> None:
    entity, other = QuotaEntity.of(user="alice", client_id=None), QuotaEntity.of(ip="1.2.3.4")
    assert entity == QuotaEntity([("client-id", None), ("user", "alice")])
    rows = [
        [{"entity_type": kind, "entity_name": name} for kind, name in e.parts]
        for e in (entity, other)
    ]
    altered, options = scripted(
        49,
        {
            "entries": [
                {"error_code": 0, "error_message": None, "entity": rows[0]},
                {"error_code": 42, "error_message": "no", "entity": rows[1]},
            ]
        },
    )
    options["versions"][48] = (0, 1)
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[49] = altered
        results = await admin.alter_client_quotas(
            {entity: {"producer_byte_rate": 10, "gone": None}, other: {}}
        )
        assert results.succeeded == {entity: None}
        assert set(results.errors) == {other}
        assert altered.asked[0]["entries"][0]["ops"] == [
            {"key": "producer_byte_rate", "value": 10.0, "remove": False},
            {"key": "gone", "value": 0.0, "remove": True},
        ]
        kafka.handlers[48] = described = Scripted(
            {"entries": [{"entity": rows[0], "values": [{"name": "rate", "value": 1.5}]}]},
            {"entries": None},
        )
        filters = [QuotaFilter("user", QuotaMatch.EXACT, "alice"), QuotaFilter("client-id")]
        assert await admin.describe_client_quotas(filters, True) == {entity: {"rate": 1.5}}
        assert described.asked[0]["components"] == [
            {"entity_type": "user", "match_type": 0, "match": "alice"},
            {"entity_type": "client-id", "match_type": 2, "match": None},
        ]
        assert await admin.describe_client_quotas() == {}


def _token(suffix: str) -> dict[str, Any]:
    return {
        "principal_type": "User",
        "principal_name": "alice",
        "token_requester_principal_type": "User",
        "token_requester_principal_name": "admin",
        f"issue_timestamp{suffix}": 1,
        f"expiry_timestamp{suffix}": 2,
        f"max_timestamp{suffix}": 3,
        "token_id": "id",
        "hmac": b"secret",
    }


@virtual
async def test_tokens() -> None:
    created, options = scripted(38, _token("_ms"))
    options["versions"].update({39: (0, 2), 40: (0, 2), 41: (0, 3)})
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[38] = created
        bob = Principal("User", "bob")
        token = await admin.create_delegation_token([bob], 9, Principal("User", "alice"))
        assert (token.owner.name, token.requester, token.renewers) == (
            "alice",
            Principal("User", "admin"),
            (bob,),
        )
        assert "secret" not in repr(token)
        assert created.asked[0]["max_lifetime_ms"] == 9
        kafka.handlers[39] = renewed = Scripted({"expiry_timestamp_ms": 7})
        kafka.handlers[40] = expired = Scripted({"expiry_timestamp_ms": 8})
        assert await admin.renew_delegation_token(b"secret") == 7
        assert await admin.expire_delegation_token(b"secret") == 8
        assert (
            renewed.asked[0]["renew_period_ms"],
            expired.asked[0]["expiry_time_period_ms"],
        ) == (
            -1,
            -1,
        )
        listed = {**_token(""), "renewers": [{"principal_type": "User", "principal_name": "bob"}]}
        kafka.handlers[41] = Scripted({"tokens": [listed]})
        assert await admin.describe_delegation_tokens([bob]) == [token]
        kafka.handlers[38] = Scripted({**_token("_ms"), "error_code": 61})
        with pytest.raises(DelegationTokenAuthDisabled):
            await admin.create_delegation_token()


@virtual
async def test_a_token_is_not_created_twice() -> None:
    created, options = scripted(38, _token("_ms"))
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[38] = created
        kafka.faults.add(Cut(), api=38, times=1)
        with pytest.raises(KafkaConnectionError):
            await admin.create_delegation_token()
        kafka.faults.add(Error(41, Level.TOP), api=38, times=1)
        await admin.create_delegation_token()


# -- the cluster ----------------------------------------------------------------------------------


@virtual
async def test_features_and_quorum() -> None:
    results = [{"feature": "f", "error_code": 95, "error_message": "refused"}]
    updated, options = scripted(57, {"results": results})
    options["versions"].update({57: (0, 1), 55: (0, 1)})
    options["features"] = {"transaction.version": 2}
    async with administering(cluster=options) as (kafka, admin):
        features = await admin.describe_features()
        assert features.finalized["transaction.version"].max_level == 2
        assert isinstance(features.finalized["transaction.version"], FeatureRange)
        kafka.handlers[57] = updated
        outcome = await admin.update_features({"f": FeatureUpdate(3)}, True)
        assert set(outcome.errors) == {"f"}
        assert updated.asked[0]["feature_updates"] == [
            {"feature": "f", "max_version_level": 3, "upgrade_type": 1}
        ]
        replica = {
            "replica_id": 1,
            "log_end_offset": 9,
            "last_fetch_timestamp": -1,
            "last_caught_up_timestamp": 5,
        }
        partition = {
            "partition_index": 0,
            "error_code": 0,
            "leader_id": 1,
            "leader_epoch": 2,
            "high_watermark": 9,
            "current_voters": [replica],
            "observers": [],
        }
        refused = {"topics": [{"topic_name": "m", "partitions": [{**partition, "error_code": 6}]}]}
        kafka.handlers[55] = Scripted(
            refused, {"topics": [{"topic_name": "m", "partitions": [partition]}]}
        )
        quorum = await admin.describe_metadata_quorum()
        assert (quorum.leader_id, quorum.high_watermark, quorum.observers) == (1, 9, ())
        assert quorum.voters[0].last_fetch_timestamp is None
        assert quorum.voters[0].last_caught_up_timestamp == 5


@virtual
async def test_log_dirs_of_some_brokers() -> None:
    part = {"partition_index": 0, "partition_size": 5, "offset_lag": 0, "is_future_key": False}
    good = {
        "error_code": 0,
        "log_dir": "/a",
        "topics": [{"name": "t", "partitions": [part]}],
        "total_bytes": 100,
        "usable_bytes": -1,
        "is_cordoned": False,
    }
    bad = {**good, "error_code": 56, "log_dir": "/b", "topics": []}
    handler, options = scripted(35, {"results": [good, bad]})
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[35] = handler
        kafka.faults.add(Deaf(), api=35, node=1)
        results = await admin.describe_log_dirs(partitions=[TP], timeout_ms=2000)
        assert set(results.succeeded) == {0, 2}
        assert isinstance(results.errors[1], KafkaTimeoutError)
        found = results[2]
        assert found["/a"].replicas[TP].size == 5
        assert (found["/a"].total_bytes, found["/a"].usable_bytes) == (100, None)
        assert found["/b"].error is not None
        assert handler.asked[0]["topics"] == [{"topic": "t", "partitions": [0]}]


@virtual
async def test_elections() -> None:
    def answer(*codes: int) -> dict[str, Any]:
        rows = [
            {"partition_id": n, "error_code": code, "error_message": None}
            for n, code in enumerate(codes)
        ]
        return {"replica_election_results": [{"topic": "t", "partition_result": rows}]}

    handler, options = scripted(43, answer(0, 84, 41), answer(0, 0, 0))
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[43] = handler
        results = await admin.elect_leaders(partitions=[TP, TP1, TP2])
        assert results.succeeded == {TP: None, TP2: None}
        assert isinstance(results.errors[TP1], ElectionNotNeededError)
        assert handler.asked[1]["topic_partitions"] == [{"topic": "t", "partitions": [2]}]
        kafka.handlers[43] = everywhere = Scripted(answer(0, 84))
        assert set(await admin.elect_leaders()) == {TP, TP1}
        assert everywhere.asked[0]["topic_partitions"] is None
        kafka.handlers[43] = Scripted({**answer(), "error_code": 31})
        with pytest.raises(ClusterAuthorizationFailedError):
            await admin.elect_leaders()


@virtual
async def test_reassignments() -> None:
    def answer(*codes: int) -> dict[str, Any]:
        rows = [
            {"partition_index": n, "error_code": code, "error_message": None}
            for n, code in enumerate(codes)
        ]
        return {"responses": [{"name": "t", "partitions": rows}]}

    handler, options = scripted(45, {**answer(), "error_code": 41}, answer(0, 39))
    options["versions"][46] = (0, 0)
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[45] = handler
        results = await admin.alter_partition_reassignments({TP: [1, 2], TP1: None})
        assert results.succeeded == {TP: None}
        assert set(results.errors) == {TP1}
        rows = handler.asked[0]["topics"][0]["partitions"]
        assert [(row["partition_index"], row["replicas"]) for row in rows] == [
            (0, [1, 2]),
            (1, None),
        ]
        moving = {
            "partition_index": 0,
            "replicas": [1, 2, 0],
            "adding_replicas": [1],
            "removing_replicas": [0],
        }
        kafka.handlers[46] = Scripted({"topics": [{"name": "t", "partitions": [moving]}]})
        assert await admin.list_partition_reassignments([TP]) == {
            TP: PartitionReassignment((1, 2, 0), (1,), (0,))
        }


@virtual
async def test_transactions() -> None:
    state = {
        "error_code": 0,
        "transactional_id": "x",
        "transaction_state": "Ongoing",
        "transaction_timeout_ms": 60000,
        "transaction_start_time_ms": -1,
        "producer_id": 7,
        "producer_epoch": 1,
        "topics": [{"topic": "t", "partitions": [0, 1]}],
    }
    described, options = scripted(
        65,
        {"transaction_states": [{**state, "error_code": 14}]},
        {"transaction_states": [state]},
    )
    options["versions"].update({66: (0, 2), 61: (0, 0)})
    async with administering(cluster=options) as (kafka, admin):
        kafka.handlers[65] = described
        found = (await admin.describe_transactions(["x"]))["x"]
        assert (found.state, found.start_time_ms, found.partitions) == ("Ongoing", None, {TP, TP1})
        assert found.coordinator == kafka.coordinator_of("x").node_id
        kafka.handlers[66] = listed = Scripted(
            {"unknown_state_filters": [], "transaction_states": [state]}
        )
        assert [row.transactional_id for row in await admin.list_transactions(["Ongoing"])] == [
            "x"
        ]
        assert sorted(listed.nodes) == [0, 1, 2]
        assert listed.asked[0]["duration_filter"] == -1
        producer = {
            "producer_id": 7,
            "producer_epoch": 1,
            "last_sequence": 3,
            "last_timestamp": 4,
            "coordinator_epoch": -1,
            "current_txn_start_offset": 9,
        }
        row = {
            "partition_index": 0,
            "error_code": 0,
            "error_message": None,
            "active_producers": [producer],
        }
        kafka.handlers[61] = asked = Scripted({"topics": [{"name": "t", "partitions": [row]}]})
        (known,) = (await admin.describe_producers([TP]))[TP]
        assert (known.coordinator_epoch, known.transaction_start_offset) == (None, 9)
        assert asked.nodes == [kafka.partition("t", 0).leader]


# -- what they have in common ---------------------------------------------------------------------


@virtual
async def test_nothing_to_do() -> None:
    async with administering() as (kafka, admin):
        before = len(kafka.requests)
        assert dict(await admin.delete_consumer_groups([])) == {}
        assert dict(await admin.create_acls([])) == {}
        assert dict(await admin.list_offsets({})) == {}
        assert len(kafka.requests) == before


@virtual
async def test_brokers_that_do_not_know_a_call() -> None:
    async with administering(cluster={"release": "0.11"}) as (_kafka, admin):
        for call in (
            admin.describe_metadata_quorum(),
            admin.describe_client_quotas(),
            admin.create_acls([READ]),
            admin.describe_log_dirs(),
        ):
            began = now()
            with pytest.raises(IncompatibleBrokerVersion):
                outcome: Any = await call
                outcome.check()
            assert now() - began < 0.5


@virtual
async def test_many_groups_at_once() -> None:
    async with administering() as (kafka, admin):
        groups = [f"g{n}" for n in range(100)]
        for group in groups:
            kafka.commit(group, "t", 0, 1)
        found = (await admin.list_group_offsets(groups)).check()
        assert list(found) == groups
        assert count(kafka, "OffsetFetch") == 100
        await asyncio.sleep(0)
        assert not admin._supervisor.tasks
