"""Starting, stopping, dropping a consumer, whatever the cluster does meanwhile."""

import asyncio
import gc
import inspect
import logging
import weakref
from typing import Any
from unittest import mock

import pytest

from aiokafka import errors as Errors
from aiokafka.consumer import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import GroupCoordinator, NoGroupCoordinator
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
)
from aiokafka.structs import TopicPartition
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Cut, Deaf, Error
from tests.unit.consumer.consumer_lab import (
    FAST,
    TP,
    consuming,
    fill,
    left_over,
    make,
    now,
    take,
    virtual,
    within,
)

GROUPS = pytest.mark.parametrize("group", [None, "g"])


# Starting


@GROUPS
@virtual
async def test_reads_what_is_there(group):
    async with consuming(partitions=3, brokers=3, records=30, group_id=group) as (_, consumer):
        assert consumer._closed is False
        assert sorted(int(value) for value in await take(consumer, 30)) == list(range(30))
        assert await consumer.getmany() == {}
        assert await consumer.position(TP) == 10


@GROUPS
@virtual
async def test_without_a_subscription_start_only_connects(group):
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        await fill(kafka, 1)
        consumer = make(kafka, group_id=group)
        await consumer.start()
        assert consumer.assignment() == set()
        assert await consumer.topics() == {"t"}
        consumer.subscribe(["t"])
        assert await take(consumer, 1) == [b"0"]
        await consumer.stop()


@GROUPS
@virtual
async def test_a_pattern(group):
    async with FakeCluster(brokers=1) as kafka:
        for topic in ("events-a", "events-b", "other"):
            kafka.create_topic(topic, 1)
            await fill(kafka, 1, topic=topic)
        consumer = make(kafka, group_id=group)
        consumer.subscribe(pattern="events-")
        await consumer.start()
        assert {(await consumer.getone()).topic for _ in range(2)} == {"events-a", "events-b"}
        assert consumer.subscription() == {"events-a", "events-b"}
        await consumer.stop()


@GROUPS
@virtual
async def test_a_pattern_that_matches_nothing_yet(group):
    async with FakeCluster(brokers=1) as kafka:
        consumer = make(kafka, group_id=group, metadata_max_age_ms=1000)
        consumer.subscribe(pattern="events-")
        async with within(0.5):
            await consumer.start()
        assert consumer.assignment() == set()
        assert "no topic matches 'events-'" in consumer.health().reason
        kafka.create_topic("events-a", 1)
        await fill(kafka, 1, topic="events-a")
        assert await take(consumer, 1) == [b"0"]
        await consumer.stop()


@GROUPS
@virtual
async def test_partitions_assigned_by_hand(group):
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 2)
        await fill(kafka, 4, 2)
        consumer = make(kafka, group_id=group)
        consumer.assign([TP])
        await consumer.start()
        assert await take(consumer, 2) == [b"0", b"2"]
        consumer.assign([TopicPartition("t", 1)])
        assert await take(consumer, 2) == [b"1", b"3"]
        if group:
            await consumer.commit()
            assert await consumer.committed(TopicPartition("t", 1)) == 2
        await consumer.stop()


@virtual
async def test_context_manager():
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        await fill(kafka, 1)
        async with make(kafka, "t") as consumer:
            assert await take(consumer, 1) == [b"0"]
        assert consumer._closed is True
        with pytest.raises(ConsumerStoppedError):
            await consumer.getone()
        assert left_over() == []


@virtual
async def test_context_manager_that_cannot_start():
    consumer = AIOKafkaConsumer("t", bootstrap_servers="nowhere:1", **FAST)
    with pytest.raises(KafkaConnectionError):
        async with consumer:
            raise AssertionError("not reached")
    assert consumer._closed is True
    assert left_over() == []


