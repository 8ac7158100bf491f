"""The assignors beside those of Kafka's Java client, which were given the same groups.

``GoldenAssignments.java`` made ``golden_assignments.json``.
"""

from __future__ import annotations

import pytest

from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from .groups import golden, owners

CASES = range(len(golden()))


@pytest.mark.parametrize("assignor", [RangePartitionAssignor, RoundRobinPartitionAssignor])
@pytest.mark.parametrize("case", CASES)
def test_the_same_as_java(case, assignor):
    group = golden()[case]
    assignment = assignor.assign(group.cluster, group.subscriptions(assignor.name))
    assert owners(assignment) == group.answers[assignor.name]
