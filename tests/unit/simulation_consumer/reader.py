"""A consumer without a group: partitions assigned by hand, seeks, pauses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.structs import TopicPartition

from .application import Application
from .scenario import ReaderPlan

if TYPE_CHECKING:
    from .workload import Run


class Reader(Application):
    """A consumer that has its partitions for itself."""

    plan: ReaderPlan

    def __init__(self, run: Run, plan: ReaderPlan) -> None:
        super().__init__(run, f"reader-{plan.number}", plan, plan.style, plan.pause)
        partitions = run.cluster.topics[plan.topic].partitions
        self.tps = [TopicPartition(plan.topic, partition.index) for partition in partitions]
        self._restless: asyncio.Task[None] | None = None
        self._began_at = self.loop.time()

    def _more_settings(self) -> dict[str, Any]:
        return self.settings

    def _make(self) -> Any:
        consumer = super()._make()
        consumer.assign(self.tps)
        for tp in self.tps:
            self.journal.begin(tp, self.loop.time(), sought=True, start=0)
        return consumer

    async def _begun(self) -> None:
        self._restless = asyncio.ensure_future(self._jump())
        self.ending.add_done_callback(lambda _: self.rest())

    def rest(self) -> None:
        """No more jumps; everything is read."""
        if self._restless is not None:
            self._restless.cancel()
        if self.alive and self.consumer is not None and not self.ending.done():
            self.consumer.resume(*self.paused)
        self.paused.clear()

    async def _jump(self) -> None:
        """Seek, pause and resume now and then."""
        consumer, rng = self.consumer, self.rng
        assert consumer is not None
        for _ in range(self.plan.seeks):
            await asyncio.sleep(rng.uniform(0, 2 * self.plan.ends_at / self.plan.seeks))
            tp = rng.choice(self.tps)
            roll = rng.random()
            if roll < 0.4:
                offset = rng.randint(0, self.run.cluster.partition(*tp).log.end_offset)
                consumer.seek(tp, offset)
                self.journal.begin(tp, self.loop.time(), sought=True, start=offset)
            elif roll < 0.5:
                self.journal.begin(tp, self.loop.time(), sought=True, start=0)
                await self._call("seek_to_beginning", consumer.seek_to_beginning(tp))
            elif roll < 0.6:
                # Where the end is, the broker says.
                self.journal.begin(tp, self.loop.time(), sought=True)
                await self._call("seek_to_end", consumer.seek_to_end(tp))
            elif roll < 0.7:
                await self._call("end_offsets", consumer.end_offsets(self.tps))
            elif roll < 0.8:
                await self._call("position", consumer.position(tp))
            elif tp in self.paused:
                consumer.resume(tp)
                self.paused.discard(tp)
            else:
                consumer.pause(tp)
                self.paused.add(tp)
