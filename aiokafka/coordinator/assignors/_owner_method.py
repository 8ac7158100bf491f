"""Methods that work on a class and on an instance alike.

An assignor with state can be used as a class, as it was before 0.14.1, with its state in the
class; and as an instance with a state of its own.

Pure: no tasks, no futures.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    owner_method = classmethod
else:

    class owner_method:
        """A method whose first argument is the instance, or the class when there is none."""

        def __init__(self, function: Any) -> None:
            self.__func__ = function
            self.__doc__ = function.__doc__

        def __get__(self, instance: Any, owner: type) -> MethodType:
            return MethodType(self.__func__, owner if instance is None else instance)
