"""The judge itself: each promise is seen to be broken when it is."""

from __future__ import annotations

import pytest

from aiokafka.errors import DeliveryTimeoutError, KafkaError, ProducerClosed
from aiokafka.testing import FaultSchedule

from . import invariants
from .harness import Call
from .runner import try_seed
from .scenario import Scenario
from .workload import Run, Sent


@pytest.fixture
def run() -> Run:
    finished, problems = try_seed(_quiet_seed())
    assert not problems
    return finished


def _quiet_seed() -> int:
    """The first seed of an idempotent producer to which nothing happens."""
    for seed in range(10_000):
        scenario = Scenario.draw(str(seed))
        if (
            scenario.idempotent
            and scenario.events == (0, 0)
            and scenario.stop_at is None
            and scenario.seconds("delivery_timeout_ms") > 100
            and not scenario.last_epochs
        ):
            return seed
    raise AssertionError("no such seed")


def delivered(run: Run) -> list[Sent]:
    return [sent for sent in run.sent if sent.stored and sent.task >= 0]


def broken_by(run: Run, name: str) -> bool:
    problems = invariants.broken(run)
    return bool(problems) and all(problem.startswith(name) for problem in problems)


def log_of(run: Run, sent: Sent) -> list:
    return run.cluster.partition(sent.topic, sent.result.partition).log.batches


def test_a_lost_record(run):
    sent = delivered(run)[0]
    log_of(run, sent).clear()
    assert any(p.startswith("nothing_acknowledged") for p in invariants.broken(run))


def test_a_duplicate(run):
    batches = log_of(run, delivered(run)[0])
    batches.append(batches[0])
    assert any(p.startswith("nothing_is_stored_twice") for p in invariants.broken(run))


def test_wrong_order(run):
    tasks = {}
    for sent in delivered(run):
        tasks.setdefault((sent.task, sent.topic, sent.result.partition), []).append(sent)
    first = next(sents for sents in tasks.values() if len(sents) > 1)[0]
    log_of(run, first).reverse()
    run.scenario.producer["acks"] = 0  # offsets are not what is looked at here
    problems = list(invariants.order_is_kept(run))
    assert problems


def test_a_send_that_takes_too_long(run):
    sent = delivered(run)[0]
    sent.appended_at = sent.called_at + run.scenario.seconds("max_block_ms") + 0.01
    sent.ended_at = sent.appended_at
    assert broken_by(run, "calls_return_in_time")


def test_a_stop_that_takes_too_long(run):
    run.calls.append(Call("stop", 0.0, run.scenario.seconds("stop_timeout_ms") + 1.1, None))
    assert broken_by(run, "calls_return_in_time")


def test_a_future_that_is_never_resolved(run):
    delivered(run)[0].ended_at = None
    assert broken_by(run, "futures_are_resolved_in_time")


@pytest.mark.parametrize(
    "error", [KafkaError("?"), DeliveryTimeoutError("no cause"), RuntimeError("?")]
)
def test_an_error_that_is_not_documented(run, error):
    sent = run.sent[0]
    sent.failure = error
    assert list(invariants.errors_are_documented(run))


def test_a_failure_without_need(run):
    delivered(run)[0].failure = ProducerClosed("?")
    assert broken_by(run, "nothing_fails_without_need")


def test_no_recovery(run):
    run.recovered_in = None
    assert broken_by(run, "it_recovers")


def test_leftovers(run):
    run.leftovers.append("a socket")
    assert broken_by(run, "nothing_is_left")


def test_a_flood_of_warnings(run):
    assert isinstance(run.schedule, FaultSchedule)
    run.warnings.lines += ["WARNING aiokafka: again"] * 100
    assert broken_by(run, "the_log_is_quiet")


def test_a_crash_in_the_log(run):
    run.warnings.lines.append("ERROR aiokafka: background task crashed")
    assert broken_by(run, "the_log_is_quiet")
