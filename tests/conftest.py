"""What all tests share: the event loop they run under, and what is said about the run.

Environment variables:

``AIOKAFKA_TEST_LOOP``
    ``asyncio`` (the default) or ``uvloop``: the loop of the tests that do not bring their own.
``AIOKAFKA_NO_EXTENSIONS``
    The package's own switch: run with the pure Python twins of the compiled modules.
``AIOKAFKA_REQUIRE_EXTENSIONS``
    Refuse to run when a compiled module is missing or not in use, instead of silently testing
    the pure Python twins a second time.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import hypothesis
import pytest

# No example is judged by its time: the machine may be busy.  (With CI set, Hypothesis itself loads
# its profile "ci", whose examples are the same in every run.)
hypothesis.settings.register_profile("aiokafka", deadline=None)
if not os.environ.get("CI"):
    hypothesis.settings.load_profile("aiokafka")

_ROOT = Path(__file__).resolve().parents[1]
_LOOP = os.environ.get("AIOKAFKA_TEST_LOOP") or "asyncio"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if _LOOP == "asyncio":
        return asyncio.new_event_loop
    if _LOOP == "uvloop":
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    raise pytest.UsageError(f"AIOKAFKA_TEST_LOOP={_LOOP}: neither asyncio nor uvloop")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {_LOOP: _loop_factory()}


def _extensions() -> dict[str, bool]:
    """The modules that have a compiled form, and whether it is there."""
    found = {}
    for source in sorted((_ROOT / "aiokafka").rglob("*.pyx")):
        name = ".".join(source.relative_to(_ROOT).with_suffix("").parts)
        compiled = (source.with_suffix(suffix) for suffix in EXTENSION_SUFFIXES)
        found[name] = any(path.exists() for path in compiled)
    return found


def _missing_extensions() -> list[str]:
    return [name for name, there in _extensions().items() if not there]


def pytest_configure(config: pytest.Config) -> None:
    if not os.environ.get("AIOKAFKA_REQUIRE_EXTENSIONS"):
        return
    if os.environ.get("AIOKAFKA_NO_EXTENSIONS"):
        raise pytest.UsageError("extensions are both required and switched off")
    if missing := _missing_extensions():
        raise pytest.UsageError(
            f"these extensions are not built: {', '.join(missing)}. Is there a C compiler? "
            "(make build shows what it says; make test-unit-pure does without)"
        )
    for name in _extensions():
        try:
            importlib.import_module(name)
        except ImportError as exc:
            raise pytest.UsageError(f"{name} cannot be imported: {exc}") from exc


def pytest_report_header(config: pytest.Config) -> str:
    if os.environ.get("AIOKAFKA_NO_EXTENSIONS"):
        extensions = "off"
    else:
        missing = _missing_extensions()
        extensions = f"missing {', '.join(missing)}" if missing else "on"
    debug = ", asyncio debug" if os.environ.get("PYTHONASYNCIODEBUG") else ""
    return f"aiokafka: extensions {extensions}, loop {_LOOP}{debug}"
