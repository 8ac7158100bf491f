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

#: Examples that send records, with how many are stored by them.
PRODUCERS = {
    "simple_producer": 3,
    "batch_producer": 1_000,
    "idempotent_producer": 1_000,
    "bounded_send": 1,
    "custom_partitioner": 6,
    "secure_producer": 1,
    "web_lifespan": 20,
}

#: What is in the topic, in partitions 0 to 2 in turns, when the consumers run.
VALUES = [b'{"number": %d}' % number if number != 7 else b"{ no JSON" for number in range(30)]

#: Examples that read all of it, with the rest of their arguments and a part of what they print.
CONSUMERS = {
    "simple_consumer": (["--count", "30"], "at offset 9: b'{\"number\": 29}'"),
    "commit_consumer": (["--count", "30"], "30 records processed"),
    "batch_consumer": (["--count", "30"], "30 records processed"),
    "listener_consumer": (["--count", "30"], "up to offset 10"),
    "seek_by_time_consumer": (["--since-ms", "0"], "30 records since 0"),
    "cooperative_consumer": (["--count", "30", "--instance", "one"], "3 partitions, lag 0: ok"),
    "poison_consumer": (["--count", "30"], "put aside "),
}

#: Examples that administer, with a part of what they print when the topic has 3 partitions.
ADMINS = {
    "topic_admin": "-2 ends at offset ",
}


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
