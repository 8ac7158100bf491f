"""The consumer's settings and arguments, and calls in the wrong state; no cluster needed."""

import asyncio
import contextlib
import functools
import gc
import inspect
import re
import warnings
from unittest import mock

import pytest

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.subscription_state import SubscriptionType
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalOperation,
    IllegalStateError,
    RecordTooLargeError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.testing.virtual_time import run_virtual

NOWHERE = {"bootstrap_servers": "nowhere:1"}
TP = TopicPartition("t", 0)
TP1 = TopicPartition("t", 1)


@contextlib.asynccontextmanager
async def consumer(*topics, wired=False, **settings):
    """A consumer that knows no cluster; with *wired* its engines are mocks."""
    made = AIOKafkaConsumer(*topics, **{**NOWHERE, **settings})
    if wired:
        made._fetcher = mock.Mock()
        made._fetcher.next_record = mock.AsyncMock()
        made._fetcher.fetched_records = mock.AsyncMock(return_value={})
        made._fetcher.close = mock.AsyncMock()
        made._fetcher.seek_to = made._subscription.seek
        made._fetcher._records = {}
        made._coordinator = mock.Mock()
        made._coordinator.close = mock.AsyncMock()
        made._coordinator.commit_offsets = mock.AsyncMock()
        made._coordinator.fetch_committed_offsets = mock.AsyncMock(return_value={})
    try:
        yield made
    finally:
        await made.stop()


