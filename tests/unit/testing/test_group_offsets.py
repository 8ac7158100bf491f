"""OffsetCommit and OffsetFetch at the fake cluster."""

from __future__ import annotations

import uuid

from aiokafka.protocol.commit import OffsetCommitRequest, commit_results
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Error, Level
from aiokafka.testing.group_offsets import Committed

from .grouping import Partner
from .lab import struct_of, virtual

NOBODY = {"generation": -1, "member_id": ""}


@virtual
async def test_every_version():
    async with FakeCluster(1, release="2.8") as cluster:
        cluster.brokers[0].versions = {8: (0, 10), 9: (0, 10)}
        cluster.create_topic("t", partitions=3)
        member = await Partner.connect(cluster)
        group = cluster.group("g")
        for version in range(2, 11):
            row = (0, version, "m", 4)
            assert await member.commit({"t": [row]}, version, **NOBODY) == [0]
            epoch = 4 if version >= 6 else -1
            assert group.committed["t", 0] == (version, "m", epoch)
        for version in range(1, 11):
            error, found = await member.committed({"t": [0, 1]}, version)
            epoch = 4 if version >= 5 else -1
            assert (error, found) == (
                0,
                {("t", 0): (10, "m", epoch, 0), ("t", 1): (-1, "", -1, 0)},
            )
            if version >= 2:
                assert (await member.committed(None, version))[1] == {
                    ("t", 0): (10, "m", epoch, 0)
                }
        answer = await member.client.send(struct_of(8, 0, "g", [("t", [(1, 7, "")])]))
        assert commit_results(answer) == [("t", 1, 0)]
        assert (await member.committed({"t": [1]}))[1]["t", 1][0] == 7
        await member.client.close()


@virtual
async def test_who_may_commit():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        member = await Partner.connect(cluster)
        row = {"t": [(0, 1)]}
        # There is no such group yet:
        assert await member.commit(row, generation=1, member_id="x") == [69]
        assert await member.commit(row, 8, generation=1, member_id="x") == [22]
        assert await member.commit(row, **NOBODY) == [0]
        await member.enter()
        assert await member.commit(row) == [0]
        # From outside only while the group is empty:
        assert await member.commit(row, **NOBODY) == [ErrorCode.UNKNOWN_MEMBER_ID]
        assert await member.commit(row, member_id="x") == [ErrorCode.UNKNOWN_MEMBER_ID]
        assert await member.commit(row, generation=9) == [ErrorCode.ILLEGAL_GENERATION]
        await member.leave()
        assert await member.commit(row) == [ErrorCode.UNKNOWN_MEMBER_ID]
        assert await member.commit(row, **NOBODY) == [0]
        events = cluster.group("g").events("commit")
        assert [event.details["generation"] for event in events] == [-1, 1, -1]
        assert events[1].details["member_id"] == member.member_id
        assert events[1].details["offsets"] == {("t", 0): Committed(1)}


@virtual
async def test_refusals_of_partitions():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.create_topic("secret")
        cluster.commit("g", "secret", 0, 3)
        cluster.denied_topics.add("secret")
        member = await Partner.connect(cluster)
        codes = await member.commit(
            {"t": [(0, 1, "x" * 4097), (1, 1), (0, 2)], "secret": [(0, 1)], "absent": [(0, 1)]},
            9,
            **NOBODY,
        )
        assert codes == [
            ErrorCode.OFFSET_METADATA_TOO_LARGE,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            0,
            ErrorCode.TOPIC_AUTHORIZATION_FAILED,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ]
        assert cluster.group("g").committed["t", 0] == (2, "", -1)
        request = OffsetCommitRequest(
            "g", -1, "", -1, [("t", [(0, 9, "")])], topic_ids={"t": uuid.UUID(int=5)}
        )
        ((_, _, error),) = commit_results(await member.client.ask(request))
        assert error == ErrorCode.UNKNOWN_TOPIC_ID
        _, found = await member.committed({"t": [0], "secret": [0], "absent": [0]}, 9)
        assert found["secret", 0] == (-1, "", -1, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        assert found["absent", 0] == (-1, "", -1, 0)
        assert (await member.committed(None))[1] == {("t", 0): (2, "", -1, 0)}


@virtual
async def test_stable_offsets():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t")
        cluster.commit("g", "t", 0, 5, "meta", 2)
        member = await Partner.connect(cluster)
        cluster.set_unstable("g", "t", 0)
        assert (await member.committed({"t": [0]}))[1]["t", 0] == (5, "meta", 2, 0)
        _, found = await member.committed({"t": [0]}, require_stable=True)
        assert found["t", 0][3] == ErrorCode.UNSTABLE_OFFSET_COMMIT
        cluster.set_unstable("g", "t", 0, False)
        _, found = await member.committed({"t": [0]}, require_stable=True)
        assert found["t", 0] == (5, "meta", 2, 0)


@virtual
async def test_offsets_go_with_their_topic():
    async with FakeCluster(1) as cluster:
        for topic in ("t", "u"):
            cluster.create_topic(topic)
            cluster.commit("g", topic, 0, 5)
            cluster.set_unstable("g", topic, 0)
        cluster.delete_topic("t")
        offsets = cluster.group("g").committed
        assert (list(offsets), offsets.unstable) == ([("u", 0)], {("u", 0)})


@virtual
async def test_faults():
    async with FakeCluster(1) as cluster:
        cluster.create_topic("t", partitions=2)
        member = await Partner.connect(cluster)
        rows = {"t": [(0, 1), (1, 1)]}
        timed_out = ErrorCode.REQUEST_TIMED_OUT
        cluster.faults.add(Error(timed_out), api="OffsetCommit", topic="t", partition=1, times=1)
        assert await member.commit(rows, **NOBODY) == [0, timed_out]
        assert ("t", 1) not in cluster.group("g").committed
        cluster.faults.add(Error(timed_out, applied=True), api="OffsetCommit", times=1)
        assert await member.commit(rows, **NOBODY) == [timed_out, timed_out]
        assert cluster.group("g").committed["t", 1].offset == 1
        loading = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        cluster.faults.add(Error(loading, Level.TOP), api="OffsetCommit", times=1)
        assert await member.commit(rows, **NOBODY) == [loading, loading]
        cluster.faults.add(Error(loading), api="OffsetFetch", times=2)
        assert (await member.committed({"t": [0]}))[0] == loading
        assert (await member.committed({"t": [0]}, 7))[0] == loading
        unstable = Error(ErrorCode.UNSTABLE_OFFSET_COMMIT, Level.PARTITION)
        cluster.faults.add(unstable, api="OffsetFetch", topic="t", partition=0, times=1)
        assert [row[3] for row in (await member.committed({"t": [0, 1]}))[1].values()] == [88, 0]
