"""The root of the error classes and the flags by which the client decides what to do next.

No state, no tasks. Import the classes from :mod:`aiokafka.errors`.
"""

from __future__ import annotations

from typing import ClassVar


class KafkaError(RuntimeError):
    """Base of all errors of this package but two.

    The class attributes say what may be done about an error. They describe the error by
    itself; a caller that knows more about its situation (a transaction, a group) keeps a
    small table of exceptions to them. When several are set, the one named last in the
    following list decides.

    .. versionchanged:: 0.14.1
        The flags ``coordinator_gone``, ``abortable`` and ``fatal`` are new.
    """

    retriable: ClassVar[bool] = False
    """The same request may succeed later."""

    invalid_metadata: ClassVar[bool] = False
    """What the client knows of the cluster is out of date: refresh it before the retry."""

    coordinator_gone: ClassVar[bool] = False
    """The group or transaction coordinator is elsewhere: find it again before the retry."""

    abortable: ClassVar[bool] = False
    """Ends an open transaction, which has to be aborted; the producer can go on after that.
    Without a transaction only the request at hand has failed."""

    fatal: ClassVar[bool] = False
    """Whoever got it (connection, producer, group member) cannot go on: a new attempt
    with the same settings would end the same way."""

    def __str__(self) -> str:
        name = type(self).__name__
        return f"{name}: {super().__str__()}" if self.args else name


class BrokerResponseError(KafkaError):
    """Base of the errors a broker answers with, one class for each error code."""

    errno: ClassVar[int] = -1
    """The error code in the Kafka protocol."""

    message: ClassVar[str] = "UNKNOWN"
    """Name of the error code."""

    description: ClassVar[str] = ""
    """What the broker means by it."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__doc__ is None and cls.description:
            cls.__doc__ = f"{cls.description} ({cls.message}, code {cls.errno})."

    def __str__(self) -> str:
        return f"[Error {self.errno}] {super().__str__()}"
