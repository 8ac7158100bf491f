"""Transactions and producers (KIP-664).

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka.structs import TopicPartition


@dataclass(frozen=True, slots=True)
class TransactionListing:
    """A transactional id in a list.

    Attributes:
        transactional_id: the id.
        producer_id: of its producer.
        state: such as ``"Ongoing"`` or ``"Empty"``.

    .. versionadded:: 0.14.1
    """

    transactional_id: str
    producer_id: int
    state: str


@dataclass(frozen=True, slots=True)
class TransactionDescription:
    """The state of a transactional id.

    Attributes:
        transactional_id: the id.
        state: such as ``"Ongoing"`` or ``"Empty"``.
        producer_id, producer_epoch: of its producer.
        timeout_ms: after so many milliseconds an open transaction is aborted.
        start_time_ms: when the open transaction has begun, in milliseconds since 1970; None
            when there is none.
        partitions: that have been written to in it.
        coordinator: the node id of its coordinator.

    .. versionadded:: 0.14.1
    """

    transactional_id: str
    state: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    start_time_ms: int | None
    partitions: frozenset[TopicPartition]
    coordinator: int


@dataclass(frozen=True, slots=True)
class ProducerState:
    """What a leader knows of a producer, idempotent or transactional.

    Attributes:
        producer_id, producer_epoch: its id and epoch.
        last_sequence: of its last record; -1 when unknown.
        last_timestamp: of that, in milliseconds since 1970; -1 when unknown.
        coordinator_epoch: of the last end of a transaction; None when unknown.
        transaction_start_offset: where its open transaction begins; None when there is none.

    .. versionadded:: 0.14.1
    """

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_timestamp: int
    coordinator_epoch: int | None
    transaction_start_offset: int | None
