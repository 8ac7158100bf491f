"""Transactions as their coordinator keeps them.

Owns :class:`TransactionalId`, the state of one transactional id and the rules by which it changes
(KIP-98, KIP-360, KIP-588, and KIP-890 for transactions of version 2), and
:class:`TransactionRegistry`, all of them.  What a coordinator has answered is written down and
outlives it; its timers (the transaction's timeout, the writing of markers) are the broker's and
are set anew by the next coordinator.  Runs no task.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .codes import ErrorCode
from .group_offsets import Committed, PartitionKey

if TYPE_CHECKING:
    from .cluster import FakeCluster

__all__ = ["Answer", "TransactionOptions", "TransactionRegistry", "TransactionState"]

#: The epoch after which a transactional id gets a new producer id.
LAST_EPOCH = 32766


class TransactionState(enum.Enum):
    """State of a transactional id, by Kafka's name."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"


S = TransactionState
_PREPARING = {True: S.PREPARE_COMMIT, False: S.PREPARE_ABORT}
_COMPLETE = {True: S.COMPLETE_COMMIT, False: S.COMPLETE_ABORT}


class Answer(NamedTuple):
    """An error code, and the producer's id and epoch where the answer has them."""

    error: int = ErrorCode.NONE
    producer_id: int = -1
    epoch: int = -1


@dataclass(slots=True)
class TransactionOptions:
    """Settings of the transaction coordinators.

    Attributes:
        marker_delay: seconds between the decision and the writing of the markers; until then
            the coordinator answers CONCURRENT_TRANSACTIONS.
        load_time: seconds a new coordinator answers COORDINATOR_LOAD_IN_PROGRESS.
        max_timeout: the longest ``transaction.timeout.ms`` accepted, in seconds.
    """

    marker_delay: float = 0.0
    load_time: float = 0.0
    max_timeout: float = 900.0


