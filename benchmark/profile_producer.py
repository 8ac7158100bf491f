"""What a message costs the client alone: ``python -m benchmark.profile_producer``.

Produces to the null broker, so that no Kafka competes for the cores, and prints CPU
microseconds a message for each contender; or, with ``--cprofile``, where this client's
interpreter spends its time.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmark import children, environments, null_broker
from benchmark.contenders import BASELINE, OURS, OURS_UVLOOP, Contender, by_name
from benchmark.worker import dispatch
from benchmark.worker.job import Job, Measured


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.profile_producer", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--contenders", default=",".join((OURS, OURS_UVLOOP, BASELINE)))
    add("--task", choices=("produce", "tasks", "latency"), default="produce")
    add("--messages", type=int, default=500_000, help="a run, at most")
    add("--seconds", type=float, default=20.0, help="a run, at most")
    add("--rounds", type=int, default=3)
    add("--size", type=int, default=100, help="bytes of a value")
    add("--keyed", action="store_true")
    add("--codec", default="none")
    add("--linger-ms", type=int, help="default 5, or 0 for tasks and latency")
    add("--partitions", type=int, default=6)
    add("--partition", type=int, help="send everything to this one")
    add("--cprofile", type=Path, metavar="FILE", help="profile this client into FILE")
    return parser


def _job(args: argparse.Namespace, contender: Contender, bootstrap: str) -> Job:
    linger_ms = args.linger_ms
    if linger_ms is None:
        linger_ms = 5 if args.task == "produce" else 0
    return Job(
        task=args.task,
        client=contender.client,
        bootstrap=bootstrap,
        topic="null",
        loop=contender.loop,
        checkout=contender.checkout,
        # Only a stream can end after a number of messages; the others go by the clock.
        seconds=args.seconds if args.task == "produce" else min(args.seconds, 2.0),
        max_messages=args.messages,
        value_size=args.size,
        keyed=args.keyed,
        codec=args.codec,
        linger_ms=linger_ms,
        partition=args.partition,
    )


def _compare(args: argparse.Namespace, bootstrap: str, console: Console) -> None:
    contenders = [by_name(name) for name in args.contenders.split(",")]
    peers = None if all(c.checkout for c in contenders) else environments.peers_python()
    found: dict[str, list[Measured]] = {contender.name: [] for contender in contenders}
    for _ in range(args.rounds):
        for contender in contenders:
            python = children.this_python()
            if not contender.checkout and peers is not None:
                python = peers
            job = _job(args, contender, bootstrap)
            found[contender.name].append(children.run_job(python, job, contender.name))
    table = Table("client", "CPU µs a message", "least", "messages/s", "p50 µs")
    for column in table.columns[1:]:
        column.justify = "right"
    for contender in contenders:
        runs = found[contender.name]
        table.add_row(
            contender.label,
            f"{statistics.median(run.cpu_us for run in runs):.2f}",
            f"{min(run.cpu_us for run in runs):.2f}",
            f"{statistics.median(run.rate for run in runs):,.0f}",
            f"{statistics.median(run.p50_us for run in runs):.0f}",
        )
    console.print(table)


def _profile(args: argparse.Namespace, bootstrap: str, console: Console) -> None:
    profile = cProfile.Profile()
    measured = profile.runcall(dispatch.run, _job(args, by_name(OURS), bootstrap))
    profile.dump_stats(args.cprofile)
    pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    console.print(f"{measured.messages:,} messages, {measured.cpu_us:.2f} µs each (profiled)")


def main(argv: Sequence[str]) -> None:
    """Measure or profile, as the command line says."""
    args = _parser().parse_args(argv)
    console = Console()
    with null_broker.running(args.partitions) as bootstrap:
        if args.cprofile:
            _profile(args, bootstrap, console)
        else:
            _compare(args, bootstrap, console)


if __name__ == "__main__":
    main(sys.argv[1:])
