"""One connection to one broker.

:class:`AIOKafkaConnection` goes once through the states of :mod:`aiokafka._conn.states`: TCP
and TLS, ApiVersions, SASL, ready, closed.  It runs no task: connecting happens in the
caller's, the rest in callbacks of the event loop.  The futures of requests belong to its link
(:mod:`aiokafka._conn.link`), which resolves each with the response, with an error, or when the
connection closes, whatever the reason.

There is one bound on the whole set-up (``socket_connection_setup_timeout_ms``) and one on each
request (``request_timeout_ms``).  A request that goes unanswered closes the connection: answers
come in order, so nothing behind it could be answered either.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

from aiokafka._config import SECURITY_PROTOCOLS, milliseconds
from aiokafka._conn.failures import FINAL, describe, setup_error
from aiokafka._conn.link import Link, OnDone, Receiver, Waiter, fail
from aiokafka._conn.negotiation import negotiate
from aiokafka._conn.states import CloseReason as CloseReason
from aiokafka._conn.states import ConnectionState as ConnectionState
from aiokafka._conn.states import check_transition
from aiokafka._deadline import Deadline, as_milliseconds
from aiokafka._hosts import DEFAULT_KAFKA_PORT as DEFAULT_KAFKA_PORT
from aiokafka._hosts import Host, family_of, parse_hosts
from aiokafka._hosts import get_ip_port_afi as get_ip_port_afi
from aiokafka._on_demand import on_demand
from aiokafka._wire.framing import MAX_FRAME_BYTES
from aiokafka._wire.pipeline import InFlight, WireRequest
from aiokafka._wire.throttling import client_waits
from aiokafka.abc import AbstractTokenProvider as AbstractTokenProvider
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaProtocolError,
    KafkaTimeoutError,
    RequestTimedOutError,
)
from aiokafka.protocol.api import Request, throttle_time_ms

if TYPE_CHECKING:
    from aiokafka._conn.authenticators import BaseSaslAuthenticator as BaseSaslAuthenticator
    from aiokafka._conn.authenticators import SaslPlainAuthenticator as SaslPlainAuthenticator
    from aiokafka._conn.authenticators import ScramAuthenticator as ScramAuthenticator
else:  # loaded for those who authenticate
    __getattr__ = on_demand(
        __name__,
        dict.fromkeys(
            ("BaseSaslAuthenticator", "SaslPlainAuthenticator", "ScramAuthenticator"),
            "aiokafka._conn.authenticators",
        ),
    )

try:
    import gssapi
except ImportError:
    gssapi = None

__all__ = ["AIOKafkaConnection", "create_conn"]

READER_LIMIT = 65536

#: Seconds after which the next address of a name is tried beside a silent one.
NEXT_ADDRESS = 0.25
SASL_QOP_AUTH = 1

log = logging.getLogger(__name__)

# What the network and the peer can cause: the last two are host names and ports that the
# resolver does not even take.
_SETUP_ERRORS = (KafkaError, OSError, asyncio.TimeoutError, UnicodeError, OverflowError)

OnClose = Callable[["AIOKafkaConnection", "CloseReason | None"], object]


class _RequestTimeout(RequestTimedOutError, asyncio.TimeoutError):
    """No answer within the request timeout.

    Also an ``asyncio.TimeoutError``, which :meth:`AIOKafkaConnection.send` used to raise.
    """


async def create_conn(
    host: str,
    port: int,
    *,
    client_id: str = "aiokafka",
    request_timeout_ms: float = 40000,
    ssl_context: SSLContext | None = None,
    security_protocol: str = "PLAINTEXT",
    max_idle_ms: float | None = None,
    on_close: OnClose | None = None,
    sasl_mechanism: str | None = None,
    sasl_plain_username: str | None = None,
    sasl_plain_password: str | None = None,
    sasl_kerberos_service_name: str = "kafka",
    sasl_kerberos_domain_name: str | None = None,
    sasl_oauth_token_provider: AbstractTokenProvider | None = None,
    socket_connection_setup_timeout_ms: float = 10000,
) -> AIOKafkaConnection:
    """Make an :class:`AIOKafkaConnection` and connect it; parameters and errors are theirs."""
    conn = AIOKafkaConnection(
        host,
        port,
        client_id=client_id,
        request_timeout_ms=request_timeout_ms,
        ssl_context=ssl_context,
        security_protocol=security_protocol,
        max_idle_ms=max_idle_ms,
        on_close=on_close,
        sasl_mechanism=sasl_mechanism,
        sasl_plain_username=sasl_plain_username,
        sasl_plain_password=sasl_plain_password,
        sasl_kerberos_service_name=sasl_kerberos_service_name,
        sasl_kerberos_domain_name=sasl_kerberos_domain_name,
        sasl_oauth_token_provider=sasl_oauth_token_provider,
        socket_connection_setup_timeout_ms=socket_connection_setup_timeout_ms,
    )
    await conn.connect()
    return conn


class AIOKafkaConnection:
    """A connection to one broker: requests out, responses back in order.

    Parameters:
        host, port: the broker; with TLS the host is also the name its certificate is
            checked against, as the ``ssl_context`` says.
        client_id: sent with every request.
        request_timeout_ms: milliseconds a request may wait for its answer.
        ssl_context: for the security protocols SSL and SASL_SSL.
        security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        max_idle_ms: close after so many milliseconds without a request; None for never.
        on_close: called once with the connection and the :class:`CloseReason` when the
            connection closes, also when it could not be set up.
        sasl_mechanism: for the SASL security protocols; PLAIN when not given.
        sasl_plain_username, sasl_plain_password: for PLAIN and SCRAM.
        sasl_kerberos_service_name, sasl_kerberos_domain_name: for GSSAPI.
        sasl_oauth_token_provider: for OAUTHBEARER.
        socket_connection_setup_timeout_ms: milliseconds for the whole set-up: name
            resolution, TCP, TLS, ApiVersions and SASL together (KIP-601).

    Raises:
        RuntimeError: no event loop is running.
        ValueError: settings that are invalid or do not fit together.
        AssertionError: GSSAPI without the ``gssapi`` library.

    .. versionchanged:: 0.14.1
        ``socket_connection_setup_timeout_ms`` is new, and :meth:`request`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str = "aiokafka",
        request_timeout_ms: float = 40000,
        ssl_context: SSLContext | None = None,
        security_protocol: str = "PLAINTEXT",
        max_idle_ms: float | None = None,
        on_close: OnClose | None = None,
        sasl_mechanism: str | None = None,
        sasl_plain_username: str | None = None,
        sasl_plain_password: str | None = None,
        sasl_kerberos_service_name: str = "kafka",
        sasl_kerberos_domain_name: str | None = None,
        sasl_oauth_token_provider: AbstractTokenProvider | None = None,
        socket_connection_setup_timeout_ms: float = 10000,
    ) -> None:
        self._state = ConnectionState.NEW  # first, for __del__ after an error below
        self._loop = asyncio.get_running_loop()
        self._host = host
        self._port = port
        self._client_id = client_id
        self._request_timeout = milliseconds("request_timeout_ms", request_timeout_ms)
        self._setup_timeout = milliseconds(
            "socket_connection_setup_timeout_ms", socket_connection_setup_timeout_ms
        )
        self._max_idle = None if max_idle_ms is None else milliseconds("max_idle_ms", max_idle_ms)
        if security_protocol not in SECURITY_PROTOCOLS:
            raise ValueError(f"`security_protocol` {security_protocol!r} is not known")
        self._tls = security_protocol in ("SSL", "SASL_SSL")
        if self._tls and ssl_context is None:
            raise ValueError("`ssl_context` is mandatory if security_protocol=='SSL'")
        self._security_protocol = security_protocol
        self._ssl_context = ssl_context
        self._sasl_mechanism: str | None = None
        if security_protocol.startswith("SASL_"):
            self._sasl_mechanism = sasl_mechanism or "PLAIN"
        if sasl_mechanism == "GSSAPI" and gssapi is None:
            raise AssertionError("the gssapi library is required for GSSAPI sasl")
        if sasl_mechanism == "OAUTHBEARER" and not isinstance(
            sasl_oauth_token_provider, AbstractTokenProvider
        ):
            raise ValueError(
                "`sasl_oauth_token_provider` should be an"
                " aiokafka.abc.AbstractTokenProvider for OAUTHBEARER sasl"
            )
        self._sasl_plain_username = sasl_plain_username
        self._sasl_plain_password = sasl_plain_password
        self._sasl_kerberos_service_name = sasl_kerberos_service_name
        self._sasl_kerberos_domain_name = sasl_kerberos_domain_name
        self._sasl_oauth_token_provider = sasl_oauth_token_provider
        self._on_close_cb = on_close
        self._link: Link | None = None
        self._closed_in: ConnectionState | None = None  # the state it was closed in
        self._close_cause: BaseException | None = None
        self._versions: dict[int, tuple[int, int]] = {}
        #: Finalized features of the cluster and their levels (KIP-584).
        self.finalized_features: dict[str, int] = {}
        #: Until when, in seconds of ``loop.time()``, the broker wants no requests (KIP-219).
        self.throttled_until = 0.0
        #: Seconds the broker lets this authentication live, None without limit (KIP-368).
        self.session_lifetime: float | None = None

    def __repr__(self) -> str:
        return f"<AIOKafkaConnection host={self._host} port={self._port}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if self._state in (ConnectionState.NEW, ConnectionState.CLOSED):
            return
        _warn(f"Unclosed AIOKafkaConnection {self!r}", ResourceWarning, source=self)
        link, loop = self._link, self._loop
        if link is None or loop.is_closed():
            return
        loop.call_exception_handler(
            {"connection": repr(self), "message": "Unclosed AIOKafkaConnection"}
        )
        # The collector may run in any thread; the transport belongs to the loop's.
        loop.call_soon_threadsafe(_abandon, link)

    # -- what it is -----------------------------------------------------------------------

    @property
    def host(self) -> str:
        """The broker's host, as given."""
        return self._host

    @property
    def port(self) -> int:
        """The broker's port."""
        return self._port

    @property
    def state(self) -> ConnectionState:
        """Where the connection is in its life."""
        return self._state

    @property
    def sasl_principal(self) -> str:
        """The Kerberos principal of the broker, ``service@host``."""
        host = self._sasl_kerberos_domain_name or self._host
        return f"{self._sasl_kerberos_service_name}@{host}"

    @property
    def versions(self) -> dict[int, tuple[int, int]]:
        """API key to the lowest and highest version both sides can use."""
        return self._versions

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answers."""
        return 0 if self._link is None else len(self._link.pipeline.entries)

    @property
    def last_response_at(self) -> float:
        """When the last response came, in seconds of ``loop.time()``; 0 before connecting."""
        return 0.0 if self._link is None else self._link.last_response_at

    @property
    def write_paused(self) -> bool:
        """The socket takes no more at the moment; what is sent now stays in memory."""
        return self._link is not None and self._link.write_paused

    @property
    def unsent_bytes(self) -> int:
        """Bytes of requests that the socket has not taken yet."""
        return 0 if self._link is None else self._link.unsent_bytes

    def oldest_in_flight_age(self) -> float:
        """Seconds the request at the head has waited for its answer; 0 when none waits."""
        if self._link is None or not self._link.pipeline.entries:
            return 0.0
        return self._loop.time() - self._link.pipeline.entries[0].sent_at

    def connected(self) -> bool:
        """Whether requests can be sent."""
        if self._state is not ConnectionState.READY or self._link is None:
            return False
        transport = self._link.transport
        return transport is not None and not transport.is_closing()

    @property
    def _requests(self) -> deque[InFlight[Waiter]]:
        return deque() if self._link is None else self._link.pipeline.entries

    @property
    def _closed_fut(self) -> asyncio.Future[None] | None:
        return None if self._link is None else self._link.closed

    @property
    def close_cause(self) -> BaseException | None:
        """What ended the connection; None while it is open or when it was closed in peace."""
        return self._close_cause

    @property
    def _where(self) -> str:
        return f"{self._host}:{self._port}"

    def _enter(self, state: ConnectionState) -> None:
        check_transition(self._state, state)
        self._state = state

    # -- setting up -----------------------------------------------------------------------

    async def connect(self, deadline: Deadline | None = None) -> None:
        """Set the connection up, once: name resolution, TCP, TLS, ApiVersions, SASL.

        Ends within ``socket_connection_setup_timeout_ms`` or by *deadline*, whichever is
        sooner.  When it fails, or is cancelled, the connection is closed.

        Raises:
            KafkaConnectionError: it could not be set up; says in which phase, after how
                long, why, and what the likely mistake is.  The error met is its cause.
            AuthenticationFailedError, SaslAuthenticationFailed: the credentials are wrong,
                or the broker could not prove that it knows them.
            UnsupportedSaslMechanismError: the broker, or this client, lacks the mechanism.
            UnsupportedVersionError: the broker is too old or too new.
            IllegalStateError: it was connected before.
        """
        if self._state is not ConnectionState.NEW:
            raise IllegalStateError(f"{self!r} connects once, it is {self._state.name} now")
        setup = Deadline.after(self._setup_timeout)
        if deadline is not None:
            setup = deadline.capped(self._setup_timeout)
        try:
            await setup.run(self._establish(), what=f"Connecting to {self._where}")
        except FINAL as exc:
            self.close(CloseReason.AUTH_FAILURE, exc)
            raise
        except _SETUP_ERRORS as exc:
            error = self._setup_failed(exc, setup)
            raise error from error.__cause__
        except BaseException as exc:
            # Most likely cancelled: the socket goes with the attempt.
            self.close(CloseReason.SHUTDOWN, exc)
            raise
        log.debug("Connected to %s", self._where)

    def _setup_failed(self, exc: Exception, setup: Deadline) -> KafkaConnectionError:
        cause: BaseException | None = exc
        if isinstance(exc, KafkaConnectionError):
            # The link ended under the set-up: what ended it says more.
            cause = self._close_cause or exc.__cause__
        timed_out = isinstance(exc, (KafkaTimeoutError, _RequestTimeout))
        error = setup_error(
            self._where,
            self._closed_in or self._state,
            setup.elapsed(),
            cause,
            tls=self._tls,
            timed_out=timed_out,
        )
        reason = CloseReason.CONNECTION_TIMEOUT if timed_out else CloseReason.CONNECTION_BROKEN
        self.close(reason, error)
        return error

    async def _establish(self) -> None:
        self._enter(ConnectionState.CONNECTING)
        link = self._link = Link(self._loop, self, self._client_id, self._max_idle)
        await self._loop.create_connection(
            lambda: link,
            self._host,
            self._port,
            ssl=self._ssl_context if self._tls else None,
            server_hostname=self._host if self._tls else None,
            **self._racing(),
        )
        self._next(ConnectionState.NEGOTIATING)
        await self._do_version_lookup()
        if self._sasl_mechanism is not None:
            self._next(ConnectionState.AUTHENTICATING)
            await self._do_sasl_handshake()
        self._next(ConnectionState.READY)
        link.parser.max_frame_bytes = MAX_FRAME_BYTES
        link.watch_idle()

    def _racing(self) -> dict[str, Any]:
        """For a name that may have several addresses: do not spend the whole set-up time on
        the first of them (RFC 8305).  uvloop does not offer that."""
        if family_of(self._host) is socket.AF_UNSPEC and isinstance(
            self._loop, asyncio.BaseEventLoop
        ):
            return {"happy_eyeballs_delay": NEXT_ADDRESS}
        return {}

    def _next(self, state: ConnectionState) -> None:
        if self._state is ConnectionState.CLOSED:
            raise KafkaConnectionError(f"Connection at {self._where} was closed meanwhile")
        self._enter(state)

    async def _do_version_lookup(self) -> None:
        assert self._link is not None
        negotiated = await negotiate(self._link, self._where)
        self._versions = negotiated.versions
        self.finalized_features = negotiated.finalized_features

    async def _do_sasl_handshake(self) -> None:
        from aiokafka._conn.handshake import authenticate

        mechanism = self._sasl_mechanism or "PLAIN"
        await authenticate(self, mechanism, self._authenticator(mechanism))
        log.debug("Authenticated at %s with %s", self._where, mechanism)

    def _authenticator(self, mechanism: str) -> BaseSaslAuthenticator:
        from aiokafka._conn.authenticators import for_mechanism

        try:
            if mechanism == "PLAIN":
                return self.authenticator_plain()
            if mechanism.startswith("SCRAM-"):
                return self.authenticator_scram()
            return for_mechanism(
                mechanism,
                self._sasl_plain_username,
                self._sasl_plain_password,
                self._host,
                loop=self._loop,
            )
        except ValueError as exc:
            raise AuthenticationFailedError(str(exc)) from exc

    def authenticator_plain(self) -> SaslPlainAuthenticator:
        """A fresh PLAIN exchange with this connection's credentials."""
        from aiokafka._conn.authenticators import SaslPlainAuthenticator

        username, password = self._credentials("PLAIN")
        return SaslPlainAuthenticator(
            loop=self._loop, sasl_plain_password=password, sasl_plain_username=username
        )

    def authenticator_scram(self) -> ScramAuthenticator:
        """A fresh SCRAM exchange with this connection's credentials."""
        from aiokafka._conn.authenticators import ScramAuthenticator

        username, password = self._credentials("SCRAM")
        return ScramAuthenticator(
            loop=self._loop,
            sasl_plain_password=password,
            sasl_plain_username=username,
            sasl_mechanism=self._sasl_mechanism or "",
        )

    def _credentials(self, mechanism: str) -> tuple[str, str]:
        username, password = self._sasl_plain_username, self._sasl_plain_password
        if username is None or password is None:
            raise ValueError(
                f"sasl_plain_username and sasl_plain_password required for {mechanism} sasl"
            )
        return username, password

    # -- requests -------------------------------------------------------------------------

    def request(
        self,
        request: Request[Any],
        *,
        expect_response: bool = True,
        timeout: float | None = None,
    ) -> asyncio.Future[Any]:
        """Send a request now; requests leave in the order of these calls.

        Parameters:
            request: a builder; the version is chosen by what the broker supports.
            expect_response: False for a request that gets no answer (Produce, acks=0);
                the future is then done, with None.
            timeout: seconds to wait for the answer; ``request_timeout_ms`` when None.

        Returns:
            A future of the response struct.  It gets RequestTimedOutError when no answer
            comes in time (the connection closes then), CorrelationIdError or
            KafkaProtocolError when an answer makes no sense (likewise), and
            KafkaConnectionError when the connection closes for any other reason.
            Cancelling it harms nothing: the answer is dropped when it comes.

        Raises:
            KafkaConnectionError: there is no connection.
            IncompatibleBrokerVersion, NotImplementedError: the broker supports no version
                of the API that this client knows, or that can express the request.
            ValueError: a value cannot be encoded.

        .. versionadded:: 0.14.1
        """
        link = self._link
        if link is None or not link.up:
            raise KafkaConnectionError(f"No connection to {self._where}")
        struct = request.prepare(self._versions)
        if not expect_response:
            return link.send_unanswered(struct)
        return link.send(struct, self._request_timeout if timeout is None else timeout)

    def post(self, request: Request[Any], on_done: OnDone) -> None:
        """Send a request now and have its answer handled in the turn it arrives.

        As :meth:`request`, with a callback in place of the future: ``on_done(response,
        None)`` or ``on_done(None, error)``, once.  The callback must not raise.

        .. versionadded:: 0.14.1
        """
        link = self._link
        if link is None or not link.up:
            raise KafkaConnectionError(f"No connection to {self._where}")
        struct = request.for_wire(self._versions)
        link.send_for(Receiver(on_done), struct, self._request_timeout)

    def send(
        self, request: Request[Any], expect_response: bool = True
    ) -> Coroutine[Any, Any, Any]:
        """Send a request now and return a coroutine for its response.

        Raises as :meth:`request`; the coroutine raises what its future gets.  A missing
        answer is reported by an error that is also an ``asyncio.TimeoutError``.
        """
        return _result(self.request(request, expect_response=expect_response))

    def _send_sasl_token(
        self, payload: bytes, expect_response: bool = True
    ) -> asyncio.Future[Any]:
        """Send a bare SASL token; the future gets the bare answer.

        Raises:
            KafkaConnectionError: there is no connection.
        """
        link = self._link
        if link is None or not link.up:
            raise KafkaConnectionError(f"No connection to {self._where}")
        return link.send_raw(payload, self._request_timeout, expect_response)

    def _next_correlation_id(self) -> int:
        if self._link is None:
            raise KafkaConnectionError(f"No connection to {self._where}")
        return self._link.pipeline.next_correlation_id()

    # -- the end --------------------------------------------------------------------------

    def close(
        self, reason: CloseReason | None = None, exc: BaseException | None = None
    ) -> asyncio.Future[None]:
        """Close the connection; safe to call again.

        Every request in flight fails at once with KafkaConnectionError.  A SHUTDOWN or
        IDLE_DROP (or no reason) flushes what was sent, for at most a second; any other
        reason drops the socket.

        Parameters:
            reason: handed to ``on_close``.
            exc: the cause, kept as ``__cause__`` of the errors of the requests.

        Returns:
            A future that is done when the socket is gone.
        """
        if self._state is not ConnectionState.CLOSED:
            self._closed_in = self._state
            self._enter(ConnectionState.CLOSED)
            self._close_cause = exc
            name = "at request" if reason is None else reason.name
            log.debug("Closing %r: %s (%s)", self, name, "" if exc is None else describe(exc))
            if self._link is not None:
                text = f"Connection at {self._where} closed ({name})"
                if exc is not None:
                    text += f": {describe(exc)}"
                peaceful = reason in (None, CloseReason.SHUTDOWN, CloseReason.IDLE_DROP)
                self._link.shut(text, exc, abort=not peaceful)
            callback, self._on_close_cb = self._on_close_cb, None
            if callback is not None:
                callback(self, reason)
        if self._link is None:
            done: asyncio.Future[None] = self._loop.create_future()
            done.set_result(None)
            return done
        # Shielded: whoever waits and is cancelled must not cancel it for the others.
        return asyncio.shield(self._link.closed)

    # -- what the link tells --------------------------------------------------------------

    def _on_response(self, request: WireRequest | None, response: Any) -> None:
        if request is None:
            return
        throttled = throttle_time_ms(response)
        if throttled > 0 and client_waits(request.API_KEY, request.API_VERSION):
            until = self._loop.time() + throttled / 1000
            self.throttled_until = max(self.throttled_until, until)

    def _on_out_of_step(self, error: KafkaProtocolError) -> None:
        self.close(reason=CloseReason.OUT_OF_SYNC, exc=error)

    def _on_request_timeout(self, late: list[InFlight[Waiter]]) -> None:
        now = self._loop.time()
        first: _RequestTimeout | None = None
        for entry in late:
            waited = as_milliseconds(now - entry.sent_at)
            error = _RequestTimeout(
                f"{self._where} did not answer {entry.name} within {waited} ms"
            )
            fail(entry.token, error)
            first = first or error
        self.close(reason=CloseReason.CONNECTION_TIMEOUT, exc=first)

    def _on_idle(self) -> None:
        self.close(reason=CloseReason.IDLE_DROP)

    def _on_lost(self, error: BaseException | None) -> None:
        self.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)


async def _result(future: asyncio.Future[Any]) -> Any:
    return await future


def _abandon(link: Link) -> None:
    link.shut("The connection was dropped without being closed", None, abort=True)


def collect_hosts(
    hosts: str | Sequence[str], randomize: bool = True, *, rng: random.Random | None = None
) -> list[Host]:
    """Split a comma-separated string or a list of ``host:port`` strings.

    Parameters:
        hosts: the bootstrap servers.
        randomize: return them in random order.
        rng: where the order comes from; a fresh generator when None.

    Returns:
        ``(host, port, address family)`` of each.

    Raises:
        ValueError: a port is not a number.
    """
    result = parse_hosts(hosts)
    if randomize:
        (rng or random.Random()).shuffle(result)
    return result
