"""The buffer memory and those who wait for it."""

import asyncio
import logging

import pytest

from aiokafka._news import SPACING
from aiokafka.errors import BufferTimeoutError, ProducerClosed
from aiokafka.producer._queues import BufferMemory
from tests.unit.producer.lab import now, virtual


def memory(total=100, used=0):
    pool = BufferMemory(total, asyncio.get_running_loop())
    pool.used = used
    return pool


async def start(pool, size, timeout=5):
    task = asyncio.ensure_future(pool.reserve(size, timeout, None))
    await asyncio.sleep(0)
    return task


@virtual
async def test_free_space_is_taken_at_once():
    pool = memory()
    await pool.reserve(100, 0, None)
    assert pool.used == 100


@virtual
async def test_first_come_first_served():
    pool = memory(used=100)
    large, small = await start(pool, 80), await start(pool, 10)
    assert (pool.waiting, pool.blocked) == (2, True)
    pool.give_back(50)
    await asyncio.sleep(0)
    assert not small.done(), "it would fit, but the large one is first"
    pool.give_back(40)
    await large
    assert (pool.used, pool.blocked) == (100 - 90 + 80 + 10, False)
    await small


@virtual
async def test_nobody_overtakes():
    pool = memory(used=100)
    waiting = await start(pool, 80)
    pool.used = 90
    assert not pool.fits(5)
    pool.give_back(90)
    await waiting
    assert pool.fits(5)


@virtual
async def test_timeout_says_how_much_of_what():
    pool = memory(used=90)
    cause = OSError("broker gone")
    started = now()
    with pytest.raises(BufferTimeoutError) as caught:
        await pool.reserve(20, 1.5, cause)
    assert now() - started == pytest.approx(1.5, abs=0.01)
    error = caught.value
    facts = (error.requested, error.available, error.total, error.budget_ms)
    assert facts == (20, 10, 100, 1500)
    assert error.__cause__ is cause
    for fact in ("20 bytes", "1500 ms", "90 of 100", "broker gone"):
        assert fact in str(error)
    assert (pool.waiting, pool.blocked, pool.used) == (0, False, 90)


@virtual
async def test_no_budget_no_wait():
    pool = memory(used=90)
    with pytest.raises(BufferTimeoutError):
        await pool.reserve(20, 0, None)
    assert pool.waiting == 0


@virtual
async def test_one_warning_until_records_are_delivered_again(caplog):
    pool = memory(used=90)

    async def fails():
        with pytest.raises(BufferTimeoutError):
            await pool.reserve(20, 0.1, None)

    with caplog.at_level(logging.WARNING):
        await fails()
        await fails()
        assert len(caplog.records) == 1
        waiting = await start(pool, 20)
        pool.give_back(50)
        await waiting
        pool.used = 90
        # Space alone says nothing: records that expire make space, too.
        await fails()
        assert len(caplog.records) == 1
        pool.news.all_is_well()
        await asyncio.sleep(SPACING)
        await fails()
        assert len(caplog.records) == 2


@virtual
async def test_timeout_of_the_first_lets_the_next_pass():
    pool = memory(used=90)
    large, small = await start(pool, 50, timeout=1), await start(pool, 10, timeout=5)
    await small
    with pytest.raises(BufferTimeoutError):
        await large
    assert now() == pytest.approx(1001, abs=0.1)
    assert pool.used == 100


@virtual
async def test_cancelled_while_waiting():
    pool = memory(used=100)
    waiting = await start(pool, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (pool.waiting, pool.blocked, pool.used) == (0, False, 100)


@virtual
async def test_cancelled_when_space_was_just_granted():
    pool = memory(used=100)
    first, second = await start(pool, 60), await start(pool, 60)
    pool.give_back(60)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    # What it had been granted goes to the next.
    await second
    assert pool.used == 100


@virtual
async def test_the_end_of_the_producer():
    pool = memory(used=100)
    waiting = [await start(pool, 10) for _ in range(2)]
    pool.fail_waiters(ProducerClosed("stopped"))
    for task in waiting:
        with pytest.raises(ProducerClosed):
            await task
    assert (pool.waiting, pool.blocked, pool.used) == (0, False, 100)
