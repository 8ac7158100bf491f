"""Random but repeatable schedules of faults, for simulations.

Owns :class:`FaultSchedule`: a list of events drawn from a generator, that it starts and undoes by
timers of the cluster's loop.  Every event ends within the schedule's duration, so that afterwards
the cluster is whole again.  ``describe()`` says in words what a failing seed stood for.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .codes import ErrorCode
from .faults import (
    Action,
    Deaf,
    Delay,
    Error,
    Garbage,
    HalfFrame,
    Level,
    LostAnswer,
    Refuse,
    Then,
    Throttle,
    WrongCorrelationId,
)

if TYPE_CHECKING:
    from .broker import FakeBroker
    from .cluster import FakeCluster
    from .network import Link

__all__ = ["CONSUMER_KINDS", "PRODUCER_KINDS", "FaultEvent", "FaultKind", "FaultSchedule"]

Undo = Callable[[], object]


class FaultKind(enum.Enum):
    """What an event does; the value is its name in descriptions."""

    KILL = "kill"
    FREEZE = "freeze"
    POWER_OFF = "power off"
    UNREACHABLE = "unreachable"
    ANSWERS_HELD = "packets to clients lost"
    REQUESTS_HELD = "packets to the broker lost"
    CUT = "cut connections"
    REFUSE = "refuse connections"
    SLOW_LINK = "slow link"
    SPLIT_DATA = "split data"
    SLOW_ANSWERS = "slow answers"
    DEAF = "deaf"
    LOST_ANSWERS = "lost answers"
    HALF_FRAMES = "half frames"
    WRONG_CORRELATION = "wrong correlation ids"
    GARBAGE = "garbage"
    THROTTLE = "throttle"
    PRODUCE_ERRORS = "produce errors"
    APPLIED_ERRORS = "produce errors although appended"
    METADATA_ERRORS = "metadata errors"
    LEADER_MOVE = "move leader"
    # For consumers; see CONSUMER_KINDS.
    FETCH_ERRORS = "fetch errors"
    LIST_OFFSETS_ERRORS = "list offsets errors"
    LEADER_EPOCH_ERRORS = "leader epoch errors"
    SESSIONS_FORGOTTEN = "forget fetch sessions"
    COORDINATOR_MOVE = "move coordinator"
    COORDINATOR_ERRORS = "coordinator errors"
    HEARTBEAT_ERRORS = "heartbeat errors"
    COMMIT_ERRORS = "offset commit errors"
    OFFSET_FETCH_ERRORS = "offset fetch errors"
    LOST_GROUP_ANSWERS = "lost answers to members"
    DEAF_TO_CONSUMERS = "deaf to consumers"


#: What happens to clusters that only producers use; the default.
PRODUCER_KINDS = tuple(FaultKind)[: list(FaultKind).index(FaultKind.FETCH_ERRORS)]
#: What happens to clusters that only consumers use.
CONSUMER_KINDS = tuple(
    kind for kind in FaultKind if kind not in (FaultKind.PRODUCE_ERRORS, FaultKind.APPLIED_ERRORS)
)

#: Kinds that need the in-memory network.
_NETWORK_KINDS = frozenset(
    {
        FaultKind.POWER_OFF,
        FaultKind.UNREACHABLE,
        FaultKind.ANSWERS_HELD,
        FaultKind.REQUESTS_HELD,
        FaultKind.SLOW_LINK,
        FaultKind.SPLIT_DATA,
    }
)
#: Kinds that happen at an instant.
_INSTANT_KINDS = frozenset(
    {
        FaultKind.CUT,
        FaultKind.LEADER_MOVE,
        FaultKind.COORDINATOR_MOVE,
        FaultKind.SESSIONS_FORGOTTEN,
    }
)

_PRODUCE_ERRORS = (
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
)
_APPLIED_ERRORS = (
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
)
_METADATA_ERRORS = (
    ErrorCode.LEADER_NOT_AVAILABLE,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
)
_DEAF_TO = (None, "Metadata", "Produce", "ApiVersions", "InitProducerId")

_FETCH_ERRORS = (
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.FENCED_LEADER_EPOCH,
    ErrorCode.UNKNOWN_LEADER_EPOCH,
    ErrorCode.REPLICA_NOT_AVAILABLE,
    ErrorCode.OFFSET_NOT_AVAILABLE,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.UNKNOWN_TOPIC_ID,
)
_OFFSET_ERRORS = (
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.FENCED_LEADER_EPOCH,
    ErrorCode.UNKNOWN_LEADER_EPOCH,
    ErrorCode.LEADER_NOT_AVAILABLE,
    ErrorCode.OFFSET_NOT_AVAILABLE,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
)
_COORDINATOR_ERRORS = (
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
)
_HEARTBEAT_ERRORS = (
    ErrorCode.REBALANCE_IN_PROGRESS,
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.UNKNOWN_MEMBER_ID,
)
_COMMIT_ERRORS = (
    Error(ErrorCode.REQUEST_TIMED_OUT),
    Error(ErrorCode.REQUEST_TIMED_OUT, applied=True),
    Error(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    *(Error(code) for code in _COORDINATOR_ERRORS),
)
_OFFSET_FETCH_ERRORS = (
    Error(ErrorCode.UNSTABLE_OFFSET_COMMIT, Level.PARTITION),
    *(Error(code) for code in _COORDINATOR_ERRORS),
)
_COORDINATED = ("JoinGroup", "SyncGroup", "Heartbeat", "OffsetCommit", "OffsetFetch", "LeaveGroup")
_CONSUMED = (*_COORDINATED, "Fetch", "ListOffsets", "OffsetForLeaderEpoch", "FindCoordinator")


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """One event of a schedule.

    Attributes:
        at: seconds after the schedule's start.
        lasting: seconds until it is undone; 0 for what happens at an instant.
        kind: what happens.
        node: the broker it happens to.
        strength: a number between 0 and 1 that scales what it does.
        choice: picks among what there is, such as partitions.
        action: the scripted fault of kinds that are one.
        api: the API that fault applies to, ``None`` for all.
    """

    at: float
    lasting: float
    kind: FaultKind
    node: int
    strength: float
    choice: int
    action: Action | None = None
    api: str | None = None

    def describe(self) -> str:
        """One readable line."""
        how_long = f" for {self.lasting:.3f} s" if self.lasting else ""
        line = f"+{self.at:.3f} s{how_long}: {self.kind.value}, broker {self.node}"
        if self.action is not None:
            line += f", {self.action!r} on {self.api or 'every API'}"
        return f"{line} (strength {self.strength:.2f}, choice {self.choice})"


@dataclass(slots=True)
class _LinkState:
    """How a link was, and the events that change it now: they may overlap."""

    latency: float | tuple[float, float]
    chunking: float
    events: list[FaultEvent] = field(default_factory=list)

    def apply(self, link: Link) -> None:
        """The latest event of each kind has its way."""
        link.latency, link.chunking = self.latency, self.chunking
        for event in self.events:
            if event.kind is FaultKind.SLOW_LINK:
                link.latency = (0.0, 2.0 * event.strength)
            else:
                link.chunking = event.strength


LinkStates = dict[int, _LinkState]


@dataclass(slots=True)
class FaultSchedule:
    """Events, and the timers that make them happen.

    Attributes:
        cluster: what they happen to.
        duration: seconds after which all of them are over.
        events: by time.

    .. versionadded:: 0.14.1
    """

    cluster: FakeCluster
    duration: float
    events: Sequence[FaultEvent]
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _active: dict[int, Undo] = field(default_factory=dict)
    _links: LinkStates = field(default_factory=dict)

    @classmethod
    def random(
        cls,
        rng: random.Random,
        cluster: FakeCluster,
        duration: float,
        *,
        kinds: Iterable[FaultKind] | None = None,
        events: tuple[int, int] = (1, 8),
    ) -> FaultSchedule:
        """Draw a schedule.

        Args:
            rng: everything is drawn from it, nothing from anywhere else.
            cluster: the cluster it is for.
            duration: seconds within which every fault begins and ends.
            kinds: what may happen, as far as the cluster's network allows it (default:
                :data:`PRODUCER_KINDS`).
            events: the fewest and the most events.
        """
        chosen = list(PRODUCER_KINDS if kinds is None else kinds)
        if cluster.network is None:
            chosen = [kind for kind in chosen if kind not in _NETWORK_KINDS]
        nodes = list(cluster.brokers)
        drawn = [_draw(rng, chosen, nodes, duration) for _ in range(rng.randint(*events))]
        return cls(cluster, duration, sorted(drawn, key=lambda event: event.at))

    def describe(self) -> str:
        """The events, a line each."""
        return "\n".join(event.describe() for event in self.events)

    def start(self) -> None:
        """Begin: the first event is due ``at`` seconds from now."""
        loop = self.cluster.loop
        start = loop.time()
        for number, event in enumerate(self.events):
            self._timers.append(loop.call_at(start + event.at, self._begin, number, event))
            if event.lasting:
                end = start + event.at + event.lasting
                self._timers.append(loop.call_at(end, self._end, number))

    def stop(self) -> None:
        """End every event now and make the cluster whole."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for number in list(self._active):
            self._end(number)
        for broker in self.cluster.brokers.values():
            broker.thaw()
            if not broker.alive:
                broker.restart()
            if self.cluster.network is not None:
                broker.link.heal()

    def _begin(self, number: int, event: FaultEvent) -> None:
        undo = _begin(self.cluster, event, self._links)
        if undo is not None:
            self._active[number] = undo
        self.cluster.changed()

    def _end(self, number: int) -> None:
        undo = self._active.pop(number, None)
        if undo is not None:
            undo()
            self.cluster.changed()


