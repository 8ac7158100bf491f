"""The base of all wire types.

Owns nothing but the interface: no state, no tasks, no futures.
"""

from __future__ import annotations

import abc
from io import BytesIO
from typing import Any


class AbstractType(abc.ABC):
    """A value's encoding on the wire.

    Types without parameters are used as classes (``Int32.encode(1)``), the others as instances
    (``String("utf-8").encode("a")``).
    """

    @classmethod
    @abc.abstractmethod
    def encode(cls, value: Any) -> bytes:
        """Return the bytes of ``value``; ``ValueError`` when it does not fit the type."""

    @classmethod
    @abc.abstractmethod
    def decode(cls, data: BytesIO) -> Any:
        """Read one value from ``data`` and leave its position just behind it.

        Raises ``ValueError`` when the bytes are too few or not of this type.
        """

    @classmethod
    def repr(cls, value: Any) -> str:
        """Return ``value`` as it is to be shown in the ``repr`` of a struct."""
        return repr(value)
