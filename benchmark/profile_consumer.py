"""What a message costs from its fetched block to the application: ``python -m
benchmark.profile_consumer``.

No broker, no loop's work: blocks of 1 MB are read, checked, decoded, and given out with the
position, as the fetcher does.  Prints CPU microseconds a message, the least and the median of
some rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import statistics
import struct
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from aiokafka.consumer._assignment import Assignment
from aiokafka.consumer._records import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.consumer._results import FetchResult
from aiokafka.record.blocks import BlockReader, scan
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

TP = TopicPartition("topic", 0)
BLOCK_SIZE = 1_000_000
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def make_block(args: argparse.Namespace) -> tuple[bytes, int]:
    """A block of about 1 MB before compression, and how many records are in it."""
    block = bytearray()
    base = plain = 0
    key = b"k" * 10 if args.keyed else None
    headers = [("trace", b"0123456789abcdef")] * args.headers
    while plain < BLOCK_SIZE:
        builder = DefaultRecordBatchBuilder(
            2, CODECS[args.codec], args.transactional, 1, 0, 0, BLOCK_SIZE
        )
        for index in range(args.batch):
            value = f"{base + index:08d}".encode() + b"v" * max(0, args.size - 8)
            builder.append(index, 1_700_000_000_000 + index // 10, key, value, headers)
        plain += builder.size()
        batch = builder.build()
        struct.pack_into(">q", batch, 0, base)
        block += batch
        base += args.batch
    return bytes(block), base


class Reading:
    """The ways of reading a block; each returns how many records it got."""

    def __init__(self, block: bytes, args: argparse.Namespace) -> None:
        self._block = block
        self._level = READ_COMMITTED if args.transactional else READ_UNCOMMITTED
        self._deserializer = bytes.decode if args.deserialize else None
        self._take = args.take

    def _records(self) -> PartitionRecords:
        return PartitionRecords(
            TP, MemoryRecords(self._block), [], 0, None, self._deserializer, True, self._level
        )

    def _result(self) -> FetchResult:
        assignment = Assignment([TP])
        state = assignment.state_value(TP)
        assert state is not None
        state.reset_to(0)
        return FetchResult(
            TP, assignment=assignment, partition_records=self._records(), backoff=0.0
        )

    def getall(self) -> int:
        result = self._result()
        count = 0
        while result.has_more():
            count += len(result.getall(self._take))
        return count

    def getone(self) -> int:
        result = self._result()
        count = 0
        while result.getone() is not None:
            count += 1
        return count

    def iterate(self) -> int:
        return sum(1 for _ in self._records())

    def scan(self) -> int:
        return scan(self._block).next_offset


async def measure(read: Callable[[], int], rounds: int) -> list[float]:
    """CPU microseconds a record, one figure for each round of about 0.1 s."""
    started = time.process_time()
    count = read()
    repeat = max(1, int(0.1 / max(time.process_time() - started, 1e-6)))
    found = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(repeat):
            read()
        found.append((time.process_time() - started) / (repeat * count) * 1e6)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.profile_consumer",
        description="What a message costs from its fetched block to the application.",
    )
    add = parser.add_argument
    add("--size", type=int, default=100, help="bytes of a value")
    add("--batch", type=int, default=120, help="records of a batch (16 kB of 100 bytes each)")
    add("--take", type=int, default=500, help="max_records of a getall()")
    add("--codec", choices=CODECS, default="none")
    add("--keyed", action="store_true")
    add("--headers", type=int, default=0, help="of each record")
    add("--deserialize", action="store_true", help="values to str")
    add("--transactional", action="store_true", help="and read_committed")
    add("--rounds", type=int, default=7)
    add("--cprofile", metavar="WAY", help="profile one of the ways instead")
    return parser


def main(argv: Sequence[str]) -> None:
    """Measure or profile, as the command line says."""
    args = _parser().parse_args(argv)
    console = Console()
    block, count = make_block(args)
    reading = Reading(block, args)
    ways = {
        f"getall({args.take})": reading.getall,
        "getone()": reading.getone,
        "iterate": reading.iterate,
        "scan": reading.scan,
    }
    if args.cprofile:
        profile = cProfile.Profile()
        profile.runcall(getattr(reading, args.cprofile))
        pstats.Stats(profile).sort_stats("tottime").print_stats(20)
        return
    compiled = BlockReader.__module__.endswith("_crecords.blocks")
    console.print(
        f"{len(block):,} bytes, {count:,} records, {args.batch} a batch,"
        f" {'compiled' if compiled else 'plain Python'}"
    )
    table = Table("way", "CPU µs a message", "least")
    for name, way in ways.items():
        found = asyncio.run(measure(way, args.rounds))
        table.add_row(name, f"{statistics.median(found):.3f}", f"{min(found):.3f}")
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
