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

__all__ = ["FaultEvent", "FaultKind", "FaultSchedule"]

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
_INSTANT_KINDS = frozenset({FaultKind.CUT, FaultKind.LEADER_MOVE})

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
            kinds: what may happen (default: everything the cluster's network allows).
            events: the fewest and the most events.
        """
        chosen = list(FaultKind) if kinds is None else list(kinds)
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
