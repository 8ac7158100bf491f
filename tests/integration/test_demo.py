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
    # Narrow terminals break lines anywhere.
    shown = " ".join(done.stdout.split())
    for promise in (
        "200,000 messages read in",
        "each partition has one owner: 4 and 4 of 8",
        "first has all 8 partitions again",
        "all acknowledged",
    ):
        assert promise in shown, done.stdout
