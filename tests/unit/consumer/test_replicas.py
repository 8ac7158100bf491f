"""Reading from the closest replica (KIP-392)."""

from __future__ import annotations

import asyncio
import logging

import pytest

from aiokafka.consumer._replicas import PreferredReplicas
from aiokafka.testing.faults import Error, Level
from tests.unit.consumer.fetch_lab import TP, TP1, fetching, now, virtual

RACKS = {"racks": {0: "a", 1: "b", 2: "c"}}


class Cluster:
    leader: int | None = 1

    def leader_for_partition(self, tp):
        return self.leader

    def broker_metadata(self, node_id):
        return None if node_id == 9 else object()


def replicas(clock=lambda: 0.0):
    cluster = Cluster()
    return PreferredReplicas(lambda: cluster, clock=clock, max_age=60), cluster


def test_without_one_the_leader_is_read():
    chosen, cluster = replicas()
    assert chosen.select(TP) == 1
    cluster.leader = -1
    assert chosen.select(TP) == -1
    cluster.leader = None
    assert chosen.select(TP) is None
    assert not chosen.update(TP, -1)
    assert chosen.select(TP) is None


def test_one_is_used_until_it_expires():
    time = 0.0
    chosen, _ = replicas(lambda: time)
    assert chosen.update(TP, 2)
    assert not chosen.update(TP, 2)
    assert chosen.chosen == {TP: (2, 60)}
    assert chosen.select(TP) == 2
    assert chosen.follows(TP, 2)
    assert not chosen.follows(TP, 1)
    assert chosen.select(TP1) == 1
    time = 60.0
    assert chosen.select(TP) == 1
    assert chosen.chosen == {}


def test_one_that_is_gone_is_not_used():
    chosen, _ = replicas()
    chosen.update(TP, 9)
    assert chosen.select(TP) == 1


def test_the_leader_itself_is_no_replica():
    chosen, _ = replicas()
    assert not chosen.update(TP, 1)
    chosen.update(TP, 2)
    assert chosen.update(TP, 1)
    assert chosen.chosen == {}


def test_forgetting():
    chosen, _ = replicas()
    chosen.update(TP, 2)
    chosen.update(TP1, 3)
    assert chosen.forget_node(2, [TP, TP1])
    assert chosen.chosen == {TP1: (3, 60)}
    assert not chosen.forget_node(2, [TP1])
    assert chosen.forget(TP1)
    assert not chosen.forget(TP1)


def nodes_of(lab, since=0):
    return [request.node_id for request in lab.kafka.history("Fetch")[since:]]


@virtual
async def test_the_closest_replica_is_read():
    async with fetching(
        brokers=3, cluster=RACKS, topic={"assignment": {0: [0, 1, 2]}}, client_rack="b"
    ) as lab:
        lab.append(*range(5))
        assert await lab.take(5) == list(range(5))
        assert nodes_of(lab)[:2] == [0, 1]
        assert set(nodes_of(lab, 1)) == {1}
        assert lab.kafka.history("Fetch")[0].values["rack_id"] == "b"


@virtual
async def test_back_to_the_leader_when_the_replica_dies():
    async with fetching(
        brokers=3, cluster=RACKS, topic={"assignment": {0: [0, 1, 2]}}, client_rack="b"
    ) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.brokers[1].kill()
        lab.append(2)
        started = now()
        assert await lab.take(1) == [2]
        assert now() - started < 2


@virtual
async def test_a_lagging_replica_costs_no_reset():
    async with fetching(
        brokers=3, cluster=RACKS, topic={"assignment": {0: [0, 1, 2]}}, client_rack="b",
        auto_offset_reset="none", assign=[],
    ) as lab:  # fmt: skip
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(0)
        for i in range(10):
            lab.append(i)
        assert await lab.take(10) == list(range(10))
        lab.kafka.set_lag("t", 0, 1, 4)
        count = lab.kafka.count("Fetch")
        for i in range(10, 20):
            lab.append(i)
            assert await lab.take(1) == [i]
        assert 0 in nodes_of(lab, count)
        assert lab.kafka.count("ListOffsets") == 0


@virtual
async def test_out_of_range_at_a_replica_goes_back_to_the_leader():
    async with fetching(
        brokers=3, cluster=RACKS, topic={"assignment": {0: [0, 1, 2]}}, client_rack="b"
    ) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.faults.add(Error(1, Level.PARTITION), api="Fetch", node=1, times=1)
        lab.append(2)
        assert await lab.take(1) == [2]
        assert lab.kafka.count("ListOffsets") == 1


@virtual
async def test_the_leader_is_asked_again_once_in_a_while():
    async with fetching(
        brokers=3, cluster=RACKS, topic={"assignment": {0: [0, 1, 2]}}, client_rack="b",
        client={"metadata_max_age_ms": 10_000},
    ) as lab:  # fmt: skip
        await asyncio.sleep(61)
        assert 5 <= nodes_of(lab).count(0) <= 8


@virtual
async def test_brokers_that_know_no_racks(caplog):
    caplog.set_level(logging.WARNING)
    async with fetching(
        cluster={"versions": {"Fetch": (0, 4)}}, client_rack="b", partitions=1
    ) as lab:
        lab.append(1)
        lab.append(2)
        await lab.take(2)
        await asyncio.sleep(2)
        [record] = caplog.records
        assert "client_rack" in record.getMessage()
        assert "v4" in record.getMessage()
        assert lab.fetcher._rack_warning_logged


def test_what_others_touch():
    async def main():
        async with fetching(brokers=3, assign=[]) as lab:
            fetcher = lab.fetcher
            fetcher._update_preferred_read_replica(TP, 2)
            assert fetcher._select_read_replica(TP) == 2
            assert fetcher._preferred_read_replica[TP][1] == pytest.approx(now() + 300)
            fetcher._preferred_read_replica[TP] = (1, now() - 1)
            leader = lab.kafka.partition("t", 0).leader
            assert fetcher._select_read_replica(TP) == leader
            fetcher._preferred_read_replica = {TP: (1, now() + 10)}

            class Request:
                topics = [("t", [(0, 5, 100)])]

            assert fetcher._invalidate_preferred_read_replica_for_node(1, Request())
            assert fetcher._preferred_read_replica == {}

    virtual(main)()
