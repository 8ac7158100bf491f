"""What the fetcher remembers of each partition between two requests.

:class:`PartitionProgress` goes with one :class:`TopicPartitionState`; when the position is set
anew (seek, reset) everything under way for the old one counts no more.  Pure: no I/O, no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from aiokafka._news import News
from aiokafka._values import Value
from aiokafka.consumer._assignment import Assignment, TopicPartitionState
from aiokafka.consumer._fetch_buffer import FetchBuffer
from aiokafka.structs import TopicPartition


class PartitionFetching(Value):
    """How the reading of a partition is going, for :class:`ConsumerHealth`.

    .. versionadded:: 0.14.1
    """

    #: ``fetching``, ``idle``, ``buffered`` (enough fetched ahead), ``paused``, ``positioning``,
    #: ``validating``, ``backing off`` or ``failed`` (the next call for records raises).
    status: str
    #: The node that is being asked, None when none is.
    node_id: int | None
    buffered_bytes: int
    buffered_blocks: int
    #: Seconds since the last answer, None before the first.
    last_fetch_age: float | None
    #: What went wrong last, None since all has been well.
    last_error: BaseException | None
    #: Seconds since the node was asked, None when none is.
    asked_age: float | None = None


class Inquiry:
    """One request to one node about partitions; who it is identifies what an answer is to."""

    __slots__ = ("node_id", "started")

    def __init__(self, node_id: int, started: float) -> None:
        self.node_id = node_id
        self.started = started


class PartitionProgress:
    """Attributes:
    fetch: the Fetch request under way.
    lookup: the ListOffsets request under way.
    validation: the OffsetForLeaderEpoch request under way.
    committed: the committed offset that was asked for.
    validated_epoch: the leader epoch under which the position is known to be good.
    not_before: when the partition may be asked about again.
    attempts: failures in a row.
    news: which of its troubles have been reported.
    served: when it was last given something, as a number that grows.
    """

    __slots__ = (
        "attempts",
        "committed",
        "fetch",
        "last_error",
        "last_fetch",
        "lookup",
        "news",
        "not_before",
        "served",
        "state",
        "validated_epoch",
        "validation",
        "version",
    )

    def __init__(self, state: TopicPartitionState) -> None:
        self.state = state
        self.version = state.version
        self.fetch: Inquiry | None = None
        self.lookup: Inquiry | None = None
        self.validation: Inquiry | None = None
        self.committed: asyncio.Future[Any] | None = None
        self.validated_epoch = -1
        self.not_before = 0.0
        self.attempts = 0
        self.served = 0
        self.last_error: BaseException | None = None
        self.last_fetch: float | None = None
        self.news: News | None = None

    def is_news(self, kind: object, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether to report trouble of *kind* now, see :class:`~aiokafka._news.News`."""
        if self.news is None:
            self.news = News(loop.time)
        return self.news.is_news(kind)

    def start_over(self) -> None:
        """The position was set anew."""
        self.version = self.state.version
        self.fetch = self.lookup = self.validation = None
        self.validated_epoch = -1

    def succeeded(self) -> None:
        self.attempts = 0
        self.not_before = 0.0
        self.last_error = None
        if self.news is not None:
            self.news.all_is_well()

    def failed(self, error: BaseException, not_before: float) -> None:
        """Leave the partition alone until *not_before*."""
        self.last_error = error
        self.attempts += 1
        self.not_before = not_before


class Progress:
    """The progress of all partitions of the present assignment."""

    def __init__(self, buffer: FetchBuffer) -> None:
        self._buffer = buffer
        self._partitions: dict[TopicPartition, PartitionProgress] = {}
        self._kept: tuple[Assignment | None, frozenset[TopicPartition] | None] = (None, None)

    def __iter__(self) -> Iterator[tuple[TopicPartition, PartitionProgress]]:
        return iter(self._partitions.items())

    def get(self, tp: TopicPartition) -> PartitionProgress | None:
        return self._partitions.get(tp)

    def of(self, tp: TopicPartition, state: TopicPartitionState) -> PartitionProgress:
        """The progress of a partition, brought up to its state."""
        progress = self._partitions.get(tp)
        if progress is None or progress.state is not state:
            if progress is not None:
                self._buffer.drop(tp)
            progress = self._partitions[tp] = PartitionProgress(state)
        elif progress.version != state.version:
            self._buffer.drop(tp)
            progress.start_over()
        return progress

    def keep(self, assignment: Assignment | None) -> None:
        """Forget partitions that are not assigned any more, with what was fetched of them."""
        kept = assignment, None if assignment is None else assignment.tps
        if kept[0] is self._kept[0] and kept[1] is self._kept[1]:
            return
        self._kept = kept
        for tp in list(self._partitions):
            if assignment is None or assignment.state_value(tp) is not self._partitions[tp].state:
                del self._partitions[tp]
                self._buffer.drop(tp)
        for tp in self._buffer.partitions():
            if assignment is None or assignment.state_value(tp) is None:
                self._buffer.drop(tp)

    def fetch_position(self, tp: TopicPartition, state: TopicPartitionState) -> int | None:
        """Where to fetch next: behind what is fetched already.  None: not before that has
        been taken, or while the position is unknown."""
        block = self._buffer.last(tp)
        if block is None:
            return state.position if tp not in self._buffer.heads else None
        return block.next_offset if block.next_offset >= 0 else None
