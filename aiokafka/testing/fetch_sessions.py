"""Incremental fetch sessions, as one broker keeps them (KIP-227).

Owns :class:`FetchSessions`, the cache of a broker, which dies with it, and :class:`Wanted`, one
partition somebody fetches.  Pure: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .codes import ErrorCode

__all__ = ["FetchSession", "FetchSessions", "Wanted"]

#: Epochs with a meaning: a request outside of any session, and one that opens a session.
FINAL_EPOCH, INITIAL_EPOCH = -1, 0
_LAST_EPOCH = 0x7FFFFFFF

Key: TypeAlias = "tuple[str | uuid.UUID, int]"


@dataclass(slots=True)
class Wanted:
    """A partition that a consumer fetches; ``high_watermark`` and ``log_start_offset`` are what
    it was told last in its session."""

    topic: str | uuid.UUID
    partition: int
    offset: int
    max_bytes: int
    current_leader_epoch: int = -1
    last_fetched_epoch: int = -1
    high_watermark: int = -1
    log_start_offset: int = -1

    @property
    def key(self) -> Key:
        return self.topic, self.partition

    def learns(self, row: Mapping[str, Any]) -> bool:
        """Whether an answer has news for this partition; they are taken note of."""
        news = (
            bool(row["message_set"])
            or bool(row["error_code"])
            or row["preferred_read_replica"] >= 0
            or "diverging_epoch" in row
            or row["highwater_offset"] != self.high_watermark
            or row["log_start_offset"] != self.log_start_offset
        )
        # After an error the consumer is told again, whatever it was told before.
        self.high_watermark = -1 if row["error_code"] else row["highwater_offset"]
        self.log_start_offset = row["log_start_offset"]
        return news


class FetchSession:
    """A session: the partitions a consumer need not repeat.

    Attributes:
        epoch: the epoch that the next request must bear.
        partitions: in the order they are read in; one that had records goes to the end.
        with_ids: topics are named by their ids (from version 13 on).
    """

    def __init__(self, session_id: int, wanted: Iterable[Wanted], with_ids: bool) -> None:
        self.session_id = session_id
        self.epoch = 1
        self.with_ids = with_ids
        self.partitions = {item.key: item for item in wanted}

    def update(self, wanted: Iterable[Wanted], forgotten: Iterable[Key]) -> None:
        """Take over what an incremental request adds, changes and forgets."""
        self.epoch = 1 if self.epoch == _LAST_EPOCH else self.epoch + 1
        for item in wanted:
            known = self.partitions.get(item.key)
            if known is not None:
                item.high_watermark = known.high_watermark
                item.log_start_offset = known.log_start_offset
            self.partitions[item.key] = item
        for key in forgotten:
            self.partitions.pop(key, None)

    def served(self, item: Wanted) -> None:
        """A partition had records: it is the last one next time."""
        if self.partitions.get(item.key) is item:
            self.partitions[item.key] = self.partitions.pop(item.key)


class FetchSessions:
    """The sessions of a broker.

    Args:
        rng: makes session ids.
        limit: sessions there may be; beyond it consumers get none.

    Attributes:
        opened: sessions opened so far.
    """

    def __init__(self, rng: random.Random, limit: int = 1000) -> None:
        self._rng = rng
        self._sessions: dict[int, FetchSession] = {}
        self.limit = limit
        self.opened = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session_id: int) -> bool:
        return session_id in self._sessions

    def get(self, session_id: int) -> FetchSession | None:
        """A session, or ``None``."""
        return self._sessions.get(session_id)

    def open(self, wanted: list[Wanted], with_ids: bool) -> FetchSession | None:
        """A new session; ``None`` when there are too many, or nothing is asked for."""
        if not wanted or len(self._sessions) >= self.limit:
            return None
        session_id = self._rng.randrange(1, 1 << 31)
        self._sessions[session_id] = session = FetchSession(session_id, wanted, with_ids)
        self.opened += 1
        return session

    def close(self, session_id: int) -> None:
        """End a session; no error if there is none."""
        self._sessions.pop(session_id, None)

    def evict(self, session_id: int | None = None) -> None:
        """Forget a session (default: all), as a broker does to make room."""
        if session_id is None:
            self._sessions.clear()
        else:
            self.close(session_id)

    def resume(
        self, session_id: int, epoch: int, with_ids: bool
    ) -> tuple[ErrorCode, FetchSession | None]:
        """The session of an incremental request, or why there is none."""
        session = self._sessions.get(session_id)
        if session is None:
            return ErrorCode.FETCH_SESSION_ID_NOT_FOUND, None
        if session.epoch != epoch:
            return ErrorCode.INVALID_FETCH_SESSION_EPOCH, None
        if session.with_ids != with_ids:
            return ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR, None
        return ErrorCode.NONE, session

    def mentions(self, session_id: int, names: set[object], partition: int | None) -> bool:
        """Whether a session has a topic, by name or id, and a partition of it if given."""
        session = self._sessions.get(session_id)
        return session is not None and any(
            topic in names and partition in (None, index) for topic, index in session.partitions
        )
