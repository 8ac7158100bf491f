"""The brokers freeze with messages in flight, and come back."""

from __future__ import annotations

import asyncio
import logging
import time

from rich.markup import escape

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from demo_parts.cluster import MockCluster
from demo_parts.producing import Traffic
from demo_parts.report import Report, Warnings, describe

MAX_BLOCK_MS = 2_000
SLACK = 1.1  # a bound holds when the call ends within it plus 10 %
RECOVERY = 2.0  # seconds after the thaw: the longest backoff is one of them


async def trouble(
    report: Report, producer: AIOKafkaProducer, cluster: MockCluster, traffic: Traffic, topic: str
) -> None:
    """Freeze the brokers with messages in flight, and send to a topic not met before."""
    warnings = Warnings()
    logging.getLogger("aiokafka").addHandler(warnings)
    report.say("A background task goes on sending 2,000 messages a second")
    await traffic.flowing()
    await traffic.burst(1_000)
    cluster.freeze()
    before = len(traffic.futures)
    report.say(f"SIGSTOP to the brokers; {traffic.pending:,} messages are on their way")
    report.say(f"await producer.send({topic!r}, ...) with max_block_ms={MAX_BLOCK_MS} ...")
    budget = MAX_BLOCK_MS / 1000
    started = time.monotonic()
    error: Exception | None = None
    try:
        await producer.send(topic, b"anybody there?")
    except Exception as exc:
        error = exc
    elapsed = time.monotonic() - started
    report.check(
        isinstance(error, KafkaTimeoutError),
        f"it raised [yellow]{escape(describe(error))}[/]",
    )
    report.check(
        budget * 0.95 <= elapsed <= budget * SLACK,
        f"after {elapsed:.2f} s (bound: {budget:.1f} s; aiokafka 0.14 takes 40 s)",
    )
    report.check(1 <= warnings.count <= 5, f"{warnings.count} warning(s) in the log, as above")
    await traffic.stop()
    report.check(
        len(traffic.futures) > before and traffic.longest_send < budget,
        f"meanwhile send() took in {len(traffic.futures) - before:,} messages more for the topic "
        f"it knows; the slowest of these calls took {traffic.longest_send * 1000:.0f} ms",
    )
    logging.getLogger("aiokafka").removeHandler(warnings)


async def recovery(
    report: Report, producer: AIOKafkaProducer, cluster: MockCluster, traffic: Traffic, topic: str
) -> None:
    """Thaw the brokers: the same producer goes on."""
    pending = traffic.pending
    cluster.thaw()
    thawed = time.monotonic()
    report.say("SIGCONT to the brokers")
    try:
        metadata = await producer.send_and_wait(topic, b"there you are")
    except Exception as exc:
        report.check(False, f"send_and_wait({topic!r}, ...) raised {escape(repr(exc))}")
    else:
        elapsed = time.monotonic() - thawed
        assert metadata is not None
        report.check(
            elapsed <= RECOVERY,
            f"send_and_wait({topic!r}, ...) was acknowledged {elapsed:.2f} s after the thaw: "
            f"partition {metadata.partition}, offset {metadata.offset}",
        )
    results = await asyncio.gather(*traffic.futures, return_exceptions=True)
    lost = [result for result in results if isinstance(result, BaseException)]
    elapsed = time.monotonic() - thawed
    report.check(
        not lost,
        f"the {pending:,} messages that were on their way: "
        + (f"{len(lost):,} failed, {escape(repr(lost[0]))}" if lost else "all acknowledged")
        + f", {elapsed:.2f} s after the thaw",
    )