def _draw(
    rng: random.Random, kinds: Sequence[FaultKind], nodes: Sequence[int], duration: float
) -> FaultEvent:
    kind = rng.choice(kinds)
    at = rng.uniform(0, duration * 0.8)
    lasting = 0.0
    if kind not in _INSTANT_KINDS:
        # Short and long ones alike: squaring favours the short.
        lasting = max(0.01, (duration - at) * rng.random() ** 2)
    node, strength, choice = rng.choice(nodes), rng.random(), rng.randrange(1 << 16)
    action, api = _draw_action(rng, kind, strength)
    return FaultEvent(at, lasting, kind, node, strength, choice, action, api)


def _draw_action(
    rng: random.Random, kind: FaultKind, strength: float
) -> tuple[Action | None, str | None]:
    """The scripted fault of an event, if its kind is one, and the API it is for."""
    if kind not in PRODUCER_KINDS:
        return _draw_consumer_action(rng, kind)
    then = rng.choice(list(Then))
    actions: dict[FaultKind, tuple[Action, str | None]] = {
        FaultKind.REFUSE: (Refuse(), None),
        FaultKind.SLOW_ANSWERS: (Delay((0.0, 5.0 * strength), rng.random() < 0.5), None),
        FaultKind.DEAF: (Deaf(), rng.choice(_DEAF_TO)),
        FaultKind.LOST_ANSWERS: (LostAnswer(then), rng.choice(("Produce", None))),
        FaultKind.HALF_FRAMES: (HalfFrame(strength * 0.9, then), None),
        FaultKind.WRONG_CORRELATION: (WrongCorrelationId(), None),
        FaultKind.GARBAGE: (Garbage(rng.choice(list(Garbage.Kind))), None),
        FaultKind.THROTTLE: (Throttle(int(2000 * strength)), rng.choice(("Produce", None))),
        FaultKind.PRODUCE_ERRORS: (Error(rng.choice(_PRODUCE_ERRORS)), "Produce"),
        FaultKind.APPLIED_ERRORS: (Error(rng.choice(_APPLIED_ERRORS), applied=True), "Produce"),
        FaultKind.METADATA_ERRORS: (Error(rng.choice(_METADATA_ERRORS)), "Metadata"),
    }
    return actions.get(kind, (None, None))


