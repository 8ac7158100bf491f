"""An event loop whose clock is virtual.

Owns :class:`VirtualTimeLoop`, an asyncio loop on which time passes only when nothing else can
happen: when no callback is ready the clock jumps to the next timer.  A ten-minute outage is
simulated in milliseconds, and a run depends on nothing but its seed.  Connections made on the
loop go to its in-memory network (:mod:`aiokafka.testing.network`); it opens no socket and starts
no thread or task.

The loop resolves the futures it hands out itself: those of ``run_in_executor`` on the next turn,
those of ``create_connection`` when the simulated handshake ends.

.. versionadded:: 0.14.1
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl as ssl_module
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any, TypeVar

from .network import MemoryNetwork, MemoryServer

__all__ = [
    "DeadlockError",
    "LivelockError",
    "PendingTasksError",
    "UnhandledErrorsError",
    "VirtualTimeLimitError",
    "VirtualTimeLoop",
    "describe_task",
    "run_virtual",
]

T = TypeVar("T")

#: Where the clock starts.  Not zero, so that code which takes 0 for "never" is not flattered.
START_TIME = 1_000.0

#: What :meth:`VirtualTimeLoop.wall_time` answers at ``time() == 0`` (2024-01-01 UTC).
WALL_EPOCH = 1_704_067_200.0

#: Loop turns at one instant after which the loop is held to be spinning.
MAX_TURNS_AT_ONE_INSTANT = 1_000_000

DEFAULT_LIMIT = 24 * 3600.0


class DeadlockError(RuntimeError):
    """Nothing is ready, no timer is set, and the main coroutine is not done.

    The message names every pending task and the line it waits at.
    """


class VirtualTimeLimitError(RuntimeError):
    """The next timer lies past the virtual time the run was allowed."""


class LivelockError(RuntimeError):
    """The loop keeps turning without its clock ever moving."""


class PendingTasksError(AssertionError):
    """Tasks outlived the main coroutine."""


class UnhandledErrorsError(AssertionError):
    """Exceptions reached the loop's exception handler during the run."""


def _frames(awaitable: Any) -> list[FrameType]:
    """The suspended frames of a coroutine, outermost first."""
    frames: list[FrameType] = []
    while awaitable is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(awaitable, f"{kind}_frame", None)
            if frame is not None:
                frames.append(frame)
                inner = "gi_yieldfrom" if kind == "gi" else f"{kind}_await"
                awaitable = getattr(awaitable, inner, None)
                break
        else:
            break
    return frames


def describe_task(task: asyncio.Task[Any]) -> str:
    """One readable line: the task's name, its coroutine, and the chain of lines it waits at."""
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    places = [
        f"{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"
        for frame in _frames(coroutine)
    ]
    if task.done():
        where = "done"
    elif places:
        where = "waits in " + " -> ".join(places)
    else:
        where = "not started"
    return f"{task.get_name()} [{name}] {where}"


