"""Calls that describe topics with results of their own type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall
from aiokafka.admin._outcomes import Outcomes
from aiokafka.admin.acls import allowed
from aiokafka.admin.results import Results
from aiokafka.admin.topics import PartitionDescription, TopicDescription
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.admin import DescribeTopicPartitionsRequest
from aiokafka.protocol.metadata import ParsedTopic

# How many partitions an answer may have; brokers have a limit of their own.
_PAGE = 2000


class TopicDescriptionCalls(AdminBase):
    """Describing topics."""

    async def describe_topic_partitions(
        self, topics: Iterable[str], *, timeout_ms: int | None = None
    ) -> Results[str, TopicDescription]:
        """Topics and their partitions.

        Asks with DescribeTopicPartitions (KIP-966), brokers before 3.8 with Metadata.

        Parameters:
            topics: names.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The description of each topic; ``UnknownTopicOrPartitionError`` when there is none,
            ``TopicAuthorizationFailedError`` when it may not be seen.

        Raises:
            KafkaTimeoutError: none could be described in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def describe(call: AdminCall) -> Results[str, TopicDescription]:
            async def attempt(outcomes: Outcomes[str, TopicDescription]) -> None:
                try:
                    await _by_page(call, outcomes)
                except IncompatibleBrokerVersion:
                    await _by_metadata(call, outcomes)

            return await call.each(topics, attempt)

        return await self._call("Describing topics", timeout_ms, describe)


async def _by_page(call: AdminCall, outcomes: Outcomes[str, TopicDescription]) -> None:
    asked = sorted(outcomes.pending)
    # A topic may go over several pages: its partitions are collected.
    found: dict[str, dict[str, Any]] = {}
    cursor: tuple[str, int] | None = None
    while True:
        request = DescribeTopicPartitionsRequest(asked, _PAGE, cursor)
        response = call.checked(await call.ask_any(request))
        for row in response["topics"]:
            known = found.setdefault(row["name"], {**row, "partitions": []})
            known["partitions"] += row["partitions"]
        following = response["next_cursor"]
        if following is None:
            break
        after = following["topic_name"], following["partition_index"]
        if cursor is not None and after <= cursor:  # a broker that goes in circles
            break
        cursor = after
    call.enter(
        outcomes,
        asked,
        ((name, row["error_code"], None, _description(row)) for name, row in found.items()),
    )


def _description(row: dict[str, Any]) -> TopicDescription:
    return TopicDescription(
        row["name"],
        row["topic_id"],
        row["is_internal"],
        tuple(
            PartitionDescription(
                part["partition_index"],
                _known(part["leader_id"]),
                _known(part["leader_epoch"]),
                tuple(part["replica_nodes"]),
                tuple(part["isr_nodes"]),
                tuple(part["offline_replicas"]),
                _tuple(part["eligible_leader_replicas"]),
                _tuple(part["last_known_elr"]),
            )
            for part in sorted(row["partitions"], key=lambda part: int(part["partition_index"]))
        ),
        allowed(row["topic_authorized_operations"]),
    )


def _known(number: int) -> int | None:
    return number if number >= 0 else None


def _tuple(values: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(values)


async def _by_metadata(call: AdminCall, outcomes: Outcomes[str, TopicDescription]) -> None:
    asked = list(outcomes.pending)
    found = await call.parsed_metadata(asked)
    call.enter(
        outcomes,
        asked,
        (
            (topic.name, topic.error_code, None, _parsed_description(topic))
            for topic in found.topics
            if topic.name is not None
        ),
    )


def _parsed_description(topic: ParsedTopic) -> TopicDescription:
    return TopicDescription(
        topic.name or "",
        topic.topic_id,
        topic.is_internal,
        tuple(
            PartitionDescription(
                row.partition,
                _known(row.leader),
                _known(row.leader_epoch),
                tuple(row.replicas),
                tuple(row.isr),
                tuple(row.offline_replicas),
            )
            for row in sorted(topic.partitions, key=lambda row: row.partition)
        ),
    )
