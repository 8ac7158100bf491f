"""A TCP proxy between a client and a broker that can spoil the network in between.

It runs in the event loop of the test.  Each accepted connection has two tasks,
one a direction, owned by the proxy and cancelled by `stop`.

    async with kafka.proxy(0) as proxy:
        producer = AIOKafkaProducer(bootstrap_servers=proxy.address)
        proxy.delay = 0.3            # seconds, each direction
        proxy.silence()              # nothing passes, connections stay open
        proxy.heal()                 # what was held back passes now
        proxy.cut()                  # reset every connection; new ones are welcome
        await proxy.refuse()         # reset every connection and stop listening
        await proxy.accept()         # listen again

The settings of the proxy hold for new and for existing connections; a `Link`
(one connection, see `links`) can be given settings of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
from collections import deque
from types import TracebackType

from .ports import free_port

_CHUNK = 64 * 1024


class Mode(enum.Enum):
    """What happens to the bytes of one direction."""

    PASS = "pass"
    HOLD = "hold"  # kept back until the mode changes
    LOSE = "lose"  # read and thrown away; such a connection is reset by heal()


class Link:
    """One connection of a client, and the one to the broker that belongs to it.

    `requests`, `answers` and `delay` override the proxy's when they are not `None`.
    """

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.requests: Mode | None = None
        self.answers: Mode | None = None
        self.delay: float | None = None
        self.bytes_up = 0
        self.bytes_down = 0
        self.spoiled = False
        self._proxy = proxy
        self._client = client
        self._broker: socket.socket | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<Link {self.bytes_up} bytes up, {self.bytes_down} down>"

    def mode(self, upstream: bool) -> Mode:
        """What happens now to the bytes of one direction."""
        own, shared = (
            (self.requests, self._proxy.requests)
            if upstream
            else (self.answers, self._proxy.answers)
        )
        return shared if own is None else own

    def current_delay(self) -> float:
        """Seconds that bytes are delayed by, each direction."""
        return self._proxy.delay if self.delay is None else self.delay

    async def run(self) -> None:
        """Forward both directions until either side closes."""
        loop = asyncio.get_running_loop()
        broker = socket.socket()
        broker.setblocking(False)
        self._broker = broker
        try:
            await loop.sock_connect(broker, self._proxy.target)
        except OSError:
            # Nothing listens behind the proxy: the client sees what it would see without it,
            # a connection that ends at once.
            self.reset()
            return
        for sock in (self._client, broker):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tasks = [
            loop.create_task(self._forward(self._client, broker, upstream=True)),
            loop.create_task(self._forward(broker, self._client, upstream=False)),
        ]
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._close()

    async def _forward(
        self, source: socket.socket, sink: socket.socket, *, upstream: bool
    ) -> None:
        """Read and write concurrently, so that a delay does not become a limit of throughput."""
        loop = asyncio.get_running_loop()
        queue: deque[tuple[float, bytes]] = deque()
        arrived = asyncio.Event()
        writer = loop.create_task(self._deliver(sink, queue, arrived, upstream=upstream))
        try:
            while True:
                data = await loop.sock_recv(source, _CHUNK)
                if upstream:
                    self.bytes_up += len(data)
                else:
                    self.bytes_down += len(data)
                queue.append((loop.time() + self.current_delay(), data))
                arrived.set()
                if not data:
                    break
            await writer
        except OSError:
            pass  # one side reset the connection: run() now closes the other one
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await writer

    async def _deliver(
        self,
        sink: socket.socket,
        queue: deque[tuple[float, bytes]],
        arrived: asyncio.Event,
        *,
        upstream: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not queue:
                arrived.clear()
                await arrived.wait()
            due, data = queue[0]
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            while (mode := self.mode(upstream)) is Mode.HOLD:
                await self._proxy.changed()
            queue.popleft()
            if not data:
                return
            if mode is Mode.LOSE:
                self.spoiled = True
            else:
                await loop.sock_sendall(sink, data)

    def reset(self) -> None:
        """Cut this connection: both sides see a reset."""
        for sock in (self._client, self._broker):
            if sock is not None:
                with contextlib.suppress(OSError):
                    # A linger time of zero makes close() send RST.
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for task in self._tasks:
            task.cancel()
        if not self._tasks:
            self._close()

    def _close(self) -> None:
        self._client.close()
        if self._broker is not None:
            self._broker.close()


class Proxy:
    """Listens on `port` of 127.0.0.1 and forwards to `target`; see the module's text.

    `delay` (seconds), `requests` and `answers` (`Mode`) may be changed at any
    time; after assigning a mode by hand call `wake`.
    """

    def __init__(self, target: tuple[str, int], *, port: int | None = None) -> None:
        self.target = target
        self.port = port or free_port()
        self.delay = 0.0
        self.requests = Mode.PASS
        self.answers = Mode.PASS
        self.accepted = 0
        self.links: list[Link] = []
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._changed: asyncio.Future[None] | None = None

    @property
    def address(self) -> str:
        """``host:port`` for a client's bootstrap servers."""
        return f"127.0.0.1:{self.port}"

    # -- life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen."""
        await self.accept()

    async def accept(self) -> None:
        """Listen again after `refuse`."""
        if self._listener is not None:
            return
        listener = socket.socket()
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self._listener = listener
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listener))

    async def refuse(self) -> None:
        """Reset every connection and stop listening: further ones are refused."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.cut()
        if self._running:
            await asyncio.wait(self._running)

    async def stop(self) -> None:
        """Close everything."""
        await self.refuse()

    async def __aenter__(self) -> Proxy:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            self.accepted += 1
            link = Link(self, client)
            self.links.append(link)
            task = loop.create_task(self._serve(link))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _serve(self, link: Link) -> None:
        try:
            await link.run()
        finally:
            self.links.remove(link)

    # -- the network -----------------------------------------------------------------------

    def silence(self) -> None:
        """Hold everything back, both ways: a deaf broker whose connections stay open."""
        self.requests = self.answers = Mode.HOLD
        self.wake()

    def deaf_answers(self) -> None:
        """Let requests through and hold the answers back."""
        self.requests, self.answers = Mode.PASS, Mode.HOLD
        self.wake()

    def lose_answers(self) -> None:
        """Let requests through and throw the answers away; `heal` resets such connections."""
        self.requests, self.answers = Mode.PASS, Mode.LOSE
        self.wake()

    def lose_requests(self) -> None:
        """Throw away what the client sends; `heal` resets such connections."""
        self.requests, self.answers = Mode.LOSE, Mode.PASS
        self.wake()

    def heal(self) -> None:
        """Let everything pass again; what was held back goes out now, in order."""
        self.requests = self.answers = Mode.PASS
        self.delay = 0.0
        for link in list(self.links):
            if link.spoiled:
                link.reset()
            link.requests = link.answers = link.delay = None
        self.wake()

    def cut(self) -> None:
        """Reset every connection."""
        for link in list(self.links):
            link.reset()

    def wake(self) -> None:
        """Tell the connections that a mode has changed."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None

    async def changed(self) -> None:
        """Wait for the next call of `wake`."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)


__all__ = ["Link", "Mode", "Proxy"]
