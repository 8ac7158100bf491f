"""The socket side of a connection: bytes and timers of asyncio on one end, requests on the other.

A :class:`Link` owns the transport, the receive buffers, the queue of requests in flight and
every future in it, and the connection's one timer.  It runs no task.  It resolves each future
exactly once: with the response, with the error of a response that cannot be read, or, from
:meth:`Link.shut`, with the reason the link ended.  ``closed`` is resolved when the transport
is gone.

The event loop refers to the link, and the link refers to its connection only weakly, so that
a connection nobody holds any more is collected and can warn (ResourceWarning).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import weakref
from collections.abc import Callable
from typing import Any, Protocol, cast

from aiokafka._wire.framing import Frame, FrameParser
from aiokafka._wire.pipeline import Buffer, Decoder, InFlight, Pipeline, WireRequest, frame_raw
from aiokafka.errors import KafkaConnectionError, KafkaProtocolError

#: Up to this many bytes a request is joined into one piece: cheaper than a gathering write.
JOIN_BYTES = 16384

#: Bytes held back for the end of the turn at most.
COALESCE_BYTES = 65536

#: Unsent bytes from which on a transport counts as full; asyncio's own default.
HIGH_WATER = 65536

#: Seconds a closing transport gets to flush and, under TLS, to say goodbye.
LINGER = 1.0

#: Largest answer while the connection is set up.  Small on purpose: the first four bytes of a
#: TLS alert or of text, read as a length, exceed it.
SETUP_FRAME_BYTES = 1 << 20

Future = asyncio.Future[Any]
OnDone = Callable[[Any, BaseException | None], None]


class LinkOwner(Protocol):
    """What a link tells its connection; each call comes at most once, save responses."""

    def _on_response(self, request: WireRequest | None, response: Any) -> None: ...
    def _on_out_of_step(self, error: KafkaProtocolError) -> None: ...
    def _on_request_timeout(self, late: list[InFlight[Waiter]]) -> None: ...
    def _on_idle(self) -> None: ...
    def _on_lost(self, error: BaseException | None) -> None: ...


class Receiver:
    """Stands in for a future where the answer is to be handled in the turn it arrives.

    A future's callbacks run a turn of the loop later; on the way of a produced record that is
    a turn for nothing.  *on_done* gets the response and None, or None and the error, once.
    It is called from within the transport's callbacks, so it must not raise.
    """

    __slots__ = ("_on_done",)

    def __init__(self, on_done: OnDone) -> None:
        self._on_done: OnDone | None = on_done

    def done(self) -> bool:
        return self._on_done is None

    def set_result(self, response: Any) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            on_done(response, None)

    def set_exception(self, error: BaseException) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            on_done(None, error)


Waiter = Future | Receiver


class Link(asyncio.BufferedProtocol):
    """One transport and the requests on it.

    Parameters:
        loop: the running loop.
        owner: told of what happens; held weakly.
        client_id: for the request headers.
        max_idle: seconds without a response and without a request in flight after which
            the owner is told; None for never.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: LinkOwner,
        client_id: str | None,
        max_idle: float | None,
    ) -> None:
        self._loop = loop
        self._owner = weakref.ref(owner)
        self.transport: asyncio.Transport | None = None
        self.parser = FrameParser(SETUP_FRAME_BYTES)
        self.pipeline: Pipeline[Waiter] = Pipeline(client_id)
        #: Requests can be written.
        self.up = False
        self.closed: asyncio.Future[None] = loop.create_future()
        self._write_paused = False
        self.last_action = self.last_response_at = loop.time()
        self._max_idle = max_idle
        self._shut = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._linger: asyncio.TimerHandle | None = None
        # Bytes to write at the end of this turn, and how many.
        self._held: list[Buffer] = []
        self._held_bytes = 0

    # -- asyncio's side -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked: uvloop's transports do not derive from asyncio's.
        transport = cast(asyncio.Transport, transport)
        if self._shut:
            # Closed while the loop was still connecting.
            transport.abort()
        self.transport = transport
        self.up = not self._shut
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # A peer that vanished without a word is noticed even if nobody sends.  Asyncio
            # itself sets TCP_NODELAY.  Unix sockets and the like may refuse.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.parser.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            frames = self.parser.buffer_updated(nbytes)
        except KafkaProtocolError as exc:
            self._out_of_step(exc)
            return
        for frame in frames:
            if self._shut:
                return
            self._frame_received(frame)

    def data_received(self, data: bytes) -> None:
        """For transports that bring their own bytes instead of filling our buffer."""
        rest = memoryview(data)
        while rest and not self._shut:
            target = self.parser.get_buffer()
            count = min(len(target), len(rest))
            target[:count] = rest[:count]
            self.buffer_updated(count)
            rest = rest[count:]

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.up = False
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if not self.closed.done():
            self.closed.set_result(None)
        if not self._shut:
            owner = self._owner()
            if owner is not None:
                owner._on_lost(exc)
            else:
                self.shut("the connection was lost", exc, abort=True)

    # -- the connection's side ------------------------------------------------------------

    @property
    def write_paused(self) -> bool:
        """The transport holds more unsent bytes than it should."""
        if self._write_paused or self.transport is None:
            return self._write_paused
        # writelines() of Python 3.12 and 3.13 forgets to call pause_writing().
        return self.transport.get_write_buffer_size() > HIGH_WATER

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the transport has not taken over the wire yet."""
        waiting = 0 if self.transport is None else self.transport.get_write_buffer_size()
        return self._held_bytes + waiting

    def send(self, request: WireRequest, timeout: float, decode: Decoder | None = None) -> Future:
        """Write *request*; the future gets its response."""
        future: Future = self._loop.create_future()
        self.send_for(future, request, timeout, decode)
        return future

    def send_for(
        self, waiter: Waiter, request: WireRequest, timeout: float, decode: Decoder | None = None
    ) -> None:
        """Write *request*; *waiter* gets its response."""
        number, parts = self.pipeline.frame(request)
        now = self._loop.time()
        # With nothing under way the answer's latency counts, so the bytes leave at once.
        # Otherwise requests made in one turn of the loop leave in one write at its end: five
        # at a time take a tenth less CPU and the broker reads them at once.
        idle = not self.pipeline.entries
        deadline = now + timeout
        self.pipeline.expect(number, request, waiter, now, deadline, decode)
        if deadline < self._timer_at:
            self._arm(deadline)
        self._write(parts, at_once=idle)

    def send_unanswered(self, request: WireRequest) -> Future:
        """Write a request that gets no answer; the future is done."""
        _, parts = self.pipeline.frame(request)
        self.last_action = self._loop.time()
        self._write(parts, at_once=False)
        waiter: Future = self._loop.create_future()
        waiter.set_result(None)
        return waiter

    def send_raw(self, payload: bytes, timeout: float, expect_response: bool) -> Future:
        """Write a frame without header; the future gets the frame that answers it."""
        waiter: Future = self._loop.create_future()
        if expect_response:
            now = self._loop.time()
            self.pipeline.expect_raw(waiter, now, now + timeout)
            self._arm(now + timeout)
        else:
            waiter.set_result(b"")
        self._write([frame_raw(payload)], at_once=True)
        return waiter

    def watch_idle(self) -> None:
        """Begin to look for idleness."""
        self.last_action = self._loop.time()
        if self._max_idle is not None:
            self._arm(self.last_action + self._max_idle)

    def shut(self, text: str, cause: BaseException | None, *, abort: bool) -> None:
        """End the link: every waiter fails now, the transport closes; idempotent.

        Parameters:
            text: message of the KafkaConnectionError each waiter gets.
            cause: its ``__cause__``.
            abort: drop what is still to be written instead of flushing it.
        """
        if self._shut:
            return
        if not abort:
            self._flush()
        self._shut = True
        self.up = False
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for entry in self.pipeline.drain():
            error = KafkaConnectionError(text)
            error.__cause__ = cause
            fail(entry.token, error)
        self._close_transport(abort)

    # -- inside ---------------------------------------------------------------------------

    def _close_transport(self, abort: bool) -> None:
        transport = self.transport
        if transport is None:
            if not self.closed.done():
                self.closed.set_result(None)
        elif not self.closed.done():
            if abort:
                transport.abort()
            else:
                transport.close()
            # A peer that does not read, or does not answer TLS close_notify, must not keep
            # the transport alive; and uvloop never says that the transport is gone when the
            # connect call was cancelled in the turn that made it.
            self._linger = self._loop.call_later(LINGER, self._end_lingering)

    def _end_lingering(self) -> None:
        self._linger = None
        if self.transport is not None:
            self.transport.abort()
        if not self.closed.done():
            self.closed.set_result(None)

    def _write(self, parts: list[Buffer], *, at_once: bool) -> None:
        if at_once and not self._held:
            self._put(parts, sum(map(len, parts)))
            return
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held += parts
        self._held_bytes += sum(map(len, parts))
        if self._held_bytes >= COALESCE_BYTES:
            self._flush()

    def _flush(self) -> None:
        parts = self._held
        if parts and not self._shut:
            size = self._held_bytes
            self._held, self._held_bytes = [], 0
            self._put(parts, size)

    def _put(self, parts: list[Buffer], size: int) -> None:
        transport = self.transport
        # The loss of a closing transport is reported in a later turn, and until then
        # writelines() of Python 3.12 touches the closed socket.
        if transport is None or transport.is_closing():
            return
        if size <= JOIN_BYTES:
            transport.write(b"".join(parts))
        else:
            transport.writelines(parts)

    def _frame_received(self, frame: Frame) -> None:
        try:
            entry, start = self.pipeline.match(frame)
        except KafkaProtocolError as exc:
            if self.pipeline.entries:
                # The request whose answer this should have been hears of it as it is.
                fail(self.pipeline.entries[0].token, exc)
            self._out_of_step(exc)
            return
        self.last_action = self.last_response_at = self._loop.time()
        waiter = entry.token
        if waiter.done():
            return  # cancelled meanwhile: the late answer is of no use, the link is
        try:
            response = self.pipeline.decode(entry, frame, start)
        except KafkaProtocolError as exc:
            fail(waiter, exc)
            self._out_of_step(exc)
            return
        owner = self._owner()
        if owner is not None:
            owner._on_response(entry.request, response)
        waiter.set_result(response)

    def _out_of_step(self, error: KafkaProtocolError) -> None:
        owner = self._owner()
        if owner is not None:
            owner._on_out_of_step(error)
        else:
            self.shut("the byte stream is out of step", error, abort=True)

    def _arm(self, when: float) -> None:
        """Have the timer fire at *when* or before; later requests never touch it."""
        if when >= self._timer_at or when == math.inf:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)
        self._timer_at = when

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        now = self._loop.time()
        owner = self._owner()
        if owner is None or self._shut:
            return
        late = self.pipeline.expired(now)
        if late:
            owner._on_request_timeout(late)
            return
        if self.pipeline.entries:
            self._arm(self.pipeline.next_deadline() or math.inf)
            if self._max_idle is not None:
                self._arm(now + self._max_idle)
        elif self._max_idle is not None:
            idle_at = self.last_action + self._max_idle
            if idle_at <= now:
                owner._on_idle()
            else:
                self._arm(idle_at)


def fail(waiter: Waiter, error: BaseException) -> None:
    """Give *waiter* an error, unless it has its outcome already."""
    if not waiter.done():
        waiter.set_exception(error)
        if isinstance(waiter, asyncio.Future):
            # Nobody has to ask for it: whoever dropped the future does not care any more, and
            # the end of the connection is reported elsewhere.
            waiter.exception()
