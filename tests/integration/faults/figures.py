"""What a run comes to: stalls beyond the brokers' own, lost and reordered records, slow calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

Interval = tuple[float, float]


@dataclass
class Events:
    """The journal of a group, read back."""

    receipts: list[tuple[float, int, int, int]] = field(default_factory=list)
    calls: list[tuple[float, float]] = field(default_factory=list)
    joins: list[tuple[float, float]] = field(default_factory=list)
    stops: list[tuple[float, float]] = field(default_factory=list)
    # (time, member, what): assigned, revoked, lost.
    moves: list[tuple[float, int, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lateness: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Events:
        events = cls()
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, time, rest = line.split(" ", 2)
            at, words = float(time), rest.split(" ")
            if kind == "r":
                events.receipts.append((at, *map(int, words)))  # type: ignore[arg-type]
            elif kind in "avl":
                events.moves.append((at, int(words[0]), f"{kind} {rest.partition(' ')[2]}"))
            elif kind == "w":
                events.warnings.append(f"{time} {rest}")
            elif kind == "e":
                events.errors.append(f"{time} {rest}")
            elif kind == "b":
                events.lateness.append((at, float(rest)))
            else:
                where = {"g": events.calls, "j": events.joins, "s": events.stops}[kind]
                where.append((at, float(words[1])))
        return events

    def first_receipts(self) -> dict[tuple[int, int], float]:
        """When each record was given out for the first time."""
        first: dict[tuple[int, int], float] = {}
        for at, _, partition, offset in self.receipts:
            first.setdefault((partition, offset), at)
        return first

    def out_of_order(self) -> list[str]:
        """Records that a member got before an earlier one of the same assignment."""
        found = []
        order: dict[tuple[int, int], int] = {}
        both: list[tuple[float, int, tuple[int, int] | None]] = [
            *(
                (at, member, (partition, offset))
                for at, member, partition, offset in self.receipts
            ),
            *((at, member, None) for at, member, _ in self.moves),
        ]
        both.sort(key=lambda event: (event[0], event[2] is not None))
        for at, member, place in both:
            if place is None:
                # Whatever it has from now on begins where the group has committed.
                for key in [key for key in order if key[0] == member]:
                    del order[key]
                continue
            partition, offset = place
            before = order.get((member, partition), -1)
            if offset <= before:
                found.append(f"{at}: member {member}, partition {partition}: {offset} <= {before}")
            order[member, partition] = offset
        return found


@dataclass
class Figures:
    """Seconds, and numbers of things."""

    client: str
    records: int
    lost: int
    out_of_order: int
    repeated: int
    longest_stall: float
    longest_stall_beyond: float
    stall: str
    slowest_recovery: float
    longest_call: float
    longest_join: float
    longest_stop: float
    warnings: int
    errors: int
    latest_loop: float
    happened: str
    ended: bool

    def __str__(self) -> str:
        return (
            f"{self.client}: {self.records} records, {self.lost} lost,"
            f" {self.out_of_order} out of order, {self.repeated} repeated;"
            f" longest stall {self.longest_stall:.2f} s,"
            f" beyond the brokers' {self.longest_stall_beyond:.2f} s ({self.stall});"
            f" slowest recovery {self.slowest_recovery:.2f} s;"
            f" longest getmany {self.longest_call:.3f} s, start {self.longest_join:.2f} s,"
            f" stop {self.longest_stop:.2f} s; {self.warnings} warnings, {self.errors} errors;"
            f" loop late by {self.latest_loop:.2f} s; {self.happened}"
            f"{'' if self.ended else '; IT DID NOT END'}"
        )


def overlap(start: float, end: float, intervals: Iterable[Interval]) -> float:
    """Seconds of `start` to `end` in the intervals, which must not overlap each other."""
    return sum(max(0.0, min(end, last) - max(start, first)) for first, last in intervals)


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same instants in intervals that do not overlap, in order."""
    found: list[Interval] = []
    for first, last in sorted(intervals):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def work_out(
    client: str,
    events: Events,
    acknowledged: Iterable[tuple[int, int, float]],
    stored: Iterable[tuple[int, int]],
    outages: dict[int, list[Interval]],
    coordinator: list[Interval],
    faults: list[tuple[float, str]],
    session_timeout: float,
    ended: bool,
) -> Figures:
    """`acknowledged`: partition, offset and when; `stored`: what is in the log; `outages`: when a
    partition, `coordinator`: when the group had nobody to answer for it; `faults`: when and what.
    """
    group = [
        # A coordinator forgets who has left in the rebalance that it did not live to finish: the
        # next one waits for that member until its session is over.
        (start, end + session_timeout * any(start - 3 <= at <= end for at, _ in events.stops))
        for start, end in coordinator
    ]
    out = {partition: merged([*own, *group]) for partition, own in outages.items()}
    first = events.first_receipts()
    begin = min(at for at, *_ in events.receipts)
    stall = beyond = 0.0
    where = ""
    by_partition: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for partition, offset, at in acknowledged:
        received = first.get((partition, offset))
        if received is None or at < begin:
            continue
        by_partition[partition].append((at, received))
        stall = max(stall, received - at)
        # A member that takes a partition over reads on when its position is known.
        left = received - at - overlap(at, received, out[partition])
        if left > beyond:
            beyond, where = left, f"{partition}-{offset} acknowledged {at:.2f}"
    recovery = 0.0
    for at, _ in faults:
        for pairs in by_partition.values():
            # Until something that was written after the fault is read.
            later = [pair for pair in pairs if pair[0] >= at]
            if later:
                recovery = max(recovery, min(r for _, r in later) - min(a for a, _ in later))
    return Figures(
        client=client,
        records=len(first),
        lost=len([place for place in stored if place not in first]),
        out_of_order=len(events.out_of_order()),
        repeated=len(events.receipts) - len(first),
        longest_stall=stall,
        longest_stall_beyond=beyond,
        stall=where,
        slowest_recovery=recovery,
        longest_call=max((took for _, took in events.calls), default=0.0),
        longest_join=max((took for _, took in events.joins), default=0.0),
        longest_stop=max((took for _, took in events.stops), default=0.0),
        warnings=len(events.warnings),
        errors=len(events.errors),
        latest_loop=max((late for _, late in events.lateness), default=0.0),
        happened=", ".join(what for _, what in faults),
        ended=ended,
    )
