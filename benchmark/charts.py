"""Charts of a run as PNG files: one a suite, figures with their spread and units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from benchmark.contenders import CONTENDERS, by_name
from benchmark.results import Figure, Results, Spread, cpu_us, p50_us, p99_us, rate, wall_ms
from benchmark.tables import number

_NOT_SHOWN = frozenset({"null"})
_DPI = 130


def _names(results: Results, case: str) -> list[str]:
    present = results.contenders(case)
    return [c.name for c in CONTENDERS if c.name in present and c.name not in _NOT_SHOWN]


def _bars(axes: Axes, results: Results, case: str, figure: Figure, title: str, unit: str) -> None:
    """Horizontal bars, one a contender, the value at the end of each."""
    names = _names(results, case)
    found: list[tuple[str, Spread]] = []
    for name in names:
        spread = results.spread(case, name, figure)
        if spread is not None:
            found.append((name, spread))
    found.reverse()
    medians = [spread.median for _, spread in found]
    errors = [
        [spread.median - spread.low for _, spread in found],
        [spread.high - spread.median for _, spread in found],
    ]
    places = range(len(found))
    axes.barh(
        places,
        medians,
        xerr=errors,
        color=[by_name(name).color for name, _ in found],
        error_kw={"elinewidth": 1, "ecolor": "#333333", "capsize": 2},
    )
    axes.set_yticks(list(places), [by_name(name).label for name, _ in found])
    top = max((spread.high for _, spread in found), default=1.0)
    axes.set_xlim(0, top * 1.18)
    for place, (_, spread) in zip(places, found, strict=True):
        axes.text(spread.high + top * 0.015, place, number(spread.median), va="center", fontsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(unit, fontsize=8)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_tick))


def _tick(value: float, _: int) -> str:
    return f"{value / 1000:g} k" if value >= 10_000 else f"{value:g}"


def _save(picture: Picture, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=_DPI)
    return path.name


def _picture(rows: int, columns: int, height: float, title: str) -> tuple[Picture, list[Axes]]:
    picture = Picture(figsize=(6.4 * columns, height * rows + 0.6), layout="constrained")
    picture.suptitle(title, fontsize=12, x=0.01, ha="left")
    axes = [picture.add_subplot(rows, columns, n + 1) for n in range(rows * columns)]
    return picture, axes


def _describe(name: str) -> str:
    size, key, codec = name.split("-")
    keyed = "with keys" if key == "key" else "no keys"
    codec = "" if codec == "none" else f", {codec}"
    return f"{size.removesuffix('B')} B, {keyed}{codec}"


def throughput(results: Results, path: Path) -> str | None:
    """CPU and rate of each throughput case."""
    cases = results.cases("throughput")
    if not cases:
        return None
    picture, axes = _picture(
        len(cases), 2, 2.5, "Producing with acks=all, linger 5 ms, 20,000 deliveries outstanding"
    )
    for row, case in enumerate(cases):
        what = _describe(case.partition("/")[2])
        cpu, speed = axes[2 * row], axes[2 * row + 1]
        _bars(cpu, results, case, cpu_us, f"CPU, {what}", "µs a message (less is better)")
        _bars(speed, results, case, rate, f"Rate, {what}", "messages/s (more is better)")
    return _save(picture, path)


def _grouped(
    axes: Axes,
    results: Results,
    cases: Sequence[tuple[str, str]],
    figure: Figure,
    title: str,
    unit: str,
) -> None:
    """A line a contender over labelled cases, on a logarithmic scale."""
    labels = [label for label, _ in cases]
    names = list(dict.fromkeys(name for _, case in cases for name in _names(results, case)))
    for name in names:
        spreads = [results.spread(case, name, figure) for _, case in cases]
        points = [(place, s) for place, s in enumerate(spreads) if s is not None]
        contender = by_name(name)
        axes.errorbar(
            [place for place, _ in points],
            [s.median for _, s in points],
            yerr=[[s.median - s.low for _, s in points], [s.high - s.median for _, s in points]],
            marker="o",
            markersize=4,
            linewidth=1.4,
            capsize=2,
            color=contender.color,
            label=contender.label,
        )
    axes.set_yscale("log")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel(unit, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_tick))
    axes.grid(axis="y", which="both", linewidth=0.3, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def codecs(results: Results, path: Path) -> str | None:
    """CPU by codec, a panel a size."""
    if not results.cases("codecs"):
        return None
    every = {*results.cases("throughput"), *results.cases("codecs")}
    picture, axes = _picture(1, 2, 4.2, "Producing with compression, no keys")
    for panel, size in zip(axes, ("100B", "1000B"), strict=True):
        cases = []
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            suite = "throughput" if codec == "none" else "codecs"
            case = f"{suite}/{size}-nokey-{codec}"
            if case in every:
                cases.append((codec, case))
        _grouped(
            panel, results, cases, cpu_us, f"{size.removesuffix('B')} B",
            "CPU µs a message, log scale (less is better)",
        )  # fmt: skip
    axes[0].legend(fontsize=7, frameon=False)
    return _save(picture, path)


def tasks(results: Results, path: Path) -> str | None:
    """Rate and CPU of the 500 tasks."""
    cases = results.cases("tasks")
    if not cases:
        return None
    picture, axes = _picture(len(cases), 2, 2.1, "500 tasks, each awaiting every message")
    for row, case in enumerate(cases):
        linger = f"linger {case.rpartition('-')[2]} ms"
        _bars(axes[2 * row], results, case, rate, f"Rate, {linger}", "messages/s (more is better)")
        _bars(
            axes[2 * row + 1], results, case, cpu_us, f"CPU, {linger}",
            "µs a message (less is better)",
        )  # fmt: skip
    return _save(picture, path)


def latency(results: Results, path: Path) -> str | None:
    """p50, p99 and CPU of one sender."""
    cases = results.cases("latency")
    if not cases:
        return None
    picture, axes = _picture(3, 1, 2.6, "One sender that waits for each message, linger 0")
    unit = "µs (less is better)"
    _bars(axes[0], results, cases[0], p50_us, "Latency, p50", unit)
    _bars(axes[1], results, cases[0], p99_us, "Latency, p99", unit)
    _bars(axes[2], results, cases[0], cpu_us, "CPU a message", unit)
    return _save(picture, path)


def partitions(results: Results, path: Path) -> str | None:
    """CPU over the number of partitions and of topics."""
    known = results.cases("partitions")
    topics = results.cases("topics")
    if not known:
        return None
    picture, axes = _picture(1, 3, 4.0, "Does a message cost more in a large cluster?")
    unit = "CPU µs a message, log scale"
    for panel, kind, title in (
        (axes[0], "to-one", "Partitions known, all messages to one"),
        (axes[1], "spread", "Partitions known, partitioner's choice"),
    ):
        cases = [(c.split("/")[1].split("-")[0], c) for c in known if c.endswith(kind)]
        _grouped(panel, results, cases, cpu_us, title, unit)
    _grouped(
        axes[2], results, [(c.split("/")[1], c) for c in topics], cpu_us, "Topics known", unit
    )
    axes[0].legend(fontsize=7, frameon=False)
    return _save(picture, path)


def import_time(results: Results, path: Path) -> str | None:
    """Time of ``import aiokafka``."""
    cases = results.cases("import")
    if not cases:
        return None
    picture, axes = _picture(1, 1, 1.4, "import aiokafka in a fresh interpreter")
    _bars(axes[0], results, cases[0], wall_ms, "", "ms (less is better)")
    return _save(picture, path)


def draw_all(results: Results, folder: Path) -> dict[str, str]:
    """All charts that ``results`` has figures for: suite to file name."""
    drawn = {
        "throughput": throughput(results, folder / "producer-throughput.png"),
        "codecs": codecs(results, folder / "producer-codecs.png"),
        "tasks": tasks(results, folder / "producer-tasks.png"),
        "latency": latency(results, folder / "producer-latency.png"),
        "partitions": partitions(results, folder / "producer-partitions.png"),
        "import": import_time(results, folder / "import-time.png"),
    }
    return {suite: name for suite, name in drawn.items() if name is not None}
