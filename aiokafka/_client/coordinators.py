"""Finding the coordinator of a group or of a transactional id.

Runs the look-ups of :func:`find_coordinator` as tasks of the caller's supervisor: when the broker
asked is silent, another one is asked besides.  The call ends them however it ends itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiokafka._client.connections import ConnectionGroup
from aiokafka._retry import Backoff, action_for, pause
from aiokafka._tasks import Supervisor
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, NodeNotReadyError

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

# Seconds a broker may keep silent before another one is asked as well, and how many at most.
_PATIENCE = 1.0
_MOST = 3


async def find_coordinator(
    client: AIOKafkaClient,
    coordinator_type: int,
    key: str,
    *,
    backoff: Backoff,
    supervisor: Supervisor,
    on_error: Callable[[KafkaError], None],
) -> int:
    """The node id of the coordinator, connected; tries until there is one.

    Goes through ``client.coordinator_lookup`` and ``client.ready``, by those names.

    Parameters:
        coordinator_type: 0 for a group, 1 for a transaction.
        key: the group id or the transactional id.
        on_error: told of each failure.  What it raises ends the search; if it raises nothing,
            the search goes on after a pause.
    """
    attempt = 0
    while True:
        try:
            node_id = await _ask(client, coordinator_type, key, supervisor)
            if await client.ready(node_id, group=ConnectionGroup.COORDINATION):
                return node_id
            raise NodeNotReadyError(f"The coordinator of {key!r}, node {node_id}, is not ready")
        except KafkaError as error:
            on_error(error)
        await pause(backoff.delay(attempt, client._rng))
        attempt += 1


async def _ask(
    client: AIOKafkaClient, coordinator_type: int, key: str, supervisor: Supervisor
) -> int:
    """Look the coordinator up; the first answer counts."""
    asked: set[asyncio.Task[int | KafkaError]] = set()
    last: KafkaError | None = None
    started = 0
    try:
        while True:
            if started < _MOST:
                started += 1
                asked.add(
                    supervisor.spawn(_look_up(client, coordinator_type, key), name="coordinator")
                )
            done, asked = await asyncio.wait(
                asked,
                timeout=_PATIENCE if started < _MOST else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                found = task.result()
                if not isinstance(found, KafkaError):
                    return found
                last = found
            if last is not None and (not asked or not action_for(last).retriable):
                raise last
    finally:
        for task in asked:
            task.cancel()


async def _look_up(client: AIOKafkaClient, coordinator_type: int, key: str) -> int | KafkaError:
    """One look-up; its failure is a result, no crash of a task."""
    try:
        return await client.coordinator_lookup(coordinator_type, key)
    except KafkaError as error:
        return error
    except NotImplementedError as error:  # no version in common
        return IncompatibleBrokerVersion(str(error))
