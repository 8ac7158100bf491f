"""All batches that are not settled yet, and the one timer that ends those out of time.

Runs no task; one timer, set for the earliest expiry.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from aiokafka._news import News
from aiokafka.errors import DeliveryTimeoutError
from aiokafka.producer._backlog import CLOCK_RESOLUTION

if TYPE_CHECKING:
    from aiokafka.producer._batch import MessageBatch

log = logging.getLogger("aiokafka.producer.message_accumulator")


class PendingBatches:
    """Unsettled batches in the order in which they expire.

    Parameters:
        ttl: seconds that each batch has, for the error.
        expire: settles a batch whose time is over. None: nobody looks at the clock.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ttl: float,
        expire: Callable[[MessageBatch], None] | None,
    ) -> None:
        self._loop = loop
        self._ttl = ttl
        self._expire = expire
        # A dict as an ordered set. All have the same time to live, so that the order of
        # creation is that of expiry.
        self._batches: dict[MessageBatch, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._news = News(loop.time)
        self._reported = False

    def __iter__(self) -> Iterator[MessageBatch]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def oldest(self) -> MessageBatch | None:
        return next(iter(self._batches), None)

    def add(self, batch: MessageBatch) -> None:
        self._batches[batch] = None
        if self._timer is None and self._expire is not None:
            self._timer = self._loop.call_at(batch.expires_at, self._due)

    def discard(self, batch: MessageBatch) -> None:
        # The timer stays: it is set anew when it fires, about once in a time to live.
        self._batches.pop(batch, None)

    def sort(self) -> None:
        """Batches were added that are older than others."""
        self._batches = dict.fromkeys(sorted(self._batches, key=lambda b: b.expires_at))

    def _due(self) -> None:
        self._timer = None
        if self._expire is None:
            return
        now = self._loop.time() + CLOCK_RESOLUTION
        due = []
        for batch in self._batches:
            if batch.expires_at > now:
                self._timer = self._loop.call_at(batch.expires_at, self._due)
                break
            due.append(batch)
        for batch in due:
            self._expire(batch)

    def timeout_of(self, batch: MessageBatch, cause: BaseException | None) -> DeliveryTimeoutError:
        """The error of a batch whose time is over; logged once for an outage."""
        error = DeliveryTimeoutError(
            tp=batch.tp,
            record_count=batch.record_count,
            elapsed_ms=(self._loop.time() - batch.created_at) * 1000,
            attempts=batch.attempts,
            budget_ms=self._ttl * 1000,
            cause=cause,
        )
        # Other partitions may do well meanwhile, so that it is over and begins again all the time.
        news = self._news.is_news("expiry")
        self._reported = self._reported or news
        log.log(logging.WARNING if news else logging.DEBUG, "%s", error)
        return error

    def delivered(self) -> None:
        """A batch was delivered: should the next one expire, that is news again."""
        if self._reported:
            self._reported = False
            self._news.all_is_well()
            log.info("Records are being delivered again")

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
