"""Waiting that ends when the consumer is stopped.

Runs a supervised task for each call of :meth:`StopSignal.unless_given` while that waits; the
call owns it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._tasks import Supervisor
from aiokafka.errors import ConsumerStoppedError, KafkaTimeoutError
from aiokafka.util import create_future

log = logging.getLogger("aiokafka.consumer.consumer")

T = TypeVar("T")


class StopSignal:
    """Told once that the consumer stops, or has stopped; ends every wait made through it."""

    def __init__(self) -> None:
        self.given = False
        # In order, so that a simulation can be repeated.
        self._waits: dict[asyncio.Task[None], None] = {}
        self._supervisor = Supervisor("consumer", log)
        self._over: asyncio.Future[None] | None = None

    def give(self) -> None:
        """End all waits, and let none begin."""
        self.given = True
        self._over = create_future()
        for task in self._waits:
            task.cancel()

    def over(self) -> None:
        """What the signal announced is done."""
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def wait_over(self) -> None:
        """Wait for what the signal announced, if it was given."""
        if self._over is not None:
            await asyncio.shield(self._over)

    async def unless_given(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Await what *wait* makes, but no longer than until the signal.

        Raises:
            ConsumerStoppedError: the signal came first.
        """
        if self.given:
            raise ConsumerStoppedError("The consumer is stopped")
        result: list[T] = []
        error: list[Exception] = []

        async def run() -> None:
            # An error is the caller's, no crash of a task.
            try:
                result.append(await wait())
            except Exception as exc:
                error.append(exc)

        task = self._supervisor.spawn(run(), name="call")
        self._waits[task] = None
        try:
            await asyncio.wait((task,))
        finally:
            del self._waits[task]
            task.cancel()
        if error:
            raise error[0]
        if not result:
            raise ConsumerStoppedError("The consumer was stopped in the meantime")
        return result[0]


async def until_done(future: asyncio.Future[T], deadline: Deadline, what: str) -> T:
    """Wait for a future that nobody else waits for; it is cancelled when given up.

    Raises:
        KafkaTimeoutError: *deadline* passed first.
    """
    try:
        return await deadline.run(future, what=what)
    finally:
        if not future.done():
            future.cancel()


def timed_out(
    what: str, deadline: Deadline, cause: BaseException | None, why: str = ""
) -> KafkaTimeoutError:
    """The error of a call whose time is over, with what stood in its way.

    Parameters:
        cause: the last error, if there was one.
        why: what was waited for, in words.
    """
    last = "" if cause is None else f"last error: {cause!r}"
    reason = "".join(f"; {text}" for text in (why, last) if text)
    error = KafkaTimeoutError(
        f"{what} did not succeed within {as_milliseconds(deadline.budget)} ms"
        f" ({as_milliseconds(deadline.elapsed())} ms elapsed){reason}"
    )
    error.__cause__ = cause
    return error
