"""Send a few records, one after the other, and print where they were stored."""

from __future__ import annotations

import argparse
import asyncio

from aiokafka import AIOKafkaProducer


async def main(bootstrap_servers: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers) as producer:
        for number in range(3):
            metadata = await producer.send_and_wait(topic, b"value %d" % number, key=b"key")
            assert metadata is not None  # it is None only with acks=0
            print(f"{metadata.topic}-{metadata.partition} at offset {metadata.offset}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-simple")
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic))