@virtual
async def test_start_twice():
    async with consuming() as (_, consumer):
        with pytest.raises(AssertionError, match="start"):
            await consumer.start()
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        consumer = make(kafka, "t")
        first = asyncio.create_task(consumer.start())
        await asyncio.sleep(0)
        with pytest.raises(AssertionError, match="start"):
            await consumer.start()
        await first
        await consumer.stop()


@GROUPS
@virtual
async def test_no_broker(group):
    consumer = AIOKafkaConsumer("t", bootstrap_servers="nowhere:1", group_id=group, **FAST)
    async with within(1.1):
        with pytest.raises(KafkaConnectionError):
            await consumer.start()
    assert left_over() == []
    with pytest.raises(IllegalStateError, match="not started"):
        await consumer.getone()
    await consumer.stop()


@GROUPS
@virtual
async def test_start_again_after_a_failure(group):
    consumer = AIOKafkaConsumer("t", bootstrap_servers="broker-0:9092", group_id=group, **FAST)
    for _ in range(2):
        with pytest.raises(KafkaConnectionError):
            await consumer.start()
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        await fill(kafka, 1)
        await asyncio.sleep(1)
        await consumer.start()
        assert await take(consumer, 1) == [b"0"]
        await consumer.stop()


@GROUPS
@virtual
async def test_a_topic_that_does_not_exist(group):
    async with FakeCluster(brokers=1, auto_create=False) as kafka:
        consumer = make(kafka, "missing", group_id=group)
        async with within(3.2, at_least=2.9):
            with pytest.raises(KafkaTimeoutError) as caught:
                await consumer.start()
        assert isinstance(caught.value, Errors.UnknownTopicOrPartitionError)
        assert "missing" in str(caught.value)
        assert left_over() == []
        kafka.create_topic("missing", 1)
        await fill(kafka, 1, topic="missing")
        await consumer.start()
        assert await take(consumer, 1) == [b"0"]
        await consumer.stop()


@GROUPS
@virtual
async def test_a_topic_that_may_not_be_read(group):
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        kafka.faults.add(Error(ErrorCode.TOPIC_AUTHORIZATION_FAILED), api="Metadata")
        consumer = make(kafka, "t", group_id=group)
        async with within(0.5):
            with pytest.raises(Errors.TopicAuthorizationFailedError):
                await consumer.start()
        await consumer.stop()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ErrorCode.INVALID_SESSION_TIMEOUT, Errors.InvalidSessionTimeoutError),
        (ErrorCode.INCONSISTENT_GROUP_PROTOCOL, Errors.InconsistentGroupProtocolError),
        (ErrorCode.INVALID_GROUP_ID, Errors.InvalidGroupIdError),
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, Errors.GroupAuthorizationFailedError),
        (ErrorCode.GROUP_MAX_SIZE_REACHED, Errors.GroupMaxSizeReachedError),
    ],
)
@virtual
async def test_a_group_that_refuses(code, error):
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        fault = kafka.faults.add(Error(code), api="JoinGroup")
        consumer = make(kafka, "t", group_id="g")
        async with within(0.5):
            with pytest.raises(error):
                await consumer.start()
        assert left_over() == []
        kafka.faults.remove(fault)
        await consumer.start()
        assert consumer.assignment() == {TP}
        await consumer.stop()


@pytest.mark.parametrize("pattern", [None, "^t"])
@GROUPS
@virtual
async def test_a_failure_after_the_assignment(group, pattern):
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        await fill(kafka, 1)
        consumer = make(kafka, group_id=group)
        consumer.subscribe(*([] if pattern else [["t"]]), pattern=pattern)
        for _ in range(3):
            # With a group: when the first assignment is there.
            engine = NoGroupCoordinator if group is None else GroupCoordinator
            step = "assign_all_partitions" if group is None else "check_errors"
            with mock.patch.object(engine, step, side_effect=ZeroDivisionError):
                with pytest.raises(ZeroDivisionError):
                    await consumer.start()
            assert left_over() == []
            assert consumer.assignment() == set()
        await consumer.start()
        assert await take(consumer, 1) == [b"0"]
        assert len(consumer._subscription._callbacks) <= 3
        await consumer.stop()


