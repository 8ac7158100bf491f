"""Interfaces that applications implement.

No state, no tasks: the consumer's coordination task calls the listener, the connection
calls the token provider.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable
from typing import Any

from aiokafka.structs import TopicPartition

__all__ = ["AbstractTokenProvider", "ConsumerRebalanceListener"]


class ConsumerRebalanceListener(abc.ABC):
    """Told when the group takes partitions from this consumer or gives it some.

    Pass an instance to :meth:`AIOKafkaConsumer.subscribe`. The methods may be plain
    functions or coroutine functions; the consumer awaits a returned coroutine before the
    rebalance goes on, and fetches nothing meanwhile. A method that takes longer than
    ``max_poll_interval_ms`` or the rebalance timeout costs the consumer its membership. An
    exception from a method is logged and does not stop the rebalance.

    Not called when partitions are assigned by hand.
    """

    @abc.abstractmethod
    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> Awaitable[None] | None:
        """Finish with partitions before another consumer may get them.

        Called before the group distributes the partitions anew, after the consumer has
        stopped fetching: the place to commit offsets that are not committed automatically.
        Under the cooperative protocol (KIP-429) called after the distribution, and only if
        partitions were taken.

        Parameters:
            revoked: the partitions this consumer had, empty before the first rebalance; under
                the cooperative protocol those that it has to give up.
        """

    @abc.abstractmethod
    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> Awaitable[None] | None:
        """Prepare for partitions before the first record of theirs is read.

        The place to :meth:`~AIOKafkaConsumer.seek` to positions kept elsewhere.

        Parameters:
            assigned: all partitions this consumer has now, not only the ones added; under
                the cooperative protocol (KIP-429) the ones added, perhaps none.
        """

    # Optional on purpose: a listener of 0.14 does not have it.
    def on_partitions_lost(self, lost: set[TopicPartition]) -> Awaitable[None] | None:
        """Finish with partitions that this consumer has lost already (KIP-429).

        Called instead of :meth:`on_partitions_revoked` when the group has removed this
        consumer, such as after ``max_poll_interval_ms`` or ``session_timeout_ms``: other
        consumers may have the partitions already, and nothing can be committed any more. By
        default calls :meth:`on_partitions_revoked`.

        Parameters:
            lost: the partitions this consumer had.

        .. versionadded:: 0.14.1
        """
        return self.on_partitions_revoked(lost)


class AbstractTokenProvider(abc.ABC):
    """Source of the tokens for SASL OAUTHBEARER (KIP-255).

    Pass an instance as ``sasl_oauth_token_provider``.
    """

    @abc.abstractmethod
    async def token(self) -> str:
        """Return a valid token; called for every new connection, and to re-authenticate.

        Keep the token as long as it is valid and fetch another one before it expires. Do
        not block the event loop: run blocking code in an executor.

        Returns:
            The token in the compact serialization of RFC 6750 and RFC 7515.
        """

    # Optional on purpose: a provider without extensions does not have to say so.
    def extensions(self) -> dict[str, Any]:
        """Return SASL extensions (KIP-342) to send with the token, by default none."""
        return {}
