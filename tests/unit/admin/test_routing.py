"""Where requests go when brokers move, are silent, or are gone; and that every call ends."""

from __future__ import annotations

import asyncio
import logging

import pytest

from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    NotControllerError,
    RequestTimedOutError,
)
from aiokafka.structs import TopicPartition
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.faults import Deaf, Delay, Error, Level, LostAnswer
from aiokafka.testing.virtual_time import run_virtual

from .admin_lab import BUDGET, FAST, administering, count, now, virtual

NOT_CONTROLLER, NOT_COORDINATOR, NOT_LEADER, LOADING = 41, 16, 6, 14
TP = TopicPartition("t", 0)


# -- the controller -------------------------------------------------------------------------------


@virtual
async def test_topics_that_were_created_are_not_asked_for_again() -> None:
    async with administering() as (kafka, admin):
        kafka.faults.add(
            Error(NOT_CONTROLLER, Level.TOPIC), api="CreateTopics", topic="b", times=2
        )
        response = await admin.create_topics([NewTopic(name, 1, 1) for name in "abc"])
        # "b" could not be created by the first two, the others were by the first.
        assert sorted(row[:2] for row in response.topic_errors) == [("a", 0), ("b", 0), ("c", 0)]
        assert count(kafka, "CreateTopics") == 3


@virtual
async def test_another_controller_is_looked_for() -> None:
    async with administering() as (kafka, admin):
        assert await admin.find_coordinator("g") is not None
        kafka.brokers[0].kill()  # the controller
        response = await admin.create_topics([NewTopic("a", 1, 1)])
        assert response.topic_errors == [("a", 0, None)]


@virtual
async def test_a_controller_that_is_none_for_ever() -> None:
    async with administering() as (kafka, admin):
        kafka.faults.add(Error(NOT_CONTROLLER, Level.TOPIC), api="CreateTopics")
        began = now()
        with pytest.raises(KafkaTimeoutError) as caught:
            await admin.create_topics([NewTopic("a", 1, 1)], timeout_ms=1000)
        assert now() - began <= 1.0
        assert isinstance(caught.value.__cause__, NotControllerError)
        for part in ("Creating topics", "1000 ms", "attempt(s)", "NotControllerError"):
            assert part in str(caught.value)


@virtual
async def test_a_lost_answer_is_asked_for_again() -> None:
    async with administering() as (kafka, admin):
        kafka.faults.add(LostAnswer(), api="DeleteTopics", times=1)
        response = await admin.delete_topics(["t"])
        assert response.topic_error_codes == [("t", 3)], "the first request has deleted it"


# -- any broker -----------------------------------------------------------------------------------


@virtual
async def test_a_silent_broker_costs_little() -> None:
    async with administering() as (kafka, admin):
        for node_id in (0, 1):
            kafka.faults.add(Deaf(), node=node_id)
        began = now()
        assert await admin.list_topics() == ["t"]
        assert now() - began <= 2.1


@virtual
async def test_all_brokers_silent() -> None:
    async with administering() as (kafka, admin):
        kafka.faults.add(Deaf())
        began = now()
        with pytest.raises(KafkaTimeoutError, match="Describing the cluster") as caught:
            await admin.describe_cluster()
        assert isinstance(caught.value.__cause__, KafkaError)
        assert not isinstance(caught.value.__cause__, KafkaTimeoutError)
        assert now() - began == pytest.approx(BUDGET, abs=0.1)


@virtual
async def test_all_brokers_dead() -> None:
    async with administering() as (kafka, admin):
        for broker in kafka.brokers.values():
            broker.kill()
        began = now()
        with pytest.raises(KafkaTimeoutError) as caught:
            await admin.list_topics(timeout_ms=2000)
        assert now() - began <= 2.0
        assert isinstance(caught.value.__cause__, (KafkaError, OSError))
        assert not isinstance(caught.value.__cause__, KafkaTimeoutError)


@virtual
async def test_what_no_attempt_can_mend_is_raised_at_once() -> None:
    async with administering() as (kafka, admin):
        kafka.faults.add(Error(31, Level.TOP), api="ListGroups")
        began = now()
        with pytest.raises(ClusterAuthorizationFailedError, match="node 0"):
            await admin.list_consumer_groups()
        assert now() - began < 0.1


