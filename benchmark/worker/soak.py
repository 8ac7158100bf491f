"""A consumer that reads for a long time at full speed, while its memory is looked at.

A child of :mod:`benchmark.soak`, in a process of its own so that nothing else is in its memory.
One member of a group with auto-commit on reads all topics to the end, checks what it has read,
goes back to the beginning and reads again, each time in another way: ``getmany()``,
``async for``, ``getone()``.  A thread, which no busy loop holds up, prints a sample twice a
second, as JSON: seconds, resident megabytes, records and passes so far.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_STATM = Path("/proc/self/statm")
_INTERVAL = 0.5
_FETCH_MAX_WAIT_MS = 50  # the end of the log is not what is to be seen here
#: Fetched ahead; how full the buffer happens to be is not to be taken for growth.
_FETCH_BUFFER_BYTES = 8 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class SoakJob:
    """What to read, and for how long.

    Parameters:
        topics: filled ones of ``partitions`` partitions each.
        records: in all of them together.
        seconds: when to stop; the pass that is under way is finished.
        loop: ``asyncio`` or ``uvloop``.
        keep_every: keep one in so many records for ever: a leak, to see whether it is noticed.
    """

    bootstrap: str
    group: str
    topics: tuple[str, ...]
    partitions: int
    records: int
    seconds: float
    loop: str = "asyncio"
    keep_every: int = 0

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SoakJob:
        fields = json.loads(text)
        fields["topics"] = tuple(fields["topics"])
        return cls(**fields)


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One look at the process."""

    seconds: float
    rss_mb: float
    records: int
    passes: int


def _rss_mb() -> float:
    pages = int(_STATM.read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


class _Soak:
    def __init__(self, job: SoakJob) -> None:
        self._job = job
        self._passes = 0
        self._done = 0
        self._kept: list[Any] = []
        self._started = time.monotonic()
        self._stopped = threading.Event()

    def sample(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            sample = Sample(time.monotonic() - self._started, _rss_mb(), self._done, self._passes)
            print(json.dumps(dataclasses.asdict(sample)), flush=True)

    async def _pass(self, consumer: Any, how: str) -> tuple[int, int]:
        from benchmark.worker import tally

        records = self._job.records
        if how == "getmany":
            return await tally.call_for_many(
                lambda: consumer.getmany(timeout_ms=tally.PATIENCE * 1000), records
            )
        if how == "getone":
            return await tally.within_patience(tally.call_for_one(consumer.getone, records))
        return await tally.within_patience(tally.iterate(consumer, records))

    async def _leak(self, consumer: Any) -> None:
        batch = await consumer.getmany(timeout_ms=1000)
        for records in batch.values():
            self._kept.extend(records[:: self._job.keep_every])
        await consumer.seek_to_beginning()

    async def run(self) -> None:
        from aiokafka import AIOKafkaConsumer
        from benchmark.worker import tally

        job = self._job
        consumer = AIOKafkaConsumer(
            *job.topics,
            bootstrap_servers=job.bootstrap,
            group_id=job.group,
            auto_offset_reset="earliest",
            auto_commit_interval_ms=500,
            fetch_max_wait_ms=_FETCH_MAX_WAIT_MS,
            fetch_buffer_bytes=_FETCH_BUFFER_BYTES,
        )
        await consumer.start()
        try:
            self._started = time.monotonic()
            threading.Thread(target=self.sample, daemon=True).start()
            for how in itertools.cycle(("getmany", "async for", "getone")):
                received, offsets = await self._pass(consumer, how)
                tally.check(received, offsets, job.records, job.partitions * len(job.topics))
                self._done += received
                self._passes += 1
                if time.monotonic() - self._started > job.seconds:
                    break
                await consumer.seek_to_beginning()
                if job.keep_every:
                    await self._leak(consumer)
            self._stopped.set()
        finally:
            await consumer.stop()


def main(text: str) -> int:
    # As for the other children: the checkout is measured, wherever this is run.
    del sys.path[0]
    sys.path.insert(0, str(ROOT))
    from benchmark.worker import soak
    from benchmark.worker.asyncio_clients import new_loop

    job = soak.SoakJob.from_json(text)
    loop = new_loop(job.loop)
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(soak._Soak(job).run())
    finally:
        loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
