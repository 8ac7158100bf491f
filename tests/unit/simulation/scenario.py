"""What one simulation run consists of, drawn from its seed and nothing else.

Owns :class:`Scenario`: the cluster, the producer's settings, the tasks that send, and the kinds
of faults.  Pure; the faults' own times are drawn by
:class:`~aiokafka.testing.schedule.FaultSchedule` when the cluster exists.
"""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import Any

from aiokafka.testing.schedule import PRODUCER_KINDS, FaultKind

#: Faults after which the client knows whether a request was applied: none of its answers is
#: lost or late.  Without others there is no reason to send anything twice.
UNAMBIGUOUS = (
    FaultKind.REFUSE,
    FaultKind.SPLIT_DATA,
    FaultKind.THROTTLE,
    FaultKind.PRODUCE_ERRORS,
    FaultKind.METADATA_ERRORS,
    FaultKind.LEADER_MOVE,
)

#: What makes requests fail singly while others are under way.
STORM = (
    FaultKind.CUT,
    FaultKind.FREEZE,
    FaultKind.LEADER_MOVE,
    FaultKind.LOST_ANSWERS,
    FaultKind.SLOW_ANSWERS,
    FaultKind.ANSWERS_HELD,
    FaultKind.PRODUCE_ERRORS,
    FaultKind.APPLIED_ERRORS,
    FaultKind.HALF_FRAMES,
)

TOO_LARGE_LIMIT = 1500

#: What a task does again and again.
SEND, SEND_AND_WAIT, SEND_BATCH = "send", "send_and_wait", "send_batch"


@dataclass(frozen=True)
class TopicPlan:
    """A topic.

    Attributes:
        created_at: when, in seconds from the start; ``None`` for never.
        grows_at: when it gets two more partitions, ``None`` for never.
        max_message_bytes: the broker's limit for a batch, ``None`` for its default.
        accepts_unknown: an idempotent producer that the partition does not know may begin with
            any sequence number, as brokers since 2.5 have it.
    """

    name: str
    partitions: int
    created_at: float | None = 0.0
    grows_at: float | None = None
    max_message_bytes: int | None = None
    accepts_unknown: bool = False


@dataclass(frozen=True)
class TaskPlan:
    """A task that sends.

    Attributes:
        action: SEND, SEND_AND_WAIT or SEND_BATCH.
        starts_at: seconds from the start.
        count: how often.
        pause: seconds between two calls at most; 0 for a tight loop.
        sizes: fewest and most bytes of a value.
        keyed: whether records have keys.
        explicit: whether the task names the partition itself.
        cancelled_at: seconds from the start, ``None`` for never.
    """

    number: int
    action: str
    topics: tuple[str, ...]
    starts_at: float
    count: int
    pause: float
    sizes: tuple[int, int]
    keyed: bool
    explicit: bool
    cancelled_at: float | None


