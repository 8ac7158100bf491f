"""Calls about transactions and producers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall, Answer
from aiokafka.admin._outcomes import Outcomes
from aiokafka.admin.results import Results
from aiokafka.admin.transactions import (
    ProducerState,
    TransactionDescription,
    TransactionListing,
)
from aiokafka.client import CoordinationType
from aiokafka.coordinator.protocol import by_topic
from aiokafka.protocol.admin import (
    DescribeProducersRequest,
    DescribeTransactionsRequest,
    ListTransactionsRequest,
)
from aiokafka.structs import TopicPartition

_ANY_DURATION = -1


class TransactionCalls(AdminBase):
    """Listing and describing transactions and producers."""

    async def list_transactions(
        self,
        states: Iterable[str] = (),
        producer_ids: Iterable[int] = (),
        *,
        duration_ms: int | None = None,
        pattern: str | None = None,
        timeout_ms: int | None = None,
    ) -> list[TransactionListing]:
        """The transactional ids that coordinators know (KIP-664).

        Parameters:
            states: only those in these states, such as ``"Ongoing"``.
            producer_ids: only those of these producers.
            duration_ms: only those open for so many milliseconds, from Kafka 3.8 (KIP-994).
            pattern: only ids that this regular expression matches, from Kafka 4.1 (KIP-1152).
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Raises:
            IncompatibleBrokerVersion: a broker does not know the filter.
            KafkaTimeoutError: not all brokers have answered in time; the last error is
                ``__cause__``.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        request = ListTransactionsRequest(
            list(states),
            list(producer_ids),
            _ANY_DURATION if duration_ms is None else duration_ms,
            pattern,
        )

        async def list_all(call: AdminCall) -> list[TransactionListing]:
            async def ask(outcomes: Outcomes[int, Any], node_id: int) -> None:
                response = call.checked(await call.send(node_id, request))
                outcomes.succeed(node_id, response["transaction_states"])

            found = (await call.each_alone(call.broker_ids(), ask)).check()
            listings = {
                row["transactional_id"]: TransactionListing(
                    row["transactional_id"], row["producer_id"], row["transaction_state"]
                )
                for rows in found.values()
                for row in rows
            }
            return list(listings.values())

        return await self._call("Listing transactions", timeout_ms, list_all)

    async def describe_transactions(
        self, transactional_ids: Iterable[str], *, timeout_ms: int | None = None
    ) -> Results[str, TransactionDescription]:
        """The state of transactional ids (KIP-664).

        Parameters:
            transactional_ids: the ids.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The description of each id; ``TransactionalIdNotFoundError`` when there is none.

        Raises:
            KafkaTimeoutError: none could be described in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def describe(call: AdminCall) -> Results[str, TransactionDescription]:
            async def ask(
                outcomes: Outcomes[str, TransactionDescription], transactional_id: str
            ) -> None:
                node_id = await call.coordinator(CoordinationType.TRANSACTION, transactional_id)
                request = DescribeTransactionsRequest([transactional_id])
                response = call.checked(await call.send_to_found(node_id, request))
                call.enter(outcomes, (transactional_id,), _transactions(response, node_id))

            return await call.each_alone(transactional_ids, ask)

        return await self._call("Describing transactions", timeout_ms, describe)

    async def describe_producers(
        self, partitions: Iterable[TopicPartition], *, timeout_ms: int | None = None
    ) -> Results[TopicPartition, list[ProducerState]]:
        """The producers that leaders remember of partitions (KIP-664).

        Parameters:
            partitions: the partitions.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The producers of each partition.

        Raises:
            KafkaTimeoutError: no leader has answered in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def describe(call: AdminCall) -> Results[TopicPartition, list[ProducerState]]:
            async def ask(
                outcomes: Outcomes[TopicPartition, list[ProducerState]],
                node_id: int,
                tps: list[TopicPartition],
            ) -> None:
                request = DescribeProducersRequest(list(by_topic(tps).items()))
                response = call.checked(await call.send_to_found(node_id, request))
                call.enter(outcomes, tps, _producers(response))

            return await call.each_by_leader(partitions, ask)

        return await self._call("Describing producers", timeout_ms, describe)


def _transactions(
    response: dict[str, Any], node_id: int
) -> Iterator[Answer[str, TransactionDescription]]:
    for row in response["transaction_states"]:
        started = row["transaction_start_time_ms"]
        description = TransactionDescription(
            row["transactional_id"],
            row["transaction_state"],
            row["producer_id"],
            row["producer_epoch"],
            row["transaction_timeout_ms"],
            started if started >= 0 else None,
            frozenset(
                TopicPartition(topic["topic"], partition)
                for topic in row["topics"]
                for partition in topic["partitions"]
            ),
            node_id,
        )
        yield row["transactional_id"], row["error_code"], None, description


def _producers(
    response: dict[str, Any],
) -> Iterator[Answer[TopicPartition, list[ProducerState]]]:
    for topic in response["topics"]:
        for row in topic["partitions"]:
            found = [_producer(producer) for producer in row["active_producers"]]
            tp = TopicPartition(topic["name"], row["partition_index"])
            yield tp, row["error_code"], row["error_message"], found


def _producer(row: dict[str, Any]) -> ProducerState:
    epoch, start = row["coordinator_epoch"], row["current_txn_start_offset"]
    return ProducerState(
        row["producer_id"],
        row["producer_epoch"],
        row["last_sequence"],
        row["last_timestamp"],
        epoch if epoch >= 0 else None,
        start if start >= 0 else None,
    )
