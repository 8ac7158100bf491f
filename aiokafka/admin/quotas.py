"""Quotas of clients (KIP-546).

Owns no task and no future.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

USER, CLIENT_ID, IP = "user", "client-id", "ip"


@dataclass(frozen=True, slots=True)
class QuotaEntity:
    """Whom quotas are for.

    Parameters:
        parts: pairs of a type (``"user"``, ``"client-id"``, ``"ip"``) and a name; the name None is
            the default of those without quotas of their own.

    Two with the same parts in another order are equal.

    .. versionadded:: 0.14.1
    """

    parts: tuple[tuple[str, str | None], ...]

    def __init__(self, parts: Iterable[tuple[str, str | None]]) -> None:
        object.__setattr__(self, "parts", tuple(sorted(parts, key=lambda part: part[0])))

    @classmethod
    def of(cls, **parts: str | None) -> QuotaEntity:
        """By keywords: ``QuotaEntity.of(user="alice", client_id=None)``.

        Parameters:
            parts: ``user``, ``client_id``, ``ip``.
        """
        return cls((kind.replace("_", "-"), name) for kind, name in parts.items())


class QuotaMatch(IntEnum):
    """Which names of a type are meant."""

    EXACT = 0
    DEFAULT = 1
    ANY = 2


@dataclass(frozen=True, slots=True)
class QuotaFilter:
    """A condition on the entities whose quotas are wanted.

    Parameters:
        entity_type: ``"user"``, ``"client-id"`` or ``"ip"``.
        match: a certain name, the default, or any.
        name: that name.

    .. versionadded:: 0.14.1
    """

    entity_type: str
    match: QuotaMatch = QuotaMatch.ANY
    name: str | None = None
