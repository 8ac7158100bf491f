"""A network inside the process, for :class:`~aiokafka.testing.virtual_time.VirtualTimeLoop`.

Owns name resolution, listening servers, and the :class:`Link` to each address, which says how
packets to it fare: latency, splitting, refusal, loss.  The connections themselves live in
:mod:`aiokafka.testing.transport`.  Runs no task: everything happens in callbacks of the loop.
The futures awaited by :meth:`MemoryNetwork.connect` are resolved by the simulated handshake; a
handshake whose packets are lost leaves them pending, as TCP does, until the link heals or the
caller gives up.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import random
import socket
import ssl as ssl_module
from collections.abc import Callable, Iterable
from typing import Any

from .transport import Direction, MemoryTransport

__all__ = ["Link", "MemoryNetwork", "MemoryServer"]

ProtocolFactory = Callable[[], asyncio.BaseProtocol]
Latency = float | tuple[float, float]

#: asyncio's own default bound on a TLS handshake, in seconds.
DEFAULT_TLS_TIMEOUT = 60.0

_FIRST_EPHEMERAL_PORT = 49152
#: A fatal alert "unexpected_message", which a TLS server answers to plain text.
_TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x0a"


class Link:
    """How packets fare between clients and one address.  Attributes may change at any time.

    Args:
        network: the network it belongs to.
        latency: one-way delay in seconds, or a ``(low, high)`` range to draw each from.
        chunking: probability that a delivery is split at a random byte.

    .. versionadded:: 0.14.1
    """

    def __init__(
        self, network: MemoryNetwork, latency: Latency = 0.0005, chunking: float = 0.0
    ) -> None:
        self._network = network
        self.latency = latency
        self.chunking = chunking
        #: Connections are refused although a server listens.
        self.refuse = False
        #: The server's kernel accepts and acknowledges, but what arrives is thrown away.  A
        #: connection that lost bytes this way stays deaf: its stream has a hole.
        self.deaf = False
        self._to_server_lost = False
        self._to_client_lost = False
        self._tls_deaf = False
        self._waiting: list[asyncio.Future[None]] = []
        self.transports: dict[MemoryTransport, None] = {}

    @property
    def to_server_lost(self) -> bool:
        """Packets towards the server are lost: SYNs, data, FIN and RST.  Data survives in the
        sender's kernel and arrives when the link heals, as with TCP's retransmission."""
        return self._to_server_lost

    @to_server_lost.setter
    def to_server_lost(self, lost: bool) -> None:
        self._to_server_lost = lost
        self._changed()

    @property
    def to_client_lost(self) -> bool:
        """The same for packets from the server: the connection is half open."""
        return self._to_client_lost

    @to_client_lost.setter
    def to_client_lost(self, lost: bool) -> None:
        self._to_client_lost = lost
        self._changed()

    @property
    def tls_deaf(self) -> bool:
        """TCP connects, but nobody answers the TLS handshake."""
        return self._tls_deaf

    @tls_deaf.setter
    def tls_deaf(self, deaf: bool) -> None:
        self._tls_deaf = deaf
        self._changed()

    def blackhole(self) -> None:
        """Lose everything in both directions: a pulled cable.  Connecting never completes."""
        self._to_server_lost = self._to_client_lost = True
        self._changed()

    def heal(self) -> None:
        """Undo refusal, deafness and loss; what was held back arrives."""
        self.refuse = self.deaf = False
        self._to_server_lost = self._to_client_lost = self._tls_deaf = False
        self._changed()

    def cut(self) -> None:
        """Reset every connection: both sides get `ConnectionResetError` at once."""
        for transport in list(self.transports):
            transport.reset(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
        self.wake()

    def vanish(self) -> None:
        """Lose every server end silently, as when the host loses power (see
        :meth:`MemoryTransport.vanish`)."""
        for transport in list(self.transports):
            if transport.direction is Direction.TO_CLIENT:
                transport.vanish()

    def delay(self) -> float:
        """One-way delay of the next packet, in seconds."""
        latency = self.latency
        if isinstance(latency, tuple):
            return self._network.rng.uniform(*latency)
        return latency

    def cut_point(self, size: int) -> int:
        """How many of ``size`` bytes arrive together."""
        rng = self._network.rng
        if size > 1 and self.chunking and rng.random() < self.chunking:
            return rng.randrange(1, size)
        return size

    def lost(self, direction: Direction) -> bool:
        """Whether packets in that direction are lost now."""
        if direction is Direction.TO_SERVER:
            return self._to_server_lost
        return self._to_client_lost

    async def wait_until(self, passes: Callable[[], bool]) -> None:
        """Wait until ``passes()``, asked again at every change of the link."""
        while not passes():
            future = self._network.loop.create_future()
            self._waiting.append(future)
            try:
                await future
            finally:
                if future in self._waiting:
                    self._waiting.remove(future)

    def wake(self) -> None:
        """Let connection attempts that wait on this link look at it again."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _changed(self) -> None:
        self.wake()
        for transport in list(self.transports):
            transport.link_changed()


