"""Waiting that ends when its owner, a producer or a consumer, is stopped.

Runs a supervised task for each call of :meth:`StopSignal.unless_given` while that waits; the
call owns it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka._tasks import Supervisor
from aiokafka.util import create_future

T = TypeVar("T")


class StopSignal:
    """Told once that its owner stops, or has stopped; ends every wait made through it.

    Parameters:
        owner: what is stopped, in a word, for errors and logs.
        closed: makes the error of a wait that the signal ends.
        logger: where a crash is logged.

    .. versionadded:: 0.14.1
    """

    def __init__(
        self, owner: str, closed: Callable[[str], Exception], logger: logging.Logger
    ) -> None:
        self.given = False
        self._owner = owner
        self._closed = closed
        # In order, so that a simulation can be repeated.  The callers share no future: leaving
        # one takes time in proportion to the number of those who wait on it, which for
        # thousands of callers is seconds.
        self._waits: dict[asyncio.Task[None], None] = {}
        self._supervisor = Supervisor(owner, logger)
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

        Raises the owner's error of being closed when the signal came first.
        """
        if self.given:
            raise self._closed(f"The {self._owner} is stopped")
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
            raise self._closed(f"The {self._owner} was stopped in the meantime")
        return result[0]
