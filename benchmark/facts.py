"""Facts about machine and software that belong beside the figures; nothing that names it."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from benchmark import environments
from benchmark.environments import EnvironmentProblem

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")


def _field(path: Path, name: str) -> str:
    if not path.exists():
        return "unknown"
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _memory() -> str:
    total = _field(_MEMINFO, "MemTotal").split()[0]
    return f"{int(total) / 1024**2:.0f} GiB" if total.isdigit() else "unknown"


def compiled() -> bool:
    """Whether the checkout's extensions are built and in use."""
    # Imported where needed: comparing the others among themselves works without the checkout.
    from aiokafka.record import default_records as records

    return records.DefaultRecordBatchBuilder is not getattr(
        records, "_DefaultRecordBatchBuilderPy", None
    )


def _checkout() -> str:
    """Version and build of the checkout."""
    from aiokafka import __version__

    here = environments.versions(Path(sys.executable), "uvloop")
    if "uvloop" not in here:
        raise EnvironmentProblem("uvloop is not installed beside this checkout")
    if not compiled():
        raise EnvironmentProblem(
            "the extensions of this checkout are not built; a benchmark of the pure Python "
            "fallback would mislead: build them first"
        )
    return f"{__version__}, compiled; uvloop {here['uvloop']}"


def collect(kafka_version: str, peers: Path, *, checkout: bool) -> dict[str, str]:
    """Facts of this run; ``checkout`` says whether the source tree itself is measured.

    Raises:
        EnvironmentProblem: the checkout's extensions are not compiled, or uvloop is missing.
    """
    theirs = environments.versions(
        peers, "aiokafka", "confluent-kafka", "kafka-python", "uvloop", "cramjam"
    )
    facts = {
        "processor": _field(_CPUINFO, "model name"),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "broker": f"Kafka {kafka_version}, one node on the same machine",
    }
    if checkout:
        facts["this client"] = _checkout()
    others = ", ".join(f"{name} {version}" for name, version in theirs.items())
    return facts | {"other clients": others}