class MemoryServer(asyncio.AbstractServer):
    """A listening address of the in-memory network.

    Attributes:
        tls: connections speak (simulated) TLS; a plain-text client gets an alert and is cut off.
        tls_error: raised in a client's ``create_connection`` instead of completing its TLS
            handshake, for example an `ssl.SSLCertVerificationError`.
        tls_ready: asked before a TLS handshake is answered; while it says False, it is not.
            Call :meth:`tls_changed` when the answer may have changed.
        admits: asked for each connection attempt; while it says False, it is refused.
    """

    def __init__(
        self,
        network: MemoryNetwork,
        host: str,
        address: tuple[str, int],
        factory: ProtocolFactory,
        tls: bool,
    ) -> None:
        self.network = network
        self.host = host
        self.address = address
        self.factory = factory
        self.tls = tls
        self.tls_error: BaseException | None = None
        self.tls_ready: Callable[[], bool] = _always
        self.admits: Callable[[], bool] = _always
        self._closed: asyncio.Future[None] = network.loop.create_future()

    @property
    def sockets(self) -> tuple[()]:
        """No socket stands behind this server; see :attr:`address`."""
        return ()

    def tls_changed(self) -> None:
        """Look again at :attr:`tls_ready`."""
        self.network.link(*self.address).wake()

    def close(self) -> None:
        """Stop listening.  Connections already made live on."""
        self.network._servers.pop(self.address, None)
        if not self._closed.done():
            self._closed.set_result(None)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self.network.loop

    async def start_serving(self) -> None:
        """Serving starts with listening."""

    async def serve_forever(self) -> None:
        await self.wait_closed()

    def is_serving(self) -> bool:
        return not self._closed.done()

    async def wait_closed(self) -> None:
        await asyncio.shield(self._closed)


