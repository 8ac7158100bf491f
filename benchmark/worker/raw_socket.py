"""The floor of the latency figures: a blocking socket that does the same Produce round trip.

The request is encoded once, with this package's codec, and sent again and again; nothing is
decoded but the frame's length.  What a client adds to this is its own.
"""

from __future__ import annotations

import socket
import struct
import time

from benchmark.worker import payload
from benchmark.worker.job import Job, Measured
from benchmark.worker.meter import Meter

#: Carries topic names, not ids, and is known to every broker since Kafka 2.4.
_PRODUCE_VERSION = 8


def _request(topic: str, value: bytes) -> bytes:
    from aiokafka.protocol import produce
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=16384,
    )
    builder.append(0, int(time.time() * 1000), None, value, [])
    request = produce.ProduceRequest(
        transactional_id=None,
        required_acks=-1,
        timeout=30_000,
        topics=[(topic, [(0, bytes(builder.build()))])],
    ).prepare({produce.ProduceRequest.API_KEY: (3, _PRODUCE_VERSION)})
    header = request.build_request_header(correlation_id=1, client_id="benchmark")
    message = header.encode() + request.encode()
    return struct.pack(">i", len(message)) + message


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        data = connection.recv(size - len(received))
        if not data:
            raise ConnectionError("the broker closed the connection")
        received += data
    return received


def _error_code(response: bytes) -> int:
    """Error code of the only partition: after correlation id, topic count, name, count."""
    (name_length,) = struct.unpack_from(">h", response, 8)
    code: int = struct.unpack_from(">h", response, 8 + 2 + name_length + 4 + 4)[0]
    return code


def raw_socket(job: Job) -> Measured:
    """Latency of one Produce request after the other."""
    if job.task != "latency":
        raise ValueError("the raw socket only measures latency")
    from aiokafka import __version__

    request = _request(job.topic, payload.values(job.value_size, 1)[0])
    host, port = job.bootstrap.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def round_trip() -> bytes:
            connection.sendall(request)
            (size,) = struct.unpack(">i", _receive(connection, 4))
            return _receive(connection, size)

        for _ in range(500):
            response = round_trip()
        if code := _error_code(response):
            raise RuntimeError(f"the broker refused the record: error {code}")
        calls: list[float] = []
        meter = Meter()
        clock = time.perf_counter
        now = meter.start()
        until = now + job.seconds
        while now < until:
            round_trip()
            done = clock()
            calls.append((done - now) * 1e6)
            now = done
        meter.stop()
    return meter.measured(len(calls), __version__, calls)
