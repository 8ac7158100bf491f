"""Task, future and version helpers, and the check of offsets to commit."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest

import aiokafka.util as util
from aiokafka.structs import OffsetAndMetadata, TopicPartition

TP = TopicPartition("t", 0)


def test_constants() -> None:
    assert util.INTEGER_MAX_VALUE == 2147483647
    assert util.INTEGER_MIN_VALUE == -2147483648
    assert sorted(util.__all__) == [
        "INTEGER_MAX_VALUE", "INTEGER_MIN_VALUE", "NO_EXTENSIONS", "create_future",
        "create_task",
    ]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), [(None, False), ("", False), ("1", True)])
def test_no_extensions_follows_the_environment(value: str | None, expected: bool) -> None:
    env = {k: v for k, v in os.environ.items() if k != "AIOKAFKA_NO_EXTENSIONS"}
    if value is not None:
        env["AIOKAFKA_NO_EXTENSIONS"] = value
    code = "import aiokafka.util; print(aiokafka.util.NO_EXTENSIONS)"
    out = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == str(expected)


async def test_create_task() -> None:
    async def answer() -> int:
        return 42

    task = util.create_task(answer(), name="mine")
    assert isinstance(task, asyncio.Task)
    assert task.get_name() == "mine"
    assert await task == 42


def test_create_task_without_loop() -> None:
    async def never() -> None:
        raise AssertionError

    coro = never()
    with pytest.raises(RuntimeError, match="No event loop"):
        util.create_task(coro)
    coro.close()


async def test_create_future() -> None:
    loop = asyncio.get_running_loop()
    assert util.create_future().get_loop() is loop
    assert util.create_future(loop).get_loop() is loop
    assert util.get_running_loop() is loop


def test_loop_helpers_without_loop() -> None:
    with pytest.raises(RuntimeError, match="async function"):
        util.get_running_loop()
    with pytest.raises(RuntimeError):
        util.create_future()


async def test_wait_for() -> None:
    assert await util.wait_for(asyncio.sleep(0, "done"), 60) == "done"
    assert await util.wait_for(asyncio.sleep(0, "done")) == "done"
    pending: asyncio.Future[None] = util.create_future()
    with pytest.raises(asyncio.TimeoutError):
        await util.wait_for(pending, 0)
    assert pending.cancelled()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.9", (0, 9, 0)),
        ("0.9.0", (0, 9, 0)),
        ("0.10.2", (0, 10, 2)),
        ("1.0.0", (1, 0, 0)),
        ("2.8.1", (2, 8, 1)),
    ],
)
def test_parse_kafka_version(text: str, expected: tuple[int, int, int]) -> None:
    assert util.parse_kafka_version(text) == expected


@pytest.mark.parametrize(
    "text",
    ["auto", "", "1", "1.0.0.0", "0.8.2", "3.0", "4.1.0", "1.x", "-1.0", "1.٢", " 1.0", None],
)
def test_parse_kafka_version_rejects(text: Any) -> None:
    with pytest.raises(ValueError):
        util.parse_kafka_version(text)


def test_commit_structure() -> None:
    other = TopicPartition("t", 1)
    third = TopicPartition("t", 2)
    checked = util.commit_structure_validate(
        {TP: 5, other: (6, "note"), third: OffsetAndMetadata(7, "")}
    )
    assert checked == {TP: (5, ""), other: (6, "note"), third: (7, "")}
    assert all(isinstance(value, OffsetAndMetadata) for value in checked.values())


@pytest.mark.parametrize("offsets", [None, {}, [], [(TP, 1)], {TP: (1, "", 2)}, {TP: "12x"},
                                     {TP: None}, {TP: (None, "")}, {TP: -1}, {TP: (-1, "")},
                                     {TP: 1.5}, {TP: (1.5, "")}])  # fmt: skip
def test_commit_structure_value_errors(offsets: Any) -> None:
    with pytest.raises(ValueError):
        util.commit_structure_validate(offsets)


def test_commit_structure_type_errors() -> None:
    with pytest.raises(TypeError, match="Key should be TopicPartition instance"):
        util.commit_structure_validate({"t": 1})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="Key should be TopicPartition instance"):
        util.commit_structure_validate({("t", 0): 1})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="Metadata should be a string"):
        util.commit_structure_validate({TP: (1, 2)})  # type: ignore[dict-item]
