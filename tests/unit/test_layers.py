"""The architecture's rules that a reader would otherwise have to keep in mind.

Imports go downwards only; the layers below the transport know no loop, socket, clock or
chance; one place each for bounding a wait, creating a task and sleeping to retry. Read from
the syntax trees (Cython sources: from their import lines), so also for code no test runs.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "aiokafka"

BASE, PURE, TRANSPORT, CLUSTER, ENGINE, FACADE, ROOT = range(7)
TESTING = -1  # beside the layers: may use what is below the engines, and nobody may use it

# A module belongs to the longest of these that is its name or a package it is in.
LAYERS = {
    "aiokafka": ROOT,
    "aiokafka._version": BASE,
    "aiokafka.errors": BASE,
    "aiokafka._errors": BASE,
    "aiokafka.structs": BASE,
    "aiokafka.abc": BASE,
    "aiokafka.helpers": BASE,
    "aiokafka.util": BASE,
    "aiokafka._hosts": BASE,
    "aiokafka._news": BASE,
    "aiokafka._deadline": BASE,
    "aiokafka._retry": BASE,
    "aiokafka._tasks": BASE,
    "aiokafka._stopping": BASE,
    "aiokafka._config": BASE,
    "aiokafka._values": BASE,
    "aiokafka._on_demand": BASE,
    "aiokafka._wire": PURE,
    "aiokafka._sasl": PURE,
    "aiokafka.cluster": PURE,
    "aiokafka.protocol": PURE,
    "aiokafka.record": PURE,
    "aiokafka.codec": PURE,
    "aiokafka.partitioner": PURE,
    "aiokafka._murmur2": PURE,
    "aiokafka.coordinator": PURE,
    "aiokafka.conn": TRANSPORT,
    "aiokafka._conn": TRANSPORT,
    "aiokafka.client": CLUSTER,
    "aiokafka._client": CLUSTER,
    "aiokafka.producer": ENGINE,
    "aiokafka.consumer": ENGINE,
    "aiokafka.producer.producer": FACADE,
    "aiokafka.consumer.consumer": FACADE,
    "aiokafka.admin": FACADE,
    "aiokafka.testing": TESTING,
}

# The package modules of the engines only re-export the facades.
FACADE_PACKAGES = {"aiokafka.producer", "aiokafka.consumer"}

# What a pure module may use of the base: nothing that waits, sleeps or starts tasks.
BASE_FOR_PURE = {
    "aiokafka._version", "aiokafka.errors", "aiokafka._errors", "aiokafka.structs",
    "aiokafka.abc", "aiokafka.util", "aiokafka._hosts", "aiokafka._values", "aiokafka._on_demand",
}  # fmt: skip

IMPURE = {"asyncio", "socket", "selectors", "time", "random", "threading", "async_timeout"}
MAY_BE_IMPURE = {
    ("aiokafka.partitioner", "random"),
    ("aiokafka.record", "time"),  # wall time, for the timestamp of a record without one
}

BOUNDS = {"wait_for", "timeout", "timeout_at"}
MAY_BOUND = {"aiokafka._deadline", "aiokafka.util"}
SPAWNS = {"create_task", "ensure_future", "TaskGroup", "run_coroutine_threadsafe"}
MAY_SPAWN = {"aiokafka.util", "aiokafka._tasks"}
MAY_SLEEP = {"aiokafka._retry"}
GENERATORS = {"Random", "SystemRandom"}
# A helper for callers of 0.14, which the package itself does not use.
MAY_ROLL_DICE = {"aiokafka.conn": {"shuffle"}}


@dataclass(frozen=True)
class Import:
    line: int
    module: str
    name: str | None = None  # the X of `from module import X`
    typing_only: bool = False


@dataclass(frozen=True)
class Module:
    name: str
    is_package: bool
    source: str
    compiled: bool = False

    @functools.cached_property
    def tree(self) -> ast.Module:
        return ast.parse("" if self.compiled else self.source)

    @functools.cached_property
    def imports(self) -> list[Import]:
        found = _cython_imports(self.source) if self.compiled else _imports(self.tree, False)
        return [self._absolute(item) for item in found]

    def _absolute(self, item: Import) -> Import:
        level = len(item.module) - len(item.module.lstrip("."))
        if not level:
            return item
        parts = self.name.split(".")
        parts = parts[: len(parts) - level + self.is_package]
        rest = item.module[level:]
        absolute = ".".join([*parts, rest] if rest else parts)
        return Import(item.line, absolute, item.name, item.typing_only)


def _imports(node: ast.AST, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(child.lineno, alias.name, None, typing_only)
        elif isinstance(child, ast.ImportFrom):
            module = "." * child.level + (child.module or "")
            for alias in child.names:
                yield Import(child.lineno, module, alias.name, typing_only)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.body:
                yield from _imports(ast.Module([statement], []), True)
            for statement in child.orelse:
                yield from _imports(ast.Module([statement], []), typing_only)
        else:
            yield from _imports(child, typing_only)


_CYTHON_FROM = re.compile(r"^\s*from\s+([.\w]+)\s+c?import\s+(.*)")
_CYTHON_IMPORT = re.compile(r"^\s*c?import\s+([.\w]+)")


def _cython_imports(source: str) -> Iterator[Import]:
    # A list in parentheses may go over several lines; only its first names matter here.
    for number, line in enumerate(source.splitlines(), 1):
        if match := _CYTHON_FROM.match(line):
            for name in re.findall(r"(?:^|[,(])\s*(\w+)", match[2].split("#")[0]) or ["*"]:
                yield Import(number, match[1], name)
        elif match := _CYTHON_IMPORT.match(line):
            yield Import(number, match[1])


@functools.cache
def modules() -> dict[str, Module]:
    found: dict[str, Module] = {}
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix not in (".py", ".pyx"):
            continue
        parts = ["aiokafka", *path.relative_to(PACKAGE).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        source = path.read_text(encoding="utf-8")
        found[name] = Module(name, is_package, source, path.suffix == ".pyx")
    return found


def registered(name: str) -> str | None:
    """The entry of the table a module belongs to."""
    while name not in LAYERS or name == "aiokafka":
        if "." not in name:
            return name if name in LAYERS else None
        name = name.rpartition(".")[0]
        if name == "aiokafka":
            return None
    return name


def layer(module: str) -> int:
    if module == "aiokafka":
        return ROOT
    entry = registered(module)
    if entry is None:
        raise LookupError(f"{module} is in no layer: enter it in LAYERS")
    return FACADE if module in FACADE_PACKAGES else LAYERS[entry]


def own_targets(module: Module, known: set[str]) -> Iterator[tuple[Import, str]]:
    """Imports of this package's modules, as names of modules."""
    for item in module.imports:
        if item.module != "aiokafka" and not item.module.startswith("aiokafka."):
            continue
        target = f"{item.module}.{item.name}"
        yield item, target if item.name and target in known else item.module


