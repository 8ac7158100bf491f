"""A set that is iterated in order, kept for users of the name.

Pure: no tasks, no futures.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SortedSet(Generic[T]):
    """Distinct values in order.

    Parameters:
        iterable: the values to begin with.
        key: by what they are ordered; without it by themselves.
    """

    def __init__(
        self, iterable: Iterable[T] | None = None, key: Callable[[T], Any] | None = None
    ) -> None:
        self._key: Callable[[T], Any] = _itself if key is None else key
        self._members: set[T] = set(() if iterable is None else iterable)
        self._sorted: list[T] = sorted(self._members, key=self._key)

    def first(self) -> T:
        """The lowest value; ``IndexError`` when there is none."""
        return self._sorted[0]

    def last(self) -> T:
        """The highest value; ``IndexError`` when there is none."""
        return self._sorted[-1]

    def pop_last(self) -> T:
        """Remove and return the highest value; ``IndexError`` when there is none."""
        value = self._sorted.pop()
        self._members.remove(value)
        return value

    def add(self, value: T) -> None:
        """Add a value; one that is there already stays as it is."""
        if value not in self._members:
            self._members.add(value)
            keys = [self._key(other) for other in self._sorted]
            self._sorted.insert(bisect.bisect_right(keys, self._key(value)), value)

    def remove(self, value: T) -> None:
        """Remove a value; nothing happens when it is not there."""
        if value in self._members:
            self._members.remove(value)
            self._sorted.remove(value)

    def __contains__(self, value: object) -> bool:
        return value in self._members

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._sorted))

    def __len__(self) -> int:
        return len(self._sorted)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SortedSet):
            return NotImplemented
        return self._sorted == other._sorted

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"SortedSet({self._sorted!r})"


def _itself(value: Any) -> Any:
    return value
