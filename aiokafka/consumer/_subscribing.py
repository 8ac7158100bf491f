"""The part of the consumer's interface about what is read: topics, partitions, pausing.

Runs no task and owns no future.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.consumer._waiting import StopSignal
from aiokafka.errors import ConsumerStoppedError, IllegalStateError
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient
    from aiokafka.consumer._assignment import TopicPartitionState
    from aiokafka.consumer.fetcher import Fetcher
    from aiokafka.consumer.group_coordinator import GroupCoordinator, NoGroupCoordinator
    from aiokafka.consumer.subscription_state import SubscriptionState


def check_partitions(partitions: Iterable[Any]) -> tuple[TopicPartition, ...]:
    """Raises TypeError: something in *partitions* is none."""
    checked = tuple(partitions)
    for tp in checked:
        if not isinstance(tp, TopicPartition):
            raise TypeError(f"Should be a TopicPartition: {tp!r}")
    return checked


class SubscribeCalls:
    """The methods of a consumer that say what it reads."""

    _client: AIOKafkaClient
    _coordinator: GroupCoordinator | NoGroupCoordinator | None
    _fetcher: Fetcher | None
    _group_id: str | None
    #: Given when everything is closed; before, a rebalance listener may still have work.
    _stopped: StopSignal
    _subscription: SubscriptionState

    def _check_usable(self) -> None:
        """Raises ConsumerStoppedError: the consumer is stopped."""
        if self._stopped.given:
            raise ConsumerStoppedError("The consumer is stopped")

    # Subscriptions

    def subscribe(
        self,
        topics: Collection[str] = (),
        pattern: str | None = None,
        listener: ConsumerRebalanceListener | None = None,
    ) -> None:
        """Read topics, whose partitions the group distributes among its members.

        Replaces the subscription in force.  Without a group all partitions are read.

        Parameters:
            topics: names of topics.
            pattern: a regular expression instead: the topics whose names match it from their
                beginning, those made later included.
            listener: is told when partitions come and go; see
                :class:`~aiokafka.abc.ConsumerRebalanceListener`.

        Raises:
            TypeError: neither or both of *topics* and *pattern* are given, *topics* is a
                string, *listener* is no rebalance listener.
            ValueError: *pattern* is no regular expression.
            IllegalStateError: partitions were assigned by hand, or the subscription in force is
                of the other kind; :meth:`unsubscribe` first.
            ConsumerStoppedError: the consumer is stopped.
        """
        self._check_usable()
        if listener is not None and not isinstance(listener, ConsumerRebalanceListener):
            raise TypeError("listener should be an instance of ConsumerRebalanceListener")
        if bool(topics) == (pattern is not None):
            raise TypeError("You should provide either `topics` or `pattern`")
        if pattern is not None:
            try:
                compiled = re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a valid pattern: {error}") from error
            self._subscription.subscribe_pattern(compiled, listener=listener)
            # Now and not at some refresh: whatever is made later may match.
            self._client.set_topics(())
        else:
            names = _check_topics(topics)
            self._subscription.subscribe(names, listener=listener)
            self._client.set_topics(names)
        self._assign_all()

    def unsubscribe(self) -> None:
        """Give up the subscription, or the partitions assigned by hand.

        A member of a group leaves it, in the background.

        Raises:
            ConsumerStoppedError: the consumer is stopped.
        """
        self._check_usable()
        self._subscription.unsubscribe()
        if self._group_id is not None and self._coordinator is not None:
            self._coordinator.maybe_leave_group()  # type: ignore[union-attr]

    def subscription(self) -> Collection[str]:
        """Names of the topics that are read; a set."""
        return self._subscription.topics

    # Partitions

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions; no group distributes them.

        Replaces what was assigned before.  With a ``group_id`` offsets can be committed, but
        nobody else is told: other members of the group may have the same partitions.

        Raises:
            TypeError: *partitions* are no partitions.
            IllegalStateError: topics are subscribed to; :meth:`unsubscribe` first.
            ConsumerStoppedError: the consumer is stopped.
        """
        self._check_usable()
        checked = check_partitions(partitions)
        self._subscription.assign_from_user(checked)
        if checked:
            self._client.set_topics({tp.topic for tp in checked})

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this consumer has at present."""
        return self._subscription.assigned_partitions()

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Partitions of a topic as far as known here; None when it is not known.

        Asks no broker.
        """
        return self._client.cluster.partitions_for_topic(topic)

    def _assign_all(self) -> None:
        """Without a group everything subscribed to is ours, as far as it is known."""
        if (
            self._group_id is None
            and self._coordinator is not None
            and self._subscription.subscription is not None
            and self._subscription.partitions_auto_assigned()
        ):
            self._coordinator.assign_all_partitions()  # type: ignore[union-attr]

    def _assigned(self, partitions: Iterable[Any]) -> tuple[TopicPartition, ...]:
        """Partitions of ours; all of them for none.

        Raises:
            TypeError: they are no partitions.
            IllegalStateError: one is not assigned.
        """
        checked = check_partitions(partitions)
        assigned = self._subscription.assigned_partitions()
        for tp in checked:
            if tp not in assigned:
                raise IllegalStateError(f"Partition {tp} is not assigned")
        return checked or tuple(sorted(assigned))

    # Pausing

    def pause(self, *partitions: TopicPartition) -> None:
        """Neither fetch nor give out records of these partitions until :meth:`resume`.

        Membership in the group is not affected.

        Raises:
            TypeError: *partitions* are no partitions.
            IllegalStateError: one is not assigned.
            ConsumerStoppedError: the consumer is stopped.
        """
        self._check_usable()
        for tp in self._assigned(partitions) if partitions else ():
            self._subscription.pause(tp)

    def resume(self, *partitions: TopicPartition) -> None:
        """End :meth:`pause`; raises what it raises."""
        self._check_usable()
        for tp in self._assigned(partitions) if partitions else ():
            self._subscription.resume(tp)

    def paused(self) -> set[TopicPartition]:
        """The partitions that are paused."""
        return self._subscription.paused_partitions()

    # What the last fetch said of a partition

    def highwater(self, partition: TopicPartition) -> int | None:
        """The offset that the partition's next record will get; None before the first fetch.

        As of the last fetch.  With the position it tells the lag.

        Raises:
            AssertionError: the partition is not assigned.
        """
        return self._state_of(partition).highwater

    def last_stable_offset(self, partition: TopicPartition) -> int | None:
        """The offset up to which all transactions have ended; None before the first fetch.

        Raises:
            AssertionError: the partition is not assigned.
        """
        return self._state_of(partition).lso

    def last_poll_timestamp(self, partition: TopicPartition) -> int | None:
        """When the partition was last fetched, milliseconds since the epoch; None before.

        Raises:
            AssertionError: the partition is not assigned.
        """
        return self._state_of(partition).timestamp

    def _state_of(self, partition: TopicPartition) -> TopicPartitionState:
        assignment = self._subscription.assignment
        state = None if assignment is None else assignment.state_value(partition)
        if state is None:
            raise AssertionError(f"Partition {partition} is not assigned")
        return state


def _check_topics(topics: Any) -> frozenset[str]:
    if isinstance(topics, (str, bytes)) or not isinstance(topics, Iterable):
        raise TypeError("`topics` should be a list, tuple or set of names, not a single one")
    names = frozenset(topics)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"A topic's name should be a str, not {name!r}")
    return names
