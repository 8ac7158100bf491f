"""CPU and wall clocks of this process, all its threads included.

A library that works in background threads (librdkafka) pays for them here as it does in an
application, which is why ``RUSAGE_SELF`` is read and not the clock of one thread.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from pathlib import Path

from benchmark.worker.job import Measured

_STATUS = Path("/proc/self/status")


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_mb() -> float:
    """Largest resident size of this process, megabytes.

    Linux counts what the parent had at the fork into ``ru_maxrss``, but not into the high-water
    mark of the memory of the program that was executed then.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (1024 * 1024 if sys.platform == "darwin" else 1024)


class Meter:
    """Measures from :meth:`start` to :meth:`stop`."""

    __slots__ = ("_cpu", "_wall", "cpu_s", "wall_s")

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.wall_s = 0.0
        self._cpu = 0.0
        self._wall = 0.0

    def start(self) -> float:
        """Start both clocks; returns ``time.perf_counter()`` of the start."""
        # Rubbish of the warm-up would otherwise be collected at the expense of whoever
        # happens to cross the collector's threshold first.
        gc.collect()
        self._cpu = _cpu_seconds()
        self._wall = time.perf_counter()
        return self._wall

    def stop(self) -> None:
        """Stop both clocks."""
        self.wall_s = time.perf_counter() - self._wall
        self.cpu_s = _cpu_seconds() - self._cpu

    def measured(self, messages: int, version: str, calls_us: list[float]) -> Measured:
        """The figures; ``calls_us`` holds one duration a call, or nothing."""
        ordered = sorted(calls_us)
        return Measured(
            messages=messages,
            wall_s=self.wall_s,
            cpu_s=self.cpu_s,
            max_rss_mb=_peak_mb(),
            version=version,
            p50_us=ordered[len(ordered) // 2] if ordered else 0.0,
            p99_us=ordered[len(ordered) * 99 // 100] if ordered else 0.0,
        )
