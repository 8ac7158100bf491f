"""Looking offsets up with ListOffsets: by time, or the ends of a partition.

:class:`OffsetLookup` asks the leaders of all partitions at the same time.  A failure of one
partition does not hold up the others: what was found is kept, and the rest is asked for again
until the deadline.

Runs one supervised task for each node that is asked in a round, and one for each topic whose
metadata has to come first; the round owns them and ends them when it is cancelled.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from aiokafka import errors as Errors
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._retry import Backoff, action_for, pause
from aiokafka._tasks import Supervisor
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.protocol.offset import OffsetRequest, list_offsets_results
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

#: By topic: ``(partition, timestamp)``.
TopicData: TypeAlias = Mapping[str, list[tuple[int, int]]]
#: Asks one node.
AskNode: TypeAlias = Callable[[int, TopicData], Awaitable[Mapping[TopicPartition, Any]]]

UNKNOWN_OFFSET = -1
# Seconds that a round waits for the metadata of a topic, so that other partitions are asked for
# again meanwhile.
_TOPIC_WAIT = 1.0


class OffsetsFound(dict[TopicPartition, tuple[int, int | None]]):
    """Offset and timestamp by partition; offset -1 where there is no such record.

    Attributes:
        epochs: leader epochs of what was found, -1 when unknown.
        errors: why the other partitions are missing.
        learned: has the metadata of a topic come meanwhile, so that it can be asked for now?
    """

    def __init__(self) -> None:
        super().__init__()
        self.epochs: dict[TopicPartition, int] = {}
        self.errors: dict[TopicPartition, BaseException] = {}
        self.learned = False


def group_by_topic(timestamps: Mapping[TopicPartition, int]) -> dict[str, list[tuple[int, int]]]:
    """The partitions of *timestamps* as :data:`TopicData`."""
    topics: dict[str, list[tuple[int, int]]] = {}
    for tp, timestamp in timestamps.items():
        topics.setdefault(tp.topic, []).append((tp.partition, timestamp))
    return topics


class OffsetLookup:
    """Asks for offsets.

    Parameters:
        client: to ask through.
        isolation_level: whether the end of a partition is its last stable offset.
        patience: seconds that a round waits for a silent node; then its partitions are asked for
            again, where their leaders are by then.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        *,
        isolation_level: int,
        backoff: Backoff,
        rng: random.Random,
        supervisor: Supervisor,
        patience: float,
    ) -> None:
        self._client = client
        self._isolation_level = isolation_level
        self._backoff = backoff
        self._rng = rng
        self._supervisor = supervisor
        self._patience = patience

    # One node

    async def ask(self, node_id: int, topic_data: TopicData) -> OffsetsFound:
        """Ask one node once.

        Raises:
            KafkaError: the node could not be asked, or it has answered with an error and
                nothing else.
        """
        topics = [
            (topic, [self._row(topic, *row) for row in rows]) for topic, rows in topic_data.items()
        ]
        request = OffsetRequest(-1, self._isolation_level, topics)
        response = await self._client.send(node_id, request)
        found = OffsetsFound()
        for result in list_offsets_results(response):
            tp = TopicPartition(result.topic, result.partition)
            error = Errors.for_code(result.error_code)
            if error is Errors.NoError or error is Errors.UnsupportedForMessageFormatError:
                # The latter: records of an old format have no timestamps.
                nothing = error is not Errors.NoError or result.offset < 0
                timestamp = result.timestamp if result.timestamp >= 0 else None
                found[tp] = (UNKNOWN_OFFSET, None) if nothing else (result.offset, timestamp)
                found.epochs[tp] = result.leader_epoch
            elif error is Errors.TopicAuthorizationFailedError:
                found.errors[tp] = error(tp.topic)
            else:
                found.errors[tp] = error(tp)
        self._refresh(found.errors)
        if not found and len(found.errors) == 1:
            raise next(iter(found.errors.values()))
        return found

    def _row(self, topic: str, partition: int, timestamp: int) -> tuple[int, ...]:
        epoch = self._client.cluster.leader_epoch(TopicPartition(topic, partition))
        return (partition, timestamp) if epoch < 0 else (partition, timestamp, epoch)

    def _refresh(self, errors: Mapping[TopicPartition, BaseException]) -> None:
        moved = {
            tp.topic: error
            for tp, error in errors.items()
            if isinstance(error, (KafkaError)) and error.retriable
        }
        if moved:
            self._client.request_metadata(
                f"offsets of {sorted(moved)} could not be looked up:"
                f" {next(iter(moved.values()))!r}",
                tuple(moved),
            )

    # All leaders

    async def round(self, timestamps: Mapping[TopicPartition, int], ask: AskNode) -> OffsetsFound:
        """Ask all leaders once, at the same time.

        Returns:
            What was found, and the errors of the rest.
        """
        found = OffsetsFound()
        by_node: dict[int, dict[TopicPartition, int]] = {}
        unknown: dict[str, list[TopicPartition]] = {}
        for tp, timestamp in timestamps.items():
            leader = self._client.cluster.leader_for_partition(tp)
            if leader is None:
                unknown.setdefault(tp.topic, []).append(tp)
            elif leader == -1:
                found.errors[tp] = Errors.LeaderNotAvailableError(tp)
            else:
                by_node.setdefault(leader, {})[tp] = timestamp
        self._refresh(found.errors)
        parts: list[tuple[Coroutine[Any, Any, None], Iterable[TopicPartition]]] = [
            *((self._ask_leader(node, tps, ask, found), tps) for node, tps in by_node.items()),
            *((self._learn_of(topic, tps, found), tps) for topic, tps in unknown.items()),
        ]
        if parts:
            await self._together(parts, found)
        return found

    async def _ask_leader(
        self,
        node_id: int,
        timestamps: Mapping[TopicPartition, int],
        ask: AskNode,
        found: OffsetsFound,
    ) -> None:
        try:
            answer = await ask(node_id, group_by_topic(timestamps))
        except Exception as error:
            # Everybody else's offsets are still wanted.
            answer = {}
            found.errors.update(dict.fromkeys(timestamps, error))
            if action_for(error).retriable:
                self._refresh(found.errors)
        found.update(answer)
        found.errors.update(getattr(answer, "errors", {}))
        found.epochs.update(getattr(answer, "epochs", {}))

    async def _learn_of(
        self, topic: str, tps: Iterable[TopicPartition], found: OffsetsFound
    ) -> None:
        """Wait until the partitions of a topic are known; they are asked for in the next round."""
        last = max(tps, key=lambda tp: tp.partition)
        try:
            await self._client._wait_on_partition(
                topic, last.partition, Deadline.after(_TOPIC_WAIT)
            )
        except Exception as error:
            found.errors.update(dict.fromkeys(tps, error))
        else:
            found.learned = True

    async def _together(
        self,
        parts: list[tuple[Coroutine[Any, Any, None], Iterable[TopicPartition]]],
        found: OffsetsFound,
    ) -> None:
        tasks = {self._supervisor.spawn(part, name="look up offsets"): tps for part, tps in parts}
        try:
            _, silent = await asyncio.wait(tasks, timeout=self._patience)
        finally:
            for task in tasks:
                task.cancel()
        for task in silent:
            waited = as_milliseconds(self._patience)
            late = Errors.RequestTimedOutError(f"no answer within {waited} ms")
            found.errors.update(dict.fromkeys(tasks[task], late))
        if silent:
            self._refresh(found.errors)

    # Until all are found

    async def until(
        self,
        timestamps: Mapping[TopicPartition, int],
        deadline: Deadline,
        attempt: Callable[[Mapping[TopicPartition, int]], Awaitable[Mapping[TopicPartition, Any]]],
    ) -> dict[TopicPartition, tuple[int, int | None]]:
        """Run ``attempt`` for what is missing until nothing is.

        Raises:
            KafkaTimeoutError: *deadline* passed; names the partitions that are missing, and has
                the last error as ``__cause__``.
            KafkaError: an error that waiting cannot mend.
        """
        found: dict[TopicPartition, tuple[int, int | None]] = {}
        last: BaseException | None = None
        tries = 0
        while True:
            missing = {tp: when for tp, when in timestamps.items() if tp not in found}
            if not missing:
                return found
            try:
                answer = await deadline.run(attempt(missing), what="Looking offsets up")
            except Exception as error:
                if isinstance(error, KafkaTimeoutError) and deadline.expired:
                    raise self._late(missing, deadline, tries + 1, last or error) from (
                        last or error
                    )
                if not _passes(error):
                    raise
                answer, last = {}, error
            found.update(answer)
            for reason in getattr(answer, "errors", {}).values():
                if not _passes(reason):
                    raise reason
                last = reason
            if len(found) >= len(timestamps) or getattr(answer, "learned", False):
                continue
            delay = self._backoff.delay(tries, self._rng)
            tries += 1
            if delay >= deadline.remaining():
                left = [tp for tp in missing if tp not in found]
                raise self._late(left, deadline, tries, last) from last
            await pause(delay)

    def _late(
        self,
        missing: Iterable[TopicPartition],
        deadline: Deadline,
        tries: int,
        last: BaseException | None,
    ) -> KafkaTimeoutError:
        names = ", ".join(sorted(f"{tp.topic}-{tp.partition}" for tp in missing))
        return KafkaTimeoutError(
            f"No offsets of {names} within {as_milliseconds(deadline.budget)} ms: {tries}"
            f" attempt(s) in {as_milliseconds(deadline.elapsed())} ms, last error: {last!r}"
        )


def _passes(error: BaseException) -> bool:
    """May the same lookup succeed later?  The wait for metadata is cut into slices here, so its
    timeouts are nothing final."""
    return isinstance(error, KafkaTimeoutError) or action_for(error).retriable
