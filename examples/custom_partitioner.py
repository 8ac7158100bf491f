"""Choose partitions yourself: urgent records have the first partition for themselves."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner


class UrgentFirst:
    """Partition 0 for keys that begin with ``urgent``; the default for the rest, over the others.

    Called for each record that names no partition, on the event loop: it has to be quick.
    """

    def __init__(self) -> None:
        self._default = DefaultPartitioner()

    def __call__(
        self, key: bytes | None, all_partitions: Sequence[int], available: Sequence[int]
    ) -> int:
        """`all_partitions` and `available` (those with a leader) are sorted."""
        if key is not None and key.startswith(b"urgent"):
            return all_partitions[0]
        if len(all_partitions) == 1:
            return all_partitions[0]
        rest = [partition for partition in available if partition != all_partitions[0]]
        return self._default(key, all_partitions[1:], rest)


async def main(bootstrap_servers: str, topic: str) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        partitioner=UrgentFirst(),
    ) as producer:
        keys = [b"urgent-1", b"alice", b"bob", None, b"urgent-2", b"carol"]
        futures = [await producer.send(topic, b"value", key=key) for key in keys]
        counts: Counter[int] = Counter()
        for key, future in zip(keys, futures, strict=True):
            metadata = await future
            assert metadata is not None
            counts[metadata.partition] += 1
            print(f"{key!r} -> partition {metadata.partition}")
        print(dict(sorted(counts.items())))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-partitioner")
    options = parser.parse_args()
    asyncio.run(main(options.bootstrap_servers, options.topic))
