"""The consumer's settings, checked and in seconds.

Pure: no loop, no task.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka._config import at_least, milliseconds
from aiokafka._values import Value

STOP_TIMEOUT_MS = 30000

ISOLATION_LEVELS = ("read_uncommitted", "read_committed")


class ConsumerSettings(Value):
    """Settings of one consumer; times in seconds, sizes in bytes."""

    group_id: str | None
    fetch_max_wait: float
    fetch_max_bytes: int
    fetch_min_bytes: int
    max_partition_fetch_bytes: int
    fetch_buffer_bytes: int
    max_poll_records: int | None
    request_timeout: float
    default_api_timeout: float
    stop_timeout: float
    auto_commit_interval: float
    max_poll_interval: float
    session_timeout: float
    heartbeat_interval: float
    rebalance_timeout: float
    consumer_timeout: float
    assignors: tuple[Any, ...]
    auto_offset_store: bool

    @property
    def group_start_timeout(self) -> float:
        """How long the first assignment may take: a rebalance lasts until the slowest member has
        joined, and every step of it may have to be repeated."""
        return self.default_api_timeout + self.rebalance_timeout


def check_max_records(name: str, value: object) -> int | None:
    """A number of records, or None for no limit.

    Raises:
        ValueError: anything else; names the argument.
    """
    return None if value is None else at_least(name, value, 1)


def check_isolation_level(value: object) -> None:
    """Raises ValueError: not one of :data:`ISOLATION_LEVELS`."""
    if value not in ISOLATION_LEVELS:
        raise ValueError(
            f"Incorrect isolation level {value}: `isolation_level` should be one of"
            f" {', '.join(ISOLATION_LEVELS)}"
        )


def check_assignors(strategies: object) -> tuple[Any, ...]:
    """Partition assignors, classes or instances.

    Raises:
        ValueError: none, or something that has no name to be negotiated by.
    """
    if not isinstance(strategies, Iterable) or isinstance(strategies, str):
        raise ValueError(
            "`partition_assignment_strategy` should be a sequence of assignors,"
            f" not {strategies!r}"
        )
    assignors = tuple(strategies)
    if not assignors:
        raise ValueError("`partition_assignment_strategy` should name at least one assignor")
    for assignor in assignors:
        if getattr(assignor, "name", None) is None:
            raise ValueError(
                f"`partition_assignment_strategy` has {assignor!r}, which is no assignor"
            )
    return assignors


def check_settings(
    *,
    group_id: str | None,
    fetch_max_wait_ms: float,
    fetch_max_bytes: int,
    fetch_min_bytes: int,
    max_partition_fetch_bytes: int,
    fetch_buffer_bytes: int,
    max_poll_records: int | None,
    request_timeout_ms: float,
    default_api_timeout_ms: float | None,
    stop_timeout_ms: float | None,
    auto_commit_interval_ms: float,
    max_poll_interval_ms: float,
    session_timeout_ms: float,
    heartbeat_interval_ms: float,
    rebalance_timeout_ms: float | None,
    consumer_timeout_ms: float,
    partition_assignment_strategy: object,
    enable_auto_offset_store: bool,
) -> ConsumerSettings:
    """Check all settings but ``isolation_level``, which 0.14 looks at in ``start()``.

    Raises:
        ValueError: a setting that cannot work; the message names it.
    """
    request_timeout = milliseconds("request_timeout_ms", request_timeout_ms)
    session_timeout = milliseconds("session_timeout_ms", session_timeout_ms)
    return ConsumerSettings(
        group_id=group_id,
        fetch_max_wait=milliseconds("fetch_max_wait_ms", fetch_max_wait_ms),
        fetch_max_bytes=at_least("fetch_max_bytes", fetch_max_bytes, 0),
        fetch_min_bytes=at_least("fetch_min_bytes", fetch_min_bytes, 0),
        max_partition_fetch_bytes=at_least(
            "max_partition_fetch_bytes", max_partition_fetch_bytes, 0
        ),
        fetch_buffer_bytes=at_least("fetch_buffer_bytes", fetch_buffer_bytes, 1),
        max_poll_records=check_max_records("max_poll_records", max_poll_records),
        request_timeout=request_timeout,
        default_api_timeout=(
            request_timeout
            if default_api_timeout_ms is None
            else milliseconds("default_api_timeout_ms", default_api_timeout_ms)
        ),
        stop_timeout=milliseconds(
            "stop_timeout_ms", STOP_TIMEOUT_MS if stop_timeout_ms is None else stop_timeout_ms
        ),
        auto_commit_interval=milliseconds("auto_commit_interval_ms", auto_commit_interval_ms),
        max_poll_interval=milliseconds("max_poll_interval_ms", max_poll_interval_ms),
        session_timeout=session_timeout,
        heartbeat_interval=milliseconds("heartbeat_interval_ms", heartbeat_interval_ms),
        rebalance_timeout=(
            session_timeout
            if rebalance_timeout_ms is None
            else milliseconds("rebalance_timeout_ms", rebalance_timeout_ms)
        ),
        consumer_timeout=milliseconds("consumer_timeout_ms", consumer_timeout_ms),
        assignors=check_assignors(partition_assignment_strategy),
        auto_offset_store=bool(enable_auto_offset_store),
    )
