"""The judge itself: each promise is seen to be broken when it is."""

from __future__ import annotations

import dataclasses
import functools

import pytest

from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.structs import TopicPartition
from aiokafka.testing.group_offsets import Committed

from . import invariants
from .journal import Bounded, Delivery, Journal, Span
from .runner import try_seed
from .scenario import Commits, End, Scenario
from .workload import Run

BEGINNING = TopicPartition("topic-0", 0)


@pytest.fixture
def run() -> Run:
    finished, problems = try_seed(_quiet_seed())
    assert not problems
    return finished


@functools.cache
def _quiet_seed() -> int:
    """The first seed to which nothing happens, with a group of two that commits by itself and
    leaves aborted records out, and with a reader."""
    for seed in range(100_000):
        scenario = Scenario.draw(str(seed))
        if (
            scenario.quiet
            and scenario.writer.transactional
            and not scenario.writer.poison
            and scenario.readers
            and any(
                group.commits is Commits.AUTO
                and group.committed_only
                and sum(member.end is End.LAST for member in group.members) > 1
                for group in scenario.groups
            )
        ):
            return seed
    raise AssertionError("no such seed")


def busy(run: Run) -> tuple[Journal, Span]:
    """A member, and a partition of which it got several records."""
    for member in run.members["group-0"]:
        for span in member.journal.spans:
            if len(span.deliveries) > 3:
                return member.journal, span
    raise AssertionError("no member got anything")


def broken(run: Run) -> set[str]:
    """Names of the promises that are broken."""
    return {problem.partition(":")[0] for problem in invariants.broken(run)}


def test_nothing_is_broken(run):
    assert not broken(run)


def test_a_commit_of_what_nobody_was_done_with(run):
    _, span = busy(run)
    span.deliveries[1].returned_at = None
    assert "nothing_committed_is_skipped" in broken(run)


def test_a_commit_too_early(run):
    _, span = busy(run)
    now = run.cluster.group("group-0").history[0].time
    run.cluster.group("group-0").note(
        "commit", member_id="m", generation=1, offsets={tuple(span.tp): Committed(10**6, "", -1)}
    )
    event = run.cluster.group("group-0").history.pop()
    run.cluster.group("group-0").history.append(event._replace(time=now))
    assert "nothing_committed_is_skipped" in broken(run)


def test_a_record_that_never_came(run):
    _, span = busy(run)
    offset = span.deliveries[-1].offset
    for member in run.members["group-0"]:
        for other in member.journal.spans:
            if other.tp == span.tp:
                other.deliveries = [d for d in other.deliveries if d.offset != offset]
    assert "everything_is_delivered" in broken(run)


def test_a_gap(run):
    _, span = busy(run)
    del span.deliveries[1]
    assert "records_come_in_order_without_gaps" in broken(run)


def test_wrong_order(run):
    _, span = busy(run)
    span.deliveries[1], span.deliveries[2] = span.deliveries[2], span.deliveries[1]
    assert "records_come_in_order_without_gaps" in broken(run)


def test_twice_in_one_span(run):
    _, span = busy(run)
    span.deliveries.insert(1, span.deliveries[0])
    assert "records_come_in_order_without_gaps" in broken(run)


def test_a_reader_that_begins_at_a_wrong_place(run):
    span = next(span for span in run.readers[0].journal.spans if span.deliveries)
    span.start = 10**6
    assert "records_come_in_order_without_gaps" in broken(run)


def test_a_record_that_does_not_exist(run):
    _, span = busy(run)
    span.deliveries[-1].offset += 10**6
    assert "only_what_is_there_is_delivered" in broken(run)


def test_another_value(run):
    _, span = busy(run)
    span.deliveries[0].value = b"another"
    assert "only_what_is_there_is_delivered" in broken(run)


def test_an_aborted_record(run):
    aborted = [
        (tp, record)
        for tp, records in run.writer.records.items()
        for record in records
        if not record.visible(committed_only=True)
    ]
    tp, record = aborted[0]
    _, span = busy(run)
    span.tp = tp
    span.deliveries = [
        dataclasses.replace(span.deliveries[0], offset=record.offset, value=record.value)
    ]
    assert "only_what_is_there_is_delivered" in broken(run)


def test_a_record_above_the_last_stable_offset(run):
    _, span = busy(run)
    span.deliveries[0].lso = span.deliveries[0].offset
    assert broken(run) == {"only_what_is_there_is_delivered"}


def test_a_record_of_a_paused_partition(run):
    _, span = busy(run)
    span.deliveries[0].paused = True
    assert broken(run) == {"only_what_is_there_is_delivered"}