class _ClockSelector:
    """Stands where the loop expects a selector: asked to wait, it moves the clock instead."""

    __slots__ = ("_loop",)

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> tuple[()]:
        if timeout == 0:
            self._loop._count_turn()
        elif timeout is None:
            self._loop._nothing_left()
        else:
            self._loop._jump()
        return ()


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """An asyncio event loop with a virtual clock, an in-memory network and a seeded RNG.

    Args:
        seed: seeds ``aiokafka_rng`` and the network's own generator.
        limit: virtual seconds the loop may run before it raises
            :class:`VirtualTimeLimitError`; ``None`` for no limit.

    Attributes:
        aiokafka_rng: the generator that clients on this loop draw jitter from.
        network: the :class:`~aiokafka.testing.network.MemoryNetwork` that answers
            ``create_connection``, ``create_server`` and ``getaddrinfo``.
        unhandled: contexts given to the loop's exception handler so far.

    Executor jobs run in the loop's own thread on its next turn, whatever executor is named, so
    that their order is fixed and they take no virtual time.

    .. versionadded:: 0.14.1
    """

    # Attributes of BaseEventLoop that typeshed does not know.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, seed: int | str = 0, *, limit: float | None = DEFAULT_LIMIT) -> None:
        super().__init__()
        self._now = START_TIME
        self._turns = 0
        self._limit_at = float("inf") if limit is None else START_TIME + limit
        self._selector = _ClockSelector(self)
        self.seed = seed
        self.aiokafka_rng = random.Random(f"{seed}/client")
        self.network = MemoryNetwork(self, random.Random(f"{seed}/network"))
        self.unhandled: list[dict[str, Any]] = []

    # -- clock ---------------------------------------------------------------------------------

    def time(self) -> float:
        """The virtual clock, in seconds."""
        return self._now

    def wall_time(self) -> float:
        """Seconds since 1970 as a broker in this simulation sees them."""
        return WALL_EPOCH + self._now

    def _jump(self) -> None:
        when = self._scheduled[0].when()
        if when > self._limit_at:
            limit = self._limit_at - START_TIME
            raise VirtualTimeLimitError(
                f"still running after {limit:g} virtual seconds; {self._pending_report()}"
            )
        self._turns = 0
        if when > self._now:
            self._now = when

    def _count_turn(self) -> None:
        self._turns += 1
        if self._turns > MAX_TURNS_AT_ONE_INSTANT:
            raise LivelockError(
                f"{self._turns} loop turns without the clock moving from {self._now!r}; "
                f"{self._pending_report()}"
            )

    def _nothing_left(self) -> None:
        raise DeadlockError(
            f"nothing can ever happen again (virtual time {self._now - START_TIME:g} s): "
            f"no callback is ready and no timer is set; {self._pending_report()}"
        )

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        """Tasks of this loop that are not done, ordered by name."""
        return sorted(asyncio.all_tasks(self), key=_task_order)

    def _pending_report(self) -> str:
        tasks = self.pending_tasks()
        if not tasks:
            return "no task is pending"
        return "pending tasks:\n  " + "\n  ".join(map(describe_task, tasks))

    # -- what BaseEventLoop leaves to its children ---------------------------------------------

    def _process_events(self, event_list: object) -> None:
        """There are never events of a file descriptor."""

    def _write_to_self(self) -> None:
        """A call from another thread needs no waking: the loop never waits."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.unhandled.append(context)
        super().call_exception_handler(context)

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run ``func`` in this thread on the loop's next turn."""
        future: asyncio.Future[T] = self.create_future()
        self.call_soon(_run_job, future, func, args)
        return future

    # -- network -------------------------------------------------------------------------------

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Resolve ``host`` in the in-memory network; `socket.gaierror` for an unknown name."""
        if isinstance(host, bytes):
            host = host.decode()
        addresses = await self.network.resolve(host or "localhost")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, int(port or 0)))
            for address in addresses
        ]

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: ssl_module.SSLContext | bool | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        sock: socket.socket | None = None,
        **_options: Any,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect to a server of the in-memory network.

        Errors are those of a real loop: `ConnectionRefusedError`, `socket.gaierror`,
        `ssl.SSLError`, `ConnectionAbortedError` when TLS outlasts ``ssl_handshake_timeout``.
        """
        if sock is not None or host is None or port is None:
            raise ValueError("the in-memory network connects by host and port only")
        if server_hostname is not None and not ssl:
            raise ValueError("server_hostname is only meaningful with ssl")
        return await self.network.connect(
            protocol_factory, host, port, ssl=ssl, ssl_handshake_timeout=ssl_handshake_timeout
        )

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        ssl: ssl_module.SSLContext | bool | None = None,
        **_options: Any,
    ) -> MemoryServer:
        """Listen in the in-memory network; port 0 or ``None`` picks a free one."""
        if host is not None and not isinstance(host, str):
            (host,) = host
        return self.network.listen(host or "localhost", port or 0, protocol_factory, tls=bool(ssl))


