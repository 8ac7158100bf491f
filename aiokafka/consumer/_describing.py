"""Drawing a consumer's health (:mod:`aiokafka.consumer._health`) from its parts.

Reads only; no task, no future.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiokafka.consumer._group_states import REBALANCING, GroupFacts, MemberState
from aiokafka.consumer._health import (
    ConsumerHealth,
    ConsumerVerdict,
    PartitionActivity,
    PartitionHealth,
    judge_partitions,
)
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient
    from aiokafka.consumer._assignment import TopicPartitionState
    from aiokafka.consumer._fetch_progress import PartitionFetching
    from aiokafka.consumer._offsets import OffsetCalls
    from aiokafka.consumer.fetcher import Fetcher

# Seconds that an answer may come later than a broker was told to wait with it.
_GRACE = 1.0

_ACTIVITIES = {
    "fetching": PartitionActivity.FETCHING,
    "idle": PartitionActivity.FETCHING,
    "buffered": PartitionActivity.BUFFERED,
    "paused": PartitionActivity.PAUSED,
    "positioning": PartitionActivity.AWAITING_OFFSET,
    "validating": PartitionActivity.AWAITING_OFFSET,
    "backing off": PartitionActivity.BACKING_OFF,
    "failed": PartitionActivity.FAILED,
}


def describe(consumer: OffsetCalls) -> ConsumerHealth:
    """The consumer as it is now."""
    group_id = consumer._group_id
    if consumer._stopping.given:
        return ConsumerHealth(ConsumerVerdict.STOPPED, "it was stopped", group_id)
    fetcher, coordinator = consumer._fetcher, consumer._coordinator
    if fetcher is None or coordinator is None:
        return ConsumerHealth(ConsumerVerdict.NOT_STARTED, "await its start()", group_id)
    facts: GroupFacts | None = None
    if group_id is not None:
        facts = coordinator.facts()  # type: ignore[union-attr]
    partitions = _partitions(consumer, fetcher, facts)
    verdict, reason = _judge(consumer, facts, partitions)
    health = ConsumerHealth(
        verdict,
        reason,
        group_id,
        assignment=consumer._subscription.assigned_partitions(),
        partitions=partitions,
        idle=consumer._subscription.fetcher_idle_time,
    )
    if facts is None:
        return health
    return replace(health, **_member(facts, consumer._client._loop.time()))


def _member(facts: GroupFacts, now: float) -> dict[str, Any]:
    return {
        "member_state": facts.state.name,
        "generation": facts.generation,
        "member_id": facts.member_id,
        "coordinator_id": facts.coordinator_id,
        "last_heartbeat_age": _age(facts.last_heartbeat_at, now),
        "last_rebalance_age": _age(facts.last_rebalance_at, now),
        "last_rebalance_reason": facts.last_rebalance_reason,
        "error": facts.last_error,
    }


def _age(at: float | None, now: float) -> float | None:
    return None if at is None else max(0.0, now - at)


def _because(error: BaseException | None) -> str:
    return "" if error is None else f" ({error})"


# The verdict


def _judge(
    consumer: OffsetCalls,
    facts: GroupFacts | None,
    partitions: Mapping[TopicPartition, PartitionHealth],
) -> tuple[ConsumerVerdict, str]:
    """How it is, and why: the widest reason first."""
    try:
        assert consumer._coordinator is not None
        consumer._coordinator.check_errors()
    except Exception as error:
        return ConsumerVerdict.FAILED, str(error)
    failure = consumer._fetcher._failure if consumer._fetcher is not None else None
    if failure is not None:
        return ConsumerVerdict.FAILED, f"the fetcher crashed: {failure!r}"
    subscription = consumer._subscription
    if subscription.subscription is None:
        pattern = subscription.subscribed_pattern
        if pattern is not None:
            return ConsumerVerdict.WAITING, f"no topic matches {pattern.pattern!r}"
        return ConsumerVerdict.WAITING, "nothing is subscribed to, and nothing assigned"
    automatic = subscription.partitions_auto_assigned()
    if facts is not None and automatic:
        assignment = subscription.assignment
        reading = assignment is not None and assignment.active and subscription.delivering
        reason = _why_no_member(facts, reading)
        if reason:
            return ConsumerVerdict.WAITING, reason
    elif not partitions and automatic:
        return ConsumerVerdict.WAITING, _why_no_partitions(consumer)
    return judge_partitions(partitions, grouped=facts is not None and automatic)


def _why_no_member(facts: GroupFacts, reading: bool) -> str:
    """Why a member has to wait for its group; empty when it has not.

    Parameters:
        reading: has it partitions whose records may be given out?
    """
    group, state = facts.group_id, facts.state
    if state is MemberState.STALE:
        return (
            f"group {group!r} was left, as no records were asked for within"
            " max_poll_interval_ms; ask for some to join it again"
        )
    if reading and state is not MemberState.UNJOINED:
        return ""
    if facts.coordinator_id is None:
        return f"no coordinator of group {group!r} is known{_because(facts.last_error)}"
    if state in REBALANCING:
        return (
            f"group {group!r} rebalances, this member is {state.name}{_because(facts.last_error)}"
        )
    return f"group {group!r} is not joined yet{_because(facts.last_error)}"


def _why_no_partitions(consumer: OffsetCalls) -> str:
    cluster = consumer._client.cluster
    unknown = sorted(
        topic
        for topic in consumer._subscription.topics
        if cluster.partitions_for_topic(topic) is None
    )
    if not unknown:
        return "the topics subscribed to have no partitions"
    error = cluster.topic_error(unknown[0])
    why = "" if error is None else f" ({error.__name__})"
    return f"topics are not known: {', '.join(unknown)}{why}"


# Partitions


def _partitions(
    consumer: OffsetCalls, fetcher: Fetcher, facts: GroupFacts | None
) -> dict[TopicPartition, PartitionHealth]:
    assignment = consumer._subscription.assignment
    if assignment is None:
        return {}
    patience = consumer._settings.fetch_max_wait + _GRACE
    found = {}
    for tp, fetching in fetcher.fetching().items():
        state = assignment.state_value(tp)
        if state is None:
            continue
        activity, reason = _activity(consumer._client, tp, state, fetching, facts, patience)
        found[tp] = PartitionHealth(
            tp,
            activity,
            reason,
            position=state.position,
            committed=state.committed,
            highwater=state.highwater,
            buffered=fetching.buffered_bytes,
            last_fetch_age=fetching.last_fetch_age,
            error=fetching.last_error,
        )
    return found


def _activity(
    client: AIOKafkaClient,
    tp: TopicPartition,
    state: TopicPartitionState,
    fetching: PartitionFetching,
    facts: GroupFacts | None,
    patience: float,
) -> tuple[PartitionActivity, str]:
    """What is done about a partition, and why it is not being fetched."""
    activity = _ACTIVITIES[fetching.status]
    if activity in (PartitionActivity.BACKING_OFF, PartitionActivity.FAILED):
        return activity, "" if fetching.last_error is None else str(fetching.last_error)
    if activity in (PartitionActivity.BUFFERED, PartitionActivity.PAUSED):
        return activity, ""
    stalled = _why_stalled(client, tp, fetching, patience)
    if activity is PartitionActivity.AWAITING_OFFSET:
        return activity, _awaited(state, fetching, facts, stalled)
    return (PartitionActivity.STALLED, stalled) if stalled else (activity, "")


def _why_stalled(
    client: AIOKafkaClient, tp: TopicPartition, fetching: PartitionFetching, patience: float
) -> str:
    """What is wrong with the partition's leader; empty when nothing is known to be."""
    if fetching.asked_age is not None and fetching.asked_age > patience:
        return f"node {fetching.node_id} has not answered for {fetching.asked_age:.1f} s"
    if fetching.last_error is not None:
        # Nothing has succeeded since, or it would be forgotten.
        return str(fetching.last_error)
    if fetching.node_id is not None:
        return ""
    leader = client.cluster.leader_for_partition(tp)
    if leader is None:
        error = client.cluster.topic_error(tp.topic)
        return f"the partition is not known{'' if error is None else f' ({error.__name__})'}"
    if leader == -1:
        return "the partition has no leader"
    if not client.is_ready(leader):
        reason = client.last_error(leader)
        if reason is not None:
            return f"node {leader} cannot be reached ({reason})"
    return ""


def _awaited(
    state: TopicPartitionState,
    fetching: PartitionFetching,
    facts: GroupFacts | None,
    stalled: str,
) -> str:
    """What offset is being looked for, and what keeps it from being found."""
    if fetching.status == "validating":
        what = "checking the position against the log"
    elif state.awaiting_reset:
        what = "looking the offset up at the leader"
    else:
        what = "asking for the committed offset"
        if facts is not None:
            stalled = "" if facts.last_error is None else str(facts.last_error)
    return f"{what}: {stalled}" if stalled else what
