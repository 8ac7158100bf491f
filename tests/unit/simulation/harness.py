"""What simulations of producers and of consumers have in common.

Owns :class:`Warnings` and :class:`Call`, which runs write down, and what runs many seeds, judges
them and says how to repeat a failure.  A simulation gives a :class:`Simulation` of itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from aiokafka.testing import FakeCluster, FaultSchedule, run_virtual

SEED_VARIABLE = "AIOKAFKA_SIM_SEED"
COUNT_VARIABLE = "AIOKAFKA_SIM_COUNT"

#: So many broken promises of a run are shown.
SHOWN = 10


@dataclass
class Call:
    """A call of the application: how long it took, and how it ended."""

    name: str
    began_at: float
    lasted: float
    error: BaseException | None


class Warnings(logging.Handler):
    """Counts what the client logs at warning and above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.levelname} {record.name}: {record.getMessage()}"
        if record.exc_info:
            line += f"\n{logging.Formatter().formatException(record.exc_info)}"
        self.lines.append(line)

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        logger = logging.getLogger("aiokafka")
        level = logger.level
        logger.setLevel(logging.WARNING)
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.setLevel(level)


class Scenario(Protocol):
    """What a run consists of."""

    @property
    def seed(self) -> str: ...

    def describe(self) -> str: ...


@dataclass
class Run:
    """What the run of any simulation writes down."""

    calls: list[Call] = field(default_factory=list)
    warnings: Warnings = field(default_factory=Warnings)
    schedule: FaultSchedule | None = None
    leftovers: list[str] = field(default_factory=list)
    trace: list[Any] = field(default_factory=list)


class ScenarioRun(Protocol):
    """A run of a scenario."""

    warnings: Warnings
    schedule: FaultSchedule | None

    @property
    def scenario(self) -> Scenario: ...

    def main(self) -> Coroutine[Any, Any, None]: ...


R = TypeVar("R", bound=ScenarioRun)


@dataclass(frozen=True)
class Simulation(Generic[R]):
    """A simulation.

    Attributes:
        make: a run of a seed, not begun yet.
        broken: what a finished run violates, in words.
        path: of its tests, for the command that repeats a seed.
        limit: seconds of virtual time after which a run is held to hang.
    """

    make: Callable[[str], R]
    broken: Callable[[R], list[str]]
    path: str
    limit: float = 3600.0

    def try_seed(self, seed: int | str) -> tuple[R, list[str]]:
        """Run a seed and judge it."""
        run = self.make(str(seed))
        with run.warnings.attached():
            try:
                run_virtual(run.main, seed=str(seed), limit=self.limit)
            except Exception as error:
                text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
                return run, [f"the run broke off: {text}"]
        return run, self.broken(run)

    def run_seed(self, seed: int | str) -> R:
        """Run a seed to its end; `AssertionError` with everything there is to know otherwise."""
        run, problems = self.try_seed(seed)
        if problems:
            raise AssertionError(self.report(run, problems))
        return run

    def report(self, run: R, problems: list[str]) -> str:
        """What went wrong, what it stood for, and how to see it again."""
        schedule = "" if run.schedule is None else run.schedule.describe()
        seed = run.scenario.seed
        more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        return (
            f"{len(problems)} broken promise(s) with seed {seed}:\n  "
            + "\n  ".join(problems[:SHOWN])
            + more
            + f"\nscenario: {run.scenario.describe()}"
            + f"\nfaults:\n{schedule}"
            + f"\nrepeat with: {SEED_VARIABLE}={seed} {COUNT_VARIABLE}=1"
            + f" python -m pytest {self.path}"
        )

    def main(self, first: int, count: int) -> int:
        """Run seeds and print each failure; the exit status."""
        began, cpu = time.perf_counter(), time.process_time()
        failed = []
        for seed in range(first, first + count):
            run, problems = self.try_seed(seed)
            if problems:
                failed.append(seed)
                print(self.report(run, problems), flush=True)
        took = time.perf_counter() - began
        cpu = time.process_time() - cpu
        print(f"{count} seeds in {took:.1f} s ({cpu:.1f} s of CPU), failed: {failed}")
        return 1 if failed else 0


def selected(default_count: int) -> range:
    """The seeds to run: from 0, or as the environment says."""
    first = int(os.environ.get(SEED_VARIABLE, "0"))
    count = int(os.environ.get(COUNT_VARIABLE, str(default_count)))
    return range(first, first + count)


def open_ends(cluster: FakeCluster) -> list[str]:
    """Sockets and timers of the client that are still there."""
    network = cluster.network
    assert network is not None
    found = [f"connection {t!r}" for t in network.connections if not t.is_closing()]
    for handle in cluster.loop._scheduled:  # type: ignore[attr-defined]
        owner = getattr(handle._callback, "__module__", "") or ""
        if (
            not handle.cancelled()
            and owner.startswith("aiokafka.")
            and not owner.startswith("aiokafka.testing")
        ):
            found.append(f"timer {handle!r}")
    return found
