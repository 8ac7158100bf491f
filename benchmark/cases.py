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
_SHORTER = frozenset({"codecs", "partitions", "topics", "one-by-one-codecs", "batches-codecs"})
#: Records of a filled topic by size of a value, and of the short one for slow consumers: the
#: same number for each partition, and a multiple of what one call of ``consume`` asks for.
RECORDS = {100: 600_000, 1_000: 180_000}
COMPRESSED_RECORDS = {100: 300_000, 1_000: 90_000}
SHORT_RECORDS = {100: 60_000, 1_000: 30_000}


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One workload.

    Parameters:
        suite: ``throughput``, ``codecs``, ``tasks``, ``latency``, ``partitions``, ``topics``
            or ``import`` of the producer; ``one-by-one``, ``batches``, the same with
            ``-codecs``, or ``end-to-end`` of the consumer.
        name: tells it from the others of its suite.
        task: kind of measurement.
        partitions: of the topic it sends to or reads from.
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
# What a codec costs a producer is the same on either loop.
_WITH_COMPRESSION = ("ours", "aiokafka-0.14", "confluent", "confluent-aio", "kafka-python")


def _throughput() -> list[Case]:
    plain = [
        Case("throughput", produce_name(size, keyed), "produce", value_size=size, keyed=keyed)
        for size, keyed in itertools.product(SIZES, (False, True))
    ]
    compressed = [
        Case(
            "codecs",
            produce_name(size, False, codec),
            "produce",
            value_size=size,
            codec=codec,
            contenders=_WITH_COMPRESSION,
        )
        for codec, size in itertools.product(CODECS[1:], SIZES)
    ]
    return plain + compressed


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


def producer_cases() -> list[Case]:
    """Every case of the producer, main ones first."""
    return [
        *_throughput(),
        Case("tasks", "linger-0", "tasks", linger_ms=0),
        Case("tasks", "linger-5", "tasks", linger_ms=5),
        Case("latency", "sequential", "latency", linger_ms=0, partitions=1),
        *_scale(),
        Case("import", "import", "import"),
        Case("import", "everything", "import"),
    ]


PRODUCER_QUICK = frozenset(
    {MAIN, "throughput/1000B-key-none", "codecs/100B-nokey-lz4", "tasks/linger-0"}
    | {"latency/sequential", "import/import"}
)

# Whether getone() is called or ``async for`` calls it is the same to a codec.
_COMPRESSED = tuple(
    f"{client}-{call}"
    for client, calls in {
        "ours": ("for", "getmany"),
        "ours-uvloop": ("for", "getmany"),
        "aiokafka-0.14": ("for", "getmany"),
        "confluent": ("poll", "consume"),
        "kafka-python": ("for", "poll"),
    }.items()
    for call in calls
)

MAIN_ONE = "one-by-one/100B-none"
MAIN_MANY = "batches/100B-none"
END_TO_END = "end-to-end/sequential"


def _consume(suite: str, task: str, size: int, codec: str) -> Case:
    plain = codec == "none"
    return Case(
        suite if plain else f"{suite}-codecs",
        f"{size}B-{codec}",
        task,
        value_size=size,
        codec=codec,
        contenders=() if plain else _COMPRESSED,
    )


def consumer_cases() -> list[Case]:
    """Every case of the consumer, main ones first.

    The two ways to read a topic follow each other, so that it need be filled but once.
    """
    return [
        *(
            _consume(suite, task, size, codec)
            for codec, size in itertools.product(CODECS, SIZES)
            for suite, task in (("one-by-one", "one"), ("batches", "many"))
        ),
        Case("end-to-end", "sequential", "pair", linger_ms=0, partitions=1),
    ]


CONSUMER_QUICK = frozenset({MAIN_ONE, MAIN_MANY, "batches-codecs/1000B-lz4", END_TO_END})
