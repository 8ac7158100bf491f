"""Nothing is lost, reordered or held up while brokers are killed and frozen, connections cut, and
members join and leave.

``python -m tests.integration.faults`` repeats the run, and compares clients.
`AIOKAFKA_SOAK_SECONDS` sets how long it writes (default 45).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.faults.figures import Events, merged, overlap
from tests.integration.faults.group import SESSION_TIMEOUT_MS
from tests.integration.faults.run import offsets_partition, run
from tests.kafka import KafkaCluster

SOAK_SECONDS = float(os.environ.get("AIOKAFKA_SOAK_SECONDS") or 45)


@pytest.mark.slow
@pytest.mark.timeout(SOAK_SECONDS * 2 + 240)
async def test_a_group_lives_through_it(kafka3: KafkaCluster, tmp_path: Path) -> None:
    figures, events = await run(kafka3, "aiokafka", SOAK_SECONDS, tmp_path)
    print(figures)
    assert figures.records >= SOAK_SECONDS * 300 * 0.5
    assert figures.ended
    assert figures.lost == 0
    assert not events.out_of_order()
    assert not events.errors
    assert figures.longest_stall_beyond < 8.0
    assert figures.slowest_recovery < SESSION_TIMEOUT_MS / 1000 + 5.0
    assert figures.longest_call < 1.0
    assert figures.warnings < 50, events.warnings
    # Three at the start, and as many as have joined for others since.
    assert len(events.joins) >= 3 + SOAK_SECONDS // 15
    assert figures.happened.count("froze") >= 1
    assert figures.happened.count("killed") >= min(1, SOAK_SECONDS // 30)


def test_the_figures_are_those_of_the_journal(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.write_text(
        "a 1.0 0 [0]\nr 1.1 0 0 5\nr 1.2 0 0 6\ng 1.2 0 0.4\nv 1.3 0 [0]\na 1.4 0 [0]\n"
        "r 1.5 0 0 6\nr 1.6 0 0 8\nr 1.7 0 0 7\nw 1.8 WARNING aiokafka a line\ns 2.0 0 0.25\n"
    )
    events = Events.read(journal)
    assert events.first_receipts() == {(0, 5): 1.1, (0, 6): 1.2, (0, 8): 1.6, (0, 7): 1.7}
    assert [line.partition(":")[0] for line in events.out_of_order()] == ["1.7"]
    assert len(events.warnings) == 1
    assert [took for _, took in events.stops] == [0.25]
    assert merged([(3, 4), (0, 1), (1, 2), (3.5, 5)]) == [(0, 2), (3, 5)]
    assert overlap(0.5, 4, [(0, 2), (3, 5)]) == 2.5
    # As "group".hashCode() % 5 and so on in Java.
    assert [offsets_partition(name) for name in ("", "a", "group", "polygenelubricants")] == [
        0, 97 % 5, 98629247 % 5, 0,
    ]  # fmt: skip
