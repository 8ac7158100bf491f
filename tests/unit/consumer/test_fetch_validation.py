"""Truncation of logs that were read (KIP-320)."""

from __future__ import annotations

import asyncio
import logging

import pytest

from aiokafka.consumer import _validation
from aiokafka.consumer._validation import EpochEnd, ReadSoFar
from aiokafka.errors import (
    LogTruncationError,
    NoError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.offset import (
    OffsetForLeaderEpochResponse_v0,
    OffsetForLeaderEpochResponse_v3,
)
from aiokafka.structs import TopicPartition
from aiokafka.testing.faults import Deaf, Error, Level
from tests.unit.consumer.fetch_lab import TP, fetching, now, virtual

API = "OffsetForLeaderEpoch"


async def refreshed(lab):
    await lab.client.force_metadata_update()


# What an answer means


@pytest.mark.parametrize(
    ("epoch", "end", "diverging"),
    [
        (5, 100, None),
        (5, 120, None),
        (5, 99, 99),
        (4, 80, 80),
        (4, 120, 100),
        (-1, -1, -1),
    ],
)
@virtual
async def test_judging(epoch, end, diverging):
    class Client:
        async def send(self, node_id, request):
            assert node_id == 3
            assert request._topics == [("t", [(0, 7, 5)])]
            return OffsetForLeaderEpochResponse_v3(0, [("t", [(0, 0, epoch, end), (0, 9, 1, 1)])])

    answers = await _validation.ask(Client(), 3, {TP: ReadSoFar(100, 5, 7)})
    assert set(answers) == {TP}
    assert answers[TP].diverging == diverging


@virtual
async def test_judging_errors_and_old_versions():
    class Client:
        async def send(self, node_id, request):
            return OffsetForLeaderEpochResponse_v0([("t", [(6, 0, -1), (0, 1, 90)])])

    other = TopicPartition("t", 1)
    far = ReadSoFar(100, 5, 7)
    assert await _validation.ask(Client(), 3, {TP: far, other: far}) == {
        TP: EpochEnd(NotLeaderForPartitionError),
        other: EpochEnd(NoError, 90, 5),
    }


# On the cluster


@virtual
async def test_an_orderly_change_of_leaders_is_validated_and_read_on():
    async with fetching(brokers=2) as lab:
        lab.append(*range(5))
        assert await lab.take(5) == list(range(5))
        assert lab.state().position_epoch == lab.kafka.partition("t", 0).leader_epoch
        assert lab.kafka.count(API) == 0
        lab.kafka.move_leader("t")
        lab.append(5)
        assert await lab.take(1) == [5]
        assert lab.kafka.count(API) == 1
        lab.append(6)
        assert await lab.take(1) == [6]
        assert lab.kafka.count(API) == 1


@pytest.mark.parametrize("policy", ["earliest", "latest", "by_duration:PT1H"])
@virtual
async def test_after_truncation_it_goes_on_where_the_logs_part(policy, caplog):
    async with fetching(brokers=2, auto_offset_reset=policy, assign=[]) as lab:
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(0)
        for i in range(10):
            lab.append(i)
        assert await lab.take(10) == list(range(10))
        lab.kafka.truncate("t", 0, 6, to=1)
        for i in range(100, 108):
            lab.append(i)
        assert await lab.take(8) == list(range(100, 108))
        assert "differs from 6" in caplog.text


@virtual
async def test_truncation_is_raised_without_a_policy():
    async with fetching(brokers=2, auto_offset_reset="none", assign=[]) as lab:
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(0)
        for i in range(10):
            lab.append(i)
        await lab.take(10)
        lab.kafka.truncate("t", 0, 6, to=1)
        for i in range(100, 108):
            lab.append(i)
        for _ in range(2):
            with pytest.raises(LogTruncationError) as caught:
                await asyncio.wait_for(lab.fetcher.next_record(()), 10)
            assert (caught.value.positions, caught.value.divergent) == ({TP: 10}, {TP: 6})
        lab.fetcher.seek_to(TP, 6)
        assert await lab.take(8) == list(range(100, 108))


@virtual
async def test_what_was_fetched_but_not_given_out_is_dropped_silently(caplog):
    caplog.set_level(logging.WARNING)
    async with fetching(brokers=2, auto_offset_reset="none", assign=[]) as lab:
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(0)
        for i in range(10):
            lab.append(i)
        assert await lab.take(3) == [0, 1, 2]
        await asyncio.sleep(1)
        lab.kafka.truncate("t", 0, 6, to=1)
        for i in range(100, 108):
            lab.append(i)
        await refreshed(lab)
        await asyncio.sleep(1)
        assert await lab.take(11) == [3, 4, 5, *range(100, 108)]
        assert not caplog.records


@virtual
async def test_a_seek_has_nothing_to_validate():
    async with fetching(brokers=2) as lab:
        lab.append(*range(5))
        await lab.take(5)
        lab.fetcher.seek_to(TP, 2)
        lab.kafka.move_leader("t")
        await refreshed(lab)
        assert await lab.take(3) == [2, 3, 4]
        assert lab.kafka.count(API) == 0


@pytest.mark.parametrize("code", [6, 74, 75, 3, 7])
@virtual
async def test_passing_errors(code):
    async with fetching(brokers=2) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.faults.add(Error(code, Level.PARTITION), api=API, times=4)
        lab.kafka.move_leader("t")
        lab.append(2)
        started = now()
        assert await lab.take(1) == [2]
        assert now() - started < 5
        assert lab.kafka.count(API) == 5


@virtual
async def test_leaders_that_move_while_validating():
    async with fetching(brokers=3) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.faults.add(Deaf(), api=API, times=1)
        lab.kafka.move_leader("t")
        lab.append(2)
        await lab.kafka.wait_for_requests(API)
        lab.kafka.move_leader("t")
        started = now()
        assert await lab.take(1) == [2]
        assert now() - started < 2


@virtual
async def test_brokers_that_cannot_be_asked():
    async with fetching(brokers=2, cluster={"versions": {API: (0, -1)}}) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.move_leader("t")
        lab.append(2)
        assert await lab.take(1) == [2]


@virtual
async def test_not_allowed():
    async with fetching(brokers=2) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.faults.add(Error(31, Level.PARTITION), api=API, times=1)
        lab.kafka.move_leader("t")
        lab.append(2)
        assert await lab.take(1) == [2]
        lab.kafka.faults.add(Error(29, Level.PARTITION), api=API, times=1)
        lab.kafka.move_leader("t")
        lab.append(3)
        with pytest.raises(TopicAuthorizationFailedError):
            await lab.take(1)
        assert await lab.take(1) == [3]


@virtual
async def test_seek_while_validating():
    async with fetching(brokers=2, auto_offset_reset="none", assign=[]) as lab:
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(0)
        for i in range(10):
            lab.append(i)
        await lab.take(10)
        lab.kafka.truncate("t", 0, 6, to=1)
        await refreshed(lab)
        await lab.kafka.wait_for_requests(API)
        lab.fetcher.seek_to(TP, 1)
        assert await lab.take(5) == [1, 2, 3, 4, 5]
