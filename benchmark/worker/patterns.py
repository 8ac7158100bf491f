"""How an asyncio contender is driven; the same loops for all of them.

The loops are kept lean, since their own cost is part of every figure; the contender ``null``
shows how much that is.  At most ``window`` futures are outstanding, and every one is awaited:
half a window is sent while the other half is on its way, so that the pipeline never drains.
No tasks but those of :func:`tasks`; the futures belong to the client under test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmark.worker import payload
from benchmark.worker.job import Job, Measured
from benchmark.worker.meter import Meter

Send = Callable[..., Awaitable[Any]]


async def _send_values(send: Send, topic: str, chunk: list[bytes]) -> list[Any]:
    return [await send(topic, value) for value in chunk]


async def _send_pairs(send: Send, topic: str, chunk: list[tuple[bytes, bytes]]) -> list[Any]:
    return [await send(topic, value, key=key) for key, value in chunk]


async def _send_there(send: Send, topic: str, chunk: list[bytes], partition: int) -> list[Any]:
    return [await send(topic, value, partition=partition) for value in chunk]


class _Stream:
    """Sends half windows until told to stop."""

    def __init__(self, job: Job, send: Send, flush: Callable[[], Awaitable[Any]]) -> None:
        self._job = job
        self._send = send
        self._flush = flush
        self._half = min(job.window // 2, payload.POOL)
        self._values = payload.values(job.value_size, self._half)
        self._pairs = list(zip(payload.keys(self._half), self._values, strict=True))

    async def _chunk(self) -> list[Any]:
        job = self._job
        if job.partition is not None:
            return await _send_there(self._send, job.topic, self._values, job.partition)
        if job.keyed:
            return await _send_pairs(self._send, job.topic, self._pairs)
        return await _send_values(self._send, job.topic, self._values)

    async def run(self, messages: int, until: float) -> int:
        """Send until ``messages`` are out or the clock says ``until``; await them all."""
        sent = 0
        previous: list[Any] = []
        while sent < messages and time.perf_counter() < until:
            current = await self._chunk()
            sent += len(current)
            for future in previous:
                await future
            previous = current
        await self._flush()
        for future in previous:
            await future
        return sent


async def produce(
    job: Job, send: Send, flush: Callable[[], Awaitable[Any]], version: str
) -> Measured:
    """Throughput: futures kept, all awaited, ``window`` at most outstanding."""
    stream = _Stream(job, send, flush)
    await stream.run(job.warmup_messages, time.perf_counter() + job.seconds)
    meter = Meter()
    start = meter.start()
    messages = await stream.run(job.max_messages, start + job.seconds)
    meter.stop()
    return meter.measured(messages, version, [])


async def tasks(job: Job, send_and_wait: Send, version: str) -> Measured:
    """``job.tasks`` tasks, each sending one message after the other and waiting for it."""
    pool = payload.values(job.value_size, job.tasks)

    async def sender(value: bytes, until: float) -> int:
        sent = 0
        topic = job.topic
        clock = time.perf_counter
        while clock() < until:
            await send_and_wait(topic, value)
            sent += 1
        return sent

    async def all_senders(seconds: float) -> int:
        until = time.perf_counter() + seconds
        return sum(await asyncio.gather(*(sender(value, until) for value in pool)))

    await all_senders(min(0.5, job.seconds))
    meter = Meter()
    meter.start()
    messages = await all_senders(job.seconds)
    meter.stop()
    return meter.measured(messages, version, [])


async def latency(job: Job, send_and_wait: Send, version: str) -> Measured:
    """One sender, one message at a time."""
    value = payload.values(job.value_size, 1)[0]
    topic = job.topic
    clock = time.perf_counter
    for _ in range(500):
        await send_and_wait(topic, value)
    calls: list[float] = []
    meter = Meter()
    now = meter.start()
    until = now + job.seconds
    while now < until:
        await send_and_wait(topic, value)
        done = clock()
        calls.append((done - now) * 1e6)
        now = done
    meter.stop()
    return meter.measured(len(calls), version, calls)