def _task_order(task: asyncio.Task[Any]) -> tuple[int, str]:
    # "Task-10" comes after "Task-9".
    name = task.get_name()
    return (len(name), name)


def _run_job(future: asyncio.Future[T], func: Callable[..., T], args: tuple[Any, ...]) -> None:
    if future.done():
        return
    try:
        result = func(*args)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def run_virtual(
    main: Coroutine[Any, Any, T] | Callable[[], Coroutine[Any, Any, T]],
    *,
    seed: int | str = 0,
    limit: float | None = DEFAULT_LIMIT,
    leftovers: list[str] | None = None,
    unhandled: list[dict[str, Any]] | None = None,
    debug: bool | None = None,
) -> T:
    """Run a coroutine to its end on a new :class:`VirtualTimeLoop`.

    Args:
        main: a coroutine, or a function without arguments that makes one.
        seed: seed of everything random on the loop.
        limit: virtual seconds the run may last (default: one day), ``None`` for no limit.
        leftovers: a list that receives a description of each task that outlived ``main``.
            Without one, such tasks are an error.
        unhandled: a list that receives what reached the loop's exception handler.
            Without one, that is an error.
        debug: asyncio debug mode of the loop; ``None`` leaves asyncio's default.

    Returns:
        What the coroutine returned.

    Raises:
        DeadlockError: nothing could ever happen again.
        VirtualTimeLimitError: ``limit`` was passed.
        LivelockError: the loop turned for ever at one instant.
        PendingTasksError: a task was still pending at the end, or survived its cancellation.
        UnhandledErrorsError: an exception reached the loop's exception handler.

    However the run ends, the tasks still pending are cancelled and the loop is closed.

    .. versionadded:: 0.14.1
    """
    loop = VirtualTimeLoop(seed, limit=limit)
    if debug is not None:
        loop.set_debug(debug)
    try:
        result = loop.run_until_complete(main() if callable(main) else main)
        _settle(loop)
        left = [describe_task(task) for task in loop.pending_tasks()]
        _cancel_pending(loop)
    except BaseException:
        _cancel_pending(loop)
        raise
    finally:
        loop.close()
    if leftovers is not None:
        leftovers.extend(left)
    elif left:
        raise PendingTasksError("tasks outlived the run:\n  " + "\n  ".join(left))
    if unhandled is not None:
        unhandled.extend(loop.unhandled)
    elif loop.unhandled:
        raise _unhandled_error(loop.unhandled)
    return result


def _unhandled_error(contexts: list[dict[str, Any]]) -> UnhandledErrorsError:
    lines = [f"{context.get('message')}: {context.get('exception')!r}" for context in contexts]
    error = UnhandledErrorsError("the loop met unhandled errors:\n  " + "\n  ".join(lines))
    error.__cause__ = next((c["exception"] for c in contexts if "exception" in c), None)
    return error


def _settle(loop: VirtualTimeLoop) -> None:
    """Let what is ready run, without moving the clock: a task cancelled last needs a turn."""

    async def turns() -> None:
        while loop._ready:  # noqa: ASYNC110 - the point is to take turns
            await asyncio.sleep(0)

    loop.run_until_complete(turns())


def _cancel_pending(loop: VirtualTimeLoop) -> None:
    tasks = loop.pending_tasks()
    for task in tasks:
        task.cancel()
    # Whatever the limit was, what is left gets the time to clean up.
    loop._limit_at = loop._now + DEFAULT_LIMIT
    loop._turns = 0
    try:
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except (DeadlockError, VirtualTimeLimitError, LivelockError) as error:
        for task in tasks:
            # Reported right here; asyncio need not log it again.
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        raise PendingTasksError(f"tasks survived their cancellation: {error}") from error
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler(
                {
                    "message": f"task {task.get_name()} failed while being cancelled",
                    "exception": task.exception(),
                    "task": task,
                }
            )
