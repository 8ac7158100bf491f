"""How the partitions of a group's topics are shared out among its members.

:mod:`.abstract` has the contract between a consumer and its assignors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiokafka._on_demand import on_demand, submodules

__all__ = ["instances"]

if not TYPE_CHECKING:
    __getattr__ = on_demand(__name__, submodules(__name__, "abstract", "roundrobin"))


def instances(strategies: Iterable[Any]) -> list[Any]:
    """The assignors of one consumer, in the order of its ``partition_assignment_strategy``.

    A class that declares ``per_consumer`` is instantiated, so that consumers in one process do not
    share what it remembers; other classes, and instances, are returned as they are.

    .. versionadded:: 0.14.1
    """
    return [
        item() if isinstance(item, type) and getattr(item, "per_consumer", False) else item
        for item in strategies
    ]
