"""A broker for connection tests: scripted per API, bytes written by hand from the protocol page.

Nothing of the package's own codec is used here, so that both are not wrong in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType

from aiokafka._conn.link import Link
from aiokafka._conn.states import ConnectionState
from aiokafka.conn import AIOKafkaConnection

METADATA, HANDSHAKE, API_VERSIONS, AUTHENTICATE = 3, 17, 18, 36

#: Metadata is offered in version 0 only: short to write, and one answer fits all tests.
OFFERED = {METADATA: (0, 0), HANDSHAKE: (0, 1), API_VERSIONS: (0, 4), AUTHENTICATE: (0, 1)}

NO_BROKERS = bytes(8)  # the body of a Metadata v0 answer without brokers and topics


@dataclass
class Request:
    """A request as it came in."""

    connection: Peer
    key: int
    version: int
    number: int
    client_id: str
    body: bytes

    def reply(self, body: bytes, number: int | None = None) -> None:
        header = struct.pack(">i", self.number if number is None else number)
        self.connection.send(frame(header + body))


#: Returns nothing, or something to await before the next request is read.
Answer = Callable[[Request], object]


def frame(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


def string(text: str | None) -> bytes:
    if text is None:
        return b"\xff\xff"
    return struct.pack(">h", len(text.encode())) + text.encode()


def octets(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


class Peer:
    """The broker's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.ended = asyncio.get_running_loop().create_future()

    def send(self, data: bytes) -> None:
        if not self.writer.is_closing():
            self.writer.write(data)

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()

    async def read_frame(self) -> bytes:
        (size,) = struct.unpack(">i", await self.reader.readexactly(4))
        return await self.reader.readexactly(size)


def metadata(request: Request) -> None:
    request.reply(NO_BROKERS)


def api_versions(
    offered: dict[int, tuple[int, int]], error: int = 0, features: dict[str, int] | None = None
) -> Answer:
    """Answer ApiVersions in the version asked for."""

    def answer(request: Request) -> None:
        if request.version < 3:
            rows = b"".join(struct.pack(">hhh", key, *bounds) for key, bounds in offered.items())
            body = struct.pack(">hi", error, len(offered)) + rows
            request.reply(body if request.version == 0 else body + bytes(4))
            return
        rows = b"".join(struct.pack(">hhhb", key, *bounds, 0) for key, bounds in offered.items())
        body = struct.pack(">hb", error, len(offered) + 1) + rows + bytes(4)
        request.reply(body + finalized(features or {}))

    return answer


def finalized(features: dict[str, int]) -> bytes:
    """The tagged fields of ApiVersions v3+: tag 1 their epoch, tag 2 the finalized features."""
    if not features:
        return b"\0"
    rows = bytes([len(features) + 1])
    for name, level in features.items():
        rows += bytes([len(name) + 1]) + name.encode() + struct.pack(">hhb", level, 0, 0)
    return b"\x02\x01\x08" + struct.pack(">q", 5) + b"\x02" + bytes([len(rows)]) + rows


def refuse_above(highest: int, listed: bool) -> Answer:
    """A broker that knows ApiVersions up to *highest*; the refusal is always version 0."""
    accept = api_versions({**OFFERED, API_VERSIONS: (0, highest)})

    def answer(request: Request) -> object:
        if request.version <= highest:
            return accept(request)
        row = struct.pack(">ihhh", 1, API_VERSIONS, 0, highest) if listed else bytes(4)
        request.reply(struct.pack(">h", 35) + row)
        return None

    return answer


def handshake(error: int = 0, mechanisms: tuple[str, ...] = ("PLAIN",)) -> Answer:
    def answer(request: Request) -> None:
        body = struct.pack(">hi", error, len(mechanisms))
        request.reply(body + b"".join(map(string, mechanisms)))

    return answer


def authenticated(request: Request, token: bytes = b"", lifetime_ms: int = 0) -> None:
    body = struct.pack(">h", 0) + string(None) + octets(token)
    request.reply(body + (struct.pack(">q", lifetime_ms) if request.version else b""))


def not_authenticated(request: Request, error: int = 58, text: str | None = "no") -> None:
    body = struct.pack(">h", error) + string(text) + octets(b"")
    request.reply(body + (bytes(8) if request.version else b""))


def plain(username: str, password: str, lifetime_ms: int = 0) -> Answer:
    def answer(request: Request) -> None:
        if request.body[4:] == f"{username}\0{username}\0{password}".encode():
            authenticated(request, lifetime_ms=lifetime_ms)
        else:
            not_authenticated(request, text="Invalid username or password")

    return answer


def deaf(request: Request) -> None:
    """Read it and never answer."""


def hang_up(request: Request) -> None:
    request.connection.close()


@dataclass
class Broker:
    """An asyncio server on loopback that answers by API key; unknown keys are an error.

    As a context manager it listens, and on the way out ends every connection.
    """

    answers: dict[int, Answer] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    #: Takes over a connection from its first byte.
    script: Callable[[Peer], Awaitable[None]] | None = None
    #: Frames after this many are bare SASL tokens for `tokens`.
    tokens: Callable[[Peer, bytes], None] | None = None
    requests: list[Request] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    bare: bool = False

    async def __aenter__(self) -> Broker:
        self.answers = {
            API_VERSIONS: api_versions(OFFERED),
            METADATA: metadata,
            HANDSHAKE: handshake(),
            **self.answers,
        }
        self.arrived = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        self.port: int = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What was accepted a moment ago has not come to `_accept` yet, and asyncio leaks the
        # transport when its server is closed before that.
        for _ in range(5):
            await asyncio.sleep(0)
        self.server.close()
        for task in self.tasks:
            task.cancel()
        for peer in self.peers:
            peer.abort()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self.server.wait_closed()

    def connection(self, **options: object) -> AIOKafkaConnection:
        options.setdefault("request_timeout_ms", 5000)
        options.setdefault("socket_connection_setup_timeout_ms", 5000)
        host = options.pop("host", "127.0.0.1")
        return AIOKafkaConnection(host, self.port, **options)  # type: ignore[arg-type]

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Until *condition* holds; looked at whenever something arrives."""
        while not condition():
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 5)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self.arrived.set()
        try:
            await (self._serve(peer) if self.script is None else self.script(peer))
        except (EOFError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass  # the client, or the test, is done
        finally:
            peer.ended.set_result(None)
            self.arrived.set()
            writer.close()
            self.tasks.discard(task)

    async def _serve(self, peer: Peer) -> None:
        while True:
            data = await peer.read_frame()
            if self.bare:
                assert self.tokens is not None
                self.tokens(peer, data)
                self.arrived.set()
                continue
            request = parse(peer, data)
            self.requests.append(request)
            self.arrived.set()
            result = self.answers[request.key](request)
            if isinstance(result, Awaitable):
                await result
            if self.tokens is not None and request.key == HANDSHAKE:
                self.bare = True


def parse(peer: Peer, data: bytes) -> Request:
    key, version, number, length = struct.unpack_from(">hhih", data)
    body = 10 + length + (1 if key == API_VERSIONS and version >= 3 else 0)
    return Request(peer, key, version, number, data[10 : 10 + length].decode(), data[body:])


async def closed(conn: AIOKafkaConnection) -> None:
    """Wait for the end of the connection's transport and check that nothing is left of it."""
    await conn.close()
    assert conn.state is ConnectionState.CLOSED
    assert conn.in_flight == 0
    if conn._link is not None:
        assert conn._link._timer is None
        assert conn._link._linger is None


def link_of(conn: AIOKafkaConnection) -> Link:
    link = conn._link
    assert link is not None
    return link
