"""No state in which a consumer does nothing is without a visible reason."""

import asyncio
import dataclasses

import pytest

from aiokafka.consumer import AIOKafkaConsumer
from aiokafka.consumer._health import (
    ConsumerHealth,
    ConsumerVerdict,
    PartitionActivity,
    PartitionHealth,
    judge_partitions,
)
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.codes import ErrorCode
from aiokafka.testing.faults import Deaf, Delay, Error
from tests.unit.consumer.consumer_lab import TP, TP1, consuming, fill, make, take, virtual
from tests.unit.consumer.group_lab import Recorder

GROUPS = pytest.mark.parametrize("group", [None, "g"])


async def until(consumer, words):
    """Wait until the health's reason has these words."""
    for _ in range(1000):
        health = consumer.health()
        if words in health.reason:
            return health
        await asyncio.sleep(0.1)
    raise AssertionError(f"{words!r} never came up, but {consumer.health()}")


# The verdict on partitions


def partition(activity, reason="", number=0, **facts):
    return PartitionHealth(TP._replace(partition=number), activity, reason, **facts)


def judged(*partitions):
    return judge_partitions({p.tp: p for p in partitions}, grouped=False)


def test_all_is_well():
    fetching, buffered, paused = (
        partition(activity, number=number)
        for number, activity in enumerate(
            (PartitionActivity.FETCHING, PartitionActivity.BUFFERED, PartitionActivity.PAUSED)
        )
    )
    assert judged(fetching, buffered, paused) == (ConsumerVerdict.OK, "")
    assert judged(paused) == (ConsumerVerdict.WAITING, "all 1 partitions are paused")


def test_what_stands_still_is_named():
    stuck = [
        partition(PartitionActivity.STALLED, f"because of {number}", number) for number in range(5)
    ]
    verdict, reason = judged(*stuck, partition(PartitionActivity.FETCHING, number=9))
    assert verdict is ConsumerVerdict.WAITING
    assert reason.startswith("t-0 stalled (because of 0); t-1 stalled")
    assert reason.endswith("and 2 more")


def test_no_partitions():
    for grouped, words in ((True, "other members"), (False, "none yet")):
        verdict, reason = judge_partitions({}, grouped)
        assert verdict is ConsumerVerdict.WAITING
        assert words in reason


def test_lag():
    known = partition(PartitionActivity.FETCHING, position=3, highwater=10)
    unknown = partition(PartitionActivity.AWAITING_OFFSET, number=1)
    assert known.lag == 7
    assert unknown.lag is None
    health = ConsumerHealth(ConsumerVerdict.OK, partitions={known.tp: known})
    assert health.lag == 7
    assert str(health) == "ok"
    with pytest.raises(dataclasses.FrozenInstanceError):
        health.reason = "x"
    both = ConsumerHealth(
        ConsumerVerdict.WAITING, "why", partitions={p.tp: p for p in (known, unknown)}
    )
    assert both.lag is None
    assert not both.ok
    assert str(both) == "waiting: why"
    assert partition(PartitionActivity.FETCHING, position=11, highwater=10).lag == 0


# Consumers


@virtual
async def test_before_and_after():
    consumer = AIOKafkaConsumer(bootstrap_servers="nowhere:1", group_id="g")
    assert consumer.health().verdict is ConsumerVerdict.NOT_STARTED
    assert consumer.health().reason
    await consumer.stop()
    assert consumer.health().verdict is ConsumerVerdict.STOPPED
    assert str(consumer.health()) == "stopped: it was stopped"


@GROUPS
@virtual
async def test_of_a_consumer_that_reads(group):
    async with consuming(partitions=2, records=10, group_id=group) as (_, consumer):
        await take(consumer, 5)
        if group:
            await consumer.commit()
        await asyncio.sleep(0.1)
        health = consumer.health()
        assert health.ok, health
        assert health.reason == ""
        assert health.assignment == {TP, TP1}
        assert health.lag == 5
        assert health.idle == pytest.approx(0.1, abs=0.01) or health.idle == 0
        for tp in (TP, TP1):
            found = health.partitions[tp]
            assert found.position == await consumer.position(tp)
            assert found.committed == (found.position if group else None)
            assert found.highwater == 5
            assert found.last_fetch_age == pytest.approx(0.1, abs=0.1)
            assert found.buffered > 0 or not found.lag
            assert found.error is None
        if group:
            assert health.group_id == "g"
            assert health.member_state == "STABLE"
            assert health.generation == 1
            assert health.member_id
            assert health.coordinator_id is not None
            assert health.last_heartbeat_age is not None
            assert health.last_rebalance_age == pytest.approx(0.1, abs=0.1)
            assert health.last_rebalance_reason == "first join"
            assert health.error is None
        else:
            assert health.member_state is None


@GROUPS
@virtual
async def test_nothing_is_subscribed_to(group):
    async with FakeCluster(brokers=1) as kafka:
        consumer = make(kafka, group_id=group)
        await consumer.start()
        assert consumer.health().verdict is ConsumerVerdict.WAITING
        assert "nothing is subscribed to" in consumer.health().reason
        consumer.assign([])
        assert "no partitions are assigned" in consumer.health().reason
        await consumer.stop()


@virtual
async def test_a_topic_that_is_not_known():
    async with consuming(metadata_max_age_ms=1000) as (kafka, consumer):
        kafka.auto_create = False
        consumer.unsubscribe()
        consumer.subscribe(["missing"])
        health = await until(consumer, "topics are not known: missing")
        assert health.verdict is ConsumerVerdict.WAITING


