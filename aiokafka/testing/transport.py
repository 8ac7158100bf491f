"""The two ends of a connection of the in-memory network.

Owns :class:`MemoryTransport`.  What one end writes waits in that end's queue until the link has
carried it to the other; the queue models the kernels' buffers and the window between them, so a
reader that stops reading makes the writer's ``pause_writing`` happen as with real sockets.
Runs no task and hands out no future: timers and callbacks of the loop only.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import enum
import errno
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .network import Link, MemoryServer

__all__ = ["Direction", "MemoryTransport"]

#: Bytes that both kernels together take before the writer's own buffer starts to fill.
WINDOW = 256 * 1024
HIGH_WATER = 64 * 1024


class Direction(enum.Enum):
    """Which way an end writes."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


class _Mark(enum.Enum):
    """What travels in a queue besides data."""

    FIN = "fin"
    RST = "rst"


class MemoryTransport(asyncio.Transport):
    """One end of an in-memory connection; an `asyncio.Transport` in every respect.

    Attributes:
        peer: the other end.
        direction: which way this end writes.
        failure: what broke the connection, if something did.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        link: Link,
        direction: Direction,
        local: tuple[str, int],
        remote: tuple[str, int],
    ) -> None:
        super().__init__()
        self.loop = loop
        self.link = link
        self.direction = direction
        self.peer: MemoryTransport | None = None
        self.server: MemoryServer | None = None
        self.failure: ConnectionError | None = None
        self.extra: dict[str, Any] = {"sockname": local, "peername": remote}
        self._protocol: asyncio.BaseProtocol | None = None
        self._queue: deque[tuple[float, bytes | _Mark]] = deque()
        self._queued = 0
        self._timer: asyncio.Handle | None = None
        self._closing = False
        self._lost = False
        self._swallowed = False
        self._fin_sent = False
        self._read_paused = False
        self._write_paused = False
        self._high = HIGH_WATER
        self._low = HIGH_WATER // 4
        link.transports[self] = None

    # -- asyncio.Transport ---------------------------------------------------------------------

    def __repr__(self) -> str:
        local, remote = self.extra["sockname"], self.extra["peername"]
        state = "lost" if self._lost else "closing" if self._closing else "open"
        return f"<MemoryTransport {local} -> {remote} {state}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.extra.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return not self._read_paused and not self._closing

    def pause_reading(self) -> None:
        self._read_paused = True

    def resume_reading(self) -> None:
        if self._read_paused:
            self._read_paused = False
            if self.peer is not None:
                self.peer._pump()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low
        self._check_high()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return max(0, self._queued - WINDOW)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if self._fin_sent and not self._closing:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._closing:
            return
        # A copy, as a socket takes one: the caller may change the buffer afterwards.
        self._put(bytes(data))
        self._queued += len(data)
        self._check_high()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._fin_sent and not self._closing:
            self._fin_sent = True
            self._put(_Mark.FIN)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if not self._fin_sent:
            self._fin_sent = True
            self._put(_Mark.FIN)
        if self.get_write_buffer_size() == 0:
            self.loop.call_soon(self._lose, None)

    def abort(self) -> None:
        if self._lost:
            return
        self._closing = True
        self._queue.clear()
        self._queued = 0
        self._put(_Mark.RST)
        self.loop.call_soon(self._lose, None)

    @property
    def lost(self) -> bool:
        """Whether ``connection_lost`` was called."""
        return self._lost

    # -- life ----------------------------------------------------------------------------------

    def open(self, protocol: asyncio.BaseProtocol) -> None:
        """Give a new connection its protocol."""
        self._protocol = protocol
        protocol.connection_made(self)
        if self.peer is not None:
            self.peer._pump()

    def swap(self, protocol: asyncio.BaseProtocol) -> None:
        """Replace the protocol that stood in during the TLS handshake."""
        if not self._lost:
            self.open(protocol)

    def reset(self, error: ConnectionError) -> None:
        """Break the connection at once for both ends; what is in flight is lost."""
        for end in (self, self.peer):
            if end is not None and not end._lost:
                end.failure = end.failure or error
                end._closing = True
                end._queue.clear()
                end._queued = 0
                self.loop.call_soon(end._lose, error)

    def vanish(self) -> None:
        """Lose this end without a word to the other, as when its host loses power.

        The other end learns of it when something it sends is answered with a reset.
        """
        self._closing = True
        self._queue.clear()
        self._queued = 0
        self.loop.call_soon(self._lose, None)

    def link_changed(self) -> None:
        """The link heals or breaks: look again at what waits."""
        self._pump()

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        if not self._queue:
            self._leave_link()
        if self._protocol is not None:
            self._protocol.connection_lost(error)

    def _leave_link(self) -> None:
        self.link.transports.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_high(self) -> None:
        if not self._write_paused and self.get_write_buffer_size() > self._high:
            self._write_paused = True
            self._tell("pause_writing")

    def _check_low(self) -> None:
        size = self.get_write_buffer_size()
        if self._write_paused and size <= self._low:
            self._write_paused = False
            self._tell("resume_writing")
        if self._closing and not self._lost and size == 0:
            self.loop.call_soon(self._lose, None)

    def _tell(self, what: str) -> None:
        if self._protocol is not None and not self._lost:
            getattr(self._protocol, what)()

    # -- carrying ------------------------------------------------------------------------------

    def _put(self, item: bytes | _Mark) -> None:
        arrives = self.loop.time() + self.link.delay()
        if self._queue and self._queue[-1][0] > arrives:
            arrives = self._queue[-1][0]  # a stream keeps its order
        self._queue.append((arrives, item))
        if self._timer is None:
            self._timer = self.loop.call_at(arrives, self._arrive)

    def _pump(self) -> None:
        """Set the timer for the head of the queue, if it may travel."""
        if self._queue and self._timer is None:
            when = max(self._queue[0][0], self.loop.time())
            self._timer = self.loop.call_at(when, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        peer = self.peer
        assert peer is not None
        if self.link.lost(self.direction):
            return  # link_changed() pumps again
        if peer._lost:
            self._bounce()
            return
        if (peer._protocol is None or peer._read_paused) and not self._rst_first():
            return  # open() or resume_reading() pumps again
        self._deliver(peer)
        if self._queue:
            self._pump()
        elif self._lost:
            self._leave_link()

    def _rst_first(self) -> bool:
        return bool(self._queue) and self._queue[0][1] is _Mark.RST

    def _bounce(self) -> None:
        """Data for an end that is gone is answered with a reset."""
        had_data = self._queued > 0
        self._queue.clear()
        self._queued = 0
        if self._lost:
            self._leave_link()
        elif had_data:
            error = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
            self.failure = error
            self._closing = True
            self._lose(error)
        elif self._closing:
            self._lose(None)

    def _deliver(self, peer: MemoryTransport) -> None:
        now = self.loop.time()
        data = self._take(now)
        if data:
            self._queued -= len(data)
            self._check_low()
            if self.direction is Direction.TO_SERVER and self.link.deaf:
                self._swallowed = True
            if not self._swallowed:
                peer._receive(data)
        elif self._queue and self._queue[0][0] <= now:
            mark = self._queue.popleft()[1]
            if mark is _Mark.RST:
                error = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
                peer.failure = peer.failure or error
                peer._closing = True
                self.loop.call_soon(peer._lose, error)
                self.link.wake()  # a TLS handshake may be waiting on it
            elif not self._swallowed:
                peer._receive_eof()

    def _take(self, now: float) -> bytes:
        """The bytes that arrive now, joined as TCP joins them, or cut at a random place."""
        queue = self._queue
        parts: list[bytes] = []
        while queue and queue[0][0] <= now and isinstance(queue[0][1], bytes):
            parts.append(queue.popleft()[1])  # type: ignore[arg-type]
        if not parts:
            return b""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        size = self.link.cut_point(len(data))
        if size < len(data):
            queue.appendleft((now + self.link.delay() / 4, data[size:]))
            data = data[:size]
        return data

    def _receive(self, data: bytes) -> None:
        protocol = self._protocol
        if self._closing:
            return
        if isinstance(protocol, asyncio.BufferedProtocol):
            view = memoryview(data)
            while view:
                buffer = memoryview(protocol.get_buffer(len(view))).cast("B")
                size = min(len(buffer), len(view))
                buffer[:size] = view[:size]
                protocol.buffer_updated(size)
                view = view[size:]
        elif isinstance(protocol, asyncio.Protocol):
            protocol.data_received(data)

    def _receive_eof(self) -> None:
        if self._closing:
            return
        keep_open = getattr(self._protocol, "eof_received", bool)()
        if not keep_open:
            self.close()
