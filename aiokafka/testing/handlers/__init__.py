"""What the fake brokers answer, one module for each concept.

A handler gets the request and its connection and returns the values of the answer (which
:func:`~aiokafka.testing.codec.build_response` lays out for the version asked), or ``None`` when
nothing is to be answered, or a :class:`~aiokafka.testing.pending.Pending` when the answer comes
later.  Handlers are plain functions without awaits; they change the state of the cluster and
nothing else.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import (
    admin_groups,
    api_versions,
    configs,
    coordinators,
    fetch,
    group_offsets,
    groups,
    leader_epochs,
    metadata,
    offsets,
    produce,
    producer_ids,
    records,
    sasl,
    topics,
    transactions,
)

if TYPE_CHECKING:
    from ..connection import BrokerConnection
    from ..pending import Pending
    from ..received import ReceivedRequest

__all__ = ["HANDLERS", "Handler"]

Handler = Callable[["ReceivedRequest", "BrokerConnection"], "dict[str, Any] | Pending | None"]

#: The handlers by API key.
HANDLERS: Mapping[int, Handler] = {
    0: produce.handle,
    1: fetch.handle,
    2: offsets.handle,
    3: metadata.handle,
    8: group_offsets.handle_commit,
    9: group_offsets.handle_fetch,
    10: coordinators.handle,
    11: groups.handle_join,
    12: groups.handle_heartbeat,
    13: groups.handle_leave,
    14: groups.handle_sync,
    15: admin_groups.handle_describe,
    16: admin_groups.handle_list,
    17: sasl.handle_handshake,
    18: api_versions.handle,
    19: topics.handle_create,
    20: topics.handle_delete,
    21: records.handle,
    22: producer_ids.handle,
    23: leader_epochs.handle,
    32: configs.handle_describe,
    33: configs.handle_alter,
    24: transactions.handle_add_partitions,
    25: transactions.handle_add_offsets,
    26: transactions.handle_end,
    28: transactions.handle_offset_commit,
    36: sasl.handle_authenticate,
    37: topics.handle_create_partitions,
    42: admin_groups.handle_delete,
    44: configs.handle_change,
    47: admin_groups.handle_delete_offsets,
}