def import_faults(module: Module, known: set[str]) -> Iterator[str]:
    here = layer(module.name)
    for item, target in own_targets(module, known):
        where = f"{module.name}:{item.line} imports {target}"
        if target == "aiokafka":
            yield f"{where}: nothing imports the package root"
            continue
        there = layer(target)
        if there == TESTING and here != TESTING:
            yield f"{where}: the package does not need its test helpers"
        elif here == TESTING and there >= ENGINE:
            yield f"{where}: fakes stand below the engines"
        elif here != TESTING and there > here:
            yield f"{where}: upwards"
        elif here == PURE and there == BASE and registered(target) not in BASE_FOR_PURE:
            yield f"{where}: a pure module neither waits nor starts tasks"
        elif here == ENGINE and {module.name.split(".")[1], target.split(".")[1]} == {
            "producer",
            "consumer",
        }:
            yield f"{where}: producer and consumer do not know each other"


def impurity_faults(module: Module) -> Iterator[str]:
    if layer(module.name) != PURE:
        return
    for item in module.imports:
        top = item.module.split(".")[0]
        allowed = item.typing_only or (registered(module.name), top) in MAY_BE_IMPURE
        if top in IMPURE and not allowed:
            yield f"{module.name}:{item.line} imports {top}: not in a pure module"


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _is_zero(node: ast.Call) -> bool:
    return (
        len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and not node.args[0].value
    )


def call_faults(module: Module) -> Iterator[str]:
    name = module.name
    if layer(name) == TESTING:  # plays brokers and a network: has no budget to keep
        return
    for item in module.imports:
        if item.module == "random" and item.name not in {None, *GENERATORS}:
            yield f"{name}:{item.line} {item.name}: chance is injected, as a generator"
        if item.module not in ("asyncio", "async_timeout", "aiokafka.util"):
            continue
        where = f"{name}:{item.line} imports {item.name}"
        if item.name in BOUNDS and name not in MAY_BOUND:
            yield f"{where}: waits are bounded by a Deadline"
        if item.name in SPAWNS and name not in MAY_SPAWN:
            yield f"{where}: tasks are started by a Supervisor"
        if item.name == "sleep" and name not in MAY_SLEEP:
            yield f"{where}: to retry, use aiokafka._retry"
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        base, _, attr = _dotted(node.func).rpartition(".")
        where = f"{name}:{node.lineno} calls {_dotted(node.func)}"
        if base in ("asyncio", "async_timeout") and attr in BOUNDS and name not in MAY_BOUND:
            yield f"{where}: waits are bounded by a Deadline"
        if attr in SPAWNS and name not in MAY_SPAWN:
            yield f"{where}: tasks are started by a Supervisor"
        sleeps = (base, attr) == ("asyncio", "sleep") and name not in MAY_SLEEP
        # A bare yield to the loop is no sleep.
        if sleeps and not (_is_zero(node) and name.startswith("aiokafka.producer.")):
            yield f"{where}: to retry, use aiokafka._retry"
        if base == "random" and attr not in GENERATORS | MAY_ROLL_DICE.get(name, set()):
            yield f"{where}: chance is injected, as a generator"


