"""What the client knows of the cluster: brokers, topics, partitions, leaders.

:class:`ClusterMetadata` is pure: it is fed Metadata responses and answers look-ups.  Its
``version`` grows with every change, so that whoever caches something derived from it can
tell with one comparison whether the cache is still good.

Owns the futures of :meth:`ClusterMetadata.request_update`; resolves them in
:meth:`~ClusterMetadata.update_metadata` and :meth:`~ClusterMetadata.failed_update`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar

from aiokafka import errors as Errors
from aiokafka._hosts import parse_hosts
from aiokafka.protocol.metadata import ParsedPartition, ParsedTopic, parse
from aiokafka.structs import BrokerMetadata, PartitionMetadata, TopicPartition

if TYPE_CHECKING:
    from uuid import UUID

log = logging.getLogger(__name__)

Listener = Callable[["ClusterMetadata"], Any]

# A broker that has just restarted can answer from an old image of the metadata, in which a
# topic does not exist yet.  A topic we know is given up only when it was missing this often
# in a row, so that such an answer does not throw its leaders away.
_UNKNOWN_BEFORE_FORGOTTEN = 3

# Likewise an answer with an older leader epoch: so often in a row, then it is believed. Epochs
# do begin anew, when a topic is made again at brokers too old for topic ids.
_OLDER_BEFORE_BELIEVED = 3

_LEADERLESS = -1


class ClusterMetadata:
    """A view of a Kafka cluster, fed from Metadata responses.

    Parameters (all keyword, unknown ones are ignored):
        retry_backoff_ms: kept in ``config`` for reference, in milliseconds.
        metadata_max_age_ms: likewise.
        bootstrap_servers: brokers to show until the first response.
    """

    DEFAULT_CONFIG: ClassVar[dict[str, Any]] = {
        "retry_backoff_ms": 100,
        "metadata_max_age_ms": 300000,
        "bootstrap_servers": [],
    }

    def __init__(self, **configs: Any) -> None:
        self.config = copy.copy(self.DEFAULT_CONFIG)
        for key in self.config:
            if key in configs:
                self.config[key] = configs[key]

        self.version = 0
        self.cluster_id: str | None = None
        self.controller: BrokerMetadata | None = None
        self.internal_topics: set[str] = set()
        self.unauthorized_topics: set[str] = set()
        self.need_all_topic_metadata = False
        self.topic_ids: dict[str, UUID] = {}

        self._brokers: dict[int | str, BrokerMetadata] = {}
        self._coordinators: dict[int | str, BrokerMetadata] = {}
        self._partitions: dict[str, dict[int, PartitionMetadata]] = {}
        self._leader_epochs: dict[tuple[str, int], int] = {}
        self._topic_errors: dict[str, int] = {}
        self._missing: dict[str, int] = {}
        self._older: dict[tuple[str, int], int] = {}
        self._listeners: list[Listener] = []
        self._future: Future[ClusterMetadata] | None = None
        self._bootstrap_brokers: dict[int | str, BrokerMetadata] = {
            f"bootstrap-{i}": BrokerMetadata(f"bootstrap-{i}", host, port, None)
            for i, (host, port, _) in enumerate(parse_hosts(self.config["bootstrap_servers"]))
        }

    # Brokers

    def brokers(self) -> set[BrokerMetadata]:
        """All known brokers; before the first response those of ``bootstrap_servers``."""
        return set(self._brokers.values()) or set(self._bootstrap_brokers.values())

    def broker_metadata(self, broker_id: int | str) -> BrokerMetadata | None:
        """Address and rack of one broker, None when unknown."""
        return (
            self._brokers.get(broker_id)
            or self._bootstrap_brokers.get(broker_id)
            or self._coordinators.get(broker_id)
        )

    def is_bootstrap(self, node_id: int | str) -> bool:
        return node_id in self._bootstrap_brokers

    def add_broker(self, node_id: int, host: str, port: int, rack: str | None = None) -> None:
        """Learn a broker's address from something else than a Metadata response (a
        coordinator look-up, a KIP-951 hint)."""
        known = self._brokers.get(node_id)
        if known is None:
            self._coordinators[node_id] = BrokerMetadata(node_id, host, port, rack)
        elif (known.host, known.port) != (host, port):
            self._brokers[node_id] = BrokerMetadata(node_id, host, port, rack or known.rack)
            self.version += 1

    def forget_brokers(self) -> None:
        """Start over from the bootstrap servers (KIP-1102); topics stay known."""
        self._brokers = {}
        self.controller = None
        self.version += 1

    # Topics

    def topics(self, exclude_internal_topics: bool = True) -> set[str]:
        """Names of all known topics."""
        topics = set(self._partitions)
        return topics - self.internal_topics if exclude_internal_topics else topics

    def topic_id(self, topic: str) -> UUID | None:
        """The topic's id (KIP-516), None when the brokers gave none."""
        return self.topic_ids.get(topic)

    def topic_error(self, topic: str) -> type[Errors.BrokerResponseError] | None:
        """The error the last response had for *topic*, None when it had none."""
        code = self._topic_errors.get(topic)
        return None if code is None else Errors.for_code(code)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """All partition numbers of *topic* as a new set, None when unknown."""
        partitions = self._partitions.get(topic)
        return None if partitions is None else set(partitions)

    def available_partitions_for_topic(self, topic: str) -> set[int] | None:
        """Partition numbers of *topic* that have a leader, None when unknown."""
        partitions = self._partitions.get(topic)
        if partitions is None:
            return None
        return {p for p, metadata in partitions.items() if metadata.leader != _LEADERLESS}

    def partition_count(self, topic: str) -> int | None:
        """How many partitions *topic* has, None when unknown."""
        partitions = self._partitions.get(topic)
        return None if partitions is None else len(partitions)

    def partition_metadata(self, partition: TopicPartition) -> PartitionMetadata | None:
        """Leader and replicas of one partition, None when unknown.

        .. versionadded:: 0.14.1
        """
        topic, number = partition
        return self._partitions.get(topic, {}).get(number)

    def leader_for_partition(self, partition: TopicPartition) -> int | None:
        """Node id of the leader; -1 when there is none, None when the partition is unknown."""
        topic, number = partition
        partitions = self._partitions.get(topic)
        if partitions is None or number not in partitions:
            return None
        return partitions[number].leader

    def leader_epoch(self, partition: TopicPartition) -> int:
        """The leader epoch (KIP-320), -1 when unknown."""
        return self._leader_epochs.get(partition, -1)

    def partitions_for_broker(self, broker_id: int) -> set[TopicPartition] | None:
        """The partitions *broker_id* leads, None when there are none."""
        led = {
            TopicPartition(topic, number)
            for topic, partitions in self._partitions.items()
            for number, metadata in partitions.items()
            if metadata.leader == broker_id
        }
        return led or None

    # Updates

    def request_update(self) -> Future[ClusterMetadata]:
        """A future of the next update: resolved with this object by a good response, with
        the exception of a failed one."""
        if self._future is None or self._future.done():
            self._future = Future()
        return self._future

    def failed_update(self, exception: BaseException) -> None:
        """Fail the future of :meth:`request_update`."""
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_exception(exception)

    def update_metadata(self, response: Any, requested: Collection[str] | None = None) -> None:
        """Take a Metadata response of any version.

        A response without brokers is ignored (a broker that is starting answers so).
        Topics with an error are left out, but one that was known stays for a passing error.

        Parameters:
            requested: the topics the request named; what else is known is kept.  None: the
                response stands for the whole cluster.
        """
        parsed = parse(response)
        if not parsed.brokers:
            error = Errors.MetadataEmptyBrokerList(response)
            log.debug("Ignoring a metadata response without brokers")
            self.failed_update(error)
            return

        self._brokers = {
            node_id: BrokerMetadata(node_id, host, port, rack)
            for node_id, host, port, rack in parsed.brokers
        }
        self.controller = self._brokers.get(parsed.controller_id)
        self.cluster_id = parsed.cluster_id or self.cluster_id
        self._update_topics(parsed.topics, requested)
        self.version += 1

        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_result(self)
        for listener in list(self._listeners):
            listener(self)
        log.debug("Updated %s to version %d", self, self.version)

    def _update_topics(
        self, topics: Iterable[ParsedTopic], requested: Collection[str] | None
    ) -> None:
        old_partitions, old_epochs, old_ids = (
            self._partitions,
            self._leader_epochs,
            self.topic_ids,
        )
        kept = set() if requested is None else set(old_partitions).difference(requested)
        self._partitions, self._leader_epochs, self.topic_ids = {}, {}, {}
        self.internal_topics = self.internal_topics & kept
        self.unauthorized_topics = (
            set() if requested is None else self.unauthorized_topics.difference(requested)
        )
        self._topic_errors = (
            {}
            if requested is None
            else {t: code for t, code in self._topic_errors.items() if t not in requested}
        )

        for topic in topics:
            name = topic.name
            if name is None:
                continue
            if topic.error_code == Errors.NoError.errno:
                self._missing.pop(name, None)
                if topic.topic_id is not None:
                    self.topic_ids[name] = topic.topic_id
                recreated = topic.topic_id != old_ids.get(name)
                self._take_topic(
                    topic, {} if recreated else old_partitions.get(name, {}), old_epochs
                )
                kept.discard(name)
            else:
                self._topic_errors[name] = topic.error_code
                if self._survives(name, topic.error_code) and name in old_partitions:
                    kept.add(name)
                else:
                    kept.discard(name)

        for name in kept:
            self._partitions[name] = old_partitions[name]
            if name in old_ids:
                self.topic_ids[name] = old_ids[name]
            for number in old_partitions[name]:
                if (name, number) in old_epochs:
                    self._leader_epochs[name, number] = old_epochs[name, number]

    def _survives(self, name: str, error_code: int) -> bool:
        """Does a known topic stay known in spite of this error?"""
        error = Errors.for_code(error_code)
        if error is Errors.TopicAuthorizationFailedError:
            self.unauthorized_topics.add(name)
            return False
        if not error.retriable:
            return False
        if error is not Errors.UnknownTopicOrPartitionError:
            return True
        self._missing[name] = self._missing.get(name, 0) + 1
        return self._missing[name] < _UNKNOWN_BEFORE_FORGOTTEN

    def _is_outdated(self, name: str, partition: ParsedPartition, old_epoch: int) -> bool:
        """Is the answer older than what is known (KIP-320)?"""
        key = name, partition.partition
        if partition.leader_epoch == -1 or partition.leader_epoch >= old_epoch:
            self._older.pop(key, None)
            return False
        times = self._older[key] = self._older.get(key, 0) + 1
        if times < _OLDER_BEFORE_BELIEVED:
            return True
        del self._older[key]
        return False

    def _take_topic(
        self,
        topic: ParsedTopic,
        known: dict[int, PartitionMetadata],
        known_epochs: dict[tuple[str, int], int],
    ) -> None:
        name = topic.name
        assert name is not None
        if topic.is_internal:
            self.internal_topics.add(name)
        partitions: dict[int, PartitionMetadata] = {}
        for partition in topic.partitions:
            number = partition.partition
            old_epoch = known_epochs.get((name, number), -1) if number in known else -1
            if self._is_outdated(name, partition, old_epoch):
                # An answer from a broker that lags behind (KIP-320): keep the newer leader.
                partitions[number] = known[number]
                self._leader_epochs[name, number] = old_epoch
                continue
            partitions[number] = _partition_metadata(name, partition)
            if partition.leader_epoch != -1:
                self._leader_epochs[name, number] = partition.leader_epoch
        if partitions:
            self._partitions[name] = partitions
        else:
            # A topic that lists no partition cannot be used yet, whatever its error code says.
            self._topic_errors[name] = Errors.LeaderNotAvailableError.errno

    def update_leader(
        self,
        partition: TopicPartition,
        leader_id: int,
        leader_epoch: int,
        endpoint: tuple[int, str, int, str | None] | None = None,
    ) -> bool:
        """Take a leader hint from a Produce or Fetch response (KIP-951).

        Returns:
            True when the hint was newer than what was known.
        """
        topic, number = partition
        known = self._partitions.get(topic, {}).get(number)
        if known is None or leader_id < 0 or leader_epoch <= self.leader_epoch(partition):
            return False
        if endpoint is not None:
            node_id, host, port, rack = endpoint
            if node_id in self._brokers:
                self.add_broker(node_id, host, port, rack)
            else:
                self._brokers[node_id] = BrokerMetadata(node_id, host, port, rack)
        if leader_id not in self._brokers:
            return False
        self._partitions[topic][number] = known._replace(leader=leader_id)
        self._leader_epochs[topic, number] = leader_epoch
        self.version += 1
        return True

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener(cluster)`` after every update."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Undo :meth:`add_listener`."""
        self._listeners.remove(listener)

    def with_partitions(self, partitions_to_add: Iterable[PartitionMetadata]) -> ClusterMetadata:
        """A copy of this metadata with *partitions_to_add* added."""
        other = ClusterMetadata(**self.config)
        other._brokers = dict(self._brokers)
        other.controller = self.controller
        other.cluster_id = self.cluster_id
        other.internal_topics = set(self.internal_topics)
        other.unauthorized_topics = set(self.unauthorized_topics)
        other.topic_ids = dict(self.topic_ids)
        other._leader_epochs = dict(self._leader_epochs)
        other._partitions = {topic: dict(parts) for topic, parts in self._partitions.items()}
        for partition in partitions_to_add:
            other._partitions.setdefault(partition.topic, {})[partition.partition] = partition
        return other

    def __str__(self) -> str:
        return f"ClusterMetadata(brokers: {len(self._brokers)}, topics: {len(self._partitions)})"


def _partition_metadata(topic: str, partition: ParsedPartition) -> PartitionMetadata:
    return PartitionMetadata(
        topic=topic,
        partition=partition.partition,
        leader=partition.leader,
        replicas=list(partition.replicas),
        isr=list(partition.isr),
        error=partition.error_code,
    )
