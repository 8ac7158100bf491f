"""Send many records without duplicates and in order, whatever has to be sent again."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from aiokafka import AIOKafkaProducer


def to_json(value: Any) -> bytes:
    return json.dumps(value).encode()


async def main(bootstrap_servers: str, topic: str, count: int) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        enable_idempotence=True,  # implies acks="all"
        linger_ms=5,
        value_serializer=to_json,
        key_serializer=str.encode,
    ) as producer:
        # Awaiting send() waits for room in the buffer, awaiting its future for the broker.
        # Send first, wait afterwards, and records travel in batches.
        futures = [
            await producer.send(topic, {"number": number}, key=f"user-{number % 10}")
            for number in range(count)
        ]
        results = await asyncio.gather(*futures, return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        print(f"{count - len(failed)} records stored, {len(failed)} failed")
        if failed:
            raise failed[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-idempotent")
    parser.add_argument("--count", type=int, default=1_000)
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic, options.count))
