"""One node: its connection, the state of connecting to it, its backoff.

A :class:`Node` is a broker together with a connection group.  Connecting is a single flight:
whoever needs the node joins the attempt under way, and no attempt to one node ever waits for
another node.  After a failure the node backs off exponentially with jitter (KIP-144,
KIP-580); the time allowed for a whole connection setup (TCP, TLS, ApiVersions, SASL) grows
the same way (KIP-601).  A failed authentication is remembered until a later attempt succeeds.

Runs one supervised task while connecting; its future is resolved by that task on success and
failure, and by :meth:`Node.close`.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
from collections.abc import Callable

from aiokafka import errors as Errors
from aiokafka._config import ClientConfig
from aiokafka._conn.states import CloseReason
from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka._tasks import Supervisor
from aiokafka.conn import AIOKafkaConnection

log = logging.getLogger("aiokafka")

Connector = Callable[[str, int, float, Callable[..., None]], AIOKafkaConnection]


class NodeState(enum.Enum):
    """Where a node stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    READY = "ready"
    BACKING_OFF = "backing off"
    CLOSED = "closed"


TRANSITIONS: dict[NodeState, frozenset[NodeState]] = {
    NodeState.IDLE: frozenset({NodeState.CONNECTING, NodeState.CLOSED, NodeState.READY}),
    NodeState.CONNECTING: frozenset(
        {NodeState.READY, NodeState.BACKING_OFF, NodeState.IDLE, NodeState.CLOSED}
    ),
    NodeState.READY: frozenset(
        {NodeState.IDLE, NodeState.BACKING_OFF, NodeState.CLOSED, NodeState.READY}
    ),
    NodeState.BACKING_OFF: frozenset({NodeState.CONNECTING, NodeState.CLOSED, NodeState.READY}),
    NodeState.CLOSED: frozenset(),
}

AUTHENTICATION_ERRORS = (
    Errors.AuthenticationFailedError,
    Errors.AuthenticationMethodNotSupported,
    Errors.SaslAuthenticationFailed,
    Errors.UnsupportedSaslMechanismError,
    Errors.IllegalSaslStateError,
)

# Reasons for which a connection ends without anything being wrong with the node.
_PEACEFUL = frozenset({CloseReason.IDLE_DROP, CloseReason.SHUTDOWN})


