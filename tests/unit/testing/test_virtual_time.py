"""The virtual-time loop: jumps, deadlocks, leftovers, determinism."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from aiokafka.testing.virtual_time import (
    DeadlockError,
    LivelockError,
    PendingTasksError,
    UnhandledErrorsError,
    VirtualTimeLimitError,
    VirtualTimeLoop,
    run_virtual,
)


def test_sleep_takes_exactly_its_time():
    async def main():
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(0.1)
        await asyncio.sleep(600)
        return loop.time() - start

    assert run_virtual(main) == pytest.approx(600.1, abs=1e-9)


def test_a_virtual_hour_costs_milliseconds():
    async def main():
        await asyncio.sleep(3600)

    started = time.process_time()
    run_virtual(main())
    assert time.process_time() - started < 0.5


def test_an_hour_of_heartbeats_is_cheap():
    async def main():
        loop = asyncio.get_running_loop()
        beats = 0
        end = loop.time() + 3600
        while loop.time() < end:
            await asyncio.sleep(0.5)
            beats += 1
        return beats

    started = time.process_time()
    assert run_virtual(main) == 7200
    assert time.process_time() - started < 5


def test_timers_fire_in_order_and_on_time():
    async def main():
        loop = asyncio.get_running_loop()
        start = loop.time()
        fired: list[tuple[str, float]] = []

        def fire(name: str) -> None:
            fired.append((name, round(loop.time() - start, 9)))

        loop.call_later(3, fire, "c")
        loop.call_later(1, fire, "a")
        loop.call_later(2, fire, "b")
        loop.call_later(1.5, fire, "never").cancel()
        await asyncio.sleep(5)
        return fired

    assert run_virtual(main) == [("a", 1), ("b", 2), ("c", 3)]


def test_wait_for_times_out():
    async def main():
        loop = asyncio.get_running_loop()
        start = loop.time()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(loop.create_future(), 40)
        return loop.time() - start

    assert run_virtual(main) == pytest.approx(40)


def test_deadlock_names_tasks_and_places():
    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    async def main():
        task = asyncio.get_running_loop().create_task(waits_for_ever(), name="the-culprit")
        await task

    with pytest.raises(DeadlockError) as caught:
        run_virtual(main)
    message = str(caught.value)
    assert "the-culprit" in message
    assert "waits_for_ever" in message
    assert "test_virtual_time.py:" in message


def test_limit():
    async def main():
        while True:
            await asyncio.sleep(10)

    with pytest.raises(VirtualTimeLimitError, match="100 virtual seconds"):
        run_virtual(main, limit=100)


def test_livelock(monkeypatch):
    monkeypatch.setattr("aiokafka.testing.virtual_time.MAX_TURNS_AT_ONE_INSTANT", 1000)

    async def main():
        while True:
            await asyncio.sleep(0)

    with pytest.raises(LivelockError, match="main"):
        run_virtual(main)


async def _leave_a_task() -> str:
    asyncio.get_running_loop().create_task(asyncio.sleep(1000), name="left-behind")
    await asyncio.sleep(0)
    return "result"


def test_leftover_task_is_an_error():
    with pytest.raises(PendingTasksError, match="left-behind"):
        run_virtual(_leave_a_task)


def test_leftovers_may_be_collected():
    leftovers: list[str] = []
    assert run_virtual(_leave_a_task, leftovers=leftovers) == "result"
    assert len(leftovers) == 1
    assert leftovers[0].startswith("left-behind")


def test_task_cancelled_last_is_no_leftover():
    async def main():
        task = asyncio.get_running_loop().create_task(asyncio.sleep(1000))
        await asyncio.sleep(0)
        task.cancel()

    run_virtual(main)


def test_leftovers_are_cancelled_when_main_fails():
    cancelled: list[bool] = []

    async def background() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(5)  # cleaning up may take (virtual) time
            cancelled.append(True)
            raise

    async def main():
        task = asyncio.get_running_loop().create_task(background())
        await asyncio.sleep(1)
        assert not task.done()
        raise ValueError("main")

    with pytest.raises(ValueError, match="main"):
        run_virtual(main)
    assert cancelled == [True]


def test_task_that_survives_cancellation_is_named():
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if asyncio.get_running_loop().time() < 0:
                    raise

    async def main():
        asyncio.get_running_loop().create_task(stubborn(), name="stubborn-task")
        await asyncio.sleep(1)

    with pytest.raises(PendingTasksError, match="stubborn-task"):
        run_virtual(main)


def test_unhandled_error_of_a_callback():
    def bad() -> None:
        raise ZeroDivisionError("in a callback")

    async def main():
        asyncio.get_running_loop().call_soon(bad)
        await asyncio.sleep(1)
        return 5

    with pytest.raises(UnhandledErrorsError, match="in a callback") as caught:
        run_virtual(main)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    contexts: list[dict[str, object]] = []
    assert run_virtual(main, unhandled=contexts) == 5
    assert len(contexts) == 1


def test_executor_runs_inline():
    async def main():
        loop = asyncio.get_running_loop()
        start = loop.time()
        ident = await loop.run_in_executor(None, threading.get_ident)
        assert ident == threading.get_ident()
        assert await asyncio.to_thread(lambda: 42) == 42
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)
        future = loop.run_in_executor(None, lambda: pytest.fail("cancelled job ran"))
        future.cancel()
        await asyncio.sleep(0)
        return loop.time() - start

    assert run_virtual(main) == 0


def test_call_soon_threadsafe():
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon_threadsafe(future.set_result, "from outside")
        return await future

    assert run_virtual(main) == "from outside"


def test_rng_is_seeded():
    async def main():
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        return [loop.aiokafka_rng.random() for _ in range(3)]

    assert run_virtual(main, seed=7) == run_virtual(main, seed=7)
    assert run_virtual(main, seed=7) != run_virtual(main, seed=8)


def test_async_generators_are_shut_down():
    closed: list[bool] = []

    async def numbers():
        try:
            while True:
                yield 1
                await asyncio.sleep(1)
        finally:
            closed.append(True)

    async def main():
        generator = numbers()
        await generator.__anext__()
        return generator

    generator = run_virtual(main)
    assert closed == [True]
    del generator


def test_unknown_host():
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("nowhere.invalid", 9092)
        return await loop.getaddrinfo("localhost", 9092)

    ((family, kind, _proto, _name, address),) = run_virtual(main)
    assert (family, kind) == (socket.AF_INET, socket.SOCK_STREAM)
    assert address == ("127.0.0.1", 9092)


def test_debug_mode():
    async def main():
        await asyncio.sleep(100)

    run_virtual(main, debug=True)
