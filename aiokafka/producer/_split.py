"""Dividing a batch that a broker found too large (KIP-126).

Pure: no loop, no task.  The futures of the records stay with their batch's new parts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.record.default_records import DefaultRecordBatch

if TYPE_CHECKING:
    from aiokafka.producer._batch import BatchBuilder

_HEADER_SIZE = 61


def split_records(
    builder: BatchBuilder,
) -> list[tuple[list[asyncio.Future[Any] | None], BatchBuilder]]:
    """Refill *builder*'s records into builders of half its size, at least two of them.

    Returns for each its records' futures and the builder.
    """
    futures = builder._records.futures
    records = list(DefaultRecordBatch(bytes(builder._build())))
    limit = _HEADER_SIZE + (builder._builder.size() - _HEADER_SIZE) // 2
    parts: list[tuple[list[asyncio.Future[Any] | None], BatchBuilder]] = []
    half = (len(records) + 1) // 2
    for index, record in enumerate(records):
        # Not past the middle: one huge last record must not leave everything in one part.
        if not parts or (index == half and len(parts) == 1) or not _put(parts[-1][1], record):
            fresh = builder._empty_twin(limit)
            _put(fresh, record)
            parts.append(([], fresh))
        parts[-1][0].append(futures[index] if index < len(futures) else None)
    return parts


def _put(builder: BatchBuilder, record: Any) -> bool:
    appended = builder.append(
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
    return appended is not None
