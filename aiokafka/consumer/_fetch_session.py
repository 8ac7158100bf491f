"""A fetch session with one node (KIP-227): what the broker knows already is not said again.

The broker keeps the partitions of a session with their offsets; an incremental request carries
only those that changed and those to be forgotten, the answer only those with news.  Each answer
moves the epoch on by one; whenever the two sides may disagree, a full request makes a new
session.

Pure: no I/O, no clock.  Nothing changes before an answer is in, so that a request that was
planned but never sent does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from aiokafka import errors as Errors
from aiokafka._values import Value
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from uuid import UUID


#: ``(partition, offset, max_bytes, current leader epoch)``, as Fetch requests have it.
Row: TypeAlias = tuple[int, int, int, int]

NO_SESSION = 0
FULL = 0  # epoch of the request that makes a session
FINAL = -1  # epoch of the request that ends it
_INT32_MAX = 2**31 - 1

SESSION_ERRORS = (
    Errors.FetchSessionIdNotFound,
    Errors.InvalidFetchSessionEpoch,
    Errors.FetchSessionTopicIdError,
    Errors.UnknownTopicIdError,
    Errors.InconsistentTopicIdError,
)


class SessionRequest(Value):
    """What one request says of the session."""

    session_id: int
    epoch: int
    #: Everything the session has after this request.
    rows: dict[TopicPartition, Row]
    #: What has to be said, of that.
    changed: dict[TopicPartition, Row]
    forgotten: tuple[TopicPartition, ...]
    topic_ids: dict[str, UUID]

    @property
    def incremental(self) -> bool:
        return self.epoch > FULL


class FetchSession:
    """The session with one node, as its broker knows it."""

    def __init__(self) -> None:
        self.session_id = NO_SESSION
        self.epoch = FULL
        self._rows: dict[TopicPartition, Row] = {}
        self._topic_ids: dict[str, UUID] = {}

    def __repr__(self) -> str:
        return f"<FetchSession {self.session_id} epoch={self.epoch} {len(self._rows)} partitions>"

    def next_request(
        self, rows: dict[TopicPartition, Row], topic_ids: Mapping[str, UUID]
    ) -> SessionRequest:
        """What to send in order to fetch *rows*, and nothing else.

        Parameters:
            topic_ids: the ids known of the topics; a session stays with ids or without them, so
                that one is begun anew when that changes, or when a topic was made again.
        """
        ids = {tp.topic: topic_ids[tp.topic] for tp in rows if tp.topic in topic_ids}
        if self.epoch == FULL or not self._same_topics(rows, ids):
            return SessionRequest(self.session_id, FULL, rows, rows, (), ids)
        old = self._rows
        changed = {tp: row for tp, row in rows.items() if old.get(tp) != row}
        forgotten = tuple(tp for tp in old if tp not in rows)
        ids.update({tp.topic: self._topic_ids[tp.topic] for tp in forgotten if self._topic_ids})
        return SessionRequest(self.session_id, self.epoch, rows, changed, forgotten, ids)

    def _same_topics(self, rows: Mapping[TopicPartition, Row], ids: Mapping[str, UUID]) -> bool:
        known = self._topic_ids
        if not known:
            # Without ids so far: with them if all have one, which makes it another session.
            return not ids or any(tp.topic not in ids for tp in rows)
        return all(tp.topic in ids for tp in rows) and all(
            known.get(topic, topic_id) == topic_id for topic, topic_id in ids.items()
        )

    def answered(self, request: SessionRequest, session_id: int) -> None:
        """The broker has answered *request* without an error of the session.

        Parameters:
            session_id: from the answer; 0 when the broker keeps no session for us.
        """
        self.session_id = session_id
        if session_id == NO_SESSION:
            self.epoch, self._rows, self._topic_ids = FULL, {}, {}
            return
        self.epoch = 1 if request.epoch == _INT32_MAX else request.epoch + 1
        self._rows = request.rows
        with_ids = all(tp.topic in request.topic_ids for tp in request.rows)
        if not request.incremental:
            self._topic_ids = dict(request.topic_ids) if with_ids else {}
        elif with_ids:
            self._topic_ids.update(request.topic_ids)

    def refused(self, error: type[Errors.KafkaError]) -> None:
        """The broker has refused the session; the next request makes a new one."""
        if issubclass(error, Errors.FetchSessionIdNotFound):
            self.session_id = NO_SESSION
        # Otherwise the broker still has the old one: a full request in its name ends it.
        self._start_over()

    def lost(self) -> None:
        """No answer came: nobody knows what the broker made of the request."""
        self._start_over()

    def _start_over(self) -> None:
        self.epoch, self._rows, self._topic_ids = FULL, {}, {}

    def close(self) -> int:
        """Forget the session; returns its id for the request that ends it, 0 for none."""
        session_id = self.session_id
        self.session_id = NO_SESSION
        self._start_over()
        return session_id
