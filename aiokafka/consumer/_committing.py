"""The part of the consumer's interface about what its group has stored.

The coordinator keeps the time of these calls, ``default_api_timeout_ms``, as it knows what the
last error was.  They work until the group has been left, for a rebalance listener may need them
in ``stop()``.

Runs no task itself, but see :mod:`aiokafka.consumer._waiting`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiokafka.consumer._settings import ConsumerSettings
from aiokafka.consumer._subscribing import SubscribeCalls, check_partitions
from aiokafka.errors import IllegalOperation, IllegalStateError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.util import commit_structure_validate

if TYPE_CHECKING:
    from aiokafka.consumer._assignment import Assignment
    from aiokafka.consumer._group_states import ConsumerGroupMetadata
    from aiokafka.consumer.fetcher import Fetcher
    from aiokafka.consumer.group_coordinator import GroupCoordinator


class GroupCalls(SubscribeCalls):
    """The methods of a consumer that are about its group's offsets."""

    _settings: ConsumerSettings

    # What the calls have in common

    def _reading(self) -> Fetcher:
        """The fetcher.

        Raises:
            ConsumerStoppedError, IllegalStateError: stopped, or not started.
        """
        self._check_usable()
        if self._fetcher is None:
            raise IllegalStateError("The consumer is not started: await its start() first")
        return self._fetcher

    def _group(self) -> GroupCoordinator:
        """The group's coordinator.

        Raises:
            IllegalOperation: there is no group.
            ConsumerStoppedError, IllegalStateError: stopped, or not started.
        """
        if self._group_id is None:
            raise IllegalOperation("Requires group_id")
        self._reading()
        return self._coordinator  # type: ignore[return-value]

    def _assignment(self) -> Assignment:
        """What may be committed for.

        Raises:
            IllegalStateError: nothing.
        """
        subscription = self._subscription.subscription
        if subscription is None:
            raise IllegalStateError("Not subscribed to any topics")
        if subscription.assignment is None:
            raise IllegalStateError("No partitions assigned")
        return subscription.assignment

    # Commits

    async def commit(
        self, offsets: Mapping[TopicPartition, int | tuple[int, str]] | None = None
    ) -> None:
        """Store offsets with the group, from which its members go on after a restart.

        Tried again until it succeeds or ``default_api_timeout_ms`` is over.

        Parameters:
            offsets: for each partition the offset of the next record to read (that of the last
                one done, plus 1), or ``(offset, metadata)``.  None: the positions of all
                partitions, thus everything given out; with ``enable_auto_offset_store=False``
                what :meth:`store_offsets` was told.

        Raises:
            IllegalOperation: the consumer has no ``group_id``.
            IllegalStateError: a partition is not assigned, nothing is subscribed to, or the
                consumer is not started.
            ValueError, TypeError: *offsets* are none.
            CommitFailedError: the group has given the partitions to others meanwhile.
            KafkaTimeoutError: not done in time; the cause is the last error.
            ConsumerStoppedError: the consumer is stopped.
            KafkaError: the brokers refuse.
        """
        group = self._group()
        assignment = self._assignment()
        checked: Mapping[TopicPartition, Any]
        if offsets is None:
            assignment.all_returned()
            checked = (
                assignment.all_consumed_offsets()
                if self._settings.auto_offset_store
                else assignment.stored()
            )
        else:
            checked = self._check_offsets(offsets)
        if checked:
            # By position: instrumentations wrap it.
            await self._stopped.unless_given(lambda: group.commit_offsets(assignment, checked))

    def _check_offsets(self, offsets: Any) -> dict[TopicPartition, OffsetAndMetadata]:
        checked = commit_structure_validate(offsets)
        self._assigned(checked)
        return checked

    def store_offsets(self, offsets: Mapping[TopicPartition, int | tuple[int, str]]) -> None:
        """Say what the next commit without offsets, automatic or not, is to store.

        For applications that are done with records in another order or at another time than
        they get them.  Does not wait.

        Parameters:
            offsets: as for :meth:`commit`.

        Raises:
            IllegalOperation: no ``group_id``, or ``enable_auto_offset_store`` is not False.
            IllegalStateError: a partition is not assigned.
            ValueError, TypeError: *offsets* are none.
            ConsumerStoppedError: the consumer is stopped.

        .. versionadded:: 0.14.1
        """
        if self._group_id is None:
            raise IllegalOperation("Requires group_id")
        if self._settings.auto_offset_store:
            raise IllegalOperation("Requires enable_auto_offset_store=False")
        self._check_usable()
        assignment = self._assignment()
        for tp, (offset, metadata) in self._check_offsets(offsets).items():
            state = assignment.state_value(tp)
            assert state is not None
            state.store(offset, metadata, state.position_epoch)

    async def committed(self, partition: TopicPartition) -> int | None:
        """The offset that the group has stored for a partition; None when it has none.

        Always asks the coordinator.  The partition need not be assigned.

        Raises:
            IllegalOperation: the consumer has no ``group_id``.
            KafkaTimeoutError: not answered within ``default_api_timeout_ms``.
            ConsumerStoppedError, IllegalStateError: the consumer is stopped, or not started.
            GroupAuthorizationFailedError: the group may not be read.
            KafkaError: the brokers refuse.
        """
        group = self._group()
        check_partitions((partition,))
        found = await self._stopped.unless_given(
            lambda: group.fetch_committed_offsets([partition])
        )
        stored = found.get(partition)
        return None if stored is None or stored.offset < 0 else stored.offset

    def group_metadata(self) -> ConsumerGroupMetadata:
        """Who this consumer is in its group, for a producer that commits its offsets in a
        transaction (KIP-447).

        Raises:
            IllegalOperation: the consumer has no ``group_id``.
            ConsumerStoppedError, IllegalStateError: the consumer is stopped, or not started.

        .. versionadded:: 0.14.1
        """
        return self._group().group_metadata()
