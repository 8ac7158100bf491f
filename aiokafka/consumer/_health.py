"""What a consumer is doing, and why: snapshots for people, probes and metrics.

Pure: frozen dataclasses and the verdict drawn from them.  Whatever a consumer can be in, that
gives out no records, has a reason here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka.structs import TopicPartition

__all__ = ["ConsumerHealth", "ConsumerVerdict", "PartitionActivity", "PartitionHealth"]

# So many partitions are named in a reason.
_NAMED = 3


class PartitionActivity(enum.Enum):
    """What is done about a partition.

    .. versionadded:: 0.14.1
    """

    FETCHING = "fetching"
    """A request is under way, or will be in no time."""
    BUFFERED = "buffered"
    """As much is fetched as may be; the application is to take it."""
    PAUSED = "paused"
    """The application said :meth:`pause`."""
    AWAITING_OFFSET = "awaiting offset"
    """Where to begin is being looked for."""
    STALLED = "stalled"
    """There is no leader, or it cannot be reached or does not answer."""
    BACKING_OFF = "backing off"
    """Something failed, and is tried again."""
    FAILED = "failed"
    """The next call for records raises the error."""


@dataclass(frozen=True)
class PartitionHealth:
    """One partition of a consumer; ages in seconds.

    Attributes:
        tp: the partition.
        activity: what is done about it.
        reason: why, when it is not being fetched; else empty.
        position: offset of the next record to give out; None while unknown.
        committed: the last offset known to be committed; None: none, or not known.
        highwater: offset that the next record of the log will get; None before a fetch.
        buffered: bytes that are fetched and not given out.
        last_fetch_age: since the last answer that had the partition; None before.
        error: what failed last; None when nothing did since.

    .. versionadded:: 0.14.1
    """

    tp: TopicPartition
    activity: PartitionActivity
    reason: str = ""
    position: int | None = None
    committed: int | None = None
    highwater: int | None = None
    buffered: int = 0
    last_fetch_age: float | None = None
    error: BaseException | None = None

    @property
    def lag(self) -> int | None:
        """Records between position and highwater; None while one is unknown."""
        if self.position is None or self.highwater is None:
            return None
        return max(0, self.highwater - self.position)

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.tp.topic}-{self.tp.partition} {self.activity.value}{reason}"


class ConsumerVerdict(enum.Enum):
    """How a consumer is, in a word.

    .. versionadded:: 0.14.1
    """

    OK = "ok"
    """Everything that can be read is being read."""
    WAITING = "waiting"
    """Something, or all, stands still; the reason says what for."""
    FAILED = "failed"
    """It cannot go on by itself: calls raise the error."""
    NOT_STARTED = "not started"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ConsumerHealth:
    """A consumer at one moment; ages in seconds.

    Attributes:
        verdict: how it is.
        reason: why, whenever the verdict is not ``OK``; else empty.
        group_id: None without a group.
        member_state: name of the member's state; None without a group.
        generation: generation of the group, -1 while not in it.
        member_id: the member's id, empty while it has none.
        coordinator_id: node id of the group's coordinator; None while unknown.
        last_heartbeat_age: since the coordinator last answered a heartbeat; None before.
        last_rebalance_age: since the last rebalance was over; None before.
        last_rebalance_reason: what the last rebalance was for.
        assignment: the partitions.
        partitions: each of them.
        idle: since the application last asked for records, 0 while it waits for some.
        error: what failed last in the group; None when nothing did since.

    .. versionadded:: 0.14.1
    """

    verdict: ConsumerVerdict
    reason: str = ""
    group_id: str | None = None
    member_state: str | None = None
    generation: int = -1
    member_id: str = ""
    coordinator_id: int | None = None
    last_heartbeat_age: float | None = None
    last_rebalance_age: float | None = None
    last_rebalance_reason: str = ""
    assignment: frozenset[TopicPartition] = frozenset()
    partitions: Mapping[TopicPartition, PartitionHealth] = field(default_factory=dict)
    idle: float = 0.0
    error: BaseException | None = None

    @property
    def ok(self) -> bool:
        """Is everything that can be read being read?"""
        return self.verdict is ConsumerVerdict.OK

    @property
    def lag(self) -> int | None:
        """Sum of the partitions' lags; None while one of them is not known."""
        lags = [partition.lag for partition in self.partitions.values()]
        known = [lag for lag in lags if lag is not None]
        return sum(known) if len(known) == len(lags) else None

    def __str__(self) -> str:
        return f"{self.verdict.value}: {self.reason}" if self.reason else self.verdict.value


def judge_partitions(
    partitions: Mapping[TopicPartition, PartitionHealth], grouped: bool
) -> tuple[ConsumerVerdict, str]:
    """The verdict on a consumer that nothing else keeps from reading."""
    if not partitions:
        return ConsumerVerdict.WAITING, (
            "no partitions are assigned: the group has given them to other members"
            if grouped
            else "no partitions are assigned: the topics have none yet"
        )
    stuck = [
        partition
        for partition in partitions.values()
        if partition.activity is not PartitionActivity.FETCHING
        and partition.activity is not PartitionActivity.BUFFERED
        and partition.activity is not PartitionActivity.PAUSED
    ]
    if stuck:
        named = "; ".join(str(partition) for partition in stuck[:_NAMED])
        more = f"; and {len(stuck) - _NAMED} more" if len(stuck) > _NAMED else ""
        return ConsumerVerdict.WAITING, f"{named}{more}"
    if all(p.activity is PartitionActivity.PAUSED for p in partitions.values()):
        return ConsumerVerdict.WAITING, f"all {len(partitions)} partitions are paused"
    return ConsumerVerdict.OK, ""