@pytest.mark.parametrize("api", ["FindCoordinator", "JoinGroup", "SyncGroup"])
@pytest.mark.parametrize("action", [Deaf(), Cut(), Error(ErrorCode.COORDINATOR_NOT_AVAILABLE)])
@virtual
async def test_a_group_that_never_answers(api, action):
    async with FakeCluster(brokers=3) as kafka:
        kafka.create_topic("t", 1)
        kafka.faults.add(action, api=api)
        consumer = make(kafka, "t", group_id="g", rebalance_timeout_ms=2000)
        # 3 s of default_api_timeout_ms, 2 s of rebalance_timeout_ms, and leaving.
        async with within(3 + 2 + 5, at_least=4.9):
            with pytest.raises(KafkaTimeoutError, match=r"Joining group 'g'.*5000 ms"):
                await consumer.start()
        assert left_over() == []
        kafka.faults.clear()
        await fill(kafka, 1)
        await consumer.start()
        assert await take(consumer, 1) == [b"0"]
        await consumer.stop()


@GROUPS
@virtual
async def test_start_cancelled_anywhere(group):
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        await fill(kafka, 1)
        for turns in range(1, 200, 7):
            consumer = make(kafka, "t", group_id=group and f"g{turns}")
            task = asyncio.create_task(consumer.start())
            for _ in range(turns):
                await asyncio.sleep(0)
            done = task.done()
            task.cancel()
            await asyncio.wait((task,))
            if not done and task.cancelled():
                assert left_over() == []
                await consumer.start()
            assert await take(consumer, 1) == [b"0"]
            await consumer.stop()
            assert left_over() == []


@GROUPS
@virtual
async def test_stop_while_it_starts(group):
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        kafka.faults.add(Deaf(), api="JoinGroup" if group else "Metadata")
        consumer = make(kafka, "t", group_id=group)
        task = asyncio.create_task(consumer.start())
        await asyncio.sleep(0.5)
        async with within(4):
            await consumer.stop()
        with pytest.raises(ConsumerStoppedError):
            await task
        assert left_over() == []


# Stopping


@GROUPS
@virtual
async def test_calls_that_wait_end_when_it_stops(group):
    async with consuming(group_id=group) as (_, consumer):
        loop = asyncio.get_running_loop()
        one = loop.create_task(consumer.getone())
        many = loop.create_task(consumer.getmany(timeout_ms=60_000))

        async def iterate():
            return [record async for record in consumer]

        iteration = loop.create_task(iterate())
        await asyncio.sleep(1)
        started = now()
        stopping = loop.create_task(consumer.stop())
        with pytest.raises(ConsumerStoppedError):
            await one
        assert await many == {}
        assert await iteration == []
        assert now() == started
        await stopping
        for call in (consumer.getone(), consumer.getmany()):
            with pytest.raises(ConsumerStoppedError):
                await call
        with pytest.raises(ConsumerStoppedError):
            async for _ in consumer:
                pass


@virtual
async def test_stop_commits_positions_and_leaves():
    async with consuming(records=5, group_id="g") as (kafka, consumer):
        await take(consumer, 3)
        async with within(0.5):
            await consumer.stop()
        assert kafka.count("LeaveGroup") == 1
        again = make(kafka, "t", group_id="g")
        await again.start()
        assert await again.committed(TP) == 3
        assert await take(again, 2) == [b"3", b"4"]
        await again.stop()


@virtual
async def test_stop_without_auto_commit():
    async with consuming(records=5, group_id="g", enable_auto_commit=False) as (kafka, consumer):
        await take(consumer, 3)
        await consumer.stop()
        assert kafka.count("OffsetCommit") == 0


