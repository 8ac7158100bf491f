"""Supervised background tasks.

Every background task of the package is started by a :class:`Supervisor`.  A task that
crashes is logged once, with its traceback, and its owner's ``on_crash`` then fails
everything the task owed: that is how every future handed out keeps an owner that resolves
it on success, on crash and on close.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka._deadline import Deadline
from aiokafka._news import News
from aiokafka.util import create_task

OnCrash = Callable[[BaseException], None]


class Supervisor:
    """Starts tasks, keeps them alive, reports their crashes, ends them together.

    Parameters:
        owner: name of the owning object, for logs.
        logger: where a crash is logged.

    .. versionadded:: 0.14.1
    """

    def __init__(self, owner: str, logger: logging.Logger) -> None:
        self._owner = owner
        self._logger = logger
        # The loop itself holds tasks weakly only. A dict as an ordered set: tasks are ended in
        # the order in which they were started, so that a simulation can be repeated.
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._news = News(lambda: asyncio.get_running_loop().time())

    @property
    def tasks(self) -> frozenset[asyncio.Task[Any]]:
        return frozenset(self._tasks)

    def spawn(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str,
        on_crash: OnCrash | None = None,
    ) -> asyncio.Task[Any]:
        """Run *coro* as a task.  *on_crash* gets its exception if it ends with one
        other than cancellation."""
        task = create_task(coro)
        task.set_name(f"{self._owner}:{name}")
        self._tasks[task] = None
        task.add_done_callback(functools.partial(self._finished, name, on_crash))
        return task

    def _finished(self, name: str, on_crash: OnCrash | None, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        # A defect that every attempt meets is reported again, but not at every attempt.
        news = self._news.is_news((name, type(error)))
        self._news.all_is_well()
        self._logger.log(
            logging.ERROR if news else logging.DEBUG,
            "%s: background task %r crashed: %r",
            self._owner,
            name,
            error,
            exc_info=(type(error), error, error.__traceback__),
        )
        if on_crash is not None:
            on_crash(error)

    async def cancel_all(self, deadline: Deadline | None = None) -> None:
        """Cancel every task and wait for their ends, at most until *deadline*."""
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        if tasks:
            timeout = math.inf if deadline is None else deadline.remaining()
            _, late = await asyncio.wait(tasks, timeout=None if timeout == math.inf else timeout)
            for task in late:
                self._logger.warning(
                    "%s: background task %s did not end when cancelled",
                    self._owner,
                    task.get_name(),
                )
