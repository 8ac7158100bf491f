"""Who is compared: each contender's client, event loop and environment."""

from __future__ import annotations

import dataclasses

BASELINE = "aiokafka-0.14"
OURS = "ours"
OURS_UVLOOP = "ours-uvloop"
CONFLUENT = "confluent"


@dataclasses.dataclass(frozen=True, slots=True)
class Contender:
    """One column of the comparison.

    Parameters:
        name: what ``--contenders`` takes.
        label: how tables and charts call it.
        client: the worker's module for it.
        tasks: kinds of measurement that make sense for it.
        loop: event loop, where the client has one.
        checkout: measured from this source tree; otherwise from the peers' environment.
        color: of its bars.
    """

    name: str
    label: str
    client: str
    tasks: frozenset[str]
    color: str
    loop: str = "asyncio"
    checkout: bool = False


_ALL = frozenset({"produce", "tasks", "latency", "import"})
_LOOP = frozenset({"produce", "tasks", "latency"})
_SYNC = frozenset({"produce", "latency"})

CONTENDERS: tuple[Contender, ...] = (
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


def by_name(name: str) -> Contender:
    """The contender called ``name``."""
    for contender in CONTENDERS:
        if contender.name == name:
            return contender
    known = ", ".join(contender.name for contender in CONTENDERS)
    raise ValueError(f"no contender {name!r}; there are {known}")
