"""A broker that says yes at once: for measuring a client without Kafka beside it.

Answers ApiVersions, Metadata, InitProducerId and Produce, stores nothing, and gives every
topic that is asked for the same number of partitions.  Runs as a child process of its own
(``python -m benchmark.null_broker``), on the loopback interface only; the first line it prints
is its port, and it ends when its standard input closes.  No background tasks; a connection is
one :class:`asyncio.Protocol`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import struct
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import aiokafka.protocol.admin as admin
from aiokafka.protocol import metadata, produce, transaction
from aiokafka.protocol.api import RequestStruct, Response, ResponseHeader_v1
from aiokafka.protocol.types import Array, CompactString, Schema, String
from benchmark.environments import ROOT

_HOST = "127.0.0.1"
_HEADER = struct.Struct(">hhih")
_RECORD_COUNT = struct.Struct(">i")
_RECORD_COUNT_AT = 57
_START_TIMEOUT = 15.0

#: Offered versions, per API.
_OFFER = {0: (3, 13), 3: (0, 13), 18: (0, 4), 22: (0, 5)}
_MODULES: dict[int, tuple[Any, str]] = {
    0: (produce, "ProduceRequest"),
    3: (metadata, "MetadataRequest"),
    18: (admin, "ApiVersionRequest"),
    22: (transaction, "InitProducerIdRequest"),
}


def _request_class(api_key: int, version: int) -> type[RequestStruct]:
    module, name = _MODULES[api_key]
    return cast("type[RequestStruct]", getattr(module, f"{name}_v{version}"))


def _topic_id(name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, name)


class NullBroker:
    """Builds the answers; knows offsets and nothing else."""

    def __init__(self, partitions: int) -> None:
        self.port = 0
        self._partitions = partitions
        self._names: dict[uuid.UUID, str] = {}
        self._offsets: dict[tuple[Any, int], int] = {}
        self._answers: dict[int, Callable[[RequestStruct], Response | None]] = {
            0: self._produce,
            3: self._metadata,
            18: self._api_versions,
            22: self._init_producer_id,
        }

    def answer(self, frame: memoryview) -> bytes | None:
        """The response to one request frame, with its size in front; None for acks=0."""
        api_key, version, correlation_id, name_length = _HEADER.unpack_from(frame)
        start = _HEADER.size + max(name_length, 0)
        request_class = _request_class(api_key, version)
        if request_class.FLEXIBLE_VERSION:
            start += 1  # no client sends tags in the header
        request = request_class.decode_from(frame, start)[0]
        response = self._answers[api_key](request)
        if response is None:
            return None
        flexible = request_class.response_header_type() is ResponseHeader_v1
        body = response.encode()
        header = struct.pack(">i", correlation_id) + (b"\0" if flexible else b"")
        return struct.pack(">i", len(header) + len(body)) + header + body

    def _api_versions(self, request: RequestStruct) -> Response:
        rows = [(key, low, high) for key, (low, high) in _OFFER.items()]
        return _filled(request, {"api_versions": rows})

    def _init_producer_id(self, request: RequestStruct) -> Response:
        return _filled(request, {"producer_id": 1})

    def _metadata(self, request: RequestStruct) -> Response:
        asked = cast("list[Any] | None", request.get_item("topics")) or []
        names = [row if isinstance(row, str) else row[-1] for row in asked]
        return _filled(
            request,
            {
                "brokers": [{"node_id": 0, "host": _HOST, "port": self.port}],
                "cluster_id": "null",
                "controller_id": 0,
                "topics": [self._topic(name) for name in names],
            },
        )

    def _topic(self, name: str) -> dict[str, Any]:
        partition = {"leader": 0, "leader_epoch": 0, "replicas": [0], "isr": [0]}
        return {
            "topic": name,
            "topic_id": _topic_id(name),
            "partitions": [{**partition, "partition": n} for n in range(self._partitions)],
        }

    def _produce(self, request: RequestStruct) -> Response | None:
        topics = [
            (topic, [self._append(topic, row[0], row[1]) for row in rows])
            for topic, rows in cast("list[Any]", request.get_item("topics"))
        ]
        if request.get_item("required_acks") == 0:
            return None
        key = "topic_id" if request.API_VERSION >= 13 else "topic"
        filled = [{key: topic, "partitions": rows} for topic, rows in topics]
        return _filled(request, {"topics": filled})

    def _append(self, topic: Any, partition: int, batch: Any) -> dict[str, Any]:
        place = (topic, partition)
        offset = self._offsets.get(place, 0)
        self._offsets[place] = offset + _RECORD_COUNT.unpack_from(batch, _RECORD_COUNT_AT)[0]
        return {
            "partition": partition,
            "offset": offset,
            "timestamp": -1,
            "log_start_offset": 0,
        }


def _filled(request: RequestStruct, values: dict[str, Any]) -> Response:
    response_class = request.RESPONSE_TYPE
    return response_class(*_row(response_class.SCHEMA, values))


def _row(schema: Schema, values: dict[str, Any]) -> tuple[Any, ...]:
    """A row of ``schema``: what ``values`` names, and for the rest nothing, zero or empty.

    So one description of an answer serves every version of it.
    """
    required = len(schema.names) - len(schema.optional)
    row: list[Any] = []
    for place, (name, kind) in enumerate(zip(schema.names, schema.fields, strict=True)):
        if name not in values:
            row.append(schema.optional[place - required] if place >= required else _empty(kind))
        elif isinstance(kind, Array) and isinstance(kind.array_of, Schema):
            inner = kind.array_of
            row.append([_row(inner, v) if isinstance(v, dict) else v for v in values[name]])
        else:
            row.append(values[name])
    return tuple(row)


def _empty(kind: Any) -> Any:
    if isinstance(kind, Array):
        return []
    return None if isinstance(kind, (String, CompactString)) else 0


class _Connection(asyncio.Protocol):
    """Cuts the stream into frames and writes the answers of one read at once."""

    def __init__(self, broker: NullBroker) -> None:
        self._broker = broker
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        frames = bytes(self._received)
        end = 0
        answers: list[bytes] = []
        while len(frames) - end >= 4:
            size = int.from_bytes(frames[end : end + 4], "big")
            if len(frames) - end - 4 < size:
                break
            answer = self._broker.answer(memoryview(frames)[end + 4 : end + 4 + size])
            if answer is not None:
                answers.append(answer)
            end += 4 + size
        del self._received[:end]
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))


async def _serve(partitions: int) -> None:
    loop = asyncio.get_running_loop()
    broker = NullBroker(partitions)
    server = await loop.create_server(lambda: _Connection(broker), _HOST, 0)
    broker.port = server.sockets[0].getsockname()[1]
    print(broker.port, flush=True)
    # Ends with whoever started it, however that ends.
    closed = loop.create_future()
    loop.add_reader(sys.stdin, lambda: None if closed.done() else closed.set_result(None))
    try:
        await closed
    finally:
        server.close()


@contextlib.contextmanager
def running(partitions: int) -> Iterator[str]:
    """``host:port`` of a null broker in a child process, for the length of a ``with`` block."""
    command = [sys.executable, "-m", "benchmark.null_broker", "--partitions", str(partitions)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert child.stdout is not None
        port = child.stdout.readline().strip()
        if not port:
            raise RuntimeError("the null broker did not start")
        yield f"{_HOST}:{port}"
    finally:
        child.communicate(timeout=_START_TIMEOUT)


def main(argv: Sequence[str]) -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.null_broker")
    parser.add_argument("--partitions", type=int, default=6)
    asyncio.run(_serve(parser.parse_args(argv).partitions))


if __name__ == "__main__":
    main(sys.argv[1:])
