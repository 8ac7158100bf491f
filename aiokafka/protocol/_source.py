"""Python source under construction: what the encoder and decoder generators share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _runtime

#: Sizes of the struct codes that are used.
SIZES = {"b": 1, "B": 1, "x": 1, "?": 1, "h": 2, "i": 4, "I": 4, "q": 8, "d": 8, "16s": 16}


class Source:
    """Lines of a function under construction, and the objects they refer to."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 2  # inside "def" and "try"
        self._count = 0
        self._pending: list[tuple[str, str]] = []  # (struct code, expression or variable)
        self.names: dict[str, Any] = {"rt": _runtime}

    def line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    def indent(self, text: str) -> None:
        self.line(text)
        self._depth += 1

    def dedent(self, text: str = "") -> None:
        self._depth -= 1
        if text:
            self.indent(text)

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def constant(self, prefix: str, value: Any) -> str:
        name = self.fresh(prefix)
        self.names[name] = value
        return name

    def build(self, head: str, tail: str) -> Callable[..., Any]:
        source = "\n".join([head, *self._lines, tail])
        exec(compile(source, f"<{type(self).__name__.strip('_').lower()}>", "exec"), self.names)
        function: Callable[..., Any] = self.names["run"]
        return function
