"""Calls about moving partitions between brokers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall, Answer
from aiokafka.admin.reassignments import PartitionReassignment
from aiokafka.admin.results import Results
from aiokafka.coordinator.protocol import by_topic
from aiokafka.protocol.admin import (
    AlterPartitionReassignmentsRequest,
    ListPartitionReassignmentsRequest,
)
from aiokafka.structs import TopicPartition


class ReassignmentCalls(AdminBase):
    """Moving partitions."""

    async def alter_partition_reassignments(
        self,
        reassignments: Mapping[TopicPartition, Sequence[int] | None],
        *,
        timeout_ms: int | None = None,
    ) -> Results[TopicPartition, None]:
        """Give partitions other replicas, or cancel that (KIP-455).

        Returns when the controller has noted it; :meth:`list_partition_reassignments` says how
        far it has come.

        Parameters:
            reassignments: node ids of the new replicas, the first of which is to lead; None
                cancels a reassignment.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each partition, such as ``InvalidReplicationAssignmentError`` or
            ``NoReassignmentInProgressError``.

        Raises:
            ClusterAuthorizationFailedError: this client may not do that.
            KafkaTimeoutError: nothing was noted in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def alter(call: AdminCall) -> Results[TopicPartition, None]:
            async def send(left: list[TopicPartition]) -> Any:
                rows: dict[str, list[tuple[Any, ...]]] = {}
                for tp in left:
                    replicas = reassignments[tp]
                    row: tuple[Any, ...] = (
                        tp.partition,
                        None if replicas is None else list(replicas),
                        {},
                    )
                    rows.setdefault(tp.topic, []).append(row)
                topics: list[Any] = [(topic, parts, {}) for topic, parts in rows.items()]
                return await call.send_to_controller(
                    AlterPartitionReassignmentsRequest(call.broker_timeout_ms, topics, {})
                )

            def read(
                response: Any, _: list[TopicPartition]
            ) -> Iterator[Answer[TopicPartition, None]]:
                for topic in response["responses"]:
                    for row in topic["partitions"]:
                        tp = TopicPartition(topic["name"], row["partition_index"])
                        yield tp, row["error_code"], row["error_message"], None

            return await call.each_answered(reassignments, send, read)

        return await self._call("Reassigning partitions", timeout_ms, alter)

    async def list_partition_reassignments(
        self,
        partitions: Iterable[TopicPartition] | None = None,
        *,
        timeout_ms: int | None = None,
    ) -> dict[TopicPartition, PartitionReassignment]:
        """The reassignments that are going on (KIP-455).

        Parameters:
            partitions: of which; None: all.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            Those that are; partitions that do not move are left out.

        Raises:
            ClusterAuthorizationFailedError: this client may not see them.
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        rows: list[Any] | None = None
        if partitions is not None:
            rows = [(topic, parts, {}) for topic, parts in by_topic(partitions).items()]

        async def list_all(
            call: AdminCall,
        ) -> dict[TopicPartition, PartitionReassignment]:
            response = await call.answer(
                lambda: call.send_to_controller(
                    ListPartitionReassignmentsRequest(call.broker_timeout_ms, rows, {})
                )
            )
            return {
                TopicPartition(topic["name"], row["partition_index"]): PartitionReassignment(
                    tuple(row["replicas"]),
                    tuple(row["adding_replicas"]),
                    tuple(row["removing_replicas"]),
                )
                for topic in response["topics"]
                for row in topic["partitions"]
            }

        return await self._call("Listing reassignments", timeout_ms, list_all)
