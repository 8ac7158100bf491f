"""Calls about delegation tokens.

All of them need a connection that is authenticated with SASL or TLS, not with a token.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka._retry import Action
from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall, retriable
from aiokafka.admin.tokens import DelegationToken, Principal
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError
from aiokafka.protocol.admin import (
    CreateDelegationTokenRequest,
    DescribeDelegationTokenRequest,
    ExpireDelegationTokenRequest,
    RenewDelegationTokenRequest,
)

_BROKERS_SETTING = -1
_AT_ONCE = -1


class TokenCalls(AdminBase):
    """Creating, renewing, expiring and describing delegation tokens."""

    async def create_delegation_token(
        self,
        renewers: Iterable[Principal] = (),
        max_lifetime_ms: int | None = None,
        owner: Principal | None = None,
        *,
        timeout_ms: int | None = None,
    ) -> DelegationToken:
        """Create a token (KIP-48).

        Not sent again when its answer was lost: there might be two tokens then.

        Parameters:
            renewers: who may renew it, besides its owner.
            max_lifetime_ms: milliseconds after which it expires anyway; None: the broker's
                setting.
            owner: whose it is to be, from Kafka 3.3 (KIP-373); None: whoever asks.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Raises:
            DelegationTokenRequestNotAllowed: the connection is not authenticated, or by a token.
            DelegationTokenAuthDisabled: the brokers have no tokens.
            KafkaConnectionError, RequestTimedOutError: the answer was lost.
            KafkaTimeoutError: not created in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        lifetime = _BROKERS_SETTING if max_lifetime_ms is None else max_lifetime_ms
        may_renew = list(renewers)
        request = CreateDelegationTokenRequest(may_renew, lifetime, owner)

        async def create(call: AdminCall) -> DelegationToken:
            async def attempt() -> dict[str, Any]:
                return call.checked(await call.send_to_controller(request))

            row = await call.retry(attempt, decide=_once)
            return DelegationToken(
                row["token_id"],
                row["hmac"],
                Principal(row["principal_type"], row["principal_name"]),
                _requester(row),
                row["issue_timestamp_ms"],
                row["expiry_timestamp_ms"],
                row["max_timestamp_ms"],
                tuple(Principal(*renewer) for renewer in may_renew),
            )

        return await self._call("Creating a token", timeout_ms, create)

    async def renew_delegation_token(
        self, hmac: bytes, renew_period_ms: int | None = None, *, timeout_ms: int | None = None
    ) -> int:
        """Have a token expire later.

        Parameters:
            hmac: its secret.
            renew_period_ms: milliseconds from now; None: the broker's setting.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            When it expires now, in milliseconds since 1970.

        Raises:
            DelegationTokenNotFound, DelegationTokenOwnerMismatch, DelegationTokenExpired: it
                cannot be renewed.
            KafkaTimeoutError: not renewed in time; ``__cause__`` is the last error.
            KafkaError: as for :meth:`create_delegation_token`.

        .. versionadded:: 0.14.1
        """
        period = _BROKERS_SETTING if renew_period_ms is None else renew_period_ms
        request = RenewDelegationTokenRequest(hmac, period)
        return await self._call(
            "Renewing a token", timeout_ms, lambda call: _expiry(call, request)
        )

    async def expire_delegation_token(
        self, hmac: bytes, expiry_period_ms: int | None = None, *, timeout_ms: int | None = None
    ) -> int:
        """Have a token expire at another time, or at once.

        Parameters:
            hmac: its secret.
            expiry_period_ms: milliseconds from now; None: at once.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            When it expires, in milliseconds since 1970.

        Raises:
            DelegationTokenNotFound, DelegationTokenOwnerMismatch: it cannot be done.
            KafkaTimeoutError: not done in time; ``__cause__`` is the last error.
            KafkaError: as for :meth:`create_delegation_token`.

        .. versionadded:: 0.14.1
        """
        period = _AT_ONCE if expiry_period_ms is None else expiry_period_ms
        request = ExpireDelegationTokenRequest(hmac, period)
        return await self._call(
            "Expiring a token", timeout_ms, lambda call: _expiry(call, request)
        )

    async def describe_delegation_tokens(
        self, owners: Iterable[Principal] | None = None, *, timeout_ms: int | None = None
    ) -> list[DelegationToken]:
        """The tokens that this client may see.

        Parameters:
            owners: whose; None: everybody's.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Raises:
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: as for :meth:`create_delegation_token`.

        .. versionadded:: 0.14.1
        """
        request = DescribeDelegationTokenRequest(None if owners is None else list(owners))

        async def describe(call: AdminCall) -> list[DelegationToken]:
            response = await call.answer(lambda: call.ask_any(request))
            return [
                DelegationToken(
                    row["token_id"],
                    row["hmac"],
                    Principal(row["principal_type"], row["principal_name"]),
                    _requester(row),
                    row["issue_timestamp"],
                    row["expiry_timestamp"],
                    row["max_timestamp"],
                    tuple(
                        Principal(renewer["principal_type"], renewer["principal_name"])
                        for renewer in row["renewers"]
                    ),
                )
                for row in response["tokens"]
            ]

        return await self._call("Describing tokens", timeout_ms, describe)


def _once(error: BaseException) -> Action:
    """The lost answer of a request that must not be carried out twice is final."""
    lost = isinstance(error, (KafkaConnectionError, RequestTimedOutError))
    return Action.FAIL if lost else retriable(error)


def _requester(row: dict[str, Any]) -> Principal | None:
    kind = row.get("token_requester_principal_type")
    return Principal(kind, row["token_requester_principal_name"]) if kind else None


async def _expiry(call: AdminCall, request: Any) -> int:
    response = await call.answer(lambda: call.send_to_controller(request))
    expiry: int = response["expiry_timestamp_ms"]
    return expiry
