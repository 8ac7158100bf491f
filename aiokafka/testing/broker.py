"""One fake broker: its listening address, its life and its death.

Owns :class:`FakeBroker`.  Runs no task, except that on real sockets :meth:`FakeBroker.restart`
opens the port in a task of its cluster.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .connection import BrokerConnection
from .fetch_sessions import FetchSessions
from .network import Link, MemoryServer

if TYPE_CHECKING:
    from .cluster import FakeCluster

__all__ = ["FakeBroker"]


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
        server.admits = self.admits
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

    def admits(self) -> bool:
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
            if handle.cancelled():
                return
            if self.frozen:
                self.hold(due)
            else:
                callback()

        handle = self.cluster.loop.call_later(delay, due)
        return handle
