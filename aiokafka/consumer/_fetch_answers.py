"""Taking the answer to a Fetch request: into the buffer, the partitions' states and what is known
of leaders.

An answer is taken for a partition only while it is still what was asked for: the partition is
assigned, nobody else has been asked since, and the position has not moved.  Everything else
is dropped, so that a late answer does no harm.

Runs no task; what blocks are made of is decided by the fetcher.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka.consumer._assignment import Assignment, TopicPartitionState
from aiokafka.consumer._fetch_buffer import Block, FetchBuffer
from aiokafka.consumer._fetch_plan import FetchInquiry, Planner
from aiokafka.consumer._fetch_progress import PartitionProgress, Progress
from aiokafka.consumer._fetch_response import FetchAnswer, Verdict, as_error, judge
from aiokafka.consumer._positions import Positions
from aiokafka.consumer._results import FetchResult
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchPartitionResult
from aiokafka.record.blocks import scan
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

log = logging.getLogger("aiokafka.consumer.fetcher")

# From this version on the first batch comes whole even if it is larger than what was asked for.
_FIRST_WITH_WHOLE_BATCHES = 3

#: Makes the result of a block: partition, assignment, the bytes, aborted transactions, and the
#: offset asked for; None when the block has no whole batch.
MakeResult = Callable[
    [TopicPartition, Assignment, bytes, Any, int],
    "FetchResult | None",
]
#: Puts an error in the place of records: partition, state, error, offset to skip to or -1.
Fail = Callable[[TopicPartition, TopicPartitionState, KafkaError, int], None]


class AnswerTaker:
    """Takes answers.

    Parameters:
        update_replica: told of the replica a leader has named; True when it is another one.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        *,
        buffer: FetchBuffer,
        progress: Progress,
        planner: Planner,
        positions: Positions,
        make_result: MakeResult,
        fail: Fail,
        update_replica: Callable[[TopicPartition, int], bool],
        forget_follower: Callable[[TopicPartition, int], bool],
    ) -> None:
        self._client = client
        self._buffer = buffer
        self._progress = progress
        self._planner = planner
        self._positions = positions
        self._make_result = make_result
        self._fail = fail
        self._update_replica = update_replica
        self._forget_follower = forget_follower
        self._served = 0

    def take(
        self,
        answer: FetchAnswer,
        assignment: Assignment,
        node_id: int,
        asked: Mapping[TopicPartition, int],
        inquiry: FetchInquiry | None,
    ) -> bool:
        """Take *answer*.

        Parameters:
            asked: offset by partition.
            inquiry: the request, None when it was not planned here.

        Returns:
            True when there is something for the application.
        """
        timestamp = int(time.time() * 1000)
        now = self._client._loop.time()
        mentioned = {(result.topic, result.partition) for result in answer.results}
        if inquiry is not None:
            for tp in asked:
                progress = self._progress.get(tp)
                if progress is not None and progress.fetch is inquiry:
                    progress.last_fetch = now
                    progress.state.timestamp = timestamp
                    if progress.attempts and tp not in mentioned:
                        # A broker does not mention partitions of a session without news.
                        progress.succeeded()
        news = False
        for result in answer.results:
            tp = TopicPartition(result.topic, result.partition)
            state = assignment.state_value(tp)
            if state is None or not state.has_valid_position or tp not in asked:
                continue
            progress = self._progress.of(tp, state)
            if inquiry is not None and progress.fetch is not inquiry:
                log.debug("Ignoring a late answer of node %s about %s", node_id, tp)
                continue
            if self._progress.fetch_position(tp, state) != asked[tp]:
                log.debug("Ignoring an answer about %s at %d: moved on", tp, asked[tp])
                continue
            state.timestamp = timestamp
            news |= self._take_one(answer, result, assignment, node_id, tp, progress, asked[tp])
        return news

    def _take_one(
        self,
        answer: FetchAnswer,
        result: FetchPartitionResult,
        assignment: Assignment,
        node_id: int,
        tp: TopicPartition,
        progress: PartitionProgress,
        offset: int,
    ) -> bool:
        error = Errors.for_code(result.error_code)
        verdict = judge(error)
        if verdict is Verdict.DATA:
            return self._take_data(answer, result, assignment, tp, progress, offset)
        if verdict is Verdict.OUT_OF_RANGE:
            return self._out_of_range(tp, progress, node_id, offset)
        if verdict is Verdict.RAISE:
            self._fail(tp, progress.state, as_error(error, *tp), -1)
            return True
        self._report(error, tp, progress)
        if verdict is Verdict.LEADER:
            self._forget_follower(tp, node_id)
            hint = result.leader_id, result.leader_epoch, answer.endpoints.get(result.leader_id)
            if self._client.cluster.update_leader(tp, *hint):
                progress.last_error = error()
                return False
            self._client.request_metadata(
                f"fetching {tp.topic}-{tp.partition} from node {node_id} failed: {error.__name__}",
                (tp.topic,),
            )
        self._planner.failed(progress, error())
        return False

    def _report(
        self, error: type[KafkaError], tp: TopicPartition, progress: PartitionProgress
    ) -> None:
        level = logging.WARNING if progress.is_news(error, self._client._loop) else logging.DEBUG
        if error is Errors.UnknownTopicOrPartitionError:
            log.log(
                level,
                "Received unknown topic or partition error when fetching %s; it may have been"
                " deleted, or is being created",
                tp,
            )
        else:
            # Leaders move all the time.
            level = min(level, logging.INFO) if judge(error) is Verdict.LEADER else level
            log.log(level, "Fetching %s failed: %s; trying again", tp, error.__name__)

    def _take_data(
        self,
        answer: FetchAnswer,
        result: FetchPartitionResult,
        assignment: Assignment,
        tp: TopicPartition,
        progress: PartitionProgress,
        offset: int,
    ) -> bool:
        state = progress.state
        _note_ends(state, result)
        moved = result.preferred_read_replica >= 0 and self._update_replica(
            tp, result.preferred_read_replica
        )
        raw = result.records
        if not raw:
            if not moved:
                progress.succeeded()
            return False
        summary = scan(raw)
        if summary.batches and summary.next_offset <= offset:
            # No broker should; without a pause it would be asked again and again.
            stuck = Errors.CorruptRecordException(f"only records before {offset} in the answer")
            news = progress.is_news(type(stuck), self._client._loop)
            log.log(
                logging.WARNING if news else logging.DEBUG,
                "Fetching %s at %d has brought only records before that; trying again",
                tp,
                offset,
            )
            self._planner.failed(progress, stuck)
            return False
        try:
            entry = self._make_result(tp, assignment, raw, result.aborted_transactions, offset)
        except KafkaError as error:
            error.topic, error.partition, error.offset = (*tp, offset)  # type: ignore[attr-defined]
            self._fail(tp, state, error, -1)
            return True
        if entry is None:
            if answer.version < _FIRST_WITH_WHOLE_BATCHES:
                self._too_large(tp, state, offset)
            else:
                # Nothing says that the record cannot be read: it is not skipped.
                cut = Errors.CorruptRecordException("no whole record batch in the answer")
                cut.topic, cut.partition, cut.offset = (*tp, offset)
                self._fail(tp, state, cut, -1)
            return True
        progress.succeeded()
        self._served += 1
        progress.served = self._served
        block = Block(
            entry, len(raw), summary.next_offset, summary.leader_epoch, state=state,
            version=state.version,
        )  # fmt: skip
        self._buffer.put(tp, block)
        return True

    def _too_large(self, tp: TopicPartition, state: TopicPartitionState, offset: int) -> None:
        """Brokers before Fetch version 3 cut off a batch that does not fit."""
        error = Errors.RecordTooLargeError(
            f"The record of {tp.topic}-{tp.partition} at offset {offset} is larger than a fetch"
            " may be; raise max_partition_fetch_bytes to read it",
            {tp: offset},
        )
        error.topic, error.partition, error.offset = (*tp, offset)  # type: ignore[attr-defined]
        self._fail(tp, state, error, offset + 1)

    def _out_of_range(
        self, tp: TopicPartition, progress: PartitionProgress, node_id: int, offset: int
    ) -> bool:
        state = progress.state
        error = Errors.OffsetOutOfRangeError({tp: offset})
        if self._forget_follower(tp, node_id):
            # It lags behind, or has deleted already what the leader still has.
            log.debug("Node %s does not have %s at %d, back to its leader", node_id, tp, offset)
            return False
        if state.position != offset:
            # What was fetched before is still to be read; the position is not affected yet.
            self._planner.failed(progress, error)
            return False
        log.log(
            logging.WARNING
            if progress.is_news(type(error), self._client._loop)
            else logging.DEBUG,
            "Offset %d of %s is out of range at node %s",
            offset,
            tp,
            node_id,
        )
        if not self._positions.reset(tp, state, error):
            return True
        again = self._progress.of(tp, state)
        if again.attempts:
            self._planner.failed(again, error)
        else:
            again.failed(error, 0.0)
        return False


def _note_ends(state: TopicPartitionState, result: FetchPartitionResult) -> None:
    """Where the log begins and ends."""
    state.highwater = result.high_watermark
    if result.last_stable_offset != -1 or state.lso is None:
        state.lso = result.last_stable_offset
    if result.log_start_offset != -1:
        state.log_start_offset = result.log_start_offset
