"""Every call of the admin client on real brokers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.acls import (
    AclBinding,
    AclFilter,
    AclOperation,
    AclPatternType,
    AclResourceType,
)
from aiokafka.admin.cluster import ElectionType, FeatureUpdate, FeatureUpgradeType
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.configs import ConfigChange, ConfigOperation, ConfigSource, ConfigTarget
from aiokafka.admin.groups import MemberToRemove
from aiokafka.admin.offsets import OffsetSpec
from aiokafka.admin.quotas import QuotaEntity, QuotaFilter, QuotaMatch
from aiokafka.admin.tokens import Principal
from aiokafka.admin.users import (
    ScramCredential,
    ScramDeletion,
    ScramMechanism,
    ScramUpsertion,
)
from aiokafka.errors import (
    DelegationTokenAuthDisabled,
    DelegationTokenNotFound,
    DelegationTokenRequestNotAllowed,
    ElectionNotNeededError,
    GroupIdNotFound,
    InvalidPartitionsError,
    InvalidUpdateVersionError,
    KafkaError,
    NonEmptyGroup,
    NoReassignmentInProgressError,
    ResourceNotFoundError,
    TopicAlreadyExistsError,
    TransactionalIdNotFoundError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import OffsetAndMetadata
from tests.integration.conftest import MakeTopic, unique_topic
from tests.kafka import ADMIN_PASSWORD, ADMIN_USER, KafkaCluster


@pytest.fixture
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    async with AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, request_timeout_ms=15000
    ) as client:
        yield client


@pytest.fixture
async def admin3(kafka3: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    async with AIOKafkaAdminClient(
        bootstrap_servers=kafka3.bootstrap, request_timeout_ms=15000
    ) as client:
        yield client


async def fill(bootstrap: str, topic: str, count: int, partition: int = 0) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for _ in range(count):
            await producer.send(topic, b"value", partition=partition)


async def until(condition: Any, timeout: float = 10.0) -> Any:
    """Ask until it is so: brokers learn of changes one after the other."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    while True:
        found = await condition()
        if found:
            return found
        assert loop.time() < end, "the condition was not met in time"
        await asyncio.sleep(0.05)


# -- topics and records ---------------------------------------------------------------------------


async def test_topics(admin: AIOKafkaAdminClient) -> None:
    name, other = unique_topic("made"), unique_topic("assigned")
    checked = await admin.create_topics([NewTopic(name, 1, 1)], validate_only=True)
    assert checked.topic_errors == [(name, 0, None)]
    made = await admin.create_topics(
        [
            NewTopic(name, num_partitions=2, replication_factor=1),
            NewTopic(other, -1, -1, {0: [0]}, {"cleanup.policy": "compact"}),
        ],
        timeout_ms=10000,
    )
    assert made.to_object()["topic_errors"] == [
        {"topic": name, "error_code": 0, "error_message": None},
        {"topic": other, "error_code": 0, "error_message": None},
    ]
    again = await admin.create_topics([NewTopic(name, 1, 1)])
    assert again.topic_errors[0][1] == TopicAlreadyExistsError.errno
    assert {name, other} <= set(await admin.list_topics())
    (described,) = await admin.describe_topics([name])
    assert [part["partition"] for part in described["partitions"]] == [0, 1]
    await admin.create_partitions({name: NewPartitions(3)})
    with pytest.raises(InvalidPartitionsError, match=r"3 partition"):
        await admin.create_partitions({name: NewPartitions(2)})

    async def grown() -> bool:
        found = await admin.describe_topic_partitions([name, other, "missing"])
        assert isinstance(found.errors["missing"], UnknownTopicOrPartitionError)
        assert found[other].topic_id is not None
        assert found[name].partitions[0].leader == 0
        assert AclOperation.DESCRIBE in (found[name].authorized_operations or ())
        return len(found[name].partitions) == 3

    await until(grown)
    gone = await admin.delete_topics([name, other])
    assert sorted(gone.topic_error_codes) == sorted([(name, 0), (other, 0)])


