"""Whether the compiled record code is used; decided once, at import.

No tasks, no futures.
"""

from __future__ import annotations

from typing import Any

from aiokafka.util import NO_EXTENSIONS

__all__ = ["choose", "compiled"]


def _load() -> Any:
    if NO_EXTENSIONS:
        return None
    try:
        from . import _crecords
    except ImportError:  # not built: plain Python does the same, slower
        return None
    return _crecords


compiled: Any = _load()
"""The package of the compiled code, or None."""


def choose(name: str, python: Any) -> Any:
    """The compiled `name` when there is one (an older build may lack it), otherwise `python`."""
    return python if compiled is None else getattr(compiled, name, python)
