"""What happened in a fake cluster, and waiting for what shall happen.

Owns :class:`ClusterHistory`, the part of :class:`~aiokafka.testing.cluster.FakeCluster` that
keeps the requests received.  The futures behind :meth:`ClusterHistory.wait_until` are resolved by
whatever changes the cluster, by their timeout, or by the end of the cluster.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .codec import api_key_of
from .received import ReceivedRequest

__all__ = ["ClusterHistory"]


class ClusterHistory:
    """History of a cluster.

    Attributes:
        requests: every request received, oldest first.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def history(
        self, api: int | str | None = None, node: int | None = None, since: float | None = None
    ) -> list[ReceivedRequest]:
        """The requests received, of one API, by one broker, since a loop time."""
        api_key = None if api is None else api_key_of(api)
        return [
            request
            for request in self.requests
            if (api_key is None or request.api_key == api_key)
            and (node is None or request.node_id == node)
            and (since is None or request.time >= since)
        ]

    def count(
        self, api: int | str | None = None, node: int | None = None, since: float | None = None
    ) -> int:
        """How many requests :meth:`history` has."""
        return len(self.history(api, node, since))

    async def wait_until(
        self, predicate: Callable[[], bool], *, timeout: float = 30.0, what: str = "a condition"
    ) -> None:
        """Wait until ``predicate()`` holds; it is asked after every change of the cluster.

        Raises:
            asyncio.TimeoutError: not within ``timeout`` seconds.
        """
        if predicate():
            return
        future: asyncio.Future[None] = self.loop.create_future()
        entry = (predicate, future)
        self._waiters.append(entry)

        def expire() -> None:
            if not future.done():
                future.set_exception(
                    asyncio.TimeoutError(f"{what} did not come true within {timeout:g} s")
                )

        timer = self.loop.call_later(timeout, expire)
        try:
            await future
        finally:
            timer.cancel()
            if entry in self._waiters:
                self._waiters.remove(entry)

    async def wait_for_requests(
        self,
        api: int | str,
        count: int = 1,
        *,
        node: int | None = None,
        timeout: float = 30.0,
    ) -> list[ReceivedRequest]:
        """Wait until ``count`` requests of an API have come since the beginning."""
        await self.wait_until(
            lambda: self.count(api, node) >= count,
            timeout=timeout,
            what=f"{count} {api} requests",
        )
        return self.history(api, node)

    def changed(self) -> None:
        """Ask the predicates of :meth:`wait_until` again."""
        for predicate, future in self._waiters:
            if not future.done() and predicate():
                future.set_result(None)

    def received(self, request: ReceivedRequest) -> None:
        """Put a request into the history."""
        self.requests.append(request)
        self.changed()

    def _stop_waiting(self) -> None:
        waiters, self._waiters = self._waiters, []
        for _predicate, future in waiters:
            if not future.done():
                future.set_exception(ConnectionAbortedError("the cluster was stopped"))
