"""The fetcher's requests for records: sending them, and what to do without an answer.

Runs one supervised task for each Fetch request, at most one a node.  Whatever becomes of it,
its partitions are free to be asked for again when it ends.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka._news import News
from aiokafka._retry import Backoff, action_for, pause
from aiokafka._tasks import Supervisor
from aiokafka.consumer._assignment import Assignment
from aiokafka.consumer._fetch_answers import AnswerTaker
from aiokafka.consumer._fetch_plan import FetchInquiry, FetchSettings, PlannedFetch, Planner
from aiokafka.consumer._fetch_progress import Progress
from aiokafka.consumer._fetch_response import FIRST_WITH_RACK, FetchAnswer, read
from aiokafka.consumer._fetch_session import FINAL, SESSION_ERRORS, FetchSession
from aiokafka.consumer._replicas import PreferredReplicas
from aiokafka.consumer._silence import SilenceWatch
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

log = logging.getLogger("aiokafka.consumer.fetcher")

# A broker has reasons to answer at once without anything of use (an error, a replica to go to);
# one that does so again and again would otherwise be asked as fast as it can answer.
_USUAL_HASTE = 5


class _Trouble:
    """What is wrong with a node."""

    __slots__ = ("attempts", "hasty", "news")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.attempts = 0
        #: Answers in a row that came at once and brought nothing.
        self.hasty = 0
        self.news = News(loop.time)

    def over(self) -> None:
        """The node has answered."""
        self.attempts = 0
        self.news.all_is_well()


class FetchSteps:
    """The methods of a :class:`~aiokafka.consumer.fetcher.Fetcher` that send Fetch requests."""

    _answers: AnswerTaker
    _client: AIOKafkaClient
    _client_rack: str | None
    _closed: bool
    _in_flight: set[int]
    _loop: asyncio.AbstractEventLoop
    _planner: Planner
    _progress: Progress
    _rack_warning_logged: bool
    _replicas: PreferredReplicas
    _request_timeout: float
    _retry_backoff: Backoff
    _rng: random.Random
    _settings: FetchSettings
    _silence: SilenceWatch
    _supervisor: Supervisor
    _troubles: dict[int, _Trouble]

    if TYPE_CHECKING:

        def _crashed(self, error: BaseException) -> None: ...
        def _notify(self) -> None: ...
        def _put_error(self, tp: TopicPartition, state: Any, error: KafkaError) -> None: ...
        def _wake(self) -> None: ...

    # Replicas (KIP-392)

    @property
    def _preferred_read_replica(self) -> dict[TopicPartition, tuple[int, float]]:
        """Node and expiry, on the monotonic clock, by partition."""
        return self._replicas.chosen

    @_preferred_read_replica.setter
    def _preferred_read_replica(self, chosen: dict[TopicPartition, tuple[int, float]]) -> None:
        self._replicas.chosen = chosen

    def _select_read_replica(self, tp: TopicPartition) -> int | None:
        """The node to read *tp* from: -1 without a leader, None when it is unknown."""
        return self._replicas.select(tp)

    def _update_preferred_read_replica(self, tp: TopicPartition, replica: int) -> bool:
        """Take the replica that the leader has named; True when it is another one."""
        return self._replicas.update(tp, replica)

    def _forget_follower(self, tp: TopicPartition, node_id: int) -> bool:
        """Go back to the leader if *tp* is read from *node_id* as a follower."""
        return self._replicas.follows(tp, node_id) and self._replicas.forget(tp)

    def _invalidate_preferred_read_replica_for_node(self, node_id: int, request: Any) -> bool:
        """*node_id* cannot be reached: read what *request* asks for from the leaders."""
        return self._replicas.forget_node(node_id, _asked(request))

    def _check_rack(self, node_id: int, version: int) -> None:
        if self._rack_warning_logged or not self._client_rack or version >= FIRST_WITH_RACK:
            return
        self._rack_warning_logged = True
        log.warning(
            "client_rack=%r has no effect: node %s speaks Fetch v%d, reading from the closest"
            " replica needs v%d",
            self._client_rack,
            node_id,
            version,
            FIRST_WITH_RACK,
        )

    # One request

    def _start_fetch(self, assignment: Assignment, node_id: int, request: Any) -> None:
        """Send *request* in a task of its own."""
        self._in_flight.add(node_id)
        inquiry = getattr(request, "inquiry", None)
        if isinstance(inquiry, FetchInquiry):
            self._planner.inquiries[inquiry] = None
            for tp in inquiry.session.rows:
                progress = self._progress.get(tp)
                if progress is not None:
                    progress.fetch = inquiry
        task = self._supervisor.spawn(
            self._fetch_from(assignment, node_id, request),
            name=f"fetch from node {node_id}",
            on_crash=self._crashed,
        )
        # Not in the task: one that is cancelled before its first step runs none of its code.
        task.add_done_callback(lambda _: self._fetch_ended(node_id, inquiry))

    async def _fetch_from(self, assignment: Assignment, node_id: int, request: Any) -> None:
        if await self._proc_fetch_request(assignment, node_id, request):
            self._notify()

    def _fetch_ended(self, node_id: int, inquiry: FetchInquiry | None) -> None:
        self._in_flight.discard(node_id)
        if isinstance(inquiry, FetchInquiry):
            self._planner.inquiries.pop(inquiry, None)
            for tp in inquiry.session.rows:
                progress = self._progress.get(tp)
                if progress is not None and progress.fetch is inquiry:
                    progress.fetch = None
        self._wake()

    async def _proc_fetch_request(
        self, assignment: Assignment, node_id: int, request: Any
    ) -> bool:
        """Send a Fetch request and take its answer.

        Returns:
            True when there is something for the application.
        """
        inquiry = request.inquiry if isinstance(request, PlannedFetch) else None
        wait = self._settings.max_wait if inquiry is None else inquiry.wait
        options: dict[str, Any] = {}
        if self._request_timeout <= 2 * wait:
            # The time to answer begins when the broker has waited for data.
            options["timeout"] = self._request_timeout + wait
        session = self._session_of(node_id, inquiry)
        started = self._loop.time()
        try:
            with self._silence.over(node_id, "a fetch", wait):
                response = await self._client.send(node_id, request, **options)
        except (KafkaError, NotImplementedError) as error:
            session.lost()
            await self._fetch_failed(assignment, node_id, request, as_kafka_error(error))
            return False
        except BaseException:
            session.lost()
            raise
        answer = read(response, None if inquiry is None else inquiry.session.topic_ids)
        self._check_rack(node_id, answer.version)
        if inquiry is not None and not await self._session_agrees(node_id, inquiry, answer):
            return False
        if node_id in self._troubles:
            self._troubles[node_id].over()
        if not assignment.active or self._closed:
            return False
        news = self._answers.take(answer, assignment, node_id, _asked(request), inquiry)
        if inquiry is not None:
            await self._slow_down(node_id, news or self._loop.time() - started >= wait / 2)
        return news

    async def _slow_down(self, node_id: int, good: bool) -> None:
        """Pause when the node has answered too soon, with nothing, too often.

        Parameters:
            good: the answer had something, or came when it was to come.
        """
        if good:
            if node_id in self._troubles:
                self._troubles[node_id].hasty = 0
            return
        trouble = self._troubles.setdefault(node_id, _Trouble(self._loop))
        trouble.hasty += 1
        if trouble.hasty > _USUAL_HASTE and self._settings.min_bytes:
            await pause(self._retry_backoff.delay(0, self._rng))

    def _session_of(self, node_id: int, inquiry: FetchInquiry | None) -> FetchSession:
        # A request that was not planned here has nothing to do with the node's session.
        if inquiry is None:
            return FetchSession()
        return self._planner.sessions.setdefault(node_id, FetchSession())

    async def _session_agrees(
        self, node_id: int, inquiry: FetchInquiry, answer: FetchAnswer
    ) -> bool:
        """Does the answer fit the session?  If not, pauses unless this is the first time."""
        session = self._session_of(node_id, inquiry)
        error = answer.error
        if error is Errors.NoError:
            session.answered(inquiry.session, answer.session_id)
            return True
        session.refused(error)
        trouble = self._troubles.setdefault(node_id, _Trouble(self._loop))
        expected = issubclass(error, SESSION_ERRORS)
        news = not expected and trouble.news.is_news(error)
        log.log(
            logging.WARNING if news else logging.DEBUG,
            "Node %s refused a fetch of %r: %s",
            node_id,
            inquiry.session,
            error.__name__,
        )
        if error.invalid_metadata or issubclass(
            error, (Errors.UnknownTopicIdError, Errors.InconsistentTopicIdError)
        ):
            self._client.request_metadata(
                f"node {node_id} refused a fetch: {error.__name__}",
                {tp.topic for tp in inquiry.session.rows},
            )
        if not expected and not action_for(error()).retriable:
            self._tell(inquiry.session.rows, error(f"fetching from node {node_id}"))
        if trouble.attempts or not expected:
            await pause(self._retry_backoff.delay(trouble.attempts, self._rng))
        trouble.attempts += 1
        return False

    async def _fetch_failed(
        self, assignment: Assignment, node_id: int, request: Any, error: KafkaError
    ) -> None:
        """No answer came; leaves the node alone for a while, but not its partitions."""
        trouble = self._troubles.setdefault(node_id, _Trouble(self._loop))
        reason = error
        if isinstance(error, Errors.NodeNotReadyError) and isinstance(error.__cause__, KafkaError):
            reason = error.__cause__
        hopeless = not action_for(reason).retriable and not isinstance(reason, KafkaTimeoutError)
        log.log(
            # Of connections that are lost or cannot be made the client tells.
            logging.WARNING
            if not isinstance(error, (Errors.NodeNotReadyError, Errors.KafkaConnectionError))
            and trouble.news.is_news(type(error))
            else logging.DEBUG,
            "Fetching from node %s failed: %s; trying again",
            node_id,
            error,
        )
        for tp in _asked(request):
            progress = self._progress.get(tp)
            if progress is not None:
                progress.last_error = reason
        self._client.request_metadata(f"fetching from node {node_id} failed: {error!r}")
        if self._invalidate_preferred_read_replica_for_node(node_id, request):
            self._wake()
        if hopeless and assignment.active:
            self._tell(_asked(request), reason)
        delay = self._retry_backoff.delay(trouble.attempts, self._rng)
        trouble.attempts += 1
        await pause(delay)

    def _tell(self, partitions: Iterable[TopicPartition], error: KafkaError) -> None:
        """Raise to the application what waiting cannot mend: once, in the place of one of the
        partitions that are concerned."""
        for tp in partitions:
            progress = self._progress.get(tp)
            if progress is not None:
                self._put_error(tp, progress.state, error)
                return

    def _end_sessions(self) -> None:
        """Let the brokers forget the sessions; nobody waits for their answers."""
        for node_id, session in self._planner.sessions.items():
            session_id = session.close()
            if not session_id:
                continue
            request = FetchRequest(
                0, 0, 0, 0, [], session_id=session_id, session_epoch=FINAL, topic_ids={}
            )
            try:
                self._client.post(node_id, request, _nobody_waits)
            except (KafkaError, NotImplementedError, ValueError) as error:
                log.debug("Not ending the fetch session with node %s: %r", node_id, error)


def as_kafka_error(error: Exception) -> KafkaError:
    """*error*, or that there is no version of a request that client and broker share."""
    if isinstance(error, KafkaError):
        return error
    incompatible = Errors.IncompatibleBrokerVersion(str(error))
    incompatible.__cause__ = error
    return incompatible


def _nobody_waits(response: Any, error: Any) -> None:
    """An answer that is of no interest."""


def _asked(request: Any) -> dict[TopicPartition, int]:
    """The offset that a request asks for, by partition; of any kind of request."""
    if isinstance(request, PlannedFetch):
        return {tp: row[1] for tp, row in request.inquiry.session.rows.items()}
    return {
        TopicPartition(topic, row[0]): row[1] for topic, rows in request.topics for row in rows
    }
