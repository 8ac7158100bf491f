"""A producer and a consumer at work, and in trouble: ``make demo``.

Starts an embedded mock cluster (it comes with confluent-kafka's wheel: no Java, no Docker, no
broker) and produces 200,000 messages.  A consumer in a group reads them back; a second member
joins while more come in, takes over half of the partitions and leaves again, and every message is
read once.  Then the brokers freeze while messages are in flight.  A ``send()`` to a topic that the
client has not met yet needs metadata that cannot come: it ends after ``max_block_ms``, and says
why.  After the thaw the same producer goes on by itself.

The exit status is 1 when anything is not as promised.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time

from confluent_kafka import Consumer
from demo_parts.cluster import QUIET, MockCluster, speak_as_mock_brokers_read
from demo_parts.group import Member, read_back, rebalance
from demo_parts.outage import MAX_BLOCK_MS, recovery, trouble
from demo_parts.producing import MESSAGES, TOPICS, Traffic, produce, verify
from demo_parts.report import Report
from rich.logging import RichHandler

from aiokafka import AIOKafkaProducer

WHOLE_DEMO = 120.0


async def with_consumers(report: Report, producer: AIOKafkaProducer, bootstrap: str) -> None:
    """What the messages are good for."""
    member = Member(report, "first", bootstrap)
    try:
        report.title("2. Read back, in a group")
        await read_back(report, member, bootstrap)
        report.title("3. Partitions move")
        await rebalance(report, producer, member, bootstrap)
    finally:
        await member.stop()


async def demo(report: Report, cluster: MockCluster) -> None:
    witness = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "witness", **QUIET})
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap,
        acks="all",
        max_block_ms=MAX_BLOCK_MS,
    )
    await producer.start()
    try:
        report.title(f"1. {MESSAGES:,} messages")
        await produce(report, producer)
        await verify(report, witness)
        await with_consumers(report, producer, cluster.bootstrap)
        report.title("4. The brokers freeze")
        traffic = Traffic(producer, TOPICS)
        await trouble(report, producer, cluster, traffic, "a-new-topic")
        report.title("5. The brokers are back")
        await recovery(report, producer, cluster, traffic, "a-new-topic")
    finally:
        cluster.thaw()
        witness.close()
        await producer.stop()


def main() -> int:
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    report = Report()
    handler = RichHandler(console=report.console, show_path=False, log_time_format="  log %X")
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", handlers=[handler])
    started = time.monotonic()
    speak_as_mock_brokers_read()
    cluster = MockCluster()
    report.say(f"A mock cluster of three brokers: {cluster.bootstrap}")
    try:
        asyncio.run(asyncio.wait_for(demo(report, cluster), WHOLE_DEMO))
    except asyncio.TimeoutError:
        report.check(False, f"the demo was not done after {WHOLE_DEMO:.0f} s")
    finally:
        cluster.close()
    report.console.print()
    if report.failed:
        report.console.print(f"[bold red]{len(report.failed)} thing(s) not as promised:")
        for text in report.failed:
            report.console.print(f"  - {text}")
        return 1
    report.console.print(
        f"[bold green]All as promised[/], in {time.monotonic() - started:.0f} seconds."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
