"""What has to hold after every run, whatever happened in it.

Pure: :func:`broken` looks at a finished :class:`~.workload.Run` and says what it violates.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import (
    AuthenticationFailedError,
    BrokerResponseError,
    CommitFailedError,
    ConsumerStoppedError,
    CorruptRecordException,
    FencedInstanceIdError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    UnknownError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import TopicPartition
from aiokafka.testing.groups import Group
from aiokafka.testing.schedule import FaultKind

from .application import Application
from .journal import Delivery, Journal, Span
from .scenario import Commits, GroupPlan
from .workload import LOOK, Run
from .writer import POISON, Written

#: One turn of the loop, and the resolution of timers, in seconds.
TURN = 0.002
#: Without news from a consumer that says it is well there is something wrong, in seconds beyond
#: ``fetch_max_wait_ms``.
SILENCE = 5.0
#: A commit before a rebalance may be under way so long when nothing goes wrong, in seconds.
COMMITTING = 0.5
#: How long JoinGroup waits beyond the rebalance timeout for its answer, in seconds.
JOIN_MARGIN = 5.0
#: What everything may take longer, in seconds.
MARGIN = 5.0

#: What happens to members without their doing.
_THROWN_OUT = ("expired", "removed", "fenced")

_START_ERRORS = (KafkaConnectionError, KafkaTimeoutError, ConsumerStoppedError)
_COMMIT_ERRORS = (CommitFailedError, KafkaTimeoutError, IllegalStateError, FencedInstanceIdError)
_OTHER_ERRORS = (KafkaTimeoutError, IllegalStateError, FencedInstanceIdError)


def broken(run: Run) -> list[str]:
    """Every violation found, in words; none if all is well."""
    checks = (
        nothing_committed_is_skipped,
        everything_is_delivered,
        records_come_in_order_without_gaps,
        only_what_is_there_is_delivered,
        a_partition_has_one_owner,
        nothing_is_given_out_twice_without_reason,
        it_recovers,
        silence_has_a_reason,
        calls_return_in_time,
        errors_are_documented,
        the_last_commit_is_made,
        nothing_is_left,
        the_log_is_quiet,
    )
    return [f"{check.__name__}: {problem}" for check in checks for problem in check(run)]


def _name(tp: TopicPartition) -> str:
    return f"{tp.topic}-{tp.partition}"


class Visible:
    """What consumers are to get of each partition."""

    def __init__(self, run: Run, committed_only: bool) -> None:
        self._run = run
        self._committed_only = committed_only
        self._records: dict[TopicPartition, list[Written]] = {}
        self._offsets: dict[TopicPartition, list[int]] = {}

    def records(self, tp: TopicPartition) -> list[Written]:
        if tp not in self._records:
            self._records[tp] = self._run.writer.visible(tp, self._committed_only)
        return self._records[tp]

    def offsets(self, tp: TopicPartition) -> list[int]:
        if tp not in self._offsets:
            self._offsets[tp] = [record.offset for record in self.records(tp)]
        return self._offsets[tp]

    def before(self, tp: TopicPartition, offset: int) -> int:
        """How many records come before an offset."""
        return bisect.bisect_left(self.offsets(tp), offset)


def _journals(run: Run) -> Iterator[tuple[Journal, Visible]]:
    """Every application with what it is to get."""
    for group in run.scenario.groups:
        visible = Visible(run, group.committed_only)
        for member in run.members[group.name]:
            yield member.journal, visible
    for reader in run.readers:
        yield reader.journal, Visible(run, reader.plan.committed_only)


# -- records ---------------------------------------------------------------------------------


class Returned:
    """For each record of a group, when an application first was done with it."""

    def __init__(self, run: Run, group: GroupPlan) -> None:
        self._visible = Visible(run, group.committed_only)
        self._at: dict[TopicPartition, dict[int, float]] = {}
        for member in run.members[group.name]:
            for span in member.journal.spans:
                at = self._at.setdefault(span.tp, {})
                for delivery in span.deliveries:
                    if delivery.returned_at is not None:
                        first = at.get(delivery.offset, math.inf)
                        at[delivery.offset] = min(first, delivery.returned_at)
        self._highest: dict[TopicPartition, list[float]] = {}

    def until(self, tp: TopicPartition, offset: int) -> float:
        """When applications were done with everything before an offset; infinity for never."""
        count = self._visible.before(tp, offset)
        if tp not in self._highest:
            highest, times = 0.0, []
            at = self._at.get(tp, {})
            for visible in self._visible.offsets(tp):
                highest = max(highest, at.get(visible, math.inf))
                times.append(highest)
            self._highest[tp] = times
        return self._highest[tp][count - 1] if count else 0.0

    def missing(self, tp: TopicPartition, offset: int, at: float) -> list[int]:
        """Records before an offset with which nobody was done by then."""
        known = self._at.get(tp, {})
        count = self._visible.before(tp, offset)
        return [o for o in self._visible.offsets(tp)[:count] if known.get(o, math.inf) > at]


def nothing_committed_is_skipped(run: Run) -> Iterator[str]:
    """Everything below a committed offset was given to an application that then came back, and
    everything below the offset at which a member begins."""
    for group in run.scenario.groups:
        returned = Returned(run, group)
        for event in run.cluster.group(group.name).events("commit"):
            for (topic, partition), committed in event.details["offsets"].items():
                tp = TopicPartition(topic, partition)
                if returned.until(tp, committed.offset) > event.time:
                    missing = returned.missing(tp, committed.offset, event.time)
                    yield (
                        f"{group.name}: {committed.offset} of {_name(tp)} was committed at"
                        f" {event.time:.3f} by {event.details['member_id']}, without {missing}"
                    )
        for member in run.members[group.name]:
            for span in member.journal.spans:
                if span.deliveries and not span.sought:
                    first = span.deliveries[0]
                    if returned.until(span.tp, first.offset) > first.at:
                        missing = returned.missing(span.tp, first.offset, first.at)
                        yield (
                            f"{member.journal.who} began {_name(span.tp)} at {first.offset},"
                            f" without {missing}"
                        )


def orphaned(run: Run, group: GroupPlan) -> bool:
    """Whether partitions wait for the next rebalance, and nobody can know.

    A static member that comes back is given what it had, without a rebalance (KIP-345).  If it
    went between the two rebalances of a cooperative one (KIP-429), or the assignment was not
    complete for another reason, what is missing stays so: nobody knows the others' parts.
    """
    missing = returned = False
    wanted = set(run.subscribed(group))
    for event in run.cluster.group(group.name).history:
        if event.event == "assigned":
            found = set()
            for data in event.details["assignments"].values():
                if data:
                    found |= set(ConsumerProtocolMemberAssignment.decode(data).partitions())
            returned, missing = False, bool(wanted - found)
        elif event.event == "fenced":
            returned = True
    return missing and returned


def everything_is_delivered(run: Run) -> Iterator[str]:
    """Every record is given out at least once in every group."""
    for group in run.scenario.groups:
        if group.name not in run.without_members and not orphaned(run, group):
            missing = run.undelivered(group)
            if missing:
                yield f"{group.name}: {len(missing)} never came, such as {missing[:5]}"


def records_come_in_order_without_gaps(run: Run) -> Iterator[str]:
    """While an application has a partition, it gets its records one after the other."""
    for journal, visible in _journals(run):
        for span in journal.spans:
            expected = None if span.start is None else visible.before(span.tp, span.start)
            offsets = visible.offsets(span.tp)
            for delivery in span.deliveries:
                found = visible.before(span.tp, delivery.offset)
                if expected is not None and found != expected:
                    wanted = offsets[expected] if expected < len(offsets) else "nothing"
                    yield (
                        f"{journal.who}, {_name(span.tp)}: {delivery.offset} came at"
                        f" {delivery.at:.3f} instead of {wanted} (since {span.began_at:.3f})"
                    )
                expected = found + 1


def only_what_is_there_is_delivered(run: Run) -> Iterator[str]:
    """Records are those of the log; with read_committed no aborted and no undecided ones."""
    for journal, visible in _journals(run):
        for span in journal.spans:
            records = visible.records(span.tp)
            for delivery in span.deliveries:
                at = visible.before(span.tp, delivery.offset)
                written = records[at] if at < len(records) else None
                if written is None or written.offset != delivery.offset:
                    yield f"{journal.who} got {delivery.offset} of {_name(span.tp)}, not to be had"
                elif not _equal(delivery, written):
                    yield f"{journal.who} got {delivery.value!r} instead of {written.value!r}"
                if visible._committed_only and delivery.offset >= delivery.lso:
                    yield f"{journal.who} got {delivery.offset}, LSO {delivery.lso}"
                if delivery.paused:
                    yield f"{journal.who} got {delivery.offset} of {_name(span.tp)}, paused"


def _equal(delivery: Delivery, written: Written) -> bool:
    if delivery.value is None:
        return written.value.startswith(POISON)
    if isinstance(delivery.value, str):
        return delivery.value == written.value.decode()
    return bool(delivery.value == written.value)


# -- groups ----------------------------------------------------------------------------------


Assignments = dict[int, dict[str, set[TopicPartition]]]


def _assignments(group: Group) -> Assignments:
    """Who was assigned what, by generation and member id."""
    found: Assignments = {}
    for event in group.history:
        if event.event == "assigned":
            found[event.details["generation"]] = {
                member_id: set(ConsumerProtocolMemberAssignment.decode(data).partitions())
                for member_id, data in event.details["assignments"].items()
                if data
            }
        elif event.event == "fenced":
            # A static member is back under another id, with what it had (KIP-345).
            old, new = event.details["member_id"], event.details["replaced_by"]
            for members in found.values():
                if old in members:
                    members.setdefault(new, members[old])
    return found


def a_partition_has_one_owner(run: Run) -> Iterator[str]:
    """Records are given out only to members that have the partition, one in each generation."""
    for group in run.scenario.groups:
        assignments = _assignments(run.cluster.group(group.name))
        for event in run.cluster.group(group.name).events("assigned"):
            yield from _overlaps(group, event.details["generation"], assignments)
        owners: dict[tuple[int, TopicPartition], str] = {}
        for member in run.members[group.name]:
            journal = member.journal
            for span in journal.spans:
                if not span.owned:
                    yield f"{journal.who} got records of {_name(span.tp)}, which it has not"
                for delivery in span.deliveries:
                    yield from _check_owner(journal, span, delivery, assignments, owners)


def _overlaps(group: GroupPlan, generation: int, assignments: Assignments) -> Iterator[str]:
    owned: dict[TopicPartition, set[TopicPartition]] = {}
    for tps in assignments[generation].values():
        for tp in tps:
            if owned.setdefault(tp, tps) is not tps:
                yield f"{group.name}, generation {generation}: {_name(tp)} is assigned twice"


def _check_owner(
    journal: Journal,
    span: Span,
    delivery: Delivery,
    assignments: Assignments,
    owners: dict[tuple[int, TopicPartition], str],
) -> Iterator[str]:
    generation = delivery.generation
    if generation < 0 or not delivery.member_id:
        return
    who = journal.instance or journal.who
    owner = owners.setdefault((generation, span.tp), who)
    if owner != who:
        yield f"{_name(span.tp)} was read by {owner} and {who} in generation {generation}"
    if span.tp not in assignments.get(generation, {}).get(delivery.member_id, ()):
        yield (
            f"{journal.who} got {delivery.offset} of {_name(span.tp)} at {delivery.at:.3f}, not"
            f" its own in generation {generation}"
        )


def nothing_is_given_out_twice_without_reason(run: Run) -> Iterator[str]:
    """When nothing goes wrong and commits are automatic, only what somebody still worked on when
    his partitions were taken is given out again."""
    if not run.scenario.quiet:
        return
    for group in run.scenario.groups:
        if group.commits is not Commits.AUTO:
            continue
        given: dict[tuple[TopicPartition, int], tuple[Delivery, Span]] = {}
        for member in run.members[group.name]:
            for span in member.journal.spans:
                for delivery in span.deliveries:
                    key = span.tp, delivery.offset
                    first = given.setdefault(key, (delivery, span))
                    earlier, its_span = min(first, (delivery, span), key=lambda pair: pair[0].at)
                    given[key] = earlier, its_span
                    if first[0] is delivery or its_span.ended_at is None:
                        continue
                    if earlier.returned_at is not None and (
                        earlier.returned_at < its_span.ended_at - COMMITTING
                    ):
                        yield (
                            f"{group.name}: {delivery.offset} of {_name(span.tp)} came again,"
                            f" done at {earlier.returned_at:.3f},"
                            f" given up at {its_span.ended_at:.3f}"
                        )


# -- time ------------------------------------------------------------------------------------


def recovery_bound(run: Run, settings: dict[str, object], pause: float) -> float:
    """Seconds from the last fault until everything goes on; *pause* is what a record takes."""

    def seconds(name: str) -> float:
        value = settings.get(name)
        return 0.0 if not isinstance(value, (int, float)) else value / 1000

    session = seconds("session_timeout_ms")
    rebalance = seconds("rebalance_timeout_ms") or session
    waits = (
        # Those who died are waited for, and then those who have not heard of it.
        session
        + 2 * rebalance
        + (JOIN_MARGIN if session else 0.0)
        # A request whose answer was lost, and the connection after it.
        + 2 * seconds("request_timeout_ms")
        + 2 * seconds("socket_connection_setup_timeout_max_ms")
        # New topics and partitions are seen.
        + seconds("metadata_max_age_ms")
    )
    # In the worst case one application has everything still to do.
    backlog = sum(map(len, run.writer.records.values())) * pause
    return waits + backlog + MARGIN


def it_recovers(run: Run) -> Iterator[str]:
    """Soon after the last fault every member is stable, and everything is delivered."""
    groups = [group for group in run.scenario.groups if not orphaned(run, group)]
    plans = {
        **{g.name: (g.consumer, max(member.pause for member in g.members)) for g in groups},
        **{reader.journal.who: (reader.settings, reader.pause) for reader in run.readers},
    }
    for name, (settings, pause) in plans.items():
        bound = recovery_bound(run, settings, pause)
        if name in run.without_members:
            continue
        if name not in run.drained_at:
            yield f"{name} never recovered"
        elif run.drained_at[name] - run.settled_at > bound:
            took = run.drained_at[name] - run.settled_at
            yield f"{name} needed {took:.3f} s after the last fault, bound {bound:.3f}"


def silence_has_a_reason(run: Run) -> Iterator[str]:
    """Who gets nothing although there is something is told why."""
    for application in run.applications:
        journal = application.journal
        yield from (f"{journal.who}: no reason for {what}" for what in journal.unreasoned)
        limit = application.seconds("fetch_max_wait_ms") + SILENCE + 2 * LOOK
        for since, until in journal.unexplained:
            if _lasted(run, since, until - since) > limit:
                yield (
                    f"{journal.who} got nothing from {since:.3f} to {until:.3f}, and health()"
                    " found all well"
                )


def _lasted(run: Run, began: float, took: float) -> float:
    """How long something took, apart from times in which the application blocked the loop."""
    blocked = sum(
        max(0.0, min(end, began + took) - max(start, began)) for start, end in run.blocked
    )
    return took - blocked


def calls_return_in_time(run: Run) -> Iterator[str]:
    """No call outlasts its bound; stop() lets everybody go."""
    for journal in run.journals:
        for call in journal.calls:
            lasted = _lasted(run, call.began_at, call.lasted)
            if lasted > call.bound + TURN:
                yield (
                    f"{journal.who}: {call.name}() at {call.began_at:.3f} took {lasted:.4f} s,"
                    f" bound {call.bound:.4f}: {call.error!r}"
                )
        if journal.not_released:
            yield f"{journal.who}: a call went on after stop()"


# -- errors and logs ---------------------------------------------------------------------------


def errors_are_documented(run: Run) -> Iterator[str]:
    """Only the errors that the documentation names; a timeout says what caused it."""
    for journal in run.journals:
        for error in journal.errors:
            allowed: tuple[type[BaseException], ...] = (FencedInstanceIdError,)
            if run.scenario.corruptions:
                allowed += (CorruptRecordException,)
            if _garbled(run):
                allowed += (UnknownError,)
            yield from _check_error(f"{journal.who}: asking for records", error, allowed)
        for call in journal.calls:
            if call.error is None or call.name.endswith("(cancelled)"):
                continue
            if call.name == "start":
                allowed = (*_START_ERRORS, FencedInstanceIdError)
            elif call.name == "commit":
                if isinstance(call.error.__cause__, UnknownTopicOrPartitionError):
                    continue
                allowed = (*_COMMIT_ERRORS, ConsumerStoppedError)
            elif call.name in ("stop", "getmany"):
                allowed = ()
            else:
                allowed = (*_OTHER_ERRORS, ConsumerStoppedError)
            if _garbled(run):
                allowed += (UnknownError,)
            yield from _check_error(f"{journal.who}: {call.name}()", call.error, allowed)


def _garbled(run: Run) -> bool:
    """Whether there were answers that can be read, to say that the server met an unknown error."""
    assert run.schedule is not None
    return any(event.kind is FaultKind.GARBAGE for event in run.schedule.events)


def _check_error(
    what: str, error: BaseException, allowed: tuple[type[BaseException], ...]
) -> Iterator[str]:
    if not isinstance(error, allowed) or isinstance(error, AuthenticationFailedError):
        yield f"{what} raised {error!r}, caused by {error.__cause__!r}"
    elif not str(error):
        yield f"{what} raised {type(error).__name__} without a message"
    elif isinstance(error, KafkaTimeoutError):
        cause = error.__cause__
        if cause is not None and not isinstance(cause, (KafkaError, OSError)):
            yield f"{what} raised {error!r} because of {cause!r}"
        elif isinstance(cause, BrokerResponseError) and type(cause) is BrokerResponseError:
            yield f"{what} raised {error!r} because of an unknown code"


def the_last_commit_is_made(run: Run) -> Iterator[str]:
    """What a group has when nothing goes wrong any more is committed by its stop()."""
    for group in run.scenario.groups:
        if (
            group.commits is Commits.MANUAL
            or group.name in run.without_members
            or group.name not in run.drained_at
        ):
            continue
        kept = run.cluster.group(group.name)
        if any(e.event in _THROWN_OUT and e.time >= run.settled_at for e in kept.history):
            continue  # an answer lost at the end of the faults has its consequences later
        if any(_struggled(member) for member in run.members[group.name]):
            continue  # the same: the commit had only a part of stop_timeout_ms
        committed = kept.committed
        visible = Visible(run, group.committed_only)
        for tp in run.subscribed(group):
            found = committed.get((tp.topic, tp.partition))
            offset = -1 if found is None else found.offset
            last = visible.offsets(tp)[-1]
            if offset <= last:
                yield f"{group.name}: {offset} of {_name(tp)} is committed, the last was {last}"


def _struggled(application: Application) -> bool:
    """Whether stop() had to wait for an answer that did not come."""
    patience = application.seconds("stop_timeout_ms") / 4 - TURN
    return any(
        call.name == "stop" and call.lasted >= patience for call in application.journal.calls
    )


def nothing_is_left(run: Run) -> Iterator[str]:
    """After stop() nothing of the consumers is left; tasks and errors the loop itself finds."""
    yield from run.leftovers


def the_log_is_quiet(run: Run) -> Iterator[str]:
    """A line per change of state, not per attempt; and never a crash."""
    lines = run.warnings.lines
    raising = any(
        member.listener.raises for group in run.scenario.groups for member in group.members
    )
    for line in lines:
        if "Listener" in line and "ListenerFailure" in line and raising:
            continue
        if "cannot go on" in line and ("group_instance_id" in line or _garbled(run)):
            continue
        if "crashed" in line or "Unexpected" in line or line.startswith("ERROR"):
            yield line
    bound = warnings_allowed(run)
    quiet = [line for line in lines if "ListenerFailure" not in line]
    if len(quiet) > bound:
        listing = "\n    ".join(quiet)
        yield f"{len(quiet)} warnings, {bound} allowed:\n    {listing}"


def warnings_allowed(run: Run) -> int:
    """How many lines the changes of a run are worth."""
    assert run.schedule is not None
    scenario = run.scenario
    changes = len(run.schedule.events) + len(scenario.corruptions) + len(scenario.topics)
    changes += sum(len(group.members) for group in scenario.groups)
    consumers = len(run.applications)
    brokers = int(scenario.cluster["brokers"])
    # Each attempt to start says why it fails.
    starts = sum(call.name == "start" for journal in run.journals for call in journal.calls)
    return 6 + brokers * starts + 2 * changes * (brokers + 1) * max(1, consumers)
