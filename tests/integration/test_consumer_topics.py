"""Topics that come, go and grow under a consumer, and those it may not read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InvalidTopicError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import TopicPartition
from tests.integration.conftest import MakeTopic, unique_topic
from tests.integration.consuming import (
    Moves,
    consumer_of,
    consuming,
    fill_async,
    nothing_comes,
    numbers,
    reading,
    take,
    until,
)
from tests.integration.support import timed
from tests.kafka import KafkaCluster, Truth

grouped = pytest.mark.parametrize("grouped", [False, True], ids=["alone", "group"])


def _group(grouped: bool) -> dict[str, Any]:
    return {"group_id": unique_topic("group")} if grouped else {}


# -- topics that change --------------------------------------------------------------------------


@grouped
async def test_partitions_are_added(
    bootstrap: str, truth: Truth, topic: str, grouped: bool
) -> None:
    await fill_async(bootstrap, topic, [b"before"])
    async with reading(bootstrap, topic, metadata_max_age_ms=300, **_group(grouped)) as reader:
        await until(lambda: reader.values() == [b"before"], 10, "the first partition")
        await asyncio.to_thread(truth.create_partitions, topic, 3)
        # Before the consumer has heard of them: read from their beginning all the same.
        await fill_async(bootstrap, topic, [b"new"], 2)
        await until(lambda: b"new" in reader.values(), 10, "the new partition")
        assert len(reader.consumer.assignment()) == 3


@grouped
async def test_a_pattern_meets_a_new_topic(bootstrap: str, truth: Truth, grouped: bool) -> None:
    prefix = unique_topic("pattern")
    async with consuming(bootstrap, metadata_max_age_ms=300, **_group(grouped)) as consumer:
        consumer.subscribe(pattern=f"^{prefix}-.*", listener=Moves())
        await nothing_comes(consumer)
        for name in ("one", "two"):
            topic = await truth.create_topic_async(f"{prefix}-{name}")
            await fill_async(bootstrap, topic, [name.encode()])
            assert [(r.topic, r.value) for r in await take(consumer, 1)] == [
                (topic, name.encode())
            ]
        assert consumer.subscription() == {f"{prefix}-one", f"{prefix}-two"}
        # One of them goes away: the other is read on, from where the application is.
        await nothing_comes(consumer)
        await asyncio.to_thread(truth.delete_topic, f"{prefix}-one")
        await fill_async(bootstrap, f"{prefix}-two", [b"still"])
        assert [r.value for r in await take(consumer, 1)] == [b"still"]


@grouped
async def test_a_topic_is_deleted_and_made_again(
    bootstrap: str, truth: Truth, topic: str, grouped: bool
) -> None:
    tp = TopicPartition(topic, 0)
    await fill_async(bootstrap, topic, numbers(50))
    async with reading(
        bootstrap, topic, metadata_max_age_ms=500, auto_commit_interval_ms=200, **_group(grouped)
    ) as reader:
        await until(lambda: len(reader.records) == 50, 10, "the old topic")
        await asyncio.to_thread(truth.delete_topic, topic)
        await truth.create_topic_async(topic)
        await fill_async(bootstrap, topic, numbers(5, 1000))
        await until(lambda: len(reader.records) >= 55, 15, "the new topic")
        assert reader.values()[50:] == numbers(5, 1000)
        assert await reader.consumer.position(tp) == 5
        await fill_async(bootstrap, topic, numbers(60, 2000))
        await until(lambda: len(reader.records) >= 115, 10, "more of the new topic")
        assert reader.values()[55:] == numbers(60, 2000)


async def test_an_unknown_topic_is_made_by_the_broker(bootstrap: str, topic_name: str) -> None:
    """As its auto.create.topics.enable says; with 0.14 as well."""
    async with consuming(bootstrap, topic_name) as consumer:
        await fill_async(bootstrap, topic_name, [b"first"])
        assert [r.value for r in await take(consumer, 1)] == [b"first"]


async def test_a_topic_that_cannot_be(bootstrap: str) -> None:
    consumer = consumer_of(bootstrap, "not a legal name", default_api_timeout_ms=1000)
    start = await timed(consumer.start())
    await consumer.stop()
    assert isinstance(start.failure, (InvalidTopicError, UnknownTopicOrPartitionError))
    assert start.elapsed < 1.1


async def test_a_partition_that_is_not_there(bootstrap: str, topic: str) -> None:
    """Waited for, within the bound of the call that needs it."""
    tp = TopicPartition(topic, 7)
    async with consuming(bootstrap, default_api_timeout_ms=1000) as consumer:
        consumer.assign([tp, TopicPartition(topic, 0)])
        await fill_async(bootstrap, topic, numbers(3))
        # The other partition is not held up.
        assert len(await take(consumer, 3, 3.0)) == 3
        for call in (consumer.position(tp), consumer.end_offsets([tp])):
            end = await timed(call)
            assert isinstance(end.failure, (KafkaTimeoutError, UnknownTopicOrPartitionError))
            assert end.elapsed < 1.1
        assert not consumer.health().ok


# -- what is forbidden ---------------------------------------------------------------------------


def _as_alice(kafka: KafkaCluster) -> dict[str, Any]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "alice",
        "sasl_plain_password": kafka.users["alice"],
    }


@contextlib.asynccontextmanager
async def _denied(
    truth: Truth, kind: ResourceType, name: str, operation: AclOperation
) -> AsyncIterator[None]:
    """Alice is not allowed to."""
    what = (kind, name, ResourcePatternType.LITERAL, "User:alice", "*", operation)
    rule = AclBinding(*what, AclPermissionType.DENY)
    # With a rule for it, nobody is allowed what is not said.
    others = AclBinding(
        kind, name, ResourcePatternType.LITERAL, "User:*", "*", AclOperation.ALL,
        AclPermissionType.ALLOW,
    )  # fmt: skip
    for done in truth.admin.create_acls([rule, others]).values():
        await asyncio.to_thread(done.result, 10)
    try:
        yield
    finally:
        every = AclBindingFilter(
            kind, name, ResourcePatternType.LITERAL, None, None, AclOperation.ANY,
            AclPermissionType.ANY,
        )  # fmt: skip
        for done in truth.admin.delete_acls([every]).values():
            await asyncio.to_thread(done.result, 10)


async def _refused(call: Any, error: type[Exception], name: str) -> None:
    end = await timed(call)
    assert isinstance(end.failure, error), end.failure
    assert name in str(end.failure)
    assert end.elapsed < 3


async def test_a_topic_is_denied(
    kafka: KafkaCluster, bootstrap: str, truth: Truth, make_topic: MakeTopic
) -> None:
    denied, allowed = await make_topic(), await make_topic()
    server = kafka.bootstrap_of("SASL_PLAINTEXT")
    for topic in (denied, allowed):
        await fill_async(bootstrap, topic, numbers(3))
    async with _denied(truth, ResourceType.TOPIC, denied, AclOperation.READ):
        async with consuming(server, **_as_alice(kafka)) as consumer:
            consumer.assign([TopicPartition(denied, 0)])
            await _refused(consumer.getone(), TopicAuthorizationFailedError, denied)
            # It is fetched again, and refused again; what may be read is read.
            consumer.assign([TopicPartition(denied, 0), TopicPartition(allowed, 0)])
            got, refused = 0, 0
            while got < 3 or not refused:
                try:
                    got += sum(map(len, (await consumer.getmany(timeout_ms=500)).values()))
                except TopicAuthorizationFailedError:
                    refused += 1
    async with _denied(truth, ResourceType.TOPIC, denied, AclOperation.DESCRIBE):
        consumer = consumer_of(server, denied, **_as_alice(kafka))
        await _refused(consumer.start(), TopicAuthorizationFailedError, denied)
        await consumer.stop()


async def test_a_group_is_denied(
    kafka: KafkaCluster, bootstrap: str, truth: Truth, topic: str
) -> None:
    group, server = unique_topic("group"), kafka.bootstrap_of("SASL_PLAINTEXT")
    tp = TopicPartition(topic, 0)
    await fill_async(bootstrap, topic, numbers(3))
    async with _denied(truth, ResourceType.GROUP, group, AclOperation.READ):
        consumer = consumer_of(server, topic, group_id=group, **_as_alice(kafka))
        await _refused(consumer.start(), GroupAuthorizationFailedError, group)
        await consumer.stop()
        async with consuming(
            server, group_id=group, enable_auto_commit=False, **_as_alice(kafka)
        ) as consumer:
            consumer.assign([tp])
            consumer.seek(tp, 1)
            await _refused(consumer.commit({tp: 1}), GroupAuthorizationFailedError, group)
    async with consuming(server, topic, group_id=group, **_as_alice(kafka)) as consumer:
        assert len(await take(consumer, 3)) == 3
        # While it is a member.
        async with _denied(truth, ResourceType.GROUP, group, AclOperation.READ):
            end = await timed(asyncio.wait_for(consumer.getone(), 10))
            assert isinstance(end.failure, GroupAuthorizationFailedError)
