"""Where reading begins: names of strategies, durations, committed offsets and what is without."""

from __future__ import annotations

import asyncio
import time

import pytest

from aiokafka.consumer import fetcher
from aiokafka.consumer._assignment import Assignment
from aiokafka.consumer._fetch_progress import PartitionProgress
from aiokafka.consumer._positions import (
    OffsetResetStrategy,
    Positions,
    ResetPolicy,
    parse_duration,
)
from aiokafka.errors import NoOffsetForPartitionError
from aiokafka.structs import OffsetAndMetadata
from tests.unit.consumer.fetch_lab import TP, virtual


def test_strategies():
    strategy = fetcher.OffsetResetStrategy
    assert (strategy.LATEST, strategy.EARLIEST, strategy.NONE) == (-1, -2, 0)
    assert strategy.from_str("latest") == -1
    assert strategy.from_str("earliest") == -2
    for name in ("none", "", "Latest", "whatever"):
        assert strategy.from_str(name) == 0
    assert strategy.from_str("by_duration:PT1H") == strategy.BY_DURATION
    assert [strategy.to_str(v) for v in (-1, -2, 0, 17)] == [
        "latest",
        "earliest",
        "none",
        "timestamp(17)",
    ]
    assert strategy.to_str(strategy.BY_DURATION) == "by_duration"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1H30M", 5400),
        ("PT0S", 0),
        ("P2D", 172800),
        ("P1W", 604800),
        ("P1DT12H", 129600),
        ("PT1.5S", 1.5),
        ("PT0.001S", 0.001),
        ("pt10m", 600),
        ("+PT5S", 5),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)
    assert ResetPolicy.parse(f"by_duration:{text}").duration == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "1H", "PT1", "P1Y", "P1M", "PT1H30", "P1DT", "PT-5S", "-PT5S", "PT1M1H",
     " PT1S", "PT1S ", "PT1S\n", "PT\u0661S", "PT1.S"],
)  # fmt: skip
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="auto_offset_reset"):
        ResetPolicy.parse(f"by_duration:{text}")


def test_the_time_is_that_of_the_look_up(monkeypatch):
    policy = ResetPolicy.parse("by_duration:PT1M")
    for now in (1000.0, 2000.5):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert policy.timestamp(policy.strategy) == round((now - 60) * 1000)
    monkeypatch.setattr(time, "time", lambda: 5.0)
    assert policy.timestamp(policy.strategy) == 0
    for strategy in (-1, -2, 123):
        assert policy.timestamp(strategy) == strategy


class Desk:
    def __init__(self, strategy):
        self.failures = []
        self.assignment = Assignment([TP])
        self.state = self.assignment.state_value(TP)
        self.progress = PartitionProgress(self.state)
        self.positions = Positions(
            lambda: strategy, lambda tp, state, error: self.failures.append((tp, error))
        )


@virtual
async def test_a_committed_offset():
    desk = Desk(OffsetResetStrategy.NONE)
    desk.positions.ask_committed(TP, desk.progress)
    assert desk.assignment.requesting_committed() == [TP]
    desk.state.update_committed(OffsetAndMetadata(5, ""))
    await desk.state.wait_for_position()
    assert (desk.state.position, desk.state.position_epoch) == (5, -1)
    assert desk.progress.committed is None


@virtual
async def test_no_committed_offset():
    for strategy in (-1, -2, OffsetResetStrategy.BY_DURATION):
        desk = Desk(strategy)
        desk.positions.ask_committed(TP, desk.progress)
        desk.state.update_committed(OffsetAndMetadata(-1, ""))
        await asyncio.sleep(0)
        assert desk.state.awaiting_reset
        assert desk.state.reset_strategy == strategy
    desk = Desk(OffsetResetStrategy.NONE)
    desk.positions.ask_committed(TP, desk.progress)
    desk.state.update_committed(OffsetAndMetadata(-1, ""))
    await asyncio.sleep(0)
    [(tp, error)] = desk.failures
    assert tp == TP
    assert isinstance(error, NoOffsetForPartitionError)
    assert not desk.state.awaiting_reset


@pytest.mark.parametrize("offset", [-1, 5])
@virtual
async def test_whoever_seeks_meanwhile_has_the_last_word(offset):
    desk = Desk(OffsetResetStrategy.NONE)
    desk.positions.ask_committed(TP, desk.progress)
    desk.state.seek(3)
    desk.state.update_committed(OffsetAndMetadata(offset, ""))
    await asyncio.sleep(0)
    assert desk.state.position == 3
    assert not desk.failures


@virtual
async def test_a_partition_that_is_given_up():
    desk = Desk(OffsetResetStrategy.NONE)
    desk.positions.ask_committed(TP, desk.progress)
    future = desk.progress.committed
    desk.assignment.end()
    assert future.exception() is not None
    assert not desk.failures
