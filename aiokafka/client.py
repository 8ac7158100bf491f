"""The client: which broker to talk to, and how.

:class:`AIOKafkaClient` routes requests to nodes, keeps connections and metadata, and bounds
every wait.  The work is done in :mod:`aiokafka._client`: ``routing`` (which connection a request
takes), ``nodes`` and ``connections`` (a connection for each node and group, backoff),
``metadata`` and ``metadata_round`` (refreshing), ``topic_waits`` (bounded waits), ``bootstrap``
(first contact).

Runs the metadata synchronizer and short-lived connect and metadata tasks, all supervised;
:meth:`AIOKafkaClient.close` ends them and resolves everything that waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from aiokafka import errors as Errors
from aiokafka._client.bootstrap import bootstrap
from aiokafka._client.connections import ConnectionGroup as ConnectionGroup
from aiokafka._client.connections import ConnectionPool, NodeId
from aiokafka._client.metadata import MetadataRefresher, closed_error
from aiokafka._client.metadata_round import MetadataRound, Outstanding, RoundResult, Topics
from aiokafka._client.routing import CoordinationType as CoordinationType
from aiokafka._client.routing import RequestRouting
from aiokafka._client.topic_waits import TopicWaits
from aiokafka._config import ClientConfig, SecurityConfig
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._hosts import Host, parse_hosts
from aiokafka._retry import rng_for
from aiokafka._tasks import Supervisor
from aiokafka._version import __version__
from aiokafka.abc import AbstractTokenProvider
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.util import get_running_loop

__all__ = ["AIOKafkaClient"]

log = logging.getLogger("aiokafka")

_CLOSE_TIMEOUT = 5.0


class AIOKafkaClient(RequestRouting):
    """A client of one Kafka cluster: brokers, connections, metadata.

    It is the ground on which the producer, the consumer and the admin client stand, and may
    be used by itself to send protocol requests.

    Parameters (all keyword):
        bootstrap_servers: ``host[:port]`` string or list of them; a comma-separated string
            is a list too.  All are tried at once. Default ``localhost:9092``.
        client_id: name sent with each request, for the brokers' logs and quotas.
        metadata_max_age_ms: milliseconds after which metadata is refreshed unasked. 300000.
        request_timeout_ms: milliseconds a broker has to answer a request; then its
            connection is closed.  Also bounds :meth:`bootstrap`. 40000.
        retry_backoff_ms: first delay between retries, milliseconds; doubles up to
            *retry_backoff_max_ms*, with 20 % jitter (KIP-580). 100.
        retry_backoff_max_ms: longest delay between retries, milliseconds. 1000.
        reconnect_backoff_ms: first delay before connecting to a node again, milliseconds;
            doubles up to *reconnect_backoff_max_ms* (KIP-144). 50.
        reconnect_backoff_max_ms: longest such delay, milliseconds. 1000.
        socket_connection_setup_timeout_ms: milliseconds for a whole connection setup: TCP,
            TLS, ApiVersions and SASL; doubles with each failure of a node up to
            *socket_connection_setup_timeout_max_ms* (KIP-601). 10000.
        socket_connection_setup_timeout_max_ms: longest such timeout, milliseconds. 30000.
        max_block_ms: milliseconds that a wait for metadata may take; None means
            *request_timeout_ms*; 0: never wait. None.
        ssl_context: for SSL and SASL_SSL; see :func:`aiokafka.helpers.create_ssl_context`.
        security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. PLAINTEXT.
        connections_max_idle_ms: milliseconds after which an idle connection is closed;
            None: never. 540000.
        sasl_mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 (GSSAPI and OAUTHBEARER are
            accepted; see the documentation for what is built in). PLAIN.
        sasl_plain_username, sasl_plain_password: for PLAIN and SCRAM.
        sasl_kerberos_service_name, sasl_kerberos_domain_name: for GSSAPI.
        sasl_oauth_token_provider: for OAUTHBEARER.
        loop, api_version: deprecated, without effect.

    Raises:
        ValueError: a setting that cannot work; the message names it.
        RuntimeError: no event loop is running and none was given.

    .. versionchanged:: 0.14.1
        Every wait is bounded; the keywords *max_block_ms*, *retry_backoff_max_ms*,
        *reconnect_backoff_ms*, *reconnect_backoff_max_ms*,
        *socket_connection_setup_timeout_ms*, *socket_connection_setup_timeout_max_ms*.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        bootstrap_servers: str | Sequence[str] = "localhost",
        client_id: str = "aiokafka-" + __version__,
        metadata_max_age_ms: int = 300000,
        request_timeout_ms: int = 40000,
        retry_backoff_ms: int = 100,
        ssl_context: ssl.SSLContext | None = None,
        security_protocol: str = "PLAINTEXT",
        api_version: str | None = None,
        connections_max_idle_ms: int | None = 540000,
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
        max_block_ms: float | None = None,
    ) -> None:
        if loop is None:
            loop = get_running_loop()
        if api_version is not None:
            warnings.warn(
                "`api_version` is deprecated and ignored: versions are negotiated for each"
                " connection",
                DeprecationWarning,
                stacklevel=2,
            )
        self._config = ClientConfig.from_keywords(
            bootstrap_servers=bootstrap_servers,
            client_id=client_id,
            request_timeout_ms=request_timeout_ms,
            metadata_max_age_ms=metadata_max_age_ms,
            max_block_ms=max_block_ms,
            retry_backoff_ms=retry_backoff_ms,
            retry_backoff_max_ms=retry_backoff_max_ms,
            reconnect_backoff_ms=reconnect_backoff_ms,
            reconnect_backoff_max_ms=reconnect_backoff_max_ms,
            socket_connection_setup_timeout_ms=socket_connection_setup_timeout_ms,
            socket_connection_setup_timeout_max_ms=socket_connection_setup_timeout_max_ms,
            connections_max_idle_ms=connections_max_idle_ms,
            security=SecurityConfig(
                security_protocol=security_protocol,
                ssl_context=ssl_context,
                sasl_mechanism=sasl_mechanism,
                sasl_plain_username=sasl_plain_username,
                sasl_plain_password=sasl_plain_password,
                sasl_kerberos_service_name=sasl_kerberos_service_name,
                sasl_kerberos_domain_name=sasl_kerberos_domain_name,
                sasl_oauth_token_provider=sasl_oauth_token_provider,
            ),
        )
        # Read by the engines and by instrumentations under these names.
        self._loop = loop
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._metadata_max_age_ms = metadata_max_age_ms
        self._request_timeout_ms = request_timeout_ms
        self._request_timeout = self._config.request_timeout
        self._max_block = self._config.max_block
        self._retry_backoff = self._config.retry_backoff.base
        self._retry_backoff_policy = self._config.retry_backoff
        self._rng: random.Random = rng_for(loop)

        self.cluster = ClusterMetadata(
            metadata_max_age_ms=metadata_max_age_ms,
            retry_backoff_ms=retry_backoff_ms,
            bootstrap_servers=bootstrap_servers,
        )
        self._topics: set[str] = set()
        self._last_round = RoundResult()
        self._closed = False
        self._supervisor = Supervisor(repr(self), log)
        self._outstanding = Outstanding(self._supervisor)
        self._pool = ConnectionPool(
            self.cluster,
            config=self._config,
            connector=self._make_connection,
            rng=self._rng,
            on_lost=self._on_node_lost,
            loop=loop,
        )
        self._pool.set_bootstrap(
            {f"bootstrap-{i}": (host, port) for i, (host, port, _) in enumerate(self.hosts)}
        )
        self._conns = self._pool.open
        self._refresher = MetadataRefresher(
            run_round=self._run_round,
            interest=self._interest,
            last_result=lambda: self._last_round,
            backoff=self._config.retry_backoff,
            max_age=self._config.metadata_max_age,
            rng=self._rng,
            supervisor=self._supervisor,
            loop=loop,
        )
        self._waits = TopicWaits(
            lambda: self.cluster,
            self._refresher,
            attempts=lambda: self._outstanding.started,
            silence=lambda: self._outstanding.silence(self._pool),
            backoff=self._config.retry_backoff,
            rng=self._rng,
            loop=loop,
        )

    def __repr__(self) -> str:
        return f"<AIOKafkaClient client_id={self._client_id}>"

    @property
    def hosts(self) -> list[Host]:
        """``bootstrap_servers`` as ``(host, port, address family)``."""
        return parse_hosts(self._bootstrap_servers)

    # Life cycle

    async def bootstrap(self) -> None:
        """Connect to the cluster and get its metadata; may be called again.

        Bounded by ``request_timeout_ms`` as a whole.

        Raises:
            KafkaConnectionError: no bootstrap server could be used; the message has the
                reason for each, ``__cause__`` the most telling one.
        """
        assert self._loop is asyncio.get_running_loop(), (
            "Please create objects with the same loop as running with"
        )
        if self._closed:
            raise closed_error()
        topics = self._interest()

        async def ask(name: str) -> None:
            self._take(await self._ask(name, topics), topics)

        await bootstrap(
            self._pool,
            ask=ask,
            supervisor=self._supervisor,
            deadline=Deadline.after(self._config.request_timeout),
        )
        log.debug("Bootstrapped: %s", self.cluster)
        self._refresher.start(lambda: self._md_synchronizer())

    async def close(self) -> None:
        """Close all connections and end all tasks; whoever waits gets an error at once.
        May be called at any time, more than once, and from another loop than the client's
        when that one is not running any more."""
        # All of it at once, before anything is awaited: this call may be cancelled, too.
        ending = self.abandon()
        if asyncio.get_running_loop() is not self._loop:
            # A framework closes from another thread's loop when ours has stopped: nothing of
            # ours can be awaited here.
            return
        deadline = Deadline.after(_CLOSE_TIMEOUT)
        await self._supervisor.cancel_all(deadline)
        await self._pool.wait_closed(ending, deadline)

    def abandon(self) -> list[asyncio.Future[None]]:
        """What :meth:`close` does, as far as it goes without awaiting.

        Returns:
            Futures of the connections' ends.

        .. versionadded:: 0.14.1
        """
        self._closed = True
        self._refresher.close()
        self._outstanding.cancel()
        return self._pool.close_now()

    # Nodes

    def _make_connection(
        self, host: str, port: int, setup_timeout: float, on_close: Any
    ) -> AIOKafkaConnection:
        idle = self._config.connections_max_idle
        try:
            return AIOKafkaConnection(
                host,
                port,
                client_id=self._client_id,
                request_timeout_ms=self._request_timeout_ms,
                max_idle_ms=None if idle is None else as_milliseconds(idle),
                on_close=on_close,
                socket_connection_setup_timeout_ms=max(1, as_milliseconds(setup_timeout)),
                **self._config.security.connection_kwargs(),
            )
        except AssertionError as error:
            # A mechanism whose library is not installed.
            raise Errors.AuthenticationMethodNotSupported(str(error)) from error

    def _on_node_lost(self, node_id: NodeId) -> None:
        if not self._closed:
            # A broker that went away may have lost its leaderships.
            self._refresher.request(f"lost the connection to node {node_id}")

    # Metadata

    @property
    def _md_update_waiter(self) -> asyncio.Future[None]:
        """Done while a metadata refresh is pending."""
        return self._refresher.wake

    @property
    def _sync_task(self) -> asyncio.Task[None] | None:
        return self._refresher.task

    def _interest(self) -> Topics:
        if self.cluster.need_all_topic_metadata:
            return None
        return self._refresher.waited_for.union(self._topics)

    async def _md_synchronizer(self) -> None:
        """Refresh the metadata when it is due or asked for; does not end by itself."""
        await self._refresher.synchronize()

    async def _run_round(self, topics: Topics) -> bool:
        return await self._metadata_update(self.cluster, [] if topics is None else topics)

    async def _metadata_update(
        self, cluster: ClusterMetadata, topics: Collection[str], deadline: Deadline | None = None
    ) -> bool:
        """One round of asking for metadata; True when *cluster* was updated.

        Parameters:
            topics: the topics to ask for; empty for all when the cluster object is not this
                client's own or needs all topics.
            deadline: ends the round before ``request_timeout_ms``.
        """
        own = cluster is self.cluster
        wanted: Topics = frozenset(topics)
        if not wanted and (not own or cluster.need_all_topic_metadata):
            wanted = None
        outstanding = self._outstanding if own else Outstanding(self._supervisor)

        def take(response: Any, asked: Topics) -> None:
            self._take(response, asked, cluster)

        metadata_round = MetadataRound(
            self._pool,
            self.cluster,
            wanted,
            ask=self._ask,
            take=take,
            outstanding=outstanding,
            backoff=self._config.retry_backoff,
            rng=self._rng,
        )
        limit = Deadline.after(self._config.request_timeout)
        if deadline is not None:
            limit = deadline.capped(self._config.request_timeout)
        try:
            result = await metadata_round.run(limit)
        finally:
            if not own:
                outstanding.cancel()
        self._last_round = result
        return result.updated

    async def _ask(self, node_id: NodeId, topics: Topics) -> Any:
        connection = await self._pool.node(node_id).connect()
        request = MetadataRequest(
            None if topics is None else sorted(topics), allow_auto_topic_creation=True
        )
        return await connection.send(request)

    def _take(self, response: Any, asked: Topics, cluster: ClusterMetadata | None = None) -> None:
        """Put an answer into the cluster.

        Raises:
            KafkaError: the answer is of no use.
        """
        cluster = cluster or self.cluster
        code = getattr(response, "error_code", 0)
        if code:
            error = Errors.for_code(code)
            if error is Errors.RebootstrapRequiredError:
                log.warning("The broker asks to bootstrap again; forgetting all brokers")
                self.cluster.forget_brokers()
            raise error("Metadata request refused")
        if not response.brokers:
            raise Errors.MetadataEmptyBrokerList(response)
        cluster.update_metadata(response, None if asked is None else asked)
        if cluster is self.cluster:
            # From now on every refresh asks for those that exist; a topic that never came is
            # not tracked, or each misspelt name would be asked for (and created) for ever.
            self._topics.update(
                topic for topic in asked or () if cluster.partition_count(topic) is not None
            )
            self._pool.adopt_bootstrap()
            self._pool.drop_moved()
            self._refresher.updated()

    def force_metadata_update(self) -> asyncio.Future[bool]:
        """Refresh the metadata now; concurrent calls share one refresh.

        Returns:
            A future of True, or of False when the refresh failed.
        """
        return asyncio.shield(self._refresher.round_done())

    def request_metadata(self, why: str, topics: Iterable[str] = ()) -> int:
        """Ask for a metadata refresh; returns the version its answer will exceed.

        .. versionadded:: 0.14.1
        """
        return self._refresher.request(why, tuple(topics))

    async def wait_metadata(self, version: int, deadline: Deadline) -> int:
        """Wait for metadata newer than *version*.

        Raises:
            KafkaTimeoutError: *deadline* passed.
            KafkaError: the refresh cannot succeed, or the client was closed.

        .. versionadded:: 0.14.1
        """
        return await self._refresher.wait(version, deadline)

    async def fetch_all_metadata(self, deadline: Deadline | None = None) -> ClusterMetadata:
        """Metadata of all topics, as an object of its own.

        Tries again with backoff until it succeeds or the time is over.

        Parameters:
            deadline: the latest end; default ``max_block_ms`` from now.

        Raises:
            KafkaTimeoutError: the time is over; says budget, elapsed time and attempts, and
                has the last error as ``__cause__``.
            KafkaError: an error that waiting cannot mend (authentication, version).
        """
        return await self._waits.all_topics(
            self._fetch_all_once, deadline or Deadline.after(self._max_block)
        )

    async def _fetch_all_once(
        self, deadline: Deadline
    ) -> tuple[ClusterMetadata | None, RoundResult]:
        cluster = ClusterMetadata(**self.cluster.config)
        updated = await self._metadata_update(cluster, [], deadline)
        if self._closed:
            raise closed_error()
        return (cluster if updated else None), self._last_round

    def add_topic(self, topic: str) -> asyncio.Future[bool]:
        """Track a topic; returns a future of the refresh that brings its metadata, done
        already when the topic is tracked."""
        return self._track({topic})

    def set_topics(self, topics: Iterable[str]) -> asyncio.Future[bool]:
        """Track exactly these topics (none: all topics of the cluster).

        Returns:
            A future of the refresh that brings their metadata, done already when nothing new
            is tracked.
        """
        wanted = set(topics)
        for topic in wanted:
            _check_topic(topic)
        new = wanted - self._topics
        self._topics &= wanted
        self.cluster.need_all_topic_metadata = not wanted
        return self._track(new) if wanted else self._refresher.round_done(None)

    def _track(self, topics: set[str]) -> asyncio.Future[bool]:
        for topic in topics:
            _check_topic(topic)
        new = topics - self._topics
        if not new:
            done: asyncio.Future[bool] = self._loop.create_future()
            done.set_result(True)
            return done
        self._topics |= new
        return self._refresher.round_done(new)

    async def _wait_on_metadata(self, topic: str, deadline: Deadline | None = None) -> set[int]:
        """The partitions of *topic*; waits for its metadata if it is not known.

        Parameters:
            deadline: the latest end; default ``max_block_ms`` from now.

        Raises:
            MetadataTimeoutError: a ``KafkaTimeoutError`` that is also an
                ``UnknownTopicOrPartitionError``: the metadata did not come in time.
            TopicAuthorizationFailedError, InvalidTopicError: at once.
            KafkaError: an error that waiting cannot mend, or the client was closed.
        """
        if self._closed:
            raise closed_error()
        _check_topic(topic)
        if deadline is not None:
            return await self._waits.topic(topic, deadline)
        try:
            return await self._waits.topic(topic, Deadline.after(self._max_block))
        except Errors.MetadataTimeoutError as error:
            # Called from outside (instrumentations do, before each send): the send that
            # follows in the same task shall not wait once more for the same.
            self._waits.remember(topic, error)
            raise

    async def _wait_on_partition(self, topic: str, partition: int, deadline: Deadline) -> None:
        """Wait until *topic* has *partition*.

        Raises:
            MetadataTimeoutError: it has not by *deadline*.
        """
        if self._closed:
            raise closed_error()
        await self._waits.partition(topic, partition, deadline)

    def take_recent_timeout(self, topic: str) -> Errors.MetadataTimeoutError | None:
        """The timeout for *topic* that the current task has just waited out in a call of
        ``_wait_on_metadata`` without a deadline; None otherwise, and the second time."""
        return self._waits.take_recent(topic)

    async def _maybe_wait_metadata(self) -> None:
        """Wait for the refresh under way or pending, if there is one."""
        if self._refresher.pending:
            await self._refresher.round_done()


# What the length of a string may be on the wire.
_LONGEST_TOPIC = 32767


def _check_topic(topic: object) -> None:
    """Refuse what no Metadata request can carry: it would stand in the way of every other
    topic, in this refresh and all later ones."""
    if not isinstance(topic, str):
        raise TypeError(f"`topic` should be a str, not {type(topic).__name__}")
    try:
        fits = len(topic.encode()) <= _LONGEST_TOPIC
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise Errors.InvalidTopicError(f"{topic[:249]!r} cannot be the name of a topic")
