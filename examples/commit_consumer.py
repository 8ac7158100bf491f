"""At least once: a member of a group that commits what it has processed, and nothing else.

Run several of them at the same time: they share the topic's partitions.
"""

from __future__ import annotations

import argparse
import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import CommitFailedError, KafkaTimeoutError


async def process(record: ConsumerRecord[bytes, bytes]) -> None:
    """What your application does.  It may see a record again, so it should not mind."""
    print(f"{record.topic}-{record.partition} at offset {record.offset}: {record.value!r}")


async def main(bootstrap_servers: str, topic: str, group: str, count: int | None) -> None:
    processed = 0
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        default_api_timeout_ms=10_000,  # how long commit() may try
    ) as consumer:
        while count is None or processed < count:
            batches = await consumer.getmany(timeout_ms=1000, max_records=100)
            for records in batches.values():
                for record in records:
                    await process(record)
                    processed += 1
            if not batches:
                print(consumer.health())
                continue
            try:
                await consumer.commit(
                    {tp: records[-1].offset + 1 for tp, records in batches.items()}
                )
            except CommitFailedError as error:
                print("the partitions went to another member, which will read them again:", error)
            except KafkaTimeoutError as error:
                print("not committed, the next commit will do:", error)
    print(f"{processed} records processed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-consumer")
    parser.add_argument("--group", default="example-commit")
    parser.add_argument("--count", type=int, help="end after so many records")
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic, options.group, options.count))