async def test_missing_topics_are_not_created(admin: AIOKafkaAdminClient) -> None:
    name = unique_topic("missing")
    (described,) = await admin.describe_topics([name])
    assert described["error_code"] == UnknownTopicOrPartitionError.errno
    tp = TopicPartition(name, 0)
    assert set((await admin.list_offsets({tp: OffsetSpec.LATEST})).errors) == {tp}
    assert name not in await admin.list_topics()


async def test_records_and_offsets(
    admin: AIOKafkaAdminClient, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=2)
    tp, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await fill(bootstrap, topic, 10)
    assert await admin.delete_records({tp: RecordsToDelete(4)}) == {tp: 4}
    first = await admin.list_offsets({tp: OffsetSpec.EARLIEST, empty: OffsetSpec.EARLIEST})
    assert (first[tp].offset, first[empty].offset) == (4, 0)
    last = await admin.list_offsets({tp: OffsetSpec.LATEST}, "read_committed")
    assert last[tp].offset == 10
    newest = (await admin.list_offsets({tp: OffsetSpec.MAX_TIMESTAMP}))[tp]
    assert newest.timestamp is not None
    at = await admin.list_offsets({tp: 0, empty: 0})
    assert (at[tp].offset, at[empty].offset) == (4, -1)
    assert (await admin.list_offsets({tp: OffsetSpec.EARLIEST_LOCAL}))[tp].offset == 4
    assert await admin.delete_records({tp: RecordsToDelete(-1)}) == {tp: 10}


# -- configurations -------------------------------------------------------------------------------


async def test_configs(admin: AIOKafkaAdminClient, topic: str) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "1000000"})
    (altered,) = await admin.alter_configs([resource])
    assert [(row[0], *row[2:]) for row in altered.resources] == [(0, 2, topic)]
    broker, described = await admin.describe_configs(
        [ConfigResource("topic", topic), ConfigResource("broker", "0")], include_synonyms=True
    )
    assert broker.resources[0][3] == "0"
    entries = {entry[0]: entry[1] for entry in described.resources[0][4]}
    assert entries["retention.ms"] == "1000000"


async def test_single_settings(admin: AIOKafkaAdminClient, topic: str) -> None:
    target = ConfigTarget(ConfigResourceType.TOPIC, topic)
    missing = ConfigTarget(ConfigResourceType.TOPIC, "missing")
    broker = ConfigTarget(ConfigResourceType.BROKER, "0")
    changed = await admin.incremental_alter_configs(
        {
            target: [
                ConfigChange("retention.ms", "2000000"),
                ConfigChange("cleanup.policy", "compact", ConfigOperation.APPEND),
            ],
            missing: [ConfigChange("retention.ms", "1")],
            broker: [ConfigChange("log.cleaner.threads", "1")],
        }
    )
    assert set(changed.succeeded) == {target, broker}
    assert isinstance(changed.errors[missing], UnknownTopicOrPartitionError)

    async def settings() -> Any:
        found = await admin.describe_config_entries(
            [target, broker],
            ["retention.ms", "cleanup.policy", "log.cleaner.threads"],
            include_synonyms=True,
            include_documentation=True,
        )
        entries = found[target]
        return found if entries["retention.ms"].value == "2000000" else None

    found = await until(settings)
    assert found[target]["cleanup.policy"].value == "delete,compact"
    assert found[target]["retention.ms"].source is ConfigSource.TOPIC
    assert found[target]["retention.ms"].synonyms[0].name == "retention.ms"
    assert found[target]["retention.ms"].documentation
    assert set(found[broker]) == {"log.cleaner.threads"}
    reset = {target: [ConfigChange("retention.ms", None)], broker: [
        ConfigChange("log.cleaner.threads", None, ConfigOperation.DELETE)
    ]}  # fmt: skip
    (await admin.incremental_alter_configs(reset)).check()


# -- groups ---------------------------------------------------------------------------------------


