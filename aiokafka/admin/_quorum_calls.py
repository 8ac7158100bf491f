"""Calls about features, the quorum of controllers, log directories and elections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall, Answer
from aiokafka.admin._outcomes import Outcomes, error_of
from aiokafka.admin.cluster import (
    ElectionType,
    FeatureMetadata,
    FeatureRange,
    FeatureUpdate,
    LogDirDescription,
    QuorumInfo,
    QuorumReplica,
    ReplicaInfo,
)
from aiokafka.admin.results import Results
from aiokafka.coordinator.protocol import by_topic
from aiokafka.errors import NotControllerError
from aiokafka.protocol.admin import (
    ApiVersionRequest,
    DescribeLogDirsRequest,
    DescribeQuorumRequest,
    ElectLeadersRequest,
    UpdateFeaturesRequest,
)
from aiokafka.structs import TopicPartition

LogDirs = dict[str, LogDirDescription]


class QuorumCalls(AdminBase):
    """Features, the quorum, log directories, elections of leaders."""

    async def describe_features(self, *, timeout_ms: int | None = None) -> FeatureMetadata:
        """The features that brokers support, and the levels in use (KIP-584).

        Parameters:
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Raises:
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def describe(call: AdminCall) -> FeatureMetadata:
            response = await call.answer(lambda: call.ask_any(ApiVersionRequest()))
            epoch = response.get("finalized_features_epoch", -1)
            return FeatureMetadata(
                {
                    row["name"]: FeatureRange(row["min_version"], row["max_version"])
                    for row in response.get("supported_features", ())
                },
                {
                    row["name"]: FeatureRange(row["min_version_level"], row["max_version_level"])
                    for row in response.get("finalized_features", ())
                },
                epoch if epoch >= 0 else None,
            )

        return await self._call("Describing features", timeout_ms, describe)

    async def update_features(
        self,
        updates: Mapping[str, FeatureUpdate],
        validate_only: bool = False,
        *,
        timeout_ms: int | None = None,
    ) -> Results[str, None]:
        """Finalize levels of features: all of them or none.

        Parameters:
            updates: by feature.
            validate_only: check, do not change, from Kafka 3.3.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each feature.  From Kafka 4.1 they have the same.

        Raises:
            FeatureUpdateFailedError, InvalidUpdateVersionError: refused as a whole.
            KafkaTimeoutError: nothing was changed in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def update(call: AdminCall) -> Results[str, None]:
            async def send(left: list[str]) -> Any:
                rows = [
                    (name, updates[name].max_level, int(updates[name].upgrade_type))
                    for name in left
                ]
                return await call.send_to_controller(
                    UpdateFeaturesRequest(call.broker_timeout_ms, rows, validate_only)
                )

            def read(response: Any, asked: list[str]) -> Iterator[Answer[str, None]]:
                if "results" not in response:  # version 2 speaks for all at once
                    for name in asked:
                        yield name, 0, None, None
                for row in response.get("results", ()):
                    yield row["feature"], row["error_code"], row["error_message"], None

            return await call.each_answered(updates, send, read)

        return await self._call("Updating features", timeout_ms, update)

    async def describe_metadata_quorum(self, *, timeout_ms: int | None = None) -> QuorumInfo:
        """The quorum of controllers, under KRaft (KIP-836).

        Parameters:
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Raises:
            IncompatibleBrokerVersion: the cluster has no such quorum.
            ClusterAuthorizationFailedError: this client may not see it.
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """

        async def describe(call: AdminCall) -> QuorumInfo:
            async def attempt() -> QuorumInfo:
                response = call.checked(await call.ask_any(DescribeQuorumRequest()))
                row = response["topics"][0]["partitions"][0]
                if row["error_code"]:
                    raise error_of(row["error_code"], None, call.what)
                return QuorumInfo(
                    row["leader_id"],
                    row["leader_epoch"],
                    row["high_watermark"],
                    tuple(map(_replica, row["current_voters"])),
                    tuple(map(_replica, row["observers"])),
                )

            return await call.retry(attempt)

        return await self._call("Describing the quorum", timeout_ms, describe)

    async def describe_log_dirs(
        self,
        broker_ids: Iterable[int] | None = None,
        partitions: Iterable[TopicPartition] | None = None,
        *,
        timeout_ms: int | None = None,
    ) -> Results[int, LogDirs]:
        """The log directories of brokers (KIP-113).

        Parameters:
            broker_ids: the brokers; None: all.
            partitions: only these; None: all.
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            By broker: descriptions by path.

        Raises:
            KafkaTimeoutError: no broker has answered in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        rows = None if partitions is None else list(by_topic(partitions).items())

        async def describe(call: AdminCall) -> Results[int, LogDirs]:
            async def ask(outcomes: Outcomes[int, LogDirs], node_id: int) -> None:
                response = call.checked(await call.send(node_id, DescribeLogDirsRequest(rows)))
                found = {row["log_dir"]: _log_dir(row) for row in response["results"]}
                outcomes.succeed(node_id, found)

            nodes = call.broker_ids() if broker_ids is None else broker_ids
            return await call.each_alone(nodes, ask)

        return await self._call("Describing log directories", timeout_ms, describe)

    async def elect_leaders(
        self,
        election_type: ElectionType = ElectionType.PREFERRED,
        partitions: Iterable[TopicPartition] | None = None,
        *,
        timeout_ms: int | None = None,
    ) -> Results[TopicPartition, None]:
        """Elect leaders (KIP-183, KIP-460).

        Parameters:
            election_type: who may become leader.
            partitions: of which; None: all that need it.
            timeout_ms: bound of the call, and how long the controller may wait for the
                elections, in milliseconds; None: ``request_timeout_ms``.

        Returns:
            The outcome of each partition, such as ``ElectionNotNeededError``.

        Raises:
            ClusterAuthorizationFailedError: this client may not do that.
            KafkaTimeoutError: nothing was done in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionadded:: 0.14.1
        """
        given = None if partitions is None else list(partitions)

        async def elect(call: AdminCall) -> Results[TopicPartition, None]:
            async def send(left: list[TopicPartition] | None) -> Any:
                rows = None if left is None else list(by_topic(left).items())
                return await call.send_to_controller(
                    ElectLeadersRequest(int(election_type), rows, call.broker_timeout_ms)
                )

            if given is not None:
                return await call.each_answered(
                    given, send, lambda found, _: _elected(found), passing=_refused
                )
            answers = list(_elected(await call.answer(lambda: send(None))))
            outcomes: Outcomes[TopicPartition, None] = Outcomes(
                (tp for tp, *_ in answers), _refused
            )
            call.enter(outcomes, [tp for tp, *_ in answers], answers)
            return outcomes.ended()

        return await self._call("Electing leaders", timeout_ms, elect)


