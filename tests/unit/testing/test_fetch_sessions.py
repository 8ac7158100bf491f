"""Incremental fetch sessions at the fake cluster (KIP-227)."""

from __future__ import annotations

import asyncio

from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Error

from .fetching import fetch_response, results, values_of
from .lab import RawClient, about, first_broker, now, virtual

VERSIONS = (7, 12, 13, 18)


class Session:
    """A consumer's end of a session."""

    def __init__(self, client: RawClient, cluster: FakeCluster, version: int = 18) -> None:
        self.client = client
        self.cluster = cluster
        self.version = version
        self.session_id = self.epoch = 0

    async def fetch(self, rows=None, **options):
        """What came: values by partition, and the error codes."""
        response = await fetch_response(
            self.client,
            self.cluster,
            rows or {},
            options.pop("version", self.version),
            session_id=options.pop("session_id", self.session_id),
            session_epoch=options.pop("session_epoch", self.epoch),
            **options,
        )
        self.error_code = response.error_code
        self.session_id = response.session_id
        self.epoch += 1
        return {
            (result.topic, result.partition): result.error_code or values_of(result)
            for result in results(self.cluster, response)
        }


@virtual
async def test_only_changes_are_answered():
    for version in VERSIONS:
        async with FakeCluster(1) as cluster:
            cluster.create_topic("t", partitions=3)
            cluster.append("t", 0, b"a")
            session = Session(await RawClient.connect(first_broker(cluster)), cluster, version)
            found = await session.fetch({"t": [(0, 0), (1, 0), (2, 0)]})
            assert found == {("t", 0): [(0, b"a")], ("t", 1): [], ("t", 2): []}
            assert session.session_id > 0
            assert await session.fetch({"t": [(0, 1)]}) == {}
            cluster.append("t", 1, b"b")
            assert await session.fetch() == {("t", 1): [(0, b"b")]}
            # Not moved on: it is answered again.
            assert await session.fetch() == {("t", 1): [(0, b"b")]}
            assert await session.fetch({"t": [(1, 1)]}) == {}
            cluster.append("t", 2, b"c")
            forgotten = [("t", [2])]
            assert await session.fetch(forgotten_topics_data=forgotten) == {}
            # A new start of the log is news, too.
            cluster.delete_records("t", 1, 1)
            assert await session.fetch() == {("t", 1): []}
            assert await session.fetch() == {}
            await session.client.close()


@virtual
async def test_errors_are_answered_until_they_are_over():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", partitions=2)
        session = Session(await RawClient.connect(first_broker(cluster)), cluster)
        await session.fetch({"t": [(0, 0), (1, 0)]})
        error = Error(ErrorCode.KAFKA_STORAGE_ERROR)
        fault = cluster.faults.add(error, api="Fetch", topic="t", partition=1)
        assert await session.fetch() == {("t", 1): ErrorCode.KAFKA_STORAGE_ERROR}
        assert await session.fetch() == {("t", 1): ErrorCode.KAFKA_STORAGE_ERROR}
        # The fault finds the partition although the requests do not name it.
        assert fault.hits == 2
        cluster.faults.remove(fault)
        assert await session.fetch() == {("t", 1): []}
        assert await session.fetch() == {}
        await session.client.close()


@virtual
async def test_a_partition_with_records_goes_to_the_end():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", partitions=2)
        for partition in range(2):
            for _ in range(2):
                cluster.append("t", partition, bytes(100))
        session = Session(await RawClient.connect(first_broker(cluster)), cluster)
        found = await session.fetch({"t": [(0, 0, 10), (1, 0, 10)]}, max_bytes=10)
        assert [len(found["t", n]) for n in range(2)] == [1, 0]
        found = await session.fetch({"t": [(0, 1, 10)]}, max_bytes=10)
        assert {key: len(value) for key, value in found.items()} == {("t", 1): 1}
        await session.client.close()


@virtual
async def test_what_ends_a_session():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        broker = first_broker(cluster)
        session = Session(await RawClient.connect(broker), cluster)
        await session.fetch({"t": [(0, 0)]})
        known = session.session_id
        await session.fetch(session_epoch=7)
        assert session.error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
        await session.fetch(session_id=known + 1, session_epoch=1)
        assert session.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
        await session.fetch(session_id=known, session_epoch=1, version=12)
        assert session.error_code == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
        # A full request closes the old session and opens a new one; the final one only closes.
        assert known in broker.fetch_sessions
        await session.fetch({"t": [(0, 0)]}, session_id=known, session_epoch=0)
        assert known not in broker.fetch_sessions
        assert len(broker.fetch_sessions) == 1
        found = await session.fetch({"t": [(0, 0)]}, session_epoch=-1)
        assert (found, session.session_id) == ({("t", 0): []}, 0)
        assert len(broker.fetch_sessions) == 0
        # Forgetting the last partition ends it, too.
        await session.fetch({"t": [(0, 0)]}, session_epoch=0)
        await session.fetch(session_epoch=1, forgotten_topics_data=[("t", [0])])
        assert (session.error_code, session.session_id) == (0, 0)
        assert len(broker.fetch_sessions) == 0
        # Eviction, a restart, and too many of them:
        await session.fetch({"t": [(0, 0)]}, session_epoch=0)
        broker.fetch_sessions.evict()
        await session.fetch(session_epoch=1)
        assert session.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
        await session.fetch({"t": [(0, 0)]}, session_epoch=0)
        broker.kill()
        broker.restart()
        assert len(broker.fetch_sessions) == 0
        broker.fetch_sessions.limit = 0
        session.client = await RawClient.connect(broker)
        found = await session.fetch({"t": [(0, 0)]}, session_id=0, session_epoch=0)
        assert (found, session.session_id) == ({("t", 0): []}, 0)
        await session.client.close()


@virtual
async def test_an_incremental_request_waits_for_all_its_partitions():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", partitions=2)
        session = Session(await RawClient.connect(first_broker(cluster)), cluster)
        await session.fetch({"t": [(0, 0), (1, 0)]})
        asyncio.get_running_loop().call_later(0.25, cluster.append, "t", 1, b"x")
        start = now()
        assert await session.fetch(wait=5000) == {("t", 1): [(0, b"x")]}
        assert now() - start == about(0.25)
        await session.client.close()
