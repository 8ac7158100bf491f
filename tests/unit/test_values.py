"""Small immutable records."""

from __future__ import annotations

from typing import ClassVar

import pytest

from aiokafka._values import Value


class Point(Value):
    """A point."""

    _secret: ClassVar[frozenset[str]] = frozenset({"note"})

    x: int
    y: int = 0
    note: str = ""


class Positive(Point):
    z: int = 1

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("negative")


def test_fields_by_position_and_by_name() -> None:
    assert Point(1, 2).y == 2
    assert Point(1).y == 0
    assert Point(x=3, y=4) == Point(3, 4)
    assert Positive(1, z=5).z == 5


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, "", 4), {}), ((1,), {"x": 1}), ((1,), {"w": 1})]
)
def test_wrong_fields(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="Point"):
        Point(*args, **kwargs)  # type: ignore[arg-type]


def test_checks_itself() -> None:
    with pytest.raises(ValueError, match="negative"):
        Positive(-1)


def test_equality_and_hash() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != (1, 2, "")
    assert Point(1) != Positive(1)
    assert len({Point(1), Point(1), Point(2)}) == 2


def test_repr_keeps_secrets() -> None:
    assert repr(Point(1, 2, "secret")) == "Point(x=1, y=2)"
    assert repr(Positive(1)) == "Positive(x=1, y=0, z=1)"


def test_immutable() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="immutable"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        del point.x
    assert point.x == 1
