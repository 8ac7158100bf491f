"""Waits for metadata against a mocked failing broker connection, in virtual time."""

import asyncio
import logging

import pytest

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline
from tests.unit.client.scripted import NEVER, captured_logs, metadata, scripted, topic

BUDGET = {"max_block_ms": 2000}


def now():
    return asyncio.get_running_loop().time()


async def times_out(awaitable, seconds=2.0):
    started = now()
    with pytest.raises(Errors.KafkaTimeoutError) as caught:
        await awaitable
    assert seconds - 0.06 <= now() - started <= seconds * 1.01 + 0.01
    return caught.value


# The seed cases


@scripted(**BUDGET)
async def test_broker_unavailable_then_back(world, client):
    broker = world.broker(answer=None)
    broker.answer = lambda request: metadata(topic("t", 3))
    broker.connect = "refuse"
    world.cut("broker0:9092")
    loop = asyncio.get_running_loop()
    loop.call_later(1.2, setattr, broker, "connect", "ok")
    started = now()
    assert await client._wait_on_metadata("t") == {0, 1, 2}
    # Back at 1.2 s; the next attempt comes within the longest backoff.
    assert 1.2 <= now() - started <= 2.0


@scripted(**BUDGET)
async def test_broker_unavailable_for_good(world, client):
    world.broker().connect = "refuse"
    world.cut("broker0:9092")
    error = await times_out(client._wait_on_metadata("t"))
    assert isinstance(error, Errors.MetadataTimeoutError)
    assert isinstance(error, Errors.UnknownTopicOrPartitionError)
    assert isinstance(error.__cause__, Errors.KafkaConnectionError)
    assert "refused" in str(error.__cause__)
    assert (error.topic, error.budget_ms) == ("t", 2000)
    assert error.attempts > 3
    for fact in ("t", "2000 ms", f"{error.attempts} attempts", "refused"):
        assert fact in str(error)


@scripted(**BUDGET)
async def test_topic_listed_without_leader_nor_partitions(world, client):
    world.broker().answer = lambda request: metadata(topic("t", 0, error=5))
    error = await times_out(client._wait_on_metadata("t"))
    assert isinstance(error.__cause__, Errors.LeaderNotAvailableError)
    # Asked with backoff, not in a storm: 100 ms doubling to 1 s within 2 s.
    assert 3 <= error.attempts <= 6


@scripted(**BUDGET)
async def test_partitions_without_leader_are_known(world, client):
    world.broker().answer = lambda request: metadata(topic("t", 2, leader=-1))
    assert await client._wait_on_metadata("t") == {0, 1}
    assert client.cluster.available_partitions_for_topic("t") == set()


@scripted(**BUDGET)
async def test_some_partitions_missing(world, client):
    broker = world.broker()
    broker.answer = lambda request: metadata(topic("t", 2))
    assert await client._wait_on_metadata("t") == {0, 1}
    error = await times_out(client._wait_on_partition("t", 5, Deadline.after(2)))
    assert error.partition == 5
    assert "2 partitions" in str(error)
    asyncio.get_running_loop().call_later(
        0.5, setattr, broker, "answer", lambda request: metadata(topic("t", 6))
    )
    started = now()
    await client._wait_on_partition("t", 5, Deadline.after(2))
    assert 0.5 <= now() - started <= 1.6


@scripted(**BUDGET)
async def test_empty_broker_list(world, client):
    broker = world.broker()
    broker.answer = lambda request: metadata(topic("t"), brokers=[])
    error = await times_out(client._wait_on_metadata("t"))
    assert isinstance(error.__cause__, Errors.MetadataEmptyBrokerList)
    assert client.cluster.brokers()  # what was known stays known
    broker.answer = lambda request: metadata(topic("t"))
    assert await client._wait_on_metadata("t") == {0}


@scripted(**BUDGET)
async def test_zero_partitions_is_not_an_answer(world, client):
    world.broker().answer = lambda request: metadata(topic("t", 0))
    await times_out(client._wait_on_metadata("t"))


@scripted(**BUDGET)
async def test_slow_network_within_the_budget(world, client):
    world.broker().answer = lambda request: (1.5, metadata(topic("t")))
    started = now()
    assert await client._wait_on_metadata("t") == {0}
    assert now() - started == pytest.approx(1.5, abs=0.01)


@scripted(**BUDGET)
async def test_slow_network_past_the_budget(world, client):
    world.broker().answer = lambda request: (3.0, metadata(topic("t")))
    error = await times_out(client._wait_on_metadata("t"))
    assert isinstance(error.__cause__, BaseException)
    # The late answer is used all the same.
    await asyncio.sleep(1.1)
    started = now()
    assert await client._wait_on_metadata("t") == {0}
    assert now() == started


