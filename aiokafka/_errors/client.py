"""Errors the client itself finds, without an error code of a broker.

No state, no tasks. Import the classes from :mod:`aiokafka.errors`.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka._errors.base import KafkaError
from aiokafka._errors.broker import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition


class IllegalStateError(KafkaError):
    """The call is not possible in the present state of the object."""


class IllegalArgumentError(KafkaError):
    """An argument of the call is not acceptable."""


class NoBrokersAvailable(KafkaError):
    """None of the known brokers can be reached."""

    retriable = True
    invalid_metadata = True


class NodeNotReadyError(KafkaError):
    """There is no usable connection to the node at the moment."""

    retriable = True


class KafkaProtocolError(KafkaError):
    """The bytes received are not what the Kafka protocol prescribes."""

    retriable = True


class CorrelationIdError(KafkaProtocolError):
    """A response arrived that belongs to another request, or to none."""

    retriable = True


class Cancelled(KafkaError):
    """The request was given up before its response arrived."""

    retriable = True


class TooManyInFlightRequests(KafkaError):
    """The connection has as many requests under way as it may have."""

    retriable = True


class StaleMetadata(KafkaError):
    """The call needs newer metadata than the client has."""

    retriable = True
    invalid_metadata = True


class MetadataEmptyBrokerList(KafkaError):
    """A broker answered a metadata request without naming any broker.

    Happens while a broker starts up. The argument is the response.
    """

    retriable = True


class UnrecognizedBrokerVersion(KafkaError):
    """The broker's version could not be found out."""

    fatal = True


class IncompatibleBrokerVersion(KafkaError):
    """The broker is too old (or too new) for what was asked of it."""

    fatal = True


_COMMIT_FAILED = (
    "The offsets were not committed: the group has taken the partitions away from this"
    " consumer. The usual reason is too much time between two polls; process fewer records"
    " a poll (max_poll_records) or allow more time (max_poll_interval_ms)."
)


class CommitFailedError(KafkaError):
    """Offsets could not be committed, as the consumer no longer owns the partitions.

    Parameters:
        args: anything to add to the fixed explanation, which is always the first argument.
    """

    def __init__(self, *args: object) -> None:
        # A copy is made from `self.args`, which has the explanation in it already.
        if not args or args[0] != _COMMIT_FAILED:
            args = (_COMMIT_FAILED, *args)
        super().__init__(*args)

    def __str__(self) -> str:
        return f"{type(self).__name__}: {' '.join(map(str, self.args))}"


class AuthenticationMethodNotSupported(KafkaError):
    """The broker and the client share no way to authenticate."""

    fatal = True


class AuthenticationFailedError(KafkaError):
    """The broker refused the client's credentials, or could not prove its own identity."""

    fatal = True


class KafkaUnavailableError(KafkaError):
    """The cluster cannot serve the request at the moment."""


class KafkaTimeoutError(KafkaError):
    """The call's time budget ran out.

    ``__cause__`` is the last underlying error, when there was one.
    """


class KafkaConnectionError(KafkaError):
    """A connection could not be made, or was lost."""

    retriable = True
    invalid_metadata = True


class UnsupportedCodecError(KafkaError):
    """The library for a compression codec is not installed."""

    #: Where a consumer met it; None elsewhere.  Seek past the offset to go on.
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None


class KafkaConfigurationError(KafkaError):
    """A setting is wrong, or does not go with another one."""

    fatal = True


class QuotaViolationError(KafkaError):
    """The client is over its quota."""


class ConsumerStoppedError(Exception):
    """The consumer was stopped while, or before, the call waited for records."""


class IllegalOperation(Exception):
    """The call makes no sense with the consumer's settings, such as without a group."""


class NoOffsetForPartitionError(KafkaError):
    """A partition has no committed offset and ``auto_offset_reset`` is ``"none"``."""


class LogTruncationError(OffsetOutOfRangeError):
    """Records that were read are not in the partition's log any more: a broker that lacked them
    became its leader (KIP-320), and ``auto_offset_reset`` is ``"none"``.

    The arguments are, by partition, where the consumer was, and the first offset that is not
    what was read, where that is known.

    .. versionadded:: 0.14.1
    """

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """Where the consumer was."""
        return self.args[0] if self.args else {}

    @property
    def divergent(self) -> Mapping[TopicPartition, int]:
        """The first offset that is not what was read, for partitions where it is known."""
        return self.args[1] if len(self.args) > 1 else {}


class RecordTooLargeError(KafkaError):
    """A record is larger than the limit for one fetch of a partition."""


class ProducerClosed(KafkaError):
    """The producer was stopped before the call was complete."""

    fatal = True


class ProducerFenced(KafkaError):
    """Another producer with the same transactional id took this one's place.

    Parameters:
        msg: explanation for people.
    """

    fatal = True

    def __init__(
        self,
        msg: object = (
            "A newer producer with the same transactional_id is running, or the transaction"
            " exceeded transaction_timeout_ms and was aborted by the broker"
        ),
    ) -> None:
        super().__init__(msg)
