"""How builders choose a version."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any, Generic, TypeVar, Union

import pytest

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol._declare import Api, Field
from aiokafka.protocol._versions import CEILINGS, usable
from aiokafka.protocol.api import Request, RequestStruct
from aiokafka.protocol.metadata import MetadataRequest

from .apis import MODULES

KEY = 900  # nobody's

_API = Api(
    "Sample",
    KEY,
    versions=range(4),
    flexible=3,
    module=__name__,
    request=(Field("a", "int8"), Field("b", "int8", "2+")),
    response=(Field("a", "int8"),),
)
Api.declared.remove(_API)
V0, V1, V2, V3 = _API.requests


class Sample(Request[RequestStruct], structs=_API.requests):
    def __init__(self, b: int = 0, limit: int = 99) -> None:
        self.b = b
        self.limit = limit

    def _highest_version(self) -> int:
        return self.limit

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class.API_VERSION >= 2:
            return request_struct_class(1, self.b)
        if self.b:
            raise self._not_expressible(request_struct_class, "b")
        return request_struct_class(1)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [((0, 0), V0), ((0, 2), V2), ((0, 9), V3), ((1, 1), V1), ((3, 7), V3)],
)
def test_the_newest_shared_version_is_built(
    bounds: tuple[int, int], expected: type[RequestStruct]
) -> None:
    assert type(Sample().prepare({KEY: bounds})) is expected


@pytest.mark.parametrize("bounds", [(4, 9), (2, 1), (6, 0)])
def test_ranges_that_do_not_meet(bounds: tuple[int, int]) -> None:
    with pytest.raises(NotImplementedError):
        Sample().prepare({KEY: bounds})


def test_unknown_apis() -> None:
    class Blind(Sample, structs=_API.requests):
        ALLOW_UNKNOWN_API_VERSION = True

    with pytest.raises(IncompatibleBrokerVersion):
        Sample().prepare({})
    assert type(Blind().prepare({})) is V0
    assert type(Blind().prepare({KEY: (1, 2)})) is V2


def test_values_without_a_place_in_the_version() -> None:
    assert Sample(b=5).prepare({KEY: (0, 2)}) == V2(1, 5)
    with pytest.raises(IncompatibleBrokerVersion):
        Sample(b=5).prepare({KEY: (0, 1)})


def test_values_that_need_an_older_version() -> None:
    assert type(Sample(limit=1).prepare({KEY: (0, 9)})) is V1
    with pytest.raises(IncompatibleBrokerVersion):
        Sample(limit=1).prepare({KEY: (2, 9)})


def test_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CEILINGS, KEY, 1)
    monkeypatch.setattr(Sample, "_chosen", {})
    assert type(Sample().prepare({KEY: (0, 9)})) is V1
    with pytest.raises(NotImplementedError):
        Sample().prepare({KEY: (2, 9)})


def test_produce_versions_that_are_listed_but_refused() -> None:
    assert usable(0, 0, 13) == (3, 13)
    assert usable(0, 0, 2) == (0, 2)
    assert usable(0, 5, 13) == (5, 13)


class TestGenericArgument:
    def test_a_union(self) -> None:
        old: Any = Request[V0 | V1]  # type: ignore[valid-type]
        older: Any = Request[Union[V0, V1]]  # type: ignore[valid-type]  # noqa: UP007
        for base in (old, older):
            made = _builder(base)
            assert made._CLASSES == (V0, V1)
            assert made.API_KEY == KEY
            assert type(made().prepare({KEY: (0, 9)})) is V1

    def test_one_class(self) -> None:
        made = _builder(Request[V1])  # type: ignore[valid-type]
        assert made._CLASSES == (V1,)

    def test_subclasses_of_a_builder_inherit(self) -> None:
        class Child(Sample):
            pass

        assert Child._CLASSES == Sample._CLASSES

    def test_bare_request(self) -> None:
        with pytest.raises(TypeError):
            _builder(Request)

    def test_another_base(self) -> None:
        class Mixin:
            pass

        with pytest.raises(TypeError):
            _builder(Request[V0], Mixin)  # type: ignore[valid-type]

    def test_another_generic_base(self) -> None:
        t = TypeVar("t")

        class Mixin(Generic[t]):
            pass

        with pytest.raises(TypeError):
            _builder(Request[V0], Mixin[int])  # type: ignore[valid-type]

    def test_something_else(self) -> None:
        with pytest.raises(TypeError):
            _builder(Request[int])  # type: ignore[type-var]


def _builder(*bases: Any) -> Any:
    import types

    def body(namespace: dict[str, Any]) -> None:
        namespace["build"] = lambda self, struct_class: struct_class(1)

    return types.new_class("Made", bases, exec_body=body)


def test_builders_cannot_be_abstract() -> None:
    with pytest.raises(TypeError):
        Request()  # type: ignore[abstract]


def test_every_builder_knows_its_api() -> None:
    for module in MODULES:
        for name, value in vars(module).items():
            if type(value) is ABCMeta and issubclass(value, Request) and value is not Request:
                assert {struct.API_KEY for struct in value._CLASSES} == {value.API_KEY}, name


def test_an_impossible_range_of_a_real_builder() -> None:
    with pytest.raises(NotImplementedError):
        MetadataRequest([]).prepare({3: (6, 0)})


def test_schemas_are_built_when_they_are_looked_at() -> None:
    api = Api(
        "Lazy", 901, versions=range(2), request=(Field("a", "nonsense"),), response=(), module="m"
    )
    Api.declared.remove(api)
    with pytest.raises(KeyError):
        _ = api.requests[0].SCHEMA
