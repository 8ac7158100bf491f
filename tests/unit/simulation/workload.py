"""A scenario come to life: a fake cluster, a producer, tasks that send, and a record of it all.

Owns :class:`Run`.  Every record sent, every call and how long it took is written down;
nothing is judged here (see ``invariants``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.testing import FakeCluster, FaultSchedule, Rewrite, VirtualTimeLoop
from aiokafka.testing.received import ReceivedRequest

from . import harness
from .harness import Call, open_ends
from .scenario import SEND, SEND_AND_WAIT, Scenario, TaskPlan, TopicPlan

T = TypeVar("T")

#: An epoch after which a producer id has only two more.
NEARLY_LAST_EPOCH = 2**15 - 3

PROBE_TOPIC = "topic-0"


@dataclass
class Sent:
    """A record (or a whole batch), and what became of it.

    Attributes:
        values: values of the records, in order.
        called_at, appended_at: when ``send()`` was called and when it returned a future.
        error: what ``send()`` raised.
        result: the record's metadata, or ``None`` with acks=0.
        failure: the exception of the future.
        ended_at: when the future was resolved.
        abandoned: the task was cancelled in the middle; anything may have become of it.
    """

    task: int
    topic: str
    values: tuple[bytes, ...]
    called_at: float
    appended_at: float | None = None
    error: BaseException | None = None
    result: Any = None
    failure: BaseException | None = None
    ended_at: float | None = None
    abandoned: bool = False
    future: asyncio.Future[Any] | None = None

    @property
    def stored(self) -> bool:
        """Whether the producer said that it is delivered."""
        return self.ended_at is not None and self.failure is None and not self.abandoned


@dataclass(kw_only=True)
class Run(harness.Run):
    """One run of a scenario; :meth:`main` is to be run on a virtual-time loop."""

    scenario: Scenario
    sent: list[Sent] = field(default_factory=list)
    recovered_in: float | None = None
    started: bool = False

    async def main(self) -> None:
        """Everything, from the cluster's start to its end."""
        scenario = self.scenario
        loop = asyncio.get_running_loop()
        async with FakeCluster(seed=scenario.seed, **scenario.cluster) as cluster:
            self.cluster = cluster
            self._prepare_cluster()
            self.producer = self._make_producer()
            self.began_at = loop.time()
            self.schedule = FaultSchedule.random(
                random.Random(f"{scenario.seed}/faults"),
                cluster,
                scenario.duration,
                kinds=scenario.kinds,
                events=scenario.events,
            )
            if scenario.events != (0, 0) and scenario.early:
                self.schedule.start()
            await self._start()
            if scenario.events != (0, 0) and not scenario.early:
                self.schedule.start()
            await self._work()
            self.schedule.stop()
            self.leftovers = self._find_leftovers()
            self.trace = [request.summary for request in cluster.requests]

    def _make_producer(self) -> AIOKafkaProducer:
        security: dict[str, Any] = {}
        if self.scenario.cluster["sasl_users"]:
            security = {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_plain_username": "user",
                "sasl_plain_password": "secret",
            }
        return AIOKafkaProducer(
            bootstrap_servers=self.cluster.bootstrap_servers,
            client_id="simulation",
            **self.scenario.producer,
            **security,
        )

    # -- the cluster's side --------------------------------------------------------------------

    def _prepare_cluster(self) -> None:
        loop, scenario = self.cluster.loop, self.scenario
        for topic in scenario.topics:
            if topic.created_at == 0:
                self._create(topic)
            elif topic.created_at is not None:
                loop.call_later(topic.created_at, self._create, topic)
            if topic.grows_at is not None:
                loop.call_later(topic.grows_at, self._grow, topic)
        if scenario.last_epochs:
            self.cluster.faults.add(Rewrite(_age_epoch), api="InitProducerId")
        if scenario.forgets_at is not None:
            loop.call_later(scenario.forgets_at, self._forget_producers)

    def _create(self, topic: TopicPlan) -> None:
        limit = topic.max_message_bytes
        if topic.name not in self.cluster.topics:
            created = self.cluster.create_topic(
                topic.name,
                topic.partitions,
                configs=None if limit is None else {"max.message.bytes": str(limit)},
            )
            created.options.accept_unknown_producers = topic.accepts_unknown

    def _grow(self, topic: TopicPlan) -> None:
        if topic.name in self.cluster.topics:
            now = len(self.cluster.topics[topic.name].partitions)
            self.cluster.add_partitions(topic.name, now + 2)

    def _forget_producers(self) -> None:
        """As after retention; only where nothing is on its way, which might come twice.

        And only where brokers then ask for a new start: those that take any number from a
        producer they do not know cannot keep the order of what comes next.
        """
        pending = {sent.topic for sent in self.sent if sent.error is None and not sent.ended_at}
        for partition in self.cluster.topics.partitions():
            unknown = partition.log.options.accept_unknown_producers
            if partition.topic not in pending and not unknown:
                partition.log.forget_producers()

    # -- the application's side ----------------------------------------------------------------

    async def timed(self, name: str, awaitable: Awaitable[T]) -> T | None:
        """Await a call and write it down; its Kafka errors are swallowed."""
        loop = asyncio.get_running_loop()
        began, error = loop.time(), None
        try:
            return await awaitable
        except KafkaError as exc:
            error = exc
            return None
        finally:
            self.calls.append(Call(name, began, loop.time() - began, error))

    async def _start(self) -> None:
        while True:
            await self.timed("start", self.producer.start())
            if self.calls[-1].error is None:
                self.started = True
                return
            if self._since_start() > self.scenario.duration + 60:
                return
            await asyncio.sleep(0.1)

    def _since_start(self) -> float:
        return asyncio.get_running_loop().time() - self.began_at

    async def _work(self) -> None:
        scenario = self.scenario
        background = [asyncio.ensure_future(self._flush_at(at)) for at in scenario.flush_at]
        senders = [asyncio.ensure_future(self._send_all(plan)) for plan in scenario.tasks]
        loop = asyncio.get_running_loop()
        for task, plan in zip(senders, scenario.tasks, strict=True):
            if plan.cancelled_at is not None:
                loop.call_later(plan.cancelled_at, task.cancel)
        if scenario.stop_at is not None:
            await asyncio.sleep(scenario.stop_at)
            await self.timed("stop", self.producer.stop())
            await self._finished([*senders, *background])
        else:
            await self._finished([*senders, *background])
            await self._everything_ended()
            remaining = scenario.duration - self._since_start()
            await asyncio.sleep(max(0.0, remaining) + 0.001)
            if self.started:
                await self._probe()
            await self.timed("flush", self.producer.flush())
            await self.timed("last stop", self.producer.stop())

    async def _finished(self, tasks: list[asyncio.Future[Any]]) -> None:
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def _everything_ended(self) -> None:
        futures = [sent.future for sent in self.sent if sent.future is not None]
        pending = [future for future in futures if not future.done()]
        if pending:
            await asyncio.wait(pending)

    async def _flush_at(self, at: float) -> None:
        await asyncio.sleep(at)
        await self.timed("flush", self.producer.flush())

    async def _probe(self) -> None:
        """The faults are over: how long until a record gets through?"""
        loop = asyncio.get_running_loop()
        healed = loop.time()
        number = 0
        while loop.time() - healed < 120:
            sent = self._note(-1, PROBE_TOPIC, (f"probe:{number}".encode(),))
            await self._call(
                sent, self.producer.send(PROBE_TOPIC, sent.values[0], None, 0, _wall_time())
            )
            if sent.future is not None:
                await asyncio.wait((sent.future,))
            if sent.stored:
                self.recovered_in = loop.time() - healed
                return
            number += 1
            await asyncio.sleep(0.05)

    # -- sending -------------------------------------------------------------------------------

    def _note(self, task: int, topic: str, values: tuple[bytes, ...]) -> Sent:
        sent = Sent(task, topic, values, asyncio.get_running_loop().time())
        self.sent.append(sent)
        return sent

    async def _send_all(self, plan: TaskPlan) -> None:
        rng = random.Random(f"{self.scenario.seed}/task-{plan.number}")
        await asyncio.sleep(plan.starts_at)
        for number in range(plan.count):
            await self._send_one(plan, number, rng)
            if plan.pause:
                await asyncio.sleep(rng.uniform(0, plan.pause))

    async def _send_one(self, plan: TaskPlan, number: int, rng: random.Random) -> None:
        topic = rng.choice(plan.topics)
        partition = rng.randrange(3) if plan.explicit else None
        key = f"key-{rng.randrange(4)}".encode() if plan.keyed else None
        producer = self.producer
        if plan.action not in (SEND, SEND_AND_WAIT):
            count = rng.randint(1, 4)
            values = tuple(_value(plan, number, i, rng) for i in range(count))
            batch = producer.create_batch()
            fitting = []
            for value in values:
                if batch.append(timestamp=_wall_time(), key=key, value=value) is not None:
                    fitting.append(value)
            sent = self._note(plan.number, topic, tuple(fitting))
            await self._call(sent, producer.send_batch(batch, topic, partition=partition or 0))
            return
        sent = self._note(plan.number, topic, (_value(plan, number, 0, rng),))
        await self._call(sent, producer.send(topic, sent.values[0], key, partition, _wall_time()))
        if plan.action == SEND_AND_WAIT and sent.future is not None:
            # A cancelled wait must not cancel what the record's outcome is read from.
            await asyncio.wait((sent.future,))

    async def _call(self, sent: Sent, awaitable: Awaitable[asyncio.Future[Any]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            future = await awaitable
        except asyncio.CancelledError:
            sent.abandoned = True
            sent.appended_at = loop.time()
            raise
        except Exception as error:
            sent.error = error
            sent.appended_at = loop.time()
            return
        sent.appended_at = loop.time()
        sent.future = future

        def ended(_: asyncio.Future[Any]) -> None:
            sent.ended_at = loop.time()
            if future.cancelled():
                sent.failure = asyncio.CancelledError()
            else:
                sent.failure = future.exception()
                if sent.failure is None:
                    sent.result = future.result()

        future.add_done_callback(ended)

    # -- afterwards ----------------------------------------------------------------------------

    def outcome(self) -> list[tuple[Any, ...]]:
        """What became of every call and record: what two equal runs agree in."""
        records = [
            (s.values, s.appended_at, s.ended_at, repr(s.error), repr(s.failure), repr(s.result))
            for s in self.sent
        ]
        return [*records, *((c.name, c.began_at, c.lasted, repr(c.error)) for c in self.calls)]

    def _find_leftovers(self) -> list[str]:
        """What the stopped producer has left behind: sockets, timers, memory, waiters."""
        found = open_ends(self.cluster)
        pool = self.producer._message_accumulator.pool
        if pool.used or pool.waiting:
            found.append(f"{pool.used} bytes of buffer memory, {pool.waiting} waiters")
        pending = self.producer._message_accumulator._pending
        found += [f"batch {batch!r}" for batch in pending]
        return found


def _value(plan: TaskPlan, number: int, index: int, rng: random.Random) -> bytes:
    name = f"{plan.number}:{number}:{index}:".encode()
    return name.ljust(rng.randint(*plan.sizes), b".")


def _wall_time() -> int:
    """Milliseconds by the simulation's clock: their encoding is part of a batch's size."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return int(loop.wall_time() * 1000)


def _age_epoch(_: ReceivedRequest, values: dict[str, Any]) -> None:
    if values["producer_epoch"] == 0:
        values["producer_epoch"] = NEARLY_LAST_EPOCH
