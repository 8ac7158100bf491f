"""The figures in README.rst: small tables between two markers, made from the JSON files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.cases import END_TO_END, MAIN, MAIN_MANY, MAIN_ONE
from benchmark.contenders import by_name
from benchmark.environments import ROOT
from benchmark.results import Figure, Results, cpu_us, p50_us, rate
from benchmark.tables import number

_README = ROOT / "README.rst"
_BEGIN = ".. speed: begin. Figures of the run in docs/benchmarks."
_END = ".. speed: end"

_LABELS = {
    "ours": "this one",
    "ours-uvloop": "this one, uvloop",
    "aiokafka-0.14": "aiokafka 0.14.0",
    "confluent": "confluent-kafka ``Producer``",
    "confluent-aio": "confluent-kafka ``AIOProducer``",
    "kafka-python": "kafka-python",
}
_CONSUMERS = {
    "ours-for": "this one, ``async for``",
    "ours-uvloop-for": "this one, uvloop, ``async for``",
    "ours-getmany": "this one, ``getmany``",
    "ours-getmany-2000": "this one, ``getmany`` of 2,000",
    "aiokafka-0.14-for": "aiokafka 0.14.0, ``async for``",
    "aiokafka-0.14-getmany": "aiokafka 0.14.0, ``getmany``",
    "confluent-poll": "confluent-kafka, ``poll``",
    "confluent-poll-eager": "confluent-kafka, ``poll``, no pauses",
    "confluent-consume": "confluent-kafka, ``consume`` of 2,000",
    "confluent-consume-eager": "confluent-kafka, ``consume`` of 2,000, no pauses",
    "confluent-aio-consume": "confluent-kafka ``AIOConsumer``, ``consume`` of 2,000",
    "kafka-python-for": "kafka-python, ``for``",
}
_PAIR_LABELS = {"confluent": "confluent-kafka", "confluent-aio": "confluent-kafka asyncio"}


def _cell(results: Results, case: str, name: str, figure: Figure, unit: str = "") -> str:
    spread = results.spread(case, name, figure)
    return "–" if spread is None else number(spread.median) + unit


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *rows):
        for position, cell in enumerate(row):
            lines.append(f"   {'* -' if position == 0 else '  -'} {cell}")
    return [*lines, ""]


def _producing(results: Results) -> list[str]:
    rows = [
        [
            label,
            _cell(results, MAIN, name, rate),
            _cell(results, MAIN, name, cpu_us),
            _cell(results, "latency/sequential", name, p50_us, " µs"),
        ]
        for name, label in _LABELS.items()
    ]
    header = ["client", "messages/s", "CPU µs a message", "p50 of a sequential ``send_and_wait``"]
    return [
        "Producing 100-byte messages without keys, ``acks=all``, linger 5 ms, six partitions, all",
        "clients in turns on one broker and one machine (medians):",
        "",
        *_table(header, rows),
    ]


def _consuming(results: Results) -> list[str]:
    rows = []
    for name, label in _CONSUMERS.items():
        case = MAIN_ONE if "one" in by_name(name).tasks else MAIN_MANY
        rows.append([label, _cell(results, case, name, rate), _cell(results, case, name, cpu_us)])
    pairs = [
        [_PAIR_LABELS.get(name, label), _cell(results, END_TO_END, f"{name}-pair", p50_us, " µs")]
        for name, label in _LABELS.items()
    ]
    return [
        "Consuming 100-byte messages from six partitions, no group, in the same way:",
        "",
        *_table(["client", "messages/s", "CPU µs a message"], rows),
        "By default confluent-kafka fetches nothing for a second when its queue was full; without",
        "pauses, ``fetch.queue.backoff.ms`` is 10.",
        "",
        "From ``send()`` until the consumer of the same process has returned the message, one",
        "message at a time:",
        "",
        *_table(["client", "p50"], pairs),
    ]


def section(folder: Path) -> str:
    """What belongs between the markers, as far as ``folder`` has the figures."""
    lines: list[str] = []
    producer, consumer = folder / "producer.json", folder / "consumer.json"
    if producer.exists():
        lines += _producing(Results.load(producer))
    if consumer.exists():
        lines += _consuming(Results.load(consumer))
    lines += [
        "All tables and charts, the targets that were not reached among them, are in",
        "``docs/benchmarks``; ``make bench`` makes them anew.",
        "",
    ]
    return "\n".join(lines)


def update(folder: Path) -> None:
    """Write the section of README.rst.

    Raises:
        ValueError: the markers are not there.
    """
    before, begin, rest = _README.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"README.rst has no lines {_BEGIN!r} and {_END!r}")
    _README.write_text(f"{before}{begin}\n\n{section(folder)}\n{end}{after}")
