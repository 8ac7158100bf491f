"""Tables of a run: reStructuredText for the documentation, rich ones for the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmark.contenders import BASELINE, by_name
from benchmark.results import Figure, Results, Spread, cpu_us, p50_us, p99_us, rate, wall_ms
from benchmark.targets import verdicts

_METHOD = Path(__file__).with_name("method.rst")


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A figure with its heading, and whether a ratio to aiokafka 0.14 follows it."""

    heading: str
    figure: Figure
    ratio: bool = True


_RATE = Column("messages/s", rate)
_CPU = Column("CPU µs a message", cpu_us)
_P50 = Column("p50 µs", p50_us)
_P99 = Column("p99 µs", p99_us, ratio=False)
_IMPORT = Column("import ms", wall_ms)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "throughput": (_RATE, _CPU),
    "codecs": (_RATE, _CPU),
    "tasks": (_RATE, _CPU),
    "latency": (_P50, _P99, _CPU),
    "partitions": (_RATE, _CPU),
    "topics": (_RATE, _CPU),
    "import": (_IMPORT,),
}

TITLES = {
    "throughput": "Throughput",
    "codecs": "Compression",
    "tasks": "500 tasks of send_and_wait",
    "latency": "One task, one message at a time",
    "partitions": "Number of partitions",
    "topics": "Number of known topics",
    "import": "Import time",
}


def number(value: float) -> str:
    """A figure with three digits that matter, thousands set apart."""
    if value >= 1_000:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.{1 if value >= 10 else 2}f}"


def spread_text(spread: Spread | None, *, ratio: bool = False) -> str:
    """``median (low–high)``."""
    if spread is None:
        return "–"
    if ratio:
        return f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f})"
    return f"{number(spread.median)} ({number(spread.low)}–{number(spread.high)})"


@dataclasses.dataclass(frozen=True, slots=True)
class Sheet:
    """One case as rows of text."""

    title: str
    header: list[str]
    rows: list[list[str]]


def sheets(results: Results, suite: str) -> Iterator[Sheet]:
    """The cases of ``suite``, one sheet each."""
    columns = COLUMNS[suite]
    header = ["client"]
    for column in columns:
        header.append(column.heading)
        if column.ratio:
            header.append("÷ 0.14")
    for case in results.cases(suite):
        rows = []
        for name in sorted(results.contenders(case), key=_order):
            row = [by_name(name).label]
            for column in columns:
                row.append(spread_text(results.spread(case, name, column.figure)))
                if column.ratio:
                    base = results.ratio(case, name, BASELINE, column.figure)
                    row.append(spread_text(base, ratio=True))
            rows.append(row)
        yield Sheet(case.partition("/")[2], header, rows)


def _order(name: str) -> int:
    from benchmark.contenders import CONTENDERS

    return [contender.name for contender in CONTENDERS].index(name)


def _verdict_sheet(results: Results) -> Sheet:
    rows = [
        [
            verdict.target.what,
            f"{'≥' if verdict.target.at_least else '≤'} {verdict.target.bound:.2f}",
            spread_text(verdict.ratio, ratio=True),
            "yes" if verdict.met else "no",
        ]
        for verdict in verdicts(results)
    ]
    return Sheet("Targets", ["ratio", "to reach", "measured", "met"], rows)


def print_all(results: Results, console: Console) -> None:
    """Every table on the terminal."""
    for suite in COLUMNS:
        for sheet in sheets(results, suite):
            _print(Sheet(f"{suite}: {sheet.title}", sheet.header, sheet.rows), console)
    _print(_verdict_sheet(results), console)
    for failure in results.failures:
        console.print(f"[red]failed[/] {failure}", highlight=False)


def _print(sheet: Sheet, console: Console) -> None:
    if not sheet.rows:
        return
    table = Table(*sheet.header, title=sheet.title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in sheet.rows:
        table.add_row(*row)
    console.print(table)


def _rst_table(sheet: Sheet) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", ""]
    for row in [sheet.header, *sheet.rows]:
        for position, cell in enumerate(row):
            lines.append(f"   {'* -' if position == 0 else '  -'} {cell}")
    return [*lines, ""]


def _figure(name: str, alt: str) -> list[str]:
    return [f".. image:: {name}", f"   :alt: {alt}", ""]


def write_rst(results: Results, images: dict[str, str], path: Path) -> None:
    """Write tables and charts as one reStructuredText page.

    Parameters:
        images: file name of the chart of a suite.
    """
    lines = [
        ".. Written by the benchmark; edits are lost.",
        "",
        *_METHOD.read_text().splitlines(),
        "",
        "Made with::",
        "",
        f"    {results.command}",
        "",
        ".. list-table::",
        "   :widths: auto",
        "",
    ]
    for name, text in results.facts.items():
        lines += [f"   * - {name}", f"     - {text}"]
    lines += ["", "Medians, with the least and the greatest of the rounds in brackets.", ""]
    targets = _verdict_sheet(results)
    if targets.rows:
        lines += ["Targets", "-------", "", *_rst_table(targets)]
    for suite, title in TITLES.items():
        found = list(sheets(results, suite))
        if not found:
            continue
        lines += [title, "-" * len(title), ""]
        if suite in images:
            lines += _figure(images[suite], title)
        for sheet in found:
            lines += [f"**{sheet.title}**", "", *_rst_table(sheet)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n")
