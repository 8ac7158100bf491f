"""`Deadline`: it bounds what it is given, only ever shrinks, and turns only its own expiry
into an error. On the virtual-time loop, so that instants are exact."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Generator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from aiokafka.testing.virtual_time import START_TIME, run_virtual


def now() -> float:
    """Virtual seconds since the run began."""
    return round(asyncio.get_running_loop().time() - START_TIME, 9)


def test_reads_the_loop_clock() -> None:
    async def main() -> None:
        deadline = Deadline.after(2.0)
        assert (deadline.budget, deadline.elapsed(), deadline.remaining()) == (2.0, 0.0, 2.0)
        await asyncio.sleep(1.5)
        assert deadline.elapsed() == pytest.approx(1.5)
        assert deadline.remaining() == pytest.approx(0.5)
        assert not deadline.expired
        await asyncio.sleep(0.5)
        assert deadline.expired
        await asyncio.sleep(5)
        assert deadline.remaining() == 0.0
        assert deadline.elapsed() == pytest.approx(7.0)
        assert deadline.budget == 2.0

    run_virtual(main())


def test_is_frozen() -> None:
    deadline = Deadline(1.0, 2.0)
    with pytest.raises(AttributeError):
        deadline.expires_at = 9.0  # type: ignore[misc]


def test_needs_a_running_loop() -> None:
    with pytest.raises(RuntimeError):
        Deadline.after(1)


def test_zero_is_expired_from_the_start() -> None:
    async def main() -> None:
        assert Deadline.after(0).expired

    run_virtual(main())


@given(
    budget=st.floats(0, 1e6),
    steps=st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e6)), max_size=6),
)
@settings(deadline=None, max_examples=60)
def test_capped_never_extends(budget: float, steps: list[tuple[float, float]]) -> None:
    async def main() -> None:
        deadline = Deadline.after(budget)
        for pause, cap in steps:
            await asyncio.sleep(pause)
            capped = deadline.capped(cap)
            assert capped.expires_at <= deadline.expires_at
            assert capped.remaining() <= deadline.remaining()
            assert capped.remaining() <= cap + 1e-6  # the clock counts in larger steps
            assert capped.budget >= 0
            assert not deadline.expired or capped.expired
            deadline = capped

    run_virtual(main(), limit=None)


def test_capped_of_an_infinite_one() -> None:
    async def main() -> None:
        forever = Deadline.after(math.inf)
        assert not forever.expired
        assert forever.remaining() == math.inf
        assert forever.capped(3).remaining() == 3
        assert forever.capped(math.inf).remaining() == math.inf
        assert await forever.run(asyncio.sleep(500, "late")) == "late"
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(500, future.set_result, "late")
        assert await forever.run(future) == "late"

    run_virtual(main())


class TestRunCoroutine:
    def test_result_in_time(self) -> None:
        async def main() -> None:
            assert await Deadline.after(2).run(asyncio.sleep(1, "done")) == "done"
            assert now() == 1

        run_virtual(main())

    def test_own_expiry_is_a_kafka_error_at_the_exact_instant(self) -> None:
        async def main() -> None:
            with pytest.raises(KafkaTimeoutError) as info:
                await Deadline.after(2.5).run(asyncio.sleep(100), what="Waiting for Godot")
            assert now() == 2.5
            assert "Waiting for Godot" in str(info.value)
            assert "2500 ms" in str(info.value)

        run_virtual(main())

    def test_coroutine_is_cancelled_and_has_cleaned_up(self) -> None:
        log: list[str] = []

        async def work() -> None:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise
            finally:
                log.append("cleaned up")

        async def main() -> None:
            with pytest.raises(KafkaTimeoutError):
                await Deadline.after(1).run(work())
            assert log == ["cancelled", "cleaned up"]

        run_virtual(main())

    @pytest.mark.parametrize(
        "error", [asyncio.TimeoutError(), TimeoutError("socket"), KafkaTimeoutError("inner")]
    )
    def test_inner_timeouts_pass_unchanged(self, error: Exception) -> None:
        async def work() -> None:
            await asyncio.sleep(1)
            raise error

        async def main() -> None:
            with pytest.raises(type(error)) as info:
                await Deadline.after(2).run(work())
            assert info.value is error

        run_virtual(main())

    def test_shorter_inner_deadline_speaks_for_itself(self) -> None:
        async def main() -> None:
            outer = Deadline.after(5)
            inner = outer.capped(1)
            with pytest.raises(KafkaTimeoutError, match="inner"):
                await outer.run(inner.run(asyncio.sleep(100), what="inner"), what="outer")
            assert now() == 1
            assert not outer.expired

        run_virtual(main())

    def test_shorter_outer_deadline_wins(self) -> None:
        async def main() -> None:
            inner = Deadline.after(5)
            with pytest.raises(KafkaTimeoutError, match="outer"):
                await Deadline.after(1).run(inner.run(asyncio.sleep(100), what="in"), what="outer")
            assert now() == 1

        run_virtual(main())

    def test_expired_deadline_still_takes_what_is_at_hand(self) -> None:
        async def at_hand() -> str:
            return "here"

        async def main() -> None:
            deadline = Deadline.after(0)
            assert await deadline.run(at_hand()) == "here"
            with pytest.raises(KafkaTimeoutError):
                await deadline.run(asyncio.sleep(1))
            assert now() == 0

        run_virtual(main())

    def test_error_made_of_the_cancellation_is_kept(self) -> None:
        async def work() -> None:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                raise KafkaConnectionError("broken off") from None

        async def main() -> None:
            with pytest.raises(KafkaConnectionError):
                await Deadline.after(1).run(work())

        run_virtual(main())

    def test_cancellation_of_the_caller_passes_through(self) -> None:
        async def main() -> None:
            task = asyncio.ensure_future(Deadline.after(9).run(asyncio.sleep(100)))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert now() == 1

        run_virtual(main())

    def test_any_awaitable(self) -> None:
        class Lazy:
            def __await__(self) -> Generator[None, None, str]:
                return asyncio.sleep(1, "lazy").__await__()

        async def main() -> None:
            assert await Deadline.after(2).run(Lazy()) == "lazy"
            with pytest.raises(KafkaTimeoutError):
                await Deadline.after(0.5).run(Lazy())

        run_virtual(main())


class TestRunFuture:
    def test_expiry_leaves_the_future_to_its_other_waiters(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[str] = loop.create_future()
            loop.call_later(3, future.set_result, "late")
            with pytest.raises(KafkaTimeoutError, match="metadata"):
                await Deadline.after(1).run(future, what="metadata")
            assert now() == 1
            assert not future.done()
            assert await Deadline.after(5).run(future) == "late"

        run_virtual(main())

    def test_expiry_leaves_a_task_running(self) -> None:
        async def main() -> None:
            task = asyncio.ensure_future(asyncio.sleep(3, "done"))
            with pytest.raises(KafkaTimeoutError):
                await Deadline.after(1).run(task)
            assert await task == "done"

        run_virtual(main())

    def test_cancelled_caller_leaves_the_future_alone(self) -> None:
        async def main() -> None:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            task = asyncio.ensure_future(Deadline.after(9).run(future))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not future.done()

        run_virtual(main())

    def test_error_of_the_future(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[str] = loop.create_future()
            error = KafkaConnectionError("gone")
            loop.call_later(1, future.set_exception, error)
            with pytest.raises(KafkaConnectionError) as info:
                await Deadline.after(2).run(future)
            assert info.value is error

        run_virtual(main())

    def test_done_future_is_never_too_late(self) -> None:
        async def main() -> None:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            future.set_result("here")
            assert await Deadline.after(0).run(future) == "here"

        run_virtual(main())

    def test_pending_future_at_an_expired_deadline_fails_at_once(self) -> None:
        async def main() -> None:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            with pytest.raises(KafkaTimeoutError):
                await Deadline.after(0).run(future)
            assert now() == 0

        run_virtual(main())

    def test_many_waiters_of_one_future_end_each_at_its_own_time(self) -> None:
        async def main() -> None:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            ends: list[float] = []

            async def wait(seconds: float) -> None:
                with pytest.raises(KafkaTimeoutError):
                    await Deadline.after(seconds).run(future)
                ends.append(now())

            await asyncio.gather(*(wait(n) for n in range(1, 21)))
            assert ends == list(range(1, 21))
            assert not future.done()

        run_virtual(main())


def test_as_milliseconds() -> None:
    assert as_milliseconds(0.0015) == 2
    assert as_milliseconds(2) == 2000


async def test_on_a_real_loop() -> None:
    """The same on the loop applications use: its timers may be a little late."""
    deadline = Deadline.after(0.02)
    with pytest.raises(KafkaTimeoutError):
        await deadline.run(asyncio.Event().wait())
    # uvloop counts whole milliseconds, so a timer can be early by a part of one.
    assert deadline.remaining() < 0.002
    assert await Deadline.after(30).run(asyncio.sleep(0, "done")) == "done"
