"""A client without any cleverness, and shorthands for the tests of the fake cluster."""

from __future__ import annotations

import asyncio
import functools
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from aiokafka.protocol.api import Request, RequestStruct
from aiokafka.protocol.produce import ProduceRequest, partition_results
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.testing.broker import FakeBroker
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codec import request_class, supported_versions
from aiokafka.testing.virtual_time import VirtualTimeLoop, run_virtual

_INT32 = struct.Struct(">i")


def virtual(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a coroutine function as a test under virtual time."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        run_virtual(main)

    return wrapper


def loop() -> VirtualTimeLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualTimeLoop)
    return running


def now() -> float:
    return asyncio.get_running_loop().time()


def batch(
    *values: bytes,
    key: bytes | None = None,
    pid: int = -1,
    epoch: int = -1,
    sequence: int = -1,
    compression: int = 0,
    timestamp: int = 1_700_000_000_000,
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> bytes:
    """The bytes of a record batch."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, pid, epoch, sequence, 1 << 20)
    for offset, value in enumerate(values):
        builder.append(offset, timestamp + offset, key, value, list(headers))
    return bytes(builder.build())


def about(seconds: float) -> Any:
    """Equal to a span of time but for the network's latency."""
    return pytest.approx(seconds, abs=0.02)


class _Inbox(asyncio.Protocol):
    """What arrived, and a wake-up for who waits for more."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False
        self.changed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.changed.set()


class RawClient:
    """One connection; requests are written, answers read, nothing else happens."""

    def __init__(self, transport: asyncio.Transport, inbox: _Inbox) -> None:
        self.transport = transport
        self.inbox = inbox
        self.correlation_id = 0

    @classmethod
    async def connect(cls, broker: FakeBroker, **options: Any) -> RawClient:
        running = asyncio.get_running_loop()
        return cls(*await running.create_connection(_Inbox, broker.host, broker.port, **options))

    def write(self, request: RequestStruct) -> int:
        self.correlation_id += 1
        header = request.build_request_header(self.correlation_id, "lab").encode()
        body = request.encode()
        self.transport.write(_INT32.pack(len(header) + len(body)) + header + body)
        return self.correlation_id

    async def read_exactly(self, size: int) -> bytes:
        """So many bytes; `ConnectionResetError` when the connection ends first."""
        inbox = self.inbox
        while len(inbox.data) < size:
            if inbox.ended:
                raise ConnectionResetError(f"{len(inbox.data)} of {size} bytes")
            inbox.changed.clear()
            await inbox.changed.wait()
        data = bytes(inbox.data[:size])
        del inbox.data[:size]
        return data

    async def read_frame(self) -> bytes:
        (size,) = _INT32.unpack(await self.read_exactly(4))
        return await self.read_exactly(size)

    async def read(self, request: RequestStruct) -> Any:
        correlation_id, response = request.decode_response(await self.read_frame())
        assert correlation_id == self.correlation_id
        return response

    async def send(self, request: RequestStruct) -> Any:
        self.write(request)
        return await self.read(request)

    async def ask(self, builder: Request[Any], version: int | None = None) -> Any:
        """Build a request in ``version`` (default: the newest the codec has) and send it."""
        versions = dict(supported_versions())
        if version is not None:
            versions[builder.API_KEY] = (version, version)
        return await self.send(builder.prepare(versions))

    async def produce(
        self,
        topic: str,
        data: bytes,
        partition: int = 0,
        *,
        version: int = 9,
        acks: int = -1,
    ) -> Any:
        """Produce one batch; the normalised result."""
        request = ProduceRequest(None, acks, 1000, [(topic, [(partition, data)])])
        (result,) = partition_results(await self.ask(request, version))
        return result

    async def at_eof(self) -> bool:
        """Whether the broker closes or resets the connection, without another byte."""
        try:
            await self.read_exactly(1)
        except ConnectionResetError:
            return True
        return False

    async def close(self) -> None:
        self.transport.close()
        while not self.inbox.ended:
            self.inbox.changed.clear()
            await self.inbox.changed.wait()


def struct_of(api_key: int, version: int, *values: Any) -> RequestStruct:
    """A request of some version by position."""
    request_type = request_class(api_key, version)
    assert request_type is not None
    return request_type(*values)


async def in_vain(awaitable: Awaitable[Any], seconds: float = 100.0) -> bool:
    """Whether nothing comes for so long."""
    try:
        await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        return True
    return False


def first_broker(cluster: FakeCluster) -> FakeBroker:
    return next(iter(cluster.brokers.values()))