class Node:
    """A broker as seen by one connection group.

    Parameters:
        name: for logs, such as ``"node 1 at kafka:9092"`` without the address.
        address: returns the current ``(host, port)``; asked again at each attempt, so that
            new metadata and a new DNS answer are used.
        connector: makes an unconnected connection from host, port, the setup timeout in
            seconds and the close callback.
        on_change: called after each change of state.
        news: what was reported of the broker, shared by its nodes of other groups: what keeps
            one of them from connecting mostly keeps them all.
    """

    def __init__(
        self,
        name: str,
        address: Callable[[], tuple[str, int] | None],
        *,
        config: ClientConfig,
        connector: Connector,
        supervisor: Supervisor,
        rng: random.Random,
        on_change: Callable[[Node], None],
        loop: asyncio.AbstractEventLoop,
        news: News | None = None,
    ) -> None:
        self.name = name
        self.state = NodeState.IDLE
        self.connection: AIOKafkaConnection | None = None
        self.failures = 0
        self.last_error: BaseException | None = None
        self._address = address
        self._config = config
        self._connector = connector
        self._supervisor = supervisor
        self._rng = rng
        self._on_change = on_change
        self._loop = loop
        self._retry_at = 0.0
        self._failing_since: float | None = None
        self._news = News(loop.time) if news is None else news
        self._attempt: asyncio.Task[None] | None = None

    # State

    def _become(self, state: NodeState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise Errors.IllegalStateError(
                f"{self.name}: illegal transition {self.state.name} -> {state.name}"
            )
        self.state = state
        self._on_change(self)

    @property
    def where(self) -> str:
        address = self._address()
        return self.name if address is None else f"{self.name} at {address[0]}:{address[1]}"

    @property
    def connected(self) -> bool:
        connection = self.connection
        return connection is not None and connection.connected()

    def delay(self) -> float:
        """Seconds until it makes sense to try this node: backoff or throttling, 0 for now."""
        now = self._loop.time()
        if self.connection is not None and self.connection.connected():
            return max(0.0, self.connection.throttled_until - now)
        return max(0.0, self._retry_at - now)

    # Connecting

    async def connect(self, deadline: Deadline | None = None) -> AIOKafkaConnection:
        """The node's connection, made if need be.

        Parameters:
            deadline: how long this caller waits; the attempt itself goes on for others
                within the connection setup timeout.

        Raises:
            KafkaConnectionError: the attempt failed, or the node is backing off from the
                last failure, which is then the cause.
            KafkaTimeoutError: *deadline* passed.
            KafkaError: authentication failed, or the broker speaks no common version.
        """
        if self.state is NodeState.CLOSED:
            raise Errors.KafkaConnectionError(f"{self.name}: the client is closed")
        if self.connection is not None and self.connection.connected():
            return self.connection
        if self._attempt is None:
            if self.delay() > 0:
                raise self._backing_off_error()
            self._start_attempt()
        attempt = self._attempt
        assert attempt is not None
        if deadline is None:
            await asyncio.wait((attempt,))
        else:
            await deadline.run(_finished(attempt), what=f"Connecting to {self.where}")
        if self.connection is not None and self.connection.connected():
            return self.connection
        error = self.last_error
        if error is None or attempt.cancelled():
            raise Errors.KafkaConnectionError(f"{self.where}: connection closed")
        if isinstance(error, Errors.KafkaError):
            raise error
        raise Errors.KafkaConnectionError(f"{self.where}: {error!r}") from error

    def _backing_off_error(self) -> Errors.KafkaError:
        error = self.last_error
        if isinstance(error, (*AUTHENTICATION_ERRORS, Errors.UnsupportedVersionError)):
            return error
        backing_off = Errors.KafkaConnectionError(
            f"{self.where}: backing off for another {self.delay() * 1000:.0f} ms after"
            f" {self.failures} failed attempt(s): {error}"
        )
        backing_off.__cause__ = error
        return backing_off

    def _start_attempt(self) -> None:
        self._become(NodeState.CONNECTING)
        self._attempt = self._supervisor.spawn(
            self._run_attempt(), name=f"connect {self.name}", on_crash=self._attempt_crashed
        )

    async def _run_attempt(self) -> None:
        setup_timeout = self._config.connection_setup.delay(self.failures, self._rng)
        try:
            address = self._address()
            if address is None:
                raise Errors.StaleMetadata(f"{self.name} is not in the metadata any more")
            connection = self._connector(*address, setup_timeout, self._connection_closed)
            await connection.connect(Deadline.after(setup_timeout))
        except (Errors.KafkaError, OSError, ValueError) as error:
            self._attempt = None
            self._failed(error)
        except asyncio.CancelledError:
            self._attempt = None
            if self.state is NodeState.CONNECTING:
                self._become(NodeState.IDLE)
            raise
        else:
            self._attempt = None
            self._connected(connection)

    def _attempt_crashed(self, error: BaseException) -> None:
        self._attempt = None
        if self.state is NodeState.CONNECTING:
            self._failed(error)

    def _connected(self, connection: AIOKafkaConnection) -> None:
        if self.state is NodeState.CLOSED:
            connection.close(reason=CloseReason.SHUTDOWN)
            return
        if self._failing_since is not None:
            log.info(
                "Connected to %s again after %d failed attempt(s) in %.1f s",
                self.where,
                self.failures,
                self._loop.time() - self._failing_since,
            )
        self.adopt(connection)

    def adopt(self, connection: AIOKafkaConnection) -> None:
        """Take an open connection as this node's."""
        self.connection = connection
        self.failures = 0
        self.last_error = None
        self._failing_since = None
        self._news.all_is_well()
        self._become(NodeState.READY)

    def _failed(self, error: BaseException) -> None:
        if self.state is NodeState.CLOSED:
            return
        delay = self._config.reconnect_backoff.delay(self.failures, self._rng)
        self.failures += 1
        self._retry_at = self._loop.time() + delay
        # An outage of ten minutes is one line, not one per attempt.
        news = self._news.is_news(type(error))
        log.log(
            logging.WARNING if news else logging.DEBUG,
            "Unable to connect to %s: %s (attempt %d, next in %.0f ms%s)",
            self.where,
            error,
            self.failures,
            delay * 1000,
            "; further failures are logged at debug" if news else "",
        )
        if self._failing_since is None:
            self._failing_since = self._loop.time()
        self.last_error = error
        self._become(NodeState.BACKING_OFF)

    # Losing the connection

    def _connection_closed(
        self, connection: AIOKafkaConnection, reason: CloseReason | None = None
    ) -> None:
        if connection is not self.connection:
            return
        self.connection = None
        if self.state is not NodeState.READY:
            return
        if reason in _PEACEFUL:
            self._become(NodeState.IDLE)
            return
        # The peer went away: a first reconnect may come soon, but not at once and not in
        # step with all other clients.
        self._retry_at = self._loop.time() + self._config.reconnect_backoff.delay(0, self._rng)
        # A broker (or whoever answers in its place) that talks nonsense is worth a warning.
        # Once: a broker may lose every connection as soon as it is used, for hours.
        level = logging.WARNING if reason is CloseReason.OUT_OF_SYNC else logging.INFO
        log.log(
            level if self._news.is_news(reason) else logging.DEBUG,
            "Lost the connection to %s (%s)%s",
            self.where,
            getattr(reason, "name", reason),
            f": {connection.close_cause}" if connection.close_cause is not None else "",
        )
        self._become(NodeState.BACKING_OFF)

    def release(self) -> AIOKafkaConnection | None:
        """Give the connection away (to another node object for the same broker)."""
        connection, self.connection = self.connection, None
        if self.state is NodeState.READY:
            self._become(NodeState.IDLE)
        return connection

    def close(self) -> asyncio.Future[None] | None:
        """Close for good.  Returns a future of the connection's end, None without one."""
        if self.state is NodeState.CLOSED:
            return None
        self._become(NodeState.CLOSED)
        if self._attempt is not None:
            self._attempt.cancel()
        connection, self.connection = self.connection, None
        if connection is None:
            return None
        return connection.close(reason=CloseReason.SHUTDOWN)


async def _finished(task: asyncio.Task[None]) -> None:
    """Wait for the end of a task that belongs to somebody else, whatever its result."""
    await asyncio.wait((task,))
