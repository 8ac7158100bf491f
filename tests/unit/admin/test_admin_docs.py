"""The documentation of the admin client says what there is."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaTimeoutError
from aiokafka.testing.faults import Error, Level

from .admin_lab import administering, virtual

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "admin.rst").read_text(encoding="utf-8")

LIFE = {"start", "close"}
CALLS = {
    name: method
    for name, method in inspect.getmembers(AIOKafkaAdminClient, inspect.iscoroutinefunction)
    if not name.startswith("_")
}
OLD = {
    "create_topics": "new_topics timeout_ms=None validate_only=False",
    "delete_topics": "topics timeout_ms=None",
    "list_topics": "",
    "describe_topics": "topics=None",
    "describe_cluster": "",
    "describe_configs": "config_resources include_synonyms=False",
    "alter_configs": "config_resources",
    "create_partitions": "topic_partitions timeout_ms=None validate_only=False",
    "describe_consumer_groups": (
        "group_ids group_coordinator_id=None include_authorized_operations=False"
    ),
    "list_consumer_groups": "broker_ids=None",
    "find_coordinator": "group_id coordinator_type=0",
    "list_consumer_group_offsets": "group_id group_coordinator_id=None partitions=None",
    "delete_records": "records_to_delete timeout_ms=None",
}


@pytest.mark.parametrize("name", sorted(set(CALLS) - LIFE))
def test_every_call_is_documented(name: str) -> None:
    assert f"``{name}()``" in PAGE.split("Where requests go")[1].split("What differs")[0]
    method = CALLS[name]
    text = inspect.getdoc(method)
    assert text
    parameters = list(inspect.signature(method).parameters)[1:]
    described = text.split("Parameters:")[1].split("\n\n")[0]
    for parameter in parameters:
        assert re.search(rf"^ +{parameter}: ", described, re.MULTILINE), parameter
    assert parameters[-1 if name not in OLD else parameters.index("timeout_ms")] == "timeout_ms"
    assert "milliseconds; None: ``request_timeout_ms``" in text
    raised = text.split("Raises:")[1]
    assert "KafkaTimeoutError" in raised
    for error in re.findall(
        r"\b(\w+(?:Error|NotFound|Disabled|Group|Version|Mismatch))\b", raised
    ):
        assert hasattr(errors, error) or error in ("ValueError", "TypeError"), error
    if name not in OLD:
        assert ".. versionadded:: 0.14.1" in text


@pytest.mark.parametrize("name", OLD)
def test_old_signatures(name: str) -> None:
    parameters = list(inspect.signature(CALLS[name]).parameters.values())[1:]
    old = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    shown = (p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in old)
    assert " ".join(shown) == OLD[name]


def test_every_group_of_calls_is_in_the_reference() -> None:
    for base in AIOKafkaAdminClient.__bases__:
        assert f".. autoclass:: {base.__module__}.{base.__name__}\n" in PAGE


def test_every_module_of_types_is_in_the_reference() -> None:
    for path in (ROOT / "aiokafka" / "admin").glob("[a-z]*.py"):
        if path.stem not in ("client", "results", "new_topic", "new_partitions"):
            documented = f"aiokafka.admin.{path.stem}\n" in PAGE
            assert documented or path.stem == "records_to_delete", path.stem


def test_settings_are_those_of_the_client() -> None:
    ours = inspect.signature(AIOKafkaAdminClient).parameters
    clients = inspect.signature(AIOKafkaClient).parameters
    assert set(clients) - set(ours) == {"max_block_ms"}
    for name, parameter in ours.items():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default == clients[name].default, name
        known = f":setting:`{name}`" in PAGE or name.startswith("sasl_")
        assert known or name in ("loop", "api_version"), name


def test_errors_named_exist() -> None:
    for name in set(re.findall(r"``(\w+(?:Error|Group))``", PAGE)):
        assert hasattr(errors, name), name


@virtual
async def test_the_message_of_a_timeout() -> None:
    async with administering() as (kafka, admin):
        kafka.faults.add(Error(41, Level.TOPIC), api="CreateTopics")
        with pytest.raises(KafkaTimeoutError) as caught:
            await admin.create_topics([NewTopic("events", 1, 1)], timeout_ms=2000)
    shown = re.search(r"::\n\n((?:    .+\n)+)", PAGE.split("How long a call takes")[1])
    assert shown
    without_numbers = re.sub(r"\d+ (attempt|ms,)", r"\1", " ".join(shown[1].split()))
    assert re.sub(r"\d+ (attempt|ms,)", r"\1", str(caught.value)) == without_numbers


def test_it_is_loaded_when_asked_for() -> None:
    code = (
        "import sys, aiokafka; assert 'aiokafka.admin' not in sys.modules;"
        "import aiokafka.admin; aiokafka.admin.client.AIOKafkaAdminClient"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
