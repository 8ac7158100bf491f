"""At least 500 random schedules a run; more by AIOKAFKA_SIM_COUNT (see the package)."""

from __future__ import annotations

import pytest

from .runner import report, selected, try_seed

#: Seeds of one test: small, so that pytest-xdist spreads them evenly.
CHUNK = 20

SEEDS = selected(500)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "seeds",
    [SEEDS[start : start + CHUNK] for start in range(0, len(SEEDS), CHUNK)],
    ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}",
)
def test_promises_hold_whatever_happens(seeds):
    failures = []
    for seed in seeds:
        run, problems = try_seed(seed)
        if problems:
            failures.append(report(run, problems))
    assert not failures, "\n\n".join(failures)