def _draw_consumer_action(rng: random.Random, kind: FaultKind) -> tuple[Action | None, str | None]:
    """The like, for the kinds that only consumers notice."""
    then = rng.choice(list(Then))
    asked = rng.choice((*_COORDINATED, "FindCoordinator"))
    # Whoever is asked who the coordinator is cannot answer that it is another.
    codes = _COORDINATOR_ERRORS if asked in _COORDINATED else _COORDINATOR_ERRORS[1:]
    coordinator = Error(rng.choice(codes))
    offsets = Error(rng.choice(_OFFSET_ERRORS))
    lost = rng.choice(_COORDINATED)
    actions: dict[FaultKind, tuple[Action, str | None]] = {
        FaultKind.FETCH_ERRORS: (Error(rng.choice(_FETCH_ERRORS)), "Fetch"),
        FaultKind.LIST_OFFSETS_ERRORS: (offsets, "ListOffsets"),
        FaultKind.LEADER_EPOCH_ERRORS: (offsets, "OffsetForLeaderEpoch"),
        FaultKind.COORDINATOR_ERRORS: (
            coordinator,
            rng.choice((*_COORDINATED, "FindCoordinator")),
        ),
        FaultKind.HEARTBEAT_ERRORS: (Error(rng.choice(_HEARTBEAT_ERRORS)), "Heartbeat"),
        FaultKind.COMMIT_ERRORS: (rng.choice(_COMMIT_ERRORS), "OffsetCommit"),
        FaultKind.OFFSET_FETCH_ERRORS: (rng.choice(_OFFSET_FETCH_ERRORS), "OffsetFetch"),
        FaultKind.LOST_GROUP_ANSWERS: (LostAnswer(then), lost),
        FaultKind.DEAF_TO_CONSUMERS: (Deaf(), rng.choice(_CONSUMED)),
    }
    return actions.get(kind, (None, None))