async def test_groups(admin: AIOKafkaAdminClient, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=2)
    await fill(bootstrap, topic, 3)
    group, tp, other = unique_topic("group"), TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        group_instance_id="fixed",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        await consumer.commit({tp: OffsetAndMetadata(2, "note")})
        (response,) = await admin.describe_consumer_groups(
            [group], include_authorized_operations=True
        )
        assert response.groups[0][:4] == (0, group, "Stable", "consumer")
        assert len(response.groups[0]) == 7
        described = (await admin.describe_groups([group, "missing"], True)).succeeded[group]
        assert (described.group_type, described.state) == ("classic", "Stable")
        assert AclOperation.READ in (described.authorized_operations or ())
        (member,) = described.members
        assert member.instance_id == "fixed"
        assert member.assignment == {tp, other}
        assert (group, "consumer") in await admin.list_consumer_groups()
        listed = {found.group_id: found for found in await admin.list_groups(["Stable"])}
        assert (listed[group].state, listed[group].group_type) == ("Stable", "Classic") or (
            listed[group].group_type or ""
        ).lower() == "classic"
        assert group not in {found.group_id for found in await admin.list_groups(["Empty"])}
        coordinator = await admin.find_coordinator(group)
        assert coordinator == described.coordinator == 0
        committed = await admin.list_consumer_group_offsets(group)
        assert committed == {tp: OffsetAndMetadata(2, "note")}
        refused = await admin.delete_consumer_groups([group])
        assert isinstance(refused.errors[group], NonEmptyGroup)
        busy = await admin.alter_consumer_group_offsets(group, {tp: 1})
        assert isinstance(busy.errors[tp], UnknownMemberIdError)
        nobody = MemberToRemove("nobody")
        removed = await admin.remove_members_from_consumer_group(
            group, [MemberToRemove(instance_id="fixed"), nobody], "for the test"
        )
        assert isinstance(removed.errors[nobody], UnknownMemberIdError)
        assert MemberToRemove(instance_id="fixed") in removed.succeeded
    finally:
        await consumer.stop()


async def test_offsets_of_groups(admin: AIOKafkaAdminClient, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=2)
    group, tp, other = unique_topic("group"), TopicPartition(topic, 0), TopicPartition(topic, 1)
    missing = TopicPartition("missing", 0)
    altered = await admin.alter_consumer_group_offsets(group, {tp: (5, "five"), other: 7})
    assert altered.check() == {tp: None, other: None}
    found = await admin.list_group_offsets({group: [tp], "nothing": None}, require_stable=True)
    assert found[group] == {tp: OffsetAndMetadata(5, "five")}
    assert found["nothing"] == {}
    deleted = await admin.delete_consumer_group_offsets(group, [tp, missing])
    assert isinstance(deleted.errors[missing], UnknownTopicOrPartitionError)
    assert await admin.list_consumer_group_offsets(group, partitions=[tp, other]) == {
        tp: OffsetAndMetadata(-1, ""),
        other: OffsetAndMetadata(7, ""),
    }
    gone = await admin.delete_consumer_groups([group, "missing"])
    assert set(gone.succeeded) == {group}
    assert isinstance(gone.errors["missing"], GroupIdNotFound)
    with pytest.raises(GroupIdNotFound):
        (await admin.describe_groups([group])).check()
    with pytest.raises(GroupIdNotFound):
        await admin.delete_consumer_group_offsets(group, [tp])


# -- access, users, quotas, tokens ----------------------------------------------------------------


