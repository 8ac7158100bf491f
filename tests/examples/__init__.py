"""Runs the programs of ``examples/`` as their readers do."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples"

# The demonstration brings its own cluster, and is run by ``make demo``.
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "demo")


@dataclass(frozen=True)
class Finished:
    """How a program ended."""

    status: int | None
    out: str
    err: str


async def run_example(
    name: str,
    bootstrap_servers: str,
    *arguments: str,
    environment: dict[str, str] | None = None,
    timeout: float = 30,
) -> Finished:
    """Run an example in a process of its own, with warnings as errors.

    Raises:
        asyncio.TimeoutError: it did not end within *timeout* seconds; it is killed.
    """
    variables = {**os.environ, **(environment or {})}
    variables["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    )
    # In asyncio's debug mode a slow machine writes to stderr.
    variables.pop("PYTHONASYNCIODEBUG", None)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(FOLDER / f"{name}.py"),
        "--bootstrap-servers",
        bootstrap_servers,
        *arguments,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Finished(process.returncode, out.decode(), err.decode())
