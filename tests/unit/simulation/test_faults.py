"""Schedules as the simulation needs them: when they are over, the cluster is whole."""

from __future__ import annotations

import asyncio

from aiokafka.testing import FakeCluster, FaultEvent, FaultKind, FaultSchedule, run_virtual


def event(kind: FaultKind, at: float, lasting: float, strength: float) -> FaultEvent:
    return FaultEvent(at, lasting, kind, 0, strength, 0)


def test_events_that_overlap_leave_the_link_as_it_was():
    async def main() -> None:
        async with FakeCluster(1) as cluster:
            link = cluster.brokers[0].link
            before = link.latency, link.chunking
            events = [
                event(FaultKind.SLOW_LINK, 0.0, 2.0, 0.5),
                event(FaultKind.SPLIT_DATA, 0.5, 3.0, 0.9),
                event(FaultKind.SLOW_LINK, 1.0, 2.0, 0.25),
            ]
            schedule = FaultSchedule(cluster, 4.0, events)
            schedule.start()
            await asyncio.sleep(1.5)
            assert (link.latency, link.chunking) == ((0.0, 0.5), 0.9)
            await asyncio.sleep(1.0)  # the first is over, the third is not
            assert (link.latency, link.chunking) == ((0.0, 0.5), 0.9)
            await asyncio.sleep(2.0)
            assert (link.latency, link.chunking) == before
            schedule.stop()

    run_virtual(main)
