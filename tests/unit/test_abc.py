"""The interfaces for applications: what is abstract, and what has a default."""

from __future__ import annotations

import inspect

import pytest

import aiokafka.abc
from aiokafka.abc import AbstractTokenProvider, ConsumerRebalanceListener
from aiokafka.structs import TopicPartition


def test_public_names() -> None:
    assert aiokafka.abc.__all__ == ["AbstractTokenProvider", "ConsumerRebalanceListener"]


@pytest.mark.parametrize(
    ("cls", "methods"),
    [
        (AbstractTokenProvider, {"token"}),
        (ConsumerRebalanceListener, {"on_partitions_revoked", "on_partitions_assigned"}),
    ],
)
def test_abstract_methods(cls: type, methods: set[str]) -> None:
    assert cls.__abstractmethods__ == methods  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        cls()


async def test_token_provider() -> None:
    class Provider(AbstractTokenProvider):
        async def token(self) -> str:
            return "secret"

    provider = Provider()
    assert await provider.token() == "secret"
    assert provider.extensions() == {}


async def test_listener_with_plain_and_coroutine_methods() -> None:
    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
            self.revoked = revoked

        async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
            self.assigned = assigned

    listener = Listener()
    listener.on_partitions_revoked(set())
    result = listener.on_partitions_assigned({TopicPartition("t", 0)})
    assert inspect.iscoroutine(result)
    await result
    assert (listener.revoked, listener.assigned) == (set(), {("t", 0)})
