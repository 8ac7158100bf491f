"""Consumer groups at the fake cluster: joining, rebalances, sessions, static members."""

from __future__ import annotations

import asyncio

import pytest

from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.group_members import GroupOptions, GroupState

from .grouping import NEWEST, OLD, Partner, enter_all
from .lab import about, in_vain, now, virtual


def patient() -> GroupOptions:
    """Groups that wait a moment for all who come."""
    return GroupOptions(initial_rebalance_delay=1.0)


@virtual
async def test_one_member_in_all_versions():
    for release, versions in (("0.11", None), ("2.0", None), ("2.8", None), ("4.1", NEWEST)):
        async with FakeCluster(2, release=release) as cluster:
            broker = cluster.coordinator_of("g")
            assert broker is not None
            highest = {api: cluster.advertised(broker)[api][1] for api in NEWEST}
            assert versions in (None, highest)
            for step in range(10):
                chosen = {
                    api: max(cluster.advertised(broker)[api][0], min(step, high))
                    for api, high in highest.items()
                }
                member = await Partner.connect(cluster, versions=chosen)
                if chosen[11] >= 4:
                    assert await member.join_once() == ErrorCode.MEMBER_ID_REQUIRED
                assert await member.join() == 0
                assert (member.leads, member.protocol) == (True, "range")
                assert [row.metadata for row in member.members] == [b"sub"]
                assert await member.sync() == (0, member.member_id.encode())
                assert await member.heartbeat() == 0
                group = cluster.group("g")
                assert (group.state, group.generation) == (GroupState.STABLE, member.generation)
                (known,) = group.members.values()
                assert (known.member_id, known.client_id) == (member.member_id, "lab")
                assert (known.subscription, known.instance_id) == (b"sub", None)
                assert known.assignment == member.member_id.encode()
                assert known.last_heartbeat == about(now())
                assert await member.leave() == 0
                assert group.state is GroupState.EMPTY
                assert await member.heartbeat() == ErrorCode.UNKNOWN_MEMBER_ID
                await member.client.close()


@virtual
async def test_a_generation_of_several():
    async with FakeCluster(1, group_options=patient()) as cluster:
        members = [await Partner.connect(cluster) for _ in range(3)]
        start = now()
        assignments = await enter_all(*members)
        assert assignments == [member.member_id.encode() for member in members]
        # Members who come meanwhile prolong the initial delay, the first does not.
        assert now() - start == about(2.0)
        assert {member.generation for member in members} == {1}
        assert [len(member.members) for member in members if member.leads] == [3]
        assert sum(member.leads for member in members) == 1
        assert [len(member.members) for member in members if not member.leads] == [0, 0]
        assert await asyncio.gather(*(member.heartbeat() for member in members)) == [0, 0, 0]
        group = cluster.group("g")
        assert set(group.assignments.values()) == set(assignments)
        (event,) = group.events("generation")
        assert set(event.details["members"]) == {member.member_id for member in members}
        assert [entry.event for entry in group.history] == [
            "loaded", "added", "rebalance", "added", "added", "generation", "assigned",
        ]  # fmt: skip


@virtual
async def test_a_newcomer_makes_the_others_rejoin():
    async with FakeCluster(1) as cluster:
        first, second = [await Partner.connect(cluster) for _ in range(2)]
        await first.enter()
        entering = asyncio.ensure_future(second.enter("new here"))
        assert await first.beat() == ErrorCode.REBALANCE_IN_PROGRESS
        assert cluster.group("g").state is GroupState.PREPARING_REBALANCE
        # A commit is still possible.
        cluster.create_topic("t")
        assert await first.commit({"t": [(0, 5)]}) == [0]
        await first.enter("rebalance")
        await entering
        assert (first.generation, second.generation) == (2, 2)
        group = cluster.group("g")
        assert [event.details["reason"] for event in group.events("added")] == [None, "new here"]
        assert [event.details["reason"] for event in group.events("joined")] == ["rebalance"]
        assert group.members[first.member_id].reason == "rebalance"
        # It leaves again.
        assert await second.leave("enough") == 0
        assert await first.beat() == ErrorCode.REBALANCE_IN_PROGRESS
        await first.enter()
        assert (first.generation, list(group.members)) == (3, [first.member_id])
        assert group.events("left")[0].details["reason"] == "enough"


