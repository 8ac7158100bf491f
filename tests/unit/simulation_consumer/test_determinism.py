"""The same seed gives the same run: in one process, in another with other hash values, and with
the pure Python twins of the compiled modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .runner import try_seed

ROOT = Path(__file__).resolve().parents[3]

#: Runs with several members, crashes, transactions, readers and fenced instances.
SEEDS = (3, 12, 25, 40, 77, 87)

SCRIPT = """
import sys
from tests.unit.simulation_consumer.runner import try_seed
for seed in sys.argv[1:]:
    run, problems = try_seed(seed)
    print(seed, problems, run.trace, run.outcome())
"""


def in_another_process(hash_seed: str, **variables: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, **variables}
    command = [sys.executable, "-c", SCRIPT, *map(str, SEEDS)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("seed", SEEDS)
def test_in_one_process(seed):
    first, _ = try_seed(seed)
    second, _ = try_seed(seed)
    assert first.trace == second.trace
    assert first.outcome() == second.outcome()


def test_across_processes():
    assert in_another_process("1") == in_another_process("2")


def test_with_and_without_extensions():
    assert in_another_process("1", AIOKAFKA_NO_EXTENSIONS="1") == in_another_process("1")