def test_a_record_of_a_partition_that_is_not_owned(run):
    _, span = busy(run)
    span.owned = False
    assert broken(run) == {"a_partition_has_one_owner"}


def test_a_partition_of_another_member(run):
    journal, span = busy(run)
    delivery = span.deliveries[-1]
    other = next(m for m in run.members["group-0"] if m.journal is not journal)
    copy = dataclasses.replace(delivery, member_id=other.member_id)
    other.journal.spans.append(Span(span.tp, delivery.at, deliveries=[copy]))
    assert "a_partition_has_one_owner" in broken(run)


def test_an_assignment_that_overlaps(run):
    group = run.cluster.group("group-0")
    event = next(e for e in group.history if e.event == "assigned")
    _, data = max(event.details["assignments"].items(), key=lambda item: len(item[1]))
    event.details["assignments"]["another"] = data
    assert "a_partition_has_one_owner" in broken(run)


def test_again_without_reason(run):
    journal, span = busy(run)
    first = span.deliveries[0]
    assert first.returned_at is not None
    again = dataclasses.replace(first, at=first.at + 5)
    span.ended_at = first.returned_at + 1
    journal.spans.append(Span(span.tp, again.at, deliveries=[again]))
    problems = list(invariants.nothing_is_given_out_twice_without_reason(run))
    assert problems


def test_no_recovery(run):
    del run.drained_at["group-0"]
    assert broken(run) == {"it_recovers"}


def test_a_late_recovery(run):
    run.drained_at["group-0"] = run.settled_at + 89
    assert broken(run) == {"it_recovers"}


def test_silence_without_a_reason(run):
    journal, _ = busy(run)
    journal.unexplained.append((1000.0, 1000.0 + 20))
    assert broken(run) == {"silence_has_a_reason"}


def test_no_word_of_the_reason(run):
    journal, _ = busy(run)
    journal.unreasoned.append("waiting")
    assert broken(run) == {"silence_has_a_reason"}


def test_a_call_that_takes_too_long(run):
    journal, _ = busy(run)
    journal.calls.append(Bounded("stop", 1000.0, 3.1, None, journal.who, 3.0))
    assert broken(run) == {"calls_return_in_time"}


def test_time_in_which_the_application_blocks_does_not_count(run):
    journal, _ = busy(run)
    run.blocked.append((1001.0, 1002.0))
    journal.calls.append(Bounded("stop", 1000.0, 3.1, None, journal.who, 3.0))
    assert not broken(run)


def test_a_call_that_stop_does_not_end(run):
    busy(run)[0].not_released = True
    assert broken(run) == {"calls_return_in_time"}


@pytest.mark.parametrize("error", [KafkaError("?"), RuntimeError("?")])
def test_an_error_that_is_not_documented(run, error):
    busy(run)[0].errors.append(error)
    assert broken(run) == {"errors_are_documented"}


def test_a_timeout_without_words(run):
    journal, _ = busy(run)
    silent = KafkaTimeoutError()
    silent.__class__ = type("Silent", (KafkaTimeoutError,), {"__str__": lambda _: ""})
    journal.calls.append(Bounded("commit", 1000.0, 0.1, silent, journal.who, 3.0))
    assert broken(run) == {"errors_are_documented"}


def test_no_last_commit(run):
    run.cluster.group("group-0").committed.clear()
    assert broken(run) == {"the_last_commit_is_made"}


def test_leftovers(run):
    run.leftovers.append("a socket")
    assert broken(run) == {"nothing_is_left"}


def test_a_flood_of_warnings(run):
    run.warnings.lines += ["WARNING aiokafka: again"] * 1000
    assert broken(run) == {"the_log_is_quiet"}


def test_a_crash_in_the_log(run):
    run.warnings.lines.append("ERROR aiokafka: background task crashed")
    assert broken(run) == {"the_log_is_quiet"}


def test_a_delivery_counts_when_the_application_is_back():
    journal = Journal("somebody")
    journal.begin(BEGINNING, 1.0)
    delivery = Delivery(1.5, 0, b"", -1, "", 1, False)
    journal.note(BEGINNING, delivery)
    assert delivery.returned_at is None
    journal.came_back(2.0)
    assert delivery.returned_at == 2.0


def test_a_delivery_outside_of_all_spans_is_not_owned():
    journal = Journal("somebody")
    journal.begin(BEGINNING, 1.0)
    journal.end(BEGINNING, 2.0)
    journal.note(BEGINNING, Delivery(2.5, 0, b"", -1, "", 1, False))
    assert [span.owned for span in journal.spans] == [True, False]
