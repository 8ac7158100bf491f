"""A mocked broker connection: what it does is scripted by address, nothing is on a network.

Used in place of ``AIOKafkaConnection`` under the virtual-time loop, for the failures of a
broker that cannot be had from a real one on demand.
"""

import asyncio
import contextlib
import logging
from unittest import mock

from aiokafka import errors as Errors
from aiokafka._conn.states import CloseReason
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataResponse_v1
from aiokafka.testing.virtual_time import run_virtual

NEVER = object()


def topic(name, partitions=1, *, error=0, leader=0, missing=()):
    """A topic row of a Metadata response v1."""
    rows = [(0, p, leader, [0], [0]) for p in range(partitions) if p not in missing]
    return (error, name, False, rows)


def metadata(*topics, brokers=((0, "broker0", 9092, None),)):
    return MetadataResponse_v1(brokers=list(brokers), controller_id=0, topics=list(topics))


class Broker:
    """How one address behaves.

    ``connect``: "ok", "refuse", "deaf" (never completes), or an exception.
    ``answer``: called with the request; returns a response, an exception to raise, NEVER, or
    ``(seconds, any of these)``.
    """

    def __init__(self, answer=None):
        self.connect = "ok"
        self.answer = answer or (lambda request: metadata())
        self.connects = []
        self.requests = []


class World:
    """All brokers by ``host:port``."""

    def __init__(self):
        self.brokers = {}
        self.connections = []

    def broker(self, address="broker0:9092", answer=None):
        return self.brokers.setdefault(address, Broker(answer))

    def make(self, host, port, **kwargs):
        connection = ScriptedConnection(self, host, port, **kwargs)
        self.connections.append(connection)
        return connection

    def cut(self, address):
        for connection in self.connections:
            if f"{connection.host}:{connection.port}" == address and connection.connected():
                connection.close(reason=CloseReason.CONNECTION_BROKEN)


class ScriptedConnection:
    def __init__(self, world, host, port, *, on_close=None, **settings):
        self.loop = asyncio.get_running_loop()
        self.host, self.port, self.settings = host, port, settings
        self.broker = world.broker(f"{host}:{port}")
        self.throttled_until = 0.0
        self.close_cause = None
        self._on_close_cb = on_close
        self._open = False
        self._in_flight = {}

    async def connect(self, deadline=None):
        self.broker.connects.append(self.loop.time())
        how = self.broker.connect
        if isinstance(how, BaseException):
            raise how
        if how == "refuse":
            raise Errors.KafkaConnectionError(f"{self.host}:{self.port} refused")
        if how == "deaf":
            try:
                await deadline.run(self.loop.create_future(), what="connecting")
            except Errors.KafkaTimeoutError as error:
                raise Errors.KafkaConnectionError("connection setup timed out") from error
        self._open = True

    def connected(self):
        return self._open

    def oldest_in_flight_age(self):
        return self.loop.time() - min(self._in_flight.values(), default=self.loop.time())

    async def send(self, request, expect_response=True):
        self.broker.requests.append((self.loop.time(), request))
        future = self.loop.create_future()
        self._in_flight[future] = self.loop.time()
        action = self.broker.answer(request)
        delay = 0.001
        if isinstance(action, tuple) and len(action) == 2 and isinstance(action[0], (int, float)):
            delay, action = action
        if action is not NEVER:
            self.loop.call_later(delay, self._answer, future, action)
        timeout = self.settings["request_timeout_ms"] / 1000
        timer = self.loop.call_later(timeout, self._late, future)
        try:
            return await future
        finally:
            timer.cancel()
            self._in_flight.pop(future, None)

    def _answer(self, future, action):
        if not future.done() and self._open:
            if isinstance(action, BaseException):
                future.set_exception(action)
            else:
                future.set_result(action)

    def _late(self, future):
        if not future.done():
            future.set_exception(Errors.RequestTimedOutError("no answer"))
            self.close(reason=CloseReason.CONNECTION_TIMEOUT)

    def close(self, reason=None, exc=None):
        done = self.loop.create_future()
        done.set_result(None)
        if self._open:
            self._open = False
            for future in list(self._in_flight):
                if not future.done():
                    future.set_exception(Errors.KafkaConnectionError("connection closed"))
            if self._on_close_cb is not None:
                self._on_close_cb(self, reason)
        return done


class LogLines(logging.Handler):
    """Log records at INFO and above of the package."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def at(self, level):
        return [r.getMessage() for r in self.records if r.levelno == level]


@contextlib.contextmanager
def captured_logs():
    lines = LogLines()
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(lines)
    try:
        yield lines
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)


def scripted(seed=0, *, bootstrap="broker0:9092", start=True, **settings):
    """Run the decorated ``async def test(world, client)`` in virtual time."""

    def decorate(test):
        def run():
            async def main():
                world = World()
                world.broker()
                with mock.patch("aiokafka.client.AIOKafkaConnection", world.make):
                    client = AIOKafkaClient(bootstrap_servers=bootstrap, **settings)
                    try:
                        if start:
                            await client.bootstrap()
                        await test(world, client)
                    finally:
                        await client.close()

            run_virtual(main, seed=seed)

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate
