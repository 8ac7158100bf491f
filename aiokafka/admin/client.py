"""The admin client as applications use it.

:class:`AIOKafkaAdminClient` checks settings, and starts and closes what the calls stand on.  The
calls are in modules by concept: ``_topic_calls``, ``_config_calls``, ``_group_calls``, ...; how
they are sent and tried again is in :mod:`aiokafka.admin._call`.

Runs a supervised task for each call; :meth:`AIOKafkaAdminClient.close` ends them.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka._tasks import Supervisor
from aiokafka._version import __version__
from aiokafka.abc import AbstractTokenProvider
from aiokafka.admin._acl_calls import AclCalls
from aiokafka.admin._cluster_calls import ClusterCalls
from aiokafka.admin._config_calls import ConfigCalls
from aiokafka.admin._config_changes import ConfigChangeCalls
from aiokafka.admin._group_calls import GroupCalls
from aiokafka.admin._group_management import GroupManagementCalls
from aiokafka.admin._offset_calls import OffsetCalls
from aiokafka.admin._quorum_calls import QuorumCalls
from aiokafka.admin._quota_calls import QuotaCalls
from aiokafka.admin._reassignment_calls import ReassignmentCalls
from aiokafka.admin._token_calls import TokenCalls
from aiokafka.admin._topic_calls import TopicCalls
from aiokafka.admin._topic_descriptions import TopicDescriptionCalls
from aiokafka.admin._transaction_calls import TransactionCalls
from aiokafka.admin._user_calls import UserCalls
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.util import get_running_loop

__all__ = ["AIOKafkaAdminClient"]

log = logging.getLogger(__name__)

_CLOSE_TIMEOUT = 5.0


class AIOKafkaAdminClient(
    TopicCalls,
    TopicDescriptionCalls,
    ConfigCalls,
    ConfigChangeCalls,
    ClusterCalls,
    QuorumCalls,
    ReassignmentCalls,
    GroupCalls,
    GroupManagementCalls,
    OffsetCalls,
    TransactionCalls,
    AclCalls,
    UserCalls,
    QuotaCalls,
    TokenCalls,
):
    """Administers a Kafka cluster: topics, configurations, groups, access and more.

    Every call is bounded, by its *timeout_ms* or else by *request_timeout_ms*.  Within that,
    lost connections and moves of the controller, of coordinators and of leaders are tried again.
    May be used as ``async with``.

    Parameters (all keyword; times in milliseconds):
        bootstrap_servers: ``host[:port]`` or a list of them. Default ``localhost:9092``.
        client_id: name for the brokers' logs and quotas. Default ``aiokafka-<version>``.
        request_timeout_ms: bound of :meth:`start` and of calls without *timeout_ms*, and how
            long a broker may take to answer. 40000.
        retry_backoff_ms, retry_backoff_max_ms: first and longest delay between attempts
            (KIP-580). 100, 1000.
        metadata_max_age_ms, connections_max_idle_ms, reconnect_backoff_ms,
        reconnect_backoff_max_ms, socket_connection_setup_timeout_ms,
        socket_connection_setup_timeout_max_ms, security_protocol, ssl_context, sasl_*:
            as for :class:`~aiokafka.client.AIOKafkaClient`.
        loop: the event loop; None: the running one.
        api_version: deprecated.

    Raises:
        ValueError: a setting that cannot work; the message names it.
        RuntimeError: no event loop is running and none was given.

    .. versionchanged:: 0.14.1
        Added *retry_backoff_max_ms*, *reconnect_backoff_ms*, *reconnect_backoff_max_ms*,
        *socket_connection_setup_timeout_ms* and *socket_connection_setup_timeout_max_ms*;
        ``async with``.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        bootstrap_servers: str | Sequence[str] = "localhost",
        client_id: str = "aiokafka-" + __version__,
        request_timeout_ms: int = 40000,
        connections_max_idle_ms: int | None = 540000,
        retry_backoff_ms: int = 100,
        metadata_max_age_ms: int = 300000,
        security_protocol: str = "PLAINTEXT",
        ssl_context: ssl.SSLContext | None = None,
        api_version: str | None = None,
        sasl_mechanism: str = "PLAIN",
        sasl_plain_username: str | None = None,
        sasl_plain_password: str | None = None,
        sasl_kerberos_service_name: str = "kafka",
        sasl_kerberos_domain_name: str | None = None,
        sasl_oauth_token_provider: AbstractTokenProvider | None = None,
        retry_backoff_max_ms: int = 1000,
        reconnect_backoff_ms: int = 50,
        reconnect_backoff_max_ms: int = 1000,
        socket_connection_setup_timeout_ms: int = 10000,
        socket_connection_setup_timeout_max_ms: int = 30000,
    ) -> None:
        if api_version is not None:
            warnings.warn(
                "The argument `api_version` is deprecated and has no effect: versions are"
                " negotiated for each connection",
                DeprecationWarning,
                stacklevel=2,
            )
        self._loop = get_running_loop() if loop is None else loop
        self._request_timeout_ms = request_timeout_ms
        self._client = AIOKafkaClient(
            loop=self._loop,
            bootstrap_servers=bootstrap_servers,
            client_id=client_id,
            metadata_max_age_ms=metadata_max_age_ms,
            request_timeout_ms=request_timeout_ms,
            retry_backoff_ms=retry_backoff_ms,
            retry_backoff_max_ms=retry_backoff_max_ms,
            reconnect_backoff_ms=reconnect_backoff_ms,
            reconnect_backoff_max_ms=reconnect_backoff_max_ms,
            socket_connection_setup_timeout_ms=socket_connection_setup_timeout_ms,
            socket_connection_setup_timeout_max_ms=socket_connection_setup_timeout_max_ms,
            security_protocol=security_protocol,
            ssl_context=ssl_context,
            connections_max_idle_ms=connections_max_idle_ms,
            sasl_mechanism=sasl_mechanism,
            sasl_plain_username=sasl_plain_username,
            sasl_plain_password=sasl_plain_password,
            sasl_kerberos_service_name=sasl_kerberos_service_name,
            sasl_kerberos_domain_name=sasl_kerberos_domain_name,
            sasl_oauth_token_provider=sasl_oauth_token_provider,
        )
        self._supervisor = Supervisor(f"admin client {client_id}", log)
        self._news = News(self._loop.time)
        self._started = False
        self._closed = False

    # Life cycle

    async def start(self) -> None:
        """Connect to the cluster; may be called again, also after it has failed.

        Bounded by ``request_timeout_ms``.

        Raises:
            KafkaConnectionError: no bootstrap server could be used; the message has the reason
                for each.
            IllegalStateError: the admin client is closed.
        """
        if self._closed:
            raise IllegalStateError("A closed admin client cannot be started again")
        if self._started:
            return
        log.debug("Starting the Kafka admin client")
        try:
            await self._client.bootstrap()
        except KafkaError as error:
            if self._closed:
                raise IllegalStateError("The admin client was closed meanwhile") from error
            raise
        if self._closed:
            raise IllegalStateError("The admin client was closed meanwhile")
        self._started = True

    async def close(self) -> None:
        """End all calls and close all connections; whoever waits gets an error at once.

        May be called again, and without :meth:`start`.
        """
        self._closed = True
        try:
            # From another loop, when ours has stopped, no task of ours can be awaited.
            if get_running_loop() is self._loop:
                await self._supervisor.cancel_all(Deadline.after(_CLOSE_TIMEOUT))
        finally:
            # Cancelled or not, everything is closed.
            await self._client.close()
        log.debug("Kafka admin client closed")

    async def __aenter__(self) -> AIOKafkaAdminClient:
        try:
            await self.start()
        except BaseException:
            # The block is not entered, so nobody would leave it.
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # Requests of one's own

    async def _send_request(self, request: Any, node_id: int | None = None) -> Any:
        """Send a request builder to a node, None: any one, once."""
        if node_id is None:
            return await self._call("Request", None, lambda call: call.ask_any(request))
        return await self._send_request_to_node(node_id, request)

    async def _send_request_to_node(self, node_id: int, request: Any) -> Any:
        return await self._call("Request", None, lambda call: call.send(node_id, request))

    async def _send_to_controller(self, request: Any) -> Any:
        return await self._call("Request", None, lambda call: call.send_to_controller(request))
