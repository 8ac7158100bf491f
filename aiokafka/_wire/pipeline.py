"""Requests on their way and the answers that belong to them.

A Kafka broker answers the requests of one connection in the order they were sent, so the
pipeline is a queue: an answer belongs to its head or the connection is out of step.  The
pipeline numbers the requests, frames them, matches and decodes answers, and knows which
request has waited too long.

It owns the queue but not the waiters: a waiter is whatever the caller gave as ``token`` (the
connection's futures), handed back once, by :meth:`Pipeline.match` or :meth:`Pipeline.drain`.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from aiokafka.errors import CorrelationIdError, KafkaProtocolError

from .framing import Frame

Buffer = bytes | bytearray | memoryview
#: From a frame and where its body begins to the response and where it ends.
Decoder = Callable[[Any, int], tuple[Any, int]]
Token = TypeVar("Token")

#: A smaller answer is copied to bytes before it is decoded: slices of a memoryview cost more.
COPY_BYTES = 1 << 19

_CORRELATION_IDS = 1 << 31
_API_VERSIONS = 18
_FIND_COORDINATOR = 10

_head = struct.Struct(">ihhi")
_correlation_id_at = struct.Struct(">i").unpack_from
_client_id_length = struct.Struct(">h")
_raw_length = struct.Struct(">i")


class WireRequest(Protocol):
    """What the pipeline needs of a request struct."""

    @property
    def API_KEY(self) -> int: ...
    @property
    def API_VERSION(self) -> int: ...
    @property
    def FLEXIBLE_VERSION(self) -> bool: ...
    @property
    def RESPONSE_TYPE(self) -> Any: ...
    def encode_parts(self) -> Sequence[Buffer]: ...


class InFlight(Generic[Token]):
    """One request that waits for its answer; times in seconds of the caller's clock."""

    __slots__ = ("correlation_id", "deadline", "decode", "request", "sent_at", "token")

    def __init__(
        self,
        correlation_id: int | None,
        request: WireRequest | None,
        token: Token,
        sent_at: float,
        deadline: float,
        decode: Decoder | None,
    ) -> None:
        #: None for a bare SASL token, which carries no header.
        self.correlation_id = correlation_id
        self.request = request
        self.token = token
        self.sent_at = sent_at
        self.deadline = deadline
        self.decode = decode

    @property
    def name(self) -> str:
        """The request's name for messages, such as ``MetadataRequest_v12``."""
        return "SASL token" if self.request is None else type(self.request).__name__


