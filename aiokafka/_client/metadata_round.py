"""One round of asking the cluster for metadata, so that a silent node costs next to nothing.

A round asks the most promising node first.  When that node fails, or has not answered after
a short while, the next one is asked as well, and so on; the first good answer wins.  When no
known broker can be asked any more, the bootstrap servers are (KIP-899).

Requests to nodes that stay silent are not thrown away: they live in :class:`Outstanding`,
at most one for each node, and an answer that comes later is still taken.

Runs one supervised task for each node asked; the tasks end with the answer, the error, the
connection's end or :meth:`Outstanding.cancel`.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiokafka import errors as Errors
from aiokafka._client.connections import ConnectionPool, NodeId
from aiokafka._client.nodes import AUTHENTICATION_ERRORS
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._retry import Backoff
from aiokafka._tasks import Supervisor
from aiokafka.cluster import ClusterMetadata

log = logging.getLogger("aiokafka")

# How long one node may stay silent before another is asked beside it.  A healthy broker
# answers Metadata in a few milliseconds; a distant one costs one more request now and then.
HEDGE_DELAY = 0.1

# How long a node has to be silent before its address is connected to a second time.
_SECOND_CONNECTION = 1.0

Ask = Callable[[NodeId, "Topics"], Awaitable[Any]]
Topics = frozenset[str] | None  # None: all topics of the cluster

# After these nothing gets better by waiting: every broker of a cluster checks the same
# credentials and, as far as one client can tell, speaks the same versions.
HOPELESS = (
    *AUTHENTICATION_ERRORS,
    Errors.UnsupportedVersionError,
    Errors.IncompatibleBrokerVersion,
)


class RoundResult:
    """How a round ended: *updated*, or the errors met."""

    __slots__ = ("askable_in", "attempts", "errors", "updated")

    def __init__(
        self,
        updated: bool = False,
        attempts: int = 0,
        errors: list[BaseException] | None = None,
        askable_in: float | None = None,
    ) -> None:
        self.updated = updated
        self.attempts = attempts
        self.errors = [] if errors is None else errors
        #: When nobody could be asked because all were backing off: seconds until the first
        #: is not.
        self.askable_in = askable_in

    @property
    def last_error(self) -> BaseException | None:
        return self.errors[-1] if self.errors else None

    @property
    def hopeless(self) -> Errors.KafkaError | None:
        """The error because of which further rounds make no sense, if there is one."""
        for error in self.errors:
            if isinstance(error, HOPELESS):
                return error
        return None


def covers(asked: Topics, wanted: Topics) -> bool:
    """Does an answer about *asked* say all about *wanted*?"""
    if asked is None:
        return True
    return wanted is not None and wanted <= asked


class Outstanding:
    """Metadata requests that are on their way, one for each node at most."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._asked: dict[NodeId, asyncio.Task[bool]] = {}
        self._since: dict[NodeId, float] = {}
        self.started = 0  # number of requests, over all rounds
        self._topics: dict[asyncio.Task[bool], Topics] = {}

    def __contains__(self, node_id: NodeId) -> bool:
        return node_id in self._asked

    @property
    def tasks(self) -> list[asyncio.Task[bool]]:
        return list(self._topics)

    def topics_of(self, task: asyncio.Task[bool]) -> Topics:
        return self._topics.get(task, frozenset())

    def start(
        self, node_id: NodeId, topics: Topics, attempt: Coroutine[Any, Any, bool]
    ) -> asyncio.Task[bool]:
        task: asyncio.Task[bool] = self._supervisor.spawn(attempt, name=f"metadata from {node_id}")
        self.started += 1
        self._asked[node_id] = task
        self._since[node_id] = asyncio.get_running_loop().time()
        self._topics[task] = topics
        task.add_done_callback(functools.partial(self._done, node_id))
        return task

    def _done(self, node_id: NodeId, task: asyncio.Task[bool]) -> None:
        del self._asked[node_id], self._since[node_id]
        del self._topics[task]

    def age(self, node_id: NodeId) -> float:
        """Seconds since the node was asked, 0 when it is not being asked."""
        since = self._since.get(node_id)
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    def silence(self, pool: ConnectionPool) -> Errors.KafkaError | None:
        """An error that says who has not answered yet, and for how long; None if nobody is
        being asked."""
        if not self._since:
            return None
        now = asyncio.get_running_loop().time()
        nodes = ", ".join(
            f"{pool.node(node_id).where} for {as_milliseconds(now - since)} ms"
            for node_id, since in self._since.items()
        )
        return Errors.RequestTimedOutError(f"no answer to Metadata from {nodes}")

    def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()


