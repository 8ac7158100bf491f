"""What the groups of admin calls share: how a call begins and ends.

Every public method runs as one supervised task, so that :meth:`close` ends it at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka._config import milliseconds
from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka._tasks import Supervisor
from aiokafka.admin._call import AdminCall
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IllegalStateError

T = TypeVar("T")


class AdminBase:
    """The state of an admin client."""

    _client: AIOKafkaClient
    _closed: bool
    _news: News
    _request_timeout_ms: int
    _started: bool
    _supervisor: Supervisor

    async def _call(
        self,
        what: str,
        timeout_ms: float | None,
        work: Callable[[AdminCall], Awaitable[T]],
    ) -> T:
        """Run *work*, for *timeout_ms* or else ``request_timeout_ms`` at most.

        Raises:
            IllegalStateError: the admin client is not started, or is closed (meanwhile).
            ValueError: *timeout_ms* is no number of milliseconds.
        """
        self._check_open()
        budget = milliseconds(
            "timeout_ms", self._request_timeout_ms if timeout_ms is None else timeout_ms
        )
        call = AdminCall(
            self._client,
            self._supervisor,
            self._news,
            what=what,
            deadline=Deadline.after(budget),
        )
        result: list[T] = []
        error: list[Exception] = []

        async def run() -> None:
            # An error is the caller's, no crash of a task.
            try:
                result.append(await work(call))
            except Exception as exc:
                error.append(exc)

        task: asyncio.Task[Any] = self._supervisor.spawn(run(), name=what)
        try:
            await asyncio.wait((task,))
        finally:
            task.cancel()
        if error:
            raise error[0]
        if not result:
            raise IllegalStateError(f"{what}: the admin client was closed in the meantime")
        self._news.all_is_well()
        return result[0]

    def _check_open(self) -> None:
        if self._closed:
            raise IllegalStateError("The admin client is closed")
        if not self._started:
            raise IllegalStateError("The admin client is not started: call start() first")