def virtual(test):
    """Run a coroutine function as a test in virtual time."""

    @functools.wraps(test)
    def wrapper(**kwargs):
        async def main():
            await test(**kwargs)

        run_virtual(main)

    return wrapper


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        pass


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in (
                "fetch_max_wait_ms",
                "request_timeout_ms",
                "retry_backoff_ms",
                "retry_backoff_max_ms",
                "auto_commit_interval_ms",
                "metadata_max_age_ms",
                "max_poll_interval_ms",
                "rebalance_timeout_ms",
                "session_timeout_ms",
                "heartbeat_interval_ms",
                "consumer_timeout_ms",
                "connections_max_idle_ms",
                "default_api_timeout_ms",
                "stop_timeout_ms",
                "reconnect_backoff_ms",
                "reconnect_backoff_max_ms",
                "socket_connection_setup_timeout_ms",
                "socket_connection_setup_timeout_max_ms",
            )
            for value in (-1, "100", float("nan"), True)
        ),
        ("fetch_max_bytes", -1),
        ("fetch_min_bytes", "1"),
        ("max_partition_fetch_bytes", 1.5),
        ("fetch_buffer_bytes", 0),
        ("max_poll_records", 0),
        ("max_poll_records", -1),
        ("max_poll_records", "10"),
        ("max_poll_records", True),
        ("partition_assignment_strategy", ()),
        ("partition_assignment_strategy", "range"),
        ("partition_assignment_strategy", RoundRobinPartitionAssignor),
        ("partition_assignment_strategy", [object()]),
    ],
)
@virtual
async def test_settings_that_cannot_work(name, value):
    with pytest.raises(ValueError, match=name):
        AIOKafkaConsumer(**NOWHERE, **{name: value})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"security_protocol": "SOME"}, "`security_protocol` should be SSL or PLAINTEXT"),
        (
            {"security_protocol": "SSL"},
            "`ssl_context` is mandatory if security_protocol=='SSL'",
        ),
        (
            {"security_protocol": "SASL_PLAINTEXT"},
            "sasl_plain_username and sasl_plain_password required for PLAIN sasl",
        ),
    ],
)
@virtual
async def test_security_settings(settings, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        AIOKafkaConsumer(**NOWHERE, **settings)


@virtual
async def test_isolation_level_is_looked_at_in_start():
    async with consumer(isolation_level="x") as made:
        with pytest.raises(ValueError, match="Incorrect isolation level x"):
            await made.start()


@virtual
async def test_defaults_that_depend_on_others():
    async with consumer(request_timeout_ms=1234, session_timeout_ms=567) as made:
        assert made._settings.default_api_timeout == 1.234
        assert made._settings.stop_timeout == 30
        assert made._settings.rebalance_timeout == 0.567
        assert made._rebalance_timeout_ms == 567
        assert made._consumer_timeout == 0.2
    async with consumer(default_api_timeout_ms=0, stop_timeout_ms=0) as made:
        assert made._settings.default_api_timeout == 0
        assert made._settings.stop_timeout == 0
    async with consumer(rebalance_timeout_ms=1) as made:
        assert made._rebalance_timeout_ms == 1


@virtual
async def test_deprecated_settings_warn():
    for settings in ({"loop": asyncio.get_running_loop()}, {"api_version": "auto"}):
        with pytest.warns(DeprecationWarning, match=next(iter(settings))) as caught:
            made = AIOKafkaConsumer(**NOWHERE, **settings)
        assert caught[0].filename == __file__
        await made.stop()
    async with consumer(loop=None, api_version=None):
        pass


def test_without_a_loop():
    with pytest.raises(RuntimeError):
        AIOKafkaConsumer(**NOWHERE)


def test_every_keyword_of_0_14_and_its_default():
    parameters = dict(inspect.signature(AIOKafkaConsumer).parameters)
    assert parameters.pop("topics").kind is inspect.Parameter.VAR_POSITIONAL
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    assert parameters.pop("client_id").default.startswith("aiokafka-")
    for name, default in {
        "loop": None,
        "bootstrap_servers": "localhost",
        "group_id": None,
        "group_instance_id": None,
        "key_deserializer": None,
        "value_deserializer": None,
        "fetch_max_wait_ms": 500,
        "fetch_max_bytes": 52428800,
        "fetch_min_bytes": 1,
        "max_partition_fetch_bytes": 1048576,
        "request_timeout_ms": 40000,
        "retry_backoff_ms": 100,
        "auto_offset_reset": "latest",
        "enable_auto_commit": True,
        "auto_commit_interval_ms": 5000,
        "check_crcs": True,
        "metadata_max_age_ms": 300000,
        "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
        "max_poll_interval_ms": 300000,
        "rebalance_timeout_ms": None,
        "session_timeout_ms": 10000,
        "heartbeat_interval_ms": 3000,
        "consumer_timeout_ms": 200,
        "max_poll_records": None,
        "ssl_context": None,
        "security_protocol": "PLAINTEXT",
        "api_version": None,
        "exclude_internal_topics": True,
        "connections_max_idle_ms": 540000,
        "isolation_level": "read_uncommitted",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_password": None,
        "sasl_plain_username": None,
        "sasl_kerberos_service_name": "kafka",
        "sasl_kerberos_domain_name": None,
        "sasl_oauth_token_provider": None,
        "client_rack": None,
    }.items():
        assert parameters[name].default == default, name


@virtual
async def test_private_attributes_that_others_read():
    async with consumer(
        "t",
        group_id="g",
        group_instance_id="i",
        enable_auto_commit=False,
        max_poll_records=7,
        heartbeat_interval_ms=1,
        client_rack="r",
    ) as made:
        assert made._group_id == "g"
        assert made._group_instance_id == "i"
        assert made._enable_auto_commit is False
        assert made._max_poll_records == 7
        assert made._heartbeat_interval_ms == 1
        assert made._client_rack == "r"
        assert made._loop is asyncio.get_running_loop()
        assert made._fetcher is made._coordinator is None
        assert made._subscription.topics == {"t"}
        assert not made._closed
        assert made._client._bootstrap_servers == "nowhere:1"
        assert "group_id=g" in repr(made)


@virtual
async def test_classes_and_instances_can_be_patched():
    async with consumer() as made:
        made.getone = mock.AsyncMock(side_effect=[1, ConsumerStoppedError()])
        assert [record async for record in made] == [1]
        made.anything = 1


# Subscribing


@virtual
async def test_subscribe_arguments():
    async with consumer() as made:
        for arguments in (
            {},
            {"topics": ()},
            {"topics": ["t"], "pattern": "t"},
            {"topics": "t"},
            {"topics": b"t"},
            {"topics": [1]},
            {"topics": ["t"], "listener": object()},
            {"pattern": "t", "listener": Listener},
        ):
            with pytest.raises(TypeError):
                made.subscribe(**arguments)
        with pytest.raises(ValueError, match="pattern"):
            made.subscribe(pattern="(")
        assert made.subscription() == set()
        assert made._subscription.subscription_type is SubscriptionType.NONE


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
@virtual
async def test_subscribe_to_topics(kind):
    async with consumer() as made:
        listener = Listener()
        made.subscribe(topics=kind(["t", "u"]), pattern=None, listener=listener)
        assert made.subscription() == {"t", "u"}
        assert made._subscription.listener is listener
        assert made._client._topics == {"t", "u"}
        for other in (lambda: made.subscribe(pattern="t"), lambda: made.assign([TP])):
            with pytest.raises(IllegalStateError):
                other()
        made.subscribe(["v"])
        assert made.subscription() == {"v"}
        made.unsubscribe()
        assert made.subscription() == set()
        made.assign(partitions=[TP])
        assert made.assignment() == {TP}
        with pytest.raises(IllegalStateError):
            made.subscribe(["t"])


@virtual
async def test_subscribe_to_a_pattern():
    async with consumer() as made:
        made.subscribe(pattern="^t")
        assert made._subscription.subscribed_pattern == re.compile("^t")
        assert made._client.cluster.need_all_topic_metadata
        with pytest.raises(IllegalStateError):
            made.subscribe(["t"])


@virtual
async def test_unsubscribe_leaves_the_group():
    async with consumer("t", group_id="g", wired=True) as made:
        made.unsubscribe()
        made._coordinator.maybe_leave_group.assert_called_once_with()


@virtual
async def test_assign_arguments():
    async with consumer() as made:
        for partitions in ([1], ["t"], [("t", 0)], [None]):
            with pytest.raises(TypeError):
                made.assign(partitions)
        made.assign(iter([TP, TP1]))
        assert made.assignment() == {TP, TP1}
        assert made._client._topics == {"t"}


@virtual
async def test_pausing():
    async with consumer() as made:
        made.assign([TP, TP1])
        made.pause(TP)
        assert made.paused() == {TP}
        made.pause()
        assert made.paused() == {TP}
        for call in (made.pause, made.resume):
            with pytest.raises(TypeError):
                call("t")
            with pytest.raises(IllegalStateError, match=r"Partition .* is not assigned"):
                call(TopicPartition("u", 0))
        made.resume(TP, TP1)
        assert made.paused() == set()


@virtual
async def test_what_the_last_fetch_said():
    async with consumer() as made:
        made.assign([TP])
        state = made._subscription._assigned_state(TP)
        state.highwater, state.lso, state.timestamp = 3, 2, 1
        assert made.highwater(TP) == 3
        assert made.last_stable_offset(TP) == 2
        assert made.last_poll_timestamp(TP) == 1
        for call in (made.highwater, made.last_stable_offset, made.last_poll_timestamp):
            with pytest.raises(AssertionError):
                call(TP1)


# Records


@virtual
async def test_what_instrumentations_expect_to_be_called():
    async with consumer(wired=True) as made:
        made._fetcher.next_record.return_value = "record"
        assert await made.getone() == "record"
        made._fetcher.next_record.assert_awaited_once_with(())
        await made.getmany()
        made._fetcher.fetched_records.assert_awaited_once_with((), 0.0, max_records=None)
        assert await made.getone(TP, TP1) == "record"
        made._fetcher.next_record.assert_awaited_with((TP, TP1))
        await made.getmany(TP, timeout_ms=1.5, max_records=3)
        made._fetcher.fetched_records.assert_awaited_with((TP,), 0.0015, max_records=3)


@virtual
async def test_max_poll_records():
    async with consumer(wired=True, max_poll_records=5) as made:
        await made.getmany()
        made._fetcher.fetched_records.assert_awaited_once_with((), 0.0, max_records=5)


@virtual
async def test_arguments_of_calls_for_records():
    async with consumer(wired=True) as made:
        for call in (made.getone, made.getmany):
            with pytest.raises(AssertionError):
                await call("t")
            with pytest.raises(AssertionError):
                await call([TP])
        for wrong in (0, -1, "1", 1.5, True):
            with pytest.raises(ValueError, match="max_records"):
                await made.getmany(max_records=wrong)
        for wrong in (-1, float("nan")):
            with pytest.raises(ValueError, match="timeout_ms"):
                await made.getmany(timeout_ms=wrong)


@virtual
async def test_group_errors_reach_calls_for_records():
    async with consumer(wired=True) as made:
        made._coordinator.check_errors.side_effect = IllegalStateError("lost")
        for call in (made.getone, made.getmany):
            with pytest.raises(IllegalStateError, match="lost"):
                await call()


@virtual
async def test_iteration(caplog):
    async with consumer(wired=True) as made:
        made._fetcher.next_record.side_effect = [
            1,
            RecordTooLargeError("huge"),
            2,
            ConsumerStoppedError(),
        ]
        assert [record async for record in made] == [1, 2]
        assert "huge" in caplog.text
        made._fetcher.next_record.side_effect = [ZeroDivisionError]
        with pytest.raises(ZeroDivisionError):
            await made.__anext__()
    with pytest.raises(ConsumerStoppedError):
        aiter_of(made)


def aiter_of(made):
    return made.__aiter__()


# Offsets


@virtual
async def test_calls_that_need_a_group():
    async with consumer(wired=True) as made:
        made.assign([TP])
        for call in (
            made.commit(),
            made.commit({TP: 1}),
            made.committed(TP),
            made.seek_to_committed(),
        ):
            with pytest.raises(IllegalOperation):
                await call
        with pytest.raises(IllegalOperation):
            made.store_offsets({TP: 1})


@virtual
async def test_commit_arguments():
    async with consumer(group_id="g", wired=True) as made:
        with pytest.raises(IllegalStateError, match="Not subscribed to any topics"):
            await made.commit()
        made.subscribe(["t"])
        with pytest.raises(IllegalStateError, match="No partitions assigned"):
            await made.commit({TP: 1})
        made._subscription.assign_from_subscribed([TP])
        for wrong in ({}, [], [(TP, 1)], {TP: "x"}, {TP: (1, "", 2)}, {TP: -1}):
            with pytest.raises(ValueError):
                await made.commit(wrong)
        with pytest.raises(TypeError, match="Key should be TopicPartition instance"):
            await made.commit({"t": 1})
        with pytest.raises(TypeError, match="Metadata should be a string"):
            await made.commit({TP: (1, b"x")})
        with pytest.raises(IllegalStateError, match=r"Partition .* is not assigned"):
            await made.commit({TP1: 1})
        made._coordinator.commit_offsets.assert_not_awaited()


@virtual
async def test_commit():
    async with consumer(group_id="g", wired=True) as made:
        commit = made._coordinator.commit_offsets
        made.assign([TP, TP1])
        assignment = made._subscription.assignment
        await made.commit()  # no positions yet
        commit.assert_not_awaited()
        made.seek(TP, 5)
        assignment.state_value(TP).consumed_to(7)
        await made.commit()
        commit.assert_awaited_once_with(assignment, {TP: OffsetAndMetadata(7, "")})
        assert assignment.state_value(TP).committable == 7
        await made.commit(offsets={TP1: (3, "why")})
        commit.assert_awaited_with(assignment, {TP1: OffsetAndMetadata(3, "why")})


@virtual
async def test_group_metadata():
    async with consumer() as made:
        with pytest.raises(IllegalOperation):
            made.group_metadata()
    async with consumer(group_id="g") as made:
        with pytest.raises(IllegalStateError):
            made.group_metadata()
    async with consumer(group_id="g", wired=True) as made:
        assert made.group_metadata() is made._coordinator.group_metadata.return_value


@virtual
async def test_stored_offsets():
    async with consumer(group_id="g", wired=True, enable_auto_offset_store=False) as made:
        commit = made._coordinator.commit_offsets
        with pytest.raises(IllegalStateError):
            made.store_offsets({TP: 1})
        made.assign([TP, TP1])
        made.seek(TP, 5)
        await made.commit()
        commit.assert_not_awaited()
        with pytest.raises(IllegalStateError):
            made.store_offsets({TopicPartition("u", 0): 1})
        with pytest.raises(ValueError, match="negative"):
            made.store_offsets({TP: -1})
        made.store_offsets({TP: 4, TP1: (2, "m")})
        await made.commit()
        commit.assert_awaited_once_with(
            made._subscription.assignment,
            {TP: (4, "", -1), TP1: (2, "m", -1)},
        )
    async with consumer(group_id="g") as made:
        with pytest.raises(IllegalOperation, match="enable_auto_offset_store"):
            made.store_offsets({TP: 1})


@virtual
async def test_committed():
    async with consumer(group_id="g", wired=True) as made:
        fetch = made._coordinator.fetch_committed_offsets
        with pytest.raises(TypeError):
            await made.committed("t")
        for answer, expected in (
            ({}, None),
            ({TP: OffsetAndMetadata(-1, "")}, None),
            ({TP: OffsetAndMetadata(0, "")}, 0),
            ({TP: OffsetAndMetadata(9, "")}, 9),
        ):
            fetch.return_value = answer
            assert await made.committed(TP) == expected
        fetch.assert_awaited_with([TP])


@virtual
async def test_seek_arguments():
    async with consumer() as made:
        made.assign([TP])
        for wrong in (-1, "1", 1.5, None, True):
            with pytest.raises(ValueError, match="Offset"):
                made.seek(TP, wrong)
        with pytest.raises(IllegalStateError):
            made.seek(TP1, 1)
        with pytest.raises(TypeError):
            made.seek("t", 1)
        made.seek(partition=TP, offset=0)
        assert made._subscription._assigned_state(TP).position == 0


@virtual
async def test_arguments_of_other_seeks():
    async with consumer(group_id="g", wired=True) as made:
        for call in (made.seek_to_beginning, made.seek_to_end, made.seek_to_committed):
            with pytest.raises(AssertionError, match="No partitions"):
                await call()
        made.assign([TP])
        for call in (made.seek_to_beginning, made.seek_to_end, made.seek_to_committed):
            with pytest.raises(TypeError):
                await call("t")
            with pytest.raises(IllegalStateError):
                await call(TP1)
        made._coordinator.check_errors.side_effect = ZeroDivisionError
        for call in (made.seek_to_beginning, made.seek_to_end):
            with pytest.raises(ZeroDivisionError):
                await call()


@virtual
async def test_seek_to_committed():
    async with consumer(group_id="g", wired=True) as made:
        made.assign([TP, TP1])
        made.seek(TP1, 8)
        made._coordinator.fetch_committed_offsets.return_value = {
            TP: OffsetAndMetadata(0, ""),
            TP1: OffsetAndMetadata(-1, ""),
        }
        assert await made.seek_to_committed() == {TP: 0, TP1: None}
        assert await made.position(TP) == 0
        assert await made.position(TP1) == 8


@virtual
async def test_look_ups_without_partitions_ask_nobody():
    async with consumer(wired=True) as made:
        assert await made.offsets_for_times({}) == {}
        assert await made.beginning_offsets([]) == {}
        assert await made.end_offsets(iter(())) == {}
        for wrong in ({TP: -1}, {TP: "x"}, {TP: None}, {TP: float("inf")}):
            with pytest.raises(ValueError, match="t-0"):
                await made.offsets_for_times(wrong)
        for call in (made.beginning_offsets, made.end_offsets):
            with pytest.raises(TypeError):
                await call(["t"])
        with pytest.raises(TypeError):
            await made.offsets_for_times({"t": 1})


@virtual
async def test_look_ups():
    async with consumer(wired=True, default_api_timeout_ms=1500) as made:
        given = {TP: 12.7}
        made._fetcher.get_offsets_by_times = mock.AsyncMock(return_value={TP: None})
        assert await made.offsets_for_times(given) == {TP: None}
        made._fetcher.get_offsets_by_times.assert_awaited_once_with({TP: 12}, 1500)
        assert given == {TP: 12.7}, "the caller's own"
        for name in ("beginning_offsets", "end_offsets"):
            ask = mock.AsyncMock(return_value={TP: 3})
            setattr(made._fetcher, name, ask)
            assert await getattr(made, name)({TP}) == {TP: 3}
            ask.assert_awaited_once_with((TP,), 1500)


# Wrong states


CALLS = {
    "getone": lambda made: made.getone(),
    "getmany": lambda made: made.getmany(timeout_ms=1000),
    "commit": lambda made: made.commit(),
    "committed": lambda made: made.committed(TP),
    "position": lambda made: made.position(TP),
    "seek_to_beginning": lambda made: made.seek_to_beginning(),
    "seek_to_end": lambda made: made.seek_to_end(),
    "seek_to_committed": lambda made: made.seek_to_committed(),
    "offsets_for_times": lambda made: made.offsets_for_times({TP: 0}),
    "beginning_offsets": lambda made: made.beginning_offsets([TP]),
    "end_offsets": lambda made: made.end_offsets([TP]),
    "topics": lambda made: made.topics(),
}


def test_every_waiting_call_is_tried_below():
    waiting = {
        name
        for name, _ in inspect.getmembers(AIOKafkaConsumer, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    assert waiting - {"start", "stop"} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
@virtual
async def test_before_start(name):
    async with consumer(group_id="g") as made:
        made.assign([TP])
        with pytest.raises(IllegalStateError, match="not started"):
            await CALLS[name](made)


@pytest.mark.parametrize("name", CALLS)
@virtual
async def test_after_stop(name):
    async with consumer(group_id="g", wired=True) as made:
        made.assign([TP])
        await made.stop()
        with pytest.raises(ConsumerStoppedError):
            await CALLS[name](made)


@virtual
async def test_other_calls_after_stop():
    async with consumer(group_id="g", enable_auto_offset_store=False) as made:
        made.assign([TP])
        await made.stop()
        for call in (
            lambda: made.subscribe(["t"]),
            lambda: made.unsubscribe(),
            lambda: made.assign([TP]),
            lambda: made.seek(TP, 0),
            lambda: made.pause(TP),
            lambda: made.resume(TP),
            lambda: made.store_offsets({TP: 0}),
            lambda: made.group_metadata(),
        ):
            with pytest.raises(ConsumerStoppedError):
                call()
        with pytest.raises(ConsumerStoppedError):
            await made.start()
        assert made.assignment() == {TP}
        assert made.paused() == set()
        assert made.partitions_for_topic("t") is None


@virtual
async def test_closed_from_outside():
    async with consumer(wired=True) as made:
        made._closed = True
        with pytest.raises(ConsumerStoppedError):
            await made.getone()


@virtual
async def test_never_started_leaves_no_trace():
    made = AIOKafkaConsumer("t", **NOWHERE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del made
        gc.collect()
