"""How charts of a run are drawn: figures with their spread and units, saved as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from benchmark.contenders import by_name, place
from benchmark.results import Figure, Results, Spread
from benchmark.tables import number

_NOT_SHOWN = "null"
_DPI = 130


def _names(results: Results, case: str) -> list[str]:
    names = sorted(results.contenders(case), key=place)
    return [name for name in names if by_name(name).client != _NOT_SHOWN]


def bars(
    axes: Axes,
    results: Results,
    case: str,
    figure: Figure,
    title: str,
    unit: str,
    without: frozenset[str] = frozenset(),
) -> None:
    """Horizontal bars, one a contender, the value at the end of each.

    Parameters:
        without: contenders that would make all others look alike.
    """
    names = [name for name in _names(results, case) if name not in without]
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
    for y, (_, spread) in zip(places, found, strict=True):
        axes.text(spread.high + top * 0.015, y, number(spread.median), va="center", fontsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(unit, fontsize=8)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_tick))


def _tick(value: float, _: int) -> str:
    return f"{value / 1000:g} k" if value >= 10_000 else f"{value:g}"


def _minor_tick(value: float, _: int) -> str:
    return _tick(value, 0) if f"{value:e}"[0] in "25" else ""


def save(picture: Picture, path: Path) -> str:
    """Write the picture; returns the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=_DPI)
    return path.name


def panels(rows: int, columns: int, height: float, title: str) -> tuple[Picture, list[Axes]]:
    """A picture of so many panels, each ``height`` inches high."""
    picture = Picture(figsize=(6.4 * columns, height * rows + 0.6), layout="constrained")
    picture.suptitle(title, fontsize=12, x=0.01, ha="left")
    axes = [picture.add_subplot(rows, columns, n + 1) for n in range(rows * columns)]
    return picture, axes


def grouped(
    axes: Axes,
    results: Results,
    cases: Sequence[tuple[str, str]],
    figure: Figure,
    title: str,
    unit: str,
) -> None:
    """A line a contender over labelled cases, on a logarithmic scale.

    Those that take part in the first case only have no line.
    """
    labels = [label for label, _ in cases]
    compared = cases[1:] or cases
    names = list(dict.fromkeys(name for _, case in compared for name in _names(results, case)))
    for name in names:
        spreads = [results.spread(case, name, figure) for _, case in cases]
        points = [(x, s) for x, s in enumerate(spreads) if s is not None]
        contender = by_name(name)
        axes.errorbar(
            [x for x, _ in points],
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
    axes.tick_params(which="minor", labelsize=7)
    axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_tick))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.FuncFormatter(_minor_tick))
    axes.grid(axis="y", which="both", linewidth=0.3, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
