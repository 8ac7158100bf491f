"""Keep offsets outside of Kafka, together with the results: a rebalance listener.

Results and offsets are kept in one place and change together (here a dict, in an application one
transaction of a database), so every record counts exactly once.
"""

from __future__ import annotations

import argparse
import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition


class Store:
    """Stands for a database: what was counted, and up to which offset."""

    def __init__(self) -> None:
        self.bytes_seen: dict[TopicPartition, int] = {}
        self.offsets: dict[TopicPartition, int] = {}

    async def add(self, tp: TopicPartition, size: int, next_offset: int) -> None:
        self.bytes_seen[tp] = self.bytes_seen.get(tp, 0) + size
        self.offsets[tp] = next_offset

    async def load_offset(self, tp: TopicPartition) -> int:
        return self.offsets.get(tp, 0)


class SeekToStored(ConsumerRebalanceListener):
    """Told by the group what comes and goes; the rebalance waits for it."""

    def __init__(self, consumer: AIOKafkaConsumer, store: Store) -> None:
        self.consumer = consumer
        self.store = store

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        # The place to finish and to write down what is still in memory.
        print(f"giving up {len(revoked)} partitions")

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        print(f"got {len(assigned)} partitions")
        for tp in assigned:
            self.consumer.seek(tp, await self.store.load_offset(tp))


async def main(bootstrap_servers: str, topic: str, group: str, count: int | None) -> None:
    store = Store()
    seen = 0
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    consumer.subscribe([topic], listener=SeekToStored(consumer, store))
    async with consumer:
        async for record in consumer:
            tp = TopicPartition(record.topic, record.partition)
            await store.add(tp, len(record.value or b""), record.offset + 1)
            seen += 1
            if seen == count:
                break
    for tp, size in sorted(store.bytes_seen.items()):
        print(f"{tp.topic}-{tp.partition}: {size} bytes up to offset {store.offsets[tp]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-consumer")
    parser.add_argument("--group", default="example-listener")
    parser.add_argument("--count", type=int, help="end after so many records")
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic, options.group, options.count))
