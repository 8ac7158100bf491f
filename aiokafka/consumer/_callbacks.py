"""The rebalance listener's calls.

No task, no future: the coordination task waits for what the listener returns.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Collection
from typing import Any

from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import TopicPartition

log = logging.getLogger("aiokafka.consumer.group_coordinator")


class ListenerCalls:
    """Tells the application's listener, if there is one, what the group does.

    Its exceptions are logged: they are the application's, and the rebalance goes on.

    Parameters:
        subscription: whose listener is called.
        group_id: for the log.
    """

    def __init__(self, subscription: SubscriptionState, group_id: str) -> None:
        self._subscription = subscription
        self._group_id = group_id

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Partitions are about to be given up in an orderly way."""
        log.info(
            "Revoking previously assigned partitions %s for group %s",
            set(partitions),
            self._group_id,
        )
        await self._call("on_partitions_revoked", set(partitions))

    async def lost(self, partitions: Collection[TopicPartition]) -> None:
        """Partitions are gone already; other members may have them.

        A listener without ``on_partitions_lost`` is told that they are revoked (KIP-429).
        """
        log.info(
            "Lost previously assigned partitions %s of group %s",
            set(partitions),
            self._group_id,
        )
        has_lost = hasattr(self._subscription.listener, "on_partitions_lost")
        name = "on_partitions_lost" if has_lost else "on_partitions_revoked"
        await self._call(name, set(partitions))

    async def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Partitions were added (under the eager protocol: all there are)."""
        await self._call("on_partitions_assigned", set(partitions))

    async def _call(self, name: str, partitions: set[TopicPartition]) -> None:
        listener = self._subscription.listener
        if listener is None:
            return
        method: Callable[[set[TopicPartition]], Any] = getattr(listener, name)
        try:
            result = method(partitions)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError:
            if _is_ours():
                raise
            log.exception("Listener %r was cancelled in %s(%s)", listener, name, partitions)
        except Exception:
            log.exception("Listener %r failed in %s(%s)", listener, name, partitions)


def _is_ours() -> bool:
    """Is the current task being cancelled, and not something that the listener waited for?"""
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    # Python 3.10 cannot tell; then the cancellation is obeyed.
    return cancelling is None or bool(cancelling())
