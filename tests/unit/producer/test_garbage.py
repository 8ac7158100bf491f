"""Futures of records and the garbage collector: nothing leaks, whatever becomes of a batch.

The compiled code hides pending futures from the collector; these tests hold for both twins.
"""

from __future__ import annotations

import asyncio
import gc
import weakref

from aiokafka.producer._hot import BatchRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition


class Owner:
    """Refers to a future that refers back to it."""

    def __init__(self, future: asyncio.Future[object]) -> None:
        self.future = future
        future.add_done_callback(self.called)

    def called(self, _: object) -> None:
        pass


def records() -> BatchRecords:
    return BatchRecords(DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 10000))


def make_future(batch: BatchRecords) -> asyncio.Future[object]:
    create = asyncio.get_running_loop().create_future
    future = batch.append_future(1, None, b"v", [], create)
    assert future is not None
    return future


async def test_a_forgotten_batch_leaves_no_cycle_behind() -> None:
    batch = records()
    gone = weakref.ref(Owner(make_future(batch)))
    gc.collect()
    assert gone() is not None
    del batch
    gc.collect()
    assert gone() is None


async def test_a_failed_future_in_its_own_traceback() -> None:
    batch = records()

    async def use() -> weakref.ref[Owner]:
        owner = Owner(make_future(batch))
        batch.fail(ValueError("x"))
        try:
            await owner.future
        except ValueError as error:
            owner.error = error  # type: ignore[attr-defined]
        return weakref.ref(owner)

    gone = await use()
    await asyncio.sleep(0)  # the loop lets go of the callback
    gc.collect()
    assert gone() is None


async def test_a_resolved_future() -> None:
    batch = records()
    owner = Owner(make_future(batch))
    batch.complete(TopicPartition("t", 0), 5, None, None)
    await owner.future
    await asyncio.sleep(0)  # the loop lets go of the callback
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
