"""Small immutable records, such as a configuration.

What a frozen dataclass does that this package needs of it.  A dataclass compiles its methods
from text, half a millisecond for each class: all of them together were a sixth of the time it
takes to import the package.

Owns no task and no future.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Value:
    """A record whose fields are the annotations of its class, in their order.

    A value given in the class is the field's default; it should be immutable.  Equal when of the
    same class with equal fields.

    .. versionadded:: 0.14.1
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    #: Fields that the repr leaves out.
    _secret: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        own = cls.__annotations__.items()
        cls._fields += tuple(name for name, hint in own if not str(hint).startswith("ClassVar"))

    if not TYPE_CHECKING:  # a checker makes one of its own for each class

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            fields = self._fields
            values = dict(zip(fields, args, strict=False))
            if len(args) > len(fields) or values.keys() & kwargs.keys():
                raise TypeError(f"{type(self).__name__}: more values than fields")
            values.update(kwargs)
            self.__dict__.update(values)
            if len(values) != len(fields) or kwargs.keys() - set(fields):
                self._check_fields(kwargs)
            self.__post_init__()

    def _check_fields(self, given: dict[str, Any]) -> None:
        name = type(self).__name__
        unknown = given.keys() - set(self._fields)
        if unknown:
            raise TypeError(f"{name} has no field {', '.join(sorted(unknown))}")
        missing = [field for field in self._fields if not hasattr(self, field)]
        if missing:
            raise TypeError(f"{name} lacks {', '.join(missing)}")

    def __post_init__(self) -> None:
        """Check the fields."""

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field) for field in self._fields)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        shown = (
            f"{field}={getattr(self, field)!r}"
            for field in self._fields
            if field not in self._secret
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot assign {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot delete {name!r}")
