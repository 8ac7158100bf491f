"""The fetcher: keeps records at hand for the application.

:class:`Fetcher` asks brokers for records of the assigned partitions ahead of the application,
finds positions to begin at, and gives the records out.  The parts:

- ``_fetch_plan`` what to ask which node for; ``_fetch_session``, ``_replicas``,
  ``_fetch_progress``;
- ``_fetch_steps`` sending it; ``_fetch_response``, ``_fetch_answers`` what the answers mean;
- ``_fetch_buffer`` what is fetched, ``_delivery`` and ``_fetch_calls`` giving it out;
- ``_position_steps`` positions; ``_positions``, ``_offset_lookup``, ``_validation``.

What it runs: one supervised task (:attr:`Fetcher._fetch_task`) that plans and then sleeps until
something has changed, and one for each request under way.

Owns the futures of the calls that wait for records (resolved by new records, an error, the
crash of a task, and :meth:`Fetcher.close`) and those of :meth:`Fetcher.request_offset_reset`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aiokafka._config import backoff, milliseconds
from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka._retry import rng_for
from aiokafka._tasks import Supervisor
from aiokafka.consumer._assignment import Assignment, TopicPartitionState
from aiokafka.consumer._delivery import Delivery
from aiokafka.consumer._fetch_answers import AnswerTaker
from aiokafka.consumer._fetch_buffer import Block, Entry, FetchBuffer
from aiokafka.consumer._fetch_calls import FetchCalls, fail
from aiokafka.consumer._fetch_plan import FetchSettings, Plan, Planner
from aiokafka.consumer._fetch_progress import PartitionFetching, Progress
from aiokafka.consumer._fetch_steps import FetchSteps
from aiokafka.consumer._offset_lookup import OffsetLookup
from aiokafka.consumer._position_steps import PositionSteps
from aiokafka.consumer._positions import OffsetResetStrategy, Positions, ResetPolicy
from aiokafka.consumer._records import (
    READ_COMMITTED,
    READ_UNCOMMITTED,
    UNKNOWN_OFFSET,
    PartitionRecords,
)
from aiokafka.consumer._replicas import PreferredReplicas
from aiokafka.consumer._results import FetchError, FetchResult
from aiokafka.consumer._silence import SilenceWatch
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord, TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

__all__ = [
    "READ_COMMITTED",
    "READ_UNCOMMITTED",
    "UNKNOWN_OFFSET",
    "ConsumerRecord",
    "FetchError",
    "FetchRequest",
    "FetchResult",
    "Fetcher",
    "MemoryRecords",
    "OffsetResetStrategy",
    "PartitionRecords",
]

log = logging.getLogger(__name__)

_CLOSE_TIMEOUT = 5.0
# Leaders are elected all the time; when they were asked for in vain so often, people are told.
_USUAL_SEARCH = 5
# Seconds that a look-up for the application waits for a silent node before it looks where the
# leaders are by then: a part of what the request may take, but not more.
_PATIENCE_SHARE, _MOST_PATIENCE = 4, 5.0


class Fetcher(FetchCalls, FetchSteps, PositionSteps):
    """Reads the partitions of a subscription.

    Parameters:
        client: to talk through.
        subscriptions: which partitions, and where in them.
        key_deserializer, value_deserializer: called with a record's key, value.
        fetch_min_bytes: bytes that a broker waits for, up to *fetch_max_wait_ms*.
        fetch_max_bytes: most bytes of one answer.
        fetch_max_wait_ms: milliseconds that a broker waits for data.
        max_partition_fetch_bytes: most bytes of one partition in an answer.
        check_crcs: verify checksums?
        fetcher_timeout: accepted for callers of 0.14, without effect.
        prefetch_backoff: seconds, see :meth:`FetchResult.calculate_backoff`.
        retry_backoff_ms, retry_backoff_max_ms: first and longest delay between attempts, in
            milliseconds (KIP-580).
        auto_offset_reset: ``latest``, ``earliest``, ``none`` or ``by_duration:`` with an
            ISO 8601 duration (KIP-1106).
        isolation_level: ``read_uncommitted`` or ``read_committed``.
        client_rack: where the consumer is, for reading from a replica that is near (KIP-392).
        fetch_buffer_bytes: most bytes of records that are fetched and not taken.
        default_api_timeout: seconds for a look-up of offsets that was given no time; None: the
            client's ``request_timeout_ms``.

    Raises:
        ValueError: *isolation_level*, a duration or a backoff cannot be understood.

    .. versionchanged:: 0.14.1
        Fetch sessions (KIP-227), leader epochs (KIP-320); *fetch_buffer_bytes*,
        *retry_backoff_max_ms*, *default_api_timeout*.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        subscriptions: SubscriptionState,
        *,
        key_deserializer: Callable[[Any], Any] | None = None,
        value_deserializer: Callable[[Any], Any] | None = None,
        fetch_min_bytes: int = 1,
        fetch_max_bytes: int = 52428800,
        fetch_max_wait_ms: float = 500,
        max_partition_fetch_bytes: int = 1048576,
        check_crcs: bool = True,
        fetcher_timeout: float = 0.2,
        prefetch_backoff: float = 0.1,
        retry_backoff_ms: float = 100,
        auto_offset_reset: str = "latest",
        isolation_level: str = "read_uncommitted",
        client_rack: str | None = None,
        fetch_buffer_bytes: int = 67108864,
        retry_backoff_max_ms: float = 1000,
        default_api_timeout: float | None = None,
    ) -> None:
        levels = {"read_uncommitted": READ_UNCOMMITTED, "read_committed": READ_COMMITTED}
        if isolation_level not in levels:
            raise ValueError(f"Incorrect isolation level {isolation_level}")
        self._client = client
        self._loop = client._loop
        self._subscriptions = subscriptions
        self._key_deserializer = key_deserializer
        self._value_deserializer = value_deserializer
        self._check_crcs = check_crcs
        self._fetcher_timeout = fetcher_timeout
        self._prefetch_backoff = prefetch_backoff
        self._client_rack = client_rack
        self._rack_warning_logged = False
        self._isolation_level = levels[isolation_level]
        self._retry_backoff = backoff(
            "retry_backoff_ms", retry_backoff_ms, "retry_backoff_max_ms", retry_backoff_max_ms
        )
        self._rng = rng_for(self._loop)
        self._reset_policy = ResetPolicy.parse(auto_offset_reset)
        self._default_reset_strategy: int = self._reset_policy.strategy
        timeout = getattr(client, "_request_timeout", None)
        self._request_timeout = timeout if isinstance(timeout, float) else 40.0
        self._default_api_timeout = (
            self._request_timeout if default_api_timeout is None else default_api_timeout
        )
        self._settings = FetchSettings(
            min_bytes=fetch_min_bytes,
            max_bytes=fetch_max_bytes,
            max_wait=milliseconds("fetch_max_wait_ms", fetch_max_wait_ms),
            max_partition_bytes=min(max_partition_fetch_bytes, fetch_buffer_bytes),
            buffer_bytes=fetch_buffer_bytes,
            isolation_level=self._isolation_level,
            rack_id=client_rack or "",
        )
        self._closed = False
        self._failure: BaseException | None = None
        self._in_flight: set[int] = set()
        self._troubles = {}
        self._resets: set[asyncio.Future[None]] = set()
        self._fetch_waiters: set[asyncio.Future[Any]] = set()
        self._wake_up: asyncio.Future[None] = self._loop.create_future()
        self._plan = Plan()
        self._news = News(self._loop.time)
        self._leaders_sought = 0
        self._seek_leaders_at = 0.0
        self._supervisor = Supervisor("fetcher", log)
        self._assemble()
        subscriptions.register_fetch_waiters(self._fetch_waiters)
        subscriptions.on_change(self._on_change)
        client.cluster.add_listener(self._on_metadata)
        self._on_change()
        self._own_task: asyncio.Task[None] | None = None
        self._fetch_task: asyncio.Task[Any] = self._start()

    def _assemble(self) -> None:
        """Make the parts and connect them."""
        client, loop = self._client, self._loop
        self._buffer = FetchBuffer()
        self._delivery = Delivery(self._buffer, self._subscriptions, self._on_drained)
        self.take_one = self._delivery.take_one
        self._progress = Progress(self._buffer)
        self._replicas = PreferredReplicas(
            lambda: client.cluster, clock=loop.time, max_age=client._metadata_max_age_ms / 1000
        )
        self._planner = Planner(
            lambda: client.cluster,
            self._settings,
            buffer=self._buffer,
            progress=self._progress,
            select=lambda tp: self._select_read_replica(tp),
            clock=loop.time,
            backoff=self._retry_backoff,
            rng=self._rng,
        )
        self._positions = Positions(lambda: self._default_reset_strategy, self._put_error)
        self._answers = AnswerTaker(
            client,
            buffer=self._buffer,
            progress=self._progress,
            planner=self._planner,
            positions=self._positions,
            make_result=self._make_result,
            fail=self._put_error,
            update_replica=lambda tp, node: self._update_preferred_read_replica(tp, node),
            forget_follower=self._forget_follower,
        )
        self._silence = SilenceWatch(client, backoff=self._retry_backoff, rng=self._rng, loop=loop)
        self._lookup = OffsetLookup(
            client,
            isolation_level=self._isolation_level,
            backoff=self._retry_backoff,
            rng=self._rng,
            supervisor=self._supervisor,
            patience=min(_MOST_PATIENCE, self._request_timeout / _PATIENCE_SHARE),
        )

    # Life cycle

    @property
    def error_future(self) -> asyncio.Task[Any]:
        """The background task."""
        return self._fetch_task

    @property
    def _records(self) -> dict[TopicPartition, Entry]:
        """What is to be given out next of each partition, in the order of their turns."""
        return self._buffer.heads

    @_records.setter
    def _records(self, records: dict[TopicPartition, Entry]) -> None:
        self._buffer.heads = records

    def _start(self) -> asyncio.Task[Any]:
        self._own_task = self._supervisor.spawn(
            self._fetch_requests_routine(), name="fetcher", on_crash=self._crashed
        )
        return self._own_task

    def _revive(self) -> None:
        """Start the background task again if somebody has cancelled it, such as an application
        that cancels all tasks: without it nobody would ever get a record."""
        if self._fetch_task is self._own_task and self._own_task.cancelled():
            self._fetch_task = self._start()

    async def close(self) -> None:
        """End all tasks and drop what was not taken; calls that wait return at once.  May be
        called more than once."""
        self.abandon()
        deadline = Deadline.after(_CLOSE_TIMEOUT)
        if not self._fetch_task.done() and self._fetch_task is not self._own_task:
            await asyncio.wait((self._fetch_task,), timeout=deadline.remaining())
        await self._supervisor.cancel_all(deadline)

    def abandon(self) -> None:
        """What :meth:`close` does, as far as it goes without awaiting.

        .. versionadded:: 0.14.1
        """
        if self._closed:
            return
        self._closed = True
        self._delivery.enabled = False
        self._client.cluster.remove_listener(self._on_metadata)
        self._end_sessions()
        self._notify()
        stopped = ConsumerStoppedError("The consumer was stopped")
        for reset in list(self._resets):
            fail(reset, stopped)
        self._buffer.clear()
        for task in (self._fetch_task, *self._supervisor.tasks):
            task.cancel()

    def _crashed(self, error: BaseException) -> None:
        """A task has died of a defect: every call for records says so from now on."""
        self._failure = error
        self._delivery.enabled = False
        for waiter in (*self._fetch_waiters, *self._resets):
            fail(waiter, self._crash_error())
        self._fetch_waiters.clear()

    def _crash_error(self) -> KafkaError:
        error = KafkaError(f"Unexpected error in the fetcher: {self._failure!r}")
        error.__cause__ = self._failure
        return error

    def _check(self) -> None:
        """Raises ConsumerStoppedError, KafkaError: nothing more is given out."""
        if self._closed:
            raise ConsumerStoppedError("The consumer was stopped")
        if self._failure is not None:
            raise self._crash_error()

    # The background task

    def _wake(self) -> None:
        """Have the background task look at everything again."""
        if not self._wake_up.done():
            self._wake_up.set_result(None)

    def _on_change(self) -> None:
        self._delivery.enabled = (
            not self._closed and self._failure is None and bool(self._subscriptions.delivering)
        )
        self._wake()
        # A partition may have been resumed.
        if self._buffer.heads:
            self._notify()

    def _on_drained(self, tp: TopicPartition) -> None:
        """There is room for more of *tp*.  While its node has a request anyway, that is found when
        this ends: with many partitions, looking at all of them takes its time."""
        if self._planner.short_of_memory or self._select_read_replica(tp) not in self._in_flight:
            self._wake()

    def _on_metadata(self, _: Any) -> None:
        self._wake()

    async def _fetch_requests_routine(self) -> None:
        """Plan, send, and sleep until something has changed; does not end by itself."""
        while True:
            if self._wake_up.done():
                self._wake_up = self._loop.create_future()
            assignment = self._subscriptions.assignment
            delay = None
            if assignment is not None and assignment.active:
                delay = self._dispatch(assignment)
            else:
                self._progress.keep(None)
            await asyncio.wait((self._wake_up,), timeout=delay)

    def _dispatch(self, assignment: Assignment) -> float | None:
        """Start what can be done now; seconds until there may be more to do by itself."""
        fetches, resets, delay, invalid_metadata, _ = self._get_actions_per_node(assignment)
        plan = self._plan
        for tp in plan.committed:
            progress = self._progress.get(tp)
            if progress is not None:
                self._positions.ask_committed(tp, progress)
        for node_id, request in fetches:
            self._start_fetch(assignment, node_id, request)
        for node_id, tps in resets.items():
            self._start_lookup(assignment, node_id, tps)
        for node_id, tps in plan.validations.items():
            self._start_validation(assignment, node_id, tps)
        if not invalid_metadata:
            self._leaders_sought = 0
            self._news.all_is_well()
            return delay
        sought_in = self._seek_leaders(assignment, plan.leaderless)
        return sought_in if delay is None else min(delay, sought_in)

    def _get_actions_per_node(
        self, assignment: Assignment
    ) -> tuple[
        list[tuple[int, FetchRequest]],
        dict[int, list[TopicPartition]],
        float | None,
        bool,
        list[asyncio.Future[None]],
    ]:
        """What to do now.

        Returns:
            Fetch requests with their nodes; partitions whose positions are to be looked up, by
            node; seconds until there may be more to do (None: not before something happens);
            whether leaders are missing; futures of the resumption of paused partitions.
        """
        self._plan = plan = self._planner.plan(assignment, self._in_flight)
        delay = None
        if plan.look_again is not None:
            delay = max(0.0, plan.look_again - self._loop.time())
        return plan.fetches, plan.resets, delay, bool(plan.leaderless), plan.resume_futures

    def _seek_leaders(self, assignment: Assignment, tps: Iterable[TopicPartition]) -> float:
        """Ask for metadata, with backoff, while partitions lack a leader; returns the seconds
        until the next time."""
        for tp in tps:
            error, state = self._planner.hopeless(tp), assignment.state_value(tp)
            if error is not None and state is not None:
                self._put_error(tp, state, error)
        now = self._loop.time()
        if now >= self._seek_leaders_at or not self._leaders_sought:
            topics = sorted({tp.topic for tp in tps})
            self._client.request_metadata(f"no leader for partitions of {topics}", topics)
            delay = self._retry_backoff.delay(self._leaders_sought, self._rng)
            self._seek_leaders_at = now + delay
            self._leaders_sought += 1
            if self._leaders_sought > _USUAL_SEARCH and self._news.is_news("leaderless"):
                log.warning("No leader is known for partitions of %s; asking until one is", topics)
        return self._seek_leaders_at - now

    # Records and errors that come

    def _make_result(
        self,
        tp: TopicPartition,
        assignment: Assignment,
        raw: bytes,
        aborted_transactions: Any,
        offset: int,
    ) -> FetchResult | None:
        records = MemoryRecords(raw)
        if not records.has_next():
            return None
        return FetchResult(
            tp,
            assignment=assignment,
            partition_records=PartitionRecords(
                tp,
                records,
                aborted_transactions,
                offset,
                self._key_deserializer,
                self._value_deserializer,
                self._check_crcs,
                self._isolation_level,
            ),
            backoff=self._prefetch_backoff,
        )

    def _put_error(
        self,
        tp: TopicPartition,
        state: TopicPartitionState,
        error: KafkaError,
        skip_to: int = -1,
    ) -> None:
        """Have *error* raised to the application, once, when it has taken what comes before."""
        progress = self._progress.of(tp, state)
        self._planner.failed(progress, error)
        last = self._buffer.last(tp)
        if last is not None and isinstance(last.entry, FetchError):
            return
        entry = FetchError(error=error, backoff=self._prefetch_backoff)
        self._buffer.put(tp, Block(entry, state=state, version=state.version, skip_to=skip_to))
        self._notify()

    def _notify(self) -> None:
        """Let all calls that wait look again."""
        for waiter in self._fetch_waiters:
            if not waiter.done():
                waiter.set_result(None)

    # Health

    def fetching(self) -> dict[TopicPartition, PartitionFetching]:
        """How the reading of each assigned partition is going.

        .. versionadded:: 0.14.1
        """
        assignment = self._subscriptions.assignment
        if assignment is None or not assignment.active:
            return {}
        now = self._loop.time()
        return {
            tp: self._planner.describe(tp, self._progress.of(tp, state), now)
            for tp, state in assignment.states
        }
