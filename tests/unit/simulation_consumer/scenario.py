"""What one run consists of, drawn from its seed and nothing else.

Owns :class:`Scenario`: the cluster, the topics and who writes them, the groups with their members,
and the readers without a group.  Pure; the faults' own times are drawn by
:class:`~aiokafka.testing.schedule.FaultSchedule` when the cluster exists.
"""

from __future__ import annotations

import dataclasses
import enum
import random
from dataclasses import dataclass
from typing import Any

from aiokafka.testing.schedule import CONSUMER_KINDS, FaultKind

#: What makes groups rebalance and members err.
GROUP_KINDS = (
    FaultKind.COORDINATOR_MOVE,
    FaultKind.COORDINATOR_ERRORS,
    FaultKind.HEARTBEAT_ERRORS,
    FaultKind.COMMIT_ERRORS,
    FaultKind.OFFSET_FETCH_ERRORS,
    FaultKind.LOST_GROUP_ANSWERS,
    FaultKind.DEAF_TO_CONSUMERS,
    FaultKind.KILL,
    FaultKind.FREEZE,
)
#: What makes fetching err.
FETCH_KINDS = (
    FaultKind.LEADER_MOVE,
    FaultKind.FETCH_ERRORS,
    FaultKind.LIST_OFFSETS_ERRORS,
    FaultKind.LEADER_EPOCH_ERRORS,
    FaultKind.SESSIONS_FORGOTTEN,
    FaultKind.CUT,
    FaultKind.HALF_FRAMES,
    FaultKind.SLOW_ANSWERS,
    FaultKind.FREEZE,
)

PATTERN = "topic-.*"


class Style(enum.Enum):
    """How an application asks for records."""

    GETONE = "getone"
    GETMANY = "getmany"
    ITERATE = "async for"
    IMPATIENT = "getone, cancelled when it takes long"


class Commits(enum.Enum):
    """Who commits."""

    AUTO = "auto"
    MANUAL = "commit() of the application"
    STORED = "store_offsets() of the application, committed automatically"


class End(enum.Enum):
    """How a member goes."""

    LAST = "with the run"
    STOP = "stop()"
    CRASH = "without a word"


@dataclass(frozen=True)
class TopicPlan:
    """A topic; times in seconds from the start.

    Attributes:
        created_at: 0 for before everything.
        grows_at: when it gets more partitions, ``None`` for never.
    """

    name: str
    partitions: int
    created_at: float = 0.0
    grows_at: float | None = None


@dataclass(frozen=True)
class WriterPlan:
    """Who fills the topics.

    Attributes:
        pause: seconds between two batches at most.
        records: records of a batch at most.
        sizes: fewest and most bytes of a value.
        transactional: share of the batches that belong to a transaction.
        codecs: of the batches.
        holes: share of the batches before which offsets are missing.
        poison: share of the records that deserializers refuse.
    """

    pause: float
    records: int
    sizes: tuple[int, int]
    transactional: float
    codecs: tuple[str | None, ...]
    holes: float
    poison: float


@dataclass(frozen=True)
class ListenerPlan:
    """A rebalance listener.

    Attributes:
        delay: seconds that each of its calls takes.
        raises: share of its calls that raise.
        told_lost: whether it has ``on_partitions_lost``.
        commits: whether it commits what is done before partitions are given up.
    """

    delay: float
    raises: float
    told_lost: bool
    commits: bool


@dataclass(frozen=True)
class MemberPlan:
    """A member of a group; times in seconds from the start.

    Attributes:
        style: how it asks for records.
        pause: seconds it works on what it was given at most.
        commit_every: for MANUAL: after so many polls with records.
        instance: its ``group_instance_id``.
        end, ends_at: how and when it goes.
        stalls: when, and for how long, it does not poll.
        blocks: when, and for how long, it blocks the event loop.
        leaves_at: when it unsubscribes, to subscribe again soon.
    """

    number: int
    starts_at: float
    style: Style
    pause: float
    commit_every: int
    instance: str | None
    listener: ListenerPlan
    end: End
    ends_at: float
    stalls: tuple[tuple[float, float], ...]
    blocks: tuple[tuple[float, float], ...]
    leaves_at: float | None


