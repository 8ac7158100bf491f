"""Which batches go out now, and in which requests.

Runs no task and owns no future.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from aiokafka.errors import (
    KafkaConnectionError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    NotLeaderForPartitionError,
    RequestTimedOutError,
)
from aiokafka.producer._backlog import CLOCK_RESOLUTION, Backlog
from aiokafka.producer._batch import MessageBatch
from aiokafka.producer._queues import PartitionQueue
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata
    from aiokafka.producer.transaction_manager import TransactionManager

NodeBatches = dict[TopicPartition, MessageBatch]


class Draining:
    """The part of the accumulator that takes batches out of it."""

    backlog: Backlog
    _cluster: ClusterMetadata
    _max_in_flight: int
    _max_request_size: int
    _queues: dict[TopicPartition, PartitionQueue]
    _txn_manager: TransactionManager | None

    @property
    def _impatient(self) -> bool:
        """Whether batches are sent without lingering."""
        return True

    def drain(self, room: Callable[[int], int]) -> Iterator[tuple[int, NodeBatches]]:
        """Take what is ready, as requests in the order in which to send them.

        Parameters:
            room: how many more requests a node can take now.
        """
        requests: dict[int, NodeBatches] = {}
        sizes: dict[int, int] = {}
        rooms: dict[int, int] = {}
        backlog = self.backlog
        while (queue := backlog.take()) is not None:
            batch = self._next_batch(queue)
            if batch is None:
                continue
            node_id = self._cluster.leader_for_partition(queue.tp)
            if node_id is None or node_id == -1:
                backlog.park(queue, None, _no_leader(node_id))
                continue
            request = requests.get(node_id)
            size = batch._builder.size()
            if request is not None and (
                queue.tp in request or sizes[node_id] + size > self._max_request_size
            ):
                # A request has one batch of a partition; the next one goes behind it.
                yield node_id, requests.pop(node_id)
                request = None
            if request is None:
                if node_id not in rooms:
                    rooms[node_id] = room(node_id)
                if rooms[node_id] <= 0:
                    # Why the broker cannot be connected to says more than that it is busy.
                    why = queue.obstacle
                    if not isinstance(why, KafkaConnectionError):
                        why = _busy(node_id)
                    backlog.park(queue, node_id, why)
                    continue
                rooms[node_id] -= 1
                request = requests[node_id] = {}
                sizes[node_id] = 0
            request[queue.tp] = self._take(queue, batch, node_id)
            sizes[node_id] += size
            backlog.take_again(queue)
        yield from requests.items()

    def _next_batch(self, queue: PartitionQueue) -> MessageBatch | None:
        """The batch of *queue* that may be sent now, if any."""
        if not queue.batches or self.backlog.backs_off(queue):
            return None
        batch = queue.batches[0]
        if queue.open is batch._records:
            if batch.is_empty():
                return None
            if not self._impatient and batch.remaining_linger() > CLOCK_RESOLUTION:
                # Not among those who linger yet if it was opened behind another one.
                self.backlog.linger.add(queue, batch.linger_until)
                return None
        if self._txn_manager is None:
            return batch if queue.in_flight < self._max_in_flight else None
        return self._next_numbered(queue, batch, self._txn_manager)

    def _next_numbered(
        self, queue: PartitionQueue, batch: MessageBatch, txn: TransactionManager
    ) -> MessageBatch | None:
        if not txn.may_send_to(queue.tp):
            return None
        sequence = txn.sequences.of(queue.tp)
        if sequence.can_restart and not txn.restart_sequence(queue.tp):
            return None
        if batch.base_sequence is None and sequence.broken and sequence.outstanding:
            # Parts of a batch that was too large stand before one whose fate has to be learnt
            # first: under its old number it cannot be stored twice.
            batch = next((b for b in queue.batches if b is sequence.outstanding[0]), batch)
        if batch.base_sequence is not None:
            return batch if sequence.may_resend(batch) else None
        return batch if sequence.may_send_new(self._max_in_flight) else None

    def _take(self, queue: PartitionQueue, batch: MessageBatch, node_id: int) -> MessageBatch:
        queue.batches.remove(batch)  # nearly always the first
        if queue.open is batch._records:
            queue.open = None
        batch.drain_ready()
        batch.attempts += 1
        batch.last_node = node_id
        if batch.order is None:
            batch.order = (queue.taken,)
            queue.taken += 1
        queue.in_flight += 1
        queue.obstacle = None
        if self._txn_manager is not None:
            self._txn_manager.sequences.departs(queue.tp, batch)
        return batch

    def drain_by_nodes(
        self,
        ignore_nodes: Collection[int],
        muted_partitions: Collection[TopicPartition] = frozenset(),
    ) -> tuple[dict[int, NodeBatches], bool]:
        """Take one ready batch of each partition, grouped by leader.

        For those who drain an accumulator themselves; the sender uses :meth:`drain`.

        Returns:
            The batches, and whether some have no leader.
        """
        nodes: dict[int, NodeBatches] = {}
        unknown_leaders_exist = False
        for tp, queue in list(self._queues.items()):
            if not queue.batches or tp in muted_partitions:
                continue
            node_id = self._cluster.leader_for_partition(tp)
            if node_id is None or node_id == -1:
                if queue.batches[0].expired():
                    queue.seal()
                    queue.batches.popleft().failure(_no_leader(node_id))
                unknown_leaders_exist = True
            elif node_id not in ignore_nodes and (batch := self._next_batch(queue)) is not None:
                nodes.setdefault(node_id, {})[tp] = self._take(queue, batch, node_id)
        self.backlog.clear()
        self.backlog.renew_waiter()
        return nodes, unknown_leaders_exist


def _no_leader(node_id: int | None) -> NotLeaderForPartitionError | LeaderNotAvailableError:
    if node_id is None:
        return NotLeaderForPartitionError("The partition's leader is not known")
    return LeaderNotAvailableError("The partition has no leader")


def _busy(node_id: int) -> NodeNotReadyError:
    return NodeNotReadyError(f"Broker {node_id} takes no requests at present")


def silence(batch: MessageBatch, queue: PartitionQueue) -> RequestTimedOutError | None:
    """Why a batch expires of which nobody has said anything bad."""
    if batch.last_node is not None and batch not in queue.batches:
        return RequestTimedOutError(f"no answer from node {batch.last_node} yet")
    if queue.in_flight:
        return RequestTimedOutError(
            f"{queue.in_flight} earlier batch(es) of the partition wait for an answer"
        )
    return None
