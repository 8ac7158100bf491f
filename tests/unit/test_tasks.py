"""`Supervisor`: every task has a name and an owner, a crash is told once to the log and to
the owner, and all tasks end together."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from aiokafka._deadline import Deadline
from aiokafka._tasks import Supervisor
from aiokafka.testing.virtual_time import START_TIME, run_virtual

log = logging.getLogger("aiokafka.test_tasks")


@pytest.fixture(autouse=True)
def level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=log.name)


def now() -> float:
    """Virtual seconds since the run began."""
    return asyncio.get_running_loop().time() - START_TIME


async def crash(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


async def ended(*tasks: asyncio.Task[object]) -> None:
    """Until the tasks are over and their callbacks have run."""
    await asyncio.wait(tasks)
    await asyncio.sleep(0)


def test_task_has_name_and_result() -> None:
    async def main() -> None:
        supervisor = Supervisor("client", log)
        task = supervisor.spawn(asyncio.sleep(1, "done"), name="refresh")
        assert "client" in task.get_name() and "refresh" in task.get_name()
        assert supervisor.tasks == frozenset({task})
        assert await task == "done"
        await ended(task)
        assert supervisor.tasks == frozenset()

    run_virtual(main())


def test_tasks_is_a_snapshot() -> None:
    async def main() -> None:
        supervisor = Supervisor("client", log)
        before = supervisor.tasks
        await ended(supervisor.spawn(asyncio.sleep(1), name="x"))
        assert before == frozenset()
        assert isinstance(before, frozenset)

    run_virtual(main())


def test_keeps_a_task_nobody_else_holds() -> None:
    async def main() -> None:
        supervisor = Supervisor("client", log)
        supervisor.spawn(asyncio.sleep(5), name="x")
        gc.collect()
        (task,) = supervisor.tasks
        alive = weakref.ref(task)
        del task
        gc.collect()
        assert alive() is not None
        await supervisor.cancel_all()

    run_virtual(main())


def test_crash_is_logged_once_and_told_to_the_owner(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("broken")
    crashes: list[BaseException] = []

    async def main() -> None:
        supervisor = Supervisor("client", log)
        task = supervisor.spawn(crash(error), name="refresh", on_crash=crashes.append)
        await ended(task)
        assert supervisor.tasks == frozenset()

    run_virtual(main())
    assert crashes == [error]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    for fact in ("client", "refresh", "broken"):
        assert fact in record.getMessage()
    assert record.exc_info and record.exc_info[1] is error


def test_crash_without_on_crash_is_not_reported_twice(caplog: pytest.LogCaptureFixture) -> None:
    unhandled: list[dict[str, object]] = []

    async def main() -> None:
        supervisor = Supervisor("client", log)
        await ended(supervisor.spawn(crash(ValueError("broken")), name="x"))
        gc.collect()

    run_virtual(main(), unhandled=unhandled)
    assert len(caplog.records) == 1
    assert unhandled == []  # asyncio does not complain about an exception never retrieved


def test_success_and_cancellation_are_no_crashes(caplog: pytest.LogCaptureFixture) -> None:
    crashes: list[BaseException] = []

    async def main() -> None:
        supervisor = Supervisor("client", log)
        one = supervisor.spawn(asyncio.sleep(1), name="one", on_crash=crashes.append)
        two = supervisor.spawn(asyncio.sleep(9), name="two", on_crash=crashes.append)
        three = supervisor.spawn(asyncio.sleep(9), name="never began", on_crash=crashes.append)
        three.cancel()
        await asyncio.sleep(2)
        two.cancel()
        await ended(one, two, three)
        assert supervisor.tasks == frozenset()

    run_virtual(main())
    assert (crashes, caplog.records) == ([], [])


def test_failing_on_crash_reaches_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    unhandled: list[dict[str, object]] = []

    def worse(error: BaseException) -> None:
        raise KeyError("worse")

    async def main() -> None:
        supervisor = Supervisor("client", log)
        await ended(supervisor.spawn(crash(ValueError("bad")), name="x", on_crash=worse))
        assert supervisor.tasks == frozenset()

    run_virtual(main(), unhandled=unhandled)
    assert [type(context["exception"]) for context in unhandled] == [KeyError]


class TestCancelAll:
    def test_waits_for_the_clean_up(self) -> None:
        cleaned: list[str] = []

        async def work(name: str) -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(2)
                cleaned.append(name)

        async def main() -> None:
            supervisor = Supervisor("client", log)
            for name in "abc":
                supervisor.spawn(work(name), name=name)
            await asyncio.sleep(1)
            await supervisor.cancel_all()
            assert sorted(cleaned) == ["a", "b", "c"]
            assert now() == 3
            await asyncio.sleep(0)
            assert supervisor.tasks == frozenset()

        run_virtual(main())

    def test_without_tasks(self) -> None:
        async def main() -> None:
            await Supervisor("client", log).cancel_all()
            await Supervisor("client", log).cancel_all(Deadline.after(0))
            assert now() == 0

        run_virtual(main())

    def test_stubborn_task_does_not_hold_it_past_the_deadline(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def stubborn() -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(50)

        async def main() -> None:
            supervisor = Supervisor("client", log)
            task = supervisor.spawn(stubborn(), name="mule")
            await asyncio.sleep(1)
            await supervisor.cancel_all(Deadline.after(3))
            assert now() == 4
            assert supervisor.tasks == frozenset({task})
            await ended(task)

        run_virtual(main())
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "mule" in record.getMessage()

    @pytest.mark.parametrize("seconds", [0, math.inf])
    def test_any_deadline(self, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        later: Callable[..., asyncio.TimerHandle]

        def call_later(delay: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            assert math.isfinite(delay)  # uvloop raises for such a timer
            return later(delay, *args, **kwargs)

        async def main() -> None:
            nonlocal later
            supervisor = Supervisor("client", log)
            task = supervisor.spawn(asyncio.sleep(1000), name="x")
            await asyncio.sleep(1)
            loop = asyncio.get_running_loop()
            later = loop.call_later
            monkeypatch.setattr(loop, "call_later", call_later)
            await supervisor.cancel_all(Deadline.after(seconds))
            await ended(task)
            assert task.cancelled()
            assert now() == 1

        run_virtual(main(), limit=None)

    def test_from_inside_of_a_supervised_task(self) -> None:
        log_: list[str] = []

        async def closer(supervisor: Supervisor) -> None:
            await supervisor.cancel_all()
            log_.append("closed")

        async def main() -> None:
            supervisor = Supervisor("client", log)
            other = supervisor.spawn(asyncio.sleep(1000), name="other")
            task = supervisor.spawn(closer(supervisor), name="closer")
            await ended(task, other)
            assert log_ == ["closed"]
            assert (task.cancelled(), other.cancelled()) == (False, True)

        run_virtual(main())

    def test_crash_during_the_clean_up_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        crashes: list[BaseException] = []

        async def work() -> None:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                raise ValueError("broken at the end") from None

        async def main() -> None:
            supervisor = Supervisor("client", log)
            supervisor.spawn(work(), name="x", on_crash=crashes.append)
            await asyncio.sleep(1)
            await supervisor.cancel_all()
            await asyncio.sleep(0)

        run_virtual(main())
        assert [str(error) for error in crashes] == ["broken at the end"]
        assert len(caplog.records) == 1

    def test_cancelled_itself(self) -> None:
        async def slow() -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(10)

        async def main() -> None:
            supervisor = Supervisor("client", log)
            task = supervisor.spawn(slow(), name="slow")
            await asyncio.sleep(1)
            closing = asyncio.ensure_future(supervisor.cancel_all())
            await asyncio.sleep(1)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            await ended(task)
            assert task.cancelled()

        run_virtual(main())


def test_needs_a_running_loop() -> None:
    coro = asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        Supervisor("client", log).spawn(coro, name="x")
    coro.close()
