"""Who fills the topics, without any fault, and remembers what is in them.

Owns :class:`Writer`: every record appended, and what became of each transaction.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from aiokafka.structs import TopicPartition
from aiokafka.testing import FakeCluster

from .scenario import WriterPlan

#: How values begin that deserializers refuse.
POISON = b"!"


@dataclass(eq=False)
class Transaction:
    """A transaction in one partition; ``committed`` is ``None`` while it is open."""

    producer_id: int
    tp: TopicPartition
    committed: bool | None = None


@dataclass(frozen=True)
class Written:
    """A record of a log."""

    offset: int
    value: bytes
    at: float
    transaction: Transaction | None

    def visible(self, committed_only: bool) -> bool:
        """Whether consumers are to get it, once all transactions have ended."""
        return not (
            committed_only and self.transaction is not None and not self.transaction.committed
        )


@dataclass
class Writer:
    """Appends to the logs until it is told to end.

    Attributes:
        records: of each partition, in order.
    """

    cluster: FakeCluster
    plan: WriterPlan
    rng: random.Random
    records: dict[TopicPartition, list[Written]] = field(default_factory=dict)
    _open: list[Transaction] = field(default_factory=list)

    async def run(self) -> None:
        """Append again and again; cancelled in the end."""
        while True:
            partitions = [
                TopicPartition(partition.topic, partition.index)
                for partition in self.cluster.topics.partitions()
            ]
            if partitions:
                self._go_on(self.rng.choice(partitions))
            await asyncio.sleep(self.rng.uniform(0, 2 * self.plan.pause))

    def _go_on(self, tp: TopicPartition) -> None:
        rng = self.rng
        mine = [transaction for transaction in self._open if transaction.tp == tp]
        if mine and rng.random() < 0.5:
            self._end(rng.choice(mine))
            return
        transaction = None
        if rng.random() < self.plan.transactional:
            if mine and rng.random() < 0.5:
                transaction = rng.choice(mine)
            else:
                transaction = Transaction(self.cluster.new_producer_id(), tp)
                self._open.append(transaction)
        self.append(tp, rng.randint(1, self.plan.records), transaction)

    def append(
        self, tp: TopicPartition, count: int = 1, transaction: Transaction | None = None
    ) -> None:
        """Append a batch."""
        rng, plan = self.rng, self.plan
        log = self.records.setdefault(tp, [])
        values = []
        for number in range(count):
            name = f"{tp.topic}/{tp.partition}#{len(log) + number}".encode()
            if rng.random() < plan.poison:
                name = POISON + name
            values.append(name.ljust(rng.randint(*plan.sizes), b"."))
        offset = self.cluster.append(
            tp.topic,
            tp.partition,
            *values,
            codec=rng.choice(plan.codecs),
            producer_id=-1 if transaction is None else transaction.producer_id,
            transactional=transaction is not None,
            skip=rng.randint(1, 5) if rng.random() < plan.holes else 0,
        )
        now = self.cluster.loop.time()
        log += [
            Written(offset + number, value, now, transaction)
            for number, value in enumerate(values)
        ]

    def finish(self) -> None:
        """End all transactions."""
        for transaction in list(self._open):
            self._end(transaction)

    def _end(self, transaction: Transaction) -> None:
        self._open.remove(transaction)
        transaction.committed = self.rng.random() < 0.6
        self.cluster.end_transaction(
            *transaction.tp, transaction.producer_id, commit=transaction.committed
        )

    def visible(self, tp: TopicPartition, committed_only: bool) -> list[Written]:
        """What consumers are to get of a partition."""
        return [record for record in self.records.get(tp, ()) if record.visible(committed_only)]
