"""Does a consumer's memory grow?  ``python -m benchmark.soak`` (or ``make soak-consumer``).

Fills topics, has a child process read them over and over at full speed for ten minutes, and
judges how its resident memory goes.  Resident memory is restless, as buffers fill and drain;
what leaks lifts the floor.  So the least of every few samples is taken, after the first part of
the run, and of these Theil and Sen's slope: the median of the slopes of all pairs.  The exit
status is 1 when memory has grown.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmark import broker, children
from benchmark.broker import Topics
from benchmark.filling import fill
from benchmark.worker.soak import Sample, SoakJob

_WORKER = Path(__file__).parent / "worker" / "soak.py"
_PARTITIONS = 6
_CODECS = ("none", "lz4")
_VALUE_SIZE = 200
#: Of one topic.
RECORDS = 300_000
#: Growth over the judged part that is put down to the allocator.
ALLOWED_MB = 8.0
#: Samples of the first part are not judged: pools and caches fill, and the heap finds its size.
_SETTLING = 0.25
_CHILD_GRACE = 120.0
#: Samples of which the least counts, and how many of these there must be.
_WINDOW = 5
_FEWEST_WINDOWS = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """How the memory of a run went.

    Parameters:
        growth_mb: slope of the floor of the judged part times its length.
        allowed_mb: what is not a leak yet.
        rss_mb: at the end.
        records: read in all.
        seconds: length of the judged part.
    """

    growth_mb: float
    allowed_mb: float
    rss_mb: float
    records: int
    passes: int
    seconds: float

    @property
    def steady(self) -> bool:
        return self.growth_mb <= self.allowed_mb

    def __str__(self) -> str:
        return (
            f"{self.records:,} records in {self.passes} passes; resident {self.rss_mb:.0f} MB at "
            f"the end; {self.growth_mb:+.1f} MB in the last {self.seconds:.0f} s "
            f"(allowed: {self.allowed_mb:.0f} MB)"
        )


def judge(samples: Sequence[Sample], allowed_mb: float = ALLOWED_MB) -> Verdict:
    """Whether the memory grew after the first part of a run.

    Raises:
        ValueError: there are too few samples to say.
    """
    judged = list(samples[int(len(samples) * _SETTLING) :])
    windows = [judged[n : n + _WINDOW] for n in range(0, len(judged) - _WINDOW + 1, _WINDOW)]
    if len(windows) < _FEWEST_WINDOWS:
        raise ValueError(f"{len(samples)} samples are too few to judge")
    floor = [min(window, key=lambda sample: sample.rss_mb) for window in windows]
    slope = statistics.median(
        (later.rss_mb - earlier.rss_mb) / (later.seconds - earlier.seconds)
        for earlier, later in itertools.combinations(floor, 2)
    )
    length = judged[-1].seconds - judged[0].seconds
    last = samples[-1]
    return Verdict(slope * length, allowed_mb, last.rss_mb, last.records, last.passes, length)


def _lines(child: subprocess.Popen[str], until: float) -> Iterator[str]:
    assert child.stdout is not None
    for line in child.stdout:
        yield line
        if time.monotonic() > until:
            raise children.ChildFailed("the consumer did not end in time")


def _watch(job: SoakJob, on_sample: Callable[[Sample], None]) -> list[Sample]:
    """Run the child to its end; its samples."""
    samples: list[Sample] = []
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [sys.executable, str(_WORKER), job.to_json()],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=children.environment(),
        )
        with child:
            try:
                for line in _lines(child, time.monotonic() + job.seconds + _CHILD_GRACE):
                    samples.append(Sample(**json.loads(line)))
                    on_sample(samples[-1])
                child.wait(_CHILD_GRACE)
            finally:
                child.kill()
        if child.returncode:
            errors.seek(0)
            tail = "".join(errors.readlines()[-12:])
            raise children.ChildFailed(f"the consumer ended with {child.returncode}:\n{tail}")
    return samples


def soak(
    bootstrap: str,
    seconds: float,
    *,
    records: int = RECORDS,
    loop: str = "asyncio",
    keep_every: int = 0,
    on_sample: Callable[[Sample], None] = lambda sample: None,
) -> list[Sample]:
    """Fill topics on a broker, read them for so long, delete them; the samples taken.

    Parameters:
        seconds: how long to read; filling comes before.
        records: of each of the topics.
        keep_every: a leak to provoke (see :class:`SoakJob`).

    Raises:
        ChildFailed: the consumer failed, missed a record or did not end.
    """
    topics = Topics(bootstrap)
    prefix = f"soak-{time.time_ns() // 1_000_000}"
    names = {f"{prefix}-{codec}": codec for codec in _CODECS}
    topics.create(list(names), _PARTITIONS)
    try:
        for name, codec in names.items():
            fill(
                bootstrap,
                name,
                records,
                partitions=_PARTITIONS,
                value_size=_VALUE_SIZE,
                codec=codec,
            )
        job = SoakJob(
            bootstrap=bootstrap,
            group=prefix,
            topics=tuple(names),
            partitions=_PARTITIONS,
            records=records * len(names),
            seconds=seconds,
            loop=loop,
            keep_every=keep_every,
        )
        return _watch(job, on_sample)
    finally:
        topics.delete(list(names))


def main(argv: Sequence[str]) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.soak", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: 600)")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="a broker that is running")
    parser.add_argument(
        "--keep-every",
        type=int,
        default=0,
        metavar="N",
        help="leak one in N records of a few batches, to see it noticed",
    )
    args = parser.parse_args(argv)
    console = Console()
    with broker.running(args.bootstrap) as (bootstrap, _), Progress(console=console) as progress:
        bar = progress.add_task("filling topics", total=args.seconds)

        def on_sample(sample: Sample) -> None:
            rate = sample.records / sample.seconds
            progress.update(
                bar,
                completed=min(sample.seconds, args.seconds),
                description=f"{rate:,.0f} messages/s, {sample.rss_mb:.0f} MB resident",
            )

        try:
            samples = soak(
                bootstrap,
                args.seconds,
                loop=args.loop,
                keep_every=args.keep_every,
                on_sample=on_sample,
            )
            verdict = judge(samples)
        except (children.ChildFailed, ValueError) as problem:
            console.print(f"[red]{problem}[/]", highlight=False)
            return 1
    mark = "[green]steady[/]" if verdict.steady else "[bold red]memory grew[/]"
    console.print(f"{mark}: {verdict}", highlight=False)
    return 0 if verdict.steady else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
