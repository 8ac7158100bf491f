"""Command line of the benchmark: ``python -m benchmark [producer] [consumer]``.

Starts a broker, runs the cases of one part or of both in rounds, and writes for each part a JSON
file, a page of tables and charts, such as ``consumer.json`` and ``consumer.rst``.  Ends by
itself; every child is bounded in time.
"""

from __future__ import annotations

import argparse
import fnmatch
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmark import broker, environments, facts, readme, tables
from benchmark.cases import Case
from benchmark.contenders import Contender, matching
from benchmark.environments import ROOT, STATE, EnvironmentProblem
from benchmark.filling import FillingFailed
from benchmark.parts import PARTS, Part, part_of
from benchmark.results import Results
from benchmark.runner import Plan, Runner

_DOCS = ROOT / "docs" / "benchmarks"
_LOG_WIDTH = 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        description="Compare this client with other Kafka clients, in turns, on one broker.",
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help="producer, consumer, or both (the default)",
    )
    parser.add_argument(
        "--only",
        metavar="GLOB",
        action="append",
        help="cases to run, such as 'throughput/*' or 'batches*' (may be repeated; see --list)",
    )
    parser.add_argument(
        "--contenders",
        metavar="NAMES",
        help="comma-separated, such as 'ours*,confluent-poll' (see --list)",
    )
    parser.add_argument("--rounds", type=int, help="rounds of each case (default 3; quick: 1)")
    parser.add_argument(
        "--seconds",
        type=float,
        help="of each measured phase that goes by the clock (default 1.0; quick: 0.6)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few cases, one round: under two minutes"
    )
    parser.add_argument(
        "--bootstrap",
        metavar="HOST:PORT",
        help="use this broker on the loopback interface instead of starting one",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the results (default docs/benchmarks, or .bench for partial runs)",
    )
    parser.add_argument("--list", action="store_true", help="list cases, contenders and end")
    parser.add_argument(
        "--redraw",
        metavar="JSON",
        type=Path,
        action="append",
        help="only write tables and charts from a file of an earlier run (may be repeated)",
    )
    return parser


def _parts(args: argparse.Namespace) -> list[Part]:
    known = {part.name: part for part in PARTS}
    for name in args.parts:
        if name not in known:
            raise ValueError(f"no part {name!r}; there are {', '.join(known)}")
    return [part for part in PARTS if not args.parts or part.name in args.parts]


def _cases(args: argparse.Namespace, part: Part) -> list[Case]:
    if args.only:
        return [c for c in part.cases if any(fnmatch.fnmatch(c.id, glob) for glob in args.only)]
    return [case for case in part.cases if not args.quick or case.id in part.quick]


def _contenders(args: argparse.Namespace, part: Part) -> list[Contender]:
    if not args.contenders:
        return list(part.contenders)
    chosen = matching(args.contenders)
    return [contender for contender in part.contenders if contender in chosen]


def _plans(args: argparse.Namespace, peers: Path) -> list[tuple[Part, Plan]]:
    """What to run of each part that there is anything to run of."""
    plans = []
    for part in _parts(args):
        plan = Plan(
            _cases(args, part),
            _contenders(args, part),
            args.rounds or (1 if args.quick else 3),
            args.seconds or (0.6 if args.quick else 1.0),
            peers,
        )
        if plan.measurements:
            plans.append((part, plan))
    if not plans:
        raise ValueError("nothing to run; --list shows all cases and contenders")
    return plans


def _list(args: argparse.Namespace, console: Console) -> None:
    for part in _parts(args):
        console.print(f"{part.name}: cases", highlight=False)
        for case in _cases(args, part):
            console.print(f"  {case.id}", highlight=False)
        console.print(f"{part.name}: contenders", highlight=False)
        for contender in _contenders(args, part):
            console.print(f"  {contender.name}: {contender.label}", highlight=False)


def _command(argv: Sequence[str]) -> str:
    return f"make bench ARGS={shlex.quote(shlex.join(argv))}" if argv else "make bench"


def _report(results: Results, folder: Path, console: Console) -> None:
    part = part_of(results)
    tables.print_all(results, part.page.suites, part.page.targets, console)
    results.save(folder / f"{part.name}.json")
    images = part.draw(results, folder)
    tables.write_rst(results, part.page, images, folder / f"{part.name}.rst")
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    console.print(
        f"Wrote {part.name}.json, {part.name}.rst and {len(images)} charts to {shown}",
        highlight=False,
    )
    if folder == _DOCS:
        readme.update(_DOCS)
        console.print("Wrote the figures of README.rst")


def _run(plan: Plan, bootstrap: str, results: Results, console: Console, quick: bool) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("warming the broker up", total=plan.measurements)
        done = -1

        def on_step(case: Case, number: int, contender: Contender) -> None:
            nonlocal done
            done += 1
            progress.update(
                bar,
                completed=done,
                description=f"{case.id} · round {number + 1} · {contender.name}",
            )

        def on_failure(text: str) -> None:
            progress.console.print(f"[red]failed[/] {text}", highlight=False, markup=True)

        runner = Runner(plan, bootstrap, results, on_step, on_failure)
        runner.warm_up(3.0 if quick else 15.0)
        runner.run()
        progress.update(bar, completed=plan.measurements, description="done")


def _measure(args: argparse.Namespace, argv: Sequence[str], console: Console) -> int:
    """Run what the command line asks for; returns the number of failures."""
    partial = bool(args.quick or args.only or args.contenders)
    folder = (args.output or (STATE / "results" if partial else _DOCS)).resolve()
    console.print("Preparing the environment of the other clients ...")
    peers = environments.peers_python()
    plans = _plans(args, peers)
    failures = 0
    with broker.running(args.bootstrap) as (bootstrap, kafka_version):
        for part, plan in plans:
            checkout = any(contender.checkout for contender in plan.contenders)
            known = facts.collect(kafka_version, peers, checkout=checkout)
            results = Results(_command(argv), known)
            try:
                _run(plan, bootstrap, results, console, args.quick)
            finally:
                # An interrupted run keeps what it has.
                failures += len(results.failures)
                if results.samples:
                    # That of the documentation is only replaced by a whole one.
                    whole = len(results.samples) + len(results.failures) == plan.measurements
                    _report(results, folder if whole else STATE / "results", console)
                elif results.failures:
                    console.print(f"[red]Nothing of the {part.name} could be measured[/]")
    return failures


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; returns the exit status."""
    # A run that is told to end keeps its figures, ends its child and stops its broker.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    args = _parser().parse_args(argv)
    try:
        if args.redraw:
            for path in args.redraw:
                folder = (args.output or path.parent).resolve()
                _report(Results.load(path), folder, console)
            return 0
        if args.list:
            _list(args, console)
            return 0
        return 1 if _measure(args, argv, console) else 0
    except (ValueError, EnvironmentProblem, FillingFailed) as problem:
        console.print(f"[red]{problem}[/]", highlight=False)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
