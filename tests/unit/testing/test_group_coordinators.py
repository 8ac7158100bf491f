"""Coordinators that move, die, freeze and load."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka.protocol.coordination import FindCoordinatorRequest, parse_coordinators
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Error, LostAnswer
from aiokafka.testing.group_members import GroupOptions, GroupState

from .grouping import Partner
from .lab import RawClient, first_broker, virtual


async def moved(cluster: FakeCluster, member: Partner) -> None:
    """The member turns to the new coordinator."""
    broker = cluster.coordinator_of("g")
    assert broker is not None
    member.client = await RawClient.connect(broker)


@virtual
async def test_found():
    async with FakeCluster(3) as cluster:
        client = await RawClient.connect(first_broker(cluster))

        async def find(kind: int = 0, version: int = 6) -> tuple[int, int]:
            answer = await client.ask(FindCoordinatorRequest("g", kind), version)
            ((_key, error, _message, node, _host, _port),) = parse_coordinators(answer, "g")
            return error, node

        for node in (2, 0, 1):
            cluster.move_coordinator("g", node)
            for version in range(7):
                assert await find(version=version) == (0, node)
        assert cluster.move_coordinator("g") == 2
        cluster.brokers[0].kill()
        assert cluster.move_coordinator("g") == 1
        cluster.brokers[1].kill()
        await asyncio.sleep(1)
        client = await RawClient.connect(cluster.brokers[2])
        assert await find() == (0, 2)
        assert cluster.move_coordinator("g") == 2
        # Coming back changes nothing.
        cluster.brokers[1].restart()
        assert await find() == (0, 2)
        cluster.denied_groups.add("g")
        assert await find() == (ErrorCode.GROUP_AUTHORIZATION_FAILED, -1)
        assert await find(1) == (0, 2)


@virtual
async def test_a_move_by_hand():
    async with FakeCluster(2, group_options=GroupOptions(load_time=2.0)) as cluster:
        cluster.create_topic("t")
        member = await Partner.connect(cluster, session=6)
        await member.enter()
        await member.commit({"t": [(0, 5)]})
        cluster.move_coordinator("g")
        assert await member.heartbeat() == ErrorCode.NOT_COORDINATOR
        assert await member.commit({"t": [(0, 6)]}) == [ErrorCode.NOT_COORDINATOR]
        assert (await member.committed({"t": [0]}))[0] == ErrorCode.NOT_COORDINATOR
        assert await member.leave() == ErrorCode.NOT_COORDINATOR
        assert (await member.sync())[0] == ErrorCode.NOT_COORDINATOR
        await moved(cluster, member)
        assert await member.heartbeat() == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        assert await member.join_once() == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        await asyncio.sleep(2)
        # Members, generation and offsets are there; sessions have begun anew.
        assert await member.heartbeat() == 0
        assert (await member.committed({"t": [0]}))[1]["t", 0][0] == 5
        assert cluster.group("g").generation == member.generation
        assert len(cluster.group("g").events("loaded")) == 2
        await asyncio.sleep(6.1)
        assert await member.heartbeat() == ErrorCode.UNKNOWN_MEMBER_ID


@virtual
async def test_who_waits_when_the_group_moves():
    async with FakeCluster(2) as cluster:
        first, second = [await Partner.connect(cluster) for _ in range(2)]
        await first.enter()
        generation = first.generation
        joining = asyncio.ensure_future(second.join())
        await cluster.wait_until(lambda: len(cluster.group("g").members) == 2)
        cluster.move_coordinator("g")
        assert await joining == ErrorCode.NOT_COORDINATOR
        # What had no assignment yet is lost.
        await moved(cluster, first)
        await moved(cluster, second)
        assert await first.heartbeat() == 0
        assert first.generation == generation
        assert await second.join_once() == ErrorCode.UNKNOWN_MEMBER_ID
        # Waiting for the leader's assignment:
        second.member_id = ""
        joining = asyncio.ensure_future(second.join())
        await first.beat()
        await asyncio.gather(joining, first.join())
        follower = second if first.leads else first
        syncing = asyncio.ensure_future(follower.sync())
        await cluster.wait_for_requests("SyncGroup", 2)
        assert cluster.group("g").state is GroupState.COMPLETING_REBALANCE
        cluster.move_coordinator("g")
        assert (await syncing)[0] == ErrorCode.NOT_COORDINATOR
        assert cluster.group("g").generation == generation
        await moved(cluster, first)
        assert await first.heartbeat() == ErrorCode.ILLEGAL_GENERATION
        assert await first.heartbeat(generation) == 0


@virtual
async def test_a_coordinator_that_dies():
    async with FakeCluster(2, failover_delay=1.0) as cluster:
        first, second = [await Partner.connect(cluster) for _ in range(2)]
        await first.enter()
        joining = asyncio.ensure_future(second.join())
        await cluster.wait_until(lambda: len(cluster.group("g").members) == 2)
        dead = cluster.coordinator_of("g")
        assert dead is not None
        dead.kill()
        with pytest.raises(ConnectionResetError):
            await joining
        # Until it is given up, it is the coordinator.
        assert cluster.coordinator_of("g") is dead
        await asyncio.sleep(1.1)
        await moved(cluster, first)
        assert await first.heartbeat() == 0
        dead.restart()
        assert await first.heartbeat() == 0
        # One that is back before that loads its groups itself.
        broker = cluster.coordinator_of("g")
        assert broker is not None
        broker.kill()
        broker.restart()
        await moved(cluster, first)
        assert await first.heartbeat() == 0
        assert cluster.group("g").node == broker.node_id


@virtual
async def test_a_coordinator_that_freezes():
    async with FakeCluster(2, session_timeout=30.0) as cluster:
        first, second = [await Partner.connect(cluster, session=6) for _ in range(2)]
        await first.enter()
        joining = asyncio.ensure_future(second.join())
        group = cluster.group("g")
        await cluster.wait_until(lambda: len(group.members) == 2)
        frozen = cluster.coordinator_of("g")
        assert frozen is not None
        frozen.freeze()
        await asyncio.sleep(20)
        # Its timers stand still.
        assert len(group.members) == 2
        assert not joining.done()
        await asyncio.sleep(20)
        # Others have taken over; it notices when it goes on.
        assert group.node != frozen.node_id
        assert not joining.done()
        frozen.thaw()
        assert await joining == ErrorCode.NOT_COORDINATOR
        # Thawed in time, sessions that are over end at once.
        await asyncio.sleep(10)
        await moved(cluster, first)
        first.member_id = ""
        await first.enter()
        broker = cluster.brokers[group.node or 0]
        broker.freeze()
        await asyncio.sleep(10)
        assert list(group.members) == [first.member_id]
        broker.thaw()
        assert list(group.members) == []


@virtual
async def test_faults_of_coordinators():
    async with FakeCluster(1) as cluster:
        member = await Partner.connect(cluster)
        apis = ("JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup")
        for code in (14, 15, 16):
            for api in apis:
                cluster.faults.add(Error(code), api=api, times=1)
            assert await member.join_once() == code
            assert (await member.sync())[0] == code
            assert await member.heartbeat() == code
            assert await member.leave() == code
        await member.enter()
        # A lost answer: the member has joined.
        cluster.faults.add(LostAnswer(), api="JoinGroup", times=1)
        with pytest.raises(ConnectionResetError):
            await member.join()
        assert cluster.group("g").generation == 2
        await moved(cluster, member)
        assert await member.join() == 0