def _begin(cluster: FakeCluster, event: FaultEvent, links: LinkStates) -> Undo | None:
    """Make an event happen; returns what undoes it."""
    broker = cluster.brokers[event.node]
    if event.action is not None:
        # Certain faults of a few requests, and likely ones of many.
        fault = cluster.faults.add(
            event.action, api=event.api, node=event.node, probability=0.2 + 0.8 * event.strength
        )
        return lambda: cluster.faults.remove(fault)
    if event.kind is FaultKind.LEADER_MOVE:
        partitions = list(cluster.topics.partitions())
        if partitions:
            partition = partitions[event.choice % len(partitions)]
            cluster.move_leader(partition.topic, partition.index)
        return None
    if event.kind is FaultKind.COORDINATOR_MOVE:
        groups = sorted(group.group_id for group in cluster.groups)
        if groups:
            cluster.move_coordinator(groups[event.choice % len(groups)])
        return None
    if event.kind is FaultKind.SESSIONS_FORGOTTEN:
        cluster.forget_fetch_sessions(event.node)
        return None
    if event.kind is FaultKind.CUT:
        broker.drop_connections()
        return None
    if event.kind in _NETWORK_KINDS:
        return _begin_on_link(broker, event, links)
    if event.kind is FaultKind.FREEZE:
        broker.freeze()
        return broker.thaw
    broker.kill()
    return lambda: _revive(broker)


def _begin_on_link(broker: FakeBroker, event: FaultEvent, links: LinkStates) -> Undo:
    link = broker.link
    if event.kind is FaultKind.POWER_OFF:
        broker.power_off()
        return lambda: _revive(broker)
    if event.kind is FaultKind.UNREACHABLE:
        link.blackhole()
        return link.heal
    if event.kind is FaultKind.ANSWERS_HELD:
        link.to_client_lost = True
        return link.heal
    if event.kind is FaultKind.REQUESTS_HELD:
        link.to_server_lost = True
        return link.heal
    state = links.setdefault(event.node, _LinkState(link.latency, link.chunking))
    state.events.append(event)
    state.apply(link)

    def restore() -> None:
        state.events.remove(event)
        state.apply(link)

    return restore


def _revive(broker: FakeBroker) -> None:
    if not broker.alive:
        broker.restart()
