"""A consumer without a group: all partitions of the topics subscribed to, nothing committed.

Runs one supervised task, which answers those who ask for committed offsets.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline
from aiokafka._tasks import Supervisor
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer._assigning import Change
from aiokafka.consumer._watch import BaseCoordinator
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState
from aiokafka.structs import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

log = logging.getLogger("aiokafka.consumer.group_coordinator")

UNKNOWN_OFFSET = -1
_CLOSE_TIMEOUT = 5.0


class NoGroupCoordinator(BaseCoordinator):
    """Takes the place of a group coordinator when there is no group.

    Parameters:
        client: whose metadata is watched.
        subscription: the consumer's subscription.
        exclude_internal_topics: no pattern matches topics of Kafka's own.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        subscription: SubscriptionState,
        *,
        exclude_internal_topics: bool = True,
    ) -> None:
        # Positions are nowhere else: they outlast a change of the topics that match a pattern.
        subscription.keeps_assignment = True
        super().__init__(client, subscription, exclude_internal_topics=exclude_internal_topics)
        self._supervisor = Supervisor("consumer without a group", log)
        self._fatal: BaseException | None = None
        self._changed = asyncio.Event()
        self._answering: Assignment | None = None
        subscription.on_change(self._changed.set)
        self._reset_committed_task = self._supervisor.spawn(
            self._reset_committed_routine(), name="committed offsets", on_crash=self._crashed
        )
        # Afterwards: the routine may have been replaced by something that ends at once.
        self._reset_committed_task.add_done_callback(self._ended)

    def check_errors(self) -> None:
        """Raise what keeps this consumer from going on.

        Raises:
            TopicAuthorizationFailedError: a subscribed topic may not be read.
            KafkaError: a task of this coordinator crashed.
        """
        if self._fatal is not None:
            raise self._fatal
        self._check_topics()

    async def close(self) -> None:
        """End the task; may be called more than once."""
        self._stop_watching()
        await self._supervisor.cancel_all(Deadline.after(_CLOSE_TIMEOUT))

    def abandon(self) -> None:
        """What :meth:`close` does, as far as it goes without awaiting."""
        self._stop_watching()
        for task in self._supervisor.tasks:
            task.cancel()

    def assign_all_partitions(self, check_unknown: bool = False) -> None:
        """Assign all partitions of all topics subscribed to.

        Positions of partitions that are assigned already stay, also while the metadata does not
        know their topic: a broker that has just started may not have heard of it yet.

        Parameters:
            check_unknown: raise if a topic is not known, instead of leaving it out.

        Raises:
            UnknownTopicOrPartitionError: a topic is not known.
        """
        partitions: list[TopicPartition] = []
        assignment = self._subscription.assignment
        assigned = frozenset() if assignment is None else assignment.tps
        for topic in sorted(self._subscription.topics):
            numbers = self._cluster.partitions_for_topic(topic)
            if numbers is None:
                if check_unknown:
                    raise Errors.UnknownTopicOrPartitionError(
                        f"Topic {topic!r} is not present in the metadata"
                    )
                partitions += sorted(tp for tp in assigned if tp.topic == topic)
                continue
            partitions += [TopicPartition(topic, number) for number in sorted(numbers)]
        if assignment is None or not assignment.active:
            self._subscription.assign_from_subscribed(partitions)
            return
        change = Change.between(assignment.tps, partitions)
        if change.added or change.taken:
            self._subscription.update_assignment(
                added=sorted(change.added), taken=sorted(change.taken)
            )

    def _on_metadata_change(self) -> None:
        self.assign_all_partitions()

    def _handle_metadata_update(self, cluster: ClusterMetadata) -> None:
        super()._handle_metadata_update(cluster)
        subscription = self._subscription
        if (
            self._watching
            and subscription.subscribed_pattern is not None
            and subscription.subscription is not None
            and subscription.assignment is None
        ):
            # The pattern matches what was subscribed to before: no change of the metadata.
            self.assign_all_partitions()

    # Committed offsets: there are none

    async def _reset_committed_routine(self) -> None:
        while True:
            self._changed.clear()
            assignment = self._subscription.assignment
            if assignment is None or not assignment.active:
                await self._changed.wait()
                continue
            needed = assignment.commit_refresh_needed
            if assignment is not self._answering:
                self._answering = assignment
                # Wakes this routine up for the next assignment.
                _set_when_done(assignment.unassign_future, needed)
            await needed.wait()
            needed.clear()
            for tp in assignment.requesting_committed():
                state = assignment.state_value(tp)
                if state is not None:
                    state.update_committed(OffsetAndMetadata(UNKNOWN_OFFSET, ""))

    def _crashed(self, error: BaseException) -> None:
        failure = Errors.KafkaError(f"A task of the consumer crashed: {error!r}")
        failure.__cause__ = error
        self._fail(failure)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() and self._watching:
            self._fail(Errors.KafkaError("A task of the consumer was cancelled from outside"))

    def _fail(self, error: Errors.KafkaError) -> None:
        self._fatal = error
        self._subscription.abort_waiters(error)


def _set_when_done(future: asyncio.Future[None], event: asyncio.Event) -> None:
    future.add_done_callback(lambda _: event.set())
