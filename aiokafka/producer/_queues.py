"""The queue of one partition, and the producer's buffer memory with its waiters.

Runs no task.  :class:`BufferMemory` owns the futures of those who wait for space and
resolves them when space is granted, when the wait is over, or when the producer ends.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka.errors import BufferTimeoutError
from aiokafka.producer._hot import BufferPool, PartitionSlot
from aiokafka.structs import TopicPartition
from aiokafka.util import create_future

if TYPE_CHECKING:
    from aiokafka.producer._batch import MessageBatch

log = logging.getLogger("aiokafka.producer.message_accumulator")


class PartitionQueue(PartitionSlot):
    """Batches of one partition: first those to be sent again, then new ones in order.

    ``scheduled`` is set while the queue is in one of the accumulator's lists, so that it is
    in at most one of them.
    """

    def __init__(self, tp: TopicPartition) -> None:
        super().__init__(tp)
        self.batches: deque[MessageBatch] = deque()
        self.in_flight = 0
        self.scheduled = False
        self.taken = 0
        # What keeps the queue from being sent, for the error of a batch that expires.
        self.obstacle: BaseException | None = None

    def seal(self) -> None:
        """The open batch, if there is one, takes no more records."""
        if self.open is not None:
            self.open.closed = True
            self.open = None

    def insert_in_order(self, batch: MessageBatch) -> None:
        """Put back a batch that had been taken, where it was."""
        position = 0
        # One that was never taken here comes first, like one that was just taken.
        order = batch.order or ()
        for queued in self.batches:
            if queued.order is None or queued.order > order:
                break
            position += 1
        self.batches.insert(position, batch)


class BufferMemory(BufferPool):
    """Bytes of records the producer holds, and who waits for some to become free.

    Waiters are served first come, first served; a small record does not overtake a large
    one that waits.
    """

    def __init__(self, total: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(total)
        self._loop = loop
        # In order; not a deque, as thousands of calls may be cancelled in any order, and not a
        # dict, whose first entry is ever farther away when taken again and again.
        self._waiters: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        # Of calls that waited for space in vain; whoever owns this says when all is well again.
        self.news = News(loop.time)

    @property
    def waiting(self) -> int:
        """How many calls wait for space."""
        return len(self._waiters)

    def fits(self, size: int) -> bool:
        return not self._waiters and self.used + size <= self.total

    async def reserve(self, size: int, timeout: float, cause: BaseException | None) -> None:
        """Take *size* bytes, waiting at most *timeout* seconds for them.

        Raises:
            BufferTimeoutError: they did not become free in time.
        """
        if self.fits(size):
            self.used += size
            return
        if timeout <= 0:
            raise self._timeout_error(size, timeout, cause)
        waiter = create_future(self._loop)
        self._waiters[waiter] = size
        self.blocked = True
        try:
            await asyncio.wait((waiter,), timeout=timeout)
        except BaseException:
            if waiter.done() and waiter.exception() is None:
                self.used -= size
            self._withdraw(waiter)
            raise
        if not waiter.done():
            error = self._timeout_error(size, timeout, cause)
            self._withdraw(waiter)
            # One line for an outage, however many calls and however often records expire.
            log.log(logging.WARNING if self.news.is_news("full") else logging.DEBUG, "%s", error)
            raise error
        waiter.result()

    def _timeout_error(
        self, size: int, timeout: float, cause: BaseException | None
    ) -> BufferTimeoutError:
        return BufferTimeoutError(
            f"No {size} bytes of buffer_memory became free within {timeout * 1000:.0f} ms:"
            f" {self.used} of {self.total} bytes are in use"
            + (f"; last error: {cause!r}" if cause is not None else ""),
            requested=size,
            available=max(0, self.total - self.used),
            total=self.total,
            budget_ms=timeout * 1000,
            cause=cause,
        )

    def _withdraw(self, waiter: asyncio.Future[None]) -> None:
        self._waiters.pop(waiter, None)
        self.grant()

    def give_back(self, size: int) -> None:
        """Free *size* bytes that were reserved."""
        self.used -= size
        if self._waiters:
            self.grant()

    def grant(self) -> None:
        """Serve the waiters for whom there is space now."""
        while self._waiters:
            waiter, size = next(iter(self._waiters.items()))
            if self.used + size > self.total:
                return
            del self._waiters[waiter]
            if not waiter.done():
                # Taken on the waiter's behalf: nobody else can have it before he runs.
                self.used += size
                waiter.set_result(None)
        self.blocked = False

    def fail_waiters(self, error: BaseException) -> None:
        """The producer ends: nobody gets space any more."""
        waiters, self._waiters = self._waiters, OrderedDict()
        for waiter in waiters:
            if not waiter.done():
                own = copy.copy(error)
                own.__cause__ = error.__cause__
                waiter.set_exception(own)
        self.blocked = False


async def until_done(
    futures: list[asyncio.Future[None]], deadline: Deadline | None, what: str
) -> None:
    """Wait until all *futures* are done, however they end.

    Raises:
        KafkaTimeoutError: *deadline* passed first.
    """
    if not futures:
        return
    timeout = None if deadline is None else deadline.remaining()
    _, late = await asyncio.wait(futures, timeout=timeout)
    if late and deadline is not None:
        raise deadline.timeout_error(what)