@dataclass(frozen=True)
class GroupPlan:
    """A group.

    Attributes:
        topics: names, or ``None`` for the topics that match :data:`PATTERN`.
        assignors: their names, the preferred one first.
        deserializes: whether values go through a deserializer.
        consumer: further keywords of its consumers.
    """

    name: str
    topics: tuple[str, ...] | None
    assignors: tuple[str, ...]
    commits: Commits
    deserializes: bool
    consumer: dict[str, Any]
    members: tuple[MemberPlan, ...]

    @property
    def committed_only(self) -> bool:
        return bool(self.consumer["isolation_level"] == "read_committed")


@dataclass(frozen=True)
class ReaderPlan:
    """A consumer without a group, which reads the partitions of one topic.

    Attributes:
        seeks: how often it jumps to another offset or lets a partition rest.
        ends_at: when the last of that happens, in seconds from the start.
        pause: seconds it works on what it was given at most.
    """

    number: int
    topic: str
    style: Style
    seeks: int
    ends_at: float
    pause: float
    deserializes: bool
    consumer: dict[str, Any]

    @property
    def committed_only(self) -> bool:
        return bool(self.consumer["isolation_level"] == "read_committed")


@dataclass(frozen=True)
class Scenario:
    """A run.

    Attributes:
        duration: seconds within which all faults, and all that members do, begin and end.
        cluster: keywords of the fake cluster.
        group_options: settings of the brokers about groups.
        kinds: what may happen.
        events: the fewest and the most faults.
        corruptions: when a batch is broken, and how long until it is repaired.
    """

    seed: str
    duration: float
    cluster: dict[str, Any]
    group_options: dict[str, Any]
    topics: tuple[TopicPlan, ...]
    writer: WriterPlan
    groups: tuple[GroupPlan, ...]
    readers: tuple[ReaderPlan, ...]
    kinds: tuple[FaultKind, ...]
    events: tuple[int, int]
    corruptions: tuple[tuple[float, float], ...]

    @classmethod
    def draw(cls, seed: str) -> Scenario:
        """The scenario of a seed."""
        rng = random.Random(f"{seed}/consumers")
        duration = rng.choice((5.0, 8.0, 8.0, 12.0))
        cluster = _cluster(rng)
        topics = _topics(rng, duration)
        readers = []
        while rng.random() < 0.25 and len(readers) < 2:
            readers.append(_reader(rng, len(readers), duration, topics))
        groups = tuple(
            _group(rng, number, duration, topics, cluster["release"])
            for number in range(rng.choice((1, 1, 1, 2)) if not readers else rng.choice((0, 1)))
        )
        quiet = rng.random() < 0.08
        return cls(
            seed=seed,
            duration=duration,
            cluster=cluster,
            group_options={
                "min_session_timeout": 0.5,
                "initial_rebalance_delay": rng.choice((0.0, 0.0, 0.5)),
                "load_time": rng.choice((0.0, 0.0, 0.3)),
            },
            topics=topics,
            writer=_writer(rng),
            groups=groups,
            readers=tuple(readers),
            kinds=_kinds(rng),
            events=(0, 0) if quiet else rng.choice(((1, 3), (2, 8), (5, 12))),
            corruptions=tuple(
                (rng.uniform(0, duration * 0.7), rng.uniform(0.1, duration * 0.3))
                for _ in range(rng.choice((0, 0, 0, 0, 1, 2)))
            ),
        )

    @property
    def quiet(self) -> bool:
        """Whether nothing goes wrong."""
        return (
            self.events == (0, 0)
            and not self.corruptions
            # Nobody comes back, maybe too early, under the name of one who goes.
            and all(
                len({member.instance or member.number for member in group.members})
                == len(group.members)
                for group in self.groups
            )
            and all(
                member.end is not End.CRASH
                and not (member.stalls or member.blocks or member.leaves_at)
                for group in self.groups
                for member in group.members
            )
        )

    def describe(self) -> str:
        """The scenario in words, a fact a line."""
        lines = [f"seed {self.seed}"]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("topics", "readers"):
                lines += [f"  {item}" for item in value]
            elif field.name == "groups":
                for group in value:
                    lines.append(f"  {dataclasses.replace(group, members=())}")
                    lines += [f"    {member}" for member in group.members]
            elif field.name != "seed":
                lines.append(f"  {field.name}: {value!r}")
        return "\n".join(lines)


