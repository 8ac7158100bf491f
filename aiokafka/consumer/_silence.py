"""Noticing that a node has gone silent before its request times out.

A broker that is frozen neither answers nor closes its connection; the cluster gives its
partitions to others long before a request to it times out.  So while a node is silent for longer
than it should be, metadata is asked for, again and again with backoff.

Runs at most one timer for each request under way; owns no task and no future.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiokafka._retry import Backoff

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

# Seconds beyond what a request may take.
_GRACE = 1.0


class SilenceWatch:
    """Asks for metadata while a node does not answer."""

    def __init__(
        self,
        client: AIOKafkaClient,
        *,
        backoff: Backoff,
        rng: random.Random,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._client = client
        self._backoff = backoff
        self._rng = rng
        self._loop = loop

    @contextlib.contextmanager
    def over(self, node_id: int, what: str, allowed: float = 0.0) -> Iterator[None]:
        """Within the block, *node_id* is expected to answer.

        Parameters:
            what: the request, for the debug log.
            allowed: seconds that the answer may take.
        """
        started = self._loop.time()
        timer: asyncio.TimerHandle
        attempt = 0

        def silent() -> None:
            nonlocal timer, attempt
            waited = self._loop.time() - started
            self._client.request_metadata(
                f"node {node_id} has not answered {what} for {waited:.1f} s"
            )
            timer = self._loop.call_later(self._backoff.delay(attempt, self._rng), silent)
            attempt += 1

        timer = self._loop.call_later(allowed + _GRACE, silent)
        try:
            yield
        finally:
            timer.cancel()
