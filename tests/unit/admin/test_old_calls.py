"""The calls of 0.14: what they return, and where their requests go."""

from __future__ import annotations

import pytest

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.consumer import AIOKafkaConsumer
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IllegalArgumentError,
    InvalidPartitionsError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.producer import AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.testing.faults import Error, Level

from .admin_lab import FAST, administering, count, virtual

TP = TopicPartition("t", 0)


@virtual
async def test_create_topics() -> None:
    async with administering() as (kafka, admin):
        response = await admin.create_topics(
            [
                NewTopic("a", num_partitions=2, replication_factor=3),
                NewTopic("b", -1, -1, {0: [2, 1]}, {"cleanup.policy": "compact"}),
                NewTopic("t", 1, 1),
            ]
        )
        assert [(row[0], row[1]) for row in response.topic_errors] == [
            ("a", 0),
            ("b", 0),
            ("t", 36),
        ]
        assert all(len(row) == 3 for row in response.topic_errors)
        assert response.to_object()["topic_errors"][2] == {
            "topic": "t",
            "error_code": 36,
            "error_message": "cannot create 't'",
        }
        assert kafka.topics["a"].replication_factor == 3
        assert kafka.partition("b", 0).replicas == [2, 1]
        assert kafka.topics["b"].configs == {"cleanup.policy": "compact"}


@virtual
async def test_create_topics_only_validated() -> None:
    async with administering() as (kafka, admin):
        response = await admin.create_topics([NewTopic("a", 1, 1)], validate_only=True)
        assert response.topic_errors == [("a", 0, None)]
        assert "a" not in kafka.topics


@pytest.mark.parametrize(
    "arguments", [("a", -1, -1), ("a", 1, -1), ("a", -1, 1), ("a", 1, 1, {0: [1]})]
)
def test_topics_that_say_too_much_or_too_little(arguments) -> None:
    with pytest.raises(IllegalArgumentError):
        NewTopic(*arguments)


@virtual
async def test_delete_topics() -> None:
    async with administering() as (kafka, admin):
        response = await admin.delete_topics(["t", "missing"])
        assert response.topic_error_codes == [("t", 0), ("missing", 3)]
        assert "t" not in kafka.topics


@virtual
async def test_create_partitions() -> None:
    async with administering() as (kafka, admin):
        response = await admin.create_partitions({"t": NewPartitions(5)})
        assert response.topic_errors == [("t", 0, None)]
        assert len(kafka.topics["t"].partitions) == 5
        with pytest.raises(InvalidPartitionsError, match="cannot grow 't'"):
            await admin.create_partitions({"t": NewPartitions(4, [[0]])})


@virtual
async def test_list_and_describe_topics() -> None:
    async with administering() as (kafka, admin):
        kafka.create_topic("u", partitions=1)
        assert sorted(await admin.list_topics()) == ["t", "u"]
        (u,) = await admin.describe_topics(["u"])
        partition = kafka.partition("u", 0)
        assert u == {
            "error_code": 0,
            "topic": "u",
            "is_internal": False,
            "partitions": [
                {
                    "error_code": 0,
                    "partition": 0,
                    "leader": partition.leader,
                    "replicas": partition.replicas,
                    "isr": partition.isr,
                    "offline_replicas": [],
                }
            ],
        }
        assert len(await admin.describe_topics()) == 2
        (missing,) = await admin.describe_topics(["missing"])
        assert missing["error_code"] == 3
        assert "missing" not in kafka.topics, "asking does not create"
        metadata = await admin._get_cluster_metadata()
        assert len(metadata.brokers) == 3
        assert len(metadata.topics) == 2


@virtual
async def test_describe_cluster() -> None:
    async with administering() as (kafka, admin):
        assert await admin.describe_cluster() == {
            "throttle_time_ms": 0,
            "brokers": [
                {"node_id": b.node_id, "host": b.host, "port": b.port, "rack": None}
                for b in kafka.brokers.values()
            ],
            "cluster_id": kafka.cluster_id,
            "controller_id": 0,
        }


@virtual
async def test_configs() -> None:
    async with administering() as (kafka, admin):
        topic = ConfigResource("topic", "t", {"a": "1", "b": "2"})
        assert topic.resource_type is ConfigResourceType.TOPIC
        (altered,) = await admin.alter_configs([topic])
        assert altered.resources == [(0, None, 2, "t")]
        assert kafka.topics["t"].configs == {"a": "1", "b": "2"}
        (all_of_it,) = await admin.describe_configs([ConfigResource("TOPIC", "t")])
        code, _, kind, name, entries = all_of_it.resources[0]
        assert (code, kind, name) == (0, 2, "t")
        assert [entry[:2] for entry in entries] == [("a", "1"), ("b", "2")]
        (some,) = await admin.describe_configs([ConfigResource("TOPIC", "t", {"b": ""})])
        assert [entry[0] for entry in some.resources[0][4]] == ["b"]


