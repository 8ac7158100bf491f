"""What a plain ``import aiokafka`` offers, and what it does not load."""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

import pytest

import aiokafka
from aiokafka._on_demand import on_demand
from aiokafka.util import NO_EXTENSIONS

# From the compatibility contract: reachable without importing them by name.
SUBMODULES = [
    "abc",
    "client",
    "cluster",
    "codec",
    "conn",
    "consumer",
    "coordinator",
    "errors",
    "partitioner",
    "producer",
    "protocol",
    "record",
    "structs",
    "util",
    "consumer.consumer",
    "consumer.fetcher",
    "consumer.group_coordinator",
    "consumer.subscription_state",
    "coordinator.assignors.abstract",
    "coordinator.assignors.roundrobin",
    "coordinator.protocol",
    "producer.producer",
    "producer.sender",
    "producer.message_accumulator",
    "producer.transaction_manager",
    "protocol.abstract",
    "protocol.admin",
    "protocol.api",
    "protocol.commit",
    "protocol.coordination",
    "protocol.fetch",
    "protocol.group",
    "protocol.metadata",
    "protocol.offset",
    "protocol.produce",
    "protocol.struct",
    "protocol.transaction",
    "protocol.types",
    "record.control_record",
    "record.default_records",
    "record.legacy_records",
    "record.memory_records",
    "record.util",
]


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SUBMODULES)
def test_submodules_are_attributes(name: str) -> None:
    assert run(f"import aiokafka; print(aiokafka.{name}.__name__)").strip() == f"aiokafka.{name}"


def test_all_public_names_are_there() -> None:
    out = run("from aiokafka import *; import aiokafka; print(set(aiokafka.__all__) - set(dir()))")
    assert out.strip() == "set()"
    assert set(aiokafka.__all__) <= set(dir(aiokafka))


def test_what_nobody_uses_is_not_loaded() -> None:
    out = run("import sys, aiokafka; print(*sys.modules)").split()
    assert "aiokafka.structs" in out
    assert "aiokafka.producer" not in out
    out = run("import sys; from aiokafka import AIOKafkaProducer; print(*sys.modules)").split()
    assert "aiokafka.producer.sender" in out
    unused = ["protocol.transaction", "protocol.group", "_sasl"]
    if not NO_EXTENSIONS:
        unused.append("record._legacy_reader")
    for name in unused:
        assert f"aiokafka.{name}" not in out, name
    assert not {"uuid", "hashlib", "cramjam"}.intersection(out)


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="'aiokafka' has no attribute 'nonsense'"):
        aiokafka.nonsense  # type: ignore[attr-defined]
    assert not hasattr(aiokafka.protocol, "nonsense")


def test_names_can_be_patched() -> None:
    original = aiokafka.AIOKafkaProducer
    with mock.patch("aiokafka.AIOKafkaProducer") as patched:
        assert aiokafka.AIOKafkaProducer is patched
    assert aiokafka.AIOKafkaProducer is original


def test_a_name_is_looked_up_once() -> None:
    module = sys.modules[__name__]
    find = on_demand(__name__, {"pi": "math", "sub": f"{__name__}.sub"})
    assert find("pi") == module.__dict__["pi"]
    with pytest.raises(ModuleNotFoundError):
        find("sub")
