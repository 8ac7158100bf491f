"""Waiting for a topic, or a partition of it, to be known: bounded, and clear when in vain.

The errors say what was waited for, how long, how many requests were tried and what came
last.  A timeout is logged once at warning for each topic until the topic arrives; in an
outage of ten minutes that is one line, not one for each ``send``.

Owns no task; the callers' waits are resolved by the
:class:`~aiokafka._client.metadata.MetadataRefresher`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import errors as Errors
from aiokafka._client.metadata import SHORTEST_PAUSE, MetadataRefresher
from aiokafka._client.metadata_round import RoundResult
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._retry import Backoff
from aiokafka.cluster import ClusterMetadata

log = logging.getLogger("aiokafka")

# Topic errors that asking again does not mend; they are raised after the first answer.
_FINAL = (Errors.TopicAuthorizationFailedError, Errors.InvalidTopicError)

# The last attempt begins at least this long before the deadline, in seconds.
_LAST_ATTEMPT = 0.05

# How long a timeout counts as "just seen" by the task that waited it out, in seconds.
_JUST_SEEN = 1.0


class TopicWaits:
    """Waits of one client.

    Parameters:
        attempts: how many Metadata requests have been sent so far.
        silence: an error naming the nodes that owe an answer, None if none does.
    """

    def __init__(
        self,
        cluster: Callable[[], ClusterMetadata],
        refresher: MetadataRefresher,
        *,
        attempts: Callable[[], int],
        silence: Callable[[], Errors.KafkaError | None],
        backoff: Backoff,
        rng: random.Random,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._cluster = cluster
        self._refresher = refresher
        self._attempts = attempts
        self._silence = silence
        self._backoff = backoff
        self._rng = rng
        self._loop = loop
        self._reported: set[str] = set()
        self._just_seen: weakref.WeakKeyDictionary[
            asyncio.Task[Any], tuple[str, float, Errors.MetadataTimeoutError]
        ] = weakref.WeakKeyDictionary()

    async def topic(self, topic: str, deadline: Deadline) -> set[int]:
        """The partitions of *topic*, as soon as they are known.

        Raises:
            MetadataTimeoutError: not known by *deadline*.
            TopicAuthorizationFailedError, InvalidTopicError: the brokers said so.
            KafkaError: see :meth:`MetadataRefresher.wait`.
        """
        partitions = self._cluster().partitions_for_topic(topic)
        if partitions is None:
            await self._until(
                topic, deadline, lambda: self._cluster().partition_count(topic) is not None
            )
            partitions = self._cluster().partitions_for_topic(topic)
        return partitions or set()

    async def partition(self, topic: str, partition: int, deadline: Deadline) -> None:
        """Wait until *topic* has partition number *partition*.

        Raises:
            MetadataTimeoutError: it has not by *deadline*.
            TopicAuthorizationFailedError, InvalidTopicError: the brokers said so.
        """
        await self.topic(topic, deadline)

        def listed() -> bool:
            # Not by the count: an answer may leave out a partition in between.
            return partition in (self._cluster().partitions_for_topic(topic) or ())

        if not listed():
            await self._until(topic, deadline, listed, partition)

    async def _until(
        self,
        topic: str,
        deadline: Deadline,
        known: Callable[[], bool],
        partition: int | None = None,
    ) -> None:
        attempts_before = self._attempts()
        asked_before = self._silence() is not None
        with self._refresher.interest_in(topic):
            while True:
                version = self._refresher.request(
                    f"waiting for topic {topic}", (topic,), when_due=True
                )
                try:
                    await self._refresher.wait(version, deadline)
                except Errors.KafkaTimeoutError as expiry:
                    # A request under way when this wait began serves it too.
                    attempts = self._attempts() - attempts_before + asked_before
                    raise self._timeout(topic, partition, deadline, attempts) from (
                        self._cause(topic) or expiry
                    )
                self._raise_final(topic)
                if known():
                    break
        if topic in self._reported:
            self._reported.discard(topic)
            log.info("Metadata of topic %s arrived", topic)

    async def all_topics(
        self,
        fetch: Callable[[Deadline], Awaitable[tuple[ClusterMetadata | None, RoundResult]]],
        deadline: Deadline,
    ) -> ClusterMetadata:
        """Repeat *fetch* with backoff until it brings metadata of the whole cluster.

        Parameters:
            fetch: one round; ends by the deadline it is given, with the reason when in vain.

        Raises:
            MetadataTimeoutError: *deadline* passed.
            KafkaError: an error that waiting cannot mend.
        """
        failed_rounds = attempts = 0
        while True:
            cluster, result = await fetch(deadline)
            attempts += result.attempts
            if cluster is not None:
                self._reported.discard("")
                return cluster
            if result.hopeless is not None:
                raise result.hopeless
            error = result.last_error
            remaining = deadline.remaining() - _LAST_ATTEMPT
            if remaining <= 0:
                break
            delay = self._backoff.delay(failed_rounds, self._rng)
            if result.askable_in is not None:
                delay = max(SHORTEST_PAUSE, min(delay, result.askable_in))
            await self._refresher.rest(min(delay, remaining))
            failed_rounds += 1
        timeout = Errors.MetadataTimeoutError(
            budget_ms=as_milliseconds(deadline.budget),
            elapsed_ms=as_milliseconds(deadline.elapsed()),
            attempts=attempts,
            cause=error,
        )
        self._report("", timeout)
        raise timeout from error

    def _raise_final(self, topic: str) -> None:
        error = self._cluster().topic_error(topic)
        if error is not None and issubclass(error, _FINAL):
            raise error(topic)

    def _cause(self, topic: str) -> BaseException | None:
        """The last thing that stood in the way: of the refresh, or of the topic."""
        error_now = self._refresher.last_error or self._silence()
        if error_now is not None:
            return error_now
        error = self._cluster().topic_error(topic)
        return None if error is None else error(topic)

    def _timeout(
        self, topic: str, partition: int | None, deadline: Deadline, attempts: int
    ) -> Errors.MetadataTimeoutError:
        error = Errors.MetadataTimeoutError(
            topic=topic,
            partition=partition,
            available=self._cluster().partition_count(topic),
            budget_ms=as_milliseconds(deadline.budget),
            elapsed_ms=as_milliseconds(deadline.elapsed()),
            attempts=attempts,
            cause=self._cause(topic),
        )
        self._report(topic, error)
        return error

    def _report(self, topic: str, error: Errors.MetadataTimeoutError) -> None:
        first = topic not in self._reported
        self._reported.add(topic)
        log.log(
            logging.WARNING if first else logging.DEBUG,
            "%s%s",
            error,
            "; further timeouts of this kind are logged at debug" if first else "",
        )

    # A timeout just seen

    def remember(self, topic: str, error: Errors.MetadataTimeoutError) -> None:
        """Note that the current task has just waited in vain for *topic*."""
        task = asyncio.current_task()
        if task is not None:
            self._just_seen[task] = (topic, self._loop.time(), error)

    def take_recent(self, topic: str) -> Errors.MetadataTimeoutError | None:
        """The timeout that the current task has just seen for *topic*, once."""
        task = asyncio.current_task()
        seen = None if task is None else self._just_seen.pop(task, None)
        if seen is None or seen[0] != topic or self._loop.time() - seen[1] > _JUST_SEEN:
            return None
        return seen[2]
