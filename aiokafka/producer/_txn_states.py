"""The states of a transactional producer and the legal transitions between them.

Pure data: no loop, no future, no task.
"""

from __future__ import annotations

from enum import Enum, IntEnum

from aiokafka.errors import IllegalStateError


class WrongTransactionCall(IllegalStateError, AssertionError):
    """The call does not fit the transaction's state; 0.14 raised ``AssertionError`` for that."""


class TransactionResult(IntEnum):
    """How a transaction ends, as the protocol encodes it."""

    ABORT = 0
    COMMIT = 1


class SubscriptionType(Enum):
    """Kept for code that imports it from here; the consumer has its own."""

    NONE = 1
    AUTO_TOPICS = 2
    AUTO_PATTERN = 3
    USER_ASSIGNED = 4


class TransactionState(Enum):
    """Where a transactional producer stands."""

    UNINITIALIZED = 1
    """No producer id yet."""
    READY = 2
    """Between transactions."""
    IN_TRANSACTION = 3
    COMMITTING_TRANSACTION = 4
    ABORTING_TRANSACTION = 5
    ABORTABLE_ERROR = 6
    """The open transaction can only be aborted; the producer itself is good."""
    FATAL_ERROR = 7
    """This producer cannot be used any more; reached from every state, left by none."""

    @classmethod
    def is_transition_valid(cls, source: TransactionState, target: TransactionState) -> bool:
        """Whether a producer in state *source* may go to *target*."""
        return target in _TRANSITIONS[source]


_S = TransactionState

_TRANSITIONS: dict[TransactionState, frozenset[TransactionState]] = {
    _S.UNINITIALIZED: frozenset({_S.READY, _S.FATAL_ERROR}),
    _S.READY: frozenset({_S.UNINITIALIZED, _S.IN_TRANSACTION, _S.FATAL_ERROR}),
    _S.IN_TRANSACTION: frozenset(
        {
            _S.COMMITTING_TRANSACTION,
            _S.ABORTING_TRANSACTION,
            _S.ABORTABLE_ERROR,
            _S.FATAL_ERROR,
        }
    ),
    _S.COMMITTING_TRANSACTION: frozenset({_S.READY, _S.ABORTABLE_ERROR, _S.FATAL_ERROR}),
    _S.ABORTING_TRANSACTION: frozenset({_S.READY, _S.FATAL_ERROR}),
    _S.ABORTABLE_ERROR: frozenset({_S.ABORTING_TRANSACTION, _S.ABORTABLE_ERROR, _S.FATAL_ERROR}),
    _S.FATAL_ERROR: frozenset({_S.FATAL_ERROR}),
}
