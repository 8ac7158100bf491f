"""The first contact: all bootstrap servers at once, under one deadline.

The first server that connects and gives metadata wins; the others' attempts are given up.

Runs one supervised task for each server while bootstrapping; all have ended when
:func:`bootstrap` returns or raises.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiokafka import errors as Errors
from aiokafka._client.connections import ConnectionPool
from aiokafka._client.nodes import AUTHENTICATION_ERRORS
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._retry import pause
from aiokafka._tasks import Supervisor

log = logging.getLogger("aiokafka")


async def bootstrap(
    pool: ConnectionPool,
    *,
    ask: Callable[[str], Awaitable[None]],
    supervisor: Supervisor,
    deadline: Deadline,
) -> None:
    """Get the first metadata from any of the pool's bootstrap servers.

    Parameters:
        ask: connects to a server, asks it for metadata and takes the answer.

    Raises:
        KafkaConnectionError: no server could be used; says why for each, and
            ``__cause__`` is the most telling error.
    """
    names = pool.bootstrap_ids
    if not names:
        raise Errors.KafkaConnectionError("Unable to bootstrap: `bootstrap_servers` is empty")
    errors: dict[str, BaseException] = {}

    async def attempt(name: str) -> bool:
        node = pool.node(name)
        # Left open by an earlier bootstrap that failed: it may be broken without a word.
        left_open = node.connected
        while True:
            # That earlier one may also have left it backing off, which is no answer either.
            await pause(node.delay(), deadline)
            try:
                await ask(name)
            except (Errors.KafkaError, OSError, asyncio.TimeoutError) as error:
                log.debug("Unable to bootstrap from %s: %s", node.where, error)
                errors[name] = error
                if not left_open:
                    return False
                left_open = False
            else:
                return True

    tasks: list[asyncio.Task[bool]] = [
        supervisor.spawn(attempt(name), name=f"bootstrap from {name}") for name in names
    ]
    pending = set(tasks)
    try:
        while pending:
            done, pending = await asyncio.wait(
                pending, timeout=deadline.remaining(), return_when=asyncio.FIRST_COMPLETED
            )
            if any(not task.cancelled() and task.result() for task in done):
                return
            if not done:
                break
    finally:
        for task in tasks:
            task.cancel()
        if pending:
            # Cancelled tasks end within a turn of the loop; nothing may outlive the call.
            await asyncio.wait(pending)
    raise _failure(pool, errors, deadline) from _most_telling(errors)


def _failure(
    pool: ConnectionPool, errors: dict[str, BaseException], deadline: Deadline
) -> Errors.KafkaConnectionError:
    reasons = "; ".join(
        f"{pool.node(name).where}: {errors.get(name, 'no answer')}" for name in pool.bootstrap_ids
    )
    return Errors.KafkaConnectionError(
        f"Unable to bootstrap after {as_milliseconds(deadline.elapsed())} ms"
        f" (budget {as_milliseconds(deadline.budget)} ms): {reasons}"
    )


def _most_telling(errors: dict[str, BaseException]) -> BaseException | None:
    """What the user can do something about comes before what may pass by itself."""
    for error in errors.values():
        if isinstance(error, (*AUTHENTICATION_ERRORS, Errors.UnsupportedVersionError)):
            return error
    return next(reversed(list(errors.values())), None)
