"""One producer for the life of a web application.

The shape is that of ASGI frameworks (FastAPI, Starlette: ``FastAPI(lifespan=lifespan)``), without
depending on one: ``lifespan`` makes the producer when the application starts and stops it when it
ends, and handlers find it in the application's state.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError


@dataclass
class Application:
    """What a framework would give us."""

    bootstrap_servers: str
    topic: str
    state: SimpleNamespace = field(default_factory=SimpleNamespace)


@contextlib.asynccontextmanager
async def lifespan(app: Application) -> AsyncIterator[None]:
    producer = AIOKafkaProducer(
        bootstrap_servers=app.bootstrap_servers,
        enable_idempotence=True,
        max_block_ms=1_000,  # what a request may be kept waiting before it gets a 503
        delivery_timeout_ms=60_000,
        stop_timeout_ms=5_000,  # less than the grace period at shutdown
    )
    await producer.start()
    app.state.producer = producer
    try:
        yield
    finally:
        await producer.stop()


async def create_order(app: Application, order: bytes) -> tuple[int, str]:
    """A handler: status and text."""
    producer: AIOKafkaProducer = app.state.producer
    try:
        metadata = await producer.send_and_wait(app.topic, order)
    except KafkaTimeoutError as error:
        return 503, f"try again later: {error}"
    except KafkaError as error:
        return 500, f"not accepted: {error}"
    assert metadata is not None
    return 201, f"{metadata.topic}-{metadata.partition}@{metadata.offset}"


async def main(app: Application) -> None:
    async with lifespan(app):
        # Requests come at the same time and share the producer, its batches and connections.
        answers = await asyncio.gather(
            *(create_order(app, b"order %d" % number) for number in range(20))
        )
    for status, text in answers:
        print(status, text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-web")
    options = parser.parse_args()
    asyncio.run(main(Application(options.bootstrap_servers, options.topic)))
