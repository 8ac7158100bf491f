"""Faults by script: what a fake broker does instead of answering well.

Owns the actions (what happens), :class:`Fault` (an action with the requests it applies to) and
:class:`Faults`, a cluster's list of them.  Everything is decided when a request arrives; nothing
here runs by itself.  Faults of a whole broker (kill, freeze) are methods of
:class:`~aiokafka.testing.broker.FakeBroker`, those of the wire belong to
:class:`~aiokafka.testing.network.Link`.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .codec import api_key_of, api_name

if TYPE_CHECKING:
    from .received import ReceivedRequest

__all__ = [
    "Action",
    "Cut",
    "Deaf",
    "Delay",
    "Do",
    "Error",
    "Fault",
    "Faults",
    "Garbage",
    "HalfFrame",
    "Level",
    "LostAnswer",
    "Refuse",
    "Rewrite",
    "Then",
    "Throttle",
    "WrongCorrelationId",
]


class Then(enum.Enum):
    """What becomes of the connection after a bad or missing answer."""

    SILENCE = "silence"
    CUT = "cut"


class Level(enum.Enum):
    """Where in a response an error code stands."""

    TOP = "top"
    TOPIC = "topic"
    PARTITION = "partition"


_PRODUCE, _FETCH, _LIST_OFFSETS, _METADATA, _OFFSET_COMMIT = 0, 1, 2, 3, 8
_CREATE_TOPICS, _OFFSET_FOR_LEADER_EPOCH = 19, 23
_USUAL_LEVEL = {
    _PRODUCE: Level.PARTITION,
    _FETCH: Level.PARTITION,
    _LIST_OFFSETS: Level.PARTITION,
    _OFFSET_COMMIT: Level.PARTITION,
    _OFFSET_FOR_LEADER_EPOCH: Level.PARTITION,
    _METADATA: Level.TOPIC,
    _CREATE_TOPICS: Level.TOPIC,
}


class Action:
    """Base of what a fault does."""


@dataclass(frozen=True, slots=True)
class Refuse(Action):
    """A connection is refused.  It applies to connections, not to requests.

    On real sockets the connection is accepted and reset, as the port is taken.
    """


@dataclass(frozen=True, slots=True)
class Deaf(Action):
    """The request is read, not applied and never answered; nor is any later one on its
    connection, since answers keep their order."""


@dataclass(frozen=True, slots=True)
class Cut(Action):
    """The connection is reset when the request arrives; it is not applied."""


@dataclass(frozen=True, slots=True)
class LostAnswer(Action):
    """The request is applied, but its answer never leaves."""

    then: Then = Then.CUT


@dataclass(frozen=True, slots=True)
class HalfFrame(Action):
    """The request is applied; only ``fraction`` of the answer's frame is sent."""

    fraction: float = 0.5
    then: Then = Then.SILENCE


@dataclass(frozen=True, slots=True)
class WrongCorrelationId(Action):
    """The request is applied; its answer bears a correlation id off by ``offset``."""

    offset: int = 1000


@dataclass(frozen=True, slots=True)
class Delay(Action):
    """The answer comes late by ``seconds`` (a number, or a range to draw from).

    ``applied`` tells whether the request takes effect when it arrives (a slow network, waiting
    for replicas) or when it is answered (a slow broker).
    """

    seconds: float | tuple[float, float]
    applied: bool = True

    def draw(self, rng: random.Random) -> float:
        if isinstance(self.seconds, tuple):
            return rng.uniform(*self.seconds)
        return self.seconds


@dataclass(frozen=True, slots=True)
class Error(Action):
    """The answer bears ``code``.

    ``level`` says where; ``None`` means where that API usually has it.  The request is not
    applied to what failed, unless ``applied`` (for codes such as
    NOT_ENOUGH_REPLICAS_AFTER_APPEND).
    """

    code: int
    level: Level | None = None
    applied: bool = False

    def level_for(self, api_key: int) -> Level:
        return self.level or _USUAL_LEVEL.get(api_key, Level.TOP)


class _GarbageKind(enum.Enum):
    NOISE = "noise"
    NEGATIVE_FRAME = "negative frame length"
    HUGE_FRAME = "huge frame length"
    NEGATIVE_LENGTHS = "negative lengths in the body"
    TRUNCATED_BODY = "truncated body"
    EMPTY_FRAME = "empty frame"


@dataclass(frozen=True, slots=True)
class Garbage(Action):
    """The answer is nonsense of some ``kind``; the request is not applied."""

    Kind = _GarbageKind
    kind: _GarbageKind = _GarbageKind.NOISE
    size: int = 64


@dataclass(frozen=True, slots=True)
class Throttle(Action):
    """The answer says ``throttle_time_ms``, and the broker does not read on for that time
    (KIP-219)."""

    throttle_time_ms: int


@dataclass(frozen=True, slots=True)
class Do(Action):
    """Something is done before the request is handled: a leader moves, a broker dies."""

    callback: Callable[[ReceivedRequest], object]


@dataclass(frozen=True, slots=True)
class Rewrite(Action):
    """The values of the answer are changed before it is encoded.

    The callback gets the request and the dictionary of values, which it changes in place: take
    partitions away, empty the list of brokers, and so on.
    """

    callback: Callable[[ReceivedRequest, dict[str, Any]], object]


