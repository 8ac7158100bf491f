"""What has to hold after every run, whatever happened in it.

Pure: :func:`broken` looks at a finished :class:`~.workload.Run` and says what it violates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from aiokafka.errors import (
    AuthenticationFailedError,
    BrokerResponseError,
    BufferTimeoutError,
    DeliveryTimeoutError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    MetadataTimeoutError,
    ProducerClosed,
)

from .workload import Run, Sent

#: One turn of the loop, and the resolution of timers, in seconds.
TURN = 0.002
#: A closing connection may take so long to flush what was written, in seconds.
GOODBYE = 1.0

_SEND_ERRORS = (
    MetadataTimeoutError,
    BufferTimeoutError,
    ProducerClosed,
    MessageSizeTooLargeError,
)
_DELIVERY_ERRORS = (DeliveryTimeoutError, ProducerClosed, MessageSizeTooLargeError)
_START_ERRORS = (KafkaConnectionError, KafkaTimeoutError, AuthenticationFailedError)


def broken(run: Run) -> list[str]:
    """Every violation found, in words; none if all is well."""
    checks = (
        nothing_acknowledged_is_lost,
        nothing_is_stored_twice,
        order_is_kept,
        calls_return_in_time,
        futures_are_resolved_in_time,
        errors_are_documented,
        nothing_fails_without_need,
        it_recovers,
        nothing_is_left,
        the_log_is_quiet,
    )
    return [f"{check.__name__}: {problem}" for check in checks for problem in check(run)]


def stored_values(run: Run) -> Iterator[tuple[str, int, list[bytes]]]:
    """The values of each partition, in the order of the log."""
    for partition in run.cluster.topics.partitions():
        values = [record.value or b"" for record in partition.log.records()]
        yield partition.topic, partition.index, values


def nothing_acknowledged_is_lost(run: Run) -> Iterator[str]:
    """What was acknowledged is in the log, at the offset that was told."""
    if run.scenario.acks == 0:
        return
    for sent in run.sent:
        if not sent.stored:
            continue
        metadata = sent.result
        if metadata is None or metadata.topic != sent.topic:
            yield f"{sent.values!r} was acknowledged with {metadata!r}"
            continue
        partition = run.cluster.partition(sent.topic, metadata.partition)
        values = [record.value for record in partition.log.records()]
        first = metadata.offset
        if first < 0:
            # Stored by an earlier attempt, so long ago that the broker has forgotten where.
            if sent.values[0] not in values:
                yield f"{sent.values!r} was acknowledged and is not in {metadata!r}"
        elif tuple(values[first : first + len(sent.values)]) != sent.values:
            # Parts of a batch that was split need not be neighbours.
            if len(sent.values) > 1 and all(value in values for value in sent.values):
                continue
            yield f"{sent.values!r} was acknowledged and is not at {metadata!r}"


def nothing_is_stored_twice(run: Run) -> Iterator[str]:
    """Never with idempotence; else only when an answer may have been lost or late."""
    if not run.scenario.idempotent and run.scenario.ambiguous:
        return
    counts: Counter[bytes] = Counter()
    for _, _, values in stored_values(run):
        counts.update(values)
    for value, count in counts.items():
        if count > 1:
            yield f"{value!r} is stored {count} times"


def order_is_kept(run: Run) -> Iterator[str]:
    """Within a partition the records of a task come in the order in which it sent them.

    With idempotence that holds for every record in the log; without it for the first copies of
    those that were acknowledged, since a late copy of one that was given up may come any time.
    With acks=0 nobody answers, so that a connection may be overtaken by the next one.
    """
    scenario = run.scenario
    if scenario.acks == 0 and scenario.ambiguous:
        return
    strict = scenario.idempotent and not scenario.last_epochs
    place: dict[bytes, tuple[int, int]] = {}
    acknowledged = set()
    for number, sent in enumerate(run.sent):
        for value in sent.values:
            place[value] = (sent.task, number)
        if sent.stored:
            acknowledged.update(sent.values)
    for topic, index, values in stored_values(run):
        last: dict[int, tuple[int, bytes]] = {}
        seen = set()
        for value in values:
            if value in seen or not (strict or value in acknowledged):
                continue
            seen.add(value)
            task, number = place[value]
            if task in last and last[task][0] > number:
                yield f"{topic}-{index}: {value!r} comes after {last[task][1]!r}"
            last[task] = number, value


def calls_return_in_time(run: Run) -> Iterator[str]:
    """No call outlasts its bound."""
    scenario = run.scenario
    seconds = scenario.seconds
    max_block = seconds("max_block_ms")
    for sent in run.sent:
        if sent.appended_at is None:
            yield f"send() of {sent.values!r} never returned"
            continue
        took = sent.appended_at - sent.called_at
        if took > max_block + TURN:
            yield f"send() of {sent.values!r} took {took:.4f} s: {sent.error!r}"
    bounds = {
        # For the first metadata, and as much again for a producer id.
        "start": 2 * seconds("request_timeout_ms"),
        "flush": seconds("delivery_timeout_ms") + seconds("request_timeout_ms"),
        "stop": seconds("stop_timeout_ms") + GOODBYE,
        # Everything is delivered or given up by then.
        "last stop": GOODBYE,
    }
    for call in run.calls:
        if call.lasted > bounds[call.name] + TURN:
            yield f"{call.name}() took {call.lasted:.4f} s, bound {bounds[call.name]:.4f}"


def futures_are_resolved_in_time(run: Run) -> Iterator[str]:
    """Every future has its outcome within delivery_timeout_ms of the call's return."""
    bound = run.scenario.seconds("delivery_timeout_ms")
    for sent in run.sent:
        if sent.future is None or sent.appended_at is None:
            continue
        if sent.ended_at is None:
            yield f"the future of {sent.values!r} was never resolved"
        elif sent.ended_at - sent.appended_at > bound + TURN:
            took = sent.ended_at - sent.appended_at
            yield f"the future of {sent.values!r} took {took:.4f} s: {sent.failure!r}"


