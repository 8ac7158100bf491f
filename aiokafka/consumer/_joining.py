"""One attempt to join a group: JoinGroup, the leader's assignment, SyncGroup.

Runs no task.  What each error means stands in two tables; errors in none of them are tried again
if their class is retriable, and end the membership for good otherwise.

Page: https://kafka.apache.org/protocol#The_Messages_JoinGroup
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka._retry import action_for
from aiokafka.consumer._assigning import (
    COOPERATIVE,
    assignor_named,
    encoded,
    joining_metadata,
    rebalance_protocol,
)
from aiokafka.consumer._group_states import MemberState
from aiokafka.consumer.subscription_state import Subscription
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import BrokerResponseError, KafkaError
from aiokafka.protocol.api import Response
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

if TYPE_CHECKING:
    from aiokafka.consumer.group_coordinator import GroupCoordinator

log = logging.getLogger("aiokafka.consumer.group_coordinator")

# Once without a member id, once with the one given, and once more if that one is gone already.
_JOIN_ATTEMPTS = 3

_HINTS: dict[type[KafkaError], str] = {
    Errors.InvalidSessionTimeoutError: (
        "session_timeout_ms={session} is outside of what the broker allows"
        " (group.min.session.timeout.ms to group.max.session.timeout.ms)"
    ),
    Errors.InconsistentGroupProtocolError: (
        "the other members of group {group!r} have none of this member's assignors {assignors},"
        " or the group is not one of consumers; check partition_assignment_strategy"
    ),
    Errors.InvalidGroupIdError: "the group id {group!r} is not valid",
    Errors.GroupMaxSizeReachedError: (
        "group {group!r} has as many members as the broker allows (group.max.size)"
    ),
}


class CoordinatorGroupRebalance:
    """One attempt to join.

    Parameters:
        coordinator: whose attempt it is; gets generation and member id.
        group_id: the group.
        coordinator_id: node id of the group's coordinator.
        subscription: what to join with.
        assignors: as the consumer prefers them.
        session_timeout_ms: milliseconds without a heartbeat after which a member is removed.
        retry_backoff_ms: kept for reference; the coordinator spaces the attempts out.
    """

    def __init__(
        self,
        coordinator: GroupCoordinator,
        group_id: str,
        coordinator_id: int | None,
        subscription: Subscription,
        assignors: Sequence[Any],
        session_timeout_ms: int,
        retry_backoff_ms: float,
    ) -> None:
        self._coordinator = coordinator
        self.group_id = group_id
        self.coordinator_id = coordinator_id
        self._subscription = subscription
        self._assignors = assignors
        self._session_timeout_ms = session_timeout_ms
        self._retry_backoff_ms = retry_backoff_ms
        self._protocol_type: str | None = None
        self._protocol_name: str | None = None

    async def perform_group_join(self) -> tuple[str, bytes] | None:
        """Join and sync.

        Returns:
            Name of the assignor and the encoded assignment; None: try again.

        Raises:
            KafkaError: trying again cannot help.
        """
        response = await self._join()
        if response is None:
            return None
        coordinator = self._coordinator
        coordinator.generation = response.generation_id
        coordinator.member_id = response.member_id
        self._protocol_type = getattr(response, "protocol_type", None)
        protocol = self._protocol_name = response.group_protocol
        log.info(
            "Joined group '%s' (generation %s) with member_id %s",
            self.group_id,
            response.generation_id,
            response.member_id,
        )
        if self._protocol_type not in (None, ConsumerProtocol.PROTOCOL_TYPE):
            raise Errors.InconsistentGroupProtocolError(
                f"Group {self.group_id!r} is one of {self._protocol_type!r}, not of consumers"
            )
        assignor_named(self._assignors, protocol, self.group_id)
        if response.leader_id == response.member_id:
            assignment = await self._on_join_leader(response)
        else:
            assignment = await self._on_join_follower()
        return None if assignment is None else (protocol, assignment)

    # JoinGroup

    async def _join(self) -> Response | None:
        for _ in range(_JOIN_ATTEMPTS):
            request = self._join_request()
            log.debug("Sending JoinGroup for group %s", self.group_id)
            response = await self._send(request)
            if response is None:
                return None
            error_type = Errors.for_code(response.error_code)
            if error_type is Errors.NoError:
                return response
            if error_type is Errors.MemberIdRequired:
                # KIP-394: so that a client that gives up does not fill the group.
                self._coordinator.member_id = response.member_id
                continue
            self._join_refused(error_type)
            if error_type is not Errors.UnknownMemberIdError:
                return None
        return None

    def _join_request(self) -> JoinGroupRequest:
        coordinator = self._coordinator
        topics = sorted(self._subscription.topics)
        owned: list[Any] = []
        generation = -1
        assignment = self._subscription.assignment
        if (
            rebalance_protocol(self._assignors) == COOPERATIVE
            and assignment is not None
            and assignment.active
        ):
            owned, generation = sorted(assignment.tps), coordinator._held_generation
        rack = coordinator._client_rack
        protocols = [
            (
                assignor.name,
                joining_metadata(
                    assignor,
                    topics,
                    owned=owned,
                    generation=generation,
                    rack_id=rack if isinstance(rack, str) else None,
                ),
            )
            for assignor in self._assignors
        ]
        return JoinGroupRequest(
            self.group_id,
            self._session_timeout_ms,
            coordinator._rebalance_timeout_ms,
            coordinator.member_id,
            coordinator._group_instance_id,
            ConsumerProtocol.PROTOCOL_TYPE,
            protocols,
            reason=coordinator._rejoin_reason,
        )

    def _join_refused(self, error_type: type[BrokerResponseError]) -> None:
        """Act on an error of JoinGroup; raise it if trying again cannot help."""
        coordinator = self._coordinator
        if error_type is Errors.UnknownMemberIdError:
            coordinator.reset_generation("the coordinator does not know the member")
        elif error_type is Errors.FencedInstanceIdError:
            raise coordinator._fenced_error()
        elif error_type is Errors.GroupAuthorizationFailedError:
            raise Errors.GroupAuthorizationFailedError(self.group_id)
        elif error_type is Errors.RebalanceInProgressError:
            pass  # the next generation is being made: join it
        else:
            self._refused("Joining", error_type)
            return
        coordinator._trouble("Joining", error_type())

    def _refused(self, what: str, error_type: type[BrokerResponseError]) -> None:
        """What the errors of both requests have in common."""
        coordinator = self._coordinator
        error = error_type(f"{what} group {self.group_id!r}")
        if error.coordinator_gone:
            coordinator.coordinator_dead()
        elif not action_for(error).retriable:
            hint = _HINTS.get(error_type)
            if hint is not None:
                error = error_type(
                    hint.format(
                        group=self.group_id,
                        session=self._session_timeout_ms,
                        assignors=[assignor.name for assignor in self._assignors],
                    )
                )
            raise error
        coordinator._trouble(what, error)

    async def _send(self, request: Any) -> Response | None:
        """The answer; None when there was none and the request may be repeated."""
        coordinator = self._coordinator
        try:
            response: Response = await coordinator._send_req(request)
        except Errors.IncompatibleBrokerVersion as error:
            raise Errors.UnsupportedVersionError(
                f"The broker is too old for a static member (group_instance_id="
                f"{coordinator._group_instance_id!r} needs Kafka 2.3): {error}"
                if coordinator._group_instance_id is not None
                else f"The broker is too old for consumer groups: {error}"
            ) from error
        except KafkaError as error:
            if not action_for(error).retriable:
                raise
            coordinator._trouble("Joining", error)
            return None
        return response

    # SyncGroup

    async def _on_join_follower(self) -> bytes | None:
        """Ask for this member's assignment."""
        self._coordinator._follow()
        return await self._send_sync_group_request(self._sync_request([]))

    async def _on_join_leader(self, response: Response) -> bytes | None:
        """Make the assignment of all members, hand it in, and get this member's own."""
        assignments = await self._coordinator._perform_assignment(response)
        rows = [(member_id, encoded(assignment)) for member_id, assignment in assignments.items()]
        return await self._send_sync_group_request(self._sync_request(rows))

    def _sync_request(self, assignments: list[tuple[str, bytes]]) -> SyncGroupRequest:
        coordinator = self._coordinator
        return SyncGroupRequest(
            self.group_id,
            coordinator.generation,
            coordinator.member_id,
            coordinator._group_instance_id,
            assignments,
            protocol_type=self._protocol_type,
            protocol_name=self._protocol_name,
        )

    async def _send_sync_group_request(self, request: SyncGroupRequest) -> bytes | None:
        """The encoded assignment; None: join again."""
        coordinator = self._coordinator
        # A late answer to something else (a commit of the generation before) may reset them
        # meanwhile; what was joined is in force nevertheless.
        generation, member_id = coordinator.generation, coordinator.member_id
        coordinator._go(MemberState.SYNCING)
        response = await self._send(request)
        if response is None:
            # What became of it is not known: the next JoinGroup tells.
            coordinator.request_rejoin("SyncGroup was not answered")
            return None
        error_type = Errors.for_code(response.error_code)
        if error_type is Errors.NoError:
            coordinator.generation, coordinator.member_id = generation, member_id
            log.info("Successfully synced group %s with generation %s", self.group_id, generation)
            return bytes(response.member_assignment)
        self._sync_refused(error_type)
        return None

    def _sync_refused(self, error_type: type[BrokerResponseError]) -> None:
        coordinator = self._coordinator
        coordinator.request_rejoin(f"SyncGroup failed: {error_type.message}")
        if error_type is Errors.RebalanceInProgressError:
            log.debug("Group %s rebalances again", self.group_id)
        elif error_type is Errors.UnknownMemberIdError:
            coordinator.reset_generation("SyncGroup failed: UNKNOWN_MEMBER_ID")
        elif error_type is Errors.IllegalGenerationError:
            coordinator.reset_generation(
                "SyncGroup failed: ILLEGAL_GENERATION", keep_member_id=True
            )
        elif error_type is Errors.FencedInstanceIdError:
            raise coordinator._fenced_error()
        elif error_type is Errors.GroupAuthorizationFailedError:
            raise Errors.GroupAuthorizationFailedError(self.group_id)
        else:
            self._refused("Syncing", error_type)
