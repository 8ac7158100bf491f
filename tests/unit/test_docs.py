"""The documentation says what the code does: settings, bounds, names, messages, code blocks."""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, AIOKafkaProducer, __version__, errors
from aiokafka._retry import Action, action_for
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.consumer._health import ConsumerVerdict
from aiokafka.consumer.group_coordinator import MemberState
from aiokafka.producer.producer import _missing
from aiokafka.structs import TopicPartition
from aiokafka.testing.cluster import FakeCluster
from aiokafka.testing.faults import Deaf
from aiokafka.testing.virtual_time import run_virtual

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.rst"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [README, *sorted(DOCS.glob("*.rst"))]
}

# The keywords of 0.14.0's producer and of its consumer; its client has some of them.
_OLD = (
    "loop bootstrap_servers client_id metadata_max_age_ms request_timeout_ms api_version acks"
    " key_serializer value_serializer compression_type max_batch_size partitioner"
    " max_request_size linger_ms retry_backoff_ms security_protocol ssl_context"
    " connections_max_idle_ms enable_idempotence transactional_id transaction_timeout_ms"
    " sasl_mechanism sasl_plain_password sasl_plain_username sasl_kerberos_service_name"
    " sasl_kerberos_domain_name sasl_oauth_token_provider"
)
_OLD_CONSUMER = (
    "loop bootstrap_servers client_id group_id group_instance_id key_deserializer"
    " value_deserializer fetch_max_wait_ms fetch_max_bytes fetch_min_bytes"
    " max_partition_fetch_bytes request_timeout_ms retry_backoff_ms auto_offset_reset"
    " enable_auto_commit auto_commit_interval_ms check_crcs metadata_max_age_ms"
    " partition_assignment_strategy max_poll_interval_ms rebalance_timeout_ms"
    " session_timeout_ms heartbeat_interval_ms consumer_timeout_ms max_poll_records"
    " ssl_context security_protocol api_version exclude_internal_topics"
    " connections_max_idle_ms isolation_level sasl_mechanism sasl_plain_password"
    " sasl_plain_username sasl_kerberos_service_name sasl_kerberos_domain_name"
    " sasl_oauth_token_provider client_rack"
)
OLD_KEYWORDS = {
    "producer": frozenset(_OLD.split()),
    "consumer": frozenset(_OLD_CONSUMER.split()),
}
ALL_OLD_KEYWORDS = OLD_KEYWORDS["producer"] | OLD_KEYWORDS["consumer"]


def page(name: str) -> str:
    return PAGES[f"docs/{name}.rst"]


def flat(text: str) -> str:
    """Text with all white space alike, as lines are wrapped in the documentation."""
    return " ".join(text.split())


# -- settings -------------------------------------------------------------------------------------


def settings() -> dict[str, dict[str, str]]:
    """What the configuration reference says of each setting: its fields, by name."""
    found = {}
    blocks = re.split(r"^\.\. setting:: ", page("configuration"), flags=re.MULTILINE)[1:]
    for block in blocks:
        name, _, rest = block.partition("\n")
        found[name.strip()] = dict(re.findall(r"^ +:([^:\n]+): (.+)$", rest, re.MULTILINE))
    return found


SETTINGS = settings()
SIGNATURES = {
    "producer": inspect.signature(AIOKafkaProducer).parameters,
    "consumer": {
        name: parameter
        for name, parameter in inspect.signature(AIOKafkaConsumer).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    },
    "client": inspect.signature(AIOKafkaClient).parameters,
}


def shown(name: str, value: Any) -> str:
    """A default as the reference writes it."""
    if value is _missing:
        return "not given"
    if name == "partitioner":
        return f"{type(value).__name__}()"
    if name == "partition_assignment_strategy":
        return f"({', '.join(strategy.__name__ for strategy in value)},)"
    if name == "client_id" and value is not None:
        value = value.replace(__version__, "<version>")
    return f'"{value}"' if isinstance(value, str) else repr(value)


@pytest.mark.parametrize("owner", SIGNATURES)
def test_every_keyword_is_documented_with_its_default(owner: str) -> None:
    for name, parameter in SIGNATURES[owner].items():
        fields = SETTINGS[name]
        assert owner in fields["Of"].split(", "), name
        default = fields.get(f"Default of the {owner}", fields["Default"])
        assert default == f"``{shown(name, parameter.default)}``", name


def test_every_documented_setting_exists() -> None:
    for name, fields in SETTINGS.items():
        for owner in fields["Of"].split(", "):
            assert name in SIGNATURES[owner], f"{owner} has no {name}"


def test_units_and_since() -> None:
    for name, fields in SETTINGS.items():
        assert (fields.get("Unit") == "milliseconds") == name.endswith("_ms"), name
        assert (fields.get("Since") is None) == (name in ALL_OLD_KEYWORDS), name
        assert fields.get("Since") in (None, "0.14.1"), name