def errors_are_documented(run: Run) -> Iterator[str]:
    """Only the errors that the documentation names; a timeout says what caused it."""
    for sent in run.sent:
        if sent.error is not None:
            yield from _check_error(f"send() of {sent.values!r}", sent.error, _SEND_ERRORS)
        if sent.failure is not None:
            yield from _check_error(f"future of {sent.values!r}", sent.failure, _DELIVERY_ERRORS)
    for call in run.calls:
        if call.error is None:
            continue
        allowed: tuple[type[BaseException], ...] = ()
        if call.name == "start":
            allowed = _START_ERRORS
        elif call.name == "flush":
            allowed = (KafkaTimeoutError, ProducerClosed)
        yield from _check_error(f"{call.name}()", call.error, allowed)


def _check_error(
    what: str, error: BaseException, allowed: tuple[type[BaseException], ...]
) -> Iterator[str]:
    if not isinstance(error, allowed):
        yield f"{what} raised {error!r}, caused by {error.__cause__!r}"
    elif not str(error):
        yield f"{what} raised {type(error).__name__} without a message"
    elif isinstance(error, KafkaTimeoutError):
        cause = error.__cause__
        if cause is None and not isinstance(error, BufferTimeoutError):
            yield f"{what} raised {error!r} without a cause"
        elif cause is not None and not isinstance(cause, (KafkaError, OSError)):
            yield f"{what} raised {error!r} because of {cause!r}"
        elif isinstance(cause, BrokerResponseError) and type(cause) is BrokerResponseError:
            yield f"{what} raised {error!r} because of an unknown code"


def nothing_fails_without_need(run: Run) -> Iterator[str]:
    """While a batch's time is not up it is not given up, whatever happens to the cluster."""
    scenario = run.scenario
    for sent in run.sent:
        failure = sent.failure
        if failure is None or isinstance(failure, MessageSizeTooLargeError):
            continue
        assert sent.ended_at is not None and sent.appended_at is not None
        if isinstance(failure, ProducerClosed):
            if scenario.stop_at is None:
                yield f"{sent.values!r} failed with {failure!r} without a stop()"
        elif isinstance(failure, DeliveryTimeoutError):
            # The batch may have been opened by an earlier record; it is sent within its linger.
            enough = scenario.duration + 30
            if scenario.seconds("delivery_timeout_ms") > enough:
                yield f"{sent.values!r} expired although the cluster was back: {failure}"


def it_recovers(run: Run) -> Iterator[str]:
    """Soon after the last fault a record gets through.

    Soon is when the last request without an answer, or the last attempt to connect, has timed
    out, and the backoff after it.
    """
    scenario = run.scenario
    if not run.started:
        yield "start() never succeeded, although the cluster was whole"
        return
    if scenario.stop_at is not None:
        return
    if run.recovered_in is None:
        yield "no record got through after the faults were over"
        return
    if scenario.acks == 0:
        return
    waits = max(
        2 * scenario.seconds("request_timeout_ms"),
        scenario.seconds("socket_connection_setup_timeout_max_ms") * 1.2,
    )
    if run.recovered_in > waits + 3.0:
        yield f"the first record got through after {run.recovered_in:.3f} s"


def nothing_is_left(run: Run) -> Iterator[str]:
    """After stop() nothing of the producer is left."""
    yield from run.leftovers


def the_log_is_quiet(run: Run) -> Iterator[str]:
    """A line per change of state, not per attempt; and never a crash."""
    lines = run.warnings.lines
    for line in lines:
        if "crashed" in line or "Unexpected" in line or line.startswith("ERROR"):
            yield line
    assert run.schedule is not None
    changes = len(run.schedule.events) + len(run.scenario.topics)
    brokers = run.scenario.cluster["brokers"]
    splits = sum("splitting" in line for line in lines)
    if len(lines) - splits > 6 + 3 * changes * (brokers + 1):
        listing = "\n    ".join(lines)
        yield f"{len(lines)} warnings for {changes} changes:\n    {listing}"


def unacknowledged(run: Run) -> list[Sent]:
    """Records that were taken and not delivered."""
    return [sent for sent in run.sent if sent.error is None and not sent.stored]
