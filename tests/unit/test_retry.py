"""The retry policy: the backoff formula, the classification of errors, and the loop of
attempts under a deadline, with its gaps measured on the virtual-time loop."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aiokafka.errors as errors
from aiokafka._deadline import Deadline
from aiokafka._retry import Action, Backoff, action_for, pause, retry, rng_for
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from aiokafka.testing.virtual_time import START_TIME, run_virtual


def now() -> float:
    """Virtual seconds since the run began."""
    return round(asyncio.get_running_loop().time() - START_TIME, 9)


class TestBackoff:
    @given(
        base=st.floats(1e-3, 100),
        cap=st.floats(1e-3, 1000),
        attempt=st.integers(0, 200),
        seed=st.integers(0, 1000),
    )
    def test_within_the_formula(self, base: float, cap: float, attempt: int, seed: int) -> None:
        steps = max(0.0, math.log2(cap / base))
        middle = base * 2 ** min(attempt, steps)
        delay = Backoff(base, cap).delay(attempt, random.Random(seed))
        assert min(cap, 0.8 * middle) * (1 - 1e-9) <= delay <= min(cap, 1.2 * middle) * (1 + 1e-9)

    def test_doubles_up_to_the_cap(self) -> None:
        class Middle(random.Random):
            def uniform(self, a: float, b: float) -> float:
                return (a + b) / 2

        backoff = Backoff(0.1, 1.0)
        delays = [backoff.delay(n, Middle()) for n in range(6)]
        assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])

    def test_jitter_spreads_over_the_whole_range(self) -> None:
        rng = random.Random(1)
        delays = [Backoff(1, 1000).delay(0, rng) for _ in range(1000)]
        assert 0.8 <= min(delays) < 0.81
        assert 1.19 < max(delays) <= 1.2

    def test_same_seed_same_delays(self) -> None:
        one, two = random.Random(5), random.Random(5)
        backoff = Backoff(0.1, 1)
        assert [backoff.delay(n, one) for n in range(9)] == [
            backoff.delay(n, two) for n in range(9)
        ]

    @pytest.mark.parametrize(("base", "cap"), [(0, 1), (0, 0), (1, 0)])
    def test_zero(self, base: float, cap: float) -> None:
        assert Backoff(base, cap).delay(3, random.Random(1)) == 0

    def test_any_number_of_attempts(self) -> None:
        assert Backoff(0.1, 1).delay(10**9, random.Random(1)) <= 1


class TestActionFor:
    @pytest.mark.parametrize(
        ("error", "action"),
        [
            (errors.RequestTimedOutError(), Action.RETRY),
            (errors.GroupLoadInProgressError(), Action.RETRY),
            (errors.NotEnoughReplicasError(), Action.RETRY),
            (errors.NodeNotReadyError(), Action.RETRY),
            (errors.UnknownTopicOrPartitionError(), Action.REFRESH_METADATA),
            (errors.NotLeaderForPartitionError(), Action.REFRESH_METADATA),
            (errors.FencedLeaderEpochError(), Action.REFRESH_METADATA),
            (errors.UnknownTopicIdError(), Action.REFRESH_METADATA),
            (errors.KafkaConnectionError(), Action.REFRESH_METADATA),
            (errors.MetadataTimeoutError(), Action.REFRESH_METADATA),
            (errors.NotCoordinatorError(), Action.FIND_COORDINATOR),
            (errors.CoordinatorNotAvailableError(), Action.FIND_COORDINATOR),
            (errors.TransactionAbortableError(), Action.ABORT),
            (errors.TopicAuthorizationFailedError(), Action.ABORT),
            (errors.OutOfOrderSequenceNumber(), Action.ABORT),
            (errors.ProducerFenced(), Action.FATAL),
            (errors.ProducerFencedError(), Action.FATAL),
            (errors.InvalidProducerEpoch(), Action.FATAL),
            (errors.AuthenticationFailedError(), Action.FATAL),
            (errors.UnsupportedVersionError(), Action.FATAL),
            (errors.InvalidTopicError(), Action.FAIL),
            (errors.MessageSizeTooLargeError(), Action.FAIL),
            (errors.KafkaTimeoutError(), Action.FAIL),
            (errors.UnknownError(), Action.FAIL),
            (ConnectionRefusedError(), Action.RETRY),
            (OSError(), Action.RETRY),
            (ValueError(), Action.FAIL),
            (asyncio.CancelledError(), Action.FAIL),
        ],
    )
    def test_action(self, error: BaseException, action: Action) -> None:
        assert action_for(error) is action

    def test_timeouts_are_alike_on_all_pythons(self) -> None:
        """asyncio.TimeoutError became an OSError in Python 3.11."""
        assert action_for(asyncio.TimeoutError()) is action_for(TimeoutError()) is Action.RETRY

    def test_agrees_with_the_flags_of_every_class(self) -> None:
        for cls in errors.kafka_errors.values():
            action = action_for(cls())
            assert action.retriable == cls.retriable
            assert (action is Action.FATAL) == cls.fatal

    def test_strongest_flag_decides(self) -> None:
        class Everything(errors.KafkaError):
            retriable = invalid_metadata = coordinator_gone = abortable = fatal = True

        assert action_for(Everything()) is Action.FATAL
        Everything.fatal = False
        assert action_for(Everything()) is Action.ABORT
        Everything.abortable = False
        assert action_for(Everything()) is Action.FIND_COORDINATOR


class Script:
    """An operation that fails as told; remembers when each attempt began."""

    def __init__(self, *outcomes: BaseException | str) -> None:
        self.outcomes = list(outcomes)
        self.attempts: list[int] = []
        self.times: list[float] = []

    async def __call__(self, attempt: int) -> str:
        self.attempts.append(attempt)
        self.times.append(now())
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def attempt_all(
    op: Callable[[int], Awaitable[str]],
    *,
    budget: float = 60,
    backoff: Backoff = Backoff(0.1, 1.0),  # noqa: B008  (immutable)
    **kwargs: object,
) -> tuple[str | Exception, float]:
    """Run `retry` on a virtual loop; return its outcome and when it came."""

    async def main() -> tuple[str | Exception, float]:
        try:
            result: str | Exception = await retry(
                op,
                what="Looking up",
                backoff=backoff,
                deadline=Deadline.after(budget),
                rng=random.Random(2),
                **kwargs,  # type: ignore[arg-type]
            )
        except Exception as exc:
            result = exc
        return result, now()

    return run_virtual(main())


REFUSED = KafkaConnectionError("refused")


class TestRetry:
    def test_success_at_once(self) -> None:
        op = Script("done")
        assert attempt_all(op) == ("done", 0)
        assert op.attempts == [0]

    def test_attempts_and_gaps(self) -> None:
        op = Script(*[REFUSED] * 6, "done")
        result, _ = attempt_all(op)
        assert result == "done"
        assert op.attempts == [0, 1, 2, 3, 4, 5, 6]
        gaps = [b - a for a, b in zip(op.times, op.times[1:], strict=False)]
        for gap, middle in zip(gaps, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0], strict=True):
            assert 0.8 * middle - 1e-9 <= gap <= min(1.0, 1.2 * middle) + 1e-9

    @pytest.mark.parametrize(
        "error", [errors.InvalidTopicError("t"), ValueError("no"), errors.ProducerFenced()]
    )
    def test_what_cannot_be_retried_is_raised_as_it_came(self, error: Exception) -> None:
        op = Script(REFUSED, error)
        result, _ = attempt_all(op)
        assert result is error
        assert op.attempts == [0, 1]

    def test_gives_up_within_the_budget_and_says_why(self) -> None:
        op = Script(REFUSED)
        result, ended = attempt_all(op, budget=5)
        assert isinstance(result, KafkaTimeoutError)
        assert ended <= 5
        assert result.__cause__ is REFUSED
        text = str(result)
        for fact in ("Looking up", "5000 ms", f"{len(op.attempts)} attempt", "refused"):
            assert fact in text

    def test_does_not_sleep_towards_an_attempt_that_cannot_be(self) -> None:
        op = Script(REFUSED)
        result, ended = attempt_all(op, budget=0.05)
        assert isinstance(result, KafkaTimeoutError)
        assert (op.attempts, ended) == ([0], 0)

    def test_hanging_attempt_is_cut_at_the_deadline(self) -> None:
        async def op(attempt: int) -> str:
            if attempt == 0:
                raise REFUSED
            await asyncio.sleep(1000)
            return "never"

        result, ended = attempt_all(op, budget=3)
        assert isinstance(result, KafkaTimeoutError)
        assert ended == 3
        assert result.__cause__ is REFUSED
        assert "2 attempt" in str(result)

    def test_hanging_first_attempt(self) -> None:
        async def op(attempt: int) -> str:
            await asyncio.sleep(1000)
            return "never"

        result, ended = attempt_all(op, budget=3)
        assert isinstance(result, KafkaTimeoutError)
        assert (ended, "1 attempt" in str(result)) == (3, True)

    def test_shared_future_survives_the_deadline(self) -> None:
        futures: list[asyncio.Future[str]] = []

        def op(attempt: int) -> asyncio.Future[str]:
            futures.append(asyncio.get_running_loop().create_future())
            return futures[-1]

        result, _ = attempt_all(op, budget=3)
        assert isinstance(result, KafkaTimeoutError)
        assert [f.cancelled() for f in futures] == [False]

    def test_zero_budget_makes_one_attempt(self) -> None:
        assert attempt_all(Script("done"), budget=0) == ("done", 0)
        op = Script(REFUSED)
        result, _ = attempt_all(op, budget=0)
        assert isinstance(result, KafkaTimeoutError)
        assert op.attempts == [0]

    def test_no_backoff_ends_all_the_same(self) -> None:
        async def op(attempt: int) -> str:
            await asyncio.sleep(0.5)
            raise REFUSED

        result, ended = attempt_all(op, budget=3, backoff=Backoff(0, 0))
        assert isinstance(result, KafkaTimeoutError)
        assert ended == 3

    def test_on_retry_is_told_before_each_wait(self) -> None:
        calls: list[tuple[float, BaseException, Action, float]] = []
        op = Script(REFUSED, errors.NotCoordinatorError(), "done")
        attempt_all(op, on_retry=lambda e, a, d: calls.append((now(), e, a, d)))
        assert [(e, a) for _, e, a, _ in calls] == [
            (REFUSED, Action.REFRESH_METADATA),
            (calls[1][1], Action.FIND_COORDINATOR),
        ]
        for (told_at, _, _, delay), began, following in zip(
            calls, op.times, op.times[1:], strict=False
        ):
            assert told_at == began
            assert following == pytest.approx(told_at + delay)

    def test_decide_overrides_the_classification(self) -> None:
        odd = errors.InvalidTopicError("not yet")
        result, _ = attempt_all(Script(odd, "done"), decide=lambda e: Action.RETRY)
        assert result == "done"
        result, _ = attempt_all(Script(REFUSED), decide=lambda e: Action.FAIL)
        assert result is REFUSED

    def test_no_limit(self) -> None:
        op = Script(*[REFUSED] * 50, "done")
        result, _ = attempt_all(op, budget=math.inf)
        assert result == "done"

    def test_cancellation_passes_through_attempt_and_pause(self) -> None:
        async def hang(attempt: int) -> str:
            await asyncio.sleep(1000)
            return "never"

        async def main() -> None:
            for op in (hang, Script(REFUSED)):
                task = asyncio.ensure_future(
                    retry(
                        op,
                        what="x",
                        backoff=Backoff(10, 10),
                        deadline=Deadline.after(100),
                        rng=random.Random(1),
                    )
                )
                await asyncio.sleep(1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert now() == 2

        run_virtual(main())


def test_pause_is_cut_at_the_deadline() -> None:
    async def main() -> None:
        await pause(2)
        assert now() == 2
        deadline = Deadline.after(1)
        await pause(5, deadline)
        assert now() == 3
        await pause(5, deadline)
        assert now() == 3

    run_virtual(main())


def test_rng_of_a_virtual_loop_is_seeded() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        assert rng_for(loop) is rng_for(loop)
        return rng_for(loop).random()

    assert run_virtual(main(), seed=1) == run_virtual(main(), seed=1)
    assert run_virtual(main(), seed=1) != run_virtual(main(), seed=2)


async def test_rng_of_another_loop_is_its_own() -> None:
    loop = asyncio.get_running_loop()
    one, two = rng_for(loop), rng_for(loop)
    assert isinstance(one, random.Random)
    assert one.random() != two.random()