class TransactionalId:
    """A transactional id.

    Attributes:
        producer_id, epoch: of its present producer.
        last_producer_id, last_epoch: what the producer had before the last bump it asked for; a
            repeated request bears them.
        partitions: those of the transaction.
        groups: consumer groups whose offsets belong to it.
        history: ``(time, event)``, oldest first.
    """

    def __init__(self, name: str, registry: TransactionRegistry) -> None:
        self.name = name
        self.state = TransactionState.EMPTY
        self.producer_id = registry.cluster.new_producer_id()
        self.epoch = -1
        self.last_producer_id = self.last_epoch = -1
        self.timeout = 60.0
        self.partitions: set[PartitionKey] = set()
        self.groups: set[str] = set()
        self.history: list[tuple[float, str]] = []
        self.node: int | None = None
        self.loading_until = 0.0
        self._registry = registry
        self._timer: asyncio.TimerHandle | None = None
        self._next: tuple[int, int] | None = None  # after the markers
        self._marker = self.producer_id, 0

    def __repr__(self) -> str:
        return f"<TransactionalId {self.name!r} {self.state.value} epoch {self.epoch}>"

    @property
    def preparing(self) -> bool:
        """Whether it is decided and the markers are not all written."""
        return self.state in (S.PREPARE_COMMIT, S.PREPARE_ABORT)

    def _to(self, state: TransactionState) -> None:
        self.state = state
        self.history.append((self._registry.cluster.loop.time(), state.value))

    # -- requests ------------------------------------------------------------------------------

    def initialise(self, timeout: float, producer_id: int, epoch: int) -> Answer:
        """InitProducerId; with an id and epoch it is a bump by the producer itself (KIP-360)."""
        asked = (producer_id, epoch)
        repeated = asked == (self.last_producer_id, self.last_epoch)
        if producer_id >= 0 and asked != (self.producer_id, self.epoch) and not repeated:
            return Answer(ErrorCode.PRODUCER_FENCED)
        if self.preparing:
            return Answer(ErrorCode.CONCURRENT_TRANSACTIONS)
        if self.state is S.ONGOING:
            # The transaction of the one before is aborted under an epoch that fences it.
            if self.epoch < LAST_EPOCH + 1:
                self.epoch += 1
            self.last_producer_id = self.last_epoch = -1
            self._prepare(commit=False)
            return Answer(ErrorCode.CONCURRENT_TRANSACTIONS)
        self.timeout = timeout
        if producer_id < 0 or not repeated:
            self.last_producer_id, self.last_epoch = asked if producer_id >= 0 else (-1, -1)
            self._bump()
        self.partitions.clear()
        self.groups.clear()
        self._to(S.EMPTY)
        return Answer(ErrorCode.NONE, self.producer_id, self.epoch)

    def _bump(self) -> None:
        if self.epoch >= LAST_EPOCH:
            self.producer_id, self.epoch = self._registry.cluster.new_producer_id(), 0
        else:
            self.epoch += 1

    def add(
        self,
        producer_id: int,
        epoch: int,
        partitions: set[PartitionKey] | None = None,
        group: str | None = None,
    ) -> int:
        """AddPartitionsToTxn, AddOffsetsToTxn, and what adds implicitly in version 2."""
        error = self.check(producer_id, epoch)
        if error:
            return error
        if self.preparing:
            return ErrorCode.CONCURRENT_TRANSACTIONS
        if self.state is not S.ONGOING:
            self.partitions.clear()
            self.groups.clear()
            self._to(S.ONGOING)
            self._watch(self.timeout)
        self.partitions |= partitions or set()
        if group is not None:
            self.groups.add(group)
        return ErrorCode.NONE

    def check(self, producer_id: int, epoch: int) -> int:
        """Whether somebody is the present producer."""
        if producer_id != self.producer_id:
            return ErrorCode.INVALID_PRODUCER_ID_MAPPING
        return ErrorCode.NONE if epoch == self.epoch else ErrorCode.PRODUCER_FENCED

    def end(self, producer_id: int, epoch: int, commit: bool, *, bump: bool) -> Answer:
        """EndTxn; ``bump``: of version 2, which begins a new epoch with it (KIP-890)."""
        repeated = bump and (producer_id, epoch) == (self.last_producer_id, self.last_epoch)
        error = self.check(producer_id, epoch)
        if error and not repeated:
            return Answer(error)
        if self.preparing:
            if self.state is _PREPARING[commit] and (repeated or not bump):
                return Answer(ErrorCode.CONCURRENT_TRANSACTIONS)
            return Answer(ErrorCode.INVALID_TXN_STATE)
        if self.state is S.ONGOING:
            return self._end_ongoing(producer_id, epoch, commit, bump)
        if self.state is _COMPLETE[commit] and (repeated or not bump):
            return self._present(bump)
        if bump and not commit and not repeated:
            # Nothing to abort, or not any more: only the epoch changes.
            self.last_producer_id, self.last_epoch = producer_id, epoch
            self._bump()
            self._to(S.COMPLETE_ABORT)
            return self._present(bump)
        return Answer(ErrorCode.INVALID_TXN_STATE)

    def _end_ongoing(self, producer_id: int, epoch: int, commit: bool, bump: bool) -> Answer:
        if not bump:
            self._prepare(commit=commit)
            return Answer()
        self.last_producer_id, self.last_epoch = producer_id, epoch
        self._marker = producer_id, epoch + 1
        self._bump()
        self._prepare(commit=commit, marker=self._marker)
        return self._present(bump)

    def _present(self, told: bool) -> Answer:
        return Answer(ErrorCode.NONE, self.producer_id, self.epoch) if told else Answer()

    # -- ending --------------------------------------------------------------------------------

    def _prepare(self, *, commit: bool, marker: tuple[int, int] | None = None) -> None:
        self._marker = marker or (self.producer_id, self.epoch)
        self._to(_PREPARING[commit])
        self._schedule_markers()

    def _schedule_markers(self) -> None:
        delay = self._registry.options.marker_delay
        if delay > 0:
            self._later(delay, self._write_markers)
        else:
            self._write_markers()

    def _write_markers(self) -> None:
        if not self.preparing:
            return
        commit = self.state is S.PREPARE_COMMIT
        cluster = self._registry.cluster
        producer_id, epoch = self._marker
        for topic, partition in sorted(self.partitions):
            if cluster.topics.partition(topic, partition) is not None:
                cluster.end_transaction(
                    topic, partition, producer_id, commit=commit, producer_epoch=epoch
                )
        for group in sorted(self.groups):
            self._registry.settle_offsets(group, producer_id, commit)
        self._cancel()
        self._to(_COMPLETE[commit])
        if self.epoch > LAST_EPOCH:
            self.producer_id, self.epoch = cluster.new_producer_id(), -1
        cluster.changed()

    def _timed_out(self) -> None:
        """The transaction has lasted too long: it is aborted, its producer fenced."""
        if self.state is S.ONGOING:
            self.last_producer_id = self.last_epoch = -1
            self.epoch += 1
            self.history.append((self._registry.cluster.loop.time(), "timed out"))
            self._prepare(commit=False)

    # -- timers and coordinators ---------------------------------------------------------------

    def _later(self, delay: float, callback: Callable[[], None]) -> None:
        self._cancel()
        if self.node is not None:
            broker = self._registry.cluster.brokers[self.node]
            self._timer = broker.later(delay, callback)

    def _watch(self, timeout: float) -> None:
        self._later(timeout, self._timed_out)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def unload(self) -> None:
        """Its coordinator gives it up."""
        self._cancel()
        self.node = None

    def load(self, node: int) -> None:
        """A broker becomes its coordinator: it goes on with what was decided."""
        load_time = self._registry.options.load_time if self.history else 0.0
        self.node = node
        self.loading_until = self._registry.cluster.loop.time() + load_time
        if self.preparing:
            self._later(load_time + self._registry.options.marker_delay, self._write_markers)
        elif self.state is S.ONGOING:
            self._watch(load_time + self.timeout)


