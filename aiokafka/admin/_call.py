"""One call of the admin client: its deadline, and its attempts.

:class:`AdminCall` tries again under the one retry policy what is to be asked of a broker
(:mod:`aiokafka.admin._requests`).  What was found in an attempt is kept for the next one
(:mod:`aiokafka.admin._outcomes`).

Runs supervised tasks for requests that are made at the same time; the call owns them and ends
them when it ends itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka._retry import Action, action_for, retry
from aiokafka._tasks import Supervisor
from aiokafka.admin._outcomes import Outcomes, passes
from aiokafka.admin._requests import AdminRequests
from aiokafka.admin.results import Results
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.protocol.metadata import ParsedMetadata
from aiokafka.structs import TopicPartition

log = logging.getLogger("aiokafka.admin.client")

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

#: What a response says of an item: the item, its error code and message, its result.
Answer: TypeAlias = tuple[K, int, "str | None", V]

# Seconds to wait for a refresh of the metadata before the next attempt; what is known may do.
_REFRESH = 1.0
_MOVED = (Errors.NotControllerError, Errors.KafkaConnectionError, Errors.NodeNotReadyError)


class AdminCall(AdminRequests):
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
        super().__init__(client, supervisor, what=what, deadline=deadline)
        self._news = news
        self._awaited_version: int | None = None

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
            decide=decide or retriable,
            on_retry=self._failed,
        )

    async def each(
        self,
        items: Iterable[K],
        attempt: Callable[[Outcomes[K, V]], Awaitable[None]],
        *,
        passing: Callable[[BaseException], bool] = passes,
    ) -> Results[K, V]:
        """Run *attempt* until every item has an outcome.

        Parameters:
            attempt: asks for the items that are pending and enters what it learns.
            passing: may an item that failed with that error succeed later?

        Raises:
            KafkaError: as :meth:`retry`, if no item has an outcome.  Else those without one get
                the error as theirs.
        """
        outcomes: Outcomes[K, V] = Outcomes(items, passing)

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

    async def each_by_place(
        self,
        places: Mapping[K, int | None],
        ask: Callable[[Outcomes[K, V], int | None, list[K]], Coroutine[Any, Any, None]],
    ) -> Results[K, V]:
        """:meth:`each`, where every broker is asked about its own items, all at the same time.

        Parameters:
            places: the broker of each item; None: any.
            ask: asks a broker about items and enters what it learns.
        """

        async def attempt(outcomes: Outcomes[K, V]) -> None:
            by_node: dict[int | None, list[K]] = {}
            for item in outcomes.pending:
                by_node.setdefault(places[item], []).append(item)
            await self.together(
                outcomes, [(items, ask(outcomes, node, items)) for node, items in by_node.items()]
            )

        return await self.each(places, attempt)

    async def each_answered(
        self,
        items: Iterable[K],
        send: Callable[[list[K]], Awaitable[Any]],
        read: Callable[[dict[str, Any], list[K]], Iterable[Answer[K, V]]],
        *,
        passing: Callable[[BaseException], bool] = passes,
    ) -> Results[K, V]:
        """:meth:`each`, where one request is about all pending items.

        Parameters:
            send: sends the request about items and returns the response.
            read: what the response, as dicts, says of them.
            passing: as for :meth:`each`.

        Raises:
            KafkaError: besides, the class for the error code of a whole response.
        """

        async def attempt(outcomes: Outcomes[K, V]) -> None:
            asked = list(outcomes.pending)
            self.enter(outcomes, asked, read(self.checked(await send(asked)), asked))

        return await self.each(items, attempt, passing=passing)

    @staticmethod
    def enter(
        outcomes: Outcomes[K, V], asked: Iterable[K], answers: Iterable[Answer[K, V]]
    ) -> None:
        """Enter what a response says of items."""
        for item, code, message, result in answers:
            outcomes.take(item, code, message, result)
        outcomes.unanswered(asked, "the broker's answer does not mention it")

    async def answer(self, send: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
        """:meth:`retry` a request and return the response as dicts.

        Raises:
            KafkaError: besides, the class for the error code of the response.
        """

        async def attempt() -> dict[str, Any]:
            return self.checked(await send())

        return await self.retry(attempt)

    def _failed(self, error: BaseException, action: Action, delay: float) -> None:
        # An item that may not exist is most likely a mistake of the caller's, who will be told.
        missing = isinstance(error, Errors.UnknownTopicOrPartitionError)
        news = not missing and self._news.is_news(type(error))
        level = logging.WARNING if news else logging.DEBUG
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

    async def each_by_leader(
        self,
        partitions: Iterable[TopicPartition],
        ask: Callable[
            [Outcomes[TopicPartition, V], int, list[TopicPartition]], Coroutine[Any, Any, None]
        ],
    ) -> Results[TopicPartition, V]:
        """:meth:`each`, by :meth:`by_leader`."""
        return await self.each(partitions, lambda outcomes: self.by_leader(outcomes, ask))


def retriable(error: BaseException) -> Action:
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
