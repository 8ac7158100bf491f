"""Moving partitions between brokers (KIP-455).

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartitionReassignment:
    """A reassignment that is going on.

    Attributes:
        replicas: node ids of all replicas of the present.
        adding_replicas: those that are being added.
        removing_replicas: those that will be removed.

    .. versionadded:: 0.14.1
    """

    replicas: tuple[int, ...]
    adding_replicas: tuple[int, ...]
    removing_replicas: tuple[int, ...]
