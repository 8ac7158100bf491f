"""Read what was written since a time, and up to what is there now; no group needed."""

from __future__ import annotations

import argparse
import asyncio
import time

from aiokafka import AIOKafkaConsumer, TopicPartition


async def main(bootstrap_servers: str, topic: str, since_ms: int) -> None:
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers) as consumer:
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
        left: set[TopicPartition] = set()
        for tp in partitions:
            start = starts[tp]  # None: everything in the partition is older
            if start is not None and start.offset < ends[tp]:
                consumer.seek(tp, start.offset)
                left.add(tp)
        seen = 0
        while left:
            record = await consumer.getone(*left)
            print(f"{record.timestamp}: {record.value!r}")
            seen += 1
            tp = TopicPartition(record.topic, record.partition)
            if record.offset + 1 >= ends[tp]:
                left.discard(tp)
        print(f"{seen} records since {since_ms}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-consumer")
    parser.add_argument(
        "--since-ms",
        type=int,
        default=int((time.time() - 3600) * 1000),
        help="milliseconds since the epoch; default: an hour ago",
    )
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic, options.since_ms))
