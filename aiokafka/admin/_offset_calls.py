"""Calls about offsets: of partitions, and those that groups have committed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall, Answer
from aiokafka.admin._group_calls import offsets_of
from aiokafka.admin._outcomes import Outcomes
from aiokafka.admin.offsets import ListedOffset, OffsetSpec
from aiokafka.admin.results import Results
from aiokafka.coordinator.protocol import by_topic
from aiokafka.errors import IllegalArgumentError
from aiokafka.protocol.admin import OffsetDeleteRequest
from aiokafka.protocol.commit import (
    OffsetCommitRequest,
    OffsetFetchRequest,
    commit_results,
)
from aiokafka.protocol.offset import OffsetRequest, list_offsets_results
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.util import commit_structure_validate

_ISOLATION_LEVELS = {"read_uncommitted": 0, "read_committed": 1}
_CLIENT = -1
_NO_GENERATION = -1
_NO_MEMBER = ""
_BROKERS_RETENTION = -1

Committed = dict[TopicPartition, OffsetAndMetadata]


class OffsetCalls(AdminBase):
    """Looking up offsets; reading, setting and deleting those of groups."""

    async def list_offsets(
        self,
        partitions: Mapping[TopicPartition, OffsetSpec | int],
        isolation_level: str = "read_uncommitted",
        *,
        timeout_ms: int | None = None,
    ) -> Results[TopicPartition, ListedOffset]:
        """Offsets of partitions: their ends, or those of a time.

        Parameters:
            partitions: what is wanted of each: an :class:`~aiokafka.admin.offsets.OffsetSpec`,
                or a time in milliseconds since 1970, for the first record that is not older.
            isolation_level: ``"read_committed"``: the latest offset is that before the first
                open transaction.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The offset of each partition.

        Raises:
            IllegalArgumentError: there is no such isolation level.
            KafkaTimeoutError: none was found in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        if isolation_level not in _ISOLATION_LEVELS:
            raise IllegalArgumentError(f"Incorrect isolation level {isolation_level}")
        level = _ISOLATION_LEVELS[isolation_level]

        async def look_up(call: AdminCall) -> Results[TopicPartition, ListedOffset]:
            async def ask(
                outcomes: Outcomes[TopicPartition, ListedOffset],
                node_id: int,
                tps: list[TopicPartition],
            ) -> None:
                rows: dict[str, list[tuple[int, int]]] = {}
                for tp in tps:
                    rows.setdefault(tp.topic, []).append((tp.partition, int(partitions[tp])))
                request = OffsetRequest(
                    _CLIENT, level, list(rows.items()), timeout_ms=call.broker_timeout_ms
                )
                response = await call.send_to_found(node_id, request)
                call.enter(outcomes, tps, _listed(response))

            return await call.each_by_leader(partitions, ask)

        return await self._call("Listing offsets", timeout_ms, look_up)

    async def list_group_offsets(
        self,
        groups: Mapping[str, Collection[TopicPartition] | None] | Iterable[str],
        require_stable: bool = False,
        *,
        timeout_ms: int | None = None,
    ) -> Results[str, Committed]:
        """The offsets that groups have committed.

        Parameters:
            groups: the groups; as a mapping, with the partitions wanted of each, None for all.
            require_stable: wait for transactions that may still change them (KIP-447).
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            Offset and metadata by partition, of each group; offset -1 where nothing is committed
            for a partition that was asked for.

        Raises:
            KafkaTimeoutError: nothing was read in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        wanted = groups if isinstance(groups, Mapping) else dict.fromkeys(groups)

        async def read(call: AdminCall) -> Results[str, Committed]:
            async def ask(outcomes: Outcomes[str, Committed], group: str) -> None:
                tps = wanted[group]
                rows = None if tps is None else list(by_topic(tps).items())
                request = OffsetFetchRequest(group, rows, require_stable=require_stable)
                response = await call.send_to_coordinator(group, request)
                outcomes.succeed(group, offsets_of(group, response))

            return await call.each_alone(wanted, ask)

        return await self._call("Reading the offsets of groups", timeout_ms, read)

    async def alter_consumer_group_offsets(
        self,
        group_id: str,
        offsets: Mapping[TopicPartition, Any],
        *,
        timeout_ms: int | None = None,
    ) -> Results[TopicPartition, None]:
        """Set the offsets of a group that has no members.

        Parameters:
            group_id: the group; it is made if there is none.
            offsets: offset, or ``(offset, metadata)``, by partition.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each partition; ``UnknownMemberIdError`` when the group has members.

        Raises:
            ValueError, TypeError: as for the consumer's ``commit()``.
            KafkaTimeoutError: nothing was set in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        checked = commit_structure_validate(dict(offsets))

        async def alter(call: AdminCall) -> Results[TopicPartition, None]:
            async def send(left: list[TopicPartition]) -> Any:
                rows: dict[str, list[tuple[int, int, str]]] = {}
                for tp in left:
                    rows.setdefault(tp.topic, []).append((tp.partition, *checked[tp]))
                request = OffsetCommitRequest(
                    group_id, _NO_GENERATION, _NO_MEMBER, _BROKERS_RETENTION, list(rows.items())
                )
                return await call.send_to_coordinator(group_id, request)

            async def attempt(outcomes: Outcomes[TopicPartition, None]) -> None:
                asked = list(outcomes.pending)
                results = commit_results(await send(asked))
                call.enter(
                    outcomes,
                    asked,
                    ((TopicPartition(row[0], row[1]), row[2], None, None) for row in results),
                )

            return await call.each(checked, attempt)

        return await self._call(f"Setting the offsets of group {group_id!r}", timeout_ms, alter)

    async def delete_consumer_group_offsets(
        self,
        group_id: str,
        partitions: Iterable[TopicPartition],
        *,
        timeout_ms: int | None = None,
    ) -> Results[TopicPartition, None]:
        """Delete offsets of a group, of topics that it is not subscribed to (KIP-496).

        Parameters:
            group_id: the group.
            partitions: of which.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each partition, such as ``GroupSubscribedToTopicError``.

        Raises:
            GroupIdNotFound: there is no such group.
            NonEmptyGroup: the group has members that are no consumers.
            KafkaTimeoutError: nothing was deleted in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def delete(call: AdminCall) -> Results[TopicPartition, None]:
            def read(
                response: Any, _: list[TopicPartition]
            ) -> Iterator[Answer[TopicPartition, None]]:
                for topic in response["topics"]:
                    for row in topic["partitions"]:
                        tp = TopicPartition(topic["name"], row["partition_index"])
                        yield tp, row["error_code"], None, None

            return await call.each_answered(
                partitions,
                lambda left: call.send_to_coordinator(
                    group_id, OffsetDeleteRequest(group_id, list(by_topic(left).items()))
                ),
                read,
            )

        return await self._call(f"Deleting offsets of group {group_id!r}", timeout_ms, delete)


def _listed(response: Any) -> Iterator[Answer[TopicPartition, ListedOffset]]:
    for row in list_offsets_results(response):
        found = ListedOffset(
            row.offset,
            row.timestamp if row.timestamp >= 0 else None,
            row.leader_epoch if row.leader_epoch >= 0 else None,
        )
        yield TopicPartition(row.topic, row.partition), row.error_code, None, found
