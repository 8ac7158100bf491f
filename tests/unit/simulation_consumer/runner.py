"""Running one seed, or many, and saying how to repeat a failure.

``python -m tests.unit.simulation_consumer.runner FIRST COUNT`` runs seeds outside of pytest.
"""

from __future__ import annotations

import sys

from tests.unit.simulation.harness import Simulation, selected

from .invariants import broken
from .scenario import Scenario
from .workload import Run

__all__ = ["report", "run_seed", "selected", "try_seed"]

SIMULATION = Simulation(
    make=lambda seed: Run(scenario=Scenario.draw(seed)),
    broken=broken,
    path="tests/unit/simulation_consumer",
    limit=600.0,
)
try_seed = SIMULATION.try_seed
run_seed = SIMULATION.run_seed
report = SIMULATION.report

if __name__ == "__main__":
    raise SystemExit(SIMULATION.main(int(sys.argv[1]), int(sys.argv[2])))
