"""Keeping the metadata fresh, and letting callers wait for it.

``request(why, topics) -> version`` asks for a refresh, ``wait(version, deadline)`` waits for
metadata newer than that version.  Versions only grow, so a refresh that ends between the two
calls is not missed.  One round is under way at a time; whoever asks joins it, unless it does
not cover the topics wanted, in which case another follows at once.

A round that fails is repeated with exponential backoff for as long as a refresh is due.  A
topic that somebody waits for is asked for again with a backoff of its own, so that a topic
that never comes neither floods the brokers nor delays anybody else's topic.

Runs one supervised task, the synchronizer.  It resolves every waiter: on success, on an
error that waiting cannot mend, on its own crash (it is then started anew) and on close.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Awaitable, Callable, Collection, Iterator

from aiokafka import errors as Errors
from aiokafka._client.metadata_round import RoundResult, Topics, covers
from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka._retry import Backoff
from aiokafka._tasks import Supervisor

log = logging.getLogger("aiokafka")

# Seconds between two rounds at least, one of which failed or was not asked for: with nobody to
# ask a round ends without awaiting, so that a pause of 0 would keep the event loop for itself.
SHORTEST_PAUSE = 0.01


class _TopicWait:
    """A topic that callers wait for: how many, asked for how often, due when."""

    __slots__ = ("attempts", "callers", "due", "owed")

    def __init__(self) -> None:
        self.callers = 0
        self.attempts = 0
        self.due = -math.inf
        self.owed = True

    @property
    def counts(self) -> bool:
        """Is it to be asked for?  Once after each call at least, even if the caller has left
        already: one with no budget to speak of finds the answer when it comes again."""
        return self.callers > 0 or self.owed


class MetadataRefresher:
    """Decides when a round of metadata requests runs, and tells the waiters.

    Parameters:
        run_round: runs one round for the given topics; True when metadata was updated.
        interest: the topics every refresh asks for, None for all.
        last_result: what the last round met: attempts and errors.
        max_age: seconds after which metadata is refreshed without being asked for.
    """

    def __init__(
        self,
        *,
        run_round: Callable[[Topics], Awaitable[bool]],
        interest: Callable[[], Topics],
        last_result: Callable[[], RoundResult],
        backoff: Backoff,
        max_age: float,
        rng: random.Random,
        supervisor: Supervisor,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._run_round = run_round
        self._interest = interest
        self._last_result = last_result
        self._backoff = backoff
        self._max_age = max_age
        self._rng = rng
        self._supervisor = supervisor
        self._loop = loop

        self.version = 0  # number of updates
        self.last_error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        # Set when a request is pending; the synchronizer sleeps on it.
        self.wake: asyncio.Future[None] = loop.create_future()

        self._needed = False
        self._waits: dict[str, _TopicWait] = {}
        self._in_flight: tuple[Topics] | None = None
        self._failures = 0
        self._failing_since: float | None = None
        self._news = News(loop.time)
        self._not_before = -math.inf  # backoff after failed rounds
        self._hopeless: Errors.KafkaError | None = None
        self._refreshed_at = self._loop.time()
        # Who waits for the end of this turn, in order.  A future for each: leaving one that
        # is shared by n callers takes each of them time in proportion to n.
        self._turn: dict[asyncio.Future[Errors.KafkaError | None], None] = {}
        self._resting: dict[asyncio.Future[None], None] = {}
        self._next_round: list[asyncio.Future[bool]] = []
        self._this_round: list[asyncio.Future[bool]] = []
        self._closed = False
        self._restart: asyncio.TimerHandle | None = None
        self._main: Callable[[], Awaitable[None]] = self.synchronize

    # Asking

    def request(self, why: str, topics: Collection[str] = (), *, when_due: bool = False) -> int:
        """Ask for a refresh; returns the version that its answer will exceed.

        Parameters:
            why: the reason, for the debug log.
            topics: the topics that matter to the caller; a round in flight is joined if it
                covers them (with none, always).
            when_due: leave the time to the backoff of the topics, in which the caller has
                shown interest (:meth:`interest_in`).
        """
        wanted = frozenset(topics)
        if self._in_flight is not None:
            if not wanted or covers(self._in_flight[0], wanted):
                return self.version
            behind = 1
        else:
            behind = 0
        if not self._needed and not when_due:
            log.debug("Metadata refresh requested: %s", why)
            self._needed = True
        self._rouse()
        return self.version + behind

    def round_done(self, topics: Collection[str] | None = ()) -> asyncio.Future[bool]:
        """A future of the next round's end (True when it brought metadata): the one in
        flight if it covers *topics* (None: all of the cluster), else the one after it."""
        wanted = None if topics is None else frozenset(topics)
        future: asyncio.Future[bool] = self._loop.create_future()
        if self._closed:
            future.set_result(False)
        elif self._in_flight is not None and covers(self._in_flight[0], wanted):
            self._this_round.append(future)
        else:
            self._next_round.append(future)
            self._needed = True
            self._revive()
            self._rouse()
        return future

    @property
    def pending(self) -> bool:
        """Is a refresh under way or asked for?"""
        return self._needed or self._in_flight is not None

    def _rouse(self) -> None:
        if not self.wake.done():
            self.wake.set_result(None)

    def _revive(self) -> None:
        """Start the synchronizer again if somebody has cancelled it, such as an application
        that cancels all tasks: without it nobody who waits would ever hear anything."""
        if self.task is not None and self.task.cancelled():
            self.start()

    # Waiting

    @contextlib.contextmanager
    def interest_in(self, topic: str) -> Iterator[None]:
        """Within the block, *topic* is asked for with backoff until the block is left."""
        wait = self._waits.get(topic)
        if wait is None:
            wait = self._waits[topic] = _TopicWait()
        elif not wait.callers:
            # Asked for in vain not long ago: soon again, but not at once, or callers with
            # small budgets would ask without a pause.
            wait.due = min(wait.due, self._loop.time() + self._backoff.base)
        wait.callers += 1
        wait.owed = True
        try:
            yield
        finally:
            wait.callers -= 1

    @property
    def waited_for(self) -> frozenset[str]:
        """Topics that are asked for because callers wait for them."""
        return frozenset(topic for topic, wait in self._waits.items() if wait.counts)

    async def wait(self, version: int, deadline: Deadline) -> int:
        """Wait for metadata newer than *version*; returns its version.

        Raises:
            KafkaTimeoutError: *deadline* passed.
            KafkaError: an error that waiting cannot mend (authentication, unsupported
                version), the refresh crashed, or the client was closed.
        """
        while self.version <= version:
            if self._closed:
                raise closed_error()
            if self._hopeless is not None and self._loop.time() < self._not_before:
                raise self._hopeless
            self._revive()
            turn: asyncio.Future[Errors.KafkaError | None] = self._loop.create_future()
            self._turn[turn] = None
            try:
                error = await deadline.run(turn, what="Waiting for metadata")
            finally:
                self._turn.pop(turn, None)
            if error is not None:
                raise error
        return self.version

    async def rest(self, seconds: float) -> None:
        """Pause before another attempt, but not past the end of the client.

        Raises:
            KafkaError: the client was closed.
        """
        over: asyncio.Future[None] = self._loop.create_future()
        self._resting[over] = None
        try:
            if not self._closed:
                await asyncio.wait((over,), timeout=seconds)
        finally:
            del self._resting[over]
        if self._closed:
            raise closed_error()

    def updated(self) -> None:
        """An answer was put into the cluster (in a round, or later than its round)."""
        self.version += 1
        self._end_turn(None)

    def _end_turn(self, error: Errors.KafkaError | None) -> None:
        turn, self._turn = self._turn, {}
        for waiter in turn:
            if not waiter.done():
                # A result, not an exception: the waiter may have left without retrieving it.
                waiter.set_result(error)

    # The synchronizer

    def start(self, main: Callable[[], Awaitable[None]] | None = None) -> None:
        """Start the synchronizer task unless it runs.

        Parameters:
            main: what to run instead of :meth:`synchronize` (which it should await).
        """
        if main is not None:
            self._main = main
        if self._closed or (self.task is not None and not self.task.done()):
            return

        async def run() -> None:
            await self._main()

        self.task = self._supervisor.spawn(
            run(), name="metadata synchronizer", on_crash=self._crashed
        )

    async def synchronize(self) -> None:
        """The endless loop: sleep until a refresh is due, run a round, tell the waiters."""
        while True:
            delay = self._due() - self._loop.time()
            if delay <= 0:
                await self._refresh()
                continue
            if self.wake.done():
                self.wake = self._loop.create_future()
            await asyncio.wait((self.wake,), timeout=delay)

    def _due(self) -> float:
        """When the next round should start."""
        due = self._refreshed_at + max(self._max_age, SHORTEST_PAUSE)
        if self._needed:
            due = -math.inf
        for wait in self._waits.values():
            if wait.counts:
                due = min(due, wait.due)
        return max(due, self._not_before)

    async def _refresh(self) -> None:
        topics = self._interest()
        self._needed = False
        self._in_flight = (topics,)
        waiting = self._this_round = self._next_round
        self._next_round = []
        result_before, version_before = self._last_result(), self.version
        try:
            updated = await self._run_round(topics)
        except BaseException:
            _resolve(waiting, False)
            raise
        finally:
            self._in_flight = None
            self._this_round = []
        result = self._last_result()
        self._back_off_topics(topics)
        if updated:
            self._succeeded()
            if self.version == version_before:
                self.updated()
        else:
            self._failed(None if result is result_before else result)
        _resolve(waiting, bool(updated))

    def _back_off_topics(self, asked: Topics) -> None:
        """Whoever is satisfied by the answer leaves; for the rest the topic is asked for
        again, ever more slowly."""
        now = self._loop.time()
        for topic, wait in list(self._waits.items()):
            if asked is None or topic in asked:
                wait.due = now + self._backoff.delay(wait.attempts, self._rng)
                wait.attempts += 1
                wait.owed = False
            elif not wait.counts and wait.due <= now:
                del self._waits[topic]

    def _succeeded(self) -> None:
        self._refreshed_at = self._loop.time()
        self._not_before = -math.inf
        self._hopeless = None
        self.last_error = None
        if self._failing_since is not None:
            log.info(
                "Metadata refreshed again after %d failed round(s) in %.1f s",
                self._failures,
                self._loop.time() - self._failing_since,
            )
        self._failing_since = None
        self._news.all_is_well()
        self._failures = 0

    def _failed(self, result: RoundResult | None) -> None:
        self._needed = True
        delay = self._hold_back(None if result is None else result.askable_in)
        if result is None:
            return
        self.last_error = result.last_error
        news = self._news.is_news(type(self.last_error))
        log.log(
            logging.WARNING if news else logging.DEBUG,
            "Metadata refresh failed: %s (round %d, next in %.0f ms%s)",
            self.last_error,
            self._failures,
            delay * 1000,
            "; further failures are logged at debug" if news else "",
        )
        self._hopeless = result.hopeless
        if self._hopeless is not None:
            self._end_turn(self._hopeless)

    def _hold_back(self, askable_in: float | None = None) -> float:
        """Count a failure; returns and starts the backoff, in seconds.

        Parameters:
            askable_in: when the first node can be asked, if none could: then there is nothing
                to space out.  A backoff on top of the nodes' own could miss each moment at
                which one of them may be tried, as others try them, too.
        """
        delay = self._backoff.delay(self._failures, self._rng)
        if askable_in is not None:
            delay = min(delay, askable_in)
        delay = max(SHORTEST_PAUSE, delay)
        if askable_in is None or not self._failures:
            self._failures += 1
        self._not_before = self._loop.time() + delay
        if self._failing_since is None:
            self._failing_since = self._loop.time()
        return delay

    def _crashed(self, error: BaseException) -> None:
        """The synchronizer died of a defect: tell everybody who waits, then start anew."""
        if self._closed:
            return
        self._needed = True
        delay = self._hold_back()
        self.last_error = error
        crash = Errors.KafkaError(f"Metadata refresh crashed: {error!r}")
        crash.__cause__ = error
        self._end_turn(crash)
        _resolve(self._next_round, False)
        # Not at once: it may crash again before it comes to anything.
        self._restart = self._loop.call_later(delay, self.start)

    def close(self) -> None:
        """Resolve every waiter; the task itself is ended by the supervisor."""
        if self._closed:
            return
        self._closed = True
        self._end_turn(closed_error())
        for over in self._resting:
            over.set_result(None)
        _resolve(self._this_round, False)
        _resolve(self._next_round, False)
        if self._restart is not None:
            self._restart.cancel()
        if self.task is not None:
            self.task.cancel()


def closed_error() -> Errors.KafkaError:
    return Errors.IllegalStateError("The client is closed")


def _resolve(futures: list[asyncio.Future[bool]], result: bool) -> None:
    for future in futures:
        if not future.done():
            future.set_result(result)
    futures.clear()