def _kinds(rng: random.Random) -> tuple[FaultKind, ...]:
    roll = rng.random()
    if roll < 0.4:
        return CONSUMER_KINDS
    if roll < 0.65:
        return GROUP_KINDS
    if roll < 0.85:
        return FETCH_KINDS
    return tuple(rng.sample(CONSUMER_KINDS, rng.randint(1, 3)))


def _cluster(rng: random.Random) -> dict[str, Any]:
    brokers = rng.choice((1, 2, 3, 3, 3))
    racks = {node: f"rack-{node % 2}" for node in range(brokers)} if rng.random() < 0.15 else None
    return {
        "brokers": brokers,
        "release": rng.choice(("4.3", "4.1", "4.0", "4.1", "2.8", "2.0", "0.11")),
        "auto_create": False,
        "leader_hints": rng.random() < 0.7,
        "failover_delay": rng.choice((0.1, 0.5, 2.0, None)),
        "session_timeout": rng.choice((0.5, 2.0, 9.0)),
        "answer_latency": rng.choice((0.0, 0.002, 0.02)),
        "racks": racks,
    }


def _topics(rng: random.Random, duration: float) -> tuple[TopicPlan, ...]:
    topics = []
    for number in range(rng.choice((1, 1, 2, 3))):
        created = 0.0
        if number and rng.random() < 0.4:
            created = rng.uniform(0, duration * 0.8)
        topics.append(
            TopicPlan(
                name=f"topic-{number}",
                partitions=rng.choice((1, 2, 3, 4, 6)),
                created_at=created,
                grows_at=rng.uniform(created, duration) if rng.random() < 0.15 else None,
            )
        )
    return tuple(topics)


def _writer(rng: random.Random) -> WriterPlan:
    return WriterPlan(
        pause=rng.choice((0.1, 0.2, 0.4)),
        records=rng.choice((1, 3, 6)),
        sizes=rng.choice(((10, 30), (10, 30), (10, 30), (100, 900))),
        transactional=rng.choice((0.0, 0.0, 0.3, 0.7)),
        codecs=rng.choice(((None,), (None,), (None, "gzip"))),
        holes=rng.choice((0.0, 0.0, 0.1)),
        poison=rng.choice((0.0, 0.0, 0.03)),
    )


def _consumer(rng: random.Random) -> dict[str, Any]:
    """Keywords of any consumer."""
    return {
        "auto_offset_reset": "earliest",
        "isolation_level": rng.choice(("read_uncommitted", "read_committed")),
        "request_timeout_ms": rng.choice((1_500, 1_500, 3_000)),
        "default_api_timeout_ms": rng.choice((1_000, 3_000, 6_000)),
        "stop_timeout_ms": rng.choice((500, 2_000, 5_000)),
        "fetch_max_wait_ms": rng.choice((100, 500, 500)),
        "fetch_min_bytes": rng.choice((1, 1, 1, 60)),
        "fetch_max_bytes": rng.choice((52_428_800, 52_428_800, 300)),
        "max_partition_fetch_bytes": rng.choice((1_048_576, 1_048_576, 120)),
        "fetch_buffer_bytes": rng.choice((67_108_864, 67_108_864, 2_000, 200)),
        "max_poll_records": rng.choice((None, None, 1, 3)),
        "retry_backoff_ms": rng.choice((100, 100, 20)),
        "retry_backoff_max_ms": rng.choice((1_000, 300)),
        "reconnect_backoff_max_ms": rng.choice((1_000, 300)),
        "socket_connection_setup_timeout_ms": 1_000,
        "socket_connection_setup_timeout_max_ms": 2_000,
        "metadata_max_age_ms": rng.choice((1_000, 3_000)),
        "connections_max_idle_ms": rng.choice((540_000, 540_000, 900)),
        "client_rack": rng.choice((None, None, "rack-0")),
    }


def _reader(
    rng: random.Random, number: int, duration: float, topics: tuple[TopicPlan, ...]
) -> ReaderPlan:
    return ReaderPlan(
        number=number,
        topic=topics[0].name,
        style=rng.choice(list(Style)),
        seeks=rng.choice((0, 2, 5, 10)),
        ends_at=duration,
        pause=rng.choice((0.0, 0.02, 0.1)),
        deserializes=rng.random() < 0.4,
        consumer=_consumer(rng),
    )


