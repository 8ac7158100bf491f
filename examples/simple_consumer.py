"""Read a topic from its beginning and print what is in it."""

from __future__ import annotations

import argparse
import asyncio

from aiokafka import AIOKafkaConsumer


async def main(bootstrap_servers: str, topic: str, count: int | None) -> None:
    seen = 0
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        auto_offset_reset="earliest",
    ) as consumer:
        async for record in consumer:
            print(f"{record.topic}-{record.partition} at offset {record.offset}: {record.value!r}")
            seen += 1
            if seen == count:
                break


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-consumer")
    parser.add_argument("--count", type=int, help="end after so many records")
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic, options.count))
