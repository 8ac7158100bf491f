"""One request of a call, and where it goes: any broker, the controller, a coordinator, a leader.

Runs supervised tasks for a question put to several brokers; the call owns them and ends them
when it ends itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._tasks import Supervisor
from aiokafka.admin._outcomes import error_of, passes
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.coordination import FindCoordinatorRequest, parse_coordinators
from aiokafka.protocol.metadata import MetadataRequest, ParsedMetadata, parse

# Seconds a broker may keep silent before another one is asked as well, and how many at most,
# where any of them will do.
_PATIENCE = 1.0
_MOST = 3
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


class AdminRequests:
    """The part of a call that sends requests.

    Parameters:
        what: what the call does, for errors and logs.
        deadline: when it ends at the latest.
    """

    def __init__(
        self, client: AIOKafkaClient, supervisor: Supervisor, *, what: str, deadline: Deadline
    ) -> None:
        self.client = client
        self.what = what
        self.deadline = deadline
        self._supervisor = supervisor

    @property
    def broker_timeout_ms(self) -> int:
        """Milliseconds that a broker may take to carry out what it is asked now."""
        return max(1, as_milliseconds(self.deadline.remaining() * _BROKER_SHARE))

    def checked(self, response: Any) -> dict[str, Any]:
        """A response as dicts.

        Raises:
            KafkaError: the class for the error code of the whole response.
        """
        values: dict[str, Any] = response.to_object()
        code = values.get("error_code", 0)
        if code:
            raise error_of(code, values.get("error_message"), self.what)
        return values

    async def send(
        self,
        node_id: int,
        request: Any,
        *,
        share: float = 1.0,
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
            return await self.client.send(node_id, request, timeout=timeout)
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
        return await self.send_to_found(node_id, request)

    async def send_to_found(self, node_id: int, request: Any) -> Any:
        """Ask a coordinator or a leader that was looked up, and may not be that any more."""
        return await self.send(node_id, request, share=_SHARE)

    async def coordinator(self, coordinator_type: int, key: str) -> int:
        """The coordinator of a group (0) or of a transactional id (1), looked up once.

        Raises:
            KafkaError: the class for the error code of the answer.
        """
        response = await self.ask_any(FindCoordinatorRequest(key, coordinator_type))
        for _, code, message, node_id, host, port in parse_coordinators(response, key):
            if code:
                raise error_of(code, message, f"coordinator of {key!r}")
            self.client.cluster.add_broker(node_id, host, port)
            return node_id
        raise Errors.KafkaProtocolError("FindCoordinator response names no coordinator")

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


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error
