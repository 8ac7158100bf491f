"""The one clock of a public call: a frozen instant on the loop's monotonic clock.

A public call creates a single :class:`Deadline` and hands it down; a lower layer can
shorten it (:meth:`Deadline.capped`) but never extend it.  :meth:`Deadline.run` is the only
place of the package that puts a bound on an awaitable.

Owns no task and no future.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable
from typing import NoReturn, TypeVar

from aiokafka.errors import KafkaTimeoutError

if sys.version_info >= (3, 11):
    from asyncio import timeout_at as _timeout_at
else:
    from async_timeout import timeout_at as _timeout_at

T = TypeVar("T")


def as_milliseconds(seconds: float) -> int:
    """Whole milliseconds, for messages and for the wire."""
    return round(seconds * 1000)


class Deadline:
    """An instant after which a call no longer waits.

    Parameters:
        started_at: when the call began, in seconds of ``loop.time()``.
        expires_at: when it stops waiting, same clock; ``math.inf`` never.

    .. versionadded:: 0.14.1
    """

    __slots__ = ("expires_at", "started_at")

    started_at: float
    expires_at: float

    def __init__(self, started_at: float, expires_at: float) -> None:
        object.__setattr__(self, "started_at", started_at)
        object.__setattr__(self, "expires_at", expires_at)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Deadline is frozen: cannot assign {name!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Deadline):
            return NotImplemented
        return (self.started_at, self.expires_at) == (other.started_at, other.expires_at)

    def __hash__(self) -> int:
        return hash((self.started_at, self.expires_at))

    def __repr__(self) -> str:
        return f"Deadline(started_at={self.started_at!r}, expires_at={self.expires_at!r})"

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """A deadline *seconds* from now on the running loop."""
        now = asyncio.get_running_loop().time()
        return cls(now, now + seconds)

    @property
    def budget(self) -> float:
        """Seconds between start and expiry, never negative."""
        return max(0.0, self.expires_at - self.started_at)

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return asyncio.get_running_loop().time() - self.started_at

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.expires_at - asyncio.get_running_loop().time())

    @property
    def expired(self) -> bool:
        return asyncio.get_running_loop().time() >= self.expires_at

    def capped(self, seconds: float) -> Deadline:
        """A deadline that ends *seconds* from now, or with this one if that is sooner."""
        now = asyncio.get_running_loop().time()
        return Deadline(now, min(self.expires_at, now + seconds))

    async def run(self, awaitable: Awaitable[T], *, what: str = "Operation") -> T:
        """Await *awaitable*, but not past this deadline.

        A future or task is shared with others, so it is never cancelled from here; a
        coroutine belongs to this call and is cancelled when the deadline passes.

        Raises:
            KafkaTimeoutError: this deadline passed first.  A ``TimeoutError`` raised by the
                awaitable itself is somebody else's and passes through unchanged.
        """
        if asyncio.isfuture(awaitable):
            return await self._run_future(awaitable, what)
        if self.expires_at == math.inf:
            return await awaitable
        scope = _timeout_at(self.expires_at)
        try:
            async with scope:
                return await awaitable
        except asyncio.TimeoutError as exc:
            # Python 3.10 has no asyncio.timeout; the backport names the property differently.
            ours = scope.expired if isinstance(scope.expired, bool) else scope.expired()
            if not ours:
                raise
            raise self.timeout_error(what) from exc

    async def _run_future(self, future: asyncio.Future[T], what: str) -> T:
        if not future.done():
            remaining = self.remaining()
            if remaining > 0:
                # asyncio.wait leaves the future alone when we are cancelled or late.
                await asyncio.wait((future,), timeout=None if remaining == math.inf else remaining)
            if not future.done():
                raise self.timeout_error(what)
        return future.result()

    def timeout_error(self, what: str) -> KafkaTimeoutError:
        """The error of this deadline's expiry, saying what was bounded and by how much."""
        return KafkaTimeoutError(
            f"{what} did not finish within {as_milliseconds(self.budget)} ms"
            f" ({as_milliseconds(self.elapsed())} ms elapsed)"
        )