@virtual
async def test_who_does_not_rejoin_is_removed():
    async with FakeCluster(1) as cluster:
        first = await Partner.connect(cluster, rebalance=20)
        second = await Partner.connect(cluster, rebalance=30)
        await first.enter()
        start = now()
        entering = asyncio.ensure_future(second.enter())
        while await first.heartbeat() in (0, ErrorCode.REBALANCE_IN_PROGRESS):
            await asyncio.sleep(1)
        await entering
        # The longest rebalance timeout counts.
        assert 29.9 < now() - start < 31.1
        group = cluster.group("g")
        assert list(group.members) == [second.member_id]
        assert group.events("removed")[0].details["member_id"] == first.member_id


@virtual
async def test_sessions():
    async with FakeCluster(1) as cluster:
        member = await Partner.connect(cluster, session=6)
        await member.enter()
        group = cluster.group("g")
        for _ in range(3):
            await asyncio.sleep(5.5)
            assert await member.heartbeat() == 0
        start = now()
        await asyncio.sleep(5.9)
        assert list(group.members) == [member.member_id]
        await asyncio.sleep(0.2)
        assert (list(group.members), group.state) == ([], GroupState.EMPTY)
        assert group.events("expired")[0].time - start == about(6.0)
        assert await member.heartbeat() == ErrorCode.UNKNOWN_MEMBER_ID
        assert await member.sync() == (ErrorCode.UNKNOWN_MEMBER_ID, b"")
        assert await member.leave() == ErrorCode.UNKNOWN_MEMBER_ID
        assert await member.join_once() == ErrorCode.UNKNOWN_MEMBER_ID
        # Bounds of the session timeout
        for session, expected in ((5.9, 26), (1801.0, 26), (6.0, ErrorCode.MEMBER_ID_REQUIRED)):
            member.member_id, member.session = "", session
            assert await member.join_once() == expected
        # An id that nobody used in time is none.
        await asyncio.sleep(6.1)
        assert await member.join_once() == ErrorCode.UNKNOWN_MEMBER_ID


@virtual
async def test_waiting_members_do_not_expire():
    async with FakeCluster(1) as cluster:
        first = await Partner.connect(cluster, session=6, rebalance=60)
        second = await Partner.connect(cluster, session=6, rebalance=60)
        await first.enter()
        entering = asyncio.ensure_future(second.join())
        for _ in range(10):
            await asyncio.sleep(4)
            assert await first.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS
        assert not entering.done()
        await first.join()
        assert await entering == 0
        # The follower waits for the leader, who is late.
        syncing = asyncio.ensure_future(second.sync())
        for _ in range(5):
            await asyncio.sleep(4)
            assert await first.heartbeat() == 0
        assert not syncing.done()
        await first.sync()
        assert await syncing == (0, second.member_id.encode())
        # A commit while the assignment is outstanding:
        cluster.create_topic("t")
        assert await first.commit({"t": [(0, 1)]}) == [0]
        joining = [asyncio.ensure_future(member.join()) for member in (first, second)]
        await asyncio.gather(*joining)
        assert cluster.group("g").state is GroupState.COMPLETING_REBALANCE
        assert await first.commit({"t": [(0, 2)]}) == [ErrorCode.REBALANCE_IN_PROGRESS]
        assert await first.heartbeat() == 0


@virtual
async def test_who_does_not_sync_is_removed():
    async with FakeCluster(1) as cluster:
        leader = await Partner.connect(cluster, rebalance=20)
        await leader.join()
        while cluster.group("g").members:
            error = await leader.heartbeat()
            assert error == 0
            await asyncio.sleep(1)
        assert cluster.group("g").events("removed")[0].details["why"] == "did not sync in time"
        assert cluster.group("g").state is GroupState.EMPTY


@virtual
async def test_lost_answers_are_given_again():
    async with FakeCluster(1, group_options=patient()) as cluster:
        first, second = [await Partner.connect(cluster) for _ in range(2)]
        await asyncio.gather(first.join(), second.join())
        generation = first.generation
        for member in (first, second):
            assert await member.join_once() == 0
            assert member.generation == generation
        leader, follower = (first, second) if first.leads else (second, first)
        assert len(leader.members) == 2
        syncing = asyncio.ensure_future(follower.sync())
        await leader.sync()
        await syncing
        # Stable: the follower is told again, the leader makes all rejoin.
        assert await follower.join_once() == 0
        assert follower.generation == generation
        assert await follower.sync() == (0, follower.member_id.encode())
        assert await leader.sync() == (0, leader.member_id.encode())
        rejoining = asyncio.ensure_future(leader.join_once())
        assert await follower.beat() == ErrorCode.REBALANCE_IN_PROGRESS
        assert await follower.sync() == (ErrorCode.REBALANCE_IN_PROGRESS, b"")
        await follower.join_once()
        await rejoining
        assert leader.generation == generation + 1