@pytest.mark.parametrize("owner", OLD_KEYWORDS)
def test_old_keywords_are_still_there(owner: str) -> None:
    assert set(SIGNATURES[owner]) >= OLD_KEYWORDS[owner]


def test_links_to_settings() -> None:
    for name, text in PAGES.items():
        for setting in re.findall(r":setting:`(\w+)`", text):
            assert setting in SETTINGS, f"{name} links to {setting}"


# -- bounds ---------------------------------------------------------------------------------------


def coroutines(owner: type) -> Iterator[str]:
    """The public coroutine methods."""
    for name, _ in inspect.getmembers(owner, inspect.iscoroutinefunction):
        if not name.startswith("_"):
            yield name


@pytest.mark.parametrize(
    "owner", [AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaClient, AIOKafkaConnection]
)
def test_every_coroutine_method_has_its_bound(owner: type) -> None:
    title: dict[type, str] = {
        AIOKafkaProducer: "The producer",
        AIOKafkaConsumer: "The consumer",
        AIOKafkaClient: "The client",
    }
    heading = title.get(owner, "One connection")
    section = page("blocking").split(f"\n{heading}\n===")[1].split("\n====")[0]
    for name in coroutines(owner):
        assert f"``{name}()``" in section, f"{owner.__name__}.{name}"


def test_bounded_calls_exist() -> None:
    names = set(re.findall(r"``(\w+)\(\)``", page("blocking")))
    known = {"BatchBuilder", "append", create_conn.__name__, "SIGTERM"}
    for owner in (AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaClient, AIOKafkaConnection):
        known |= set(dir(owner))
    assert names <= known


# -- errors ---------------------------------------------------------------------------------------

ERROR_NAME = re.compile(r"``(\w+(?:Error|Closed|Fenced|Operation|Number|Version|Id|Exception))``")
FOREIGN_ERRORS = {"RuntimeError", "TypeError", "ValueError", "AssertionError"}


@pytest.mark.parametrize(
    "name",
    ["errors", "blocking", "migration", "producer", "consumer", "groups", "configuration"],
)
def test_errors_named_exist(name: str) -> None:
    named = set(ERROR_NAME.findall(page(name))) - FOREIGN_ERRORS
    assert named
    for error in named:
        assert hasattr(errors, error), error


def test_what_is_said_to_be_final_is_not_retried() -> None:
    for name in ("TopicAuthorizationFailedError", "InvalidTopicError", "MessageSizeTooLargeError"):
        assert not action_for(getattr(errors, name)()).retriable, name
    for name in ("NotEnoughReplicasError", "NotEnoughReplicasAfterAppendError"):
        assert action_for(getattr(errors, name)()) is Action.RETRY, name


def test_messages_are_those_of_the_code() -> None:
    text = flat(page("blocking"))
    absent = errors.MetadataTimeoutError(
        topic="payments",
        budget_ms=2000,
        elapsed_ms=2000,
        attempts=5,
        cause=errors.UnknownTopicOrPartitionError("payments"),
    )
    too_high = errors.MetadataTimeoutError(
        topic="orders", partition=7, available=3, budget_ms=2000, elapsed_ms=2000, attempts=5
    )
    expired = errors.DeliveryTimeoutError(
        tp=TopicPartition("orders", 2),
        record_count=1,
        elapsed_ms=5000,
        attempts=1,
        budget_ms=5000,
        cause=errors.RequestTimedOutError("no answer from node 2 yet"),
    )
    for error in (absent, too_high, expired):
        assert flat(str(error)) in text


async def full_buffer() -> str:
    async with FakeCluster(1) as cluster:
        cluster.create_topic("orders", 3)
        producer = AIOKafkaProducer(
            bootstrap_servers=cluster.bootstrap_servers,
            max_block_ms=2000,
            buffer_memory=100_000,
            stop_timeout_ms=0,
        )
        with pytest.raises(errors.IllegalStateError) as not_started:
            await producer.send("orders", b"x")
        assert str(not_started.value) in page("blocking")
        await producer.start()
        await producer.partitions_for("orders")
        cluster.brokers[0].freeze()
        futures = []
        with pytest.raises(errors.BufferTimeoutError) as full:
            while True:
                futures.append(await producer.send("orders", b"x" * 10_000))
        await producer.stop()
        for future in futures:
            with pytest.raises(errors.ProducerClosed):
                await future
        return str(full.value)


