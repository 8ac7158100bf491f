"""Where to begin to read a partition that has no position yet.

The group's committed offset if there is one, else what ``auto_offset_reset`` says: an end of the
partition, the offset of a time (KIP-1106), or an error.

:class:`Positions` owns the requests for committed offsets, whose futures are the partitions'
states'.  Runs no task of its own.
"""

from __future__ import annotations

import functools
import logging
import re
import time
from asyncio import Future
from collections.abc import Callable
from typing import Any, Final

from aiokafka import errors as Errors
from aiokafka._values import Value
from aiokafka.consumer._assignment import TopicPartitionState
from aiokafka.consumer._fetch_progress import PartitionProgress
from aiokafka.protocol.offset import OffsetResetStrategy as _Ends
from aiokafka.structs import TopicPartition

log = logging.getLogger("aiokafka.consumer.fetcher")

_DURATION_PREFIX = "by_duration:"


class OffsetResetStrategy:
    """Where to go on when there is no offset to go on from.

    .. versionchanged:: 0.14.1
        ``BY_DURATION`` (KIP-1106).
    """

    LATEST: Final = _Ends.LATEST
    EARLIEST: Final = _Ends.EARLIEST
    NONE: Final = _Ends.NONE
    #: Stands for a time that is worked out when the offset is looked up; not for the wire.
    BY_DURATION: Final = -1000

    @classmethod
    def from_str(cls, name: str) -> int:
        """The strategy of a name; NONE for any other."""
        if name.startswith(_DURATION_PREFIX):
            return cls.BY_DURATION
        return {"latest": cls.LATEST, "earliest": cls.EARLIEST}.get(name, cls.NONE)

    @classmethod
    def to_str(cls, value: int) -> str:
        """The name of a strategy, or ``timestamp(N)``."""
        names = {
            cls.LATEST: "latest",
            cls.EARLIEST: "earliest",
            cls.NONE: "none",
            cls.BY_DURATION: "by_duration",
        }
        return names.get(value, f"timestamp({value})")


# ISO 8601 as far as the length of such a duration is certain: no years or months.
_DURATION = re.compile(
    r"(?P<sign>[-+]?)P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d{1,9})?)S)?)?",
    re.IGNORECASE | re.ASCII,
)
_SECONDS = {"weeks": 604800, "days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def parse_duration(text: str) -> float:
    """The seconds of an ISO 8601 duration of weeks, days, hours, minutes and seconds.

    Raises:
        ValueError: *text* is none, or is negative; names ``auto_offset_reset``.
    """
    match = _DURATION.fullmatch(text)
    parts = {} if match is None else {n: match[n] for n in _SECONDS if match[n] is not None}
    if match is None or not parts:
        raise ValueError(
            "`auto_offset_reset` should have an ISO 8601 duration such as PT1H30M or P2D after"
            f" {_DURATION_PREFIX!r}, not {text!r}"
        )
    if match["sign"] == "-":
        raise ValueError(f"`auto_offset_reset` should not have a negative duration: {text!r}")
    return sum(float(value) * _SECONDS[name] for name, value in parts.items())


class ResetPolicy(Value):
    """What ``auto_offset_reset`` says.

    .. versionadded:: 0.14.1
    """

    strategy: int
    #: Seconds before now, for BY_DURATION.
    duration: float = 0.0

    @classmethod
    def parse(cls, text: str) -> ResetPolicy:
        """Read the setting; a name that is not known is ``none``.

        Raises:
            ValueError: the duration is none; names ``auto_offset_reset``.
        """
        strategy = OffsetResetStrategy.from_str(text)
        if strategy == OffsetResetStrategy.BY_DURATION:
            return cls(strategy, parse_duration(text[len(_DURATION_PREFIX) :]))
        return cls(strategy)

    def timestamp(self, strategy: int) -> int:
        """What to look up for *strategy*, in milliseconds since the epoch or as one of the
        protocol's special values."""
        if strategy != OffsetResetStrategy.BY_DURATION:
            return strategy
        return max(0, round((time.time() - self.duration) * 1000))


class Positions:
    """Gives partitions their first position.

    Parameters:
        strategy: the reset strategy in force, one of :class:`OffsetResetStrategy`.
        fail: called with a partition, its state and the error that the application is to get.
    """

    def __init__(
        self,
        strategy: Callable[[], int],
        fail: Callable[[TopicPartition, TopicPartitionState, Errors.KafkaError], None],
    ) -> None:
        self._strategy = strategy
        self._fail = fail

    def ask_committed(self, tp: TopicPartition, progress: PartitionProgress) -> None:
        """Ask the coordinator where the group has got to; it may take its time."""
        future = progress.committed = progress.state.fetch_committed()
        future.add_done_callback(
            functools.partial(self._committed, tp, progress, progress.state.version)
        )

    def _committed(
        self, tp: TopicPartition, progress: PartitionProgress, version: int, future: Future[Any]
    ) -> None:
        if progress.committed is future:
            progress.committed = None
        if future.cancelled() or future.exception() is not None:
            return  # the partition was given up
        state = progress.state
        if state.version != version or state.has_valid_position:
            return  # the application has sought, meanwhile
        committed = future.result()
        if committed.offset >= 0:
            log.debug("Starting %s at the committed offset %d", tp, committed.offset)
            state.reset_to(committed.offset, getattr(committed, "leader_epoch", -1))
        else:
            self.reset(tp, state, Errors.NoOffsetForPartitionError(tp))

    def reset(
        self, tp: TopicPartition, state: TopicPartitionState, error: Errors.KafkaError
    ) -> bool:
        """Have the position looked up by the reset strategy; without one the application gets
        *error*.

        Returns:
            False when there is no strategy.
        """
        strategy = self._strategy()
        if strategy == OffsetResetStrategy.NONE:
            self._fail(tp, state, error)
            return False
        state.await_reset(strategy)
        return True