class MemoryNetwork:
    """Host names, listening servers and links, all in memory.

    Args:
        loop: the loop its callbacks run on.
        rng: draws latencies and the places where data is split.

    Attributes:
        default_latency: latency of links made later (see :class:`Link`).
        default_chunking: their probability of splitting data.

    .. versionadded:: 0.14.1
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: random.Random) -> None:
        self.loop = loop
        self.rng = rng
        self.default_latency: Latency = 0.0005
        self.default_chunking = 0.0
        #: Name servers do not answer: resolving never completes.
        self.dns_deaf = False
        self._names: dict[str, tuple[str, ...]] = {"localhost": ("127.0.0.1",)}
        self._servers: dict[tuple[str, int], MemoryServer] = {}
        self._links: dict[tuple[str, int], Link] = {}
        self._next_address = 1
        self._next_port = _FIRST_EPHEMERAL_PORT

    # -- names ---------------------------------------------------------------------------------

    def add_host(self, name: str, *addresses: str) -> str:
        """Make ``name`` resolve to ``addresses`` (default: a new one); returns the first.

        Naming a known host again moves it, as when a broker comes back under a new address.
        """
        if not addresses:
            number = self._next_address
            self._next_address += 1
            addresses = (f"10.0.{number // 250}.{number % 250 + 1}",)
        self._names[name] = addresses
        return addresses[0]

    def remove_host(self, name: str) -> None:
        """Make ``name`` unknown: resolving it raises `socket.gaierror`."""
        self._names.pop(name, None)

    def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of ``host``; an address literal stands for itself."""
        known = self._names.get(host)
        if known is not None:
            return known
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise socket.gaierror(
                socket.EAI_NONAME, f"Name or service not known: {host}"
            ) from None
        return (host,)

    async def resolve(self, host: str) -> tuple[str, ...]:
        """Like :meth:`addresses`, but never completes while :attr:`dns_deaf` is set."""
        if self.dns_deaf:
            await self.loop.create_future()
        return self.addresses(host)

    # -- servers and links ---------------------------------------------------------------------

    def listen(
        self, host: str, port: int, protocol_factory: ProtocolFactory, *, tls: bool = False
    ) -> MemoryServer:
        """Serve ``protocol_factory`` at ``host:port``.

        An unknown host name is given an address; port 0 picks a free one.  `OSError`
        (``EADDRINUSE``) when somebody listens there already.
        """
        try:
            address = self.addresses(host)[0]
        except socket.gaierror:
            address = self.add_host(host)
        if port == 0:
            port = self.free_port()
        key = (address, port)
        if key in self._servers:
            raise OSError(errno.EADDRINUSE, f"address already in use: {host}:{port}")
        server = MemoryServer(self, host, key, protocol_factory, tls)
        self._servers[key] = server
        return server

    def free_port(self) -> int:
        """A port that nobody was given before."""
        self._next_port += 1
        return self._next_port

    def link(self, host: str, port: int) -> Link:
        """The link to ``host:port``, by which its faults are scripted."""
        key = (self.addresses(host)[0], port)
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = Link(self, self.default_latency, self.default_chunking)
        return link

    def links(self, host: str | None = None) -> list[Link]:
        """The links to every port of ``host``, or all of them."""
        if host is None:
            return list(self._links.values())
        address = self.addresses(host)[0]
        return [link for key, link in self._links.items() if key[0] == address]

    def partition(self, *hosts: str) -> None:
        """Separate ``hosts`` from all clients: every packet is lost until :meth:`heal`."""
        for link in self._links_of(hosts):
            link.blackhole()

    def heal(self, *hosts: str) -> None:
        """Heal the links to ``hosts``, or every link."""
        for link in self._links_of(hosts) if hosts else self.links():
            link.heal()

    def _links_of(self, hosts: Iterable[str]) -> list[Link]:
        found = []
        for host in hosts:
            address = self.addresses(host)[0]
            for server in self._servers.values():
                if server.address[0] == address:
                    self.link(*server.address)
            found.extend(self.links(host))
        return found

    @property
    def connections(self) -> list[MemoryTransport]:
        """The client ends of all connections that are not lost yet."""
        return [
            transport
            for link in self._links.values()
            for transport in link.transports
            if transport.direction is Direction.TO_SERVER and not transport.lost
        ]

    # -- connecting ----------------------------------------------------------------------------

    async def connect(
        self,
        protocol_factory: ProtocolFactory,
        host: str,
        port: int,
        *,
        ssl: ssl_module.SSLContext | bool | None = None,
        ssl_handshake_timeout: float | None = None,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """What the loop's ``create_connection`` does: resolve, TCP, then TLS if asked."""
        errors: list[OSError] = []
        for address in await self.resolve(host):
            try:
                client = await self._connect_tcp((address, port))
            except OSError as error:
                errors.append(error)
                continue
            try:
                if ssl:
                    timeout = ssl_handshake_timeout or DEFAULT_TLS_TIMEOUT
                    await self._bounded_tls(client, timeout)
                    client.extra["sslcontext"] = ssl
                if client.failure is not None:
                    raise client.failure
            except BaseException:
                client.abort()
                raise
            protocol = protocol_factory()
            client.open(protocol)
            return client, protocol
        if len(errors) == 1:
            raise errors[0]
        raise OSError(f"Multiple exceptions: {', '.join(map(str, errors))}")

    async def _connect_tcp(self, address: tuple[str, int]) -> MemoryTransport:
        link = self.link(*address)
        await link.wait_until(lambda: not link.to_server_lost)
        await asyncio.sleep(link.delay())
        server = self._servers.get(address)
        client: MemoryTransport | None = None
        if server is not None and not link.refuse and server.admits():
            client = self._accept(link, server)
        try:
            await link.wait_until(lambda: not link.to_client_lost)
            await asyncio.sleep(link.delay())
        except BaseException:
            if client is not None:
                client.abort()
            raise
        if client is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed {address}")
        return client

    def _accept(self, link: Link, server: MemoryServer) -> MemoryTransport:
        """Make both ends of a connection; returns the client's."""
        local = ("10.255.0.1", self.free_port())
        client = MemoryTransport(self.loop, link, Direction.TO_SERVER, local, server.address)
        accepted = MemoryTransport(self.loop, link, Direction.TO_CLIENT, server.address, local)
        client.peer, accepted.peer = accepted, client
        client.server = server
        if server.tls:
            # The application sees nothing of a connection before its TLS handshake.
            accepted.open(_TlsWall())
        else:
            accepted.open(server.factory())
        return client

    async def _bounded_tls(self, client: MemoryTransport, timeout: float) -> None:
        try:
            await asyncio.wait_for(self._handshake_tls(client), timeout)
        except asyncio.TimeoutError:
            raise ConnectionAbortedError(
                f"SSL handshake is taking longer than {timeout} seconds: aborting the connection"
            ) from None

    async def _handshake_tls(self, client: MemoryTransport) -> None:
        server, link, accepted = client.server, client.link, client.peer
        assert server is not None and accepted is not None

        def answered() -> bool:
            return client.failure is not None or not (
                link.deaf
                or link.tls_deaf
                or link.to_server_lost
                or link.to_client_lost
                or not server.tls_ready()
            )

        for _ in range(2):  # ClientHello .. Finished: one more round trip
            await link.wait_until(answered)
            await asyncio.sleep(link.delay())
        if client.failure is not None:
            raise client.failure
        if not server.tls:
            raise ssl_module.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
        if server.tls_error is not None:
            raise server.tls_error
        accepted.swap(server.factory())


class _TlsWall(asyncio.Protocol):
    """What a plain-text client meets on a TLS port: a fatal alert and the end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_TLS_ALERT)
        self._transport.close()


def _always() -> bool:
    return True
