"""Members of groups on a fake cluster in virtual time, without the rest of a consumer."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Any

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import TopicPartition
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.virtual_time import run_virtual

FAST_CLIENT = {
    "request_timeout_ms": 5000,
    "reconnect_backoff_max_ms": 200,
    "socket_connection_setup_timeout_ms": 1000,
    "socket_connection_setup_timeout_max_ms": 1000,
}
FAST = {
    "session_timeout_ms": 6000,
    "heartbeat_interval_ms": 1000,
    "rebalance_timeout_ms": 6000,
    "stop_timeout_ms": 10000,
}


def virtual(test):
    """Run a coroutine function as a test in virtual time."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        run_virtual(main)

    return wrapper


def now() -> float:
    return asyncio.get_running_loop().time()


def tps(topic: str, *partitions: int) -> set[TopicPartition]:
    return {TopicPartition(topic, partition) for partition in partitions}


class Recorder(ConsumerRebalanceListener):
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, set[TopicPartition]]] = []
        self.delay = 0.0
        self.error: BaseException | None = None

    async def _told(self, name: str, partitions: set[TopicPartition]) -> None:
        self.calls.append((name, set(partitions)))
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error

    async def on_partitions_revoked(self, revoked):
        await self._told("revoked", revoked)

    async def on_partitions_assigned(self, assigned):
        await self._told("assigned", assigned)

    async def on_partitions_lost(self, lost):
        await self._told("lost", lost)


class Member:
    """A client, a subscription and a coordinator."""

    def __init__(self, kafka: FakeCluster, group_id: str = "g", **settings: Any) -> None:
        self.client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap_servers, **FAST_CLIENT)
        self.subscription = SubscriptionState()
        self.listener = Recorder()
        self.settings = {**FAST, **settings, "group_id": group_id}
        self.coordinator: GroupCoordinator | None = None

    async def start(self, *topics: str, pattern=None, assign=None) -> Member:
        await self.client.bootstrap()
        if pattern is not None:
            self.client.set_topics(())
            self.subscription.subscribe_pattern(pattern, self.listener)
        elif assign is not None:
            self.subscription.assign_from_user(assign)
        elif topics:
            await self.client.set_topics(topics)
            self.subscription.subscribe(topics, self.listener)
        self.coordinator = GroupCoordinator(self.client, self.subscription, **self.settings)
        return self

    async def joined(self) -> Member:
        while self.subscription.reassignment_in_progress or not self.stable:
            self.coordinator.check_errors()
            await asyncio.sleep(0.01)
        return self

    @property
    def stable(self) -> bool:
        return self.coordinator._state.name == "STABLE" and not (
            self.coordinator._rejoin_needed_fut.done()
        )

    @property
    def partitions(self) -> set[TopicPartition]:
        return set(self.subscription.assigned_partitions())

    @property
    def calls(self) -> list[tuple[str, set[TopicPartition]]]:
        return self.listener.calls

    def read(self, offset: int) -> None:
        """Give records up to *offset* of every partition out, and come back for more."""
        for _, state in self.subscription.assignment.states:
            if not state.has_valid_position:
                state.reset_to(0)
            state.consumed_to(offset)
            state.returned()

    async def close(self) -> None:
        if self.coordinator is not None:
            await self.coordinator.close()
        await self.client.close()


@contextlib.asynccontextmanager
async def group(brokers: int = 1, partitions: int = 4, topics=("t",), cluster=None):
    """A cluster, and a function that makes members of it, which are closed in the end."""
    members: list[Member] = []
    async with FakeCluster(brokers=brokers, **(cluster or {})) as kafka:
        for topic in topics:
            kafka.create_topic(topic, partitions=partitions)

        def make(group_id: str = "g", **settings: Any) -> Member:
            member = Member(kafka, group_id, **settings)
            members.append(member)
            return member

        try:
            yield kafka, make
        finally:
            kafka.faults.clear()
            for member in members:
                await member.close()


async def until(condition, within: float = 60.0) -> None:
    """Wait until *condition* holds; fails when it does not within so many seconds."""
    ends = now() + within
    while not condition():
        assert now() < ends, f"not within {within} s"
        await asyncio.sleep(0.02)


async def settled(*members: Member) -> None:
    """Wait until all members are stable in the same generation."""
    while True:
        for member in members:
            member.coordinator.check_errors()
        generations = {member.coordinator.generation for member in members}
        if len(generations) == 1 and all(member.stable for member in members):
            return
        await asyncio.sleep(0.05)
