"""Tables of a run: reStructuredText for the documentation, rich ones for the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmark.contenders import by_name, place
from benchmark.results import Results, Spread
from benchmark.suites import Suite
from benchmark.targets import Target, verdicts


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


def sheets(results: Results, suite: Suite) -> Iterator[Sheet]:
    """The cases of ``suite``, one sheet each."""
    header = ["client"]
    for column in suite.columns:
        header.append(column.heading)
        if column.ratio:
            header.extend(suite.bases)
    for case in results.cases(suite.name):
        rows = []
        for name in sorted(results.contenders(case), key=place):
            contender = by_name(name)
            row = [contender.label]
            for column in suite.columns:
                row.append(spread_text(results.spread(case, name, column.figure)))
                for base in contender.bases if column.ratio else ():
                    ratio = results.ratio(case, name, base, column.figure)
                    row.append(spread_text(ratio, ratio=True))
            rows.append(row)
        yield Sheet(case.partition("/")[2], header, rows)


def _verdict_sheet(results: Results, targets: Sequence[Target]) -> Sheet:
    rows = [
        [
            verdict.target.what,
            f"{'≥' if verdict.target.at_least else '≤'} {verdict.target.bound:.2f}",
            spread_text(verdict.ratio, ratio=True),
            "yes" if verdict.met else "no",
        ]
        for verdict in verdicts(targets, results)
    ]
    return Sheet("Targets", ["ratio", "to reach", "measured", "met"], rows)


def print_all(
    results: Results, suites: Sequence[Suite], targets: Sequence[Target], console: Console
) -> None:
    """Every table on the terminal."""
    for suite in suites:
        for sheet in sheets(results, suite):
            _print(Sheet(f"{suite.name}: {sheet.title}", sheet.header, sheet.rows), console)
    _print(_verdict_sheet(results, targets), console)
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


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """What a page of the documentation is made of.

    Parameters:
        method: file with its title and what the figures mean.
        suites: in the order of its sections.
        targets: what is judged.
    """

    method: Path
    suites: Sequence[Suite]
    targets: Sequence[Target]


def write_rst(results: Results, page: Page, images: Mapping[str, str], path: Path) -> None:
    """Write tables and charts as one reStructuredText page.

    Parameters:
        images: file name of the chart of a suite.
    """
    lines = [
        ".. Written by the benchmark; edits are lost.",
        "",
        *page.method.read_text().splitlines(),
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
    verdict = _verdict_sheet(results, page.targets)
    if verdict.rows:
        lines += ["Targets", "-------", "", *_rst_table(verdict)]
    for suite in page.suites:
        found = list(sheets(results, suite))
        if not found:
            continue
        lines += [suite.title, "-" * len(suite.title), ""]
        if suite.name in images:
            lines += _figure(images[suite.name], suite.title)
        for sheet in found:
            lines += [f"**{sheet.title}**", "", *_rst_table(sheet)]
    if results.failures:
        lines += ["What did not run", "----------------", ""]
        lines += [f"* ``{failure.splitlines()[0]}``" for failure in results.failures]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n")
