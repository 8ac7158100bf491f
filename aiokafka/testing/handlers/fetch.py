"""Fetch: records from a partition's log, at once or when there are enough (KIP-227, KIP-74).

A request that finds less than ``min_bytes`` waits: its answer comes with the next change of a log
that makes it worthwhile, or at the end of ``max_wait_time``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codes import ErrorCode
from ..faults import Level
from ..fetch_sessions import FINAL_EPOCH, INITIAL_EPOCH, FetchSession, Wanted
from ..log import PartitionLog
from ..pending import Pending
from .fetch_read import PartitionRead, Reader

if TYPE_CHECKING:
    import asyncio

    from ..connection import BrokerConnection
    from ..received import ReceivedRequest

_FIRST_VERSION_WITH_SESSIONS = 7
_FIRST_VERSION_WITH_IDS = 13


def handle(received: ReceivedRequest, connection: BrokerConnection) -> dict[str, Any] | Pending:
    """Answer Fetch."""
    error: int = received.error(Level.TOP)
    session: FetchSession | None = None
    wanted = _wanted(received)
    if not error:
        error, session = _session(received, wanted)
    if error:
        if received.version < _FIRST_VERSION_WITH_SESSIONS:
            reader = Reader(received, error)
            return _answer(received, [reader.read(item) for item in wanted], None)
        return {"error_code": error, "session_id": 0, "topics": []}
    if session is not None:
        wanted = list(session.partitions.values())
    return _Fetch(received, wanted, session).begin()


def _wanted(received: ReceivedRequest) -> list[Wanted]:
    """The partitions that the request names."""
    name = "topic_id" if received.version >= _FIRST_VERSION_WITH_IDS else "topic"
    offset = "offset" if received.version < 5 else "fetch_offset"
    return [
        Wanted(
            topic[name],
            row["partition"],
            row[offset],
            row["max_bytes"],
            row.get("current_leader_epoch", -1),
            row.get("last_fetched_epoch", -1),
        )
        for topic in received.values["topics"]
        for row in topic["partitions"]
    ]


def _session(
    received: ReceivedRequest, wanted: list[Wanted]
) -> tuple[ErrorCode, FetchSession | None]:
    """The session of the request, if it is of one; it may be new, or end here."""
    values = received.values
    session_id, epoch = values.get("session_id", 0), values.get("session_epoch", FINAL_EPOCH)
    sessions = received.broker.fetch_sessions
    with_ids = received.version >= _FIRST_VERSION_WITH_IDS
    if epoch in (FINAL_EPOCH, INITIAL_EPOCH):
        sessions.close(session_id)
        if epoch == FINAL_EPOCH:
            return ErrorCode.NONE, None
        return ErrorCode.NONE, sessions.open(wanted, with_ids)
    error, session = sessions.resume(session_id, epoch, with_ids)
    if session is None:
        return error, None
    name = "topic_id" if with_ids else "topic"
    session.update(
        wanted,
        [
            (topic[name], partition)
            for topic in values["forgotten_topics_data"]
            for partition in topic["partitions"]
        ],
    )
    if not session.partitions:
        sessions.close(session_id)
    return ErrorCode.NONE, session


class _Fetch:
    """A Fetch request, from its arrival to its answer."""

    def __init__(
        self, received: ReceivedRequest, wanted: list[Wanted], session: FetchSession | None
    ) -> None:
        self._received = received
        self._wanted = wanted
        self._session = session
        self._reader = Reader(received)
        self._pending = Pending(self._stop_waiting)
        self._timer: asyncio.TimerHandle | None = None
        self._watched: list[PartitionLog] = []
        self._held = False

    def begin(self) -> dict[str, Any] | Pending:
        """The answer, or that it comes later."""
        values = self._received.values
        reads = self._reader.read_all(self._wanted)
        wait = values["max_wait_time"]
        if wait <= 0 or not reads or self._enough(reads):
            return self._answer(reads)
        for read in reads:
            if read.log is not None:
                self._watched.append(read.log)
                read.log.listeners[self._look] = None
        self._timer = self._received.broker.later(wait / 1000, self._time_is_up)
        return self._pending

    def _enough(self, reads: list[PartitionRead]) -> bool:
        if any(read.urgent for read in reads):
            return True
        enough: int = self._received.values["min_bytes"]
        return sum(read.size for read in reads) >= enough

    def _answer(self, reads: list[PartitionRead]) -> dict[str, Any]:
        return _answer(self._received, reads, self._session)

    def _look(self) -> None:
        """A log changed; a frozen broker notices when it thaws."""
        if self._pending.done or self._held:
            return
        broker = self._received.broker
        if broker.frozen:
            self._held = True
            broker.hold(self._look_again)
            return
        reads = self._reader.read_all(self._wanted)
        if self._enough(reads):
            self._finish(reads)

    def _look_again(self) -> None:
        self._held = False
        self._look()

    def _time_is_up(self) -> None:
        if not self._pending.done:
            self._finish(self._reader.read_all(self._wanted))

    def _finish(self, reads: list[PartitionRead]) -> None:
        self._stop_waiting()
        self._pending.answer(self._answer(reads))

    def _stop_waiting(self) -> None:
        for log in self._watched:
            log.listeners.pop(self._look, None)
        self._watched.clear()
        if self._timer is not None:
            self._timer.cancel()


def _answer(
    received: ReceivedRequest, reads: list[PartitionRead], session: FetchSession | None
) -> dict[str, Any]:
    """The whole answer; in a session after its first request, only what is new."""
    full = session is None or received.values["session_epoch"] == INITIAL_EPOCH
    topics: dict[Any, list[dict[str, Any]]] = {}
    endpoints: dict[int, dict[str, Any]] = {}
    for read in reads:
        row = read.row()
        news = session is None or read.wanted.learns(row)
        if session is not None and row["message_set"]:
            session.served(read.wanted)
        if news or full:
            topics.setdefault(read.wanted.topic, []).append(row)
            endpoints.update(read.endpoints)
    name = "topic_id" if received.version >= _FIRST_VERSION_WITH_IDS else "topics"
    closed = session is None or not session.partitions
    return {
        "error_code": ErrorCode.NONE,
        "session_id": 0 if closed or session is None else session.session_id,
        "topics": [{name: topic, "partitions": rows} for topic, rows in topics.items()],
        "node_endpoints": list(endpoints.values()),
    }
