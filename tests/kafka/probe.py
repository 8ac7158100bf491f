"""Asks a broker whether it is up, in plain bytes and blocking sockets.

Written apart from the client under test on purpose: whether a broker is ready
must not depend on the code whose behaviour is then judged.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_API_VERSIONS = 18
_METADATA = 3


class ProbeError(Exception):
    """The broker did not answer, or not with what was asked for."""


@dataclass(frozen=True, slots=True)
class LivingBroker:
    """A broker as the metadata of the cluster lists it."""

    node_id: int
    host: str
    port: int


def api_versions(host: str, port: int, timeout: float = 1.0) -> dict[int, tuple[int, int]]:
    """The version range of each API that the broker at `host`:`port` offers (ApiVersions v0)."""
    body = _Reader(_exchange(host, port, _API_VERSIONS, 0, b"", timeout))
    error_code = body.int16()
    if error_code:
        raise ProbeError(f"ApiVersions: error code {error_code}")
    return {body.int16(): (body.int16(), body.int16()) for _ in range(body.int32())}


def living_brokers(host: str, port: int, timeout: float = 1.0) -> list[LivingBroker]:
    """The brokers that the one at `host`:`port` knows to be alive."""
    body = _metadata(host, port, (), timeout)
    return _brokers(body)


def leaders(host: str, port: int, topic: str, timeout: float = 1.0) -> dict[int, int]:
    """Node id of the leader of each partition of `topic`, -1 where there is none.

    Empty when the topic does not exist; asking does not create it.
    """
    body = _metadata(host, port, (topic,), timeout)
    _brokers(body)
    body.string()  # cluster id
    body.int32()  # controller id
    found: dict[int, int] = {}
    for _ in range(body.int32()):
        body.int16()  # error code
        body.string()
        body.int8()  # internal
        for _ in range(body.int32()):
            body.int16()  # error code
            partition, leader = body.int32(), body.int32()
            found[partition] = leader
            for _ in ("replicas", "in-sync replicas"):
                for _ in range(body.int32()):
                    body.int32()
    return found


def _metadata(host: str, port: int, topics: Sequence[str], timeout: float) -> _Reader:
    """Metadata v4, the first version that can ask about a topic without creating it."""
    request = struct.pack(">i", len(topics))
    for topic in topics:
        name = topic.encode()
        request += struct.pack(">h", len(name)) + name
    body = _Reader(_exchange(host, port, _METADATA, 4, request + b"\0", timeout))
    body.int32()  # throttle time
    return body


def _brokers(body: _Reader) -> list[LivingBroker]:
    brokers = []
    for _ in range(body.int32()):
        brokers.append(LivingBroker(body.int32(), body.string(), body.int32()))
        body.string()  # rack
    return brokers


def _exchange(
    host: str, port: int, api_key: int, version: int, body: bytes, timeout: float
) -> bytes:
    correlation_id = 1
    request = struct.pack(">hhih", api_key, version, correlation_id, 5) + b"probe" + body
    try:
        with socket.create_connection((host, port), timeout) as sock:
            sock.settimeout(timeout)
            sock.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _read(sock, 4))
            answer = _read(sock, size)
    except OSError as exc:
        raise ProbeError(f"{host}:{port}: {exc}") from exc
    (got,) = struct.unpack_from(">i", answer)
    if got != correlation_id:
        raise ProbeError(f"{host}:{port}: answered correlation id {got}")
    return answer[4:]


def _read(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise ProbeError("the broker closed the connection")
        data += chunk
    return bytes(data)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, layout: str) -> int:
        (value,) = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return int(value)

    def int8(self) -> int:
        return self._take(">b")

    def int16(self) -> int:
        return self._take(">h")

    def int32(self) -> int:
        return self._take(">i")

    def string(self) -> str:
        size = self.int16()
        if size < 0:
            return ""
        start, self._at = self._at, self._at + size
        return self._data[start : self._at].decode()
