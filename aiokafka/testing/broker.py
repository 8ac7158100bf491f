"""One fake broker: its listening address, its connections, and what faults do to answers.

Owns :class:`FakeBroker` and the server's side of each connection.  Requests of one connection are
handled one after the other, as by a real broker: while an answer is outstanding (delayed, waiting
for records or for a group, or swallowed by a fault) the connection is not read further.  Runs no
task, except that on real sockets :meth:`FakeBroker.restart` opens the port in a task of its
cluster.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .codec import API_VERSIONS_KEY, encode_response, parse_header, request_class
from .faults import (
    Cut,
    Deaf,
    Delay,
    Do,
    Garbage,
    HalfFrame,
    LostAnswer,
    Rewrite,
    Then,
    Throttle,
    WrongCorrelationId,
)
from .fetch_sessions import FetchSessions
from .handlers import HANDLERS
from .handlers.sasl import SaslSession
from .network import Link, MemoryServer
from .pending import Pending
from .received import ReceivedRequest
from .responses import garbage_frame, respond, unsupported_version_answer

if TYPE_CHECKING:
    from .cluster import FakeCluster

__all__ = ["BrokerConnection", "FakeBroker"]

A = TypeVar("A")

_INT32 = struct.Struct(">i")
_MAX_REQUEST_SIZE = 100 * 1024 * 1024


class FakeBroker:
    """A broker of a :class:`~aiokafka.testing.cluster.FakeCluster`.

    Attributes:
        node_id: its id.
        host, port: where it listens and what it advertises; ``port`` is 0 until it is opened.
        rack: its rack, or ``None``.
        alive: the process runs.
        frozen: the process is stopped (SIGSTOP): the kernel accepts, nothing is answered.
        fenced: the controller has given it up; its partitions went to others.
        refusing: connections are refused although the process runs.
        versions: API versions by key that it advertises instead of the cluster's, or ``None``.
        connections: the open connections, oldest first.
        fetch_sessions: the incremental fetch sessions it keeps.
    """

    def __init__(self, cluster: FakeCluster, node_id: int, host: str, port: int) -> None:
        self.cluster = cluster
        self.node_id = node_id
        self.host = host
        self.port = port
        self.rack: str | None = None
        self.alive = False
        self.frozen = False
        self.fenced = False
        self.refusing = False
        self.versions: Mapping[int, tuple[int, int]] | None = None
        self.connections: dict[BrokerConnection, None] = {}
        self.fetch_sessions = FetchSessions(cluster.rng)
        self._held: list[Callable[[], None]] = []
        self._memory_server: MemoryServer | None = None
        self._socket_server: asyncio.AbstractServer | None = None

    def __repr__(self) -> str:
        state = "dead" if not self.alive else "frozen" if self.frozen else "up"
        return f"<FakeBroker {self.node_id} {self.address} {state}>"

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def listening(self) -> bool:
        """Whether its port is open: on real sockets that takes a moment after a restart."""
        return self._memory_server is not None or self._socket_server is not None

    @property
    def link(self) -> Link:
        """The in-memory link to it; `RuntimeError` on real sockets."""
        network = self.cluster.network
        if network is None:
            raise RuntimeError("there are no links on real sockets")
        return network.link(self.host, self.port)

    @property
    def memory_server(self) -> MemoryServer:
        """The in-memory server behind it, for its TLS hooks."""
        if self._memory_server is None:
            raise RuntimeError("there is no in-memory server")
        return self._memory_server

    # -- life ----------------------------------------------------------------------------------

    def open_in_memory(self) -> None:
        """Listen in the in-memory network."""
        network = self.cluster.network
        assert network is not None
        server = network.listen(
            self.host, self.port, lambda: BrokerConnection(self), tls=self.cluster.tls
        )
        self.port = server.address[1]
        server.tls_ready = lambda: not self.frozen
        server.admits = self._admits
        self._memory_server = server
        self.alive = True

    async def open_sockets(self) -> None:
        """Listen on a real loopback socket."""
        self.alive = True
        server = await self.cluster.loop.create_server(
            lambda: BrokerConnection(self),
            self.host,
            self.port,
            family=socket.AF_INET,
            ssl=self.cluster.ssl_context,
        )
        if not self.alive:  # killed while opening
            server.close()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._socket_server = server
        self.cluster.changed()

    def _admits(self) -> bool:
        """Whether a new connection gets through; in memory a refusal is a real one."""
        return not self.refusing and not self.cluster.faults.refuses(self.node_id)

    def kill(self) -> None:
        """End the process: connections are reset, new ones refused."""
        if not self.alive:
            return
        self.alive = False
        self.frozen = False
        self._held.clear()
        self.fetch_sessions.evict()
        for server in (self._memory_server, self._socket_server):
            if server is not None:
                server.close()
        self._memory_server = self._socket_server = None
        self.drop_connections()
        self.cluster.broker_gone(self, self.cluster.failover_delay)

    def power_off(self) -> None:
        """End the host: like :meth:`kill`, but clients are not told (in memory only).

        Packets to it are lost; once :meth:`restart` has brought it back, what clients send on
        their old connections is answered with a reset.
        """
        self.link.blackhole()
        self.link.vanish()
        self.kill()

    def restart(self) -> None:
        """Start the process again, at the same address."""
        if self.alive:
            self.kill()
        if self.cluster.network is not None:
            self.open_in_memory()
            self.link.heal()
        else:
            self.cluster.spawn(self.open_sockets())
        self.cluster.broker_back(self)

    def freeze(self) -> None:
        """Stop the process (SIGSTOP): it accepts and reads nothing more."""
        if not self.alive or self.frozen:
            return
        self.frozen = True
        for connection in self.connections:
            connection.pause()
        self.cluster.broker_gone(self, self.cluster.session_timeout)

    def thaw(self) -> None:
        """Continue the process (SIGCONT): it works off what has arrived meanwhile."""
        if not self.frozen:
            return
        self.frozen = False
        held, self._held = self._held, []
        # Other brokers have gone on: it learns that it was fenced before it reads on.
        self.cluster.broker_back(self)
        for resume in held:
            resume()
        for connection in list(self.connections):
            connection.resume()
        if self._memory_server is not None:
            self._memory_server.tls_changed()

    def drop_connections(self) -> None:
        """Reset every connection."""
        for connection in list(self.connections):
            connection.reset()

    async def wait_closed(self) -> None:
        """Wait until the sockets of a killed broker are closed."""
        await self.cluster.wait_until(
            lambda: not self.connections, what=f"closing the connections of {self!r}"
        )

    # -- used by connections -------------------------------------------------------------------

    def hold(self, callback: Callable[[], None]) -> None:
        """Call back at the thaw."""
        self._held.append(callback)

    def later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back after ``delay`` seconds, or after a thaw if it is frozen then."""

        def due() -> None:
            if self.frozen:
                self.hold(callback)
            else:
                callback()

        return self.cluster.loop.call_later(delay, due)