@GROUPS
@pytest.mark.parametrize("state", ["frozen", "dead", "deaf"])
@virtual
async def test_stop_is_bounded(group, state):
    async with consuming(brokers=3, records=5, group_id=group) as (kafka, consumer):
        await take(consumer, 3)
        for broker in kafka.brokers.values():
            if state == "frozen":
                broker.freeze()
            elif state == "dead":
                broker.kill()
        if state == "deaf":
            kafka.faults.add(Deaf())
        async with within(5.1):
            await consumer.stop()
        assert left_over() == []
        if state == "deaf":
            await asyncio.sleep(0.1)
            assert kafka.connection_count == 0


@GROUPS
@virtual
async def test_stop_at_once(group):
    async with consuming(records=5, group_id=group, stop_timeout_ms=0) as (kafka, consumer):
        await take(consumer, 3)
        kafka.faults.add(Deaf())
        async with within(0.1):
            await consumer.stop()
        assert left_over() == []


@GROUPS
@virtual
async def test_stop_again_and_at_the_same_time(group):
    async with consuming(brokers=1, records=1, group_id=group) as (kafka, consumer):
        await take(consumer, 1)
        kafka.faults.add(Deaf(), api="OffsetCommit")
        first = asyncio.create_task(consumer.stop())
        await asyncio.sleep(0.01)
        second = asyncio.create_task(consumer.stop())
        await asyncio.wait((second,))
        assert first.done()
        await first
        async with within(0):
            await consumer.stop()


@GROUPS
@virtual
async def test_stop_cancelled_anywhere(group):
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        await fill(kafka, 1)
        for turns in range(1, 13):
            consumer = make(kafka, "t", group_id=group and f"g{turns}")
            await consumer.start()
            await take(consumer, 1)
            task = asyncio.create_task(consumer.stop())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
            assert left_over() == [], turns
            async with within(0.1):
                await consumer.stop()
        await asyncio.sleep(1)
        assert kafka.connection_count == 0


@virtual
async def test_stop_never_started():
    consumer = AIOKafkaConsumer("t", bootstrap_servers="nowhere:1")
    async with within(0):
        await consumer.stop()
        await consumer.stop()
    with pytest.raises(ConsumerStoppedError):
        await consumer.start()


@GROUPS
@virtual
async def test_other_calls_end_when_it_stops(group):
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        kafka.faults.add(Deaf(), api="ListOffsets")
        consumer = make(kafka, "t", group_id=group)
        await consumer.start()
        calls = [
            asyncio.create_task(call)
            for call in (
                consumer.position(TP),
                consumer.end_offsets([TP]),
                consumer.offsets_for_times({TP: 0}),
                consumer.seek_to_end(),
            )
        ]
        await asyncio.sleep(0.1)
        assert not any(call.done() for call in calls)
        started = now()
        stopping = asyncio.create_task(consumer.stop())
        for call in calls:
            with pytest.raises(ConsumerStoppedError):
                await call
        assert now() == started
        await stopping


@virtual
async def test_commits_of_the_listener_while_it_stops():
    async with consuming(records=3, group_id="g", enable_auto_commit=False) as (kafka, consumer):
        await take(consumer, 2)
        kafka.faults.add(Deaf(), api="OffsetCommit", times=1)
        commit = asyncio.create_task(consumer.commit({TP: 2}))
        await asyncio.sleep(0.01)
        await consumer.stop()
        with pytest.raises((ConsumerStoppedError, KafkaTimeoutError)):
            await commit


@GROUPS
@virtual
async def test_nothing_is_left_by_many_of_them(group):
    async with FakeCluster(brokers=3) as kafka:
        kafka.create_topic("t", 3)
        for _ in range(5):
            async with make(kafka, "t", group_id=group):
                pass
        await asyncio.sleep(1)
        assert left_over() == []
        assert kafka.connection_count == 0


# Dropping