class TransactionRegistry:
    """The transactional ids of a cluster.

    Attributes:
        ids: by name.
        options: settings; they may be changed at any time.
    """

    def __init__(self, cluster: FakeCluster, options: TransactionOptions) -> None:
        self.cluster = cluster
        self.options = options
        self.ids: dict[str, TransactionalId] = {}
        self._offsets: dict[tuple[str, int], dict[PartitionKey, Committed]] = {}

    def __iter__(self) -> Iterator[TransactionalId]:
        return iter(self.ids.values())

    def get(self, name: str) -> TransactionalId:
        """A transactional id; it is made when it is asked for first."""
        found = self.ids.get(name)
        if found is None:
            found = self.ids[name] = TransactionalId(name, self)
        if found.node is None:
            self._settle(found)
        return found

    def expect(self, name: str) -> TransactionalId | None:
        """A transactional id if it is known."""
        return self.get(name) if name in self.ids else None

    def lost(self, node_id: int) -> None:
        """A broker died."""
        for entry in self:
            if entry.node == node_id:
                entry.unload()

    def settle(self) -> None:
        """Have every id loaded by its coordinator, after brokers came, went or were moved."""
        for entry in self:
            self._settle(entry)

    def _settle(self, entry: TransactionalId) -> None:
        broker = self.cluster.coordinator_of(entry.name)
        node = broker.node_id if broker is not None and broker.alive else None
        if entry.node == node:
            return
        entry.unload()
        if node is not None:
            entry.load(node)

    # -- offsets of groups ---------------------------------------------------------------------

    def add_offsets(
        self, group_id: str, producer_id: int, offsets: dict[PartitionKey, Committed]
    ) -> None:
        """Offsets that count when the transaction commits; until then they are unstable."""
        self._offsets.setdefault((group_id, producer_id), {}).update(offsets)
        self._mark_unstable(group_id)

    def settle_offsets(self, group_id: str, producer_id: int, commit: bool) -> None:
        """A marker reached the group's coordinator."""
        offsets = self._offsets.pop((group_id, producer_id), {})
        group = self.cluster.groups.group(group_id)
        if commit and offsets:
            group.commit(offsets, "", -1)
        group.committed.unstable -= set(offsets)
        self._mark_unstable(group_id)

    def _mark_unstable(self, group_id: str) -> None:
        unstable = self.cluster.groups.group(group_id).committed.unstable
        for (owner, _), offsets in self._offsets.items():
            if owner == group_id:
                unstable |= set(offsets)

    # -- Produce -------------------------------------------------------------------------------

    def check_produce(
        self, name: str, producer_id: int, epoch: int, key: PartitionKey, *, implicit: bool
    ) -> int:
        """Whether a transactional batch may be appended (KIP-890).

        ``implicit``: of version 2, which adds the partition; else it must have been added.
        """
        entry = self.expect(name)
        if entry is None:
            return ErrorCode.INVALID_TXN_STATE
        error = entry.check(producer_id, epoch)
        if error == ErrorCode.PRODUCER_FENCED:
            return ErrorCode.INVALID_PRODUCER_EPOCH
        if error:
            return error
        if implicit:
            return entry.add(producer_id, epoch, {key})
        if entry.state is S.ONGOING and key in entry.partitions:
            return ErrorCode.NONE
        return ErrorCode.INVALID_TXN_STATE
