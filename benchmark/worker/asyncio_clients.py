"""The contenders that live on an event loop: aiokafka (either one), confluent's AIOProducer.

Each is started, driven by one of :mod:`benchmark.worker.patterns` and stopped.  Settings are
the client's defaults but for ``acks=all``, linger and codec.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from benchmark.worker import patterns
from benchmark.worker.job import Job, Measured


async def _nothing() -> None:
    pass


async def aiokafka(job: Job) -> Measured:
    """Either aiokafka: the one of the checkout or the released one."""
    package: Any = importlib.import_module("aiokafka")
    producer = package.AIOKafkaProducer(
        bootstrap_servers=job.bootstrap,
        acks="all",
        linger_ms=job.linger_ms,
        compression_type=None if job.codec == "none" else job.codec,
        **job.extra,
    )
    await producer.start()
    try:
        for topic in job.other_topics:
            await producer.send_and_wait(topic, b"known")
        if job.task == "tasks":
            return await patterns.tasks(job, producer.send_and_wait, package.__version__)
        if job.task == "latency":
            return await patterns.latency(job, producer.send_and_wait, package.__version__)
        return await patterns.produce(job, producer.send, _nothing, package.__version__)
    finally:
        await producer.stop()


async def confluent_aio(job: Job) -> Measured:
    """confluent-kafka's asyncio producer: librdkafka behind a buffer and a thread pool."""
    package: Any = importlib.import_module("confluent_kafka")
    module: Any = importlib.import_module("confluent_kafka.aio")
    # Its buffer hands messages on at 1,000 or after a second, which suits a stream; whoever
    # waits for each message would wait for the second, so here it gets what served it best:
    # a batch as large as the number of waiting tasks.
    batching: dict[str, Any] = {}
    if job.task != "produce":
        batching = {"batch_size": 1 if job.task == "latency" else job.tasks}
        batching["buffer_timeout"] = 0.001
    producer = module.AIOProducer(
        {
            "bootstrap.servers": job.bootstrap,
            "acks": "all",
            "linger.ms": job.linger_ms,
            "compression.type": job.codec,
        }
        | job.extra,
        **batching,
    )

    async def send_and_wait(topic: str, value: bytes) -> Any:
        return await (await producer.produce(topic, value))

    async def poll() -> None:
        while True:
            await producer.poll(0.001)

    try:
        for topic in job.other_topics:
            await producer.produce(topic, b"known")
        await producer.flush()
        if job.task == "produce":
            return await patterns.produce(
                job, producer.produce, producer.flush, package.__version__
            )
        # Its own background task looks for delivery reports ten times a second.
        poller = asyncio.ensure_future(poll())
        try:
            pattern = patterns.tasks if job.task == "tasks" else patterns.latency
            return await pattern(job, send_and_wait, package.__version__)
        finally:
            poller.cancel()
            await asyncio.wait([poller])
    finally:
        await producer.close()


async def null(job: Job) -> Measured:
    """A client that does nothing: what the benchmark's own loops cost."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    done.set_result(None)

    async def send(
        topic: str, value: bytes, key: bytes | None = None, partition: int | None = None
    ) -> asyncio.Future[None]:
        return done

    async def send_and_wait(topic: str, value: bytes) -> None:
        await asyncio.sleep(0)

    if job.task == "tasks":
        return await patterns.tasks(job, send_and_wait, "")
    if job.task == "latency":
        return await patterns.latency(job, send_and_wait, "")
    return await patterns.produce(job, send, _nothing, "")


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """A loop of the kind called ``asyncio`` or ``uvloop``."""
    if name == "uvloop":
        uvloop: Any = importlib.import_module("uvloop")
        made: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return made
    return asyncio.new_event_loop()


def run(client: Callable[[Job], Awaitable[Measured]], job: Job) -> Measured:
    """Run ``client`` on the loop that the job names."""

    def main() -> Coroutine[Any, Any, Measured]:
        async def call() -> Measured:
            return await client(job)

        return call()

    loop = new_loop(job.loop)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