@dataclass(frozen=True)
class Scenario:
    """A run.

    Attributes:
        duration: seconds within which all faults begin and end.
        cluster: keywords of the fake cluster.
        producer: keywords of the producer.
        kinds: what may happen, ``None`` for everything.
        events: the fewest and the most faults.
        early: the faults begin before ``start()`` instead of after it.
        stop_at: when ``stop()`` is called, ``None``: after everything.
        flush_at: when ``flush()`` is called.
        forgets_at: when the brokers lose what they know of idempotent producers.
        last_epochs: producer ids are given out with hardly any epochs left.
    """

    seed: str
    duration: float
    cluster: dict[str, Any]
    producer: dict[str, Any]
    topics: tuple[TopicPlan, ...]
    tasks: tuple[TaskPlan, ...]
    kinds: tuple[FaultKind, ...] | None
    events: tuple[int, int]
    early: bool
    stop_at: float | None
    flush_at: tuple[float, ...]
    forgets_at: float | None
    last_epochs: bool

    @classmethod
    def draw(cls, seed: str) -> Scenario:
        """The scenario of a seed."""
        rng = random.Random(f"{seed}/scenario")
        if rng.random() < 0.4:
            return cls._draw_storm(seed, rng)
        duration = rng.choice((4.0, 10.0, 25.0))
        kinds = _kinds(rng)
        producer = _producer(rng)
        topics = _topics(rng, duration)
        early = rng.random() < 0.2
        idempotent = bool(producer["enable_idempotence"])
        unambiguous = kinds is not None and set(kinds) <= set(UNAMBIGUOUS)
        return cls(
            seed=seed,
            duration=duration,
            cluster=_cluster(rng),
            producer=producer,
            topics=topics,
            tasks=_tasks(rng, duration, topics),
            kinds=kinds,
            events=(0, 0) if rng.random() < 0.04 else rng.choice(((1, 3), (2, 8), (5, 12))),
            early=early,
            stop_at=rng.uniform(0.0, duration * 1.2) if rng.random() < 0.25 else None,
            flush_at=tuple(rng.uniform(0, duration) for _ in range(rng.choice((0, 0, 1, 2)))),
            # A broker that has forgotten a producer cannot tell a late copy from a new batch:
            # only where there are no late copies.
            forgets_at=(
                rng.uniform(0.2, duration)
                if idempotent and unambiguous and rng.random() < 0.5
                else None
            ),
            last_epochs=idempotent and rng.random() < 0.15,
        )

    @classmethod
    def _draw_storm(cls, seed: str, rng: random.Random) -> Scenario:
        """Few partitions, small batches, slow brokers, and no quiet moment: several batches
        of a partition are under way whenever something happens."""
        duration = 4.0
        cluster = _cluster(rng)
        cluster["brokers"] = rng.choice((2, 3))
        cluster["session_timeout"] = rng.choice((0.1, 0.5))
        producer = _producer(rng)
        producer.update(
            linger_ms=0,
            request_timeout_ms=rng.choice((200, 400, 1_000)),
            delivery_timeout_ms=rng.choice((120_000, 120_000, 1_000, 500, 250)),
            max_block_ms=rng.choice((10_000, 1_000)),
            max_batch_size=rng.choice((100, 150, 1_000)),
            buffer_memory=rng.choice((33_554_432, 33_554_432, 3_000)),
            max_request_size=rng.choice((1_048_576, 1_048_576, 2_000)),
            max_in_flight_requests_per_connection=rng.choice((5, 5, 5, 3)),
            retry_backoff_ms=rng.choice((100, 10, 1)),
            connections_max_idle_ms=540_000,
        )
        # Brokers answer the requests of a connection one after the other: several of them have
        # to fit into the timeout.
        cluster["answer_latency"] = producer["request_timeout_ms"] / rng.choice((8e3, 16e3, 1e6))
        topic = TopicPlan(
            name="topic-0",
            partitions=rng.choice((1, 1, 2)),
            max_message_bytes=rng.choice((None, None, None, 400)),
            accepts_unknown=rng.random() < 0.5,
        )
        tasks = tuple(
            TaskPlan(
                number=number,
                action=rng.choice((SEND, SEND, SEND_BATCH)),
                topics=(topic.name,),
                starts_at=rng.uniform(0, 0.3),
                count=rng.randint(60, 140),
                pause=rng.choice((0.02, 0.04, 0.06)),
                sizes=rng.choice(((5, 30), (5, 30), (40, 200))),
                keyed=False,
                explicit=False,
                cancelled_at=rng.uniform(0, duration) if rng.random() < 0.1 else None,
            )
            for number in range(rng.randint(1, 2))
        )
        return cls(
            seed=seed,
            duration=duration,
            cluster=cluster,
            producer=producer,
            topics=(topic,),
            tasks=tasks,
            kinds=STORM if rng.random() < 0.7 else tuple(rng.sample(STORM, 3)),
            events=(6, 14),
            early=False,
            stop_at=rng.uniform(0.5, duration) if rng.random() < 0.1 else None,
            flush_at=(),
            forgets_at=None,
            last_epochs=bool(producer["enable_idempotence"]) and rng.random() < 0.15,
        )

    @property
    def idempotent(self) -> bool:
        return bool(self.producer["enable_idempotence"])

    @property
    def acks(self) -> Any:
        return "all" if self.idempotent else self.producer["acks"]

    @property
    def ambiguous(self) -> bool:
        """Whether a request may be applied without the client being told in time."""
        if self.events == (0, 0):
            return False
        return self.kinds is None or not set(self.kinds) <= set(UNAMBIGUOUS)

    def seconds(self, name: str) -> float:
        """A setting of the producer that is given in milliseconds."""
        return float(self.producer[name]) / 1000

    def describe(self) -> str:
        """The scenario in words, a fact a line."""
        lines = [f"seed {self.seed}"]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("topics", "tasks"):
                lines += [f"  {item}" for item in value]
            elif field.name != "seed":
                lines.append(f"  {field.name}: {value!r}")
        return "\n".join(lines)


