"""The one retry policy of the package: how long to wait, and what an error asks for.

:class:`Backoff` is the exponential backoff with jitter of KIP-580, stateless;
:func:`action_for` maps an error to what has to happen before the next attempt;
:func:`retry` joins both under a :class:`~aiokafka._deadline.Deadline`.  No other module
sleeps in order to retry.

Owns no task and no future.
"""

from __future__ import annotations

import asyncio
import enum
import math
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._values import Value
from aiokafka.errors import KafkaError, KafkaTimeoutError

T = TypeVar("T")

_JITTER = 0.2


class Backoff(Value):
    """``min(cap, U(0.8, 1.2) * base * 2**min(n, log2(cap / base)))`` (KIP-580).

    Parameters:
        base: first delay in seconds.
        cap: longest delay in seconds; a cap below the base makes the delay constant
            at the cap.

    .. versionadded:: 0.14.1
    """

    base: float
    cap: float

    def delay(self, attempt: int, rng: random.Random) -> float:
        """Seconds to wait after failed attempt number *attempt* (the first is 0)."""
        if self.base <= 0 or self.cap <= 0:
            return 0.0
        steps = max(0.0, math.log2(self.cap / self.base))
        jitter = rng.uniform(1 - _JITTER, 1 + _JITTER)
        return float(min(self.cap, jitter * self.base * 2.0 ** min(float(attempt), steps)))


class Action(enum.Enum):
    """What has to happen after an error, before anything is tried again."""

    RETRY = "retry"
    REFRESH_METADATA = "refresh metadata"
    FIND_COORDINATOR = "find coordinator"
    ABORT = "abort"
    FAIL = "fail"
    FATAL = "fatal"

    @property
    def retriable(self) -> bool:
        return self in _RETRIABLE


_RETRIABLE = frozenset({Action.RETRY, Action.REFRESH_METADATA, Action.FIND_COORDINATOR})


def action_for(error: BaseException) -> Action:
    """The one classification of errors, read from the flags of their classes."""
    if not isinstance(error, KafkaError):
        # The operating system's refusals (refused, reset, unreachable, no such host) are as
        # passing as the connection errors that the transport makes of them. A timeout of
        # asyncio's is one of them from Python 3.11 on.
        passing = isinstance(error, (OSError, asyncio.TimeoutError))
        return Action.RETRY if passing else Action.FAIL
    if error.fatal:
        return Action.FATAL
    if error.abortable:
        return Action.ABORT
    if error.coordinator_gone:
        return Action.FIND_COORDINATOR
    if error.invalid_metadata:
        return Action.REFRESH_METADATA
    if error.retriable:
        return Action.RETRY
    return Action.FAIL


def rng_for(loop: asyncio.AbstractEventLoop) -> random.Random:
    """The source of chance that goes with *loop*.

    A virtual-time loop carries a seeded one in ``aiokafka_rng``, so that time and chance are
    injected together; any other loop gets a fresh generator.
    """
    rng = getattr(loop, "aiokafka_rng", None)
    return rng if isinstance(rng, random.Random) else random.Random()


async def pause(seconds: float, deadline: Deadline | None = None) -> None:
    """Sleep *seconds* before another attempt, at most until *deadline*."""
    if deadline is not None:
        seconds = min(seconds, deadline.remaining())
    await asyncio.sleep(seconds)


async def retry(
    op: Callable[[int], Awaitable[T]],
    *,
    what: str,
    backoff: Backoff,
    deadline: Deadline,
    rng: random.Random,
    decide: Callable[[BaseException], Action] = action_for,
    on_retry: Callable[[BaseException, Action, float], None] | None = None,
) -> T:
    """Run ``op(attempt)`` until it succeeds, fails for good, or *deadline* passes.

    Parameters:
        op: makes the awaitable of one attempt; gets the attempt's number, from 0.
        what: the operation's name, for the error.
        decide: maps an attempt's error to an :class:`Action`; anything not retriable is
            raised as it came.
        on_retry: called before each wait with the error, the action and the delay in
            seconds; the place to refresh metadata or to look the coordinator up.

    Raises:
        KafkaTimeoutError: the deadline passed; ``__cause__`` is the last attempt's error.
    """
    attempt = 0
    last: BaseException | None = None
    while True:
        try:
            return await deadline.run(op(attempt), what=what)
        except Exception as exc:
            if isinstance(exc, KafkaTimeoutError) and deadline.expired:
                # Keep what the broker or the network said last; the expiry alone says little.
                raise _exhausted(what, deadline, attempt + 1, last or exc) from (last or exc)
            action = decide(exc)
            if not action.retriable:
                raise
            last = exc
        delay = backoff.delay(attempt, rng)
        attempt += 1
        if delay >= deadline.remaining():
            raise _exhausted(what, deadline, attempt, last) from last
        if on_retry is not None:
            on_retry(last, action, delay)
        await pause(delay)


def _exhausted(
    what: str, deadline: Deadline, attempts: int, last: BaseException
) -> KafkaTimeoutError:
    return KafkaTimeoutError(
        f"{what} did not succeed within {as_milliseconds(deadline.budget)} ms: {attempts}"
        f" attempt(s) in {as_milliseconds(deadline.elapsed())} ms, last error: {last!r}"
    )
