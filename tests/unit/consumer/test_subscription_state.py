"""What is subscribed and assigned, and where each partition is."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.consumer.subscription_state import (
    Assignment,
    ManualSubscription,
    PartitionStatus,
    Subscription,
    SubscriptionState,
    SubscriptionType,
    TopicPartitionState,
)
from aiokafka.errors import GroupAuthorizationFailedError, IllegalStateError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from tests.unit.consumer.fetch_lab import TP, TP1, TP2, virtual

U = TopicPartition("u", 0)


def subscribed(*tps, topics=frozenset({"t"})):
    state = SubscriptionState()
    state.subscribe(set(topics))
    if tps:
        state.assign_from_subscribed(tps)
    return state


# Kinds of subscriptions


@virtual
async def test_nothing_at_first():
    state = SubscriptionState()
    assert state.subscription is state.assignment is state.subscribed_pattern is None
    assert state.topics == set()
    assert state.assigned_partitions() == set()
    assert state.reassignment_in_progress
    assert not state.delivering
    assert not state.partitions_auto_assigned()
    state.begin_reassignment()
    state.unsubscribe()


@virtual
async def test_topics(caplog):
    caplog.set_level(logging.INFO)
    listener = ConsumerRebalanceListener.__new__(
        type("Listener", (ConsumerRebalanceListener,), {
            "on_partitions_revoked": lambda self, revoked: None,
            "on_partitions_assigned": lambda self, assigned: None,
        })
    )  # fmt: skip
    state = SubscriptionState()
    state.subscribe({"t"}, listener)
    assert state.subscription_type is SubscriptionType.AUTO_TOPICS
    assert state.topics == frozenset({"t"})
    assert isinstance(state.topics, frozenset)
    assert state.listener is listener
    assert state.partitions_auto_assigned()
    assert state.reassignment_in_progress
    [record] = caplog.records
    assert "subscribed topics to" in record.msg
    assert record.args == (frozenset({"t"}),) or record.args == frozenset({"t"})
    first = state.subscription
    state.subscribe({"t", "u"})
    assert not first.active
    assert first.unsubscribe_future.done()
    assert state.listener is None


@virtual
async def test_pattern():
    state = SubscriptionState()
    pattern = re.compile("t.*")
    state.subscribe_pattern(pattern)
    assert state.subscribed_pattern is pattern
    assert state.subscription is None
    state.subscribe_from_pattern({"t", "tt"})
    assert state.topics == {"t", "tt"}
    state.unsubscribe()
    assert state.subscribed_pattern is None


@virtual
async def test_partitions_by_hand():
    state = SubscriptionState()
    state.assign_from_user([TP, U])
    assert state.subscription_type is SubscriptionType.USER_ASSIGNED
    assert isinstance(state.subscription, ManualSubscription)
    assert state.topics == {"t", "u"}
    assert state.assigned_partitions() == {TP, U}
    assert state.is_assigned(TP)
    assert not state.is_assigned(TP1)
    assert not state.reassignment_in_progress
    assert state.delivering
    first = state.assignment
    state.assign_from_user([TP1])
    assert not first.active
    for forbidden in (
        lambda: state.assign_from_subscribed([TP]),
        lambda: state.subscription._assign([TP]),
        state.begin_reassignment,
    ):
        with pytest.raises(IllegalStateError):
            forbidden()


@virtual
async def test_kinds_exclude_each_other():
    kinds = [
        lambda s: s.subscribe({"t"}),
        lambda s: s.subscribe_pattern(re.compile("t")),
        lambda s: s.assign_from_user([TP]),
    ]
    for first in kinds:
        for second in kinds:
            state = SubscriptionState()
            first(state)
            if first is second:
                second(state)
                continue
            with pytest.raises(IllegalStateError):
                second(state)
            state.unsubscribe()
            second(state)
    state = SubscriptionState()
    with pytest.raises(IllegalStateError):
        state.subscribe_from_pattern({"t"})
    with pytest.raises(IllegalStateError):
        state.assign_from_subscribed([TP])


# Assignments


@virtual
async def test_an_assignment_ends_the_one_before():
    state = subscribed(TP, TP1)
    first = state.assignment
    assert first.active
    state.begin_reassignment()
    assert state.reassignment_in_progress
    assert not state.delivering
    assert first.active
    state.assign_from_subscribed([TP])
    assert state.delivering
    assert not state.reassignment_in_progress
    assert not first.active
    assert first.state_value(TP)._status is PartitionStatus.UNASSIGNED
    assert state.assignment.state_value(TP) is not first.state_value(TP)
    with pytest.raises(IllegalStateError):
        state.assign_from_subscribed([U])


@virtual
async def test_a_cooperative_change_leaves_the_rest_alone():
    state = subscribed(TP, TP1)
    assignment, kept, taken = (
        state.assignment,
        state._assigned_state(TP),
        state._assigned_state(TP1),
    )
    kept.seek(5)
    waiting = taken.wait_for_position()
    state.begin_reassignment(delivering=True)
    assert state.delivering
    state.update_assignment(added=[TP2], taken=[TP1])
    assert state.assignment is assignment
    assert assignment.tps == {TP, TP2}
    assert state._assigned_state(TP) is kept
    assert kept.position == 5
    assert isinstance(waiting.exception(), IllegalStateError)
    assert taken._status is PartitionStatus.UNASSIGNED
    with pytest.raises(IllegalStateError):
        state.seek(TP1, 1)
    first = subscribed()
    first.update_assignment(added=[TP], taken=[])
    assert first.assigned_partitions() == {TP}


@virtual
async def test_unsubscribing_ends_everything():
    state = subscribed(TP)
    subscription, assignment = state.subscription, state.assignment
    partition = state._assigned_state(TP)
    partition.seek(7)
    state.unsubscribe()
    assert not subscription.active
    assert assignment.unassign_future.done()
    assert assignment.all_consumed_offsets() == {TP: OffsetAndMetadata(7, "")}
    with pytest.raises(IllegalStateError):
        partition.seek(1)
    with pytest.raises(IllegalStateError):
        partition.await_reset(-1)


@virtual
async def test_a_subscription_by_itself():
    subscription = Subscription({"t"})
    assert (subscription.active, subscription.assignment) == (True, None)
    assert subscription._reassignment_in_progress
    subscription._assign([TP])
    assert not subscription._reassignment_in_progress
    subscription._begin_reassignment()
    assert subscription._reassignment_in_progress
    subscription._unsubscribe()
    assert not subscription.active


# Waiting


@virtual
async def test_waiting_is_for_the_next_one():
    state = subscribed(TP)
    waiter, other = state.wait_for_assignment(), state.wait_for_subscription()
    assert not waiter.done()
    state.assign_from_subscribed([TP])
    assert waiter.done()
    assert not other.done()
    state.subscribe({"u"})
    assert other.done()
    manual = SubscriptionState()
    waiter = manual.wait_for_assignment()
    manual.assign_from_user([TP])
    assert waiter.done()


@virtual
async def test_aborting():
    state = subscribed()
    records = {asyncio.get_running_loop().create_future()}
    state.register_fetch_waiters(records)
    waiters = [state.wait_for_assignment(), state.wait_for_subscription(), *records]
    done = state.wait_for_assignment()
    done.set_result(None)
    error = GroupAuthorizationFailedError("g")
    state.abort_waiters(error)
    for waiter in waiters:
        with pytest.raises(GroupAuthorizationFailedError):
            await waiter
    state.assign_from_subscribed([TP])


@virtual
async def test_everything_is_told_of():
    told = 0

    def count():
        nonlocal told
        told += 1

    state = SubscriptionState()
    state.on_change(count)
    steps = [
        lambda: state.subscribe({"t"}),
        lambda: state.assign_from_subscribed([TP]),
        lambda: state.seek(TP, 5),
        lambda: state.pause(TP),
        lambda: state.resume(TP),
        lambda: state._assigned_state(TP).await_reset(-1),
        lambda: state._assigned_state(TP).reset_to(9),
        lambda: state._assigned_state(TP).forget_position(),
        lambda: state.begin_reassignment(),
        lambda: state.update_assignment(added=[TP1], taken=[]),
        lambda: state.unsubscribe(),
        lambda: state.assign_from_user([TP]),
        lambda: state.seek(TP, 6),
        lambda: state.unsubscribe(),
        lambda: state.subscribe_pattern(re.compile("t")),
    ]
    for number, step in enumerate(steps):
        before = told
        step()
        assert told > before, number
    before = told
    state.unsubscribe()
    state.subscribe({"t"})
    state.assign_from_subscribed([TP])
    old = state._assigned_state(TP)
    state.assign_from_subscribed([TP])
    before = told
    old.consumed_to(5)
    assert told == before


# One partition


@virtual
async def test_a_partition_through_its_life():
    partition = TopicPartitionState(Assignment([TP]))
    assert repr(partition) == (
        "TopicPartitionState<Status=PartitionStatus.AWAITING_RESET position=None>"
    )
    assert not partition.has_valid_position
    assert not partition.awaiting_reset
    assert partition.position is partition.committable is None
    partition.await_reset(-2)
    assert (partition.awaiting_reset, partition.reset_strategy) == (True, -2)
    waiting = partition.wait_for_position()
    assert waiting is partition.wait_for_position()
    partition.reset_to(4, 7)
    assert waiting.done()
    assert partition.wait_for_position().done()
    assert partition.has_valid_position
    assert (partition.position, partition.position_epoch, partition.committable) == (4, 7, 4)
    assert not partition.awaiting_reset
    partition.consumed_to(6)
    assert (partition.position, partition.committable) == (6, 4)
    partition.returned()
    assert partition.committable == 6
    partition.seek(2)
    assert (partition.position, partition.position_epoch, partition.committable) == (2, -1, 2)
    partition.await_reset(-1)
    assert partition.position is None
    assert not partition.wait_for_position().done()


@virtual
async def test_versions_grow_with_every_new_position():
    partition = TopicPartitionState(Assignment([TP]))
    seen = [partition.version]
    for change in (
        lambda: partition.await_reset(-1),
        lambda: partition.reset_to(5),
        lambda: partition.seek(5),
        partition.forget_position,
    ):
        change()
        seen.append(partition.version)
    assert seen == sorted(set(seen))
    partition.seek(5)
    version = partition.version
    partition.consumed_to(6)
    partition.returned()
    partition.pause()
    assert partition.version == version


@virtual
async def test_pausing():
    state = subscribed(TP, TP1)
    assert state.paused_partitions() == set()
    state.pause(TP)
    resumed = state._assigned_state(TP).resume_fut
    state.pause(TP)
    assert state._assigned_state(TP).resume_fut is resumed
    assert state.paused_partitions() == {TP}
    state.resume(TP)
    assert resumed.done()
    state.resume(TP)
    assert state.paused_partitions() == set()
    state.pause(TP1)
    resumed = state._assigned_state(TP1).resume_fut
    state.unsubscribe()
    assert resumed.done()
    assert state.paused_partitions() == set()
    for call in (state.pause, state.resume):
        with pytest.raises(IllegalStateError):
            call(TP)


@virtual
async def test_committed_offsets():
    assignment = Assignment([TP, TP1])
    partition = assignment.state_value(TP)
    assert assignment.requesting_committed() == []
    assert not assignment.commit_refresh_needed.is_set()
    first, second = partition.fetch_committed(), partition.fetch_committed()
    assert assignment.commit_refresh_needed.is_set()
    assert assignment.requesting_committed() == [TP]
    first.cancel()
    assert assignment.requesting_committed() == [TP]
    partition.update_committed(OffsetAndMetadata(3, ""))
    assert await second == OffsetAndMetadata(3, "")
    assert assignment.requesting_committed() == []
    third = partition.fetch_committed()
    assignment.end()
    assert isinstance(third.exception(), IllegalStateError)
    assert isinstance(partition.fetch_committed().exception(), IllegalStateError)


@virtual
async def test_waiting_for_a_position_that_is_given_up():
    assignment = Assignment([TP])
    waiting = assignment.state_value(TP).wait_for_position()
    assignment._unassign()
    assignment.end()
    with pytest.raises(IllegalStateError):
        await waiting
    with pytest.raises(IllegalStateError):
        await assignment.state_value(TP).wait_for_position()


# What may be committed


@virtual
async def test_what_may_be_committed():
    assignment = Assignment([TP, TP1, TP2])
    states = [assignment.state_value(tp) for tp in (TP, TP1)]
    for state in states:
        state.reset_to(1, 3)
        state.consumed_to(5)
    assert assignment.all_consumed_offsets() == dict.fromkeys((TP, TP1), OffsetAndMetadata(5, ""))
    assert {tp: c.offset for tp, c in assignment.consumed().items()} == {TP: 5, TP1: 5}
    assert {tp: c.leader_epoch for tp, c in assignment.consumed().items()} == {TP: 3, TP1: 3}
    assert {tp: c.offset for tp, c in assignment.given_back().items()} == {TP: 1, TP1: 1}
    states[0].returned()
    assert {tp: c.offset for tp, c in assignment.given_back().items()} == {TP: 5, TP1: 1}
    assignment.all_returned()
    assert {tp: c.offset for tp, c in assignment.given_back().items()} == {TP: 5, TP1: 5}
    assert assignment.stored() == {}
    states[1].store(4, "why", 2)
    assert assignment.stored() == {TP1: (4, "why", 2)}
    assert assignment.state_value(U) is None
    assert [tp for tp, _ in assignment.states] == [TP, TP1, TP2]


# Idle time


@virtual
async def test_idle_time():
    state = SubscriptionState()
    assert state.fetcher_idle_time == 0
    await asyncio.sleep(2)
    assert state.fetcher_idle_time == pytest.approx(2)
    with state.fetch_context():
        await asyncio.sleep(5)
        assert state.fetcher_idle_time == 0
        with state.fetch_context():
            pass
        assert state.fetcher_idle_time == 0
    assert state.fetcher_idle_time == 0
    await asyncio.sleep(3)
    assert state.fetcher_idle_time == pytest.approx(3)
    with pytest.raises(ZeroDivisionError), state.fetch_context():
        raise ZeroDivisionError
    await asyncio.sleep(1)
    assert state.fetcher_idle_time == pytest.approx(1)
    state.polled = True
    assert state.fetcher_idle_time == 0
    await asyncio.sleep(1)
    assert state.fetcher_idle_time == pytest.approx(1)
    subscribed_state = subscribed()
    await asyncio.sleep(4)
    subscribed_state.assign_from_subscribed([TP])
    assert subscribed_state.fetcher_idle_time == 0
