"""The names of 0.14 that others replace or look at, with answers that are made up."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from unittest import mock

import pytest

from aiokafka import errors as Errors
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher as fetcher_module
from aiokafka.consumer.fetcher import (
    Fetcher,
    FetchError,
    FetchRequest,
    FetchResult,
    MemoryRecords,
    OffsetResetStrategy,
    PartitionRecords,
)
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.protocol.fetch import (
    FetchRequest_v0,
    FetchResponse_v0,
    FetchResponse_v4,
)
from aiokafka.protocol.offset import OffsetResponse_v0, OffsetResponse_v1
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import OffsetAndTimestamp, TopicPartition
from tests.unit.consumer.fetch_lab import TP, TP1, virtual


def records(count=10, offset=0):
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10**6)
    for i in range(count):
        builder.append(i, 1000 + i, None, b"%d" % (offset + i), [])
    data = bytearray(builder.build())
    data[:8] = offset.to_bytes(8, "big")
    return bytes(data)


class Desk:
    """A fetcher whose client is not connected to anything, and whose task is ended."""

    def __init__(self, **kwargs):
        self.client = AIOKafkaClient(bootstrap_servers=["localhost:1"])
        self.subscriptions = SubscriptionState()
        self.subscriptions.subscribe({"t"})
        self.fetcher = Fetcher(self.client, self.subscriptions, **kwargs)
        self.fetcher._fetch_task.cancel()
        self.leader = 0
        self.client.cluster.leader_for_partition = lambda tp: self.leader

    async def __aenter__(self):
        await asyncio.sleep(0)
        self.subscriptions.assign_from_subscribed([TP])
        self.assignment = self.subscriptions.assignment
        self.state = self.assignment.state_value(TP)
        self.state.seek(4)
        # Nothing is to start by itself.
        self.fetcher._fetch_task = asyncio.ensure_future(asyncio.sleep(1_000_000))
        return self

    async def __aexit__(self, *exc):
        await self.fetcher.close()
        await self.client.close()

    def answer(self, response):
        async def send(node_id, request, **kwargs):
            if isinstance(response, Exception):
                raise response
            return response

        self.client.send = send

    async def fetch(self, response, request=None):
        self.answer(response)
        request = request or FetchRequest_v0(-1, 100, 1, [("t", [(0, 4, 1000)])])
        return await self.fetcher._proc_fetch_request(self.assignment, 0, request)

    def result(self, data, offset=4, backoff=0):
        return FetchResult(
            TP,
            assignment=self.assignment,
            partition_records=PartitionRecords(
                TP, MemoryRecords(data), [], offset, None, None, True, 0
            ),
            backoff=backoff,
        )


def test_module_names():
    assert fetcher_module.UNKNOWN_OFFSET == -1
    assert (fetcher_module.READ_UNCOMMITTED, fetcher_module.READ_COMMITTED) == (0, 1)
    assert fetcher_module.ConsumerRecord


@virtual
async def test_the_background_task_is_replaceable():
    async with Desk() as desk:
        assert desk.fetcher.error_future is desk.fetcher._fetch_task
        mine = desk.fetcher._fetch_task
        await desk.fetcher.close()
        assert mine.cancelled()
        assert desk.fetcher._closed
    client = AIOKafkaClient(bootstrap_servers=["localhost:1"])
    with mock.patch.object(Fetcher, "_fetch_requests_routine", autospec=True) as routine:
        fetcher = Fetcher(client, SubscriptionState())
        await fetcher._fetch_task
        routine.assert_called_once_with(fetcher)
    await fetcher.close()
    await client.close()


@virtual
async def test_settings_are_checked():
    client = AIOKafkaClient(bootstrap_servers=["localhost:1"])
    for wrong in (
        {"isolation_level": "read_nothing"},
        {"auto_offset_reset": "by_duration:soon"},
        {"retry_backoff_ms": -1},
        {"fetch_max_wait_ms": "x"},
    ):
        with pytest.raises(ValueError, match=r"isolation level|auto_offset|retry_back|fetch_max"):
            Fetcher(client, SubscriptionState(), **wrong)
    await client.close()


# Fetch requests


@virtual
async def test_an_answer_with_records():
    async with Desk() as desk:
        response = FetchResponse_v4(0, [("t", [(0, 0, 20, 18, None, records(10))])])
        assert await desk.fetch(response) is True
        assert list(desk.fetcher._records) == [TP]
        assert repr(desk.fetcher._records[TP]) == "<FetchResult position=4>"
        assert (desk.state.highwater, desk.state.lso) == (20, 18)
        assert desk.state.timestamp > 1_600_000_000_000
        record = await desk.fetcher.next_record([])
        assert (record.offset, record.value) == (4, b"4")
        got = await desk.fetcher.fetched_records([TP])
        assert [r.offset for r in got[TP]] == list(range(5, 10))
        assert desk.state.position == 10


@virtual
async def test_an_answer_that_is_a_mock():
    async with Desk() as desk:
        request = SimpleNamespace(topics=[("t", [(0, 4, 1000)])])
        response = SimpleNamespace(
            API_VERSION=4, topics=[("t", [(0, 0, 20, 18, [], records(10))])]
        )
        assert await desk.fetch(response, request)
        assert TP in desk.fetcher._records


@virtual
async def test_an_answer_without_records():
    async with Desk() as desk:
        assert not await desk.fetch(FetchResponse_v0([("t", [(0, 0, 4, b"")])]))
        assert desk.fetcher._records == {}
        assert desk.state.highwater == 4
        assert desk.state.lso == -1


@pytest.mark.parametrize("change", ["seek", "reassign", "reset", "other partition"])
@virtual
async def test_an_answer_that_comes_too_late(change):
    async with Desk() as desk:
        response = FetchResponse_v0([("t", [(0, 0, 20, records(10))])])

        async def send(node_id, request, **kwargs):
            if change == "seek":
                desk.state.seek(2)
            elif change == "reassign":
                desk.subscriptions.assign_from_subscribed([TP])
            elif change == "reset":
                desk.state.await_reset(OffsetResetStrategy.LATEST)
            else:
                return FetchResponse_v0([("t", [(1, 0, 20, records(10))])])
            return response

        desk.client.send = send
        request = FetchRequest_v0(-1, 100, 1, [("t", [(0, 4, 1000)])])
        assert not await desk.fetcher._proc_fetch_request(desk.assignment, 0, request)
        assert desk.fetcher._records == {}


@virtual
async def test_a_connection_error_pauses():
    async with Desk() as desk:
        with mock.patch("asyncio.sleep") as sleep:
            desk.fetcher._preferred_read_replica[TP] = (0, 1e9)
            assert not await desk.fetch(Errors.KafkaConnectionError("lost"))
        assert sleep.call_count == 1
        assert desk.fetcher._preferred_read_replica == {}


@virtual
async def test_errors_of_a_partition(caplog):
    def response(code):
        return FetchResponse_v0([("t", [(0, code, -1, b"")])])

    async with Desk(auto_offset_reset="none") as desk:
        await desk.fetch(response(1))
        assert repr(desk.fetcher._records[TP]).startswith("<FetchError error=OffsetOutOfRange")
        with pytest.raises(Errors.OffsetOutOfRangeError) as caught:
            await desk.fetcher.next_record([])
        assert caught.value.args == ({TP: 4},)
        assert desk.fetcher._records == {}

        await desk.fetch(response(29))
        with pytest.raises(Errors.TopicAuthorizationFailedError) as caught:
            await desk.fetcher.fetched_records([])
        assert caught.value.args == ("t",)

        caplog.clear()
        caplog.set_level(logging.DEBUG, "aiokafka.consumer.fetcher")
        assert not await desk.fetch(response(3))
        assert "Received unknown topic or partition error" in caplog.records[0].getMessage()
        assert caplog.records[0].levelno == logging.WARNING

    async with Desk(auto_offset_reset="earliest") as desk:
        await desk.fetch(response(1))
        assert desk.state.awaiting_reset
        assert desk.state.reset_strategy == OffsetResetStrategy.EARLIEST
    async with Desk() as desk:
        desk.fetcher._default_reset_strategy = OffsetResetStrategy.NONE
        await desk.fetch(response(1))
        with pytest.raises(Errors.OffsetOutOfRangeError):
            await desk.fetcher.next_record([])


@virtual
async def test_malformed_blocks_are_errors_of_the_partition():
    async with Desk() as desk:
        broken = bytearray(records(10))
        broken[16] = 77  # no magic
        await desk.fetch(FetchResponse_v0([("t", [(0, 0, 20, bytes(broken))])]))
        with pytest.raises(Errors.CorruptRecordException) as caught:
            await desk.fetcher.next_record([])
        assert caught.value.partition == 0
        assert desk.state.position == 4


@virtual
async def test_a_batch_that_does_not_fit():
    async with Desk() as desk:
        await desk.fetch(FetchResponse_v0([("t", [(0, 0, 20, records(10)[:50])])]))
        with pytest.raises(Errors.RecordTooLargeError):
            await desk.fetcher.next_record([])
        assert desk.state.position == 5


# Records that are put there


@virtual
async def test_records_that_others_have_put_there():
    async with Desk() as desk:
        desk.fetcher._records = {TP: desk.result(records(10))}
        assert [r.offset for r in (await desk.fetcher.fetched_records([]))[TP]] == [
            4, 5, 6, 7, 8, 9,
        ]  # fmt: skip
        assert desk.fetcher._records == {}
        desk.fetcher._records[TP] = FetchError(error=Errors.UnknownError("x"), backoff=0)
        with pytest.raises(Errors.UnknownError):
            await desk.fetcher.next_record([])
        assert desk.fetcher._records == {}


@virtual
async def test_data_comes_before_errors_in_the_order_of_the_mapping():
    async with Desk() as desk:
        desk.fetcher._records[TP] = desk.result(records(10))
        desk.fetcher._records[TP1] = FetchError(error=Errors.UnknownError("x"), backoff=0)
        assert len((await desk.fetcher.fetched_records([], timeout=1))[TP]) == 6
        with pytest.raises(Errors.UnknownError):
            await desk.fetcher.fetched_records([], timeout=1)
        assert await desk.fetcher.fetched_records([], timeout=1) == {}


# Plans


@virtual
async def test_actions_per_node():
    async with Desk(client_rack="r") as desk:
        actions = desk.fetcher._get_actions_per_node
        fetches, resets, backoff, invalid_metadata, resumed = actions(desk.assignment)
        [(node_id, request)] = fetches
        assert node_id == 0
        assert isinstance(request, FetchRequest)
        assert request._rack_id == "r"
        [(topic, [row])] = request.topics
        assert (topic, *row[:3]) == ("t", 0, 4, 1048576)
        assert (resets, backoff, invalid_metadata, resumed) == ({}, None, False, [])

        desk.fetcher._in_flight.add(0)
        assert actions(desk.assignment)[0] == []
        desk.fetcher._in_flight.clear()

        desk.leader = -1
        assert actions(desk.assignment)[:4] == ([], {}, None, True)
        desk.leader = 7
        desk.client.cluster.broker_metadata = lambda node: object()
        desk.fetcher._update_preferred_read_replica(TP, 5)
        assert actions(desk.assignment)[0][0][0] == 5

        desk.state.await_reset(OffsetResetStrategy.LATEST)
        assert actions(desk.assignment)[:2] == ([], {7: [TP]})
        desk.state.seek(9)
        desk.state.pause()
        fetches, _, _, _, resumed = actions(desk.assignment)
        assert fetches == []
        assert resumed == [desk.state.resume_fut]


# Offsets


@virtual
async def test_positions_are_looked_up():
    async with Desk() as desk:
        desk.state.await_reset(OffsetResetStrategy.LATEST)
        desk.fetcher._proc_offset_request = mock.AsyncMock(return_value={TP: (44, None)})
        assert await desk.fetcher._update_fetch_positions(desk.assignment, 0, [TP])
        assert desk.state.position == 44
        desk.fetcher._proc_offset_request.assert_called_with(0, {"t": [(0, -1)]})

        desk.state.await_reset(OffsetResetStrategy.EARLIEST)
        desk.fetcher._proc_offset_request.side_effect = Errors.NotLeaderForPartitionError(TP)
        assert not await desk.fetcher._update_fetch_positions(desk.assignment, 0, [TP])
        assert desk.state.awaiting_reset

        def sought(*args):
            desk.state.seek(3)
            return {TP: (77, None)}

        desk.fetcher._proc_offset_request = mock.AsyncMock(side_effect=sought)
        await desk.fetcher._update_fetch_positions(desk.assignment, 0, [TP])
        assert desk.state.position == 3


@virtual
async def test_one_offset_request():
    async with Desk() as desk:
        desk.answer(OffsetResponse_v0([("t", [(0, 0, [4, 2])])]))
        assert await desk.fetcher._proc_offset_request(0, {"t": [(0, -1)]}) == {TP: (4, None)}
        desk.answer(OffsetResponse_v1([("t", [(0, 0, 1000, 9)])]))
        assert await desk.fetcher._proc_offset_request(0, {"t": [(0, 5)]}) == {TP: (9, 1000)}
        for code in (3, 6, 42):
            desk.answer(OffsetResponse_v1([("t", [(0, code, -1, -1)])]))
            with pytest.raises(Errors.for_code(code)):
                await desk.fetcher._proc_offset_request(0, {"t": [(0, -1)]})
        desk.answer(OffsetResponse_v1([("t", [(0, 43, -1, -1)])]))
        assert await desk.fetcher._proc_offset_request(0, {"t": [(0, 5)]}) == {TP: (-1, None)}


@virtual
async def test_offsets_for_the_application():
    async with Desk() as desk:
        other = TopicPartition("t", 5)
        found = {TP: (9, 1000), other: (-1, None)}
        desk.fetcher._proc_offset_requests = mock.AsyncMock(return_value=found)
        assert await desk.fetcher.get_offsets_by_times({TP: 5, other: 5}, 1000) == {
            TP: OffsetAndTimestamp(9, 1000),
            other: None,
        }
        desk.fetcher._proc_offset_requests.return_value = {TP: (9, None)}
        assert await desk.fetcher.end_offsets([TP], 1000) == {TP: 9}
        desk.fetcher._proc_offset_requests.assert_called_with({TP: -1})
        assert await desk.fetcher.beginning_offsets([TP], 1000) == {TP: 9}
        desk.fetcher._retrieve_offsets = mock.AsyncMock(return_value={TP: (3, None)})
        assert await desk.fetcher.end_offsets([TP], 1000) == {TP: 3}
