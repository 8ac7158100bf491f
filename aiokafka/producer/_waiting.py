"""Waits of the producer's calls: until it is stopped, and what is left of their time.

Runs no task itself; see :mod:`aiokafka._stopping`.
"""

from __future__ import annotations

import logging

from aiokafka import _stopping
from aiokafka._deadline import Deadline
from aiokafka.errors import ProducerClosed

log = logging.getLogger("aiokafka.producer.producer")

# A call that has used less than this share of its budget, and less than this many seconds,
# is taken not to have waited at all.
_NEGLIGIBLE_SHARE = 0.05
_NEGLIGIBLE = 0.002


class StopSignal(_stopping.StopSignal):
    """Ends every wait made through it with :class:`~aiokafka.errors.ProducerClosed`."""

    def __init__(self) -> None:
        super().__init__("producer", ProducerClosed, log)


def left_of(deadline: Deadline) -> float:
    """Seconds left of *deadline*; the whole budget if nothing to speak of was used."""
    elapsed = deadline.elapsed()
    if elapsed < min(_NEGLIGIBLE, deadline.budget * _NEGLIGIBLE_SHARE):
        # Rounded: instrumentations compare it with the number they have configured.
        return round(deadline.budget, 6)
    return deadline.remaining()
