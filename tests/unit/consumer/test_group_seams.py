"""The names that instrumentations and tests replace: replacing them has its effect."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from aiokafka import errors as Errors
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer import group_coordinator
from aiokafka.consumer.group_coordinator import (
    CoordinatorGroupRebalance,
    GroupCoordinator,
    NoGroupCoordinator,
)
from aiokafka.consumer.subscription_state import Subscription, SubscriptionState
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from aiokafka.protocol.commit import OffsetCommitResponse_v2, OffsetFetchResponse_v1
from aiokafka.protocol.group import (
    HeartbeatRequest,
    HeartbeatResponse_v0,
    JoinGroupRequest,
    JoinGroupResponse_v0,
    LeaveGroupRequest,
    SyncGroupRequest,
    SyncGroupResponse_v0,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from tests.unit.consumer.group_lab import group, now, until, virtual

TP = TopicPartition("t", 0)


async def nothing(*args, **kwargs):
    return None


@pytest.fixture
async def coordinator():
    """A coordinator whose coordination task has been replaced."""
    client = AIOKafkaClient(bootstrap_servers="nowhere:1")
    subscription = SubscriptionState()
    subscription.subscribe({"t"})
    subscription.assign_from_subscribed({TP})
    with mock.patch.object(GroupCoordinator, "_coordination_routine", nothing):
        coordinator = GroupCoordinator(client, subscription, retry_backoff_ms=10)
    coordinator.coordinator_id = 15
    yield coordinator
    await coordinator.close()
    await client.close()


def answers(coordinator, *responses):
    """Replace `_send_req`; returns the requests that come through."""
    sent = []
    queue = list(responses)

    async def send_req(request):
        sent.append(request)
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    coordinator._send_req = send_req
    return sent


def committed(code):
    return OffsetCommitResponse_v2([("t", [(0, code)])])


async def test_send_req_goes_through_the_client(coordinator):
    client = coordinator._client = mock.MagicMock()
    client.send = mock.AsyncMock(return_value="answer")
    assert await coordinator._send_req("request") == "answer"
    client.send.assert_awaited_once_with(15, "request", group=ConnectionGroup.COORDINATION)
    client.send.side_effect = Errors.KafkaConnectionError("gone")
    with pytest.raises(Errors.KafkaConnectionError):
        await coordinator._send_req("request")
    assert coordinator.coordinator_id is None
    assert coordinator._coordinator_dead_fut.done()
    with pytest.raises(Errors.GroupCoordinatorNotAvailableError):
        await coordinator._send_req("request")
    coordinator._client = AIOKafkaClient(bootstrap_servers="nowhere:1")


async def test_broker_too_old_is_no_dead_coordinator(coordinator):
    client = coordinator._client
    client.send = mock.AsyncMock(side_effect=NotImplementedError("ranges do not meet"))
    with pytest.raises(Errors.IncompatibleBrokerVersion, match="ranges do not meet"):
        await coordinator._send_req("request")
    assert coordinator.coordinator_id == 15


async def test_timeouts_by_kind_of_request(coordinator):
    client = coordinator._client
    client.send = mock.AsyncMock(return_value="answer")
    join = JoinGroupRequest("g", 1, 1, "", None, "consumer", [])
    for request, timeout in [
        (join, 35),
        (SyncGroupRequest("g", 1, "", None, []), 35),
        (HeartbeatRequest("g", 1, ""), 10),
        (LeaveGroupRequest("g", ""), 1),
    ]:
        await coordinator._send_req(request)
        assert client.send.await_args.kwargs["timeout"] == timeout


async def test_other_requests_take_the_other_connection_while_join_is_held_back(coordinator):
    groups = []

    async def send(node_id, request, *, group, timeout=None):
        groups.append(group)
        if isinstance(request, JoinGroupRequest):
            await asyncio.get_running_loop().create_future()

    coordinator._client.send = send
    join = asyncio.create_task(
        coordinator._send_req(JoinGroupRequest("g", 1, 1, "", None, "consumer", []))
    )
    await asyncio.sleep(0)
    await coordinator._send_req("commit")
    join.cancel()
    await asyncio.gather(join, return_exceptions=True)
    await coordinator._send_req("leave")
    first, *rest = groups
    assert first is ConnectionGroup.COORDINATION
    assert rest == [ConnectionGroup.DEFAULT] * 2


@pytest.mark.parametrize("error", [Errors.IllegalGenerationError, Errors.UnknownMemberIdError])
async def test_commit_of_somebody_else(coordinator, error):
    coordinator.generation, coordinator.member_id = 3, "me"
    answers(coordinator, committed(error.errno))
    assignment = coordinator._subscription.subscription.assignment
    with pytest.raises(Errors.CommitFailedError, match="already rebalanced"):
        await coordinator.commit_offsets(assignment, {TP: OffsetAndMetadata(1, "")})
    assert coordinator.generation == -1
    assert coordinator.member_id == ("me" if error is Errors.IllegalGenerationError else "")
    assert coordinator._rejoin_needed_fut.done()


async def test_commit_meets_a_rebalance(coordinator):
    coordinator.generation = 3
    answers(coordinator, committed(27))
    with pytest.raises(Errors.CommitFailedError, match="already rebalanced"):
        await coordinator.commit_offsets(None or _assignment(coordinator), {TP: (1, "")})
    assert coordinator.generation == 3
    assert coordinator._rejoin_needed_fut.done()


def _assignment(coordinator):
    return coordinator._subscription.subscription.assignment


async def test_commit_retries(coordinator):
    coordinator.ensure_coordinator_known = mock.AsyncMock()
    sent = answers(coordinator, committed(14), committed(16), committed(0))
    await coordinator.commit_offsets(_assignment(coordinator), {TP: (1, "")})
    assert len(sent) == 3
    assert coordinator.ensure_coordinator_known.await_count == 3


async def test_commit_goes_through_do_commit_offsets(coordinator):
    coordinator._do_commit_offsets = mock.AsyncMock()
    offsets = {TP: OffsetAndMetadata(1, "")}
    await coordinator.commit_offsets(_assignment(coordinator), offsets)
    coordinator._do_commit_offsets.assert_awaited_once_with(_assignment(coordinator), offsets)


async def test_auto_commit_deadline(coordinator):
    coordinator._do_commit_offsets = commit = mock.AsyncMock()
    assignment = _assignment(coordinator)
    assert 4.5 < await coordinator._maybe_do_autocommit(assignment) <= 5
    commit.assert_not_awaited()
    coordinator._next_autocommit_deadline = 0
    assert 4.5 < await coordinator._maybe_do_autocommit(assignment) <= 5
    commit.assert_awaited_once()
    assert coordinator._next_autocommit_deadline > now() + 4
    coordinator._next_autocommit_deadline = 0
    commit.side_effect = Errors.GroupLoadInProgressError()
    # The sum of a clock and a backoff of 10 ms, minus that clock.
    assert await coordinator._maybe_do_autocommit(assignment) < 0.011
    coordinator._next_autocommit_deadline = 0
    commit.side_effect = Errors.CommitFailedError()
    assert 4.5 < await coordinator._maybe_do_autocommit(assignment) <= 5
    coordinator._enable_auto_commit = False
    assert await coordinator._maybe_do_autocommit(assignment) is None


async def test_last_auto_commit_never_raises(coordinator):
    assignment = _assignment(coordinator)
    assignment.state_value(TP).reset_to(4)
    coordinator.commit_offsets = commit = mock.AsyncMock(side_effect=Errors.UnknownError())
    await coordinator._maybe_do_last_autocommit(assignment)
    assert commit.await_args.args == (assignment, {TP: (4, "", -1)})


async def test_join_prepare(coordinator):
    coordinator._maybe_do_last_autocommit = last = mock.AsyncMock()
    listener = mock.MagicMock()
    coordinator._subscription._listener = listener
    await coordinator._on_join_prepare(_assignment(coordinator))
    last.assert_awaited_once_with(_assignment(coordinator))
    listener.on_partitions_revoked.assert_called_once_with({TP})
    listener.on_partitions_lost.assert_not_called()
    await coordinator._on_join_prepare(None)
    listener.on_partitions_revoked.assert_called_with(set())


@pytest.mark.parametrize(
    ("code", "good"), [(0, True), (14, False), (15, False), (16, False), (22, False), (25, False)]
)
async def test_heartbeat(coordinator, code, good):
    coordinator.generation, coordinator.member_id = 3, "me"
    answers(coordinator, HeartbeatResponse_v0(code))
    assert await coordinator._do_heartbeat() is good
    assert (coordinator.coordinator_id is None) == (code in (15, 16))
    assert coordinator._rejoin_needed_fut.done() == (code in (22, 25))
    assert (coordinator.generation == -1) == (code in (22, 25))


async def test_heartbeat_of_a_generation_that_is_over(coordinator):
    coordinator.generation, coordinator.member_id = 3, "me"

    async def send_req(request):
        coordinator.generation = 4
        return HeartbeatResponse_v0(22)

    coordinator._send_req = send_req
    assert await coordinator._do_heartbeat() is True
    assert coordinator.generation == 4


@virtual
async def test_heartbeat_routine():
    client = AIOKafkaClient(bootstrap_servers="nowhere:1")
    with mock.patch.object(GroupCoordinator, "_coordination_routine", nothing):
        coordinator = GroupCoordinator(
            client, SubscriptionState(), heartbeat_interval_ms=1000, session_timeout_ms=4000
        )
    coordinator.ensure_coordinator_known = mock.AsyncMock()
    coordinator.coordinator_id = 15
    times = []
    good = [True]

    async def do_heartbeat():
        times.append(now())
        return good[0]

    coordinator._do_heartbeat = do_heartbeat
    coordinator._start_heartbeat_task()
    started = now()
    await asyncio.sleep(3.5)
    assert [round(t - started, 2) for t in times] == [1, 2, 3]
    good[0] = False
    await until(lambda: coordinator.coordinator_id is None)
    assert 4 <= now() - started - 3 < 5.1
    await coordinator.close()
    await client.close()


async def test_committed_offsets(coordinator):
    sent = answers(coordinator, OffsetFetchResponse_v1([("t", [(0, 7, "m", 0), (1, -1, "", 0)])]))
    assert await coordinator.fetch_committed_offsets([]) == {}
    assert not sent
    found = await coordinator.fetch_committed_offsets([TP, TopicPartition("t", 1)])
    assert found == {TP: OffsetAndMetadata(7, "m")}
    assert isinstance(found[TP], OffsetAndMetadata)


async def test_refresh_of_committed_offsets(coordinator):
    assignment = _assignment(coordinator)
    future = assignment.state_value(TP).fetch_committed()
    coordinator._do_fetch_commit_offsets = fetch = mock.AsyncMock(
        side_effect=Errors.GroupLoadInProgressError()
    )
    assert await coordinator._maybe_refresh_commit_offsets(assignment) is False
    fetch.side_effect = None
    fetch.return_value = {TP: OffsetAndMetadata(5, "")}
    assert await coordinator._maybe_refresh_commit_offsets(assignment) is True
    fetch.assert_awaited_with([TP])
    assert await future == (5, "")
    fetch.side_effect = Errors.GroupAuthorizationFailedError("g")
    assignment.state_value(TP).fetch_committed()
    with pytest.raises(Errors.GroupAuthorizationFailedError):
        await coordinator._maybe_refresh_commit_offsets(assignment)


async def test_ensure_coordinator_known(coordinator):
    client = coordinator._client
    coordinator.coordinator_dead()
    client.coordinator_lookup = lookup = mock.AsyncMock(
        side_effect=[Errors.GroupCoordinatorNotAvailableError(), 3, 4]
    )
    client.ready = mock.AsyncMock(side_effect=[False, True])
    await coordinator.ensure_coordinator_known()
    assert coordinator.coordinator_id == 4
    lookup.assert_awaited_with(0, coordinator.group_id)
    client.ready.assert_awaited_with(4, group=ConnectionGroup.COORDINATION)
    assert not coordinator._coordinator_dead_fut.done()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Errors.GroupAuthorizationFailedError(), Errors.GroupAuthorizationFailedError),
        (Errors.InvalidGroupIdError(), Errors.KafkaError),
        (Errors.UnknownError(), Errors.KafkaError),
    ],
)
async def test_look_up_that_cannot_succeed(coordinator, error, expected):
    coordinator.coordinator_dead()
    coordinator._client.coordinator_lookup = mock.AsyncMock(side_effect=error)
    with pytest.raises(expected):
        await coordinator.ensure_coordinator_known()


async def test_need_rejoin(coordinator):
    subscription = coordinator._subscription.subscription
    assert not coordinator.need_rejoin(subscription)
    coordinator.request_rejoin()
    assert coordinator.need_rejoin(subscription)
    coordinator._rejoin_needed_fut = asyncio.get_running_loop().create_future()
    assert coordinator.need_rejoin(Subscription({"t"}))


# The rebalance object


def rebalance(*responses):
    coordinator = mock.MagicMock()
    sent = answers(coordinator, *responses)
    subscription = Subscription({"t"})
    made = CoordinatorGroupRebalance(
        coordinator, "g", 1, subscription, [RoundRobinPartitionAssignor], 10000, 100
    )
    return made, coordinator, sent


def joined(code=0, leader="other", members=()):
    return JoinGroupResponse_v0(code, 5, "roundrobin", leader, "me", list(members))


async def test_follower():
    made, coordinator, sent = rebalance(joined(), SyncGroupResponse_v0(0, b"assignment"))
    assert await made.perform_group_join() == ("roundrobin", b"assignment")
    assert (coordinator.generation, coordinator.member_id) == (5, "me")
    assert [type(request) for request in sent] == [JoinGroupRequest, SyncGroupRequest]


async def test_leader():
    metadata = ConsumerProtocolMemberMetadata(0, ["t"], b"").encode()
    made, coordinator, _ = rebalance(
        joined(leader="me", members=[("me", metadata)]), SyncGroupResponse_v0(0, b"mine")
    )
    coordinator._perform_assignment = mock.AsyncMock(return_value={"me": b"mine"})
    assert await made.perform_group_join() == ("roundrobin", b"mine")
    response = coordinator._perform_assignment.await_args.args[0]
    assert response.leader_id == "me"


async def test_generation_is_the_one_that_was_synced():
    made, coordinator, _ = rebalance(SyncGroupResponse_v0(0, b"mine"))
    coordinator.generation, coordinator.member_id = 5, "me"

    async def send_req(request):
        coordinator.generation, coordinator.member_id = -1, ""
        return SyncGroupResponse_v0(0, b"mine")

    coordinator._send_req = send_req
    request = SyncGroupRequest("g", 5, "me", None, [])
    assert await made._send_sync_group_request(request) == b"mine"
    assert (coordinator.generation, coordinator.member_id) == (5, "me")


@pytest.mark.parametrize("code", [14, 15, 16, 25, 27])
async def test_join_to_be_repeated(code):
    made, coordinator, _ = rebalance(joined(code))
    assert await made.perform_group_join() is None
    assert coordinator.coordinator_dead.called == (code in (15, 16))
    assert coordinator.reset_generation.called == (code == 25)


@pytest.mark.parametrize("code", [23, 24, 26, 30, 81, -1])
async def test_join_refused(code):
    made, _, _ = rebalance(joined(code))
    with pytest.raises(Errors.for_code(code)):
        await made.perform_group_join()


@pytest.mark.parametrize("code", [15, 16, 22, 25, 27])
async def test_sync_to_be_repeated(code):
    made, coordinator, _ = rebalance(joined(), SyncGroupResponse_v0(code, b""))
    assert await made.perform_group_join() is None
    assert coordinator.coordinator_dead.called == (code in (15, 16))
    assert coordinator.reset_generation.called == (code in (22, 25))
    assert coordinator.request_rejoin.called


@pytest.mark.parametrize("code", [30, -1])
async def test_sync_refused(code):
    made, _, _ = rebalance(joined(), SyncGroupResponse_v0(code, b""))
    with pytest.raises(Errors.for_code(code)):
        await made.perform_group_join()


async def test_no_answer():
    made, _, _ = rebalance(Errors.KafkaConnectionError("gone"))
    assert await made.perform_group_join() is None


async def test_group_of_another_assignor():
    made, _, _ = rebalance(JoinGroupResponse_v0(0, 5, "unknown", "other", "me", []))
    with pytest.raises(Errors.InconsistentGroupProtocolError, match="unknown"):
        await made.perform_group_join()


async def test_perform_assignment(coordinator):
    members = [
        (name, ConsumerProtocolMemberMetadata(0, ["t"], b"").encode()) for name in ("a", "b")
    ]
    coordinator._client.set_topics = lambda topics: _done(True)
    coordinator._cluster.update_metadata(_metadata())
    found = await coordinator._perform_assignment(joined(leader="me", members=members))
    assert {name: a.partitions() for name, a in found.items()} == {
        "a": [TP],
        "b": [TopicPartition("t", 1)],
    }
    assert coordinator._metadata_snapshot == {"t": 2}
    assert all(isinstance(a, ConsumerProtocolMemberAssignment) for a in found.values())


def _metadata():
    from aiokafka.protocol.metadata import MetadataResponse_v1

    rows = [(0, number, 0, [0], [0]) for number in range(2)]
    return MetadataResponse_v1([(0, "h", 1, None)], 0, [(0, "t", False, rows)])


def _done(result):
    future = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future


# On a cluster


@virtual
async def test_replaced_methods_are_used():
    async with group() as (_, make):
        member = await (await make(auto_commit_interval_ms=500).start("t")).joined()
        coordinator = member.coordinator
        calls = []

        def spy(name):
            method = getattr(coordinator, name)

            async def replaced(*args, **kwargs):
                calls.append(name)
                return await method(*args, **kwargs)

            setattr(coordinator, name, replaced)

        names = [
            "_send_req",
            "_do_heartbeat",
            "_do_commit_offsets",
            "_maybe_do_autocommit",
            "_maybe_do_last_autocommit",
            "_perform_assignment",
            "_on_join_prepare",
            "_do_rejoin_group",
            "_do_fetch_commit_offsets",
            "_maybe_refresh_commit_offsets",
            "ensure_coordinator_known",
            "ensure_active_group",
            "commit_offsets",
        ]
        for name in names:
            spy(name)
        member.read(1)
        coordinator._rejoin_needed_fut.set_result(None)
        await until(lambda: coordinator.generation == 2)
        member.subscription.assignment.state_value(TP).fetch_committed()
        await asyncio.sleep(3)
        assert set(names) <= set(calls)
        assert calls.count("ensure_active_group") == calls.count("_on_join_prepare") == 1


@virtual
async def test_replaced_rebalance_class():
    async with group() as (_, make):
        member = await (await make().start("t")).joined()
        made = []

        class Replaced(CoordinatorGroupRebalance):
            def __init__(self, *args):
                made.append(args)
                super().__init__(*args)

        with mock.patch.object(group_coordinator, "CoordinatorGroupRebalance", Replaced):
            member.coordinator.request_rejoin()
            await until(lambda: member.coordinator.generation == 2)
        assert len(made) == 1
        assert made[0][:3] == (member.coordinator, "g", 0)


@virtual
async def test_coordinator_dead_future_may_be_replaced():
    async with group() as (kafka, make):
        member = await (await make().start("t")).joined()
        member.coordinator.coordinator_dead()
        assert member.coordinator.coordinator_id is None
        await until(lambda: member.coordinator.coordinator_id == 0)
        assert member.coordinator.generation == 1
        assert len([r for r in kafka.requests if r.api_name == "FindCoordinator"]) == 2


async def test_made_without_a_cluster():
    client = mock.MagicMock()
    client.cluster = ClusterMetadata()
    lone = NoGroupCoordinator(client, SubscriptionState())
    assert lone._metadata_snapshot == {}
    assert lone._exclude_internal_topics is True
    await lone.close()
    await lone.close()
