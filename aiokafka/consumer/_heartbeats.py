"""Heartbeats, and the watch on how long the application has not polled.

Runs one supervised task, :meth:`Heartbeating._heartbeat_routine`, from the first successful join
to the end of the membership; it keeps to its own schedule, whatever the application, the
listener or the coordination task do.  A crash of it starts another one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiokafka import errors as Errors
from aiokafka._retry import action_for, pause
from aiokafka.consumer._group_states import (
    AWAITED,
    REBALANCING,
    UNKNOWN_GENERATION,
    MemberState,
)
from aiokafka.consumer._membership import Membership
from aiokafka.errors import BrokerResponseError, KafkaError
from aiokafka.protocol.group import HeartbeatRequest

log = logging.getLogger("aiokafka.consumer.group_coordinator")

# How exactly max_poll_interval_ms is kept: looked at so many times in it.
_LOOKS_PER_POLL_INTERVAL = 10
# A wake-up that comes later than this (seconds), or than a third of the session, is told.
_STALLED = 1.0


class Heartbeating(Membership):
    """The part of the group coordinator that keeps the membership alive."""

    _heartbeat_task: asyncio.Task[None] | None
    _restart_heartbeats: asyncio.TimerHandle | None

    if TYPE_CHECKING:  # commits first, which heartbeats know nothing of

        async def _leave_idle(self) -> bool: ...

    # The task

    def _start_heartbeat_task(self) -> None:
        """Start heartbeats, unless they go on already."""
        if self._closing.done():
            return
        if self._heartbeat_task is None or self._heartbeat_task.done():
            self._heartbeat_task = self._supervisor.spawn(
                self._heartbeat_routine(), name="heartbeats", on_crash=self._heartbeats_crashed
            )

    def _stop_heartbeat_task(self) -> None:
        """Stop heartbeats; safe when there are none."""
        if self._restart_heartbeats is not None:
            self._restart_heartbeats.cancel()
            self._restart_heartbeats = None
        if self._heartbeat_task is not None:
            self._heartbeat_task.cancel()
            self._heartbeat_task = None

    def _heartbeats_crashed(self, error: BaseException) -> None:
        # Without heartbeats the group would go on without us; and not at once, as the defect
        # may be met again.
        self._last_error = error
        self._restart_heartbeats = self._loop.call_later(
            self._heartbeat_interval_ms / 1000, self._start_heartbeat_task
        )

    async def _heartbeat_routine(self) -> None:
        self._last_heartbeat_at = self._loop.time()  # joining has shown us to be alive
        due = self._last_heartbeat_at + self._heartbeat_interval_ms / 1000
        failures = 0
        while not self._closing.done() and self._fatal is None:
            await self._sleep_until(due)
            now = self._loop.time()
            if not self._heartbeats_wanted():
                self._last_heartbeat_at = now
                due = now + self._heartbeat_interval_ms / 1000
                continue
            if self._poll_overdue() and await self._leave_idle():
                return
            if now < due:
                continue
            self._check_session()
            try:
                await self.ensure_coordinator_known()
            except KafkaError as error:
                self._fail(error)
                return
            sent_at = self._loop.time()
            if await self._do_heartbeat():
                self._last_heartbeat_at = self._loop.time()
                failures = 0
                due = sent_at + self._heartbeat_interval_ms / 1000
            else:
                delay = self._backoff.delay(failures, self._client._rng)
                failures += 1
                due = self._loop.time() + min(delay, self._heartbeat_interval_ms / 1000)

    def _heartbeats_wanted(self) -> bool:
        """Not while the coordinator holds our JoinGroup back, nor when we are no member."""
        if self._state in AWAITED:
            return False
        return self._state not in REBALANCING or self.generation != UNKNOWN_GENERATION

    async def _sleep_until(self, due: float) -> None:
        """Sleep, not longer than the watch on polling allows."""
        look = self._max_poll_interval_ms / 1000 / _LOOKS_PER_POLL_INTERVAL
        wake_at = min(due, self._loop.time() + look)
        await pause(max(0.0, wake_at - self._loop.time()))
        late = self._loop.time() - wake_at
        session = self._session_timeout_ms / 1000
        if late > max(_STALLED, session / 3):
            self._stalled(late)

    def _stalled(self, late: float) -> None:
        news = self._news_of("Keeping time")
        log.log(
            logging.WARNING if news.is_news("stalled") else logging.DEBUG,
            "The event loop was blocked for %.1f s. Heartbeats of group %s could not be sent"
            " meanwhile; after session_timeout_ms=%s without any the group removes this"
            " consumer. Run blocking code in an executor (asyncio.to_thread)",
            late,
            self.group_id,
            self._session_timeout_ms,
        )
        news.all_is_well()

    def _check_session(self) -> None:
        """A coordinator that has not answered for a whole session is none."""
        last = self._last_heartbeat_at
        if last is None or self.coordinator_id is None:
            return
        silent = self._loop.time() - last
        if silent > self._session_timeout_ms / 1000:
            self._trouble(
                "Heartbeat session",
                Errors.RequestTimedOutError(
                    f"no heartbeat has succeeded for {silent:.1f} s"
                    f" (session_timeout_ms={self._session_timeout_ms})"
                ),
            )
            self.coordinator_dead()

    # Polling

    def _poll_overdue(self) -> bool:
        """Has the application not asked for records for too long?"""
        return (
            self._state is MemberState.STABLE
            and self._subscription.fetcher_idle_time > self._max_poll_interval_ms / 1000
        )

    # One heartbeat

    async def _do_heartbeat(self) -> bool:
        """Send a heartbeat; whether the coordinator took it."""
        generation, member_id = self.generation, self.member_id
        request = HeartbeatRequest(
            self.group_id, generation, member_id, group_instance_id=self._group_instance_id
        )
        try:
            response = await self._send_req(request)
        except KafkaError as error:
            if not action_for(error).retriable:
                self._fail(error)
            else:
                self._trouble("Heartbeat", error)
            return False
        error_type = Errors.for_code(response.error_code)
        if error_type is Errors.NoError:
            self._well("Heartbeat")
            self._well("Heartbeat session")
            self._well("Coordinator")
            return True
        if (generation, member_id) != (self.generation, self.member_id):
            # It was about a generation that is over.
            log.debug("Heartbeat of generation %s: %s", generation, error_type.message)
            return True
        return self._heartbeat_refused(error_type)

    def _heartbeat_refused(self, error_type: type[BrokerResponseError]) -> bool:
        """Act on the coordinator's error; whether it takes this member to be alive."""
        error = error_type(f"Heartbeat of group {self.group_id!r}")
        if error_type is Errors.RebalanceInProgressError:
            if not self._rejoin_needed_fut.done():
                log.info("Group %s rebalances: joining again", self.group_id)
            self.request_rejoin("the group rebalances")
            return True
        if error_type is Errors.UnknownMemberIdError:
            self._trouble("Heartbeat", error, "joining again as a new member")
            self.reset_generation("heartbeat failed: UNKNOWN_MEMBER_ID")
        elif error_type is Errors.IllegalGenerationError:
            self._trouble("Heartbeat", error, "joining again")
            self.reset_generation("heartbeat failed: ILLEGAL_GENERATION", keep_member_id=True)
        elif error_type is Errors.FencedInstanceIdError:
            self._fail(self._fenced_error())
        elif error_type is Errors.GroupAuthorizationFailedError:
            self._fail(Errors.GroupAuthorizationFailedError(self.group_id))
        elif error.coordinator_gone:
            self._trouble("Heartbeat", error)
            self.coordinator_dead()
        elif action_for(error).retriable:
            self._trouble("Heartbeat", error)
        else:
            self._fail(error)
        return False
