"""Committing offsets: what the application asks for, and what is committed by itself.

Runs no task: the application's calls and the coordination task wait here.

Page: https://kafka.apache.org/protocol#The_Messages_OffsetCommit
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._retry import Action, action_for, retry
from aiokafka.consumer._assignment import Committable
from aiokafka.consumer._group_states import (
    AWAITED,
    REBALANCING,
    UNKNOWN_GENERATION,
    MemberState,
)
from aiokafka.consumer._membership import Membership
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import BrokerResponseError, CommitFailedError, KafkaError, KafkaTimeoutError
from aiokafka.protocol.commit import OffsetCommitRequest, commit_results
from aiokafka.structs import TopicPartition

log = logging.getLogger("aiokafka.consumer.group_coordinator")

#: Offsets to commit: ``(offset, metadata)``, or with the leader epoch as a third item.
Offsets = Mapping[TopicPartition, tuple[Any, ...]]

# Of the rebalance timeout, for the commit before partitions are given up: the coordinator waits
# no longer than all of it for us to join again.
_SHARE_OF_REBALANCE = 1 / 3


class RebalancedCommitError(CommitFailedError):
    """A commit that may succeed when the rebalance under way has ended.

    Callers see :class:`~aiokafka.errors.CommitFailedError`.
    """


class Committing(Membership):
    """The part of the group coordinator that commits offsets."""

    _commit_lock: asyncio.Lock
    _next_autocommit_deadline: float

    async def commit_offsets(self, assignment: Assignment, offsets: Offsets) -> None:
        """Commit *offsets*; tries again until it succeeds or ``default_api_timeout_ms`` is over.

        Under the cooperative protocol (KIP-429), a commit that meets a rebalance waits for its
        end and is repeated if all its partitions are still assigned.

        Parameters:
            assignment: what the offsets belong to.
            offsets: offsets by partition.

        Raises:
            CommitFailedError: the group has given partitions to other members.
            GroupAuthorizationFailedError, TopicAuthorizationFailedError: not permitted.
            OffsetMetadataTooLargeError, InvalidCommitOffsetSizeError: too large.
            FencedInstanceIdError: another consumer has this one's ``group_instance_id``.
            KafkaTimeoutError: the time is over; the last error is its ``__cause__``.
            KafkaError: an error that another attempt cannot mend.
        """
        if not offsets:
            return
        deadline = Deadline.after(self._default_api_timeout)
        began_as = self.generation, self.member_id
        rebalanced = False

        async def attempt(_: int) -> None:
            self._check_alive()
            if rebalanced:
                await deadline.run(self._rebalance_over(), what="The rebalance")
            if began_as != (self.generation, self.member_id):
                self._check_owned(offsets, began_as[1])
            await self.ensure_coordinator_known()
            async with self._commit_lock:
                await self._do_commit_offsets(assignment, offsets)

        def decide(error: BaseException) -> Action:
            nonlocal rebalanced
            rebalanced = isinstance(error, RebalancedCommitError)
            return Action.RETRY if rebalanced else action_for(error)

        try:
            await retry(
                attempt,
                what=f"Committing offsets of group {self.group_id!r}",
                backoff=self._backoff,
                deadline=deadline,
                rng=self._client._rng,
                decide=decide,
                on_retry=self._commit_failed,
            )
        except KafkaTimeoutError as error:
            if isinstance(error.__cause__, RebalancedCommitError):
                raise self._commit_error(
                    "the rebalance did not end within"
                    f" default_api_timeout_ms={as_milliseconds(self._default_api_timeout)}"
                ) from error
            raise

    def _commit_failed(self, error: BaseException, _: Action, __: float) -> None:
        self._trouble("OffsetCommit", error)

    def _commit_error(
        self, cause: str, error_type: type[CommitFailedError] = CommitFailedError
    ) -> CommitFailedError:
        return error_type(
            f"Group {self.group_id!r} has already rebalanced: {cause}"
            f" (max_poll_interval_ms={self._max_poll_interval_ms})"
        )

    def _check_owned(self, offsets: Offsets, member_id: str) -> None:
        """Raises CommitFailedError: others have, or may have had, the partitions meanwhile."""
        if not self._subscription.partitions_auto_assigned():
            return
        if member_id and member_id != self.member_id:
            raise self._commit_error("the group had removed this consumer")
        foreign = sorted(set(offsets).difference(self._subscription.assigned_partitions()))
        if foreign:
            raise self._commit_error(f"{foreign} are not assigned to this consumer any more")

    # One request

    async def _do_commit_offsets(self, assignment: Assignment, offsets: Offsets) -> None:
        """Ask once to commit.

        Raises:
            KafkaError: the class says whether to ask again.
        """
        if not offsets:
            return
        generation, member_id = self.generation, self.member_id
        member = generation != UNKNOWN_GENERATION
        if self._state is MemberState.STALE:
            raise self._commit_error("the consumer has not polled in time and has left the group")
        if not member and self._state in _BELONGING:
            # Committed without generation, they would be taken for those of a consumer that
            # needs no membership: also when nobody is in the group any more, who may have
            # committed later offsets.
            raise self._commit_error("this consumer is no member of the group at the moment")
        topic_ids = self._topic_ids(offsets)
        request = OffsetCommitRequest(
            self.group_id,
            generation,
            member_id,
            OffsetCommitRequest.DEFAULT_RETENTION_TIME,
            _rows(assignment, offsets),
            group_instance_id=self._group_instance_id if member else None,
            topic_ids=topic_ids,
        )
        response = await self._send_req(request)
        names = {topic_id: topic for topic, topic_id in topic_ids.items()}
        denied: set[str] = set()
        for topic, partition, code in commit_results(response, names):
            error_type = Errors.for_code(code)
            if error_type is Errors.NoError:
                continue
            if error_type is Errors.TopicAuthorizationFailedError:
                denied.add(topic)
                continue
            tp = TopicPartition(topic, partition)
            raise self._commit_refused(error_type, tp, (generation, member_id))
        if denied:
            raise Errors.TopicAuthorizationFailedError(denied)
        self._well("OffsetCommit")
        self._well("Auto-commit")
        self._last_commit_at = self._loop.time()
        for tp, committed in offsets.items():
            state = assignment.state_value(tp)
            if state is not None:
                state.committed = committed[0]
        log.debug("Committed offsets of group %s: %s", self.group_id, offsets)

    def _commit_refused(
        self,
        error_type: type[BrokerResponseError],
        tp: TopicPartition,
        sent_as: tuple[int, str],
    ) -> KafkaError:
        """The error to raise for a code in the answer, after acting on it."""
        if error_type is Errors.GroupAuthorizationFailedError:
            return error_type(self.group_id)
        if error_type is Errors.FencedInstanceIdError:
            fenced = self._fenced_error()
            self._fail(fenced)
            return fenced
        if error_type in _REBALANCED:
            return self._commit_too_late(error_type, sent_as)
        error = error_type(f"{tp} of group {self.group_id!r}")
        if error.coordinator_gone or error_type is Errors.RequestTimedOutError:
            self.coordinator_dead()
        elif error_type is Errors.UnknownTopicOrPartitionError:
            # A topic that is gone does not come back by waiting for it.
            failure = KafkaError(f"{tp} does not exist; its offset was not committed")
            failure.__cause__ = error
            return failure
        elif error.invalid_metadata:
            self._client.request_metadata(f"OffsetCommit: {error!r}", [tp.topic])
        return error

    def _commit_too_late(
        self, error_type: type[BrokerResponseError], sent_as: tuple[int, str]
    ) -> CommitFailedError:
        """The group has rebalanced, or does so, or has removed this member."""
        cause = f"{error_type.message}, {error_type.description}"
        current = sent_as == (self.generation, self.member_id)
        if error_type is Errors.RebalanceInProgressError:
            # While it joins already, asking for it would make the group rebalance once more.
            if self._state not in AWAITED:
                self.request_rejoin("a commit has met a rebalance")
        elif current:
            self.reset_generation(
                f"a commit failed: {error_type.message}",
                keep_member_id=error_type is Errors.IllegalGenerationError,
            )
        may_wait = self._cooperative and self._state not in _CALLING
        passing = error_type is Errors.RebalanceInProgressError or (
            not current and self.generation != UNKNOWN_GENERATION
        )
        return self._commit_error(
            cause, RebalancedCommitError if may_wait and passing else CommitFailedError
        )

    # By itself

    def _to_commit(self, assignment: Assignment, *, closing: bool) -> Offsets:
        """What may be committed without having been asked for."""
        if not self._enable_auto_offset_store:
            return assignment.stored()
        return assignment.consumed() if closing else assignment.given_back()

    async def _maybe_do_autocommit(self, assignment: Assignment) -> float | None:
        """Commit if it is due.

        Returns:
            Seconds until it is due again; None if nothing is ever committed by itself.
        """
        if not self._enable_auto_commit:
            return None
        now = self._loop.time()
        interval = self._auto_commit_interval_ms / 1000
        backoff = min(interval, self._retry_backoff_ms / 1000)
        if now >= self._next_autocommit_deadline:
            delay = interval
            try:
                # A rebalance must not have to wait until a silent coordinator is given up.
                await Deadline.after(self._autocommit_budget()).run(
                    self._commit_given_back(assignment), what="The automatic commit"
                )
            except KafkaError as error:
                self._trouble("Auto-commit", error)
                if action_for(error).retriable:
                    delay = backoff
            self._next_autocommit_deadline = self._loop.time() + delay
        return max(0.0, self._next_autocommit_deadline - self._loop.time())

    async def _commit_given_back(self, assignment: Assignment) -> None:
        async with self._commit_lock:
            offsets = self._to_commit(assignment, closing=False)
            await self._do_commit_offsets(assignment, offsets)

    def _autocommit_budget(self) -> float:
        """Seconds that a commit nobody asked for may keep the group waiting."""
        share = self._rebalance_timeout_ms / 1000 * _SHARE_OF_REBALANCE
        return min(self._default_api_timeout, share)

    async def _maybe_do_last_autocommit(self, assignment: Assignment) -> None:
        """Commit before the assignment is given up; never raises a Kafka error.

        When closing the application is done with everything it was given, else with what
        came before its last records.
        """
        if not self._enable_auto_commit:
            return
        closing = self._closing.done()
        offsets = self._to_commit(assignment, closing=closing)
        budget = self._default_api_timeout if closing else self._autocommit_budget()
        try:
            await Deadline.after(budget).run(
                self.commit_offsets(assignment, offsets), what="The last commit"
            )
        except KafkaError as error:
            self._trouble("Auto-commit", error, "records may be read again by others")


#: States in which the listener may be waiting for the commit: it cannot wait for the rebalance.
_CALLING = REBALANCING - AWAITED

#: States of those who are members, or would be if the group had not removed them.
_BELONGING = REBALANCING | {MemberState.STABLE}

_REBALANCED = frozenset(
    {
        Errors.RebalanceInProgressError,
        Errors.IllegalGenerationError,
        Errors.UnknownMemberIdError,
    }
)


def _rows(assignment: Assignment, offsets: Offsets) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """The offsets as the request has them, with the leader epoch where it is known."""
    topics: dict[str, list[tuple[Any, ...]]] = {}
    for tp, committed in offsets.items():
        offset, metadata = committed[0], committed[1]
        if isinstance(committed, Committable):
            epoch = committed.leader_epoch
        else:
            state = assignment.state_value(tp)
            epoch = -1
            if state is not None and state.position == offset:
                epoch = state.position_epoch
        topics.setdefault(tp.topic, []).append((tp.partition, offset, metadata, epoch))
    return list(topics.items())
