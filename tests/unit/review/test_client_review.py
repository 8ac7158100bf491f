"""Defects found in the review of the client: each test failed before its mend."""

import asyncio

import pytest

from aiokafka import errors as Errors
from tests.unit.client.scripted import metadata, scripted, topic


@scripted(request_timeout_ms=1000)
async def test_all_topics_are_asked_for_during_a_refresh_of_some(world, client):
    """``set_topics([])`` in the middle of a refresh of one topic is not content with that."""
    broker = world.broker()
    broker.answer = lambda request: (0.05, metadata(topic("a"), topic("b")))
    first = client.add_topic("a")
    await asyncio.sleep(0.02)
    everything = client.set_topics([])
    await first
    await everything
    assert broker.requests[-1][1]._topics is None
    assert client.cluster.topics() == {"a", "b"}


@scripted()
async def test_nothing_is_connected_to_after_close(world, client):
    """A node first heard of after ``close()`` gets no connection that nobody would close."""
    await client.close()
    before = len(world.connections)
    client.cluster.add_broker(7, "broker7", 9092)
    assert not await client.ready(7)
    assert len(world.connections) == before


@scripted(retry_backoff_ms=0, request_timeout_ms=500, max_block_ms=300)
async def test_a_backoff_of_zero_does_not_stop_the_event_loop(world, client):
    """With nobody to ask a round ends without awaiting: rounds must not follow at once."""
    broker = world.broker()
    broker.connect = "refuse"
    broker.answer = lambda request: Errors.KafkaConnectionError("gone")
    world.cut("broker0:9092")
    with pytest.raises(Errors.KafkaTimeoutError):
        await client._wait_on_metadata("t")
    assert broker.connects


@scripted(metadata_max_age_ms=0)
async def test_a_maximum_age_of_zero_is_no_storm(world, client):
    """Metadata that is always too old is refreshed often, not as fast as brokers answer."""
    before = len(world.broker().requests)
    await asyncio.sleep(1)
    assert 1 < len(world.broker().requests) - before < 150
