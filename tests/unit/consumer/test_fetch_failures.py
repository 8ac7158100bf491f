"""Reading while things go wrong: nothing lost or doubled, or an error; never silence."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from aiokafka import errors as Errors
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Cut, Deaf, Delay, Error, Level, LostAnswer, Rewrite
from tests.unit.consumer.fetch_lab import TP, TP1, fetching, now, virtual

LOGGER = "aiokafka.consumer.fetcher"


def warnings_of(caplog):
    return [r for r in caplog.records if r.name == LOGGER and r.levelno >= logging.WARNING]


# Leaders


@pytest.mark.parametrize("hints", [True, False])
@virtual
async def test_leaders_move_again_and_again(hints):
    async with fetching(
        brokers=3, partitions=2, cluster={"leader_hints": hints}, max_partition_fetch_bytes=150
    ) as lab:
        seen = []
        for i in range(0, 120, 2):
            lab.append(i)
            lab.append(i + 1, partition=1)
            if i % 10 == 0:
                lab.kafka.move_leader("t", (i // 10) % 2)
            seen += await lab.take(2)
        assert [v for v in seen if v % 2 == 0] == list(range(0, 120, 2))
        assert [v for v in seen if v % 2] == list(range(1, 120, 2))


@virtual
async def test_a_hint_is_followed_at_once():
    async with fetching(brokers=2) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.move_leader("t")
        count = lab.kafka.count("Metadata")
        started = now()
        lab.append(2)
        await lab.take(1)
        assert now() - started < 0.05
        assert lab.kafka.count("Metadata") == count


@virtual
async def test_a_frozen_leader_is_left_when_the_cluster_has_another():
    async with fetching(
        brokers=2, cluster={"session_timeout": 3.0}, client={"request_timeout_ms": 40000}
    ) as lab:
        lab.append(*range(3))
        await lab.take(3)
        leader = lab.kafka.partition("t", 0).leader
        await asyncio.sleep(0.2)
        lab.kafka.brokers[leader].freeze()
        started = now()
        lab.append(3)
        assert await lab.take(1, limit=60) == [3]
        # 3 s until another leads, then at most one refresh of metadata later.
        assert now() - started < 3.0 + 1.5
        # The old leader comes back and answers what was asked long ago.
        lab.kafka.brokers[leader].thaw()
        lab.append(4)
        assert await lab.take(1) == [4]
        assert await lab.fetcher.fetched_records((), timeout=2) == {}


@virtual
async def test_a_deaf_leader_costs_a_request_timeout():
    async with fetching(brokers=1) as lab:
        lab.append(1)
        lab.kafka.faults.add(Deaf(), api="Fetch", times=1)
        started = now()
        assert await lab.take(1) == [1]
        assert 5 <= now() - started < 6.5


@virtual
async def test_a_dead_broker_and_its_return(caplog):
    async with fetching(brokers=1) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.brokers[0].kill()
        count = lab.kafka.connections_made
        with pytest.raises(asyncio.TimeoutError):
            await lab.take(1, limit=600)
        assert lab.kafka.connections_made == count
        assert len(warnings_of(caplog)) <= 1
        lab.kafka.brokers[0].restart()
        lab.append(2)
        started = now()
        assert await lab.take(1) == [2]
        assert now() - started < 2.5


@virtual
async def test_a_broker_may_wait_longer_than_the_request_timeout():
    async with fetching(fetch_max_wait_ms=9000) as lab:
        made = lab.kafka.connections_made
        await asyncio.sleep(20)
        lab.append(1)
        assert await lab.take(1) == [1]
        assert lab.kafka.connections_made == made
        lab.kafka.faults.add(Deaf(), api="Fetch", times=1)
        started = now()
        lab.append(2)
        assert await lab.take(1, limit=60) == [2]
        assert 5 < now() - started < 16


@virtual
async def test_credentials_that_are_not_good_any_more():
    async with fetching(
        cluster={"sasl_users": {"u": "p"}},
        client={
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_plain_username": "u",
            "sasl_plain_password": "p",
        },
    ) as lab:
        lab.append(1)
        assert await lab.take(1) == [1]
        lab.kafka.sasl_users = {"u": "another"}
        lab.kafka.brokers[0].drop_connections()
        with pytest.raises(Errors.SaslAuthenticationFailed):
            await lab.take(1)
        lab.kafka.sasl_users = {"u": "p"}
        lab.append(2)
        for _ in range(5):
            try:
                assert await lab.take(1) == [2]
                break
            except Errors.SaslAuthenticationFailed:
                pass
        else:
            pytest.fail("it does not recover")


@virtual
async def test_no_busy_loop_while_there_is_no_leader(caplog):
    async with fetching(brokers=2, topic={"assignment": {0: [1]}}) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.failover_delay = 0.0
        lab.kafka.brokers[1].kill()
        await asyncio.sleep(1)
        started, metadata = now(), lab.kafka.count("Metadata")
        await asyncio.sleep(60)
        assert lab.kafka.count("Metadata") - metadata <= 90
        assert "No leader is known for partitions of ['t']" in caplog.text
        assert len(warnings_of(caplog)) == 1
        lab.kafka.brokers[1].restart()
        lab.append(2)
        assert await lab.take(1) == [2]
        assert now() - started < 63


@virtual
async def test_connections_that_are_cut():
    async with fetching(brokers=2, partitions=2) as lab:
        lab.kafka.faults.add(Cut(), api="Fetch", probability=0.3)
        lab.kafka.faults.add(LostAnswer(), api="Fetch", probability=0.2)
        seen = []
        for i in range(40):
            lab.append(i, partition=i % 2)
            seen += await lab.take(1)
        assert sorted(seen) == list(range(40))


# Errors of partitions


RETRIED = [
    "NOT_LEADER_OR_FOLLOWER",
    "FENCED_LEADER_EPOCH",
    "UNKNOWN_LEADER_EPOCH",
    "OFFSET_NOT_AVAILABLE",
    "KAFKA_STORAGE_ERROR",
    "LEADER_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "UNKNOWN_TOPIC_OR_PARTITION",
    "UNKNOWN_TOPIC_ID",
    "INCONSISTENT_TOPIC_ID",
]
CODES = {
    "LEADER_NOT_AVAILABLE": 5, "REPLICA_NOT_AVAILABLE": 9, "KAFKA_STORAGE_ERROR": 56,
    "FENCED_LEADER_EPOCH": 74, "UNKNOWN_LEADER_EPOCH": 75, "OFFSET_NOT_AVAILABLE": 78,
    "UNKNOWN_TOPIC_ID": 100, "INCONSISTENT_TOPIC_ID": 103, "UNKNOWN_TOPIC_OR_PARTITION": 3,
    "NOT_LEADER_OR_FOLLOWER": 6,
}  # fmt: skip


@pytest.mark.parametrize("name", RETRIED)
@virtual
async def test_passing_errors_are_not_seen(name):
    async with fetching(partitions=2) as lab:
        lab.append(*range(3))
        lab.append(*range(3, 6), partition=1)
        lab.kafka.faults.add(
            Error(CODES[name], Level.PARTITION), api="Fetch", topic="t", partition=0, times=8
        )
        started = now()
        assert sorted(await lab.take(6)) == list(range(6))
        assert now() - started < 10


@virtual
async def test_unknown_topic_or_partition_is_reported_once(caplog):
    caplog.set_level(logging.INFO, LOGGER)
    async with fetching() as lab:
        lab.append(1)
        lab.kafka.faults.add(Error(3, Level.PARTITION), api="Fetch", times=10)
        assert await lab.take(1) == [1]
        records = [r for r in caplog.records if r.name == LOGGER]
        assert records[0].levelno == logging.WARNING
        assert "Received unknown topic or partition error" in records[0].getMessage()
        assert len(warnings_of(caplog)) == 1


@virtual
async def test_an_error_is_raised_once_and_after_the_data():
    async with fetching(partitions=1) as lab:
        lab.append(1)
        await lab.take(1)
        lab.append(2)
        await asyncio.sleep(0.1)
        fault = lab.kafka.faults.add(
            Error(ErrorCode.TOPIC_AUTHORIZATION_FAILED, Level.PARTITION), api="Fetch"
        )
        await asyncio.sleep(1)
        assert await lab.take(1) == [2]
        with pytest.raises(Errors.TopicAuthorizationFailedError) as caught:
            await lab.fetcher.next_record(())
        assert caught.value.args == ("t",)
        lab.kafka.faults.remove(fault)
        lab.append(3)
        assert await lab.take(1) == [3]


@virtual
async def test_an_error_of_one_partition_does_not_hide_behind_data_of_others():
    async with fetching(partitions=2) as lab:
        lab.kafka.faults.add(
            Error(ErrorCode.TOPIC_AUTHORIZATION_FAILED, Level.PARTITION),
            api="Fetch",
            topic="t",
            partition=1,
        )
        seen, errors = [], 0
        for i in range(50):
            lab.append(i)
            await asyncio.sleep(0.01)
            try:
                got = await lab.fetcher.fetched_records((), timeout=1)
                seen += [int(r.value) for r in got.get(TP, ())]
            except Errors.TopicAuthorizationFailedError:
                errors += 1
        seen += await lab.take(50 - len(seen), (TP,))
        assert seen == list(range(50))
        assert 1 <= errors < 20


@pytest.mark.parametrize("code", [-1, 2, 42, 999])
@virtual
async def test_other_errors_are_raised(code):
    async with fetching() as lab:
        lab.kafka.faults.add(Error(code, Level.PARTITION), api="Fetch", times=1)
        lab.append(1)
        with pytest.raises(Errors.for_code(code)) as caught:
            await lab.fetcher.next_record(())
        error: Any = caught.value
        assert (error.topic, error.partition) == ("t", 0)
        assert await lab.take(1) == [1]


@virtual
async def test_a_topic_that_may_not_be_seen():
    async with fetching(assign=[]) as lab:
        lab.kafka.denied_topics.add("t")
        await lab.client.force_metadata_update()
        lab.assign(TP)
        with pytest.raises(Errors.TopicAuthorizationFailedError):
            await asyncio.wait_for(lab.fetcher.next_record(()), 5)
        lab.kafka.denied_topics.clear()
        lab.append(1)
        assert await lab.take(1) == [1]


@virtual
async def test_a_topic_that_is_deleted_and_made_again():
    async with fetching(
        cluster={"auto_create": False}, client={"metadata_max_age_ms": 1000}
    ) as lab:
        lab.append(*range(5))
        assert await lab.take(5) == list(range(5))
        lab.kafka.delete_topic("t")
        await asyncio.sleep(5)
        lab.kafka.create_topic("t", partitions=1)
        lab.append(7)
        assert await lab.take(1) == [7], "the offset is out of range in the new one"


# Offsets out of range


@pytest.mark.parametrize(("policy", "expected"), [("earliest", [3, 4, 5]), ("latest", [5])])
@virtual
async def test_out_of_range_is_reset(policy, expected, caplog):
    async with fetching(auto_offset_reset=policy, assign=[]) as lab:
        lab.append(*range(3))
        for i in (3, 4):
            lab.append(i)
        lab.kafka.delete_records("t", 0, 3)
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(1)
        reading = asyncio.ensure_future(lab.take(len(expected)))
        await asyncio.sleep(1)
        lab.append(5)
        assert await reading == expected
        assert len(warnings_of(caplog)) == 1


@virtual
async def test_out_of_range_is_raised_without_a_policy(caplog):
    async with fetching(auto_offset_reset="none", assign=[]) as lab:
        lab.append(*range(3))
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(99)
        for _ in range(3):
            with pytest.raises(Errors.OffsetOutOfRangeError) as caught:
                await lab.fetcher.fetched_records((), timeout=10)
            assert caught.value.args == ({TP: 99},)
        assert len(warnings_of(caplog)) == 1
        lab.fetcher.seek_to(TP, 1)
        assert await lab.take(2) == [1, 2]


@virtual
async def test_no_committed_offset_is_raised_without_a_policy():
    async with fetching(auto_offset_reset="none") as lab:
        lab.append(*range(3))
        for _ in range(2):
            with pytest.raises(Errors.NoOffsetForPartitionError) as caught:
                await lab.fetcher.next_record(())
            assert caught.value.args == (TP,)
        lab.fetcher.seek_to(TP, 2)
        assert await lab.take(1) == [2]


@virtual
async def test_a_stale_out_of_range_is_ignored():
    async with fetching(auto_offset_reset="none", assign=[]) as lab:
        lab.append(*range(3))
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(99)
        lab.kafka.faults.add(Delay(0.3), api="Fetch", times=1)
        await lab.kafka.wait_for_requests("Fetch")
        lab.fetcher.seek_to(TP, 0)
        assert await lab.take(3) == [0, 1, 2]


@virtual
async def test_an_error_about_an_old_position_is_not_raised():
    async with fetching(auto_offset_reset="none", assign=[]) as lab:
        lab.append(*range(3))
        lab.subscriptions.assign_from_user([TP])
        lab.answer_committed(99)
        await lab.kafka.wait_for_requests("Fetch")
        await asyncio.sleep(0.5)
        assert TP in lab.fetcher._records
        lab.subscriptions.seek(TP, 1)
        assert await lab.take(2) == [1, 2]


@virtual
async def test_repeated_out_of_range_backs_off():
    async with fetching() as lab:
        lab.append(1)
        lab.kafka.faults.add(Error(1, Level.PARTITION), api="Fetch", lasting=30)
        await asyncio.sleep(30)
        assert lab.kafka.count("Fetch") < 60
        assert await lab.take(1) == [1]


# Poison


@virtual
async def test_a_corrupt_batch_is_raised_and_fetched_again():
    async with fetching() as lab:
        lab.append(0, 1)
        lab.append(2)
        lab.append(3)
        repair = lab.kafka.corrupt("t", 0, 2)
        assert await lab.take(2) == [0, 1]
        for _ in range(2):
            with pytest.raises(Errors.CorruptRecordException) as caught:
                await lab.fetcher.next_record(())
            assert (caught.value.topic, caught.value.partition, caught.value.offset) == ("t", 0, 2)
            assert lab.state().position == 2
        with pytest.raises(Errors.CorruptRecordException):
            await lab.fetcher.fetched_records((), timeout=5)
        repair()
        assert await lab.take(2) == [2, 3]


@virtual
async def test_seek_past_a_corrupt_batch():
    async with fetching() as lab:
        lab.append(0, 1)
        lab.append(2)
        lab.append(3)
        lab.kafka.corrupt("t", 0, 0)
        with pytest.raises(Errors.CorruptRecordException):
            await lab.fetcher.next_record(())
        lab.fetcher.seek_to(TP, 2)
        assert await lab.take(2) == [2, 3]


@virtual
async def test_a_deserializer_that_fails():
    class Bad(ValueError):
        pass

    def deserialize(value):
        if value == b"2":
            raise Bad(value)
        return value

    async with fetching(value_deserializer=deserialize, partitions=2) as lab:
        lab.append(0, 1, 2, 3)
        got = await lab.fetcher.fetched_records((), timeout=5)
        assert [int(r.value) for r in got[TP]] == [0, 1]
        for call in (lab.fetcher.next_record, lab.fetcher.fetched_records):
            with pytest.raises(Bad) as caught:
                await call(())
            error: Any = caught.value
            assert (error.partition, error.offset) == (0, 2)
        lab.append(7, partition=1)
        assert await lab.take(1, (TP1,)) == [7]
        assert lab.fetcher.take_one() is None
        with pytest.raises(Bad):
            await lab.fetcher.next_record(())
        lab.fetcher.seek_to(TP, 3)
        assert await lab.take(1) == [3]


@virtual
async def test_records_are_given_out_before_the_error_of_another_partition():
    def deserialize(value):
        if value == b"99":
            raise ValueError(value)
        return value

    async with fetching(value_deserializer=deserialize, partitions=2) as lab:
        lab.append(99, partition=1)
        lab.append(1, 2)
        await asyncio.sleep(0.5)
        seen, failures = [], 0
        for _ in range(4):
            try:
                got = await lab.fetcher.fetched_records((), timeout=1)
                seen += [int(r.value) for records in got.values() for r in records]
            except ValueError:
                failures += 1
        assert seen == [1, 2]
        assert failures >= 2


@virtual
async def test_a_record_too_large_for_an_old_broker():
    limits = {"versions": {"Fetch": (0, 2)}, "release": "2.0"}
    async with fetching(cluster=limits, max_partition_fetch_bytes=100) as lab:
        lab.append(1)
        lab.kafka.append("t", 0, b"x" * 1000)
        lab.append(3)
        assert await lab.take(1) == [1]
        with pytest.raises(Errors.RecordTooLargeError) as caught:
            await lab.fetcher.next_record(())
        assert caught.value.args[1] == {TP: 1}
        assert await lab.take(1) == [3]


@virtual
async def test_an_answer_with_old_records_only():
    async with fetching() as lab:
        lab.append(0, 1)
        data = lab.kafka.partition("t", 0).log.batches[0].data
        await lab.take(2)

        def old(request, values):
            for topic in values["topics"]:
                for row in topic["partitions"]:
                    row["message_set"] = data

        lab.kafka.faults.add(Rewrite(old), api="Fetch", lasting=20)
        await asyncio.sleep(0.6)
        count = lab.kafka.count("Fetch")
        lab.append(2)
        assert await lab.take(1) == [2]
        assert lab.kafka.count("Fetch") - count < 80


# Sessions


@pytest.mark.parametrize("code", [70, 71, 106])
@virtual
async def test_session_errors(code, caplog):
    async with fetching(partitions=2) as lab:
        lab.append(1)
        await lab.take(1)
        lab.kafka.faults.add(Error(code, Level.TOP), api="Fetch", times=4)
        lab.append(2, partition=1)
        started = now()
        assert await lab.take(1) == [2]
        assert now() - started < 2
        assert not warnings_of(caplog)


@virtual
async def test_a_broker_that_forgets_sessions():
    async with fetching(partitions=2) as lab:
        for i in range(10):
            lab.append(i, partition=i % 2)
            await lab.take(1)
            lab.kafka.brokers[0].fetch_sessions.close(
                lab.kafka.history("Fetch")[-1].values["session_id"]
            )
        lab.append(10)
        assert await lab.take(1) == [10]


@virtual
async def test_an_error_of_the_whole_answer(caplog):
    async with fetching() as lab:
        lab.append(1)
        lab.kafka.faults.add(Error(7, Level.TOP), api="Fetch", times=5)
        assert await lab.take(1) == [1]
        assert len(warnings_of(caplog)) == 1
        lab.kafka.faults.add(Error(31, Level.TOP), api="Fetch", times=1)
        lab.append(2)
        with pytest.raises(Errors.ClusterAuthorizationFailedError):
            await lab.take(1)
        assert await lab.take(1) == [2]


# Cancellation, closing, crashes


@virtual
async def test_cancelling_loses_nothing():
    async with fetching(partitions=2, max_partition_fetch_bytes=100) as lab:
        seen = []
        for i in range(200):
            lab.append(i, partition=i % 2)
        for turn in range(2000):
            call = (
                lab.fetcher.next_record(())
                if turn % 2
                else lab.fetcher.fetched_records((), timeout=1, max_records=2)
            )
            task = asyncio.ensure_future(call)
            for _ in range(turn % 5):
                await asyncio.sleep(0)
            task.cancel()
            try:
                got = await task
            except asyncio.CancelledError:
                await asyncio.sleep(0.001)
                continue
            records = [r for rs in got.values() for r in rs] if isinstance(got, dict) else [got]
            seen += [int(r.value) for r in records]
        seen += await lab.take(200 - len(seen))
        assert sorted(seen) == list(range(200))
        assert [v for v in seen if v % 2] == list(range(1, 200, 2))
        assert not lab.fetcher._fetch_waiters


@virtual
async def test_close_ends_every_call():
    async with fetching() as lab:
        one = asyncio.ensure_future(lab.fetcher.next_record(()))
        many = asyncio.ensure_future(lab.fetcher.fetched_records((), timeout=600))
        await asyncio.sleep(1)
        started = now()
        await lab.fetcher.close()
        with pytest.raises(ConsumerStoppedError):
            await one
        assert await many == {}
        assert now() - started < 0.01
        with pytest.raises(ConsumerStoppedError):
            await lab.fetcher.next_record(())
        with pytest.raises(ConsumerStoppedError):
            await lab.fetcher.fetched_records(())
        assert lab.fetcher.take_one() is None
        await lab.fetcher.close()


@pytest.mark.parametrize("api", ["Fetch", "ListOffsets"])
@pytest.mark.parametrize("turns", range(12))
@virtual
async def test_close_in_the_middle_of_anything(api, turns):
    async with fetching(brokers=2, partitions=2) as lab:
        lab.kafka.faults.add(Deaf(), api=api)
        lab.append(1)
        reading = asyncio.ensure_future(lab.fetcher.next_record(()))
        if turns > 6:
            await asyncio.sleep(turns / 10)
        for _ in range(turns):
            await asyncio.sleep(0)
        started = now()
        await lab.fetcher.close()
        assert now() - started < 0.1
        with pytest.raises(ConsumerStoppedError):
            await reading


@pytest.mark.parametrize(
    "where", ["_get_actions_per_node", "_proc_fetch_request", "_update_fetch_positions"]
)
@virtual
async def test_a_crash_is_raised_from_then_on(where, monkeypatch, caplog):
    async with fetching(assign=[]) as lab:
        waiting = asyncio.ensure_future(lab.fetcher.next_record(()))
        await asyncio.sleep(0.1)

        def broken(*args):
            raise ZeroDivisionError("a defect")

        monkeypatch.setattr(lab.fetcher, where, broken)
        lab.append(1)
        lab.assign(TP)
        for call in (lambda: waiting, lab.fetcher.next_record, lab.fetcher.fetched_records):
            with pytest.raises(KafkaError, match="Unexpected error in the fetcher") as caught:
                await asyncio.wait_for(call(), 10)
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert sum(r.levelno == logging.ERROR for r in caplog.records) == 1
        caplog.clear()


@virtual
async def test_a_defect_in_reading_an_answer(monkeypatch, caplog):
    async with fetching() as lab:
        monkeypatch.setattr(lab.fetcher._answers, "take", lambda *args: 1 / 0)
        lab.append(1)
        with pytest.raises(KafkaError, match="Unexpected error in the fetcher"):
            await lab.take(1)
        caplog.clear()


@virtual
async def test_cancelled_tasks_are_started_again():
    async with fetching() as lab:
        lab.append(1)
        await lab.take(1)
        for task in lab.fetcher._supervisor.tasks:
            task.cancel()
        await asyncio.sleep(0.1)
        lab.append(2)
        assert await lab.take(1) == [2]


@virtual
async def test_abort_waiters():
    async with fetching() as lab:
        one = asyncio.ensure_future(lab.fetcher.next_record(()))
        many = asyncio.ensure_future(lab.fetcher.fetched_records((), timeout=60))
        await asyncio.sleep(0.1)
        lab.subscriptions.abort_waiters(Errors.GroupAuthorizationFailedError("g"))
        for call in (one, many):
            with pytest.raises(Errors.GroupAuthorizationFailedError):
                await call


@virtual
async def test_a_broker_without_a_version_in_common():
    async with fetching(cluster={"versions": {"Fetch": (0, 0)}, "release": "2.0"}) as lab:
        with pytest.raises(Errors.IncompatibleBrokerVersion):
            await lab.fetcher.next_record(())
        assert isinstance(lab.fetcher, Fetcher)
