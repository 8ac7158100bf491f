"""Tools for testing code that talks to Kafka, without a Kafka.

- :class:`VirtualTimeLoop` and :func:`run_virtual`: an event loop on which an hour takes
  milliseconds and the same seed gives the same run.
- :class:`MemoryNetwork`: its network, with every way to lose packets.
- :class:`FakeCluster`: brokers that speak Kafka's protocol, on that network or on real loopback
  sockets, with the faults of :mod:`aiokafka.testing.faults`.
- :class:`FaultSchedule`: random faults that can be repeated from their seed.

A test, whole::

    from aiokafka import AIOKafkaProducer
    from aiokafka.testing import FakeCluster, run_virtual

    async def main() -> None:
        async with FakeCluster(brokers=3) as cluster:
            producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap_servers)
            await producer.start()
            await producer.send_and_wait("topic", b"value")
            await producer.stop()
            assert cluster.values("topic") == [b"value"]

    run_virtual(main)

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from .broker import FakeBroker
from .building import NewRecord
from .cluster import FakeCluster
from .codes import ErrorCode
from .faults import (
    Cut,
    Deaf,
    Delay,
    Do,
    Error,
    Fault,
    Faults,
    Garbage,
    HalfFrame,
    Level,
    LostAnswer,
    Refuse,
    Rewrite,
    Then,
    Throttle,
    WrongCorrelationId,
)
from .group_members import GroupEvent, GroupOptions, GroupState, Member
from .group_offsets import Committed
from .groups import Group
from .log import StoredRecord
from .network import Link, MemoryNetwork
from .pending import Pending
from .received import ReceivedRequest
from .schedule import CONSUMER_KINDS, PRODUCER_KINDS, FaultEvent, FaultKind, FaultSchedule
from .virtual_time import (
    DeadlockError,
    LivelockError,
    PendingTasksError,
    UnhandledErrorsError,
    VirtualTimeLimitError,
    VirtualTimeLoop,
    run_virtual,
)

__all__ = [
    "CONSUMER_KINDS",
    "PRODUCER_KINDS",
    "Committed",
    "Cut",
    "DeadlockError",
    "Deaf",
    "Delay",
    "Do",
    "Error",
    "ErrorCode",
    "FakeBroker",
    "FakeCluster",
    "Fault",
    "FaultEvent",
    "FaultKind",
    "FaultSchedule",
    "Faults",
    "Garbage",
    "Group",
    "GroupEvent",
    "GroupOptions",
    "GroupState",
    "HalfFrame",
    "Level",
    "Link",
    "LivelockError",
    "LostAnswer",
    "Member",
    "MemoryNetwork",
    "NewRecord",
    "Pending",
    "PendingTasksError",
    "ReceivedRequest",
    "Refuse",
    "Rewrite",
    "StoredRecord",
    "Then",
    "Throttle",
    "UnhandledErrorsError",
    "VirtualTimeLimitError",
    "VirtualTimeLoop",
    "WrongCorrelationId",
    "run_virtual",
]
