"""Who is compared: each contender's client, event loop, environment and way of being called."""

from __future__ import annotations

import dataclasses
import fnmatch
from typing import Any

# Producers.
BASELINE = "aiokafka-0.14"
OURS = "ours"
OURS_UVLOOP = "ours-uvloop"
CONFLUENT = "confluent"
# Consumers that get record by record, and those that get batches.
BASELINE_ONE = "aiokafka-0.14-for"
CONFLUENT_ONE = "confluent-poll"
OURS_ONE = "ours-for"
BASELINE_MANY = "aiokafka-0.14-getmany"
CONFLUENT_MANY = "confluent-consume"
OURS_MANY = "ours-getmany"
# Producer and consumer in one process.
BASELINE_PAIR = "aiokafka-0.14-pair"
CONFLUENT_PAIR = "confluent-pair"


@dataclasses.dataclass(frozen=True, slots=True)
class Contender:
    """One row of the comparison.

    Parameters:
        name: what ``--contenders`` takes.
        label: how tables and charts call it.
        client: the worker's module for it.
        tasks: kinds of measurement that make sense for it.
        loop: event loop, where the client has one.
        checkout: measured from this source tree; otherwise from the peers' environment.
        color: of its bars.
        call: how a consumer is asked for records.
        short: it reads the short topic of a case, as the long one would take it minutes.
        extra: settings of the client that are not its defaults.
        bases: names of the contenders that its figures are divided by, one for each of the
            ratio columns of its part.
    """

    name: str
    label: str
    client: str
    tasks: frozenset[str]
    color: str
    loop: str = "asyncio"
    checkout: bool = False
    call: str = ""
    short: bool = False
    extra: tuple[tuple[str, Any], ...] = ()
    bases: tuple[str, ...] = (BASELINE,)


_ALL = frozenset({"produce", "tasks", "latency", "import"})
_LOOP = frozenset({"produce", "tasks", "latency"})
_SYNC = frozenset({"produce", "latency"})

PRODUCERS: tuple[Contender, ...] = (
    Contender(OURS, "this client", "aiokafka", _ALL, "#0b6e4f", checkout=True),
    Contender(
        OURS_UVLOOP, "this client, uvloop", "aiokafka", _LOOP, "#5cb88a", "uvloop", checkout=True
    ),
    Contender(BASELINE, "aiokafka 0.14.0", "aiokafka", _ALL, "#c0392b"),
    Contender(
        "aiokafka-0.14-uvloop", "aiokafka 0.14.0, uvloop", "aiokafka", _LOOP, "#e59866", "uvloop"
    ),
    Contender(CONFLUENT, "confluent-kafka Producer", "confluent", _SYNC, "#2c5f8a"),
    Contender("confluent-aio", "confluent-kafka AIOProducer", "confluent-aio", _LOOP, "#85b3d9"),
    Contender("kafka-python", "kafka-python", "kafka-python", _SYNC, "#8e7cc3"),
    Contender(
        "raw-socket",
        "raw blocking socket",
        "raw-socket",
        frozenset({"latency"}),
        "#7f8c8d",
        checkout=True,
    ),
    Contender("null", "no client (the loop itself)", "null", _LOOP, "#bdc3c7"),
)

_ONE = frozenset({"one"})
_MANY = frozenset({"many"})
_PAIR = frozenset({"pair"})


def _consumer(name: str, label: str, client: str, call: str, color: str) -> Contender:
    many = call in ("getmany", "consume") or name == "kafka-python-poll"
    return Contender(
        name,
        label,
        client,
        _MANY if many else _ONE,
        color,
        loop="uvloop" if "uvloop" in name else "asyncio",
        checkout=name.startswith("ours"),
        call=call,
        bases=(BASELINE_MANY, CONFLUENT_MANY) if many else (BASELINE_ONE, CONFLUENT_ONE),
    )


def _short(contender: Contender) -> Contender:
    return dataclasses.replace(contender, short=True)


def _eager(contender: Contender) -> Contender:
    """With a shorter pause after the queue of fetched records was full: it is a second."""
    return dataclasses.replace(
        contender,
        name=f"{contender.name}-eager",
        label=f"{contender.label}, eager",
        color="#5b8db8",
        extra=(("fetch.queue.backoff.ms", 10),),
    )