@GROUPS
async def test_dropped_without_stop(group, caplog):
    messages = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: messages.append(context["message"]))
    async with FakeCluster(brokers=1) as kafka:
        kafka.create_topic("t", 1)
        await fill(kafka, 1)
        consumer = make(kafka, "t", group_id=group)
        await consumer.start()
        await take(consumer, 1)
        client, engines = consumer._client, (consumer._fetcher, consumer._coordinator)
        gone = weakref.ref(consumer)
        with pytest.warns(ResourceWarning, match="Unclosed AIOKafkaConsumer"):
            del consumer
            gc.collect()
        assert gone() is None
        tasks = {task for engine in engines for task in engine._supervisor.tasks}
        assert tasks
        await asyncio.wait(tasks)
        await client.close()
        assert messages == ["Unclosed AIOKafkaConsumer"]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_dropped_when_the_loop_is_gone():
    async def main():
        consumer = AIOKafkaConsumer(bootstrap_servers="nowhere:1")
        consumer._closed = False
        return consumer

    consumer = asyncio.run(main())
    with pytest.warns(ResourceWarning, match="Unclosed AIOKafkaConsumer"):
        del consumer
        gc.collect()


# Frameworks and instrumentations


@virtual
async def test_without_a_broker_when_everything_is_replaced():
    """As the tests of an instrumentation do it."""
    consumer = AIOKafkaConsumer()
    consumer._client.bootstrap = mock.AsyncMock()
    consumer._client._wait_on_metadata = mock.AsyncMock()
    await consumer.start()
    consumer._fetcher.next_record = mock.AsyncMock(side_effect=["one", "two"])
    first: Any = await consumer.getone()
    assert first == "one"
    consumer._fetcher.next_record.assert_awaited_with(())
    second: Any = await consumer.__anext__()
    assert second == "two"
    consumer._fetcher.fetched_records = mock.AsyncMock(return_value={})
    assert await consumer.getmany() == {}
    consumer._fetcher.fetched_records.assert_awaited_once_with((), 0.0, max_records=None)
    await consumer.stop()


@GROUPS
@virtual
async def test_without_a_broker_but_with_topics(group):
    consumer = AIOKafkaConsumer("topic", group_id=group, **{**FAST, "default_api_timeout_ms": 10})
    consumer._client.bootstrap = mock.AsyncMock()
    consumer._client._wait_on_metadata = mock.AsyncMock()
    if group:
        with pytest.raises(KafkaTimeoutError):
            await consumer.start()
    else:
        await consumer.start()
    await consumer.stop()


@virtual
async def test_wrapped_on_the_class():
    async with consuming(records=3) as (_, consumer):
        seen = []
        original = AIOKafkaConsumer.getone

        async def getone(self, *partitions):
            seen.append(partitions)
            return await original(self, *partitions)

        with mock.patch.object(AIOKafkaConsumer, "getone", getone):
            await consumer.__anext__()
            await consumer.getone(TP)
        await consumer.__anext__()
        assert seen == [(), (TP,)]


@virtual
async def test_fetcher_patched_with_data_at_hand():
    async with consuming(records=3) as (_, consumer):
        await take(consumer, 1)
        consumer._fetcher.next_record = mock.AsyncMock(return_value="patched")
        assert await consumer.getone() == "patched"
        del consumer._fetcher.next_record
        with mock.patch.object(
            type(consumer._fetcher), "next_record", mock.AsyncMock(return_value="patched")
        ):
            assert await consumer.getone() == "patched"
        assert await take(consumer, 2) == [b"1", b"2"]


def test_driven_by_a_loop_of_the_application():
    loop = asyncio.new_event_loop()
    with pytest.warns(DeprecationWarning):
        consumer = AIOKafkaConsumer("t", bootstrap_servers="nowhere:1", loop=loop)

    async def elsewhere():
        with pytest.raises(AssertionError):
            await consumer.start()

    asyncio.run(elsewhere())
    loop.run_until_complete(consumer.stop())
    loop.close()


def test_start_and_stop_are_coroutine_functions():
    for name in ("start", "stop", "getone", "getmany", "commit", "__anext__"):
        assert inspect.iscoroutinefunction(getattr(AIOKafkaConsumer, name))
