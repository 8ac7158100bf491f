"""Which partitions the sender has to look at, now or later.

A queue is in one place at a time: on the ready list, parked until a node (or any leader) is
to be had, or in none, when somebody else will schedule it: the linger timer, the end of a
request, a retry timer.

Runs no task; has one timer for lingering and one for each request to be retried.  Owns the
future of :meth:`Backlog.waiter`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from aiokafka.producer._queues import PartitionQueue
from aiokafka.structs import TopicPartition
from aiokafka.util import create_future

# Timers may come this many seconds before their time by the clock they were set by.
CLOCK_RESOLUTION = 0.0005


class Linger:
    """Queues whose only batch waits for more records."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, over: Callable[[PartitionQueue], None]
    ) -> None:
        self._loop = loop
        self._over = over
        self._heap: list[tuple[float, int, PartitionQueue]] = []
        self._count = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        # Kept here: uvloop's handles of timers that are due already do not tell.
        self._timer_at = math.inf

    def add(self, queue: PartitionQueue, due: float) -> None:
        """Have *queue* looked at when *due* comes, in loop time."""
        heapq.heappush(self._heap, (due, next(self._count), queue))
        if due < self._timer_at:
            self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._due)
        self._timer_at = due

    def _due(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        now = self._loop.time() + CLOCK_RESOLUTION
        while self._heap and self._heap[0][0] <= now:
            self._over(heapq.heappop(self._heap)[2])
        if self._heap:
            self._set_timer(self._heap[0][0])

    def end(self) -> None:
        """Nothing lingers any longer."""
        heap, self._heap = self._heap, []
        for _, _, queue in heap:
            self._over(queue)

    def close(self) -> None:
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = math.inf


class Backlog:
    """The ready list, and the places from which queues come back to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[PartitionQueue] = deque()
        self._parked: defaultdict[int | None, list[PartitionQueue]] = defaultdict(list)
        # A dict as an ordered set: the order in which queues are retried is not chance's.
        self._backing_off: dict[PartitionQueue, None] = {}
        self._retries: dict[asyncio.TimerHandle, None] = {}
        self._waiter: asyncio.Future[None] | None = None
        self.linger = Linger(loop, self.schedule)
        # The sender's hook, called when a queue becomes ready.
        self.on_ready: Callable[[], None] | None = None

    def schedule(self, queue: PartitionQueue) -> None:
        """Have the sender look at *queue* at its next turn."""
        if queue.scheduled or not queue.batches:
            return
        queue.scheduled = True
        self._ready.append(queue)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self.on_ready is not None:
            self.on_ready()

    def take(self) -> PartitionQueue | None:
        """The next queue to look at; it is in no list then."""
        if not self._ready:
            return None
        queue = self._ready.popleft()
        queue.scheduled = False
        return queue

    def take_again(self, queue: PartitionQueue) -> None:
        """Have *queue* taken once more in the turn that is going on."""
        if queue.batches and not queue.scheduled:
            queue.scheduled = True
            self._ready.append(queue)

    def clear(self) -> None:
        """Nothing is scheduled: somebody looks at all queues himself."""
        for queue in self._ready:
            queue.scheduled = False
        self._ready.clear()

    def waiter(self) -> asyncio.Future[None]:
        """A future that is done when there may be something to drain."""
        if self._waiter is None:
            self._waiter = create_future(self._loop)
            if self._ready:
                self._waiter.set_result(None)
        return self._waiter

    def renew_waiter(self) -> None:
        """Start waiting anew."""
        self._waiter = create_future(self._loop)

    # Nodes and leaders

    def park(self, queue: PartitionQueue, node_id: int | None, why: BaseException) -> None:
        """Leave *queue* alone until :meth:`unpark` of that node (None: no leader)."""
        queue.scheduled = True
        queue.obstacle = why
        self._parked[node_id].append(queue)

    def unpark(self, node_id: int | None) -> None:
        """The node can take requests again."""
        for queue in self._parked.pop(node_id, ()):
            queue.scheduled = False
            self.schedule(queue)

    def unpark_all(self) -> None:
        """Leaders may have moved."""
        for node_id in list(self._parked):
            self.unpark(node_id)

    def obstruct(self, node_id: int, why: BaseException) -> None:
        """Record why nothing can be sent to the node, for batches that expire meanwhile."""
        for queue in self._parked.get(node_id, ()):
            queue.obstacle = why

    @property
    def leaderless(self) -> list[TopicPartition]:
        """Partitions that have something to send and no leader."""
        return [queue.tp for queue in self._parked.get(None, ())]

    # Retries

    def backs_off(self, queue: PartitionQueue) -> bool:
        """Whether *queue* waits before its next attempt."""
        return queue in self._backing_off

    @property
    def backing_off(self) -> list[PartitionQueue]:
        return list(self._backing_off)

    def back_off(self, queues: Iterable[PartitionQueue], delay: float) -> None:
        """Leave *queues* alone for *delay* seconds."""
        queues = list(queues)
        self._backing_off.update(dict.fromkeys(queues))

        def retry() -> None:
            del self._retries[timer]
            for queue in queues:
                self.retry_now(queue)

        timer = self._loop.call_later(delay, retry)
        self._retries[timer] = None

    def retry_now(self, queue: PartitionQueue) -> None:
        """*queue* need not wait any longer."""
        self._backing_off.pop(queue, None)
        self.schedule(queue)

    def close(self) -> None:
        """Nothing is sent any more: stop all timers."""
        self.linger.close()
        for timer in self._retries:
            timer.cancel()
        self._retries.clear()
