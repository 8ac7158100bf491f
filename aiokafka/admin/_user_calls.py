"""Calls about users that authenticate with SCRAM."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall, Answer
from aiokafka.admin._outcomes import Outcomes
from aiokafka.admin.results import Results
from aiokafka.admin.users import (
    ScramCredential,
    ScramDeletion,
    ScramMechanism,
    ScramUpsertion,
)
from aiokafka.protocol.admin import (
    AlterUserScramCredentialsRequest,
    DescribeUserScramCredentialsRequest,
)

_SALT_SIZE = 24


class UserCalls(AdminBase):
    """Describing and changing the credentials of users."""

    async def describe_user_scram_credentials(
        self, users: Iterable[str] | None = None, *, timeout_ms: int | None = None
    ) -> Results[str, list[ScramCredential]]:
        """Which credentials users have.

        Parameters:
            users: the users; None: all that have any.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            Their credentials; ``ResourceNotFoundError`` for a user without any.

        Raises:
            ClusterAuthorizationFailedError: this client may not see them.
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        names = None if users is None else list(users)

        async def describe(call: AdminCall) -> Results[str, list[ScramCredential]]:
            request = DescribeUserScramCredentialsRequest(names)
            response = await call.answer(lambda: call.ask_any(request))
            asked = [row["user"] for row in response["results"]] if names is None else names
            outcomes: Outcomes[str, list[ScramCredential]] = Outcomes(asked)
            call.enter(outcomes, asked, _credentials(response))
            return outcomes.ended()

        return await self._call("Describing users", timeout_ms, describe)

    async def alter_user_scram_credentials(
        self,
        alterations: Sequence[ScramUpsertion | ScramDeletion],
        *,
        timeout_ms: int | None = None,
    ) -> Results[str, None]:
        """Set and delete credentials.

        Passwords are hashed here, in a thread.

        Parameters:
            alterations: what to change; brokers want one change of a user in a call.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each user.

        Raises:
            KafkaTimeoutError: nothing was changed in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def alter(call: AdminCall) -> Results[str, None]:
            loop = asyncio.get_running_loop()
            deletions = [(a.user, int(a.mechanism)) for a in alterations if _deletes(a)]
            upsertions = [
                await loop.run_in_executor(None, _upsertion_row, alteration)
                for alteration in alterations
                if isinstance(alteration, ScramUpsertion)
            ]

            async def send(users: list[str]) -> Any:
                left = set(users)
                return await call.send_to_controller(
                    AlterUserScramCredentialsRequest(
                        [row for row in deletions if row[0] in left],
                        [row for row in upsertions if row[0] in left],
                    )
                )

            def read(response: Any, _: list[str]) -> Iterator[Answer[str, None]]:
                for row in response["results"]:
                    yield row["user"], row["error_code"], row["error_message"], None

            return await call.each_answered((a.user for a in alterations), send, read)

        return await self._call("Altering users", timeout_ms, alter)


def _deletes(alteration: ScramUpsertion | ScramDeletion) -> bool:
    return isinstance(alteration, ScramDeletion)


def _credentials(response: dict[str, Any]) -> Iterator[Answer[str, list[ScramCredential]]]:
    for row in response["results"]:
        found = [
            ScramCredential(ScramMechanism(info["mechanism"]), info["iterations"])
            for info in sorted(row["credential_infos"], key=lambda info: int(info["mechanism"]))
        ]
        yield row["user"], row["error_code"], row["error_message"], found


def _upsertion_row(upsertion: ScramUpsertion) -> tuple[Any, ...]:
    password = upsertion.password
    if isinstance(password, str):
        password = password.encode()
    # Not the seedable generator: nobody may foresee a salt.
    salt = secrets.token_bytes(_SALT_SIZE) if upsertion.salt is None else upsertion.salt
    salted = hashlib.pbkdf2_hmac(
        upsertion.mechanism.hash_name, password, salt, upsertion.iterations
    )
    return upsertion.user, int(upsertion.mechanism), upsertion.iterations, salt, salted