@virtual
async def test_a_rebalance_answers_who_waits_for_the_assignment():
    async with FakeCluster(1, group_options=patient()) as cluster:
        first, second = [await Partner.connect(cluster) for _ in range(2)]
        await asyncio.gather(first.join(), second.join())
        leader, follower = (first, second) if first.leads else (second, first)
        syncing = asyncio.ensure_future(follower.sync())
        follower_leaves = await Partner.connect(cluster)
        joining = asyncio.ensure_future(follower_leaves.join())
        assert await syncing == (ErrorCode.REBALANCE_IN_PROGRESS, b"")
        await asyncio.gather(
            leader.enter(), follower.enter(), joining, _sync(joining, follower_leaves)
        )
        assert len(cluster.group("g").members) == 3


async def _sync(joining, member):
    await joining
    await member.sync()


@virtual
async def test_wrong_generations_and_protocols():
    async with FakeCluster(1) as cluster:
        member = await Partner.connect(cluster)
        await member.enter()
        wrong = member.generation + 1
        assert await member.heartbeat(wrong) == ErrorCode.ILLEGAL_GENERATION
        member.generation = wrong
        assert await member.sync() == (ErrorCode.ILLEGAL_GENERATION, b"")
        member.generation -= 1
        for options in ({"protocol_type": "connect"}, {"protocol_name": "sticky"}):
            assert (await member.sync(**options))[0] == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        other = await Partner.connect(cluster, protocols=[("sticky", b"")])
        assert await other.join_once() == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        assert other.answer.group_protocol is None
        old = await Partner.connect(cluster, protocols=[("sticky", b"")], versions=OLD)
        assert await old.join_once() == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        assert old.answer.group_protocol == ""
        empty = await Partner.connect(cluster, protocols=[])
        await member.leave()
        assert await empty.join_once() == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@virtual
async def test_votes_for_an_assignor():
    async with FakeCluster(1, group_options=patient()) as cluster:
        offers = (
            [("sticky", b"s0"), ("range", b"r0")],
            [("range", b"r1"), ("sticky", b"s1"), ("mine", b"m1")],
            [("range", b"r2"), ("sticky", b"s2")],
        )
        members = [await Partner.connect(cluster, protocols=offer) for offer in offers]
        await enter_all(*members)
        assert [member.protocol for member in members] == ["range"] * 3
        (leader,) = [member for member in members if member.leads]
        assert sorted(row.metadata for row in leader.members) == [b"r0", b"r1", b"r2"]
        assert cluster.group("g").protocol == "range"


@virtual
async def test_a_full_group():
    options = GroupOptions(max_size=1)
    async with FakeCluster(1, group_options=options) as cluster:
        first, second = [await Partner.connect(cluster) for _ in range(2)]
        await first.enter()
        assert await second.join_once() == ErrorCode.GROUP_MAX_SIZE_REACHED
        assert await first.enter()
        await first.leave()
        assert await second.enter()


@virtual
async def test_denied_and_invalid_groups():
    async with FakeCluster(2) as cluster:
        member = await Partner.connect(cluster)
        await member.enter()
        cluster.denied_groups.add("g")
        denied = ErrorCode.GROUP_AUTHORIZATION_FAILED
        assert await member.heartbeat() == denied
        assert (await member.sync())[0] == denied
        assert await member.leave() == denied
        assert await member.join_once() == denied
        cluster.create_topic("t")
        assert await member.commit({"t": [(0, 1)]}) == [denied]
        assert (await member.committed({"t": [0]}))[0] == denied
        cluster.denied_groups.clear()
        assert await member.heartbeat() == 0
        cluster.delete_group("g")
        assert await member.heartbeat() == ErrorCode.UNKNOWN_MEMBER_ID


