"""Waits of the consumer's calls: until it is stopped, or their time is over.

Runs no task itself; see :mod:`aiokafka._stopping`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TypeVar

from aiokafka import _stopping
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka.errors import ConsumerStoppedError, KafkaTimeoutError

log = logging.getLogger("aiokafka.consumer.consumer")

T = TypeVar("T")


class StopSignal(_stopping.StopSignal):
    """Ends every wait made through it with :class:`~aiokafka.errors.ConsumerStoppedError`."""

    def __init__(self) -> None:
        super().__init__("consumer", ConsumerStoppedError, log)


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
