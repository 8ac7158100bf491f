"""Command line of the benchmark: ``python -m benchmark``.

Starts a broker, runs the cases in rounds and writes ``producer.json``, ``producer.rst`` and
the charts.  Ends by itself; every child is bounded in time.
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

from benchmark import broker, charts, environments, facts, tables
from benchmark.cases import QUICK, Case, all_cases
from benchmark.contenders import CONTENDERS, Contender, by_name
from benchmark.environments import ROOT, STATE, EnvironmentProblem
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
        "--only",
        metavar="GLOB",
        action="append",
        help="cases to run, such as 'throughput/*' or 'latency/*' (may be repeated; see --list)",
    )
    parser.add_argument(
        "--contenders",
        metavar="NAMES",
        help="comma-separated: " + ", ".join(c.name for c in CONTENDERS),
    )
    parser.add_argument("--rounds", type=int, help="rounds of each case (default 5; quick: 1)")
    parser.add_argument(
        "--seconds", type=float, help="of each measured phase (default 1.5; quick: 0.6)"
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
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.add_argument(
        "--redraw", metavar="JSON", type=Path, help="only write tables and charts from a file"
    )
    return parser


def _cases(args: argparse.Namespace) -> list[Case]:
    cases = all_cases()
    if args.only:
        chosen = [c for c in cases if any(fnmatch.fnmatch(c.id, glob) for glob in args.only)]
    elif args.quick:
        chosen = [case for case in cases if case.id in QUICK]
    else:
        chosen = cases
    if not chosen:
        raise ValueError("no such case; --list shows them all")
    return chosen


def _contenders(args: argparse.Namespace) -> list[Contender]:
    if not args.contenders:
        return list(CONTENDERS)
    return [by_name(name.strip()) for name in args.contenders.split(",")]


def _command(argv: Sequence[str]) -> str:
    return f"make bench ARGS={shlex.quote(shlex.join(argv))}" if argv else "make bench"


def _report(results: Results, folder: Path, console: Console) -> None:
    tables.print_all(results, console)
    results.save(folder / "producer.json")
    images = charts.draw_all(results, folder)
    tables.write_rst(results, images, folder / "producer.rst")
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    console.print(f"Wrote producer.json, producer.rst and {len(images)} charts to {shown}")


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
        runner.warm_up(4.0 if quick else 20.0)
        runner.run()
        progress.update(bar, completed=plan.measurements, description="done")


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
            _report(Results.load(args.redraw), args.output or args.redraw.parent, console)
            return 0
        cases, contenders = _cases(args), _contenders(args)
        if args.list:
            for case in cases:
                console.print(case.id, highlight=False)
            return 0
        partial = bool(args.quick or args.only or args.contenders)
        folder = args.output or (STATE / "results" if partial else _DOCS)
        console.print("Preparing the environment of the other clients ...")
        peers = environments.peers_python()
        with broker.running(args.bootstrap) as (bootstrap, kafka_version):
            plan = Plan(
                cases,
                contenders,
                args.rounds or (1 if args.quick else 5),
                args.seconds or (0.6 if args.quick else 1.5),
                peers,
            )
            checkout = any(contender.checkout for contender in contenders)
            known = facts.collect(kafka_version, peers, checkout=checkout)
            results = Results(_command(argv), known)
            try:
                _run(plan, bootstrap, results, console, args.quick)
            finally:
                # An interrupted run keeps what it has.
                if results.samples:
                    _report(results, folder, console)
        return 1 if results.failures else 0
    except (ValueError, EnvironmentProblem) as problem:
        console.print(f"[red]{problem}[/]", highlight=False)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