class BrokerConnection(asyncio.Protocol):
    """The server's end of one connection.

    Attributes:
        connection_id: its number in the cluster.
        sasl: state of its authentication, ``None`` where none is asked for.
    """

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.cluster = broker.cluster
        self.connection_id = self.cluster.next_connection_id()
        self.sasl = SaslSession(self.cluster) if self.cluster.sasl_users is not None else None
        self.closed = False
        self._transport: Any = None
        self._buffer = bytearray()
        self._frames: deque[bytes] = deque()
        self._busy = False
        self._pending: Pending | None = None

    # -- asyncio.Protocol ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        broker = self.broker
        if not broker.alive or (self.cluster.network is None and not broker._admits()):
            self.closed = True
            self._reset_transport()
            return
        broker.connections[self] = None
        if broker.frozen:
            self.pause()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._frames.clear()
        if self._pending is not None:
            self._pending.abandon()
        self.broker.connections.pop(self, None)
        self.cluster.changed()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _INT32.size:
            (size,) = _INT32.unpack_from(buffer)
            if not 0 <= size <= _MAX_REQUEST_SIZE:
                self.close()
                return
            if len(buffer) < _INT32.size + size:
                break
            self._frames.append(bytes(buffer[_INT32.size : _INT32.size + size]))
            del buffer[: _INT32.size + size]
        self._work()

    def eof_received(self) -> bool:
        # What came before the end is answered first, as far as there is somebody to read it.
        return False

    # -- life ----------------------------------------------------------------------------------

    def pause(self) -> None:
        """The process is frozen."""
        if not self.closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """The process goes on."""
        if not self.closed:
            self._transport.resume_reading()
            self._work()

    def close(self) -> None:
        """Close in an orderly way (FIN)."""
        if not self.closed:
            self.closed = True
            self._transport.close()

    def reset(self) -> None:
        """Reset the connection; what is under way is lost."""
        if not self.closed:
            self.closed = True
            self._reset_transport()

    def _reset_transport(self) -> None:
        raw = self._transport.get_extra_info("socket")
        if raw is not None:
            # Real sockets: lingering for no time makes closing send RST instead of FIN.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    # -- requests ------------------------------------------------------------------------------

    def _work(self) -> None:
        while self._frames and not self._busy and not self.closed and not self.broker.frozen:
            self._busy = True
            self._process(self._frames.popleft())

    def _done(self) -> None:
        self._busy = False

    def _done_later(self) -> None:
        self._done()
        self._work()

    def _process(self, frame: bytes) -> None:
        if self.sasl is not None and self.sasl.raw:
            self._raw_sasl(frame)
            return
        try:
            received = self._receive(frame)
        except ValueError:
            # A broker drops a connection on which it cannot make sense of a request.
            self.close()
            return
        if received is None:
            return
        self.cluster.received(received)
        received.faults = self.cluster.faults.take(received)
        for fault in received.faults:
            if isinstance(fault.action, Do):
                fault.action.callback(received)
        if self.closed:
            return
        if self.broker.frozen:  # by its own arrival: it is handled after the thaw
            self.broker.hold(lambda: self._handle(received))
            return
        self._handle(received)

    def _receive(self, frame: bytes) -> ReceivedRequest | None:
        """The decoded request; ``None`` when it was answered or refused already."""
        header = parse_header(frame)
        if not self.cluster.speaks(self.broker, header.api_key, header.api_version):
            if header.api_key != API_VERSIONS_KEY:
                self.close()
                return None
            self._send(unsupported_version_answer(self.cluster, self.broker, header))
            self._done()
            return None
        if self.sasl is not None and not self.sasl.allows(header.api_key):
            self.close()
            return None
        request_type = request_class(header.api_key, header.api_version)
        assert request_type is not None
        return ReceivedRequest(
            time=self.cluster.loop.time(),
            node_id=self.broker.node_id,
            connection_id=self.connection_id,
            api_key=header.api_key,
            version=header.api_version,
            correlation_id=header.correlation_id,
            client_id=header.client_id,
            request=request_type.decode(frame[header.body_at :]),
            cluster=self.cluster,
        )

    def _raw_sasl(self, token: bytes) -> None:
        """SASL without Kafka requests around the tokens (SaslHandshake v0)."""
        assert self.sasl is not None
        answer = self.sasl.raw_step(token)
        if answer is None:
            self.close()
            return
        self._send(_INT32.pack(len(answer)) + answer)
        self._done()

    def _handle(self, received: ReceivedRequest) -> None:
        """Apply the request and answer it, as its faults have it."""
        if _action(received, Cut) is not None:
            self.reset()
            return
        if _action(received, Deaf) is not None:
            return  # busy for ever
        garbage = _action(received, Garbage)
        if garbage is not None:
            self._send(garbage_frame(garbage, received, self.cluster.rng))
            self._done()
            return
        delay = self.cluster.answer_delay(received)
        late = [f.action for f in received.faults if isinstance(f.action, Delay)]
        delay += sum(action.draw(self.cluster.rng) for action in late)
        if all(action.applied for action in late):
            self._apply(received, delay)
        else:
            self.broker.later(delay, lambda: self._apply(received, 0.0, resumed=True))

    def _apply(self, received: ReceivedRequest, delay: float, *, resumed: bool = False) -> None:
        """Have the request handled, and the answer sent ``delay`` seconds after it is known."""
        if self.closed:
            return
        handler = self.cluster.handlers.get(received.api_key) or HANDLERS[received.api_key]
        outcome = handler(received, self)
        self.cluster.changed()
        if isinstance(outcome, Pending):
            self._pending = outcome
            outcome.bind(lambda values: self._answer_later(received, values, delay))
            return
        answer = self._encode(received, outcome)
        if delay > 0:
            self.broker.later(delay, lambda: self._deliver_later(received, answer))
        elif resumed:
            self._deliver_later(received, answer)
        else:
            self._deliver(received, answer)

    def _answer_later(
        self, received: ReceivedRequest, values: dict[str, Any], delay: float
    ) -> None:
        """A pending answer is known; it is sent in a turn of its own, since the one who gave it
        may be in the midst of something."""
        self._pending = None
        if self.closed:
            return
        answer = self._encode(received, values)
        self.broker.later(delay, lambda: self._deliver_later(received, answer))

    def _encode(self, received: ReceivedRequest, values: dict[str, Any] | None) -> bytes | None:
        """The frame to send; ``None`` for a request that wants no answer."""
        if values is None or self.closed:
            return None
        throttle = _action(received, Throttle)
        values.setdefault("throttle_time_ms", 0 if throttle is None else throttle.throttle_time_ms)
        for fault in received.faults:
            if isinstance(fault.action, Rewrite):
                fault.action.callback(received, values)
        correlation_id = received.correlation_id
        wrong = _action(received, WrongCorrelationId)
        if wrong is not None:
            correlation_id += wrong.offset
        return encode_response(received.request, correlation_id, respond(received, values))

    def _deliver_later(self, received: ReceivedRequest, answer: bytes | None) -> None:
        self._deliver(received, answer)
        self._work()

    def _deliver(self, received: ReceivedRequest, answer: bytes | None) -> None:
        if self.closed:
            return
        if answer is None:
            self._done()
            return
        lost = _action(received, LostAnswer)
        half = _action(received, HalfFrame)
        if half is not None:
            self._send(answer[: max(1, int(len(answer) * half.fraction))])
        if lost is not None or half is not None:
            then = lost.then if lost is not None else half.then  # type: ignore[union-attr]
            if then is Then.CUT:
                # After half a frame orderly, so that the half arrives.
                (self.close if half is not None else self.reset)()
            return
        self._send(answer)
        received.answered_at = self.cluster.loop.time()
        self.cluster.changed()
        throttle = _action(received, Throttle)
        if throttle is not None:
            self.broker.later(throttle.throttle_time_ms / 1000, self._done_later)
        elif self.sasl is not None and self.sasl.failed:
            self.close()
        else:
            self._done()

    def _send(self, data: bytes) -> None:
        if not self.closed:
            self._transport.write(data)


def _action(received: ReceivedRequest, kind: type[A]) -> A | None:
    """The first fault of a kind among those that apply."""
    for fault in received.faults:
        if isinstance(fault.action, kind):
            return fault.action
    return None