@virtual
async def test_static_members():
    async with FakeCluster(1, group_options=patient()) as cluster:
        first = await Partner.connect(cluster, instance_id="one")
        second = await Partner.connect(cluster, instance_id="two")
        await enter_all(first, second)
        generation = first.generation
        group = cluster.group("g")
        # Back after a restart, without a rebalance; the old one is fenced.
        for old in (first, second):
            new = await Partner.connect(cluster, instance_id=old.instance_id)
            assert await new.join_once() == 0
            assert (new.generation, new.answer.skip_assignment) == (generation, old.leads)
            assert len(new.members) == (2 if old.leads else 0)
            assert new.member_id != old.member_id
            new.leader = "" if old.leads else new.leader
            assert await new.sync() == (0, old.member_id.encode())
            assert await new.heartbeat() == 0
            assert await old.heartbeat() == ErrorCode.FENCED_INSTANCE_ID
            assert (await old.sync())[0] == ErrorCode.FENCED_INSTANCE_ID
            assert await old.join_once() == ErrorCode.FENCED_INSTANCE_ID
            assert await old.leave() == ErrorCode.FENCED_INSTANCE_ID
            cluster.topics.get("t") or cluster.create_topic("t")
            assert await old.commit({"t": [(0, 1)]}) == [ErrorCode.FENCED_INSTANCE_ID]
        assert group.state is GroupState.STABLE
        assert [event.details["instance_id"] for event in group.events("fenced")] == ["one", "two"]
        unknown = await Partner.connect(cluster, instance_id="three")
        unknown.member_id = "x"
        assert await unknown.heartbeat(generation) == ErrorCode.UNKNOWN_MEMBER_ID
        # An administrator removes one by its instance.
        unknown.instance_id, unknown.member_id = "one", ""
        assert await unknown.leave() == 0
        assert len(group.members) == 1


@virtual
async def test_a_static_leader_is_back_before_version_9():
    versions = {**NEWEST, 11: 8}
    async with FakeCluster(1) as cluster:
        old = await Partner.connect(cluster, instance_id="one", versions=versions)
        await old.enter()
        new = await Partner.connect(cluster, instance_id="one", versions=versions)
        assert await new.join_once() == 0
        # It is not to assign: it is told of the leader that was.
        assert (new.leader, new.members) == (old.member_id, [])
        assert cluster.group("g").leader == new.member_id
        assert await new.sync() == (0, old.member_id.encode())


@virtual
async def test_a_static_member_may_be_away_during_a_rebalance():
    async with FakeCluster(1) as cluster:
        static = await Partner.connect(cluster, instance_id="one", session=100, rebalance=10)
        await static.enter()
        other = await Partner.connect(cluster, rebalance=10)
        await other.enter()
        group = cluster.group("g")
        assert set(group.members) == {static.member_id, other.member_id}
        assert group.leader == other.member_id
        assert await static.heartbeat() == ErrorCode.ILLEGAL_GENERATION
        # It is back, and stays if the assignor does.
        back = await Partner.connect(cluster, instance_id="one", rebalance=10)
        assert await back.join_once() == 0
        assert (back.generation, back.leader) == (other.generation, other.member_id)
        assert await back.sync() == (0, static.member_id.encode())
        # With its session over it is no member any more.
        assert await other.beat() == ErrorCode.REBALANCE_IN_PROGRESS
        assert group.events("expired")[0].details["instance_id"] == "one"


@virtual
async def test_a_static_member_with_another_assignor_makes_all_rejoin():
    async with FakeCluster(1) as cluster:
        old = await Partner.connect(cluster, instance_id="one")
        await old.enter()
        new = await Partner.connect(cluster, instance_id="one", protocols=[("sticky", b"s")])
        assert await new.join_once() == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        new.protocols = [("sticky", b"s"), ("range", b"r")]
        assert await new.join_once() == 0
        assert (new.generation, new.protocol) == (2, "sticky")


@virtual
async def test_a_connection_that_ends_in_a_rebalance():
    async with FakeCluster(1) as cluster:
        first, second = [await Partner.connect(cluster, session=6, rebalance=20) for _ in range(2)]
        await first.enter()
        joining = asyncio.ensure_future(second.join())
        await cluster.wait_until(lambda: len(cluster.group("g").members) == 2)
        second.client.transport.abort()
        with pytest.raises(ConnectionResetError):
            await joining
        # It counts as a member until its session ends.
        await first.join()
        group = cluster.group("g")
        assert len(group.members) == 2
        assert await first.sync() == (0, first.member_id.encode())
        assert await first.beat() == ErrorCode.REBALANCE_IN_PROGRESS
        await first.enter()
        assert list(group.members) == [first.member_id]


@virtual
async def test_members_behind_a_busy_connection():
    async with FakeCluster(1) as cluster:
        first, second = [await Partner.connect(cluster) for _ in range(2)]
        await first.enter()
        joining = asyncio.ensure_future(second.join())
        await cluster.wait_until(lambda: len(cluster.group("g").members) == 2)
        assert await in_vain(asyncio.shield(joining), 5)
        await first.join()
        assert await joining == 0
