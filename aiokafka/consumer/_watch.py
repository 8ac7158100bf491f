"""What a consumer watches in the metadata: partition counts of its topics, and which topics
match its pattern.

:class:`BaseCoordinator` runs no task; it is called by the cluster after each update and by the
subscription state after each change, and must not raise there.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from re import Pattern
from typing import TYPE_CHECKING

from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer._assigning import partition_counts
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import TopicAuthorizationFailedError

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

log = logging.getLogger("aiokafka.consumer.group_coordinator")


class BaseCoordinator:
    """Keeps a subscription and the metadata together.

    Parameters:
        client: whose metadata is watched.
        subscription: the consumer's subscription.
        exclude_internal_topics: no pattern matches topics of Kafka's own.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        subscription: SubscriptionState,
        *,
        exclude_internal_topics: bool = True,
    ) -> None:
        self._client = client
        self._subscription = subscription
        self._exclude_internal_topics = exclude_internal_topics
        self._cluster = client.cluster
        #: Partition counts of the topics watched, as of the last assignment.
        self._metadata_snapshot: dict[str, int] = {}
        #: Topics of other members, which the leader of a group watches as well.
        self._group_topics: frozenset[str] = frozenset()
        self._tracked: frozenset[str] | Pattern[str] | None = None
        self._watching = True
        self._cluster.add_listener(self._handle_metadata_update)
        subscription.on_change(self._on_subscription_change)
        self._on_subscription_change()

    def _stop_watching(self) -> None:
        if self._watching:
            self._watching = False
            self._cluster.remove_listener(self._handle_metadata_update)

    # Which topics the client is to know

    def _on_subscription_change(self) -> None:
        """Have the metadata of what is subscribed; called often, mostly for other changes."""
        if not self._watching or not self._subscription.partitions_auto_assigned():
            self._tracked = None
            return
        pattern = self._subscription.subscribed_pattern
        wanted = frozenset(self._subscription.topics) if pattern is None else pattern
        if wanted is self._tracked:
            return
        self._tracked = wanted
        if pattern is None:
            self._track(self._subscription.topics)
            self._handle_metadata_update(self._cluster)
        elif self._cluster.need_all_topic_metadata:
            # Known already, so that no update need come.
            self._handle_metadata_update(self._cluster)
        else:
            self._client.set_topics(())

    def _track(self, topics: Collection[str]) -> None:
        if topics and self._subscription.subscribed_pattern is None:
            self._client.set_topics(topics)

    # Changes of the metadata

    def _handle_metadata_update(self, cluster: ClusterMetadata) -> None:
        """The metadata has changed, or what is wanted of it."""
        if not self._watching:
            return
        pattern = self._subscription.subscribed_pattern
        if pattern is not None:
            self._match(pattern, cluster)
        if self._subscription.subscription is None:
            return
        if not self._subscription.partitions_auto_assigned():
            return
        snapshot = self._get_metadata_snapshot()
        if snapshot != self._metadata_snapshot:
            self._metadata_snapshot = snapshot
            self._on_metadata_change()

    def _match(self, pattern: Pattern[str], cluster: ClusterMetadata) -> None:
        topics = {
            topic
            for topic in cluster.topics(exclude_internal_topics=self._exclude_internal_topics)
            if pattern.match(topic)
        }
        subscribed = frozenset(self._subscription.topics)
        if not cluster.need_all_topic_metadata:
            # Only part of the cluster is known yet: nothing says that a topic is gone.
            topics |= subscribed
        if topics != subscribed or (topics and self._subscription.subscription is None):
            self._subscription.subscribe_from_pattern(topics)

    def _get_metadata_snapshot(self) -> dict[str, int]:
        return partition_counts(
            self._cluster, sorted(self._group_topics.union(self._subscription.topics))
        )

    def _on_metadata_change(self) -> None:
        """Partitions of a topic watched have come or gone."""

    def _check_topics(self) -> None:
        """Raises TopicAuthorizationFailedError: a subscribed topic may not be read."""
        denied = self._cluster.unauthorized_topics
        if denied:
            subscribed = denied.intersection(self._subscription.topics)
            if subscribed:
                raise TopicAuthorizationFailedError(subscribed)