class Pipeline(Generic[Token]):
    """The requests of one connection.

    Parameters:
        client_id: sent in every request's header; None sends a null.
    """

    __slots__ = ("_correlation_id", "_tail", "_tail_flexible", "entries")

    def __init__(self, client_id: str | None) -> None:
        #: Requests that wait for an answer, oldest first.
        self.entries: deque[InFlight[Token]] = deque()
        self._correlation_id = 0
        # The part of the header that never changes: header v1, and v2 with its empty tags.
        raw = b"" if client_id is None else client_id.encode()
        self._tail = _client_id_length.pack(-1 if client_id is None else len(raw)) + raw
        self._tail_flexible = self._tail + b"\0"

    def next_correlation_id(self) -> int:
        """Advance to the next number: 1, 2, ... 2**31 - 1, 0, 1, ..."""
        self._correlation_id = number = (self._correlation_id + 1) % _CORRELATION_IDS
        return number

    def frame(self, request: WireRequest) -> tuple[int, list[Buffer]]:
        """Number and encode *request*; returns its correlation id and the bytes to write.

        Nothing has changed when encoding raises.
        """
        parts = request.encode_parts()
        tail = self._tail_flexible if request.FLEXIBLE_VERSION else self._tail
        size = 8 + len(tail)
        for part in parts:
            size += len(part)
        number = self.next_correlation_id()
        head = _head.pack(size, request.API_KEY, request.API_VERSION, number) + tail
        return number, [head, *parts]

    def expect(
        self,
        correlation_id: int,
        request: WireRequest,
        token: Token,
        sent_at: float,
        deadline: float,
        decode: Decoder | None = None,
    ) -> None:
        """Queue a framed request as waiting for its answer.

        Parameters:
            decode: turns the answer's body into what the waiter gets; by default the
                request's ``RESPONSE_TYPE.decode_from``.
        """
        if decode is None:
            decode = request.RESPONSE_TYPE.decode_from
        self.entries.append(InFlight(correlation_id, request, token, sent_at, deadline, decode))

    def expect_raw(self, token: Token, sent_at: float, deadline: float) -> None:
        """Queue a waiter for a frame without header (SASL tokens after SaslHandshake v0)."""
        self.entries.append(InFlight(None, None, token, sent_at, deadline, None))

    def match(self, frame: Frame) -> tuple[InFlight[Token], int]:
        """Find the request *frame* answers and take it from the queue.

        Returns:
            The request, and where in the frame the answer's body begins.

        Raises:
            CorrelationIdError: the frame answers nothing that was asked, or not the oldest
                request; the request at the head of the queue stays there.
            KafkaProtocolError: the frame is too short to have a header.
        """
        if not self.entries:
            raise CorrelationIdError("the broker sent an answer that no request waits for")
        entry = self.entries[0]
        expected = entry.correlation_id
        request = entry.request
        if expected is None or request is None:
            return self.entries.popleft(), 0
        if len(frame) < 4:
            raise KafkaProtocolError(f"the answer to {entry.name} has no header")
        (received,) = _correlation_id_at(frame)
        if received != expected and not _zero_is_allowed(request, received):
            raise CorrelationIdError(
                f"the answer expected next is number {expected} to {entry.name},"
                f" but number {received} came"
            )
        start = 4
        # ApiVersions answers in header v0 always: the client cannot know yet what the broker
        # understands (KIP-511).
        if request.FLEXIBLE_VERSION and request.API_KEY != _API_VERSIONS:
            start = _after_tags(frame, entry)
        self.entries.popleft()
        return entry, start

    def decode(self, entry: InFlight[Token], frame: Frame, start: int) -> Any:
        """Turn the body of an answer into the response.

        Raises:
            KafkaProtocolError: the body is not what the request's version calls for; the
                decoder's own error is its cause.
        """
        if entry.decode is None:
            return bytes(frame)
        if len(frame) < COPY_BYTES and type(frame) is memoryview:
            frame = bytes(frame)
        try:
            return entry.decode(frame, start)[0]
        except KafkaProtocolError:
            raise
        except Exception as exc:
            # Whatever a decoder trips over in bytes from outside is the same to the caller.
            raise KafkaProtocolError(
                f"the answer to {entry.name} ({len(frame)} bytes) cannot be decoded: {exc}"
            ) from exc

    def next_deadline(self) -> float | None:
        """When the first request will have waited too long; None when none waits."""
        return min((entry.deadline for entry in self.entries), default=None)

    def expired(self, now: float) -> list[InFlight[Token]]:
        """The requests that have waited too long at *now*, oldest first."""
        return [entry for entry in self.entries if entry.deadline <= now]

    def drain(self) -> Iterator[InFlight[Token]]:
        """Take every request from the queue, oldest first."""
        while self.entries:
            yield self.entries.popleft()


def frame_raw(payload: Buffer) -> bytes:
    """A frame without header."""
    return _raw_length.pack(len(payload)) + payload


def _zero_is_allowed(request: WireRequest, received: int) -> bool:
    # Brokers before 0.9 answered FindCoordinator v0 with correlation id 0.
    return received == 0 and request.API_KEY == _FIND_COORDINATOR and request.API_VERSION == 0


def _after_tags(frame: Frame, entry: InFlight[Any]) -> int:
    """Where the body begins after response header v1: the tags are unknown, so skipped."""
    try:
        if frame[4] == 0:
            return 5
        count, position = _varint(frame, 4)
        # Each tag takes at least two bytes, so a huge count ends at the frame's end.
        for _ in range(count):
            _, position = _varint(frame, position)
            size, position = _varint(frame, position)
            position += size
            if position > len(frame):
                raise IndexError
    except IndexError:
        raise KafkaProtocolError(
            f"the header of the answer to {entry.name} is cut short"
        ) from None
    return position


def _varint(frame: Frame, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        byte = frame[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError
