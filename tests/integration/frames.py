"""A proxy that reads the protocol: it edits answers, swallows them, and counts requests.

Where `tests.kafka.Proxy` spoils the network, this one makes a real broker say what it would
say in rare moments only: a topic without leaders, a partition that is not listed yet, an
empty list of brokers.  The codec is the one of the client under test.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import Any

from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from tests.kafka.ports import free_port

PRODUCE, METADATA, SASL_HANDSHAKE, API_VERSIONS, INIT_PRODUCER_ID, SASL_AUTHENTICATE = (
    0, 3, 17, 18, 22, 36,
)  # fmt: skip

_EDITABLE: dict[int, Any] = {PRODUCE: ProduceRequest, METADATA: MetadataRequest}
_HEAD = struct.Struct(">hhi")

Edit = Callable[[Any], None]


class FrameProxy:
    """Listens on `port` of 127.0.0.1 and forwards whole frames to `target`.

    `edits` maps API keys to functions that change the decoded answer in place; answers to
    the API keys in `deaf_to` are thrown away.  Both may be changed at any time.
    """

    def __init__(self, target: tuple[str, int], port: int | None = None) -> None:
        self.target = target
        self.port = port or free_port()
        self.edits: dict[int, Edit] = {}
        self.deaf_to: set[int] = set()
        self.requests: dict[int, int] = {}
        self.swallowed: dict[int, int] = {}
        self.in_flight: dict[int, int] = {}
        self.most_in_flight: dict[int, int] = {}
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """``host:port`` for a client's bootstrap servers."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> FrameProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()

    async def refuse(self) -> None:
        """Cut all connections and stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def lead_to(self, *ports: int) -> None:
        """Let the brokers in Metadata answers be found at these ports (by node id), so that a
        client stays behind the proxy whatever the listener advertises."""

        def edit(response: Any) -> None:
            response.brokers = [
                (row[0], "127.0.0.1", ports[row[0]], *row[3:]) for row in response.brokers
            ]

        self.edits[METADATA] = edit

    # -- forwarding ------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        broker_writer: asyncio.StreamWriter | None = None
        asked: dict[int, tuple[int, int]] = {}
        try:
            broker_reader, broker_writer = await asyncio.open_connection(*self.target)
            self._writers.add(broker_writer)
            directions = [
                asyncio.ensure_future(self._forward_requests(reader, broker_writer, asked)),
                asyncio.ensure_future(self._forward_answers(broker_reader, writer, asked)),
            ]
            _, pending = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for direction in pending:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
        except OSError:
            pass  # nobody behind the proxy: the client's connection ends at once
        finally:
            for api_key, _ in asked.values():
                self.in_flight[api_key] -= 1
            for end in (writer, broker_writer):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()
                    with contextlib.suppress(OSError):
                        await end.wait_closed()
            self._tasks.discard(task)

    async def _forward_requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: dict[int, tuple[int, int]],
    ) -> None:
        while (frame := await _frame(reader)) is not None:
            api_key, version, correlation_id = _HEAD.unpack_from(frame)
            asked[correlation_id] = api_key, version
            self.requests[api_key] = self.requests.get(api_key, 0) + 1
            now = self.in_flight[api_key] = self.in_flight.get(api_key, 0) + 1
            self.most_in_flight[api_key] = max(now, self.most_in_flight.get(api_key, 0))
            writer.write(_framed(frame))
            await writer.drain()

    async def _forward_answers(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: dict[int, tuple[int, int]],
    ) -> None:
        while (frame := await _frame(reader)) is not None:
            api_key, version = asked.pop(int.from_bytes(frame[:4], "big"))
            self.in_flight[api_key] -= 1
            if api_key in self.deaf_to:
                self.swallowed[api_key] = self.swallowed.get(api_key, 0) + 1
                continue
            edit = self.edits.get(api_key)
            if edit is not None:
                frame = _edited(frame, api_key, version, edit)
            writer.write(_framed(frame))
            await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame without its length, None at the end."""
    try:
        return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
    except (asyncio.IncompleteReadError, OSError):
        return None


def _framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(4, "big") + frame


def _edited(frame: bytes, api_key: int, version: int, edit: Edit) -> bytes:
    (request,) = [c for c in _EDITABLE[api_key]._CLASSES if version == c.API_VERSION]
    # The header: the correlation id and, in flexible versions, no tags.
    start = 5 if request.FLEXIBLE_VERSION else 4
    response = request.RESPONSE_TYPE.decode(frame[start:])
    edit(response)
    return frame[:start] + bytes(response.encode())
