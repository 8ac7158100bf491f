"""The consumer's test in the documentation runs as it stands there."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from aiokafka.testing.virtual_time import run_virtual

PAGE = Path(__file__).resolve().parents[3] / "docs" / "testing.rst"


def example() -> Any:
    name = "test_orders_are_worked_off"
    blocks = PAGE.read_text(encoding="utf-8").split(".. code-block:: python\n")
    (block,) = [block for block in blocks if name in block]
    lines = block.splitlines()
    end = next((n for n, line in enumerate(lines) if line and line[0] != " "), len(lines))
    names: dict[str, Any] = {}
    exec(compile(textwrap.dedent("\n".join(lines[:end])), "<documentation>", "exec"), names)
    return names[name]


def test_under_virtual_time():
    run_virtual(example())


async def test_on_sockets():
    await example()()
