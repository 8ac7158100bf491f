"""What all parts of the group coordinator stand on: who this member is, where its coordinator is,
and requests to it.

:class:`Membership` runs the look-up of the coordinator as a task of its supervisor, one for all
who want it.  It owns the futures ``_rejoin_needed_fut``, ``_coordinator_dead_fut`` and those of
:meth:`Membership._rebalance_over`, which a state in which nothing is to be waited for resolves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import errors as Errors
from aiokafka._client.connections import ConnectionGroup
from aiokafka._client.coordinators import find_coordinator
from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka._retry import Backoff, action_for
from aiokafka._tasks import Supervisor
from aiokafka.client import CoordinationType
from aiokafka.consumer._assigning import COOPERATIVE
from aiokafka.consumer._callbacks import ListenerCalls
from aiokafka.consumer._group_states import (
    UNKNOWN_GENERATION,
    UNKNOWN_MEMBER_ID,
    ConsumerGroupMetadata,
    GroupFacts,
    MemberState,
)
from aiokafka.consumer._watch import BaseCoordinator
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)
from aiokafka.structs import TopicPartition

log = logging.getLogger("aiokafka.consumer.group_coordinator")

# Seconds the coordinator may take longer than the rebalance timeout to answer JoinGroup.
_JOIN_MARGIN = 5.0
# Seconds that giving up the membership may take: the session timeout does it as well.
LEAVE_TIMEOUT = 1.0

# What passes at the next attempt, mostly: a connection is made anew (the client itself reports
# when it cannot be), the coordinator's place is taken by another broker.
_PASSING = (
    Errors.KafkaConnectionError,
    Errors.NodeNotReadyError,
    Errors.NotCoordinatorForGroupError,
    Errors.GroupLoadInProgressError,
    Errors.GroupCoordinatorNotAvailableError,
)


class Membership(BaseCoordinator):
    """Who this member is, where its coordinator is, and requests to it."""

    group_id: str
    member_id: str
    generation: int
    coordinator_id: int | None
    _assignors: Sequence[Any]
    _auto_commit_interval_ms: float
    _backoff: Backoff
    _calls: ListenerCalls
    _client_rack: str | None
    _closing: asyncio.Future[None]
    _coordinator_dead_fut: asyncio.Future[None]
    _default_api_timeout: float
    _enable_auto_commit: bool
    _enable_auto_offset_store: bool
    _fatal: KafkaError | None
    _group_instance_id: str | None
    _heartbeat_interval_ms: float
    _holding: bool
    _held: Assignment | None
    _is_leader: bool
    _last_commit_at: float | None
    _last_error: BaseException | None
    _last_heartbeat_at: float | None
    _last_rebalance_at: float | None
    _last_rebalance_reason: str
    _lookup_task: asyncio.Task[KafkaError | None] | None
    _loop: asyncio.AbstractEventLoop
    _max_poll_interval_ms: float
    _news: dict[str, News]
    #: What has failed and has not succeeded since, by subject, the latest last.
    _unmended: dict[str, BaseException]
    _protocol: str
    _rebalance_timeout_ms: int
    _rebalances: int
    _rejoin_needed_fut: asyncio.Future[None]
    _rejoin_reason: str
    _retry_backoff_ms: float
    _session_timeout_ms: int
    _settled: list[asyncio.Future[None]]
    _state: MemberState
    _supervisor: Supervisor

    # State

    @property
    def _cooperative(self) -> bool:
        return self._protocol == COOPERATIVE

    def _go(self, state: MemberState) -> None:
        """Change the state.

        Raises:
            IllegalStateError: there is no such transition.
        """
        if state is self._state:
            return
        MemberState.check_transition(self._state, state)
        log.debug("Member of group %s: %s -> %s", self.group_id, self._state.name, state.name)
        self._state = state
        if state in _SETTLED:
            settled, self._settled = self._settled, []
            for future in settled:
                if not future.done():
                    future.set_result(None)

    def _rebalance_over(self) -> asyncio.Future[None]:
        """A future of the end of the rebalance under way, or of the membership."""
        future: asyncio.Future[None] = self._loop.create_future()
        waiting = self._state is MemberState.STABLE and self._rejoin_needed_fut.done()
        if self._state in _SETTLED and not waiting:
            future.set_result(None)
        else:
            self._settled.append(future)
        return future

    def request_rejoin(self, reason: str = "rejoin requested") -> None:
        """Join again as soon as possible.

        Parameters:
            reason: for logs, ours and the broker's (KIP-800).
        """
        if not self._rejoin_needed_fut.done():
            log.debug("Rejoining group %s: %s", self.group_id, reason)
            self._rejoin_reason = reason
            self._rejoin_needed_fut.set_result(None)

    def reset_generation(
        self, reason: str = "the membership was lost", *, keep_member_id: bool = False
    ) -> None:
        """Forget the membership and join anew.

        Parameters:
            keep_member_id: the group still knows this member, only not in this generation.
        """
        self.generation = UNKNOWN_GENERATION
        if not keep_member_id:
            self.member_id = UNKNOWN_MEMBER_ID
        self.request_rejoin(reason)

    def _fail(self, error: KafkaError) -> None:
        """The member cannot go on: everybody is told."""
        if self._fatal is not None or self._closing.done():
            return
        log.error("Member of group %s cannot go on: %s", self.group_id, error)
        self._fatal = self._last_error = error
        self._go(MemberState.FAILED)
        self._subscription.abort_waiters(error)
        if self.member_id and self.coordinator_id is not None:
            # So that others get the partitions before the session has timed out.
            self.maybe_leave_group("the consumer cannot go on")

    def _check_alive(self) -> None:
        """Raises KafkaError: this member cannot go on, or was closed."""
        if self._fatal is not None:
            raise self._fatal
        if self._state in _OVER:
            raise Errors.IllegalStateError(f"The member of group {self.group_id!r} is closed")

    # News

    def _trouble(self, subject: str, error: BaseException, consequence: str = "") -> None:
        """Log what went wrong, at warning if it is news.

        What is likely to pass is none before it has failed again.
        """
        passing = isinstance(error, _PASSING) and not consequence and subject not in self._unmended
        self._unmended.pop(subject, None)
        self._unmended[subject] = self._last_error = error
        if passing:
            level = logging.DEBUG
        else:
            level = (
                logging.WARNING if self._news_of(subject).is_news(type(error)) else logging.DEBUG
            )
        log.log(
            level,
            "%s for group %s failed: %s%s",
            subject,
            self.group_id,
            error,
            consequence and f"; {consequence}",
        )

    def _level_of(self, subject: str, kind: object) -> int:
        """INFO for news, DEBUG for what comes again and again."""
        return logging.INFO if self._news_of(subject).is_news(kind) else logging.DEBUG

    def _news_of(self, subject: str) -> News:
        return self._news.setdefault(subject, News(self._loop.time))

    def _well(self, subject: str) -> None:
        """The next failure is news again."""
        news = self._news.get(subject)
        if news is not None:
            news.all_is_well()
        self._unmended.pop(subject, None)
        if self._fatal is None:
            # Something else may still be wrong.
            self._last_error = next(reversed(self._unmended.values()), None)

    # The coordinator

    async def ensure_coordinator_known(self) -> None:
        """Wait until the coordinator is known and connected; tries for ever.

        Raises:
            GroupAuthorizationFailedError: the group may not be used.
            KafkaError: an error that another look-up cannot mend, or this object was closed.
        """
        while self.coordinator_id is None:
            self._check_alive()
            task = self._lookup_task
            if task is None or task.done():
                task = self._lookup_task = self._supervisor.spawn(
                    self._look_up_coordinator(), name="coordinator look-up"
                )
            # Shared, so never cancelled from here.
            await asyncio.wait((task,))
            if not task.cancelled():
                error = task.result()
                if error is not None:
                    raise error

    async def _look_up_coordinator(self) -> KafkaError | None:
        """Find the coordinator; an error that ends the search is a result, no crash."""
        try:
            node_id = await find_coordinator(
                self._client,
                CoordinationType.GROUP,
                self.group_id,
                backoff=self._backoff,
                supervisor=self._supervisor,
                on_error=self._check_lookup_error,
            )
        except KafkaError as error:
            return error
        self._well("Coordinator look-up")
        self.coordinator_id = node_id
        if self._coordinator_dead_fut.done():
            self._coordinator_dead_fut = self._loop.create_future()
        log.log(
            self._level_of("Coordinator", node_id),
            "Discovered coordinator %s for group %s",
            node_id,
            self.group_id,
        )
        return None

    def _check_lookup_error(self, error: KafkaError) -> None:
        """Raise what another look-up cannot mend."""
        if isinstance(error, Errors.GroupAuthorizationFailedError):
            raise Errors.GroupAuthorizationFailedError(self.group_id) from error
        action = action_for(error)
        if not action.retriable:
            if type(error) is KafkaError:
                raise error
            raise KafkaError(
                f"Looking up the coordinator of group {self.group_id!r} failed: {error!r}"
            ) from error
        self._trouble("Coordinator look-up", error)
        self._client.request_metadata(f"coordinator look-up failed: {error!r}")

    def coordinator_dead(self) -> None:
        """The node is not the coordinator any more, or not to be reached: look it up anew.

        The membership does not end by this: the next coordinator knows it, too.
        """
        if self.coordinator_id is not None:
            log.log(
                self._level_of("Coordinator", "dead"),
                "Node %s is not or cannot be reached as the coordinator of group %s",
                self.coordinator_id,
                self.group_id,
            )
            self.coordinator_id = None
        if not self._coordinator_dead_fut.done():
            self._coordinator_dead_fut.set_result(None)

    async def _send_req(self, request: Any) -> Any:
        """Send a request to the coordinator and return its answer.

        Raises:
            GroupCoordinatorNotAvailableError: the coordinator is not known.
            KafkaError: no answer; the coordinator is to be looked up anew.
            IncompatibleBrokerVersion: the broker is too old for what is asked.
        """
        node_id = self.coordinator_id
        if node_id is None:
            raise Errors.GroupCoordinatorNotAvailableError(
                f"The coordinator of group {self.group_id!r} is not known"
            )
        timeout = self._timeout_of(request)
        options = {} if timeout is None else {"timeout": timeout}
        group = self._connection_for(request)
        held_back = isinstance(request, _HELD_BACK)
        if held_back:
            # Stays so when this call is cancelled: the broker holds it back all the same.
            self._holding = True
        try:
            response = await self._client.send(node_id, request, group=group, **options)
        except (Errors.IncompatibleBrokerVersion, NotImplementedError) as error:
            if held_back:
                self._holding = False
            raise Errors.IncompatibleBrokerVersion(str(error)) from error
        except KafkaError:
            if held_back:
                self._holding = False
            # Unless another one was found meanwhile.
            if self.coordinator_id == node_id:
                self.coordinator_dead()
            raise
        if held_back:
            self._holding = False
        return response

    def _topic_ids(self, partitions: Iterable[TopicPartition]) -> dict[str, Any]:
        """Ids of the partitions' topics, as far as they are known."""
        known = self._cluster.topic_ids
        return {topic: known[topic] for topic, _ in partitions if topic in known}

    def _timeout_of(self, request: Any) -> float | None:
        """Seconds to wait for the answer, None for as long as for any request."""
        if isinstance(request, _HELD_BACK):
            # The coordinator answers when all members have come; request_timeout_ms has
            # nothing to do with that.
            return self._rebalance_timeout_ms / 1000 + _JOIN_MARGIN
        if isinstance(request, HeartbeatRequest):
            return self._session_left()
        if isinstance(request, LeaveGroupRequest):
            return LEAVE_TIMEOUT
        return None

    def _session_left(self) -> float:
        """Seconds until the session has expired; not less than one heartbeat is worth."""
        session, interval = self._session_timeout_ms / 1000, self._heartbeat_interval_ms / 1000
        last = self._last_heartbeat_at
        if last is None:
            return session
        return max(last + session - self._loop.time(), min(interval, session))

    def _connection_for(self, request: Any) -> int:
        """Which of the coordinator's connections: a broker answers the requests of one in
        turn, so nothing else gets through where it holds JoinGroup or SyncGroup back."""
        if self._holding and not isinstance(request, _HELD_BACK):
            return ConnectionGroup.DEFAULT
        return ConnectionGroup.COORDINATION

    # Leaving

    def maybe_leave_group(
        self, reason: str = "the consumer unsubscribed from all topics"
    ) -> asyncio.Task[None]:
        """Give up the membership in the background.

        A static member (KIP-345) stays in the group until its session times out.

        Returns:
            The task that tells the coordinator; it ends within about a second.
        """
        member = self.coordinator_id, self.member_id
        known = self.generation != UNKNOWN_GENERATION or bool(self.member_id)
        if self._group_instance_id is not None or not known:
            member = None, UNKNOWN_MEMBER_ID
        self.reset_generation(reason)
        return self._supervisor.spawn(self._leave(*member, reason), name="leave")

    async def _leave(self, node_id: int | None, member_id: str, reason: str) -> None:
        if node_id is None or not member_id:
            return
        request = LeaveGroupRequest(self.group_id, member_id, reason=reason)
        deadline = Deadline.after(LEAVE_TIMEOUT)
        try:
            await deadline.run(self._send_req(request), what="Leaving the group")
        except KafkaError as error:
            log.info("Could not tell group %s of the end: %s", self.group_id, error)
        else:
            log.info("Left group %s: %s", self.group_id, reason)

    # Facts

    def group_metadata(self) -> ConsumerGroupMetadata:
        """Who this member is at the moment.

        .. versionadded:: 0.14.1
        """
        return ConsumerGroupMetadata(
            self.group_id, self.generation, self.member_id, self._group_instance_id
        )

    def facts(self) -> GroupFacts:
        """A snapshot of what this member knows of itself.

        .. versionadded:: 0.14.1
        """
        return GroupFacts(
            group_id=self.group_id,
            group_instance_id=self._group_instance_id,
            state=self._state,
            generation=self.generation,
            member_id=self.member_id,
            coordinator_id=self.coordinator_id,
            is_leader=self._is_leader,
            rebalances=self._rebalances,
            last_heartbeat_at=self._last_heartbeat_at,
            last_rebalance_at=self._last_rebalance_at,
            last_rebalance_reason=self._last_rebalance_reason,
            last_commit_at=self._last_commit_at,
            last_error=self._last_error,
        )

    def _fenced_error(self) -> KafkaError:
        return Errors.FencedInstanceIdError(
            f"Another consumer has joined group {self.group_id!r} with the same"
            f" group_instance_id={self._group_instance_id!r}; each running consumer needs one of"
            " its own"
        )


_HELD_BACK = (JoinGroupRequest, SyncGroupRequest)

_OVER = frozenset({MemberState.LEAVING, MemberState.CLOSED})

_SETTLED = frozenset(
    {
        MemberState.UNJOINED,
        MemberState.STABLE,
        MemberState.STALE,
        MemberState.LEAVING,
        MemberState.CLOSED,
        MemberState.FAILED,
    }
)
