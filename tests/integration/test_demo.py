"""``make demo`` keeps its promises.  (It needs no broker: its cluster is an embedded mock.)"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def test_demo() -> None:
    done = subprocess.run(
        [sys.executable, "examples/demo.py"],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout
    assert "All as promised" in done.stdout
    assert "WRONG" not in done.stdout
