"""A topic to be created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiokafka.errors import IllegalArgumentError

_NOT_GIVEN = -1


class NewTopic:
    """A topic to be created, for :meth:`~aiokafka.admin.AIOKafkaAdminClient.create_topics`.

    Parameters:
        name: its name.
        num_partitions: how many partitions; -1 with *replica_assignments*.
        replication_factor: replicas of each partition; -1 with *replica_assignments*.
        replica_assignments: node ids by partition, the first of which is the preferred leader.
        topic_configs: settings by name; None leaves one at the broker's default.

    Raises:
        IllegalArgumentError: neither numbers nor assignments are given, or both.
    """

    def __init__(
        self,
        name: str,
        num_partitions: int,
        replication_factor: int,
        replica_assignments: Mapping[int, Sequence[int]] | None = None,
        topic_configs: Mapping[str, str | None] | None = None,
    ) -> None:
        numbers = num_partitions != _NOT_GIVEN, replication_factor != _NOT_GIVEN
        if replica_assignments:
            if any(numbers):
                raise IllegalArgumentError(
                    "with `replica_assignments`, `num_partitions` and `replication_factor`"
                    " should be -1"
                )
        elif not all(numbers):
            raise IllegalArgumentError(
                "without `replica_assignments`, `num_partitions` and `replication_factor`"
                " should be given"
            )
        self.name = name
        self.num_partitions = num_partitions
        self.replication_factor = replication_factor
        self.replica_assignments = replica_assignments or {}
        self.topic_configs = topic_configs or {}

    def __repr__(self) -> str:
        return (
            f"NewTopic({self.name!r}, {self.num_partitions}, {self.replication_factor},"
            f" {self.replica_assignments!r}, {self.topic_configs!r})"
        )

    def row(self) -> tuple[object, ...]:
        """What a CreateTopics request says of it.

        .. versionadded:: 0.14.1
        """
        return (
            self.name,
            self.num_partitions,
            self.replication_factor,
            [(partition, list(ids)) for partition, ids in self.replica_assignments.items()],
            list(self.topic_configs.items()),
        )