# -- coordinators ---------------------------------------------------------------------------------


@virtual
async def test_a_coordinator_that_moves() -> None:
    async with administering() as (kafka, admin):
        kafka.commit("g", "t", 0, 5)
        await admin.describe_consumer_groups(["g"])
        kafka.faults.add(Error(NOT_COORDINATOR), api="OffsetFetch", times=1)
        kafka.faults.add(Error(LOADING), api="DescribeGroups", times=2)
        assert (await admin.list_consumer_group_offsets("g"))[TP].offset == 5
        (response,) = await admin.describe_consumer_groups(["g"])
        assert response.groups[0][0] == 0


@virtual
async def test_a_coordinator_that_dies() -> None:
    async with administering() as (kafka, admin):
        kafka.commit("g", "t", 0, 5)
        kafka.coordinator_of("g").kill()
        assert (await admin.list_consumer_group_offsets("g"))[TP].offset == 5


@virtual
async def test_a_coordinator_is_named_though_it_is_out_of_reach() -> None:
    async with administering(cluster={"failover_delay": None}) as (kafka, admin):
        broker = kafka.coordinator_of("g")
        broker.kill()
        assert await admin.find_coordinator("g") == broker.node_id


@virtual
async def test_a_silent_coordinator_that_is_replaced() -> None:
    async with administering(request_timeout_ms=6000) as (kafka, admin):
        kafka.commit("g", "t", 0, 5)
        kafka.faults.add(Deaf(), api="OffsetFetch", node=kafka.coordinator_of("g").node_id)
        reading = asyncio.ensure_future(admin.list_consumer_group_offsets("g"))
        await kafka.wait_for_requests("OffsetFetch")
        kafka.move_coordinator("g")
        assert (await reading)[TP].offset == 5


@virtual
async def test_a_named_coordinator_is_not_replaced() -> None:
    async with administering() as (kafka, admin):
        wrong = (kafka.coordinator_of("g").node_id + 1) % 3
        (response,) = await admin.describe_consumer_groups(["g"], wrong)
        assert response.groups[0][0] == NOT_COORDINATOR


# -- leaders --------------------------------------------------------------------------------------


@virtual
async def test_leaders_that_move() -> None:
    async with administering() as (kafka, admin):
        kafka.faults.add(Error(NOT_LEADER, Level.PARTITION), api="DeleteRecords", times=1)
        tps = [TopicPartition("t", n) for n in range(3)]
        assert await admin.delete_records({tp: RecordsToDelete(0) for tp in tps}) == dict.fromkeys(
            tps, 0
        )
        # Those that answered were not asked again.
        assert count(kafka, "DeleteRecords") == 4


@virtual
async def test_a_partition_without_a_leader() -> None:
    async with administering() as (kafka, admin):
        kafka.partition("t", 0).elect(-1)
        with pytest.raises(KafkaTimeoutError) as caught:
            await admin.delete_records({TP: RecordsToDelete(0)}, timeout_ms=500)
        assert isinstance(caught.value.__cause__, LeaderNotAvailableError)


@virtual
async def test_a_silent_leader() -> None:
    async with administering() as (kafka, admin):
        silent = kafka.partition("t", 0).leader
        kafka.faults.add(Deaf(), node=silent, api="DeleteRecords")
        tps = [TopicPartition("t", n) for n in range(3)]
        began = now()
        with pytest.raises(KafkaTimeoutError) as caught:
            await admin.delete_records({tp: RecordsToDelete(0) for tp in tps})
        assert now() - began == pytest.approx(BUDGET, abs=0.1)
        assert "partition=0" in str(caught.value), "the others have their outcome"
        assert isinstance(caught.value.__cause__, (RequestTimedOutError, KafkaTimeoutError))


# -- life -----------------------------------------------------------------------------------------


@virtual
async def test_before_start_and_after_close() -> None:
    admin = AIOKafkaAdminClient(**FAST)
    with pytest.raises(IllegalStateError, match="not started"):
        await admin.list_topics()
    await admin.close()
    await admin.close()
    with pytest.raises(IllegalStateError, match="closed"):
        await admin.list_topics()
    with pytest.raises(IllegalStateError, match="closed"):
        await admin.start()


