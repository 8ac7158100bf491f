"""The ratios this client is to reach, and whether a run reached them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from benchmark.cases import MAIN, MAIN_MANY, MAIN_ONE
from benchmark.contenders import (
    BASELINE,
    BASELINE_MANY,
    BASELINE_ONE,
    CONFLUENT,
    CONFLUENT_MANY,
    CONFLUENT_ONE,
    OURS,
    OURS_MANY,
    OURS_ONE,
    OURS_UVLOOP,
)
from benchmark.results import Figure, Results, Spread, cpu_us, p50_us, rate, wall_ms


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A bound on the ratio of one contender's figure to another's.

    Parameters:
        what: in words.
        bound: the ratio to reach.
        at_least: the bound is a least ratio, not a greatest.
        base_case: case of the other figure, where it is not the same one.
    """

    what: str
    case: str
    figure: Figure
    contender: str
    base: str
    bound: float
    at_least: bool = False
    base_case: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """A target with what a run made of it."""

    target: Target
    ratio: Spread

    @property
    def met(self) -> bool:
        if self.target.at_least:
            return self.ratio.median >= self.target.bound
        return self.ratio.median <= self.target.bound


_LATENCY = "latency/sequential"
_SLACK = 1.15

PRODUCER = (
    Target("CPU a message, against aiokafka 0.14", MAIN, cpu_us, OURS, BASELINE, 1 / 3.5),
    Target("CPU a message, against confluent-kafka Producer", MAIN, cpu_us, OURS, CONFLUENT, 1),
    Target("messages/s, against aiokafka 0.14", MAIN, rate, OURS, BASELINE, 3, at_least=True),
    Target(
        "messages/s of 500 tasks, against aiokafka 0.14",
        "tasks/linger-0", rate, OURS, BASELINE, 2, at_least=True,
    ),
    Target("latency p50, against aiokafka 0.14", _LATENCY, p50_us, OURS, BASELINE, 0.6),
    Target(
        "latency p50 with uvloop, against aiokafka 0.14 on the plain loop",
        _LATENCY, p50_us, OURS_UVLOOP, BASELINE, 0.45,
    ),
    *(
        Target(
            f"CPU a message with {n:,} partitions known, against 1",
            f"partitions/{n}-to-one", cpu_us, OURS, OURS, _SLACK,
            base_case="partitions/1-to-one",
        )
        for n in (100, 5_000)
    ),
    *(
        Target(
            f"CPU a message with {n:,} topics known, against 1",
            f"topics/{n}", cpu_us, OURS, OURS, _SLACK, base_case="topics/1",
        )
        for n in (100, 1_000)
    ),
    Target("import time, against aiokafka 0.14", "import/import", wall_ms, OURS, BASELINE, 1),
)  # fmt: skip

CONSUMER = (
    Target(
        "CPU a message, async for, against aiokafka 0.14 async for",
        MAIN_ONE, cpu_us, OURS_ONE, BASELINE_ONE, 1 / 3.5,
    ),
    Target(
        "CPU a message, async for, against confluent-kafka poll",
        MAIN_ONE, cpu_us, OURS_ONE, CONFLUENT_ONE, 1,
    ),
    Target(
        "CPU a message, getmany, against aiokafka 0.14 getmany",
        MAIN_MANY, cpu_us, OURS_MANY, BASELINE_MANY, 1 / 3,
    ),
    Target(
        "CPU a message, getmany, against confluent-kafka consume",
        MAIN_MANY, cpu_us, OURS_MANY, CONFLUENT_MANY, 1,
    ),
)  # fmt: skip


def verdicts(targets: Iterable[Target], results: Results) -> list[Verdict]:
    """The targets that ``results`` has figures for."""
    found = []
    for target in targets:
        ratio = results.ratio(
            target.case, target.contender, target.base, target.figure, target.base_case
        )
        if ratio is not None:
            found.append(Verdict(target, ratio))
    return found
