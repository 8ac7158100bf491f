"""What an application writes down: what it was given, when it came back, which partitions it had.

Plain data; judged by ``invariants``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiokafka.structs import TopicPartition
from tests.unit.simulation.harness import Call


@dataclass(eq=False)
class Delivery:
    """A record that was given to an application.

    Attributes:
        value: what it had, as the application sees it; ``None`` if the deserializer refused it.
        generation: of the group, in which the member had the partition; -1 without a group.
        member_id: of the member then.
        lso: the last stable offset of the log then.
        paused: whether the application had paused the partition.
        returned_at: when the application came back, so that it is done with the record.
    """

    at: float
    offset: int
    value: Any
    generation: int
    member_id: str
    lso: int
    paused: bool
    returned_at: float | None = None


@dataclass(eq=False)
class Span:
    """A time in which an application reads a partition without a break: from assignment or seek
    to revocation or the next seek.

    Attributes:
        owned: whether the partition was its own; if not, nothing should have come.
        sought: whether it began with a seek.
        start: the offset to begin with, ``None`` when that is not known.
    """

    tp: TopicPartition
    began_at: float
    owned: bool = True
    sought: bool = False
    start: int | None = None
    ended_at: float | None = None
    deliveries: list[Delivery] = field(default_factory=list)


@dataclass
class Bounded(Call):
    """A call with the time it may take."""

    who: str
    bound: float


@dataclass
class Journal:
    """The log of one application.

    Attributes:
        spans: all of them, in the order in which they began.
        errors: what calls raised that asked for records.
        unexplained: times in which there were records, none came, and health() said that all
            was well.
        unreasoned: what health() said when it was not well and gave no reason.
        not_released: whether a call still waited when stop() was done.
    """

    who: str
    instance: str | None = None
    spans: list[Span] = field(default_factory=list)
    calls: list[Bounded] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    unexplained: list[tuple[float, float]] = field(default_factory=list)
    unreasoned: list[str] = field(default_factory=list)
    not_released: bool = False
    #: Spans that have not ended.
    current: dict[TopicPartition, Span] = field(default_factory=dict)
    #: Records that the application works on.
    hands: list[Delivery] = field(default_factory=list)

    def begin(
        self, tp: TopicPartition, now: float, *, sought: bool = False, start: int | None = None
    ) -> None:
        """A partition is read, from now on or from somewhere else."""
        self.end(tp, now)
        span = self.current[tp] = Span(tp, now, sought=sought, start=start)
        self.spans.append(span)

    def end(self, tp: TopicPartition, now: float) -> None:
        """A partition is not read any more."""
        span = self.current.pop(tp, None)
        if span is not None:
            span.ended_at = now

    def end_all(self, now: float) -> None:
        for tp in list(self.current):
            self.end(tp, now)

    def note(self, tp: TopicPartition, delivery: Delivery) -> None:
        """A record was given out."""
        span = self.current.get(tp)
        if span is None:
            span = Span(tp, delivery.at, owned=False, ended_at=delivery.at)
            self.spans.append(span)
        span.deliveries.append(delivery)
        self.hands.append(delivery)

    def came_back(self, now: float) -> None:
        """The application is done with what it was given."""
        for delivery in self.hands:
            delivery.returned_at = now
        self.hands.clear()
