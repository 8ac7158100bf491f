"""The errors that say which time budget ran out, where it went, and why.

No state, no tasks. Import the classes from :mod:`aiokafka.errors`. Each composes its
message from the facts, and keeps them as attributes. `copy.copy` works on all of them.
"""

from __future__ import annotations

from aiokafka._errors.base import KafkaError
from aiokafka._errors.broker import UnknownTopicOrPartitionError
from aiokafka._errors.client import KafkaTimeoutError
from aiokafka.structs import TopicPartition


def _after(cause: BaseException | None) -> str:
    """The part of a message that names the last error: str() alone is often empty."""
    if cause is None:
        return ""
    text, name = str(cause), type(cause).__name__
    if name not in text:
        text = f"{name}: {text}" if text else name
    return f"; last error: {text}"


def _chain(error: BaseException, cause: BaseException | None) -> None:
    # Only when there is one: the assignment alone would hide `__context__`.
    if cause is not None:
        error.__cause__ = cause


def _times(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"{attempts} attempts"


def _ms(value: float) -> str:
    return f"{value:.0f} ms"


class MetadataTimeoutError(KafkaTimeoutError, UnknownTopicOrPartitionError):
    """The metadata of a topic did not become known within the budget of the call.

    Both a :class:`KafkaTimeoutError` and an :class:`UnknownTopicOrPartitionError`: the
    latter is what aiokafka 0.14 raised in this situation.

    Parameters:
        message: text of the error; ``None`` composes it from the following.
        topic: the topic waited for, or ``None`` for the metadata of the whole cluster.
        budget_ms: how long the call was allowed to take, in milliseconds.
        elapsed_ms: how long it took, in milliseconds.
        attempts: how many metadata requests were tried in that time.
        partition: the partition waited for, when the topic is known but has fewer.
        available: how many partitions the topic has in that case.
        cause: the last underlying error; becomes ``__cause__``.

    .. versionadded:: 0.14.1
    """

    retriable = True
    invalid_metadata = True

    def __init__(
        self,
        message: str | None = None,
        *,
        topic: str | None = None,
        budget_ms: float = 0,
        elapsed_ms: float = 0,
        attempts: int = 0,
        partition: int | None = None,
        available: int | None = None,
        cause: BaseException | None = None,
    ) -> None:
        if message is None:
            if topic is None:
                what = "No metadata of the cluster"
            elif partition is None:
                what = f"Topic {topic!r} not present in metadata"
            else:
                what = f"Partition {partition} of topic {topic!r} not present in metadata"
                if available is not None:
                    what = f"{what} (it has {available} partitions)"
            message = (
                f"{what} after {_ms(elapsed_ms)} and {_times(attempts)}"
                f" (budget {_ms(budget_ms)}){_after(cause)}"
            )
        super().__init__(message)
        self.topic = topic
        self.partition = partition
        self.budget_ms = budget_ms
        self.elapsed_ms = elapsed_ms
        self.attempts = attempts
        _chain(self, cause)

    # No "[Error 3]" in front: no broker answered with that code.
    __str__ = KafkaError.__str__


class DeliveryTimeoutError(KafkaTimeoutError):
    """A batch could not be delivered within ``delivery_timeout_ms`` of its creation.

    Whether the broker has stored the records is unknown when an attempt was under way.

    Parameters:
        message: text of the error; ``None`` composes it from the following.
        tp: the partition the batch was for.
        record_count: how many records were in it.
        elapsed_ms: age of the batch when it was given up, in milliseconds.
        attempts: how many times it had been sent.
        budget_ms: the delivery timeout, in milliseconds.
        cause: the last underlying error; becomes ``__cause__``.

    .. versionadded:: 0.14.1
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        tp: TopicPartition | None = None,
        record_count: int = 0,
        elapsed_ms: float = 0,
        attempts: int = 0,
        budget_ms: float | None = None,
        cause: BaseException | None = None,
    ) -> None:
        if message is None:
            where = "" if tp is None else f" for {tp.topic}-{tp.partition}"
            limit = "" if budget_ms is None else f" (delivery_timeout_ms={budget_ms:.0f})"
            message = (
                f"Expired {record_count} record(s){where} {_ms(elapsed_ms)} after the creation"
                f" of their batch and {_times(attempts)}{limit}{_after(cause)}"
            )
        super().__init__(message)
        self.tp = tp
        self.record_count = record_count
        self.elapsed_ms = elapsed_ms
        self.attempts = attempts
        self.budget_ms = budget_ms
        _chain(self, cause)


class BufferTimeoutError(KafkaTimeoutError):
    """No space became free in the producer's buffer within the budget of the call.

    Parameters:
        message: text of the error; ``None`` composes it from the following.
        requested: bytes the call needs.
        available: bytes that were free at the end.
        total: size of the buffer in bytes (``buffer_memory``).
        budget_ms: how long the call was allowed to take, in milliseconds.
        cause: the last error that kept the buffer from draining; becomes ``__cause__``.

    .. versionadded:: 0.14.1
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        requested: int = 0,
        available: int = 0,
        total: int = 0,
        budget_ms: float = 0,
        cause: BaseException | None = None,
    ) -> None:
        if message is None:
            message = (
                f"No {requested} bytes of buffer_memory became free within {_ms(budget_ms)}:"
                f" {available} of {total} bytes are free{_after(cause)}"
            )
        super().__init__(message)
        self.requested = requested
        self.available = available
        self.total = total
        self.budget_ms = budget_ms
        _chain(self, cause)
