"""Small things the event loop and several layers need; no state, no tasks of its own.

:func:`create_task` is the single low-level place that makes an :class:`asyncio.Task`.
Who calls it owns the task; inside the package that is the task supervisor only.
"""

from __future__ import annotations

import asyncio
import operator
import os
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, TypeVar

from aiokafka.structs import OffsetAndMetadata, TopicPartition

__all__ = [
    "INTEGER_MAX_VALUE",
    "INTEGER_MIN_VALUE",
    "NO_EXTENSIONS",
    "create_future",
    "create_task",
]

T = TypeVar("T")

INTEGER_MAX_VALUE = 2**31 - 1
"""Largest signed 32-bit integer (Java's ``Integer.MAX_VALUE``)."""

INTEGER_MIN_VALUE = -(2**31)
"""Smallest signed 32-bit integer (Java's ``Integer.MIN_VALUE``)."""

NO_EXTENSIONS = bool(os.environ.get("AIOKAFKA_NO_EXTENSIONS"))
"""True when the environment asks for the pure-Python code paths.

Set ``AIOKAFKA_NO_EXTENSIONS`` to any non-empty value before the import.
"""


def get_running_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop that is running.

    Raises:
        RuntimeError: no loop runs in this thread.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError as exc:
        raise RuntimeError(
            "No event loop is running: create this object inside an async function,"
            " or pass it the loop to use"
        ) from exc


def create_task(coro: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
    """Start ``coro`` as a task on the running loop.

    Parameters:
        coro: the coroutine to run.
        name: name of the task, for logs and debuggers.

    Raises:
        RuntimeError: no loop runs in this thread.
    """
    return get_running_loop().create_task(coro, name=name)


def create_future(loop: asyncio.AbstractEventLoop | None = None) -> asyncio.Future[Any]:
    """Make a future on ``loop``, by default on the running one.

    Raises:
        RuntimeError: no loop was given and none runs in this thread.
    """
    if loop is None:
        loop = get_running_loop()
    return loop.create_future()


async def wait_for(fut: Awaitable[T], timeout: float | None = None) -> T:
    """Wait for ``fut`` no longer than ``timeout`` seconds, then cancel it.

    Kept for callers of 0.14. Code of this package bounds its waits with a deadline.

    Parameters:
        fut: what to wait for.
        timeout: seconds, ``None`` for no limit.

    Raises:
        asyncio.TimeoutError: ``timeout`` ran out.
    """
    return await asyncio.wait_for(fut, timeout)


def parse_kafka_version(api_version: str) -> tuple[int, int, int]:
    """Read a broker version such as ``"2.4"`` or ``"0.10.2"``.

    Parameters:
        api_version: two or three numbers separated by dots.

    Returns:
        Major, minor and patch number; a missing patch number is 0.

    Raises:
        ValueError: not a version, or outside ``0.9 <= version < 3.0``.
    """
    parts = api_version.split(".") if isinstance(api_version, str) else []
    if not 2 <= len(parts) <= 3 or not all(p.isascii() and p.isdigit() for p in parts):
        raise ValueError(f"Kafka version must be two or three numbers: {api_version!r}")
    major, minor, patch = (*map(int, parts), 0)[:3]
    if not (0, 9) <= (major, minor) < (3, 0):
        raise ValueError(f"Kafka version must be at least 0.9 and below 3.0: {api_version!r}")
    return major, minor, patch


def commit_structure_validate(
    offsets: Mapping[TopicPartition, int | tuple[int, str] | OffsetAndMetadata],
) -> dict[TopicPartition, OffsetAndMetadata]:
    """Check and normalise the offsets a user wants to commit.

    Parameters:
        offsets: for each partition an offset, an ``(offset, metadata)`` pair or an
            :class:`~aiokafka.structs.OffsetAndMetadata`.

    Raises:
        ValueError: not a dict, an empty one, or a value of another shape
            or with a negative offset.
        TypeError: a key is not a ``TopicPartition``, or the metadata not a string.
    """
    if not isinstance(offsets, dict) or not offsets:
        raise ValueError(f"Offsets to commit must be a dict that is not empty: {offsets!r}")

    checked: dict[TopicPartition, OffsetAndMetadata] = {}
    for tp, given in offsets.items():
        if not isinstance(tp, TopicPartition):
            raise TypeError("Key should be TopicPartition instance")
        try:
            offset, metadata = (given, "") if isinstance(given, int) else given
            offset = operator.index(offset)
        except (TypeError, ValueError) as exc:
            raise ValueError(
                f"Offset of {tp} must be a number or an (offset, metadata) pair: {given!r}"
            ) from exc
        if offset < 0:
            raise ValueError(f"Offset of {tp} must not be negative: {offset}")
        if not isinstance(metadata, str):
            raise TypeError("Metadata should be a string")
        checked[tp] = OffsetAndMetadata(offset, metadata)
    return checked
