"""Users that authenticate with SCRAM (KIP-554).

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class ScramMechanism(IntEnum):
    """The mechanisms."""

    SCRAM_SHA_256 = 1
    SCRAM_SHA_512 = 2

    @property
    def hash_name(self) -> str:
        """The name of its hash function, as in :mod:`hashlib`."""
        return "sha256" if self is ScramMechanism.SCRAM_SHA_256 else "sha512"


@dataclass(frozen=True, slots=True)
class ScramCredential:
    """A credential that a user has.

    Attributes:
        mechanism: for which mechanism.
        iterations: how often the password is hashed.

    .. versionadded:: 0.14.1
    """

    mechanism: ScramMechanism
    iterations: int


@dataclass(frozen=True, slots=True)
class ScramUpsertion:
    """A credential to be made, or replaced.

    Parameters:
        user: the user.
        mechanism: for which mechanism.
        password: the new password; only its salted hash leaves this process.
        iterations: how often it is hashed; brokers want 4096 to 16384.
        salt: bytes; None: drawn at random.

    .. versionadded:: 0.14.1
    """

    user: str
    mechanism: ScramMechanism
    password: str | bytes = field(repr=False)
    iterations: int = 4096
    salt: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ScramDeletion:
    """A credential to be deleted.

    .. versionadded:: 0.14.1
    """

    user: str
    mechanism: ScramMechanism