# One deaf broker among healthy ones


TWO = ((0, "broker0", 9092, None), (1, "broker1", 9092, None))


@pytest.mark.parametrize("deaf", ["answers", "connects"])
@pytest.mark.parametrize("seed", range(5))
def test_one_deaf_broker_costs_a_tenth_of_a_second(deaf, seed):
    @scripted(seed, max_block_ms=2000)
    async def run(world, client):
        world.broker("broker0:9092").answer = lambda request: metadata(brokers=TWO)
        world.broker("broker1:9092").answer = lambda request: metadata(topic("t"), brokers=TWO)
        assert await client.force_metadata_update()
        if deaf == "answers":
            world.broker("broker0:9092").answer = lambda request: NEVER
        else:
            world.broker("broker0:9092").connect = "deaf"
            world.cut("broker0:9092")
        started = now()
        assert await client._wait_on_metadata("t") == {0}
        assert now() - started < 0.25

    run()


@scripted(**BUDGET)
async def test_all_deaf(world, client):
    world.broker().answer = lambda request: NEVER
    error = await times_out(client._wait_on_metadata("t"))
    assert error.__cause__ is not None


# Errors that waiting does not mend


@pytest.mark.parametrize(
    ("code", "expected"),
    [(29, Errors.TopicAuthorizationFailedError), (17, Errors.InvalidTopicError)],
)
def test_final_topic_errors_are_raised_at_once(code, expected):
    @scripted(**BUDGET)
    async def run(world, client):
        world.broker().answer = lambda request: metadata(topic("t", 0, error=code))
        started = now()
        with pytest.raises(expected) as caught:
            await client._wait_on_metadata("t")
        assert caught.value.args[0] == "t"
        assert now() - started < 0.1
        # It may be granted later: asked again, not remembered for good.
        world.broker().answer = lambda request: metadata(topic("t"))
        assert await client._wait_on_metadata("t") == {0}

    run()


@pytest.mark.parametrize(
    "error",
    [
        Errors.SaslAuthenticationFailed("wrong password"),
        Errors.AuthenticationFailedError("wrong password"),
        Errors.UnsupportedVersionError("no common version"),
    ],
)
def test_hopeless_connections_are_reported_at_once(error):
    @scripted(**BUDGET)
    async def run(world, client):
        world.broker().connect = error
        world.cut("broker0:9092")
        started = now()
        with pytest.raises(type(error)):
            await client._wait_on_metadata("t")
        with pytest.raises(type(error)):
            await client._wait_on_metadata("t")
        assert now() - started < 0.5

    run()


# Limits


@scripted(max_block_ms=0)
async def test_zero_works_from_warm_metadata_only(world, client):
    world.broker().answer = lambda request: metadata(topic("t"))
    error = await times_out(client._wait_on_metadata("t"), 0)
    assert error.budget_ms == 0
    # The refusal has asked for the topic all the same.
    await asyncio.sleep(1)
    assert await client._wait_on_metadata("t") == {0}


@pytest.mark.parametrize("value", [-1, "2000", True, float("nan"), float("inf"), [1]])
def test_bad_budget_is_a_value_error_naming_the_keyword(value):
    @scripted(start=False)
    async def run(world, client):
        from aiokafka.client import AIOKafkaClient

        with pytest.raises(ValueError, match="max_block_ms"):
            AIOKafkaClient(max_block_ms=value)

    run()


@scripted()
async def test_default_budget_is_the_request_timeout(world, client):
    await times_out(client._wait_on_metadata("t"), 40.0)


@scripted(**BUDGET)
async def test_an_explicit_deadline_wins(world, client):
    await times_out(client._wait_on_metadata("t", Deadline.after(0.5)), 0.5)


# Many callers, closing, cancelling, crashing


@scripted(**BUDGET)
async def test_thousand_callers_of_one_absent_topic(world, client):
    world.broker().requests.clear()
    with captured_logs() as logs:
        waits = [client._wait_on_metadata("absent") for _ in range(1000)]
        started = now()
        results = await asyncio.gather(*waits, return_exceptions=True)
    assert all(isinstance(r, Errors.MetadataTimeoutError) for r in results)
    assert now() - started == pytest.approx(2.0, abs=0.05)
    assert len(world.broker().requests) < 8
    assert len(logs.at(logging.WARNING)) == 1


