"""A request as a fake broker received it.

Owns :class:`ReceivedRequest`: the entry of a cluster's history, and what the handler of its API
works with.  Pure data.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka.protocol.api import RequestStruct

from .codec import api_name
from .codes import ErrorCode
from .faults import Error, Fault, Level

if TYPE_CHECKING:
    from .broker import FakeBroker
    from .cluster import FakeCluster

__all__ = ["ReceivedRequest"]


@dataclass(slots=True, eq=False)
class ReceivedRequest:
    """One request that reached a broker.

    Attributes:
        time: loop time of its arrival, in seconds.
        node_id: the broker.
        connection_id: number of the connection in the cluster.
        api_key, version, correlation_id, client_id: from its header.
        request: the decoded request.
        faults: those that applied to it.
        answered_at: loop time at which its answer was written, or ``None``.
    """

    time: float
    node_id: int
    connection_id: int
    api_key: int
    version: int
    correlation_id: int
    client_id: str | None
    request: RequestStruct
    cluster: FakeCluster = field(repr=False)
    faults: list[Fault] = field(default_factory=list)
    answered_at: float | None = None
    _values: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def api_name(self) -> str:
        """Kafka's name of the API."""
        return api_name(self.api_key)

    @property
    def broker(self) -> FakeBroker:
        """The broker it reached."""
        return self.cluster.brokers[self.node_id]

    @property
    def values(self) -> dict[str, Any]:
        """The request as nested dictionaries."""
        if self._values is None:
            self._values = self.request.to_object()
        return self._values

    @property
    def summary(self) -> tuple[float, int, str, int]:
        """Time, node, API and version: what two equal runs agree in."""
        return (self.time, self.node_id, self.api_name, self.version)

    def error(
        self, level: Level, topic: str | None = None, partition: int | None = None
    ) -> ErrorCode | int:
        """The code that a fault puts at this place of the answer, else NONE."""
        fault = self._error_fault(level, topic, partition)
        return ErrorCode.NONE if fault is None else fault.code

    def error_applied(self, level: Level, topic: str | None, partition: int | None) -> bool:
        """Whether the request takes effect although that place bears an error."""
        fault = self._error_fault(level, topic, partition)
        return fault is not None and fault.applied

    def _error_fault(self, level: Level, topic: str | None, partition: int | None) -> Error | None:
        for fault in self.faults:
            action = fault.action
            if (
                isinstance(action, Error)
                and action.level_for(self.api_key) is level
                and fault.fits(topic, partition)
            ):
                return action
        return None

    def mentions(self, topic: str, partition: int | None = None) -> bool:
        """Whether the request names that topic (or its id), and that partition if given.

        A Fetch names what its session has, too (KIP-227).
        """
        known = self.cluster.topics.get(topic)
        names: set[object] = {topic} if known is None else {topic, known.topic_id}
        session_id = self.values.get("session_id", 0)
        if session_id and self.broker.fetch_sessions.mentions(session_id, names, partition):
            return True
        return any(
            partition is None or found is None or found == partition
            for found in _mentioned(self.values, names)
        )


def _mentioned(value: Any, names: set[object]) -> list[int | None]:
    """Partitions listed in rows that bear one of ``names``; None for a bare mention."""
    if isinstance(value, (str, uuid.UUID)):
        return [None] if value in names else []
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in _mentioned(item, names)]
    if not isinstance(value, Mapping):
        return []
    if any(isinstance(item, (str, uuid.UUID)) and item in names for item in value.values()):
        rows = [item for item in value.values() if isinstance(item, list) and item]
        return [_partition_of(row) for row in rows[0]] if rows else [None]
    return [found for item in value.values() for found in _mentioned(item, names)]


def _partition_of(row: Any) -> int | None:
    if isinstance(row, Mapping):
        row = next(iter(row.values()))
    return row if isinstance(row, int) else None