@dataclass(slots=True, eq=False)
class Fault:
    """An action and the requests it applies to; ``None`` stands for any.

    Attributes:
        hits: how often it applied.
    """

    action: Action
    apis: frozenset[int] | None = None
    nodes: frozenset[int] | None = None
    topic: str | None = None
    partition: int | None = None
    times: int | None = None
    skip: int = 0
    start: float | None = None
    until: float | None = None
    probability: float = 1.0
    when: Callable[[ReceivedRequest], bool] | None = None
    hits: int = field(default=0)

    @property
    def spent(self) -> bool:
        """Whether it has applied as often as it may."""
        return self.times is not None and self.hits >= self.times

    def applies_to_node(self, node_id: int, now: float) -> bool:
        """Whether broker and time fit, and something is left of it."""
        return (
            not self.spent
            and (self.nodes is None or node_id in self.nodes)
            and (self.start is None or now >= self.start)
            and (self.until is None or now < self.until)
        )

    def fits(self, topic: str | None, partition: int | None) -> bool:
        """Whether an error at this place of an answer is meant."""
        return self.topic in (None, topic) and (
            self.partition is None or partition is None or self.partition == partition
        )

    def describe(self) -> str:
        """One readable line."""
        parts = [repr(self.action)]
        if self.apis is not None:
            parts.append("on " + "/".join(api_name(key) for key in sorted(self.apis)))
        if self.nodes is not None:
            parts.append("at node " + "/".join(map(str, sorted(self.nodes))))
        if self.topic is not None:
            where = self.topic if self.partition is None else f"{self.topic}-{self.partition}"
            parts.append(f"for {where}")
        if self.times is not None:
            parts.append(f"{self.times} times")
        if self.probability < 1:
            parts.append(f"with probability {self.probability:.2f}")
        return " ".join(parts)


class Faults:
    """The faults of a cluster.

    Args:
        rng: decides faults with a probability.
        clock: the loop's time.

    .. versionadded:: 0.14.1
    """

    def __init__(self, rng: random.Random, clock: Callable[[], float]) -> None:
        self._rng = rng
        self._clock = clock
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(
        self,
        action: Action,
        *,
        api: int | str | Iterable[int | str] | None = None,
        node: int | Iterable[int] | None = None,
        topic: str | None = None,
        partition: int | None = None,
        times: int | None = None,
        skip: int = 0,
        after: float | None = None,
        lasting: float | None = None,
        probability: float = 1.0,
        when: Callable[[ReceivedRequest], bool] | None = None,
    ) -> Fault:
        """Make ``action`` happen to the requests that fit all conditions.

        Args:
            action: what happens.
            api: API key(s) or name(s), such as ``"Produce"``.
            node: broker id(s).
            topic: only requests that mention this topic.
            partition: only requests that mention this partition of it.
            times: how often at most.
            skip: leave the first so many fitting requests alone.
            after: seconds from now at which it starts.
            lasting: seconds after its start at which it ends.
            probability: the chance of each fitting request.
            when: any further condition.

        Returns:
            The fault, which counts its ``hits`` and can be given to :meth:`remove`.

        Raises:
            ValueError: an API name is not known.
        """
        now = self._clock()
        start = None if after is None else now + after
        fault = Fault(
            action,
            _api_set(api),
            None if node is None else frozenset((node,) if isinstance(node, int) else node),
            topic,
            partition,
            times,
            skip,
            start,
            None if lasting is None else (start or now) + lasting,
            probability,
            when,
        )
        self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take a fault back; no error if it is gone already."""
        if fault in self._faults:
            self._faults.remove(fault)

    def clear(self) -> None:
        """Take every fault back."""
        self._faults.clear()

    def refuses(self, node_id: int) -> bool:
        """Whether a connection to that broker is refused now; counts as a hit."""
        for fault in self._faults:
            if (
                isinstance(fault.action, Refuse)
                and fault.applies_to_node(node_id, self._clock())
                and self._strikes(fault)
            ):
                return True
        return False

    def take(self, request: ReceivedRequest) -> list[Fault]:
        """The faults that apply to a request, each counted as a hit."""
        if not self._faults:
            return []
        now = self._clock()
        return [
            fault
            for fault in self._faults
            if not isinstance(fault.action, Refuse)
            and fault.applies_to_node(request.node_id, now)
            and (fault.apis is None or request.api_key in fault.apis)
            and (fault.topic is None or request.mentions(fault.topic, fault.partition))
            and (fault.when is None or fault.when(request))
            and self._strikes(fault)
        ]

    def _strikes(self, fault: Fault) -> bool:
        if fault.skip > 0:
            fault.skip -= 1
            return False
        if fault.probability < 1 and self._rng.random() >= fault.probability:
            return False
        fault.hits += 1
        return True


def _api_set(api: int | str | Iterable[int | str] | None) -> frozenset[int] | None:
    if api is None:
        return None
    if isinstance(api, (int, str)):
        return frozenset((api_key_of(api),))
    return frozenset(map(api_key_of, api))
