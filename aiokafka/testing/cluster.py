"""A fake Kafka cluster in this process.

Owns :class:`FakeCluster`: brokers, topics, the history of requests, and the faults scripted for
them.  Under a :class:`~aiokafka.testing.virtual_time.VirtualTimeLoop` it serves the loop's
in-memory network and runs no task at all; under any other loop it listens on real loopback
sockets.  What concerns its history, its logs and its groups is in classes that it inherits from.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from .broker import FakeBroker
from .cluster_groups import ClusterGroups
from .cluster_history import ClusterHistory
from .cluster_logs import ClusterLogs
from .codec import supported_versions
from .codes import ErrorCode
from .faults import Faults
from .group_members import GroupOptions
from .group_registry import GroupRegistry
from .handlers import HANDLERS, Handler
from .log import LogOptions
from .network import MemoryNetwork
from .received import ReceivedRequest
from .releases import limited, refuses_old_produce, release_versions
from .sasl_server import SASL_MECHANISMS
from .topics import NO_LEADER, Partition, Topic, TopicRegistry
from .txn_coordinator import TransactionOptions, TransactionRegistry
from .virtual_time import VirtualTimeLoop

__all__ = ["FakeCluster"]

_PRODUCE = 0
_FIRST_PRODUCE_OF_KAFKA_4 = 3
_CONFIG_MAX_MESSAGE_BYTES = "max.message.bytes"
_CONFIG_TIMESTAMP_TYPE = "message.timestamp.type"
_CONFIG_CLEANUP = "cleanup.policy"


class FakeCluster(ClusterHistory, ClusterLogs, ClusterGroups):
    """Brokers that speak Kafka's protocol from memory.

    Args:
        brokers: how many, or their node ids.
        release: the Kafka release whose API versions they advertise
            (see :data:`~aiokafka.testing.releases.RELEASES`).
        versions: further limits, ``{api key or name: (low, high)}``; ``None`` instead of a range
            takes an API away.
        seed: seeds what the cluster itself draws (ids, nonces, fault probabilities).
        auto_create: topics asked for by name are created (unless the client forbids it).
        auto_create_answers: how many answers about a new topic still bear
            ``auto_create_error``.
        auto_create_error: LEADER_NOT_AVAILABLE, or UNKNOWN_TOPIC_OR_PARTITION.
        default_partitions: partitions of a topic created without a number.
        default_replication_factor: default: the number of brokers, at most three.
        min_insync_replicas: replicas that acks=all needs.
        failover_delay: seconds after a broker's death until others lead its partitions;
            ``None`` for never.
        session_timeout: seconds after which a frozen broker is given up likewise.
        answer_latency: seconds before any answer, ``{api name: seconds}`` or one number.
        tls: in memory: clients must connect with (simulated) TLS.
        ssl_context: on real sockets: the server's TLS context.
        sasl_users: passwords by user name; clients must authenticate if given.
        sasl_mechanisms: what is offered to them.
        session_lifetime_ms: lifetime of a SASL session as told to clients (KIP-368), 0 for none.
        features: finalized features by name, such as ``{"transaction.version": 2}``.
        leader_hints: answer NOT_LEADER_OR_FOLLOWER with the leader's address (KIP-951).
        max_message_bytes: default of a topic's ``max.message.bytes``.
        host_pattern: names of the brokers' hosts in memory.
        racks: racks of the brokers, by node id.  A consumer that says its rack is sent to a
            replica there (KIP-392).
        group_options: settings of consumer groups, such as the bounds of session timeouts.
        transaction_options: settings of transaction coordinators, such as the delay of markers.

    Attributes:
        brokers: by node id.
        topics: the topics, with their partitions and logs.
        requests: every request received, oldest first.
        faults: the faults scripted.
        groups: the consumer groups, see :meth:`group`.
        denied_topics: topics that clients are not authorized for.
        denied_groups: groups that clients are not authorized for.
        denied_transactional_ids: transactional ids that clients are not authorized for.
        transactions: the transactional ids with their state, by ``transactions.get(name)``.
        handlers: handlers that tests add or replace, by API key.
        network: the in-memory network, ``None`` on real sockets.

    .. versionadded:: 0.14.1
    """

    def __init__(
        self,
        brokers: int | Sequence[int] = 3,
        *,
        release: str = "4.1",
        versions: Mapping[Any, tuple[int, int] | None] | None = None,
        seed: int | str = 0,
        auto_create: bool = True,
        auto_create_answers: int = 1,
        auto_create_error: int = ErrorCode.LEADER_NOT_AVAILABLE,
        default_partitions: int = 1,
        default_replication_factor: int | None = None,
        min_insync_replicas: int = 1,
        failover_delay: float | None = 0.5,
        session_timeout: float | None = 9.0,
        answer_latency: float | Mapping[str, float] = 0.0,
        tls: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        sasl_users: Mapping[str, str] | None = None,
        sasl_mechanisms: Iterable[str] = SASL_MECHANISMS,
        session_lifetime_ms: int = 0,
        features: Mapping[str, int] | None = None,
        leader_hints: bool = True,
        max_message_bytes: int = 1_048_588,
        host_pattern: str = "broker-{node_id}",
        racks: Mapping[int, str] | None = None,
        group_options: GroupOptions | None = None,
        transaction_options: TransactionOptions | None = None,
    ) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.network: MemoryNetwork | None = None
        host = "127.0.0.1"
        if isinstance(self.loop, VirtualTimeLoop):
            self.network = self.loop.network
            host = host_pattern
        self.rng = random.Random(f"{seed}/cluster")
        node_ids = list(range(brokers)) if isinstance(brokers, int) else list(brokers)
        port = 0 if self.network is None else 9092
        self.brokers = {
            node_id: FakeBroker(self, node_id, host.format(node_id=node_id), port)
            for node_id in node_ids
        }
        for node_id, rack in (racks or {}).items():
            self.brokers[node_id].rack = rack
        self.topics = TopicRegistry(self.rng, node_ids)
        self.faults = Faults(self.rng, self.loop.time)
        self.groups = GroupRegistry(
            self.brokers, self.rng, self.loop.time, group_options or GroupOptions()
        )
        self.denied_topics: set[str] = set()
        self.denied_groups: set[str] = set()
        self.handlers: dict[int, Handler] = {}
        self.denied_transactional_ids: set[str] = set()
        self.transactions = TransactionRegistry(self, transaction_options or TransactionOptions())
        self.release = release
        self._versions = limited(release_versions(release), versions or {})
        self.cluster_id = f"fake-{self.rng.getrandbits(32):08x}"
        self.auto_create = auto_create
        self.auto_create_answers = auto_create_answers
        self.auto_create_error = auto_create_error
        self.default_partitions = default_partitions
        self.default_replication_factor = default_replication_factor or min(3, len(node_ids))
        self.min_insync_replicas = min_insync_replicas
        self.failover_delay = failover_delay
        self.session_timeout = session_timeout
        self.answer_latency = answer_latency
        self.tls = tls
        self.ssl_context = ssl_context
        self.sasl_users = sasl_users
        self.sasl_mechanisms = tuple(sasl_mechanisms)
        self.session_lifetime_ms = session_lifetime_ms
        self.features = dict(features or {})
        self.leader_hints = leader_hints
        self.max_message_bytes = max_message_bytes
        self._connections = 0
        self._producer_ids = 1000
        self._tasks: set[asyncio.Task[None]] = set()
        self._absences: dict[int, asyncio.TimerHandle] = {}

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the ports of all brokers."""
        for broker in self.brokers.values():
            if self.network is None:
                await broker.open_sockets()
            else:
                broker.open_in_memory()

    async def stop(self) -> None:
        """Close everything; waiters get a `ConnectionAbortedError`."""
        for timer in self._absences.values():
            timer.cancel()
        self._absences.clear()
        self.failover_delay = None
        for broker in self.brokers.values():
            broker.kill()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for broker in self.brokers.values():
            await broker.wait_closed()
        self._stop_waiting()

    async def __aenter__(self) -> FakeCluster:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def bootstrap_servers(self) -> list[str]:
        """``host:port`` of every broker."""
        return [broker.address for broker in self.brokers.values()]

    @property
    def controller(self) -> FakeBroker | None:
        """The broker that clients are told is the controller."""
        return next((b for b in self.brokers.values() if not b.fenced and b.alive), None)

    # -- topics --------------------------------------------------------------------------------

    def create_topic(
        self,
        name: str,
        partitions: int | None = None,
        replication_factor: int | None = None,
        *,
        assignment: Mapping[int, Sequence[int]] | None = None,
        configs: Mapping[str, str | None] | None = None,
    ) -> Topic:
        """Create a topic at once.

        Args:
            name: its name; `ValueError` if it exists.
            partitions: default: ``default_partitions``.
            replication_factor: default: ``default_replication_factor``.
            assignment: node ids by partition, the first of which leads.
            configs: of these, ``max.message.bytes``, ``message.timestamp.type`` and
                ``cleanup.policy`` have an effect.
        """
        configs = dict(configs or {})
        size = configs.get(_CONFIG_MAX_MESSAGE_BYTES)
        options = LogOptions(
            max_message_bytes=self.max_message_bytes if size is None else int(size),
            log_append_time=configs.get(_CONFIG_TIMESTAMP_TYPE) == "LogAppendTime",
            compacted="compact" in (configs.get(_CONFIG_CLEANUP) or ""),
        )
        topic = self.topics.create(
            name,
            len(assignment) if assignment else (partitions or self.default_partitions),
            len(assignment[0])
            if assignment
            else (replication_factor or self.default_replication_factor),
            options=options,
            assignment=assignment,
        )
        topic.configs.update(configs)
        for partition in topic.partitions:
            self._elect(partition)
        self.changed()
        return topic

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its records, and the offsets that groups committed for it."""
        self.topics.delete(name)
        for group in self.groups:
            group.committed.forget(name)
        self.changed()

    def add_partitions(self, name: str, total: int) -> None:
        """Raise a topic's number of partitions to ``total``."""
        self.topics.grow(name, total)
        for partition in self.topics[name].partitions:
            self._elect(partition)
        self.changed()

    def move_leader(self, topic: str, partition: int = 0, to: int | None = None) -> int:
        """Give a partition another leader: ``to``, or the next broker in its ISR.

        Returns the node id of the new leader; it is the old one if there is no other.
        """
        found = self.partition(topic, partition)
        if to is None:
            others = [node for node in found.isr if node != found.leader]
            if not others:
                return found.leader
            position = found.replicas.index(found.leader) if found.leader in found.replicas else 0
            after = found.replicas[position + 1 :] + found.replicas[:position]
            to = next(node for node in after if node in others)
        if to not in found.replicas:
            found.replicas.append(to)
        if to not in found.isr:
            found.isr.append(to)
        found.elect(to)
        self.changed()
        return to

    # -- connections ---------------------------------------------------------------------------

    @property
    def connection_count(self) -> int:
        """Connections open to brokers now."""
        return sum(len(broker.connections) for broker in self.brokers.values())

    @property
    def connections_made(self) -> int:
        """Connections made to brokers so far."""
        return self._connections

    # -- used by brokers, handlers and faults --------------------------------------------------

    def next_connection_id(self) -> int:
        """Number of a new connection."""
        self._connections += 1
        return self._connections

    def new_producer_id(self) -> int:
        """A producer id nobody was given before."""
        self._producer_ids += 1
        return self._producer_ids

    def wall_time_ms(self) -> int:
        """The brokers' clock, in milliseconds since 1970."""
        if isinstance(self.loop, VirtualTimeLoop):
            return int(self.loop.wall_time() * 1000)
        return int(time.time() * 1000)

    def answer_delay(self, request: ReceivedRequest) -> float:
        """Seconds before the answer to a request without faults."""
        if isinstance(self.answer_latency, Mapping):
            return self.answer_latency.get(request.api_name, 0.0)
        return self.answer_latency

    def advertised(self, broker: FakeBroker) -> dict[int, tuple[int, int]]:
        """The API versions a broker advertises: those of its release that are implemented."""
        ranges = {}
        for api_key in self._versions if broker.versions is None else broker.versions:
            low, high = self._range(broker, api_key)
            if low <= high:
                ranges[api_key] = (low, high)
        return ranges

    def speaks(self, broker: FakeBroker, api_key: int, version: int) -> bool:
        """Whether a broker answers that version."""
        old_produce = api_key == _PRODUCE and version < _FIRST_PRODUCE_OF_KAFKA_4
        if old_produce and refuses_old_produce(self.release):
            return False
        low, high = self._range(broker, api_key)
        return low <= version <= high

    def _range(self, broker: FakeBroker, api_key: int) -> tuple[int, int]:
        versions = self._versions if broker.versions is None else broker.versions
        if api_key not in HANDLERS and api_key not in self.handlers:
            return 0, -1
        low, high = versions.get(api_key, (0, -1))
        known_low, known_high = supported_versions().get(api_key, (0, -1))
        return max(low, known_low), min(high, known_high)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run what must be awaited on real sockets; a failure goes to the loop's handler."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.loop.call_exception_handler(
                {"message": "fake broker failed to open", "exception": task.exception()}
            )

    # -- failover ------------------------------------------------------------------------------

    def broker_gone(self, broker: FakeBroker, after: float | None) -> None:
        """A broker stopped answering; after ``after`` seconds the controller gives it up."""
        timer = self._absences.pop(broker.node_id, None)
        if timer is not None:
            timer.cancel()
        if after is not None:
            self._absences[broker.node_id] = self.loop.call_later(after, self._fence, broker)
        if not broker.alive:
            self.groups.lost(broker)
            self.transactions.lost(broker.node_id)
        self.changed()

    def broker_back(self, broker: FakeBroker) -> None:
        """A broker answers again: it rejoins the ISRs, and leads where nobody does."""
        timer = self._absences.pop(broker.node_id, None)
        if timer is not None:
            timer.cancel()
        broker.fenced = False
        for partition in self.topics.partitions():
            if broker.node_id in partition.replicas and broker.node_id not in partition.isr:
                partition.isr.append(broker.node_id)
                self._elect(partition)
        self.groups.settle()
        self.transactions.settle()
        self.changed()

    def _fence(self, broker: FakeBroker) -> None:
        self._absences.pop(broker.node_id, None)
        broker.fenced = True
        for partition in self.topics.partitions():
            self._elect(partition)
        self.groups.settle()
        self.transactions.settle()
        self.changed()

    def _elect(self, partition: Partition) -> None:
        """Take fenced brokers out of the ISR, and elect another leader if it was one of them."""
        partition.isr = [node for node in partition.isr if not self.brokers[node].fenced]
        if partition.leader in partition.isr:
            return
        candidates = [node for node in partition.replicas if node in partition.isr]
        partition.elect(candidates[0] if candidates else NO_LEADER)

    def __repr__(self) -> str:
        return f"<FakeCluster {list(self.brokers.values())!r}>"
