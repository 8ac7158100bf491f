"""The producer as applications use it.

:class:`AIOKafkaProducer` checks settings and arguments, makes the one deadline of each call,
and puts the parts together: the client, the accumulator, the appender, the transaction
manager, the sender.  None of them refers back to it, so a forgotten producer is collected.

Runs no task itself.  The futures it returns belong to batches
(:mod:`aiokafka.producer._batch`).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from aiokafka._deadline import Deadline
from aiokafka.abc import AbstractTokenProvider
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaTimeoutError,
    ProducerClosed,
)
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer._appending import make_appender
from aiokafka.producer._batch import Serializer
from aiokafka.producer._sending import SendCalls
from aiokafka.producer._settings import CODECS, check_settings
from aiokafka.producer._transactions import TransactionCalls, TransactionContext
from aiokafka.producer._waiting import StopSignal
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.util import get_running_loop

__all__ = ["AIOKafkaProducer", "TransactionContext"]

log = logging.getLogger(__name__)

# "Not given" for `acks`, whose default depends on other settings.
_missing = object()

_DEFAULT_PARTITIONER = DefaultPartitioner()


class AIOKafkaProducer(SendCalls, TransactionCalls):
    """Publishes records to a Kafka cluster.

    Records are collected in batches, a queue of them for each partition, and sent in the
    background; :meth:`send` gives a future that tells where the record was stored.

    Parameters (all keyword; times in milliseconds, sizes in bytes):
        bootstrap_servers: ``host[:port]`` or a list of them. Default ``localhost:9092``.
        client_id: name for the brokers' logs. Default ``aiokafka-producer-<n>``.
        key_serializer, value_serializer: callables that turn keys and values into bytes.
        acks: ``0``: do not wait for brokers, futures get None; ``1``: the leader has it;
            ``"all"`` or ``-1``: all in-sync replicas have it. Default 1, with idempotence
            or transactions ``"all"``.
        compression_type: None, ``"gzip"``, ``"snappy"``, ``"lz4"`` or ``"zstd"``.
        compression_level: the codec's level (KIP-390); None for its default.
        max_batch_size: bytes of one partition's batch, before compression. 16384.
        linger_ms: how long a batch that is not full waits for more records. 0.
        partitioner: callable ``(key, all_partitions, available) -> partition``; default
            :class:`~aiokafka.partitioner.DefaultPartitioner`. See also
            :class:`~aiokafka.partitioner.StickyPartitioner` (KIP-480).
        max_request_size: the largest record, and the most bytes in a request. 1048576.
        buffer_memory: bytes of records that may wait to be sent or acknowledged; past
            them :meth:`send` waits. 33554432.
        max_block_ms: how long a call may wait for metadata and buffer space together;
            0: never; None: *request_timeout_ms*. None.
        delivery_timeout_ms: how long after its creation a batch is given up, whatever it
            was waiting for. 120000.
        request_timeout_ms: how long a broker may take to answer. 40000.
        retry_backoff_ms, retry_backoff_max_ms: first and longest delay between attempts
            (KIP-580). 100, 1000.
        max_in_flight_requests_per_connection: unanswered requests a broker may have. 5.
        stop_timeout_ms: how long :meth:`stop` tries to deliver what is left; None: 30000.
        enable_idempotence: no duplicates and no reordering by retries (KIP-98). False.
        transactional_id: makes the producer transactional, and idempotent.
        transaction_timeout_ms: after this the coordinator aborts a transaction. 60000.
        metadata_max_age_ms, connections_max_idle_ms, reconnect_backoff_ms,
        reconnect_backoff_max_ms, socket_connection_setup_timeout_ms,
        socket_connection_setup_timeout_max_ms, security_protocol, ssl_context, sasl_*:
            as for :class:`~aiokafka.client.AIOKafkaClient`.
        loop, api_version: deprecated.

    Raises:
        ValueError: a setting that cannot work; the message names it.
        RuntimeError: no event loop is running, or a codec's library is missing.

    .. versionchanged:: 0.14.1
        Added *max_block_ms*, *delivery_timeout_ms*, *retry_backoff_max_ms*,
        *reconnect_backoff_ms*, *reconnect_backoff_max_ms*,
        *socket_connection_setup_timeout_ms*, *socket_connection_setup_timeout_max_ms*,
        *buffer_memory*, *compression_level*, *stop_timeout_ms* and
        *max_in_flight_requests_per_connection*.
    """

    _PRODUCER_CLIENT_ID_SEQUENCE = 0
    _COMPRESSORS = CODECS

    # None until started, then whether it was stopped. Here for instances whose __init__
    # did not get far.
    _closed: bool | None = None
    _source_traceback: traceback.StackSummary | None = None

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        bootstrap_servers: str | Sequence[str] = "localhost",
        client_id: str | None = None,
        metadata_max_age_ms: int = 300000,
        request_timeout_ms: int = 40000,
        api_version: str | None = None,
        acks: Any = _missing,
        key_serializer: Serializer | None = None,
        value_serializer: Serializer | None = None,
        compression_type: str | None = None,
        max_batch_size: int = 16384,
        partitioner: Callable[..., int] = _DEFAULT_PARTITIONER,
        max_request_size: int = 1048576,
        linger_ms: float = 0,
        retry_backoff_ms: int = 100,
        security_protocol: str = "PLAINTEXT",
        ssl_context: ssl.SSLContext | None = None,
        connections_max_idle_ms: int | None = 540000,
        enable_idempotence: bool = False,
        transactional_id: str | None = None,
        transaction_timeout_ms: int = 60000,
        sasl_mechanism: str = "PLAIN",
        sasl_plain_password: str | None = None,
        sasl_plain_username: str | None = None,
        sasl_kerberos_service_name: str = "kafka",
        sasl_kerberos_domain_name: str | None = None,
        sasl_oauth_token_provider: AbstractTokenProvider | None = None,
        max_block_ms: float | None = None,
        delivery_timeout_ms: float = 120000,
        retry_backoff_max_ms: int = 1000,
        reconnect_backoff_ms: int = 50,
        reconnect_backoff_max_ms: int = 1000,
        socket_connection_setup_timeout_ms: int = 10000,
        socket_connection_setup_timeout_max_ms: int = 30000,
        buffer_memory: int = 33554432,
        compression_level: int | None = None,
        stop_timeout_ms: float | None = None,
        max_in_flight_requests_per_connection: int = 5,
    ) -> None:
        if loop is None:
            loop = get_running_loop()
        else:
            _deprecated("loop", "the producer uses the running loop")
        if api_version is not None:
            _deprecated("api_version", "versions are negotiated for each connection")
        self._loop = loop
        if loop.get_debug():
            self._source_traceback = traceback.extract_stack(sys._getframe(1))

        self._settings = settings = check_settings(
            acks=acks,
            missing=_missing,
            enable_idempotence=enable_idempotence,
            transactional_id=transactional_id,
            transaction_timeout_ms=transaction_timeout_ms,
            compression_type=compression_type,
            compression_level=compression_level,
            max_batch_size=max_batch_size,
            max_request_size=max_request_size,
            buffer_memory=buffer_memory,
            max_in_flight=max_in_flight_requests_per_connection,
            linger_ms=linger_ms,
            request_timeout_ms=request_timeout_ms,
            max_block_ms=max_block_ms,
            delivery_timeout_ms=delivery_timeout_ms,
            stop_timeout_ms=stop_timeout_ms,
        )
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer
        self._compression_type = compression_type
        self._max_request_size = max_request_size
        self._request_timeout_ms = request_timeout_ms
        self._max_block = settings.max_block
        # Given when stop() is called: nothing waits for metadata any more.
        self._stopping = StopSignal()

        self.client = AIOKafkaClient(
            loop=loop,
            bootstrap_servers=bootstrap_servers,
            client_id=client_id or self._next_client_id(),
            metadata_max_age_ms=metadata_max_age_ms,
            request_timeout_ms=request_timeout_ms,
            retry_backoff_ms=retry_backoff_ms,
            retry_backoff_max_ms=retry_backoff_max_ms,
            reconnect_backoff_ms=reconnect_backoff_ms,
            reconnect_backoff_max_ms=reconnect_backoff_max_ms,
            socket_connection_setup_timeout_ms=socket_connection_setup_timeout_ms,
            socket_connection_setup_timeout_max_ms=socket_connection_setup_timeout_max_ms,
            max_block_ms=max_block_ms,
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
        self._metadata = self.client.cluster
        self._txn_manager = (
            TransactionManager(transactional_id, settings.transaction_timeout_ms, loop=loop)
            if settings.idempotent
            else None
        )
        self._build_engine(partitioner, retry_backoff_ms, retry_backoff_max_ms)

    def _build_engine(
        self, partitioner: Any, retry_backoff_ms: float, retry_backoff_max_ms: float
    ) -> None:
        settings = self._settings
        self._message_accumulator = MessageAccumulator(
            self._metadata,
            settings.max_batch_size,
            settings.compression,
            settings.delivery_timeout,
            txn_manager=self._txn_manager,
            loop=self._loop,
            linger_ms=settings.linger * 1000,
            buffer_memory=settings.buffer_memory,
            compression_level=settings.compression_level,
            max_request_size=settings.max_request_size,
            max_in_flight=settings.in_flight_per_partition,
        )
        self._sender = Sender(
            self.client,
            acks=settings.acks,
            txn_manager=self._txn_manager,
            message_accumulator=self._message_accumulator,
            retry_backoff_ms=retry_backoff_ms,
            retry_backoff_max_ms=retry_backoff_max_ms,
            request_timeout_ms=settings.request_timeout * 1000,
            max_in_flight=settings.max_in_flight,
            # Not max_block: with 0 an idempotent producer could never start.
            max_block=settings.request_timeout,
        )
        rng = self.client._rng
        if partitioner is _DEFAULT_PARTITIONER:
            # One of its own, so that chance comes from the loop's generator.
            partitioner = DefaultPartitioner(rng=rng)
        self._partitioner = partitioner
        if type(partitioner) is DefaultPartitioner:
            seed = int(partitioner._random() * 2**53)
        else:
            seed = rng.getrandbits(53)
        self._appender = make_appender(
            cluster=self._metadata,
            accumulator=self._message_accumulator,
            txn_manager=self._txn_manager,
            settings=settings,
            partitioner=partitioner,
            key_serializer=self._key_serializer,
            value_serializer=self._value_serializer,
            loop=self._loop,
            seed=seed,
        )
        self._append = self._appender.append

    @classmethod
    def _next_client_id(cls) -> str:
        AIOKafkaProducer._PRODUCER_CLIENT_ID_SEQUENCE += 1
        return f"aiokafka-producer-{AIOKafkaProducer._PRODUCER_CLIENT_ID_SEQUENCE}"

    def __del__(self, _warnings: Any = warnings) -> None:
        if self._closed is not False:
            return
        _warnings.warn(f"Unclosed AIOKafkaProducer {self!r}", ResourceWarning, source=self)
        if self._loop.is_closed():
            return
        # The collector may run in any thread; tasks and sockets belong to the loop's.
        self._loop.call_soon_threadsafe(
            _abandon, self._sender, self._message_accumulator, self.client
        )
        context: dict[str, Any] = {"producer": self, "message": "Unclosed AIOKafkaProducer"}
        if self._source_traceback is not None:
            context["source_traceback"] = self._source_traceback
        self._loop.call_exception_handler(context)

    # Life cycle

    async def start(self) -> None:
        """Connect to the cluster; with idempotence also get a producer id.

        May be called again after it has failed.

        Raises:
            KafkaConnectionError: no bootstrap server could be used in ``request_timeout_ms``.
            KafkaTimeoutError: no producer id within ``request_timeout_ms`` after that.
            TransactionalIdAuthorizationFailed: the transactional id is not ours to use.
            ProducerClosed: the producer was stopped.
        """
        if self._loop is not get_running_loop():
            raise AssertionError("Please create objects with the same loop as running with")
        if self._closed:
            raise ProducerClosed("A stopped producer cannot be started again")
        if self._closed is False:
            log.debug("The Kafka producer is started already")
            return
        log.debug("Starting the Kafka producer")
        await self._stopping.unless_given(self._connect)
        if self._stopping.given:
            raise ProducerClosed("The producer was stopped while it started")
        self._closed = False
        self._appender.enabled = True
        log.debug("Kafka producer started")

    async def _connect(self) -> None:
        await self.client.bootstrap()
        await self._sender.start()

    async def stop(self) -> None:
        """Deliver what is left, for at most ``stop_timeout_ms``, and free all resources.

        Records that could not be delivered fail with :class:`ProducerClosed`; calls that
        wait get it at once. May be called again, and without :meth:`start`.
        """
        if self._closed:
            # Another call may still be at it.
            await self._stopping.wait_over()
            return
        self._closed = True
        self._appender.enabled = False
        self._stopping.give()
        log.debug("Stopping the Kafka producer")
        accumulator = self._message_accumulator
        try:
            await accumulator.close(Deadline.after(self._settings.stop_timeout))
        except KafkaTimeoutError as error:
            log.warning("The producer is stopped with records undelivered: %s", error)
        finally:
            reason = ProducerClosed("The producer was stopped before the record was delivered")
            reason.__cause__ = self._sender.last_error
            accumulator.dispose(reason)
            # Cancelled or not, everything is closed.
            try:
                await self._sender.close()
            finally:
                try:
                    await self.client.close()
                finally:
                    self._stopping.over()
        log.debug("Kafka producer stopped")

    async def __aenter__(self) -> AIOKafkaProducer:
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

    async def flush(self) -> None:
        """Wait until everything sent so far is delivered or has failed.

        Raises:
            KafkaTimeoutError: not done within ``delivery_timeout_ms`` and a request timeout
                more, which no batch outlives.
        """
        settings = self._settings
        await self._message_accumulator.flush(
            Deadline.after(settings.delivery_timeout + settings.request_timeout)
        )


def _deprecated(name: str, why: str) -> None:
    warnings.warn(
        f"The argument `{name}` is deprecated and has no effect: {why}",
        DeprecationWarning,
        stacklevel=3,
    )


def _abandon(sender: Sender, accumulator: MessageAccumulator, client: AIOKafkaClient) -> None:
    """End what a forgotten producer has left: its tasks, sockets, and records."""
    accumulator.dispose(ProducerClosed("The producer was dropped without being stopped"))
    sender.abandon()
    client.abandon()