@virtual
async def test_configs_of_brokers_are_asked_of_them() -> None:
    async with administering() as (_kafka, admin):
        kinds = [
            ConfigResource(ConfigResourceType.BROKER, "2"),
            ConfigResource(ConfigResourceType.TOPIC, "t"),
            ConfigResource(ConfigResourceType.BROKER, "1"),
            ConfigResource(ConfigResourceType.TOPIC, "missing"),
        ]
        responses = await admin.describe_configs(kinds)
        rows = [[(row[0], row[3]) for row in response.resources] for response in responses]
        assert rows == [[(0, "2")], [(0, "1")], [(0, "t"), (3, "missing")]]
        assert await admin.alter_configs([]) == []
        with pytest.raises(IllegalArgumentError, match="node id"):
            await admin.describe_configs([ConfigResource("BROKER", "first")])


@virtual
async def test_groups_and_their_offsets() -> None:
    async with administering(cluster={"seed": 3}) as (kafka, admin):
        consumer = AIOKafkaConsumer(
            "t", bootstrap_servers=kafka.bootstrap_servers, group_id="g", enable_auto_commit=False
        )
        await consumer.start()
        await consumer.commit({TP: OffsetAndMetadata(0, "note")})
        (response,) = await admin.describe_consumer_groups(["g"])
        assert response.groups[0][:5] == (0, "g", "Stable", "consumer", "roundrobin")
        assert len(response.groups[0][5]) == 1
        assert await admin.list_consumer_groups() == [("g", "consumer")]
        coordinator = kafka.coordinator_of("g").node_id
        assert await admin.find_coordinator("g") == coordinator
        assert await admin.list_consumer_groups([coordinator]) == [("g", "consumer")]
        assert await admin.list_consumer_groups([(coordinator + 1) % 3]) == []
        assert await admin.list_consumer_group_offsets("g") == {TP: OffsetAndMetadata(0, "note")}
        other = TopicPartition("t", 1)
        assert await admin.list_consumer_group_offsets("g", coordinator, [TP, other]) == {
            TP: OffsetAndMetadata(0, "note"),
            other: OffsetAndMetadata(-1, ""),
        }
        both = await admin.describe_consumer_groups(
            ["g", "none"], include_authorized_operations=True
        )
        assert [response.groups[0][2] for response in both] == ["Stable", "Dead"]
        await consumer.stop()


@virtual
async def test_refusals_of_groups_are_raised() -> None:
    async with administering() as (kafka, admin):
        kafka.denied_groups.add("g")
        with pytest.raises(GroupAuthorizationFailedError):
            await admin.find_coordinator("g")
        with pytest.raises(GroupAuthorizationFailedError):
            await admin.list_consumer_group_offsets("g")
        kafka.commit("h", "t", 0, 5)
        kafka.faults.add(Error(29, Level.PARTITION), api="OffsetFetch", topic="t")
        with pytest.raises(TopicAuthorizationFailedError, match="partition=0"):
            await admin.list_consumer_group_offsets("h", partitions=[TP])


@virtual
async def test_delete_records() -> None:
    async with administering() as (kafka, admin):
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
            for partition in range(3):
                for _ in range(4):
                    await producer.send_and_wait("t", b"x", partition=partition)
        deleted = await admin.delete_records(
            {
                TopicPartition("t", n): RecordsToDelete(offset)
                for n, offset in enumerate((1, 3, -1))
            }
        )
        assert deleted == {TopicPartition("t", n): low for n, low in enumerate((1, 3, 4))}
        assert count(kafka, "DeleteRecords") == 3, "each leader is asked for its own"
        with pytest.raises(OffsetOutOfRangeError):
            await admin.delete_records({TP: RecordsToDelete(99)})
        with pytest.raises(UnknownTopicOrPartitionError):
            await admin.delete_records({TopicPartition("missing", 0): RecordsToDelete(1)})
        assert "missing" not in kafka.topics


@virtual
async def test_with_brokers_of_2_0() -> None:
    async with administering(cluster={"release": "2.0"}) as (_kafka, admin):
        response = await admin.create_topics([NewTopic("a", 1, 1)])
        assert response.topic_errors == [("a", 0, None)]
        assert (await admin.describe_topics(["a"]))[0]["partitions"][0]["offline_replicas"] == []
        assert len((await admin.describe_cluster())["brokers"]) == 3
        (configs,) = await admin.describe_configs([ConfigResource("TOPIC", "a")], True)
        assert configs.resources[0][0] == 0


def test_the_module_is_bound_by_its_package() -> None:
    import aiokafka.admin

    assert aiokafka.admin.client.AIOKafkaAdminClient is AIOKafkaAdminClient


@virtual
async def test_old_keywords() -> None:
    with pytest.warns(DeprecationWarning, match="api_version"):
        admin = AIOKafkaAdminClient(api_version="auto", **FAST)
    await admin.close()
    with pytest.raises(ValueError, match="security_protocol"):
        AIOKafkaAdminClient(security_protocol="NONE")
