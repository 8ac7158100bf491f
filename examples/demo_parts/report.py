"""What the demo prints, and how it remembers what was not as promised."""

from __future__ import annotations

import logging
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.table import Table

from aiokafka.errors import KafkaTimeoutError


class Report:
    """Prints what happens, and remembers what was not as promised."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.failed: list[str] = []

    def title(self, text: str) -> None:
        self.console.print()
        self.console.print(Rule(f"[bold]{text}", align="left"))

    def say(self, text: str, mark: str = "") -> None:
        row = Table.grid(padding=(0, 1))
        row.add_column(width=7)
        row.add_column()
        row.add_row(f"  {mark}", text)
        self.console.print(row)

    def check(self, kept: bool, text: str) -> None:
        self.say(text, "[green]ok[/]" if kept else "[bold red]WRONG[/]")
        if not kept:
            self.failed.append(text)


class Bar:
    """A progress bar with a rate, for the length of a block."""

    def __init__(self, report: Report, what: str, total: int) -> None:
        columns = (
            TextColumn("  [bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>9,.0f} messages/s"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=report.console, refresh_per_second=10)
        self._task = self._progress.add_task(what, total=total, rate=0.0)
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the block began."""
        return time.monotonic() - self._started

    def at(self, count: int) -> None:
        """So many are done."""
        self._progress.update(self._task, completed=count, rate=count / self.elapsed)

    def __enter__(self) -> Bar:
        self._progress.start()
        self._started = time.monotonic()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._progress.stop()


class Warnings(logging.Handler):
    """Counts the warnings that the client logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def describe(error: Exception | None) -> str:
    """An error as a reader of the log would like it."""
    if error is None:
        return "nothing"
    kind = type(error).__name__
    text = str(error).removeprefix(f"{kind}: ")
    if isinstance(error, KafkaTimeoutError) and kind != "KafkaTimeoutError":
        kind += " (a KafkaTimeoutError)"
    return f"{kind}: {text}"
