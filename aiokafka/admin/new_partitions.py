"""Partitions to be added to a topic."""

from __future__ import annotations

from collections.abc import Sequence


class NewPartitions:
    """How many partitions a topic is to have, for
    :meth:`~aiokafka.admin.AIOKafkaAdminClient.create_partitions`.

    Parameters:
        total_count: their number afterwards, counting those that exist.
        new_assignments: node ids for each new partition; None leaves it to the controller.
    """

    def __init__(
        self, total_count: int, new_assignments: Sequence[Sequence[int]] | None = None
    ) -> None:
        self.total_count = total_count
        self.new_assignments = new_assignments

    def __repr__(self) -> str:
        return f"NewPartitions({self.total_count}, {self.new_assignments!r})"