def _replica(row: dict[str, Any]) -> QuorumReplica:
    fetched, caught_up = (
        row.get(name, -1) for name in ("last_fetch_timestamp", "last_caught_up_timestamp")
    )
    return QuorumReplica(
        row["replica_id"],
        row["log_end_offset"],
        fetched if fetched >= 0 else None,
        caught_up if caught_up >= 0 else None,
    )


def _log_dir(row: dict[str, Any]) -> LogDirDescription:
    replicas = {
        TopicPartition(topic["name"], part["partition_index"]): ReplicaInfo(
            part["partition_size"], part["offset_lag"], part["is_future_key"]
        )
        for topic in row["topics"]
        for part in topic["partitions"]
    }
    total, usable = (row.get(name, -1) for name in ("total_bytes", "usable_bytes"))
    return LogDirDescription(
        replicas,
        total if total >= 0 else None,
        usable if usable >= 0 else None,
        error_of(row["error_code"], None, row["log_dir"]) if row["error_code"] else None,
    )


def _refused(error: BaseException) -> bool:
    """Whether an election has not been tried: what came of one is final, also by errors that are
    passing elsewhere, such as that none was needed."""
    return isinstance(error, NotControllerError)


def _elected(response: dict[str, Any]) -> Iterator[Answer[TopicPartition, None]]:
    for topic in response["replica_election_results"]:
        for row in topic["partition_result"]:
            tp = TopicPartition(topic["topic"], row["partition_id"])
            yield tp, row["error_code"], row["error_message"], None
