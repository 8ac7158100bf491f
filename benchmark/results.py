"""The figures of a run: kept as JSON, summed up as medians and paired ratios.

A ratio is taken within each round, where its two sides ran within seconds of each other, and
the median of those is shown with the least and the greatest; so a slow minute of the machine
does not become a difference between clients.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.worker.job import Measured

Figure = Callable[[Measured], float]


def rate(measured: Measured) -> float:
    """Messages a second."""
    return measured.rate


def cpu_us(measured: Measured) -> float:
    """CPU microseconds a message."""
    return measured.cpu_us


def p50_us(measured: Measured) -> float:
    """Median latency, microseconds."""
    return measured.p50_us


def p99_us(measured: Measured) -> float:
    """99th percentile of the latency, microseconds."""
    return measured.p99_us


def wall_ms(measured: Measured) -> float:
    """Time on the clock, milliseconds."""
    return measured.wall_s * 1e3


def peak_mb(measured: Measured) -> float:
    """Largest resident size of the process, megabytes."""
    return measured.max_rss_mb


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """A median with the least and the greatest value."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One child's figures in one round of one case."""

    case: str
    contender: str
    round: int
    measured: Measured


@dataclasses.dataclass(slots=True)
class Results:
    """Everything one run found out.

    Parameters:
        command: the command line that made it, without paths.
        facts: machine and versions, name to text.
        samples: in the order they were taken.
        failures: what did not run, and why.
    """

    command: str
    facts: dict[str, str]
    samples: list[Sample] = dataclasses.field(default_factory=list)
    failures: list[str] = dataclasses.field(default_factory=list)

    def cases(self, suite: str | None = None) -> list[str]:
        """Ids of the measured cases, in order."""
        ids = dict.fromkeys(sample.case for sample in self.samples)
        return [id for id in ids if suite is None or id.startswith(f"{suite}/")]

    def contenders(self, case: str) -> list[str]:
        """Names of who took part in ``case``, in order."""
        return list(dict.fromkeys(s.contender for s in self.samples if s.case == case))

    def _by_round(self, case: str, contender: str) -> dict[int, Measured]:
        return {
            sample.round: sample.measured
            for sample in self.samples
            if sample.case == case and sample.contender == contender
        }

    def spread(self, case: str, contender: str, figure: Figure) -> Spread | None:
        """``figure`` over the rounds; None when it was not measured."""
        found = self._by_round(case, contender).values()
        return Spread.of([figure(measured) for measured in found]) if found else None

    def ratio(
        self, case: str, contender: str, base: str, figure: Figure, base_case: str | None = None
    ) -> Spread | None:
        """``figure`` of ``contender`` over that of ``base``, round by round."""
        mine = self._by_round(case, contender)
        theirs = self._by_round(base_case or case, base)
        shared = mine.keys() & theirs.keys()
        if not shared:
            return None
        return Spread.of([figure(mine[n]) / figure(theirs[n]) for n in sorted(shared)])

    def save(self, path: Path) -> None:
        """Write all of it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what :meth:`save` wrote."""
        raw: dict[str, Any] = json.loads(path.read_text())
        samples = [
            Sample(s["case"], s["contender"], s["round"], Measured(**s["measured"]))
            for s in raw.pop("samples")
        ]
        return cls(samples=samples, **raw)