def faults(module: Module, known: set[str] | None = None) -> list[str]:
    names = set(modules()) if known is None else known
    return [
        *import_faults(module, names),
        *impurity_faults(module),
        *call_faults(module),
    ]


@pytest.mark.parametrize("name", modules())
def test_rules(name: str) -> None:
    assert faults(modules()[name]) == []


def test_every_module_is_in_a_layer() -> None:
    assert len(modules()) > 20
    assert [name for name in modules() if name != "aiokafka" and registered(name) is None] == []


# The rules themselves: each of these sources breaks one.
@pytest.mark.parametrize(
    ("name", "source", "reason"),
    [
        ("aiokafka.client", "from aiokafka import __version__", "package root"),
        ("aiokafka.client", "import aiokafka", "package root"),
        ("aiokafka.client", "from . import AIOKafkaProducer", "package root"),
        ("aiokafka.client", "from aiokafka.producer.sender import Sender", "upwards"),
        ("aiokafka.client", "from .producer import sender", "upwards"),
        ("aiokafka._conn.link", "from ..client import AIOKafkaClient", "upwards"),
        ("aiokafka.errors", "def f():\n    from aiokafka.conn import create_conn", "upwards"),
        ("aiokafka.producer.sender", "from .producer import AIOKafkaProducer", "upwards"),
        ("aiokafka.producer.sender", "from . import producer", "upwards"),
        ("aiokafka.producer.sender", "import aiokafka.consumer.fetcher", "know each other"),
        ("aiokafka.client", "from aiokafka.testing.cluster import FakeCluster", "test helpers"),
        ("aiokafka.testing.cluster", "import aiokafka.producer.sender", "below the engines"),
        ("aiokafka.cluster", "from aiokafka._retry import Backoff", "neither waits"),
        ("aiokafka.cluster", "import asyncio", "pure"),
        ("aiokafka._wire.framing", "from asyncio.events import get_event_loop", "pure"),
        ("aiokafka.protocol.types", "import time", "pure"),
        ("aiokafka.codec", "import random", "pure"),
        (
            "aiokafka.client",
            "import asyncio\nasync def f(x): await asyncio.wait_for(x, 1)",
            "Deadl",
        ),
        ("aiokafka.client", "from asyncio import timeout", "Deadline"),
        ("aiokafka.client", "from async_timeout import timeout_at", "Deadline"),
        ("aiokafka.client", "from aiokafka.util import wait_for", "Deadline"),
        ("aiokafka.client", "import asyncio\nasyncio.create_task(f())", "Supervisor"),
        ("aiokafka.client", "self._loop.create_task(f())", "Supervisor"),
        ("aiokafka.client", "from aiokafka.util import create_task", "Supervisor"),
        ("aiokafka.client", "import asyncio\nasync def f(): await asyncio.sleep(0)", "retry"),
        ("aiokafka.producer.sender", "async def f(): await asyncio.sleep(0.1)", "retry"),
        ("aiokafka.client", "from asyncio import sleep", "retry"),
        ("aiokafka.client", "import random\nrandom.shuffle([])", "injected"),
        ("aiokafka.client", "from random import shuffle", "injected"),
    ],
)
def test_broken_rule_is_found(name: str, source: str, reason: str) -> None:
    known = {*modules(), "aiokafka.producer.sender", "aiokafka.producer.producer"}
    found = faults(Module(name, False, source), known)
    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("aiokafka.producer.producer", "from aiokafka.producer.sender import Sender"),
        ("aiokafka.client", "from aiokafka import errors as Errors"),
        ("aiokafka.client", "from . import errors"),
        ("aiokafka.testing.cluster", "import asyncio\nfrom aiokafka.client import x"),
        ("aiokafka.cluster", "if TYPE_CHECKING:\n    import random"),
        ("aiokafka.partitioner", "import random\nrandom.Random(1)"),
        ("aiokafka._retry", "import asyncio\nasync def f(): await asyncio.sleep(1)"),
        ("aiokafka.producer.sender", "async def f(): await asyncio.sleep(0)"),
    ],
)
def test_what_is_allowed(name: str, source: str) -> None:
    known = {*modules(), "aiokafka.producer.sender"}
    assert faults(Module(name, False, source), known) == []


def test_cython_sources_are_read() -> None:
    source = "from aiokafka.client cimport Thing\nimport socket\nfrom libc.stdint cimport int64_t"
    found = faults(Module("aiokafka.record._crecords.x", False, source, compiled=True))
    assert len(found) == 2
    assert "upwards" in found[0]
    assert "imports socket" in found[1]
