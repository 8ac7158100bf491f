"""One call of the admin client: its deadline, its attempts, and where its requests go.

:class:`AdminCall` sends requests to any broker, to the controller, to coordinators, to leaders
or to named brokers, and tries again under the one retry policy.  What was found in an attempt is
kept for the next one (:mod:`aiokafka.admin._outcomes`).

Runs supervised tasks for requests that are made at the same time; the call owns them and ends
them when it ends itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from aiokafka import errors as Errors
from aiokafka._client.connections import ConnectionGroup
from aiokafka._client.coordinators import find_coordinator
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._news import News
from aiokafka._retry import Action, action_for, retry
from aiokafka._tasks import Supervisor
from aiokafka.admin._outcomes import Outcomes, passes
from aiokafka.admin.results import Results
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.protocol.metadata import MetadataRequest, ParsedMetadata, parse
from aiokafka.structs import TopicPartition

log = logging.getLogger("aiokafka.admin.client")

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

# Seconds a broker may keep silent before another one is asked as well, and how many at most,
# where any of them will do.
_PATIENCE = 1.0
_MOST = 3
# Seconds to wait for a refresh of the metadata before the next attempt; what is known may do.
_REFRESH = 1.0
# The share of the budget that a leader or coordinator may keep silent: it may be gone, and
# somebody else be in its place.
_SHARE = 1 / 3
_SHORTEST_SHARE = 1.0
# The share of what is left that a broker may take to carry something out, so that its answer is
# here in time.
_BROKER_SHARE = 0.8
# Seconds before the end, or the share of what is left, at which a silent broker is given up: so
# the error says who was silent.
_MARGIN = 0.5
_MARGIN_SHARE = 0.05

_MOVED = (Errors.NotControllerError, Errors.KafkaConnectionError, Errors.NodeNotReadyError)


class AdminCall:
    """One call.

    Parameters:
        what: what it does, for errors and logs.
        deadline: when it ends at the latest.
        news: the admin client's, of what went wrong lately.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        supervisor: Supervisor,
        news: News,
        *,
        what: str,
        deadline: Deadline,
    ) -> None:
        self.client = client
        self.what = what
        self.deadline = deadline
        self._supervisor = supervisor
        self._news = news
        self._awaited_version: int | None = None

    @property
    def broker_timeout_ms(self) -> int:
        """Milliseconds that a broker may take to carry out what it is asked now."""
        return max(1, as_milliseconds(self.deadline.remaining() * _BROKER_SHARE))

    # Attempts

    async def retry(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        decide: Callable[[BaseException], Action] | None = None,
    ) -> T:
        """Run *attempt* until it succeeds, fails for good, or the time is over.

        Raises:
            KafkaTimeoutError: the time is over; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.
        """

        async def numbered(_: int) -> T:
            await self._refreshed()
            return await attempt()

        return await retry(
            numbered,
            what=self.what,
            backoff=self.client._retry_backoff_policy,
            deadline=self.deadline,
            rng=self.client._rng,
            decide=decide or _decide,
            on_retry=self._failed,
        )

    async def each(
        self, items: Iterable[K], attempt: Callable[[Outcomes[K, V]], Awaitable[None]]
    ) -> Results[K, V]:
        """Run *attempt* until every item has an outcome.

        Parameters:
            attempt: asks for the items that are pending and enters what it learns.

        Raises:
            KafkaError: as :meth:`retry`, if no item has an outcome.  Else those without one get
                the error as theirs.
        """
        outcomes: Outcomes[K, V] = Outcomes(items)

        async def numbered() -> None:
            await attempt(outcomes)
            if outcomes.pending:
                raise outcomes.reason()

        if outcomes.pending:
            try:
                await self.retry(numbered)
            except KafkaError as error:
                if not outcomes.answered:
                    raise
                outcomes.give_up(error)
        return outcomes.results()

    async def each_alone(
        self,
        items: Iterable[K],
        ask: Callable[[Outcomes[K, V], K], Coroutine[Any, Any, None]],
    ) -> Results[K, V]:
        """:meth:`each`, where every item is asked for by itself, all at the same time.

        Parameters:
            ask: asks for an item and enters what it learns.
        """

        async def attempt(outcomes: Outcomes[K, V]) -> None:
            pending = list(outcomes.pending)
            await self.together(outcomes, [((item,), ask(outcomes, item)) for item in pending])

        return await self.each(items, attempt)

    def _failed(self, error: BaseException, action: Action, delay: float) -> None:
        level = logging.WARNING if self._news.is_news(type(error)) else logging.DEBUG
        log.log(level, "%s failed: %r; trying again in %.0f ms", self.what, error, delay * 1000)
        if action is Action.REFRESH_METADATA or isinstance(error, _MOVED):
            self._awaited_version = self.client.request_metadata(f"{self.what}: {error!r}")

    async def _refreshed(self) -> None:
        """Wait for the metadata that the last failure has asked for, but not for long."""
        version, self._awaited_version = self._awaited_version, None
        if version is None:
            return
        try:
            await self.client.wait_metadata(version, self.deadline.capped(_REFRESH))
        except KafkaTimeoutError as error:
            log.debug("%s: %s", self.what, error)

    # One request

    async def send(
        self,
        node_id: int,
        request: Any,
        *,
        share: float = 1.0,
        group: int = ConnectionGroup.DEFAULT,
    ) -> Any:
        """Send a request to a node and return the response.

        Parameters:
            share: of the call's budget, that the node may take.

        Raises:
            IncompatibleBrokerVersion: the node cannot be asked for this.
            KafkaError: as :meth:`~aiokafka.client.AIOKafkaClient.send`.
        """
        left = self.deadline.remaining()
        timeout = left - min(_MARGIN, left * _MARGIN_SHARE)
        if share < 1:
            timeout = min(timeout, max(_SHORTEST_SHARE, self.deadline.budget * share))
        try:
            return await self.client.send(node_id, request, group=group, timeout=timeout)
        except NotImplementedError as error:  # no version in common
            raise Errors.IncompatibleBrokerVersion(str(error)) from error

    async def ask_any(self, request: Any) -> Any:
        """One attempt to have a question answered by any broker.

        Several are asked when one is silent or fails, so only for requests that change nothing.
        """
        asked: dict[asyncio.Task[Any], int] = {}
        tried: set[int] = set()
        last: BaseException | None = None
        try:
            while True:
                node_id = self._any_node(tried)
                if node_id is not None:
                    tried.add(node_id)
                    asked[self._ask(node_id, request)] = node_id
                elif not asked:
                    raise last or Errors.NodeNotReadyError("No broker is known yet")
                more = self._any_node(tried) is not None
                done, _ = await asyncio.wait(
                    asked,
                    timeout=_PATIENCE if more else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    del asked[task]
                    answer = task.result()
                    if not isinstance(answer, _Failure):
                        return answer
                    last = answer.error
                    if not passes(last):
                        raise last
        finally:
            for task in asked:
                task.cancel()

    def _ask(self, node_id: int, request: Any) -> asyncio.Task[Any]:
        async def ask() -> Any:
            # An error is a result, no crash of a task.
            try:
                return await self.send(node_id, request)
            except Exception as error:
                return _Failure(error)

        return self._supervisor.spawn(ask(), name=self.what)

    def _any_node(self, tried: Collection[int] = ()) -> int | None:
        """A broker that was not tried; connected ones come first."""
        if len(tried) >= _MOST:
            return None
        first = self.client.get_random_node()
        if first is None or first not in tried:
            return first
        others = sorted(set(self.broker_ids()).difference(tried))
        return self.client._rng.choice(others) if others else None

    def broker_ids(self) -> list[int]:
        """All brokers of the cluster."""
        brokers = self.client.cluster.brokers()
        return sorted(b.nodeId for b in brokers if isinstance(b.nodeId, int))

    async def send_to_controller(self, request: Any) -> Any:
        """One attempt to have a request carried out by the controller.

        Under KRaft brokers do not tell who that is: they name one of them, which passes requests
        on to it.
        """
        controller = self.client.cluster.controller
        node_id = self._any_node() if controller is None else controller.nodeId
        if not isinstance(node_id, int):
            raise Errors.NodeNotReadyError("No broker is known yet")
        return await self.send(node_id, request)

    async def send_to_coordinator(
        self, key: str, request: Any, *, coordinator_type: int = 0
    ) -> Any:
        """One attempt to ask the coordinator of a group (of a transactional id: type 1)."""
        node_id = await self.coordinator(coordinator_type, key)
        return await self.send(node_id, request, share=_SHARE, group=ConnectionGroup.COORDINATION)

    async def coordinator(self, coordinator_type: int, key: str) -> int:
        """The coordinator, looked up once and connected."""

        def fail(error: KafkaError) -> None:
            raise error

        return await find_coordinator(
            self.client,
            coordinator_type,
            key,
            backoff=self.client._retry_backoff_policy,
            supervisor=self._supervisor,
            on_error=fail,
        )

    async def metadata(self, topics: Collection[str] | None) -> Any:
        """The Metadata response of some broker about topics (None: all); creates none."""
        names = None if topics is None else sorted(topics)
        try:
            return await self.ask_any(MetadataRequest(names, allow_auto_topic_creation=False))
        except Errors.IncompatibleBrokerVersion:
            # Brokers before 0.11 cannot be told not to create them.
            return await self.ask_any(MetadataRequest(names))

    async def parsed_metadata(self, topics: Collection[str] | None) -> ParsedMetadata:
        """:meth:`metadata`, the same for all versions.

        Raises:
            KafkaError: the class for the error code of the whole response.
        """
        found = parse(await self.metadata(topics))
        if found.error_code:
            raise Errors.for_code(found.error_code)("Metadata request refused")
        for broker in found.brokers:
            # Leaders may be on brokers that have joined since the last refresh.
            self.client.cluster.add_broker(*broker)
        return found

    # Several requests at the same time

    async def together(
        self,
        outcomes: Outcomes[K, V],
        parts: Iterable[tuple[Iterable[K], Coroutine[Any, Any, None]]],
    ) -> None:
        """Run parts at the same time; the failure of one is entered for its items."""
        tasks = [
            self._supervisor.spawn(self._part(outcomes, items, part), name=self.what)
            for items, part in parts
        ]
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _part(
        self, outcomes: Outcomes[K, V], items: Iterable[K], part: Coroutine[Any, Any, None]
    ) -> None:
        try:
            await part
        except Exception as error:
            # What is asked of others is still wanted.
            if not isinstance(error, (KafkaError, OSError)):
                log.debug("%s: %r", self.what, error, exc_info=True)
            for item in list(items):
                outcomes.fail(item, error)

    async def by_leader(
        self,
        outcomes: Outcomes[TopicPartition, V],
        ask: Callable[
            [Outcomes[TopicPartition, V], int, list[TopicPartition]], Coroutine[Any, Any, None]
        ],
    ) -> None:
        """One attempt to ask the leaders of the pending partitions.

        Parameters:
            ask: asks a node about its partitions and enters the outcomes.
        """
        topics = {tp.topic for tp in outcomes.pending}
        leaders = _leaders(await self.parsed_metadata(topics))
        by_node: dict[int, list[TopicPartition]] = {}
        for tp in list(outcomes.pending):
            leader = leaders.get(tp, leaders.get(tp.topic, Errors.UnknownTopicOrPartitionError))
            if isinstance(leader, int):
                by_node.setdefault(leader, []).append(tp)
            else:
                outcomes.fail(tp, leader(tp.topic if tp.topic in leaders else str(tp)))
        await self.together(
            outcomes, [(tps, ask(outcomes, node_id, tps)) for node_id, tps in by_node.items()]
        )

    async def send_to_leader(self, node_id: int, request: Any) -> Any:
        """Ask a node that may not be the leader any more by then."""
        return await self.send(node_id, request, share=_SHARE)


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def _decide(error: BaseException) -> Action:
    """A timeout that comes here is that of a part of the call, such as a wait for metadata."""
    return Action.RETRY if isinstance(error, KafkaTimeoutError) else action_for(error)


def _leaders(found: ParsedMetadata) -> Mapping[Any, Any]:
    """Node ids by partition; error classes by partition, and by topic."""
    leaders: dict[Any, Any] = {}
    for topic in found.topics:
        if topic.name is None:
            continue
        if topic.error_code:
            leaders[topic.name] = Errors.for_code(topic.error_code)
        for row in topic.partitions:
            tp = TopicPartition(topic.name, row.partition)
            leaders[tp] = row.leader if row.leader >= 0 else Errors.LeaderNotAvailableError
    return leaders
