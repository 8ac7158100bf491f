"""A consumer without a group."""

from __future__ import annotations

import asyncio
import re

import pytest

from aiokafka import errors as Errors
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import NoGroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import TopicPartition
from aiokafka.testing.cluster import FakeCluster
from tests.unit.consumer.group_lab import FAST_CLIENT, tps, until, virtual


class Lone:
    def __init__(self, kafka):
        self.client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap_servers, **FAST_CLIENT)
        self.subscription = SubscriptionState()
        self.coordinator = None

    async def __aenter__(self):
        await self.client.bootstrap()
        self.coordinator = NoGroupCoordinator(self.client, self.subscription)
        return self

    async def __aexit__(self, *exc):
        await self.coordinator.close()
        await self.client.close()

    @property
    def partitions(self):
        return set(self.subscription.assigned_partitions())


@virtual
async def test_all_partitions():
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", partitions=2)
        async with Lone(kafka) as lone:
            lone.subscription.subscribe(["t"])
            with pytest.raises(Errors.UnknownTopicOrPartitionError):
                lone.coordinator.assign_all_partitions(check_unknown=True)
            await lone.client.force_metadata_update()
            lone.coordinator.assign_all_partitions(check_unknown=True)
            assert lone.partitions == tps("t", 0, 1)
            lone.coordinator.check_errors()


@virtual
async def test_new_partitions_leave_positions_alone():
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", partitions=2)
        async with Lone(kafka) as lone:
            lone.subscription.subscribe(["t"])
            await until(lambda: lone.partitions == tps("t", 0, 1))
            assignment = lone.subscription.assignment
            lone.subscription.seek(TopicPartition("t", 0), 5)
            kafka.add_partitions("t", 3)
            await lone.client.force_metadata_update()
            assert lone.partitions == tps("t", 0, 1, 2)
            assert lone.subscription.assignment is assignment
            assert assignment.state_value(TopicPartition("t", 0)).position == 5


@virtual
async def test_pattern():
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("a-1")
        async with Lone(kafka) as lone:
            lone.subscription.subscribe_pattern(re.compile("a-.*"))
            await until(lambda: lone.partitions == tps("a-1", 0))
            kafka.create_topic("a-2")
            kafka.create_topic("b")
            await lone.client.force_metadata_update()
            assert lone.partitions == tps("a-1", 0) | tps("a-2", 0)


@virtual
async def test_nothing_is_committed():
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t")
        async with Lone(kafka) as lone:
            for partition in (0, 1, 0):
                tp = TopicPartition("t", partition)
                lone.subscription.assign_from_user([tp])
                state = lone.subscription.assignment.state_value(tp)
                assert (await asyncio.wait_for(state.fetch_committed(), 1)).offset == -1


@virtual
async def test_closing_while_nothing_is_assigned():
    async with FakeCluster(brokers=1) as kafka:
        async with Lone(kafka) as lone:
            await asyncio.sleep(1)
            await lone.coordinator.close()
            assert lone.coordinator._reset_committed_task.done()
            lone.coordinator.check_errors()


@virtual
async def test_task_that_is_cancelled_or_crashes():
    async with FakeCluster(brokers=1) as kafka:
        async with Lone(kafka) as lone:
            lone.coordinator._reset_committed_task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            with pytest.raises(Errors.KafkaError, match="cancelled"):
                lone.coordinator.check_errors()
        async with Lone(kafka) as lone:
            waiting = lone.subscription.wait_for_assignment()
            lone.coordinator._crashed(ZeroDivisionError("x"))
            with pytest.raises(Errors.KafkaError, match="crashed"):
                lone.coordinator.check_errors()
            with pytest.raises(Errors.KafkaError, match="crashed"):
                await waiting


@virtual
async def test_topic_that_may_not_be_read():
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t")
        kafka.denied_topics.add("t")
        async with Lone(kafka) as lone:
            lone.subscription.subscribe(["t"])
            await lone.client.force_metadata_update()
            with pytest.raises(Errors.TopicAuthorizationFailedError, match="t"):
                lone.coordinator.check_errors()
