"""Consumer groups: the calls of 0.14."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall
from aiokafka.admin._outcomes import Outcomes, error_of
from aiokafka.coordinator.protocol import by_topic
from aiokafka.errors import BrokerResponseError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest, ListGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest, committed_offsets
from aiokafka.structs import OffsetAndMetadata, TopicPartition


class GroupCalls(AdminBase):
    """Listing and describing groups, and their offsets."""

    async def describe_consumer_groups(
        self,
        group_ids: Iterable[str],
        group_coordinator_id: int | None = None,
        include_authorized_operations: bool = False,
        *,
        timeout_ms: int | None = None,
    ) -> list[Any]:
        """Groups of the classic protocol and their members.

        See :meth:`describe_groups` for groups of every kind, with results of their own type.

        Parameters:
            group_ids: the groups.
            group_coordinator_id: the broker to ask; None looks the coordinators up.
            include_authorized_operations: also ask what this client may do (KIP-430).
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            DescribeGroups responses, one for each group.  ``groups`` has one tuple
            ``(error_code, group, state, protocol_type, protocol, members)``, and the operations
            as a number if the broker knows them.

        Raises:
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: a coordinator cannot be found.

        .. versionchanged:: 0.14.1
            The keyword *timeout_ms*. Moves of coordinators are tried again within the bound.
        """
        groups = list(group_ids)

        async def describe(call: AdminCall) -> list[Any]:
            async def ask(outcomes: Outcomes[str, Any], group: str) -> None:
                request = DescribeGroupsRequest([group], include_authorized_operations)
                if group_coordinator_id is None:
                    response = await call.send_to_coordinator(group, request)
                else:
                    response = await call.send(group_coordinator_id, request)
                error = _first_error(response)
                if group_coordinator_id is None and error is not None and error.retriable:
                    outcomes.fail(group, error)
                else:
                    outcomes.succeed(group, response)

            found = (await call.each_alone(groups, ask)).check()
            return [found[group] for group in groups]

        return await self._call("Describing consumer groups", timeout_ms, describe)

    async def list_consumer_groups(
        self, broker_ids: Sequence[int] | None = None, *, timeout_ms: int | None = None
    ) -> list[tuple[Any, ...]]:
        """The groups that brokers coordinate.

        Parameters:
            broker_ids: the brokers to ask; None: all.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            ``(group, protocol_type)`` of each group.

        Raises:
            KafkaError: the class for the error code of an answer.
            KafkaTimeoutError: not all brokers have answered in time; the last error is
                ``__cause__``.

        .. versionchanged:: 0.14.1
            The keyword *timeout_ms*.
        """

        async def list_groups(call: AdminCall) -> list[tuple[Any, ...]]:
            async def ask(outcomes: Outcomes[int, Any], node_id: int) -> None:
                response = await call.send(node_id, ListGroupsRequest())
                code = response.error_code
                outcomes.take(node_id, code, None, response.groups, f"node {node_id}")

            nodes = call.broker_ids() if broker_ids is None else broker_ids
            found = (await call.each_alone(nodes, ask)).check()
            # While a coordinator moves, two brokers may have the same group.
            return list(dict.fromkeys(row[:2] for rows in found.values() for row in rows))

        return await self._call("Listing consumer groups", timeout_ms, list_groups)

    async def find_coordinator(
        self, group_id: str, coordinator_type: int = 0, *, timeout_ms: int | None = None
    ) -> int:
        """The node id of the coordinator of a group or of a transactional id.

        Parameters:
            group_id: the group, or the transactional id.
            coordinator_type: 0 for a group, 1 for a transactional id.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Raises:
            KafkaError: the class for the error code of the answer.
            KafkaTimeoutError: there is no coordinator in time; the last error is ``__cause__``.

        .. versionchanged:: 0.14.1
            The keyword *timeout_ms*. A coordinator that is not available yet is waited for.
        """
        return await self._call(
            f"Finding the coordinator of {group_id!r}",
            timeout_ms,
            lambda call: call.retry(lambda: call.coordinator(coordinator_type, group_id)),
        )

    async def list_consumer_group_offsets(
        self,
        group_id: str,
        group_coordinator_id: int | None = None,
        partitions: Collection[TopicPartition] | None = None,
        *,
        timeout_ms: int | None = None,
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """The offsets that a group has committed.

        Parameters:
            group_id: the group.
            group_coordinator_id: the broker to ask; None looks the coordinator up.
            partitions: of which; None: all that have one.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            Offset and metadata by partition; offset -1 where nothing is committed for one that
            was asked for.

        Raises:
            KafkaError: the class for the error code of the group, or of a partition.
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.

        .. versionchanged:: 0.14.1
            The keyword *timeout_ms*. The error of a partition is raised as what it is.
        """
        rows = None if partitions is None else list(by_topic(partitions).items())

        async def read(call: AdminCall) -> dict[TopicPartition, OffsetAndMetadata]:
            async def attempt() -> dict[TopicPartition, OffsetAndMetadata]:
                request = OffsetFetchRequest(group_id, rows)
                if group_coordinator_id is None:
                    return offsets_of(group_id, await call.send_to_coordinator(group_id, request))
                return offsets_of(group_id, await call.send(group_coordinator_id, request))

            return await call.retry(attempt)

        return await self._call(f"Reading the offsets of group {group_id!r}", timeout_ms, read)


def _first_error(response: Any) -> BrokerResponseError | None:
    for row in response.groups:
        if row[0]:
            return for_code(row[0])(row[1])
    return None


def offsets_of(group_id: str, response: Any) -> dict[TopicPartition, OffsetAndMetadata]:
    """What an OffsetFetch response of any version says of one group.

    Raises:
        BrokerResponseError: the class for the code of the group, or of a partition.
    """
    code, rows = committed_offsets(response)
    if code:
        raise error_of(code, None, group_id)
    offsets: dict[TopicPartition, OffsetAndMetadata] = {}
    for row in rows:
        tp = TopicPartition(row.topic, row.partition)
        if row.error_code:
            raise error_of(row.error_code, None, tp)
        offsets[tp] = OffsetAndMetadata(row.offset, row.metadata or "")
    return offsets
