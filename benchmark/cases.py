"""What is measured: the matrix of cases, in suites.

A case is one workload that every contender runs in turn.  Its id is readable and is what
``--only`` matches.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
SIZES = (100, 1_000)
#: Partitions of the topic unless the case is about their number.
PARTITIONS = 6
SCALES = (1, 100, 5_000)
TOPIC_SCALES = (1, 100, 1_000)
_SHORTER = frozenset({"codecs", "partitions", "topics"})


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One workload.

    Parameters:
        suite: ``throughput``, ``codecs``, ``tasks``, ``latency``, ``partitions``, ``topics``
            or ``import``.
        name: tells it from the others of its suite.
        task: kind of measurement.
        partitions: of the topic it sends to.
        partition: send everything to this one; None leaves it to the partitioner.
        known_topics: topics that the client knows when the clock starts.
        contenders: names of those that take part; empty means all that can.
    """

    suite: str
    name: str
    task: str
    value_size: int = 100
    keyed: bool = False
    codec: str = "none"
    linger_ms: int = 5
    partitions: int = PARTITIONS
    partition: int | None = None
    known_topics: int = 1
    contenders: tuple[str, ...] = ()

    def rounds(self, most: int) -> int:
        """Rounds of this case when the main ones get ``most``.

        The matrix of codecs and the scales are for seeing the shape of things, and would take
        most of an hour at full length.
        """
        if self.task == "import":
            return most * 5  # a tenth of a second each
        return math.ceil(most * 0.6) if self.suite in _SHORTER else most

    @property
    def id(self) -> str:
        return f"{self.suite}/{self.name}"


def produce_name(value_size: int, keyed: bool, codec: str = "none") -> str:
    """Name of a throughput case."""
    return f"{value_size}B-{'key' if keyed else 'nokey'}-{codec}"


#: The case that the targets are stated for.
MAIN = f"throughput/{produce_name(100, False)}"

# kafka-python needs minutes for a thousand topics or for batches on 5,000 partitions.
_FEW = ("ours", "ours-uvloop", "aiokafka-0.14", "confluent")


def _throughput() -> list[Case]:
    return [
        Case(
            "throughput" if codec == "none" else "codecs",
            produce_name(size, keyed, codec),
            "produce",
            value_size=size,
            keyed=keyed,
            codec=codec,
        )
        for codec, size, keyed in itertools.product(CODECS, SIZES, (False, True))
    ]


def _scale() -> list[Case]:
    """Does the cost of a message grow with what the client knows?

    Once with all messages sent to one partition of many, where nothing but knowing the others
    can cost anything, and once spread by the client's partitioner, where batches get smaller
    as partitions get more unless the partitioner keeps to one for a while.
    """
    to_one = [
        Case("partitions", f"{n}-to-one", "produce", partitions=n, partition=0, contenders=_FEW)
        for n in SCALES
    ]
    spread = [
        Case("partitions", f"{n}-spread", "produce", partitions=n, contenders=_FEW) for n in SCALES
    ]
    topics = [
        Case("topics", str(n), "produce", known_topics=n, contenders=_FEW) for n in TOPIC_SCALES
    ]
    return to_one + spread + topics


def all_cases() -> list[Case]:
    """Every case, main ones first."""
    return [
        *_throughput(),
        Case("tasks", "linger-0", "tasks", linger_ms=0),
        Case("tasks", "linger-5", "tasks", linger_ms=5),
        Case("latency", "sequential", "latency", linger_ms=0, partitions=1),
        *_scale(),
        Case("import", "import", "import"),
    ]


QUICK = frozenset(
    {MAIN, "throughput/1000B-key-none", "codecs/100B-nokey-lz4", "tasks/linger-0"}
    | {"latency/sequential", "import/import"}
)
