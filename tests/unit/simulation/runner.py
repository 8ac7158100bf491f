"""Running one seed, or many, and saying how to repeat a failure.

``python -m tests.unit.simulation.runner FIRST COUNT`` runs seeds outside of pytest.
"""

from __future__ import annotations

import os
import sys
import time
import traceback

from aiokafka.testing import run_virtual

from .invariants import broken
from .scenario import Scenario
from .workload import Run

SEED_VARIABLE = "AIOKAFKA_SIM_SEED"
COUNT_VARIABLE = "AIOKAFKA_SIM_COUNT"


def run_seed(seed: int | str) -> Run:
    """Run a seed to its end; `AssertionError` with everything there is to know otherwise."""
    run, problems = try_seed(seed)
    if problems:
        raise AssertionError(report(run, problems))
    return run


def try_seed(seed: int | str) -> tuple[Run, list[str]]:
    """Run a seed and judge it."""
    run = Run(Scenario.draw(str(seed)))
    with run.warnings.attached():
        try:
            run_virtual(run.main, seed=str(seed), limit=3600.0)
        except Exception as error:
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            return run, [f"the run broke off: {text}"]
    return run, broken(run)


def report(run: Run, problems: list[str]) -> str:
    """What went wrong, what it stood for, and how to see it again."""
    schedule = "" if run.schedule is None else run.schedule.describe()
    seed = run.scenario.seed
    shown = problems[:10]
    more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
    return (
        f"{len(problems)} broken promise(s) with seed {seed}:\n  "
        + "\n  ".join(shown)
        + more
        + f"\nscenario: {run.scenario.describe()}"
        + f"\nfaults:\n{schedule}"
        + f"\nrepeat with: {SEED_VARIABLE}={seed} {COUNT_VARIABLE}=1"
        + " python -m pytest tests/unit/simulation"
    )


def selected(default_count: int) -> range:
    """The seeds to run: from 0, or as the environment says."""
    first = int(os.environ.get(SEED_VARIABLE, "0"))
    count = int(os.environ.get(COUNT_VARIABLE, str(default_count)))
    return range(first, first + count)


def main(first: int, count: int) -> int:
    """Run seeds and print each failure; the exit status."""
    began, cpu = time.perf_counter(), time.process_time()
    failed = []
    for seed in range(first, first + count):
        run, problems = try_seed(seed)
        if problems:
            failed.append(seed)
            print(report(run, problems), flush=True)
    took = time.perf_counter() - began
    cpu = time.process_time() - cpu
    print(f"{count} seeds in {took:.1f} s ({cpu:.1f} s of CPU), failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), int(sys.argv[2])))
