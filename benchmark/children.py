"""Starts a contender's child process and reads its figures.

Every child is bounded in time and ended by its own process object; nothing outlives the run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmark.contenders import Contender
from benchmark.worker.job import Job, Measured

_WORKER = Path(__file__).parent / "worker" / "__main__.py"
#: Seconds beyond its measured phase that a child may take: start, warm-up, drain, stop.
_CHILD_GRACE = 90.0

_IMPORT = """
import json, sys, time
if sys.argv[1]:
    sys.path.insert(0, sys.argv[1])
wall, cpu = time.perf_counter(), time.process_time()
import aiokafka
if sys.argv[2]:
    for name in aiokafka.__all__:
        getattr(aiokafka, name)  # some are loaded on demand
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
import resource
print(json.dumps({"messages": 1, "wall_s": wall, "cpu_s": cpu,
    "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "version": aiokafka.__version__}))
"""


class ChildFailed(RuntimeError):
    """A child ended without figures."""


def environment() -> dict[str, str]:
    """That of every child: nothing that changes which code runs, or how."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env.pop("AIOKAFKA_NO_EXTENSIONS", None)
    return env


def _run(command: list[str], what: str, timeout: float) -> Measured:
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment(),
            cwd=_WORKER.parent,
        )
    except subprocess.TimeoutExpired as expired:
        raise ChildFailed(f"{what} did not end within {timeout:.0f} s") from expired
    if child.returncode:
        tail = "\n".join(child.stderr.strip().splitlines()[-8:])
        raise ChildFailed(f"{what} ended with status {child.returncode}:\n{tail}")
    return Measured.from_json(child.stdout.strip().splitlines()[-1])


def run_job(python: Path, job: Job, what: str) -> Measured:
    """Run one job under ``python``.

    Raises:
        ChildFailed: the child failed or took too long.
    """
    command = [str(python), str(_WORKER), job.to_json()]
    return _run(command, what, job.seconds + _CHILD_GRACE)


def run_import(python: Path, contender: Contender, root: Path, *, everything: bool) -> Measured:
    """Time ``import aiokafka`` in a fresh process, from the checkout or the environment.

    Parameters:
        everything: load all that it exports as well, used or not.
    """
    path = str(root) if contender.checkout else ""
    return _run(
        [str(python), "-c", _IMPORT, path, "all" if everything else ""],
        f"import by {contender.name}",
        60.0,
    )


def this_python() -> Path:
    """The interpreter that measures the checkout."""
    return Path(sys.executable)


def describe(job: Job) -> str:
    """The job as JSON without defaults, for messages."""
    plain = Job(job.task, job.client, job.bootstrap, job.topic)
    fields = json.loads(job.to_json())
    defaults = json.loads(plain.to_json())
    return json.dumps({k: v for k, v in fields.items() if v != defaults[k]})
