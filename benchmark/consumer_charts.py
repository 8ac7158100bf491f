"""Charts of the consumer: what a record costs, how it depends on the codec, latency."""

from __future__ import annotations

from pathlib import Path

from benchmark.cases import CODECS
from benchmark.charts import bars, grouped, panels, save
from benchmark.results import Results, cpu_us, p50_us, p99_us, rate

#: A record costs it fifty times what it costs the others.
_OFF_THE_SCALE = frozenset({"confluent-aio-poll"})


def _reading(results: Results, suite: str, title: str, path: Path) -> str | None:
    """CPU and rate of each uncompressed case."""
    cases = results.cases(suite)
    if not cases:
        return None
    picture, axes = panels(len(cases), 2, 3.0, title)
    for row, case in enumerate(cases):
        what = f"{case.partition('/')[2].partition('B')[0]} B"
        cpu, speed = axes[2 * row], axes[2 * row + 1]
        bars(
            cpu, results, case, cpu_us, f"CPU, {what}", "µs a message (less is better)",
            _OFF_THE_SCALE,
        )  # fmt: skip
        bars(
            speed, results, case, rate, f"Rate, {what}", "messages/s (more is better)",
            _OFF_THE_SCALE,
        )  # fmt: skip
    return save(picture, path)


def _codecs(results: Results, suite: str, title: str, path: Path) -> str | None:
    """CPU by codec, a panel a size."""
    compressed = results.cases(f"{suite}-codecs")
    if not compressed:
        return None
    every = {*results.cases(suite), *compressed}
    picture, axes = panels(1, 2, 4.6, title)
    for panel, size in zip(axes, ("100B", "1000B"), strict=True):
        cases = [
            (codec, case)
            for codec in CODECS
            if (case := f"{suite}{'' if codec == 'none' else '-codecs'}/{size}-{codec}") in every
        ]
        grouped(
            panel, results, cases, cpu_us, f"{size.removesuffix('B')} B",
            "CPU µs a message, log scale (less is better)",
        )  # fmt: skip
        if not axes[0].get_legend() and cases:
            panel.legend(fontsize=7, framealpha=0.85, edgecolor="none")
    return save(picture, path)


def _latency(results: Results, path: Path) -> str | None:
    cases = results.cases("end-to-end")
    if not cases:
        return None
    picture, axes = panels(3, 1, 2.4, "From send() to the record in hand, one message at a time")
    unit = "µs (less is better)"
    bars(axes[0], results, cases[0], p50_us, "Latency, p50", unit)
    bars(axes[1], results, cases[0], p99_us, "Latency, p99", unit)
    bars(axes[2], results, cases[0], cpu_us, "CPU a message, producer and consumer", unit)
    return save(picture, path)


def draw_all(results: Results, folder: Path) -> dict[str, str]:
    """All charts that ``results`` has figures for: suite to file name."""
    one, many = "Reading record by record", "Reading in batches"
    all_but = f"{one} (AIOConsumer.poll is off the scale: see the table)"
    drawn = {
        "one-by-one": _reading(results, "one-by-one", all_but, folder / "consumer-one.png"),
        "batches": _reading(results, "batches", many, folder / "consumer-batches.png"),
        "one-by-one-codecs": _codecs(
            results, "one-by-one", f"{one}, compressed", folder / "consumer-one-codecs.png"
        ),
        "batches-codecs": _codecs(
            results, "batches", f"{many}, compressed", folder / "consumer-batches-codecs.png"
        ),
        "end-to-end": _latency(results, folder / "end-to-end.png"),
    }
    return {suite: name for suite, name in drawn.items() if name is not None}