async def test_acls(admin: AIOKafkaAdminClient) -> None:
    name = unique_topic("guarded")
    read = AclBinding(AclResourceType.TOPIC, name, "User:alice", AclOperation.READ)
    write = AclBinding(
        AclResourceType.TOPIC,
        name,
        "User:bob",
        AclOperation.WRITE,
        pattern_type=AclPatternType.PREFIXED,
    )
    created = await admin.create_acls([read, write])
    assert created.check() == {read: None, write: None}
    of_name = AclFilter(AclResourceType.TOPIC, name)

    async def described() -> bool:
        return set(await admin.describe_acls(of_name)) == {read, write}

    await until(described)
    assert read in await admin.describe_acls()
    of_alice = AclFilter(AclResourceType.TOPIC, name, principal="User:alice")
    nothing = AclFilter(AclResourceType.GROUP, name)
    deleted = await admin.delete_acls([of_alice, nothing, of_name])
    assert deleted[of_alice] == [read]
    assert deleted[nothing] == []
    assert write in deleted[of_name]


async def test_users(admin: AIOKafkaAdminClient, kafka: KafkaCluster) -> None:
    user = unique_topic("user")
    password = "correct horse"
    for upsertion in (
        ScramUpsertion(user, ScramMechanism.SCRAM_SHA_256, password, 4096),
        ScramUpsertion(user, ScramMechanism.SCRAM_SHA_512, password, 8192),
    ):
        altered = await admin.alter_user_scram_credentials([upsertion])
        assert altered.check() == {user: None}

    async def described() -> Any:
        found = await admin.describe_user_scram_credentials([user, "nobody"])
        assert isinstance(found.errors["nobody"], ResourceNotFoundError)
        return found.succeeded.get(user)

    assert await until(described) == [
        ScramCredential(ScramMechanism.SCRAM_SHA_256, 4096),
        ScramCredential(ScramMechanism.SCRAM_SHA_512, 8192),
    ]
    assert user in (await admin.describe_user_scram_credentials()).succeeded
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        # The credential made here is the one that logs in.
        async with AIOKafkaAdminClient(
            bootstrap_servers=kafka.bootstrap_of("SASL_PLAINTEXT"),
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=mechanism,
            sasl_plain_username=user,
            sasl_plain_password=password,
        ) as theirs:
            await theirs.describe_cluster()
    for mechanism_ in ScramMechanism:
        gone = await admin.alter_user_scram_credentials([ScramDeletion(user, mechanism_)])
        assert gone.check() == {user: None}
    unknown = await admin.alter_user_scram_credentials(
        [ScramDeletion("nobody", ScramMechanism.SCRAM_SHA_256)]
    )
    assert isinstance(unknown.errors["nobody"], ResourceNotFoundError)


async def test_quotas(admin: AIOKafkaAdminClient) -> None:
    user = unique_topic("user")
    entity = QuotaEntity.of(user=user, client_id=None)
    checked = await admin.alter_client_quotas({entity: {"producer_byte_rate": 1e6}}, True)
    assert checked.check() == {entity: None}
    wrong = await admin.alter_client_quotas({entity: {"no_such_quota": 1.0}})
    assert entity in wrong.errors
    rates = {"producer_byte_rate": 1e6, "consumer_byte_rate": 2e6}
    (await admin.alter_client_quotas({entity: rates})).check()
    filters = [QuotaFilter("user", QuotaMatch.EXACT, user)]

    async def described() -> Any:
        return (await admin.describe_client_quotas(filters)).get(entity)

    assert await until(described) == rates
    assert await admin.describe_client_quotas(filters, strict=True) == {}
    assert entity in await admin.describe_client_quotas()
    (await admin.alter_client_quotas({entity: dict.fromkeys(rates)})).check()


async def test_tokens_that_are_not_for_everybody(admin: AIOKafkaAdminClient) -> None:
    with pytest.raises((DelegationTokenRequestNotAllowed, DelegationTokenAuthDisabled)):
        await admin.create_delegation_token()
    with pytest.raises((DelegationTokenRequestNotAllowed, DelegationTokenAuthDisabled)):
        await admin.describe_delegation_tokens()


@pytest.fixture(scope="module")
def kafka_with_tokens() -> Iterator[KafkaCluster]:
    with KafkaCluster(
        1,
        listeners=("SASL_PLAINTEXT",),
        properties={"delegation.token.secret.key": "secret-of-tokens"},
    ) as cluster:
        yield cluster