def _limited(contender: Contender) -> Contender:
    """With batches as large as those that confluent-kafka is asked for."""
    return dataclasses.replace(
        contender,
        name=f"{contender.name}-2000",
        label=f"{contender.label} of 2000",
        extra=(("max_poll_records", 2_000),),
    )


_ours_getmany = _consumer(OURS_MANY, "this client, getmany", "aiokafka", "getmany", "#0b6e4f")
_baseline_getmany = _consumer(
    BASELINE_MANY, "aiokafka 0.14.0, getmany", "aiokafka", "getmany", "#c0392b"
)
_confluent_poll = _consumer(
    CONFLUENT_ONE, "confluent-kafka Consumer.poll", "confluent", "poll", "#2c5f8a"
)
_confluent_consume = _consumer(
    CONFLUENT_MANY, "confluent-kafka Consumer.consume", "confluent", "consume", "#2c5f8a"
)


CONSUMERS: tuple[Contender, ...] = (
    _consumer(OURS_ONE, "this client, async for", "aiokafka", "async for", "#0b6e4f"),
    _consumer("ours-getone", "this client, getone", "aiokafka", "getone", "#2e8b66"),
    _consumer(
        "ours-uvloop-for", "this client, uvloop, async for", "aiokafka", "async for", "#5cb88a"
    ),
    _consumer(
        "ours-uvloop-getone", "this client, uvloop, getone", "aiokafka", "getone", "#8fd0ae"
    ),
    _ours_getmany,
    _limited(_ours_getmany),
    _consumer(
        "ours-uvloop-getmany", "this client, uvloop, getmany", "aiokafka", "getmany", "#5cb88a"
    ),
    _consumer(BASELINE_ONE, "aiokafka 0.14.0, async for", "aiokafka", "async for", "#c0392b"),
    _consumer("aiokafka-0.14-getone", "aiokafka 0.14.0, getone", "aiokafka", "getone", "#e59866"),
    _baseline_getmany,
    _limited(_baseline_getmany),
    _confluent_poll,
    _eager(_confluent_poll),
    _confluent_consume,
    _eager(_confluent_consume),
    _short(
        _consumer(
            "confluent-aio-poll", "confluent-kafka AIOConsumer.poll", "confluent-aio", "poll",
            "#85b3d9",
        )
    ),
    _consumer(
        "confluent-aio-consume", "confluent-kafka AIOConsumer.consume", "confluent-aio",
        "consume", "#85b3d9",
    ),
    _short(_consumer("kafka-python-for", "kafka-python, for", "kafka-python", "for", "#8e7cc3")),
    _short(
        _consumer("kafka-python-poll", "kafka-python, poll", "kafka-python", "poll", "#8e7cc3")
    ),
    _consumer("null-for", "no client (the loop itself)", "null", "async for", "#bdc3c7"),
    _consumer("null-getmany", "no client (the loop itself)", "null", "getmany", "#bdc3c7"),
)  # fmt: skip


def _pair(producer: Contender) -> Contender:
    return dataclasses.replace(
        producer,
        name=f"{producer.name}-pair",
        label=producer.label.removesuffix(" Producer").replace("AIOProducer", "asyncio"),
        tasks=_PAIR,
        bases=(BASELINE_PAIR, CONFLUENT_PAIR),
    )


PAIRS = tuple(_pair(p) for p in PRODUCERS if p.client not in ("raw-socket", "null"))

CONTENDERS = PRODUCERS + CONSUMERS + PAIRS
_BY_NAME = {contender.name: contender for contender in CONTENDERS}
_ORDER = {name: place for place, name in enumerate(_BY_NAME)}


def by_name(name: str) -> Contender:
    """The contender called ``name``."""
    if name not in _BY_NAME:
        raise ValueError(f"no contender {name!r}; there are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def matching(globs: str) -> list[Contender]:
    """Contenders whose name is one of these, or matches one: ``ours*,confluent-poll``."""
    wanted = [glob.strip() for glob in globs.split(",")]
    for glob in wanted:
        if not fnmatch.filter(_BY_NAME, glob):
            by_name(glob)
    return [c for c in CONTENDERS if any(fnmatch.fnmatch(c.name, glob) for glob in wanted)]


def place(name: str) -> int:
    """Where a contender stands in tables and charts."""
    return _ORDER[name]