@virtual
async def test_start_that_fails_may_be_repeated() -> None:
    async with FakeCluster(1) as kafka:
        kafka.brokers[0].kill()
        admin = AIOKafkaAdminClient(bootstrap_servers=["broker-0:9092"], **FAST)
        began = now()
        with pytest.raises(KafkaConnectionError):
            await admin.start()
        assert now() - began <= BUDGET
        kafka.brokers[0].restart()
        await admin.start()
        await admin.start()
        assert await admin.list_topics() == []
        await admin.close()


@virtual
async def test_close_ends_calls_at_once() -> None:
    async with administering() as (kafka, admin):
        silent = ("Metadata", "CreateTopics", "FindCoordinator")
        kafka.faults.add(Deaf(), api=silent)
        calls = [
            asyncio.ensure_future(call)
            for call in (
                admin.list_topics(),
                admin.create_topics([NewTopic("a", 1, 1)]),
                admin.describe_consumer_groups(["g"]),
                admin.delete_records({TP: RecordsToDelete(0)}),
            )
        ]
        await asyncio.sleep(0.1)
        began = now()
        await admin.close()
        for call in calls:
            with pytest.raises(IllegalStateError, match="closed in the meantime"):
                await call
        assert now() - began < 0.1


@virtual
async def test_close_while_starting() -> None:
    async with FakeCluster(1) as kafka:
        kafka.faults.add(Deaf())
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers, **FAST)
        starting = asyncio.ensure_future(admin.start())
        await kafka.wait_for_requests("ApiVersions")
        await admin.close()
        with pytest.raises(IllegalStateError):
            await starting


def test_cancelled_anywhere_nothing_is_left() -> None:
    """`run_virtual` fails when a task or a connection is left behind."""
    for steps in range(0, 40, 3):

        async def main(steps: int = steps) -> None:
            async with administering() as (kafka, admin):
                kafka.faults.add(Delay(0.05))
                call = asyncio.ensure_future(
                    asyncio.gather(
                        admin.delete_records({TP: RecordsToDelete(0)}),
                        admin.describe_consumer_groups(["g", "h"]),
                    )
                )
                for _ in range(steps):
                    await asyncio.sleep(0.01)
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
                assert not admin._supervisor.tasks or await _gone(admin)

        run_virtual(main)


async def _gone(admin: AIOKafkaAdminClient) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not admin._supervisor.tasks


def test_close_from_another_loop() -> None:
    first = asyncio.new_event_loop()

    async def begin() -> AIOKafkaAdminClient:
        async with FakeCluster(1) as kafka:
            admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers, **FAST)
            await admin.start()
            return admin

    try:
        admin = first.run_until_complete(begin())
        asyncio.run(admin.close())
        first.run_until_complete(admin.close())
    finally:
        first.run_until_complete(first.shutdown_default_executor())
        first.close()


@virtual
async def test_cancelled_close_is_complete() -> None:
    async with administering() as (kafka, admin):
        kafka.faults.add(Deaf())
        call = asyncio.ensure_future(admin.list_topics())
        await kafka.wait_for_requests("Metadata")
        closing = asyncio.ensure_future(admin.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(IllegalStateError):
            await call
        await admin.close()


@pytest.mark.parametrize("timeout_ms", ["1", float("nan"), -1, True])
@virtual
async def test_timeouts_are_checked(timeout_ms) -> None:
    async with administering() as (_kafka, admin):
        with pytest.raises(ValueError, match="timeout_ms"):
            await admin.list_topics(timeout_ms=timeout_ms)


@virtual
async def test_an_outage_is_one_line() -> None:
    lines: list[logging.LogRecord] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lines.append  # type: ignore[method-assign]
    logger = logging.getLogger("aiokafka.admin.client")
    logger.addHandler(handler)
    try:
        async with administering() as (kafka, admin):
            kafka.faults.add(Error(NOT_CONTROLLER, Level.TOPIC), api="CreateTopics")
            for _ in range(3):
                with pytest.raises(KafkaTimeoutError):
                    await admin.create_topics([NewTopic("a", 1, 1)], timeout_ms=800)
    finally:
        logger.removeHandler(handler)
    assert [line.getMessage().split(" failed: ")[0] for line in lines] == ["Creating topics"]
