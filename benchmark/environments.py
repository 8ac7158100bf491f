"""The interpreters of the children: this one, and one with the released peers.

The peers live under ``.bench/`` in the source tree, made by pip from ``peers.txt`` on the
first run and again whenever that file or the interpreter changes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".bench"
_REQUIREMENTS = Path(__file__).with_name("peers.txt")
_INSTALL_TIMEOUT = 600.0


class EnvironmentProblem(RuntimeError):
    """An environment cannot be made, or lacks something."""


def peers_python() -> Path:
    """Interpreter of the peers' environment, made when it is missing or out of date.

    Raises:
        EnvironmentProblem: pip could not install the peers.
    """
    folder = STATE / f"peers-{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    venv.create(folder, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run(
        [*command, "--requirement", str(_REQUIREMENTS)],
        capture_output=True,
        text=True,
        timeout=_INSTALL_TIMEOUT,
    )
    if installed.returncode:
        raise EnvironmentProblem(
            f"pip could not install the clients to compare with:\n{installed.stderr.strip()}"
        )
    stamp.write_text(wanted)
    return python


_VERSIONS = """
import importlib.metadata, json, sys
names = sys.argv[1:]
found = {}
for name in names:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
if "confluent-kafka" in found:
    import confluent_kafka
    found["librdkafka"] = confluent_kafka.libversion()[0]
print(json.dumps(found))
"""


def versions(python: Path, *names: str) -> dict[str, str]:
    """Versions of the distributions called ``names`` that ``python`` has."""
    shown = subprocess.run(
        [str(python), "-c", _VERSIONS, *names],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, str] = json.loads(shown.stdout)
    return found
