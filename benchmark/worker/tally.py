"""Whether a consumer has read everything: the number of records and the sum of their offsets.

A topic is filled with the same number of records in each partition, at offsets from 0, so both
are known beforehand.  The sums are the only thing that the loops do with a record.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

#: Seconds that no record may take to come; a loop that waits longer has lost one.
PATIENCE = 20.0


class RecordsMissing(RuntimeError):
    """A consumer has not read what the topic holds, each record once."""


def check(received: int, offsets: int, records: int, partitions: int) -> None:
    """Compare what was read with what a topic of ``records`` records holds.

    Raises:
        RecordsMissing: the number of records or the sum of their offsets is another one.
    """
    each = records // partitions
    wanted = partitions * each * (each - 1) // 2
    if (received, offsets) != (records, wanted):
        raise RecordsMissing(
            f"read {received:,} records with offsets adding up to {offsets:,}, "
            f"not {records:,} and {wanted:,}"
        )


async def iterate(stream: AsyncIterator[Any], records: int) -> tuple[int, int]:
    """``async for``: number and sum of offsets."""
    received = offsets = 0
    async for record in stream:
        offsets += record.offset
        received += 1
        if received == records:
            break
    return received, offsets


async def call_for_one(getone: Callable[[], Awaitable[Any]], records: int) -> tuple[int, int]:
    """A call a record."""
    received = offsets = 0
    while received < records:
        record = await getone()
        offsets += record.offset
        received += 1
    return received, offsets


async def call_for_many(
    getmany: Callable[[], Awaitable[Mapping[Any, Iterable[Any]]]], records: int
) -> tuple[int, int]:
    """A call a batch: records by partition."""
    received = offsets = 0
    while received < records:
        batch = await getmany()
        if not batch:
            raise RecordsMissing(f"nothing came after {received:,} of {records:,} records")
        for part in batch.values():
            for record in part:
                offsets += record.offset
                received += 1
    return received, offsets


def iterate_sync(stream: Iterator[Any], records: int) -> tuple[int, int]:
    """``for``: number and sum of offsets."""
    received = offsets = 0
    for record in stream:
        offsets += record.offset
        received += 1
        if received == records:
            break
    return received, offsets


def call_for_many_sync(
    poll: Callable[[], Mapping[Any, Iterable[Any]]], records: int
) -> tuple[int, int]:
    """A blocking call a batch: records by partition."""
    received = offsets = 0
    while received < records:
        batch = poll()
        if not batch:
            raise RecordsMissing(f"nothing came after {received:,} of {records:,} records")
        for part in batch.values():
            for record in part:
                offsets += record.offset
                received += 1
    return received, offsets


async def within_patience(awaitable: Awaitable[tuple[int, int]]) -> tuple[int, int]:
    """Bound a loop whose calls wait for records as long as there are none."""
    return await asyncio.wait_for(awaitable, PATIENCE * 3)
