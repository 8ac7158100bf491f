"""Fill batches by hand: the records of one batch travel, and are stored, together."""

from __future__ import annotations

import argparse
import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

RECORDS = 1_000


async def main(bootstrap_servers: str, topic: str) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        max_batch_size=4096,
        compression_type="gzip",
    ) as producer:
        partitions = sorted(await producer.partitions_for(topic))
        futures: list[asyncio.Future[RecordMetadata | None]] = []
        batch = producer.create_batch()
        for number in range(RECORDS):
            value = b"record %d" % number
            if batch.append(key=None, value=value, timestamp=None) is None:
                # The batch is full: send it, go on with a new one. A first record always fits.
                partition = partitions[len(futures) % len(partitions)]
                futures.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=None, value=value, timestamp=None)
        futures.append(await producer.send_batch(batch, topic, partition=partitions[0]))
        for future in futures:
            await future  # raises when the batch could not be delivered
        print(f"{RECORDS} records stored in {len(futures)} batches")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-batch")
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic))
