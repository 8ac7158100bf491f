"""The suites of both parts: their titles, and the figures that their tables show."""

from __future__ import annotations

import dataclasses

from benchmark.results import Figure, cpu_us, p50_us, p99_us, peak_mb, rate, wall_ms


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A figure with its heading, and whether ratios to other contenders follow it."""

    heading: str
    figure: Figure
    ratio: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Suite:
    """Cases with the same figures.

    Parameters:
        name: what the ids of its cases begin with.
        bases: headings of the ratio columns, one for each of a contender's ``bases``.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    bases: tuple[str, ...] = ("÷ 0.14",)


_RATE = Column("messages/s", rate)
_CPU = Column("CPU µs a message", cpu_us)
_P50 = Column("p50 µs", p50_us)
_P99 = Column("p99 µs", p99_us, ratio=False)
_PEAK = Column("peak MB", peak_mb, ratio=False)
_IMPORT = Column("import ms", wall_ms)

PRODUCER = (
    Suite("throughput", "Throughput", (_RATE, _CPU)),
    Suite("codecs", "Compression", (_RATE, _CPU)),
    Suite("tasks", "500 tasks of send_and_wait", (_RATE, _CPU)),
    Suite("latency", "One task, one message at a time", (_P50, _P99, _CPU)),
    Suite("partitions", "Number of partitions", (_RATE, _CPU)),
    Suite("topics", "Number of known topics", (_RATE, _CPU)),
    Suite("import", "Import time", (_IMPORT,)),
)

_BOTH = ("÷ 0.14", "÷ confluent")
_RATE_PLAIN = dataclasses.replace(_RATE, ratio=False)
_CONSUMED = (_RATE_PLAIN, _CPU, _PEAK)

CONSUMER = (
    Suite("one-by-one", "Record by record", _CONSUMED, _BOTH),
    Suite("batches", "In batches", _CONSUMED, _BOTH),
    Suite("one-by-one-codecs", "Record by record, compressed", _CONSUMED, _BOTH),
    Suite("batches-codecs", "In batches, compressed", _CONSUMED, _BOTH),
    Suite("end-to-end", "From send to receipt", (_P50, _P99, _CPU), _BOTH),
)
