"""Reading the offsets that a group has committed.

Runs one supervised task for each assignment, which answers
:meth:`~aiokafka.consumer.subscription_state.TopicPartitionState.fetch_committed`; it ends with
the assignment.  The futures belong to the assignment.

Page: https://kafka.apache.org/protocol#The_Messages_OffsetFetch
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline
from aiokafka._retry import Action, action_for, pause, retry
from aiokafka.consumer._membership import Membership
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.coordinator.protocol import by_topic
from aiokafka.errors import BrokerResponseError, KafkaError
from aiokafka.protocol.commit import OffsetFetchRequest, committed_offsets
from aiokafka.structs import OffsetAndMetadata, TopicPartition

log = logging.getLogger("aiokafka.consumer.group_coordinator")

UNKNOWN_OFFSET = -1


class CommittedPosition(OffsetAndMetadata):
    """A committed offset that knows its leader epoch (KIP-320); else an ordinary one.

    Attributes:
        leader_epoch: -1 when unknown.
    """

    leader_epoch = -1

    @classmethod
    def of(cls, offset: int, metadata: str, leader_epoch: int) -> CommittedPosition:
        position = cls(offset, metadata)
        position.leader_epoch = leader_epoch
        return position


class ReadingCommitted(Membership):
    """The part of the group coordinator that reads committed offsets."""

    _committed_task: asyncio.Task[None] | None
    _committed_of: Assignment | None
    _stable_offsets: bool
    #: Partitions that the coordinator did not know when it was asked last.
    _unknown: set[TopicPartition]

    async def fetch_committed_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """The committed offsets of *partitions*; those that have none are left out.

        Offsets that an open transaction may still change are waited for (KIP-447).

        Raises:
            GroupAuthorizationFailedError: the group may not be used.
            TopicAuthorizationFailedError: a topic may not be read.
            KafkaTimeoutError: no answer within ``default_api_timeout_ms``; the last error is
                its ``__cause__``.
            KafkaError: an error that another attempt cannot mend.
        """
        if not partitions:
            return {}

        async def attempt(_: int) -> dict[TopicPartition, OffsetAndMetadata]:
            await self.ensure_coordinator_known()
            return await self._do_fetch_commit_offsets(list(partitions))

        return await retry(
            attempt,
            what=f"Reading the committed offsets of group {self.group_id!r}",
            backoff=self._backoff,
            deadline=Deadline.after(self._default_api_timeout),
            rng=self._client._rng,
            on_retry=self._offset_fetch_failed,
        )

    def _offset_fetch_failed(self, error: BaseException, _: Action, __: float) -> None:
        self._trouble("OffsetFetch", error)

    async def _do_fetch_commit_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Ask once for the committed offsets.

        Raises:
            KafkaError: the class says whether to ask again.
        """
        topic_ids = self._topic_ids(partitions)
        rows = list(by_topic(partitions).items())
        response = await self._send_offset_fetch(rows, topic_ids)
        names = {topic_id: topic for topic, topic_id in topic_ids.items()}
        error_code, found = committed_offsets(response, names)
        if error_code:
            raise self._offset_fetch_error(Errors.for_code(error_code), None)
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        self._unknown.difference_update(partitions)
        left_out = set(partitions)
        for row in found:
            tp = TopicPartition(row.topic, row.partition)
            left_out.discard(tp)
            if row.error_code:
                error_type = Errors.for_code(row.error_code)
                if error_type is Errors.UnknownTopicOrPartitionError:
                    self._trouble("OffsetFetch", error_type(f"{tp}"))
                    self._unknown.add(tp)
                    continue
                raise self._offset_fetch_error(error_type, tp)
            if row.offset != UNKNOWN_OFFSET:
                offsets[tp] = CommittedPosition.of(
                    row.offset, row.metadata or "", row.leader_epoch
                )
        if left_out:
            # That is not to say that nothing is committed.
            silent = Errors.KafkaProtocolError(f"no answer about {sorted(left_out)}")
            self._trouble("OffsetFetch", silent)
            self._unknown |= left_out
        if self._unknown.isdisjoint(partitions):
            self._well("OffsetFetch")
        return offsets

    async def _send_offset_fetch(
        self, rows: list[tuple[str, list[int]]], topic_ids: dict[str, Any]
    ) -> Any:
        def request() -> OffsetFetchRequest:
            return OffsetFetchRequest(
                self.group_id, rows, require_stable=self._stable_offsets, topic_ids=topic_ids
            )

        try:
            return await self._send_req(request())
        except Errors.IncompatibleBrokerVersion:
            if not self._stable_offsets:
                raise
            # Before Kafka 2.5 brokers cannot hold unstable offsets back.
            self._stable_offsets = False
            return await self._send_req(request())

    def _offset_fetch_error(
        self, error_type: type[BrokerResponseError], tp: TopicPartition | None
    ) -> KafkaError:
        """The error to raise for a code in the answer, after acting on it."""
        if error_type is Errors.GroupAuthorizationFailedError:
            return error_type(self.group_id)
        if error_type is Errors.TopicAuthorizationFailedError and tp is not None:
            return error_type(tp.topic)
        error = error_type(
            f"Committed offsets of group {self.group_id!r}" if tp is None else f"{tp}"
        )
        if error.coordinator_gone:
            self.coordinator_dead()
        elif error.invalid_metadata:
            self._client.request_metadata(f"OffsetFetch: {error!r}", () if tp is None else [tp[0]])
        elif not error.retriable:
            failure = KafkaError(
                f"Reading the committed offsets of group {self.group_id!r} failed: {error!r}"
            )
            failure.__cause__ = error
            return failure
        return error

    # For the fetcher

    def start_commit_offsets_refresh_task(self, assignment: Assignment) -> None:
        """Answer those who want committed offsets of *assignment*, until it ends."""
        if self._committed_task is not None and not self._committed_task.done():
            if self._committed_of is assignment:
                return
            self._committed_task.cancel()
        self._committed_of = assignment
        task = self._committed_task = self._supervisor.spawn(
            self._commit_refresh_routine(assignment),
            name="committed offsets",
            on_crash=self._committed_crashed,
        )
        assignment.unassign_future.add_done_callback(lambda _: task.cancel())

    def _committed_crashed(self, error: BaseException) -> None:
        failure = KafkaError(f"Reading committed offsets crashed: {error!r}")
        failure.__cause__ = error
        self._fail(failure)

    async def _commit_refresh_routine(self, assignment: Assignment) -> None:
        failures = 0
        while assignment.active:
            await assignment.commit_refresh_needed.wait()
            assignment.commit_refresh_needed.clear()
            try:
                await self.ensure_coordinator_known()
                done = await self._maybe_refresh_commit_offsets(assignment)
            except KafkaError as error:
                if self._closing.done():
                    return
                self._fail(error)
                return
            if done:
                failures = 0
                continue
            assignment.commit_refresh_needed.set()
            await pause(self._backoff.delay(failures, self._client._rng))
            failures += 1

    async def _maybe_refresh_commit_offsets(self, assignment: Assignment) -> bool:
        """Answer those who wait for committed offsets; False: try again.

        Raises:
            KafkaError: an error that another attempt cannot mend.
        """
        partitions = assignment.requesting_committed()
        if not partitions:
            return True
        try:
            committed = await self._do_fetch_commit_offsets(partitions)
        except KafkaError as error:
            if not action_for(error).retriable:
                raise
            self._trouble("OffsetFetch", error)
            return False
        for tp in partitions:
            state = assignment.state_value(tp)
            # A coordinator that has not heard of a topic yet does not know that nothing is
            # committed: taken for that, it would cost the position.
            if state is not None and tp not in self._unknown:
                state.update_committed(committed.get(tp) or CommittedPosition(UNKNOWN_OFFSET, ""))
        return self._unknown.isdisjoint(partitions)
