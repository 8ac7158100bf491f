"""What a call about several items has to say of each of them.

Owns no task and no future.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from aiokafka.errors import KafkaError

K = TypeVar("K")
V = TypeVar("V")


class Results(Mapping[K, V], Generic[K, V]):
    """The outcome of each item of a call, in the order in which the items were given.

    A mapping from items to their results, in which an item that failed raises its error::

        results = await admin.delete_consumer_groups(["a", "b"])
        results["a"]          # None, or raises the error of "a"
        results.errors        # {"b": NonEmptyGroup(...)}
        results.check()       # raises if any item has failed

    Attributes:
        succeeded: results of the items that succeeded.
        errors: errors of the items that failed.

    .. versionadded:: 0.14.1
    """

    def __init__(
        self, items: Mapping[K, object], succeeded: dict[K, V], errors: dict[K, KafkaError]
    ) -> None:
        self._items = tuple(items)
        self.succeeded = succeeded
        self.errors = errors

    def __getitem__(self, item: K) -> V:
        error = self.errors.get(item)
        if error is not None:
            raise error
        return self.succeeded[item]

    def __contains__(self, item: object) -> bool:
        # The mixin's would take an error for an absence.
        return item in self.errors or item in self.succeeded

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Results(succeeded={self.succeeded!r}, errors={self.errors!r})"

    def check(self) -> dict[K, V]:
        """The results by item, when all have succeeded.

        Raises:
            KafkaError: the error of the first item that has failed.
        """
        for error in self.errors.values():
            raise error
        return self.succeeded
