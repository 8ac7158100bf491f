"""How many Produce requests each node has, and when a node can take the next.

Runs one short task for each node being connected to, and at most one timer a node.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from aiokafka._deadline import as_milliseconds
from aiokafka._retry import Backoff
from aiokafka._tasks import Supervisor
from aiokafka.errors import RequestTimedOutError

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient
    from aiokafka.producer._backlog import Backlog


# Requests that get no answer (acks=0) are limited by what the socket takes: from this many
# unsent bytes on the node is left alone for so many seconds.
_MOST_UNSENT = 1 << 20
_UNSENT_PAUSE = 0.01


class _Lane:
    """The way to one node."""

    __slots__ = ("clogged_since", "closed_for", "in_flight", "timer")

    def __init__(self) -> None:
        self.in_flight = 0
        # Being connected to, or left alone until the timer fires.
        self.closed_for = False
        self.timer: asyncio.TimerHandle | None = None
        self.clogged_since: float | None = None


class Lanes:
    """The ways to all nodes.

    Parameters:
        client: tells whether a node is connected, and connects.
        max_in_flight: unanswered Produce requests a node may have.
        answered: whether requests get answers. Where they do, unsent bytes are bounded by the
            requests in flight.
        backlog: is told when a node can take requests again.
        backoff: shortest wait for a node that cannot be connected to.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        *,
        max_in_flight: int,
        answered: bool,
        supervisor: Supervisor,
        backlog: Backlog,
        backoff: Backoff,
    ) -> None:
        self._client = client
        self._max_in_flight = max_in_flight
        self._answered = answered
        self._supervisor = supervisor
        self._backlog = backlog
        self._backoff = backoff
        self._lanes: dict[int, _Lane] = {}

    def busy(self) -> set[int]:
        """Nodes that have unanswered requests."""
        return {node_id for node_id, lane in self._lanes.items() if lane.in_flight}

    def room(self, node_id: int) -> int:
        """How many more requests the node can take now; sees to it that it can later."""
        lane = self._lanes.get(node_id)
        if lane is None:
            lane = self._lanes[node_id] = _Lane()
        if lane.closed_for:
            return 0
        if self._client.is_ready(node_id):
            if not self._answered and self._clogged(node_id, lane):
                return 0
            return self._max_in_flight - lane.in_flight
        lane.closed_for = True
        delay = self._client.ready_delay(node_id)
        if delay > 0:
            self._open_later(node_id, lane, delay)
        else:
            self._supervisor.spawn(
                self._connect(node_id, lane),
                name=f"connect-{node_id}",
                on_crash=functools.partial(self._not_connected, node_id, lane),
            )
        return 0

    def _clogged(self, node_id: int, lane: _Lane) -> bool:
        """Whether the node reads nothing; it is left alone for a moment then, and its
        connection is dropped when that lasts for ``request_timeout_ms``."""
        if self._client.unsent_bytes(node_id) < _MOST_UNSENT:
            lane.clogged_since = None
            return False
        now = self._client._loop.time()
        lane.clogged_since = lane.clogged_since or now
        lane.closed_for = True
        self._open_later(node_id, lane, _UNSENT_PAUSE)
        if now - lane.clogged_since >= self._client._request_timeout:
            waited = as_milliseconds(now - lane.clogged_since)
            lane.clogged_since = None
            self._client.disconnect(
                node_id, RequestTimedOutError(f"node {node_id} has read nothing for {waited} ms")
            )
        return True

    def enter(self, node_id: int) -> None:
        """A request to the node is being sent."""
        self._lanes[node_id].in_flight += 1

    def leave(self, node_id: int) -> None:
        """A request to the node has ended."""
        self._lanes[node_id].in_flight -= 1
        self._backlog.unpark(node_id)

    async def _connect(self, node_id: int, lane: _Lane) -> None:
        if await self._client.ready(node_id):
            lane.closed_for = False
            self._backlog.unpark(node_id)
        else:
            self._not_connected(node_id, lane, self._client.last_error(node_id))

    def _not_connected(self, node_id: int, lane: _Lane, error: BaseException | None) -> None:
        if error is not None:
            self._backlog.obstruct(node_id, error)
        shortest = self._backoff.delay(0, self._client._rng)
        self._open_later(node_id, lane, max(shortest, self._client.ready_delay(node_id)))

    def _open_later(self, node_id: int, lane: _Lane, delay: float) -> None:
        lane.timer = self._client._loop.call_later(delay, self._open, node_id, lane)

    def _open(self, node_id: int, lane: _Lane) -> None:
        lane.timer = None
        lane.closed_for = False
        self._backlog.unpark(node_id)

    def close(self) -> None:
        """No node is needed any more."""
        for lane in self._lanes.values():
            if lane.timer is not None:
                lane.timer.cancel()
                lane.timer = None