async def test_tokens(kafka_with_tokens: KafkaCluster) -> None:
    server = kafka_with_tokens.bootstrap_of("SASL_PLAINTEXT")
    async with AIOKafkaAdminClient(
        bootstrap_servers=server,
        security_protocol="SASL_PLAINTEXT",
        sasl_plain_username=ADMIN_USER,
        sasl_plain_password=ADMIN_PASSWORD,
    ) as admin:
        bob = Principal("User", "bob")
        token = await admin.create_delegation_token([bob], max_lifetime_ms=3_600_000)
        assert token.owner == Principal("User", ADMIN_USER)
        assert token.max_time_ms - token.issue_time_ms == 3_600_000

        async def described() -> Any:
            return await admin.describe_delegation_tokens([token.owner])

        (found,) = await until(described)
        assert (found.token_id, found.hmac, found.renewers) == (token.token_id, token.hmac, (bob,))
        assert await admin.renew_delegation_token(token.hmac, 60_000) < token.expiry_time_ms
        other = await admin.create_delegation_token(owner=bob)
        assert other.owner == bob

        later = await admin.expire_delegation_token(token.hmac, 30_000)
        assert token.issue_time_ms < later < token.expiry_time_ms
        await admin.expire_delegation_token(token.hmac)

        async def gone() -> bool:
            left = await admin.describe_delegation_tokens()
            return token.token_id not in {other.token_id for other in left}

        await until(gone)
        with pytest.raises(DelegationTokenNotFound):
            await admin.renew_delegation_token(token.hmac)


# -- the cluster ----------------------------------------------------------------------------------


async def test_cluster(admin: AIOKafkaAdminClient, kafka: KafkaCluster, topic: str) -> None:
    described = await admin.describe_cluster()
    assert described["cluster_id"] == kafka.cluster_id
    assert [broker["node_id"] for broker in described["brokers"]] == [0]
    features = await admin.describe_features()
    assert "metadata.version" in features.finalized
    assert features.finalized_epoch is not None
    level = features.finalized["metadata.version"].max_level
    assert level <= features.supported["metadata.version"].max_level
    with pytest.raises(KafkaError) as refused:
        (
            await admin.update_features(
                {"metadata.version": FeatureUpdate(32000, FeatureUpgradeType.UPGRADE)}
            )
        ).check()
    assert isinstance(refused.value, InvalidUpdateVersionError)
    same = await admin.update_features({"metadata.version": FeatureUpdate(level)}, True)
    assert same.check() == {"metadata.version": None}
    quorum = await admin.describe_metadata_quorum()
    assert quorum.leader_id == 0
    assert [voter.replica_id for voter in quorum.voters] == [0]
    tp = TopicPartition(topic, 0)
    dirs = (await admin.describe_log_dirs())[0]
    (directory,) = dirs.values()
    assert tp in directory.replicas
    assert directory.error is None
    assert directory.total_bytes
    (some,) = (await admin.describe_log_dirs([0], [tp]))[0].values()
    assert set(some.replicas) == {tp}


async def test_elections_and_reassignments(
    admin3: AIOKafkaAdminClient, kafka3: KafkaCluster
) -> None:
    topic = await kafka3.truth.create_topic_async(unique_topic("moving"), replication_factor=2)
    tp, missing = TopicPartition(topic, 0), TopicPartition("missing", 0)

    async def partition() -> Any:
        found = await admin3.describe_topic_partitions([topic])
        return found.succeeded[topic].partitions[0] if found.succeeded else None

    before = await until(partition)
    elected = await admin3.elect_leaders(ElectionType.PREFERRED, [tp, missing])
    assert isinstance(elected.errors[tp], ElectionNotNeededError)
    assert isinstance(elected.errors[missing], UnknownTopicOrPartitionError)
    assert isinstance((await admin3.elect_leaders()).errors, dict)
    no_move = await admin3.alter_partition_reassignments({tp: None})
    assert isinstance(no_move.errors[tp], NoReassignmentInProgressError)
    (other,) = {0, 1, 2} - set(before.replicas)
    target = [other, before.replicas[0]]
    (await admin3.alter_partition_reassignments({tp: target})).check()
    listed = await admin3.list_partition_reassignments([tp])
    assert all(set(moving.adding_replicas) == {other} for moving in listed.values())

    async def moved() -> bool:
        return tuple((await partition()).replicas) == tuple(target)

    await until(moved)

    async def over() -> bool:
        return not await admin3.list_partition_reassignments()

    await until(over)
    ends = await admin3.elect_leaders(ElectionType.PREFERRED, [tp])
    assert tp in ends

    async def led() -> bool:
        return bool((await partition()).leader == other)

    await until(led)


