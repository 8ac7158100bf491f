"""Send under a bound, and tell the errors apart.

Try it with a topic that does not exist (and auto-creation off), or stop the broker meanwhile: no
call takes longer than its bound, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BufferTimeoutError,
    DeliveryTimeoutError,
    KafkaConnectionError,
    KafkaError,
    MetadataTimeoutError,
)


async def send(producer: AIOKafkaProducer, topic: str, value: bytes) -> bool:
    """Send one record; False, with a word about it, when that came to nothing."""
    started = time.monotonic()
    try:
        await producer.send_and_wait(topic, value)
    except MetadataTimeoutError as error:
        # No such topic, or nobody who could tell. Nothing was queued.
        print(f"no metadata of {error.topic}; the cause: {error.__cause__!r}")
    except BufferTimeoutError as error:
        # The brokers take less than we send. Nothing was queued: shed load, or try later.
        print(f"no room: {error.available} of {error.total} bytes are free")
    except DeliveryTimeoutError as error:
        # Not acknowledged in time. After an attempt it may have been stored all the same.
        print(f"not acknowledged after {error.attempts} attempts; the cause: {error.__cause__!r}")
    except KafkaError as error:
        # Refused: not authorized, too large, not a valid name, ... Trying again will not help.
        print(f"refused: {error}")
    else:
        print(f"stored after {time.monotonic() - started:.2f} s")
        return True
    print(f"gave up after {time.monotonic() - started:.2f} s")
    return False


async def main(bootstrap_servers: str, topic: str, max_block_ms: float) -> int:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        acks="all",
        request_timeout_ms=5_000,
        max_block_ms=max_block_ms,
        delivery_timeout_ms=10_000,
        stop_timeout_ms=5_000,
    )
    try:
        await producer.start()
    except KafkaConnectionError as error:
        print(f"no broker: {error}")
        return 1
    else:
        return 0 if await send(producer, topic, b"value") else 1
    finally:
        await producer.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-bounded")
    parser.add_argument("--max-block-ms", type=float, default=2_000)
    options = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    sys.exit(asyncio.run(main(options.bootstrap_servers, options.topic, options.max_block_ms)))
