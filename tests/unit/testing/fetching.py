"""Shorthands for fetching from the fake cluster."""

from __future__ import annotations

from typing import Any

from aiokafka.protocol.fetch import FetchPartitionResult, FetchRequest, partition_results
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.testing.cluster import FakeCluster

from .lab import RawClient

BIG = 1 << 20
READ_COMMITTED = 1


def fetch_request(cluster: FakeCluster, rows: Any, **options: Any) -> FetchRequest:
    """A Fetch of ``{topic: [(partition, offset, ...)]}``; rows without a size get a big one."""
    topics = [
        (topic, [(row[0], row[1], BIG) if len(row) == 2 else row for row in parts])
        for topic, parts in rows.items()
    ]
    ids = {topic.name: topic.topic_id for topic in cluster.topics}
    return FetchRequest(
        options.pop("wait", 0),
        options.pop("min_bytes", 1),
        options.pop("max_bytes", BIG),
        options.pop("isolation", 0),
        topics,
        options.pop("rack", ""),
        topic_ids=ids,
        **options,
    )


async def fetch_response(
    client: RawClient, cluster: FakeCluster, rows: Any, version: int = 18, **options: Any
) -> Any:
    return await client.ask(fetch_request(cluster, rows, **options), version)


async def fetch(
    client: RawClient, cluster: FakeCluster, rows: Any, version: int = 18, **options: Any
) -> list[FetchPartitionResult]:
    """The results of a Fetch, a partition each."""
    response = await fetch_response(client, cluster, rows, version, **options)
    assert getattr(response, "error_code", 0) == 0
    return results(cluster, response)


def results(cluster: FakeCluster, response: Any) -> list[FetchPartitionResult]:
    return partition_results(response, {topic.topic_id: topic.name for topic in cluster.topics})


def batches_of(result: FetchPartitionResult) -> list[Any]:
    """The whole batches in a result."""
    found = []
    records = MemoryRecords(result.records or b"")
    while records.has_next():
        found.append(records.next_batch())
    return found


def values_of(result: FetchPartitionResult) -> list[tuple[int, bytes | None]]:
    """(offset, value) of every record in a result."""
    return [(record.offset, record.value) for batch in batches_of(result) for record in batch]
