"""Calls about groups of every kind: listing, describing, deleting, removing members."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall
from aiokafka.admin._outcomes import Outcomes, error_of
from aiokafka.admin.acls import allowed
from aiokafka.admin.groups import GroupDescription, GroupListing, GroupMember, MemberToRemove
from aiokafka.admin.results import Results
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import (
    GroupIdNotFound,
    IncompatibleBrokerVersion,
    KafkaProtocolError,
    UnsupportedVersionError,
)
from aiokafka.protocol.admin import (
    ConsumerGroupDescribeRequest,
    DeleteGroupsRequest,
    DescribeGroupsInFullRequest,
    ListGroupsOfKindRequest,
)
from aiokafka.protocol.group import LeaveGroupRequest, leave_error_code
from aiokafka.structs import TopicPartition

_CONSUMER = "consumer"
_CLASSIC = "classic"
# Brokers before 4.0 describe a group that does not exist as one in this state.
_DEAD = "Dead"
_NOT_OF_THIS_KIND = (GroupIdNotFound.errno, UnsupportedVersionError.errno)


class GroupManagementCalls(AdminBase):
    """Listing, describing and deleting groups, and removing their members."""

    async def list_groups(
        self,
        states: Iterable[str] = (),
        types: Iterable[str] = (),
        *,
        timeout_ms: int | None = None,
    ) -> list[GroupListing]:
        """The groups of the cluster.

        Parameters:
            states: only those in these states, such as ``"Stable"``, from Kafka 2.6.
            types: only those of these types, such as ``"classic"``, from Kafka 3.8.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Raises:
            IncompatibleBrokerVersion: a broker does not know the filter.
            KafkaTimeoutError: not all brokers have answered in time; the last error is
                ``__cause__``.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        request = ListGroupsOfKindRequest(list(states), list(types))

        async def list_all(call: AdminCall) -> list[GroupListing]:
            async def ask(outcomes: Outcomes[int, Any], node_id: int) -> None:
                response = call.checked(await call.send(node_id, request))
                outcomes.succeed(node_id, response["groups"])

            found = (await call.each_alone(call.broker_ids(), ask)).check()
            listings = {
                row["group"]: GroupListing(
                    row["group"],
                    row["protocol_type"],
                    row.get("group_state"),
                    row.get("group_type"),
                )
                for rows in found.values()
                for row in rows
            }
            return list(listings.values())

        return await self._call("Listing groups", timeout_ms, list_all)

    async def describe_groups(
        self,
        group_ids: Iterable[str],
        include_authorized_operations: bool = False,
        *,
        timeout_ms: int | None = None,
    ) -> Results[str, GroupDescription]:
        """Groups of consumers, of the classic protocol or that of KIP-848, and their members.

        Parameters:
            group_ids: the groups.
            include_authorized_operations: also ask what this client may do (KIP-430).
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The description of each group; ``GroupIdNotFound`` when there is none.

        Raises:
            KafkaTimeoutError: none could be described in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def describe(call: AdminCall) -> Results[str, GroupDescription]:
            async def ask(outcomes: Outcomes[str, GroupDescription], group: str) -> None:
                node_id = await call.coordinator(0, group)
                try:
                    row = await _row(
                        call,
                        node_id,
                        ConsumerGroupDescribeRequest([group], include_authorized_operations),
                    )
                except IncompatibleBrokerVersion:
                    row = {"error_code": GroupIdNotFound.errno}
                if row["error_code"] not in _NOT_OF_THIS_KIND:
                    made = None if row["error_code"] else _consumer_group(row, node_id)
                else:
                    row = await _row(
                        call,
                        node_id,
                        DescribeGroupsInFullRequest([group], include_authorized_operations),
                    )
                    made = None if row["error_code"] else _classic_group(row, node_id)
                if made is None:
                    outcomes.fail(
                        group, error_of(row["error_code"], row.get("error_message"), group)
                    )
                elif made.state == _DEAD:
                    outcomes.fail(group, GroupIdNotFound(group))
                else:
                    outcomes.succeed(group, made)

            return await call.each_alone(group_ids, ask)

        return await self._call("Describing groups", timeout_ms, describe)

    async def delete_consumer_groups(
        self, group_ids: Iterable[str], *, timeout_ms: int | None = None
    ) -> Results[str, None]:
        """Delete groups that have no members, and their offsets.

        Parameters:
            group_ids: the groups.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each group, such as ``NonEmptyGroup`` or ``GroupIdNotFound``.

        Raises:
            KafkaTimeoutError: none was deleted in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def delete(call: AdminCall) -> Results[str, None]:
            async def ask(outcomes: Outcomes[str, None], group: str) -> None:
                response = await call.send_to_coordinator(group, DeleteGroupsRequest([group]))
                rows = call.checked(response)["results"]
                call.enter(
                    outcomes,
                    (group,),
                    ((row["group_id"], row["error_code"], None, None) for row in rows),
                )

            return await call.each_alone(group_ids, ask)

        return await self._call("Deleting groups", timeout_ms, delete)

    async def remove_members_from_consumer_group(
        self,
        group_id: str,
        members: Iterable[MemberToRemove],
        reason: str | None = None,
        *,
        timeout_ms: int | None = None,
    ) -> Results[MemberToRemove, None]:
        """Remove members from a classic group, as if they had left it (KIP-345).

        A member that still runs joins again.

        Parameters:
            group_id: the group.
            members: whom to remove.
            reason: why, for the broker's log, from Kafka 3.2 (KIP-800).
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each member, such as ``UnknownMemberIdError``.

        Raises:
            KafkaTimeoutError: none was removed in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def remove(call: AdminCall) -> Results[MemberToRemove, None]:
            async def ask(
                outcomes: Outcomes[MemberToRemove, None], member: MemberToRemove
            ) -> None:
                request = LeaveGroupRequest(
                    group_id,
                    member.member_id,
                    group_instance_id=member.instance_id,
                    reason=reason,
                )
                response = await call.send_to_coordinator(group_id, request)
                outcomes.take(member, leave_error_code(response), None, None)

            return await call.each_alone(members, ask)

        return await self._call(f"Removing members from group {group_id!r}", timeout_ms, remove)


async def _row(call: AdminCall, node_id: int, request: Any) -> dict[str, Any]:
    """What a coordinator says of the one group asked for."""
    response = call.checked(await call.send_to_found(node_id, request))
    row: dict[str, Any] = response["groups"][0]
    return row


def _consumer_group(row: dict[str, Any], node_id: int) -> GroupDescription:
    members = tuple(
        GroupMember(
            member["member_id"],
            member["instance_id"],
            member["client_id"],
            member["client_host"],
            _partitions(member["assignment"]),
            _partitions(member["target_assignment"]),
            member["member_epoch"],
            member["rack_id"],
        )
        for member in row["members"]
    )
    return GroupDescription(
        row["group_id"],
        _CONSUMER,
        row["group_state"],
        _CONSUMER,
        row["assignor_name"],
        members,
        node_id,
        allowed(row["authorized_operations"]),
    )


def _partitions(assignment: dict[str, Any]) -> frozenset[TopicPartition]:
    return frozenset(
        TopicPartition(topic["topic_name"], partition)
        for topic in assignment["topic_partitions"]
        for partition in topic["partitions"]
    )


def _classic_group(row: dict[str, Any], node_id: int) -> GroupDescription:
    consumers = row["protocol_type"] == _CONSUMER
    members = tuple(
        GroupMember(
            member["member_id"],
            member.get("group_instance_id"),
            member["client_id"],
            member["client_host"],
            _decoded(member["member_assignment"]) if consumers else None,
        )
        for member in row["members"]
    )
    return GroupDescription(
        row["group"],
        _CLASSIC,
        row["state"],
        row["protocol_type"],
        row["protocol"],
        members,
        node_id,
        allowed(row.get("authorized_operations", -(2**31))),
    )


def _decoded(assignment: bytes) -> frozenset[TopicPartition] | None:
    if not assignment:
        return frozenset()
    try:
        return frozenset(ConsumerProtocolMemberAssignment.decode(assignment).partitions())
    except KafkaProtocolError:
        # Written by another member, which may be of any make.
        return None
