"""Waiting that ends when the producer is stopped.

Runs a supervised task for each call of :meth:`StopSignal.unless_given` while that waits; the
call owns it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka._deadline import Deadline
from aiokafka._tasks import Supervisor
from aiokafka.errors import ProducerClosed
from aiokafka.util import create_future

log = logging.getLogger("aiokafka.producer.producer")

T = TypeVar("T")

# A call that has used less than this share of its budget, and less than this many seconds,
# is taken not to have waited at all.
_NEGLIGIBLE_SHARE = 0.05
_NEGLIGIBLE = 0.002


class StopSignal:
    """Told once that the producer stops; ends every wait made through it."""

    def __init__(self) -> None:
        self.given = False
        # In order.  The callers share no future: leaving one takes time in proportion to the
        # number of those who wait on it, which for thousands of callers is seconds.
        self._waits: dict[asyncio.Task[None], None] = {}
        self._supervisor = Supervisor("producer", log)
        self._over: asyncio.Future[None] | None = None

    def give(self) -> None:
        """The producer stops."""
        self.given = True
        self._over = create_future()
        for task in self._waits:
            task.cancel()

    def over(self) -> None:
        """The producer has stopped."""
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def wait_over(self) -> None:
        """Wait for the stop that is going on, if there is one."""
        if self._over is not None:
            await asyncio.shield(self._over)

    async def unless_given(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Await what *wait* makes, but no longer than until the signal.

        Raises:
            ProducerClosed: the signal came first.
        """
        if self.given:
            raise ProducerClosed("The producer is stopped")
        result: list[T] = []
        error: list[Exception] = []

        async def run() -> None:
            # An error is the caller's, no crash of a task.
            try:
                result.append(await wait())
            except Exception as exc:
                error.append(exc)

        task = self._supervisor.spawn(run(), name="wait for metadata")
        self._waits[task] = None
        try:
            await asyncio.wait((task,))
        finally:
            del self._waits[task]
            task.cancel()
        if error:
            raise error[0]
        if not result:
            raise ProducerClosed("The producer was stopped in the meantime")
        return result[0]


def left_of(deadline: Deadline) -> float:
    """Seconds left of *deadline*; the whole budget if nothing to speak of was used."""
    elapsed = deadline.elapsed()
    if elapsed < min(_NEGLIGIBLE, deadline.budget * _NEGLIGIBLE_SHARE):
        # Rounded: instrumentations compare it with the number they have configured.
        return round(deadline.budget, 6)
    return deadline.remaining()
