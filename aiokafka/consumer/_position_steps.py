"""The fetcher's requests about positions: looking them up, and validating them.

Runs one supervised task for each node that is asked, so that a slow one holds up no other
partition; see :mod:`aiokafka.consumer._offset_lookup` for the calls of the application.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline
from aiokafka._retry import action_for
from aiokafka._tasks import Supervisor
from aiokafka.consumer import _validation
from aiokafka.consumer._assignment import Assignment, TopicPartitionState
from aiokafka.consumer._fetch_buffer import FetchBuffer
from aiokafka.consumer._fetch_plan import Planner
from aiokafka.consumer._fetch_progress import Inquiry, PartitionProgress, Progress
from aiokafka.consumer._fetch_response import as_error
from aiokafka.consumer._fetch_steps import as_kafka_error
from aiokafka.consumer._offset_lookup import (
    UNKNOWN_OFFSET,
    OffsetLookup,
    OffsetsFound,
    TopicData,
    group_by_topic,
)
from aiokafka.consumer._positions import OffsetResetStrategy, ResetPolicy
from aiokafka.consumer._silence import SilenceWatch
from aiokafka.consumer._validation import EpochEnd, ReadSoFar
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndTimestamp, TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

log = logging.getLogger("aiokafka.consumer.fetcher")


class PositionSteps:
    """The methods of a :class:`~aiokafka.consumer.fetcher.Fetcher` that are about offsets."""

    _buffer: FetchBuffer
    _client: AIOKafkaClient
    _default_api_timeout: float
    _default_reset_strategy: int
    _loop: asyncio.AbstractEventLoop
    _lookup: OffsetLookup
    _planner: Planner
    _progress: Progress
    _reset_policy: ResetPolicy
    _silence: SilenceWatch
    _supervisor: Supervisor

    if TYPE_CHECKING:

        def _crashed(self, error: BaseException) -> None: ...
        def _put_error(self, tp: TopicPartition, state: Any, error: KafkaError) -> None: ...
        def _wake(self) -> None: ...

    # Positions of assigned partitions

    def _start_lookup(
        self, assignment: Assignment, node_id: int, tps: Iterable[TopicPartition]
    ) -> None:
        """Have the positions of *tps* looked up at *node_id*."""
        inquiry = Inquiry(node_id, self._loop.time())
        mine = [progress for tp in tps if (progress := self._progress.get(tp)) is not None]
        for progress in mine:
            progress.lookup = inquiry
        task = self._supervisor.spawn(
            self._update_fetch_positions(assignment, node_id, tps),
            name=f"look up positions at node {node_id}",
            on_crash=self._crashed,
        )

        def ended(_: Any) -> None:
            for progress in mine:
                if progress.lookup is inquiry:
                    progress.lookup = None
            self._wake()

        task.add_done_callback(ended)

    async def _update_fetch_positions(
        self, assignment: Assignment, node_id: int, tps: Iterable[TopicPartition]
    ) -> bool:
        """Look up the positions of *tps* by their reset strategies.

        Returns:
            True when one was found.
        """
        versions: dict[TopicPartition, tuple[TopicPartitionState, int]] = {}
        timestamps: dict[TopicPartition, int] = {}
        for tp in tps:
            state = assignment.state_value(tp)
            if state is not None and state.reset_strategy is not None:
                versions[tp] = state, state.version
                timestamps[tp] = self._reset_policy.timestamp(state.reset_strategy)
        if not timestamps:
            return False
        found: Mapping[TopicPartition, tuple[int, int | None]] = {}
        errors: dict[TopicPartition, BaseException] = {}
        try:
            with self._silence.over(node_id, "a look-up of offsets"):
                found = await self._proc_offset_request(node_id, group_by_topic(timestamps))
        except (KafkaError, NotImplementedError) as failure:
            error = as_kafka_error(failure)
            errors.update(dict.fromkeys(timestamps, error))
            if action_for(error).retriable:
                self._client.request_metadata(f"no positions from node {node_id}: {error!r}")
        errors.update(getattr(found, "errors", {}))
        epochs: Mapping[TopicPartition, int] = getattr(found, "epochs", {})
        any_found = False
        if not assignment.active:
            return False  # given up meanwhile
        for tp, (state, version) in versions.items():
            if assignment.state_value(tp) is not state or state.version != version:
                continue  # sought or taken away meanwhile
            if tp in found:
                self._position_found(tp, state, found[tp][0], epochs.get(tp, -1))
                any_found = True
            else:
                missing = Errors.KafkaProtocolError(f"node {node_id} did not answer about {tp}")
                self._position_missing(tp, state, errors.get(tp, missing))
        return any_found

    def _position_found(
        self, tp: TopicPartition, state: TopicPartitionState, offset: int, epoch: int
    ) -> None:
        strategy = state.reset_strategy
        if offset == UNKNOWN_OFFSET:
            # No record is as new as that.
            log.debug("No offset of %s for %s, starting at the end", tp, strategy)
            state.await_reset(OffsetResetStrategy.LATEST)
            return
        log.debug("Starting %s at offset %d", tp, offset)
        leader_epoch = self._client.cluster.leader_epoch(tp)
        state.reset_to(offset, epoch)
        # It comes from the present leader.
        self._progress.of(tp, state).validated_epoch = leader_epoch

    def _position_missing(
        self, tp: TopicPartition, state: TopicPartitionState, error: BaseException
    ) -> None:
        progress = self._progress.of(tp, state)
        if action_for(error).retriable:
            log.log(
                logging.INFO if progress.is_news(type(error), self._loop) else logging.DEBUG,
                "The position of %s could not be looked up: %r; trying again",
                tp,
                error,
            )
            self._planner.failed(progress, error)
        elif isinstance(error, KafkaError):
            self._put_error(tp, state, error)

    # Positions that may have been cut off (KIP-320)

    def _start_validation(
        self, assignment: Assignment, node_id: int, tps: Iterable[TopicPartition]
    ) -> None:
        """Ask *node_id* whether what was read of *tps* is in its log."""
        inquiry = Inquiry(node_id, self._loop.time())
        mine: dict[TopicPartition, tuple[PartitionProgress, ReadSoFar]] = {}
        for tp in tps:
            progress = self._progress.get(tp)
            if progress is None:
                continue
            offset = self._progress.fetch_position(tp, progress.state)
            if offset is None:
                continue
            block = self._buffer.last(tp)
            epoch = progress.state.position_epoch if block is None else block.leader_epoch
            progress.validation = inquiry
            mine[tp] = (
                progress,
                ReadSoFar(offset, epoch, self._client.cluster.leader_epoch(tp)),
            )
        task = self._supervisor.spawn(
            self._validate(assignment, node_id, mine),
            name=f"validate positions at node {node_id}",
            on_crash=self._crashed,
        )

        def ended(_: Any) -> None:
            for progress, _read in mine.values():
                if progress.validation is inquiry:
                    progress.validation = None
            self._wake()

        task.add_done_callback(ended)

    async def _validate(
        self,
        assignment: Assignment,
        node_id: int,
        mine: Mapping[TopicPartition, tuple[PartitionProgress, ReadSoFar]],
    ) -> None:
        versions = {tp: progress.version for tp, (progress, _) in mine.items()}
        read = {tp: far for tp, (_, far) in mine.items()}
        answers: Mapping[TopicPartition, EpochEnd] = {}
        failure: BaseException = Errors.KafkaProtocolError(f"node {node_id} left it out")
        try:
            with self._silence.over(node_id, "about leader epochs"):
                answers = await _validation.ask(self._client, node_id, read)
        except (KafkaError, NotImplementedError) as error:
            failure = error
            if action_for(error).retriable:
                self._client.request_metadata(f"no leader epochs from node {node_id}: {error!r}")
        if not assignment.active:
            return  # given up meanwhile
        for tp, (progress, far) in mine.items():
            state = progress.state
            if assignment.state_value(tp) is not state or state.version != versions[tp]:
                continue
            answer = answers.get(tp)
            reason = failure if answer is None else answer.error(tp)
            if answer is not None and answer.error is Errors.NoError:
                progress.validated_epoch = far.leader_epoch
                if answer.diverging is not None:
                    self._diverged(tp, state, far, answer)
            elif action_for(reason).retriable:
                self._not_validated(tp, progress, reason)
            elif isinstance(reason, Errors.TopicAuthorizationFailedError):
                self._put_error(tp, state, as_error(type(reason), *tp))
            else:
                # A broker that is too old, or does not let us ask.
                log.debug("The position of %s cannot be validated: %r", tp, reason)
                progress.validated_epoch = far.leader_epoch

    def _not_validated(
        self, tp: TopicPartition, progress: PartitionProgress, error: BaseException
    ) -> None:
        self._planner.failed(progress, error)
        if isinstance(error, KafkaError) and (
            error.invalid_metadata or isinstance(error, Errors.FencedLeaderEpochError)
        ):
            self._client.request_metadata(
                f"the position of {tp} was not validated: {error!r}", (tp.topic,)
            )

    def _diverged(
        self, tp: TopicPartition, state: TopicPartitionState, far: ReadSoFar, answer: EpochEnd
    ) -> None:
        """The log was cut off before what was fetched, maybe even before what was given out."""
        position, diverging = state.position, answer.diverging
        assert position is not None and diverging is not None
        if self._buffer.last(tp) is not None and diverging >= position:
            # Nobody has seen anything of it.
            log.info("What was fetched of %s from %d on is not in the log any more", tp, diverging)
            self._buffer.drop(tp)
            return
        self._buffer.drop(tp)
        error = Errors.LogTruncationError(
            {tp: position}, {tp: diverging} if diverging >= 0 else {}
        )
        if self._default_reset_strategy == OffsetResetStrategy.NONE:
            log.warning(
                "%s was read up to %d, but its log differs from %d on", tp, position, diverging
            )
            # Asked again if the application goes on without seeking.
            self._progress.of(tp, state).validated_epoch = -1
            self._put_error(tp, state, error)
        elif diverging >= 0:
            log.warning(
                "%s was read up to %d, but its log differs from %d on; going on there",
                tp,
                position,
                diverging,
            )
            state.reset_to(diverging, answer.epoch)
            self._progress.of(tp, state).validated_epoch = far.leader_epoch
        else:
            log.warning("What was read of %s up to %d is not in its log any more", tp, position)
            state.await_reset(self._default_reset_strategy)

    # Look-ups for the application

    async def get_offsets_by_times(
        self, timestamps: Mapping[TopicPartition, int], timeout_ms: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first record of each partition that is not older than a time.

        Parameters:
            timestamps: milliseconds since the epoch.
            timeout_ms: for everything together; None: ``default_api_timeout``.

        Raises:
            KafkaTimeoutError: *timeout_ms* passed.
            KafkaError: an error that waiting cannot mend.
        """
        found = await self._retrieve_offsets(timestamps, timeout_ms)
        return {
            tp: None
            if tp not in found or found[tp][0] == UNKNOWN_OFFSET
            else OffsetAndTimestamp(*found[tp])
            for tp in timestamps
        }

    async def beginning_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """The first offset in each partition's log; as :meth:`get_offsets_by_times`."""
        return await self._ends(partitions, OffsetResetStrategy.EARLIEST, timeout_ms)

    async def end_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """The offset after the last record that may be read; as
        :meth:`get_offsets_by_times`."""
        return await self._ends(partitions, OffsetResetStrategy.LATEST, timeout_ms)

    async def _ends(
        self, partitions: Iterable[TopicPartition], strategy: int, timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        wanted = dict.fromkeys(partitions, strategy)
        found = await self._retrieve_offsets(wanted, timeout_ms)
        return {tp: found[tp][0] for tp in wanted}

    async def _retrieve_offsets(
        self, timestamps: Mapping[TopicPartition, int], timeout_ms: float | None = None
    ) -> dict[TopicPartition, tuple[int, int | None]]:
        if not timestamps:
            return {}
        timeout = self._default_api_timeout if timeout_ms is None else timeout_ms / 1000
        return await self._lookup.until(
            timestamps, Deadline.after(timeout), self._proc_offset_requests
        )

    async def _proc_offset_requests(
        self, timestamps: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, tuple[int, int | None]]:
        """Ask all leaders once; what could not be found is missing."""
        return await self._lookup.round(timestamps, self._proc_offset_request)

    async def _proc_offset_request(self, node_id: int, topic_data: TopicData) -> OffsetsFound:
        """Ask one leader once.

        Raises:
            KafkaError: nothing was found.
        """
        return await self._lookup.ask(node_id, topic_data)
