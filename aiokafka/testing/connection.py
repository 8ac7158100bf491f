"""The server's end of one connection, and what faults do to the answers on it.

Owns :class:`BrokerConnection`.  Requests of one connection are handled one after the other, as by
a real broker: while an answer is outstanding (delayed, waiting for records or for a group, or
swallowed by a fault) the connection is not read further.  Runs no task.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
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
from .handlers import HANDLERS
from .handlers.sasl import SaslSession
from .pending import Pending
from .received import ReceivedRequest
from .responses import garbage_frame, respond, unsupported_version_answer

if TYPE_CHECKING:
    from .broker import FakeBroker

__all__ = ["BrokerConnection"]

A = TypeVar("A")

_INT32 = struct.Struct(">i")
_MAX_REQUEST_SIZE = 100 * 1024 * 1024


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
        if not broker.alive or (self.cluster.network is None and not broker.admits()):
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
