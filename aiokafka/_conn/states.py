"""The life of a connection as a table.

No tasks, no futures; :class:`aiokafka.conn.AIOKafkaConnection` holds the state.
"""

from __future__ import annotations

import enum


class CloseReason(enum.IntEnum):
    """Why a connection was closed, as told to ``on_close``."""

    CONNECTION_BROKEN = 0
    CONNECTION_TIMEOUT = 1
    OUT_OF_SYNC = 2
    IDLE_DROP = 3
    SHUTDOWN = 4
    AUTH_FAILURE = 5


class ConnectionState(enum.Enum):
    """Where a connection is in its life."""

    NEW = "new"
    CONNECTING = "connecting (TCP, TLS)"
    NEGOTIATING = "negotiating versions (ApiVersions)"
    AUTHENTICATING = "authenticating (SASL)"
    READY = "ready"
    CLOSED = "closed"


_S = ConnectionState

#: From each state, where it may go.  A closed connection is never opened again.
TRANSITIONS: dict[ConnectionState, frozenset[ConnectionState]] = {
    _S.NEW: frozenset({_S.CONNECTING, _S.CLOSED}),
    _S.CONNECTING: frozenset({_S.NEGOTIATING, _S.CLOSED}),
    _S.NEGOTIATING: frozenset({_S.AUTHENTICATING, _S.READY, _S.CLOSED}),
    _S.AUTHENTICATING: frozenset({_S.READY, _S.CLOSED}),
    _S.READY: frozenset({_S.CLOSED}),
    _S.CLOSED: frozenset(),
}


def check_transition(current: ConnectionState, new: ConnectionState) -> None:
    """Raise RuntimeError when the table has no way from *current* to *new*.

    That is a mistake in this package, never in an application or a broker.
    """
    if new not in TRANSITIONS[current]:
        raise RuntimeError(f"illegal connection state change: {current.name} -> {new.name}")