def _group(
    rng: random.Random,
    number: int,
    duration: float,
    topics: tuple[TopicPlan, ...],
    release: str,
) -> GroupPlan:
    first = tuple(topic.name for topic in topics if topic.created_at == 0)
    by_pattern = rng.random() < 0.4
    stalling = rng.random() < 0.25
    commits = rng.choice((Commits.AUTO, Commits.AUTO, Commits.MANUAL, Commits.STORED))
    session = rng.choice((1_500, 3_000, 6_000))
    heartbeat = session // rng.choice((3, 3, 6))
    # Who hears of a rebalance with his next heartbeat shall not be too late for it.
    rebalance = rng.choice((2 * heartbeat, 3_000 + heartbeat, 6_000, None))
    consumer = {
        **_consumer(rng),
        "session_timeout_ms": session,
        "heartbeat_interval_ms": heartbeat,
        "rebalance_timeout_ms": rebalance,
        "max_poll_interval_ms": rng.choice((1_000, 2_000)) if stalling else 300_000,
        "enable_auto_commit": commits is not Commits.MANUAL,
        "auto_commit_interval_ms": rng.choice((5_000, 1_000, 200)),
        "enable_auto_offset_store": commits is not Commits.STORED,
    }
    assignors = rng.choice(
        (
            ("roundrobin",),
            ("range",),
            ("sticky",),
            ("range", "roundrobin"),
            ("cooperative-sticky",),
            ("cooperative-sticky",),
            ("cooperative-sticky",),
        )
    )
    # A static leader that comes back is told to keep the assignment it does not know (KIP-814), or
    # not even that it leads: partitions that came while it was away wait for the next rebalance.
    lasting = all(topic.created_at == 0 and topic.grows_at is None for topic in topics)
    static = lasting and release not in ("0.11", "2.0") and rng.random() < 0.5
    return GroupPlan(
        name=f"group-{number}",
        topics=None if by_pattern else first,
        assignors=assignors,
        commits=commits,
        deserializes=rng.random() < 0.4,
        consumer=consumer,
        members=_members(rng, duration, static=static, stalling=stalling),
    )


def _members(
    rng: random.Random, duration: float, *, static: bool, stalling: bool
) -> tuple[MemberPlan, ...]:
    style = None if rng.random() < 0.5 else rng.choice(list(Style))
    pause = rng.choice((0.0, 0.01, 0.05))
    members: list[MemberPlan] = []

    def add(starts_at: float, end: End, ends_at: float, instance: str | None) -> None:
        members.append(
            MemberPlan(
                number=len(members),
                starts_at=starts_at,
                style=style or rng.choice(list(Style)),
                pause=pause,
                commit_every=rng.choice((1, 1, 3)),
                instance=instance,
                listener=ListenerPlan(
                    delay=rng.choice((0.0, 0.0, 0.0, 0.2, 1.0)),
                    raises=rng.choice((0.0, 0.0, 0.0, 0.3)),
                    told_lost=rng.random() < 0.7,
                    commits=rng.random() < 0.6,
                ),
                end=end,
                ends_at=ends_at,
                stalls=tuple(
                    (rng.uniform(0, duration * 0.7), rng.uniform(0.5, 3.0))
                    for _ in range(rng.choice((0, 1, 2)) if stalling else 0)
                ),
                blocks=tuple(
                    (rng.uniform(0, duration * 0.8), rng.uniform(0.3, 2.0))
                    for _ in range(rng.random() < 0.06)
                ),
                leaves_at=rng.uniform(0.5, duration * 0.8) if rng.random() < 0.06 else None,
            )
        )

    churn = rng.random()
    for number in range(rng.choice((1, 2, 2, 3, 3, 4, 5))):
        instance = f"instance-{number}" if static and rng.random() < 0.8 else None
        starts_at = 0.0 if rng.random() < 0.5 else rng.uniform(0, duration * 0.8)
        if not number or rng.random() > churn:
            add(starts_at, End.LAST, 0.0, instance)
            continue
        ends_at = rng.uniform(starts_at, duration)
        add(starts_at, rng.choice((End.STOP, End.STOP, End.CRASH)), ends_at, instance)
        if instance is not None and rng.random() < 0.7:
            # Back soon; now and then before the old one is gone, which is fenced then.
            back_at = max(0.1, ends_at + rng.uniform(-0.5, 1.5))
            add(min(back_at, duration), End.LAST, 0.0, instance)
    return tuple(members)
