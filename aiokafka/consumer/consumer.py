"""The consumer as applications use it.

:class:`AIOKafkaConsumer` checks settings, and puts the parts together: the client, the state of
the subscription, the fetcher, the group coordinator.  None of them refers back to it, so a
forgotten consumer is collected.  What it can do is in :mod:`aiokafka.consumer._consuming` (giving
out records), ``_subscribing`` (what is read), ``_committing`` (the group's offsets) and
``_offsets`` (positions, look-ups).

Runs no task itself, but see :mod:`aiokafka.consumer._waiting`.  Its calls wait for futures of
the fetcher, the coordinator and the subscription, whose owners resolve them.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic

from aiokafka._deadline import Deadline
from aiokafka._version import __version__
from aiokafka.abc import AbstractTokenProvider
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer._consuming import KT, VT, ConsumeCalls
from aiokafka.consumer._offsets import OffsetCalls
from aiokafka.consumer._settings import check_isolation_level, check_settings
from aiokafka.consumer._waiting import StopSignal, timed_out, until_done
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator, NoGroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import ConsumerStoppedError, KafkaTimeoutError
from aiokafka.util import get_running_loop

if TYPE_CHECKING:
    from aiokafka.consumer._health import ConsumerHealth

__all__ = ["AIOKafkaConsumer"]

log = logging.getLogger(__name__)


class AIOKafkaConsumer(ConsumeCalls[KT, VT], OffsetCalls, Generic[KT, VT]):
    """Reads records from a Kafka cluster, alone or as a member of a group.

    Records are fetched in the background and given out by :meth:`getone`, :meth:`getmany` or
    ``async for``.  Generic over what keys and values are: ``AIOKafkaConsumer[str, dict]`` with
    deserializers, bytes without.

    Parameters (times in milliseconds, sizes in bytes):
        topics: names of topics to subscribe to; see also :meth:`subscribe`, :meth:`assign`.
        bootstrap_servers: ``host[:port]`` or a list of them. Default ``localhost:9092``.
        client_id: name for the brokers' logs. Default ``aiokafka-<version>``.
        group_id: the group whose members share the topics' partitions and store offsets. None:
            no group, no stored offsets.
        group_instance_id: makes the member static: it keeps its partitions over a restart
            (KIP-345).
        key_deserializer, value_deserializer: callables that make something of keys and values;
            they get None, too.
        fetch_max_wait_ms: how long a broker may wait for *fetch_min_bytes*. 500.
        fetch_max_bytes: the most that one answer to a fetch should have. 52428800.
        fetch_min_bytes: the least for which a broker should answer at once. 1.
        max_partition_fetch_bytes: the most that one answer should have of each partition.
            1048576.
        fetch_buffer_bytes: the most that is fetched ahead of the application, of all
            partitions together. 67108864.
        max_poll_records: the most that :meth:`getmany` returns. None.
        request_timeout_ms: how long a broker may take to answer. 40000.
        default_api_timeout_ms: how long a call other than for records may take; None:
            *request_timeout_ms*. None.
        stop_timeout_ms: how long :meth:`stop` may take to commit and to leave the group; None:
            30000.
        retry_backoff_ms, retry_backoff_max_ms: first and longest delay between attempts
            (KIP-580). 100, 1000.
        auto_offset_reset: where to start without a committed offset, or when the position is
            no longer in the log: ``"earliest"``, ``"latest"``, ``"by_duration:<ISO 8601>"``
            (KIP-1106) or ``"none"``, which raises. ``"latest"``.
        enable_auto_commit: commit in the background what the application is done with. True.
        auto_commit_interval_ms: how often. 5000.
        enable_auto_offset_store: with False only what :meth:`store_offsets` was told is
            committed automatically. True.
        check_crcs: verify checksums. True.
        partition_assignment_strategy: assignors in order of preference.
        max_poll_interval_ms: a member that does not ask for records for so long while some
            are there leaves the group. 300000.
        rebalance_timeout_ms: how long a rebalance waits for this member; None:
            *session_timeout_ms*. None.
        session_timeout_ms: after so long without a heartbeat the group goes on without the
            member. 10000.
        heartbeat_interval_ms: time between heartbeats. 3000.
        consumer_timeout_ms: the longest sleep of the fetching task. 200.
        exclude_internal_topics: a pattern does not match internal topics. True.
        isolation_level: ``"read_uncommitted"``, or ``"read_committed"`` to leave out what
            transactions have not committed. ``"read_uncommitted"``.
        client_rack: rack of this client, to fetch from a replica nearby (KIP-392).
        metadata_max_age_ms, connections_max_idle_ms, reconnect_backoff_ms,
        reconnect_backoff_max_ms, socket_connection_setup_timeout_ms,
        socket_connection_setup_timeout_max_ms, security_protocol, ssl_context, sasl_*:
            as for :class:`~aiokafka.client.AIOKafkaClient`.
        loop, api_version: deprecated.

    Raises:
        ValueError: a setting that cannot work; the message names it.
        RuntimeError: no event loop is running.

    .. versionchanged:: 0.14.1
        Added *default_api_timeout_ms*, *stop_timeout_ms*, *fetch_buffer_bytes*,
        *enable_auto_offset_store*, *retry_backoff_max_ms*, *reconnect_backoff_ms*,
        *reconnect_backoff_max_ms*, *socket_connection_setup_timeout_ms* and
        *socket_connection_setup_timeout_max_ms*; generic over the types of keys and values.
    """

    # None until started, then whether it was stopped. Here for instances whose __init__
    # did not get far.
    _closed: bool | None = None
    _source_traceback: traceback.StackSummary | None = None

    def __init__(
        self,
        *topics: str,
        loop: asyncio.AbstractEventLoop | None = None,
        bootstrap_servers: str | Sequence[str] = "localhost",
        client_id: str = "aiokafka-" + __version__,
        group_id: str | None = None,
        group_instance_id: str | None = None,
        key_deserializer: Callable[[Any], KT] | None = None,
        value_deserializer: Callable[[Any], VT] | None = None,
        fetch_max_wait_ms: int = 500,
        fetch_max_bytes: int = 52428800,
        fetch_min_bytes: int = 1,
        max_partition_fetch_bytes: int = 1048576,
        request_timeout_ms: int = 40000,
        retry_backoff_ms: int = 100,
        auto_offset_reset: str = "latest",
        enable_auto_commit: bool = True,
        auto_commit_interval_ms: int = 5000,
        check_crcs: bool = True,
        metadata_max_age_ms: int = 300000,
        partition_assignment_strategy: Sequence[Any] = (RoundRobinPartitionAssignor,),
        max_poll_interval_ms: int = 300000,
        rebalance_timeout_ms: int | None = None,
        session_timeout_ms: int = 10000,
        heartbeat_interval_ms: int = 3000,
        consumer_timeout_ms: int = 200,
        max_poll_records: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
        security_protocol: str = "PLAINTEXT",
        api_version: str | None = None,
        exclude_internal_topics: bool = True,
        connections_max_idle_ms: int | None = 540000,
        isolation_level: str = "read_uncommitted",
        sasl_mechanism: str = "PLAIN",
        sasl_plain_password: str | None = None,
        sasl_plain_username: str | None = None,
        sasl_kerberos_service_name: str = "kafka",
        sasl_kerberos_domain_name: str | None = None,
        sasl_oauth_token_provider: AbstractTokenProvider | None = None,
        client_rack: str | None = None,
        default_api_timeout_ms: float | None = None,
        stop_timeout_ms: float | None = None,
        fetch_buffer_bytes: int = 67108864,
        enable_auto_offset_store: bool = True,
        retry_backoff_max_ms: int = 1000,
        reconnect_backoff_ms: int = 50,
        reconnect_backoff_max_ms: int = 1000,
        socket_connection_setup_timeout_ms: int = 10000,
        socket_connection_setup_timeout_max_ms: int = 30000,
    ) -> None:
        if loop is None:
            loop = get_running_loop()
        else:
            _deprecated("loop", "the consumer uses the running loop")
        if api_version is not None:
            _deprecated("api_version", "versions are negotiated for each connection")
        self._loop = loop
        if loop.get_debug():
            self._source_traceback = traceback.extract_stack(sys._getframe(1))

        self._settings = check_settings(
            group_id=group_id,
            fetch_max_wait_ms=fetch_max_wait_ms,
            fetch_max_bytes=fetch_max_bytes,
            fetch_min_bytes=fetch_min_bytes,
            max_partition_fetch_bytes=max_partition_fetch_bytes,
            fetch_buffer_bytes=fetch_buffer_bytes,
            max_poll_records=max_poll_records,
            request_timeout_ms=request_timeout_ms,
            default_api_timeout_ms=default_api_timeout_ms,
            stop_timeout_ms=stop_timeout_ms,
            auto_commit_interval_ms=auto_commit_interval_ms,
            max_poll_interval_ms=max_poll_interval_ms,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=heartbeat_interval_ms,
            rebalance_timeout_ms=rebalance_timeout_ms,
            consumer_timeout_ms=consumer_timeout_ms,
            partition_assignment_strategy=partition_assignment_strategy,
            enable_auto_offset_store=enable_auto_offset_store,
        )
        # Read by frameworks and instrumentations under these names.
        self._group_id = group_id
        self._group_instance_id = group_instance_id
        self._key_deserializer = key_deserializer
        self._value_deserializer = value_deserializer
        self._fetch_max_wait_ms = fetch_max_wait_ms
        self._fetch_max_bytes = fetch_max_bytes
        self._fetch_min_bytes = fetch_min_bytes
        self._max_partition_fetch_bytes = max_partition_fetch_bytes
        self._request_timeout_ms = request_timeout_ms
        self._retry_backoff_ms = retry_backoff_ms
        self._retry_backoff_max_ms = retry_backoff_max_ms
        self._auto_offset_reset = auto_offset_reset
        self._enable_auto_commit = enable_auto_commit
        self._auto_commit_interval_ms = auto_commit_interval_ms
        self._check_crcs = check_crcs
        self._partition_assignment_strategy = self._settings.assignors
        self._max_poll_interval_ms = max_poll_interval_ms
        self._rebalance_timeout_ms = (
            session_timeout_ms if rebalance_timeout_ms is None else rebalance_timeout_ms
        )
        self._session_timeout_ms = session_timeout_ms
        self._heartbeat_interval_ms = heartbeat_interval_ms
        self._consumer_timeout = self._settings.consumer_timeout
        self._max_poll_records = max_poll_records
        self._exclude_internal_topics = exclude_internal_topics
        self._isolation_level = isolation_level
        self._client_rack = client_rack

        # Given when stop() is called, and when it has closed everything.
        self._stopping = StopSignal()
        self._stopped = StopSignal()
        self._starting = False
        self._fetcher: Fetcher | None = None
        self._coordinator: GroupCoordinator | NoGroupCoordinator | None = None

        self._client_settings: dict[str, Any] = {
            "loop": loop,
            "bootstrap_servers": bootstrap_servers,
            "client_id": client_id,
            "metadata_max_age_ms": metadata_max_age_ms,
            "request_timeout_ms": request_timeout_ms,
            "retry_backoff_ms": retry_backoff_ms,
            "retry_backoff_max_ms": retry_backoff_max_ms,
            "reconnect_backoff_ms": reconnect_backoff_ms,
            "reconnect_backoff_max_ms": reconnect_backoff_max_ms,
            "socket_connection_setup_timeout_ms": socket_connection_setup_timeout_ms,
            "socket_connection_setup_timeout_max_ms": socket_connection_setup_timeout_max_ms,
            "max_block_ms": default_api_timeout_ms,
            "security_protocol": security_protocol,
            "ssl_context": ssl_context,
            "connections_max_idle_ms": connections_max_idle_ms,
            "sasl_mechanism": sasl_mechanism,
            "sasl_plain_username": sasl_plain_username,
            "sasl_plain_password": sasl_plain_password,
            "sasl_kerberos_service_name": sasl_kerberos_service_name,
            "sasl_kerberos_domain_name": sasl_kerberos_domain_name,
            "sasl_oauth_token_provider": sasl_oauth_token_provider,
        }
        self._client = AIOKafkaClient(**self._client_settings)
        self._subscription = SubscriptionState(loop=loop)
        if topics:
            self.subscribe(topics)

    def __repr__(self) -> str:
        group = "" if self._group_id is None else f" group_id={self._group_id}"
        return f"<AIOKafkaConsumer client_id={self._client._client_id}{group}>"

    def __del__(self, _warnings: Any = warnings) -> None:
        if self._closed is not False:
            return
        _warnings.warn(f"Unclosed AIOKafkaConsumer {self!r}", ResourceWarning, source=self)
        if self._loop.is_closed():
            return
        # The collector may run in any thread; tasks and sockets belong to the loop's.
        self._loop.call_soon_threadsafe(_abandon, self._fetcher, self._coordinator, self._client)
        context: dict[str, Any] = {"consumer": self, "message": "Unclosed AIOKafkaConsumer"}
        if self._source_traceback is not None:
            context["source_traceback"] = self._source_traceback
        self._loop.call_exception_handler(context)

    # Life cycle

    async def start(self) -> None:
        """Connect to the cluster, and with a group get the first partitions.

        Without anything subscribed to it only connects.  After a failure, or when cancelled,
        nothing is left running; it may be called again.

        Raises:
            KafkaConnectionError: no bootstrap server could be used in ``request_timeout_ms``.
            KafkaTimeoutError: a topic is not known within ``default_api_timeout_ms`` after
                that (then also an ``UnknownTopicOrPartitionError``), or the group gave no
                partitions within ``default_api_timeout_ms`` and ``rebalance_timeout_ms``.
            TopicAuthorizationFailedError, GroupAuthorizationFailedError: not allowed.
            InvalidSessionTimeoutError, InconsistentGroupProtocolError, InvalidGroupIdError:
                the group does not accept the settings.
            ValueError: ``isolation_level`` is none.
            AssertionError: it was called before; another loop than the consumer's is running.
            ConsumerStoppedError: the consumer was stopped, before or meanwhile.
            KafkaError: the brokers refuse for another reason.
        """
        if self._loop is not get_running_loop():
            raise AssertionError("Please create objects with the same loop as running with")
        if self._closed:
            raise ConsumerStoppedError("A stopped consumer cannot be started again")
        if self._starting or self._closed is False:
            raise AssertionError("Did you call `start` twice?")
        check_isolation_level(self._isolation_level)
        log.debug("Starting the Kafka consumer")
        self._starting = True
        try:
            await self._stopping.unless_given(self._connect)
        except BaseException:
            # stop() cleans up by itself.
            if not self._stopping.given:
                await self._close(Deadline.after(self._settings.stop_timeout))
            raise
        finally:
            self._starting = False
        if self._stopping.given:
            raise ConsumerStoppedError("The consumer was stopped while it started")
        self._closed = False
        log.debug("Kafka consumer started")

    async def _connect(self) -> None:
        if self._client._closed:
            # An earlier start() has failed.
            self._client = AIOKafkaClient(**self._client_settings)
        subscription, client = self._subscription, self._client
        topics = subscription.topics
        if topics:
            client.set_topics(topics)
        elif subscription.subscribed_pattern is not None:
            client.set_topics(())
        await client.bootstrap()
        deadline = Deadline.after(self._settings.default_api_timeout)
        for topic in sorted(topics):
            await client._wait_on_metadata(topic, deadline=deadline)
        self._fetcher = self._make_fetcher()
        if self._group_id is None:
            self._coordinator = NoGroupCoordinator(
                client, subscription, exclude_internal_topics=self._exclude_internal_topics
            )
            self._assign_all()
        else:
            await self._join(self._group_id)

    async def _join(self, group_id: str) -> None:
        """Become a member of the group, and wait for the first assignment."""
        subscription = self._subscription
        assigned = subscription.wait_for_assignment()
        self._coordinator = coordinator = self._make_coordinator(group_id)
        # A pattern that no topic matches yet gives nothing to wait for.
        if subscription.subscription is None or not subscription.partitions_auto_assigned():
            assigned.cancel()
            return
        deadline = Deadline.after(self._settings.group_start_timeout)
        what = f"Joining group {group_id!r}"
        try:
            await until_done(assigned, deadline, what)
        except KafkaTimeoutError as error:
            raise timed_out(what, deadline, coordinator.facts().last_error) from error
        coordinator.check_errors()

    def _make_fetcher(self) -> Fetcher:
        settings = self._settings
        return Fetcher(
            self._client,
            self._subscription,
            key_deserializer=self._key_deserializer,
            value_deserializer=self._value_deserializer,
            fetch_min_bytes=settings.fetch_min_bytes,
            fetch_max_bytes=settings.fetch_max_bytes,
            fetch_max_wait_ms=self._fetch_max_wait_ms,
            max_partition_fetch_bytes=settings.max_partition_fetch_bytes,
            check_crcs=self._check_crcs,
            fetcher_timeout=settings.consumer_timeout,
            retry_backoff_ms=self._retry_backoff_ms,
            retry_backoff_max_ms=self._retry_backoff_max_ms,
            auto_offset_reset=self._auto_offset_reset,
            isolation_level=self._isolation_level,
            client_rack=self._client_rack,
            fetch_buffer_bytes=settings.fetch_buffer_bytes,
        )

    def _make_coordinator(self, group_id: str) -> GroupCoordinator:
        settings = self._settings
        return GroupCoordinator(
            self._client,
            self._subscription,
            group_id=group_id,
            group_instance_id=self._group_instance_id,
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=self._heartbeat_interval_ms,
            retry_backoff_ms=self._retry_backoff_ms,
            enable_auto_commit=self._enable_auto_commit,
            auto_commit_interval_ms=self._auto_commit_interval_ms,
            assignors=settings.assignors,
            exclude_internal_topics=self._exclude_internal_topics,
            max_poll_interval_ms=self._max_poll_interval_ms,
            rebalance_timeout_ms=self._rebalance_timeout_ms,
            default_api_timeout_ms=settings.default_api_timeout * 1000,
            stop_timeout_ms=settings.stop_timeout * 1000,
            retry_backoff_max_ms=self._retry_backoff_max_ms,
            enable_auto_offset_store=settings.auto_offset_store,
            client_rack=self._client_rack,
        )

    async def stop(self) -> None:
        """Commit, leave the group and free all resources, within ``stop_timeout_ms``.

        With ``enable_auto_commit`` the positions of all partitions are committed.  A static
        member (``group_instance_id``) stays in the group.  Calls that wait end at once:
        :meth:`getone` with :class:`ConsumerStoppedError`, :meth:`getmany` with nothing.
        May be called again, and without :meth:`start`; cancelled, it still frees everything.
        """
        if self._closed:
            # Another call may still be at it.
            await self._stopping.wait_over()
            return
        self._closed = True
        self._stopping.give()
        log.debug("Stopping the Kafka consumer")
        try:
            await self._close(Deadline.after(self._settings.stop_timeout))
        finally:
            self._stopped.give()
            self._stopped.over()
            self._stopping.over()
        log.debug("Kafka consumer stopped")

    async def _close(self, deadline: Deadline) -> None:
        """End everything; cancelled or not, all is closed."""
        fetcher, coordinator = self._fetcher, self._coordinator
        try:
            if fetcher is not None:
                # First: positions stand still from now on, and can be committed.
                await _bounded(fetcher.close(), deadline, "Closing the fetcher")
        finally:
            try:
                if coordinator is not None:
                    await _bounded(coordinator.close(), deadline, "Leaving the group")
            finally:
                if not self._closed:
                    self._fetcher = self._coordinator = None
                    self._subscription.start_over()
                _abandon(fetcher, coordinator, self._client)
                await self._client.close()

    async def __aenter__(self) -> AIOKafkaConsumer[KT, VT]:
        try:
            await self.start()
        except BaseException:
            # The block is not entered, so nobody would leave it.
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def health(self) -> ConsumerHealth:
        """What the consumer is doing, of its group and of each partition, and why.

        Asks no broker and does not wait; a snapshot that does not change.

        .. versionadded:: 0.14.1
        """
        # Not every program asks, and dataclasses are slow to import.
        from aiokafka.consumer._describing import describe

        return describe(self)


async def _bounded(closing: Awaitable[None], deadline: Deadline, what: str) -> None:
    try:
        await deadline.run(closing, what=what)
    except KafkaTimeoutError as error:
        log.warning("The consumer is stopped before everything was done: %s", error)


def _deprecated(name: str, why: str) -> None:
    warnings.warn(
        f"The argument `{name}` is deprecated and has no effect: {why}",
        DeprecationWarning,
        stacklevel=3,
    )


def _abandon(
    fetcher: Fetcher | None,
    coordinator: GroupCoordinator | NoGroupCoordinator | None,
    client: AIOKafkaClient,
) -> None:
    """End what a forgotten consumer has left: its tasks and sockets."""
    if fetcher is not None:
        fetcher.abandon()
    if coordinator is not None:
        coordinator.abandon()
    client.abandon()