@scripted(**BUDGET)
async def test_close_wakes_the_waiters_at_once(world, client):
    world.broker().answer = lambda request: NEVER
    waits = [asyncio.ensure_future(client._wait_on_metadata("t")) for _ in range(10)]
    update = client.force_metadata_update()
    await asyncio.sleep(0.5)
    started = now()
    await client.close()
    for wait in waits:
        with pytest.raises(Errors.IllegalStateError):
            await wait
    assert await update is False
    with pytest.raises(Errors.IllegalStateError):
        await client._wait_on_metadata("t")
    assert now() == started


@scripted(**BUDGET)
async def test_cancelled_caller_leaves_nothing(world, client):
    wait = asyncio.ensure_future(client._wait_on_metadata("t"))
    await asyncio.sleep(0.5)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    world.broker().requests.clear()
    await asyncio.sleep(10)
    assert not world.broker().requests  # nobody waits, nobody asks


@scripted(**BUDGET)
async def test_crash_of_the_refresh_fails_the_waiters_and_is_survived(world, client):
    def crash(request):
        raise ZeroDivisionError("a defect")

    original = client._metadata_update
    client._metadata_update = crash_once = _raiser(ZeroDivisionError("a defect"))
    started = now()
    with pytest.raises(Errors.KafkaError, match="crashed"):
        await client._wait_on_metadata("t")
    assert now() - started < 0.1
    assert crash_once is not original
    client._metadata_update = original
    world.broker().answer = lambda request: metadata(topic("t"))
    assert await client._wait_on_metadata("t") == {0}


def _raiser(error):
    async def update(cluster, topics):
        raise error

    return update


# A timeout that an instrumentation has paid


@scripted(**BUDGET)
async def test_timeout_just_seen_is_remembered_once_for_the_task(world, client):
    await times_out(client._wait_on_metadata("t"))
    assert client.take_recent_timeout("other") is None
    await times_out(client._wait_on_metadata("t"))
    error = client.take_recent_timeout("t")
    assert isinstance(error, Errors.MetadataTimeoutError)
    assert client.take_recent_timeout("t") is None

    await times_out(client._wait_on_metadata("t"))

    async def other_task():
        return client.take_recent_timeout("t")

    assert await asyncio.create_task(other_task()) is None
    await times_out(client._wait_on_metadata("t", Deadline.after(1)), 1)
    await asyncio.sleep(2)
    assert client.take_recent_timeout("t") is None


# fetch_all_metadata


@scripted(**BUDGET)
async def test_fetch_all_metadata(world, client):
    world.broker().answer = lambda request: metadata(topic("a"), topic("b", 2))
    cluster = await client.fetch_all_metadata()
    assert cluster is not client.cluster
    assert cluster.topics() == {"a", "b"}


@scripted(**BUDGET)
async def test_fetch_all_metadata_is_bounded_and_says_why(world, client):
    world.broker().connect = "refuse"
    world.cut("broker0:9092")
    error = await times_out(client.fetch_all_metadata())
    assert isinstance(error.__cause__, Errors.KafkaConnectionError)
    assert error.attempts > 2
    assert "2000 ms" in str(error)


@scripted(**BUDGET)
async def test_fetch_all_metadata_deaf(world, client):
    world.broker().answer = lambda request: NEVER
    await times_out(client.fetch_all_metadata())
    await times_out(client.fetch_all_metadata(Deadline.after(0.3)), 0.3)


@scripted(**BUDGET)
async def test_fetch_all_metadata_recovers(world, client):
    broker = world.broker()
    broker.connect = "refuse"
    world.cut("broker0:9092")
    broker.answer = lambda request: metadata(topic("a"))
    asyncio.get_running_loop().call_later(0.8, setattr, broker, "connect", "ok")
    assert (await client.fetch_all_metadata()).topics() == {"a"}


# A long outage


@scripted(**BUDGET)
async def test_ten_minute_outage(world, client):
    broker = world.broker()
    broker.answer = lambda request: metadata(topic("t"))
    broker.connect = "refuse"
    world.cut("broker0:9092")
    outage_began = now()
    broker.connects.clear()
    with captured_logs() as logs:
        while now() - outage_began < 600:
            await times_out(client._wait_on_metadata("t"))
        warnings = logs.at(logging.WARNING)
        # One for each state change: the node, its bootstrap twin, the metadata, the topic.
        assert len(warnings) <= 4
        assert not logs.at(logging.ERROR)
        # Per address at most one attempt a second from each of the two node objects.
        assert len(broker.connects) < 2 * 600 * 1.3
        broker.connect = "ok"
        started = now()
        assert await client._wait_on_metadata("t") == {0}
        assert now() - started <= 1.2
        assert any("again" in line for line in logs.at(logging.INFO))
