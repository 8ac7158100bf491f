"""What the handlers of the sender's requests have in common.

There is one class for each request: what to ask, and what the answer means.  A handler lives for
one request at a time.  ``do`` sends it and returns whether the matter is settled; if not, the
caller comes again.  Runs no task, owns no future.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiokafka import errors as Errors
from aiokafka._client.connections import ConnectionGroup
from aiokafka._retry import action_for, pause
from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from aiokafka.producer.sender import Sender
    from aiokafka.producer.transaction_manager import TransactionManager

log = logging.getLogger("aiokafka.producer.sender")

_COORDINATOR_GONE = (
    Errors.GroupCoordinatorNotAvailableError,
    Errors.NotCoordinatorForGroupError,
)
_COORDINATOR_BUSY = (Errors.GroupLoadInProgressError, Errors.ConcurrentTransactions)


class BaseHandler:
    """Sends one request; subclasses say which one and what its answer means."""

    group: int = ConnectionGroup.DEFAULT

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._default_backoff = sender._retry_backoff.base

    @property
    def _txn_manager(self) -> TransactionManager:
        manager = self._sender._txn_manager
        if manager is None:
            raise AssertionError("This producer is not idempotent")
        return manager

    async def do(self, node_id: int) -> bool:
        """Send the request; True when it is settled, False (after a pause) when not."""
        request = self.create_request()
        try:
            if self.group == ConnectionGroup.DEFAULT:
                response = await self._sender.client.send(node_id, request)
            else:
                response = await self._sender.client.send(node_id, request, group=self.group)
        except (Errors.NodeNotReadyError, Errors.RequestTimedOutError) as error:
            self._failed(node_id, request, error)
            await pause(self.handle_error())
            return False
        except KafkaError as error:
            if not action_for(error).retriable:
                raise
            self._failed(node_id, request, error)
            await pause(self._default_backoff)
            return False
        backoff = self.handle_response(response)
        if backoff is None:
            return True
        await pause(backoff)
        return False

    def _failed(self, node_id: int, request: Any, error: KafkaError) -> None:
        self._sender.last_error = error
        log.debug("%s to node %s failed: %r", type(request).__name__, node_id, error)

    def create_request(self) -> Any:
        """The request, as a builder of :mod:`aiokafka.protocol`."""
        raise AssertionError(f"{type(self).__name__} has no request")

    def handle_response(self, response: Any) -> float | None:
        """Take the answer; seconds to wait before asking again, None when settled."""
        raise AssertionError(f"{type(self).__name__} expects no response")

    def handle_error(self) -> float:
        """The node could not be asked; seconds to wait before asking again."""
        return self._default_backoff

    def _coordinator_backoff(
        self, error: type[KafkaError], kind: CoordinationType
    ) -> float | None:
        """Seconds to wait when *error* is the coordinator's passing trouble, else None."""
        if issubclass(error, _COORDINATOR_GONE):
            self._sender._coordinator_dead(kind)
            return self._default_backoff
        if issubclass(error, _COORDINATOR_BUSY):
            return self._default_backoff
        return None
