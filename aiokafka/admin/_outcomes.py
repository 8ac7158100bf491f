"""The outcomes of a call's items, as they come in over several attempts.

Owns no task and no future.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from aiokafka._retry import action_for
from aiokafka.admin.results import Results
from aiokafka.errors import (
    BrokerResponseError,
    KafkaError,
    KafkaTimeoutError,
    UnknownTopicOrPartitionError,
    for_code,
)

K = TypeVar("K")
V = TypeVar("V")

# A broker may not have heard of a new topic yet: an answer that there is none is believed when it
# was given so often.
_UNKNOWN_BEFORE_BELIEVED = 3


def error_of(code: int, message: str | None, about: object = None) -> BrokerResponseError:
    """The error for a code in an answer, with the broker's text or what it is about."""
    error_type = for_code(code)
    if message:
        return error_type(message)
    return error_type(str(about)) if about is not None else error_type()


def passes(error: BaseException) -> bool:
    """May the same request succeed later?  A timeout that came here is that of a part."""
    return isinstance(error, KafkaTimeoutError) or action_for(error).retriable


class Outcomes(Generic[K, V]):
    """What is known of each item so far.

    Parameters:
        passing: may a part that failed with that error succeed later?

    Attributes:
        pending: the items still without an outcome, in their order.
        reasons: why, of those that were tried.
    """

    def __init__(
        self, items: Iterable[K], passing: Callable[[BaseException], bool] = passes
    ) -> None:
        self._passing = passing
        self._items: dict[K, None] = dict.fromkeys(items)
        self.pending: dict[K, None] = dict(self._items)
        self.reasons: dict[K, BaseException] = {}
        self._succeeded: dict[K, V] = {}
        self._errors: dict[K, KafkaError] = {}
        self._unknown: dict[K, int] = {}

    @property
    def answered(self) -> bool:
        """Has any item an outcome?"""
        return len(self.pending) < len(self._items)

    def succeed(self, item: K, result: V) -> None:
        """The item's part is done."""
        if item in self.pending:
            del self.pending[item]
            self._succeeded[item] = result

    def fail(self, item: K, error: BaseException) -> None:
        """The item's part has failed: for good, or until the next attempt."""
        if item not in self.pending:
            return
        self.reasons[item] = error
        if isinstance(error, UnknownTopicOrPartitionError):
            tries = self._unknown[item] = self._unknown.get(item, 0) + 1
            if tries < _UNKNOWN_BEFORE_BELIEVED:
                return
        elif self._passing(error):
            return
        self._end(item, error)

    def take(
        self, item: K, code: int, message: str | None, result: V, about: object = None
    ) -> None:
        """The broker's answer for the item: *result*, if the code is that of no error."""
        if code:
            self.fail(item, error_of(code, message, item if about is None else about))
        else:
            self.succeed(item, result)

    def unanswered(self, items: Iterable[K], why: str) -> None:
        """The broker's answer does not mention these items."""
        for item in items:
            if item in self.pending and item not in self.reasons:
                self._end(item, KafkaError(why))

    def _end(self, item: K, error: BaseException) -> None:
        del self.pending[item]
        if not isinstance(error, KafkaError):
            wrapped = KafkaError(repr(error))
            wrapped.__cause__ = error
            error = wrapped
        self._errors[item] = error

    def reason(self) -> BaseException:
        """Why there is another attempt."""
        for item in self.pending:
            if item in self.reasons:
                return self.reasons[item]
        return KafkaError("the broker did not answer")

    def give_up(self, error: KafkaError) -> None:
        """No more attempts; each item left gets the error, with its own last reason."""
        for item in list(self.pending):
            mine = error
            if isinstance(error, KafkaTimeoutError):
                reason = self.reasons.get(item)
                mine = KafkaTimeoutError(f"{item}: {error}")
                mine.__cause__ = reason if reason is not None else error
            self._end(item, mine)

    def ended(self) -> Results[K, V]:
        """The outcomes, without another attempt for those that could be mended by one."""
        for item in list(self.pending):
            self._end(item, self.reasons[item])
        return self.results()

    def results(self) -> Results[K, V]:
        """The outcomes, when none is pending."""
        errors = {item: self._errors[item] for item in self._items if item in self._errors}
        succeeded = {
            item: self._succeeded[item] for item in self._items if item in self._succeeded
        }
        return Results(self._items, succeeded, errors)
