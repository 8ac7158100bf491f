"""Charts of the producer: one a suite."""

from __future__ import annotations

from pathlib import Path

from benchmark.charts import bars, grouped, panels, save
from benchmark.results import Results, cpu_us, p50_us, p99_us, rate, wall_ms


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
    picture, axes = panels(
        len(cases), 2, 2.5, "Producing with acks=all, linger 5 ms, 20,000 deliveries outstanding"
    )
    for row, case in enumerate(cases):
        what = _describe(case.partition("/")[2])
        cpu, speed = axes[2 * row], axes[2 * row + 1]
        bars(cpu, results, case, cpu_us, f"CPU, {what}", "µs a message (less is better)")
        bars(speed, results, case, rate, f"Rate, {what}", "messages/s (more is better)")
    return save(picture, path)


def codecs(results: Results, path: Path) -> str | None:
    """CPU by codec, a panel a size."""
    if not results.cases("codecs"):
        return None
    every = {*results.cases("throughput"), *results.cases("codecs")}
    picture, axes = panels(1, 2, 4.2, "Producing with compression, no keys")
    for panel, size in zip(axes, ("100B", "1000B"), strict=True):
        cases = []
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            suite = "throughput" if codec == "none" else "codecs"
            case = f"{suite}/{size}-nokey-{codec}"
            if case in every:
                cases.append((codec, case))
        grouped(
            panel, results, cases, cpu_us, f"{size.removesuffix('B')} B",
            "CPU µs a message, log scale (less is better)",
        )  # fmt: skip
    axes[0].legend(fontsize=7, framealpha=0.85, edgecolor="none")
    return save(picture, path)


def tasks(results: Results, path: Path) -> str | None:
    """Rate and CPU of the 500 tasks."""
    cases = results.cases("tasks")
    if not cases:
        return None
    picture, axes = panels(len(cases), 2, 2.1, "500 tasks, each awaiting every message")
    for row, case in enumerate(cases):
        linger = f"linger {case.rpartition('-')[2]} ms"
        bars(axes[2 * row], results, case, rate, f"Rate, {linger}", "messages/s (more is better)")
        bars(
            axes[2 * row + 1], results, case, cpu_us, f"CPU, {linger}",
            "µs a message (less is better)",
        )  # fmt: skip
    return save(picture, path)


def latency(results: Results, path: Path) -> str | None:
    """p50, p99 and CPU of one sender."""
    cases = results.cases("latency")
    if not cases:
        return None
    picture, axes = panels(3, 1, 2.6, "One sender that waits for each message, linger 0")
    unit = "µs (less is better)"
    bars(axes[0], results, cases[0], p50_us, "Latency, p50", unit)
    bars(axes[1], results, cases[0], p99_us, "Latency, p99", unit)
    bars(axes[2], results, cases[0], cpu_us, "CPU a message", unit)
    return save(picture, path)


def partitions(results: Results, path: Path) -> str | None:
    """CPU over the number of partitions and of topics."""
    known = results.cases("partitions")
    topics = results.cases("topics")
    if not known:
        return None
    picture, axes = panels(1, 3, 4.0, "Does a message cost more in a large cluster?")
    unit = "CPU µs a message, log scale"
    for panel, kind, title in (
        (axes[0], "to-one", "Partitions known, all messages to one"),
        (axes[1], "spread", "Partitions known, partitioner's choice"),
    ):
        cases = [(c.split("/")[1].split("-")[0], c) for c in known if c.endswith(kind)]
        grouped(panel, results, cases, cpu_us, title, unit)
    grouped(axes[2], results, [(c.split("/")[1], c) for c in topics], cpu_us, "Topics known", unit)
    axes[0].legend(fontsize=7, framealpha=0.85, edgecolor="none")
    return save(picture, path)


def import_time(results: Results, path: Path) -> str | None:
    """Time of ``import aiokafka``."""
    cases = results.cases("import")
    if not cases:
        return None
    picture, axes = panels(1, 1, 1.4, "import aiokafka in a fresh interpreter")
    bars(axes[0], results, cases[0], wall_ms, "", "ms (less is better)")
    return save(picture, path)


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