async def consumer_messages() -> None:
    async with FakeCluster(1) as cluster:
        cluster.create_topic("events", 1)
        consumer = AIOKafkaConsumer(
            "events",
            bootstrap_servers=cluster.bootstrap_servers,
            group_id="readers",
            default_api_timeout_ms=2000,
            request_timeout_ms=1500,
            enable_auto_commit=False,
        )
        with pytest.raises(errors.IllegalStateError) as not_started:
            await consumer.getone()
        assert str(not_started.value) in page("blocking")
        await consumer.start()
        cluster.faults.add(Deaf(), api="OffsetCommit")
        with pytest.raises(errors.KafkaTimeoutError) as late:
            await consumer.commit({TopicPartition("events", 0): 1})
        assert flat(str(late.value)) in flat(page("blocking")), str(late.value)
        await consumer.stop()


def test_messages_of_a_consumer() -> None:
    run_virtual(consumer_messages())


def test_states_of_a_member_are_explained() -> None:
    named = set(re.findall(r"``([A-Z]+)``", page("groups").split("What a rebalance does")[0]))
    assert named == {state.name for state in MemberState}


def test_verdicts_are_explained() -> None:
    text = page("consumer").split("Is it alive?")[1]
    assert {verdict.name for verdict in ConsumerVerdict} <= set(re.findall(r"``(\w+)``", text))


def test_message_of_a_full_buffer() -> None:
    assert run_virtual(full_buffer()) in flat(page("blocking"))


# -- logging --------------------------------------------------------------------------------------


def sources() -> dict[str, str]:
    package = ROOT / "aiokafka"
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
    }


def test_logger_names() -> None:
    used = set()
    loud = set()  # of these, the ones that log something above debug
    for path, text in sources().items():
        for name in re.findall(r"logging\.getLogger\(([^)]*)\)", text):
            module = path.removesuffix(".py").replace("/", ".")
            logger = module if name == "__name__" else name.strip('"')
            used.add(logger)
            if re.search(r"\blog\.(log|info|warning|error|exception)\(", text):
                loud.add(logger)
    loggers = page("logging").split("Loggers\n=====")[1].split("Levels\n=====")[0]
    named = set(re.findall(r"\* - ``([\w.]+)``", loggers))
    assert loud <= named <= used


def test_log_lines_begin_as_documented() -> None:
    code = "\n".join(sources().values())
    table = page("logging").split("The lines\n=====")[1]
    lines = re.findall(r"^     - ``(.+?)[`<]", table, re.MULTILINE)
    assert len(lines) > 10
    for line in lines:
        words = re.match(r"[A-Z][a-z]+(?: [a-z]+)?", line)
        if words:
            assert words[0] in code, line


# -- state machines -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference",
    [
        reference
        for text in PAGES.values()
        for reference in re.findall(r"^\.\. state-machine:: (\S+)$", text, re.MULTILINE)
    ],
)
def test_state_machines_are_whole(reference: str) -> None:
    module, _, name = reference.partition(":")
    table = getattr(importlib.import_module(module), name)
    states = type(next(iter(table)))
    assert issubclass(states, enum.Enum)
    assert set(table) == set(states)
    for following in table.values():
        assert set(following) <= set(states)


# -- code and commands ----------------------------------------------------------------------------


def code_blocks(text: str) -> Iterator[tuple[int, str]]:
    """Python code blocks with the numbers of their first lines."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        found = re.match(r"( *)\.\. code-block:: python$", lines[number])
        number += 1
        if not found:
            continue
        start = number
        while number < len(lines) and (
            not lines[number].strip() or lines[number].startswith(found[1] + "   ")
        ):
            number += 1
        yield start + 1, textwrap.dedent("\n".join(lines[start:number]))


BLOCKS = [
    pytest.param(code, id=f"{name}:{line}")
    for name, text in PAGES.items()
    for line, code in code_blocks(text)
]


@pytest.mark.parametrize("code", BLOCKS)
def test_code_blocks_compile(code: str) -> None:
    compile(code, "<documentation>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("code", BLOCKS)
def test_imports_of_code_blocks(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiokafka"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module}.{alias.name}"


def test_the_simulated_outage_runs() -> None:
    (code,) = [code for _, code in code_blocks(page("testing")) if "run_virtual(outage()" in code]
    exec(compile(code, "<documentation>", "exec"), {"__name__": "documentation"})


async def test_the_fake_cluster_example_runs() -> None:
    code = next(code for _, code in code_blocks(page("testing")) if "async def test_" in code)
    names: dict[str, Any] = {}
    exec(compile(code, "<documentation>", "exec"), names)
    await names["test_the_order_is_published"]()


def test_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for name, text in PAGES.items():
        for target in re.findall(r"``make ([a-z-]+)", text):
            assert target in targets, f"{name}: make {target}"


def test_version_is_the_present_one() -> None:
    for name in ("README.rst", "docs/index.rst"):
        assert f"({__version__})" in PAGES[name], name
