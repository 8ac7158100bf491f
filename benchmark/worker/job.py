"""The order a child process gets and the figures it gives back, both as JSON.

Owns nothing that runs: two frozen records shared by the parent and its children, so that
neither side spells a field differently.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One measurement of one contender.

    Parameters:
        task: ``produce``, ``tasks``, ``latency``, ``one`` (consume record by record),
            ``many`` (consume in batches) or ``pair`` (a producer and a consumer).
        client: key of the client module's table (``aiokafka``, ``confluent``, ...).
        loop: ``asyncio`` or ``uvloop``; ignored by clients without a loop.
        checkout: import the package from this source tree, not from the environment.
        expect_version: version that the imported client must report ("" for any).
        bootstrap: ``host:port`` on the loopback interface.
        topic: where the messages go; it exists already.
        seconds: wall time of the measured phase.
        max_messages: the measured phase ends here at the latest.
        warmup_messages: sent before the clock starts.
        window: most deliveries outstanding at any time.
        value_size: bytes of a value.
        keyed: send a key with every message.
        codec: ``none``, ``gzip``, ``snappy``, ``lz4`` or ``zstd``.
        linger_ms: the client's linger, in milliseconds.
        partition: send everything there; None leaves it to the client's partitioner.
        other_topics: topics to send one message each before warm-up, so that the client
            knows them.
        tasks: number of concurrent senders of the ``tasks`` task.
        call: how a consumer is asked for records: ``async for``, ``getone``, ``getmany``,
            ``poll``, ``consume`` or ``for``.
        partitions: of ``topic`` and of ``warmup_topic``; consumers are assigned all of them.
        records: in ``topic``, the same number in each partition.
        warmup_topic: read to its end before the clock starts.
        warmup_records: in ``warmup_topic``.
        extra: keywords for the client's constructor, for one-off experiments.
    """

    task: str
    client: str
    bootstrap: str
    topic: str
    loop: str = "asyncio"
    checkout: bool = False
    expect_version: str = ""
    seconds: float = 1.5
    max_messages: int = 2_000_000
    warmup_messages: int = 20_000
    window: int = 20_000
    value_size: int = 100
    keyed: bool = False
    codec: str = "none"
    linger_ms: int = 5
    partition: int | None = None
    other_topics: tuple[str, ...] = ()
    tasks: int = 500
    call: str = ""
    partitions: int = 6
    records: int = 0
    warmup_topic: str = ""
    warmup_records: int = 0
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        fields = json.loads(text)
        fields["other_topics"] = tuple(fields.get("other_topics", ()))
        return cls(**fields)


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """What one job measured.

    Parameters:
        messages: deliveries confirmed, or records received, in the measured phase.
        wall_s: seconds on the clock, from the first send to the last confirmation, or from
            the assignment to the last record.
        cpu_s: user and system seconds of the whole process in that phase, all threads.
        max_rss_mb: the process' largest resident size, megabytes.
        version: version of the client library.
        p50_us, p99_us: microseconds a call; 0 unless the task measures latency.
    """

    messages: int
    wall_s: float
    cpu_s: float
    max_rss_mb: float
    version: str
    p50_us: float = 0.0
    p99_us: float = 0.0

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.wall_s

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a message."""
        return self.cpu_s / self.messages * 1e6

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Measured:
        return cls(**json.loads(text))
