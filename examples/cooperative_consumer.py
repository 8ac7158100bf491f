"""A member for a large group: static, so that a restart costs no rebalance (KIP-345), and
cooperative, so that a rebalance stops only the partitions that move (KIP-429)."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor


class Report(ConsumerRebalanceListener):
    """With a cooperative strategy these get only what changes."""

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        print("given to others:", sorted(tp.partition for tp in revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        print("added:", sorted(tp.partition for tp in assigned))

    async def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        print("others have them already:", sorted(tp.partition for tp in lost))


async def consume(consumer: AIOKafkaConsumer, count: int | None) -> None:
    seen = 0
    async for record in consumer:
        print(f"{record.topic}-{record.partition} at offset {record.offset}: {record.value!r}")
        seen += 1
        if seen == count:
            break


async def main(options: argparse.Namespace) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=options.bootstrap_servers,
        group_id=options.group,
        group_instance_id=options.instance,
        auto_offset_reset="earliest",
        partition_assignment_strategy=[CooperativeStickyPartitionAssignor],
        session_timeout_ms=30_000,  # longer than a restart takes
        stop_timeout_ms=5_000,  # less than the grace period at shutdown
    )
    consumer.subscribe([options.topic], listener=Report())
    async with consumer:
        task = asyncio.create_task(consume(consumer, options.count))
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):  # not on Windows
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        health = consumer.health()
        print(f"{len(health.assignment)} partitions, lag {health.lag}: {health}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-consumer")
    parser.add_argument("--group", default="example-cooperative")
    parser.add_argument("--instance", default=socket.gethostname(), help="unique in the group")
    parser.add_argument("--count", type=int, help="end after so many records")
    asyncio.run(main(parser.parse_args()))