def _kinds(rng: random.Random) -> tuple[FaultKind, ...] | None:
    roll = rng.random()
    if roll < 0.55:
        return None
    if roll < 0.75:
        return UNAMBIGUOUS
    return tuple(rng.sample(PRODUCER_KINDS, rng.randint(1, 3)))


def _cluster(rng: random.Random) -> dict[str, Any]:
    secured = rng.random() < 0.08
    return {
        "brokers": rng.choice((1, 2, 3, 3, 3, 4)),
        "release": rng.choice(("4.3", "4.1", "4.0", "4.1", "2.8", "0.11")),
        "auto_create": rng.random() < 0.5,
        "leader_hints": rng.random() < 0.7,
        "failover_delay": rng.choice((0.1, 0.5, 3.0, None)),
        "session_timeout": rng.choice((0.5, 2.0, 9.0)),
        "answer_latency": rng.choice((0.0, 0.002, 0.02)),
        "sasl_users": {"user": "secret"} if secured else None,
    }


def _producer(rng: random.Random) -> dict[str, Any]:
    idempotent = rng.random() < 0.45
    # Short ones often: that is where the races are.
    delivery = rng.choice((120_000, 120_000, 20_000, 5_000, 800, 150))
    settings: dict[str, Any] = {
        "enable_idempotence": idempotent,
        "linger_ms": rng.choice((0, 0, 0, 5, 100)),
        "request_timeout_ms": rng.choice((300, 1_000, 3_000, 10_000)),
        "delivery_timeout_ms": delivery,
        "max_block_ms": rng.choice((60_000, 10_000, 2_000, 300, 30, 0)),
        "max_batch_size": rng.choice((16_384, 16_384, 2_000, 200)),
        "buffer_memory": rng.choice((33_554_432, 33_554_432, 20_000, 3_000)),
        "max_request_size": rng.choice((1_048_576, 1_048_576, 4_000)),
        "max_in_flight_requests_per_connection": rng.choice((5, 5, 2, 1)),
        "retry_backoff_ms": rng.choice((100, 100, 10)),
        "retry_backoff_max_ms": rng.choice((1_000, 200)),
        "reconnect_backoff_max_ms": rng.choice((1_000, 300)),
        "socket_connection_setup_timeout_ms": rng.choice((10_000, 1_000)),
        "socket_connection_setup_timeout_max_ms": 10_000,
        "stop_timeout_ms": rng.choice((30_000, 3_000, 500, 0)),
        "metadata_max_age_ms": rng.choice((300_000, 2_000)),
        "connections_max_idle_ms": rng.choice((540_000, 540_000, 700)),
        "compression_type": rng.choice((None, None, None, "gzip")),
    }
    if not idempotent:
        settings["acks"] = rng.choice((0, 1, 1, "all"))
    return settings


def _topics(rng: random.Random, duration: float) -> tuple[TopicPlan, ...]:
    topics = []
    for number in range(rng.randint(1, 3)):
        created = 0.0
        if number and rng.random() < 0.5:
            created = rng.uniform(0, duration * 0.8)
        topics.append(
            TopicPlan(
                name=f"topic-{number}",
                partitions=rng.choice((1, 1, 2, 5)),
                created_at=created,
                grows_at=rng.uniform(created, duration) if rng.random() < 0.1 else None,
                max_message_bytes=TOO_LARGE_LIMIT if rng.random() < 0.2 else None,
                accepts_unknown=rng.random() < 0.5,
            )
        )
    if rng.random() < 0.15:
        topics.append(TopicPlan("never", 1, None))
    return tuple(topics)


def _tasks(
    rng: random.Random, duration: float, topics: tuple[TopicPlan, ...]
) -> tuple[TaskPlan, ...]:
    tasks = []
    names = [topic.name for topic in topics]
    for number in range(rng.randint(1, 4)):
        action = rng.choice((SEND, SEND, SEND, SEND_AND_WAIT, SEND_BATCH))
        tight = action == SEND and rng.random() < 0.3
        tasks.append(
            TaskPlan(
                number=number,
                action=action,
                topics=tuple(rng.sample(names, rng.randint(1, len(names)))),
                starts_at=rng.uniform(0, duration * 0.4),
                count=rng.randint(5, 60 if action == SEND else 15),
                pause=0.0 if tight else rng.choice((0.01, 0.1, 0.5)),
                sizes=rng.choice(((5, 30), (5, 30), (100, 900))),
                keyed=rng.random() < 0.3,
                explicit=rng.random() < 0.2,
                cancelled_at=rng.uniform(0, duration) if rng.random() < 0.2 else None,
            )
        )
    return tuple(tasks)
