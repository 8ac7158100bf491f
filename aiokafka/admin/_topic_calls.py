"""Topics and records: the calls of 0.14."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall
from aiokafka.admin._outcomes import Outcomes, error_of
from aiokafka.admin.new_partitions import NewPartitions
from aiokafka.admin.new_topic import NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.admin.results import Results
from aiokafka.errors import NotControllerError
from aiokafka.protocol.admin import (
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
)
from aiokafka.protocol.metadata import ParsedTopic, parse
from aiokafka.structs import TopicPartition


class TopicCalls(AdminBase):
    """Creating, growing, describing and deleting topics."""

    async def create_topics(
        self,
        new_topics: Iterable[NewTopic],
        timeout_ms: int | None = None,
        validate_only: bool = False,
    ) -> Any:
        """Create topics.

        The request is sent again when its answer was lost; a topic that the first one has
        created is then reported as existing already.

        Parameters:
            new_topics: the topics.
            timeout_ms: bound of the call, and how long the broker may wait until the topics are
                complete, in milliseconds; None: ``request_timeout_ms``.
            validate_only: check, do not create.

        Returns:
            The CreateTopics response.  Errors of single topics are not raised: they are in
            ``topic_errors``, a list of ``(topic, error_code, error_message)``; ``to_object()``
            gives the same as dicts.

        Raises:
            KafkaTimeoutError: not done in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionchanged:: 0.14.1
            Moves of the controller and lost connections are tried again within the bound.
        """
        rows = [topic.row() for topic in new_topics]

        async def create(call: AdminCall) -> Any:
            return await by_controller(
                call,
                rows,
                lambda left: CreateTopicsRequest(left, call.broker_timeout_ms, validate_only),
                "topic_errors",
            )

        return await self._call("Creating topics", timeout_ms, create)

    async def delete_topics(self, topics: Iterable[str], timeout_ms: int | None = None) -> Any:
        """Delete topics.

        Parameters:
            topics: their names.
            timeout_ms: bound of the call, and how long the broker may wait until the topics are
                gone, in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The DeleteTopics response.  Errors of single topics are not raised: they are in
            ``topic_error_codes``, a list of ``(topic, error_code)``.

        Raises:
            KafkaTimeoutError: not done in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.
        """
        rows = [(topic,) for topic in dict.fromkeys(topics)]

        async def delete(call: AdminCall) -> Any:
            return await by_controller(
                call,
                rows,
                lambda left: DeleteTopicsRequest([row[0] for row in left], call.broker_timeout_ms),
                "topic_error_codes",
            )

        return await self._call("Deleting topics", timeout_ms, delete)

    async def create_partitions(
        self,
        topic_partitions: Mapping[str, NewPartitions],
        timeout_ms: int | None = None,
        validate_only: bool = False,
    ) -> Any:
        """Add partitions to topics.

        Parameters:
            topic_partitions: what each topic is to have.
            timeout_ms: bound of the call, and how long the broker may wait until the partitions
                are complete, in milliseconds; None: ``request_timeout_ms``.
            validate_only: check, do not create.

        Returns:
            The CreatePartitions response; ``topic_errors`` has ``(topic, error_code,
            error_message)``.

        Raises:
            KafkaError: the class for the error code of a topic; those of the other topics may
                have been carried out.
            KafkaTimeoutError: not done in time; ``__cause__`` is the last error.
        """
        rows = [
            (topic, (new.total_count, new.new_assignments))
            for topic, new in topic_partitions.items()
        ]

        async def create(call: AdminCall) -> Any:
            response = await by_controller(
                call,
                rows,
                lambda left: CreatePartitionsRequest(left, call.broker_timeout_ms, validate_only),
                "topic_errors",
            )
            for topic, code, message, *_ in response.topic_errors:
                if code:
                    raise error_of(code, message, topic)
            return response

        return await self._call("Creating partitions", timeout_ms, create)

    async def list_topics(self, *, timeout_ms: int | None = None) -> list[str]:
        """The names of all topics that this client may see, internal ones too.

        Parameters:
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Raises:
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.

        .. versionchanged:: 0.14.1
            The keyword *timeout_ms*.
        """
        found = parse(await self._get_cluster_metadata(None, timeout_ms=timeout_ms))
        return [topic.name for topic in found.topics if topic.name is not None]

    async def describe_topics(
        self, topics: Collection[str] | None = None, *, timeout_ms: int | None = None
    ) -> list[dict[str, Any]]:
        """Topics and their partitions.  A topic that does not exist is not created.

        Parameters:
            topics: names; None: all topics.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            Dicts ``{"error_code", "topic", "is_internal", "partitions"}``, partitions as dicts
            ``{"error_code", "partition", "leader", "replicas", "isr", "offline_replicas"}``.
            Errors are not raised.

        Raises:
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.

        .. versionchanged:: 0.14.1
            The keyword *timeout_ms*.
        """
        found = parse(await self._get_cluster_metadata(topics, timeout_ms=timeout_ms))
        return [_topic_dict(topic) for topic in found.topics]

    async def delete_records(
        self,
        records_to_delete: Mapping[TopicPartition, RecordsToDelete],
        timeout_ms: int | None = None,
    ) -> dict[TopicPartition, int]:
        """Delete the records before an offset.

        Parameters:
            records_to_delete: up to which offset, by partition.
            timeout_ms: bound of the call, and how long the leaders may wait for the other
                replicas, in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The first offset that each partition has now.

        Raises:
            KafkaError: the class for the error code of a partition; records of the others may
                have been deleted.
            KafkaTimeoutError: not done in time, such as when a partition has no leader; the
                last error is ``__cause__``.

        .. versionchanged:: 0.14.1
            Moves of leaders are tried again within the bound.
        """

        async def delete(call: AdminCall) -> dict[TopicPartition, int]:
            async def ask(
                outcomes: Outcomes[TopicPartition, int], node_id: int, tps: list[TopicPartition]
            ) -> None:
                rows: dict[str, list[tuple[int, int]]] = {}
                for tp in tps:
                    offset = records_to_delete[tp].before_offset
                    rows.setdefault(tp.topic, []).append((tp.partition, offset))
                request = DeleteRecordsRequest(list(rows.items()), call.broker_timeout_ms)
                response = await call.send(node_id, request)
                for topic, partitions, *_ in response.topics:
                    for partition, low_watermark, code, *_ in partitions:
                        outcomes.take(TopicPartition(topic, partition), code, None, low_watermark)
                outcomes.unanswered(tps, "the leader's answer does not mention the partition")

            results: Results[TopicPartition, int] = await call.each_by_leader(
                records_to_delete, ask
            )
            return results.check()

        return await self._call("Deleting records", timeout_ms, delete)

    async def _get_cluster_metadata(
        self, topics: Collection[str] | None = None, *, timeout_ms: int | None = None
    ) -> Any:
        """A Metadata response, of whatever version."""

        async def ask(call: AdminCall) -> Any:
            return await call.retry(lambda: call.metadata(topics))

        return await self._call("Reading metadata", timeout_ms, ask)


def _topic_dict(topic: ParsedTopic) -> dict[str, Any]:
    return {
        "error_code": topic.error_code,
        "topic": topic.name,
        "is_internal": topic.is_internal,
        "partitions": [
            {
                "error_code": row.error_code,
                "partition": row.partition,
                "leader": row.leader,
                "replicas": list(row.replicas),
                "isr": list(row.isr),
                "offline_replicas": list(row.offline_replicas),
            }
            for row in topic.partitions
        ],
    }


async def by_controller(
    call: AdminCall,
    rows: Sequence[tuple[Any, ...]],
    request: Callable[[list[tuple[Any, ...]]], Any],
    answers: str,
) -> Any:
    """Have rows carried out by the controller, and return its response.

    A controller that is none any more says so for each row: those are sent again, and the
    response is put together.

    Parameters:
        rows: what to carry out; they begin with a name.
        request: makes the request of rows.
        answers: the name of the response's rows, which begin with the name and its error code.
    """
    left = list(rows)
    done: list[Any] = []

    async def attempt() -> Any:
        response = await call.send_to_controller(request(left))
        refused: set[str] = set()
        for row in getattr(response, answers):
            if row[1] == NotControllerError.errno:
                refused.add(row[0])
            else:
                done.append(row)
        left[:] = [row for row in left if row[0] in refused]
        if left:
            raise NotControllerError(f"refused for {', '.join(sorted(refused))}")
        setattr(response, answers, done)
        return response

    return await call.retry(attempt)
