"""All nodes of a client, by node id and connection group.

There is no client-wide lock: each :class:`~aiokafka._client.nodes.Node` connects by itself.

Owns the nodes' supervisor; :meth:`ConnectionPool.close_now` ends every attempt and connection.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Iterator
from enum import IntEnum

from aiokafka._client.nodes import Connector, Node, NodeState, log
from aiokafka._config import ClientConfig
from aiokafka._conn.states import CloseReason
from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka._tasks import Supervisor
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection

NodeId = int | str


class ConnectionGroup(IntEnum):
    """Which of a broker's connections: group coordination has its own, so that a fetch
    that waits at the broker does not delay a heartbeat."""

    DEFAULT = 0
    COORDINATION = 1


Key = tuple[NodeId, int]


class ConnectionPool:
    """Nodes of one client.

    Parameters:
        on_lost: called with the node id when an open connection broke (not when it was idle
            or closed by us).
    """

    def __init__(
        self,
        cluster: ClusterMetadata,
        *,
        config: ClientConfig,
        connector: Connector,
        rng: random.Random,
        on_lost: Callable[[NodeId], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._cluster = cluster
        self._config = config
        self._connector = connector
        self._rng = rng
        self._on_lost = on_lost
        self._loop = loop
        self._supervisor = Supervisor("AIOKafkaClient", log)
        self._nodes: dict[Key, Node] = {}
        self._news: dict[NodeId, News] = {}
        self._bootstrap: dict[str, tuple[str, int]] = {}
        # Open connections only; kept beside the nodes because look-ups of it are per request.
        self.open: dict[Key, AIOKafkaConnection] = {}
        self.closed = False

    def set_bootstrap(self, hosts: dict[str, tuple[str, int]]) -> None:
        """Addresses of the bootstrap nodes by their names."""
        self._bootstrap = hosts

    @property
    def bootstrap_ids(self) -> list[str]:
        return list(self._bootstrap)

    def node(self, node_id: NodeId, group: int = ConnectionGroup.DEFAULT) -> Node:
        """The node object, made on first use."""
        key = (node_id, group)
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(
                f"node {node_id}" if isinstance(node_id, int) else f"{node_id}",
                functools.partial(self.address, node_id),
                config=self._config,
                connector=self._connector,
                supervisor=self._supervisor,
                rng=self._rng,
                on_change=functools.partial(self._node_changed, key),
                loop=self._loop,
                news=self._news.setdefault(node_id, News(self._loop.time)),
            )
            if self.closed:
                # Nobody would close what it connects to.
                node.close()
        return node

    def known(self, node_id: NodeId, group: int = ConnectionGroup.DEFAULT) -> Node | None:
        """The node object if there is one already."""
        return self._nodes.get((node_id, group))

    def nodes(self) -> Iterator[Node]:
        return iter(list(self._nodes.values()))

    def address(self, node_id: NodeId) -> tuple[str, int] | None:
        """Where the node is now, None when it is not known any more."""
        if isinstance(node_id, str) and node_id in self._bootstrap:
            return self._bootstrap[node_id]
        broker = self._cluster.broker_metadata(node_id)
        return None if broker is None else (broker.host, broker.port)

    def _node_changed(self, key: Key, node: Node) -> None:
        if node.state is NodeState.READY and node.connection is not None:
            self.open[key] = node.connection
        elif self.open.pop(key, None) is not None and node.state is NodeState.BACKING_OFF:
            self._on_lost(key[0])

    def adopt_bootstrap(self) -> None:
        """Hand each bootstrap connection to the broker that it turned out to be, so that the
        broker is not connected to twice."""
        by_address = {
            (broker.host, broker.port): broker.nodeId
            for broker in self._cluster.brokers()
            if not self._cluster.is_bootstrap(broker.nodeId)
        }
        for name, address in self._bootstrap.items():
            node_id = by_address.get(address)
            bootstrap = self.known(name)
            if node_id is None or bootstrap is None or not bootstrap.connected:
                continue
            node = self.node(node_id)
            if node.connected or node.state is NodeState.CONNECTING:
                continue
            connection = bootstrap.release()
            if connection is not None:
                connection._on_close_cb = node._connection_closed
                node.adopt(connection)

    def drop_moved(self) -> None:
        """Close connections to addresses where their broker is not any more."""
        for (node_id, _), node in list(self._nodes.items()):
            connection = node.connection
            address = self.address(node_id)
            if connection is None or address is None or isinstance(node_id, str):
                continue
            if (connection.host, connection.port) != address:
                log.info("%s moved from %s:%s", node.where, connection.host, connection.port)
                connection.close(reason=CloseReason.SHUTDOWN)

    def close_now(self) -> list[asyncio.Future[None]]:
        """End all attempts and connections; returns futures of the connections' ends."""
        self.closed = True
        ending = [future for node in self.nodes() if (future := node.close()) is not None]
        self.open.clear()
        return ending

    async def wait_closed(self, ending: list[asyncio.Future[None]], deadline: Deadline) -> None:
        """Wait for the ends that :meth:`close_now` returned, at most until *deadline*."""
        await self._supervisor.cancel_all(deadline)
        if ending:
            await asyncio.wait(ending, timeout=deadline.remaining())
