"""Setting up the per-record code for one producer.

Runs no task and owns no future.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiokafka.partitioner import DefaultPartitioner, TopicPartitioner
from aiokafka.producer._hot import CALLABLE, DEFAULT, TOPIC_AWARE, Appender, TopicRoute
from aiokafka.producer._settings import ProducerSettings

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata
    from aiokafka.producer.message_accumulator import MessageAccumulator
    from aiokafka.producer.transaction_manager import TransactionManager


def partitioner_kind(partitioner: Any) -> int:
    """How the partitioner is to be called."""
    # A subclass may do anything; only the class itself is known inside out.
    if type(partitioner) is DefaultPartitioner:
        return DEFAULT
    return TOPIC_AWARE if isinstance(partitioner, TopicPartitioner) else CALLABLE


def make_route(
    cluster: ClusterMetadata, accumulator: MessageAccumulator, topic: str
) -> TopicRoute | None:
    """The topic's partitions as the metadata has them now, None when it has none."""
    partitions = cluster.partitions_for_topic(topic)
    if not partitions:
        return None
    available = cluster.available_partitions_for_topic(topic) or ()
    return TopicRoute(topic, sorted(partitions), sorted(available), accumulator.queue)


def future_factory(loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.Future[Any]]:
    """What makes a future on *loop*, without a Python function in between if possible."""
    if getattr(type(loop), "create_future", None) is asyncio.BaseEventLoop.create_future:
        return functools.partial(asyncio.Future, loop=loop)
    return loop.create_future


def make_appender(
    *,
    cluster: ClusterMetadata,
    accumulator: MessageAccumulator,
    txn_manager: TransactionManager | None,
    settings: ProducerSettings,
    partitioner: Any,
    key_serializer: Callable[[Any], bytes] | None,
    value_serializer: Callable[[Any], bytes] | None,
    loop: asyncio.AbstractEventLoop,
    seed: int,
) -> Appender:
    """An appender whose routes are forgotten when the metadata changes."""
    kind = partitioner_kind(partitioner)
    sticky_bytes = settings.max_batch_size
    if kind == TOPIC_AWARE:
        if partitioner.batch_size is None:
            partitioner.batch_size = settings.max_batch_size
        sticky_bytes = partitioner.batch_size
    transactional = txn_manager is not None and txn_manager.transactional_id is not None
    appender = Appender(
        pool=accumulator.pool,
        find_route=lambda topic: make_route(cluster, accumulator, topic),
        open_batch=accumulator.open_batch,
        drop_empty=accumulator.drop_empty,
        create_future=future_factory(loop),
        max_record=min(settings.max_request_size, settings.buffer_memory),
        partitioner=partitioner,
        kind=kind,
        sticky_bytes=sticky_bytes,
        seed=seed,
        key_serializer=key_serializer,
        value_serializer=value_serializer,
        may_append=(
            txn_manager.is_in_transaction if txn_manager is not None and transactional else None
        ),
    )
    accumulator.appender = appender
    forget_routes = appender.routes.clear
    cluster.add_listener(lambda _: forget_routes())
    return appender
