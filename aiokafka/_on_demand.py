"""Names of a module that are loaded when somebody first asks for them (PEP 562).

Every program pays for what is imported, and most need only a part of it.

Owns no task and no future.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def on_demand(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of *module* for names that are found elsewhere.

    Parameters:
        places: a name to the module that defines it; to itself, with the package in front, when
            the name is a submodule.

    .. versionadded:: 0.14.1
    """

    def __getattr__(name: str) -> Any:
        place = places.get(name)
        if place is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        found = importlib.import_module(place)
        if place != f"{module}.{name}":
            found = getattr(found, name)
        # The next look-up does not come here.
        setattr(sys.modules[module], name, found)
        return found

    return __getattr__


def submodules(package: str, *names: str) -> dict[str, str]:
    """*places* for submodules of *package*."""
    return {name: f"{package}.{name}" for name in names}
