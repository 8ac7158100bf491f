"""Which of many like events are worth a line at warning.

Pure, but for the clock it is given.  Owned by whoever reports: a node its failures, the
metadata refresher those of its rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

#: Trouble that comes and goes is reported again after so many seconds at the earliest.
SPACING = 60.0


class News:
    """Remembers what was reported.

    An event is news when its kind has not been reported since all was well, so that an outage
    of ten minutes is one line even if two kinds of failure alternate; and not within
    :data:`SPACING` of the last report of its kind, so that a connection that is made and lost
    again many times in a second does not fill the log either.

    Parameters:
        clock: the loop's ``time``.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reported: set[object] = set()
        self._reported_at: dict[object, float] = {}

    def is_news(self, kind: object) -> bool:
        """Whether to report an event of *kind* now; then it counts as reported."""
        if kind in self._reported:
            return False
        now = self._clock()
        if now - self._reported_at.get(kind, -math.inf) < SPACING:
            return False
        self._reported.add(kind)
        self._reported_at[kind] = now
        return True

    def all_is_well(self) -> None:
        """The next failure is news again."""
        self._reported.clear()
