"""The fetcher's calls for the application: records, and going elsewhere.

Owns the futures of the calls that wait for records, and those of
:meth:`FetchCalls.request_offset_reset`; the fetcher resolves them when it ends.  Runs no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any

from aiokafka._deadline import Deadline
from aiokafka._retry import pause
from aiokafka.consumer._delivery import A_LOT, Delivery, Records
from aiokafka.consumer._fetch_buffer import FetchBuffer
from aiokafka.consumer._fetch_plan import Planner
from aiokafka.consumer._fetch_progress import Progress
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import ConsumerRecord, TopicPartition


class FetchCalls:
    """The methods of a :class:`~aiokafka.consumer.fetcher.Fetcher` that the consumer calls."""

    _buffer: FetchBuffer
    _closed: bool
    _delivery: Delivery
    _fetch_waiters: set[asyncio.Future[Any]]
    _loop: asyncio.AbstractEventLoop
    _planner: Planner
    _progress: Progress
    _resets: set[asyncio.Future[None]]
    _subscriptions: SubscriptionState
    #: A record that is at hand, without waiting; None when there is anything to wait for or to
    #: raise, which :meth:`next_record` does.
    take_one: Callable[[], ConsumerRecord[Any, Any] | None]

    if TYPE_CHECKING:

        def _check(self) -> None: ...
        def _revive(self) -> None: ...
        def _wake(self) -> None: ...

    # Giving out

    async def next_record(
        self, partitions: Container[TopicPartition] | None = ()
    ) -> ConsumerRecord[Any, Any]:
        """Wait for the next record.

        Parameters:
            partitions: of these only; none: of any.

        Raises:
            ConsumerStoppedError: the fetcher was closed, before or meanwhile.
            Exception: what stands in the place of the next record.
        """
        if not partitions:
            record = self.take_one()
            if record is not None:
                return record
        self._check()
        self._delivery.returned()
        while True:
            if self._delivery.spent >= A_LOT:
                self._delivery.spent = 0
                await pause(0)
            record = self._delivery.take(partitions)
            if record is not None:
                self._planner.hungry = None
                return record  # type: ignore[no-any-return]
            self._check()
            await self._wait_for_records(partitions, None)
            self._check()

    async def fetched_records(
        self,
        partitions: Container[TopicPartition] | None = (),
        timeout: float = 0,
        max_records: int | None = None,
    ) -> Records:
        """Records at hand, by partition; waits for some if there are none.

        Parameters:
            partitions: of these only; none: of any.
            timeout: seconds to wait for the first record.
            max_records: no more than so many; None: what is at hand, a block of each partition.

        Returns:
            Nothing when no record came in time, or the fetcher was closed meanwhile.

        Raises:
            ConsumerStoppedError: the fetcher was closed before.
            Exception: what stands in the place of the first record.
        """
        self._check()
        self._delivery.returned()
        deadline: Deadline | None = None
        woken = True
        while True:
            if self._delivery.spent >= A_LOT:
                self._delivery.spent = 0
                await pause(0)
            taken = self._delivery.take_many(partitions, max_records)
            if taken or self._closed:
                self._planner.hungry = None
                return taken
            self._check()
            if not woken:
                return {}
            deadline = deadline or Deadline.after(timeout)
            woken = await self._wait_for_records(partitions, deadline.remaining())

    async def _wait_for_records(
        self, partitions: Container[TopicPartition] | None, timeout: float | None
    ) -> bool:
        """Wait until there may be something, at most *timeout* seconds; False when those are
        over."""
        if asyncio.get_running_loop() is not self._loop:
            # It would never be woken up.
            raise RuntimeError("The consumer belongs to another event loop than the running one")
        self._planner.hungry = partitions or ()
        if self._buffer.bytes:
            self._wake()  # others may have taken all the memory
        self._revive()
        waiter: asyncio.Future[Any] = self._loop.create_future()
        self._fetch_waiters.add(waiter)
        try:
            with self._subscriptions.fetch_context():
                await asyncio.wait((waiter,), timeout=timeout)
        finally:
            self._fetch_waiters.discard(waiter)
        if waiter.done():
            waiter.result()
        return waiter.done()

    # Seeking

    def seek_to(self, tp: TopicPartition, offset: int) -> None:
        """Go on reading a partition at *offset*; what was fetched of it is dropped.

        Raises:
            IllegalStateError: the partition is not assigned.
        """
        self._subscriptions.seek(tp, offset)
        self._progress.of(tp, self._subscriptions._assigned_state(tp))
        self._buffer.drop(tp)

    def request_offset_reset(
        self, tps: Iterable[TopicPartition], strategy: int
    ) -> asyncio.Future[None]:
        """Look the positions of partitions up anew.

        Returns:
            A future of their coming; it fails when one of them is given up.

        Raises:
            IllegalStateError: a partition is not assigned.
        """
        states = {tp: self._subscriptions._assigned_state(tp) for tp in tps}
        done: asyncio.Future[None] = self._loop.create_future()
        self._resets.add(done)
        done.add_done_callback(self._resets.discard)
        waiting = set()
        for tp, state in states.items():
            state.await_reset(strategy)
            self._progress.of(tp, state)
            waiting.add(state.wait_for_position())

        def found(position: asyncio.Future[None]) -> None:
            waiting.discard(position)
            error = None if position.cancelled() else position.exception()
            if error is not None:
                fail(done, error)
            elif not waiting and not done.done():
                done.set_result(None)

        for position in list(waiting):
            position.add_done_callback(found)
        if not waiting:
            done.set_result(None)
        return done


def fail(future: asyncio.Future[Any], error: BaseException) -> None:
    """Nobody need be waiting: the error counts as seen."""
    if not future.done():
        future.set_exception(error)
        future.exception()