async def test_calls_about_all_brokers(admin3: AIOKafkaAdminClient, kafka3: KafkaCluster) -> None:
    assert len((await admin3.describe_cluster())["brokers"]) == 3
    assert set(await admin3.describe_log_dirs()) == {0, 1, 2}
    configs = await admin3.describe_configs([ConfigResource("broker", str(n)) for n in range(3)])
    assert [response.resources[0][3] for response in configs] == ["0", "1", "2"]
    groups = [unique_topic("group") for _ in range(6)]
    topic = await kafka3.truth.create_topic_async(unique_topic("t"), 3, replication_factor=3)
    tps = {TopicPartition(topic, n): n for n in range(3)}
    for group in groups:
        (await admin3.alter_consumer_group_offsets(group, tps)).check()
    assert {group for group, _ in await admin3.list_consumer_groups()} >= set(groups)
    assert set(await admin3.list_group_offsets(groups)) == set(groups)
    ends = (await admin3.list_offsets(dict.fromkeys(tps, OffsetSpec.LATEST))).check()
    assert {found.offset for found in ends.values()} == {0}
    (await admin3.delete_consumer_groups(groups)).check()


async def test_transactions(
    admin: AIOKafkaAdminClient, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = await make_topic()
    tp = TopicPartition(topic, 0)
    transactional_id = unique_topic("tx")
    missing = await admin.describe_transactions(["missing"])
    assert isinstance(missing.errors["missing"], TransactionalIdNotFoundError)
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=transactional_id
    ) as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"x", partition=0)
            (state,) = (await admin.describe_producers([tp]))[tp]
            assert state.transaction_start_offset == 0
            described = (await admin.describe_transactions([transactional_id]))[transactional_id]
            assert described.state == "Ongoing"
            assert described.partitions == {tp}
            assert described.start_time_ms is not None
            assert described.producer_id == state.producer_id
            open_ones = await admin.list_transactions(["Ongoing"], [state.producer_id])
            assert [found.transactional_id for found in open_ones] == [transactional_id]
            assert await admin.list_transactions(duration_ms=3_600_000) == []
            named = await admin.list_transactions(pattern=f"{transactional_id}.*")
            assert len(named) == 1


async def test_groups_of_the_new_protocol(
    admin: AIOKafkaAdminClient, kafka: KafkaCluster, make_topic: MakeTopic
) -> None:
    from confluent_kafka import Consumer

    topic = await make_topic()
    group = unique_topic("new")
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": group, "group.protocol": "consumer"}
    )
    consumer.subscribe([topic])
    try:

        async def described() -> Any:
            await asyncio.to_thread(consumer.poll, 0.1)
            found = (await admin.describe_groups([group])).succeeded.get(group)
            return found if found and found.members and found.members[0].assignment else None

        found = await until(described, 15)
        assert (found.group_type, found.state) == ("consumer", "Stable")
        assert found.members[0].assignment == {TopicPartition(topic, 0)}
        assert found.members[0].target_assignment == {TopicPartition(topic, 0)}
        assert found.members[0].member_epoch is not None
        of_type = {listing.group_id for listing in await admin.list_groups(types=["consumer"])}
        assert group in of_type
    finally:
        await asyncio.to_thread(consumer.close)
