"""Requests on their way to a node: which connection, whether it can be used, what its errors
mean.

:class:`RequestRouting` is the part of the client that engines talk to.  Its methods go through
each other by their public names (``ready`` through ``_get_conn``, ``coordinator_lookup`` through
``send``): whoever replaces one of them on a client sees every request that it concerns.

Runs no task; connecting belongs to :mod:`aiokafka._client.nodes`.  The futures of requests
belong to the connections.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from aiokafka import errors as Errors
from aiokafka._client.connections import ConnectionGroup, ConnectionPool, Key, NodeId
from aiokafka._client.metadata import MetadataRefresher
from aiokafka._conn.states import CloseReason
from aiokafka._deadline import as_milliseconds
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.coordination import FindCoordinatorRequest, parse_coordinators

log = logging.getLogger("aiokafka")


class CoordinationType(IntEnum):
    """What a coordinator is looked up for."""

    GROUP = 0
    TRANSACTION = 1


class RequestRouting:
    """The methods of a client that are about nodes and requests to them."""

    cluster: ClusterMetadata
    _conns: dict[Key, AIOKafkaConnection]
    _loop: asyncio.AbstractEventLoop
    _pool: ConnectionPool
    _refresher: MetadataRefresher
    _request_timeout_ms: int
    _rng: random.Random

    # Nodes

    def _connection(
        self, node_id: NodeId, group: int = ConnectionGroup.DEFAULT
    ) -> AIOKafkaConnection | None:
        """The node's open connection if requests can be sent on it now."""
        connection = self._conns.get((node_id, group))
        return connection if connection is not None and connection.connected() else None

    def get_random_node(self) -> int | None:
        """The id of some broker, a connected one if there is any; None when none is known."""
        known = [b.nodeId for b in self.cluster.brokers() if isinstance(b.nodeId, int)]
        if not known:
            return None
        connected = [n for n in known if self.is_ready(n)]
        return self._rng.choice(sorted(connected or known))

    async def _get_conn(
        self, node_id: NodeId, *, group: int = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> AIOKafkaConnection | None:
        """The connection to a node, made if need be; None when that failed."""
        try:
            return await self._pool.node(node_id, group).connect()
        except (Errors.KafkaError, OSError) as error:
            log.debug("Node %s is not ready: %s", node_id, error)
            if not no_hint:
                self._refresher.request(f"unable to connect to node {node_id}")
            return None

    async def ready(self, node_id: NodeId, *, group: int | None = None) -> bool:
        """Connect to a node if need be; False when that failed or it is backing off.

        Bounded by the connection setup timeout.
        """
        return await self._get_conn(node_id, group=group or ConnectionGroup.DEFAULT) is not None

    def is_ready(self, node_id: NodeId, group: int = ConnectionGroup.DEFAULT) -> bool:
        """Is the node connected, and has it not asked to be left alone (KIP-219)?"""
        connection = self._connection(node_id, group)
        return connection is not None and connection.throttled_until <= self._loop.time()

    def ready_delay(self, node_id: NodeId, group: int = ConnectionGroup.DEFAULT) -> float:
        """Seconds until it makes sense to try the node: its backoff or throttling."""
        node = self._pool.known(node_id, group)
        return 0.0 if node is None else node.delay()

    def last_error(
        self, node_id: NodeId, group: int = ConnectionGroup.DEFAULT
    ) -> BaseException | None:
        """Why the node cannot be connected to, None while nothing is wrong."""
        node = self._pool.known(node_id, group)
        return None if node is None else node.last_error

    def unsent_bytes(self, node_id: NodeId) -> int:
        """Bytes of requests that the node's socket has not taken yet.

        .. versionadded:: 0.14.1
        """
        connection = self._connection(node_id)
        return 0 if connection is None else connection.unsent_bytes

    def disconnect(self, node_id: NodeId, error: Errors.KafkaError) -> None:
        """Drop the connection to a node that is found not to work.

        .. versionadded:: 0.14.1
        """
        connection = self._connection(node_id)
        if connection is not None:
            connection.close(CloseReason.CONNECTION_TIMEOUT, error)

    # Requests

    async def send(
        self,
        node_id: NodeId,
        request: Any,
        *,
        group: int | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Send a request to a node and return the response.

        With the node connected the request is written before the first suspension, so
        requests of tasks started one after another keep that order.

        Parameters:
            request: a request builder of :mod:`aiokafka.protocol`.
            group: the node's connection to use.
            timeout: seconds to wait for the answer instead of ``request_timeout_ms``.

        Returns:
            The response struct; None when the broker does not answer (Produce with acks 0).

        Raises:
            NodeNotReadyError: the node could not be connected to; see ``__cause__``.
            RequestTimedOutError: no answer in time; the connection was closed.
            KafkaConnectionError: the connection ended before the answer.
            CorrelationIdError: the broker mixed up its answers; the connection was closed.
        """
        key = (node_id, group or ConnectionGroup.DEFAULT)
        connection = self._connection(*key)
        if connection is None:
            if not await self.ready(node_id, group=group):
                raise Errors.NodeNotReadyError(
                    f"Node {node_id} is not ready: {self.last_error(*key)}"
                ) from self.last_error(*key)
            connection = self._connection(*key)
            if connection is None:
                raise Errors.NodeNotReadyError(f"Node {node_id} has disconnected")
        expect_response = getattr(request, "required_acks", None) != 0
        try:
            if timeout is not None:
                return await connection.request(
                    request, expect_response=expect_response, timeout=timeout
                )
            return await connection.send(request, expect_response=expect_response)
        except asyncio.TimeoutError as error:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
            waited = self._request_timeout_ms if timeout is None else as_milliseconds(timeout)
            raise Errors.RequestTimedOutError(
                f"no answer to {type(request).__name__} from node {node_id} within {waited} ms"
            ) from error

    def post(self, node_id: NodeId, request: Any, on_done: Callable[[Any, Any], None]) -> bool:
        """:meth:`send` for the hot path: nothing is awaited, no task is made.

        Parameters:
            on_done: called once with the response and None, or with None and the error, in
                the turn of the loop in which the answer arrives.  Must not raise.

        Returns:
            False, with nothing done, when the node is not connected, or when ``send`` has
            been replaced and whoever did that wants to see every request.

        Raises:
            KafkaError, NotImplementedError, ValueError: the request cannot be expressed.

        .. versionadded:: 0.14.1
        """
        connection = self._connection(node_id)
        if connection is None or "send" in self.__dict__ or type(self).send is not _SEND:
            return False
        connection.post(request, on_done)
        return True

    # Coordinators

    async def coordinator_lookup(self, coordinator_type: int, coordinator_key: str) -> int:
        """The node id of the coordinator of a group or transactional id.

        Raises:
            NodeNotReadyError: no broker can be asked.
            KafkaError: the class for the response's error code.
        """
        node_id = self.get_random_node()
        if node_id is None:
            raise Errors.NodeNotReadyError("No broker is known yet")
        request = FindCoordinatorRequest(coordinator_key, coordinator_type)
        response = await self.send(node_id, request)
        for _, code, message, coordinator_id, host, port in parse_coordinators(
            response, coordinator_key
        ):
            if code:
                raise Errors.for_code(code)(message or f"coordinator of {coordinator_key}")
            self.cluster.add_broker(coordinator_id, host, port)
            return int(coordinator_id)
        raise Errors.KafkaProtocolError("FindCoordinator response names no coordinator")


_SEND = RequestRouting.send