@virtual
async def test_paused():
    async with consuming(records=1) as (_, consumer):
        await take(consumer, 1)
        consumer.pause(TP)
        assert consumer.health().reason == "all 1 partitions are paused"
        assert consumer.health().partitions[TP].activity is PartitionActivity.PAUSED


@GROUPS
@virtual
async def test_a_silent_leader(group):
    async with consuming(records=1, group_id=group) as (kafka, consumer):
        await take(consumer, 1)
        kafka.faults.add(Deaf(), api="Fetch")
        await until(consumer, "t-0")
        await asyncio.sleep(20)
        health = consumer.health()
        assert health.verdict is ConsumerVerdict.WAITING
        assert health.partitions[TP].activity in (
            PartitionActivity.STALLED,
            PartitionActivity.BACKING_OFF,
        )
        kafka.faults.clear()
        await fill(kafka, 1)
        await take(consumer, 1)
        await asyncio.sleep(2)
        assert consumer.health().ok, consumer.health()


@virtual
async def test_no_leader():
    async with consuming(brokers=2, records=1) as (kafka, consumer):
        await take(consumer, 1)
        kafka.brokers[kafka.partition("t", 0).leader].kill()
        health = await until(consumer, "t-0")
        assert health.partitions[TP].error is not None
        assert health.partitions[TP].reason


@virtual
async def test_looking_for_an_offset():
    async with consuming(records=1, group_id="g") as (kafka, consumer):
        await take(consumer, 1)
        kafka.faults.add(Deaf(), api="OffsetFetch")
        consumer.unsubscribe()
        consumer.assign([TP])
        await until(consumer, "asking for the committed offset")
        await until(consumer, "OffsetFetch")
        kafka.faults.clear()
        kafka.faults.add(Deaf(), api="ListOffsets")
        assert not await consumer.seek_to_end()
        health = consumer.health()
        assert health.partitions[TP].activity in (
            PartitionActivity.AWAITING_OFFSET,
            PartitionActivity.BACKING_OFF,
        )
        assert health.reason


@virtual
async def test_an_error_that_waits_for_the_application():
    async with consuming(records=1, auto_offset_reset="none") as (_, consumer):
        health = await until(consumer, "NoOffsetForPartitionError")
        assert health.partitions[TP].activity is PartitionActivity.FAILED


@virtual
async def test_no_coordinator():
    async with consuming(brokers=3, records=1, group_id="g") as (kafka, consumer):
        await take(consumer, 1)
        kafka.faults.add(Error(ErrorCode.COORDINATOR_NOT_AVAILABLE), api="FindCoordinator")
        consumer.unsubscribe()
        consumer._coordinator.coordinator_dead()
        consumer.subscribe(["t"])
        await until(consumer, "no coordinator of group 'g' is known")
        health = await until(consumer, "GroupCoordinatorNotAvailableError")
        assert "no coordinator of group 'g' is known" in health.reason
        assert health.coordinator_id is None
        assert health.verdict is ConsumerVerdict.WAITING


@virtual
async def test_a_rebalance():
    async with consuming(records=1, group_id="g") as (kafka, consumer):
        await take(consumer, 1)
        kafka.faults.add(Delay(2), api="JoinGroup")
        consumer._coordinator.request_rejoin()
        health = await until(consumer, "group 'g' rebalances, this member is JOINING")
        assert health.verdict is ConsumerVerdict.WAITING
        assert health.member_state == "JOINING"
        await asyncio.sleep(5)
        assert consumer.health().ok


@virtual
async def test_a_listener_that_takes_its_time():
    async with consuming(records=1) as (kafka, _):
        listener = Recorder()
        listener.delay = 1
        consumer = make(kafka, group_id="g")
        consumer.subscribe(["t"], listener=listener)
        starting = asyncio.get_running_loop().create_task(consumer.start())
        await until(consumer, "PREPARING")
        await until(consumer, "ASSIGNING")
        await starting
        await take(consumer, 1)
        assert consumer.health().ok
        await consumer.stop()


@virtual
async def test_more_members_than_partitions():
    async with consuming(records=1, group_id="g") as (kafka, one):
        other = make(kafka, "t", group_id="g")
        await other.start()
        await asyncio.sleep(5)
        reasons = [consumer.health().reason for consumer in (one, other)]
        assert sum("to other members" in reason for reason in reasons) == 1
        await other.stop()


@virtual
async def test_the_application_did_not_ask_in_time():
    async with consuming(records=5, group_id="g", max_poll_interval_ms=5000) as (_, consumer):
        await take(consumer, 1)
        await until(consumer, "max_poll_interval_ms")
        health = consumer.health()
        assert health.member_state == "STALE"
        assert health.idle >= 5
        assert len(await take(consumer, 4)) == 4
        await asyncio.sleep(0.5)
        assert consumer.health().ok, consumer.health()


@virtual
async def test_a_group_that_refuses():
    async with consuming(records=1, group_id="g") as (kafka, consumer):
        kafka.faults.add(Error(ErrorCode.GROUP_AUTHORIZATION_FAILED), api="Heartbeat")
        health = await until(consumer, "GroupAuthorizationFailedError")
        assert health.verdict is ConsumerVerdict.FAILED
        assert health.member_state == "FAILED"


@virtual
async def test_a_fetcher_that_crashed():
    async with consuming(records=1) as (_, consumer):
        consumer._fetcher._crashed(ZeroDivisionError("defect"))
        assert consumer.health().verdict is ConsumerVerdict.FAILED
        assert "defect" in consumer.health().reason
