"""Answers that come later: a Fetch that waits for records, a member that waits for its group.

Owns :class:`Pending`, what a handler returns instead of values.  The handler keeps it and calls
:meth:`Pending.answer` once; the connection, which stays busy until then as a real broker's does,
sends the answer, or drops it when it has ended meanwhile.  Pure: no loop, no clock.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Pending"]

Values = dict[str, Any]


class Pending:
    """An answer that comes later.

    Args:
        on_abandoned: called when the connection ends before the answer.

    Attributes:
        done: it was answered or abandoned.
    """

    __slots__ = ("_deliver", "_on_abandoned", "_values", "done")

    def __init__(self, on_abandoned: Callable[[], None] | None = None) -> None:
        self.done = False
        self._on_abandoned = on_abandoned
        self._deliver: Callable[[Values], None] | None = None
        self._values: Values | None = None

    def answer(self, values: Values) -> None:
        """Give the values of the answer; nothing happens the second time."""
        if self.done:
            return
        self.done = True
        self._values = values
        if self._deliver is not None:
            self._deliver(values)

    # -- used by connections -------------------------------------------------------------------

    def bind(self, deliver: Callable[[Values], None]) -> None:
        """Where the values go; at once if they are there already."""
        self._deliver = deliver
        if self._values is not None:
            deliver(self._values)

    def abandon(self) -> None:
        """The connection ended."""
        if not self.done:
            self.done = True
            if self._on_abandoned is not None:
                self._on_abandoned()
