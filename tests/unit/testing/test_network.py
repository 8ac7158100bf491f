"""The in-memory network: latency, splitting, backpressure and every way to lose packets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from aiokafka.testing.network import MemoryNetwork
from aiokafka.testing.virtual_time import DeadlockError, VirtualTimeLoop, run_virtual

PORT = 9092


class Recorder(asyncio.Protocol):
    """Keeps what happens to it; echoes when told to."""

    def __init__(self, echo: bool = False) -> None:
        self.echo = echo
        self.events: list[Any] = []
        self.data = b""
        self.chunks: list[bytes] = []
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.chunks.append(data)
        if self.echo:
            assert self.transport is not None
            self.transport.write(data)

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(("lost", type(exc).__name__ if exc else None))

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


def network() -> MemoryNetwork:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop.network


def serve(echo: bool = True, tls: bool = False) -> list[Recorder]:
    accepted: list[Recorder] = []

    def factory() -> Recorder:
        recorder = Recorder(echo)
        accepted.append(recorder)
        return recorder

    network().listen("broker", PORT, factory, tls=tls)
    return accepted


async def connect(**options: Any) -> tuple[asyncio.Transport, Recorder]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Recorder, "broker", PORT, **options)
    return transport, protocol


def now() -> float:
    return asyncio.get_running_loop().time()


def virtual(test: Callable[[], Any]) -> Callable[[], None]:
    """Run a coroutine function as a test under virtual time."""

    def wrapper() -> None:
        run_virtual(test)

    wrapper.__name__ = test.__name__
    wrapper.__doc__ = test.__doc__
    return wrapper


@virtual
async def test_latency_and_echo():
    (server,) = [serve()]
    link = network().link("broker", PORT)
    link.latency = 0.25
    start = now()
    transport, protocol = await connect()
    assert now() - start == pytest.approx(0.5)
    transport.write(b"abc")
    transport.writelines([b"d", bytearray(b"e"), memoryview(b"f")])
    await asyncio.sleep(0.25)
    assert server[0].data == b"abcdef"
    assert protocol.data == b""
    await asyncio.sleep(0.25)
    assert protocol.data == b"abcdef"
    transport.close()
    assert transport.is_closing()
    await asyncio.sleep(1)
    assert protocol.events == ["made", ("lost", None)]
    assert server[0].events == ["made", "eof", ("lost", None)]
    assert network().connections == []


@virtual
async def test_random_latency_keeps_the_order():
    serve()
    link = network().link("broker", PORT)
    link.latency = (0.001, 0.5)
    link.chunking = 0.7
    transport, protocol = await connect()
    sent = b""
    for i in range(200):
        part = b"%d," % i
        transport.write(part)
        sent += part
        await asyncio.sleep(0.01)
    await asyncio.sleep(200)
    assert protocol.data == sent
    transport.abort()


@virtual
async def test_chunking_splits_data():
    servers = serve(echo=False)
    network().link("broker", PORT).chunking = 1.0
    transport, _ = await connect()
    transport.write(b"x" * 100)
    await asyncio.sleep(10)
    assert servers[0].data == b"x" * 100
    assert len(servers[0].chunks) > 3
    transport.abort()


@virtual
async def test_extra_info():
    serve()
    transport, _ = await connect()
    assert transport.get_extra_info("peername") == ("10.0.0.2", PORT)
    assert transport.get_extra_info("sockname")[0] == "10.255.0.1"
    assert transport.get_extra_info("socket", "none") == "none"
    transport.abort()


@virtual
async def test_nobody_listens():
    network().add_host("broker")
    with pytest.raises(ConnectionRefusedError, match="Connect call failed"):
        await connect()


@virtual
async def test_refuse_and_heal():
    serve()
    link = network().link("broker", PORT)
    link.refuse = True
    with pytest.raises(ConnectionRefusedError):
        await connect()
    link.heal()
    transport, _ = await connect()
    transport.abort()


@virtual
async def test_unknown_name():
    with pytest.raises(socket.gaierror):
        await connect()


@virtual
async def test_a_moved_host_is_found_at_its_new_address():
    old = serve()
    moved_to = network().add_host("broker", "10.9.9.9")
    with pytest.raises(ConnectionRefusedError):
        await connect()
    network().listen(moved_to, PORT, lambda: Recorder(echo=True))
    transport, _ = await connect()
    assert transport.get_extra_info("peername") == ("10.9.9.9", PORT)
    assert old == []
    transport.abort()


@virtual
async def test_every_address_of_a_name_is_tried():
    servers = serve()
    alive = network().addresses("broker")[0]
    network().add_host("broker", "10.7.7.7", alive)
    transport, _ = await connect()
    await asyncio.sleep(1)
    assert servers[0].events == ["made"]
    transport.abort()


@virtual
async def test_blackholed_connect_completes_after_healing():
    serve()
    network().partition("broker")
    attempt = asyncio.ensure_future(connect())
    await asyncio.sleep(1000)
    assert not attempt.done()
    network().heal("broker")
    transport, _ = await attempt
    transport.abort()


def test_blackholed_connect_never_completes():
    async def main():
        serve()
        network().partition("broker")
        await connect()

    with pytest.raises(DeadlockError, match="wait_until"):
        run_virtual(main)


@virtual
async def test_deaf_server_accepts_and_swallows():
    servers = serve()
    network().link("broker", PORT).deaf = True
    transport, protocol = await connect()
    transport.write(b"hello")
    await asyncio.sleep(1000)
    assert servers[0].data == b""
    # The stream has a hole: this connection stays deaf, a new one works.
    network().heal()
    transport.write(b"more")
    await asyncio.sleep(10)
    assert protocol.data == b""
    transport.abort()
    again, other = await connect()
    again.write(b"hi")
    await asyncio.sleep(10)
    assert other.data == b"hi"
    again.abort()


@virtual
async def test_cut_resets_both_sides():
    servers = serve()
    transport, protocol = await connect()
    transport.write(b"lost in flight")
    network().link("broker", PORT).cut()
    await asyncio.sleep(1)
    assert protocol.events == ["made", ("lost", "ConnectionResetError")]
    assert servers[0].events == ["made", ("lost", "ConnectionResetError")]
    assert servers[0].data == b""
    assert transport.is_closing()
    transport.write(b"ignored")
    assert network().connections == []


@virtual
async def test_half_open_holds_answers_back():
    servers = serve()
    link = network().link("broker", PORT)
    transport, protocol = await connect()
    link.to_client_lost = True
    transport.write(b"ping")
    await asyncio.sleep(100)
    assert servers[0].data == b"ping"
    assert protocol.data == b""
    link.heal()
    await asyncio.sleep(1)
    assert protocol.data == b"ping"
    transport.abort()


@virtual
async def test_vanished_server_is_noticed_by_writing():
    serve()
    link = network().link("broker", PORT)
    transport, protocol = await connect()
    link.vanish()
    await asyncio.sleep(100)
    assert protocol.events == ["made"]
    transport.write(b"anyone?")
    await asyncio.sleep(1)
    assert protocol.events == ["made", ("lost", "ConnectionResetError")]


@virtual
async def test_abort_resets_the_peer():
    servers = serve()
    transport, protocol = await connect()
    transport.abort()
    await asyncio.sleep(1)
    assert protocol.events == ["made", ("lost", None)]
    assert servers[0].events == ["made", ("lost", "ConnectionResetError")]


@virtual
async def test_backpressure():
    servers = serve(echo=False)
    transport, protocol = await connect()
    transport.set_write_buffer_limits(high=1000, low=100)
    assert transport.get_write_buffer_limits() == (100, 1000)
    server = servers[0].transport
    assert server is not None
    server.pause_reading()
    block = b"x" * 64 * 1024
    for _ in range(5):
        transport.write(block)
    assert protocol.events == ["made", "pause"]
    assert transport.get_write_buffer_size() > 1000
    await asyncio.sleep(100)
    assert servers[0].data == b""
    server.resume_reading()
    await asyncio.sleep(1)
    assert protocol.events == ["made", "pause", "resume"]
    assert len(servers[0].data) == 5 * len(block)
    assert transport.get_write_buffer_size() == 0
    transport.abort()
    with pytest.raises(ValueError, match="high"):
        transport.set_write_buffer_limits(high=1, low=2)
    with pytest.raises(TypeError):
        transport.write("text")  # type: ignore[arg-type]


@virtual
async def test_close_flushes_first():
    servers = serve(echo=False)
    transport, protocol = await connect()
    server = servers[0].transport
    assert server is not None
    server.pause_reading()
    transport.write(b"x" * 1_000_000)
    transport.close()
    await asyncio.sleep(10)
    assert ("lost", None) not in protocol.events
    server.resume_reading()
    await asyncio.sleep(10)
    assert len(servers[0].data) == 1_000_000
    assert protocol.events[-1] == ("lost", None)
    assert servers[0].events[-1] == ("lost", None)


@virtual
async def test_closed_with_small_data_is_still_delivered_to_a_frozen_reader():
    """A frozen broker handles after its thaw what a client sent before giving up."""
    servers = serve(echo=False)
    transport, protocol = await connect()
    server = servers[0].transport
    assert server is not None
    server.pause_reading()
    transport.write(b"produce")
    await asyncio.sleep(1)
    transport.close()
    await asyncio.sleep(10)
    assert protocol.events == ["made", ("lost", None)]
    server.resume_reading()
    await asyncio.sleep(1)
    assert servers[0].data == b"produce"
    assert servers[0].events == ["made", "eof", ("lost", None)]


@virtual
async def test_cancelled_connect_leaves_nothing():
    servers = serve()
    network().link("broker", PORT).to_client_lost = True
    attempt = asyncio.ensure_future(connect())
    await asyncio.sleep(1)
    attempt.cancel()
    await asyncio.wait([attempt])
    network().heal()
    await asyncio.sleep(1)
    assert servers[0].events == ["made", ("lost", "ConnectionResetError")]
    assert network().connections == []


# -- TLS ---------------------------------------------------------------------------------------


@virtual
async def test_tls():
    context = ssl.create_default_context()
    serve(tls=True)
    transport, protocol = await connect(ssl=context, server_hostname="broker")
    assert transport.get_extra_info("sslcontext") is context
    transport.write(b"secret")
    await asyncio.sleep(1)
    assert protocol.data == b"secret"
    transport.abort()


@virtual
async def test_deaf_in_the_tls_phase():
    serve(tls=True)
    network().link("broker", PORT).tls_deaf = True
    start = now()
    with pytest.raises(ConnectionAbortedError, match="longer than 5"):
        await connect(ssl=True, ssl_handshake_timeout=5)
    assert now() - start == pytest.approx(5, abs=0.1)


@virtual
async def test_tls_waits_for_the_server():
    ready = False
    accepted = serve(tls=True)
    server = network()._servers[network().addresses("broker")[0], PORT]
    server.tls_ready = lambda: ready
    attempt = asyncio.ensure_future(connect(ssl=True))
    await asyncio.sleep(10)
    assert not attempt.done()
    assert accepted == []
    ready = True
    server.tls_changed()
    transport, _ = await attempt
    transport.abort()


@virtual
async def test_tls_error():
    serve(tls=True)
    server = network()._servers[network().addresses("broker")[0], PORT]
    server.tls_error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(ssl=True)


@virtual
async def test_cut_in_the_tls_phase():
    serve(tls=True)
    link = network().link("broker", PORT)
    link.tls_deaf = True
    attempt = asyncio.ensure_future(connect(ssl=True))
    await asyncio.sleep(1)
    link.cut()
    with pytest.raises(ConnectionResetError):
        await attempt


@virtual
async def test_tls_client_on_a_plain_port():
    serve(tls=False)
    with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
        await connect(ssl=True)


@virtual
async def test_plain_client_on_a_tls_port():
    serve(tls=True)
    transport, protocol = await connect()
    transport.write(b"\x00\x00\x00\x0a")
    await asyncio.sleep(1)
    assert protocol.data.startswith(b"\x15\x03")
    assert protocol.events[-1] == ("lost", None)


# -- asyncio's own users -----------------------------------------------------------------------


@virtual
async def test_streams():
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(upper, "broker", PORT)
    assert server.is_serving()
    with pytest.raises(OSError, match="in use"):
        await asyncio.start_server(upper, "broker", PORT)
    reader, writer = await asyncio.open_connection("broker", PORT)
    writer.write(b"hello\n")
    assert await reader.readline() == b"HELLO\n"
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(1)
    server.close()
    await server.wait_closed()
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("broker", PORT)


def test_same_seed_same_timing():
    async def main():
        serve()
        link = network().link("broker", PORT)
        link.latency = (0.001, 0.3)
        link.chunking = 0.5
        transport, protocol = await connect()
        history = []
        for i in range(50):
            transport.write(b"x" * (i + 1))
            await asyncio.sleep(0.05)
            history.append((now(), tuple(protocol.chunks)))
        transport.abort()
        return history

    assert run_virtual(main, seed=3) == run_virtual(main, seed=3)
    assert run_virtual(main, seed=3) != run_virtual(main, seed=4)
