"""A consumer in use: what every application of the simulation does.

Owns :class:`Application`.  It asks for records, works on them, comes back, and writes everything
down; nothing is judged here (see ``invariants``).
"""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

from aiokafka.consumer import AIOKafkaConsumer
from aiokafka.consumer.consumer import _abandon
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from .journal import Bounded, Delivery, Journal
from .scenario import GroupPlan, ReaderPlan, Style
from .writer import POISON

if TYPE_CHECKING:
    from .workload import Run

T = TypeVar("T")

#: How long closing connections may take to flush what was written, in seconds.
GOODBYE = 1.0
#: What getmany() may take beyond its timeout, in seconds.
TOO_LATE = 0.5
#: The application is let go by stop(), in seconds.
RELEASE = 0.1


class Poisoned(Exception):
    """A deserializer refuses a value."""


def deserialize(value: bytes) -> str:
    if value.startswith(POISON):
        raise Poisoned(value)
    return value.decode()


class Application:
    """One consumer and the program around it.

    Attributes:
        consumer: ``None`` until it is made, and after it is gone.
        started: whether ``start()`` succeeded.
        failed: the error that keeps the member from going on.
        waiting: whether it waits for records at the moment.
        given: how many records, or errors in their place, it was given since the last look.
        ending: done when the application is to end.
    """

    def __init__(
        self,
        run: Run,
        who: str,
        plan: GroupPlan | ReaderPlan,
        style: Style,
        pause: float,
    ) -> None:
        self.run = run
        self.loop = asyncio.get_running_loop()
        self.rng = random.Random(f"{run.scenario.seed}/{who}")
        self.plan = plan
        self.settings = plan.consumer
        self.style = style
        self.pause = pause
        self.journal = Journal(who)
        self.consumer: AIOKafkaConsumer[Any, Any] | None = None
        self.started = False
        self.over = False
        self.failed: BaseException | None = None
        self.waiting = False
        self.ending: asyncio.Future[None] = self.loop.create_future()
        self.done: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.silent_since: float | None = None
        self.given = 0

    def seconds(self, name: str) -> float:
        """A setting that is given in milliseconds."""
        return float(self.settings[name]) / 1000

    @property
    def alive(self) -> bool:
        """Whether it is at work, as far as it knows."""
        return self.started and not self.over and self.failed is None

    # -- life ----------------------------------------------------------------------------------

    async def live(self, starts_at: float, ends_at: float | None, crashes: bool) -> None:
        """From its beginning to its end; seconds from now."""
        if ends_at is not None:
            self.loop.call_later(ends_at, self.end)
        await asyncio.sleep(starts_at)
        self.consumer = self._make()
        work = asyncio.ensure_future(self._work())
        await asyncio.wait((work, self.ending), return_when=asyncio.FIRST_COMPLETED)
        if crashes and not self.run.settled:
            await self._crash(work)
        else:
            await self._stop(work)
        self.over = True
        self.journal.end_all(self.loop.time())
        if not work.cancelled():
            work.result()

    def end(self) -> None:
        """Have it end now."""
        if not self.ending.done():
            self.ending.set_result(None)

    async def _stop(self, work: asyncio.Task[None]) -> None:
        assert self.consumer is not None
        # What stop() commits, the application has agreed to.
        self.journal.came_back(self.loop.time())
        await self.timed("stop", self.seconds("stop_timeout_ms") + GOODBYE, self.consumer.stop())
        _, late = await asyncio.wait((work,), timeout=RELEASE)
        if late:
            self.journal.not_released = True
            work.cancel()
            await asyncio.wait((work,))

    async def _crash(self, work: asyncio.Task[None]) -> None:
        """The process dies: nobody is told anything."""
        consumer = self.consumer
        assert consumer is not None
        work.cancel()
        if self.started:
            _abandon(consumer._fetcher, consumer._coordinator, consumer._client)
            consumer._closed = True
        await asyncio.wait((work,))
        if not self.started:
            await consumer.stop()

    def _make(self) -> AIOKafkaConsumer[Any, Any]:
        return AIOKafkaConsumer(
            bootstrap_servers=self.run.cluster.bootstrap_servers,
            client_id=self.journal.who,
            value_deserializer=deserialize if self.plan.deserializes else None,
            **self._more_settings(),
        )

    @abstractmethod
    def _more_settings(self) -> dict[str, Any]:
        """Keywords of the consumer."""

    async def timed(self, name: str, bound: float, awaitable: Awaitable[T]) -> T | None:
        """Await a call and write it down; its Kafka errors are swallowed."""
        began = self.loop.time()
        error: BaseException | None = None
        try:
            return await awaitable
        except (KafkaError, ConsumerStoppedError) as exc:
            error = exc
            return None
        except asyncio.CancelledError:
            # Whoever cancels it waits for the clean-up.
            name = f"{name} (cancelled)"
            raise
        finally:
            took = self.loop.time() - began
            self.journal.calls.append(Bounded(name, began, took, error, self.journal.who, bound))

    async def _call(self, name: str, awaitable: Awaitable[T]) -> T | None:
        """A call that is bounded by ``default_api_timeout_ms``."""
        return await self.timed(name, self.seconds("default_api_timeout_ms"), awaitable)

    async def _work(self) -> None:
        while not await self._start():
            if self.ending.done():
                return
            await asyncio.wait((self.ending,), timeout=0.1)
        await self._begun()
        while not self.ending.done():
            records = await self._ask()
            if records is None:
                return
            if records:
                await self._handle(records)

    async def _start(self) -> bool:
        assert self.consumer is not None
        bound = (
            self.seconds("request_timeout_ms")
            + 2 * self.seconds("default_api_timeout_ms")
            + self.rebalance_timeout
            # If it fails, everything is closed.
            + self.seconds("stop_timeout_ms")
            + GOODBYE
        )
        if self.ending.done():
            return False
        await self.timed("start", bound, self.consumer.start())
        self.started = self.journal.calls[-1].error is None
        return self.started

    @property
    def rebalance_timeout(self) -> float:
        return 0.0

    async def _begun(self) -> None:
        """The consumer has started."""

    # -- records -------------------------------------------------------------------------------

    async def _ask(self) -> list[ConsumerRecord[Any, Any]] | None:
        """Ask for records; ``None`` when there are never any more."""
        self.journal.came_back(self.loop.time())
        self.waiting = True
        try:
            records = await self._poll()
        except (ConsumerStoppedError, StopAsyncIteration):
            return None
        except Poisoned as error:
            self._skip(error)
            return []
        except KafkaError as error:
            self.journal.errors.append(error)
            self.given += 1
            if not isinstance(error, CorruptRecordException) and self._ended_by(error):
                self.failed = error
                return None
            await asyncio.wait((self.ending,), timeout=0.05)
            return []
        finally:
            self.waiting = False
        if not records:
            await asyncio.sleep(0.01)
        return records

    async def _poll(self) -> list[ConsumerRecord[Any, Any]]:
        consumer = self.consumer
        assert consumer is not None
        if self.style is Style.GETONE:
            return self._given([await consumer.getone()])
        if self.style is Style.ITERATE:
            return self._given([await consumer.__anext__()])
        if self.style is Style.IMPATIENT:
            try:
                return await asyncio.wait_for(self._one(), self.rng.uniform(0.01, 0.5))
            except asyncio.TimeoutError:
                return []
        timeout = self.rng.choice((0, 100, 1000))
        began = self.loop.time()
        found = await consumer.getmany(timeout_ms=timeout)
        took = self.loop.time() - began
        bound = timeout / 1000 + TOO_LATE
        self.journal.calls.append(Bounded("getmany", began, took, None, self.journal.who, bound))
        return self._given([record for records in found.values() for record in records])

    async def _one(self) -> list[ConsumerRecord[Any, Any]]:
        assert self.consumer is not None
        # Written down at once: whoever waits with a timeout may learn of it a turn later.
        try:
            return self._given([await self.consumer.getone()])
        except Poisoned as error:
            self._skip(error)
            return []

    def _given(self, records: list[ConsumerRecord[Any, Any]]) -> list[ConsumerRecord[Any, Any]]:
        for record in records:
            self._note(TopicPartition(record.topic, record.partition), record.offset, record.value)
        return records

    def _note(self, tp: TopicPartition, offset: int, value: Any) -> Delivery:
        generation, member_id = self._membership()
        delivery = Delivery(
            self.loop.time(),
            offset,
            value,
            generation,
            member_id,
            self.run.cluster.partition(*tp).log.last_stable_offset(),
            tp in self.paused,
        )
        self.journal.note(tp, delivery)
        self.given += 1
        return delivery

    def _membership(self) -> tuple[int, str]:
        """Generation and member id under which records are given out."""
        return -1, ""

    def _skip(self, error: Poisoned) -> None:
        """A record that cannot be read: go on behind it."""
        tp = TopicPartition(error.topic, error.partition)  # type: ignore[attr-defined]
        offset: int = error.offset  # type: ignore[attr-defined]
        self._note(tp, offset, None)
        assert self.consumer is not None
        self.consumer.seek(tp, offset + 1)
        self.done[tp] = offset + 1
        self.journal.came_back(self.loop.time())

    def _ended_by(self, error: KafkaError) -> bool:
        """Whether that is the end of the consumer."""
        return False

    async def _handle(self, records: list[ConsumerRecord[Any, Any]]) -> None:
        """Work on records."""
        pause = self.rng.uniform(0, self.pause)
        if pause:
            await asyncio.wait((self.ending,), timeout=pause)
