"""The two parts of the benchmark, the producer's and the consumer's, and what makes each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from benchmark import cases, consumer_charts, producer_charts, suites, targets
from benchmark.contenders import CONSUMERS, PAIRS, PRODUCERS, Contender
from benchmark.results import Results
from benchmark.tables import Page

_HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One page of the documentation and the cases behind it.

    Parameters:
        name: also of its files: ``consumer.json``, ``consumer.rst``.
        quick: ids of the cases of a quick run.
        draw: writes the charts of a run into a folder.
    """

    name: str
    cases: list[cases.Case]
    contenders: tuple[Contender, ...]
    quick: frozenset[str]
    page: Page
    draw: Callable[[Results, Path], dict[str, str]]


PARTS = (
    Part(
        "producer",
        cases.producer_cases(),
        PRODUCERS,
        cases.PRODUCER_QUICK,
        Page(_HERE / "method.rst", suites.PRODUCER, targets.PRODUCER),
        producer_charts.draw_all,
    ),
    Part(
        "consumer",
        cases.consumer_cases(),
        CONSUMERS + PAIRS,
        cases.CONSUMER_QUICK,
        Page(_HERE / "method_consumer.rst", suites.CONSUMER, targets.CONSUMER),
        consumer_charts.draw_all,
    ),
)


def part_of(results: Results) -> Part:
    """The part that a run's figures belong to.

    Raises:
        ValueError: there are no figures of any.
    """
    for part in PARTS:
        if any(results.cases(suite.name) for suite in part.page.suites):
            return part
    raise ValueError("the file has no figures of any suite")
