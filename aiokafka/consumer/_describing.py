"""Drawing a consumer's health (:mod:`aiokafka.consumer._health`) from its parts.

Reads only; no task, no future.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.consumer._health import ConsumerHealth, ConsumerVerdict

if TYPE_CHECKING:
    from aiokafka.consumer._offsets import OffsetCalls


def describe(consumer: OffsetCalls) -> ConsumerHealth:
    """The consumer as it is now."""
    group_id = consumer._group_id
    if consumer._stopping.given:
        return ConsumerHealth(ConsumerVerdict.STOPPED, "it was stopped", group_id)
    if consumer._fetcher is None:
        return ConsumerHealth(ConsumerVerdict.NOT_STARTED, "await its start() first", group_id)
    return ConsumerHealth(ConsumerVerdict.OK)
