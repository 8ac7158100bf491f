"""Delegation tokens (KIP-48).

Owns no task and no future.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Principal(NamedTuple):
    """Somebody, such as ``Principal("User", "alice")``.

    .. versionadded:: 0.14.1
    """

    principal_type: str
    name: str


@dataclass(frozen=True, slots=True)
class DelegationToken:
    """A token, with which one authenticates in place of its owner.

    Attributes:
        token_id: its id: the user name, with SCRAM.
        hmac: its secret: in base 64 it is the password.
        owner: whose it is.
        requester: who has asked for it; None when unknown.
        issue_time_ms, expiry_time_ms, max_time_ms: when it was created, expires unless renewed,
            and expires anyway; in milliseconds since 1970.
        renewers: who may renew it besides its owner.

    .. versionadded:: 0.14.1
    """

    token_id: str
    hmac: bytes = field(repr=False)
    owner: Principal
    requester: Principal | None
    issue_time_ms: int
    expiry_time_ms: int
    max_time_ms: int
    renewers: tuple[Principal, ...] = ()
