"""What to ask which node for: the decisions of the fetcher, without any I/O.

:meth:`Planner.plan` looks at every assigned partition and says which Fetch requests can be sent
now, which positions are to be looked up or validated where, and when to look again.  It changes
nothing that matters: a request that is planned but not sent is planned again.

Memory is bounded: a partition is left out while enough of it is fetched ahead, and requests are
made no larger than what is left of ``fetch_buffer_bytes``.

Runs no task; the inquiries under way are entered and removed by the fetcher.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Collection, Container
from typing import Any

from aiokafka import errors as Errors
from aiokafka._retry import Backoff
from aiokafka._values import Value
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer._assignment import Assignment, TopicPartitionState
from aiokafka.consumer._fetch_buffer import FetchBuffer
from aiokafka.consumer._fetch_progress import (
    Inquiry,
    PartitionFetching,
    PartitionProgress,
    Progress,
)
from aiokafka.consumer._fetch_session import FetchSession, Row, SessionRequest
from aiokafka.consumer._results import FetchError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

# A request that leaves out partitions which may be wanted any moment does not wait longer at the
# broker than so many seconds.
_SHORT_WAIT = 0.1


class FetchSettings(Value):
    """What the fetcher was told, in bytes and seconds."""

    min_bytes: int
    max_bytes: int
    max_wait: float
    max_partition_bytes: int
    buffer_bytes: int
    isolation_level: int
    rack_id: str


class FetchInquiry(Inquiry):
    """A Fetch request under way."""

    __slots__ = ("reserved", "session", "starved", "wait")

    def __init__(
        self,
        node_id: int,
        started: float,
        session: SessionRequest,
        *,
        reserved: int,
        starved: bool,
        wait: float,
    ) -> None:
        super().__init__(node_id, started)
        self.session = session
        #: Bytes that its answer may have.
        self.reserved = reserved
        #: Is it made although there is no memory left?
        self.starved = starved
        #: Seconds that the broker may wait for data.
        self.wait = wait


class PlannedFetch(FetchRequest):
    """A Fetch request together with what is known of it here."""

    def __init__(self, inquiry: FetchInquiry, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.inquiry = inquiry


# Errors name the class of a request to people.
PlannedFetch.__name__ = FetchRequest.__name__


class Plan:
    """What can be done now."""

    __slots__ = (
        "committed",
        "fetches",
        "leaderless",
        "look_again",
        "partial",
        "resets",
        "resume_futures",
        "validations",
    )

    def __init__(self) -> None:
        self.fetches: list[tuple[int, FetchRequest]] = []
        #: Partitions whose position is to be looked up, by node.
        self.resets: dict[int, list[TopicPartition]] = {}
        #: Partitions whose position is to be validated (KIP-320), by node.
        self.validations: dict[int, list[TopicPartition]] = {}
        #: Partitions whose committed offset is to be asked for.
        self.committed: list[TopicPartition] = []
        #: Partitions without a leader.
        self.leaderless: list[TopicPartition] = []
        #: When to look again, on the loop's clock, even if nothing happens.
        self.look_again: float | None = None
        self.resume_futures: list[asyncio.Future[None]] = []
        #: Nodes with partitions that are left out now, but may be wanted any moment.
        self.partial: set[int] = set()

    def look_again_at(self, when: float) -> None:
        if self.look_again is None or when < self.look_again:
            self.look_again = when


class Planner:
    """Decides what to fetch.

    Parameters:
        cluster: leaders, leader epochs and topic ids.
        select: the node to read a partition from.
        clock: the loop's ``time``.

    Attributes:
        sessions: the fetch session with each node.
        inquiries: Fetch requests under way.
        short_of_memory: could the last plan not ask for everything?
        hungry: partitions for which a call has found nothing (empty: any); None: nobody asks.
    """

    def __init__(
        self,
        cluster: Callable[[], ClusterMetadata],
        settings: FetchSettings,
        *,
        buffer: FetchBuffer,
        progress: Progress,
        select: Callable[[TopicPartition], int | None],
        clock: Callable[[], float],
        backoff: Backoff,
        rng: random.Random,
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._buffer = buffer
        self._progress = progress
        self._select = select
        self._clock = clock
        self._backoff = backoff
        self._rng = rng
        self.sessions: dict[int, FetchSession] = {}
        self.inquiries: dict[FetchInquiry, None] = {}
        self.hungry: Container[TopicPartition] | None = None
        self.short_of_memory = False

    def plan(self, assignment: Assignment, busy: Collection[int]) -> Plan:
        """What to do now for the partitions of *assignment*.

        Parameters:
            busy: nodes that have a Fetch request under way.
        """
        now = self._clock()
        plan = Plan()
        rows: dict[int, dict[TopicPartition, Row]] = {}
        self._progress.keep(assignment)
        for tp, state in assignment.states:
            progress = self._progress.of(tp, state)
            node_id = self._place(tp, state, progress, now, plan)
            if node_id is None:
                continue
            offset = self._fetch_offset(tp, state, progress, now, plan)
            if offset is None:
                plan.partial.add(node_id)
            elif node_id not in busy:
                epoch = self._cluster().leader_epoch(tp)
                row = tp.partition, offset, self._settings.max_partition_bytes, epoch
                rows.setdefault(node_id, {})[tp] = row
        for node_id, wanted in self._affordable(rows, busy):
            request = self._request(node_id, wanted, node_id in plan.partial, now)
            plan.fetches.append((node_id, request))
        return plan

    # One partition

    def _place(
        self,
        tp: TopicPartition,
        state: TopicPartitionState,
        progress: PartitionProgress,
        now: float,
        plan: Plan,
    ) -> int | None:
        """The node to fetch *tp* from, None when it cannot be fetched at the moment; sees to it
        that it can be later."""
        if state.paused and state.resume_fut is not None:
            plan.resume_futures.append(state.resume_fut)
        known = state.has_valid_position
        if isinstance(self._buffer.heads.get(tp), FetchError):
            return None  # nothing before the application has seen it
        if (known and state.paused) or self._backing_off(progress, now, plan):
            return None
        node_id = self._select(tp) if known else self._cluster().leader_for_partition(tp)
        if not known and not state.awaiting_reset and progress.committed is None:
            plan.committed.append(tp)
        if node_id is None or node_id == -1:
            plan.leaderless.append(tp)
            return None
        if known:
            return node_id
        plan.partial.add(node_id)
        lookup = progress.lookup
        if state.awaiting_reset and (lookup is None or lookup.node_id != node_id):
            plan.resets.setdefault(node_id, []).append(tp)
        return None

    def _backing_off(self, progress: PartitionProgress, now: float, plan: Plan) -> bool:
        if progress.not_before <= now:
            return False
        plan.look_again_at(progress.not_before)
        return True

    def _fetch_offset(
        self,
        tp: TopicPartition,
        state: TopicPartitionState,
        progress: PartitionProgress,
        now: float,
        plan: Plan,
    ) -> int | None:
        """Where to fetch *tp* from on; None to leave it out of the request."""
        if self._is_full(tp):
            return None
        if self._must_validate(tp, state, progress):
            leader = self._cluster().leader_for_partition(tp)
            if leader is None or leader == -1:
                plan.leaderless.append(tp)
            elif progress.validation is None or progress.validation.node_id != leader:
                plan.validations.setdefault(leader, []).append(tp)
            return None
        return self._progress.fetch_position(tp, state)

    def _is_full(self, tp: TopicPartition) -> bool:
        """Is enough of *tp* fetched ahead?  One block at least, besides that being read."""
        return (
            self._buffer.blocks_of(tp) > 1
            and self._buffer.bytes_of(tp) >= self._settings.max_partition_bytes
        )

    def _must_validate(
        self, tp: TopicPartition, state: TopicPartitionState, progress: PartitionProgress
    ) -> bool:
        """Has there been a new leader since the last record read, which may lack it?"""
        epoch = self._cluster().leader_epoch(tp)
        if epoch <= progress.validated_epoch:
            return False
        block = self._buffer.last(tp)
        read_under = state.position_epoch if block is None else block.leader_epoch
        if read_under < 0 or read_under >= epoch:
            progress.validated_epoch = epoch
            return False
        return True

    # Requests

    def _affordable(
        self, rows: dict[int, dict[TopicPartition, Row]], busy: Collection[int]
    ) -> list[tuple[int, tuple[dict[TopicPartition, Row], int, bool]]]:
        """What of *rows* there is memory for: by node the rows, the most bytes of the answer,
        and whether it is asked for though memory is used up."""
        settings = self._settings
        reserved = sum(inquiry.reserved for inquiry in self.inquiries)
        free = settings.buffer_bytes - self._buffer.bytes - reserved
        share = max(
            settings.buffer_bytes // max(1, len(rows) + len(busy)), settings.max_partition_bytes
        )
        nodes = list(rows.items())
        if free < share * len(nodes):
            # Not all of them may get their share: first who has waited longest.
            nodes.sort(key=lambda item: min(map(self._last_fetch, item[1])))
        chosen: list[tuple[int, tuple[dict[TopicPartition, Row], int, bool]]] = []
        refused: list[tuple[int, dict[TopicPartition, Row]]] = []
        for node_id, wanted in nodes:
            size = min(settings.max_bytes, len(wanted) * settings.max_partition_bytes)
            allowed = min(size, share, free)
            if allowed >= min(size, settings.max_partition_bytes):
                chosen.append((node_id, (wanted, allowed, False)))
                free -= allowed
            else:
                refused.append((node_id, wanted))
        self.short_of_memory = bool(refused)
        if refused and not any(inquiry.starved for inquiry in self.inquiries):
            chosen += self._starved(refused)
        return chosen

    def _starved(
        self, refused: list[tuple[int, dict[TopicPartition, Row]]]
    ) -> list[tuple[int, tuple[dict[TopicPartition, Row], int, bool]]]:
        """One partition that somebody asks for records of: gets them even if others, which nobody
        reads, have taken all the memory."""
        hungry = self.hungry
        if hungry is None:
            return []
        waiting = [
            (self._last_fetch(tp), node_id, tp, row)
            for node_id, wanted in refused
            for tp, row in wanted.items()
            if tp not in self._buffer.heads and (not hungry or tp in hungry)
        ]
        if not waiting:
            return []
        _, node_id, tp, row = min(waiting)
        size = min(self._settings.max_bytes, self._settings.max_partition_bytes)
        return [(node_id, ({tp: row}, size, True))]

    def _last_fetch(self, tp: TopicPartition) -> float:
        progress = self._progress.get(tp)
        if progress is None or progress.last_fetch is None:
            return -math.inf
        return progress.last_fetch

    def _request(
        self,
        node_id: int,
        wanted: tuple[dict[TopicPartition, Row], int, bool],
        partial: bool,
        now: float,
    ) -> PlannedFetch:
        rows, max_bytes, starved = wanted
        session = self.sessions.get(node_id)
        if session is None:
            session = self.sessions[node_id] = FetchSession()
        said = session.next_request(rows, self._cluster().topic_ids)
        changed = said.changed
        if not said.incremental:
            # Within a session the broker gives everybody a turn.
            changed = dict(sorted(changed.items(), key=lambda item: self._served(item[0])))
        settings = self._settings
        wait = min(settings.max_wait, _SHORT_WAIT) if partial or starved else settings.max_wait
        inquiry = FetchInquiry(node_id, now, said, reserved=max_bytes, starved=starved, wait=wait)
        return PlannedFetch(
            inquiry,
            round(wait * 1000),
            settings.min_bytes,
            max_bytes,
            settings.isolation_level,
            list(_by_topic(changed).items()),
            settings.rack_id,
            session_id=said.session_id,
            session_epoch=said.epoch,
            forgotten_topics_data=list(_numbers(said.forgotten).items()),
            topic_ids=said.topic_ids,
        )

    def _served(self, tp: TopicPartition) -> int:
        progress = self._progress.get(tp)
        return 0 if progress is None else progress.served

    # Retrying

    def failed(self, progress: PartitionProgress, error: BaseException) -> None:
        """Leave a partition alone for a while."""
        delay = self._backoff.delay(progress.attempts, self._rng)
        progress.failed(error, self._clock() + delay)

    def describe(
        self, tp: TopicPartition, progress: PartitionProgress, now: float
    ) -> PartitionFetching:
        """How the reading of a partition is going."""
        state = progress.state
        if isinstance(self._buffer.heads.get(tp), FetchError):
            status = "failed"
        elif state.paused:
            status = "paused"
        elif progress.not_before > now:
            status = "backing off"
        elif not state.has_valid_position:
            status = "positioning"
        elif progress.validation is not None:
            status = "validating"
        elif progress.fetch is not None:
            status = "fetching"
        else:
            status = "buffered" if self._is_full(tp) else "idle"
        inquiry = progress.fetch or progress.lookup or progress.validation
        return PartitionFetching(
            status=status,
            node_id=None if inquiry is None else inquiry.node_id,
            buffered_bytes=self._buffer.bytes_of(tp),
            buffered_blocks=self._buffer.blocks_of(tp),
            last_fetch_age=None if progress.last_fetch is None else now - progress.last_fetch,
            last_error=progress.last_error,
            asked_age=None if inquiry is None else now - inquiry.started,
        )

    def hopeless(self, tp: TopicPartition) -> Errors.KafkaError | None:
        """Why a partition has no leader, if waiting cannot mend it."""
        error = self._cluster().topic_error(tp.topic)
        if error is None or error.retriable:
            return None
        return error(tp.topic)


def _by_topic(rows: dict[TopicPartition, Row]) -> dict[str, list[Row]]:
    topics: dict[str, list[Row]] = {}
    for tp, row in rows.items():
        topics.setdefault(tp.topic, []).append(row)
    return topics


def _numbers(partitions: Collection[TopicPartition]) -> dict[str, list[int]]:
    topics: dict[str, list[int]] = {}
    for tp in partitions:
        topics.setdefault(tp.topic, []).append(tp.partition)
    return topics
