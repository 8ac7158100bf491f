"""Read in batches, and process the partitions side by side: order matters only within one.

The workers are done with records in an order of their own, so they say which offsets may be
committed (``store_offsets``); the consumer commits these in the background.
"""

from __future__ import annotations

import argparse
import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition


async def process(
    consumer: AIOKafkaConsumer, tp: TopicPartition, records: list[ConsumerRecord[bytes, bytes]]
) -> int:
    """Work through the records of one partition, in order."""
    for record in records:
        await asyncio.sleep(0)  # what takes time
        consumer.store_offsets({tp: record.offset + 1})
    print(f"{tp.topic}-{tp.partition}: {len(records)} records")
    return len(records)


async def main(bootstrap_servers: str, topic: str, group: str, count: int | None) -> None:
    processed = 0
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_offset_store=False,
        max_poll_records=500,
    ) as consumer:
        while count is None or processed < count:
            batches = await consumer.getmany(timeout_ms=1000)
            done = await asyncio.gather(
                *(process(consumer, tp, records) for tp, records in batches.items())
            )
            processed += sum(done)
    print(f"{processed} records processed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-consumer")
    parser.add_argument("--group", default="example-batches")
    parser.add_argument("--count", type=int, help="end after so many records")
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic, options.group, options.count))