class MetadataRound:
    """One round for one set of topics.

    Parameters:
        ask: sends the Metadata request to a node (connecting first) and returns the response.
        take: puts a good response into the cluster; may raise ``KafkaError`` for one that is
            not usable.
        backoff: how long a node that failed is left alone within this round.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        cluster: ClusterMetadata,
        topics: Topics,
        *,
        ask: Ask,
        take: Callable[[Any, Topics], None],
        outstanding: Outstanding,
        backoff: Backoff,
        rng: random.Random,
    ) -> None:
        self._pool = pool
        self._cluster = cluster
        self._topics = topics
        self._ask = ask
        self._take = take
        self._outstanding = outstanding
        self._backoff = backoff
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._result = RoundResult()
        self._failures: dict[NodeId, int] = {}
        self._not_before: dict[NodeId, float] = {}

    def candidates(self) -> list[NodeId]:
        """Nodes that can be asked now, most promising first: connected and answering,
        connectable, connected but silent, bootstrap servers when nothing else is left."""
        ranked: list[tuple[int, float, NodeId]] = []
        # Sorted, so that chance is drawn in the same order in every process.
        for node_id in sorted(
            broker.nodeId
            for broker in self._cluster.brokers()
            if not isinstance(broker.nodeId, str)
        ):
            if self._usable(node_id):
                ranked.append((self._rank(node_id), self._rng.random(), node_id))
        if ranked:
            ranked.sort(key=_by_rank)
            return [node_id for _, _, node_id in ranked]
        # KIP-899: every known broker is unavailable, backing off, or was asked already.
        held = self._addresses_in_hand()
        bootstrap: list[NodeId] = [
            name
            for name in self._pool.bootstrap_ids
            if self._usable(name) and self._pool.address(name) not in held
        ]
        self._rng.shuffle(bootstrap)
        return bootstrap

    def _addresses_in_hand(self) -> set[tuple[str, int] | None]:
        """Addresses of known brokers: a bootstrap server there would be the same broker.

        Not of those that have been silent for long: the connection may be dead without our
        knowing, and a new one to the same address may come through.
        """
        return {
            (broker.host, broker.port)
            for broker in self._cluster.brokers()
            if self._outstanding.age(broker.nodeId) < _SECOND_CONNECTION
            and not self._cluster.is_bootstrap(broker.nodeId)
        }

    def _usable(self, node_id: NodeId) -> bool:
        if node_id in self._outstanding:
            return False
        if self._loop.time() < self._not_before.get(node_id, -math.inf):
            return False
        node = self._pool.known(node_id)
        return node is None or node.connected or node.delay() <= 0

    def _rank(self, node_id: NodeId) -> int:
        if self._failures.get(node_id):
            return 4
        node = self._pool.known(node_id)
        if node is None or node.connection is None or not node.connected:
            return 1 if node is None or node.failures == 0 else 2
        return 3 if node.connection.oldest_in_flight_age() > HEDGE_DELAY else 0

    async def run(self, deadline: Deadline) -> RoundResult:
        """Ask until a good answer has come, nobody is left to ask, or *deadline*."""
        while not deadline.expired:
            candidates = self.candidates()
            if candidates:
                self._start(candidates[0])
            running = self._outstanding.tasks
            if not running:
                break
            asked = {task: self._outstanding.topics_of(task) for task in running}
            # Wake up even when nobody answers: to ask another node beside the silent one, or
            # one whose backoff has ended.
            done, _ = await asyncio.wait(
                running,
                timeout=min(HEDGE_DELAY, deadline.remaining()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task, topics in asked.items():
                if task in done:
                    self._note(task, topics)
            if self._result.updated:
                break
        if not self._result.updated and not self._result.errors:
            self._result.errors.append(self._why_not())
            if not self._result.attempts:
                self._result.askable_in = self._askable_in()
        return self._result

    def _askable_in(self) -> float | None:
        held = self._addresses_in_hand()
        names = [
            *(broker.nodeId for broker in self._cluster.brokers()),
            *(name for name in self._pool.bootstrap_ids if self._pool.address(name) not in held),
        ]
        delays = [node.delay() for name in names if (node := self._pool.known(name)) is not None]
        return min(delays, default=None)

    def _start(self, node_id: NodeId) -> None:
        self._result.attempts += 1
        self._outstanding.start(node_id, self._topics, self._attempt(node_id))

    async def _attempt(self, node_id: NodeId) -> bool:
        """Ask one node; False with the error noted when that came to nothing."""
        try:
            response = await self._ask(node_id, self._topics)
            self._take(response, self._topics)
        except (Errors.KafkaError, OSError, asyncio.TimeoutError) as error:
            log.debug("No metadata from %s: %s", self._pool.node(node_id).where, error)
            self._leave_alone(node_id)
            self._result.errors.append(error)
            return False
        except Exception:
            # A defect of ours, which the next attempt would meet at once again.
            self._leave_alone(node_id)
            raise
        return True

    def _leave_alone(self, node_id: NodeId) -> None:
        failures = self._failures.get(node_id, 0)
        self._failures[node_id] = failures + 1
        self._not_before[node_id] = self._loop.time() + self._backoff.delay(failures, self._rng)

    def _note(self, task: asyncio.Task[bool], asked: Topics) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            # A defect, already logged by the supervisor; the round goes on with the others.
            self._result.errors.append(error)
        elif task.result() and covers(asked, self._topics):
            self._result.updated = True

    def _why_not(self) -> BaseException:
        """The cause of a round in which nobody even refused."""
        failed = [node for node in self._pool.nodes() if node.last_error is not None]
        if failed and not self._result.attempts:
            error = failed[-1].last_error
            assert error is not None
            return error
        silence = self._outstanding.silence(self._pool)
        return silence or Errors.NoBrokersAvailable("no broker to ask for metadata")


def _by_rank(entry: tuple[int, float, NodeId]) -> tuple[int, float]:
    return entry[0], entry[1]
