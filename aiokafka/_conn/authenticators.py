"""SASL exchanges as awaitable steps, under the names the released package gave them.

Each authenticator owns one exchange of :mod:`aiokafka._sasl`.  No task of its own; heavy
computations go to the event loop's default executor, everything else runs in place.
"""

from __future__ import annotations

import asyncio

from aiokafka._sasl import Credentials, SaslExchange, Work, begin
from aiokafka._sasl.scram import ScramClient
from aiokafka._sasl.scram import exchange as scram_exchange


class BaseSaslAuthenticator:
    """Drive one exchange, a token at a time."""

    def __init__(self, exchange: SaslExchange, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._exchange = exchange
        self._started = False

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        """Take the broker's token, give the next one to send.

        Parameters:
            payload: what the broker answered to the last token; None at the first step.

        Returns:
            The token and whether an answer to it is to be awaited; None when both sides are
            satisfied.

        Raises:
            AuthenticationFailedError: the broker's answer is not acceptable.
        """
        answer = payload or b""
        while True:
            try:
                step = self._exchange.send(answer) if self._started else next(self._exchange)
            except StopIteration:
                return None
            self._started = True
            if not isinstance(step, Work):
                return step, True
            if step.heavy:
                answer = await self._loop.run_in_executor(None, step.run)
            else:
                answer = step.run()


def for_mechanism(
    mechanism: str,
    username: str | None,
    password: str | None,
    host: str,
    *,
    loop: asyncio.AbstractEventLoop,
) -> BaseSaslAuthenticator:
    """An exchange of any mechanism that is registered in :data:`aiokafka._sasl.MECHANISMS`.

    Raises:
        UnsupportedSaslMechanismError, ValueError: see :func:`aiokafka._sasl.begin`.
    """
    return BaseSaslAuthenticator(begin(mechanism, Credentials(username, password, host)), loop)


class SaslPlainAuthenticator(BaseSaslAuthenticator):
    """PLAIN."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        sasl_plain_password: str,
        sasl_plain_username: str,
    ) -> None:
        credentials = Credentials(sasl_plain_username, sasl_plain_password)
        super().__init__(begin("PLAIN", credentials), loop)


class ScramAuthenticator(BaseSaslAuthenticator):
    """SCRAM-SHA-256 and SCRAM-SHA-512."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        sasl_plain_password: str,
        sasl_plain_username: str,
        sasl_mechanism: str,
    ) -> None:
        self._client = ScramClient(sasl_mechanism, sasl_plain_username, sasl_plain_password)
        super().__init__(scram_exchange(self._client), loop)
        self.first_message = self._client.first_message
        self.process_server_first_message = self._client.process_server_first_message
        self.final_message = self._client.final_message
        self.process_server_final_message = self._client.process_server_final_message
        self.hmac = self._client.hmac
        self.create_salted_password = self._client.create_salted_password
